"""Residual units: a few convolutions, and a shortcut that adds their input to their output.

Layout   maps (batch, height, width, channels); convolutions pad with TensorFlow's "same"
Order    convolution, normalization, ReLU; the last ReLU comes after the addition (He et al. 2015).
         With ``preactivation``: normalization, ReLU, convolution, nothing after the addition (2016)
Start    He normal kernels; normalization with momentum 0.9 and epsilon 1e-5
Names    the layers of a unit are "unit_conv1", "unit_norm1", ...; its last layer is "unit"
Sources: K. He et al., "Deep residual learning for image recognition", 2015, arXiv:1512.03385, and
"Identity mappings in deep residual networks", 2016, arXiv:1603.05027.
Derived in chapter 07-residual-connections.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import layers

from cvlab._validate import integer
from cvlab.networks.stochastic_depth import StochasticDepth, probability

SHORTCUTS = ("auto", "identity", "projection", "zero_pad", None)


class Branch(NamedTuple):
    """The convolutions of a unit: their kernels, and their filters in multiples of the width."""

    kernels: tuple[int, ...]
    multiples: tuple[int, ...]


KINDS = {
    "basic": Branch(kernels=(3, 3), multiples=(1, 1)),
    "bottleneck": Branch(kernels=(1, 3, 1), multiples=(1, 1, 4)),
}


def residual_unit(
    x,
    width: int,
    *,
    kind: str = "basic",
    stride: int = 1,
    shortcut: str | None = "auto",
    preactivation: bool = False,
    normalize: bool = True,
    separable: bool = False,
    zero_init: bool = False,
    survival: float = 1.0,
    name: str = "unit",
):
    """Apply a residual unit, x + f(x) with a ReLU at the end, to a map of a functional model.

    Parameters
    ----------
    x : keras.KerasTensor
        (batch, height, width, channels).
    width : int
        Filters of the 3 x 3 convolutions.
    kind : {"basic", "bottleneck"}
        Two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1, the last with four times the width.
    stride : int
        Of the first convolution.
    shortcut : {"auto", "identity", "projection", "zero_pad", None}
        What is added to the branch f(x): see :func:`shortcut_path`. "auto" is "identity" where the
        shapes agree and "projection" elsewhere. None adds nothing: the plain twin of the unit.
    preactivation : bool
        Normalize and activate before each convolution instead of after it.
    normalize : bool
        Without normalization the convolutions have a bias.
    separable : bool
        Make the 3 x 3 convolutions depthwise separable.
    zero_init : bool
        Start with a branch that is zero: the scale of the last normalization, or if the branch
        ends in a convolution, its kernel, starts at 0 (Goyal et al. 2017, section 5.1).
    survival : float
        Probability that the branch takes part in a training step: stochastic depth, see
        :class:`cvlab.networks.stochastic_depth.StochasticDepth`. 1 is always.
    name : str
        Of the last layer, and the prefix of the others.

    Returns
    -------
    keras.KerasTensor
        (batch, ceil(height / stride), ceil(width / stride), width), four times the width for a
        bottleneck.

    Raises
    ------
    ValueError
        If an argument is not as above, or the shortcut's shape is not the branch's.

    Examples
    --------
    >>> x = keras.Input((8, 8, 16))
    >>> residual_unit(x, 32, stride=2).shape
    (None, 4, 4, 32)
    >>> residual_unit(x, 32, stride=2, shortcut="identity")
    Traceback (most recent call last):
    ...
    ValueError: shortcut "identity" of unit 'unit' gives (8, 8, 16), which cannot be added to
    (4, 4, 32): take "projection", a 1 x 1 convolution with 32 filters and stride 2
    """
    _check(x, width, kind, stride, shortcut, survival)
    kernels, multiples = KINDS[kind]
    widths = [multiple * width for multiple in multiples]
    convolutions = list(zip(kernels, widths, (stride, 1, 1), strict=False))
    make = _Layers(normalize, separable, name)
    if preactivation:
        activated, y = _activation_first(x, convolutions, make, zero_init)
    else:
        activated, y = x, _activation_last(x, convolutions, make, zero_init)
    if shortcut == "auto":
        same = x.shape[-1] == widths[-1] and stride == 1
        shortcut = "identity" if same else "projection"
    if shortcut is not None:
        source = activated if shortcut == "projection" else x
        normalize = normalize and not preactivation
        skip = shortcut_path(source, widths[-1], stride, shortcut, normalize, name)
        _check_addition(skip, y, shortcut, stride, name)
        if survival < 1:
            y = StochasticDepth(survival, name=f"{name}_survival")(y)
        y = layers.Add(name=f"{name}_add")([skip, y])
    return layers.Identity(name=name)(y) if preactivation else layers.ReLU(name=name)(y)


def _activation_last(x, convolutions, make, zero_init):
    """Apply the branch of 2015: convolution, normalization, ReLU; the last ReLU is left out."""
    last = len(convolutions)
    for number, convolution in enumerate(convolutions, start=1):
        zeros = zero_init and number == last
        x = make.conv(x, *convolution, number, zeros=zeros and not make.normalize)
        x = make.norm(x, number, zeros=zeros)
        x = make.relu(x, number) if number < last else x
    return x


def _activation_first(x, convolutions, make, zero_init):
    """Apply the branch of 2016: normalization, ReLU, convolution; return the first ReLU, too."""
    last = len(convolutions)
    first = None
    for number, convolution in enumerate(convolutions, start=1):
        x = make.relu(make.norm(x, number), number)
        first = x if number == 1 else first
        x = make.conv(x, *convolution, number, zeros=zero_init and number == last)
    return first, x


def shortcut_path(
    x, filters: int, stride: int, kind: str, normalize: bool = True, name: str = "unit"
):
    """Apply the path around a residual unit.

    Parameters
    ----------
    x : keras.KerasTensor
        (batch, height, width, channels).
    filters, stride : int
        What the path must end with.
    kind : {"identity", "projection", "zero_pad"}
        "identity" returns x as it is. "projection" is a 1 x 1 convolution with the stride, and a
        normalization (option B of He et al. 2015). "zero_pad" has no parameters: it keeps every
        stride-th pixel and appends channels of zeros (option A).
    normalize : bool
        Whether the projection is normalized. If not, it has no bias all the same.
    name : str
        Prefix of the layers' names.

    Returns
    -------
    keras.KerasTensor

    Raises
    ------
    ValueError
        If an argument is not as above, or a zero-padded path would have to drop channels.

    Examples
    --------
    >>> x = keras.Input((8, 8, 16))
    >>> [shortcut_path(x, 32, 2, kind).shape for kind in ("identity", "projection", "zero_pad")]
    [(None, 8, 8, 16), (None, 4, 4, 32), (None, 4, 4, 32)]
    """
    if kind not in ("identity", "projection", "zero_pad"):
        raise ValueError(f'kind must be "identity", "projection" or "zero_pad", got {kind!r}')
    integer(filters, "filters", minimum=1)
    integer(stride, "stride", minimum=1)
    if kind == "identity":
        return x
    if kind == "projection":
        make = _Layers(normalize, False, f"{name}_shortcut")
        return make.norm(make.conv(x, 1, filters, stride, "", bias=False), "")
    if x.shape[-1] > filters:
        raise ValueError(
            f'shortcut "zero_pad" of unit {name!r} can only append channels, got {x.shape[-1]} '
            f'where {filters} are needed: take "projection"'
        )
    if stride > 1:
        x = layers.AveragePooling2D(1, strides=stride, name=f"{name}_shortcut_pool")(x)
    if x.shape[-1] < filters:
        x = ZeroChannels(filters - x.shape[-1], name=f"{name}_shortcut_pad")(x)
    return x


@keras.saving.register_keras_serializable("cvlab")
class ZeroChannels(keras.layers.Layer):
    """Append channels that are zero everywhere.

    Examples
    --------
    >>> ZeroChannels(2)(keras.ops.ones((1, 1, 1, 3))).numpy().ravel().tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0]
    """

    def __init__(self, count: int, **options):
        super().__init__(**options)
        self.count = integer(count, "count", minimum=1)

    def call(self, x):
        """Return x with the new channels after its own."""
        return keras.ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, self.count)])

    def get_config(self):
        """Return what a copy is made from."""
        return {**super().get_config(), "count": self.count}


class _Layers:
    """The layers of one branch, numbered: convolutions, normalizations and activations."""

    def __init__(self, normalize: bool, separable: bool, name: str):
        self.normalize, self.separable, self.name = normalize, separable, name

    def conv(self, x, kernel, filters, stride, number, zeros=False, bias=None):
        start = "zeros" if zeros else "he_normal"
        options = dict(strides=stride, padding="same", name=f"{self.name}_conv{number}")
        options["use_bias"] = not self.normalize if bias is None else bias
        if self.separable and kernel > 1:
            # one channel in and no ReLU after it; "he_normal" would count all channels as inputs
            depthwise = keras.initializers.RandomNormal(stddev=1 / kernel)
            initializers = dict(depthwise_initializer=depthwise, pointwise_initializer=start)
            return layers.SeparableConv2D(filters, kernel, **initializers, **options)(x)
        return layers.Conv2D(filters, kernel, kernel_initializer=start, **options)(x)

    def norm(self, x, number, zeros=False):
        return normalization(f"{self.name}_norm{number}", zeros)(x) if self.normalize else x

    def relu(self, x, number):
        return layers.ReLU(name=f"{self.name}_relu{number}")(x)


def normalization(name: str, zeros: bool = False) -> layers.BatchNormalization:
    """Return the batch normalization that all networks of this module use."""
    gamma = "zeros" if zeros else "ones"
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=name)


def _check(x, width, kind, stride, shortcut, survival):
    """Raise for a unit that cannot be."""
    shape = getattr(x, "shape", None)
    if shape is None or len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            "x must be a map (batch, height, width, channels) with known channels, "
            f"got {type(x).__name__ if shape is None else shape}"
        )
    integer(width, "width", minimum=1)
    integer(stride, "stride", minimum=1)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut must be one of {SHORTCUTS}, got {shortcut!r}")
    if probability(survival, "survival") < 1 and shortcut is None:
        raise ValueError(
            f"survival must be 1 without a shortcut, got {survival}: nothing would be left of the "
            "map when the branch is dropped"
        )


def _check_addition(skip, y, shortcut, stride, name):
    """Raise if the shapes differ, and say what is missing.

    Sizes that are open, None, look alike before and after a stride: the identity never fits then.
    """
    if skip.shape[1:] != y.shape[1:] or (shortcut == "identity" and stride > 1):
        reach = f" and stride {stride}" if stride > 1 else ""
        raise ValueError(
            f'shortcut "{shortcut}" of unit {name!r} gives {skip.shape[1:]}, which cannot be added '
            f'to {y.shape[1:]}: take "projection", a 1 x 1 convolution with {y.shape[-1]} filters'
            f"{reach}"
        )
