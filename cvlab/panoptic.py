"""Panoptic quality (PQ): one score for countable things and amorphous stuff.

A panoptic map is (height, width, 2), integers: the class of each pixel and its instance number.
A segment is all pixels with the same class and instance; stuff has one instance, say 0.
A true and a predicted segment match if they have the same class and an IoU above 0.5. As segments
    do not overlap, no other one can do the same: matching needs no order and no scores.
Void is a label for the class of pixels that nobody has labelled. Where the truth is void, pixels
    are taken out of the predicted segments before their IoU is computed, and a segment without
    match is no false positive if more than half of it lies there. A void prediction says nothing.

Source: A. Kirillov et al., "Panoptic segmentation", 2019, arXiv:1801.00868, section 4. Its groups
of things (COCO's crowds) are not handled apart: make them void. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, integer, refuse
from cvlab.segmentation import check_labels


class PanopticQuality(NamedTuple):
    """PQ and its two factors, SQ and RQ.

    Attributes
    ----------
    pq, sq, rq : float
        Means over the classes that occur; NaN if none does. PQ = SQ x RQ holds for each class, not
        for the means.
    per_class : float64 array (classes, 3)
        PQ, SQ and RQ of each class; NaN for a class that is absent from truth and prediction.
    """

    pq: float
    sq: float
    rq: float
    per_class: np.ndarray


def panoptic_counts(
    truth: np.ndarray, prediction: np.ndarray, number_of_classes: int, void_label: int = 255
) -> np.ndarray:
    """Return for each class the sum of IoUs of matches, and how many segments are TP, FP and FN.

    Those of several images add up.

    Parameters
    ----------
    truth, prediction : int arrays (height, width, 2)
        Class, or void, and instance number of each pixel. The numbers need not agree.
    number_of_classes : int
    void_label : int
        Not one of the classes.

    Returns
    -------
    float64 array (number_of_classes, 4)
        Columns: sum of IoUs, true positives, false positives, false negatives.

    Raises
    ------
    ValueError
        If a map has another shape or type, a label is neither a class nor void, or `void_label`
        is a class.

    Examples
    --------
    >>> truth = np.stack([[[0, 0, 1, 1, 1]], [[0, 0, 1, 1, 2]]], axis=-1)
    >>> prediction = np.stack([[[0, 1, 1, 1, 1]], [[0, 7, 7, 7, 7]]], axis=-1)
    >>> panoptic_counts(truth, prediction, 2)
    array([[0., 0., 1., 1.],
           [0., 0., 1., 2.]])
    >>> panoptic_counts(truth, truth, 2)
    array([[1., 1., 0., 0.],
           [2., 2., 0., 0.]])
    """
    classes = integer(number_of_classes, "number_of_classes", 1)
    if 0 <= void_label < classes:
        raise ValueError(f"void_label must be no class from 0 to {classes - 1}, got {void_label!r}")
    truth = _checked_map(truth, "truth", classes, void_label)
    prediction = _checked_map(prediction, "prediction", classes, void_label)
    if truth.shape != prediction.shape:
        raise ValueError(
            "truth and prediction must have the same shape, "
            f"got {truth.shape} and {prediction.shape}"
        )
    true_class, true_index = _segments(truth)
    predicted_class, predicted_index = _segments(prediction)
    overlap = np.zeros((len(true_class), len(predicted_class)), np.int64)
    np.add.at(overlap, (true_index, predicted_index), 1)

    in_void = overlap[true_class == void_label].sum(axis=0)
    predicted_area = overlap.sum(axis=0)
    union = overlap.sum(axis=1)[:, None] + predicted_area - in_void - overlap
    match = (true_class[:, None] == predicted_class) & (2 * overlap > union)
    match[true_class == void_label] = False

    missed = (true_class != void_label) & ~match.any(axis=1)
    wrong = (predicted_class != void_label) & ~match.any(axis=0) & (2 * in_void <= predicted_area)
    rows, columns = np.nonzero(match)
    iou = overlap[rows, columns] / union[rows, columns]
    return np.stack(
        [
            np.bincount(true_class[rows], iou, classes).astype(np.float64),
            np.bincount(true_class[rows], minlength=classes),
            np.bincount(predicted_class[wrong], minlength=classes),
            np.bincount(true_class[missed], minlength=classes),
        ],
        axis=1,
    )


def panoptic_quality(counts: np.ndarray) -> PanopticQuality:
    """Return panoptic quality from counts, those of one image or the sum over many.

    PQ = sum of IoUs / (TP + FP / 2 + FN / 2). It is the product of the segmentation quality
    SQ = sum of IoUs / TP, how well matches fit, and the recognition quality
    RQ = TP / (TP + FP / 2 + FN / 2), the F1 score of finding segments. Without matches SQ is 0.

    Parameters
    ----------
    counts : array (classes, 4)
        From :func:`panoptic_counts`. Some of its rows give the quality of things alone, or stuff.

    Raises
    ------
    ValueError
        If `counts` has another shape or holds a negative number.

    Examples
    --------
    >>> quality = panoptic_quality([[1.5, 2, 1, 1], [0, 0, 0, 0]])
    >>> quality.pq, quality.sq, quality.rq
    (0.5, 0.75, 0.6666666666666666)
    """
    counts = float_array(counts, "counts").astype(np.float64)
    if counts.ndim != 2 or counts.shape[1] != 4:
        raise ValueError(f"counts must have shape (classes, 4), got {counts.shape}")
    refuse(~(counts >= 0), counts, "counts must be >= 0")
    iou, hits, wrong, missed = counts.T
    segments = hits + wrong / 2 + missed / 2
    present = segments > 0
    per_class = np.full((len(counts), 3), np.nan)
    segmentation = iou[present] / np.maximum(hits[present], 1)
    recognition = hits[present] / segments[present]
    per_class[present] = np.stack([segmentation * recognition, segmentation, recognition], axis=1)
    means = per_class[present].mean(axis=0) if present.any() else np.full(3, np.nan)
    return PanopticQuality(*means.tolist(), per_class)


def _checked_map(panoptic_map, name, classes, void_label):
    panoptic_map = check_labels(panoptic_map, name)
    if panoptic_map.ndim != 3 or panoptic_map.shape[2] != 2:
        raise ValueError(f"{name} must have shape (height, width, 2), got {panoptic_map.shape}")
    label = panoptic_map[..., 0]
    wrong = (label != void_label) & ((label < 0) | (label >= classes))
    refuse(wrong, label, f"{name} must hold classes from 0 to {classes - 1}, or {void_label}")
    return panoptic_map


def _segments(panoptic_map):
    """Return the class of each segment, void or not, and the index of each pixel's segment."""
    pairs, index = np.unique(panoptic_map.reshape(-1, 2), axis=0, return_inverse=True)
    return pairs[:, 0], index.ravel()
