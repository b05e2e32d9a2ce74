"""Effective receptive fields: how much each pixel of the image counts for a unit.

A field is an array (height, width) of weights that are not negative, the size of the gradient of
    the unit at every pixel; :mod:`cvlab.networks.effective_field` measures it.
It is read as a distribution of mass over the pixels, so its scale does not matter.
Positions and widths are in pixels, (rows, columns); intervals [first, stop) are half-open.
What a unit can see at all, the theoretical field, is in :mod:`cvlab.receptive_field`.

Source: W. Luo, Y. Li, R. Urtasun and R. Zemel, "Understanding the effective receptive field in deep
convolutional neural networks", NIPS 2016, arXiv:1701.04128.
Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvlab._validate import float_array, integers
from cvlab.axis_field import Interval
from cvlab.layer_geometry import Layer

Pair = tuple[float, float]


def fit_gaussian(field: np.ndarray) -> tuple[Pair, Pair]:
    """Return centre and width (standard deviation) of the Gaussian that fits a field best.

    Of all Gaussians with axes along rows and columns it makes the mass most likely: its mean and
    its standard deviation are those of the field.

    Parameters
    ----------
    field : array (height, width)

    Returns
    -------
    centre, width : (float, float)
        Along rows and along columns.

    Raises
    ------
    ValueError
        If `field` has not 2 axes, is negative somewhere, or has no mass.

    Examples
    --------
    >>> fit_gaussian([[0, 0, 0, 0], [0, 1, 2, 1], [0, 0, 0, 0]])
    ((1.0, 2.0), (0.0, 0.7071067811865476))
    """
    mass = _as_mass(field)
    centre, width = [], []
    for axis in (0, 1):
        share = mass.sum(axis=1 - axis)
        position = np.arange(share.size)
        mean = share @ position
        centre.append(float(mean))
        width.append(float(np.sqrt(share @ (position - mean) ** 2)))
    return (centre[0], centre[1]), (width[0], width[1])


def mass_inside(field: np.ndarray, box: tuple[Interval, Interval]) -> float:
    """Return the fraction of the mass that lies in a box of pixels.

    Parameters
    ----------
    field : array (height, width)
    box : ((top, bottom), (left, right))
        Half-open, as :func:`cvlab.receptive_field.unit_interval` returns it.

    Raises
    ------
    ValueError
        As :func:`fit_gaussian`, or if the box is not two intervals of pixels.

    Examples
    --------
    >>> mass_inside(np.ones((4, 4)), ((0, 2), (0, 4)))
    0.5
    """
    mass = _as_mass(field)
    pairs = list(box)
    if len(pairs) != 2:
        raise ValueError(f"box must be ((top, bottom), (left, right)), got {box!r}")
    (top, bottom), (left, right) = (integers(pair, "box", 0) for pair in pairs)
    return float(mass[top:bottom, left:right].sum())


def area_of_mass(field: np.ndarray, mass: float = 0.9545) -> int:
    """Return the smallest number of pixels that together hold a fraction `mass` of the field.

    The default is what a Gaussian has within two standard deviations along one axis. The square
    root of the area is a side to compare with the theoretical size.

    Raises
    ------
    ValueError
        As :func:`fit_gaussian`, or if `mass` is not above 0 and at most 1.

    Examples
    --------
    >>> area_of_mass([[0.0, 1.0, 6.0, 2.0, 1.0]], mass=0.75)
    2
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass must be above 0 and at most 1, got {mass!r}")
    shares = np.sort(_as_mass(field), axis=None)[::-1]
    return int(np.searchsorted(shares.cumsum(), mass * (1 - 1e-12)) + 1)


def uniform_width(layers: Sequence[Layer]) -> Pair:
    """Return the width of the effective field of a chain of layers whose weights are all equal.

    Every layer spreads the mass over its taps, and the variances add up. A window of k taps, d
    apart, has the variance d^2 (k^2 - 1) / 12 in units of the jump J before it:

        width^2 = sum_l J_l^2 d_l^2 (k_l^2 - 1) / 12.

    For n layers with stride 1 it is sqrt(n (k^2 - 1) / 12): it grows like the square root of the
    depth, the theoretical field like the depth (Luo et al. 2016, section 2). Weights drawn at
    random around zero give the same width on average for the *square* of the gradient.

    Parameters
    ----------
    layers : sequence of Layer
        A chain of convolutions, average poolings and layers without a window.

    Returns
    -------
    (float, float)
        Along rows and along columns.

    Raises
    ------
    ValueError
        If a layer has another kind.

    Examples
    --------
    >>> uniform_width([Layer(3)] * 6)
    (2.0, 2.0)
    """
    twelvefold, jump = np.zeros(2), np.ones(2)
    for layer in layers:
        if layer.kind not in ("convolution", "pooling", "padding", "pointwise"):
            raise ValueError(f"layers must be a chain of windows, got the kind {layer.kind!r}")
        kernel, dilation = np.array(layer.kernel), np.array(layer.dilation)
        twelvefold += (jump * dilation) ** 2 * (kernel**2 - 1)
        jump *= layer.stride
    height, width = np.sqrt(twelvefold / 12).tolist()
    return height, width


def _as_mass(field):
    """Return `field` in float64, scaled to a sum of 1."""
    values = float_array(field, "field", 2, "(height, width)").astype(np.float64)
    total = values.sum()
    if not (np.isfinite(total) and total > 0 and values.min() >= 0):
        raise ValueError("field must be finite, nowhere negative and not all zero")
    return values / total
