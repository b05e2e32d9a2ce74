"""Backward passes of pooling: from dL/dy to dL/dx.

Layouts, windows, strides and padding are those of :mod:`cvlab.pooling`; `dy` has the shape of y.
A maximum hands its whole gradient to the winner. On a tie there is one winner, the first in
    reading order (row by row, then left to right); the sum of the gradient is kept.
    NaN counts as the largest value: it is the result, so it gets the gradient.
A mean shares its gradient out by weight. What fell on the padding is no pixel and gets nothing.
Where windows overlap, their gradients add up; a pixel in no window gets 0.
Derived in chapter 03-pooling.
"""

from __future__ import annotations

import itertools

import numpy as np

from cvlab._validate import float_array, integers
from cvlab.padding import Padding, conv2d_output_size
from cvlab.pooling import (
    LAYOUT,
    _along,
    _channel_groups,
    _check_taps,
    _checked_images,
    _geometry,
    _places,
    _real_weight,
    max_pool2d,
)

Shape = tuple[int, int, int, int]


def max_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Padding = "valid",
) -> np.ndarray:
    """Return the gradient of :func:`cvlab.pooling.max_pool2d` with respect to `x`.

    Parameters
    ----------
    dy : array (batch, rows, columns, channels)
        Gradient of the loss with respect to the output.
    x : array (batch, height, width, channels)
        The input of the forward pass.
    window, stride, padding
        As in the forward pass.

    Returns
    -------
    array (batch, height, width, channels)

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of the output.

    Examples
    --------
    >>> x = np.array([[1.0, 5.0], [5.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> max_pool2d_backward(np.ones((1, 1, 1, 1)), x, 2)[0, :, :, 0]  # a tie: one winner
    array([[0., 1.],
           [0., 0.]])
    """
    x = _checked_images(x)
    window, stride, pads = _geometry(x.shape, window, stride, padding)
    y = max_pool2d(x, window, stride=stride, padding=pads)
    dy = _check_gradient(dy, y.shape)
    dx = np.zeros(x.shape, dy.dtype)
    undecided = np.ones(y.shape, bool)
    some_nan, finite = np.isnan(y).any(), np.isfinite(dy).all()
    (_, rows), (_, columns) = map(_places, x.shape[1:3], window, stride, pads)
    for row, column in itertools.product(rows, columns):
        of_window, of_pixel = (slice(None), row[0], column[0]), (slice(None), row[1], column[1])
        wins = x[of_pixel] == y[of_window]
        if some_nan:  # NaN makes the maximum NaN, and equals nothing
            wins |= np.isnan(x[of_pixel])
        wins &= undecided[of_window]
        undecided[of_window] ^= wins  # winners are a subset of the undecided: this removes them
        share = dy[of_window]  # infinity times 0 is not 0
        dx[of_pixel] += share * wins if finite else np.where(wins, share, 0)
    return dx


def avg_pool2d_backward(
    dy: np.ndarray,
    input_shape: Shape,
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Padding = "valid",
) -> np.ndarray:
    """Return the gradient of :func:`cvlab.pooling.avg_pool2d` with respect to its input.

    The mean is linear: the gradient needs the shape of the input, not its values. Other
    parameters, result and errors are those of :func:`max_pool2d_backward`.

    Examples
    --------
    The middle column is in both windows:

    >>> dy = np.array([4.0, 8.0]).reshape(1, 1, 2, 1)
    >>> avg_pool2d_backward(dy, (1, 2, 3, 1), 2, stride=1)[0, :, :, 0]
    array([[1., 3., 2.],
           [1., 3., 2.]])
    """
    input_shape = _check_shape(input_shape)
    window, stride, pads = _geometry(input_shape, window, stride, padding)
    return _share_out(dy, input_shape, [np.ones(k) for k in window], stride, pads)


def blur_pool2d_backward(
    dy: np.ndarray,
    input_shape: Shape,
    taps: tuple[float, ...] = (1, 2, 1),
    *,
    stride: int | tuple[int, int] = 2,
    padding: Padding = "same",
) -> np.ndarray:
    """Return the gradient of :func:`cvlab.pooling.blur_pool2d` with respect to its input.

    Parameters, result and errors are those of :func:`avg_pool2d_backward`, with the taps of the
    blur in place of the window.

    Examples
    --------
    >>> blur_pool2d_backward(np.full((1, 1, 1, 1), 16.0), (1, 3, 3, 1), padding="valid")[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    input_shape, taps = _check_shape(input_shape), _check_taps(taps)
    _, stride, pads = _geometry(input_shape, len(taps), stride, padding)
    return _share_out(dy, input_shape, [taps, taps], stride, pads)


def global_average_pool_backward(dy: np.ndarray, input_shape: Shape) -> np.ndarray:
    """Return the gradient of :func:`cvlab.pooling.global_average_pool`: an equal share for all.

    Parameters
    ----------
    dy : array (batch, channels)
    input_shape : (batch, height, width, channels)

    Returns
    -------
    array (batch, height, width, channels)

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    Examples
    --------
    >>> global_average_pool_backward(np.array([[8.0]]), (1, 2, 2, 1))[0, :, :, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    batch, height, width, channels = _check_shape(input_shape)
    dy = _check_gradient(dy, (batch, channels))
    share = dy[:, None, None, :] / (height * width)
    return np.broadcast_to(share, (batch, height, width, channels)).copy()


def global_max_pool_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the gradient of :func:`cvlab.pooling.global_max_pool`: all to the first largest pixel.

    Parameters
    ----------
    dy : array (batch, channels)
    x : array (batch, height, width, channels)
        The input of the forward pass.

    Returns
    -------
    array (batch, height, width, channels)

    Raises
    ------
    ValueError
        If `x` has not 4 axes and a pixel, or `dy` has not the shape of the output.

    Examples
    --------
    >>> x = np.array([[1.0, 7.0], [7.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> global_max_pool_backward(np.array([[3.0]]), x)[0, :, :, 0]
    array([[0., 3.],
           [0., 0.]])
    """
    x = _checked_images(x)
    batch, height, width, channels = x.shape
    dy = _check_gradient(dy, (batch, channels))
    dx = _to_winner(dy[:, None], x.reshape(batch, height * width, channels), axis=1)
    return dx.reshape(x.shape)


def channel_max_pool_backward(dy: np.ndarray, x: np.ndarray, window: int) -> np.ndarray:
    """Return the gradient of :func:`cvlab.pooling.channel_max_pool` with respect to `x`.

    Parameters
    ----------
    dy : array (batch, height, width, channels / window)
    x : array (batch, height, width, channels)
        The input of the forward pass.
    window : int
        As in the forward pass.

    Returns
    -------
    array (batch, height, width, channels)

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of the output.

    Examples
    --------
    >>> x = np.array([3.0, 1.0, 5.0, 5.0]).reshape(1, 1, 1, 4)
    >>> channel_max_pool_backward(np.array([10.0, 20.0]).reshape(1, 1, 1, 2), x, window=2)
    array([[[[10.,  0., 20.,  0.]]]])
    """
    x = float_array(x, "x", 4, LAYOUT)
    groups = _channel_groups(x, window)
    dy = _check_gradient(dy, groups.shape[:-1])
    return _to_winner(dy[..., None], groups, axis=-1).reshape(x.shape)


def _share_out(dy, input_shape, weights, stride, pads):
    """Return the gradient of a weighted mean over the real pixels of every window."""
    batch, height, width, channels = input_shape
    window = tuple(len(taps) for taps in weights)
    rows, columns = conv2d_output_size((height, width), window, stride, pads)
    dy = _check_gradient(dy, (batch, rows, columns, channels))
    dx = dy / _real_weight(input_shape, weights, stride, pads).astype(dy.dtype)
    covered = (rows * window[0], columns * window[1])
    tiled = window == stride and covered == (height, width) and not any(map(any, pads))
    if tiled and all(np.all(taps == 1) for taps in weights):  # every pixel has one window
        shares = np.empty((batch, rows, window[0], columns, window[1], channels), dx.dtype)
        shares[...] = dx[:, :, None, :, None]
        return shares.reshape(input_shape)
    for axis in (2, 1):  # each column of a window passes its share on to its rows
        taps, step = weights[axis - 1].tolist(), stride[axis - 1]
        share, shape = dx, list(dx.shape)
        shape[axis] = input_shape[axis]
        dx = np.zeros(shape, dx.dtype)
        _, places = _places(shape[axis], len(taps), step, pads[axis - 1])
        for place, (windows, pixels) in enumerate(places):
            part = share[_along(axis, windows)]
            part = part if taps[place] == 1 else taps[place] * part
            if place < step:
                dx[_along(axis, pixels)] = part
            else:  # here windows overlap: the pixel may have a share of an earlier place
                dx[_along(axis, pixels)] += part
    return dx


def _to_winner(dy, x, axis):
    """Return zeros like `x` with `dy` at the first largest value along `axis`."""
    dx = np.zeros(x.shape, dy.dtype)
    np.put_along_axis(dx, x.argmax(axis=axis, keepdims=True), dy, axis=axis)
    return dx


def _check_gradient(dy, shape):
    """Return `dy` as a float array of the shape of the output."""
    dy = float_array(dy, "dy")
    if dy.shape != tuple(shape):
        raise ValueError(f"dy must have the shape of the output {tuple(shape)}, got {dy.shape}")
    return dy


def _check_shape(input_shape):
    """Return `input_shape` as a tuple of four integers, with at least one pixel."""
    shape = integers(input_shape, "input_shape", 0, length=4)
    if 0 in shape[1:3]:
        raise ValueError(f"input_shape must have at least one pixel, got {shape}")
    return shape
