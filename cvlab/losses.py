"""Losses: one number for a batch of answers, and its gradient.

Scores (logits) and predictions have the shape (N, K), N examples with K classes or coordinates.
Every loss is a mean: over the N examples, and where the K entries are questions of their own
    (binary and focal cross-entropy, squared error, smooth L1) over those too, as in Keras.
The gradient has the shape of the scores or predictions and belongs to that mean.
Probabilities are never formed to be put into a logarithm: log(1 + exp(s)) is computed without
    overflow, so scores of a thousand are as good as any. Results are float64.

Losses of overlap are in :mod:`cvlab.dice_loss` and :mod:`cvlab.iou_loss`. Derived in chapter
05-training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, refuse


class Loss(NamedTuple):
    """The mean loss of a batch, and its gradient with respect to the scores or predictions."""

    value: float
    gradient: np.ndarray


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities that add up to 1 along the last axis: exp(s_k) / sum_m exp(s_m).

    Parameters
    ----------
    scores : array (..., K)

    Raises
    ------
    ValueError
        If the scores are not real numbers, or there are none.

    Examples
    --------
    >>> softmax([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return np.exp(_log_softmax(_checked(scores, "scores", None)))


def categorical_cross_entropy(truth: np.ndarray, scores: np.ndarray) -> Loss:
    """Compare scores with a distribution over the classes: -sum_k t_k log p_k.

    p is the softmax of the scores. The gradient is (p - t) / N.

    Parameters
    ----------
    truth : array (N, K)
        One-hot, or any probabilities that add up to 1 in each row.
    scores : array (N, K)

    Raises
    ------
    ValueError
        If the shapes differ, or a row of `truth` is no distribution.

    Examples
    --------
    >>> loss = categorical_cross_entropy([[1, 0]], [[0.0, 0.0]])
    >>> round(loss.value, 4), loss.gradient  # log 2
    (0.6931, array([[-0.5,  0.5]]))
    """
    truth, scores = _pair(truth, scores, "scores")
    sums = truth.sum(axis=1)
    refuse((truth < 0) | (truth > 1), truth, "truth must lie from 0 to 1")
    refuse(np.abs(sums - 1) > 1e-6, sums, "each row of truth must add up to 1")
    logs = _log_softmax(scores)
    return Loss(float(-(truth * logs).sum() / len(scores)), (np.exp(logs) - truth) / len(scores))


def sparse_categorical_cross_entropy(labels: np.ndarray, scores: np.ndarray) -> Loss:
    """Compare scores with class numbers: -log p of the true class.

    The same loss as :func:`categorical_cross_entropy`; only the truth is written in another way.

    Parameters
    ----------
    labels : int array (N,)
        From 0 to K - 1.
    scores : array (N, K)

    Raises
    ------
    ValueError
        If labels and scores do not match, or a label is no class number.

    Examples
    --------
    >>> sparse_categorical_cross_entropy([0], [[0.0, 0.0]]).gradient
    array([[-0.5,  0.5]])
    """
    scores = _checked(scores, "scores", 2)
    return categorical_cross_entropy(np.eye(scores.shape[1])[_labels(labels, scores)], scores)


def binary_cross_entropy(truth: np.ndarray, scores: np.ndarray) -> Loss:
    """Compare scores with answers of yes or no: -t log p - (1 - t) log(1 - p).

    p is the sigmoid of the score. The gradient is (p - t) / (N K).

    Parameters
    ----------
    truth : array (N, K)
        From 0 to 1.
    scores : array (N, K)

    Raises
    ------
    ValueError
        If the shapes differ, or a truth lies outside 0 to 1.

    Examples
    --------
    >>> loss = binary_cross_entropy([[1, 0]], [[0.0, 0.0]])
    >>> round(loss.value, 4), loss.gradient
    (0.6931, array([[-0.25,  0.25]]))
    """
    truth, scores = _pair(truth, scores, "scores")
    refuse((truth < 0) | (truth > 1), truth, "truth must lie from 0 to 1")
    values = np.logaddexp(0, scores) - truth * scores
    return Loss(float(values.mean()), (_sigmoid(scores) - truth) / scores.size)


def focal_loss(
    truth: np.ndarray, scores: np.ndarray, *, gamma: float = 2.0, alpha: float | None = None
) -> Loss:
    """Binary cross-entropy in which answers that are nearly right count little.

    With q the probability given to the truth, the loss is -(1 - q)^gamma log q, times `alpha`
    where the truth is 1 and 1 - alpha where it is 0 (Lin et al. 2017, arXiv:1708.02002,
    equations 4 and 5). With gamma = 0 and no alpha it is the binary cross-entropy.

    Parameters
    ----------
    truth : array (N, K)
        0 or 1.
    scores : array (N, K)
    gamma : float
        At least 0.
    alpha : float, optional
        From 0 to 1; by default both answers count the same.

    Raises
    ------
    ValueError
        If the shapes differ, a truth is not 0 or 1, or `gamma` or `alpha` is out of range.

    Examples
    --------
    >>> round(focal_loss([[1]], [[0.0]]).value, 4)  # (1 / 2)^2 log 2
    0.1733
    """
    truth, scores = _pair(truth, scores, "scores")
    refuse((truth != 0) & (truth != 1), truth, "truth must be 0 or 1")
    if not gamma >= 0:
        raise ValueError(f"gamma must be at least 0, got {gamma!r}")
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie from 0 to 1, got {alpha!r}")
    sign = 2 * truth - 1
    margin = sign * scores  # how far the score lies on the right side
    q, log_q = _sigmoid(margin), -np.logaddexp(0, -margin)
    weight = 1.0 if alpha is None else np.where(truth == 1, alpha, 1 - alpha)
    fade = weight * _sigmoid(-margin) ** gamma  # (1 - q)^gamma
    slope = sign * fade * (gamma * q * log_q - _sigmoid(-margin))
    return Loss(float((-fade * log_q).mean()), slope / scores.size)


def squared_error(truth: np.ndarray, predicted: np.ndarray) -> Loss:
    """Return the mean of (predicted - truth)^2; its gradient is 2 (predicted - truth) / (N K).

    Parameters
    ----------
    truth, predicted : array (N, K)

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> squared_error([[0.0, 0.0]], [[3.0, -1.0]])
    Loss(value=5.0, gradient=array([[ 3., -1.]]))
    """
    truth, predicted = _pair(truth, predicted, "predicted")
    error = predicted - truth
    return Loss(float((error**2).mean()), 2 * error / error.size)


def smooth_l1(truth: np.ndarray, predicted: np.ndarray, *, delta: float = 1.0) -> Loss:
    """Squared for errors below `delta`, absolute for those above.

    With the size d of the error it is d^2 / (2 delta) if d <= delta, else d - delta / 2 (Girshick
    2015, arXiv:1504.08083, equation 3, for delta = 1). Times delta it is the Huber loss of Keras.

    Parameters
    ----------
    truth, predicted : array (N, K)
    delta : float
        Positive, in the unit of the predictions.

    Raises
    ------
    ValueError
        If the shapes differ or `delta` is not positive.

    Examples
    --------
    >>> smooth_l1([[0.0, 0.0]], [[3.0, -0.5]])
    Loss(value=1.3125, gradient=array([[ 0.5 , -0.25]]))
    """
    truth, predicted = _pair(truth, predicted, "predicted")
    if not delta > 0:
        raise ValueError(f"delta must be positive, got {delta!r}")
    error = predicted - truth
    size = np.abs(error)
    values = np.where(size <= delta, error**2 / (2 * delta), size - delta / 2)
    return Loss(float(values.mean()), np.clip(error / delta, -1, 1) / error.size)


def _sigmoid(scores):
    return np.exp(-np.logaddexp(0, -scores))


def _log_softmax(scores):
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _checked(array, name, ndim):
    array = float_array(array, name, ndim, "(examples, classes)").astype(np.float64)
    if not array.size or array.ndim == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    return array


def _pair(truth, given, name):
    truth, given = _checked(truth, "truth", 2), _checked(given, name, 2)
    if truth.shape != given.shape:
        raise ValueError(
            f"truth and {name} must have the same shape, got {truth.shape} and {given.shape}"
        )
    return truth, given


def _labels(labels, scores):
    labels, count = np.asarray(labels), scores.shape[1]
    if labels.shape != scores.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {len(scores)} integers, one for each row of scores, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    refuse((labels < 0) | (labels >= count), labels, f"labels must lie from 0 to {count - 1}")
    return labels
