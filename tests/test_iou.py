"""Overlaps of boxes against pycocotools, Keras, painted pixels and exact fractions."""

import math
from fractions import Fraction

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from cvlab import iou
from cvlab.boxes import box_convert
from cvlab.iou import (
    box_intersection,
    box_iou,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
)

MEASURES = [
    box_intersection,
    box_iou,
    generalized_box_iou,
    distance_box_iou,
    complete_box_iou,
]


def random_boxes(count, seed=0, reach=30):
    """Return boxes on whole pixels, a few of them without area."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(-5, reach, (count, 2))
    return np.hstack([corner, corner + rng.integers(0, 15, (count, 2))]).astype(float)


def exact(a, b):
    """Return IoU, GIoU, DIoU and CIoU of two boxes of positive area, with exact fractions."""
    a, b = [[Fraction(v) for v in box] for box in (a, b)]
    sides = [(box[2] - box[0], box[3] - box[1]) for box in (a, b)]
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else Fraction(0)
    union = sides[0][0] * sides[0][1] + sides[1][0] * sides[1][1] - shared
    hull = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    plain = shared / union
    general = plain - (hull[0] * hull[1] - union) / (hull[0] * hull[1])
    apart = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    distance = plain - apart / (hull[0] ** 2 + hull[1] ** 2)
    turn = math.atan(sides[0][0] / sides[0][1]) - math.atan(sides[1][0] / sides[1][1])
    v = 4 / math.pi**2 * turn**2
    weight = v / (1 - plain + v) if v else 0
    return [float(plain), float(general), float(distance), float(distance) - weight * v]


def test_iou_agrees_with_pycocotools():
    a, b = random_boxes(40), random_boxes(50, seed=1)
    with_area = (b[:, 2:] > b[:, :2]).all(axis=1)  # pycocotools has 0 / 0
    a_xywh, b_xywh = box_convert(a, "xyxy", "xywh"), box_convert(b[with_area], "xyxy", "xywh")
    expected = mask.iou(a_xywh, b_xywh, [0] * len(b_xywh))
    np.testing.assert_array_equal(box_iou(a, b[with_area]), expected)
    assert (expected > 0).mean() > 0.1


def test_overlap_counts_pixels():
    a, b = random_boxes(12, reach=12) + 5, random_boxes(13, seed=1, reach=12) + 5
    y, x = np.mgrid[:40, :40] + 0.5

    def painted(boxes):
        x0, y0, x1, y1 = boxes.T[:, :, None, None]
        return (x0 < x) & (x < x1) & (y0 < y) & (y < y1)

    both = (painted(a)[:, None] & painted(b)).sum(axis=(2, 3))
    either = (painted(a)[:, None] | painted(b)).sum(axis=(2, 3))
    np.testing.assert_array_equal(box_intersection(a, b), both)
    np.testing.assert_array_equal(box_iou(a, b), both / np.maximum(either, 1))


def test_all_measures_agree_with_exact_fractions():
    a, b = random_boxes(60), random_boxes(60, seed=1)
    a[:, 2:] += 1
    b[:, 2:] += 1
    expected = np.transpose([exact(p, q) for p, q in zip(a, b, strict=True)])
    for measure, values in zip(MEASURES[1:], expected, strict=True):
        np.testing.assert_allclose(measure(a, b, paired=True), values, atol=1e-14)


def test_ciou_agrees_with_keras():
    a, b = random_boxes(60), random_boxes(60, seed=1)
    a[:, 2:] += 1
    b[:, 2:] += 1
    expected = keras.utils.bounding_boxes.compute_ciou(
        a.astype(np.float32), b.astype(np.float32), "xyxy"
    )
    np.testing.assert_allclose(complete_box_iou(a, b, paired=True), expected, atol=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_table_compares_all_pairs(measure, monkeypatch):
    a, b = random_boxes(23), random_boxes(17, seed=1)
    table = measure(a, b)
    assert table.shape == (23, 17)
    every_pair = measure(np.repeat(a, 17, axis=0), np.tile(b, (23, 1)), paired=True)
    np.testing.assert_array_equal(table.ravel(), every_pair)
    for block in (1, 60, 17 * 23 - 1):  # one row, three rows, all but one row at a time
        monkeypatch.setattr(iou, "BLOCK", block)
        np.testing.assert_array_equal(measure(a, b), table)


@pytest.mark.parametrize("measure", MEASURES)
def test_types_and_empty_inputs(measure):
    a, b, none = random_boxes(5), random_boxes(6), np.zeros((0, 4))
    assert measure(a, b).dtype == np.float64
    single = measure(a.astype(np.float32), b.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, measure(a, b), rtol=1e-5, atol=1e-6)
    assert measure(a.astype(np.float32), b).dtype == np.float64
    assert measure(none, b).shape == (0, 6)
    assert measure(a, none).shape == (5, 0)
    assert measure([], []).shape == (0, 0)
    assert measure([], [], paired=True).shape == (0,)
    whole = np.array([[0, 0, 250, 250]], np.uint8)
    np.testing.assert_array_equal(
        measure(whole, whole), [[62500 if measure == box_intersection else 1]]
    )


boxes = st.tuples(*[st.integers(-50, 50)] * 2, *[st.integers(1, 40)] * 2).map(
    lambda v: np.array([[v[0], v[1], v[0] + v[2], v[1] + v[3]]], float)
)


@given(a=boxes, b=boxes, shift=st.integers(-99, 99), power=st.integers(-3, 3))
@settings(max_examples=100, deadline=None)
def test_properties(a, b, shift, power):
    plain, general, distance, complete = (float(m(a, b, paired=True)[0]) for m in MEASURES[1:])
    assert 0 <= plain <= 1
    assert (plain == 1) == np.array_equal(a, b)
    assert -1 < general <= plain
    assert -1 < distance <= plain
    assert complete <= distance
    for measure in MEASURES[1:]:
        value = measure(a, b, paired=True)
        np.testing.assert_allclose(measure(b, a, paired=True), value, atol=1e-14)
        np.testing.assert_allclose(measure(a + shift, b + shift, paired=True), value, atol=1e-14)
        scaled = measure(a * 2.0**power, b * 2.0**power, paired=True)
        np.testing.assert_allclose(scaled, value, atol=1e-14)
        turned = measure(a[:, [1, 0, 3, 2]], b[:, [1, 0, 3, 2]], paired=True)
        np.testing.assert_allclose(turned, value, atol=1e-14)


def test_boxes_apart_do_not_overlap_by_two_negatives():
    apart = [[[0, 0, 2, 2]], [[5, 5, 9, 9]]]
    assert box_intersection(*apart) == 0
    assert box_iou(*apart) == 0
    assert box_iou([[0, 0, 2, 2]], [[5, 0, 9, 2]]) == 0  # apart along x only
    assert box_iou([[0, 0, 2, 2]], [[2, 0, 4, 2]]) == 0  # they touch


def test_a_small_box_has_an_iou_of_exactly_one_with_itself():
    tiny = np.array([[0, 0, 1e-9, 1e-9]])
    for measure in MEASURES[1:]:
        assert measure(tiny, tiny) == 1  # an epsilon in the denominator would spoil it


def test_boxes_without_area():
    point, line, box = [[3, 3, 3, 3]], [[0, 3, 4, 3]], [[0, 0, 4, 4]]
    for a in (point, line, box):
        for b in (point, line):
            assert box_iou(a, b) == 0
    assert generalized_box_iou(point, point) == 0
    assert distance_box_iou(point, point) == 0
    assert complete_box_iou(point, point) == 0
    assert generalized_box_iou(line, line) == 0
    assert generalized_box_iou(point, box) == 0  # the hull is the union


def test_giou_falls_to_minus_one_where_iou_has_no_slope():
    distance = np.array([2.0, 10.0, 1e3, 1e6])
    moving = np.stack([distance, 0 * distance, distance + 1, 0 * distance + 1], axis=1)
    unit = [[0, 0, 1, 1]]
    np.testing.assert_array_equal(box_iou(unit, moving)[0], 0)
    expected = -(distance - 1) / (distance + 1)
    np.testing.assert_allclose(generalized_box_iou(unit, moving)[0], expected, rtol=1e-12)
    assert (distance_box_iou(unit, moving)[0] > -1).all()


def test_giou_cannot_tell_boxes_inside_a_box_apart_but_diou_can():
    outer, inner = [[0, 0, 10, 10]], [[4, 4, 6, 6], [0, 0, 2, 2]]
    np.testing.assert_array_equal(generalized_box_iou(outer, inner), box_iou(outer, inner))
    middle, corner = distance_box_iou(outer, inner)[0]
    assert middle == 0.04
    assert corner == pytest.approx(0.04 - 32 / 200)


def test_ciou_prefers_the_right_shape():
    wide, tall = [[0, 1, 4, 3]], [[1, 0, 3, 4]]
    shape = 4 / np.pi**2 * (np.arctan(2) - np.arctan(0.5)) ** 2
    expected = 1 / 3 - shape**2 / (2 / 3 + shape)
    assert complete_box_iou(wide, tall)[0, 0] == pytest.approx(expected)
    assert distance_box_iou(wide, tall) == box_iou(wide, tall)


@pytest.mark.parametrize("measure", MEASURES)
def test_errors(measure):
    box, inverted = [[0, 0, 1, 1]], [[0, 0, 1, 1], [3, 0, 2, 1]]
    message = r"boxes2 must not be inverted .*, got \[3\.0, 0\.0, 2\.0, 1\.0\] at index 1"
    with pytest.raises(ValueError, match=message):
        measure(box, inverted)
    message = r"boxes1 must have shape \(number of boxes, 4\), got shape \(4,\)"
    with pytest.raises(ValueError, match=message):
        measure(box[0], box)
    with pytest.raises(
        ValueError, match=r"boxes1 and boxes2 must have the same length.*got 1 and 2"
    ):
        measure(box, box * 2, paired=True)
