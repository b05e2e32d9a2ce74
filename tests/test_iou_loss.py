"""The overlap losses against cvlab.iou, finite differences and TensorFlow."""

import re

import numpy as np
import pytest
import tensorflow as tf

from cvlab.iou import box_iou, generalized_box_iou
from cvlab.iou_loss import iou_loss
from cvlab.networks.box_losses import OverlapLoss

RNG = np.random.default_rng(3)


def random_boxes(count, spread):
    """Return boxes with sides from 1 to 3 in a field of the given width."""
    corner = spread * RNG.random((count, 2))
    return np.concatenate([corner, corner + 1 + 2 * RNG.random((count, 2))], axis=1)


TRUTH, PREDICTED = random_boxes(40, 4), random_boxes(40, 4)


@pytest.mark.parametrize("generalized", [False, True])
def test_the_value_is_one_minus_the_overlap(generalized):
    measure = generalized_box_iou if generalized else box_iou
    overlap = measure(TRUTH, PREDICTED, paired=True)
    assert 0 < np.mean(box_iou(TRUTH, PREDICTED, paired=True) == 0) < 1  # both cases occur
    loss = iou_loss(TRUTH, PREDICTED, generalized=generalized)
    assert loss.value == pytest.approx(1 - overlap.mean(), rel=1e-12)


@pytest.mark.parametrize("generalized", [False, True])
def test_the_gradient_is_that_of_finite_differences_and_of_tensorflow(generalized):
    gradient, step = iou_loss(TRUTH, PREDICTED, generalized=generalized).gradient, 1e-6
    expected = np.empty_like(PREDICTED)
    for index in np.ndindex(PREDICTED.shape):
        change = np.zeros_like(PREDICTED)
        change[index] = step
        up, down = (
            iou_loss(TRUTH, PREDICTED + sign * change, generalized=generalized).value
            for sign in (1, -1)
        )
        expected[index] = (up - down) / (2 * step)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)
    predicted = tf.constant(PREDICTED, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        kind = "giou" if generalized else "iou"
        loss = tf.reduce_mean(OverlapLoss(kind).call(tf.constant(TRUTH, tf.float32), predicted))
    np.testing.assert_allclose(gradient, tape.gradient(loss, predicted), atol=1e-5)


def test_boxes_that_lie_apart_feel_only_giou():
    plain, generalized = (
        iou_loss([[0, 0, 2, 2]], [[5, 0, 7, 2]], generalized=g).gradient[0] for g in (False, True)
    )
    np.testing.assert_array_equal(plain, 0)
    assert generalized[0] + generalized[2] > 0  # a step against it moves the box to the left


def test_equal_boxes_cost_nothing():
    assert iou_loss(TRUTH, TRUTH).value == pytest.approx(0, abs=1e-12)
    assert iou_loss(TRUTH, TRUTH, generalized=True).value == pytest.approx(0, abs=1e-12)


BAD = {
    "truth and predicted must hold the same number of boxes, at least one, got 2 and 1": (
        [[0, 0, 1, 1]] * 2,
        [[0, 0, 1, 1]],
    ),
    "predicted must have an area, got [1.0, 1.0, 1.0, 2.0] in row 0": (
        [[0, 0, 1, 1]],
        [[1, 1, 1, 2]],
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        iou_loss(*BAD[message])
