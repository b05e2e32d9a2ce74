"""Networks that are small for what they can do: mini-Xception, MobileNetV2 and SE-ResNet.

Layout   images and maps (batch, height, width, channels)
Blocks   those of :mod:`cvlab.networks.blocks`; convolutions have no bias and pad with "same"
Numbers  of parameters include the moving statistics of normalization, as Keras counts
Start    Keras's; none of these is pretrained: `keras.applications.MobileNetV2` and `Xception` are
Derived in chapter 08-architectures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import keras
import numpy as np
from keras import layers

from cvlab._validate import integer
from cvlab.networks._image_shape import Shape, image_shape
from cvlab.networks.blocks import (
    conv,
    inverted_residual,
    norm_relu,
    norm_relu6,
    separable_conv,
    squeeze_excitation,
)
from cvlab.networks.residual_units import normalization, shortcut_path

# Table 2 of Sandler et al. (2018): expansion, filters, blocks, stride of the first block.
MOBILENET_STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


def mini_xception(
    input_shape: Shape = (180, 180, 3),
    classes: int = 1,
    widths: Sequence[int] = (32, 64, 128, 256, 512),
) -> keras.Model:
    """Build Chollet's small Xception, untrained: separable convolutions with residual connections.

    A 5 x 5 convolution, then for each width two times normalization, ReLU and separable
    convolution, a 3 x 3 maximum with stride 2, and a 1 x 1 convolution around them. By default
    718,849 parameters are trained; with the 3,008 moving statistics they are the 721,857 of his
    book. His model begins with augmentation and division by 255, which are left to the caller.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 5, or None for any size.
    classes : int
        1 ends in a sigmoid, more in a softmax.
    widths : sequence of int
        Filters of each part; each halves the map.

    Returns
    -------
    keras.Model
        From images to probabilities (batch, classes).

    Raises
    ------
    ValueError
        If an argument is not as above.

    References
    ----------
    F. Chollet, "Deep Learning with Python", 2nd edition, 2021, section 9.3.5.

    Examples
    --------
    >>> model = mini_xception()
    >>> model.count_params(), model.get_layer("part5_add").output.shape
    (721857, (None, 6, 6, 512))
    """
    shape = image_shape(input_shape, 5, "the first convolution is 5 x 5, without padding")
    integer(classes, "classes", minimum=1)
    widths = _numbers(widths, "widths", "filters of each part")
    image = keras.Input(shape, name="image")
    x = layers.Conv2D(32, 5, use_bias=False, name="stem_conv")(image)
    for number, width in enumerate(widths, start=1):
        name = f"part{number}"
        y = x
        for step in ("a", "b"):
            y = separable_conv(norm_relu(y, name + step), width, name=name + step)
        y = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(y)
        around = conv(width, 1, f"{name}_shortcut", stride=2)(x)
        x = layers.Add(name=f"{name}_add")([y, around])
    x = layers.Dropout(0.5, name="dropout")(layers.GlobalAveragePooling2D(name="mean")(x))
    activation = "sigmoid" if classes == 1 else "softmax"
    x = layers.Dense(classes, activation=activation, name="predictions")(x)
    return keras.Model(image, x, name="mini_xception")


def mobilenet_v2(
    input_shape: Shape = (224, 224, 3), classes: int = 1000, width: float = 1.0
) -> keras.Model:
    """Build MobileNetV2, untrained: 17 inverted residual blocks with linear bottlenecks.

    3,538,984 parameters by default, of which 3,504,872 are trained, as in
    ``keras.applications.MobileNetV2``.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 32, or None for any size.
    classes : int
    width : float
        Multiplies the filters of every layer, which are then rounded to a multiple of 8; the last
        convolution keeps at least 1,280.

    Returns
    -------
    keras.Model
        From images, scaled to -1..1, to probabilities (batch, classes).

    Raises
    ------
    ValueError
        If an argument is not as above.

    References
    ----------
    M. Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018, table 2,
    https://arxiv.org/abs/1801.04381.

    Examples
    --------
    >>> model = mobilenet_v2()
    >>> model.count_params(), model.get_layer("block17_project").output.shape
    (3538984, (None, 7, 7, 320))
    """
    shape = image_shape(input_shape, 32, "five strides of 2 divide it by 32")
    integer(classes, "classes", minimum=1)
    if not (isinstance(width, Real) and 0 < width < math.inf):
        raise ValueError(f"width must be a positive number, got {width!r}")
    image = keras.Input(shape, name="image")
    x = norm_relu6(conv(multiple_of_8(32 * width), 3, "stem", stride=2)(image), "stem")
    number = 0
    for expansion, filters, blocks, stride in MOBILENET_STAGES:
        for block in range(blocks):
            number += 1
            x = inverted_residual(
                x,
                multiple_of_8(filters * width),
                expansion=expansion,
                stride=stride if block == 0 else 1,
                name=f"block{number}",
            )
    x = norm_relu6(conv(multiple_of_8(1280 * max(1.0, width)), 1, "top")(x), "top")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="mobilenet_v2")


def se_resnet(
    units: Sequence[int] = (3, 4, 6, 3),
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    *,
    width: int = 64,
    bottleneck: bool = True,
    small: bool = False,
    ratio: int | None = 16,
) -> keras.Model:
    """Build a residual network whose branches end in squeeze-and-excitation, untrained.

    By default SE-ResNet-50, with 28,088,024 trained parameters, 2,530,992 more than ResNet-50, and
    0.07 % more multiply-adds.

    Parameters
    ----------
    units : sequence of int
        Residual units of each stage; each stage after the first halves the map and doubles the
        width. The stride stands in the first convolution of a stage.
    input_shape : (height, width, channels)
        Height and width may be None.
    classes : int
    width : int
        Filters of the first stage's 3 x 3 convolutions.
    bottleneck : bool
        Units of 1 x 1, 3 x 3 and 1 x 1 with four times the width, or of two 3 x 3.
    small : bool
        Start with a 3 x 3 convolution, for small images, not with a 7 x 7 and a pooling, both of
        stride 2.
    ratio : int or None
        Of :func:`cvlab.networks.blocks.squeeze_excitation`. None leaves it out: a plain ResNet.

    Returns
    -------
    keras.Model
        From images to probabilities (batch, classes).

    Raises
    ------
    ValueError
        If an argument is not as above.

    References
    ----------
    J. Hu, L. Shen and G. Sun, "Squeeze-and-excitation networks", 2018, table 1,
    https://arxiv.org/abs/1709.01507.

    Examples
    --------
    >>> model = se_resnet((2, 2, 2), (32, 32, 3), 10, width=16, bottleneck=False, small=True)
    >>> model.get_layer("stage3_unit2_se_gate").output.shape
    (None, 1, 1, 64)
    """
    units = _numbers(units, "units", "residual units of each stage")
    if ratio is not None:
        integer(ratio, "ratio", minimum=1)
    stride = 2 ** (len(units) - 1 + (0 if small else 2))
    shape = image_shape(input_shape, stride, f"strides of 2 divide it by {stride}")
    integer(classes, "classes", minimum=1)
    image = keras.Input(shape, name="image")
    stem = conv(integer(width, "width", minimum=1), 3, "stem_conv")
    if not small:
        stem = conv(width, 7, "stem_conv", stride=2)
    x = layers.ReLU(name="stem_relu")(normalization("stem_norm")(stem(image)))
    if not small:
        x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, count in enumerate(units, start=1):
        for unit in range(1, count + 1):
            step = 2 if unit == 1 and stage > 1 else 1
            name = f"stage{stage}_unit{unit}"
            x = _se_unit(x, width * 2 ** (stage - 1), step, bottleneck, ratio, name)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="resnet" if ratio is None else "se_resnet")


def _se_unit(x, width: int, stride: int, bottleneck: bool, ratio: int | None, name: str):
    """Apply a residual unit whose branch is weighted before it is added."""
    kernels, filters = ((1, 3, 1), 4 * width) if bottleneck else ((3, 3), width)
    y = x
    for number, kernel in enumerate(kernels, start=1):
        last = number == len(kernels)
        step = stride if number == 1 else 1
        y = conv(filters if last else width, kernel, f"{name}_conv{number}", stride=step)(y)
        y = normalization(f"{name}_norm{number}")(y)
        y = y if last else layers.ReLU(name=f"{name}_relu{number}")(y)
    if ratio is not None:
        y = squeeze_excitation(y, ratio, f"{name}_se")
    same = stride == 1 and x.shape[-1] == filters
    around = shortcut_path(x, filters, stride, "identity" if same else "projection", name=name)
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([around, y]))


def _numbers(values, name: str, what: str) -> list[int]:
    """Return a sequence of at least one positive integer as a list."""
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise ValueError(f"{name} must be a sequence of integers, the {what}, got {values!r}")
    if len(values) == 0:
        raise ValueError(f"{name} must hold the {what}, got none")
    return [integer(value, f"{name}[{i}]", minimum=1) for i, value in enumerate(values)]


def multiple_of_8(filters: float) -> int:
    """Return the nearest multiple of 8, at least 8, that is no more than 10 % below `filters`.

    Examples
    --------
    >>> [multiple_of_8(filters) for filters in (3.2, 20, 33.6, 11)]
    [8, 24, 32, 16]
    """
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * filters else rounded + 8
