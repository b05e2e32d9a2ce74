"""Layer, instance and group normalization: batch normalization over other axes.

Layouts and `epsilon` are those of :mod:`cvlab.normalization`, gradients those of
    :mod:`cvlab.normalization_gradients`. A mean and a variance are taken over
    batch     the batch and the pixels, for every channel,
    layer     the pixels and the channels, for every example,
    instance  the pixels, for every example and channel,
    group     the pixels and the channels of one group, for every example and group.
The last three do not look at other examples: training and inference are the same, a batch of one
    is as good as any, and an empty batch gives an empty result.

Source: Y. Wu and K. He, "Group normalization", ECCV 2018, arXiv:1803.08494, section 3.
Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from cvlab._validate import integer
from cvlab.normalization import (
    _centre,
    _checked_axes,
    _checked_input,
    _mean,
    _scale_and_shift,
    normalize,
)
from cvlab.normalization_gradients import (
    NormalizationGradients,
    _checked_gradient,
    _parameter_gradients,
    _standardize_backward,
    normalize_backward,
)


def layer_norm(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    epsilon: float = 1e-3,
) -> np.ndarray:
    """Normalize every example by its own mean and variance, over all pixels and channels.

    Parameters and errors are those of :func:`cvlab.normalization.normalize`, without the axes. It
    is group normalization with one group (Ba, Kiros and Hinton 2016, arXiv:1607.06450). Keras's
    LayerNormalization takes every pixel by itself instead, ``normalize(x, axes=-1)``; for
    (batch, channels) the two are one.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), epsilon=1e-9).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x = _checked_input(x)
    return normalize(x, tuple(range(1, x.ndim)), gamma, beta, epsilon=epsilon).y


def layer_norm_backward(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray | None = None, *, epsilon: float = 1e-3
) -> NormalizationGradients:
    """Return the gradients of :func:`layer_norm`.

    Parameters, result and errors are those of
    :func:`cvlab.normalization_gradients.normalize_backward`, without the axes.

    Examples
    --------
    >>> dx, _, _ = layer_norm_backward(np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 3.0, 8.0]]))
    >>> dx.round(3)
    array([[ 0.109, -0.152,  0.044]])
    """
    x = _checked_input(x)
    return normalize_backward(dy, x, tuple(range(1, x.ndim)), gamma, epsilon=epsilon)


def instance_norm(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    epsilon: float = 1e-3,
) -> np.ndarray:
    """Normalize every channel of every example by its own mean and variance, over the pixels.

    The brightness and the contrast of each image are gone (Ulyanov, Vedaldi and Lempitsky 2016,
    arXiv:1607.08022). It is group normalization with as many groups as channels, in Keras
    ``GroupNormalization(groups=-1)``.

    Parameters and errors are those of :func:`cvlab.normalization.normalize`, without the axes;
    `x` must have pixels, at least 3 axes.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([1.0, 10.0, 3.0, 30.0]).reshape(1, 1, 2, 2)  # two pixels, two channels
    >>> instance_norm(x, epsilon=1e-9).round(3)
    array([[[[-1., -1.],
             [ 1.,  1.]]]])
    """
    x, axes = _pixel_axes(x)
    return normalize(x, axes, gamma, beta, epsilon=epsilon).y


def instance_norm_backward(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray | None = None, *, epsilon: float = 1e-3
) -> NormalizationGradients:
    """Return the gradients of :func:`instance_norm`.

    Parameters, result and errors are those of
    :func:`cvlab.normalization_gradients.normalize_backward`, without the axes.

    Examples
    --------
    >>> dy = np.array([1.0, 0.0, 0.0]).reshape(1, 3, 1)
    >>> dx, _, _ = instance_norm_backward(dy, np.array([1.0, 3.0, 8.0]).reshape(1, 3, 1))
    >>> dx.round(3).ravel()
    array([ 0.109, -0.152,  0.044])
    """
    x, axes = _pixel_axes(x)
    return normalize_backward(dy, x, axes, gamma, epsilon=epsilon)


def group_norm(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    groups: int,
    epsilon: float = 1e-3,
) -> np.ndarray:
    """Normalize every group of channels of every example, over the pixels and the group.

    Source: Wu and He 2018, equation 7; they use 32 groups.

    Parameters
    ----------
    x : array (batch, ..., channels)
    gamma, beta : array (channels,), optional
        Scale and shift; 1 and 0 if not given.
    groups : int
        A divisor of the number of channels, which are cut into consecutive groups.
    epsilon : float
        Positive.

    Returns
    -------
    array of the shape of `x`

    Raises
    ------
    ValueError
        As :func:`cvlab.normalization.normalize`, or if `groups` does not divide the channels.

    Examples
    --------
    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), groups=2, epsilon=1e-9).round(3)
    array([[-1.,  1., -1.,  1.]])
    """
    x, mean_of = _grouped(x, groups, epsilon)
    gamma, beta = _scale_and_shift(gamma, beta, x)
    y, _, variance = _centre(x, mean_of)
    y *= gamma / np.sqrt(variance + epsilon)
    y += beta
    return y


def group_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    *,
    groups: int,
    epsilon: float = 1e-3,
) -> NormalizationGradients:
    """Return the gradients of :func:`group_norm`.

    Parameters, result and errors are those of
    :func:`cvlab.normalization_gradients.normalize_backward`, with `groups` in place of the axes.

    Examples
    --------
    >>> x, dy = np.array([[1.0, 3.0, 8.0, 9.0]]), np.array([[1.0, 0.0, 0.0, 0.0]])
    >>> group_norm_backward(dy, x, groups=2).x[0, 2:]  # nothing reaches the other group
    array([0., 0.])
    """
    x, mean_of = _grouped(x, groups, epsilon)
    gamma, _ = _scale_and_shift(gamma, None, x)
    dy = _checked_gradient(dy, x)
    dx, x_hat = _standardize_backward(gamma * dy, x, mean_of, epsilon)
    return NormalizationGradients(dx, *_parameter_gradients(dy, x_hat))


def _pixel_axes(x):
    """Return `x` as a float array and the axes between the batch and the channels."""
    x = _checked_input(x)
    if x.ndim < 3:
        raise ValueError(f"x must have at least 3 axes (batch, ..., channels), got shape {x.shape}")
    return x, tuple(range(1, x.ndim - 1))


def _grouped(x, groups, epsilon):
    """Return `x` as a float array, and the function that takes the means of its groups."""
    x = _checked_input(x)
    groups, channels = integer(groups, "groups", 1), x.shape[-1]
    if channels % groups:
        raise ValueError(f"groups must divide the {channels} channels of x, got {groups}")
    _checked_axes(tuple(range(1, x.ndim)), x.shape, epsilon)
    return x, partial(_group_mean, groups=groups)


def _group_mean(x, groups):
    """Return the mean of every group of every example, once for each of its channels."""
    batch, *pixels, channels = x.shape
    size = channels // groups
    of_channels = _mean(x.reshape(batch, math.prod(pixels), channels), (1,))
    of_groups = of_channels.reshape(batch, groups, size).mean(axis=-1)
    return np.repeat(of_groups, size, axis=-1).reshape(batch, *(1,) * len(pixels), channels)
