"""Sliding windows, and the loops over them behind every convolution.

Images are NHWC and already padded; kernels are HWIO; stride, dilation and sizes are pairs.
A window is a *view*: pixels that windows share are not copied. One tile of windows (some output
    rows or several small images, about 1 MiB) is copied at a time, as the rows of one product.
A window of one pixel without groups is one product for all: no copy at stride 1, else one of all.
With groups, each array gets the groups as its first axis and the product is a batch of them.
Nothing here checks its arguments: the public functions have done so.

Derived in chapter 02-convolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

TILE_BYTES = 2**20


def padded_zeros(shape, pads, dtype) -> np.ndarray:
    """Return zeros for images of `shape` with room for the padding around them."""
    batch, height, width, channels = shape
    (top, bottom), (left, right) = pads
    return np.zeros((batch, top + height + bottom, left + width + right, channels), dtype)


def pad(x: np.ndarray, pads) -> np.ndarray:
    """Return `x` with zeros around height and width; a negative pad cuts pixels off instead."""
    (top, bottom), (left, right) = pads
    if top == bottom == left == right == 0:
        return x
    height, width = x.shape[1:3]
    padded = padded_zeros(x.shape, pads, x.dtype)
    padded[:, max(top, 0) : top + height, max(left, 0) : left + width] = x[
        :, max(-top, 0) : height + min(bottom, 0), max(-left, 0) : width + min(right, 0)
    ]
    return padded


def crop(x: np.ndarray, pads) -> np.ndarray:
    """Return `x` without the padding that `pad` added."""
    (top, bottom), (left, right) = pads
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def windows(x: np.ndarray, size, stride, dilation) -> np.ndarray:
    """Return the view (batch, rows, columns, height, width, channels) of all windows of `x`."""
    batch, height, width, channels = x.shape
    rows = (height - (size[0] - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (width - (size[1] - 1) * dilation[1] - 1) // stride[1] + 1
    image, down, right, channel = x.strides
    steps = (image, down * stride[0], right * stride[1])
    steps += (down * dilation[0], right * dilation[1], channel)
    return np.lib.stride_tricks.as_strided(x, (batch, rows, columns, *size, channels), steps)


def tiles(batch: int, rows: int, row_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Cut `batch` images of `rows` rows into blocks (images, rows) of about `TILE_BYTES`."""
    height = min(rows, max(1, TILE_BYTES // row_bytes))
    images = max(1, TILE_BYTES // (row_bytes * height))
    for image in range(0, batch, images):
        for row in range(0, rows, height):
            yield slice(image, image + images), slice(row, row + height)


def window_tiles(view: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Cut a view of windows so that a copy of one tile has about `TILE_BYTES`."""
    return tiles(*view.shape[:2], math.prod(view.shape[2:]) * view.itemsize)


def row_tiles(y: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Cut the output `y` so that four blocks of its shape have about `TILE_BYTES`."""
    return tiles(*y.shape[:2], 4 * math.prod(y.shape[2:]) * y.itemsize)


def by_group(array: np.ndarray, groups: int) -> np.ndarray:
    """Return the view of `array` with its last axis cut into `groups`, and those put first."""
    cut = array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)
    return cut.transpose(array.ndim - 1, *range(array.ndim - 1), array.ndim)


def correlate(x, kernel, stride, dilation, groups) -> np.ndarray:
    """Slide `kernel` over `x`: every window times the kernel, summed."""
    *size, depth, filters = kernel.shape
    view = windows(x, size, stride, dilation)
    y = np.empty((*view.shape[:3], filters), x.dtype)
    if size == [1, 1] and groups == 1:  # one dense layer for all pixels, no window to copy
        np.matmul(view.reshape(-1, depth), kernel[0, 0], out=y.reshape(-1, filters))
        return y
    patches = by_group(view, groups)
    weights = by_group(kernel, groups).reshape(groups, -1, filters // groups)
    for tile in window_tiles(view):
        product = by_group(y[tile].reshape(-1, filters), groups)
        np.matmul(patches[:, *tile].reshape(groups, -1, weights.shape[1]), weights, out=product)
    return y


def correlate_kernel_gradient(dy, x, size, stride, dilation, groups) -> np.ndarray:
    """Return the adjoint of `correlate` in `kernel`: every window times its `dy`, summed."""
    depth, filters = x.shape[-1] // groups, dy.shape[-1] // groups
    view = windows(x, size, stride, dilation)
    patches, errors = by_group(view, groups), by_group(dy, groups)
    gradient = np.zeros((groups, size[0] * size[1] * depth, filters), dy.dtype)
    for tile in window_tiles(view):
        matrix = patches[:, *tile].reshape(groups, -1, gradient.shape[1])
        gradient += matrix.transpose(0, 2, 1) @ errors[:, *tile].reshape(groups, -1, filters)
    return gradient.transpose(1, 0, 2).reshape(*size, depth, groups * filters)


def correlate_input_gradient(dy, kernel, stride, dilation, groups, pads, size) -> np.ndarray:
    """Return the adjoint of `correlate` in `x`, cropped to the image of `size` inside `pads`.

    Every `dy` paints its kernel, scaled, onto the image. At stride 1 that is a correlation too,
    of `dy` with the kernel turned by 180 degrees, inputs and outputs exchanged.
    """
    *extent, _, filters = kernel.shape
    if stride == (1, 1):
        turned = by_group(kernel[::-1, ::-1], groups).transpose(1, 2, 4, 0, 3)
        turned = turned.reshape(*extent, filters // groups, -1)
        reach = [(k - 1) * d for k, d in zip(extent, dilation, strict=True)]
        margins = [(r - p[0], r - p[1]) for r, p in zip(reach, pads, strict=True)]
        return correlate(pad(dy, margins), turned, stride, dilation, groups)
    dx = padded_zeros((len(dy), *size, kernel.shape[2] * groups), pads, dy.dtype)
    view = windows(dx, extent, stride, dilation)
    painted, errors = by_group(view, groups), by_group(dy, groups)
    weights = by_group(kernel, groups).reshape(groups, -1, filters // groups)
    for tile in window_tiles(view):
        target = painted[:, *tile]
        matrix = errors[:, *tile].reshape(groups, -1, filters // groups)
        strokes = (matrix @ weights.transpose(0, 2, 1)).reshape(target.shape)
        for i, j in np.ndindex(*extent):  # windows overlap, but not at one place of the kernel
            target[..., i, j, :] += strokes[..., i, j, :]
    return crop(dx, pads)


def depthwise_rows(x, size, stride, dilation) -> np.ndarray:
    """Return, for each place of a kernel of `size`, the pixels under it along an output row.

    An array (batch, rows, height, width, columns * channels): a view of `x` where the kernel
    moves pixel by pixel, else a copy; `reshape` sees to that.
    """
    across = windows(x, (1, size[1]), (1, stride[1]), (1, dilation[1]))[:, :, :, 0]
    batch, height, columns, _, channels = across.shape
    lines = across.swapaxes(2, 3).reshape(batch, height, size[1], columns * channels)
    rows = (height - (size[0] - 1) * dilation[0] - 1) // stride[0] + 1
    image, down, place, pixel = lines.strides
    steps = (image, down * stride[0], down * dilation[0], place, pixel)
    return np.lib.stride_tricks.as_strided(lines, (batch, rows, *size, lines.shape[3]), steps)


def depthwise(x, kernel, stride, dilation) -> np.ndarray:
    """Slide `kernel` (height, width, channels) over `x`, each channel by itself.

    There is nothing to sum over but the few places of the kernel, so no matrix product: whole
    rows are multiplied by the weights of one place, repeated along the row, and added up.
    """
    channels = x.shape[3]
    rows = depthwise_rows(x, kernel.shape[:2], stride, dilation)
    columns = rows.shape[4] // channels
    y = np.einsum("nhijx,ijx->nhx", rows, np.tile(kernel, columns))
    return y.reshape(*y.shape[:2], columns, channels)


def depthwise_kernel_gradient(dy, x, size, stride, dilation) -> np.ndarray:
    """Return the adjoint of `depthwise` in `kernel`."""
    rows = depthwise_rows(x, size, stride, dilation)
    products = np.einsum("nhijx,nhx->ijx", rows, dy.reshape(*dy.shape[:2], rows.shape[4]))
    return products.reshape(*size, -1, dy.shape[3]).sum(axis=2)


def depthwise_input_gradient(dy, kernel, stride, dilation, pads, size) -> np.ndarray:
    """Return the adjoint of `depthwise` in `x`, cropped to the image of `size` inside `pads`."""
    dx = padded_zeros((len(dy), *size, dy.shape[3]), pads, dy.dtype)
    view = windows(dx, kernel.shape[:2], stride, dilation)
    weights = np.repeat(kernel[:, :, None], view.shape[2], axis=2)
    for tile in row_tiles(dy):
        for i, j in np.ndindex(*kernel.shape[:2]):
            view[tile][..., i, j, :] += dy[tile] * weights[i, j]
    return crop(dx, pads)
