"""Backward passes of normalization: from dL/dy to dL/dx, dL/dgamma and dL/dbeta.

Layouts and `epsilon` are those of :mod:`cvlab.normalization`; `dy` has the shape of y.
With x_hat = (x - mean) / s, s = sqrt(variance + epsilon) and g = gamma dy, all means over the
    axes of the statistics, dx = (g - mean(g) - x_hat mean(g x_hat)) / s. The second term comes
    through the mean, the third through the variance: what g has in common, and what it has in
    common with x_hat, is removed.
gamma and beta are shared by all examples and pixels, so their gradients are sums over both.
Statistics that are given (inference, a frozen layer) do not depend on x: dx = g / s.
Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array
from cvlab.normalization import (
    _centre,
    _checked_axes,
    _checked_input,
    _mean,
    _scale_and_shift,
    _sum_rows,
    batch_norm_affine,
    batch_norm_inference,
)


class NormalizationGradients(NamedTuple):
    """Gradients of a loss with respect to the arguments of a normalization, in their shapes."""

    x: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray


def normalize_backward(
    dy: np.ndarray,
    x: np.ndarray,
    axes: int | tuple[int, ...],
    gamma: np.ndarray | None = None,
    *,
    epsilon: float = 1e-3,
) -> NormalizationGradients:
    """Return the gradients of :func:`cvlab.normalization.normalize`.

    Parameters
    ----------
    dy : array (batch, ..., channels)
        Gradient of the loss with respect to the output.
    x : array (batch, ..., channels)
        The input of the forward pass.
    axes, gamma, epsilon
        As in the forward pass; beta has no influence.

    Returns
    -------
    NormalizationGradients
        All of the type of `x`; with the gradient of gamma even where gamma was left at 1.

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of `x`.

    Examples
    --------
    A gradient that is the same everywhere leaves the input alone: the mean absorbs it.

    >>> x = np.array([[1.0], [3.0], [8.0]])
    >>> gradients = normalize_backward(np.ones((3, 1)), x, axes=0)
    >>> gradients.x.round(9).ravel() + 0.0, gradients.beta
    (array([0., 0., 0.]), array([3.]))
    """
    x = _checked_input(x)
    axes = _checked_axes(axes, x.shape, epsilon)
    gamma, _ = _scale_and_shift(gamma, None, x)
    dy = _checked_gradient(dy, x)
    dx, x_hat = _standardize_backward(gamma * dy, x, partial(_mean, axes=axes), epsilon)
    return NormalizationGradients(dx, *_parameter_gradients(dy, x_hat))


def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    *,
    epsilon: float = 1e-3,
) -> NormalizationGradients:
    """Return the gradients of :func:`cvlab.normalization.batch_norm`, in training.

    In every channel the gradient of `x` sums to 0, because a constant added to the channel changes
    nothing. The bias of a convolution before the normalization therefore has the gradient 0.

    Parameters, result and errors are those of :func:`normalize_backward`, without the axes.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0], [8.0]])
    >>> dx, dgamma, dbeta = batch_norm_backward(np.array([[1.0], [0.0], [0.0]]), x)
    >>> dx.round(3).ravel(), dbeta
    (array([ 0.109, -0.152,  0.044]), array([1.]))
    >>> bool(abs(dx.sum()) < 1e-12)
    True
    """
    x = _checked_input(x)
    return normalize_backward(dy, x, tuple(range(x.ndim - 1)), gamma, epsilon=epsilon)


def batch_norm_inference_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float = 1e-3,
) -> NormalizationGradients:
    """Return the gradients of :func:`cvlab.normalization.batch_norm_inference`.

    The statistics are constants, so the gradient is only scaled, channel by channel: this is what
    flows back through a frozen layer.

    Parameters
    ----------
    dy : array (batch, ..., channels)
        Gradient of the loss with respect to the output.
    x, gamma, mean, variance, epsilon
        As in the forward pass.

    Returns
    -------
    NormalizationGradients

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of `x`.

    Examples
    --------
    >>> x, mean, variance = np.array([[1.0], [3.0]]), np.array([1.0]), np.array([3.999])
    >>> dx, dgamma, dbeta = batch_norm_inference_backward(np.ones((2, 1)), x, None, mean, variance)
    >>> dx.ravel(), dgamma, dbeta
    (array([0.5, 0.5]), array([1.]), array([2.]))
    """
    x_hat = batch_norm_inference(x, None, None, mean, variance, epsilon=epsilon)
    scale, _ = batch_norm_affine(gamma, None, mean, variance, epsilon=epsilon)
    dy = _checked_gradient(dy, x_hat)
    dx = scale.astype(x_hat.dtype, copy=False) * dy
    return NormalizationGradients(dx, *_parameter_gradients(dy, x_hat))


def _standardize_backward(dy, x, mean_of, epsilon):
    """Return dL/dx of x_hat = (x - mean) / sqrt(variance + epsilon), and x_hat."""
    x_hat, _, variance = _centre(x, mean_of)
    scale = 1.0 / np.sqrt(variance + epsilon)
    x_hat *= scale
    dx = dy - mean_of(dy)
    dx -= x_hat * mean_of(dy * x_hat)
    dx *= scale
    return dx, x_hat


def _parameter_gradients(dy, x_hat):
    """Return dL/dgamma and dL/dbeta: sums over all axes but the channels."""
    rows = (math.prod(dy.shape[:-1]), dy.shape[-1])
    return _sum_rows((dy * x_hat).reshape(rows)), _sum_rows(dy.reshape(rows))


def _checked_gradient(dy, x):
    """Return `dy` as an array of the shape and the type of `x`."""
    dy = float_array(dy, "dy")
    if dy.shape != x.shape:
        raise ValueError(f"dy must have the shape of the output {x.shape}, got {dy.shape}")
    return dy.astype(x.dtype, copy=False)
