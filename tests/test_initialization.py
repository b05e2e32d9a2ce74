"""Initial weights against Keras, and by what they do to a signal."""

import re

import keras
import numpy as np
import pytest

from cvlab.initialization import fans, glorot_uniform, he_normal

SHAPES = [(40, 30), (3, 3, 20, 25), (5, 20, 30)]


@pytest.mark.parametrize("shape", SHAPES)
def test_variances_are_those_of_keras(shape):
    rng = np.random.default_rng(0)
    for ours, theirs in [
        (glorot_uniform, keras.initializers.GlorotUniform(seed=0)),
        (he_normal, keras.initializers.HeNormal(seed=0)),
    ]:
        drawn = np.concatenate([ours(shape, rng).ravel() for _ in range(20)])
        assert drawn.mean() == pytest.approx(0, abs=0.03 * drawn.std())
        assert drawn.var() == pytest.approx(np.var(theirs(shape)), rel=0.1)


def test_fan_in_counts_the_products_of_an_output_and_fan_out_the_uses_of_an_input():
    assert fans((5, 3, 7, 2)) == (5 * 3 * 7, 5 * 3 * 2)
    assert fans((7, 2)) == (7, 2)


def test_exact_limits_and_variances():
    rng = np.random.default_rng(1)
    weights = glorot_uniform((200, 600), rng)
    limit = np.sqrt(6 / 800)
    assert np.abs(weights).max() <= limit
    assert np.abs(weights).max() > 0.999 * limit
    assert he_normal((400, 500), rng).var() == pytest.approx(2 / 400, rel=0.02)


def test_he_keeps_the_signal_of_relu_layers_and_glorot_halves_its_square():
    rng = np.random.default_rng(2)
    for draw, factor in [(he_normal, 1.0), (glorot_uniform, 0.5)]:
        x = rng.normal(size=(500, 800))
        before = np.mean(x**2)
        x = np.maximum(x @ draw((800, 800), rng), 0)
        after = np.mean(x**2)
        assert after == pytest.approx(factor * before, rel=0.1)


@pytest.mark.parametrize("shape", [(3,), 5, (3, 0), (2.5, 3)])
def test_bad_shapes_are_named(shape):
    with pytest.raises(ValueError, match=re.escape("shape")):
        fans(shape)
