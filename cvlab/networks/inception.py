"""Inception: windows of several sizes side by side; and GoogLeNet, made of nine such modules.

Layout   images and maps (batch, height, width, channels)
Padding  TensorFlow's "same": the 224 px of the paper become 112, 56, 28, 14 and 7
Layers   every convolution has a bias and a ReLU; no batch normalization, which came a year later
Names    of modules as in the paper: "3a", "4e"; their outputs are the layers "3a_out", "4e_out"

Source: C. Szegedy et al., "Going deeper with convolutions", 2014, arXiv:1409.4842, figure 2b and
table 1. Derived in chapter 08-architectures.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import layers

from cvlab._validate import integer
from cvlab.networks._image_shape import image_shape
from cvlab.networks.blocks import channels_of
from cvlab.networks.local_response import LocalResponseNormalization


class InceptionWidths(NamedTuple):
    """Filters of an inception module: those in front of the 3 x 3 and the 5 x 5 reduce."""

    ones: int
    reduce_threes: int
    threes: int
    reduce_fives: int
    fives: int
    pool: int

    @property
    def total(self) -> int:
        """Channels of the module's output."""
        return self.ones + self.threes + self.fives + self.pool


# Table 1 of the paper. After 3b and 4e the map is halved.
MODULES = {
    "3a": InceptionWidths(64, 96, 128, 16, 32, 32),
    "3b": InceptionWidths(128, 128, 192, 32, 96, 64),
    "4a": InceptionWidths(192, 96, 208, 16, 48, 64),
    "4b": InceptionWidths(160, 112, 224, 24, 64, 64),
    "4c": InceptionWidths(128, 128, 256, 24, 64, 64),
    "4d": InceptionWidths(112, 144, 288, 32, 64, 64),
    "4e": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5a": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5b": InceptionWidths(384, 192, 384, 48, 128, 128),
}
AUXILIARY = ("4a", "4d")


def inception_module(x: keras.KerasTensor, widths: InceptionWidths, name: str = "inception"):
    """Look at a map through windows of three sizes at once, and concatenate what is found.

    Four branches: 1 x 1; 1 x 1 then 3 x 3; 1 x 1 then 5 x 5; maximum of 3 x 3 then 1 x 1. Every
    convolution has a bias and a ReLU.

    Parameters
    ----------
    x : keras.KerasTensor
    widths : InceptionWidths
        Or six integers in that order.
    name : str

    Returns
    -------
    keras.KerasTensor
        (batch, height, width, ones + threes + fives + pool).

    Raises
    ------
    ValueError
        If `x` is no map or `widths` are not six positive integers.

    Examples
    --------
    >>> inception_module(keras.Input((28, 28, 192)), (64, 96, 128, 16, 32, 32)).shape
    (None, 28, 28, 256)
    """
    channels_of(x)
    if not isinstance(widths, (tuple, list)) or len(widths) != len(InceptionWidths._fields):
        raise ValueError(f"widths must be {InceptionWidths._fields}, got {widths!r}")
    fields = zip(widths, InceptionWidths._fields, strict=True)
    w = InceptionWidths(*(integer(width, f"widths' {field}", minimum=1) for width, field in fields))
    pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches = [
        _relu_conv(x, w.ones, 1, f"{name}_1x1"),
        _relu_conv(
            _relu_conv(x, w.reduce_threes, 1, f"{name}_3x3_reduce"), w.threes, 3, f"{name}_3x3"
        ),
        _relu_conv(
            _relu_conv(x, w.reduce_fives, 1, f"{name}_5x5_reduce"), w.fives, 5, f"{name}_5x5"
        ),
        _relu_conv(pooled, w.pool, 1, f"{name}_pool_1x1"),
    ]
    return layers.Concatenate(name=f"{name}_out")(branches)


def googlenet(
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    auxiliary: bool = False,
) -> keras.Model:
    """Build GoogLeNet, untrained: 22 layers with weights, 9 inception modules.

    6,998,552 parameters with 1,000 classes, 13,378,280 with the auxiliary classifiers. The
    multiply-adds agree with the paper's table 1 in every row but two: it has 34 million for the
    first convolution, which needs 118, and 54 for module 5a, which needs 51. Its parameters, in
    units of 1,024, differ by up to 7 % from what its own widths give.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 32, or None for any size; with the auxiliary classifiers at least 65 and not None.
    classes : int
    auxiliary : bool
        Whether to classify after the modules 4a and 4d too; in training, their losses count 0.3.

    Returns
    -------
    keras.Model
        From images to probabilities (batch, classes); with the auxiliary classifiers a list of
        three: the last layer's, that after 4a, that after 4d.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> model = googlenet()
    >>> model.count_params(), model.get_layer("5b_out").output.shape
    (6998552, (None, 7, 7, 1024))
    """
    shape = _check(input_shape, classes, auxiliary)
    image = keras.Input(shape, name="image")
    x = layers.Conv2D(64, 7, strides=2, padding="same", activation="relu", name="1_7x7")(image)
    x = LocalResponseNormalization(name="1_norm")(_halve(x, "1_pool"))
    x = _relu_conv(_relu_conv(x, 64, 1, "2_3x3_reduce"), 192, 3, "2_3x3")
    x = _halve(LocalResponseNormalization(name="2_norm")(x), "2_pool")
    outputs = []
    for name, widths in MODULES.items():
        x = inception_module(x, widths, name)
        if auxiliary and name in AUXILIARY:
            outputs.append(_auxiliary_classifier(x, classes, f"auxiliary_{name}"))
        if name in ("3b", "4e"):
            x = _halve(x, f"{name[0]}_pool")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.4, name="dropout")(x)
    outputs.insert(0, layers.Dense(classes, activation="softmax", name="predictions")(x))
    return keras.Model(image, outputs if auxiliary else outputs[0], name="googlenet")


def _auxiliary_classifier(x, classes: int, name: str):
    """Classify from the middle of the network: section 5 of the paper."""
    x = layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(_relu_conv(x, 128, 1, f"{name}_1x1"))
    x = layers.Dense(1024, activation="relu", name=f"{name}_dense")(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return layers.Dense(classes, activation="softmax", name=name)(x)


def _check(input_shape, classes, auxiliary) -> tuple:
    """Raise for what the network cannot be; return the input shape."""
    integer(classes, "classes", minimum=1)
    if not auxiliary:
        return image_shape(input_shape, 32, "five strides of 2 divide it by 32")
    return image_shape(
        input_shape,
        65,
        "the auxiliary classifiers average over 5 x 5 places, 16 pixels apart",
        "the dense layers of the auxiliary classifiers need maps of a known size",
    )


def _halve(x, name: str):
    """Apply the maximum over 3 x 3 places with a stride of 2."""
    return layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)


def _relu_conv(x, filters: int, kernel_size: int, name: str):
    """Apply a convolution with a bias and a ReLU."""
    return layers.Conv2D(filters, kernel_size, padding="same", activation="relu", name=name)(x)
