"""Calibration by hand, on answers that deserve their confidence, and on those that do not."""

import re

import numpy as np
import pytest

from cvlab.calibration import expected_calibration_error, fit_temperature, reliability
from cvlab.losses import softmax, sparse_categorical_cross_entropy


def honest(count=20_000, classes=4, seed=0):
    """Return scores, and labels drawn from their softmax."""
    rng = np.random.default_rng(seed)
    scores = 1.5 * rng.normal(size=(count, classes))
    sums = np.cumsum(softmax(scores), axis=1)
    return scores, (rng.random((count, 1)) > sums).sum(axis=1).clip(0, classes - 1)


def test_bins_by_hand():
    probabilities = np.array([[0.5, 0.5], [0.55, 0.45], [0.6, 0.4], [0.95, 0.05], [0.05, 0.95]])
    curve = reliability(probabilities, [0, 1, 0, 0, 0], bins=5)
    np.testing.assert_array_equal(curve.count, [0, 0, 3, 0, 2])  # 0.6 belongs to the bin below
    np.testing.assert_allclose(curve.confidence, [np.nan, np.nan, 0.55, np.nan, 0.95])
    np.testing.assert_allclose(curve.accuracy, [np.nan, np.nan, 2 / 3, np.nan, 0.5])
    error = expected_calibration_error(probabilities, [0, 1, 0, 0, 0], bins=5)
    assert error == pytest.approx((3 * (2 / 3 - 0.55) + 2 * 0.45) / 5)


def test_honest_probabilities_have_a_small_error_and_the_temperature_one():
    scores, labels = honest()
    assert expected_calibration_error(softmax(scores), labels) < 0.015
    assert fit_temperature(scores, labels) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_the_temperature_undoes_a_factor(factor):
    scores, labels = honest()
    temperature = fit_temperature(factor * scores, labels)
    assert temperature == pytest.approx(factor * fit_temperature(scores, labels), rel=1e-6)
    assert expected_calibration_error(softmax(factor * scores), labels) > 0.05
    losses = [
        sparse_categorical_cross_entropy(labels, factor * scores / (temperature * nudge)).value
        for nudge in (1.0, 0.9, 1.1)
    ]
    assert losses[0] < min(losses[1:])


def test_one_bin_compares_the_means():
    scores, labels = honest(50)
    probabilities = softmax(2 * scores)
    gap = probabilities.max(axis=1).mean() - np.mean(probabilities.argmax(axis=1) == labels)
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(abs(gap))


BAD = {
    "labels must be 1 integers, at least one, got int64 of shape (2,)": ([[0.5, 0.5]], [0, 1]),
    "labels must lie from 0 to 1, got 2 at index 0": ([[0.5, 0.5]], [2]),
    "each row of probabilities must add up to 1, got 1.5 at index 0": ([[1.0, 0.5]], [0]),
    "probabilities must not be negative, got -0.5 at index 0, 1": ([[1.5, -0.5]], [0]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        reliability(*BAD[message])


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_no_temperature_is_best_for_answers_all_right_or_all_wrong(labels):
    with pytest.raises(ValueError, match="wrong somewhere and better than chance"):
        fit_temperature([[2.0, 0.0], [3.0, 0.0]], labels)
