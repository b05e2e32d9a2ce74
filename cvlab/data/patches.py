"""Small grey patches cut out of photographs: a task for few examples that needs no download.

Conventions
-----------
Task     which photograph a patch was cut from; label k stands for ``names[k]``
Layout   (n, size, size, 3), uint8; grey, the mean of the colours, three times
Halves   a patch lies within the left or the right half: train on one, test on the other
Order    `count` patches of the first photograph, then of the second; places are random
Used in chapter 09-transfer-learning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from cvlab._validate import integer
from cvlab.data.photographs import photograph, photograph_names

HALVES = ("left", "right", "whole")


class Patches(NamedTuple):
    """Images (n, size, size, 3), labels (n,), and the first row and column of each patch (n, 2)."""

    images: np.ndarray
    labels: np.ndarray
    corners: np.ndarray


def photograph_patches(
    count: int,
    size: int,
    rng: np.random.Generator,
    *,
    half: str = "left",
    names: Sequence[str] | None = None,
) -> Patches:
    """Cut `count` square patches out of each photograph, at random places of one half.

    Colour is taken away, since it would tell most photographs apart. Patches of one half may
    overlap each other; those of the left and of the right half share no pixel.

    Parameters
    ----------
    count : int
        Patches of each photograph.
    size : int
        Height and width of a patch in pixels.
    rng : numpy.random.Generator
    half : {"left", "right", "whole"}
        Where in the photograph the patches lie; the middle column belongs to the right half.
    names : sequence of str, optional
        Names of photographs; by default all of `photograph_names`.

    Returns
    -------
    Patches
        Images (n, size, size, 3) uint8, labels (n,) and corners (n, 2), with n = count times
        the number of photographs.

    Raises
    ------
    ValueError
        If a name is unknown, a patch does not fit, or another argument is not as above.

    Examples
    --------
    >>> patches = photograph_patches(2, 48, np.random.default_rng(0), names=["brick", "cat"])
    >>> patches.images.shape, patches.labels
    ((4, 48, 48, 3), array([0, 0, 1, 1]))
    """
    count, size = integer(count, "count", 1), integer(size, "size", 1)
    if half not in HALVES:
        raise ValueError(f"half must be one of {', '.join(HALVES)}, got {half!r}")
    chosen = photograph_names() if names is None else names
    names = tuple(chosen) if isinstance(chosen, Iterable) and not isinstance(chosen, str) else ()
    if not names:
        raise ValueError(f"names must be a sequence of names of photographs, got {chosen!r}")
    greys = [photograph(name)[0].mean(axis=-1).round().astype(np.uint8) for name in names]
    ranges = [
        _places(grey.shape, size, half, name) for grey, name in zip(greys, names, strict=True)
    ]
    images, corners = [], []
    for grey, (rows, columns) in zip(greys, ranges, strict=True):
        places = np.stack([rng.integers(*rows, count), rng.integers(*columns, count)], axis=1)
        images += [grey[i : i + size, j : j + size] for i, j in places]
        corners.append(places)
    images = np.repeat(np.stack(images)[..., np.newaxis], 3, axis=-1)
    labels = np.repeat(np.arange(len(names)), count)
    return Patches(images, labels, np.concatenate(corners))


def _places(shape: tuple[int, int], size: int, half: str, name: str):
    """Return for rows and columns the first place of a patch and the one after the last."""
    height, width = shape
    left = width // 2 if half == "right" else 0
    right = width // 2 if half == "left" else width
    if size > height or size > right - left:
        raise ValueError(
            f"size must be at most {min(height, right - left)}, for half={half!r} of the "
            f"photograph {name!r}, got {size}"
        )
    return (0, height - size + 1), (left, right - size + 1)
