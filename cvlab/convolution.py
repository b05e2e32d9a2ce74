"""Convolution in NumPy: the forward passes.

Arrays are NHWC, (batch, height, width, channels); kernels HWIO, (height, width, in, out);
    depthwise kernels (height, width, channels, multiplier); transposed ones (height, width,
    out, in), all as in Keras. Padding as in :mod:`cvlab.padding`, always with zeros.
`conv1d` and `conv2d` are what networks call a convolution: *cross-correlation*, the kernel is not
    flipped. Only :func:`convolve` is the convolution of mathematics.
float32 in, float32 out. Integers become floating numbers first, exact up to 2**53 in size.

Sources: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
arXiv:1603.07285; I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", 2016, chapter 9.
Derived in chapter 02-convolution.
"""

from __future__ import annotations

import numpy as np

from cvlab import _convolution_arguments as arguments
from cvlab import _windows
from cvlab._validate import float_array
from cvlab.padding import (
    Padding,
    Pair,
    slide,
    slide_transpose,
)


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Slide a stack of kernels over images (cross-correlation).

    ``y[n, r, c, f] = bias[f] + sum over i, j, k of x[n, r + i, c + j, k] kernel[i, j, k, f]`` on
    the padded `x` (Goodfellow et al. 2016, equation 9.7). A stride s and a dilation d make these
    places r s + i d and c s + j d (equation 9.8; Dumoulin and Visin 2016, section 5.1).

    Parameters
    ----------
    x : array (batch, height, width, in_channels)
    kernel : array (height, width, in_channels / groups, out_channels)
    bias : array (out_channels,), optional
    stride, dilation : int or (int, int)
        Along height and width, in pixels.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
    groups : int
        Input and output channels are cut into so many parts; each output part sees one input part.

    Returns
    -------
    array (batch, rows, columns, out_channels)
        With the sizes of :func:`cvlab.padding.conv_output_size`.

    Raises
    ------
    ValueError
        If shapes do not match, `groups` does not divide the channels, or the kernel is larger
        than the padded image.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> to_the_right = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
    >>> conv2d(x, to_the_right)[0, :, :, 0]
    array([[1., 1.],
           [1., 1.],
           [1., 1.]])
    """
    x, kernel, bias = arguments.grouped_arguments(x, kernel, bias, groups)
    sliding = slide(x.shape[1:3], kernel.shape[:2], stride, padding, dilation)
    padded = _windows.pad(x, sliding.pads)
    y = _windows.correlate(padded, kernel, sliding.stride, sliding.dilation, groups)
    return _add_bias(y, bias)


def conv1d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int = 1,
    padding: str | int | Pair = "valid",
    dilation: int = 1,
    groups: int = 1,
) -> np.ndarray:
    """Slide a stack of kernels over signals: :func:`conv2d` on images one pixel high.

    Parameters
    ----------
    x : array (batch, length, in_channels)
    kernel : array (length, in_channels / groups, out_channels)
    bias : array (out_channels,), optional
    stride, dilation, groups : int
    padding : {"valid", "same"}, int or (before, after)

    Returns
    -------
    array (batch, steps, out_channels)

    Raises
    ------
    ValueError
        As :func:`conv2d`.

    Examples
    --------
    >>> x = np.array([0.0, 0.0, 1.0, 1.0, 0.0]).reshape(1, 5, 1)
    >>> conv1d(x, np.array([-1.0, 1.0]).reshape(2, 1, 1)).ravel()
    array([ 0.,  1.,  0., -1.])
    """
    x, kernel, bias = arguments.grouped_arguments(
        x, kernel, bias, groups, arguments.SIGNALS, arguments.KERNEL_1D
    )
    row = arguments.on_one_row(x.shape[1], kernel.shape[0], stride, padding, dilation)
    return conv2d(x[:, None], kernel[None], bias, groups=groups, **row)[:, 0]


def depthwise_conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Slide `multiplier` kernels over each channel by itself; no channel sees another.

    Parameters
    ----------
    x : array (batch, height, width, channels)
    kernel : array (height, width, channels, multiplier)
    bias : array (channels * multiplier,), optional
    stride, padding, dilation
        As in :func:`conv2d`.

    Returns
    -------
    array (batch, rows, columns, channels * multiplier)
        Output ``c * multiplier + m`` comes from input channel c and its kernel m.

    Raises
    ------
    ValueError
        As :func:`conv2d`.

    Examples
    --------
    >>> x = np.ones((1, 3, 3, 2))
    >>> kernel = np.ones((3, 3, 2, 1)) * [[[[1.0], [10.0]]]]
    >>> depthwise_conv2d(x, kernel)
    array([[[[ 9., 90.]]]])
    """
    x, kernel, bias = arguments.depthwise_arguments(x, kernel, bias)
    sliding = slide(x.shape[1:3], kernel.shape[:2], stride, padding, dilation)
    multiplier = kernel.shape[3]
    repeated = x if multiplier == 1 else np.repeat(x, multiplier, axis=3)
    y = _windows.depthwise(
        _windows.pad(repeated, sliding.pads),
        kernel.reshape(*kernel.shape[:2], -1),
        sliding.stride,
        sliding.dilation,
    )
    return _add_bias(y, bias)


def separable_conv2d(
    x: np.ndarray,
    depthwise_kernel: np.ndarray,
    pointwise_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Look at each channel by itself, then mix the channels with a 1x1 convolution.

    Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions",
    CVPR 2017, arXiv:1610.02357. Nothing nonlinear lies between the two steps.

    Parameters
    ----------
    x : array (batch, height, width, channels)
    depthwise_kernel : array (height, width, channels, multiplier)
    pointwise_kernel : array (1, 1, channels * multiplier, out_channels)
    bias : array (out_channels,), optional
    stride, padding, dilation
        Of the depthwise step, as in :func:`conv2d`.

    Returns
    -------
    array (batch, rows, columns, out_channels)

    Raises
    ------
    ValueError
        As :func:`conv2d`.

    Examples
    --------
    >>> x = np.ones((1, 3, 3, 2))
    >>> separable_conv2d(x, np.ones((3, 3, 2, 1)), np.array([[[[1.0], [-1.0]]]]))
    array([[[[0.]]]])
    """
    x, deep, point, bias = arguments.separable_arguments(
        x, depthwise_kernel, pointwise_kernel, bias
    )
    between = depthwise_conv2d(x, deep, stride=stride, padding=padding, dilation=dilation)
    return conv2d(between, point, bias)


def conv2d_transpose(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Enlarge images: every pixel of `x` paints its kernel, `stride` pixels from the next one.

    It is the adjoint (as a matrix: the transpose) of :func:`conv2d` with the same kernel, which
    maps the output's shape to that of `x`; and so the gradient of that convolution with respect
    to its input (Dumoulin and Visin 2016, chapter 4). It does not undo the convolution.

    Parameters
    ----------
    x : array (batch, height, width, in_channels)
    kernel : array (height, width, out_channels, in_channels)
        The last two axes are those of the convolution of which this is the transpose.
    bias : array (out_channels,), optional
    stride, dilation : int or (int, int)
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        Of that convolution: it is *cut off* what is painted.

    Returns
    -------
    array (batch, rows, columns, out_channels)
        With the sizes of :func:`cvlab.padding.conv_transpose_output_size`.

    Raises
    ------
    ValueError
        If shapes do not match or explicit padding leaves no output.

    Examples
    --------
    >>> x = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    >>> conv2d_transpose(x, np.ones((1, 3, 1, 1)), stride=(1, 2)).ravel()  # 3 is painted twice
    array([1., 1., 3., 2., 2.])
    """
    x, kernel, bias = arguments.transpose_arguments(x, kernel, bias)
    sliding = slide_transpose(x.shape[1:3], kernel.shape[:2], stride, padding, dilation)
    y = _windows.correlate_input_gradient(
        x, kernel, sliding.stride, sliding.dilation, 1, sliding.pads, sliding.output
    )
    return _add_bias(y, bias)


def convolve(signal: np.ndarray, kernel: np.ndarray, mode: str = "full") -> np.ndarray:
    """Convolve two sequences or two grids as mathematics defines it: the kernel is flipped.

    ``y[t] = sum over a of signal[a] kernel[t - a]`` (Goodfellow et al. 2016, equation 9.3), with
    zeros outside; on grids the same in both directions (equation 9.4). "full" commutes.

    Parameters
    ----------
    signal, kernel : array (length,) or array (height, width)
        Both of the same rank.
    mode : {"full", "same", "valid"}
        "full" keeps every sum with at least one product, "valid" those in which the whole kernel
        lies on the signal, "same" the middle of "full" with the size of `signal`.

    Returns
    -------
    array (length,) or array (height, width)
        Of floating type.

    Raises
    ------
    ValueError
        If the ranks are not both 1 or both 2, the mode is unknown, or the kernel does not fit
        into the signal in mode "valid".

    Examples
    --------
    Two dice: how many ways there are to throw 2, 3, ... 12.

    >>> convolve(np.ones(6), np.ones(6))
    array([1., 2., 3., 4., 5., 6., 5., 4., 3., 2., 1.])
    """
    signal, kernel = float_array(signal, "signal"), float_array(kernel, "kernel")
    if signal.ndim != kernel.ndim or signal.ndim not in (1, 2) or 0 in signal.shape + kernel.shape:
        raise ValueError(
            "signal and kernel must be two sequences or two grids that are not empty, "
            f"got shapes {signal.shape} and {kernel.shape}"
        )
    if mode not in ("full", "same", "valid"):
        raise ValueError(f'mode must be "full", "same" or "valid", got {mode!r}')
    shape = (1,) * (2 - signal.ndim)
    flipped = np.flip(kernel).reshape(*shape, *kernel.shape, 1, 1)
    overhang = [k - 1 for k in flipped.shape[:2]]
    pads = {
        "full": [(k, k) for k in overhang],
        "same": [(k - k // 2, k // 2) for k in overhang],
        "valid": [(0, 0) for k in overhang],
    }
    image = signal.reshape(1, *shape, *signal.shape, 1)
    y = conv2d(image, flipped, padding=pads[mode])
    return y.reshape(y.shape[3 - signal.ndim : 3])


def _add_bias(y: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Add one value per channel to `y`, in place."""
    if bias is not None:
        y += bias
    return y
