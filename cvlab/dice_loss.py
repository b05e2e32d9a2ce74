"""Soft Dice loss: overlap as something that can be trained for, and its gradient.

Layout (batch, height, width, classes): truth one-hot or soft, probabilities from 0 to 1.
Sums run over the pixels of one class in one image; then come the means over classes and images.
    Summed over more than that, large objects drown small ones, as in `keras.losses.Dice`, which
    sums over the whole batch and all classes unless told the axes.
`smooth` is added above and below: a class that is absent and gets no probability has D = 1 and
    costs nothing. Keras adds its epsilon below only and calls that a complete failure, a loss of 1.

Source: F. Milletari et al., "V-Net", 2016, arXiv:1606.04797, section 3, which has squares in the
denominator; without them, as here, it is the Dice coefficient of :mod:`cvlab.segmentation` with
probabilities in place of 0 and 1. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, refuse


def soft_dice_loss(truth: np.ndarray, probabilities: np.ndarray, smooth: float = 1.0) -> float:
    """Return 1 minus the soft Dice coefficient, averaged over images and classes.

    D = (2 sum(g p) + smooth) / (sum(g) + sum(p) + smooth) for the truth g and the probabilities p.

    Parameters
    ----------
    truth : array (batch, height, width, classes)
        One-hot: 1 for the class of each pixel, 0 for others. Or soft, from 0 to 1.
    probabilities : array of the same shape
        From 0 to 1.
    smooth : float
        In pixels, more than 0.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the shapes are wrong, a value lies outside 0 to 1, or `smooth` is not positive.

    Examples
    --------
    >>> truth = np.array([1.0, 1.0, 0.0, 0.0]).reshape(1, 2, 2, 1)
    >>> soft_dice_loss(truth, 0.5 * truth, smooth=1e-9)  # D = 2 * 1 / (2 + 1)
    0.33333...
    """
    shared, total, _ = _soft_dice_parts(truth, probabilities, smooth)
    return float(1 - (shared / total).mean())


def soft_dice_gradient(
    truth: np.ndarray, probabilities: np.ndarray, smooth: float = 1.0
) -> np.ndarray:
    """Return the gradient of :func:`soft_dice_loss` with respect to the probabilities.

    With D = a / b per image and class, dL / dp = (a - 2 g b) / (b^2 N), N images times classes:
    one value for all pixels of the object, one for all others, both large if the object is small.
    Parameters and errors are those of the loss.

    Returns
    -------
    array (batch, height, width, classes)
        float32 if both are, else float64.

    Examples
    --------
    >>> truth = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    >>> soft_dice_gradient(truth, 0 * truth + 0.5).ravel().round(3)
    array([-0.444,  0.222])
    """
    shared, total, truth = _soft_dice_parts(truth, probabilities, smooth)
    gradient = (shared - 2 * truth * total) / (total**2 * shared.size)
    return gradient.astype(np.result_type(truth, float_array(probabilities, "probabilities")))


def _soft_dice_parts(truth, probabilities, smooth):
    """Return numerator and denominator (batch, 1, 1, classes) in float64, and the checked truth."""
    layout = "(batch, height, width, classes)"
    truth = float_array(truth, "truth", 4, layout)
    probabilities = float_array(probabilities, "probabilities", 4, layout)
    if truth.shape != probabilities.shape or not truth.size:
        raise ValueError(
            "truth and probabilities must have the same shape, without an empty axis, "
            f"got {truth.shape} and {probabilities.shape}"
        )
    for name, array in (("truth", truth), ("probabilities", probabilities)):
        wrong = ~((array >= 0) & (array <= 1 + 1e-6))  # a softmax in float32 may round up
        refuse(wrong, array, f"{name} must lie from 0 to 1")
    if not smooth > 0:
        raise ValueError(f"smooth must be positive, got {smooth!r}")
    sums = {"axis": (1, 2), "keepdims": True, "dtype": np.float64}
    shared = 2 * np.sum(truth * probabilities, **sums) + smooth
    total = np.sum(truth, **sums) + np.sum(probabilities, **sums) + smooth
    return shared, total, truth
