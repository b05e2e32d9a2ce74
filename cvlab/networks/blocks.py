"""The blocks of which image classifiers are built, each one an idea.

Layout   functions take a map (batch, height, width, channels) of a functional model, return a map
Padding  TensorFlow's "same": a stride of 2 gives ceil(height / 2) x ceil(width / 2)
Bias     none where a normalization follows, which has one
Names    every layer of a block begins with the block's `name` and an underscore
Numbers  of parameters in this module include the moving statistics of normalization, as in Keras
Residual units are in :mod:`cvlab.networks.residual_units`. Derived in chapter 08-architectures.
"""

from __future__ import annotations

import keras
from keras import layers

from cvlab._validate import integer


def squeeze_excitation(x: keras.KerasTensor, ratio: int = 16, name: str = "se"):
    """Multiply each channel by a number in (0, 1) that depends on the means of all channels.

    Squeeze: the mean of each channel. Excitation: a dense layer with channels / ratio units and a
    ReLU, and one with a sigmoid, whose output is the gate.

    Parameters
    ----------
    x : keras.KerasTensor
    ratio : int
        By how much the hidden layer is narrower; at least one unit is left.
    name : str
        The gate, (batch, 1, 1, channels), is the output of the layer ``name + "_gate"``.

    Returns
    -------
    keras.KerasTensor
        Of the shape of `x`.

    Raises
    ------
    ValueError
        If `x` is no map or `ratio` is not positive.

    References
    ----------
    J. Hu, L. Shen and G. Sun, "Squeeze-and-excitation networks", 2018, section 3,
    https://arxiv.org/abs/1709.01507.

    Examples
    --------
    >>> x = keras.Input((7, 7, 64))
    >>> keras.Model(x, squeeze_excitation(x)).count_params()  # 64 * 4 + 4 + 4 * 64 + 64
    580
    """
    channels = channels_of(x)
    hidden = max(1, channels // integer(ratio, "ratio", minimum=1))
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = layers.Dense(hidden, activation="relu", name=f"{name}_hidden")(gate)
    gate = layers.Dense(channels, activation="sigmoid", name=f"{name}_gate")(gate)
    return layers.Multiply(name=f"{name}_out")([x, gate])


def separable_conv(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int = 3,
    stride: int = 1,
    name: str = "separable",
):
    """Filter each channel on its own, then mix the channels at each place: nothing in between.

    The same as ``keras.layers.SeparableConv2D`` without bias, as two layers that can be looked at.

    Parameters
    ----------
    x : keras.KerasTensor
    filters : int
        Channels after mixing.
    kernel_size, stride : int
        Of the depthwise convolution.
    name : str

    Returns
    -------
    keras.KerasTensor
        (batch, ceil(height / stride), ceil(width / stride), filters).

    Raises
    ------
    ValueError
        If `x` is no map or a number is not positive.

    References
    ----------
    F. Chollet, "Xception: Deep learning with depthwise separable convolutions", 2017,
    https://arxiv.org/abs/1610.02357.

    Examples
    --------
    >>> x = keras.Input((32, 32, 64))
    >>> keras.Model(x, separable_conv(x, 128)).count_params()  # 9 * 64 + 64 * 128
    8768
    """
    channels_of(x)
    x = layers.DepthwiseConv2D(
        integer(kernel_size, "kernel_size", minimum=1),
        strides=integer(stride, "stride", minimum=1),
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    return conv(integer(filters, "filters", minimum=1), 1, f"{name}_pointwise")(x)


def inverted_residual(
    x: keras.KerasTensor,
    filters: int,
    *,
    expansion: int = 6,
    stride: int = 1,
    linear: bool = True,
    name: str = "block",
):
    """Widen with a 1 x 1 convolution, filter each channel, narrow again; add the input if alike.

    Parameters
    ----------
    x : keras.KerasTensor
    filters : int
        Channels of the output: the bottleneck.
    expansion : int
        How many times wider than the input the middle is; 1 leaves the first convolution out.
    stride : int
        Of the 3 x 3 depthwise convolution.
    linear : bool
        Whether the last convolution has no activation. True in the paper.
    name : str

    Returns
    -------
    keras.KerasTensor
        (batch, ceil(height / stride), ceil(width / stride), filters). The input is added where the
        stride is 1 and the channels are as many.

    Raises
    ------
    ValueError
        If `x` is no map or a number is not positive.

    References
    ----------
    M. Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018, table 1,
    https://arxiv.org/abs/1801.04381.

    Examples
    --------
    >>> x = keras.Input((14, 14, 64))
    >>> inverted_residual(x, 96, stride=2).shape
    (None, 7, 7, 96)
    """
    channels = channels_of(x)
    for value, what in ((filters, "filters"), (expansion, "expansion"), (stride, "stride")):
        integer(value, what, minimum=1)
    y = x
    if expansion > 1:
        y = norm_relu6(conv(expansion * channels, 1, f"{name}_expand")(y), f"{name}_expand")
    depthwise = layers.DepthwiseConv2D(
        3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )
    y = norm_relu6(depthwise(y), f"{name}_depthwise")
    y = conv(filters, 1, f"{name}_project")(y)
    y = layers.BatchNormalization(name=f"{name}_project_norm")(y)
    if not linear:
        y = layers.ReLU(6.0, name=f"{name}_project_relu")(y)
    if stride == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def norm_relu(x, name: str):
    """Normalize over the batch, then cut off what is negative."""
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def norm_relu6(x, name: str):
    """Normalize over the batch, then cut to 0..6."""
    return layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def channels_of(x) -> int:
    """Return the channels of a map, or raise if `x` is none."""
    shape = getattr(x, "shape", None)
    if shape is None or len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            f"x must be a map (batch, height, width, channels) with known channels, got {shape}"
        )
    return shape[-1]


def conv(filters: int, kernel_size: int, name: str, stride: int = 1) -> layers.Conv2D:
    """Return a convolution without bias."""
    return layers.Conv2D(
        filters, kernel_size, strides=stride, padding="same", use_bias=False, name=name
    )
