"""Causes of errors: one case for each, limits, precedence, and sums that must come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.detection import Detections, Truth, match_detections
from cvlab.detection_errors import CAUSES, count_causes, find_causes

OBJECT = [[0, 0, 10, 10]]


def wide(width, left=0):
    """Return a box of height 10: its IoU with OBJECT is width / 10."""
    return [left, 0, left + width, 10]


@pytest.mark.parametrize(
    ("width", "label", "cause", "of_object"),
    [
        (10, "cat", "correct", "found"),
        (5, "cat", "correct", "found"),
        (4.9, "cat", "localization", "localization"),
        (1, "cat", "localization", "localization"),
        (0.9, "cat", "background", "missed"),
        (5, "dog", "class", "class"),
        (4.9, "dog", "both", "missed"),
        (1, "dog", "both", "missed"),
        (0.9, "dog", "background", "missed"),
    ],
)
def test_one_detection_and_one_object(width, label, cause, of_object):
    causes = find_causes(Truth(OBJECT, ["cat"]), Detections([wide(width)], [0.9], [label]))
    assert causes.detections.tolist() == [cause]
    assert causes.objects.tolist() == [of_object]


def test_the_second_best_is_a_duplicate_and_the_order_of_the_input_does_not_matter():
    truth = Truth(OBJECT)
    found = Detections([wide(9), wide(10), wide(8)], [0.5, 0.7, 0.6])
    causes = find_causes(truth, found)
    assert causes.detections.tolist() == ["duplicate", "correct", "duplicate"]
    assert causes.objects.tolist() == ["found"]


def test_the_first_cause_that_applies_is_taken():
    """A dog and a cat nearly in one place; the cat is found, and something else says cat again."""
    truth = Truth([*OBJECT, wide(10, left=1)], ["cat", "dog"])
    found = Detections([wide(10), wide(9)], [0.9, 0.8], ["cat", "cat"])
    assert find_causes(truth, found).detections.tolist() == ["correct", "duplicate"]
    # Badly placed for the cat, well placed for the dog: it is the dog, called a cat.
    truth = Truth([*OBJECT, wide(10, left=8)], ["cat", "dog"])
    causes = find_causes(truth, Detections([wide(10, left=7)], [0.9], ["cat"]))
    assert causes.detections.tolist() == ["class"]
    assert causes.objects.tolist() == ["missed", "class"]


def test_an_error_is_about_the_object_that_it_overlaps_most():
    truth = Truth([*OBJECT, wide(10, left=11)])
    causes = find_causes(truth, Detections([wide(8, left=7)], [0.9]))  # 3 of one, 4 of the other
    assert causes.objects.tolist() == ["missed", "localization"]
    causes = find_causes(truth, Detections([wide(8, left=6)], [0.9]))
    assert causes.objects.tolist() == ["localization", "missed"]


def test_objects_of_other_images_do_not_exist():
    truth = Truth(OBJECT * 2, images=[3, 4])
    causes = find_causes(truth, Detections(OBJECT * 2, [0.9, 0.8], images=[4, 5]))
    assert causes.detections.tolist() == ["correct", "background"]
    assert causes.objects.tolist() == ["missed", "found"]


def test_crowds_count_neither_for_nor_against():
    truth = Truth([*OBJECT, wide(60, left=40)], crowd=[False, True])
    causes = find_causes(truth, Detections([wide(10, left=50), wide(12, left=34)], [0.9, 0.8]))
    assert causes.detections.tolist() == ["ignored", "ignored"]
    assert causes.objects.tolist() == ["missed", "ignored"]
    assert count_causes(causes) == {**dict.fromkeys(CAUSES, 0), "missed": 1}


def test_limits_can_be_moved():
    truth, found = Truth(OBJECT), Detections([wide(6)], [0.9])
    assert find_causes(truth, found, enough=0.7).detections.tolist() == ["localization"]
    assert find_causes(truth, found, enough=0.7, little=0.65).detections.tolist() == ["background"]


@given(st.integers(0, 999), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_everything_has_one_cause_and_the_sums_come_out(seed, objects, answers):
    rng = np.random.default_rng(seed)
    boxes = [
        np.sort(rng.integers(0, 12, (n, 2, 2)), axis=1).reshape(-1, 4) for n in (objects, answers)
    ]
    boxes = [b + np.array([0, 0, 1, 1]) for b in boxes]
    labels = [rng.integers(0, 2, n) for n in (objects, answers)]
    images = [rng.integers(0, 2, n) for n in (objects, answers)]
    truth = Truth(boxes[0], labels[0], images[0])
    found = Detections(boxes[1], rng.random(answers), labels[1], images[1])
    causes, matches = find_causes(truth, found), match_detections(truth, found)
    counts = count_causes(causes)
    correct = int(np.sum(causes.detections == "correct"))
    assert correct == matches.hit.sum() == np.sum(causes.objects == "found")
    assert correct + sum(counts[cause] for cause in CAUSES[:-1]) == answers
    assert set(causes.objects) <= {"found", "missed", "localization", "class"}
    for cause in ("localization", "class"):  # an object is blamed on an error at most once each
        assert np.sum(causes.objects == cause) <= counts[cause]


def test_empty_input():
    none = np.zeros((0, 4))
    assert count_causes(find_causes(Truth(none), Detections(none, []))) == dict.fromkeys(CAUSES, 0)
    assert find_causes(Truth(none), Detections(OBJECT, [0.5])).detections.tolist() == ["background"]
    assert find_causes(Truth(OBJECT), Detections(none, [])).objects.tolist() == ["missed"]


@pytest.mark.parametrize("limits", [(0.5, 0.5), (0.5, 0), (1.1, 0.1), (0.2, 0.3)])
def test_limits_out_of_order_are_refused(limits):
    enough, little = limits
    with pytest.raises(ValueError, match="must satisfy 0 < little < enough <= 1, got"):
        find_causes(Truth(OBJECT), Detections(OBJECT, [0.5]), enough=enough, little=little)


def test_the_best_error_about_an_object_says_what_it_is():
    truth = Truth(OBJECT, ["cat"])
    found = Detections([wide(9), wide(4)], [0.2, 0.8], ["dog", "cat"])
    causes = find_causes(truth, found)
    assert causes.detections.tolist() == ["class", "localization"]
    assert causes.objects.tolist() == ["localization"]
