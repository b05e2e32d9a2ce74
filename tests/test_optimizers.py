"""The optimizers against Keras, step for step, and against closed formulas."""

import re
from functools import partial

import keras
import numpy as np
import pytest

from cvlab import optimizers as rules

RNG = np.random.default_rng(1)
START = RNG.normal(size=(3, 2))
GRADIENTS = RNG.normal(size=(12, 3, 2)) * np.array([100.0, 0.01])

PAIRS = {
    "sgd": (rules.sgd, partial(keras.optimizers.SGD)),
    "momentum": (
        partial(rules.sgd, momentum=0.8),
        partial(keras.optimizers.SGD, momentum=0.8),
    ),
    "nesterov": (
        partial(rules.sgd, momentum=0.8, nesterov=True),
        partial(keras.optimizers.SGD, momentum=0.8, nesterov=True),
    ),
    "rmsprop": (partial(rules.rmsprop, rho=0.7), partial(keras.optimizers.RMSprop, rho=0.7)),
    "adam": (rules.adam, keras.optimizers.Adam),
    "adam, other betas": (
        partial(rules.adam, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
        partial(keras.optimizers.Adam, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_step_is_that_of_keras(name):
    rule, make = PAIRS[name]
    optimizer, variable = make(0.05), keras.Variable(START, dtype="float64")
    weights, state = START, None
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float64")], [variable])
        weights, state = rule(weights, gradient, state, 0.05)
        np.testing.assert_allclose(weights, variable.numpy(), rtol=1e-5, atol=1e-7)


def test_decay_before_the_step_is_adamw():
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.3)
    variable = keras.Variable(START, dtype="float64")
    weights, state = START, None
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float64")], [variable])
        weights = rules.decay_weights(weights, 0.05, 0.3)
        weights, state = rules.adam(weights, gradient, state, 0.05)
    np.testing.assert_allclose(weights, variable.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "arrays"),
    [(rules.sgd, 0), (partial(rules.sgd, momentum=0.9), 1), (rules.rmsprop, 1), (rules.adam, 2)],
)
def test_what_a_rule_remembers(rule, arrays):
    state = rule(START, GRADIENTS[0], None, 0.1).state
    assert sum(np.shape(value) == START.shape for value in state.values()) == arrays


def test_nothing_is_changed_in_place():
    weights, gradient = START.copy(), GRADIENTS[0].copy()
    first = rules.adam(weights, gradient, None, 0.1)
    kept = {name: np.copy(value) for name, value in first.state.items()}
    rules.adam(first.weights, gradient, first.state, 0.1)
    np.testing.assert_array_equal(weights, START)
    np.testing.assert_array_equal(gradient, GRADIENTS[0])
    for name, value in kept.items():
        np.testing.assert_array_equal(first.state[name], value)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.5])
def test_gradient_descent_on_a_parabola_shrinks_by_a_constant_factor(rate):
    path = rules.descend(lambda w: w, np.array([2.0, -3.0]), rules.sgd, rate, steps=6)
    expected = np.array([2.0, -3.0]) * (1 - rate) ** np.arange(7)[:, np.newaxis]
    np.testing.assert_allclose(path, expected, atol=1e-12)


def test_a_path_may_follow_a_schedule():
    rates = [0.5, 0.25, 0.1]
    path = rules.descend(lambda w: np.ones(1), np.zeros(1), rules.sgd, rates.__getitem__, steps=3)
    np.testing.assert_allclose(path.ravel(), [0, -0.5, -0.75, -0.85])


@pytest.mark.parametrize("warmup", [0, 4])
def test_cosine_decay_is_that_of_keras(warmup):
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else 0.3,
        20 - warmup,
        warmup_target=0.3 if warmup else None,
        warmup_steps=warmup,
    )
    for step in range(25):
        ours = rules.cosine_decay(step, 20, 0.3, warmup=warmup)
        assert ours == pytest.approx(float(schedule(step)), abs=1e-6), step


def test_step_decay_is_that_of_keras():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.2, 7, 0.5, staircase=True)
    for step in range(30):
        assert rules.step_decay(step, 7, 0.2, 0.5) == pytest.approx(float(schedule(step)))


BAD = {
    "gradient must have the shape of the weights, (3, 2), got (2,)": lambda: rules.sgd(
        START, np.zeros(2), None, 0.1
    ),
    "learning_rate must be positive, got 0": lambda: rules.adam(START, START, None, 0),
    "momentum must lie from 0 to less than 1, got 1": lambda: rules.sgd(
        START, START, None, 0.1, momentum=1
    ),
    "rho must lie from 0 to less than 1, got -0.1": lambda: rules.rmsprop(
        START, START, None, 0.1, rho=-0.1
    ),
    "beta_2 must lie from 0 to less than 1, got 1.5": lambda: rules.adam(
        START, START, None, 0.1, beta_2=1.5
    ),
    "weight_decay must be at least 0, got -1": lambda: rules.decay_weights(START, 0.1, -1),
    "steps must be an integer >= 1, got 0": lambda: rules.descend(
        lambda w: w, START, rules.sgd, 0.1, 0
    ),
    "total must be an integer >= 6, got 5": lambda: rules.cosine_decay(0, 5, 0.1, warmup=5),
    "start must be positive, got 0": lambda: rules.step_decay(0, 5, 0),
    "factor must lie above 0 and at most at 1, got 0": lambda: rules.step_decay(0, 5, 0.1, 0),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message]()
