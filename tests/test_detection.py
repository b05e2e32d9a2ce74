"""Matching of detections to objects: against the rules written as plain loops, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.boxes import box_area
from cvlab.detection import Detections, Truth, match_coco, match_detections, ranks
from cvlab.iou import box_intersection, box_iou


def random_problem(seed, objects=12, detections=25, crowds=True):
    """Return truth and detections with many overlaps, equal IoUs and equal scores."""
    rng = np.random.default_rng(seed)

    def boxes(count):
        corner = rng.integers(0, 6, (count, 2))
        return np.hstack([corner, corner + rng.integers(3, 7, (count, 2))])

    truth = Truth(
        boxes(objects),
        labels=rng.integers(0, 2, objects),
        images=rng.integers(0, 3, objects),
        crowd=(rng.random(objects) < 0.25) & crowds,
    )
    found = Detections(
        boxes(detections),
        scores=rng.integers(0, 6, detections) / 5,
        labels=rng.integers(0, 2, detections),
        images=rng.integers(0, 4, detections),  # image 3 has no objects
    )
    return truth, found


def plain_matches(truth, detections, threshold, rule):
    """Match one detection after the other, as the rules say."""
    found = np.full(len(detections.boxes), -1)
    for d in sorted(range(len(found)), key=lambda d: (-detections.scores[d], detections.images[d])):
        same = (truth.images == detections.images[d]) & (truth.labels == detections.labels[d])
        overlap = box_iou(detections.boxes[[d]], truth.boxes)[0]
        shared = box_intersection(detections.boxes[[d]], truth.boxes)[0]
        in_crowd = shared / box_area(detections.boxes[[d]])
        if rule == "voc":
            overlap = np.where(same, overlap, -1)
            best = np.argmax(overlap)  # the first of equals
            free = truth.crowd[best] or best not in found
            if overlap[best] >= threshold and free:
                found[d] = best
            continue
        overlap = np.where(truth.crowd, in_crowd, overlap)
        free = truth.crowd | ~np.isin(np.arange(len(overlap)), found)
        for group in (same & free & ~truth.crowd, same & truth.crowd):
            choice = np.flatnonzero(group & (overlap >= threshold))
            if len(choice):
                best = overlap[choice].max()
                found[d] = choice[overlap[choice] == best][-1]  # the last of equals
                break
    return found


@pytest.mark.parametrize("rule", ["coco", "voc"])
@given(seed=st.integers(0, 9999), threshold=st.sampled_from([0.05, 0.25, 0.5, 0.75]))
@settings(max_examples=60, deadline=None)
def test_matches_agree_with_the_plain_loops(rule, seed, threshold):
    truth, detections = random_problem(seed)
    matches = match_detections(truth, detections, threshold, rule=rule)
    np.testing.assert_array_equal(matches.truth, plain_matches(truth, detections, threshold, rule))
    on_crowd = np.isin(matches.truth, np.flatnonzero(truth.crowd))
    np.testing.assert_array_equal(matches.ignored, on_crowd)
    np.testing.assert_array_equal(matches.hit, (matches.truth >= 0) & ~on_crowd)


@given(seed=st.integers(0, 9999), rule=st.sampled_from(["coco", "voc"]))
@settings(max_examples=60, deadline=None)
def test_properties(seed, rule):
    truth, detections = random_problem(seed)
    matches = match_detections(truth, detections, 0.3, rule=rule)
    hit = matches.hit
    assert len(np.unique(matches.truth[hit])) == hit.sum()  # no object is found twice
    objects = matches.truth[hit]
    np.testing.assert_array_equal(truth.labels[objects], detections.labels[hit])
    np.testing.assert_array_equal(truth.images[objects], detections.images[hit])
    overlap = box_iou(truth.boxes[objects], detections.boxes[hit], paired=True)
    assert (overlap >= 0.3).all()


def test_many_thresholds_and_selections_at_once_agree_with_one_by_one():
    truth, detections = random_problem(5, objects=30, detections=60)
    selections = np.random.default_rng(0).random((3, 30)) < 0.6
    thresholds = np.array([0.2, 0.5, 0.8])
    together = match_coco(truth, detections, thresholds, selections)
    assert together.shape == (3, 3, 60)
    for s in range(3):
        for t in range(3):
            alone = match_coco(truth, detections, thresholds[t : t + 1], selections[s : s + 1])
            np.testing.assert_array_equal(together[s, t], alone[0, 0])


def test_a_second_hit_is_a_false_positive():
    truth = Truth([[0, 0, 10, 10]])
    for rule in ("coco", "voc"):
        matches = match_detections(
            truth, Detections([[0, 0, 10, 9], [0, 0, 10, 10]], scores=[0.9, 0.8]), rule=rule
        )
        assert matches.hit.tolist() == [True, False]  # the better score, not the better box
        assert not matches.ignored.any()


def test_voc_takes_the_best_object_even_if_used_coco_the_best_free_one():
    truth = Truth([[0, 0, 10, 10], [4, 0, 14, 10]])
    detections = Detections([[0, 0, 10, 10], [1, 0, 11, 10]], scores=[0.9, 0.8])
    assert match_detections(truth, detections, rule="coco").hit.tolist() == [True, True]
    assert match_detections(truth, detections, rule="voc").hit.tolist() == [True, False]


def test_the_threshold_is_reached_not_exceeded():
    truth = Truth([[0, 0, 10, 10]])
    detections = Detections(np.array([[0, 0, 10, 7]], np.float32), scores=[0.9])
    for rule in ("coco", "voc"):
        assert match_detections(truth, detections, 0.7, rule=rule).hit.all()
        assert not match_detections(truth, detections, 0.7001, rule=rule).hit.any()
        exact = Detections([[0, 0, 10, 10]], scores=[0.9])
        assert match_detections(truth, exact, 1.0, rule=rule).hit.all()


def test_nothing_is_found_in_another_image_or_class():
    truth = Truth([[0, 0, 9, 9]], labels=["cat"], images=["a.png"])
    detections = Detections(
        [[0, 0, 9, 9]] * 3, [0.9, 0.8, 0.7], ["dog", "cat", "cat"], ["a.png", "b.png", "a.png"]
    )
    assert match_detections(truth, detections).truth.tolist() == [-1, -1, 0]


def test_crowds():
    truth = Truth([[0, 0, 100, 100], [0, 0, 10, 10]], crowd=[1, 0])
    boxes = [[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 60, 60], [90, 90, 120, 120]]
    detections = Detections(boxes, scores=[0.9, 0.8, 0.7, 0.6])
    matches = match_detections(truth, detections)
    assert matches.truth.tolist() == [1, 0, 0, -1]  # the last lies in it by 1/9 only
    assert matches.ignored.tolist() == [False, True, True, False]
    matches = match_detections(truth, detections, rule="voc")
    assert matches.truth.tolist() == [1, -1, -1, -1]  # VOC measures the plain IoU
    whole = Detections([[0, 0, 100, 99], [0, 0, 99, 100]], scores=[0.9, 0.8])
    assert match_detections(truth, whole, rule="voc").ignored.all()


def test_a_detection_without_area_finds_nothing():
    truth = Truth([[0, 0, 10, 10], [5, 5, 5, 5]], crowd=[True, False])
    assert match_detections(truth, Detections([[5, 5, 5, 5]], [0.9]), 0.01).truth.tolist() == [-1]


def test_order_and_ranks():
    detections = Detections(
        np.zeros((6, 4)),
        scores=[0.5, 0.9, 0.5, 0.5, 0.1, 0.9],
        images=[2, 1, 1, 2, 1, 3],
        labels=[0, 0, 0, 0, 1, 0],
    )
    assert detections.order().tolist() == [1, 5, 2, 0, 3, 4]
    assert ranks(detections).tolist() == [0, 0, 1, 1, 0, 0]


def test_defaults_and_types():
    truth = Truth(np.array([[0, 0, 200, 200]], np.uint8))
    assert truth.area.tolist() == [40000]
    assert truth.boxes.dtype == np.float64
    assert (truth.labels.tolist(), truth.images.tolist(), truth.crowd.tolist()) == (
        [0],
        [0],
        [False],
    )
    assert Truth([[0, 0, 2, 2]], area=[3]).area.tolist() == [3]
    for rule in ("coco", "voc"):
        assert match_detections(Truth([]), Detections([], []), rule=rule).hit.shape == (0,)
        assert match_detections(truth, Detections([], []), rule=rule).hit.shape == (0,)
        lonely = match_detections(Truth([]), Detections([[0, 0, 1, 1]], [0.5]), rule=rule)
        assert (lonely.truth.tolist(), lonely.hit.tolist()) == ([-1], [False])


def test_errors():
    box = [[0, 0, 1, 1]]
    with pytest.raises(
        ValueError, match=r"labels must be one value for each of 1 boxes, got shape \(2,\)"
    ):
        Truth(box, labels=[1, 2])
    with pytest.raises(ValueError, match="images must be one value for each of 1 boxes"):
        Detections(box, [0.5], images=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="scores must be one value for each of 1 boxes"):
        Detections(box, [0.5, 0.4])
    with pytest.raises(ValueError, match="scores must be finite, got nan at index 0"):
        Detections(box, [np.nan])
    with pytest.raises(ValueError, match="crowd must be 0 or 1, got 2 at index 0"):
        Truth(box, crowd=[2])
    with pytest.raises(ValueError, match=r"area must be at least 0, got -1\.0 at index 0"):
        Truth(box, area=[-1.0])
    message = r"boxes must not be inverted .*, got \[2\.0, 0\.0, 1\.0, 1\.0\] at index 1"
    with pytest.raises(ValueError, match=message):
        Truth([*box, [2, 0, 1, 1]])
    for threshold in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="iou_threshold must be above 0 and at most 1, got"):
            match_detections(Truth(box), Detections(box, [1]), threshold)
    with pytest.raises(ValueError, match='rule must be "coco" or "voc", got'):
        match_detections(Truth(box), Detections(box, [1]), rule="voc2007")
