"""Masks: components against a flood fill, overlap against pycocotools, outlines redrawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.path import Path
from pycocotools import mask as coco

from cvlab.boxes import box_area, box_convert
from cvlab.iou import box_iou
from cvlab.masks import (
    check_masks,
    connected_components,
    instance_masks,
    mask_iou,
    mask_to_polygons,
    masks_to_boxes,
    polygon_area,
)

NEIGHBOURS = {
    4: [(-1, 0), (0, -1), (0, 1), (1, 0)],
    8: [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx],
}
MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8))


def flood_fill(mask, connectivity):
    """Return the parts of a mask, numbered in the order of their first pixels."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in np.argwhere(mask).tolist():
        if labels[tuple(start)]:
            continue
        count += 1
        waiting = [tuple(start)]
        while waiting:
            y, x = waiting.pop()
            within = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            if within and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                waiting += [(y + dy, x + dx) for dy, dx in NEIGHBOURS[connectivity]]
    return labels


def rle(masks):
    return coco.encode(np.asfortranarray(np.moveaxis(masks, 0, 2).astype(np.uint8)))


@given(mask=MASKS, connectivity=st.sampled_from([4, 8]))
@settings(max_examples=100, deadline=None)
def test_components_are_those_of_a_flood_fill(mask, connectivity):
    labels = connected_components(mask, connectivity)
    np.testing.assert_array_equal(labels, flood_fill(mask, connectivity))
    assert labels.dtype == np.int64


def test_touching_objects_are_one_component():
    mask = np.zeros((5, 9), int)
    mask[1:4, 1:4] = mask[1:4, 4:7] = 1
    assert connected_components(mask).max() == 1
    mask[1:4, 4] = 0
    assert connected_components(mask).max() == 2
    diagonal = np.eye(3)
    assert connected_components(diagonal).max() == connected_components(diagonal, 8).max() == 1
    assert connected_components(diagonal, 4).max() == 3
    assert connected_components(np.zeros((3, 4))).max() == 0


def test_instances():
    labels = np.array([[0, 5, 5], [2, 0, 9]], np.uint8)
    masks = instance_masks(labels)
    np.testing.assert_array_equal(masks, [labels == 2, labels == 5, labels == 9])
    assert instance_masks(np.zeros((4, 5), int)).shape == (0, 4, 5)
    assert masks_to_boxes(instance_masks(np.zeros((4, 5), int))).shape == (0, 4)


def test_boxes_and_overlap_agree_with_pycocotools():
    rng = np.random.default_rng(0)
    first, second = rng.random((9, 8, 11)) < 0.08, rng.random((7, 8, 11)) < 0.3
    second[3] = False
    first[2] = second[0]
    np.testing.assert_allclose(
        mask_iou(first, second), coco.iou(rle(first), rle(second), [0] * 7), rtol=1e-15
    )
    boxes = masks_to_boxes(first)
    np.testing.assert_array_equal(box_convert(boxes, "xyxy", "xywh"), coco.toBbox(rle(first)))
    assert mask_iou(second, second)[3, 3] == 0
    assert mask_iou(first[:0], second).shape == (0, 7)


def test_a_filled_box_has_the_overlap_of_boxes():
    masks = np.zeros((2, 9, 9))
    masks[0, 2:6, 1:8] = masks[1, 4:9, 3:9] = 1
    boxes = masks_to_boxes(masks)
    np.testing.assert_array_equal(boxes, [[1, 2, 8, 6], [3, 4, 9, 9]])
    np.testing.assert_array_equal(box_area(boxes), masks.sum(axis=(1, 2)))
    np.testing.assert_array_equal(mask_iou(masks, masks), box_iou(boxes, boxes))


def test_overlap_of_large_masks_is_counted_without_error():
    full = np.ones((1, 300, 300), bool)  # more pixels than 16 bits can count
    most = full.copy()
    most[0, 0, 0] = False
    assert mask_iou(full, most)[0, 0] == (300**2 - 1) / 300**2


@given(mask=MASKS)
@settings(max_examples=200, deadline=None)
def test_outlines_enclose_the_pixels_and_nothing_else(mask):
    polygons = mask_to_polygons(mask)
    areas = [polygon_area(polygon) for polygon in polygons]
    assert sum(areas) == mask.sum()
    assert sum(area > 0 for area in areas) == connected_components(mask, 4).max()
    # Even-odd: a pixel is inside if its centre is inside an odd number of outlines.
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = [Path(polygon).contains_points(centres) for polygon in polygons]
    odd = np.sum(inside, axis=0) % 2 if polygons else np.zeros(mask.size)
    np.testing.assert_array_equal(odd.reshape(mask.shape), mask)
    for polygon in polygons:
        sides = np.roll(polygon, -1, axis=0) - polygon
        assert (np.count_nonzero(sides, axis=1) == 1).all()  # along rows and columns
        assert (sides * np.roll(sides, -1, axis=0) == 0).all()  # a corner is a turn
        assert len(np.unique(polygon, axis=0)) >= 4


def test_outlines_by_hand():
    ring = np.ones((4, 5))
    ring[1:3, 2] = 0
    outer, hole = mask_to_polygons(ring)
    np.testing.assert_array_equal(outer, [[0, 0], [5, 0], [5, 4], [0, 4]])
    np.testing.assert_array_equal(hole, [[2, 1], [2, 3], [3, 3], [3, 1]])
    assert (polygon_area(outer), polygon_area(hole)) == (20, -2)
    corner = mask_to_polygons([[1, 0], [0, 1]])  # two pixels that touch at a corner
    np.testing.assert_array_equal(
        corner, [[[0, 0], [1, 0], [1, 1], [0, 1]], [[1, 1], [2, 1], [2, 2], [1, 2]]]
    )
    corner = mask_to_polygons([[0, 1], [1, 0]])
    np.testing.assert_array_equal(
        corner, [[[1, 0], [2, 0], [2, 1], [1, 1]], [[0, 1], [1, 1], [1, 2], [0, 2]]]
    )
    assert mask_to_polygons(np.zeros((3, 3))) == []


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_fills_an_outline_with_the_same_pixels():
    mask = np.zeros((12, 15), bool)
    mask[2:9, 3:6] = mask[6:9, 3:12] = True
    (polygon,) = mask_to_polygons(mask)
    (filled,) = coco.frPyObjects([polygon.ravel().tolist()], 12, 15)
    np.testing.assert_array_equal(coco.decode(filled), mask)


def test_masks_may_be_numbers_of_any_type():
    for dtype in (bool, np.uint8, np.int64, np.float32):
        checked = check_masks(np.eye(3, dtype=dtype), ndim=2)
        assert checked.dtype == bool
        np.testing.assert_array_equal(checked, np.eye(3) == 1)


def test_errors():
    mask = np.zeros((3, 4))
    with pytest.raises(
        ValueError, match=r"masks must hold 0 and 1 only.*got 0\.5 at index 0, 0, 1"
    ):
        check_masks([[[0, 0.5]]])
    with pytest.raises(ValueError, match=r"mask must hold 0 and 1 only.* got dtype <U1"):
        connected_components([["a"]])
    with pytest.raises(ValueError, match=r"mask must have 2 axes \(height, width\), got shape \(1"):
        mask_to_polygons(mask[None])
    message = r"masks must have 3 axes \(number of masks, height, width\), got shape \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        masks_to_boxes(mask)
    with pytest.raises(ValueError, match="connectivity must be 4 or 8, got 6"):
        connected_components(mask, 6)
    message = r"label_map must hold integers on two axes .*, got float64 of shape \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        instance_masks(mask)
    with pytest.raises(ValueError, match="label_map must hold integers >= 0, got -1 at index 0, 1"):
        instance_masks([[0, -1]])
    message = r"masks1 and masks2 must have the same height and width, got \(3, 4\) and \(4, 3\)"
    with pytest.raises(ValueError, match=message):
        mask_iou(mask[None], mask.T[None])
    message = "masks must not be empty, got no pixel in the mask at index 1"
    with pytest.raises(ValueError, match=message):
        masks_to_boxes([mask + 1, mask])
    for polygon in ([[0, 0], [1, 1]], [[0, 0, 0]] * 3, [0, 1, 2]):
        with pytest.raises(ValueError, match=r"polygon must have shape \(corners, 2\)"):
            polygon_area(polygon)
