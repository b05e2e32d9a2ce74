"""Non-max suppression against TensorFlow, against the plain loop, and on cases made by hand."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab import non_max_suppression
from cvlab.iou import box_iou
from cvlab.non_max_suppression import batched_nms, nms, soft_nms


def random_boxes(count, seed=0, reach=60, ties=False):
    """Return boxes on whole pixels and their scores."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(-20, reach, (count, 2))
    boxes = np.hstack([corner, corner + rng.integers(1, 25, (count, 2))]).astype(np.float32)
    scores = rng.integers(0, 4, count) / 4 if ties else rng.permutation(count) / count
    return boxes, scores.astype(np.float32)


def plain_nms(boxes, scores, threshold):
    """Suppress by the definition, one box after the other."""
    remaining = sorted(range(len(boxes)), key=lambda i: -scores[i])  # stable
    kept = []
    while remaining:
        best, *rest = remaining
        kept.append(best)
        remaining = [i for i in rest if (box_iou(boxes[[best]], boxes[[i]]) <= threshold).all()]
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 40, 700])
def test_nms_agrees_with_tensorflow(count, threshold):
    boxes, scores = random_boxes(count)
    expected = tf.image.non_max_suppression(boxes[:, [1, 0, 3, 2]], scores, count, threshold)
    np.testing.assert_array_equal(nms(boxes, scores, threshold), expected)


@given(
    count=st.integers(0, 40),
    threshold=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]),
    block=st.sampled_from([1, 2, 5, 256]),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_blocks_and_ties_agree_with_the_plain_loop(count, threshold, block, seed):
    boxes, scores = random_boxes(count, seed, reach=10, ties=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(non_max_suppression, "BLOCK", block)
        ours = nms(boxes, scores, threshold)
    assert ours.tolist() == plain_nms(boxes, scores, threshold)


@given(count=st.integers(1, 60), threshold=st.floats(0, 1), seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_properties(count, threshold, seed):
    boxes, scores = random_boxes(count, seed)
    kept = nms(boxes, scores, threshold)
    assert kept[0] == np.argmax(scores)
    assert (np.diff(scores[kept]) <= 0).all()
    overlap = box_iou(boxes, boxes[kept])
    assert (overlap[kept] - np.eye(len(kept)) <= threshold).all()
    gone = np.setdiff1d(np.arange(count), kept)
    better = scores[kept] >= scores[gone, None]
    assert ((overlap[gone] > threshold) & better).any(axis=1).all()  # each has its suppressor
    np.testing.assert_array_equal(nms(boxes[kept], scores[kept], threshold), np.arange(len(kept)))


def test_at_the_threshold_both_boxes_stay():
    boxes = [[0, 0, 2, 1], [1, 0, 3, 1]]  # an IoU of 1/3
    assert nms(boxes, [0.9, 0.8], 1 / 3).tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], np.nextafter(1 / 3, 0)).tolist() == [0]
    assert nms([[0, 0, 1, 1]] * 2, [0.9, 0.8], 1.0).tolist() == [0, 1]


def test_a_suppressed_box_suppresses_nobody():
    chain = [[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]  # IoU 3/7, 3/7 and 1/9
    assert nms(chain, [0.9, 0.8, 0.7], 0.4).tolist() == [0, 2]


def test_equal_scores_keep_their_order():
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]]
    assert nms(boxes, [0.5, 0.5, 0.5], 0.5).tolist() == [0, 2]
    assert nms(boxes[::-1], [0.5, 0.5, 0.5], 0.5).tolist() == [0, 1]


def test_boxes_without_area_overlap_nothing():
    assert nms([[1, 1, 1, 1]] * 3, [0.1, 0.3, 0.2], 0.0).tolist() == [1, 2, 0]


@pytest.mark.parametrize("seed", range(5))
def test_batched_nms_is_nms_class_by_class(seed):
    boxes, scores = random_boxes(80, seed, reach=20, ties=True)
    labels = np.random.default_rng(seed).choice(["cat", "dog", "owl"], 80)
    kept = batched_nms(boxes, scores, labels, 0.3)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        expected = members[nms(boxes[members], scores[members], 0.3)]
        np.testing.assert_array_equal(kept[labels[kept] == label], expected)
    order = sorted(kept.tolist(), key=lambda i: (-scores[i], i))
    assert kept.tolist() == order
    same = batched_nms(boxes, scores, np.zeros(80, int), 0.3)
    np.testing.assert_array_equal(same, nms(boxes, scores, 0.3))


def test_classes_stay_apart_at_negative_coordinates():
    """Moving each class by label * (largest coordinate + 1) would lay these two on each other."""
    boxes = [[0, 0, 9, 9], [-10, -10, -1, -1]]
    assert batched_nms(boxes, [0.9, 0.8], [0, 1], 0.5).tolist() == [0, 1]
    assert batched_nms([[0, 0, 9, 9]] * 2, [0.9, 0.8], [3, 7], 0.0).tolist() == [0, 1]


def test_gaussian_soft_nms_agrees_with_tensorflow():
    boxes, scores = random_boxes(60, reach=15)
    kept, new_scores = soft_nms(boxes, scores, sigma=0.4, score_threshold=0.01)
    expected, expected_scores = tf.image.non_max_suppression_with_scores(
        boxes[:, [1, 0, 3, 2]],
        scores,
        max_output_size=60,
        iou_threshold=1.0,
        score_threshold=0.01,
        soft_nms_sigma=0.2,  # TensorFlow's exponent is IoU^2 / (2 sigma)
    )
    np.testing.assert_array_equal(kept, expected)
    np.testing.assert_allclose(new_scores, expected_scores, rtol=1e-5)
    assert len(kept) < 60


def test_linear_soft_nms_by_hand():
    boxes = [[0, 0, 4, 1], [1, 0, 5, 1], [3, 0, 7, 1]]  # IoU 3/5, 1/7 and 1/3
    kept, scores = soft_nms(boxes, [0.9, 0.8, 0.4], method="linear", iou_threshold=1 / 3)
    assert kept.tolist() == [0, 2, 1]
    np.testing.assert_allclose(scores, [0.9, 0.4, 0.8 * (1 - 3 / 5) * (1 - 1 / 3)])
    kept, scores = soft_nms(boxes, [0.9, 0.8, 0.4], method="linear", iou_threshold=0.34)
    np.testing.assert_allclose(scores, [0.9, 0.4, 0.32])
    kept, scores = soft_nms(
        boxes, [0.9, 0.8, 0.4], method="linear", iou_threshold=0.34, score_threshold=0.35
    )
    assert kept.tolist() == [0, 2]


def test_soft_nms_keeps_neighbours_that_nms_deletes():
    boxes, scores = [[0, 0, 10, 10], [3, 0, 13, 10]], [0.9, 0.85]
    assert nms(boxes, scores, 0.5).tolist() == [0]
    kept, new_scores = soft_nms(boxes, scores)
    assert kept.tolist() == [0, 1]
    assert new_scores[1] == pytest.approx(0.85 * np.exp(-((7 / 13) ** 2) / 0.5))


def test_no_boxes_and_inputs_are_kept():
    assert nms([], [], 0.5).shape == (0,)
    assert batched_nms(np.zeros((0, 4)), [], [], 0.5).shape == (0,)
    kept, scores = soft_nms([], [])
    assert (kept.shape, scores.shape) == ((0,), (0,))
    assert kept.dtype.kind == nms([], [], 0.5).dtype.kind == "i"
    boxes, scores = random_boxes(9)
    before = boxes.copy(), scores.copy()
    soft_nms(boxes, scores)
    batched_nms(boxes, scores, np.arange(9), 0.5)
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(scores, before[1])


def test_errors():
    boxes, scores = [[0, 0, 1, 1], [0, 0, 2, 2]], [0.5, 0.6]
    with pytest.raises(ValueError, match="scores must be one for each of 2 boxes, got 1"):
        nms(boxes, [0.5], 0.5)
    for suppress in (nms, lambda b, s, t: batched_nms(b, s, [0, 1], t)):
        with pytest.raises(ValueError, match="scores must be finite, got nan at index 1"):
            suppress(boxes, [0.5, np.nan], 0.5)
        with pytest.raises(
            ValueError, match=r"iou_threshold must be a number from 0 to 1, got 1\.1"
        ):
            suppress(boxes, scores, 1.1)
    with pytest.raises(ValueError, match="iou_threshold must be a number from 0 to 1, got nan"):
        nms(boxes, scores, float("nan"))
    with pytest.raises(ValueError, match="iou_threshold must be a number from 0 to 1, got '1'"):
        nms(boxes, scores, "1")
    with pytest.raises(ValueError, match=r"boxes must not be inverted .* at index 0"):
        nms([[2, 0, 1, 1]], [0.5], 0.5)
    message = r"labels must have shape \(2,\), one for each box, got shape \(1,\)"
    with pytest.raises(ValueError, match=message):
        batched_nms(boxes, scores, [1], 0.5)
    with pytest.raises(ValueError, match='method must be "gaussian" or "linear", got'):
        soft_nms(boxes, scores, method="hard")
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        soft_nms(boxes, scores, sigma=0)
    with pytest.raises(ValueError, match=r"scores must be at least 0, got -0\.5 at index 0"):
        soft_nms(boxes, [-0.5, 0.5])
