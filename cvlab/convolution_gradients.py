"""Convolution in NumPy: the backward passes.

Each function takes `dy`, the gradient of a loss with respect to the output of the forward pass of
    the same name in :mod:`cvlab.convolution`, then that pass's arguments, in the same layouts.
It returns the gradients with respect to input, kernel and bias, each with the shape of its own.
Pixels that no window reached have gradient 0. The bias gradient sums over batch, rows, columns
    (it is what a bias would get, even if there was none).
``input_gradient=False`` leaves out the gradient of `x`: the first layer has no use for it.

Sources: I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", 2016, section 9.5, equations
9.11 and 9.13; V. Dumoulin and F. Visin, 2016, arXiv:1603.07285, chapter 4.
Derived in chapter 02-convolution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab import _convolution_arguments as arguments
from cvlab import _windows
from cvlab.convolution import depthwise_conv2d
from cvlab.padding import Padding, Pair, slide, slide_transpose


class ConvGradients(NamedTuple):
    """Gradients of a loss with respect to the arguments of a convolution."""

    x: np.ndarray | None
    kernel: np.ndarray
    bias: np.ndarray


class SeparableGradients(NamedTuple):
    """Gradients of a loss with respect to the arguments of a separable convolution."""

    x: np.ndarray | None
    depthwise_kernel: np.ndarray
    pointwise_kernel: np.ndarray
    bias: np.ndarray


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
    input_gradient: bool = True,
) -> ConvGradients:
    """Return the gradients of :func:`cvlab.convolution.conv2d`.

    The kernel's gradient collects, for each weight, the pixels it was multiplied with, times `dy`
    (equation 9.11). The input's paints the kernel, times `dy`, back onto the pixels
    it was read from (equation 9.13): a transposed convolution.

    Parameters
    ----------
    dy : array (batch, rows, columns, out_channels)
    x, kernel, stride, padding, dilation, groups
        As in the forward pass.
    input_gradient : bool
        Whether to compute the gradient of `x`.

    Returns
    -------
    ConvGradients
        Fields `x` (`None` if left out), `kernel` and `bias`.

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of its output.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> kernel = np.array([10.0, 20.0]).reshape(1, 2, 1, 1)
    >>> dx, dkernel, dbias = conv2d_backward(np.ones((1, 1, 2, 1)), x, kernel)
    >>> dx.ravel(), dkernel.ravel(), dbias
    (array([10., 30., 20.]), array([3., 5.]), array([2.]))
    """
    x, kernel, _ = arguments.grouped_arguments(x, kernel, None, groups)
    stride, dilation, pads, output = slide(
        x.shape[1:3], kernel.shape[:2], stride, padding, dilation
    )
    dy = arguments.output_gradient(dy, (len(x), *output, kernel.shape[3]), x.dtype)
    padded = _windows.pad(x, pads)
    dkernel = _windows.correlate_kernel_gradient(
        dy, padded, kernel.shape[:2], stride, dilation, groups
    )
    dx = None
    if input_gradient:
        dx = _windows.correlate_input_gradient(
            dy, kernel, stride, dilation, groups, pads, x.shape[1:3]
        )
    return ConvGradients(dx, dkernel, dy.sum(axis=(0, 1, 2)))


def conv1d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    stride: int = 1,
    padding: str | int | Pair = "valid",
    dilation: int = 1,
    groups: int = 1,
    input_gradient: bool = True,
) -> ConvGradients:
    """Return the gradients of :func:`cvlab.convolution.conv1d`.

    Parameters
    ----------
    dy : array (batch, steps, out_channels)
    x, kernel, stride, padding, dilation, groups
        As in the forward pass.
    input_gradient : bool
        Whether to compute the gradient of `x`.

    Returns
    -------
    ConvGradients
        Fields `x` (`None` if left out), `kernel` and `bias`.

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of its output.

    Examples
    --------
    >>> x, kernel = np.array([[[1.0], [2.0]]]), np.array([[[3.0]], [[4.0]]])
    >>> conv1d_backward(np.array([[[1.0]]]), x, kernel).kernel.ravel()
    array([1., 2.])
    """
    x, kernel, _ = arguments.grouped_arguments(
        x, kernel, None, groups, arguments.SIGNALS, arguments.KERNEL_1D
    )
    row = arguments.on_one_row(x.shape[1], kernel.shape[0], stride, padding, dilation)
    steps = slide((1, x.shape[1]), (1, kernel.shape[0]), **row).output[1]
    dy = arguments.output_gradient(dy, (len(x), steps, kernel.shape[2]), x.dtype)
    dx, dkernel, dbias = conv2d_backward(
        dy[:, None], x[:, None], kernel[None], groups=groups, input_gradient=input_gradient, **row
    )
    return ConvGradients(dx[:, 0] if input_gradient else None, dkernel[0], dbias)


def depthwise_conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    input_gradient: bool = True,
) -> ConvGradients:
    """Return the gradients of :func:`cvlab.convolution.depthwise_conv2d`.

    Parameters
    ----------
    dy : array (batch, rows, columns, channels * multiplier)
    x, kernel, stride, padding, dilation
        As in the forward pass.
    input_gradient : bool
        Whether to compute the gradient of `x`.

    Returns
    -------
    ConvGradients
        Fields `x` (`None` if left out), `kernel` and `bias`.

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of its output.

    Examples
    --------
    >>> x, kernel = np.array([[[[1.0, 2.0]]]]), np.array([[[[3.0], [4.0]]]])
    >>> depthwise_conv2d_backward(np.array([[[[1.0, 10.0]]]]), x, kernel).x
    array([[[[ 3., 40.]]]])
    """
    x, kernel, _ = arguments.depthwise_arguments(x, kernel, None)
    *size, channels, multiplier = kernel.shape
    stride, dilation, pads, output = slide(x.shape[1:3], size, stride, padding, dilation)
    dy = arguments.output_gradient(dy, (len(x), *output, channels * multiplier), x.dtype)
    repeated = np.repeat(x, multiplier, axis=3)  # the input of each output channel
    flat = kernel.reshape(*size, channels * multiplier)
    padded = _windows.pad(repeated, pads)
    dkernel = _windows.depthwise_kernel_gradient(dy, padded, size, stride, dilation)
    dx = None
    if input_gradient:
        dx = _windows.depthwise_input_gradient(dy, flat, stride, dilation, pads, x.shape[1:3])
        dx = dx.reshape(*x.shape, multiplier).sum(axis=4)
    return ConvGradients(dx, dkernel.reshape(kernel.shape), dy.sum(axis=(0, 1, 2)))


def separable_conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    depthwise_kernel: np.ndarray,
    pointwise_kernel: np.ndarray,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    input_gradient: bool = True,
) -> SeparableGradients:
    """Return the gradients of :func:`cvlab.convolution.separable_conv2d`.

    The chain rule in two steps: back through the 1x1 convolution, then the depthwise one.

    Parameters
    ----------
    dy : array (batch, rows, columns, out_channels)
    x, depthwise_kernel, pointwise_kernel, stride, padding, dilation
        As in the forward pass.
    input_gradient : bool
        Whether to compute the gradient of `x`.

    Returns
    -------
    SeparableGradients
        Fields `x` (`None` if left out), `depthwise_kernel`, `pointwise_kernel` and `bias`.

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of its output.

    Examples
    --------
    >>> x, deep, point = np.full((3, 1, 1, 1, 1), [[[[[2.0]]]], [[[[3.0]]]], [[[[5.0]]]]])
    >>> [float(g.squeeze()) for g in separable_conv2d_backward(np.ones_like(x), x, deep, point)]
    [15.0, 10.0, 6.0, 1.0]
    """
    x, deep, point, _ = arguments.separable_arguments(x, depthwise_kernel, pointwise_kernel, None)
    step = {"stride": stride, "padding": padding, "dilation": dilation}
    between = depthwise_conv2d(x, deep, **step)
    mixed = conv2d_backward(dy, between, point)
    single = depthwise_conv2d_backward(mixed.x, x, deep, input_gradient=input_gradient, **step)
    return SeparableGradients(single.x, single.kernel, mixed.kernel, mixed.bias)


def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    input_gradient: bool = True,
) -> ConvGradients:
    """Return the gradients of :func:`cvlab.convolution.conv2d_transpose`.

    The transpose of the transpose: the gradient of `x` is the plain convolution of `dy`, and in
    the gradient of the kernel `x` and `dy` have exchanged their parts.

    Parameters
    ----------
    dy : array (batch, rows, columns, out_channels)
    x, kernel, stride, padding, dilation
        As in the forward pass.
    input_gradient : bool
        Whether to compute the gradient of `x`.

    Returns
    -------
    ConvGradients
        Fields `x` (`None` if left out), `kernel` and `bias`.

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of its output.

    Examples
    --------
    >>> x, kernel = np.array([[[[2.0]]]]), np.array([3.0, 4.0]).reshape(1, 2, 1, 1)
    >>> dx, dkernel, _ = conv2d_transpose_backward(np.ones((1, 1, 2, 1)), x, kernel)
    >>> dx.ravel(), dkernel.ravel()
    (array([7.]), array([2., 2.]))
    """
    x, kernel, _ = arguments.transpose_arguments(x, kernel, None)
    stride, dilation, pads, output = slide_transpose(
        x.shape[1:3], kernel.shape[:2], stride, padding, dilation
    )
    dy = arguments.output_gradient(dy, (len(x), *output, kernel.shape[2]), x.dtype)
    padded = _windows.pad(dy, pads)
    dkernel = _windows.correlate_kernel_gradient(x, padded, kernel.shape[:2], stride, dilation, 1)
    dx = _windows.correlate(padded, kernel, stride, dilation, 1) if input_gradient else None
    return ConvGradients(dx, dkernel, dy.sum(axis=(0, 1, 2)))
