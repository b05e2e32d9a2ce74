"""Receptive fields measured on a Keras model, by the gradient of one unit at the image.

The model maps images (batch, height, width, channels) to maps of the same layout, in inference
    mode. For an inner layer pass ``keras.Model(model.inputs, model.get_layer(name).output)``.
A unit is a place (row, column) of the output, by default the middle (rows // 2, columns // 2).
"Effective" is how much every pixel counts with the weights that the model has. "Measured" is which
    pixels count at all, with positive weights in float64, so that nothing cancels or underflows.
The user's model is only read. Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import float_array, integer, integers
from cvlab.networks.receptive_field import image_size

Unit = tuple[int, int]


def gradient_map(
    model: keras.Model, images: np.ndarray, unit: Unit | None = None, *, power: int = 1
) -> np.ndarray:
    """Return how strongly one unit depends on every pixel, averaged over images.

    Parameters
    ----------
    model : keras.Model
    images : array (batch, height, width, channels)
    unit : (int, int), optional
        The gradient is that of the sum over the channels of this unit.
    power : int
        1 averages the absolute gradient, 2 its square (the mean energy, to which the theory of
        random weights applies; see :func:`cvlab.effective_field.uniform_width`).

    Returns
    -------
    array (height, width), float64
        The mean over images and channels.

    Raises
    ------
    ValueError
        If `images` or the output of the model have not 4 axes, there is no such unit, or `power`
        is not a positive integer.

    Examples
    --------
    >>> blur = keras.layers.AveragePooling2D(3, strides=1)
    >>> gradient_map(keras.Sequential([keras.Input((5, 5, 1)), blur]), np.zeros((1, 5, 5, 1))) > 0
    array([[False, False, False, False, False],
           [False,  True,  True,  True, False],
           [False,  True,  True,  True, False],
           [False,  True,  True,  True, False],
           [False, False, False, False, False]])
    """
    power = integer(power, "power", 1)
    gradient = _gradient(model, images, unit, np.ones)
    return (np.abs(gradient) ** power).mean(axis=(0, 3))


def effective_field(
    models: Iterable[keras.Model],
    images: np.ndarray,
    unit: Unit | None = None,
    *,
    power: int = 1,
) -> np.ndarray:
    """Return the effective receptive field, averaged over networks and over images.

    Luo et al. 2016, arXiv:1701.04128. Every network counts alike: its map is scaled to a sum of 1.

    Parameters
    ----------
    models : iterable of keras.Model
        The same network from several seeds, ``(build(seed) for seed in range(3))``.
    images, unit, power
        As in :func:`gradient_map`.

    Returns
    -------
    array (height, width), float64
        With the sum 1.

    Raises
    ------
    ValueError
        As :func:`gradient_map`, or if there is no model, or a gradient that is zero everywhere.

    Examples
    --------
    >>> blur = keras.layers.AveragePooling2D(3, strides=1)
    >>> model = keras.Sequential([keras.Input((5, 5, 1)), blur])
    >>> effective_field([model], np.zeros((1, 5, 5, 1)), unit=(0, 0))[:3, :3].round(4)
    array([[0.1111, 0.1111, 0.1111],
           [0.1111, 0.1111, 0.1111],
           [0.1111, 0.1111, 0.1111]])
    """
    shares = []
    for model in models:
        field = gradient_map(model, images, unit, power=power)
        if not field.any():
            raise ValueError("models must depend on the image, got a gradient of zero everywhere")
        shares.append(field / field.sum())
    if not shares:
        raise ValueError("models must hold at least one model, got none")
    return np.mean(shares, axis=0)


def measured_field(
    model: keras.Model,
    unit: Unit | None = None,
    input_size: tuple[int, int] | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return which pixels one unit of a model depends on, found out by differentiation.

    The measurement runs on :func:`positive_copy`; with the weights of the model itself, zeros of
    ReLU, losers of a maximum and cancelling weights would hide pixels.

    Parameters
    ----------
    model : keras.Model
    unit : (int, int), optional
    input_size : (int, int), optional
        Height and width of the image; those of the model if not given.
    rng : numpy.random.Generator, optional
        Draws weights and image.

    Returns
    -------
    array (height, width) of bool

    Raises
    ------
    ValueError
        As :func:`gradient_map`, or if the model leaves the size open and it is not given.

    Examples
    --------
    A dilated convolution leaves holes:

    >>> dilated = keras.layers.Conv2D(1, 3, dilation_rate=2, activation="relu")
    >>> measured_field(keras.Sequential([keras.Input((5, 5, 1)), dilated])).astype(int)
    array([[1, 0, 1, 0, 1],
           [0, 0, 0, 0, 0],
           [1, 0, 1, 0, 1],
           [0, 0, 0, 0, 0],
           [1, 0, 1, 0, 1]])
    """
    rng = np.random.default_rng(0) if rng is None else rng
    height, width = image_size(model, input_size)
    image = rng.uniform(0.5, 1.5, (1, height, width, model.inputs[0].shape[-1]))
    copy = positive_copy(model, rng)
    gradient = _gradient(copy, image, unit, lambda channels: rng.uniform(0.5, 1.5, channels))
    return gradient.any(axis=(0, 3))


def positive_copy(model: keras.Model, rng: np.random.Generator) -> keras.Model:
    """Return a copy of `model` through which every pixel that can count does count.

    Same windows, strides, padding and connections; but float64, positive random kernels of about
    unit sum, no bias, neutral normalization, linear activations, and mean in place of maximum
    pooling, whose windows are the same.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    >>> copy = positive_copy(model, np.random.default_rng(0))
    >>> kernel, bias = copy.get_weights()
    >>> str(kernel.dtype), bool(kernel.min() > 0), bool(bias.any())
    ('float64', True, False)
    """
    image = keras.Input(batch_shape=model.inputs[0].shape, dtype="float64")
    graph = keras.Model(model.inputs, model.outputs[0])  # the same layers; Sequential or not
    copy = keras.models.clone_model(
        graph, input_tensors=[image], clone_function=_linear_layer, recursive=True
    )
    for variable in copy.weights:
        if len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[:-1])
            variable.assign(rng.uniform(0.5, 1.5, variable.shape) / fan_in)
        else:
            scales = variable.path.endswith(("gamma", "variance", "scale"))
            variable.assign(np.full(variable.shape, float(scales)))
    return copy


def _linear_layer(layer):
    """Return a copy of one layer in float64, without what is not linear."""
    means = {
        keras.layers.MaxPooling2D: keras.layers.AveragePooling2D,
        keras.layers.GlobalMaxPooling2D: keras.layers.GlobalAveragePooling2D,
    }
    config = layer.get_config()
    if isinstance(layer, keras.layers.Layer):  # and not an operation, which has no type of its own
        config["dtype"] = "float64"
    if "activation" in config:
        config["activation"] = "linear"
    if "max_value" in config:
        config["max_value"] = None
    return means.get(type(layer), type(layer)).from_config(config)


def _gradient(model, images, unit, channel_weights):
    """Return the gradient of a weighted sum over the channels of one unit, like `images`."""
    images = float_array(images, "images", 4, "(batch, height, width, channels)")
    pixels = tf.constant(images, model.inputs[0].dtype)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        output = model(pixels, training=False)
        shape = tuple(getattr(output, "shape", ()))
        if len(shape) != 4:
            raise ValueError(
                "model must return one map (batch, height, width, channels), got an output of "
                f"shape {shape}"
            )
        row, column = _place(unit, shape[1:3])
        weights = tf.constant(channel_weights(shape[3]), output.dtype)
        target = tf.reduce_sum(output[:, row, column] * weights)
    return tape.gradient(target, pixels).numpy().astype(np.float64)


def _place(unit, size):
    """Return the unit, the middle one if it is not given."""
    if unit is None:
        return size[0] // 2, size[1] // 2
    row, column = integers(unit, "unit", 0)
    if row >= size[0] or column >= size[1]:
        raise ValueError(f"unit must lie in a map of {tuple(size)} units, got {(row, column)}")
    return row, column
