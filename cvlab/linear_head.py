"""The last layer of a network, fitted to features that are computed once.

Features  (n, C): one row of numbers for each example, such as a network's pooled last map
Head      scores ``features @ kernel + bias``, as `keras.layers.Dense` computes them
Loss      mean cross-entropy plus a penalty on large weights; it is convex, with one minimum
Scale     features are centred and divided by one common length first; the result needs neither
Derived in chapter 09-transfer-learning.
"""

from __future__ import annotations

from numbers import Real
from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array


class LinearHead(NamedTuple):
    """A kernel (C, classes) and a bias (classes,), float32."""

    kernel: np.ndarray
    bias: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the scores (n, classes) of features (n, C)."""
        return features @ self.kernel + self.bias

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of examples whose largest score is that of their label."""
        return float(np.mean(self.scores(features).argmax(axis=1) == labels))


def fit_linear_head(features: np.ndarray, labels: np.ndarray, strength: float = 20.0) -> LinearHead:
    r"""Fit softmax regression (multinomial logistic regression) to features.

    With the centred features :math:`x_n`, scaled so that their mean squared length is 1, it
    minimizes :math:`\frac12 \|w\|^2 + \lambda \sum_n -\log p_{n}`, where :math:`p_n` is the
    probability of the right class, and then moves scale and centre into kernel and bias. It is
    scikit-learn's `LogisticRegression`, run on one thread: the products are too small for more.

    Parameters
    ----------
    features : array (n, C)
    labels : array (n,)
        Classes 0, 1, 2, ..., each of which must occur.
    strength : float
        :math:`\lambda`: the larger, the closer the head follows the examples.

    Returns
    -------
    LinearHead

    Raises
    ------
    ValueError
        If features and labels do not match, a class is missing, there is only one, all features
        are equal, or `strength` is not positive.

    Examples
    --------
    >>> head = fit_linear_head([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]], [0, 1, 0])
    >>> head.scores(np.array([[0.0, 3.0], [3.0, 0.0]])).argmax(axis=1)
    array([0, 1])
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features = float_array(features, "features", ndim=2, layout="(n, C)").astype(np.float64)
    labels = _checked_labels(labels, len(features))
    if not (isinstance(strength, Real) and strength > 0):
        raise ValueError(f"strength must be a positive number, got {strength!r}")
    center = features.mean(axis=0)
    length = np.sqrt(((features - center) ** 2).sum(axis=1).mean())
    if length == 0:
        raise ValueError("features must differ between examples, got equal rows")
    # For two classes scikit-learn penalizes the difference of the columns, which counts double.
    strength = 2 * strength if labels.max() == 1 else strength
    with threadpool_limits(1):
        fit = LogisticRegression(C=strength, max_iter=1000, tol=1e-4)
        fit.fit((features - center) / length, labels)
    weights, bias = fit.coef_.T / length, fit.intercept_
    if weights.shape[1] == 1:  # two classes share one column: half of it for each, with its sign
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.append(-bias / 2, bias / 2)
    return LinearHead(weights.astype(np.float32), (bias - center @ weights).astype(np.float32))


def _checked_labels(labels, count: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {count} integers, one for each row of features, got "
            f"{labels.dtype} of shape {labels.shape}"
        )
    found = np.unique(labels).tolist()
    if len(found) < 2 or found != list(range(len(found))):
        raise ValueError(f"labels must hold each of the classes 0, 1, 2, ..., got {found}")
    return labels
