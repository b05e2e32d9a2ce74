"""What a layer costs: parameters, multiply-adds and memory, counted exactly.

Shapes leave out the batch: (height, width, channels). Counts are for one image.
Multiply-adds (MACs) are the products of a weight and a pixel; FLOPs are 2 MACs, one product and
    one sum. Papers mix the two up: here they are reported apart.
Products with the zeros of the padding count, as in most published tables; adding the bias does not.
Memory is in bytes, float32 unless told otherwise, 1 MB = 10**6 bytes, activations only.

Sources: V. Sze et al., "Efficient processing of deep neural networks: a tutorial and survey",
2017, arXiv:1703.09039; F. Chollet, 2017, arXiv:1610.02357. Derived in chapter 02-convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cvlab._validate import integer, integers
from cvlab.padding import Padding, Pair, slide, slide_transpose

Shape = tuple[int, int, int]


class LayerCost(NamedTuple):
    """Cost of one layer on one image."""

    output_shape: tuple[int, ...]
    parameters: int
    macs: int

    @property
    def flops(self) -> int:
        """Floating-point operations, two for each multiply-add."""
        return 2 * self.macs


def conv2d_cost(
    input_shape: Shape,
    kernel_size: int | Pair,
    filters: int,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
    bias: bool = True,
) -> LayerCost:
    """Count a convolution: kh kw (in / groups) out weights, each used once at every output place.

    Parameters
    ----------
    input_shape : (height, width, channels)
    kernel_size : int or (int, int)
    filters : int
        Number of output channels.
    stride, padding, dilation, groups
        As in :func:`cvlab.convolution.conv2d`.
    bias : bool
        Whether there is one more parameter per filter.

    Returns
    -------
    LayerCost

    Raises
    ------
    ValueError
        If `groups` does not divide the channels or the kernel is larger than the padded image.

    Examples
    --------
    >>> cost = conv2d_cost((150, 100, 3), 5, 200, padding="same")
    >>> cost
    LayerCost(output_shape=(150, 100, 200), parameters=15200, macs=225000000)
    >>> cost.flops
    450000000
    """
    height, width, channels = integers(input_shape, "input_shape", 1, length=3)
    size, filters = integers(kernel_size, "kernel_size", 1), integer(filters, "filters", 1)
    for number, kind in ((channels, "input"), (filters, "output")):
        if number % integer(groups, "groups", 1):
            raise ValueError(
                f"groups must divide the number of {kind} channels {number}, got {groups}"
            )
    output = slide((height, width), size, stride, padding, dilation).output
    weights = math.prod(size) * (channels // groups) * filters
    parameters = weights + filters * bool(bias)
    return LayerCost((*output, filters), parameters, weights * math.prod(output))


def depthwise_conv2d_cost(
    input_shape: Shape,
    kernel_size: int | Pair,
    multiplier: int = 1,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    bias: bool = True,
) -> LayerCost:
    """Count a depthwise convolution: one group per channel.

    Parameters
    ----------
    input_shape, kernel_size, stride, padding, dilation, bias
        As in :func:`conv2d_cost`.
    multiplier : int
        Output channels per input channel.

    Returns
    -------
    LayerCost

    Raises
    ------
    ValueError
        As :func:`conv2d_cost`.

    Examples
    --------
    >>> depthwise_conv2d_cost((28, 28, 128), 3, padding="same", bias=False)
    LayerCost(output_shape=(28, 28, 128), parameters=1152, macs=903168)
    """
    channels = integers(input_shape, "input_shape", 1, length=3)[2]
    return conv2d_cost(
        input_shape,
        kernel_size,
        channels * integer(multiplier, "multiplier", 1),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=channels,
        bias=bias,
    )


def separable_conv2d_cost(
    input_shape: Shape,
    kernel_size: int | Pair,
    filters: int,
    multiplier: int = 1,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    bias: bool = True,
) -> LayerCost:
    """Count a depthwise convolution without bias and the 1x1 convolution after it.

    Parameters
    ----------
    input_shape, kernel_size, filters, stride, padding, dilation, bias
        As in :func:`conv2d_cost`.
    multiplier : int
        Channels between the two steps, per input channel.

    Returns
    -------
    LayerCost

    Raises
    ------
    ValueError
        As :func:`conv2d_cost`.

    Examples
    --------
    About 1 / filters + 1 / 9 of a full 3 x 3 convolution (Chollet 2017):

    >>> separable = separable_conv2d_cost((28, 28, 128), 3, 256, padding="same")
    >>> separable.macs / conv2d_cost((28, 28, 128), 3, 256, padding="same").macs
    0.1150...
    """
    step = {"stride": stride, "padding": padding, "dilation": dilation}
    deep = depthwise_conv2d_cost(input_shape, kernel_size, multiplier, bias=False, **step)
    point = conv2d_cost(deep.output_shape, 1, filters, bias=bias)
    return LayerCost(point.output_shape, deep.parameters + point.parameters, deep.macs + point.macs)


def conv2d_transpose_cost(
    input_shape: Shape,
    kernel_size: int | Pair,
    filters: int,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    bias: bool = True,
) -> LayerCost:
    """Count a transposed convolution: every weight is used once at every *input* place.

    Parameters
    ----------
    input_shape, kernel_size, filters, bias
        As in :func:`conv2d_cost`.
    stride, padding, dilation
        As in :func:`cvlab.convolution.conv2d_transpose`. What falls on the padding counts.

    Returns
    -------
    LayerCost

    Raises
    ------
    ValueError
        If explicit padding leaves no output.

    Examples
    --------
    >>> conv2d_transpose_cost((14, 14, 64), 2, 32, stride=2)
    LayerCost(output_shape=(28, 28, 32), parameters=8224, macs=1605632)
    """
    height, width, channels = integers(input_shape, "input_shape", 1, length=3)
    size, filters = integers(kernel_size, "kernel_size", 1), integer(filters, "filters", 1)
    output = slide_transpose((height, width), size, stride, padding, dilation).output
    weights = math.prod(size) * channels * filters
    parameters = weights + filters * bool(bias)
    return LayerCost((*output, filters), parameters, weights * height * width)


def dense_cost(inputs: int, units: int, *, bias: bool = True) -> LayerCost:
    """Count a dense layer: one weight for each pair of an input and a unit, used once.

    Parameters
    ----------
    inputs, units : int
    bias : bool
        Whether there is one more parameter per unit.

    Returns
    -------
    LayerCost

    Raises
    ------
    ValueError
        If `inputs` or `units` is below 1.

    Examples
    --------
    >>> dense_cost(7 * 7 * 512, 4096)  # the first dense layer of VGG-16
    LayerCost(output_shape=(4096,), parameters=102764544, macs=102760448)
    """
    inputs, units = integer(inputs, "inputs", 1), integer(units, "units", 1)
    return LayerCost((units,), inputs * units + units * bool(bias), inputs * units)


def activation_bytes(shape: Sequence[int], batch: int = 1, dtype: str = "float32") -> int:
    """Return the memory of one array of activations.

    Parameters
    ----------
    shape : sequence of int
        Without the batch.
    batch : int
    dtype : str or numpy.dtype

    Raises
    ------
    ValueError
        If `shape` is no sequence of integers, a number is below 1, or there is no such `dtype`.

    Examples
    --------
    >>> activation_bytes((150, 100, 200)), activation_bytes((150, 100, 200), batch=100)
    (12000000, 1200000000)
    """
    try:
        sizes = tuple(shape)
    except TypeError:
        raise ValueError(f"shape must be a sequence of integers, got {shape!r}") from None
    values = math.prod(integers(sizes, "shape", 1, length=len(sizes)))
    try:
        itemsize = 0 if dtype is None else np.dtype(dtype).itemsize
    except TypeError:
        itemsize = 0
    if itemsize == 0:  # texts and the like have no size of their own
        raise ValueError(f"dtype must name a NumPy type, got {dtype!r}")
    return values * integer(batch, "batch", 1) * itemsize


def inference_bytes(shapes: Sequence[Sequence[int]], batch: int = 1, dtype: str = "float32") -> int:
    """Return the activation memory that running a chain of layers needs, layer by layer.

    While a layer runs, its input and its output are there; all earlier arrays are free again.
    So it is the largest sum of two consecutive arrays.

    Parameters
    ----------
    shapes : sequence of shapes
        The input of the network and the output of each layer, in order, without the batch.
    batch : int
    dtype : str or numpy.dtype

    Raises
    ------
    ValueError
        If there is no shape or a number is below 1.

    Examples
    --------
    >>> inference_bytes([(4, 4, 3), (4, 4, 8), (2, 2, 8), (10,)]) == 4 * (4 * 4 * 3 + 4 * 4 * 8)
    True
    """
    sizes = _all_bytes(shapes, batch, dtype)
    return max(a + b for a, b in zip(sizes, [*sizes[1:], 0], strict=True))


def training_bytes(shapes: Sequence[Sequence[int]], batch: int = 1, dtype: str = "float32") -> int:
    """Return the activation memory that training a chain of layers needs if all are kept.

    The backward pass usually reads the input of the network and every output again.

    Parameters
    ----------
    shapes, batch, dtype
        As in :func:`inference_bytes`.

    Raises
    ------
    ValueError
        If there is no shape or a number is below 1.

    Examples
    --------
    >>> training_bytes([(4, 4, 3), (4, 4, 8), (2, 2, 8), (10,)], batch=2)
    1744
    """
    return sum(_all_bytes(shapes, batch, dtype))


def _all_bytes(shapes, batch, dtype) -> list[int]:
    """Return the bytes of each array."""
    if len(shapes) == 0:
        raise ValueError("shapes must hold at least one shape, got none")
    return [activation_bytes(shape, batch, dtype) for shape in shapes]
