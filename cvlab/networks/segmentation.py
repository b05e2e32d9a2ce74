"""Two networks from an image to a class for each pixel: an encoder-decoder and a small U-Net.

Input (batch, height, width, channels), values about 0 to 1; output (batch, height, width, classes),
    probabilities that add up to 1 over the classes.
All convolutions are 3 x 3 with padding "same". A step down halves height and width, a step up
    doubles them: a side that is not a multiple of 2 ** (number of steps) would come back larger.
Height and width may be None: then a model takes all sizes, and to choose such multiples is yours.
Layers are named after their place, such as ``down_2`` and ``up_2``, so that maps can be looked at.

Sources: F. Chollet, "Deep learning with Python", 2nd edition, 2021, section 9.2 (the encoder-
decoder); O. Ronneberger et al., "U-Net", 2015, arXiv:1505.04597; A. Odena et al., "Deconvolution
and checkerboard artifacts", 2016, doi:10.23915/distill.00003. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import keras
from keras import layers

from cvlab._validate import integer, integers

UPSAMPLING = ("transposed", "resize")
DOWNSAMPLING = ("max_pool", "stride")


def encoder_decoder(
    input_shape: tuple[int | None, int | None, int] = (200, 200, 3),
    number_of_classes: int = 3,
    filters: tuple[int, ...] = (64, 128, 256),
) -> keras.Model:
    """Return the encoder-decoder of the lecture: pairs of convolutions down, then up again.

    Each pair of the encoder is a convolution with stride 2 and one with stride 1; the decoder
    mirrors it with transposed convolutions, of which the second has stride 2. All have a ReLU.
    There is no pooling, and nothing connects encoder and decoder but the map in the middle: with
    the defaults it is 25 x 25 x 256 (layer ``middle``), after 100 x 100 x 64 and 50 x 50 x 128. The
    original divides pixels by 255 in a first layer; here they come as 0 to 1.

    Parameters
    ----------
    input_shape : (int or None, int or None, int)
        Height, width, channels.
    number_of_classes : int
        At least 2.
    filters : tuple of int
        One for each step down.

    Returns
    -------
    keras.Model
        Not compiled. With the defaults it has 2,880,643 parameters.

    Raises
    ------
    ValueError
        If height or width is no multiple of 2 ** len(filters), or a number is too small.

    Examples
    --------
    >>> model = encoder_decoder((16, 24, 1), number_of_classes=2, filters=(4, 8))
    >>> model.get_layer("middle").output.shape, model.output.shape
    ((None, 4, 6, 8), (None, 16, 24, 2))
    """
    if not isinstance(filters, (tuple, list)) or not filters:
        raise ValueError(f"filters must hold at least one number, got {filters!r}")
    filters = integers(filters, "filters", 1, len(filters))
    number_of_classes = integer(number_of_classes, "number_of_classes", 2)
    image = x = keras.Input(_checked_shape(input_shape, len(filters)), name="image")
    for level, count in enumerate(filters, 1):
        x = _convolution(x, count, f"down_{level}", strides=2)
        x = _convolution(x, count, "middle" if level == len(filters) else f"encoder_{level}")
    for level, count in reversed(list(enumerate(filters, 1))):
        x = _transposed(x, count, f"decoder_{level}")
        x = _transposed(x, count, f"up_{level}", strides=2)
    x = layers.Conv2D(number_of_classes, 3, padding="same", activation="softmax", name="classes")(x)
    return keras.Model(image, x, name="encoder_decoder")


def u_net(
    input_shape: tuple[int | None, int | None, int],
    number_of_classes: int,
    *,
    depth: int = 3,
    filters: int = 16,
    skips: bool = True,
    upsampling: str = "transposed",
    downsampling: str = "max_pool",
    batch_norm: bool = False,
) -> keras.Model:
    """Return a small U-Net, each of whose parts can be exchanged alone.

    Each level has two convolutions on the way down and two on the way up; filters double with each
    step down. A skip sets the map of the encoder beside that of the decoder at the same size, so
    outlines need not pass through the middle. In Ronneberger et al. depth is 4, with 64 filters,
    convolutions without padding and transposed ones of 2 x 2.

    Parameters
    ----------
    input_shape : (int or None, int or None, int)
        Height, width, channels.
    number_of_classes : int
        At least 2.
    depth : int
        Number of steps down, at least 1.
    filters : int
        Of the first level.
    skips : bool
        Whether the decoder sees the maps of the encoder.
    upsampling : {"transposed", "resize"}
        A transposed convolution 3 x 3 with stride 2, whose kernels overlap unevenly (the
        checkerboard), or nearest neighbours repeated, then a convolution. Both have the same
        number of parameters, a ReLU, and half of the filters.
    downsampling : {"max_pool", "stride"}
        The maximum of 2 x 2, without parameters, or a convolution with stride 2 and a ReLU.
    batch_norm : bool
        Normalize after each convolution, before its ReLU, in place of the bias.

    Returns
    -------
    keras.Model
        Not compiled. The map in the middle is layer ``middle``, those of the encoder before a step
        down are ``encoder_1``, ..., those of the decoder ``decoder_1``, from the top.

    Raises
    ------
    ValueError
        If height or width is no multiple of 2 ** depth, an option is unknown, or a number is too
        small.

    Examples
    --------
    >>> model = u_net((32, 48, 3), number_of_classes=4, depth=2, filters=8)
    >>> [model.get_layer(name).output.shape[1:] for name in ("encoder_1", "middle", "decoder_1")]
    [(32, 48, 8), (8, 12, 32), (32, 48, 8)]
    """
    depth, filters = integer(depth, "depth", 1), integer(filters, "filters", 1)
    number_of_classes = integer(number_of_classes, "number_of_classes", 2)
    if upsampling not in UPSAMPLING:
        raise ValueError(f"upsampling must be one of {UPSAMPLING}, got {upsampling!r}")
    if downsampling not in DOWNSAMPLING:
        raise ValueError(f"downsampling must be one of {DOWNSAMPLING}, got {downsampling!r}")
    image = x = keras.Input(_checked_shape(input_shape, depth), name="image")
    encoded = []
    for level in range(1, depth + 1):
        count = filters * 2 ** (level - 1)
        x = _block(x, count, f"encoder_{level}", batch_norm)
        encoded.append(x)
        if downsampling == "max_pool":
            x = layers.MaxPooling2D(2, name=f"down_{level}")(x)
        else:
            x = _convolution(x, count, f"down_{level}", batch_norm, strides=2)
    x = _block(x, filters * 2**depth, "middle", batch_norm)
    for level in range(depth, 0, -1):
        count = filters * 2 ** (level - 1)
        if upsampling == "transposed":
            x = _transposed(x, count, f"up_{level}", batch_norm, strides=2)
        else:
            x = layers.UpSampling2D(2, interpolation="nearest", name=f"resize_{level}")(x)
            x = _convolution(x, count, f"up_{level}", batch_norm)
        if skips:
            x = layers.Concatenate(name=f"skip_{level}")([encoded[level - 1], x])
        x = _block(x, count, f"decoder_{level}", batch_norm)
    x = layers.Conv2D(number_of_classes, 1, activation="softmax", name="classes")(x)
    return keras.Model(image, x, name="u_net")


def _block(x, filters, name, batch_norm):
    """Apply two convolutions; the output of the second has the name of the block."""
    x = _convolution(x, filters, f"{name}_first", batch_norm)
    return _convolution(x, filters, name, batch_norm)


def _convolution(x, filters, name, batch_norm=False, strides=1):
    return _activated(layers.Conv2D, x, filters, name, batch_norm, strides)


def _transposed(x, filters, name, batch_norm=False, strides=1):
    return _activated(layers.Conv2DTranspose, x, filters, name, batch_norm, strides)


def _activated(kind, x, filters, name, batch_norm, strides):
    """Apply a 3 x 3 layer of `kind` and a ReLU, which has the name, with a normalization between.

    Without one, layer and ReLU are one layer.
    """
    options = {"strides": strides, "padding": "same"}
    if not batch_norm:
        return kind(filters, 3, activation="relu", name=name, **options)(x)
    x = kind(filters, 3, use_bias=False, name=f"{name}_convolution", **options)(x)
    x = layers.BatchNormalization(name=f"{name}_normalization")(x)
    return layers.ReLU(name=name)(x)


def _checked_shape(input_shape, steps):
    """Return the input's shape if `steps` halvings leave no rest."""
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    if len(shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {input_shape!r}")
    integer(shape[2], "input_shape[2]", 1)
    for i, name in enumerate(("height", "width")):
        if shape[i] is not None and integer(shape[i], f"input_shape[{i}]", 1) % 2**steps:
            raise ValueError(
                f"{name} must be a multiple of {2**steps} for {steps} steps down and up again, "
                f"got {shape[i]}"
            )
    return shape
