"""Drawn scenes: coloured shapes on a background, with exact masks, boxes and labels.

Conventions
-----------
Layout   NHWC images, float32 in [0, 1]; masks (batch, height, width)
Edges    the pixel in row i and column j covers y from i to i + 1 and x from j to j + 1
Masks    a pixel belongs to the last object drawn whose outline holds the pixel's centre
Boxes    (x0, y0, x1, y1), continuous edges, tight around an object's visible pixels
Padding  scene i has counts[i] objects; the rows after them hold label -1 and zeros
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin, tau
from numbers import Real
from typing import NamedTuple

import numpy as np

from cvlab._validate import integer, integers
from cvlab.data.shapes import SHAPES, signed_distance

ATTEMPTS = 20  # places tried for an object before it is left out
STROKE = 0.75  # half the width of a stroke of clutter, in pixels


@dataclass(frozen=True, eq=False)
class Scenes:
    """A batch of n scenes with at most k objects each.

    Attributes
    ----------
    images : numpy.ndarray
        (n, height, width, 3), float32 in [0, 1].
    semantic : numpy.ndarray
        (n, height, width), uint8: 0 for the background, label + 1 for an object.
    instances : numpy.ndarray
        (n, height, width), uint8: 0 for the background, 1 for the first object drawn, ...
    boxes : numpy.ndarray
        (n, k, 4), float32: (x0, y0, x1, y1) in pixels around the visible pixels.
    labels : numpy.ndarray
        (n, k), int64: index into `shapes`, or -1 where there is no object.
    visible : numpy.ndarray
        (n, k), float32: the fraction of an object's pixels that no later one hides.
    counts : numpy.ndarray
        (n,), int64: objects in each scene.
    shapes : tuple of str
        Names of the classes.
    """

    images: np.ndarray
    semantic: np.ndarray
    instances: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    visible: np.ndarray
    counts: np.ndarray
    shapes: tuple[str, ...]


def draw_scenes(
    count: int,
    rng: np.random.Generator,
    *,
    size: int | tuple[int, int] = 64,
    objects: int | tuple[int, int] = (1, 3),
    shapes: str | Sequence[str] = ("circle", "square", "triangle"),
    scale: tuple[float, float] = (0.12, 0.25),
    rotate: bool = True,
    max_hidden: float = 0.3,
    colors: np.ndarray | None = None,
    background: np.ndarray | str = "plain",
    clutter: int | tuple[int, int] = 0,
    noise: float = 0.0,
    antialias: bool = True,
) -> Scenes:
    """Draw `count` random scenes.

    Shape, colour, size, angle and place are drawn independently: no class can be told by
    its colour. Every object lies within the image; later ones hide earlier ones.

    Parameters
    ----------
    count : int
        Number of scenes, 0 or more.
    rng : numpy.random.Generator
        Source of all that is random: the same state and arguments give the same scenes, and
        the first ones do not depend on `count`.
    size : int or (height, width)
        Size of the images in pixels.
    objects : int or (fewest, most)
        Objects per scene, at most 255; all numbers in the range are equally likely.
    shapes : str or sequence of str
        Classes to draw from, a selection of `SHAPES`; their order gives the labels.
    scale : (smallest, largest)
        Radius of the circle around a shape, as a fraction of the shorter side of the image:
        at most 0.5, and at least 2 pixels.
    rotate : bool
        Turn every shape by a random angle; otherwise all stand upright.
    max_hidden : float
        Largest fraction of an object's pixels that later objects may hide: 0 keeps objects
        apart, 1 allows any overlap. A fully hidden object is never drawn.
    colors : array_like, optional
        (m, 3) colours in [0, 1] to choose from. None draws random colours that differ from
        the mean colour of the background by at least 0.3 in each channel.
    background : array_like or str
        ``"plain"`` (one random colour a scene), ``"gradient"`` (from one random colour to
        another), or values in [0, 1] that broadcast to (count, height, width, 3): a colour,
        an image or a batch of them.
    clutter : int or (fewest, most)
        Strokes per scene in random colours, 1.5 pixels wide, behind all objects.
    noise : float
        Standard deviation of the Gaussian noise added to the finished image, which is then
        clipped to [0, 1].
    antialias : bool
        Mix colours along an outline by the covered part of a pixel. Masks stay sharp.

    Returns
    -------
    Scenes
        Images, masks, boxes and labels. An object that finds no place in 20 attempts is left
        out: `Scenes.counts` says how many were drawn.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> scenes = draw_scenes(8, np.random.default_rng(0), size=(48, 64), objects=2)
    >>> scenes.images.shape, scenes.boxes.shape
    ((8, 48, 64, 3), (8, 2, 4))
    """
    count = integer(count, "count", minimum=0)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {rng!r}")
    height, width = integers(size, "size", minimum=4)
    fewest, most = _integer_range(objects, "objects", largest=255)
    strokes = _integer_range(clutter, "clutter", largest=1000)
    shapes = _shape_names(shapes)
    radii = _radii(scale, min(height, width))
    max_hidden = _number(max_hidden, "max_hidden", largest=1)
    noise = _number(noise, "noise", largest=np.inf)
    for name, flag in {"rotate": rotate, "antialias": antialias}.items():
        if not isinstance(flag, (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False, got {flag!r}")
    if colors is not None:
        colors = _unit_values(colors, "colors")
        if colors.ndim != 2 or colors.shape[1] != 3:
            raise ValueError(f"colors must have the shape (m, 3), got {colors.shape}")
    backgrounds = _background_values(background, (count, height, width, 3))

    images = np.empty((count, height, width, 3), dtype=np.float32)
    instances = np.zeros((count, height, width), dtype=np.uint8)
    labels = np.full((count, most), -1, dtype=np.int64)
    visible = np.zeros((count, most), dtype=np.float32)
    counts = np.zeros(count, dtype=np.int64)
    for i in range(count):
        mean_color = _draw_background(images[i], backgrounds[i], rng)
        for _ in range(rng.integers(*strokes, endpoint=True)):
            _draw_stroke(images[i], radii, antialias, rng)
        wanted = [
            _Object(
                label=rng.integers(len(shapes)),
                radius=rng.uniform(*radii),
                angle=rng.uniform(0, tau) if rotate else 0.0,
                color=_object_color(colors, mean_color, rng),
            )
            for _ in range(rng.integers(fewest, most, endpoint=True))
        ]
        drawn, fractions = _draw_objects(
            images[i], instances[i], wanted, shapes, max_hidden, antialias, rng
        )
        counts[i] = len(drawn)
        labels[i, : len(drawn)] = drawn
        visible[i, : len(drawn)] = fractions
        if noise:
            images[i] += noise * rng.standard_normal(images[i].shape, dtype=np.float32)
            np.clip(images[i], 0, 1, out=images[i])

    boxes = np.zeros((count, most, 4), dtype=np.float32)
    semantic = np.zeros_like(instances)
    for k in range(most):
        mask = instances == k + 1
        boxes[:, k] = _mask_boxes(mask)
        semantic += mask * (labels[:, k] + 1).astype(np.uint8)[:, np.newaxis, np.newaxis]
    return Scenes(images, semantic, instances, boxes, labels, visible, counts, shapes)


class _Object(NamedTuple):
    label: int
    radius: float
    angle: float
    color: np.ndarray


def _draw_objects(image, instances, wanted, shapes, max_hidden, antialias, rng):
    """Draw the objects of one scene in place, each where it hides no other too much.

    Returns the labels of those that found a place, and the visible fraction of each.
    """
    height, width = instances.shape
    labels = []
    whole = np.zeros(len(wanted))  # pixels of each object, hidden ones included
    shown = np.zeros(len(wanted))  # pixels of each object not hidden so far
    for label, radius, angle, color in wanted:
        n = len(labels)
        for _ in range(ATTEMPTS):
            x, y = radius + rng.random(2) * (width - 2 * radius, height - 2 * radius)
            window, u, v = _local_frame(x, y, angle, radius, instances.shape)
            distance = signed_distance(shapes[label], u, v, radius)
            inside = distance <= 0
            covered = instances[window][inside]
            left = shown[:n] - np.bincount(covered, minlength=n + 1)[1:]
            hidden = whole[:n] - left
            if len(covered) and (left > 0).all() and (hidden <= max_hidden * whole[:n]).all():
                labels.append(label)
                shown[:n] = left
                shown[n] = whole[n] = len(covered)
                instances[window][inside] = n + 1
                _paint(image[window], distance, color, antialias)
                break
    return labels, shown[: len(labels)] / whole[: len(labels)]


def _object_color(colors, mean_color, rng):
    if colors is not None:
        return colors[rng.integers(len(colors))]
    return (mean_color + rng.uniform(0.3, 0.7, 3)) % 1


def _draw_stroke(image, lengths, antialias, rng):
    """Draw one straight stroke anywhere on the image, in place."""
    height, width, _ = image.shape
    x, y = rng.random(2) * (width, height)
    length = rng.uniform(*lengths)
    window, u, v = _local_frame(x, y, rng.uniform(0, tau), length, (height, width))
    distance = np.maximum(np.abs(u) - length, np.abs(v) - STROKE)
    _paint(image[window], distance, rng.random(3), antialias)


def _local_frame(x, y, angle, reach, size):
    """Return the window within `reach` of (x, y), and its pixels' centres in a turned frame."""
    height, width = size
    rows = slice(max(int(y - reach) - 1, 0), min(int(y + reach) + 2, height))
    columns = slice(max(int(x - reach) - 1, 0), min(int(x + reach) + 2, width))
    dy = np.arange(rows.start, rows.stop)[:, np.newaxis] + (0.5 - y)
    dx = np.arange(columns.start, columns.stop) + (0.5 - x)
    return (rows, columns), cos(angle) * dx + sin(angle) * dy, cos(angle) * dy - sin(angle) * dx


def _paint(pixels, distance, color, antialias):
    """Mix a colour into the pixels where the signed distance says the shape covers them."""
    cover = np.clip(0.5 - distance, 0, 1) if antialias else distance <= 0
    pixels += cover[..., np.newaxis] * (color - pixels)


def _mask_boxes(masks):
    """Return tight (x0, y0, x1, y1) boxes, (n, 4), of masks (n, height, width); empty: zeros."""
    sides = []
    for occupied in (masks.any(axis=1), masks.any(axis=2)):
        first = occupied.argmax(axis=1)
        last = occupied.shape[1] - occupied[:, ::-1].argmax(axis=1)
        sides.append(np.stack([first, last]) * occupied.any(axis=1))
    (x0, x1), (y0, y1) = sides
    return np.stack([x0, y0, x1, y1], axis=1)


def _draw_background(image, background, rng):
    """Fill one image in place and return its mean colour."""
    if isinstance(background, np.ndarray):
        image[:] = background
        return image.mean(axis=(0, 1))
    color = rng.random(3)
    if background == "plain":
        image[:] = color
        return color
    height, width, _ = image.shape
    angle, other = rng.uniform(0, tau), rng.random(3)
    x = (np.arange(width) + 0.5) / width - 0.5
    y = (np.arange(height)[:, np.newaxis] + 0.5) / height - 0.5
    part = 0.5 + (cos(angle) * x + sin(angle) * y) / 2**0.5
    image[:] = color + part[..., np.newaxis] * (other - color)
    return (color + other) / 2


def _background_values(background, shape):
    """Return one background per scene: its kind, or an array (height, width, 3)."""
    if isinstance(background, str):
        if background not in ("plain", "gradient"):
            raise ValueError(
                f"background must be 'plain', 'gradient' or an array, got {background!r}"
            )
        return [background] * shape[0]
    values = _unit_values(background, "background")
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(
            f"background must broadcast to the images, {shape}, got shape {values.shape}"
        ) from None


def _integer_range(value, name, largest):
    """Return an integer, or a pair (fewest, most), as a pair in order."""
    fewest, most = integers(value, name, minimum=0)
    if not fewest <= most <= largest:
        raise ValueError(
            f"{name} must be (fewest, most) in order and at most {largest}, got {value!r}"
        )
    return fewest, most


def _number(value, name, largest):
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= largest:
        raise ValueError(f"{name} must be a number from 0 to {largest}, got {value!r}")
    return float(value)


def _radii(scale, side):
    """Return the smallest and the largest radius in pixels."""
    if not isinstance(scale, (tuple, list, np.ndarray)) or len(scale) != 2:
        raise ValueError(f"scale must be (smallest, largest), got {scale!r}")
    smallest, largest = (_number(v, f"scale[{i}]", largest=0.5) for i, v in enumerate(scale))
    if not 2 / side <= smallest <= largest:
        raise ValueError(
            f"scale must be in order and give radii of at least 2 pixels "
            f"({2 / side:.3g} of {side} pixels), got {scale!r}"
        )
    return smallest * side, largest * side


def _shape_names(shapes):
    names = tuple(shapes) if isinstance(shapes, (tuple, list)) else (shapes,)
    if not names or len(set(names)) < len(names) or not set(names) <= set(SHAPES):
        raise ValueError(f"shapes must be different ones of {', '.join(SHAPES)}, got {shapes!r}")
    return names


def _unit_values(value, name):
    values = np.asarray(value)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}")
    if values.size == 0 or not np.all((values >= 0) & (values <= 1)):
        span = f"{values.min()} to {values.max()}" if values.size else "no values"
        raise ValueError(f"{name} must hold values in [0, 1], got {span}")
    return values
