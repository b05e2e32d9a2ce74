"""Average precision (AP): one number for a whole ranking of detections.

Precision is the share of detections that are right, recall the share of objects that are found.
Both are taken after each detection, best score first; ties as in :mod:`cvlab.detection`.
AP averages over recall the interpolated precision: the best at that recall or any higher one.
Rules: ``"coco"`` averages at recalls 0, 0.01, ... 1; ``"voc"`` takes the area under the curve (VOC
    since 2010); ``"voc2007"`` averages at recalls 0, 0.1, ... 1. A recall never reached counts 0.
Without objects recall is undefined: AP is NaN (pycocotools writes -1), and the mean leaves it out.

Sources: M. Everingham et al., "The PASCAL visual object classes challenge", 2010,
doi:10.1007/s11263-009-0275-4, section 4.2; pycocotools. Derived in chapter 13-detection.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, integer, refuse
from cvlab.detection import Detections, Truth, match_detections

# Recalls such as 0.3 must equal 3 / 10 to the last bit, or a point is lost. COCO's are rounded as
# pycocotools rounds them, which loses a point at 0.57 of 100 objects, but gives the same numbers.
RECALLS = {"coco": np.linspace(0, 1, 101), "voc2007": np.arange(11) / 10}
RULES = ("coco", "voc", "voc2007")


class MeanAveragePrecision(NamedTuple):
    """AP of each class and their mean.

    Attributes
    ----------
    mean : float
        Over the classes that have objects; NaN if none has.
    per_class : dict
        From label to AP; NaN for a class that was detected but has no objects.
    """

    mean: float
    per_class: dict


def precision_recall(
    hits: np.ndarray, scores: np.ndarray, objects: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall after each detection, best score first.

    Parameters
    ----------
    hits : bool array (detections,)
        Which detections are true positives. Leave out those that do not count at all.
    scores : array (detections,)
        Equal scores stay in the order given.
    objects : int
        How many there are to find, at least 1.

    Returns
    -------
    precision, recall : arrays (detections,)

    Raises
    ------
    ValueError
        If the arrays do not match, a score is not finite, there are no objects, or more hits
        than objects.

    Examples
    --------
    >>> precision_recall([True, True, False], scores=[0.7, 0.9, 0.8], objects=4)
    (array([1.        , 0.5       , 0.66666667]), array([0.25, 0.25, 0.5 ]))
    """
    scores = float_array(scores, "scores", 1, "(detections,)")
    hits = float_array(hits, "hits", 1, "(detections,)").astype(np.float64)
    objects = integer(objects, "objects", 1)
    if hits.shape != scores.shape:
        raise ValueError(f"hits must be one for each of {len(scores)} scores, got {len(hits)}")
    refuse(~np.isfinite(scores), scores, "scores must be finite")
    refuse((hits != 0) & (hits != 1), hits, "hits must be 0 or 1")
    if hits.sum() > objects:
        raise ValueError(f"objects must not be fewer than the {hits.sum():.0f} hits, got {objects}")
    found = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    return found / np.arange(1, len(found) + 1), found / objects


def average_precision(precision: np.ndarray, recall: np.ndarray, rule: str = "coco") -> float:
    """Return the average precision of one class.

    Parameters
    ----------
    precision, recall : arrays (detections,)
        As :func:`precision_recall` returns them: recall never falls.
    rule : {"coco", "voc", "voc2007"}
        See the conventions of this module.

    Returns
    -------
    float
        From 0 to 1; 0 without detections.

    Raises
    ------
    ValueError
        If the arrays do not match, their values are not from 0 to 1, recall falls, or the rule is
        unknown.

    Examples
    --------
    >>> precision, recall = [1.0, 0.5, 2 / 3], [0.5, 0.5, 1.0]
    >>> [round(average_precision(precision, recall, rule), 4) for rule in RULES]
    [0.835, 0.8333, 0.8485]
    """
    precision = float_array(precision, "precision", 1, "(detections,)").astype(np.float64)
    recall = float_array(recall, "recall", 1, "(detections,)").astype(np.float64)
    _check_rule(rule)
    if precision.shape != recall.shape:
        raise ValueError(
            f"precision and recall must be of one length, got {len(precision)} and {len(recall)}"
        )
    refuse(~((precision >= 0) & (precision <= 1)), precision, "precision must be from 0 to 1")
    refuse(~((recall >= 0) & (recall <= 1)), recall, "recall must be from 0 to 1")
    refuse(np.diff(recall, prepend=0) < 0, recall, "recall must not fall")
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or any higher one
    if rule == "voc":
        return float(np.sum(np.diff(recall, prepend=0) * best))
    first = np.searchsorted(recall, RECALLS[rule])  # first detection that reaches a recall
    return float(np.append(best, 0)[first].mean())


def mean_average_precision(
    truth: Truth, detections: Detections, iou_threshold: float = 0.5, *, rule: str = "coco"
) -> MeanAveragePrecision:
    """Return the AP of every class at one IoU threshold, and their mean (mAP).

    Parameters
    ----------
    truth : Truth
    detections : Detections
    iou_threshold : float
        The least IoU of a hit, above 0, at most 1.
    rule : {"coco", "voc", "voc2007"}
        For AP, see the conventions of this module; for what a hit is, see
        :func:`cvlab.detection.match_detections`. The mean over ten thresholds that COCO calls AP
        is in :mod:`cvlab.coco_evaluation`, with COCO's limit of 100 detections an image.

    Raises
    ------
    ValueError
        If the threshold is out of range or the rule unknown.

    Examples
    --------
    >>> truth = Truth([[0, 0, 9, 9], [20, 0, 29, 9]], labels=["cat", "dog"])
    >>> found = Detections([[0, 0, 9, 8]] * 2, scores=[0.9, 0.8], labels=["cat", "dog"])
    >>> mean_average_precision(truth, found)
    MeanAveragePrecision(mean=0.5, per_class={'cat': 1.0, 'dog': 0.0})
    """
    _check_rule(rule)
    matches = match_detections(
        truth, detections, iou_threshold, rule="coco" if rule == "coco" else "voc"
    )
    order = detections.order()
    per_class = {}
    for label in np.unique(np.concatenate([truth.labels, detections.labels])).tolist():
        objects = np.count_nonzero((truth.labels == label) & ~truth.crowd)
        counted = order[(detections.labels[order] == label) & ~matches.ignored[order]]
        if objects:
            curve = precision_recall(matches.hit[counted], detections.scores[counted], objects)
            per_class[label] = average_precision(*curve, rule)
        else:
            per_class[label] = float("nan")
    defined = [value for value in per_class.values() if value == value]
    return MeanAveragePrecision(float(np.mean(defined)) if defined else float("nan"), per_class)


def _check_rule(rule):
    if rule not in RULES:
        raise ValueError(f"rule must be one of {RULES}, got {rule!r}")
