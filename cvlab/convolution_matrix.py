"""Convolution as matrix multiplication, two ways.

`im2col` writes every window as one row, so that a product with the flattened kernel convolves;
    `col2im` is its adjoint and adds the rows back into the image where windows overlap.
`convolution_matrix` writes the convolution itself as one matrix that acts on the flattened image:
    mostly zeros, the same few weights in every row (weight sharing, seen).
Layouts and padding as in :mod:`cvlab.convolution`; flattening is NumPy's, row by row.

Source: I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", 2016, section 9.1 (Toeplitz and
doubly block circulant matrices). Derived in chapter 02-convolution.
"""

from __future__ import annotations

import math

import numpy as np

from cvlab import _windows
from cvlab._convolution_arguments import IMAGES, KERNEL_2D
from cvlab._validate import float_array, integer, integers
from cvlab.padding import Padding, Pair, slide


def im2col(
    x: np.ndarray,
    kernel_size: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Return the matrix whose rows are the windows of `x`.

    ``im2col(x, (kh, kw)) @ kernel.reshape(-1, filters)`` holds the values of ``conv2d(x, kernel)``.

    Parameters
    ----------
    x : array (batch, height, width, channels)
    kernel_size : int or (int, int)
    stride, dilation : int or (int, int)
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))

    Returns
    -------
    array (batch * rows * columns, kernel height * kernel width * channels)
        A copy: pixels in several windows are repeated, for 3 x 3 about nine times.

    Raises
    ------
    ValueError
        If the kernel is larger than the padded image.

    Examples
    --------
    >>> im2col(np.arange(4.0).reshape(1, 1, 4, 1), (1, 3))
    array([[0., 1., 2.],
           [1., 2., 3.]])
    """
    x = float_array(x, "x", 4, IMAGES)
    size = integers(kernel_size, "kernel_size", 1)
    stride, dilation, pads, output = slide(x.shape[1:3], size, stride, padding, dilation)
    view = _windows.windows(_windows.pad(x, pads), size, stride, dilation)
    return view.copy().reshape(_matrix_shape(x.shape, size, output))


def col2im(
    columns: np.ndarray,
    shape: tuple[int, int, int, int],
    kernel_size: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Add the rows of a matrix back into images: the adjoint of :func:`im2col`.

    It is not the inverse: a pixel that was copied into m windows gets the sum of m values.

    Parameters
    ----------
    columns : array (batch * rows * columns, kernel height * kernel width * channels)
    shape : (batch, height, width, channels)
        Shape of the images.
    kernel_size, stride, padding, dilation
        As in :func:`im2col`.

    Returns
    -------
    array (batch, height, width, channels)

    Raises
    ------
    ValueError
        If `columns` has not the shape that :func:`im2col` gives for such images.

    Examples
    --------
    >>> x = np.ones((1, 1, 4, 1))
    >>> col2im(im2col(x, (1, 3)), x.shape, (1, 3)).ravel()  # how often each pixel was read
    array([1., 2., 2., 1.])
    """
    shape = integers(shape, "shape", 0, length=4)
    size = integers(kernel_size, "kernel_size", 1)
    stride, dilation, pads, output = slide(shape[1:3], size, stride, padding, dilation)
    expected = _matrix_shape(shape, size, output)
    columns = float_array(columns, "columns")
    if columns.shape != expected:
        raise ValueError(f"columns must have shape {expected}, got {columns.shape}")
    image = _windows.padded_zeros(shape, pads, columns.dtype)
    view = _windows.windows(image, size, stride, dilation)
    columns = columns.reshape(view.shape)
    for i, j in np.ndindex(*size):  # windows overlap, but not at one place of the kernel
        view[..., i, j, :] += columns[..., i, j, :]
    return _windows.crop(image, pads)


def convolution_matrix(
    kernel: np.ndarray,
    size: Pair,
    *,
    stride: int | Pair = 1,
    padding: Padding = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Return the convolution with `kernel` as one matrix.

    ``convolution_matrix(kernel, size) @ image.ravel()`` equals ``conv2d(image[None], kernel)``,
    flattened, for every image of this `size`; the transpose of the matrix is
    :func:`cvlab.convolution.conv2d_transpose`. For a signal (size (1, n), one channel), at
    stride 1 and with one filter, it is a Toeplitz matrix: constant along its diagonals.

    Parameters
    ----------
    kernel : array (height, width, in_channels / groups, out_channels)
    size : (int, int)
        Height and width of the image. The matrix has about size to the power of four entries:
        keep it small.
    stride, padding, dilation, groups
        As in :func:`cvlab.convolution.conv2d`.

    Returns
    -------
    array (rows * columns * out_channels, height * width * in_channels)

    Raises
    ------
    ValueError
        As :func:`cvlab.convolution.conv2d`.

    Examples
    --------
    >>> convolution_matrix(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), (1, 5))
    array([[1., 2., 3., 0., 0.],
           [0., 1., 2., 3., 0.],
           [0., 0., 1., 2., 3.]])
    """
    size, groups = integers(size, "size", 1), integer(groups, "groups", 1)
    kernel = full_kernel(kernel, groups)
    *extent, channels, filters = kernel.shape
    stride, dilation, pads, output = slide(size, extent, stride, padding, dilation)
    numbers = np.arange(1, math.prod(size) + 1).reshape(1, *size, 1)  # of the pixels; 0: padding
    view = _windows.windows(_windows.pad(numbers, pads), extent, stride, dilation)
    read = view.reshape(math.prod(output), -1)  # which pixels each window reads
    matrix = np.zeros((len(read), math.prod(size) + 1, channels, filters), kernel.dtype)
    matrix[np.arange(len(read))[:, None], read] = kernel.reshape(-1, channels, filters)
    return matrix[:, 1:].transpose(0, 3, 1, 2).reshape(len(read) * filters, -1)


def full_kernel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Return the kernel without groups that does the same as `kernel` with groups.

    Parameters
    ----------
    kernel : array (height, width, in_channels / groups, out_channels)
    groups : int

    Returns
    -------
    array (height, width, in_channels, out_channels)
        With zeros where an output channel does not see an input channel.

    Raises
    ------
    ValueError
        If `groups` does not divide the output channels.

    Examples
    --------
    >>> full_kernel(np.array([[[[5.0, 6.0]]]]), groups=2)[0, 0]
    array([[5., 0.],
           [0., 6.]])
    """
    kernel = float_array(kernel, "kernel", 4, KERNEL_2D)
    *extent, depth, filters = kernel.shape
    if filters % integer(groups, "groups", 1):
        raise ValueError(
            f"groups must divide the number of output channels {filters}, got {groups}"
        )
    full = np.zeros((*extent, groups, depth, groups, filters // groups), kernel.dtype)
    for group, part in enumerate(np.split(kernel, groups, axis=3)):
        full[:, :, group, :, group] = part
    return full.reshape(*extent, groups * depth, filters)


def _matrix_shape(shape, size: Pair, output: Pair) -> tuple[int, int]:
    """Return the shape of `im2col` for images of `shape`."""
    return shape[0] * math.prod(output), math.prod(size) * shape[3]
