"""Anchors: boxes of fixed shapes on a grid, and which of them answers for which object.

Boxes are xyxy in pixels, as in :mod:`cvlab.boxes`; IoU is :func:`cvlab.iou.box_iou`.
An anchor sits in the middle of a grid cell, at ((column + 0.5) stride, (row + 0.5) stride).
A ratio is **height / width**, a size the square root of the area, both as in Faster R-CNN.
Order: row by row, column by column, then size by size, then ratio by ratio.
A match is the index of a box, or ``BACKGROUND`` (-1), or ``IGNORED`` (-2: neither one nor other).

Derived in chapter 13-detection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvlab._validate import float_array, integers, refuse
from cvlab.boxes import check_boxes
from cvlab.iou import box_iou

BACKGROUND, IGNORED = -1, -2


def make_anchors(
    grid: tuple[int, int],
    stride: int | tuple[int, int],
    sizes: Sequence[float],
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
) -> np.ndarray:
    """Return the anchors of every cell of a grid.

    Parameters
    ----------
    grid : (int, int)
        Rows and columns of the feature map.
    stride : int or (int, int)
        Pixels of the image from one cell to the next, down and across.
    sizes : sequence of float
        Square roots of the anchors' areas, in pixels.
    ratios : sequence of float
        Height / width.

    Returns
    -------
    array (rows * columns * sizes * ratios, 4)
        Some reach beyond the image.

    Raises
    ------
    ValueError
        If the grid or the stride is not made of integers of at least 1, or a size or ratio is not
        positive.

    Examples
    --------
    >>> make_anchors((1, 2), stride=16, sizes=[8], ratios=[1, 4])
    array([[ 4.,  4., 12., 12.],
           [ 6.,  0., 10., 16.],
           [20.,  4., 28., 12.],
           [22.,  0., 26., 16.]])
    """
    (rows, columns), (down, across) = integers(grid, "grid", 1), integers(stride, "stride", 1)
    size, ratio = np.meshgrid(_positive(sizes, "sizes"), _positive(ratios, "ratios"), indexing="ij")
    width, height = (size / np.sqrt(ratio)).ravel(), (size * np.sqrt(ratio)).ravel()
    shapes = np.stack([-width, -height, width, height], axis=-1) / 2
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) * down, (np.arange(columns) + 0.5) * across, indexing="ij"
    )
    centres = np.stack([x, y, x, y], axis=-1)
    return (centres[:, :, None] + shapes).reshape(-1, 4)


def match_anchors(
    anchors: np.ndarray, boxes: np.ndarray, *, positive: float = 0.5, negative: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """Return which box each anchor is to find, and the boxes that are left without an anchor.

    1. An anchor whose best IoU is at least `positive` gets the box of that IoU (the first of
       equals); below `negative` it is background; between the two it is ignored in training.
    2. Then every box gets one anchor of its own, whatever the IoU: the pairs are picked by falling
       IoU, as in SSD (Liu et al. 2016, arXiv:1512.02325, section 2.2). A box that overlaps no
       anchor that is still free is reported.

    Parameters
    ----------
    anchors : array (number of anchors, 4)
    boxes : array (number of boxes, 4)
        The true boxes.
    positive, negative : float
        From 0 to 1, `negative` not above `positive`.

    Returns
    -------
    match : int array (number of anchors,)
        Index of a box, or -1 for background, or -2 for ignored.
    missed : int array
        Indices of the boxes that no anchor answers for.

    Raises
    ------
    ValueError
        If `anchors` or `boxes` are no boxes, or the limits are not in order.

    Examples
    --------
    >>> anchors = [[0, 0, 4, 4], [4, 0, 8, 4], [8, 0, 12, 4]]
    >>> match_anchors(anchors, [[0, 0, 4, 4], [7, 0, 9, 2], [90, 90, 99, 99]])
    (array([ 0,  1, -1]), array([2]))
    """
    anchors, boxes = check_boxes(anchors, "anchors", ndim=2), check_boxes(boxes, ndim=2)
    if not 0 <= negative <= positive <= 1:
        raise ValueError(
            "negative and positive must satisfy 0 <= negative <= positive <= 1, "
            f"got {negative!r} and {positive!r}"
        )
    match = np.full(len(anchors), BACKGROUND)
    if len(anchors) and len(boxes):
        overlap = box_iou(anchors, boxes)
        best = overlap.max(axis=1)
        match[best >= negative] = IGNORED
        match[best >= positive] = overlap.argmax(axis=1)[best >= positive]
        for _ in range(min(overlap.shape)):
            anchor, box = np.unravel_index(overlap.argmax(), overlap.shape)
            if overlap[anchor, box] <= 0:
                break
            match[anchor] = box
            overlap[anchor], overlap[:, box] = -1, -1  # both are taken
    return match, np.setdiff1d(np.arange(len(boxes)), match)


def _positive(values, name):
    """Return a sequence of positive numbers as float64."""
    array = float_array(values, name, 1, "(values)").astype(np.float64)
    refuse(~((array > 0) & np.isfinite(array)), array, f"{name} must be positive")
    return array
