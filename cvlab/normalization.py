"""Normalization: subtract a mean, divide by a standard deviation, then scale and shift.

Inputs are (batch, channels) or (batch, height, width, channels); any number of axes between the
    first and the last will do. gamma (scale) and beta (shift) have one value per channel.
Batch normalization averages over every axis but the channels; its relatives average over other
    axes, :mod:`cvlab.normalization_family`, and are all :func:`normalize`.
Variances are biased (divided by n, not n - 1), in the output and in the moving average, as in
    Keras 3. `momentum` is the share of the old average that is kept: 0.99, as in Keras.
`epsilon` is added to the variance, under the root: 1e-3 as in Keras, 1e-5 in PyTorch.
The gradients are in :mod:`cvlab.normalization_gradients`.

Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

import math
from functools import partial
from numbers import Real
from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, integer


class Normalized(NamedTuple):
    """A normalized array `y`, and the mean and the biased variance that were used."""

    y: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def normalize(
    x: np.ndarray,
    axes: int | tuple[int, ...],
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    epsilon: float = 1e-3,
) -> Normalized:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta, with the statistics over `axes`.

    Source: Wu and He 2018, "Group normalization", arXiv:1803.08494, equations 1, 2 and 6.

    Parameters
    ----------
    x : array (batch, ..., channels)
    axes : int or tuple of int
        The mean and the variance are taken over these axes of `x`; negative ones count from the
        end.
    gamma, beta : array (channels,), optional
        Scale and shift; 1 and 0 if not given.
    epsilon : float
        Positive.

    Returns
    -------
    Normalized
        `y` of the shape of `x`; `mean` and `variance` of that shape without `axes`.

    Raises
    ------
    ValueError
        If `x` has fewer than 2 axes or nothing to average, `axes` are not different axes of it,
        gamma or beta has not one value per channel, or `epsilon` is not positive.

    Examples
    --------
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> normalize(x, axes=0, epsilon=1e-9).y.round(3)  # each column gets mean 0 and variance 1
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> normalize(x, axes=1, epsilon=1e-9).y.round(3)  # each row
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x = _checked_input(x)
    axes = _checked_axes(axes, x.shape, epsilon)
    gamma, beta = _scale_and_shift(gamma, beta, x)
    y, mean, variance = _centre(x, partial(_mean, axes=axes))
    y *= gamma / np.sqrt(variance + epsilon)
    y += beta
    return Normalized(y, mean.squeeze(axes), variance.squeeze(axes))


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    epsilon: float = 1e-3,
) -> Normalized:
    """Normalize every channel by its mean and variance over the batch and the pixels: training.

    Parameters and errors are those of :func:`normalize`. A layer also keeps the
    :func:`moving_average` of both statistics, which :func:`batch_norm_inference` uses.

    One value per channel (one example, one pixel) has variance 0: the output is beta, and says
    nothing about the input. An empty batch has no mean and is an error.

    Source: Ioffe and Szegedy 2015, "Batch normalization", arXiv:1502.03167, algorithm 1.

    Returns
    -------
    Normalized
        `y` of the shape of `x`; `mean` and `variance` of this batch, (channels,).

    Examples
    --------
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> _, mean, variance = batch_norm(x)
    >>> mean, variance
    (array([ 2., 20.]), array([  1., 100.]))
    >>> batch_norm(x[:1], beta=np.array([5.0, 7.0])).y
    array([[5., 7.]])
    """
    x = _checked_input(x)
    return normalize(x, tuple(range(x.ndim - 1)), gamma, beta, epsilon=epsilon)


def moving_average(average: np.ndarray, value: np.ndarray, *, momentum: float = 0.99) -> np.ndarray:
    """Return momentum * average + (1 - momentum) * value, the update after a training step.

    Keras starts from mean 0 and variance 1. After t steps that start still has the weight
    momentum ** t: 0.37 after 100 steps with momentum 0.99.

    PyTorch calls momentum the share of the *new* value: its 0.1 is 0.9 here. It also averages the
    unbiased variance, though it normalizes by the biased one: pass ``variance * n / (n - 1)``
    for n values per channel.

    Raises
    ------
    ValueError
        If the shapes differ or `momentum` is not between 0 and 1.

    Examples
    --------
    >>> moving_average(np.array([1.0]), np.array([3.0]), momentum=0.75)
    array([1.5])
    >>> n, variance = 8, np.array([3.5])  # as PyTorch does it, with its momentum 0.1:
    >>> moving_average(np.array([1.0]), variance * n / (n - 1), momentum=1 - 0.1)
    array([1.3])
    """
    average, value = float_array(average, "average"), float_array(value, "value")
    if average.shape != value.shape:
        raise ValueError(
            f"value must have the shape of the average {average.shape}, got {value.shape}"
        )
    if not isinstance(momentum, Real) or not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be between 0 and 1, got {momentum!r}")
    return float(momentum) * average + float(1 - momentum) * value


def batch_norm_inference(
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float = 1e-3,
) -> np.ndarray:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta, the statistics being given.

    This is batch normalization at inference, with the moving statistics: every example is treated
    alike, whatever else is in the batch. A frozen layer (``trainable = False`` in Keras) does the
    same in training.

    Parameters
    ----------
    x : array (batch, ..., channels)
    gamma, beta : array (channels,) or None
        Scale and shift; None for 1 and 0.
    mean, variance : array (channels,)
        ``*layer.get_weights()`` of a Keras layer gives the four in this order.
    epsilon : float

    Returns
    -------
    array of the shape of `x`

    Raises
    ------
    ValueError
        If `x` has fewer than 2 axes, one of the four has not one value per channel, or
        variance + epsilon is not positive.

    Examples
    --------
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> mean, variance = np.array([1.0, 20.0]), np.array([0.249, 99.999])
    >>> batch_norm_inference(x, None, np.array([0.0, 5.0]), mean, variance)
    array([[0., 4.],
           [4., 6.]])
    """
    x = _checked_input(x)
    mean, variance = _per_channel(mean, "mean", x), _per_channel(variance, "variance", x)
    scale, shift = batch_norm_affine(gamma, beta, mean, variance, epsilon=epsilon)
    return x * scale + shift


def batch_norm_affine(
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float = 1e-3,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (scale, shift): batch normalization at inference is scale * x + shift.

    scale = gamma / sqrt(variance + epsilon) and shift = beta - scale * mean, both (channels,).
    Parameters and errors are those of :func:`batch_norm_inference`.

    Examples
    --------
    >>> batch_norm_affine(None, None, np.array([6.0]), np.array([3.999]))
    (array([0.5]), array([-3.]))
    """
    mean = float_array(mean, "mean", 1, "(channels,)")
    variance = _per_channel(variance, "variance", mean)
    gamma, beta = _scale_and_shift(gamma, beta, mean)
    spread = variance + float(epsilon)
    if not np.all(spread > 0):
        raise ValueError(f"variance + epsilon must be positive, got {spread}")
    scale = gamma / np.sqrt(spread)
    return scale, beta - scale * mean


def batch_norm_parameters(channels: int) -> tuple[int, int]:
    """Return how many numbers batch normalization learns, and how many it stores besides.

    Each channel has 2 that are learned, gamma and beta, and 2 that are stored, the moving mean and
    the moving variance. Keras counts all four as parameters, PyTorch the first two.

    Examples
    --------
    >>> [batch_norm_parameters(n) for n in (784, 300, 100)]
    [(1568, 1568), (600, 600), (200, 200)]
    """
    channels = integer(channels, "channels", 1)
    return 2 * channels, 2 * channels


def _centre(x, mean_of):
    """Return x - mean as a new array, the mean and the biased variance; `mean_of` gives means."""
    mean = mean_of(x)
    centred = x - mean
    return centred, mean, mean_of(centred * centred)


def _mean(x, axes):
    """Return the mean over `axes`, which keep the length 1."""
    first, channels = axes[0], x.shape[-1]
    if axes != tuple(range(first, x.ndim - 1)):
        return x.mean(axis=axes, keepdims=True)
    kept, count = x.shape[:first], math.prod(x.shape[first:-1])
    total = _sum_rows(x.reshape(math.prod(kept), count, channels))
    return (total / count).reshape(*kept, *(1,) * len(axes), channels)


def _sum_rows(rows):
    """Return the sum over the last axis but one.

    A product with a row of ones is 2 to 15 times as fast as adding row to row.
    """
    return np.ones(rows.shape[-2], rows.dtype) @ rows


def _checked_input(x):
    """Return `x` as a float array (batch, ..., channels)."""
    x = float_array(x, "x")
    if x.ndim < 2 or x.shape[-1] == 0:
        raise ValueError(
            f"x must have at least 2 axes (batch, ..., channels) and a channel, got shape {x.shape}"
        )
    return x


def _checked_axes(axes, shape, epsilon):
    """Return `axes` sorted and counted from the start; see that there is something to average."""
    rank, given = len(shape), axes if isinstance(axes, (tuple, list)) else (axes,)
    axes = tuple(sorted({integer(axis, "axes", -rank) % rank for axis in given}))
    if not given or len(axes) < len(given) or max(given) >= rank:
        raise ValueError(f"axes must be different axes of the {rank} of x, got {given}")
    if math.prod(shape[axis] for axis in axes) == 0:
        raise ValueError(f"x must hold a value for every mean over axes {axes}, got shape {shape}")
    if not isinstance(epsilon, Real) or not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon!r}")
    return axes


def _scale_and_shift(gamma, beta, like):
    """Return gamma and beta as vectors, or as 1 and 0 where they are None."""
    gamma = 1.0 if gamma is None else _per_channel(gamma, "gamma", like)
    beta = 0.0 if beta is None else _per_channel(beta, "beta", like)
    return gamma, beta


def _per_channel(value, name, like):
    """Return `value` as one number for each channel of `like`, and of its type."""
    value = float_array(value, name)
    if value.shape != like.shape[-1:]:
        raise ValueError(
            f"{name} must have one value for each of the {like.shape[-1]} channels, "
            f"got shape {value.shape}"
        )
    return value.astype(like.dtype, copy=False)
