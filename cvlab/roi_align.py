"""RoI align: the features inside a box, as a map of a fixed size.

A region of interest (RoI) is a box xyxy with continuous edges, as in :mod:`cvlab.boxes`: feature
    [row, column] is a square of side 1 whose centre lies at (column + 0.5, row + 0.5).
The box is cut into bins that are all alike, without rounding; each bin is the mean of
    `sampling` x `sampling` samples on a regular grid inside it.
A sample is interpolated bilinearly between four centres. Up to one pixel beyond the outermost
    centres their value goes on; farther out samples are 0.
Boxes in pixels of the image become boxes on the map times `spatial_scale`, 1 / stride.

Source: K. He et al., "Mask R-CNN", 2017, arXiv:1703.06870, section 3. The conventions are those of
``torchvision.ops.roi_align`` with ``aligned=True``. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integer, integers
from cvlab.boxes import check_boxes


def roi_align(
    features: np.ndarray,
    boxes: np.ndarray,
    output_size: int | tuple[int, int],
    *,
    spatial_scale: float = 1.0,
    sampling: int = 2,
) -> np.ndarray:
    """Return the features inside each box, resampled to `output_size`.

    Bilinear interpolation treats rows and columns apart, so each bin is a weighted sum
    sum_h sum_w rows[i, h] columns[j, w] features[h, w], and its gradient the same weights.

    Parameters
    ----------
    features : array (height, width, channels)
        The map of one image.
    boxes : array (number of boxes, 4)
        In format xyxy, in pixels of the image.
    output_size : int or (int, int)
        Number of bins down and across.
    spatial_scale : float
        Size of the map over size of the image, such as 1 / 16.
    sampling : int
        Samples in each bin down, and across.

    Returns
    -------
    array (number of boxes, bins down, bins across, channels)

    Raises
    ------
    ValueError
        If a shape is wrong, a box is none, or a number is not positive.

    Examples
    --------
    >>> features = np.arange(16.0).reshape(4, 4, 1)
    >>> roi_align(features, [[0, 0, 4, 4]], 2)[0, ..., 0]  # bins of 2 x 2 features: their means
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    >>> roi_align(features, [[1.5, 1, 2.5, 2]], 1).item()  # half a column further right than 5
    5.5
    """
    features = float_array(features, "features", 3, "(height, width, channels)")
    boxes = check_boxes(boxes, ndim=2)
    output_size = integers(output_size, "output_size", 1)
    sampling = integer(sampling, "sampling", 1)
    if not features.size:
        raise ValueError(f"features must not be empty, got shape {features.shape}")
    if not spatial_scale > 0:
        raise ValueError(f"spatial_scale must be positive, got {spatial_scale!r}")
    x0, y0, x1, y1 = (boxes.astype(np.float64) * spatial_scale).T
    rows = _weights(y0, y1, output_size[0], sampling, features.shape[0])
    columns = _weights(x0, x1, output_size[1], sampling, features.shape[1])
    result = np.einsum("nih,njw,hwc->nijc", rows, columns, features, optimize=True)
    return result.astype(features.dtype)


def _weights(start, end, bins, sampling, length):
    """Return what each feature along one axis contributes to each bin, (boxes, bins, length)."""
    steps = (np.arange(bins * sampling) + 0.5) / (bins * sampling)
    # From edges of squares to indices of features: the centre of the first is 0.5 from its edge.
    place = start[:, None] + (end - start)[:, None] * steps - 0.5
    near = (place >= -1) & (place <= length)
    place = np.clip(place, 0, length - 1)
    tent = np.maximum(0, 1 - np.abs(place[..., None] - np.arange(length)))
    weights = np.where(near[..., None], tent, 0)
    return weights.reshape(len(start), bins, sampling, length).mean(axis=2)
