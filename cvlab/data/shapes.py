"""Plane shapes as signed distances, the way `cvlab.data.scenes` draws them.

Conventions
-----------
Frame    u points right, v points down, the origin is the centre of the shape; all in pixels
Size     every shape fits in the circle of the given radius around the origin
Sign     the distance is negative inside, 0 on the outline, positive outside
Value    Euclidean next to an edge; beyond a corner it is a lower bound
"""

from __future__ import annotations

from math import cos, tau

import numpy as np


def signed_distance(shape: str, u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
    """Return the signed distance of points from the outline of an upright shape.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    u, v : numpy.ndarray
        Coordinates of the points, of shapes that broadcast to two axes (rows, columns).
    radius : float
        Radius of the circle that the shape fits in, in pixels.

    Returns
    -------
    numpy.ndarray
        Signed distances in pixels, two axes.

    Raises
    ------
    ValueError
        If there is no such shape.

    Examples
    --------
    >>> signed_distance("circle", np.array([[0.0, 3.0]]), np.array([[0.0]]), radius=2.0)
    array([[-2.,  1.]])
    """
    if shape not in _DISTANCES:
        raise ValueError(f"shape must be one of {', '.join(SHAPES)}, got {shape!r}")
    return _DISTANCES[shape](u, v, radius)


def _circle(u, v, radius):
    return np.hypot(u, v) - radius


def _ring(u, v, radius):
    return np.abs(np.hypot(u, v) - 0.75 * radius) - 0.25 * radius


def _square(u, v, radius):
    return np.maximum(np.abs(u), np.abs(v)) - radius / 2**0.5


def _bar(u, v, radius):
    return np.maximum(np.abs(u) - 0.95 * radius, np.abs(v) - 0.3 * radius)


def _cross(u, v, radius):
    return np.minimum(_bar(u, v, radius), _bar(v, u, radius))


def _triangle(u, v, radius):
    # One side lies below the centre, so that a tip points up.
    return _line_distances(u, v, 3).max(axis=0) - radius * cos(tau / 6)


def _star(u, v, radius):
    # Five lines join every second tip. A point of the star is outside one of them at most,
    # in the tip beyond it: the normals point to the tips, the first one up.
    return np.partition(_line_distances(u, -v, 5), 3, axis=0)[3] - radius * cos(tau / 5)


def _line_distances(u, v, lines):
    """Return the distances of points from `lines` lines through the centre, (lines, h, w).

    The normals are spread evenly, and the first one points down.
    """
    angles = tau / 4 + tau * np.arange(lines)[:, np.newaxis, np.newaxis] / lines
    return np.cos(angles) * u + np.sin(angles) * v


_DISTANCES = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "bar": _bar,
}
SHAPES = tuple(_DISTANCES)
