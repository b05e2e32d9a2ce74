"""Boxes that follow their image: flip, scale, crop and rotate.

Boxes are xyxy in pixels, as in :mod:`cvlab.boxes`; a size is (height, width).
Each function moves the boxes only; the image is moved by NumPy, scikit-image or Keras.
A crop or a rotation can cut a box off. The rule: the box is clipped to the new image, and kept if
    at least the fraction `min_visible` of its area is still there. A box without area is dropped.
Such functions return the new boxes and the indices of those kept: labels move as ``labels[kept]``.

Derived in chapter 12-localization.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import integers
from cvlab.boxes import box_area, check_boxes, to_absolute, to_relative

MIN_VISIBLE = 0.25


def flip_boxes(
    boxes: np.ndarray, size: tuple[int, int], direction: str = "horizontal"
) -> np.ndarray:
    """Return the boxes of a mirrored image.

    Parameters
    ----------
    boxes : array (..., 4)
    size : (int, int)
        Height and width of the image.
    direction : {"horizontal", "vertical"}
        ``"horizontal"`` swaps left and right (``image[:, ::-1]``), ``"vertical"`` top and bottom.

    Raises
    ------
    ValueError
        If `boxes` are no boxes, `size` is no size, or the direction is unknown.

    Examples
    --------
    >>> flip_boxes([[1, 2, 4, 3]], size=(10, 20))
    array([[16.,  2., 19.,  3.]])
    """
    boxes, (height, width) = check_boxes(boxes), integers(size, "size", 1)
    x0, y0, x1, y1 = np.moveaxis(boxes, -1, 0)
    if direction == "horizontal":
        return np.stack([width - x1, y0, width - x0, y1], axis=-1)
    if direction == "vertical":
        return np.stack([x0, height - y1, x1, height - y0], axis=-1)
    raise ValueError(f'direction must be "horizontal" or "vertical", got {direction!r}')


def scale_boxes(boxes: np.ndarray, size: tuple[int, int], new_size: tuple[int, int]) -> np.ndarray:
    """Return the boxes (..., 4) of an image of `size` resized to `new_size`, (height, width) each.

    Raises
    ------
    ValueError
        If `boxes` are no boxes, or a size is not two integers of at least 1.

    Examples
    --------
    >>> scale_boxes([[1, 2, 4, 3]], size=(10, 20), new_size=(20, 10))
    array([[0.5, 4. , 2. , 6. ]])
    """
    new_size = integers(new_size, "new_size", 1)
    return to_absolute(to_relative(boxes, size), new_size)


def crop_boxes(
    boxes: np.ndarray, window: tuple[float, float, float, float], min_visible: float = MIN_VISIBLE
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of a part of the image, in the coordinates of the part.

    Parameters
    ----------
    boxes : array (number of boxes, 4)
    window : (float, float, float, float)
        The part (x0, y0, x1, y1), which is ``image[y0:y1, x0:x1]`` if it consists of whole pixels.
        It may reach beyond the image into padding: then the image is shifted.
    min_visible : float
        See the conventions of this module.

    Returns
    -------
    boxes : array (number of boxes kept, 4)
    kept : int array (number of boxes kept,)

    Raises
    ------
    ValueError
        If `boxes` are no boxes, the window is empty, or `min_visible` lies outside 0 to 1.

    Examples
    --------
    >>> crop_boxes([[0, 0, 4, 4], [6, 6, 8, 8], [7, 0, 12, 2]], window=(2, 0, 10, 5))
    (array([[0., 0., 2., 4.],
           [5., 0., 8., 2.]]), array([0, 2]))
    """
    boxes = check_boxes(boxes, ndim=2)
    x0, y0, x1, y1 = check_boxes(window, "window", ndim=1).tolist()
    if x0 == x1 or y0 == y1:
        raise ValueError(f"window must have an area, got {window!r}")
    shifted = boxes - np.array([x0, y0, x0, y0], boxes.dtype)
    return _visible(shifted, (y1 - y0, x1 - x0), min_visible)


def rotate_boxes(
    boxes: np.ndarray,
    size: tuple[int, int],
    degrees: float,
    min_visible: float = MIN_VISIBLE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of an image turned around its centre, in a frame of the same size.

    Each new box is the smallest upright one around the turned corners. It holds the object, but
    is no longer tight: a box cannot know where in its corners the object is.

    Parameters
    ----------
    boxes : array (number of boxes, 4)
    size : (int, int)
        Height and width of the image.
    degrees : float
        Counter-clockwise as seen, as ``skimage.transform.rotate`` and ``np.rot90`` turn.
    min_visible : float
        See the conventions of this module; the area is that of the new upright box.

    Returns
    -------
    boxes : array (number of boxes kept, 4)
    kept : int array (number of boxes kept,)

    Raises
    ------
    ValueError
        If `boxes` are no boxes, `size` is no size, `degrees` is not finite, or `min_visible` lies
        outside 0 to 1.

    Examples
    --------
    >>> boxes, kept = rotate_boxes([[6, 0, 10, 2]], size=(10, 10), degrees=90)
    >>> boxes.round(6), kept
    (array([[0., 0., 2., 4.]]), array([0]))
    """
    boxes, (height, width) = check_boxes(boxes, ndim=2), integers(size, "size", 1)
    if not np.isfinite(degrees):
        raise ValueError(f"degrees must be finite, got {degrees!r}")
    cos, sin = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    across = boxes[:, [0, 2, 0, 2]] - width / 2  # the four corners, from the centre
    down = boxes[:, [1, 1, 3, 3]] - height / 2
    x = width / 2 + cos * across + sin * down
    y = height / 2 - sin * across + cos * down
    turned = np.stack([x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)], axis=1)
    return _visible(turned, (height, width), min_visible)


def _visible(boxes, size, min_visible):
    """Clip boxes to an image and keep those of which enough is left."""
    if not 0 <= min_visible <= 1:
        raise ValueError(f"min_visible must be a number from 0 to 1, got {min_visible!r}")
    height, width = size
    clipped = np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))
    area, left = box_area(boxes), box_area(clipped)
    kept = np.flatnonzero((left > 0) & (left >= min_visible * area))
    return clipped[kept], kept
