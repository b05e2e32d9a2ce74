"""Folding: a normalization with given statistics becomes part of the layer before it.

Batch normalization at inference multiplies each channel by a scale and adds a shift
    (:func:`cvlab.normalization.batch_norm_affine`). A convolution or dense layer is linear in its
    kernel: scale the kernel of each output channel, and its bias, then add the shift to the bias.
    No activation may stand between the two. The padding does not matter: all is done after it.
Kernels: convolution (height, width, in / groups, out), dense (in, out), depthwise (height, width,
    channels, multiplier), transposed convolution (height, width, out, in), as in Keras.
The other order, normalization and then convolution, folds exactly only without zero padding:
    the zeros are added after the normalization, and a folded layer would normalize them too.

Source: B. Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", CVPR 2018, arXiv:1712.05877, section 3.2.
Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array
from cvlab.normalization import _per_channel, batch_norm_affine

KINDS = ("convolution", "dense", "depthwise", "transposed")


class FoldedLayer(NamedTuple):
    """The `kernel` and the `bias` of a layer that has taken in a normalization."""

    kernel: np.ndarray
    bias: np.ndarray


def fold_into_previous(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float = 1e-3,
    kind: str = "convolution",
) -> FoldedLayer:
    """Return the kernel and the bias of the layer that does both: layer, then normalization.

    scale (w * x + b) + shift = (scale w) * x + (scale b + shift), channel by channel. The result
    is exact but for rounding, at any padding, stride, dilation and number of groups.

    Parameters
    ----------
    kernel : array
        In the layout of its `kind`; see the conventions of this module. Convolutions may have one,
        two or three spatial axes.
    bias : array (out,) or None
    gamma, beta : array (out,) or None
        Scale and shift; None for 1 and 0.
    mean, variance : array (out,)
        The moving statistics.
    epsilon : float
    kind : {"convolution", "dense", "depthwise", "transposed"}
        Output channel c * multiplier + m of a depthwise convolution is its kernel [..., c, m].

    Returns
    -------
    FoldedLayer
        `kernel` of the same shape, and a `bias` (out,) even where there was none.

    Raises
    ------
    ValueError
        If `kind` is unknown, the kernel has too few axes, an array has not one value per output
        channel, or variance + epsilon is not positive.

    Examples
    --------
    A dense layer with one input and two outputs, 2 x + 1 and 4 x + 1:

    >>> kernel, bias = np.array([[2.0, 4.0]]), np.array([1.0, 1.0])
    >>> mean, variance = np.array([1.0, 0.0]), np.array([3.999, 0.999])
    >>> fold_into_previous(kernel, bias, None, None, mean, variance, kind="dense")
    FoldedLayer(kernel=array([[1., 4.]]), bias=array([0., 1.]))
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    kernel = _checked_kernel(kernel)
    outputs = kernel
    if kind == "depthwise":
        outputs = kernel.reshape(*kernel.shape[:-2], -1)
    elif kind == "transposed":
        outputs = kernel.swapaxes(-1, -2)
    scale, shift = _checked_affine(gamma, beta, mean, variance, epsilon, outputs)
    bias = 0.0 if bias is None else _per_channel(bias, "bias", outputs)
    folded = outputs * scale
    folded = folded.swapaxes(-1, -2) if kind == "transposed" else folded.reshape(kernel.shape)
    return FoldedLayer(folded, scale * bias + shift)


def fold_into_next(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float = 1e-3,
) -> FoldedLayer:
    """Return the kernel and the bias of the layer that does both: normalization, then layer.

    w * (scale x + shift) + b = (w scale) * x + (b + the sum of w shift over window and channels).
    The sum takes the whole window to lie inside the image, so this is exact for dense layers and
    for convolutions with padding "valid". With zero padding the interior agrees and the border
    does not: a padded pixel should contribute 0 and now contributes w shift. It is exact again if
    `x` is padded with the value that the normalization turns into 0, -shift / scale.

    Parameters
    ----------
    kernel : array (height, width, in, out) or (in, out)
        Of an ordinary convolution, with one group, or of a dense layer.
    bias : array (out,) or None
    gamma, beta, mean, variance : array (in,)
        gamma and beta may be None for 1 and 0.
    epsilon : float

    Returns
    -------
    FoldedLayer

    Raises
    ------
    ValueError
        As :func:`fold_into_previous`; here the normalization has one value per input channel.

    Examples
    --------
    >>> mean, variance = np.array([1.0]), np.array([3.999])
    >>> fold_into_next(np.array([[2.0, 4.0]]), None, None, None, mean, variance)
    FoldedLayer(kernel=array([[1., 2.]]), bias=array([-1., -2.]))
    """
    kernel = _checked_kernel(kernel)
    inputs = kernel.swapaxes(-1, -2)
    scale, shift = _checked_affine(gamma, beta, mean, variance, epsilon, inputs)
    bias = 0.0 if bias is None else _per_channel(bias, "bias", kernel)
    window = tuple(range(kernel.ndim - 2))
    return FoldedLayer(kernel * scale[:, None], shift @ kernel.sum(axis=window) + bias)


def _checked_kernel(kernel):
    """Return `kernel` as a float array with an axis of inputs and one of outputs."""
    kernel = float_array(kernel, "kernel")
    if kernel.ndim < 2:
        raise ValueError(f"kernel must have at least 2 axes, got shape {kernel.shape}")
    return kernel


def _checked_affine(gamma, beta, mean, variance, epsilon, like):
    """Return scale and shift of a normalization with the channels and the type of `like`."""
    mean, variance = _per_channel(mean, "mean", like), _per_channel(variance, "variance", like)
    return batch_norm_affine(gamma, beta, mean, variance, epsilon=epsilon)
