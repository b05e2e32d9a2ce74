"""Which calls of a Keras model an explanation needs: those that give the scores, and one layer.

Scores   the output before a final softmax or sigmoid, whether a layer of its own or fused
Layer    by name, as in :mod:`cvlab.networks.graph`: "conv", "model/conv", "conv:2"
Default  the last convolution with a spatial extent, and what follows it at the same size
The model is only read: a layer whose activation is left out gets a stand-in on the same weights.
Derived in chapter 11-grad-cam.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

import keras
import numpy as np
from keras import layers

from cvlab._validate import float_array
from cvlab.networks.graph import Node, walk

_SQUASHING = {"softmax", "log_softmax", "sigmoid"}
_CONVOLUTIONS = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Conv2DTranspose,
)
_OTHER_MAPS = (  # that follow a convolution without being its feature map
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.Dropout,
    layers.SpatialDropout2D,
)


def score_nodes(model: keras.Model) -> list[Node]:
    """Return the calls of a model without its final softmax or sigmoid: the last gives the scores.

    A softmax fused into a dense or convolutional layer is left out of a stand-in for that layer,
    which reads the same weights.

    Raises
    ------
    ValueError
        If a softmax is fused into a layer of another kind.

    Examples
    --------
    >>> stack = [keras.Input((4,)), layers.Dense(2, name="scores"), layers.Softmax()]
    >>> [node.name for node in score_nodes(keras.Sequential(stack))][1:]
    ['scores']
    """
    nodes = walk(model)
    layer = nodes[-1].layer
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    kind = type(layer).__name__.lower()  # a layer or an operation
    if kind in _SQUASHING | {"logsoftmax"} or (kind == "activation" and activation in _SQUASHING):
        return nodes[: [node.name for node in nodes].index(nodes[-1].sources[0]) + 1]
    if activation not in _SQUASHING:
        return nodes
    if not isinstance(layer, (layers.Dense, layers.Conv2D)):
        raise ValueError(
            f"model must end in scores, a softmax, or a dense or convolutional layer with a "
            f"softmax, got {activation} in {type(layer).__name__} {layer.name!r}"
        )
    return [*nodes[:-1], replace(nodes[-1], layer=_BeforeActivation(layer))]


class _BeforeActivation:
    """A dense or convolutional layer without its activation function, on the same weights."""

    def __init__(self, layer: layers.Layer):
        self.layer = layer

    def call(self, x):
        layer = self.layer
        if isinstance(layer, layers.Dense):
            y = keras.ops.matmul(x, layer.kernel)
        else:
            y = layer.convolution_op(x, layer.kernel)
        return y if layer.bias is None else y + layer.bias

    __call__ = call


def find_layer(nodes: list[Node], layer: str | None) -> Node:
    """Return the call of a layer with a spatial extent, by name or by default the last one.

    A name without "model/" is enough if it is unique, and the name of a model inside the model
    stands for its output.

    Raises
    ------
    ValueError
        If there is no such layer, several, or one without height and width.

    Examples
    --------
    >>> stack = [keras.Input((9, 9, 3)), layers.Conv2D(4, 3, name="conv"), layers.MaxPooling2D()]
    >>> find_layer(walk(keras.Sequential(stack)), None).name
    'conv'
    """
    if layer is None:
        return _last_feature_map(nodes)
    if not isinstance(layer, str):
        raise ValueError(f"layer must be the name of a layer or None, got {layer!r}")
    found = [node for node in nodes if node.name == layer]
    found = found or [node for node in nodes if node.name.rpartition("/")[2] == layer]
    found = found or [node for node in nodes if node.name.startswith(f"{layer}/")][-1:]
    if not found:
        names = [node.name for node in nodes]
        near = get_close_matches(layer, names, n=3, cutoff=0.5) or names[-3:]
        raise ValueError(f"layer must name a layer of the model, such as {near}, got {layer!r}")
    if len(found) > 1:
        names = [node.name for node in found]
        raise ValueError(f"layer must be one of {names}, got {layer!r}")
    check_extent(layer, found[0].shape)
    return found[0]


def checked_images(images: np.ndarray, shape: tuple) -> np.ndarray:
    """Return the images as floats if a model with inputs of that shape takes them.

    Raises
    ------
    ValueError
        If they have another shape; it says so if only the batch axis is missing.

    Examples
    --------
    >>> checked_images(np.zeros((8, 8, 3)), (None, 8, None, 3))
    Traceback (most recent call last):
    ...
    ValueError: images must have the shape (batch, 8, any, 3) of the model's input, got (8, 8, 3);
    add the batch axis: images[np.newaxis]
    """
    images = float_array(images, "images")
    fits = images.ndim == len(shape) and all(
        side in (None, given) for given, side in zip(images.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if side is None else str(side) for side in shape[1:])
        hint = "; add the batch axis: images[np.newaxis]" * (images.ndim == len(shape) - 1)
        raise ValueError(
            f"images must have the shape (batch, {wanted}) of the model's input, "
            f"got {images.shape}{hint}"
        )
    return images


def _last_feature_map(nodes):
    """Return the last call that keeps the size of the last convolution with a spatial extent."""
    numbers = [
        number
        for number, node in enumerate(nodes)
        if isinstance(node.layer, _CONVOLUTIONS) and _has_extent(node.shape)
    ]
    if not numbers:
        raise ValueError(
            "model must have a convolution whose output has height and width, got none"
        )
    first = numbers[-1]
    size = nodes[first].shape[1:3]
    return [
        node
        for node in nodes[first:]
        if _has_extent(node.shape)
        and node.shape[1:3] == size
        and not isinstance(node.layer, _OTHER_MAPS)
    ][-1]


def _has_extent(shape):
    return len(shape) == 4 and tuple(shape[1:3]) != (1, 1)


def check_extent(layer: str, shape: tuple) -> None:
    """Raise unless a layer's output has 4 axes and more than one position."""
    if not _has_extent(shape):
        raise ValueError(
            f"layer must have a map (batch, height, width, channels) of more than one position, "
            f"got {layer!r} with the shape {tuple(shape)}"
        )
