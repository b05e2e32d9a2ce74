"""Stochastic depth: draws in training, the mean at inference, linear decay."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.networks.stochastic_depth import StochasticDepth, survival_probabilities

BRANCH = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype("float32")


def draws(survival, count=400):
    """Return what training makes of the branch, many times."""
    layer = StochasticDepth(survival, seed=1)
    return np.stack([layer(BRANCH, training=True).numpy() for _ in range(count)])


def test_the_whole_batch_is_dropped_or_kept():
    for result in draws(0.6, 40):
        kept = result != 0
        assert kept.all() or not kept.any()
        if kept.all():
            np.testing.assert_array_equal(result, BRANCH)


def test_the_branch_survives_as_often_as_it_should():
    assert np.mean([result.any() for result in draws(0.8)]) == pytest.approx(0.8, abs=0.06)


def test_inference_is_the_mean_of_training():
    layer = StochasticDepth(0.8)
    np.testing.assert_allclose(layer(BRANCH, training=False), 0.8 * BRANCH, rtol=1e-6)
    np.testing.assert_allclose(layer(BRANCH), 0.8 * BRANCH, rtol=1e-6)
    np.testing.assert_allclose(draws(0.8).mean(axis=0), 0.8 * BRANCH, atol=0.06 * 3)


@pytest.mark.parametrize(("survival", "factor"), [(0.0, 0), (1.0, 1)])
def test_the_extremes_are_certain(survival, factor):
    np.testing.assert_array_equal(draws(survival, 20), np.stack([factor * BRANCH] * 20))


def test_a_dropped_branch_gets_no_gradient():
    layer, x = StochasticDepth(0.5, seed=3), tf.constant(BRANCH)
    seen = set()
    for _ in range(20):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x, training=True))
        gradient = tape.gradient(total, x).numpy()
        assert np.all(gradient == (total != 0))
        seen.add(bool(total != 0))
    assert seen == {False, True}


def test_a_compiled_step_draws_anew_each_time():
    layer = StochasticDepth(0.5, seed=0)
    step = tf.function(lambda x: layer(x, training=True))
    assert len({bool(np.any(step(BRANCH))) for _ in range(20)}) == 2


def test_a_copy_keeps_the_probability():
    copy = StochasticDepth.from_config(StochasticDepth(0.3, seed=4, name="s").get_config())
    assert (copy.survival, copy.seed, copy.name) == (0.3, 4, "s")


def test_survival_falls_linearly_to_the_last_unit():
    """Huang et al. 2016: with L = 54 and p_L = 0.5 about 40 units are active on average."""
    probabilities = survival_probabilities(54, 0.5)
    assert probabilities[-1] == 0.5
    np.testing.assert_allclose(np.diff(probabilities), -0.5 / 54)
    assert sum(probabilities) == pytest.approx(40, abs=0.5)


@pytest.mark.parametrize("value", [-0.1, 1.1, "half", None])
def test_probabilities_outside_0_to_1_are_refused(value):
    with pytest.raises(ValueError, match="survival must be a probability, 0 to 1, got"):
        StochasticDepth(value)
    with pytest.raises(ValueError, match="last must be a probability, 0 to 1, got"):
        survival_probabilities(3, value)


def test_no_units_are_refused():
    with pytest.raises(ValueError, match="units must be an integer >= 1, got 0"):
        survival_probabilities(0, 0.5)


def test_the_model_keeps_the_layer():
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, StochasticDepth(0.5)(image))
    assert keras.models.clone_model(model).layers[-1].survival == 0.5
