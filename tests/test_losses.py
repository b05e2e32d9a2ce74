"""The losses against Keras, finite differences and closed formulas."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlab import losses

RNG = np.random.default_rng(0)
SCORES = 3 * RNG.normal(size=(5, 4))
LABELS = np.array([0, 3, 1, 1, 2])
DISTRIBUTION = RNG.dirichlet(np.ones(4), 5)
SOFT = RNG.random((5, 4))
HARD = (SOFT < 0.5).astype(float)


def keras_mean(loss, truth, answers):
    """Return the loss of Keras in float64."""
    truth, answers = (keras.ops.cast(a, "float64") for a in (truth, answers))
    return float(keras.ops.mean(loss(truth, answers)))


CASES = {
    "categorical": (
        lambda s: losses.categorical_cross_entropy(DISTRIBUTION, s),
        lambda s: keras_mean(
            lambda t, a: keras.losses.categorical_crossentropy(t, a, from_logits=True),
            *(DISTRIBUTION, s),
        ),
    ),
    "sparse": (
        lambda s: losses.sparse_categorical_cross_entropy(LABELS, s),
        lambda s: keras_mean(
            lambda t, a: keras.losses.sparse_categorical_crossentropy(t, a, from_logits=True),
            *(LABELS, s),
        ),
    ),
    "binary": (
        lambda s: losses.binary_cross_entropy(SOFT, s),
        lambda s: keras_mean(
            lambda t, a: keras.losses.binary_crossentropy(t, a, from_logits=True), SOFT, s
        ),
    ),
    "focal": (
        lambda s: losses.focal_loss(HARD, s, gamma=1.5, alpha=0.2),
        lambda s: keras_mean(
            lambda t, a: keras.losses.binary_focal_crossentropy(
                t, a, apply_class_balancing=True, alpha=0.2, gamma=1.5, from_logits=True
            ),
            *(HARD, s),
        ),
    ),
    "squared": (
        lambda s: losses.squared_error(SOFT, s),
        lambda s: keras_mean(keras.losses.mean_squared_error, SOFT, s),
    ),
    "smooth L1": (
        lambda s: losses.smooth_l1(SOFT, s, delta=0.7),
        lambda s: keras_mean(lambda t, a: keras.losses.huber(t, a, delta=0.7), SOFT, s) / 0.7,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_value_is_that_of_keras(name):
    ours, theirs = CASES[name]
    assert ours(SCORES).value == pytest.approx(theirs(SCORES), rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_finite_differences(name):
    loss, step = CASES[name][0], 1e-6
    expected = np.empty_like(SCORES)
    for index in np.ndindex(SCORES.shape):
        change = np.zeros_like(SCORES)
        change[index] = step
        expected[index] = (loss(SCORES + change).value - loss(SCORES - change).value) / (2 * step)
    np.testing.assert_allclose(loss(SCORES).gradient, expected, rtol=1e-5, atol=1e-8)


def test_sparse_and_categorical_are_one_loss():
    sparse = losses.sparse_categorical_cross_entropy(LABELS, SCORES)
    categorical = losses.categorical_cross_entropy(np.eye(4)[LABELS], SCORES)
    assert sparse.value == categorical.value
    np.testing.assert_array_equal(sparse.gradient, categorical.gradient)
    np.testing.assert_allclose(
        sparse.gradient, (losses.softmax(SCORES) - np.eye(4)[LABELS]) / 5, atol=1e-15
    )


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_equal_scores_cost_the_logarithm_of_the_number_of_classes(classes):
    loss = losses.sparse_categorical_cross_entropy([1], np.full((1, classes), 7.0))
    assert loss.value == pytest.approx(np.log(classes), rel=1e-12)


def test_focal_loss_without_focus_is_binary_cross_entropy():
    focal, plain = (
        losses.focal_loss(HARD, SCORES, gamma=0),
        losses.binary_cross_entropy(HARD, SCORES),
    )
    assert focal.value == pytest.approx(plain.value, rel=1e-12)
    np.testing.assert_allclose(focal.gradient, plain.gradient, rtol=1e-10)


def test_large_scores_do_not_overflow():
    scores = np.array([[1000.0, -1000.0]])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(losses.softmax(scores), [[1.0, 0.0]])
        assert losses.sparse_categorical_cross_entropy([1], scores).value == 2000
        assert losses.binary_cross_entropy([[0.0, 1.0]], scores).value == 1000
        assert losses.focal_loss([[0.0, 1.0]], scores).value == 1000
        np.testing.assert_array_equal(
            losses.binary_cross_entropy([[0.0, 1.0]], scores).gradient, [[0.5, -0.5]]
        )


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), st.floats(-100, 100))
def test_softmax_does_not_see_a_shift_of_all_scores(scores, shift):
    probabilities = losses.softmax([scores])
    assert probabilities.sum() == pytest.approx(1)
    np.testing.assert_allclose(losses.softmax([np.add(scores, shift)]), probabilities, atol=1e-9)


@given(st.floats(-5, 5), st.floats(0.1, 3))
def test_smooth_l1_joins_a_parabola_and_a_line(error, delta):
    loss = losses.smooth_l1([[0.0]], [[error]], delta=delta)
    expected = error**2 / (2 * delta) if abs(error) < delta else abs(error) - delta / 2
    assert loss.value == pytest.approx(expected, abs=1e-12)
    assert abs(loss.gradient[0, 0]) <= 1


BAD = {
    "truth and scores must have the same shape, got (1, 2) and (1, 3)": lambda: (
        losses.binary_cross_entropy(np.zeros((1, 2)), np.zeros((1, 3)))
    ),
    "each row of truth must add up to 1, got 0.5 at index 0": lambda: (
        losses.categorical_cross_entropy([[0.5, 0.0]], [[1.0, 2.0]])
    ),
    "truth must lie from 0 to 1, got 2.0 at index 0, 0": lambda: losses.categorical_cross_entropy(
        [[2.0, -1.0]], [[1.0, 2.0]]
    ),
    "truth must lie from 0 to 1, got -1.0 at index 0, 0": lambda: losses.binary_cross_entropy(
        [[-1.0]], [[1.0]]
    ),
    "truth must be 0 or 1, got 0.5 at index 0, 0": lambda: losses.focal_loss([[0.5]], [[1.0]]),
    "labels must lie from 0 to 1, got 2 at index 0": lambda: (
        losses.sparse_categorical_cross_entropy([2], [[1.0, 2.0]])
    ),
    "labels must be 1 integers, one for each row of scores, got float64 of shape (1,)": lambda: (
        losses.sparse_categorical_cross_entropy([0.0], [[1.0, 2.0]])
    ),
    "gamma must be at least 0, got -1": lambda: losses.focal_loss([[1.0]], [[1.0]], gamma=-1),
    "alpha must lie from 0 to 1, got 2": lambda: losses.focal_loss([[1.0]], [[1.0]], alpha=2),
    "delta must be positive, got 0": lambda: losses.smooth_l1([[1.0]], [[1.0]], delta=0),
    "scores must not be empty, got shape (0, 3)": lambda: losses.softmax(np.zeros((0, 3))),
    "predicted must have 2 axes (examples, classes), got shape (1,)": lambda: losses.squared_error(
        [[1.0]], [1.0]
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message]()
