"""Class activation maps from a feature map and its gradient, in NumPy.

Layout     features and gradients (batch, height, width, channels); maps (batch, height, width)
Gradients  of one score for each image, with respect to the features
Signed     a map before ReLU: positive where the features speak for the score, negative against it
Scaled     after ReLU and division by its maximum; a map without positive values becomes zeros
Edges      pixel i covers i to i + 1 (half-pixel centres); resizing repeats the outermost values
Derived in chapter 11-grad-cam; `cvlab.networks.grad_cam` takes the two arrays from a Keras model.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integers, refuse

FEATURES = "(batch, height, width, channels)"


def grad_cam_weights(gradients: np.ndarray) -> np.ndarray:
    """Return one weight for each channel: the mean of its gradient over all positions.

    Selvaraju et al. 2017, equation 1, https://arxiv.org/abs/1610.02391.

    Parameters
    ----------
    gradients : numpy.ndarray
        (batch, height, width, channels), of the score with respect to the features.

    Returns
    -------
    numpy.ndarray
        (batch, channels).

    Raises
    ------
    ValueError
        If `gradients` has not 4 axes or holds no positions.

    Examples
    --------
    >>> grad_cam_weights(np.array([[[[1.0, 0.0], [3.0, -2.0]]]]))
    array([[ 2., -1.]])
    """
    return _gradients(gradients).mean(axis=(1, 2))


def grad_cam_plus_plus_weights(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return the channel weights of Grad-CAM++, for the exponential of the score.

    A sum of the positive gradients over all positions, in which a position counts by
    alpha = g² / (2 g² + g³ * sum of the channel's features). Chattopadhay et al. 2018, equations
    5 and 19, https://arxiv.org/abs/1710.11063; without the factor exp(score), which all weights
    share and the division by the maximum removes.

    Parameters
    ----------
    features, gradients : numpy.ndarray
        (batch, height, width, channels).

    Returns
    -------
    numpy.ndarray
        (batch, channels). Where the denominator is zero a position counts nothing.

    Raises
    ------
    ValueError
        If the arrays have not 4 axes or differ in shape.

    Examples
    --------
    >>> ones = np.ones((1, 1, 2, 1))
    >>> grad_cam_plus_plus_weights(ones, ones)  # 2 positions, 1 / (2 + 2) each
    array([[0.5]])
    """
    features, gradients = _pair(features, gradients)
    totals = features.sum(axis=(1, 2), keepdims=True)
    denominator = 2 * gradients**2 + totals * gradients**3
    alpha = np.divide(
        gradients**2, denominator, out=np.zeros_like(denominator), where=denominator != 0
    )
    return (alpha * np.maximum(gradients, 0)).sum(axis=(1, 2))


def weighted_sum(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of all channels, each times its weight: a signed map.

    Parameters
    ----------
    features : numpy.ndarray
        (batch, height, width, channels).
    weights : numpy.ndarray
        (batch, channels).

    Returns
    -------
    numpy.ndarray
        (batch, height, width).

    Raises
    ------
    ValueError
        If the shapes are not as above.

    Examples
    --------
    >>> weighted_sum(np.array([[[[1.0, 0.0], [3.0, 2.0]]]]), np.array([[2.0, -4.0]]))
    array([[[ 2., -2.]]])
    """
    features = float_array(features, "features", 4, FEATURES)
    weights = float_array(weights, "weights", 2, "(batch, channels)")
    expected = (features.shape[0], features.shape[3])
    if weights.shape != expected:
        raise ValueError(f"weights must have the shape {expected}, got {weights.shape}")
    return np.matmul(features, weights[:, np.newaxis, :, np.newaxis])[..., 0]


def hires_cam_map(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return the signed map of HiResCAM: features times gradients, summed over the channels.

    Draelos and Carin 2020, equation 5, https://arxiv.org/abs/2011.08891. Nothing is averaged:
    a gradient counts at its own position.

    Parameters
    ----------
    features, gradients : numpy.ndarray
        (batch, height, width, channels).

    Returns
    -------
    numpy.ndarray
        (batch, height, width).

    Raises
    ------
    ValueError
        If the arrays have not 4 axes or differ in shape.

    Examples
    --------
    >>> features = np.array([[[[1.0, 0.0], [3.0, 2.0]]]])
    >>> hires_cam_map(features, np.array([[[[1.0, 5.0], [0.0, -1.0]]]]))
    array([[[ 1., -2.]]])
    """
    features, gradients = _pair(features, gradients)
    return np.einsum("nhwc,nhwc->nhw", features, gradients)


def scaled(signed: np.ndarray) -> np.ndarray:
    """Cut negative values (ReLU) and divide every map by its maximum.

    Parameters
    ----------
    signed : numpy.ndarray
        (batch, height, width).

    Returns
    -------
    numpy.ndarray
        (batch, height, width), values 0 to 1. Zeros where no value is positive.

    Raises
    ------
    ValueError
        If `signed` has not 3 axes or holds values that are not finite.

    Examples
    --------
    >>> scaled(np.array([[[-1.0, 2.0, 4.0]], [[-1.0, -2.0, 0.0]]]))
    array([[[0. , 0.5, 1. ]],
           [[0. , 0. , 0. ]]])
    """
    signed = float_array(signed, "signed", 3, "(batch, height, width)")
    refuse(~np.isfinite(signed), signed, "signed must be finite")
    positive = np.maximum(signed, 0)
    largest = positive.max(axis=(1, 2), keepdims=True, initial=0)
    return positive / np.where(largest > 0, largest, 1)


def resize_maps(maps: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize maps bilinearly with half-pixel centres, as `tf.image.resize` does.

    Parameters
    ----------
    maps : numpy.ndarray
        (batch, height, width).
    size : int or (height, width)

    Returns
    -------
    numpy.ndarray
        (batch, height, width) of that size. Along each axis the centre of pixel i lies at
        (i + 0.5) * old / new - 0.5 of the old map; values beyond its outermost centres are
        repeated.

    Raises
    ------
    ValueError
        If `maps` has not 3 axes or no positions, or `size` is not positive.

    Examples
    --------
    >>> resize_maps(np.array([[[0.0, 4.0]]]), (1, 4))
    array([[[0., 1., 3., 4.]]])
    """
    maps = float_array(maps, "maps", 3, "(batch, height, width)")
    if 0 in maps.shape[1:]:
        raise ValueError(f"maps must have at least one position, got shape {maps.shape}")
    height, width = integers(size, "size", minimum=1)
    rows = _interpolation(maps.shape[1], height, maps.dtype)
    columns = _interpolation(maps.shape[2], width, maps.dtype)
    return rows @ maps @ columns.T


def _interpolation(old, new, dtype):
    """Return the matrix (new, old) that interpolates linearly along one axis."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distances = np.abs(centres[:, np.newaxis] - np.arange(old))
    return np.maximum(1 - distances, 0).astype(dtype)


def _gradients(gradients):
    gradients = float_array(gradients, "gradients", 4, FEATURES)
    if 0 in gradients.shape[1:3]:
        raise ValueError(f"gradients must have at least one position, got {gradients.shape}")
    return gradients


def _pair(features, gradients):
    features = float_array(features, "features", 4, FEATURES)
    gradients = _gradients(gradients)
    if features.shape != gradients.shape:
        raise ValueError(
            f"gradients must have the shape of the features, {features.shape}, "
            f"got {gradients.shape}"
        )
    return features, gradients
