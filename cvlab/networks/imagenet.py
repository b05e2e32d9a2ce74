"""What ImageNet networks share: how their images are cut, and the names of their 1,000 classes.

Layout   images (batch, height, width, 3), red first
Values   pixel values 0..255; each network scales them by its own `preprocess_input`
Classes  the 1,000 of ILSVRC 2012, in the order of their WordNet identifiers
Origin   names and licence in cvlab/weights: no connection
Derived in chapter 08-architectures; used in 09-transfer-learning to 11-grad-cam.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from numbers import Real

import keras
import numpy as np

from cvlab._validate import float_array, integer, refuse
from cvlab.data import center_crop

CLASSES = 1000


def crop_and_resize(images: np.ndarray, size: int = 224, fraction: float = 0.875) -> np.ndarray:
    """Cut the central square out of every image and resize it, as ImageNet networks are tested.

    The square's side is `fraction` of the shorter side of the image. The resize is bicubic, with
    half-pixel centres and a kernel that widens when it shrinks (antialiasing); it overshoots at
    edges and is clipped to 0..255.

    Parameters
    ----------
    images : numpy.ndarray
        (batch, height, width, 3), pixel values 0..255.
    size : int
        Height and width of the result in pixels.
    fraction : float
        Side of the square over the shorter side of the image, in (0, 1].

    Returns
    -------
    numpy.ndarray
        (batch, size, size, 3), float32, pixel values 0..255.

    Raises
    ------
    ValueError
        If the images are not colour images with values 0..255, or another argument is not as above.

    Examples
    --------
    >>> from cvlab.data import photograph
    >>> crop_and_resize(photograph("temple")).shape
    (1, 224, 224, 3)
    """
    images = pixels(images, "images")
    size = integer(size, "size", minimum=1)
    if not (isinstance(fraction, Real) and 0 < fraction <= 1):
        raise ValueError(f"fraction must be a number in (0, 1], got {fraction!r}")
    side = max(int(fraction * min(images.shape[1:3])), 1)
    square = center_crop(images, side, side)
    resized = keras.ops.image.resize(square, (size, size), interpolation="bicubic", antialias=True)
    return np.clip(keras.ops.convert_to_numpy(resized), 0, 255)


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Return the WordNet identifier and the name of each of the 1,000 classes, in their order.

    The names are the first words of the synonym sets in WordNet 3.0, as in `keras.applications`.
    Two names stand for two classes each (crane, maillot): the identifiers tell them apart.

    Examples
    --------
    >>> imagenet_classes()[282]
    ('n02123159', 'tiger_cat')
    """
    lines = (
        files("cvlab")
        .joinpath("weights", "imagenet_classes.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    return tuple(tuple(line.split()) for line in lines)


def decode_predictions(predictions: np.ndarray, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Return the classes with the largest scores, the largest first.

    Parameters
    ----------
    predictions : numpy.ndarray or tensor
        (batch, 1000), scores of the ImageNet classes.
    top : int
        How many classes to return, 1 to 1000.

    Returns
    -------
    list of list of (str, str, float)
        For every image, `top` triples of WordNet identifier, name and score.

    Raises
    ------
    ValueError
        If `predictions` has not the shape above or holds NaN, or `top` is not in 1..1000.

    Examples
    --------
    >>> scores = np.zeros((1, 1000))
    >>> scores[0, [281, 282]] = 0.25, 0.75
    >>> decode_predictions(scores, top=2)
    [[('n02123159', 'tiger_cat', 0.75), ('n02123045', 'tabby', 0.25)]]
    """
    scores = float_array(predictions, "predictions", ndim=2, layout="(batch, 1000)")
    if scores.shape[1] != CLASSES:
        raise ValueError(
            f"predictions must have the shape (batch, {CLASSES}), got {scores.shape}: "
            "only the classes of ImageNet can be named"
        )
    if integer(top, "top", minimum=1) > CLASSES:
        raise ValueError(f"top must be at most {CLASSES}, got {top}")
    refuse(np.isnan(scores), scores, "predictions must be numbers that can be ordered")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [
        [(*imagenet_classes()[index], float(row[index])) for index in indices]
        for row, indices in zip(scores, best, strict=True)
    ]


def pixels(value, name: str, ndim: int | None = 4) -> np.ndarray:
    """Return colour images as float32, if their values can be pixel values in 0..255."""
    array = float_array(value, name, ndim=ndim, layout="(batch, height, width, 3)")
    three_channels(array.shape, name)
    refuse(np.isnan(array), array, f"{name} must hold pixel values in 0..255")
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (low >= 0 and high <= 255):
        raise ValueError(
            f"{name} must hold pixel values in 0..255, got {low:.4g} to {high:.4g}: "
            "is it preprocessed already?"
        )
    if np.asarray(value).dtype.kind == "f" and 0 < high <= 1:
        raise ValueError(
            f"{name} must hold pixel values in 0..255, got {low:.4g} to {high:.4g}: "
            "multiply by 255 what was scaled to 0..1"
        )
    return array.astype(np.float32, copy=False)


def three_channels(shape, name: str) -> None:
    """Raise unless the last axis of an array or tensor of this shape holds 3 channels."""
    if not shape or shape[-1] != 3:
        raise ValueError(
            f"{name} must have 3 channels on the last axis, got shape {tuple(shape)}; "
            "np.repeat(grey, 3, axis=-1) makes a colour image of a grey one"
        )
