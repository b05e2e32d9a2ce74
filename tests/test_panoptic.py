"""Panoptic quality by hand, and against counting sets of pixels as the paper defines it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cvlab.panoptic import PanopticQuality, panoptic_counts, panoptic_quality
from cvlab.segmentation import confusion_matrix, iou_per_class

VOID = 255
MAPS = st.builds(
    lambda labels, instances: np.stack([labels, instances], axis=-1),
    arrays(np.int64, (5, 4), elements=st.sampled_from([0, 0, 1, 1, 2, VOID])),
    arrays(np.int64, (5, 4), elements=st.integers(0, 1)),
)


def strip(classes, instances=None):
    """Return a panoptic map of one row."""
    instances = [0] * len(classes) if instances is None else instances
    return np.stack([[classes], [instances]], axis=-1)


def sets_of_pixels(panoptic_map):
    """Return {(class, instance): set of places}, and the set of void places."""
    segments, void = {}, set()
    for y, x in np.ndindex(panoptic_map.shape[:2]):
        label, instance = panoptic_map[y, x].tolist()
        if label == VOID:
            void.add((y, x))
        else:
            segments.setdefault((label, instance), set()).add((y, x))
    return segments, void


def by_definition(truth, prediction, classes):
    """Return the counts with sets of pixels, and how often a segment has more than one match."""
    true, void = sets_of_pixels(truth)
    predicted, _ = sets_of_pixels(prediction)
    counts, matched = np.zeros((classes, 4)), []
    for (label, t), pixels in true.items():
        for (other, p), found in predicted.items():
            found = found - void
            iou = len(pixels & found) / len(pixels | found)
            if label == other and iou > 0.5:
                counts[label, :2] += iou, 1
                matched += [("true", label, t), ("predicted", label, p)]
    for (label, p), found in predicted.items():
        if ("predicted", label, p) not in matched and len(found & void) <= len(found) / 2:
            counts[label, 2] += 1
    for label, t in true:
        counts[label, 3] += ("true", label, t) not in matched
    return counts, len(matched) - len(set(matched))


@given(truth=MAPS, prediction=MAPS, share=st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_the_definition(truth, prediction, share):
    keep = np.random.default_rng(0).random(truth.shape[:2]) < share
    prediction = np.where(keep[..., None], prediction, truth)  # else there is hardly a match
    expected, twice = by_definition(truth, prediction, 3)
    np.testing.assert_allclose(panoptic_counts(truth, prediction, 3), expected, rtol=1e-14)
    assert twice == 0  # above one half, matches are unique


@given(truth=MAPS, prediction=MAPS)
@settings(max_examples=100, deadline=None)
def test_properties(truth, prediction):
    counts = panoptic_counts(truth, prediction, 3)
    assert counts.dtype == np.float64
    quality = panoptic_quality(counts)
    per_class = quality.per_class[~np.isnan(quality.per_class[:, 0])]
    np.testing.assert_allclose(per_class[:, 0], per_class[:, 1] * per_class[:, 2], rtol=1e-14)
    assert ((per_class >= 0) & (per_class <= 1)).all()
    # Numbers of instances mean nothing, and void has none.
    renamed = prediction * [1, -3] + [0, 7]
    np.testing.assert_array_equal(panoptic_counts(truth, renamed, 3), counts)
    perfect = panoptic_counts(truth, truth, 3)
    assert (perfect[:, 0] == perfect[:, 1]).all()
    assert not perfect[:, 2:].any()


def test_by_hand():
    #                 two things (class 1) on stuff (class 0); the second thing is cut in three
    truth = strip([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    found = strip([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 4, 4, 4, 4, 4, 5, 5, 6, 7])
    counts = panoptic_counts(truth, found, 2)
    np.testing.assert_allclose(counts, [[3 / 4, 1, 0, 0], [4 / 5, 1, 3, 1]])
    quality = panoptic_quality(counts)
    assert isinstance(quality, PanopticQuality)
    expected = [[0.75, 0.75, 1], [0.8 / 3, 0.8, 1 / 3]]
    np.testing.assert_allclose(quality.per_class, expected, rtol=1e-14)
    np.testing.assert_allclose(quality[:3], np.mean(expected, axis=0), rtol=1e-14)
    assert quality.pq != pytest.approx(quality.sq * quality.rq)  # means are not a product
    assert panoptic_quality(counts[1:]).pq == pytest.approx(0.8 / 3)  # things only


def test_an_overlap_of_one_half_is_no_match():
    truth, found = strip([0, 0, 0, 1, 1, 1]), strip([0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(panoptic_counts(truth, found, 2), [[0, 0, 1, 1], [0, 0, 0, 1]])
    truth = strip([0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(
        panoptic_counts(truth, 0 * truth, 2), [[4 / 7, 1, 0, 0], [0, 0, 0, 1]]
    )


def test_the_same_pixels_with_another_class_are_two_mistakes():
    counts = panoptic_counts(strip([0, 0, 0]), strip([1, 1, 1]), 2)
    np.testing.assert_array_equal(counts, [[0, 0, 0, 1], [0, 0, 1, 0]])
    assert panoptic_quality(counts)[:3] == (0, 0, 0)


def test_void_truth_leaves_the_overlap():
    truth = strip([1, 1, VOID, VOID, VOID, 0])
    found = strip([1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(panoptic_counts(truth, found, 2), [[1, 1, 0, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize(("in_void", "false_positives"), [(1, 1), (2, 1), (3, 0), (4, 0)])
def test_a_false_positive_mostly_in_void_is_forgiven(in_void, false_positives):
    truth = strip([VOID] * in_void + [0] * (12 - in_void))
    found = strip([1, 1, 1, 1] + [0] * 8)
    counts = panoptic_counts(truth, found, 2)
    assert counts[1].tolist() == [0, 0, false_positives, 0]
    assert counts[0].tolist() == [8 / (12 - in_void), 1, 0, 0]


def test_void_prediction_is_no_segment():
    counts = panoptic_counts(strip([0, 0, 0, 1]), strip([0, 0, VOID, VOID]), 2)
    np.testing.assert_array_equal(counts, [[2 / 3, 1, 0, 0], [0, 0, 0, 1]])
    nothing = panoptic_counts(strip([VOID, VOID]), strip([VOID, 0]), 2)
    np.testing.assert_array_equal(nothing, 0)
    quality = panoptic_quality(nothing)
    assert np.isnan([*quality[:3], *quality.per_class.ravel()]).all()


def test_counts_of_images_add_up():
    first = strip([0, 0, 1]), strip([0, 0, 1])
    second = strip([0, 0, 0]), strip([1, 1, 1])
    total = panoptic_counts(*first, 2) + panoptic_counts(*second, 2)
    assert panoptic_quality(total).pq == pytest.approx(1 / 1.5)


def test_for_stuff_that_matches_it_is_the_iou_of_semantic_segmentation():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (20, 20))
    prediction = np.where(rng.random((20, 20)) < 0.8, truth, (truth + 1) % 3)
    maps = [np.stack([labels, 0 * labels], axis=-1) for labels in (truth, prediction)]
    quality = panoptic_quality(panoptic_counts(*maps, 3))
    expected = iou_per_class(confusion_matrix(truth, prediction, 3))
    np.testing.assert_allclose(quality.per_class[:, 0], expected, rtol=1e-14)


def test_errors():
    one = strip([0, 1])
    with pytest.raises(ValueError, match=r"truth must have shape \(height, width, 2\), got \(1, 2"):
        panoptic_counts(one[..., 0], one, 2)
    with pytest.raises(ValueError, match=r"prediction must hold integers, .* got dtype float64"):
        panoptic_counts(one, 1.0 * one, 2)
    message = r"truth and prediction must have the same shape, got \(1, 2, 2\) and \(1, 1, 2\)"
    with pytest.raises(ValueError, match=message):
        panoptic_counts(one, one[:, :1], 2)
    message = "prediction must hold classes from 0 to 1, or 255, got 2 at index 0, 1"
    with pytest.raises(ValueError, match=message):
        panoptic_counts(one, strip([0, 2]), 2)
    with pytest.raises(ValueError, match="truth must hold classes from 0 to 1, or 9, got 255 at"):
        panoptic_counts(strip([255, 0]), one, 2, void_label=9)
    with pytest.raises(ValueError, match="void_label must be no class from 0 to 1, got 1"):
        panoptic_counts(one, one, 2, void_label=1)
    with pytest.raises(ValueError, match=r"counts must have shape \(classes, 4\), got \(4,\)"):
        panoptic_quality([1, 1, 0, 0])
    with pytest.raises(ValueError, match=r"counts must be >= 0, got -1\.0 at index 0, 2"):
        panoptic_quality([[1, 1, -1, 0]])
