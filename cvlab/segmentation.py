"""Semantic segmentation, evaluated: confusion matrix, IoU, Dice, accuracy.

Labels are integers of any shape, one class for each pixel; the classes are 0, 1, 2, ...
Confusion matrix: rows are true classes, columns predicted ones, entries count pixels. Those of
    several batches or images add up; scores come from the sum, not from a mean of scores.
Pixels whose true label is the ignore label are in no row and no column, whatever was predicted.
A class absent from truth and prediction has no score, NaN; means leave it out.
Rule for empty masks: nothing to find and nothing found is a Dice of 1 (:func:`dice`).

Sources: M. Everingham et al., "The PASCAL visual object classes challenge", 2010,
doi:10.1007/s11263-009-0275-4 (IoU of classes over all pixels); L. R. Dice, "Measures of the amount
of ecologic association between species", 1945, doi:10.2307/1932409. The soft Dice loss is in
:mod:`cvlab.dice_loss`. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integer, refuse
from cvlab.masks import check_masks


def check_labels(labels: np.ndarray, name: str = "labels") -> np.ndarray:
    """Return `labels` as int64, or say that they are no integers.

    Small types would overflow: ``np.uint8(20) * np.uint8(21)`` is 164.

    Raises
    ------
    ValueError
        If `labels` hold anything but integers or booleans.

    Examples
    --------
    >>> check_labels([0.2, 0.8], "prediction")
    Traceback (most recent call last):
    ...
    ValueError: prediction must hold integers, one label for each pixel, got dtype float64
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "iub":
        raise ValueError(
            f"{name} must hold integers, one label for each pixel, got dtype {array.dtype}"
        )
    return array.astype(np.int64)


def confusion_matrix(
    truth: np.ndarray,
    prediction: np.ndarray,
    number_of_classes: int,
    ignore_label: int | None = None,
) -> np.ndarray:
    """Return how many pixels of each true class were predicted as each class.

    Parameters
    ----------
    truth : int array
    prediction : int array of the same shape
        Labels, not probabilities: take the argmax over the classes first.
    number_of_classes : int
        At least 1.
    ignore_label : int, optional
        A label of `truth` that is no class, such as 255: such pixels do not count.

    Returns
    -------
    int64 array (number_of_classes, number_of_classes)
        Entry [t, p]: pixels of class t predicted as p.

    Raises
    ------
    ValueError
        If the arrays hold no integers, differ in shape, or hold a label that is neither a class
        nor ignored; or if `ignore_label` is a class.

    Examples
    --------
    >>> truth = [[0, 0, 1], [1, 1, 255]]
    >>> confusion_matrix(truth, [[0, 1, 1], [1, 1, 0]], 2, ignore_label=255)
    array([[1, 1],
           [0, 3]])
    """
    truth, prediction = check_labels(truth, "truth"), check_labels(prediction, "prediction")
    classes = integer(number_of_classes, "number_of_classes", 1)
    if truth.shape != prediction.shape:
        raise ValueError(
            "truth and prediction must have the same shape, "
            f"got {truth.shape} and {prediction.shape}"
        )
    valid = np.ones(truth.shape, bool)
    if ignore_label is not None:
        if 0 <= ignore_label < classes:
            raise ValueError(
                f"ignore_label must be no class from 0 to {classes - 1}, got {ignore_label!r}"
            )
        valid = truth != ignore_label
    for name, labels in (("truth", truth), ("prediction", prediction)):
        wrong = valid & ((labels < 0) | (labels >= classes))
        refuse(wrong, labels, f"{name} must hold classes from 0 to {classes - 1}")
    pairs = truth[valid] * classes + prediction[valid]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def iou_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class, the Jaccard index.

    IoU = TP / (TP + FP + FN): the diagonal over row plus column minus the diagonal.

    Parameters
    ----------
    confusion : array (classes, classes)
        From :func:`confusion_matrix`, or a sum of such.

    Returns
    -------
    float64 array (classes,)
        NaN for a class that is absent from truth and prediction.

    Raises
    ------
    ValueError
        If `confusion` is not square or holds a negative number.

    Examples
    --------
    >>> iou_per_class([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    array([0.75      , 0.66666667,        nan])
    """
    hits, sizes = _hits_and_sizes(confusion)
    return _ratio(hits, sizes - hits)


def dice_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the Dice coefficient of each class, which is its F1 score.

    Dice = 2 TP / (2 TP + FP + FN), NaN for an absent class. Parameters and errors are those of
    :func:`iou_per_class`.

    Examples
    --------
    >>> dice_per_class([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    array([0.85714286, 0.8       ,        nan])
    """
    hits, sizes = _hits_and_sizes(confusion)
    return _ratio(2 * hits, sizes)


def mean_iou(confusion: np.ndarray) -> float:
    """Return the mean of the IoU over the classes that occur in truth or prediction.

    Every class has the same weight, however few its pixels. NaN if no pixel counts. Parameters
    and errors are those of :func:`iou_per_class`.

    Examples
    --------
    >>> mean_iou([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    0.7083333333333333
    """
    values = iou_per_class(confusion)
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else np.nan


def pixel_accuracy(confusion: np.ndarray) -> float:
    """Return the share of pixels whose class is right; NaN if no pixel counts.

    A large background makes it high for any prediction: look at :func:`mean_iou` as well.
    Parameters and errors are those of :func:`iou_per_class`.

    Examples
    --------
    >>> pixel_accuracy([[90, 0], [10, 0]])
    0.9
    """
    hits, sizes = _hits_and_sizes(confusion)
    return float(_ratio(2 * hits.sum(), sizes.sum()))


def iou_from_dice(dice: np.ndarray) -> np.ndarray:
    """Return the IoU that belongs to a Dice coefficient D, D / (2 - D).

    The two order any two predictions for one mask alike; their means over masks need not.

    Raises
    ------
    ValueError
        If a value lies outside 0 to 1; NaN passes.

    Examples
    --------
    >>> iou_from_dice([0, 0.8, 1])
    array([0.        , 0.66666667, 1.        ])
    """
    dice = float_array(dice, "dice")
    refuse((dice < 0) | (dice > 1), dice, "dice must lie from 0 to 1")
    return dice / (2 - dice)


def dice(mask1: np.ndarray, mask2: np.ndarray, empty: float = 1.0) -> np.ndarray:
    """Return the Dice coefficient of masks: twice the overlap over the sum of areas (Dice 1945).

    Parameters
    ----------
    mask1, mask2 : arrays (..., height, width)
        Of the same shape, compared one by one.
    empty : float
        The value where both masks are empty, 0 / 0. Where only one is, the result is 0.

    Returns
    -------
    float64 array (...)

    Raises
    ------
    ValueError
        If one is no mask, there are fewer than two axes, or the shapes differ.

    Examples
    --------
    >>> dice([[1, 1, 0]], [[0, 1, 1]])
    np.float64(0.5)
    >>> dice(np.zeros((2, 4, 4)), np.zeros((2, 4, 4)))
    array([1., 1.])
    """
    mask1, mask2 = check_masks(mask1, "mask1", None), check_masks(mask2, "mask2", None)
    if mask1.shape != mask2.shape or mask1.ndim < 2:
        raise ValueError(
            "mask1 and mask2 must have the same shape (..., height, width), "
            f"got {mask1.shape} and {mask2.shape}"
        )
    shared = 2.0 * (mask1 & mask2).sum(axis=(-2, -1))
    sizes = mask1.sum(axis=(-2, -1)) + mask2.sum(axis=(-2, -1))
    return np.where(sizes == 0, empty, shared / np.maximum(sizes, 1))[()]


def _hits_and_sizes(confusion):
    """Return the diagonal and the sum of row and column for each class."""
    confusion = float_array(confusion, "confusion").astype(np.float64)
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must have shape (classes, classes), got {confusion.shape}")
    refuse(~(confusion >= 0), confusion, "confusion must hold counts >= 0")
    return np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)


def _ratio(part, whole):
    """Return part / whole, and NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
