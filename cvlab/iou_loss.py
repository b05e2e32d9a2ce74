"""Overlap of boxes as a loss: 1 - IoU or 1 - GIoU, and the gradient.

Boxes are xyxy with continuous edges, as in :mod:`cvlab.iou`; box i is compared with box i.
The loss is the mean over the N boxes; the gradient belongs to it and is taken with respect to the
    edges x0, y0, x1, y1 of the predicted boxes.
At a kink, where two edges coincide, the edge of the predicted box does not count as the one that
    bounds the intersection or the hull: one of the possible values.

Sources: Yu et al. 2016, arXiv:1608.01471 (IoU); Rezatofighi et al. 2019, arXiv:1902.09630 (GIoU).
Shown in chapter 05-training. Keras has the whole family in :mod:`cvlab.networks.box_losses`.
"""

from __future__ import annotations

import numpy as np

from cvlab.boxes import check_boxes
from cvlab.losses import Loss


def iou_loss(truth: np.ndarray, predicted: np.ndarray, *, generalized: bool = False) -> Loss:
    """Return the mean of 1 - IoU, or of 1 - GIoU, and its gradient.

    With the intersection I and the union U, d(I / U) = (U dI - I dU) / U^2. GIoU adds U / H - 1
    with the area H of the hull, the smallest box around both.

    Parameters
    ----------
    truth, predicted : array (N, 4)
        Boxes in format xyxy, with an area.
    generalized : bool
        Whether to take GIoU, which still says which way to go when boxes lie apart.

    Raises
    ------
    ValueError
        If the arrays hold no boxes, differ in length, are empty, or a box has no area.

    Examples
    --------
    >>> loss = iou_loss([[0, 0, 2, 2]], [[1, 0, 3, 2]])
    >>> round(loss.value, 4), loss.gradient.round(3)
    (0.6667, array([[ 0.333, -0.111,  0.111,  0.111]]))
    """
    truth, predicted = (
        _with_area(boxes, name) for boxes, name in ((truth, "truth"), (predicted, "predicted"))
    )
    if len(truth) != len(predicted) or not len(truth):
        raise ValueError(
            "truth and predicted must hold the same number of boxes, at least one, "
            f"got {len(truth)} and {len(predicted)}"
        )
    inward = (predicted - truth) * np.array([1, 1, -1, -1])  # how far each edge lies inside
    inner = np.where(inward > 0, predicted, truth)
    shared, d_shared = _area_and_slope(inner, inward > 0)
    own, d_own = _area_and_slope(predicted, True)
    union = own + _area_and_slope(truth, False)[0] - shared
    d_union = d_own - d_shared
    overlap = shared / union
    slope = (d_shared - overlap * d_union) / union
    if generalized:
        hull, d_hull = _area_and_slope(np.where(inward < 0, predicted, truth), inward < 0)
        overlap = overlap + union / hull - 1
        slope = slope + (d_union - union / hull * d_hull) / hull
    return Loss(float((1 - overlap).mean()), -slope / len(truth))


def _area_and_slope(boxes, moves):
    """Return areas (N, 1) and what they gain if the edges marked in `moves` grow, (N, 4)."""
    x0, y0, x1, y1 = boxes.T
    width, height = np.maximum(x1 - x0, 0), np.maximum(y1 - y0, 0)
    slope = np.stack([-height, -width, height, width], axis=1)
    area = (width * height)[:, np.newaxis]
    return area, np.where(moves & (area > 0), slope, 0)


def _with_area(boxes, name):
    boxes = check_boxes(boxes, name, ndim=2).astype(np.float64)
    empty = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    if empty.any():
        row = int(np.flatnonzero(empty)[0])
        raise ValueError(f"{name} must have an area, got {boxes[row].tolist()} in row {row}")
    return boxes
