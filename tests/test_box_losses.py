"""Losses for boxes: against NumPy, finite differences, Keras, a published table; in training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab import iou
from cvlab.boxes import box_convert
from cvlab.networks.box_losses import (
    KINDS,
    MeanBoxIoU,
    OverlapLoss,
    SmoothL1Loss,
    SquareRootLoss,
    paired_overlap,
)

MEASURES = {
    "iou": iou.box_iou,
    "giou": iou.generalized_box_iou,
    "diou": iou.distance_box_iou,
    "ciou": iou.complete_box_iou,
}
LOSSES = [*(OverlapLoss(kind) for kind in KINDS), SmoothL1Loss(0.3), SquareRootLoss()]


def random_boxes(count=40, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 1, (count, 2))
    return np.hstack([corner, corner + rng.uniform(0.05, 1, (count, 2))])


def gradient_of(loss, truth, boxes):
    boxes = tf.Variable(boxes)
    with tf.GradientTape() as tape:
        value = loss(truth, boxes)
    return tape.gradient(value, boxes).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_overlaps_agree_with_numpy(kind):
    truth, boxes = random_boxes(), random_boxes(seed=1)
    expected = MEASURES[kind](truth, boxes, paired=True)
    np.testing.assert_allclose(paired_overlap(truth, boxes, kind), expected, atol=1e-12)
    centres = [box_convert(v, "xyxy", "cxcywh") for v in (truth, boxes)]
    ours = paired_overlap(*centres, kind, "cxcywh")
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    batched = paired_overlap(truth.reshape(4, 10, 4), boxes.reshape(4, 10, 4), kind)
    np.testing.assert_allclose(batched, expected.reshape(4, 10), atol=1e-12)
    loss = OverlapLoss(kind, dtype="float64")(truth, boxes)
    np.testing.assert_allclose(loss, 1 - expected.mean(), atol=1e-12)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou"])
@pytest.mark.parametrize("fmt", ["xyxy", "cxcywh"])
def test_gradients_agree_with_finite_differences(kind, fmt):
    truth, boxes = random_boxes(), random_boxes(seed=1)
    loss = OverlapLoss(kind, fmt, reduction="sum", dtype="float64")
    assert_gradient(loss, *(box_convert(v, "xyxy", fmt) for v in (truth, boxes)))


@pytest.mark.parametrize("loss", [SmoothL1Loss, SquareRootLoss])
def test_gradients_of_coordinate_losses(loss):
    assert_gradient(loss(reduction="sum", dtype="float64"), random_boxes(), random_boxes(seed=1))


def assert_gradient(loss, truth, boxes, step=1e-6):
    numeric = np.zeros_like(boxes)
    for i in range(4):
        moved = np.zeros(4)
        moved[i] = step
        rows = loss.call(truth, boxes + moved) - loss.call(truth, boxes - moved)
        numeric[:, i] = rows / (2 * step)
    np.testing.assert_allclose(gradient_of(loss, truth, boxes), numeric, atol=1e-6)


def test_the_weight_of_the_shape_is_a_constant_in_the_gradient():
    truth, boxes = random_boxes(), random_boxes(seed=1)
    extra = gradient_of(OverlapLoss("ciou", reduction="sum", dtype="float64"), truth, boxes)
    extra -= gradient_of(OverlapLoss("diou", reduction="sum", dtype="float64"), truth, boxes)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    true_width, true_height = (truth[:, 2:] - truth[:, :2]).T
    turn = np.arctan(width / height) - np.arctan(true_width / true_height)
    shape = 4 / np.pi**2 * turn**2
    weight = shape / (1 - iou.box_iou(truth, boxes, paired=True) + shape)
    slope = weight * 8 / np.pi**2 * turn / (width**2 + height**2)  # of the width, times 1 / height
    expected = np.stack([-slope * height, slope * width, slope * height, -slope * width], axis=1)
    np.testing.assert_allclose(extra, expected, atol=1e-9)


def test_where_the_gradient_of_iou_vanishes():
    truth, apart = np.array([[0.0, 0, 1, 1]]), np.array([[2.0, 0, 3, 1]])
    assert not gradient_of(OverlapLoss("iou"), truth, apart).any()
    for kind in ("giou", "diou", "ciou"):
        slope = gradient_of(OverlapLoss(kind), truth, apart)
        assert slope[0, 0] > 0  # a step downhill moves the box to the left, to the truth


@pytest.mark.parametrize("kind", KINDS)
def test_degenerate_boxes_have_finite_gradients(kind):
    loss = OverlapLoss(kind)
    point, box = np.array([[0.5, 0.5, 0.5, 0.5]]), np.array([[0.0, 0, 1, 1]])
    inverted = np.array([[0.8, 0.8, 0.2, 0.2]])
    for truth, guess in [(point, point), (box, point), (point, box), (box, inverted), (box, box)]:
        assert np.isfinite(loss(truth, guess))
        assert np.isfinite(gradient_of(loss, truth, guess)).all()
    assert paired_overlap(box, inverted, "iou")[0] == 0
    assert paired_overlap(box, inverted, "giou")[0] == 0  # not more, from an area of two negatives
    assert paired_overlap(point, point, "giou")[0] == 0


def test_smooth_l1_is_hubers_loss_over_beta():
    truth, boxes = random_boxes(), random_boxes(seed=1)
    for beta in (0.1, 0.5, 1.0):
        expected = keras.losses.Huber(delta=beta)(truth, boxes) / beta
        np.testing.assert_allclose(SmoothL1Loss(beta)(truth, boxes), expected, rtol=1e-5)


def test_the_table_of_square_roots():
    """Sides of 200 and 50 pixels in an image of 400, errors of 10 and 50 pixels (claim C38)."""
    sides, errors = np.array([200, 50, 200, 50]) / 400, np.array([10, 10, 50, 50]) / 400
    truth = np.stack([sides * 0, sides * 0, sides, sides], axis=1)
    boxes = truth + np.stack([errors * 0, errors * 0, errors, errors * 0], axis=1)
    loss = SquareRootLoss(reduction=None, dtype="float64")(truth, boxes).numpy()
    np.testing.assert_allclose(loss, [3.05e-4, 1.14e-3, 6.97e-3, 2.14e-2], rtol=5e-3)
    moved = truth + np.array([0.1, -0.2, 0, 0])
    loss = SquareRootLoss(reduction=None, dtype="float64")(truth, moved).numpy()
    np.testing.assert_allclose(loss, 0.05)


def test_square_roots_of_nothing_are_finite():
    truth, boxes = np.array([[0.5, 0.5, 0.2, 0.0]]), np.array([[0.5, 0.5, 0.0, -0.1]])
    assert np.isfinite(SquareRootLoss()(truth, boxes))
    assert np.isfinite(gradient_of(SquareRootLoss(), truth, boxes)).all()


def test_the_metric_is_the_mean_iou_over_batches():
    truth, boxes = random_boxes(), random_boxes(seed=1)
    metric = MeanBoxIoU("cxcywh")
    for part in (slice(0, 30), slice(30, 40)):
        metric.update_state(*(box_convert(v[part], "xyxy", "cxcywh") for v in (truth, boxes)))
    expected = iou.box_iou(truth, boxes, paired=True).mean()
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_following_the_gradient_finds_the_box(loss):
    fmt = getattr(loss, "fmt", "cxcywh")
    truth = tf.constant(box_convert([[0.2, 0.3, 0.6, 0.8]], "xyxy", fmt), tf.float32)
    box = tf.Variable(box_convert([[0.7, 0.1, 0.9, 0.2]], "xyxy", fmt), dtype=tf.float32)
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(truth, box)
        optimizer.apply([tape.gradient(value, box)], [box])

    optimizer.build([box])
    for _ in range(200):
        step()
    overlap = paired_overlap(truth, box, fmt=fmt)[0]
    assert overlap == 0 if loss.name == "iou_loss" else overlap > 0.9  # apart, IoU has no slope


def test_losses_and_metric_are_saved_with_a_model(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4)])
    model.compile("sgd", loss=OverlapLoss("diou", "cxcywh"), metrics=[MeanBoxIoU("cxcywh")])
    truth = box_convert(random_boxes(8).astype(np.float32), "xyxy", "cxcywh")
    model.fit(np.zeros((8, 1)), truth, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = model.evaluate(np.zeros((8, 1)), truth, verbose=0)
    np.testing.assert_allclose(again.evaluate(np.zeros((8, 1)), truth, verbose=0), expected)
    for loss in LOSSES:
        assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()


def test_errors():
    boxes = np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"kind must be one of \('iou', .*\), got 'l2'"):
        OverlapLoss("l2")
    with pytest.raises(ValueError, match='fmt must be "xyxy" or "cxcywh", got'):
        MeanBoxIoU("xywh")
    with pytest.raises(ValueError, match="beta must be a positive number, got 0"):
        SmoothL1Loss(0)
    with pytest.raises(ValueError, match="boxes must have 4 numbers on the last axis, got shape"):
        paired_overlap(boxes[:, :3], boxes[:, :3])
    with pytest.raises(ValueError, match="kind must be one of"):
        paired_overlap(boxes, boxes, "IoU")
