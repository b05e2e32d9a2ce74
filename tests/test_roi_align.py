"""RoI align against its definition, sample by sample, and tf.image.crop_and_resize."""

import math

import numpy as np
import pytest
import tensorflow as tf

from cvlab.roi_align import roi_align

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(7, 9, 2))


def value_at(features, y, x):
    """Return the features at a point in continuous coordinates."""
    height, width, channels = features.shape
    y, x = y - 0.5, x - 0.5
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(math.floor(y), height - 2), min(math.floor(x), width - 2)
    dy, dx = y - top, x - left
    upper = (1 - dx) * features[top, left] + dx * features[top, left + 1]
    lower = (1 - dx) * features[top + 1, left] + dx * features[top + 1, left + 1]
    return (1 - dy) * upper + dy * lower


def by_definition(features, box, bins, sampling):
    x0, y0, x1, y1 = box
    down, across = (y1 - y0) / bins[0], (x1 - x0) / bins[1]
    result = np.zeros((*bins, features.shape[2]))
    for i, j in np.ndindex(*bins):
        for k in range(sampling):
            for m in range(sampling):
                y = y0 + (i + (k + 0.5) / sampling) * down
                x = x0 + (j + (m + 0.5) / sampling) * across
                result[i, j] += value_at(features, y, x) / sampling**2
    return result


@pytest.mark.parametrize("sampling", [1, 2, 3])
@pytest.mark.parametrize("bins", [(1, 1), (2, 3), (7, 4)])
def test_is_its_definition(bins, sampling):
    corner = RNG.uniform(-3, 7, (20, 2))
    boxes = np.hstack([corner, corner + RNG.uniform(0, 8, (20, 2))])  # some leave the map
    result = roi_align(FEATURES, boxes, bins, sampling=sampling)
    expected = [by_definition(FEATURES, box, bins, sampling) for box in boxes]
    np.testing.assert_allclose(result, expected, atol=1e-12)
    assert result.shape == (20, *bins, 2)


def test_with_one_sample_it_is_crop_and_resize():
    corner = RNG.uniform(1, 3, (10, 2))
    boxes = np.hstack([corner, corner + RNG.uniform(1, 3, (10, 2))])  # inside the map
    result = roi_align(FEATURES, boxes, (4, 5), sampling=1)
    # TensorFlow puts the outermost samples on the edges of its box, and 1 on the last centre.
    first, last = boxes[:, [1, 0]], boxes[:, [3, 2]]
    half = (last - first) / [4, 5] / 2
    steps = np.subtract(FEATURES.shape[:2], 1)
    relative = np.hstack([(first + half - 0.5) / steps, (last - half - 0.5) / steps])
    expected = tf.image.crop_and_resize(
        FEATURES[None].astype(np.float32), relative.astype(np.float32), [0] * 10, (4, 5)
    )
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_whole_pixels_are_copied_and_averaged():
    result = roi_align(FEATURES, [[2, 1, 6, 4]], (3, 4), sampling=1)
    np.testing.assert_allclose(result[0], FEATURES[1:4, 2:6], rtol=1e-13)
    result = roi_align(FEATURES, [[2, 1, 8, 5]], (2, 3))  # bins of 2 x 2 features
    blocks = FEATURES[1:5, 2:8].reshape(2, 2, 3, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(result[0], blocks, rtol=1e-13)


def test_on_a_plane_each_bin_has_the_value_at_its_centre():
    y, x = np.mgrid[:12, :16] + 0.5
    plane = (3 * x - 2 * y + 1)[..., None]
    box = [2.3, 1.7, 12.9, 9.1]
    result = roi_align(plane, [box], (4, 5))[0, ..., 0]
    centre_x = box[0] + (np.arange(5) + 0.5) * (box[2] - box[0]) / 5
    centre_y = box[1] + (np.arange(4) + 0.5) * (box[3] - box[1]) / 4
    np.testing.assert_allclose(result, 3 * centre_x - 2 * centre_y[:, None] + 1, rtol=1e-12)


def test_a_shift_of_the_box_by_less_than_a_pixel_is_seen():
    boxes = np.array([[1.0, 1, 5, 5], [1.4, 1, 5.4, 5]])
    same, moved = roi_align(FEATURES, boxes, 2)
    assert np.abs(same - moved).max() > 0.05  # RoI pooling, which rounds, would not see it


def test_scale_and_types():
    boxes = [[16, 16, 80, 64], [0, 0, 144, 112]]
    result = roi_align(FEATURES, boxes, 3, spatial_scale=1 / 16)
    np.testing.assert_allclose(result, roi_align(FEATURES, np.divide(boxes, 16), 3), rtol=1e-13)
    single = roi_align(FEATURES.astype(np.float32), boxes, 3, spatial_scale=1 / 16)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, result, rtol=1e-4, atol=1e-6)
    assert roi_align(FEATURES, [], 3).shape == (0, 3, 3, 2)
    one = roi_align(FEATURES[:1, :1], [[0, 0, 1, 1]], 2)  # a map of one feature
    np.testing.assert_array_equal(one, np.broadcast_to(FEATURES[:1, :1], (1, 2, 2, 2)))


def test_errors():
    with pytest.raises(ValueError, match=r"features must have 3 axes .*, got shape \(7, 9\)"):
        roi_align(FEATURES[..., 0], [[0, 0, 1, 1]], 2)
    with pytest.raises(ValueError, match=r"features must not be empty, got shape \(0, 9, 2\)"):
        roi_align(FEATURES[:0], [[0, 0, 1, 1]], 2)
    with pytest.raises(ValueError, match=r"boxes must not be inverted .* got \[2\.0, 0\.0, 1\.0"):
        roi_align(FEATURES, [[2, 0, 1, 1]], 2)
    with pytest.raises(ValueError, match=r"output_size\[0\] must be an integer >= 1, got 0"):
        roi_align(FEATURES, [[0, 0, 1, 1]], (0, 2))
    with pytest.raises(ValueError, match="sampling must be an integer >= 1, got 0"):
        roi_align(FEATURES, [[0, 0, 1, 1]], 2, sampling=0)
    with pytest.raises(ValueError, match=r"spatial_scale must be positive, got 0\.0"):
        roi_align(FEATURES, [[0, 0, 1, 1]], 2, spatial_scale=0.0)
