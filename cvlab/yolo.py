"""Targets of grid detectors: YOLO's cells (version 1) and cells with anchors (version 2).

Boxes are xyxy in pixels, as in :mod:`cvlab.boxes`; a size is (height, width) in pixels.
The cell [row, column] that holds the centre of a box answers for it. A centre on the line between
    two cells belongs to the one below or to the right, one on the image's far border to the last.
A target lists x, y (the centre, 0 to 1 inside its cell), the size, 1 for an object, and one-hot
    classes; where there is no object all are 0. Version 1 stores the square roots of width and
    height relative to the image, version 2 their logarithms relative to the anchor.
Two boxes in one place collide: the first stays, the others are reported.

Sources: J. Redmon et al., "You only look once", 2016, arXiv:1506.02640; J. Redmon and A. Farhadi,
"YOLO9000", 2017, arXiv:1612.08242. Derived in chapter 13-detection.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, integer, integers, refuse
from cvlab.boxes import box_convert, check_boxes
from cvlab.iou import box_iou


class Targets(NamedTuple):
    """What a grid detector should answer for one image.

    Attributes
    ----------
    values : array (rows, columns, 5 + classes) or (rows, columns, anchors, 5 + classes)
        See the conventions of this module.
    collisions : int array
        Indices of the boxes that are not in `values`, because their place was taken.
    """

    values: np.ndarray
    collisions: np.ndarray


class Decoded(NamedTuple):
    """The boxes that a grid detector's answer stands for, row by row and column by column.

    Attributes
    ----------
    boxes : array (number of boxes, 4)
        In format xyxy, in pixels; not clipped to the image.
    scores : array (number of boxes,)
        Objectness times the probability of the best class.
    labels : int array (number of boxes,)
        The best class.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def encode_cells(
    boxes: np.ndarray,
    labels: np.ndarray,
    grid: tuple[int, int],
    size: tuple[int, int],
    classes: int,
) -> Targets:
    """Return the target of YOLO version 1 for one image.

    Parameters
    ----------
    boxes : array (number of boxes, 4)
        With a positive width and height, and the centre in the image.
    labels : int array (number of boxes,)
        From 0 to classes - 1.
    grid : (int, int)
        Rows and columns of cells.
    size : (int, int)
        Height and width of the image.
    classes : int

    Returns
    -------
    Targets
        With values (rows, columns, 5 + classes): x, y, root of width, root of height, 1, classes.

    Raises
    ------
    ValueError
        If a box, a label, the grid or the size is not as above.

    Examples
    --------
    >>> boxes = [[24, 20, 40, 36], [26, 22, 38, 34], [0, 0, 4, 4]]
    >>> targets = encode_cells(boxes, [2, 0, 1], grid=(4, 4), size=(64, 64), classes=3)
    >>> targets.values[1, 2], targets.collisions
    (array([0.  , 0.75, 0.5 , 0.5 , 1.  , 0.  , 0.  , 1.  ]), array([1]))
    """
    centres, sides, labels, classes = _checked(boxes, labels, size, classes)
    grid = integers(grid, "grid", 1)
    cells, offsets = _cells(centres, grid, size)
    values = np.zeros((*grid, 5 + classes), sides.dtype)
    return _fill(values, cells, np.hstack([offsets, np.sqrt(sides / _sides(size))]), labels)


def decode_cells(
    predictions: np.ndarray,
    size: tuple[int, int],
    *,
    boxes_per_cell: int = 1,
    score_threshold: float = 0.0,
) -> Decoded:
    """Return the boxes in an answer of YOLO version 1; the inverse of :func:`encode_cells`.

    Parameters
    ----------
    predictions : array (rows, columns, 5 boxes_per_cell + classes)
        For each box x, y, root of width, root of height, objectness; then the class probabilities,
        which the boxes of a cell share (for 2 boxes and 20 classes on a 7 x 7 grid: 7 x 7 x 30).
    size : (int, int)
        Height and width of the image.
    boxes_per_cell : int
    score_threshold : float
        Boxes with a score above it are returned.

    Raises
    ------
    ValueError
        If the predictions have another rank, no room for one class, or are not finite.

    Examples
    --------
    >>> targets = encode_cells([[24, 20, 40, 36]], [2], grid=(4, 4), size=(64, 64), classes=3)
    >>> decode_cells(targets.values, size=(64, 64))
    Decoded(boxes=array([[24., 20., 40., 36.]]), scores=array([1.]), labels=array([2]))
    """
    predictions = float_array(predictions, "predictions", 3, "(rows, columns, values)")
    count = integer(boxes_per_cell, "boxes_per_cell", 1)
    _check_predictions(predictions, 5 * count + 1)
    places = predictions[..., : 5 * count].reshape(*predictions.shape[:2], count, 5)
    chances = predictions[..., None, 5 * count :]
    sides = places[..., 2:4] ** 2 * _sides(size)
    return _decoded(places[..., :2], sides, places[..., 4], chances, size, score_threshold)


def encode_anchors(
    boxes: np.ndarray,
    labels: np.ndarray,
    grid: tuple[int, int],
    size: tuple[int, int],
    classes: int,
    anchors: np.ndarray,
) -> Targets:
    """Return the target of YOLO version 2 for one image.

    Of the anchors in its cell, a box belongs to the one most like it in shape: with the largest
    IoU once both have the same centre.

    Parameters
    ----------
    boxes, labels, grid, size, classes
        As in :func:`encode_cells`.
    anchors : array (anchors, 2)
        Widths and heights, in pixels.

    Returns
    -------
    Targets
        With values (rows, columns, anchors, 5 + classes): x, y, log(width / anchor's width),
        log(height / anchor's height), 1, classes. x and y are what the network's sigmoid is to
        give (the paper's sigma(t_x) and sigma(t_y)).

    Raises
    ------
    ValueError
        As in :func:`encode_cells`, or if an anchor is not positive.

    Examples
    --------
    >>> targets = encode_anchors(
    ...     [[24, 20, 40, 36], [20, 10, 44, 46]], [1, 0], (4, 4), (64, 64), 2, [[16, 16], [24, 36]]
    ... )
    >>> targets.values[1, 2]
    array([[0.  , 0.75, 0.  , 0.  , 1.  , 0.  , 1.  ],
           [0.  , 0.75, 0.  , 0.  , 1.  , 1.  , 0.  ]])
    """
    centres, sides, labels, classes = _checked(boxes, labels, size, classes)
    grid = integers(grid, "grid", 1)
    anchors = _checked_anchors(anchors)
    cells, offsets = _cells(centres, grid, size)
    corner = ((0, 0), (2, 0))  # from sides to boxes that share a corner, as good as a centre
    best = box_iou(np.pad(sides, corner), np.pad(anchors, corner)).argmax(axis=1)
    values = np.zeros((*grid, len(anchors), 5 + classes), sides.dtype)
    places = np.column_stack([cells, best])
    return _fill(values, places, np.hstack([offsets, np.log(sides / anchors[best])]), labels)


def decode_anchors(
    predictions: np.ndarray,
    size: tuple[int, int],
    anchors: np.ndarray,
    *,
    logits: bool = False,
    score_threshold: float = 0.0,
) -> Decoded:
    """Return the boxes in an answer of YOLO version 2; the inverse of :func:`encode_anchors`.

    Parameters
    ----------
    predictions : array (rows, columns, anchors, 5 + classes)
        In the layout of :func:`encode_anchors`.
    size : (int, int)
        Height and width of the image.
    anchors : array (anchors, 2)
        Widths and heights, in pixels.
    logits : bool
        The predictions come straight from the network: x, y and objectness still need a sigmoid,
        the classes a softmax (YOLO9000, section 2).
    score_threshold : float
        Boxes with a score above it are returned.

    Raises
    ------
    ValueError
        If the predictions have another shape or are not finite, or an anchor is not positive.

    Examples
    --------
    >>> raw = np.zeros((1, 1, 1, 7))
    >>> decode_anchors(raw, size=(8, 8), anchors=[[4, 2]], logits=True)
    Decoded(boxes=array([[2., 3., 6., 5.]]), scores=array([0.25]), labels=array([0]))
    """
    layout = "(rows, columns, anchors, 5 + classes)"
    predictions, anchors = (
        float_array(predictions, "predictions", 4, layout),
        _checked_anchors(anchors),
    )
    _check_predictions(predictions, 6)
    if predictions.shape[2] != len(anchors):
        raise ValueError(
            f"predictions must have the shape {layout} for {len(anchors)} anchors, "
            f"got shape {predictions.shape}"
        )
    offsets, objectness, chances = predictions[..., :2], predictions[..., 4], predictions[..., 5:]
    if logits:
        offsets, objectness = _sigmoid(offsets), _sigmoid(objectness)
        chances = np.exp(chances - chances.max(axis=-1, keepdims=True))
        chances = chances / chances.sum(axis=-1, keepdims=True)
    sides = anchors.astype(predictions.dtype) * np.exp(predictions[..., 2:4])
    return _decoded(offsets, sides, objectness, chances, size, score_threshold)


def _cells(centres, grid, size):
    """Return the cells [row, column] of centres in pixels, and (x, y) inside them, 0 to 1."""
    rows, columns = grid
    position = centres / _sides(size) * np.array([columns, rows], np.float32)
    cells = np.minimum(position.astype(int), [columns - 1, rows - 1])
    return cells[:, ::-1], position - cells.astype(position.dtype)


def _fill(values, places, numbers, labels):
    """Write x, y and size, objectness and class of each box at its place, if that is free."""
    collisions = []
    for index, place in enumerate(map(tuple, places)):
        record = values[place]
        if record[4]:
            collisions.append(index)
        else:
            record[:4] = numbers[index]
            record[[4, 5 + labels[index]]] = 1
    return Targets(values, np.array(collisions, int))


def _decoded(offsets, sides, objectness, chances, size, score_threshold):
    """Return the boxes that score above the threshold, of all cells and boxes in a cell."""
    rows, columns = offsets.shape[:2]
    corners = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)[:, :, None]
    position = offsets + corners.astype(offsets.dtype)
    centres = position / np.array([columns, rows], np.float32) * _sides(size)
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
    scores = objectness * chances.max(axis=-1)
    labels = np.broadcast_to(chances.argmax(axis=-1), scores.shape)
    chosen = scores > score_threshold
    return Decoded(boxes[chosen], scores[chosen], labels[chosen])


def _sigmoid(x):
    return 0.5 + 0.5 * np.tanh(x / 2)


def _sides(size):
    """Return width and height of an image as an array."""
    return np.array(integers(size, "size", 1)[::-1], np.float32)


def _checked(boxes, labels, size, classes):
    """Return centres (x, y), sides (width, height), labels and the number of classes."""
    boxes, labels = check_boxes(boxes, ndim=2), np.asarray(labels)
    classes = integer(classes, "classes", 1)
    centres, sides = np.split(box_convert(boxes, "xyxy", "cxcywh"), 2, axis=1)
    refuse((sides == 0).any(axis=1), boxes, "boxes must have a positive width and height")
    outside = ((centres < 0) | (centres > _sides(size))).any(axis=1)
    refuse(outside, boxes, f"boxes must have their centres in the image of size {size}")
    if labels.shape != (len(boxes),) or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(
            f"labels must be {len(boxes)} integers, got shape {labels.shape} of {labels.dtype}"
        )
    refuse((labels < 0) | (labels >= classes), labels, f"labels must be from 0 to {classes - 1}")
    return centres, sides, labels, classes


def _checked_anchors(anchors):
    """Return anchors (number of anchors, 2) that are positive."""
    anchors = float_array(anchors, "anchors", 2, "(anchors, 2)")
    if anchors.shape[1] != 2 or not len(anchors):
        raise ValueError(f"anchors must have shape (anchors, 2), got shape {anchors.shape}")
    refuse(~((anchors > 0) & np.isfinite(anchors)), anchors, "anchors must be positive")
    return anchors


def _check_predictions(predictions, least):
    """Refuse predictions without room for one box and one class, or with NaN."""
    if predictions.shape[-1] < least:
        raise ValueError(
            f"predictions must have at least {least} values on the last axis, 5 for each box and "
            f"1 for a class, got shape {predictions.shape}"
        )
    refuse(~np.isfinite(predictions), predictions, "predictions must be finite")
