"""Boxes: formats, areas, clipping.

A box is four numbers on the last axis; edges are continuous: the first pixel spans 0 to 1, so a
    width is x1 - x0, without + 1. x points right, y points down.
Formats: ``"xyxy"`` (x0, y0, x1, y1), ``"xywh"`` (x0, y0, width, height), ``"cxcywh"`` (centre,
    width, height) and ``"yxyx"``, rows first, as in ``tf.image``. Functions without `fmt` use xyxy.
A size is (height, width) in pixels. Relative boxes are divided by it: the image spans 0 to 1.
A box may have no area; one with x0 > x1 or y0 > y1 is an error. Integers become floats.

The names are those of ``torchvision.ops``. Overlap of boxes is in :mod:`cvlab.iou`.
Derived in chapter 12-localization.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integers, refuse

FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")


def check_boxes(
    boxes: np.ndarray, name: str = "boxes", fmt: str = "xyxy", ndim: int | None = None
) -> np.ndarray:
    """Return `boxes` as floats, or say which of them is no box.

    Parameters
    ----------
    boxes : array (..., 4)
        An empty list stands for no boxes, (0, 4).
    name : str
        The argument's name in error messages.
    fmt : {"xyxy", "xywh", "cxcywh", "yxyx"}
    ndim : int, optional
        Number of axes that the array must have.

    Raises
    ------
    ValueError
        If the last axis has not 4 values, or a value is not finite, or a box is inverted.

    Examples
    --------
    >>> check_boxes([[0, 0, 4, 2], [5, 1, 3, 2]])
    Traceback (most recent call last):
    ...
    ValueError: boxes must not be inverted (x0 <= x1, y0 <= y1), got [5.0, 1.0, 3.0, 2.0] at index 1
    """
    if fmt not in FORMATS:
        raise ValueError(f"fmt must be one of {FORMATS}, got {fmt!r}")
    array = float_array(boxes, name)
    if array.shape == (0,):
        array = array.reshape(0, 4)
    if array.ndim == 0 or array.shape[-1] != 4 or ndim not in (None, array.ndim):
        shape = "(number of boxes, 4)" if ndim == 2 else "(..., 4)"
        raise ValueError(f"{name} must have shape {shape}, got shape {array.shape}")
    refuse(~np.isfinite(array).all(axis=-1), array, f"{name} must be finite")
    if fmt in ("xyxy", "yxyx"):
        inverted = (array[..., 0] > array[..., 2]) | (array[..., 1] > array[..., 3])
        refuse(inverted, array, f"{name} must not be inverted (x0 <= x1, y0 <= y1)")
    else:
        negative = (array[..., 2] < 0) | (array[..., 3] < 0)
        refuse(negative, array, f"{name} must have width and height >= 0")
    return array


def box_convert(boxes: np.ndarray, in_fmt: str, out_fmt: str) -> np.ndarray:
    """Return `boxes` in another format.

    Parameters
    ----------
    boxes : array (..., 4)
    in_fmt, out_fmt : {"xyxy", "xywh", "cxcywh", "yxyx"}
        See the conventions of this module.

    Returns
    -------
    array (..., 4)
        A new one, also if the format stays.

    Raises
    ------
    ValueError
        If a format is unknown, or `boxes` are no boxes in `in_fmt`.

    Examples
    --------
    >>> box_convert([[10, 20, 30, 60]], "xyxy", "cxcywh")
    array([[20., 40., 20., 40.]])
    >>> box_convert([[20, 40, 20, 40]], "cxcywh", "yxyx")
    array([[20., 10., 60., 30.]])
    """
    for name, fmt in (("in_fmt", in_fmt), ("out_fmt", out_fmt)):
        if fmt not in FORMATS:
            raise ValueError(f"{name} must be one of {FORMATS}, got {fmt!r}")
    boxes = check_boxes(boxes, fmt=in_fmt)
    if in_fmt == out_fmt:
        return boxes.copy()
    a, b, c, d = np.moveaxis(boxes, -1, 0)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    elif in_fmt == "yxyx":
        a, b, c, d = b, a, d, c
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    elif out_fmt == "yxyx":
        a, b, c, d = b, a, d, c
    return np.stack([a, b, c, d], axis=-1)


def to_relative(boxes: np.ndarray, size: tuple[int, int], fmt: str = "xyxy") -> np.ndarray:
    """Return boxes in pixels as fractions of an image of `size` (height, width).

    Horizontal values are divided by the width, vertical ones by the height, in every format.

    Raises
    ------
    ValueError
        If `boxes` are no boxes in `fmt`, or `size` is not two integers of at least 1.

    Examples
    --------
    >>> to_relative([[10, 20, 30, 60]], size=(80, 40))
    array([[0.25, 0.25, 0.75, 0.75]])
    """
    boxes = check_boxes(boxes, fmt=fmt)
    return boxes / _extent(size, fmt, boxes.dtype)


def to_absolute(boxes: np.ndarray, size: tuple[int, int], fmt: str = "xyxy") -> np.ndarray:
    """Return boxes in fractions of an image of `size` (height, width) in pixels.

    The inverse of :func:`to_relative`, with the same errors.

    Examples
    --------
    >>> to_absolute([[0.25, 0.25, 0.75, 0.75]], size=(80, 40))
    array([[10., 20., 30., 60.]])
    """
    boxes = check_boxes(boxes, fmt=fmt)
    return boxes * _extent(size, fmt, boxes.dtype)


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Return the area of every box, in the unit of the coordinates squared.

    Parameters
    ----------
    boxes : array (..., 4)
        In format xyxy.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If `boxes` are no boxes.

    Examples
    --------
    >>> box_area([[0, 0, 3, 2], [5, 5, 5, 9]])
    array([6., 0.])
    """
    x0, y0, x1, y1 = np.moveaxis(check_boxes(boxes), -1, 0)
    return (x1 - x0) * (y1 - y0)


def clip_boxes_to_image(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the part of every box that lies in an image of `size` (height, width).

    A box that lies outside altogether ends up on the border, with an area of 0.

    Raises
    ------
    ValueError
        If `boxes` (..., 4) are no boxes, or `size` is not two integers of at least 1.

    Examples
    --------
    >>> clip_boxes_to_image([[-3, 2, 5, 20], [40, 2, 45, 8]], size=(10, 30))
    array([[ 0.,  2.,  5., 10.],
           [30.,  2., 30.,  8.]])
    """
    boxes = check_boxes(boxes)
    return np.clip(boxes, 0, _extent(size, "xyxy", boxes.dtype))


def remove_small_boxes(boxes: np.ndarray, min_size: float) -> np.ndarray:
    """Return the indices of the boxes whose width and height are both at least `min_size`.

    Parameters
    ----------
    boxes : array (number of boxes, 4)
        In format xyxy.
    min_size : float
        In the unit of the coordinates.

    Returns
    -------
    int array (number of boxes kept,)
        In ascending order.

    Raises
    ------
    ValueError
        If `boxes` are no boxes.

    Examples
    --------
    >>> remove_small_boxes([[0, 0, 3, 2], [5, 5, 5, 9], [0, 0, 2, 2]], min_size=2)
    array([0, 2])
    """
    boxes = check_boxes(boxes, ndim=2)
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.flatnonzero((sides >= min_size).all(axis=1))


def _extent(size, fmt, dtype):
    """Return what each of the four values of a box is measured against: width or height."""
    height, width = integers(size, "size", 1)
    sides = (height, width) if fmt == "yxyx" else (width, height)
    return np.array(sides * 2, dtype)
