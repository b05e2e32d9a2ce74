"""Outlines and distances between them, against loops over all pairs of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import directed_hausdorff

from cvlab.boundaries import boundary_band, mask_boundary, surface_distance
from cvlab.segmentation import confusion_matrix, pixel_accuracy

MASKS = arrays(bool, (6, 7))


def disc(radius, centre=(20, 20), size=40):
    y, x = np.mgrid[:size, :size]
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def all_distances(mask1, mask2):
    """Return the distance from each boundary pixel of either mask to the nearest of the other."""
    first, second = (np.argwhere(mask_boundary(mask)) for mask in (mask1, mask2))
    table = np.sqrt(((first[:, None] - second) ** 2).sum(axis=2))
    return np.concatenate([table.min(axis=1), table.min(axis=0)])


@given(mask=MASKS)
@settings(max_examples=50, deadline=None)
def test_the_boundary_is_what_erosion_takes_away(mask):
    np.testing.assert_array_equal(mask_boundary(mask), mask & ~binary_erosion(mask))


@given(mask1=MASKS, mask2=MASKS, percentile=st.floats(0, 100))
@settings(max_examples=100, deadline=None)
def test_distances_are_those_of_all_pairs(mask1, mask2, percentile):
    if not (mask1.any() and mask2.any()):
        return
    expected = all_distances(mask1, mask2)
    assert surface_distance(mask1, mask2) == pytest.approx(expected.mean(), rel=1e-12)
    value = surface_distance(mask1, mask2, percentile)
    assert value == pytest.approx(np.percentile(expected, percentile), rel=1e-12)
    assert value == pytest.approx(surface_distance(mask2, mask1, percentile), rel=1e-12)
    boundaries = [np.argwhere(mask_boundary(mask)) for mask in (mask1, mask2)]
    hausdorff = max(directed_hausdorff(*boundaries)[0], directed_hausdorff(*boundaries[::-1])[0])
    assert surface_distance(mask1, mask2, 100) == pytest.approx(hausdorff, rel=1e-12)
    assert surface_distance(mask1, mask1) == surface_distance(mask1, mask1, 100) == 0


def test_by_hand():
    line, pixel = np.zeros((2, 9, 12))
    line[4, 2:6] = 1  # four pixels, at distances 1, 2, 3 and 4 from the single one
    pixel[4, 1] = 1
    assert surface_distance(line, pixel) == (1 + 2 + 3 + 4 + 1) / 5
    assert surface_distance(line, pixel, 100) == 4
    assert surface_distance(line, pixel, 0) == 1
    diagonal = np.zeros((9, 12))
    diagonal[1, 5] = 1
    assert surface_distance(pixel, diagonal) == 5  # 3, 4, 5


def test_one_stray_pixel_moves_the_maximum_but_not_the_95th_percentile():
    mask = disc(12)
    stray = mask.copy()
    stray[0, 0] = True
    assert surface_distance(mask, stray, 95) == 0
    assert surface_distance(mask, stray, 100) > 15


def test_discs_with_one_centre_are_the_difference_of_their_radii_apart():
    for radius in (8, 10, 13):
        assert surface_distance(disc(radius), disc(16)) == pytest.approx(16 - radius, abs=0.5)


def test_empty_masks():
    empty, mask = np.zeros((40, 40)), disc(5)
    for percentile in (None, 95):
        assert surface_distance(empty, empty, percentile) == 0
        assert surface_distance(empty, mask, percentile) == np.inf
        assert surface_distance(mask, empty, percentile) == np.inf


@given(labels=arrays(np.uint8, (6, 7), elements=st.integers(0, 3)), width=st.floats(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_band_is_that_of_all_pairs(labels, width):
    places = np.argwhere(np.ones(labels.shape, bool))
    near = ((places[:, None] - places) ** 2).sum(axis=2) <= width**2
    other = labels.ravel()[:, None] != labels.ravel()
    expected = (near & other).any(axis=1).reshape(labels.shape)
    np.testing.assert_array_equal(boundary_band(labels, width), expected)


def test_accuracy_in_the_band_shows_what_accuracy_hides():
    truth, prediction = disc(12).astype(int), disc(11).astype(int)
    band = boundary_band(truth, 2)
    everywhere = pixel_accuracy(confusion_matrix(truth, prediction, 2))
    nearby = pixel_accuracy(confusion_matrix(truth[band], prediction[band], 2))
    assert everywhere > 0.95
    assert nearby < 0.8
    assert not boundary_band(np.ones((4, 4), int), 3).any()


def test_errors():
    mask = np.zeros((3, 4))
    with pytest.raises(ValueError, match="mask must hold 0 and 1 only, or booleans, got 3"):
        mask_boundary(mask + 3)
    message = r"mask1 and mask2 must have the same shape, got \(3, 4\) and \(4, 3\)"
    with pytest.raises(ValueError, match=message):
        surface_distance(mask, mask.T)
    with pytest.raises(ValueError, match=r"mask2 must have 2 axes .* got shape \(1, 3, 4\)"):
        surface_distance(mask, mask[None])
    for percentile in (-1, 101):
        message = f"percentile must lie from 0 to 100, got {percentile}"
        with pytest.raises(ValueError, match=message):
            surface_distance(mask, mask, percentile)
    with pytest.raises(ValueError, match=r"labels must hold integers, .* got dtype float64"):
        boundary_band(mask, 1)
    with pytest.raises(ValueError, match=r"labels must have 2 axes .* got shape \(3,\)"):
        boundary_band([0, 1, 2], 1)
    with pytest.raises(ValueError, match=r"width must be at least 1, got 0\.5"):
        boundary_band([[0, 1]], 0.5)
