"""Dense connections: each layer reads the maps of all layers before it; DenseNet for small images.

Layout   images and maps (batch, height, width, channels)
Order    normalization, ReLU, convolution; convolutions have no bias and pad with "same"
Numbers  `growth` is k in the paper, the maps that each layer adds; BC is `bottleneck` with a
         `compression` of 0.5
Names    layer 3 of block 2 ends in "block2_3_out"; "transition2" follows the block

Source: G. Huang et al., "Densely connected convolutional networks", 2017, arXiv:1608.06993.
Derived in chapter 08-architectures.
"""

from __future__ import annotations

from numbers import Real

import keras
from keras import layers

from cvlab._validate import integer
from cvlab.networks._image_shape import image_shape
from cvlab.networks.blocks import channels_of, conv, norm_relu

BLOCKS = 3


def densenet(
    depth: int = 40,
    growth: int = 12,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    *,
    bottleneck: bool = False,
    compression: float = 1.0,
) -> keras.Model:
    """Build a DenseNet of three blocks for small images, untrained.

    Trained parameters with 10 classes, and what table 2 of the paper says: DenseNet-40 with k = 12
    has 1,019,722 (1.0 M), DenseNet-BC-100 with k = 12 has 769,162 (0.8 M).

    Parameters
    ----------
    depth : int
        Layers with weights on the longest path: 3 n + 4, or 6 n + 4 with bottlenecks.
    growth : int
    input_shape : (height, width, channels)
        At least 4, or None for any size.
    classes : int
    bottleneck : bool
        Put a 1 x 1 convolution in front of each 3 x 3; and start with 2 growth filters, not 16.
    compression : float
        Fraction of the maps that a transition keeps.

    Returns
    -------
    keras.Model
        From images to probabilities (batch, classes).

    Raises
    ------
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> model = densenet(40, growth=12)
    >>> [model.get_layer(f"block{n}_12_out").output.shape[1:] for n in (1, 2, 3)]
    [(32, 32, 160), (16, 16, 304), (8, 8, 448)]
    """
    layers_each = 2 if bottleneck else 1
    count, rest = divmod(integer(depth, "depth", minimum=1) - 4, BLOCKS * layers_each)
    if count < 1 or rest:
        raise ValueError(
            f"depth must be {BLOCKS * layers_each} n + 4 with n >= 1 "
            f"{'with' if bottleneck else 'without'} bottlenecks, got {depth}"
        )
    shape = image_shape(input_shape, 4, "two transitions divide it by 4")
    integer(classes, "classes", minimum=1)
    start = 2 * integer(growth, "growth", minimum=1) if bottleneck else 16
    _kept(compression, start + count * growth)
    image = keras.Input(shape, name="image")
    x = conv(start, 3, "stem_conv")(image)
    for number in range(1, BLOCKS + 1):
        x = dense_block(x, count, growth, bottleneck, f"block{number}")
        if number < BLOCKS:
            x = transition(x, compression, f"transition{number}")
    x = layers.GlobalAveragePooling2D(name="mean")(norm_relu(x, "last"))
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name=f"densenet{'_bc' if bottleneck else ''}_{depth}_{growth}")


def dense_block(
    x: keras.KerasTensor,
    count: int,
    growth: int = 12,
    bottleneck: bool = False,
    name: str = "dense",
):
    """Apply `count` convolutions, each of which reads the outputs of all before it.

    Parameters
    ----------
    x : keras.KerasTensor
    count : int
        Steps: normalization, ReLU, 3 x 3 convolution, and concatenation with what was read.
    growth : int
        Filters of each 3 x 3 convolution, k in the paper.
    bottleneck : bool
        Precede each with normalization, ReLU and a 1 x 1 convolution with 4 * growth filters.
    name : str

    Returns
    -------
    keras.KerasTensor
        (batch, height, width, channels + count * growth).

    Raises
    ------
    ValueError
        If `x` is no map or a number is not positive.

    Examples
    --------
    >>> dense_block(keras.Input((32, 32, 16)), count=12, growth=12).shape
    (None, 32, 32, 160)
    """
    channels_of(x)
    integer(growth, "growth", minimum=1)
    for step in range(1, integer(count, "count", minimum=1) + 1):
        y, prefix = x, f"{name}_{step}"
        if bottleneck:
            y = conv(4 * growth, 1, f"{prefix}_1x1")(norm_relu(y, f"{prefix}_1x1"))
        y = conv(growth, 3, f"{prefix}_3x3")(norm_relu(y, f"{prefix}_3x3"))
        x = layers.Concatenate(name=f"{prefix}_out")([x, y])
    return x


def transition(x: keras.KerasTensor, compression: float = 1.0, name: str = "transition"):
    """Mix the channels of a dense block, keep a fraction of them, and halve the map by averaging.

    Parameters
    ----------
    x : keras.KerasTensor
    compression : float
        Fraction of the channels that are kept, in (0, 1]: theta in the paper.
    name : str

    Returns
    -------
    keras.KerasTensor
        (batch, floor(height / 2), floor(width / 2), floor(compression * channels)).

    Raises
    ------
    ValueError
        If `x` is no map, or `compression` is not in (0, 1] or keeps no channel.

    Examples
    --------
    >>> transition(keras.Input((32, 32, 160)), compression=0.5).shape
    (None, 16, 16, 80)
    """
    kept = _kept(compression, channels_of(x))
    x = conv(kept, 1, f"{name}_1x1")(norm_relu(x, name))
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _kept(compression: float, channels: int) -> int:
    """Return how many channels a transition keeps."""
    fraction = isinstance(compression, Real) and 0 < compression <= 1
    if not fraction or int(compression * channels) < 1:
        raise ValueError(
            f"compression must be a number in (0, 1] that keeps at least 1 of {channels} channels, "
            f"got {compression!r}"
        )
    return int(compression * channels)
