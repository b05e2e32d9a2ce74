"""Local response normalization: a strong response damps the same pixel in neighbouring channels.

Arrays are (..., channels), such as (batch, height, width, channels); pixels do not interact.
y = x / (k + alpha * the sum of x^2 over a window of channels) ^ beta.
`window` counts the channels, n in the paper: the channel itself and (n - 1) / 2 on either side.
    TensorFlow's ``depth_radius`` is that half and its ``bias`` is k: AlexNet's n = 5, k = 2 are
    ``tf.nn.local_response_normalization(x, depth_radius=2, bias=2, alpha=1e-4, beta=0.75)``.
alpha multiplies the sum, as in the paper and in TensorFlow; Caffe and PyTorch divide it by n.
At the first and last channels the window is cut: what is missing counts as 0.

Source: A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional
neural networks", 2012, section 3.3. Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integer


def local_response_norm(
    x: np.ndarray, *, window: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> np.ndarray:
    """Return `x` divided by the strength of the neighbouring channels; the defaults are AlexNet's.

    Parameters
    ----------
    x : array (..., channels)
    window : int
        Odd number of channels that are summed.
    alpha, beta : float
        Weight of the sum, not negative, and exponent.
    k : float
        Added to the sum, positive.

    Returns
    -------
    array of the shape of `x`

    Raises
    ------
    ValueError
        If `x` has no axes, `window` is not odd, `alpha` is negative or `k` not positive.

    Examples
    --------
    The strong third channel damps its neighbours, and itself most of all:

    >>> x = np.array([1.0, 1.0, 100.0, 1.0, 1.0])
    >>> local_response_norm(x, window=3, alpha=1e-4, beta=1, k=1).round(2)
    array([ 1. ,  0.5, 50. ,  0.5,  1. ])
    """
    x, base = _base(x, window, alpha, k)
    return x * base ** -float(beta)


def local_response_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    *,
    window: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
) -> np.ndarray:
    """Return the gradient of :func:`local_response_norm` with respect to `x`.

    With s = k + alpha * sum, each x is in its own numerator and in the sums of its neighbours:
    dx = dy s^-beta - 2 alpha beta x * the sum over the window of dy x s^(-beta - 1).

    Parameters
    ----------
    dy : array (..., channels)
        Gradient of the loss with respect to the output.
    x, window, alpha, beta, k
        As in the forward pass.

    Returns
    -------
    array of the shape of `x`

    Raises
    ------
    ValueError
        As the forward pass, or if `dy` has not the shape of `x`.

    Examples
    --------
    >>> x, dy = np.array([1.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0])
    >>> local_response_norm_backward(dy, x, window=3, alpha=0.5, beta=1, k=1)
    array([ 0.25, -0.25,  0.  ])
    """
    x, base = _base(x, window, alpha, k)
    dy = float_array(dy, "dy")
    if dy.shape != x.shape:
        raise ValueError(f"dy must have the shape of the output {x.shape}, got {dy.shape}")
    direct = dy.astype(x.dtype, copy=False) * base ** -float(beta)
    return direct - 2 * float(alpha * beta) * x * _window_sum(direct * x / base, window)


def _base(x, window, alpha, k):
    """Return `x` as a float array, and k + alpha times the sum of squares over the window."""
    x = float_array(x, "x")
    if x.ndim == 0:
        raise ValueError("x must have at least 1 axis (..., channels), got a single number")
    if integer(window, "window", 1) % 2 == 0:
        raise ValueError(f"window must be odd, got {window}")
    if not (alpha >= 0 and k > 0):
        raise ValueError(f"alpha must not be negative and k must be positive, got {alpha} and {k}")
    return x, float(k) + float(alpha) * _window_sum(x * x, window)


def _window_sum(values, window):
    """Return the sum over `window` channels around each channel."""
    channels, radius = values.shape[-1], window // 2
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(radius, radius)])
    return sum(padded[..., start : start + channels] for start in range(window))
