"""LeNet-5 of 1998 and AlexNet of 2012, layer by layer.

Layout   images and maps (batch, height, width, channels)
Padding  none where the map shrinks by a convolution (LeNet-5, AlexNet's first), else "same"
Names    of layers as in the papers: LeNet-5's C1, S2, C3, S4, C5 and F6; AlexNet's conv1 to dense8
Start    Keras's, not the papers'
Sources: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section
II-B, doi:10.1109/5.726791; A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification
with deep convolutional neural networks", 2012, section 3. Derived in chapter 08-architectures.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from cvlab._validate import integer
from cvlab.networks._image_shape import image_shape
from cvlab.networks.local_response import LocalResponseNormalization

# Table I of LeCun et al. (1998): the maps of S2 that each map of C3 reads.
LENET_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


def lenet5(
    input_shape: tuple[int, int, int] = (32, 32, 1), classes: int = 10, original: bool = False
) -> keras.Model:
    """Build LeNet-5, untrained.

    C1, C5 and F6 have the paper's 156, 48,120 and 10,164 parameters. S2 and S4 are plain averages
    and C3 reads all maps, which makes 61,706 parameters with 10 classes; the original has trained
    pooling (12 and 32) and a C3 that reads the maps of its table I (1,516), which makes the
    paper's 60,000 up to F6. The last layer is dense here; the paper compares F6 with fixed
    patterns, one for each class. Its scaled tanh, 1.7159 tanh(2 x / 3), is a plain one here.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 32, not None. The paper's 28 px digits stand in the middle of 32 px.
    classes : int
    original : bool
        Whether S2, C3 and S4 are those of the paper.

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
    >>> lenet5().count_params(), lenet5(original=True).count_params() - 850
    (61706, 60000)
    """
    shape = image_shape(
        input_shape,
        32,
        "three 5 x 5 convolutions without padding and two halvings leave nothing of less",
        "F6 is dense and needs a map of a known size",
    )
    integer(classes, "classes", minimum=1)
    pooling = TrainedAverage2D if original else layers.AveragePooling2D
    third = TableConv2D(LENET_TABLE, 5, name="C3") if original else layers.Conv2D(16, 5, name="C3")
    steps = (
        layers.Conv2D(6, 5, name="C1"),
        pooling(2, name="S2"),
        third,
        pooling(2, name="S4"),
        layers.Conv2D(120, 5, name="C5"),
    )
    image = x = keras.Input(shape, name="image")
    for step in steps:
        x = layers.Activation("tanh", name=f"{step.name}_tanh")(step(x))
    x = layers.Dense(84, activation="tanh", name="F6")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="lenet5")


def alexnet(
    input_shape: tuple[int, int, int] = (227, 227, 3), classes: int = 1000, groups: int = 2
) -> keras.Model:
    """Build AlexNet with local response normalization, untrained.

    The maps are 55, 27, 27, 13, 13, 13, 13 and 6 px wide. The paper says 224 px, but (224 - 11) / 4
    is no integer: with 227 the numbers of its section 3.5 come out, but for the first layer, where
    55 x 55 x 96 are 290,400 neurons, not 253,440. 60,965,224 parameters with 1,000 classes and 2
    groups, 62,378,344 with 1.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 67, not None.
    classes : int
    groups : int
        Halves of the network, on a graphics card each, that do not see each other in the second,
        fourth and fifth convolution: 2 in the paper.

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
    >>> model = alexnet(classes=10)
    >>> [model.get_layer(name).output.shape[1] for name in ("conv1", "pool1", "conv2", "pool2")]
    [55, 27, 27, 13]
    """
    shape = image_shape(
        input_shape,
        67,
        "an 11 x 11 convolution with stride 4 and three 3 x 3 poolings with stride 2 leave nothing",
        "the dense layers need a map of a known size",
    )
    integer(classes, "classes", minimum=1)
    if 128 % integer(groups, "groups", minimum=1) or 96 % groups:
        raise ValueError(f"groups must divide 96, 256 and 384 filters, got {groups}")
    image = keras.Input(shape, name="image")
    x = layers.Conv2D(96, 11, strides=4, activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(LocalResponseNormalization(name="norm1")(x))
    x = _conv(256, 5, "conv2", groups)(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(LocalResponseNormalization(name="norm2")(x))
    x = _conv(384, 3, "conv3", 1)(x)
    x = _conv(384, 3, "conv4", groups)(x)
    x = _conv(256, 3, "conv5", groups)(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(3, strides=2, name="pool5")(x))
    for number in (6, 7):
        x = layers.Dense(4096, activation="relu", name=f"dense{number}")(x)
        x = layers.Dropout(0.5, name=f"dropout{number}")(x)
    x = layers.Dense(classes, activation="softmax", name="dense8")(x)
    return keras.Model(image, x, name="alexnet")


@keras.saving.register_keras_serializable("cvlab")
class TrainedAverage2D(layers.AveragePooling2D):
    """Average a window, then multiply by a coefficient and add a bias, both trained per map.

    The subsampling of LeNet-5, where a sum stands for the average: the coefficient takes it up.

    Examples
    --------
    >>> TrainedAverage2D(2)(ops.ones((1, 4, 4, 6))).shape
    TensorShape([1, 2, 2, 6])
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.built = False  # older versions of Keras take a pooling for built, without weights

    def build(self, input_shape):
        """Make one coefficient and one bias for each map."""
        self.coefficient = self.add_weight(
            shape=input_shape[-1:], initializer="ones", name="coefficient"
        )
        self.bias = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="bias")
        super().build(input_shape)

    def call(self, x):
        """Return coefficient * average + bias."""
        return super().call(x) * self.coefficient + self.bias


@keras.saving.register_keras_serializable("cvlab")
class TableConv2D(layers.Conv2D):
    """A convolution each of whose filters reads only the input maps that a table lists.

    Only these links have weights; ``kernel`` holds them, and zeros elsewhere, so that the products
    with the zeros are computed, and counted as multiply-adds, as well.

    Parameters
    ----------
    table : sequence of sequences of int
        For each filter the input maps that it reads.
    kernel_size, **options
        Of ``keras.layers.Conv2D``.

    Raises
    ------
    ValueError
        If the table is not as above, or names a map that the input does not have.

    Examples
    --------
    >>> conv = TableConv2D([[0], [0, 1]], 3)
    >>> conv.build((None, 8, 8, 2))
    >>> conv.count_params(), conv.kernel.shape  # 3 links of 9 weights, and 2 biases
    (29, TensorShape([3, 3, 2, 2]))
    """

    def __init__(self, table, kernel_size, **options):
        options.pop("filters", None)
        if not isinstance(table, (tuple, list)) or not all(
            isinstance(maps, (tuple, list)) and maps for maps in table
        ):
            raise ValueError(f"table must hold the input maps of each filter, got {table!r}")
        table = [[integer(number, "table's maps", 0) for number in maps] for maps in table]
        super().__init__(len(table), kernel_size, **options)
        self.table = table

    def build(self, input_shape):
        """Make the weights of each link, and the biases."""
        channels, largest = input_shape[-1], max(map(max, self.table))
        if largest >= channels:
            raise ValueError(f"table must name maps below {channels}, got {largest}")
        self._places = np.zeros((sum(map(len, self.table)), channels, self.filters), np.float32)
        link = 0
        for output, maps in enumerate(self.table):
            for source in maps:
                self._places[link, source, output] = 1
                link += 1
        shape = (*self.kernel_size, link)
        self.links = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="links")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.built = True

    @property
    def kernel(self):
        """The weights as an ordinary kernel, zero where there is no link."""
        return ops.tensordot(self.links, self._places, axes=1)

    def get_config(self):
        """Return what a copy is made from."""
        return {**super().get_config(), "table": self.table}


def _conv(filters: int, kernel_size: int, name: str, groups: int) -> layers.Conv2D:
    """Return a convolution that keeps the size of the map, with a ReLU."""
    return layers.Conv2D(
        filters, kernel_size, padding="same", groups=groups, activation="relu", name=name
    )
