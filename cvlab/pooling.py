"""Pooling: many pixels become one, by their maximum, their mean or a blur.

Images are NHWC; a window is an integer or (height, width); the stride is the window unless given.
Padding as in :mod:`cvlab.padding`, smaller than the window: every window holds a real pixel.
Padded pixels never count: a maximum pads with minus infinity, a mean divides by the real pixels.
A window is separable: the maximum of a window is the maximum of its columns' maxima, and the same
    holds for a mean over a full window, so both run along the height, then along the width.
The gradients are in :mod:`cvlab.pooling_gradients`. Derived in chapter 03-pooling.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integer, integers
from cvlab.padding import Padding, resolve_padding

LAYOUT = "(batch, height, width, channels)"


def max_pool2d(
    x: np.ndarray,
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Padding = "valid",
) -> np.ndarray:
    """Return the largest value of every window, channel by channel.

    y[n, i, j, c] = max over r < height and q < width of x[n, i s + r - top, j s + q - left, c]
    for the stride s; pixels outside the image count as minus infinity.

    Parameters
    ----------
    x : array (batch, height, width, channels)
    window : int or (int, int)
        Height and width of the window, in pixels.
    stride : int or (int, int), optional
        Pixels from one window to the next; the window itself if not given (no overlap).
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        See :mod:`cvlab.padding`.

    Returns
    -------
    array (batch, rows, columns, channels)

    Raises
    ------
    ValueError
        If `x` has not 4 axes, the window is larger than the padded image, or the padding is not
        smaller than the window.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> max_pool2d(x, 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    >>> max_pool2d(-x, 3, stride=2, padding="same")[0, :, :, 0]  # the padding never wins
    array([[ -0.,  -2.],
           [ -8., -10.]])
    """
    x = _checked_images(x)
    window, stride, pads = _geometry(x.shape, window, stride, padding)
    for axis in (1, 2):
        taps = [1] * window[axis - 1]
        x = _combine(x, axis, taps, stride[axis - 1], pads[axis - 1], np.maximum, -np.inf)
    return x


def avg_pool2d(
    x: np.ndarray,
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Padding = "valid",
) -> np.ndarray:
    """Return the mean of every window, channel by channel, over its real pixels.

    Parameters, result and errors are those of :func:`max_pool2d`. An image of ones stays an image
    of ones up to its border, because the sum is divided by the number of pixels that exist.

    Examples
    --------
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    >>> avg_pool2d(np.ones((1, 3, 3, 1)), 2, padding="same")[0, :, :, 0]
    array([[1., 1.],
           [1., 1.]])
    """
    x = _checked_images(x)
    window, stride, pads = _geometry(x.shape, window, stride, padding)
    return _weighted_mean(x, [np.ones(k) for k in window], stride, pads)


def blur_pool2d(
    x: np.ndarray,
    taps: tuple[float, ...] = (1, 2, 1),
    *,
    stride: int | tuple[int, int] = 2,
    padding: Padding = "same",
) -> np.ndarray:
    """Return `x` blurred, then sampled every `stride` pixels: subsampling without aliasing.

    A blur removes the detail that is too fine for the coarser grid, so that a shift of the image
    changes the result less (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again",
    arXiv:1904.11486). Max pooling becomes anti-aliased as ``max_pool2d(x, k, stride=1)`` followed
    by this function; average pooling is the special case of equal taps.

    Parameters
    ----------
    x : array (batch, height, width, channels)
    taps : sequence of positive numbers
        Weights along either axis; the kernel is their outer product. Binomial coefficients,
        (1, 1), (1, 2, 1), (1, 3, 3, 1) or (1, 4, 6, 4, 1), approach a Gaussian.
    stride : int or (int, int)
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        Where part of the kernel falls outside, the rest is weighted up: a constant image stays
        constant. (Zhang reflects the image instead; away from the border both agree.)

    Returns
    -------
    array (batch, rows, columns, channels)

    Raises
    ------
    ValueError
        As :func:`max_pool2d`, or if the taps are not positive numbers.

    Examples
    --------
    The finest pattern there is, a checkerboard, becomes grey; plain subsampling would have kept
    only the black squares:

    >>> checkerboard = (np.indices((6, 6)).sum(axis=0) % 2)[None, :, :, None]
    >>> blur_pool2d(checkerboard, padding="valid")[0, :, :, 0]
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    x = _checked_images(x)
    taps = _check_taps(taps)
    _, stride, pads = _geometry(x.shape, len(taps), stride, padding)
    return _weighted_mean(x, [taps, taps], stride, pads)


def global_average_pool(x: np.ndarray) -> np.ndarray:
    """Return the mean of every channel over the whole image, array (batch, channels).

    The image may have any size, and no weight depends on it (Lin et al. 2014, "Network in
    network", arXiv:1312.4400).

    Examples
    --------
    >>> global_average_pool(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 4.]])
    """
    return _checked_images(x).mean(axis=1).mean(axis=1)  # shorter sums, less rounding


def global_max_pool(x: np.ndarray) -> np.ndarray:
    """Return the largest value of every channel over the whole image, array (batch, channels).

    Examples
    --------
    >>> global_max_pool(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[6., 7.]])
    """
    return _checked_images(x).max(axis=(1, 2))


def channel_max_pool(x: np.ndarray, window: int) -> np.ndarray:
    """Return the largest of every `window` consecutive channels, pixel by pixel.

    If the channels of a window respond to rotated copies of one pattern, the result tells that the
    pattern is there and not how it is rotated. With `window` linear channels this is maxout
    (Goodfellow et al. 2013, arXiv:1302.4389).

    Parameters
    ----------
    x : array (batch, height, width, channels)
    window : int
        A divisor of the number of channels.

    Returns
    -------
    array (batch, height, width, channels / window)

    Raises
    ------
    ValueError
        If `x` has not 4 axes or `window` does not divide the channels.

    Examples
    --------
    >>> channel_max_pool(np.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 1, 1, 4), window=2)
    array([[[[3., 5.]]]])
    """
    return _channel_groups(float_array(x, "x", 4, LAYOUT), window).max(axis=-1)


def _geometry(shape, window, stride, padding):
    """Return window and stride as pairs and the padding ((top, bottom), (left, right))."""
    _, height, width, _ = shape
    window = integers(window, "window", 1)
    stride = window if stride is None else integers(stride, "stride", 1)
    pads = resolve_padding(padding, (height, width), window, stride)
    if any(max(pair) >= k for pair, k in zip(pads, window, strict=True)):
        raise ValueError(
            f"padding must be smaller than the window, got padding {pads} for a window of "
            f"{window[0]} x {window[1]} pixels"
        )
    if window[0] > height + sum(pads[0]) or window[1] > width + sum(pads[1]):
        raise ValueError(
            f"window must not be larger than the padded image, got {window[0]} x {window[1]} "
            f"pixels for an image of {height} x {width} padded by {pads}"
        )
    return window, stride, pads


def _places(size, window, stride, pad):
    """Return the number of windows along an axis and where each place of a window is real.

    For each place, a pair of slices: the windows that have a pixel there, and these pixels.
    """
    count = (size + sum(pad) - window) // stride + 1
    pairs = []
    for offset in range(-pad[0], window - pad[0]):  # here window i has pixel i * stride + offset
        first = max(0, -(offset // stride))
        stop = max(first, min(count, (size - 1 - offset) // stride + 1))
        start, length = first * stride + offset, (stop - first) * stride
        pairs.append((slice(first, stop), slice(start, start + length, stride)))
    return count, pairs


def _along(axis, places):
    """Return the index of `places` along `axis`, of everything along the axes before it."""
    return (slice(None),) * axis + (places,)


def _combine(x, axis, taps, stride, pad, combine, nothing):
    """Combine the real pixels of every window along `axis`, each times its tap.

    `nothing` is what `combine` ignores, minus infinity for a maximum, 0 for a sum.
    """
    count, places = _places(x.shape[axis], len(taps), stride, pad)
    parts = []
    for tap, (windows, pixels) in zip(taps, places, strict=True):
        part = x[_along(axis, pixels)]
        parts.append((windows, part if tap == 1 else tap * part))
    parts.sort(key=lambda part: part[1].shape[axis], reverse=True)  # first what all windows have
    if len(parts) > 1 and parts[1][1].shape[axis] == count:
        y, parts = combine(parts[0][1], parts[1][1]), parts[2:]
    else:
        y = np.full((*x.shape[:axis], count, *x.shape[axis + 1 :]), nothing, x.dtype)
    for windows, part in parts:
        covered = y[_along(axis, windows)]
        combine(covered, part, out=covered)
    return y


def _weighted_mean(x, weights, stride, pads):
    """Return the weighted mean over the real pixels of every window; one row of weights an axis."""
    y = x
    for axis in (1, 2):
        taps = weights[axis - 1].tolist()
        y = _combine(y, axis, taps, stride[axis - 1], pads[axis - 1], np.add, 0)
    y /= _real_weight(x.shape, weights, stride, pads).astype(x.dtype)
    return y


def _real_weight(shape, weights, stride, pads):
    """Return the sum of the weights that fall on real pixels, (rows, columns, 1).

    Without padding it is the same for all windows: one number.
    """
    if not any(map(any, pads)):
        return np.prod([taps.sum() for taps in weights])
    ones = [np.ones(size) for size in shape[1:3]]
    sums = [
        _combine(one, 0, taps.tolist(), step, pad, np.add, 0)
        for one, taps, step, pad in zip(ones, weights, stride, pads, strict=True)
    ]
    return np.outer(*sums)[:, :, None]


def _check_taps(taps):
    """Return the weights of a blur as a float64 vector, the largest in [1, 2).

    Only their ratios count, and so scaled they fit into any type; powers of two round nothing.
    """
    values = float_array(taps, "taps", 1, "(weights)").astype(np.float64)
    if values.size == 0 or not np.all((values > 0) & np.isfinite(values)):
        raise ValueError(f"taps must be one or more positive numbers, got {taps!r}")
    return values * 2.0 ** -np.floor(np.log2(values.max()))


def _checked_images(x):
    """Return `x` as a float array of images that have at least one pixel."""
    x = float_array(x, "x", 4, LAYOUT)
    if 0 in x.shape[1:3]:
        raise ValueError(f"x must have at least one pixel, got shape {x.shape}")
    return x


def _channel_groups(x, window):
    """Return the view (batch, height, width, groups, window) of `x`."""
    window, channels = integer(window, "window", 1), x.shape[-1]
    if channels % window:
        raise ValueError(f"window must divide the {channels} channels of x, got {window}")
    return x.reshape(*x.shape[:-1], channels // window, window)
