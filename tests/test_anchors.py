"""Anchors against their definition; matching against rules that every result must obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.anchors import BACKGROUND, IGNORED, make_anchors, match_anchors
from cvlab.iou import box_iou


def test_anchors_have_the_stated_centres_sizes_and_ratios():
    anchors = make_anchors((2, 3), (10, 20), sizes=[8, 32], ratios=[0.25, 1, 4])
    assert anchors.shape == (2 * 3 * 2 * 3, 4)
    grid = anchors.reshape(2, 3, 2, 3, 4)  # row, column, size, ratio
    width, height = grid[..., 2] - grid[..., 0], grid[..., 3] - grid[..., 1]
    sizes, ratios = np.array([8, 32])[:, None], np.array([0.25, 1, 4])
    np.testing.assert_allclose(np.sqrt(width * height), np.broadcast_to(sizes, width.shape))
    np.testing.assert_allclose(height / width, np.broadcast_to(ratios, width.shape))
    x, y = (grid[..., 0] + grid[..., 2]) / 2, (grid[..., 1] + grid[..., 3]) / 2
    np.testing.assert_allclose(x, np.broadcast_to([[[10]], [[30]], [[50]]], x.shape))
    np.testing.assert_allclose(y, np.broadcast_to([[[[5]]], [[[15]]]], y.shape))


def test_a_ratio_is_height_over_width():
    np.testing.assert_array_equal(make_anchors((1, 1), 8, [4], [4]), [[3, 0, 5, 8]])
    assert make_anchors((1, 1), 8, [4]).shape == (3, 4)


def test_matching_by_hand():
    anchors = [[0, 0, 10, 10], [0, 0, 10, 5], [5, 0, 15, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
    boxes = [[0, 0, 10, 10], [38, 0, 44, 10]]  # IoU 1, 1/2, 1/3, then 1/3 with the fourth anchor
    match, missed = match_anchors(anchors, boxes, positive=0.5, negative=1 / 3)
    assert match.tolist() == [0, 0, IGNORED, 1, BACKGROUND]
    assert missed.size == 0
    match, _ = match_anchors(anchors, boxes, positive=0.51, negative=0.4)
    assert match.tolist() == [0, IGNORED, BACKGROUND, 1, BACKGROUND]


def test_every_box_gets_an_anchor_of_its_own():
    anchors = [[0, 0, 10, 10], [4, 0, 14, 10]]
    match, missed = match_anchors(anchors, [[0, 0, 10, 10], [0, 0, 10, 9]])
    assert match.tolist() == [0, 1]  # the first anchor is best for both boxes
    assert missed.size == 0
    match, missed = match_anchors(anchors[:1], [[0, 0, 10, 9], [0, 0, 10, 10]])
    assert match.tolist() == [1]
    assert missed.tolist() == [0]
    match, missed = match_anchors(anchors, [[90, 0, 99, 9]])
    assert match.tolist() == [BACKGROUND, BACKGROUND]
    assert missed.tolist() == [0]


@given(
    seed=st.integers(0, 999),
    count=st.integers(0, 12),
    limits=st.sampled_from([(0.3, 0.7), (0.4, 0.5), (0.5, 0.5), (0.0, 1.0)]),
)
@settings(max_examples=60, deadline=None)
def test_properties_of_matching(seed, count, limits):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 50, (count, 2))
    boxes = np.hstack([corner, corner + rng.uniform(3, 30, (count, 2))])
    anchors = make_anchors((4, 4), 16, [12, 24], [0.5, 1, 2])
    negative, positive = limits
    match, missed = match_anchors(anchors, boxes, positive=positive, negative=negative)
    assert sorted([*missed, *np.unique(match[match >= 0])]) == list(range(count))
    if count == 0:
        assert (match == BACKGROUND).all()
        return
    overlap = box_iou(anchors, boxes)
    best = overlap.max(axis=1)
    assert (best[match == BACKGROUND] < negative).all() or negative == 0
    ignored = best[match == IGNORED]
    assert ((negative <= ignored) & (ignored < positive)).all()
    taken = np.flatnonzero(match >= 0)
    own = overlap[taken, match[taken]]
    assert (own > 0).all()
    forced = taken[(own < positive) | (own < best[taken])]
    assert len(forced) == len(np.unique(match[forced]))  # by the second rule: one for each box
    assert len(forced) <= count


def test_empty_inputs_and_errors():
    match, missed = match_anchors([], [[0, 0, 1, 1]])
    assert (match.shape, missed.tolist()) == ((0,), [0])
    match, missed = match_anchors([[0, 0, 1, 1]], [])
    assert (match.tolist(), missed.shape) == ([BACKGROUND], (0,))
    message = r"0 <= negative <= positive <= 1, got 0\.6 and 0\.5"
    with pytest.raises(ValueError, match=message):
        match_anchors([], [], negative=0.6)
    with pytest.raises(ValueError, match="anchors must not be inverted"):
        match_anchors([[2, 0, 1, 1]], [])
    with pytest.raises(ValueError, match=r"sizes must be positive, got 0\.0 at index 1"):
        make_anchors((2, 2), 8, [3, 0])
    with pytest.raises(ValueError, match=r"ratios must be positive, got -1\.0 at index 0"):
        make_anchors((2, 2), 8, [3], [-1])
    with pytest.raises(ValueError, match=r"grid\[0\] must be an integer >= 1, got 0"):
        make_anchors((0, 2), 8, [3])
    with pytest.raises(ValueError, match=r"sizes must have 1 axes \(values\), got shape \(\)"):
        make_anchors((2, 2), 8, 3)


@pytest.mark.parametrize(
    ("negative", "positive", "second"), [(0.4, 0.5, 0), (0.5, 0.7, -2), (0.51, 0.7, -1)]
)
def test_an_overlap_on_a_limit_belongs_to_the_better_side(negative, positive, second):
    anchors = [[0, 0, 4, 4], [0, 0, 4, 2]]  # the box itself, and half of it
    match, missed = match_anchors(anchors, [[0, 0, 4, 4]], positive=positive, negative=negative)
    assert match.tolist() == [0, second]
    assert missed.size == 0
