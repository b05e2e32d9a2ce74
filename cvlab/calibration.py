"""Calibration: whether answers given with probability p are right in a share p of the cases.

Probabilities are (N, K), one row an example, adding up to 1; labels (N,) are class numbers.
Confidence is the probability of the class that is answered, the largest of the row.
Bins divide 0 to 1 evenly; a confidence on an edge belongs to the bin below it, as in Guo et al.
    2017, arXiv:1706.04599. An empty bin has NaN for its means and does not count in a sum.
Temperature divides all scores by one number before the softmax; no answer changes.

Derived in chapter 05-training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, integer, refuse
from cvlab.losses import sparse_categorical_cross_entropy


class Reliability(NamedTuple):
    """For each bin the mean confidence, the share of right answers, and how many there are."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> Reliability:
    """Compare confidence with accuracy, bin by bin.

    Parameters
    ----------
    probabilities : array (N, K)
    labels : int array (N,)
    bins : int

    Returns
    -------
    Reliability
        Three arrays (bins,).

    Raises
    ------
    ValueError
        If a row is no distribution, or labels do not match.

    Examples
    --------
    >>> curve = reliability([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1], bins=2)
    >>> curve.confidence.round(2), curve.accuracy.round(2), curve.count
    (array([nan, 0.8]), array([ nan, 0.67]), array([0, 3]))
    """
    probabilities, labels = _checked(probabilities, labels)
    bins = integer(bins, "bins", 1)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights, bins) for weights in (confidence, right))
    with np.errstate(invalid="ignore"):
        return Reliability(*(total / count for total in sums), count)


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 10
) -> float:
    """Return the mean distance between confidence and accuracy, each bin weighted by its count.

    Parameters and errors are those of :func:`reliability` (Guo et al. 2017, equation 3).

    Examples
    --------
    >>> expected_calibration_error([[1.0, 0.0], [1.0, 0.0]], [0, 1])  # sure, and half right
    0.5
    """
    curve = reliability(probabilities, labels, bins)
    filled = curve.count > 0
    gaps = np.abs(curve.confidence - curve.accuracy)[filled]
    return float((gaps * curve.count[filled]).sum() / curve.count.sum())


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature T for which softmax(scores / T) has the least cross-entropy.

    Found by bisection of the derivative, which has one sign change, between 0.01 and 100; to be
    done on validation examples (Guo et al. 2017, section 4.2).

    Parameters
    ----------
    scores : array (N, K)
    labels : int array (N,)

    Raises
    ------
    ValueError
        If scores and labels do not match, or no temperature in that range is best: all answers
        right, or the scores worse than chance.

    Examples
    --------
    >>> from cvlab.losses import softmax
    >>> scores = np.array([[3.0, 0.0]] * 4)  # 95 % sure
    >>> T = fit_temperature(scores, [0, 0, 0, 1])  # and three of four are right
    >>> round(float(softmax(scores / T)[0, 0]), 4)
    0.75
    """
    scores = float_array(scores, "scores", 2, "(examples, classes)").astype(np.float64)
    slopes = [_slope(scores, labels, inverse) for inverse in (0.01, 100.0)]
    if not slopes[0] < 0 < slopes[1]:
        raise ValueError(
            "scores must be wrong somewhere and better than chance, "
            "or no temperature from 0.01 to 100 is best"
        )
    low, high = np.log(0.01), np.log(100.0)
    for _ in range(60):
        middle = (low + high) / 2
        if _slope(scores, labels, np.exp(middle)) < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def _slope(scores, labels, inverse):
    """Return the derivative of the cross-entropy of ``inverse * scores`` by `inverse`."""
    return (sparse_categorical_cross_entropy(labels, inverse * scores).gradient * scores).sum()


def _checked(probabilities, labels):
    probabilities = float_array(probabilities, "probabilities", 2, "(examples, classes)")
    labels = np.asarray(labels)
    if not len(labels) or labels.shape != probabilities.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {len(probabilities)} integers, at least one, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    refuse(probabilities < 0, probabilities, "probabilities must not be negative")
    sums = probabilities.sum(axis=1)
    refuse(np.abs(sums - 1) > 1e-4, sums, "each row of probabilities must add up to 1")
    count = probabilities.shape[1]
    refuse((labels < 0) | (labels >= count), labels, f"labels must lie from 0 to {count - 1}")
    return probabilities.astype(np.float64), labels
