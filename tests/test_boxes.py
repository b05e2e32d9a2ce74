"""Boxes against Keras's converter, against painted pixels, and their error messages."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.boxes import (
    FORMATS,
    box_area,
    box_convert,
    check_boxes,
    clip_boxes_to_image,
    remove_small_boxes,
    to_absolute,
    to_relative,
)

SIZE = (12, 20)
KERAS = {"xyxy": "xyxy", "xywh": "xywh", "cxcywh": "center_xywh", "yxyx": "yxyx"}


def random_boxes(count=20, seed=0, dtype=np.float64):
    """Return boxes on whole pixels, some of them without area, some beyond an image of `SIZE`."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(-5, 18, (count, 2))
    return np.hstack([corner, corner + rng.integers(0, 9, (count, 2))]).astype(dtype)


def painted(box, margin=10):
    """Return the pixels of a box on a canvas that also has room around the image."""
    x0, y0, x1, y1 = box.astype(int) + margin
    canvas = np.zeros((SIZE[0] + 2 * margin + 20, SIZE[1] + 2 * margin + 20), bool)
    canvas[y0:y1, x0:x1] = True
    return canvas


@pytest.mark.parametrize(("source", "target"), list(itertools.product(FORMATS, FORMATS)))
def test_conversion_agrees_with_keras(source, target):
    boxes = keras.utils.bounding_boxes.convert_format(
        random_boxes(dtype=np.float32), "xyxy", KERAS[source], dtype="float32"
    )
    expected = keras.utils.bounding_boxes.convert_format(boxes, KERAS[source], KERAS[target])
    ours = box_convert(boxes, source, target)
    np.testing.assert_array_equal(ours, expected)
    assert ours.dtype == np.float32
    assert not np.shares_memory(ours, boxes)


@given(
    box=st.tuples(*[st.floats(-1e3, 1e3) for _ in range(2)], *[st.floats(0, 1e3)] * 2),
    path=st.lists(st.sampled_from(FORMATS), min_size=1, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_any_way_through_the_formats_leads_back(box, path):
    start = box_convert(box, "xywh", "xyxy")
    there, fmt = start, "xyxy"
    for step in path:
        there, fmt = box_convert(there, fmt, step), step
    np.testing.assert_allclose(box_convert(there, fmt, "xyxy"), start, atol=1e-9)


@pytest.mark.parametrize("fmt", FORMATS)
def test_relative_boxes_agree_with_converting_first(fmt):
    boxes = random_boxes()
    expected = box_convert(boxes / [20, 12, 20, 12], "xyxy", fmt)
    relative = to_relative(box_convert(boxes, "xyxy", fmt), SIZE, fmt)
    np.testing.assert_allclose(relative, expected, atol=1e-15)
    back = to_absolute(relative, SIZE, fmt)
    np.testing.assert_allclose(back, box_convert(boxes, "xyxy", fmt), atol=1e-13)


def test_an_area_counts_pixels():
    boxes = random_boxes()
    np.testing.assert_array_equal(box_area(boxes), [painted(b).sum() for b in boxes])
    np.testing.assert_array_equal(box_area(boxes.reshape(4, 5, 4)).ravel(), box_area(boxes))


def test_small_integers_do_not_overflow():
    assert box_area(np.array([[0, 0, 255, 255]], np.uint8)) == 255 * 255
    assert box_area(np.array([[0, 0, 60000, 60000]], np.int32)) == 3.6e9
    ours = box_convert(np.array([200, 200, 250, 250], np.uint8), "xyxy", "cxcywh")
    np.testing.assert_array_equal(ours, [225, 225, 50, 50])


def test_clipping_keeps_the_pixels_of_the_image():
    boxes = random_boxes(60)
    inside = np.zeros_like(painted(boxes[0]))
    inside[10 : 10 + SIZE[0], 10 : 10 + SIZE[1]] = True
    clipped = clip_boxes_to_image(boxes, SIZE)
    for box, whole in zip(clipped, boxes, strict=True):
        np.testing.assert_array_equal(painted(box), painted(whole) & inside)
    assert (clipped != boxes).any(axis=1).sum() > 10
    np.testing.assert_array_equal(clip_boxes_to_image(clipped, SIZE), clipped)


def test_small_boxes_are_those_with_one_short_side():
    boxes = np.array([[0, 0, 3, 3], [0, 0, 2.5, 9], [0, 0, 9, 2.5], [1, 1, 4, 9], [0, 0, 0, 0]])
    np.testing.assert_array_equal(remove_small_boxes(boxes, 3), [0, 3])
    np.testing.assert_array_equal(remove_small_boxes(boxes, 0), np.arange(5))


def test_no_boxes_are_fine():
    assert check_boxes([]).shape == (0, 4)
    assert box_area(np.zeros((0, 4))).shape == (0,)
    assert box_convert(np.zeros((0, 4)), "xyxy", "cxcywh").shape == (0, 4)
    assert clip_boxes_to_image(np.zeros((2, 0, 4)), SIZE).shape == (2, 0, 4)
    assert remove_small_boxes([], 1).shape == (0,)


def test_types_and_inputs_are_kept():
    boxes = random_boxes(dtype=np.float32)
    before = boxes.copy()
    for result in (
        to_relative(boxes, SIZE),
        to_absolute(boxes, SIZE),
        clip_boxes_to_image(boxes, SIZE),
        box_area(boxes),
        box_convert(boxes, "xyxy", "yxyx"),
    ):
        assert result.dtype == np.float32
    np.testing.assert_array_equal(boxes, before)


@pytest.mark.parametrize(
    ("boxes", "fmt", "message"),
    [
        ([1, 2, 3], "xyxy", r"boxes must have shape \(\.\.\., 4\), got shape \(3,\)"),
        (5.0, "xyxy", r"boxes must have shape \(\.\.\., 4\), got shape \(\)"),
        ([["a", "b", "c", "d"]], "xyxy", "boxes must hold real numbers, got dtype <U1"),
        (
            [[0, 0, 1, 1], [0, np.nan, 1, 1]],
            "xywh",
            r"boxes must be finite, got \[0\.0, nan, 1\.0, 1\.0\] at index 1",
        ),
        (
            [[[0, 0, 1, 1], [4, 0, 3, 1]]],
            "xyxy",
            r"boxes must not be inverted \(x0 <= x1, y0 <= y1\), "
            r"got \[4\.0, 0\.0, 3\.0, 1\.0\] at index 0, 1",
        ),
        ([0, 4, 9, 3], "xyxy", r"boxes must not be inverted .*, got \[0\.0, 4\.0, 9\.0, 3\.0\]$"),
        ([[0, 4, 1, 3]], "yxyx", "boxes must not be inverted"),
        ([[4, 0, 3, -1]], "xywh", r"boxes must have width and height >= 0, got .* at index 0"),
        ([[4, 0, -3, 1]], "cxcywh", "boxes must have width and height >= 0"),
        ([[0, 0, 1, 1]], "xxyy", r"fmt must be one of \('xyxy', .*\), got 'xxyy'"),
    ],
)
def test_what_is_no_box(boxes, fmt, message):
    with pytest.raises(ValueError, match=message):
        check_boxes(boxes, fmt=fmt)


def test_other_errors():
    box = [[0, 0, 1, 1]]
    with pytest.raises(ValueError, match=r"in_fmt must be one of .*, got 'abc'"):
        box_convert(box, "abc", "xyxy")
    with pytest.raises(ValueError, match=r"out_fmt must be one of .*, got 'abc'"):
        box_convert(box, "xyxy", "abc")
    with pytest.raises(
        ValueError, match=r"boxes must have shape \(number of boxes, 4\), got shape"
    ):
        remove_small_boxes([0, 0, 1, 1], 1)
    for function in (to_relative, to_absolute, clip_boxes_to_image):
        with pytest.raises(ValueError, match=r"size\[1\] must be an integer >= 1, got 0"):
            function(box, (3, 0))
        with pytest.raises(ValueError, match="size must be one integer or 2 of them, got"):
            function(box, 1.5)
