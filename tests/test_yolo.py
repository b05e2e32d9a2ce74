"""YOLO targets: worked examples, exact inversion, collisions, and the paper's formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.yolo import decode_anchors, decode_cells, encode_anchors, encode_cells

ANCHORS = np.array([[10.0, 10], [30, 12], [12, 40]])


def random_scene(seed, count=6, size=(60, 90), classes=4):
    """Return boxes with their centres in the image, and labels."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, [size[1], size[0]], (count, 2))
    half = rng.uniform(1, 30, (count, 2))
    return np.hstack([centre - half, centre + half]), rng.integers(0, classes, count)


def test_the_answer_of_the_paper_has_30_numbers_a_cell():
    """Redmon et al. 2016, section 2: S = 7, B = 2, C = 20."""
    answer = np.zeros((7, 7, 2 * 5 + 20))
    answer[3, 5, 5:10] = [0.5, 0.25, 0.5, 1.0, 0.8]  # the second box of a cell
    answer[3, 5, 10 + 13] = 0.5
    boxes, scores, labels = decode_cells(answer, (448, 448), boxes_per_cell=2)
    centre = np.array([(5 + 0.5) * 64, (3 + 0.25) * 64])
    half = np.array([0.25 * 448, 448]) / 2
    np.testing.assert_allclose(boxes, [[*(centre - half), *(centre + half)]])
    np.testing.assert_allclose(scores, [0.8 * 0.5])
    assert labels.tolist() == [13]


def test_a_target_by_hand():
    box = [[30, 10, 50, 50]]  # centre (40, 30), 20 x 40 pixels, in an image of 60 x 90
    values, collisions = encode_cells(box, [1], grid=(3, 6), size=(60, 90), classes=2)
    assert values.shape == (3, 6, 7)
    row, column = 1, 2  # cells of 20 x 15 pixels
    expected = [40 / 15 - 2, 0.5, np.sqrt(20 / 90), np.sqrt(40 / 60), 1, 0, 1]
    np.testing.assert_allclose(values[row, column], expected)
    values[row, column] = 0
    assert not values.any()
    assert collisions.size == 0

    values, _ = encode_anchors(box, [1], (3, 6), (60, 90), 2, ANCHORS)
    assert values.shape == (3, 6, 3, 7)
    expected = [40 / 15 - 2, 0.5, np.log(20 / 12), np.log(40 / 40), 1, 0, 1]
    np.testing.assert_allclose(values[row, column, 2], expected)
    values[row, column, 2] = 0
    assert not values.any()


@given(
    seed=st.integers(0, 999),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    count=st.integers(0, 8),
    with_anchors=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_decoding_inverts_encoding(seed, grid, count, with_anchors):
    boxes, labels = random_scene(seed, count)
    if with_anchors:
        values, collisions = encode_anchors(boxes, labels, grid, (60, 90), 4, ANCHORS)
        decoded = decode_anchors(values, (60, 90), ANCHORS)
    else:
        values, collisions = encode_cells(boxes, labels, grid, (60, 90), 4)
        decoded = decode_cells(values, (60, 90))
    there = np.setdiff1d(np.arange(count), collisions)
    assert len(decoded.boxes) == len(there)
    assert (values[..., 4] == 1).sum() == len(there)
    np.testing.assert_array_equal(decoded.scores, 1)
    order = np.argsort(decoded.boxes[:, 0])
    expected = there[np.argsort(boxes[there, 0])]
    np.testing.assert_allclose(decoded.boxes[order], boxes[expected], atol=1e-12)
    np.testing.assert_array_equal(decoded.labels[order], labels[expected])
    assert ((values[..., :2] >= 0) & (values[..., :2] <= 1)).all()


def test_centres_on_lines_and_borders():
    boxes = [[-4, -4, 4, 4], [28, 28, 36, 36], [60, 60, 68, 68]]  # centres at 0, 32 and 64
    values, collisions = encode_cells(boxes, [0, 0, 0], (2, 2), (64, 64), 1)
    assert collisions.tolist() == [2]
    np.testing.assert_array_equal(values[0, 0, :2], [0, 0])
    np.testing.assert_array_equal(values[1, 1, :2], [0, 0])
    values, _ = encode_cells(boxes[2:], [0], (2, 2), (64, 64), 1)
    np.testing.assert_array_equal(values[1, 1, :2], [1, 1])  # not in a third cell
    np.testing.assert_array_equal(decode_cells(values, (64, 64)).boxes, boxes[2:])


def test_rows_are_not_columns():
    values, _ = encode_cells([[40, 0, 50, 10]], [0], (2, 5), (20, 50), 1)
    np.testing.assert_array_equal(np.argwhere(values[..., 4]), [[0, 4]])


def test_collisions_are_reported_and_the_first_box_stays():
    boxes = [[0, 0, 10, 10], [1, 1, 11, 11], [0, 0, 30, 10], [2, 2, 12, 12]]
    values, collisions = encode_cells(boxes, [0, 1, 1, 1], (1, 1), (32, 32), 2)
    assert collisions.tolist() == [1, 2, 3]
    assert decode_cells(values, (32, 32)).labels.tolist() == [0]
    values, collisions = encode_anchors(boxes, [0, 1, 1, 1], (1, 1), (32, 32), 2, ANCHORS)
    assert collisions.tolist() == [1, 3]  # the wide one has an anchor of its own
    np.testing.assert_allclose(
        decode_anchors(values, (32, 32), ANCHORS).boxes, [boxes[0], boxes[2]]
    )


def test_a_box_goes_to_the_anchor_of_its_shape():
    """By IoU at a common centre: by the difference of the sides the small anchor would win."""
    anchors = [[4, 4], [20, 20]]
    boxes = [[0, 0, 11, 11], [20, 20, 28, 28]]  # IoU 16/121 and 121/400; 16/64 and 64/400
    values, _ = encode_anchors(boxes, [0, 0], (2, 2), (40, 40), 1, anchors)
    np.testing.assert_array_equal(np.argwhere(values[..., 4]), [[0, 0, 1], [1, 1, 0]])


def test_logits_follow_the_formulas_of_the_paper():
    """YOLO9000, section 2: b = sigma(t) + c, side = p exp(t), scores with sigma and softmax."""
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(2, 3, 3, 5 + 4)) * 3
    boxes, scores, labels = decode_anchors(raw, (60, 90), ANCHORS, logits=True)
    assert len(boxes) == 2 * 3 * 3
    index = 0
    for row in range(2):
        for column in range(3):
            for anchor, (pw, ph) in enumerate(ANCHORS):
                tx, ty, tw, th, to, *classes = raw[row, column, anchor]
                x = (1 / (1 + np.exp(-tx)) + column) * 30
                y = (1 / (1 + np.exp(-ty)) + row) * 30
                w, h = pw * np.exp(tw), ph * np.exp(th)
                expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                np.testing.assert_allclose(boxes[index], expected)
                chances = np.exp(classes) / np.exp(classes).sum()
                np.testing.assert_allclose(scores[index], chances.max() / (1 + np.exp(-to)))
                assert labels[index] == np.argmax(classes)
                index += 1


def test_large_logits_stay_finite():
    raw = np.zeros((1, 1, 1, 7))
    raw[..., 4:] = [900, 900, -900]
    np.testing.assert_array_equal(decode_anchors(raw, (8, 8), [[4, 2]], logits=True).scores, [1])
    raw[..., 4] = -900
    assert len(decode_anchors(raw, (8, 8), [[4, 2]], logits=True).scores) == 0


def test_the_score_threshold_is_exceeded():
    values, _ = encode_cells(*random_scene(1, count=1), (2, 2), (60, 90), 4)
    values *= [1, 1, 1, 1, 0.5, 1, 1, 1, 1]
    assert len(decode_cells(values, (60, 90), score_threshold=0.5).scores) == 0
    assert len(decode_cells(values, (60, 90), score_threshold=0.49).scores) == 1


def test_types_and_empty_scenes():
    boxes, labels = random_scene(0)
    values, _ = encode_cells(boxes.astype(np.float32), labels, 3, (60, 90), 4)
    assert values.dtype == decode_cells(values, (60, 90)).boxes.dtype == np.float32
    values, _ = encode_anchors(boxes.astype(np.float32), labels, (3, 3), (60, 90), 4, ANCHORS)
    assert values.dtype == decode_anchors(values, (60, 90), ANCHORS).boxes.dtype == np.float32
    values, collisions = encode_cells([], [], (2, 2), (60, 90), 4)
    assert values.shape == (2, 2, 9)
    assert not values.any()
    assert collisions.shape == (0,)
    assert decode_cells(values, (60, 90)).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "encode", [encode_cells, lambda *scene: encode_anchors(*scene, anchors=ANCHORS)]
)
def test_errors_of_encoding(encode):
    good = [[0, 0, 4, 4]]
    message = (
        r"boxes must have a positive width and height, got \[3\.0, 0\.0, 3\.0, 4\.0\] at index 1"
    )
    with pytest.raises(ValueError, match=message):
        encode([*good, [3, 0, 3, 4]], [0, 0], (2, 2), (8, 8), 1)
    message = r"boxes must have their centres in the image of size \(8, 9\), got .* at index 0"
    for box in ([6, 7, 8, 10], [8, 6, 11, 8], [-3, 0, 1, 4]):
        with pytest.raises(ValueError, match=message):
            encode([box], [0], (2, 2), (8, 9), 1)
    with pytest.raises(ValueError, match="labels must be from 0 to 2, got 3 at index 0"):
        encode(good, [3], (2, 2), (8, 8), 3)
    with pytest.raises(ValueError, match="labels must be from 0 to 2, got -1 at index 0"):
        encode(good, [-1], (2, 2), (8, 8), 3)
    with pytest.raises(ValueError, match=r"labels must be 1 integers, got shape \(2,\) of int64"):
        encode(good, [1, 2], (2, 2), (8, 8), 3)
    with pytest.raises(ValueError, match=r"labels must be 1 integers, got shape \(1,\) of float64"):
        encode(good, [1.0], (2, 2), (8, 8), 3)
    with pytest.raises(ValueError, match="classes must be an integer >= 1, got 0"):
        encode(good, [0], (2, 2), (8, 8), 0)
    with pytest.raises(ValueError, match=r"grid\[0\] must be an integer >= 1, got 0"):
        encode(good, [0], (0, 2), (8, 8), 1)


def test_other_errors():
    with pytest.raises(ValueError, match=r"anchors must be positive, got 0\.0 at index 1, 0"):
        encode_anchors([], [], (2, 2), (8, 8), 1, [[1, 1], [0, 2]])
    with pytest.raises(
        ValueError, match=r"anchors must have shape \(anchors, 2\), got shape \(1, 3\)"
    ):
        encode_anchors([], [], (2, 2), (8, 8), 1, [[1, 1, 2]])
    message = r"predictions must have at least 11 values on the last axis.*got shape \(2, 2, 10\)"
    with pytest.raises(ValueError, match=message):
        decode_cells(np.zeros((2, 2, 10)), (8, 8), boxes_per_cell=2)
    with pytest.raises(ValueError, match=r"predictions must have 3 axes \(rows, columns, values\)"):
        decode_cells(np.zeros((1, 2, 2, 10)), (8, 8))
    with pytest.raises(ValueError, match="predictions must be finite, got nan at index 0, 0, 5"):
        decode_cells(np.array([[[0, 0, 1, 1, 1, np.nan]]]), (8, 8))
    with pytest.raises(ValueError, match=r"for 3 anchors, got shape \(2, 2, 2, 6\)"):
        decode_anchors(np.zeros((2, 2, 2, 6)), (8, 8), ANCHORS)
