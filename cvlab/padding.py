"""Padding and output sizes: the arithmetic that convolution and pooling share.

Sizes and pads are counted in pixels along one axis unless a function says otherwise.
``"valid"`` adds nothing; ``"same"`` is TensorFlow's: ceil(size / stride) outputs, and an odd
    pixel of padding goes after the image. It therefore depends on the size of the image.
An integer pads every side alike; explicit pairs are (before, after), in two dimensions
    ((top, bottom), (left, right)). Negative padding is an error.
A kernel of k pixels dilated by d covers (k - 1) d + 1 pixels.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
arXiv:1603.07285. Derived in chapter 02-convolution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import integer, integers

Pair = tuple[int, int]
Padding = str | int | Pair | tuple[Pair, Pair]


class Slide(NamedTuple):
    """How windows slide over an image; each field is (along height, along width)."""

    stride: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]
    output: Pair


def dilated_size(kernel: int, dilation: int = 1) -> int:
    """Return how many pixels a dilated kernel covers, (kernel - 1) * dilation + 1.

    Examples
    --------
    >>> dilated_size(3, dilation=2)
    5
    """
    return (integer(kernel, "kernel", 1) - 1) * integer(dilation, "dilation", 1) + 1


def same_padding(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> Pair:
    """Return TensorFlow's ``"same"`` padding along one axis.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Pixels along the axis, each at least 1.

    Returns
    -------
    (before, after) : tuple of int
        Zeros to add on either side, so that there are ceil(size / stride) windows. The two
        differ by at most one, and the larger one comes after. The total is never negative:
        it is zero when the windows do not reach the end of the image.

    Examples
    --------
    At stride 2 the padding depends on whether the size is even:

    >>> same_padding(16, kernel=3, stride=2), same_padding(17, kernel=3, stride=2)
    ((0, 1), (1, 1))
    """
    covered = dilated_size(kernel, dilation)
    return _same(integer(size, "size", 1), integer(stride, "stride", 1), covered)


def axis_padding(
    padding: str | int | Pair, size: int, kernel: int, stride: int = 1, dilation: int = 1
) -> Pair:
    """Return the padding (before, after) of one axis.

    Parameters
    ----------
    padding : {"valid", "same"}, int or (int, int)
        See the conventions of this module.
    size, kernel, stride, dilation : int
        Pixels along the axis; used by ``"same"`` only.

    Raises
    ------
    ValueError
        If `padding` is none of these, or negative.

    Examples
    --------
    >>> axis_padding("same", size=5, kernel=4), axis_padding(2, size=5, kernel=4)
    ((1, 2), (2, 2))
    """
    if isinstance(padding, str) and padding == "same":
        return same_padding(size, kernel, stride, dilation)
    if isinstance(padding, str) and padding == "valid":
        return 0, 0
    if not isinstance(padding, (int, np.integer, tuple, list, np.ndarray)):
        raise ValueError(
            'padding must be "valid", "same", an integer or pairs of integers (before, after), '
            f"got {padding!r}"
        )
    return integers(padding, "padding", minimum=0)


def resolve_padding(
    padding: Padding,
    size: Pair,
    kernel: int | Pair,
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
) -> tuple[Pair, Pair]:
    """Return the padding ((top, bottom), (left, right)) of an image.

    Parameters
    ----------
    padding : {"valid", "same"}, int or ((int, int), (int, int))
        See the conventions of this module.
    size : (int, int)
        Height and width of the image.
    kernel, stride, dilation : int or (int, int)
        Along height and width.

    Raises
    ------
    ValueError
        If `padding` is none of these, or negative.

    Examples
    --------
    >>> resolve_padding("same", size=(4, 5), kernel=(3, 3), stride=2)
    ((0, 1), (1, 1))
    >>> resolve_padding(((1, 0), (2, 2)), size=(4, 5), kernel=(3, 3))
    ((1, 0), (2, 2))
    """
    axes = _axes(size, kernel, stride, padding, dilation)
    height, width = (axis_padding(p, n, k, s, d) for n, k, s, p, d in axes)
    return height, width


def conv_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: str | int | Pair = "valid",
    dilation: int = 1,
) -> int:
    """Return the number of windows along one axis, of a convolution or of a pooling.

    It is floor((size + before + after - ((kernel - 1) dilation + 1)) / stride) + 1
    (Dumoulin and Visin 2016, relationship 15).

    Raises
    ------
    ValueError
        If the kernel is larger than the padded image.

    Examples
    --------
    >>> conv_output_size(70, kernel=7), conv_output_size(224, kernel=7, stride=2, padding="same")
    (64, 112)
    """
    stride, covered = integer(stride, "stride", 1), dilated_size(kernel, dilation)
    return _fit("size", size, stride, padding, covered)[1]


def conv2d_output_size(
    size: Pair,
    kernel: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> Pair:
    """Return :func:`conv_output_size` along height and width.

    Examples
    --------
    >>> conv2d_output_size((70, 120), kernel=7)
    (64, 114)
    """
    return slide(integers(size, "size", 1), kernel, stride, padding, dilation).output


def slide(
    size: Pair,
    kernel: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> Slide:
    """Return stride, dilation, padding and number of windows of a kernel on an image.

    Raises
    ------
    ValueError
        If an argument is out of range or the kernel larger than the padded image.

    Examples
    --------
    >>> slide((4, 5), kernel=3, stride=2, padding="same")
    Slide(stride=(2, 2), dilation=(1, 1), pads=((0, 1), (1, 1)), output=(2, 3))
    """
    (height, width), (kernel_h, kernel_w) = size, integers(kernel, "kernel", 1)
    stride, dilation = integers(stride, "stride", 1), integers(dilation, "dilation", 1)
    covered_h, covered_w = (kernel_h - 1) * dilation[0] + 1, (kernel_w - 1) * dilation[1] + 1
    vertical, horizontal = _per_axis(padding)
    pads_h, rows = _fit("height", height, stride[0], vertical, covered_h)
    pads_w, columns = _fit("width", width, stride[1], horizontal, covered_w)
    return Slide(stride, dilation, (pads_h, pads_w), (rows, columns))


def conv_transpose_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: str | int | Pair = "valid",
    dilation: int = 1,
) -> int:
    """Return the size of the output of a transposed convolution along one axis.

    With k = (kernel - 1) dilation + 1 pixels covered, ``"same"`` gives size * stride and
    ``"valid"`` size * stride + max(k - stride, 0), as in Keras. Explicit padding gives
    (size - 1) * stride + k - before - after, the smallest image that a convolution with this
    padding turns into `size` pixels (Dumoulin and Visin 2016, relationship 13).

    Raises
    ------
    ValueError
        If explicit padding leaves no output.

    Examples
    --------
    >>> [conv_transpose_output_size(4, 3, stride=2, padding=p) for p in ("same", "valid", 1)]
    [8, 9, 7]
    """
    size, stride = integer(size, "size", 1), integer(stride, "stride", 1)
    covered = dilated_size(kernel, dilation)
    before, after = axis_padding(padding, size, kernel, stride, dilation)
    if isinstance(padding, str):
        return size * stride + (max(covered - stride, 0) if padding == "valid" else 0)
    output = (size - 1) * stride + covered - before - after
    if output < 1:
        raise ValueError(
            f"padding must leave at least 1 pixel, got {padding!r} for a transposed convolution "
            f"that paints {output + before + after} pixels"
        )
    return output


def slide_transpose(
    size: Pair,
    kernel: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> Slide:
    """Return stride, dilation, padding and output size of a transposed convolution.

    The padding is that of the convolution from the output back to `size`.

    Examples
    --------
    >>> slide_transpose((4, 5), kernel=3, stride=2, padding="same")
    Slide(stride=(2, 2), dilation=(1, 1), pads=((0, 1), (0, 1)), output=(8, 10))
    """
    height, width = _axes(size, kernel, stride, padding, dilation)
    output = conv_transpose_output_size(*height), conv_transpose_output_size(*width)
    pads = resolve_padding(padding, output, kernel, stride, dilation)
    return Slide(integers(stride, "stride", 1), integers(dilation, "dilation", 1), pads, output)


def _same(size: int, stride: int, covered: int) -> Pair:
    """Return the padding of :func:`same_padding` for a kernel that covers `covered` pixels."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + covered - size, 0)
    return total // 2, total - total // 2


def _fit(name: str, size: int, stride: int, padding, covered: int) -> tuple[Pair, int]:
    """Return padding and number of windows along the axis called `name` in error messages."""
    pads = before, after = axis_padding(padding, integer(size, name, 1), covered, stride)
    padded = size + before + after
    if covered > padded:
        raise ValueError(
            f"kernel must not be larger than the padded image, got a kernel that covers {covered} "
            f"pixels and {name} {size} padded by {pads} to {padded}"
        )
    return pads, (padded - covered) // stride + 1


def _axes(size, kernel, stride, padding, dilation) -> tuple[tuple, tuple]:
    """Return the arguments of the functions for one axis, for height and for width."""
    height, width = zip(
        integers(size, "size", 1),
        integers(kernel, "kernel", 1),
        integers(stride, "stride", 1),
        _per_axis(padding),
        integers(dilation, "dilation", 1),
        strict=True,
    )
    return height, width


def _per_axis(padding) -> tuple:
    """Return `padding` as two paddings of one axis, for height and for width."""
    if isinstance(padding, (str, int, np.integer)):
        return padding, padding
    pairs = tuple(padding) if isinstance(padding, (tuple, list, np.ndarray)) else ()
    if len(pairs) != 2 or not all(isinstance(p, (tuple, list, np.ndarray)) for p in pairs):
        raise ValueError(
            'padding must be "valid", "same", an integer or ((top, bottom), (left, right)), '
            f"got {padding!r}"
        )
    return pairs
