"""A classifier that slides over larger images in one pass: its dense layers as convolutions.

A dense layer on a map of h x w pixels is a convolution with a kernel of h x w without padding; what
    the layer before it has flattened, row by row, is the kernel. Dense layers after it are 1 x 1.
Global pooling becomes pooling over h x w pixels with stride 1.
The new model takes images of any size and answers with a map: place [i, j] belongs to the window
    that starts at pixel (i s, j s), where s is the product of all strides. A window without its
    last pixels is enough for a place if the classifier drops them, as pooling by 2 does with 15.
With "valid" padding throughout, each place is the classifier's answer on its window. Padding makes
    a difference: the classifier sees zeros around its window, the new model the image.

Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section
VII; P. Sermanet et al., "OverFeat", 2014, arXiv:1312.6229. Derived in chapter 13-detection.
"""

from __future__ import annotations

import keras
from keras import layers

from cvlab.networks.graph import Node, walk

GLOBAL = {
    layers.GlobalAveragePooling2D: layers.AveragePooling2D,
    layers.GlobalMaxPooling2D: layers.MaxPooling2D,
}
# Layers that treat every number alike, and those that treat all places of a map alike.
ELEMENTWISE = (layers.Activation, layers.Dropout, layers.ELU, layers.LeakyReLU, layers.ReLU)
POINTWISE = (*ELEMENTWISE, layers.BatchNormalization, layers.Softmax)


def dense_to_conv(model: keras.Model) -> keras.Model:
    """Return a classifier as a fully convolutional model with the same weights.

    Parameters
    ----------
    model : keras.Model
        A chain: layers that keep the map, then Flatten or global pooling, then dense layers with
        activations, dropout and batch normalization between them. It is only read, and shares
        nothing with the result. Models inside it are opened.

    Returns
    -------
    keras.Model
        From (batch, any height, any width, channels) to (batch, rows, columns, classes).

    Raises
    ------
    ValueError
        If the model is no chain, its input has no fixed size, nothing in it flattens the map, or a
        layer after that cannot be turned into a convolution.

    Examples
    --------
    >>> classifier = keras.Sequential([
    ...     keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)
    ... ])
    >>> dense_to_conv(classifier).compute_output_shape((1, 20, 12, 1))
    (1, 13, 5, 2)
    """
    first, *nodes = walk(model)
    _check_chain(first, nodes)
    image = x = keras.Input((None, None, first.shape[3]), name=first.name)
    flat, window, before = False, None, first
    for node in nodes:
        if type(node.layer) in GLOBAL and len(node.shape) == 2:
            layer = GLOBAL[type(node.layer)](before.shape[1:3], strides=1, name=_name(node))
            flat, window, x = True, (1, 1), layer(x)
        elif isinstance(node.layer, layers.Flatten):
            flat, window = True, before.shape[1:3]
        elif flat and isinstance(node.layer, layers.Dense):
            x = _convolution(node, window, x)
            window = (1, 1)
        elif not flat or isinstance(node.layer, POINTWISE if window == (1, 1) else ELEMENTWISE):
            x = _copy(node, x)
        else:
            raise ValueError(
                f"model must have only dense layers, activations, dropout and batch normalization "
                f"after its map is flat, got {type(node.layer).__name__} {node.name!r}"
            )
        before = node
    if not flat:
        raise ValueError("model must flatten its map or pool it globally, got no such layer")
    return keras.Model(image, x, name=f"{model.name}_convolutional")


def _convolution(node, window, x):
    """Apply a dense layer as a convolution with a kernel of `window` pixels."""
    dense = node.layer
    layer = layers.Conv2D(
        dense.units,
        window,
        activation=dense.activation,
        use_bias=dense.use_bias,
        name=_name(node),
    )
    y = layer(x)
    kernel, *bias = dense.get_weights()
    layer.set_weights([kernel.reshape(layer.kernel.shape), *bias])
    return y


def _copy(node, x):
    """Apply a copy of a layer with weights of its own."""
    copy = type(node.layer).from_config({**node.layer.get_config(), "name": _name(node)})
    y = copy(x)
    copy.set_weights(node.layer.get_weights())
    return y


def _name(node):
    """Return a name for the layer that takes the place of a node, without "/" and ":"."""
    return node.name.replace("/", "_").replace(":", "_")


def _check_chain(first: Node, nodes: list[Node]) -> None:
    """Refuse a model whose layers are not one after the other, or that takes images of any size."""
    if len(first.shape) != 4 or None in first.shape[1:]:
        raise ValueError(
            "model must take images of a fixed size (batch, height, width, channels), "
            f"got {first.shape}"
        )
    for before, node in zip([first, *nodes], nodes, strict=False):
        if node.sources != (before.name,) or not isinstance(node.layer, keras.Layer):
            raise ValueError(
                f"model must be a chain of layers, got {node.name!r} with the inputs "
                f"{', '.join(node.sources) or 'none'} after {before.name!r}"
            )
