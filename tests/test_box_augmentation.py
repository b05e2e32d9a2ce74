"""Boxes that follow an image are those of the object painted into it, before and after."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize, rotate

from cvlab.box_augmentation import crop_boxes, flip_boxes, rotate_boxes, scale_boxes

SIZE = (30, 44)
BOXES = np.array([[3, 5, 12, 9], [0, 0, 5, 30], [40, 20, 44, 30], [20, 10, 21, 11]], float)


def painted(box, size=SIZE):
    image = np.zeros(size)
    x0, y0, x1, y1 = box.astype(int)
    image[y0:y1, x0:x1] = 1
    return image


def box_of(image, level=0.5):
    """Return the box around the bright pixels of an image."""
    rows, columns = np.nonzero(image > level)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 1), ("vertical", 0)])
def test_flips_follow_the_pixels(direction, axis):
    flipped = flip_boxes(BOXES, SIZE, direction)
    for box, new in zip(BOXES, flipped, strict=True):
        np.testing.assert_array_equal(box_of(np.flip(painted(box), axis)), new)
    np.testing.assert_array_equal(flip_boxes(flipped, SIZE, direction), BOXES)
    in_scenes = BOXES.reshape(2, 2, 4)
    np.testing.assert_array_equal(flip_boxes(in_scenes, SIZE, direction).reshape(4, 4), flipped)


def test_scaling_follows_the_pixels():
    scaled = scale_boxes(BOXES, SIZE, (60, 132))
    for box, new in zip(BOXES, scaled, strict=True):
        enlarged = resize(painted(box), (60, 132), order=0)
        np.testing.assert_array_equal(box_of(enlarged), new)
    np.testing.assert_allclose(scale_boxes(scaled, (60, 132), SIZE), BOXES, atol=1e-13)


@pytest.mark.parametrize("window", [(0, 0, 44, 30), (2, 4, 30, 22), (10, 5, 44, 30)])
def test_crops_follow_the_pixels(window):
    x0, y0, x1, y1 = window
    boxes, kept = crop_boxes(BOXES, window, min_visible=0)
    expected = {
        i: box_of(part) for i, box in enumerate(BOXES) if (part := painted(box)[y0:y1, x0:x1]).any()
    }
    assert list(kept) == list(expected)
    np.testing.assert_array_equal(boxes, list(expected.values()))


def test_a_window_beyond_the_image_shifts_it():
    boxes, kept = crop_boxes(BOXES, (-5, 2, 39, 32), min_visible=0)
    shifted = np.zeros(SIZE)
    shifted[:28, 5:] = painted(BOXES[0])[2:, :39]
    np.testing.assert_array_equal(boxes[0], box_of(shifted))
    np.testing.assert_array_equal(kept, [0, 1, 3])


def test_the_rule_for_boxes_cut_off():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 8, 2], [9, 0, 12, 2], [6, 1, 6, 3]], float)
    window = (3, 0, 12, 9)  # 1/4 of the first, 5/8 of the second, all of the third; no area
    for least, expected in [
        (0, [0, 1, 2]),
        (0.25, [0, 1, 2]),
        (0.26, [1, 2]),
        (0.63, [2]),
        (1, [2]),
    ]:
        np.testing.assert_array_equal(crop_boxes(boxes, window, least)[1], expected)
    boxes, kept = crop_boxes(boxes, window)
    np.testing.assert_array_equal(kept, [0, 1, 2])
    np.testing.assert_array_equal(boxes, [[0, 0, 1, 4], [0, 0, 5, 2], [6, 0, 9, 2]])


def test_a_box_that_only_touches_the_window_is_gone():
    assert len(crop_boxes([[0, 0, 3, 3]], (3, 0, 9, 9), min_visible=0)[1]) == 0


@pytest.mark.parametrize("turns", [-1, 1, 2, 3, 5])
def test_quarter_turns_follow_the_pixels(turns):
    boxes = np.minimum(BOXES, 30)[:2]
    turned, kept = rotate_boxes(boxes, (30, 30), 90 * turns)
    np.testing.assert_array_equal(kept, [0, 1])
    for box, new in zip(boxes, turned, strict=True):
        np.testing.assert_allclose(new, box_of(np.rot90(painted(box, (30, 30)), turns)), atol=1e-9)


@pytest.mark.parametrize("degrees", [-33, 10, 45, 160])
def test_turned_boxes_fit_the_turned_pixels(degrees):
    size, box = (80, 100), np.array([40.0, 25, 70, 40])
    (turned,), _ = rotate_boxes([box], size, degrees)
    expected = box_of(rotate(painted(box, size), degrees, order=1))
    np.testing.assert_allclose(turned, expected, atol=1.5)


@given(degrees=st.floats(-360, 360), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_properties_of_rotation(degrees, seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(40, 50, (5, 2))
    boxes = np.hstack([corner, corner + rng.uniform(1, 10, (5, 2))])
    turned, kept = rotate_boxes(boxes, (100, 100), degrees)
    np.testing.assert_array_equal(kept, np.arange(5))  # none reaches the border
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    cos, sin = np.abs([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    np.testing.assert_allclose(turned[:, 2] - turned[:, 0], width * cos + height * sin)
    np.testing.assert_allclose(turned[:, 3] - turned[:, 1], width * sin + height * cos)
    there = boxes[:, :2] + boxes[:, 2:] - 100  # twice the centre, from the middle of the image
    here = turned[:, :2] + turned[:, 2:] - 100
    np.testing.assert_allclose(np.hypot(*here.T), np.hypot(*there.T), atol=1e-9)


def test_a_rotation_cuts_off_what_leaves_the_frame():
    boxes = np.array([[0, 0, 4, 4], [10, 10, 14, 14], [0, 4, 4, 24]], float)
    turned, kept = rotate_boxes(boxes, (40, 40), 45, min_visible=0.5)
    np.testing.assert_array_equal(kept, [1, 2])
    assert turned.min() >= 0
    assert turned.max() <= 40
    assert len(rotate_boxes(boxes, (40, 40), 45, min_visible=0.99)[1]) == 1


def test_types_empty_inputs_and_inputs_are_kept():
    boxes = BOXES.astype(np.float32)
    before = boxes.copy()
    assert flip_boxes(boxes, SIZE).dtype == np.float32
    assert scale_boxes(boxes, SIZE, (3, 7)).dtype == np.float32
    assert crop_boxes(boxes, (0, 0, 9, 9))[0].dtype == np.float32
    assert rotate_boxes(boxes, SIZE, 30)[0].dtype == np.float32
    np.testing.assert_array_equal(boxes, before)
    assert flip_boxes([], SIZE).shape == (0, 4)
    for result, kept in (crop_boxes([], (0, 0, 2, 2)), rotate_boxes([], SIZE, 5)):
        assert result.shape == (0, 4)
        assert kept.shape == (0,)


def test_errors():
    with pytest.raises(ValueError, match='direction must be "horizontal" or "vertical", got'):
        flip_boxes(BOXES, SIZE, "left")
    with pytest.raises(ValueError, match=r"size\[0\] must be an integer >= 1, got 0"):
        flip_boxes(BOXES, (0, 4))
    with pytest.raises(ValueError, match=r"new_size\[0\] must be an integer >= 1, got 2.5"):
        scale_boxes(BOXES, SIZE, (2.5, 4))
    with pytest.raises(ValueError, match=r"window must have an area, got \(1, 2, 1, 5\)"):
        crop_boxes(BOXES, (1, 2, 1, 5))
    with pytest.raises(ValueError, match="window must not be inverted"):
        crop_boxes(BOXES, (5, 2, 1, 5))
    with pytest.raises(ValueError, match=r"min_visible must be a number from 0 to 1, got 1\.5"):
        crop_boxes(BOXES, (1, 2, 3, 5), min_visible=1.5)
    with pytest.raises(ValueError, match="degrees must be finite, got nan"):
        rotate_boxes(BOXES, SIZE, float("nan"))
    with pytest.raises(ValueError, match=r"boxes must have shape \(number of boxes, 4\)"):
        rotate_boxes(BOXES[0], SIZE, 5)
