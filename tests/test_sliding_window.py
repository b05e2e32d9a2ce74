"""Windows against plain slicing, pyramids against the boxes that they must keep."""

import numpy as np
import pytest

from cvlab.box_augmentation import scale_boxes
from cvlab.sliding_window import image_pyramid, window_boxes, window_patches

IMAGE = np.random.default_rng(0).random((13, 18, 3))


@pytest.mark.parametrize(
    ("window", "stride", "shape"),
    [(5, 1, (9, 14)), (5, 4, (3, 4)), ((3, 6), (2, 5), (6, 3)), ((13, 18), 7, (1, 1))],
)
def test_patches_are_what_the_boxes_hold(window, stride, shape):
    boxes = window_boxes(IMAGE.shape[:2], window, stride)
    patches = window_patches(IMAGE, window, stride)
    assert boxes.shape == (*shape, 4)
    assert patches.shape[:2] == shape
    down, across = np.broadcast_to(stride, 2)
    for i in range(shape[0]):
        for j in range(shape[1]):
            x0, y0, x1, y1 = boxes[i, j].astype(int)
            assert (y0, x0) == (i * down, j * across)
            np.testing.assert_array_equal(patches[i, j], IMAGE[y0:y1, x0:x1])


def test_windows_stay_inside_and_leave_out_less_than_a_stride():
    boxes = window_boxes((50, 77), (9, 12), (4, 7))
    assert boxes[..., 2].max() <= 77
    assert boxes[..., 3].max() <= 50
    assert 77 - boxes[..., 2].max() < 7
    assert 50 - boxes[..., 3].max() < 4


def test_patches_are_a_read_only_view():
    patches = window_patches(IMAGE, 5, 2)
    assert np.shares_memory(patches, IMAGE)
    assert not patches.flags.writeable
    assert window_patches(IMAGE.astype(np.uint8), 5, 2).dtype == np.uint8


def test_the_sizes_of_a_pyramid():
    image = np.zeros((100, 61, 1), np.float32)
    shapes = [level.shape[:2] for level in image_pyramid(image, (20, 10), factor=0.7)]
    assert shapes == [(100, 61), (70, 43), (49, 30), (34, 21), (24, 15)]
    shapes = [level.shape[:2] for level in image_pyramid(image, 50, factor=0.5, largest=2)]
    assert shapes == [(200, 122), (100, 61)]
    assert [level.shape[:2] for level in image_pyramid(image, (100, 61))] == [(100, 61)]


def test_a_pyramid_keeps_values_and_type():
    image = np.full((40, 40, 3), 200, np.uint8)
    for level in image_pyramid(image, 8, factor=0.6):
        assert level.dtype == np.float32
        np.testing.assert_allclose(level, 200, rtol=1e-6)
    np.testing.assert_allclose(image_pyramid(IMAGE, 10)[0], IMAGE)


def test_an_object_is_where_its_scaled_box_says():
    image = np.zeros((96, 120, 1))
    box = np.array([36.0, 24, 84, 60])
    image[24:60, 36:84] = 1
    levels = image_pyramid(image, 12, factor=0.5)
    assert len(levels) == 4
    for level in levels:
        x0, y0, x1, y1 = scale_boxes(box, (96, 120), level.shape[:2])
        weight = level[..., 0] / level.sum()
        rows, columns = np.indices(weight.shape) + 0.5
        np.testing.assert_allclose((weight * columns).sum(), (x0 + x1) / 2, atol=0.01)
        np.testing.assert_allclose((weight * rows).sum(), (y0 + y1) / 2, atol=0.01)
        np.testing.assert_allclose(level.sum(), (x1 - x0) * (y1 - y0), rtol=0.02)


def test_shrinking_blurs_so_that_stripes_do_not_alias():
    stripes = np.tile([0.0, 0, 1, 1], (64, 16))[..., None]
    level = image_pyramid(stripes, 16, factor=0.25)[1]
    assert level.shape == (16, 16, 1)
    assert np.ptp(level[4:-4, 4:-4]) < 0.05
    shifted = image_pyramid(np.roll(stripes, 1, axis=1), 16, factor=0.25)[1]
    assert np.abs(level - shifted)[4:-4, 4:-4].max() < 0.05


def test_errors():
    message = r"window must not be larger than the image, got \(5, 5\) for a size of \(4, 9\)"
    with pytest.raises(ValueError, match=message):
        window_boxes((4, 9), 5, 1)
    with pytest.raises(ValueError, match=message):
        window_patches(np.zeros((4, 9, 3)), 5, 1)
    with pytest.raises(ValueError, match=r"image must have 3 axes .*, got shape \(13, 18\)"):
        window_patches(IMAGE[..., 0], 5, 1)
    with pytest.raises(ValueError, match=r"stride must be an integer >= 1, got 0"):
        window_patches(IMAGE, 5, 0)
    with pytest.raises(ValueError, match=r"image must have 3 axes .*, got shape \(13, 18\)"):
        image_pyramid(IMAGE[..., 0], 5)
    for factor in (0, 1, float("nan")):
        with pytest.raises(ValueError, match="factor must be above 0 and below 1, got"):
            image_pyramid(IMAGE, 5, factor=factor)
    for largest in (0, float("inf")):
        with pytest.raises(ValueError, match="largest must be a positive number, got"):
            image_pyramid(IMAGE, 5, largest=largest)
    message = (
        r"smallest must not be larger than level 0, got 14 for an image of shape \(13, 18, 3\)"
    )
    with pytest.raises(ValueError, match=message):
        image_pyramid(IMAGE, 14)
