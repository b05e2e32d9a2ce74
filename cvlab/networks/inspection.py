"""What the layers of a Keras model compute for given images, and which parts of them matter.

Layout   images (batch, height, width, channels) as the model takes them: already preprocessed
Names    of layers as in :mod:`cvlab.networks.graph`: "conv", "model/conv", "conv:2"
Units    one position (row, column) of one channel of a feature map; counted from 0
Pixels   half-open intervals, rows first, clipped at the border, as in chapter 04-receptive-fields
The model is computed call by call in inference mode and only read.
Derived in chapter 10-looking-inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import float_array, integer, integers
from cvlab.axis_field import Interval
from cvlab.networks.graph import Node, only_reading, walk
from cvlab.networks.receptive_field import model_unit_interval
from cvlab.networks.score_layers import checked_images, find_layer, score_nodes


def activations(
    model: keras.Model,
    images: np.ndarray,
    layers: str | Sequence[str],
    *,
    batch_size: int = 32,
) -> dict[str, np.ndarray]:
    """Return the outputs of several layers, computed in one pass over the images.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, models inside it included; one batch of images in.
    images : array (n, height, width, channels)
        As the model takes them.
    layers : str or sequence of str
        Layers whose output has a height and a width.
    batch_size : int
        Images computed at once.

    Returns
    -------
    dict of str to array (n, rows, columns, channels)
        By the names given, float32.

    Raises
    ------
    ValueError
        If the model has no graph or several inputs, there is no such layer, or the images have
        not the shape of the model's input.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(2, 3, name="conv")
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), conv, keras.layers.ReLU(name="relu")])
    >>> maps = activations(model, np.ones((5, 8, 8, 1)), ["conv", "relu"])
    >>> {name: array.shape for name, array in maps.items()}
    {'conv': (5, 6, 6, 2), 'relu': (5, 6, 6, 2)}
    """
    nodes = walk(model)
    images = images_for(model, images)
    batch_size = integer(batch_size, "batch_size", 1)
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers must name at least one layer, got none")
    found = [find_layer(nodes, name).name for name in names]
    count = len(images)
    if not count:  # no layer takes an empty batch: one blank image tells the shapes
        images = np.zeros((1, *images.shape[1:]))
    starts = range(0, len(images), batch_size)
    parts = [run(nodes, found, images[start : start + batch_size]) for start in starts]
    return {
        name: np.concatenate([part[node].numpy() for part in parts])[:count]
        for name, node in zip(names, found, strict=True)
    }


class Patch(NamedTuple):
    """The part of an image that a unit sees, and how strongly the unit responds to it.

    Attributes
    ----------
    activation : float
    image : int
        Number of the image.
    unit : (int, int)
        Row and column in the feature map.
    rows, columns : (int, int)
        The pixels that the unit sees, first and stop, clipped at the border.
    pixels : array (height, width, channels)
        Those pixels.
    """

    activation: float
    image: int
    unit: tuple[int, int]
    rows: Interval
    columns: Interval
    pixels: np.ndarray


def exciting_patches(
    model: keras.Model,
    images: np.ndarray,
    layer: str,
    channel: int,
    count: int = 9,
    *,
    per_image: int | None = 1,
    originals: np.ndarray | None = None,
) -> list[Patch]:
    """Return the patches of the images to which one channel responds most, strongest first.

    Each patch is the theoretical receptive field of the unit, so it holds all that the unit sees.
    Girshick et al. 2014, section 3.1, https://arxiv.org/abs/1311.2524, use units in this way.

    Parameters
    ----------
    model, images
        As for :func:`activations`.
    layer : str
    channel : int
    count : int
        Patches to return; fewer if there are fewer units.
    per_image : int, optional
        At most so many patches of one image; None sets no limit. Neighbouring units see nearly
        the same, so that without a limit all patches may show one place.
    originals : array (n, height, width, ...), optional
        Images to cut from in place of `images`, such as those before preprocessing.

    Returns
    -------
    list of Patch

    Raises
    ------
    ValueError
        As :func:`activations`, if there is no such channel, if the originals have another size,
        or if the receptive field of the layer is not known.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(1, 3, kernel_initializer="ones", name="conv")
    >>> image = np.zeros((1, 8, 8, 1))
    >>> image[0, 4:7, 1:4] = 1
    >>> patch = exciting_patches(keras.Sequential([keras.Input((8, 8, 1)), conv]), image, "conv", 0)
    >>> patch[0].activation, patch[0].unit, patch[0].rows, patch[0].columns
    (9.0, (4, 1), (4, 7), (1, 4))
    """
    count = integer(count, "count", 1)
    images = images_for(model, images)
    shown = images if originals is None else np.asarray(originals)
    if shown.shape[:3] != images.shape[:3]:
        raise ValueError(
            f"originals must have the size of images, {images.shape[:3]}, got {shown.shape[:3]}"
        )
    maps = activations(model, images, layer)[layer]
    channel = integer(channel, "channel", 0)
    if channel >= maps.shape[3]:
        raise ValueError(f"channel must be in 0..{maps.shape[3] - 1}, got {channel}")
    maps = maps[..., channel]
    per_image = maps[0].size if per_image is None else integer(per_image, "per_image", 1)
    units = [unit for image in range(len(maps)) for unit in _strongest(maps, image, per_image)]
    units.sort(key=lambda unit: -maps[unit])  # stable: of equals the first image comes first
    name = find_layer(walk(model), layer).name
    patches = []
    for image, row, column in units[:count]:
        rows, columns = model_unit_interval(model, (row, column), name, images.shape[1:3])
        pixels = shown[image, slice(*rows), slice(*columns)]
        activation = float(maps[image, row, column])
        patches.append(Patch(activation, image, (row, column), rows, columns, pixels))
    return patches


def occlusion_map(
    model: keras.Model,
    image: np.ndarray,
    score: int | Callable[[tf.Tensor], tf.Tensor],
    *,
    window: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    fill: float | np.ndarray = 0.0,
    batch_size: int = 32,
) -> np.ndarray:
    """Return how much a score falls when a window of the image is covered, for every position.

    Zeiler and Fergus 2014, section 4.2, https://arxiv.org/abs/1311.2901. The score is that before
    a final softmax or sigmoid.

    Parameters
    ----------
    model : keras.Model
        As for :func:`activations`.
    image : array (height, width, channels) or (1, height, width, channels)
    score : int or callable
        A class, or a function of the scores (batch, ...) that returns (batch,).
    window : int or (int, int)
        Height and width of the window in pixels.
    stride : int or (int, int), optional
        Pixels from one position to the next; half of the window if not given.
    fill : float or array (channels,)
        What the window is filled with, in the units of the image.
    batch_size : int
        Covered images computed at once.

    Returns
    -------
    array (rows, columns)
        Score of the whole image minus that of the covered one. Entry (i, j) belongs to the window
        whose top left pixel is (i * stride, j * stride).

    Raises
    ------
    ValueError
        If the image has not the shape of the model's input, the window is larger than it, or the
        class does not exist.

    Examples
    --------
    >>> head = [keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer="ones")]
    >>> model = keras.Sequential([keras.Input((4, 4, 1)), *head])
    >>> occlusion_map(model, np.eye(4)[..., np.newaxis], score=0, window=2, stride=2)
    array([[2., 0.],
           [0., 2.]], dtype=float32)
    """
    image = float_array(image, "image")
    image = images_for(model, image[np.newaxis] if image.ndim == 3 else image)
    if len(image) != 1:
        raise ValueError(f"image must be one image, got a batch of {len(image)}")
    height, width = integers(window, "window", 1)
    down, right = integers(
        (max(1, height // 2), max(1, width // 2)) if stride is None else stride, "stride", 1
    )
    if height > image.shape[1] or width > image.shape[2]:
        raise ValueError(
            f"window must fit into the image of {image.shape[1:3]} pixels, got {(height, width)}"
        )
    corners = [
        (top, left)
        for top in range(0, image.shape[1] - height + 1, down)
        for left in range(0, image.shape[2] - width + 1, right)
    ]
    evaluate = _score_function(model, score)
    drops = []
    for start in range(0, len(corners), integer(batch_size, "batch_size", 1)):
        part = corners[start : start + batch_size]
        covered = np.repeat(image, len(part), axis=0)
        for one, (top, left) in zip(covered, part, strict=True):
            one[top : top + height, left : left + width] = fill
        drops.append(evaluate(covered))
    rows = (image.shape[1] - height) // down + 1
    return (evaluate(image) - np.concatenate(drops)).reshape(rows, -1)


def run(nodes: list[Node], wanted: Sequence[str], images) -> dict[str, tf.Tensor]:
    """Return the (first) outputs of the wanted nodes for a batch; others are freed once read."""
    needed = set(wanted)
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.sources)
    path = [node for node in nodes[1:] if node.name in needed]
    last_reader = {source: node.name for node in path for source in node.sources}

    def compute(tensor):
        values, found = {nodes[0].name: (tensor,)}, {}
        for node in path:
            values[node.name] = node.compute(values)
            for source in node.sources:
                if last_reader[source] == node.name:
                    values.pop(source, None)
            if node.name in wanted:
                found[node.name] = tf.cast(values[node.name][0], tf.float32)
        if nodes[0].name in wanted:
            found[nodes[0].name] = tf.cast(tensor, tf.float32)
        return found

    tensor = tf.convert_to_tensor(images, dtype=nodes[0].layer.dtype)
    return only_reading(compute)(tensor)


def images_for(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the images as floats; raise unless the model takes one batch of such images."""
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1:
        raise ValueError(f"model must take one batch of images, got {len(inputs)} inputs")
    return checked_images(images, tuple(inputs[0].shape))


def _strongest(maps, image, count):
    """Return the `count` strongest units (image, row, column) of one image, strongest first."""
    order = np.argsort(-maps[image], axis=None, kind="stable")[:count]
    rows, columns = np.unravel_index(order, maps[image].shape)
    return [(image, int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def _score_function(model, score):
    """Return a function from images to one number each."""
    nodes = score_nodes(model)
    last = nodes[-1]
    if not callable(score):
        score = integer(score, "score", 0)
        if len(last.shape) != 2 or score >= last.shape[1]:
            raise ValueError(
                f"score must be a class of the output {last.shape} or a function, got {score}"
            )

    def evaluate(images):
        outputs = run(nodes, [last.name], images)[last.name]
        values = score(outputs) if callable(score) else outputs[:, score]
        values = np.asarray(values, dtype=np.float32)
        if values.shape != (len(images),):
            raise ValueError(
                f"score must return one number for each image, ({len(images)},), "
                f"got shape {values.shape}"
            )
        return values

    return evaluate
