"""Masks of objects: connected components, boxes, polygons, overlap.

A mask is (height, width), a stack of masks (number of masks, height, width); True, or 1, is inside.
A label map is (height, width) of integers: 0 is the background, each instance has a number >= 1.
Coordinates are continuous, as in :mod:`cvlab.boxes`: pixel [row, column] is the square from
    (column, row) to (column + 1, row + 1), so boxes and polygons run along the edges of pixels.
Pixels are neighbours along an edge (connectivity 4) or also across a corner (connectivity 8).

Run-length encoding is in :mod:`cvlab.run_length`, distances between outlines are in
:mod:`cvlab.boundaries`. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, refuse

# Directions along the edges of pixels, clockwise on the screen: right, down, left, up, as (x, y).
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def check_masks(masks: np.ndarray, name: str = "masks", ndim: int | None = 3) -> np.ndarray:
    """Return `masks` as booleans, or say what is no mask.

    Parameters
    ----------
    masks : array
        Booleans, or numbers that are all 0 or 1.
    name : str
        The argument's name in error messages.
    ndim : int or None
        2 for one mask, 3 for a stack of them, None for any number of axes.

    Raises
    ------
    ValueError
        If the rank is another, or a value is neither 0 nor 1.

    Examples
    --------
    >>> check_masks([[0, 255]], "mask", ndim=2)
    Traceback (most recent call last):
    ...
    ValueError: mask must hold 0 and 1 only, or booleans, got 255 at index 0, 1
    """
    array = np.asarray(masks)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold 0 and 1 only, or booleans, got dtype {array.dtype}")
    if ndim not in (None, array.ndim):
        layout = "(height, width)" if ndim == 2 else "(number of masks, height, width)"
        raise ValueError(f"{name} must have {ndim} axes {layout}, got shape {array.shape}")
    if array.dtype != bool:
        refuse((array != 0) & (array != 1), array, f"{name} must hold 0 and 1 only, or booleans")
    return array.astype(bool, copy=False)


def connected_components(mask: np.ndarray, connectivity: int = 8) -> np.ndarray:
    """Return a label map that numbers the connected parts of a mask from 1.

    The parts are numbered in the order of their first pixels, row by row. Objects that touch end
    up in one part: that is where instances cannot be had from a semantic mask alone.

    Parameters
    ----------
    mask : array (height, width)
    connectivity : {4, 8}
        Neighbours that belong together, see the conventions of this module.

    Returns
    -------
    int64 array (height, width)

    Raises
    ------
    ValueError
        If `mask` is no mask, or `connectivity` is another number.

    Examples
    --------
    >>> connected_components([[1, 0, 1], [0, 1, 0]], connectivity=4)
    array([[1, 0, 2],
           [0, 3, 0]])
    >>> connected_components([[1, 0, 1], [0, 1, 0]]).max()
    np.int64(1)
    """
    from skimage.measure import label

    mask = check_masks(mask, "mask", ndim=2)
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, got {connectivity!r}")
    return label(mask, connectivity=1 if connectivity == 4 else 2).astype(np.int64)


def instance_masks(label_map: np.ndarray) -> np.ndarray:
    """Return one mask for each instance of a label map, in the order of their numbers.

    Numbers may be left out, as after small parts were set to 0.

    Parameters
    ----------
    label_map : int array (height, width)

    Returns
    -------
    bool array (number of instances, height, width)

    Raises
    ------
    ValueError
        If `label_map` does not hold integers >= 0 on two axes.

    Examples
    --------
    >>> instance_masks([[0, 7], [2, 2]]).astype(int)
    array([[[0, 0],
            [1, 1]],
           [[0, 1],
            [0, 0]]])
    """
    label_map = np.asarray(label_map)
    if label_map.ndim != 2 or label_map.dtype.kind not in "iu":
        raise ValueError(
            "label_map must hold integers on two axes (height, width), "
            f"got {label_map.dtype} of shape {label_map.shape}"
        )
    refuse(label_map < 0, label_map, "label_map must hold integers >= 0")
    numbers = np.unique(label_map)
    return label_map == numbers[numbers > 0, None, None]


def mask_iou(masks1: np.ndarray, masks2: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every mask with every other, counted in pixels.

    0 / 0 is 0, as for boxes: two empty masks have an IoU of 0.

    Parameters
    ----------
    masks1 : array (N, height, width)
    masks2 : array (M, height, width)

    Returns
    -------
    float64 array (N, M)

    Raises
    ------
    ValueError
        If one of the arrays is no stack of masks, or their heights or widths differ.

    Examples
    --------
    >>> mask_iou([[[1, 1, 0]]], [[[0, 1, 1]], [[1, 1, 0]], [[0, 0, 1]]]).round(3)
    array([[0.333, 1.   , 0.   ]])
    """
    masks1, masks2 = check_masks(masks1, "masks1"), check_masks(masks2, "masks2")
    if masks1.shape[1:] != masks2.shape[1:]:
        raise ValueError(
            "masks1 and masks2 must have the same height and width, "
            f"got {masks1.shape[1:]} and {masks2.shape[1:]}"
        )
    # One product of matrices; float64 counts pixels without error.
    first, second = (
        masks.reshape(len(masks), np.prod(masks.shape[1:])).astype(np.float64)
        for masks in (masks1, masks2)
    )
    intersection = first @ second.T
    union = first.sum(axis=1)[:, None] + second.sum(axis=1) - intersection
    return intersection / np.maximum(union, 1)


def masks_to_boxes(masks: np.ndarray) -> np.ndarray:
    """Return the smallest box around each mask.

    The box reaches to the far edges of the last pixels: one pixel has a box of 1 x 1. (The function
    of the same name in torchvision gives the indices of the last pixels: one less.)

    Parameters
    ----------
    masks : array (number of masks, height, width)

    Returns
    -------
    float64 array (number of masks, 4)
        In format xyxy.

    Raises
    ------
    ValueError
        If `masks` are no masks, or one of them is empty: it has no box.

    Examples
    --------
    >>> masks_to_boxes([[[0, 0, 0, 0], [0, 1, 1, 0]]])
    array([[1., 1., 3., 2.]])
    """
    masks = check_masks(masks)
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        raise ValueError(f"masks must not be empty, got no pixel in the mask at index {empty[0]}")
    if not len(masks):
        return np.zeros((0, 4))
    columns, rows = masks.any(axis=1), masks.any(axis=2)
    sides = [columns.argmax(axis=1), rows.argmax(axis=1)]
    sides += [line.shape[1] - line[:, ::-1].argmax(axis=1) for line in (columns, rows)]
    return np.stack(sides, axis=1).astype(np.float64)


def mask_to_polygons(mask: np.ndarray) -> list[np.ndarray]:
    """Return the outlines of a mask, exactly along the edges of its pixels.

    Outer outlines run clockwise on the screen (x right, y down), outlines of holes the other way
    round, so the areas of :func:`polygon_area` add up to the number of pixels. Parts that touch at
    a corner only have outlines of their own (connectivity 4).

    Parameters
    ----------
    mask : array (height, width)

    Returns
    -------
    list of int64 arrays (number of corners, 2)
        Corners as (x, y), without the first repeated at the end; in the order of their first
        corners, row by row. Empty if the mask is.

    Raises
    ------
    ValueError
        If `mask` is no mask.

    Examples
    --------
    >>> mask_to_polygons([[0, 1, 1], [0, 1, 1]])
    [array([[1, 0],
           [3, 0],
           [3, 2],
           [1, 2]])]
    """
    edges = _edges(check_masks(mask, "mask", ndim=2))
    polygons = []
    while edges:
        polygons.append(np.array(_follow(edges), np.int64))
    return polygons


def polygon_area(polygon: np.ndarray) -> float:
    """Return the area that a polygon encloses, negative if it runs counterclockwise on the screen.

    Parameters
    ----------
    polygon : array (number of corners, 2)
        Corners as (x, y), at least three.

    Raises
    ------
    ValueError
        If `polygon` has another shape.

    Examples
    --------
    >>> polygon_area([[0, 0], [4, 0], [4, 3]])
    6.0
    """
    polygon = float_array(polygon, "polygon")
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise ValueError(
            f"polygon must have shape (corners, 2) with 3 corners or more, got {polygon.shape}"
        )
    x, y = polygon.T.astype(np.float64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _edges(mask):
    """Return the edges between a mask and its surroundings as keys (y, x, heading), row by row.

    An edge starts at (x, y) and goes one pixel in direction STEPS[heading]; the mask is to its
    right, as one walks along it.
    """
    padded = np.pad(mask, 1)
    inside, outside = padded[1:-1, 1:-1], ~padded
    sides = (  # the neighbour that is outside, and the corner (y, x) where the edge starts
        (outside[:-2, 1:-1], (0, 0)),  # above: along the top, to the right
        (outside[1:-1, 2:], (0, 1)),  # on the right: down
        (outside[2:, 1:-1], (1, 1)),  # below: to the left
        (outside[1:-1, :-2], (1, 0)),  # on the left: up
    )
    edges = []
    for heading, (neighbour, corner) in enumerate(sides):
        starts = np.argwhere(inside & neighbour) + corner
        edges += [(y, x, heading) for y, x in starts.tolist()]
    return dict.fromkeys(sorted(edges))


def _follow(edges):
    """Take the outline with the first of `edges` out of them and return its corners (x, y).

    Where pixels touch at a corner only, two edges leave it: the right turn keeps to one pixel.
    The first corner of an outline is its topmost, so the outline meets it only once.
    """
    y, x, heading = next(iter(edges))
    corners = [(x, y)]
    while True:
        del edges[y, x, heading]
        x, y = x + STEPS[heading][0], y + STEPS[heading][1]
        if (x, y) == corners[0]:
            return corners
        turns = ((heading + 1) % 4, heading, (heading - 1) % 4)
        turn = next(turn for turn in turns if (y, x, turn) in edges)
        if turn != heading:
            corners.append((x, y))
        heading = turn
