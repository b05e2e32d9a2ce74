"""Maps laid over the pictures that they explain.

Conventions
-----------
Images   NHWC, uint8 in 0..255 or floats in [0, 1], one or three channels: the original pictures
Maps     (batch, height, width), values 0..1, of the height and width of the images
Colours  the picture in grey, the map on it from purple over orange to yellow; zero is transparent
Result   an array of images, to be drawn by `image_grid`
"""

from __future__ import annotations

import numpy as np

from cvlab.plot._drawing import real_values

_GREY = (0.299, 0.587, 0.114)  # the weights of red, green and blue in Rec. 601


def overlay(images: np.ndarray, maps: np.ndarray, strength: float = 0.7) -> np.ndarray:
    """Lay maps over images: the larger a value, the less of the picture shows through.

    Parameters
    ----------
    images : array_like
        (batch, height, width, channels), the pictures as they are looked at, not as they were
        scaled for a network.
    maps : array_like
        (batch, height, width), values 0..1.
    strength : float
        Opacity of the value 1, from 0 to 1.

    Returns
    -------
    numpy.ndarray
        (batch, height, width, 3), float64 in [0, 1].

    Raises
    ------
    ValueError
        If the values or shapes are not as above.

    Examples
    --------
    >>> picture = np.full((1, 1, 2, 3), 0.5)
    >>> overlay(picture, np.array([[[0.0, 1.0]]])).round(2).tolist()
    [[[[0.5, 0.5, 0.5], [0.84, 0.85, 0.6]]]]
    """
    import matplotlib as mpl

    images, maps = real_values(images, "images"), real_values(maps, "maps")
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must have the shape (batch, height, width, 1 or 3), got {images.shape}"
        )
    whole = images.dtype == np.uint8
    pictures = images.astype(np.float64) / (255 if whole else 1)
    _in_unit_range(pictures, "images", "; show the picture before it was scaled for a network")
    if maps.shape != images.shape[:3]:
        raise ValueError(f"maps must have the shape {images.shape[:3]}, got {maps.shape}")
    _in_unit_range(maps, "maps", "")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be from 0 to 1, got {strength!r}")
    grey = pictures @ _GREY if images.shape[-1] == 3 else pictures[..., 0]
    colors = mpl.colormaps["inferno"](np.asarray(maps, dtype=np.float64))[..., :3]
    opacity = strength * maps[..., np.newaxis]
    return (1 - opacity) * grey[..., np.newaxis] + opacity * colors


def _in_unit_range(values, name, hint):
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"{name} must lie in [0, 1], got {values.min():.4g} to {values.max():.4g}{hint}"
        )
