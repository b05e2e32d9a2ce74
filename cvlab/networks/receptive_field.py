"""The theoretical receptive fields of a Keras model.

A model becomes a list of :class:`cvlab.layer_geometry.Layer`; the arithmetic, the attributes of
    the result and its conventions are those of :mod:`cvlab.receptive_field`.
The model takes one image, (batch, height, width, channels), and is in inference mode: batch
    normalization acts on each pixel alone, dropout and random augmentation do nothing.
Global pooling, flattening and what follows see the whole map. A branch that does so and is merged
    with a map again is a gate: the map keeps its field and is marked `gated`. So is a map that is
    normalized by its own statistics (group normalization). Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

from collections.abc import Collection

import keras

from cvlab._validate import integers
from cvlab.axis_field import Interval
from cvlab.layer_geometry import INPUT, Layer
from cvlab.networks.graph import walk
from cvlab.receptive_field import ReceptiveField, receptive_fields, unit_interval


def model_receptive_fields(
    model: keras.Model,
    input_size: tuple[int, int] | None = None,
    *,
    pointwise: Collection[str] = (),
) -> list[ReceptiveField]:
    """Return the receptive field of every layer of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, models inside it included. It is only read.
    input_size : (int, int), optional
        Height and width of the image; those of the model if not given.
    pointwise : collection of str
        Names of further classes of layers that map every position by itself.

    Returns
    -------
    list of ReceptiveField
        One for each call of a layer, named as in :func:`cvlab.networks.graph.walk`.

    Raises
    ------
    ValueError
        If the model has not one image as its input or leaves its size open, if a layer is not
        known, or if branches with different jumps merge.

    Examples
    --------
    >>> from cvlab.receptive_field import format_fields
    >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 5, name="conv"),
    ...                           keras.layers.MaxPooling2D(name="pool")])
    >>> print(format_fields(model_receptive_fields(model)))
    layer  units  size  jump  start
    conv   28     5     1     0
    pool   14     6     2     0
    """
    layers = model_layers(model, pointwise=pointwise)
    return receptive_fields(layers, image_size(model, input_size))


def model_unit_interval(
    model: keras.Model,
    unit: tuple[int, int],
    layer: str | None = None,
    input_size: tuple[int, int] | None = None,
    *,
    pointwise: Collection[str] = (),
) -> tuple[Interval, Interval]:
    """Return the box of the image, ((top, bottom), (left, right)), that one unit sees.

    Parameters
    ----------
    model, input_size, pointwise
        As in :func:`model_receptive_fields`.
    unit : (int, int)
        Row and column.
    layer : str, optional
        Name of its layer; the last one if not given.

    Returns
    -------
    (top, bottom), (left, right)
        Clipped at the border and half-open, as in :func:`cvlab.receptive_field.unit_interval`.

    Raises
    ------
    ValueError
        As :func:`model_receptive_fields`, or if there is no such layer or unit.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(8, 5, padding="same", name="conv")
    >>> model_unit_interval(keras.Sequential([keras.Input((32, 32, 3)), conv]), unit=(0, 31))
    ((0, 3), (29, 32))
    """
    layers = model_layers(model, pointwise=pointwise)
    return unit_interval(layers, unit, image_size(model, input_size), layer)


def model_layers(model: keras.Model, *, pointwise: Collection[str] = ()) -> list[Layer]:
    """Return what the receptive fields of a Keras model depend on, as plain layers.

    Parameters and errors are those of :func:`model_receptive_fields`.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(8, 3, strides=2, name="conv")
    >>> model_layers(keras.Sequential([keras.Input((32, 32, 3)), conv]))[0].stride
    (2, 2)
    """
    nodes = walk(model)
    shapes = {node.name: node.shape for node in nodes}
    images = [node.name for node in nodes if not node.sources]
    if len(images) != 1 or len(shapes[images[0]]) != 4:
        raise ValueError(
            "model must have one image (batch, height, width, channels) as its input, got "
            f"{[shapes[name] for name in images]}"
        )
    converters = _CONVERTERS | dict.fromkeys(pointwise, _pointwise)
    layers = []
    for node in nodes:
        if node.sources:
            convert = _converter(node, converters)
            inputs = tuple(INPUT if source == images[0] else source for source in node.sources)
            what = convert(node, shapes[node.sources[0]])
            layers.append(Layer(**what, name=node.name, inputs=inputs))
    return layers


def image_size(model: keras.Model, input_size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return height and width of the images, those of the model if they are not given.

    Raises
    ------
    ValueError
        If neither tells.

    Examples
    --------
    >>> image_size(keras.Sequential([keras.Input((32, 48, 3)), keras.layers.Conv2D(8, 5)]))
    (32, 48)
    """
    if input_size is not None:
        return integers(input_size, "input_size", 1)
    shape = model.inputs[0].shape
    if None in shape[1:3]:
        raise ValueError(f"input_size must be given where the model leaves it open, got {shape}")
    return tuple(shape[1:3])


def _converter(node, converters):
    """Return the function for the class of a node's layer, or for a class that it extends."""
    for ancestor in type(node.layer).__mro__:
        if ancestor.__name__ in converters:
            if getattr(node.layer, "data_format", None) == "channels_first":
                raise ValueError(f"data_format of {node.name!r} must be channels_last")
            return converters[ancestor.__name__]
    raise ValueError(
        f"model has a layer that is not known, {node.name!r} of class {type(node.layer).__name__}; "
        "name the class in `pointwise` if it treats every position by itself; if it only prepares "
        "the image, build the model on the prepared image"
    )


def _convolution(node, shape):
    """Return a convolution of any kind but transposed."""
    layer = node.layer
    return dict(
        kernel=layer.kernel_size,
        stride=layer.strides,
        padding=layer.padding,
        dilation=layer.dilation_rate,
    )


def _transposed(node, shape):
    """Return a transposed convolution."""
    if node.layer.output_padding is not None:
        raise ValueError(
            f"output_padding of {node.name!r} must be None, got {node.layer.output_padding}"
        )
    return _convolution(node, shape) | dict(kind="transposed convolution")


def _pooling(node, shape):
    """Return a pooling with a window."""
    layer = node.layer
    stride = layer.pool_size if layer.strides is None else layer.strides
    return dict(kind="pooling", kernel=layer.pool_size, stride=stride, padding=layer.padding)


def _upsampling(node, shape):
    """Return an upsampling; interpolation is centred on half pixels."""
    factors = node.layer.size
    reach = _INTERPOLATION_REACH.get(node.layer.interpolation)
    kernel = reach and tuple(2 * reach * factor - factor % 2 for factor in factors)
    return dict(kind="upsampling", stride=factors, kernel=kernel)


def _padding(node, shape):
    """Return a frame of zeros."""
    return dict(kind="padding", padding=node.layer.padding)


def _cropping(node, shape):
    """Return a frame that is cut off."""
    return dict(kind="padding", padding=[[-cut for cut in pair] for pair in node.layer.cropping])


def _reshape(node, shape):
    """Return a reshaping: of the channels, of one position into a map, or of a whole map."""
    if len(shape) == len(node.shape) == 4 and shape[1:3] == node.shape[1:3]:
        return dict(kind="pointwise")
    one_position = len(shape) == 2 or shape[1:-1] == (1, 1)
    if one_position and len(node.shape) == 4:
        return dict(kind="upsampling", stride=node.shape[1:3])
    return dict(kind="global")


def _global(node, shape):
    """Return a layer each of whose units sees the whole map."""
    return dict(kind="global")


def _reduction(node, shape):
    """Return a mean or an extreme over the channels, or over a whole map."""
    axes = node.layer.axis
    axes = range(len(shape)) if axes is None else [axes] if isinstance(axes, int) else axes
    axes = {axis % len(shape) for axis in axes}
    if axes == {len(shape) - 1}:
        return dict(kind="pointwise")
    if not axes >= set(range(1, len(shape) - 1)):
        raise ValueError(
            f"axis of {node.name!r} must be the channels or all of height and width, got "
            f"{node.layer.axis}"
        )
    return dict(kind="global")


def _merge(node, shape):
    """Return a layer with several inputs."""
    axis = getattr(node.layer, "axis", -1)
    if len(node.shape) == 4 and axis not in (-1, 3):
        raise ValueError(f"axis of {node.name!r} must be the channels, got {axis}")
    return dict(kind="merge")


def _normalization(node, shape):
    """Return a normalization by statistics of the map: a gate unless they are of one position."""
    axis = getattr(node.layer, "axis", None)
    per_position = {axis} if isinstance(axis, int) else set(axis)
    grouped = hasattr(node.layer, "groups")
    return dict(kind="gate" if grouped or not per_position <= {-1, len(shape) - 1} else "pointwise")


def _pointwise(node, shape):
    """Return a layer that treats every position by itself, of one map or of several."""
    return dict(kind="pointwise" if len(node.sources) == 1 else "merge")


_CONVERTERS = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "SeparableConv2D"), _convolution),
    "Conv2DTranspose": _transposed,
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D", "MaxPool", "AveragePool"), _pooling),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten"), _global),
    **dict.fromkeys(("Mean", "Max", "Min", "Sum"), _reduction),
    "UpSampling2D": _upsampling,
    "ZeroPadding2D": _padding,
    "Cropping2D": _cropping,
    "Reshape": _reshape,
    "Concatenate": _merge,
    **dict.fromkeys(("GroupNormalization", "LayerNormalization"), _normalization),
    **dict.fromkeys(
        (
            *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Average", "Maximum"),
            *("Minimum", "Power", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
            *("Identity", "Dense", "BatchNormalization", "Normalization", "Rescaling"),
            *("UnitNormalization", "Dropout", "SpatialDropout2D", "AlphaDropout"),
            *("GaussianDropout", "GaussianNoise", "ActivityRegularization", "RandomFlip"),
            *("RandomTranslation", "RandomRotation", "RandomZoom", "RandomContrast"),
            *("RandomBrightness", "LayerScale", "StochasticDepth", "CustomScaleLayer"),
            "LocalResponseNormalization",
            # operations on Keras tensors
            *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "Sigmoid", "Tanh"),
            *("HardSigmoid", "HardSilu", "Softplus", "Exp", "Log", "Sqrt", "Square"),
            *("Negative", "Absolute", "Clip", "Cast"),
        ),
        _pointwise,
    ),
}
# How far from a pixel, in pixels of the coarse map, interpolation may still use it.
_INTERPOLATION_REACH = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
