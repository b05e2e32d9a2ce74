"""Average precision: published examples, areas by hand, plain loops, and what is undefined."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.average_precision import (
    RECALLS,
    RULES,
    average_precision,
    mean_average_precision,
    precision_recall,
)
from cvlab.detection import Detections, Truth

# The example of R. Padilla et al., "A survey on performance metrics for object-detection
# algorithms", 2020: 24 detections by falling score, 15 objects.
PADILLA = "TFTFFFFFFTFTTTFFFFFFFFTF"


def curve_of(hits, objects):
    """Return precision and recall of a string of T and F, best score first."""
    return precision_recall([h == "T" for h in hits], -np.arange(len(hits)), objects)


def plain_average(precision, recall, rule):
    """Average the interpolated precision by its definition."""

    def best(least):
        return max((p for p, r in zip(precision, recall, strict=True) if r >= least), default=0.0)

    if rule == "voc":
        steps = sorted({0.0, *recall})
        return sum((b - a) * best(b) for a, b in itertools.pairwise(steps))
    return sum(best(r) for r in RECALLS[rule]) / len(RECALLS[rule])


def test_the_published_example():
    precision, recall = curve_of(PADILLA, 15)
    np.testing.assert_allclose(precision[[0, 2, 9, 13, 22]], [1, 2 / 3, 3 / 10, 6 / 14, 7 / 23])
    np.testing.assert_allclose(recall[[0, 2, 9, 13, 22]], np.array([1, 2, 3, 6, 7]) / 15)
    assert average_precision(precision, recall, "voc2007") == pytest.approx(0.2684, abs=5e-5)
    exact = 1 / 15 + 2 / 45 + 4 / 15 * 3 / 7 + 7 / 23 / 15  # published, of rounded terms: 0.2456
    assert average_precision(precision, recall, "voc") == pytest.approx(exact, abs=1e-12)
    assert round(exact, 3) == 0.246


@given(
    hits=st.lists(st.booleans(), max_size=30),
    missed=st.integers(0, 12),
    rule=st.sampled_from(RULES),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_averages_agree_with_the_definition(hits, missed, rule, seed):
    objects = max(sum(hits) + missed, 1)
    scores = np.random.default_rng(seed).permutation(len(hits))
    precision, recall = precision_recall(hits, scores, objects)
    right = 0
    for i, best in enumerate(np.argsort(-scores)):
        right += hits[best]
        assert precision[i] == right / (i + 1)
        assert recall[i] == right / objects
    ours = average_precision(precision, recall, rule)
    assert ours == pytest.approx(plain_average(precision, recall, rule), abs=1e-12)
    assert 0 <= ours <= 1 + 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_the_best_and_the_worst(rule):
    assert average_precision(*curve_of("TTTTTTT", 7), rule) == pytest.approx(1)
    assert average_precision(*curve_of("FFF", 2), rule) == 0
    assert average_precision([], [], rule) == 0


def test_a_recall_of_three_tenths_counts_at_three_tenths():
    """0.1 + 0.1 + 0.1 > 0.3: with recalls made by a step of 0.1 a point would be lost."""
    for found in range(1, 11):
        ours = average_precision(*curve_of("T" * found, 10), "voc2007")
        assert ours == pytest.approx((found + 1) / 11, abs=1e-12)


def test_points_and_area_differ():
    precision, recall = curve_of("TF", 2)
    assert average_precision(precision, recall, "voc") == 0.5
    assert average_precision(precision, recall, "voc2007") == pytest.approx(6 / 11)
    assert average_precision(precision, recall, "coco") == pytest.approx(51 / 101)


def test_interpolation_looks_at_higher_recalls():
    precision, recall = curve_of("FTTT", 3)
    np.testing.assert_allclose(precision, [0, 1 / 2, 2 / 3, 3 / 4])
    for rule in RULES:
        assert average_precision(precision, recall, rule) == pytest.approx(3 / 4)


def test_equal_scores_keep_their_order():
    precision, _ = precision_recall([True, False, True], [0.5, 0.5, 0.9], 2)
    np.testing.assert_allclose(precision, [1, 1, 2 / 3])
    precision, _ = precision_recall([False, True, True], [0.5, 0.5, 0.9], 2)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3])


def test_mean_average_precision_by_hand():
    """Two classes in two images, one object missed, one class detected that is not there."""
    square = [0, 0, 10, 10]
    truth = Truth([square] * 4, labels=["a", "a", "b", "b"], images=[1, 2, 1, 2])
    boxes = [square, [30, 0, 40, 10], square, [0, 0, 10, 6], square, square]
    detections = Detections(
        boxes,
        scores=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
        labels=["a", "a", "a", "b", "b", "c"],
        images=[1, 1, 2, 1, 1, 1],
    )
    result = mean_average_precision(truth, detections, rule="voc")
    # a: hit, false, hit; b: a loose hit takes the object, the tight box after it is a second one
    assert result.per_class["a"] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert result.per_class["b"] == pytest.approx(1 / 2)
    assert math.isnan(result.per_class["c"])
    assert result.mean == pytest.approx((5 / 6 + 1 / 2) / 2)
    strict = mean_average_precision(truth, detections, 0.7, rule="voc")
    assert strict.per_class["b"] == pytest.approx(1 / 4)


def test_detections_on_images_without_objects_count():
    truth = Truth([[0, 0, 9, 9]], images=[1])
    boxes, scores = [[0, 0, 9, 9]] * 2, [0.5, 0.9]
    here = mean_average_precision(truth, Detections(boxes, scores, images=[1, 1]), rule="voc")
    assert here.mean == 1  # the better score finds it, the other one is a late false positive
    there = mean_average_precision(truth, Detections(boxes, scores, images=[1, 2]), rule="voc")
    assert there.mean == 0.5


def test_images_are_ranked_together():
    """Sorting within each image would put the sure false alarm of image 2 after the hit."""
    truth = Truth([[0, 0, 9, 9]] * 2, images=[1, 2])
    detections = Detections(
        [[0, 0, 9, 9], [50, 0, 59, 9], [0, 0, 9, 9]], [0.5, 0.9, 0.7], images=[1, 2, 2]
    )
    assert mean_average_precision(truth, detections, rule="voc").mean == pytest.approx(2 / 3)


@pytest.mark.parametrize("rule", RULES)
def test_crowds_count_neither_way(rule):
    truth = Truth([[0, 0, 9, 9], [50, 50, 90, 90]], crowd=[0, 1])
    boxes = [[50, 50, 90, 90], [0, 0, 9, 9]]
    assert mean_average_precision(truth, Detections(boxes, [0.9, 0.8]), rule=rule).mean == 1
    only = Truth([[50, 50, 90, 90]], crowd=[1])
    assert math.isnan(mean_average_precision(only, Detections(boxes, [0.9, 0.8]), rule=rule).mean)


def test_voc_and_coco_on_the_same_boxes():
    truth = Truth([[0, 0, 10, 10], [4, 0, 14, 10]])
    detections = Detections([[0, 0, 10, 10], [1, 0, 11, 10]], scores=[0.9, 0.8])
    assert mean_average_precision(truth, detections, rule="coco").mean == 1
    assert mean_average_precision(truth, detections, rule="voc").mean == 0.5
    assert mean_average_precision(truth, detections, rule="voc2007").mean == pytest.approx(6 / 11)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_to_find_and_nothing_found(rule):
    result = mean_average_precision(Truth([]), Detections([], []), rule=rule)
    assert math.isnan(result.mean)
    assert result.per_class == {}
    result = mean_average_precision(Truth([[0, 0, 1, 1]]), Detections([], []), rule=rule)
    assert result == (0.0, {0: 0.0})


def test_errors():
    with pytest.raises(ValueError, match="objects must be an integer >= 1, got 0"):
        precision_recall([], [], 0)
    with pytest.raises(ValueError, match="objects must not be fewer than the 2 hits, got 1"):
        precision_recall([True, True], [0.1, 0.2], 1)
    with pytest.raises(ValueError, match="hits must be one for each of 2 scores, got 1"):
        precision_recall([True], [0.1, 0.2], 1)
    with pytest.raises(ValueError, match=r"hits must be 0 or 1, got 0\.5 at index 0"):
        precision_recall([0.5], [0.1], 1)
    with pytest.raises(ValueError, match="scores must be finite, got nan at index 0"):
        precision_recall([1], [np.nan], 1)
    with pytest.raises(ValueError, match="precision and recall must be of one length, got 1 and 0"):
        average_precision([1], [])
    with pytest.raises(ValueError, match=r"recall must not fall, got 0\.5 at index 1"):
        average_precision([1, 1], [0.6, 0.5])
    with pytest.raises(ValueError, match=r"recall must be from 0 to 1, got 1\.5 at index 0"):
        average_precision([1], [1.5])
    with pytest.raises(ValueError, match="precision must be from 0 to 1, got nan at index 0"):
        average_precision([np.nan], [1])
    for function in (average_precision, mean_average_precision):
        arguments = ([1], [1]) if function is average_precision else (Truth([]), Detections([], []))
        with pytest.raises(ValueError, match=r"rule must be one of \('coco', .*\), got 'voc2012'"):
            function(*arguments, rule="voc2012")
