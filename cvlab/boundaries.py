"""How well outlines agree: surface distances of two masks, and a band around the boundaries.

Distances are Euclidean, between centres of pixels, in pixels: neighbours along an edge are 1 apart.
The boundary of a mask is those of its pixels that have a neighbour outside, along an edge; what
    lies beyond the image is outside.
Rule for empty masks: two empty masks are at distance 0, an empty one and another at infinity.
IoU hardly sees the outline of a large object, which is a small share of its pixels; these do.

Sources: T. Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT
datasets", 2009, doi:10.1109/TMI.2009.2013851 (average symmetric surface distance); P. Krähenbühl
and V. Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials", 2011,
arXiv:1210.5644 (accuracy in a band, or trimap). Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import numpy as np

from cvlab.masks import check_masks
from cvlab.segmentation import check_labels


def mask_boundary(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask that have a neighbour outside it.

    Parameters
    ----------
    mask : array (height, width)

    Returns
    -------
    bool array (height, width)

    Raises
    ------
    ValueError
        If `mask` is no mask.

    Examples
    --------
    >>> mask_boundary(np.ones((3, 4))).astype(int)
    array([[1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]])
    """
    padded = np.pad(check_masks(mask, "mask", ndim=2), 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return padded[1:-1, 1:-1] & ~inner


def surface_distance(
    mask1: np.ndarray, mask2: np.ndarray, percentile: float | None = None
) -> float:
    """Return how far the boundaries of two masks lie apart, in pixels.

    Each boundary pixel of either mask has a distance to the nearest boundary pixel of the other.
    The result is the mean of all of them, the average symmetric surface distance (Heimann et al.
    2009), or one of their percentiles: 100 is the Hausdorff distance, 95 forgives a few outliers.

    Parameters
    ----------
    mask1, mask2 : arrays (height, width)
    percentile : float, optional
        From 0 to 100, of the distances of both boundaries taken together.

    Returns
    -------
    float
        0 if both masks are empty, infinity if one of them is.

    Raises
    ------
    ValueError
        If one is no mask, their shapes differ, or `percentile` is out of range.

    Examples
    --------
    >>> mask = np.zeros((6, 8))
    >>> mask[2:4, 1:3] = 1
    >>> surface_distance(mask, np.roll(mask, 3, axis=1))
    2.5
    >>> surface_distance(mask, np.roll(mask, 3, axis=1), percentile=100)
    3.0
    """
    from scipy.ndimage import distance_transform_edt

    mask1, mask2 = check_masks(mask1, "mask1", ndim=2), check_masks(mask2, "mask2", ndim=2)
    if mask1.shape != mask2.shape:
        raise ValueError(
            f"mask1 and mask2 must have the same shape, got {mask1.shape} and {mask2.shape}"
        )
    if percentile is not None and not 0 <= percentile <= 100:
        raise ValueError(f"percentile must lie from 0 to 100, got {percentile!r}")
    if not (mask1.any() and mask2.any()):
        return np.inf if mask1.any() or mask2.any() else 0.0
    boundary1, boundary2 = mask_boundary(mask1), mask_boundary(mask2)
    to_second = distance_transform_edt(~boundary2)[boundary1]
    to_first = distance_transform_edt(~boundary1)[boundary2]
    distances = np.concatenate([to_second, to_first])
    return float(distances.mean() if percentile is None else np.percentile(distances, percentile))


def boundary_band(labels: np.ndarray, width: float) -> np.ndarray:
    """Return the pixels that have a pixel of another label within `width`, on either side.

    For accuracy where it is hard: ``confusion_matrix(truth[band], prediction[band], classes)`` with
    the band of the truth. Every label counts, so boundaries of an ignored region have a band, too.

    Parameters
    ----------
    labels : int array (height, width)
        Or a mask.
    width : float
        In pixels, at least 1: the band of width 1 is one pixel on each side of the boundary.

    Returns
    -------
    bool array (height, width)

    Raises
    ------
    ValueError
        If `labels` does not hold integers on two axes, or `width` is less than 1.

    Examples
    --------
    >>> boundary_band([[0, 0, 0, 2, 2, 2]], width=1).astype(int)
    array([[0, 0, 1, 1, 0, 0]])
    """
    from scipy.ndimage import distance_transform_edt

    labels = check_labels(labels)
    if labels.ndim != 2:
        raise ValueError(f"labels must have 2 axes (height, width), got shape {labels.shape}")
    if not width >= 1:
        raise ValueError(f"width must be at least 1, got {width!r}")
    present = np.unique(labels)
    band = np.zeros(labels.shape, bool)
    if len(present) > 1:
        for label in present:
            band |= (labels == label) & (distance_transform_edt(labels == label) <= width)
    return band
