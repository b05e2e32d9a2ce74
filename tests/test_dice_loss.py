"""The soft Dice loss against Keras, the Dice coefficient and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.dice_loss import soft_dice_gradient, soft_dice_loss
from cvlab.segmentation import dice


def example(seed=0, shape=(2, 4, 5, 3)):
    """Return a one-hot truth and probabilities that add up to 1."""
    rng = np.random.default_rng(seed)
    truth = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    scores = np.exp(rng.normal(size=shape))
    return truth, scores / scores.sum(axis=-1, keepdims=True)


def test_agrees_with_keras_summed_over_the_pixels_of_one_class_in_one_image():
    truth, probabilities = example()
    expected = keras.losses.Dice(axis=(1, 2), dtype="float64")(truth, probabilities)
    assert soft_dice_loss(truth, probabilities, 1e-9) == pytest.approx(float(expected), abs=1e-6)
    whole_batch = keras.losses.Dice(dtype="float64")(truth, probabilities)
    assert abs(float(whole_batch - expected)) > 1e-3


def test_of_masks_it_is_one_minus_dice():
    rng = np.random.default_rng(0)
    truth, prediction = rng.random((2, 3, 6, 5, 4)) < 0.5
    expected = 1 - dice(np.moveaxis(truth, 3, 1), np.moveaxis(prediction, 3, 1)).mean()
    assert soft_dice_loss(truth, prediction, 1e-12) == pytest.approx(expected, abs=1e-10)


def test_by_hand():
    truth = np.zeros((1, 2, 2, 2))
    truth[0, 0, :, 0] = 1  # two pixels of class 0, none of class 1
    probabilities = np.full((1, 2, 2, 2), 0.25)
    expected = 1 - ((2 * 0.5 + 1) / (2 + 1 + 1) + (0 + 1) / (0 + 1 + 1)) / 2
    assert soft_dice_loss(truth, probabilities) == pytest.approx(expected, rel=1e-15)
    expected = 1 - ((2 * 0.5 + 3) / (2 + 1 + 3) + (0 + 3) / (0 + 1 + 3)) / 2
    assert soft_dice_loss(truth, probabilities, smooth=3) == pytest.approx(expected, rel=1e-15)


def test_an_absent_class_costs_nothing_here_and_everything_in_keras():
    truth = np.zeros((1, 3, 3, 2))
    truth[..., 0] = 1
    for smooth in (1e-6, 1.0):
        assert soft_dice_loss(truth, truth, smooth) == pytest.approx(0, abs=1e-15)
    assert float(keras.losses.Dice(axis=(1, 2))(truth, truth)) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("smooth", [0.01, 1.0])
def test_gradient_is_that_of_finite_differences_and_of_tensorflow(smooth):
    truth, probabilities = example(1)
    truth[1, ..., 2] = 0  # a class without pixels
    gradient = soft_dice_gradient(truth, probabilities, smooth)
    step = 1e-5
    expected = np.empty_like(probabilities)
    for index in np.ndindex(probabilities.shape):
        sides = []
        for sign in (1, -1):
            moved = probabilities.copy()
            moved[index] += sign * step
            sides.append(soft_dice_loss(truth, moved, smooth))
        expected[index] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-9)
    variable = tf.Variable(probabilities)
    with tf.GradientTape() as tape:
        shared = 2 * tf.reduce_sum(truth * variable, (1, 2)) + smooth
        total = tf.reduce_sum(truth, (1, 2)) + tf.reduce_sum(variable, (1, 2)) + smooth
        loss = tf.reduce_mean(1 - shared / total)
    np.testing.assert_allclose(gradient, tape.gradient(loss, variable), rtol=1e-12, atol=1e-15)


def test_a_small_object_has_a_large_gradient():
    def inside(pixels):
        truth = np.zeros((1, 20, 20, 1))
        truth.reshape(-1)[:pixels] = 1
        return soft_dice_gradient(truth, 0.1 * truth)[0, 0, 0, 0]

    assert inside(4) < 10 * inside(100) < 0


def test_types():
    truth, probabilities = example()
    single = soft_dice_gradient(truth.astype(np.uint8), probabilities.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, soft_dice_gradient(truth, probabilities), rtol=1e-5)
    assert soft_dice_gradient(truth, probabilities.astype(np.float32)).dtype == np.float64
    assert isinstance(soft_dice_loss(truth, probabilities), float)


@pytest.mark.parametrize("function", [soft_dice_loss, soft_dice_gradient])
def test_errors(function):
    truth, probabilities = example()
    message = r"truth must have 4 axes \(batch, height, width, classes\), got shape \(4, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        function(truth[0], probabilities)
    message = r"must have the same shape, without an empty axis, got \(2, .*\) and \(1, .*\)"
    with pytest.raises(ValueError, match=message):
        function(truth, probabilities[:1])
    with pytest.raises(ValueError, match=r"probabilities must lie from 0 to 1, got -2\.0 at"):
        function(truth, 0 * probabilities - 2)
    with pytest.raises(ValueError, match=r"truth must lie from 0 to 1, got 255\.0 at index"):
        function(255 * truth, probabilities)
    with pytest.raises(ValueError, match="probabilities must lie from 0 to 1, got nan at index"):
        function(truth, np.nan * probabilities)
    for smooth in (0, -1.0):
        with pytest.raises(ValueError, match=f"smooth must be positive, got {smooth}"):
            function(truth, probabilities, smooth)
