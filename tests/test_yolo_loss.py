"""The loss of the grid detector: against NumPy, finite differences, known values; in training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.networks.yolo_loss import YoloLoss, probabilities, yolo_terms
from cvlab.yolo import decode_cells, encode_cells


def some_scenes(count=3, classes=4, seed=0):
    """Return targets (count, 5, 3, 5 + classes) of one to three boxes each, and random logits."""
    rng = np.random.default_rng(seed)
    targets = []
    for n in range(count):
        corner = rng.uniform(0, 20, (1 + n % 3, 2))
        boxes = np.hstack([corner, corner + rng.uniform(3, 9, corner.shape)])
        labels = rng.integers(0, classes, len(boxes))
        targets.append(encode_cells(boxes, labels, (5, 3), (50, 30), classes).values)
    targets = np.stack(targets)
    return targets, rng.normal(size=targets.shape)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_loops(target, logits, box_weight, absent_weight):
    """Return the loss of one image, cell by cell."""
    total = 0.0
    for row in range(target.shape[0]):
        for column in range(target.shape[1]):
            truth, answer = target[row, column], logits[row, column]
            there = sigmoid(answer[4])
            if truth[4] == 1:
                total += box_weight * np.sum((sigmoid(answer[:4]) - truth[:4]) ** 2)
                chances = np.exp(answer[5:]) / np.exp(answer[5:]).sum()
                total -= np.log(there) + np.log(chances[truth[5:].argmax()])
            else:
                total -= absent_weight * np.log(1 - there)
    return total


@pytest.mark.parametrize("weights", [(5.0, 0.5), (1.0, 2.0), (0.0, 0.0)])
def test_the_loss_agrees_with_a_loop_over_cells(weights):
    truth, logits = some_scenes()
    loss = YoloLoss(*weights, reduction=None, dtype="float64")(truth, logits)
    expected = [by_loops(t, z, *weights) for t, z in zip(truth, logits, strict=True)]
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_the_terms_are_what_they_are_called():
    truth, logits = some_scenes()
    terms = yolo_terms(truth, logits)
    assert [term.shape for term in terms] == [(3,)] * 4
    for place, changed in ((slice(0, 4), "box"), (slice(5, 9), "classes")):
        other = logits.copy()
        other[..., place] += np.linspace(0.1, 1, other[..., place].shape[-1])
        for name, before, after in zip(terms._fields, terms, yolo_terms(truth, other), strict=True):
            assert np.allclose(before, after) == (name != changed), name
    empty = yolo_terms(0 * truth, logits)
    assert [float(tf.reduce_sum(empty[i])) for i in (0, 1, 3)] == [0, 0, 0]
    np.testing.assert_allclose(empty.absent, -np.log(1 - sigmoid(logits[..., 4])).sum((1, 2)))


def test_gradients_agree_with_finite_differences():
    truth, logits = some_scenes(count=1)
    loss = YoloLoss(reduction=None, dtype="float64")
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(truth, variable)
    gradient = tape.gradient(value, variable).numpy()
    shifts = 1e-6 * np.eye(logits.size).reshape(-1, *logits.shape[1:])  # one number in each image
    truth = np.repeat(truth, len(shifts), axis=0)
    slopes = (loss(truth, logits + shifts) - loss(truth, logits - shifts)).numpy() / 2e-6
    np.testing.assert_allclose(gradient.ravel(), slopes, atol=1e-7)


def test_where_there_is_no_object_only_objectness_is_pushed():
    truth, logits = some_scenes()
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = YoloLoss(reduction="sum", dtype="float64")(truth, variable)
    gradient = tape.gradient(value, variable).numpy()
    empty = truth[..., 4] == 0
    assert (gradient[empty][:, [0, 1, 2, 3, 5, 6, 7, 8]] == 0).all()
    assert (gradient[empty][:, 4] > 0).all()
    assert (gradient[~empty][:, 4] < 0).all()


def test_large_logits_stay_finite():
    truth, logits = some_scenes()
    for sign in (-1, 1):
        loss = YoloLoss(reduction=None)(truth, np.float32(sign * 1000) * np.sign(logits))
        assert np.isfinite(loss).all()


def test_probabilities_of_the_right_logits_decode_to_the_boxes():
    boxes, labels = np.array([[2.0, 3, 12, 9], [20, 30, 28, 48]]), [1, 0]
    target = encode_cells(boxes, labels, (5, 3), (50, 30), 2).values
    chance = np.clip(target[..., :5], 1e-6, 1 - 1e-6)
    logits = np.concatenate([np.log(chance / (1 - chance)), 40 * target[..., 5:]], axis=-1)
    assert float(YoloLoss(dtype="float64")(target[None], logits[None])) < 1e-4
    answer = probabilities(logits[None])[0].numpy()
    decoded = decode_cells(answer, (50, 30), score_threshold=0.5)
    np.testing.assert_allclose(decoded.boxes, boxes, atol=1e-3)
    assert decoded.labels.tolist() == labels
    np.testing.assert_allclose(answer[..., 5:].sum(axis=-1), 1)


def test_the_reduction_is_the_mean_over_images_and_the_configuration_survives():
    truth, logits = some_scenes()
    loss = YoloLoss(2.0, 0.25, dtype="float64")
    single = YoloLoss(2.0, 0.25, reduction=None, dtype="float64")(truth, logits)
    np.testing.assert_allclose(loss(truth, logits), np.mean(single))
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (copy.box_weight, copy.absent_weight, copy.name) == (2.0, 0.25, "yolo_loss")


def test_free_logits_learn_the_target():
    truth, logits = some_scenes(count=1)
    variable = tf.Variable(logits)
    loss, optimizer = YoloLoss(dtype="float64"), keras.optimizers.Adam(0.3)
    optimizer.build([variable])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(truth, variable)
        optimizer.apply([tape.gradient(value, variable)])

    for _ in range(150):
        step()
    answer, there = probabilities(variable).numpy(), truth[..., 4] == 1
    np.testing.assert_allclose(answer[..., 4], there, atol=0.05)
    np.testing.assert_allclose(answer[there], truth[there], atol=0.05)


@pytest.mark.parametrize(
    ("true_shape", "shape"),
    [((1, 3, 3, 6), (1, 3, 2, 6)), ((1, 3, 3, 5), (1, 3, 3, 5)), ((3, 3, 6), (3, 3, 6))],
)
def test_shapes_that_do_not_fit_are_refused(true_shape, shape):
    with pytest.raises(ValueError, match=r"y_true and y_pred must both have shape .*, got shapes"):
        yolo_terms(np.zeros(true_shape), np.zeros(shape))


@pytest.mark.parametrize("weights", [(-1.0, 0.5), (np.inf, 0.5), (np.nan, 0.5)])
def test_weights_out_of_range_are_refused(weights):
    with pytest.raises(ValueError, match="box_weight must be a number of at least 0, got"):
        YoloLoss(*weights)
    with pytest.raises(ValueError, match="absent_weight must be a number of at least 0, got"):
        YoloLoss(*weights[::-1])
