"""Images that drive a channel or a unit of a Keras model as high as they can.

Layout   images (batch, height, width, channels) as the model takes them: already preprocessed
Ascent   start from noise, follow the gradient of the activation with steps of a fixed size
Regular  each step moves the image by a random shift (jitter) and smooths its gradient; without
    that the result is noise that people cannot read, although it drives the unit higher still
The model is computed call by call in inference mode and only read.
Derived in chapter 10-looking-inside.
"""

from __future__ import annotations

from numbers import Real
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import integer, integers
from cvlab.networks.graph import walk
from cvlab.networks.inspection import images_for, run
from cvlab.networks.score_layers import find_layer


class Maximized(NamedTuple):
    """An image and how it came about.

    Attributes
    ----------
    image : array (height, width, channels)
        float32, in the units that the model takes.
    activation : array (steps + 1,)
        The activation of the image before each step, and of the result.
    """

    image: np.ndarray
    activation: np.ndarray


def maximize_activation(
    model: keras.Model,
    layer: str,
    channel: int,
    rng: np.random.Generator,
    *,
    unit: tuple[int, int] | None = None,
    size: int | tuple[int, int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    steps: int = 64,
    step_size: float = 0.04,
    jitter: int = 8,
    smoothness: tuple[float, float] = (2.0, 0.5),
) -> Maximized:
    """Return an image that drives one channel of a layer, or one unit of it, high.

    Gradient ascent on the input, Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep
    Network"; jitter as in Mordvintsev et al. 2015, "Inceptionism". Each step adds the smoothed
    gradient, divided by its root mean square, times `step_size` times the width of `value_range`,
    and clips the image to that range.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, models inside it included; one batch of images in.
    layer : str
        A layer whose output has a height and a width.
    channel : int
    rng : numpy.random.Generator
        For the first image and the jitter.
    unit : (int, int), optional
        Row and column of the unit to drive; by default the mean of the whole channel.
    size : int or (int, int), optional
        Height and width of the image, where the model leaves them open.
    value_range : (float, float)
        Smallest and largest value of a pixel, in the units that the model takes.
    steps : int
    step_size : float
        As a fraction of the width of `value_range`.
    jitter : int
        Largest shift along each axis, in pixels; the image wraps around. 0 for none.
    smoothness : (float, float)
        Standard deviation of the blur of the gradient in pixels, at the first and the last step.

    Returns
    -------
    Maximized

    Raises
    ------
    ValueError
        If there is no such layer, channel or unit, the size is open, or a number is out of range.

    Examples
    --------
    A kernel that subtracts the left pixel from the right one is driven by a step from the lowest
    to the highest value.

    >>> kernel = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
    >>> conv = keras.layers.Conv2D(1, (1, 2), use_bias=False, name="conv")
    >>> model = keras.Sequential([keras.Input((1, 5, 1)), conv])
    >>> conv.set_weights([kernel])
    >>> options = dict(unit=(0, 2), jitter=0, smoothness=(0, 0))
    >>> found = maximize_activation(model, "conv", 0, np.random.default_rng(0), **options)
    >>> found.image[0, 2:4, 0].tolist()
    [0.0, 1.0]
    """
    nodes = walk(model)
    name = find_layer(nodes, layer).name
    low, high = _range(value_range)
    steps, jitter = integer(steps, "steps", 0), integer(jitter, "jitter", 0)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {rng!r}")
    if not (isinstance(step_size, Real) and step_size > 0):
        raise ValueError(f"step_size must be a positive number, got {step_size!r}")
    blurs = np.linspace(*_blurs(smoothness), max(steps, 1))
    shape = _image_shape(model, size)
    image = (low + high) / 2 + (high - low) * rng.normal(0, 0.02, shape)
    image = images_for(model, image.astype(np.float32)[np.newaxis])
    climb = _climb(nodes, name, channel, unit, image)

    activation = []
    for blur in blurs[:steps]:
        value, gradient = climb(image)
        activation.append(value)
        shift = tuple(rng.integers(-jitter, jitter + 1, 2))
        _, gradient = climb(np.roll(image, shift, (1, 2)))
        gradient = _smoothed(np.roll(gradient, tuple(-s for s in shift), (1, 2)), blur)
        size_of_gradient = np.sqrt(np.mean(gradient**2))
        if size_of_gradient > 0:
            image = image + step_size * (high - low) * gradient / size_of_gradient
            image = np.clip(image, low, high).astype(np.float32)
    activation.append(climb(image)[0])
    return Maximized(image[0], np.array(activation, dtype=np.float32))


def _climb(nodes, name, channel, unit, image):
    """Return a function from an image to its activation and the gradient of that."""
    channel = integer(channel, "channel", 0)
    unit = None if unit is None else integers(unit, "unit", 0)

    def objective(images):
        maps = run(nodes, [name], images)[name]
        if channel >= maps.shape[3]:
            raise ValueError(f"channel must be in 0..{maps.shape[3] - 1}, got {channel}")
        if unit is None:
            return tf.reduce_mean(maps[..., channel])
        if unit[0] >= maps.shape[1] or unit[1] >= maps.shape[2]:
            raise ValueError(
                f"unit must lie in the map of {tuple(maps.shape[1:3])} units, got {unit}"
            )
        return maps[0, unit[0], unit[1], channel]

    @tf.function(input_signature=[tf.TensorSpec(image.shape, tf.float32)])
    def value_and_gradient(images):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            value = objective(images)
        return value, tape.gradient(
            value, images, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def climb(images):
        value, gradient = value_and_gradient(tf.constant(images))
        return float(value), gradient.numpy()

    return climb


def _smoothed(gradient, blur):
    """Return the gradient after a Gaussian blur along height and width; the image wraps around."""
    if blur == 0:
        return gradient
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(gradient, (0, blur, blur, 0), mode="wrap")


def _image_shape(model, size):
    """Return (height, width, channels), with `size` where the model leaves it open."""
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            "model must take one batch of images (batch, height, width, channels), got inputs "
            f"{[tuple(i.shape) for i in inputs]}"
        )
    _, height, width, channels = inputs[0].shape
    if size is not None:
        height, width = integers(size, "size", 1)
    if None in (height, width):
        raise ValueError("size must be given where the model leaves height and width open")
    return height, width, channels


def _range(value_range):
    low, high = (float(value) for value in value_range)
    if not low < high:
        raise ValueError(f"value_range must be (smallest, largest), got {value_range!r}")
    return low, high


def _blurs(smoothness):
    first, last = (float(value) for value in smoothness)
    if not min(first, last) >= 0:
        raise ValueError(f"smoothness must be two numbers of at least 0, got {smoothness!r}")
    return first, last
