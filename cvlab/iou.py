"""Overlap of boxes: intersection over union (IoU) and its descendants.

Boxes are xyxy with continuous edges, as in :mod:`cvlab.boxes`; any unit, the measures have none.
N boxes against M give a table (N, M); with ``paired=True`` box i meets box i: a result (N,).
Width and height of an intersection are cut off at 0 one by one: two negatives make no overlap.
No epsilon: 0 / 0 is 0, so two boxes without area have an IoU of 0, even if they are the same.
float32 in, float32 out; the table is filled a block of rows at a time, which stays in the cache.

The names are those of ``torchvision.ops``. Derived in chapter 12-localization.
"""

from __future__ import annotations

import numpy as np

from cvlab.boxes import check_boxes

BLOCK = 2**15  # numbers in a block of rows


def box_intersection(boxes1: np.ndarray, boxes2: np.ndarray, *, paired: bool = False) -> np.ndarray:
    """Return the area that two boxes share, in the unit of the coordinates squared.

    Parameters, shapes and errors are those of :func:`box_iou`.

    Examples
    --------
    >>> box_intersection([[0, 0, 4, 4]], [[1, 2, 9, 9], [5, 5, 9, 9]])
    array([[6., 0.]])
    """
    return _compare(_intersection, boxes1, boxes2, paired)


def box_iou(boxes1: np.ndarray, boxes2: np.ndarray, *, paired: bool = False) -> np.ndarray:
    """Return the intersection over union, the Jaccard index, from 0 (apart) to 1 (equal).

    Parameters
    ----------
    boxes1 : array (N, 4)
    boxes2 : array (M, 4)
        In format xyxy.
    paired : bool
        Compare box i with box i only; N and M must be the same.

    Returns
    -------
    array (N, M), or (N,) if paired

    Raises
    ------
    ValueError
        If one of the arrays holds no boxes, or paired arrays differ in length.

    Examples
    --------
    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 1, 1], [4, 4, 5, 5]])
    array([[0.33333333, 0.25      , 0.        ]])
    """
    return _compare(_iou, boxes1, boxes2, paired)


def generalized_box_iou(
    boxes1: np.ndarray, boxes2: np.ndarray, *, paired: bool = False
) -> np.ndarray:
    """Return the GIoU, which falls on towards -1 as boxes that do not touch move apart.

    GIoU = IoU - (area of the hull - area of the union) / area of the hull, where the hull is the
    smallest box around both (Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1).
    Parameters, shapes and errors are those of :func:`box_iou`.

    Examples
    --------
    >>> generalized_box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1], [1, 0, 2, 1], [3, 0, 4, 1]])
    array([[ 1. ,  0. , -0.5]])
    """
    return _compare(_generalized_iou, boxes1, boxes2, paired)


def distance_box_iou(boxes1: np.ndarray, boxes2: np.ndarray, *, paired: bool = False) -> np.ndarray:
    """Return the DIoU, which subtracts how far apart the centres are, from IoU.

    DIoU = IoU - d^2 / c^2 with the distance d of the centres and the diagonal c of the smallest
    box around both (Zheng et al. 2020, arXiv:1911.08287).
    Parameters, shapes and errors are those of :func:`box_iou`.

    Examples
    --------
    >>> distance_box_iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [2, 2, 4, 4]])
    array([[ 1.  , -0.25]])
    """
    return _compare(_distance_iou, boxes1, boxes2, paired)


def complete_box_iou(boxes1: np.ndarray, boxes2: np.ndarray, *, paired: bool = False) -> np.ndarray:
    """Return the CIoU, which subtracts from DIoU how much the aspect ratios differ.

    CIoU = DIoU - a v with v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2 and the weight
    a = v / (1 - IoU + v) (Zheng et al. 2020, arXiv:1911.08287).
    Parameters, shapes and errors are those of :func:`box_iou`.

    Examples
    --------
    >>> complete_box_iou([[0, 0, 4, 2]], [[0, 0, 4, 2], [1, -1, 3, 3]]).round(4)
    array([[1.    , 0.2996]])
    """
    return _compare(_complete_iou, boxes1, boxes2, paired)


def _compare(measure, boxes1, boxes2, paired):
    """Return `measure` of checked boxes, for all pairs or row by row."""
    boxes1, boxes2 = check_boxes(boxes1, "boxes1", ndim=2), check_boxes(boxes2, "boxes2", ndim=2)
    if not paired:
        return _table(measure, boxes1, boxes2)
    if len(boxes1) != len(boxes2):
        raise ValueError(
            "boxes1 and boxes2 must have the same length to be paired, "
            f"got {len(boxes1)} and {len(boxes2)}"
        )
    return measure(boxes1.T, boxes2.T)


def _table(measure, boxes1, boxes2):
    """Return `measure` of every box of `boxes1` with every box of `boxes2`, (N, M).

    A measure takes two lists of four coordinates, here columns (rows, 1) and rows (M,).
    """
    result = np.empty((len(boxes1), len(boxes2)), np.result_type(boxes1, boxes2))
    columns = np.ascontiguousarray(boxes2.T)
    rows = max(1, BLOCK // max(1, len(boxes2)))
    for i in range(0, len(boxes1), rows):
        result[i : i + rows] = measure(boxes1[i : i + rows].T[:, :, None], columns)
    return result


def _intersection(a, b):
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def _area(a):
    return (a[2] - a[0]) * (a[3] - a[1])


def _ratio(part, whole):
    """Return part / whole, and 0 where both are 0."""
    return part / (whole + (whole == 0))


def _iou(a, b):
    intersection = _intersection(a, b)
    return _ratio(intersection, _area(a) + _area(b) - intersection)


def _hull(a, b):
    """Return width and height of the smallest box around both."""
    width = np.maximum(a[2], b[2]) - np.minimum(a[0], b[0])
    height = np.maximum(a[3], b[3]) - np.minimum(a[1], b[1])
    return width, height


def _generalized_iou(a, b):
    intersection = _intersection(a, b)
    union = _area(a) + _area(b) - intersection
    width, height = _hull(a, b)
    return _ratio(intersection, union) - _ratio(width * height - union, width * height)


def _distance_iou(a, b):
    width, height = _hull(a, b)
    across = (a[0] + a[2] - b[0] - b[2]) / 2
    down = (a[1] + a[3] - b[1] - b[3]) / 2
    return _iou(a, b) - _ratio(across**2 + down**2, width**2 + height**2)


def _complete_iou(a, b):
    angles = (np.arctan2(box[2] - box[0], box[3] - box[1]) for box in (a, b))  # of w / h
    shape = (2 / np.pi * np.subtract(*angles)) ** 2
    return _distance_iou(a, b) - _ratio(shape**2, 1 - _iou(a, b) + shape)
