"""Sliding windows and image pyramids: a classifier looks everywhere, at every scale.

An image is (height, width, channels); window, stride and sizes are integers or (height, width).
Windows start in the top left corner and lie inside the image: pixels beyond the last full window
    are not looked at. Entry [i, j] is the window at row i stride, column j stride.
A pyramid is the same image ever smaller, so that a window of one size covers larger objects.
Boxes are xyxy in pixels, as in :mod:`cvlab.boxes`.

Derived in chapter 13-detection.
"""

from __future__ import annotations

import itertools

import numpy as np

from cvlab._validate import float_array, integers

Size = int | tuple[int, int]


def window_boxes(size: tuple[int, int], window: Size, stride: Size) -> np.ndarray:
    """Return the boxes of the windows on an image of `size` (height, width).

    Parameters
    ----------
    size : (int, int)
        Height and width of the image.
    window, stride : int or (int, int)
        In pixels.

    Returns
    -------
    array (rows, columns, 4)
        In format xyxy.

    Raises
    ------
    ValueError
        If an argument is no integer of at least 1, or the window is larger than the image.

    Examples
    --------
    >>> window_boxes((4, 7), window=3, stride=2)
    array([[[0., 0., 3., 3.],
            [2., 0., 5., 3.],
            [4., 0., 7., 3.]]])
    """
    (height, width), (down, across) = _checked(size, window, stride)
    rows, columns = (size[0] - height) // down + 1, (size[1] - width) // across + 1
    x, y = np.meshgrid(np.arange(columns) * across, np.arange(rows) * down)
    return np.stack([x, y, x + width, y + height], axis=-1).astype(float)


def window_patches(image: np.ndarray, window: Size, stride: Size) -> np.ndarray:
    """Return what is seen in every window of :func:`window_boxes`.

    Parameters
    ----------
    image : array (height, width, channels)
    window, stride : int or (int, int)
        In pixels.

    Returns
    -------
    array (rows, columns, window height, window width, channels)
        A read-only view of the image: nothing is copied.

    Raises
    ------
    ValueError
        If `image` has not 3 axes, or as in :func:`window_boxes`.

    Examples
    --------
    >>> image = np.arange(28).reshape(4, 7, 1)
    >>> window_patches(image, window=3, stride=2)[0, 1, :, :, 0]
    array([[ 2,  3,  4],
           [ 9, 10, 11],
           [16, 17, 18]])
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise ValueError(
            f"image must have 3 axes (height, width, channels), got shape {image.shape}"
        )
    window, (down, across) = _checked(image.shape[:2], window, stride)
    views = np.lib.stride_tricks.sliding_window_view(image, window, axis=(0, 1))
    return np.moveaxis(views[::down, ::across], 2, -1)


def image_pyramid(
    image: np.ndarray, smallest: Size, factor: float = 0.5, largest: float = 1.0
) -> list[np.ndarray]:
    """Return the image at falling sizes, down to the last that is not smaller than `smallest`.

    Level k measures height and width times largest * factor^k, rounded. A shrinking image is
    blurred first, so that fine detail does not alias. To take a box from a level back to the
    image: ``scale_boxes(boxes, level.shape[:2], image.shape[:2])``, from
    :mod:`cvlab.box_augmentation`.

    Parameters
    ----------
    image : array (height, width, channels)
    smallest : int or (int, int)
        Least height and width of a level, in pixels: the classifier's window.
    factor : float
        From one level to the next; above 0, below 1.
    largest : float
        Of level 0; above 1 it enlarges, to find objects smaller than the window.

    Returns
    -------
    list of float arrays (height, width, channels)
        With the range of values of the image.

    Raises
    ------
    ValueError
        If `image` has not 3 axes, `factor` or `largest` are out of range, or no level fits.

    Examples
    --------
    >>> [level.shape for level in image_pyramid(np.zeros((100, 60, 3)), smallest=25)]
    [(100, 60, 3), (50, 30, 3)]
    """
    from skimage.transform import resize

    image = float_array(image, "image", 3, "(height, width, channels)")
    least = integers(smallest, "smallest", 1)
    if not 0 < factor < 1:
        raise ValueError(f"factor must be above 0 and below 1, got {factor!r}")
    if not 0 < largest < np.inf:
        raise ValueError(f"largest must be a positive number, got {largest!r}")
    levels = []
    for scale in (largest * factor**level for level in itertools.count()):
        height, width = (round(n * scale) for n in image.shape[:2])
        if height < least[0] or width < least[1]:
            break
        blur = scale < 1
        levels.append(resize(image, (height, width), anti_aliasing=blur, preserve_range=True))
    if not levels:
        raise ValueError(
            f"smallest must not be larger than level 0, got {smallest!r} for an image of shape "
            f"{image.shape} times {largest}"
        )
    return levels


def _checked(size, window, stride):
    """Return window and stride as (height, width), for an image in which a window fits."""
    size, window = integers(size, "size", 1), integers(window, "window", 1)
    if window[0] > size[0] or window[1] > size[1]:
        raise ValueError(
            f"window must not be larger than the image, got {window} for a size of {size}"
        )
    return window, integers(stride, "stride", 1)
