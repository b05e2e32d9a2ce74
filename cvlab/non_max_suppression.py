"""Non-max suppression: of many boxes around one object, keep the best.

Boxes are xyxy, as in :mod:`cvlab.boxes`; IoU is :func:`cvlab.iou.box_iou`.
The best box suppresses those that overlap it too much, then the best of the rest, and so on; a
    suppressed box suppresses nobody. "Too much" is IoU > threshold: at the threshold both stay.
Ties: of equal scores, the box given first goes first. No boxes in, no boxes out; NaN is an error.
Results are indices into the input, best score first.

The names are those of ``torchvision.ops``. Derived in chapter 13-detection.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, refuse
from cvlab.boxes import check_boxes
from cvlab.iou import box_iou

BLOCK = 256  # boxes compared at once


def nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Return the indices of the boxes that greedy non-max suppression keeps.

    Boxes are taken in blocks, best scores first. A block first loses the boxes that one of those
    kept from earlier blocks suppresses, then its own boxes decide one after the other. The result
    is that of the plain loop over single boxes.

    Parameters
    ----------
    boxes : array (number of boxes, 4)
        In format xyxy.
    scores : array (number of boxes,)
    iou_threshold : float
        From 0 to 1.

    Returns
    -------
    int array (number of boxes kept,)
        By falling score.

    Raises
    ------
    ValueError
        If `boxes` are no boxes, the scores do not match them or are not finite, or the threshold
        lies outside 0 to 1.

    Examples
    --------
    >>> boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]
    >>> nms(boxes, [0.8, 0.9, 0.7], iou_threshold=0.5)
    array([1, 2])
    """
    boxes, scores = _checked(boxes, scores)
    iou_threshold = _fraction(iou_threshold, "iou_threshold")
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    kept = np.zeros(0, int)
    for start in range(0, len(boxes), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(boxes)))
        for first in range(0, len(kept), BLOCK):
            rivals = boxes[kept[first : first + BLOCK]]
            block = block[~(box_iou(boxes[block], rivals) > iou_threshold).any(axis=1)]
        overlap = box_iou(boxes[block], boxes[block]) > iou_threshold
        alive = np.ones(len(block), bool)
        for i in range(len(block)):
            if alive[i]:
                alive[i + 1 :] &= ~overlap[i, i + 1 :]
        kept = np.concatenate([kept, block[alive]])
    return order[kept]


def batched_nms(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Return the indices of the boxes that :func:`nms` keeps, class by class.

    A box suppresses boxes with its own label only.

    Parameters
    ----------
    boxes, scores, iou_threshold
        As in :func:`nms`.
    labels : array (number of boxes,)
        The class of each box, or whatever else keeps boxes apart, such as their image.

    Returns
    -------
    int array (number of boxes kept,)
        By falling score, all classes together.

    Raises
    ------
    ValueError
        As :func:`nms`, or if there is not one label for each box.

    Examples
    --------
    >>> boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]
    >>> batched_nms(boxes, [0.8, 0.9, 0.7], labels=[0, 1, 1], iou_threshold=0.5)
    array([1, 0, 2])
    """
    boxes, scores = _checked(boxes, scores)
    labels = np.asarray(labels)
    if labels.shape != scores.shape:
        raise ValueError(
            f"labels must have shape {scores.shape}, one for each box, got shape {labels.shape}"
        )
    kept = np.zeros(len(boxes), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        kept[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    order = np.argsort(-scores, kind="stable")
    return order[kept[order]]


def soft_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    method: str = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.001,
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes with scores that sink, instead of vanish, next to better boxes.

    Again and again the best remaining box is taken, and every box that remains has its score s
    lowered by its IoU with that one (Bodla et al. 2017, arXiv:1704.04503, section 3):
    ``"linear"`` to s (1 - IoU) if IoU >= `iou_threshold`, ``"gaussian"`` to s exp(-IoU^2 / sigma).
    Boxes whose score falls below `score_threshold` are dropped.

    Parameters
    ----------
    boxes : array (number of boxes, 4)
        In format xyxy.
    scores : array (number of boxes,)
        At least 0.
    method : {"gaussian", "linear"}
    sigma : float
        Used by ``"gaussian"``; positive.
    iou_threshold : float
        Used by ``"linear"``; from 0 to 1.
    score_threshold : float

    Returns
    -------
    kept : int array (number of boxes kept,)
        In the order in which they were taken, which is that of their new scores.
    new_scores : array (number of boxes kept,)
        The scores of `kept` when they were taken.

    Raises
    ------
    ValueError
        As :func:`nms`, or if a score is negative, the method is unknown or `sigma` not positive.

    Examples
    --------
    >>> kept, scores = soft_nms([[0, 0, 9, 9], [0, 0, 9, 9], [5, 0, 14, 9]], [0.9, 0.8, 0.7])
    >>> kept, scores.round(3)
    (array([0, 2, 1]), array([0.9  , 0.595, 0.092]))
    """
    boxes, scores = _checked(boxes, scores)
    iou_threshold = _fraction(iou_threshold, "iou_threshold")
    if method not in ("gaussian", "linear"):
        raise ValueError(f'method must be "gaussian" or "linear", got {method!r}')
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma!r}")
    refuse(scores < 0, scores, "scores must be at least 0")
    scores, kept = scores.copy(), []
    remaining = np.flatnonzero(scores >= score_threshold)
    while len(remaining):
        best = remaining[np.argmax(scores[remaining])]
        kept.append(best)
        remaining = remaining[remaining != best]
        overlap = box_iou(boxes[best : best + 1], boxes[remaining])[0]
        if method == "gaussian":
            scores[remaining] *= np.exp(-(overlap**2) / sigma)
        else:
            scores[remaining] *= np.where(overlap >= iou_threshold, 1 - overlap, 1)
        remaining = remaining[scores[remaining] >= score_threshold]
    kept = np.array(kept, int)
    return kept, scores[kept]


def _checked(boxes, scores):
    """Return boxes and scores that belong together."""
    boxes, scores = (
        check_boxes(boxes, ndim=2),
        float_array(scores, "scores", 1, "(number of boxes,)"),
    )
    if len(scores) != len(boxes):
        raise ValueError(f"scores must be one for each of {len(boxes)} boxes, got {len(scores)}")
    refuse(~np.isfinite(scores), scores, "scores must be finite")
    return boxes, scores


def _fraction(value, name):
    """Return `value` as a float from 0 to 1."""
    if not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")
    return float(value)
