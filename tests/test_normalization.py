"""Batch normalization forward: Keras, closed formulas, and what normalization must never do."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.normalization import (
    batch_norm,
    batch_norm_affine,
    batch_norm_inference,
    batch_norm_parameters,
    moving_average,
    normalize,
)

SHAPES = [(7, 3), (5, 6, 2), (4, 5, 6, 3), (2, 3, 4, 2, 3)]


def array(shape, seed=0, dtype=np.float32):
    """Return values whose mean and variance differ from channel to channel and are not 0 and 1."""
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    values = rng.standard_normal(shape) * rng.uniform(0.5, 3, channels)
    return (values + rng.uniform(-4, 4, channels)).astype(dtype)


def parameters(channels, seed=1, dtype=np.float32):
    """Return gamma (one of them negative), beta, mean and variance."""
    rng = np.random.default_rng(seed)
    gamma = rng.uniform(0.5, 2, channels)
    gamma[0] *= -1
    beta, mean = rng.standard_normal((2, channels))
    return [v.astype(dtype) for v in (gamma, beta, mean, rng.uniform(0.3, 4, channels))]


def keras_layer(shape, weights, **options):
    layer = keras.layers.BatchNormalization(**options)
    layer.build(shape)
    layer.set_weights(weights)
    return layer


@pytest.mark.parametrize("epsilon", [1e-3, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_training_and_inference_agree_with_keras(shape, epsilon):
    x, weights = array(shape), parameters(shape[-1])
    layer = keras_layer(shape, weights, epsilon=epsilon)
    ours = batch_norm_inference(x, *weights, epsilon=epsilon)
    np.testing.assert_allclose(ours, layer(x, training=False), rtol=1e-5, atol=1e-5)
    ours = batch_norm(x, *weights[:2], epsilon=epsilon)
    np.testing.assert_allclose(ours.y, layer(x, training=True), rtol=1e-5, atol=1e-5)
    assert ours.mean.shape == ours.variance.shape == shape[-1:]
    assert ours.y.dtype == ours.mean.dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_moving_statistics_follow_keras_over_several_steps(options):
    shape = (6, 4, 4, 3)
    layer = keras.layers.BatchNormalization(**options)
    mean, variance = np.zeros(3, np.float32), np.ones(3, np.float32)
    for step in range(4):
        x = array(shape, seed=step)
        layer(x, training=True)
        batch = batch_norm(x)
        mean = moving_average(mean, batch.mean, **options)
        variance = moving_average(variance, batch.variance, **options)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, layer.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(variance, layer.moving_variance, rtol=1e-5)


def test_a_frozen_layer_uses_the_moving_statistics_in_training_too():
    x, weights = array((8, 3)), parameters(3)
    layer = keras_layer(x.shape, weights)
    layer.trainable = False
    np.testing.assert_allclose(
        batch_norm_inference(x, *weights), layer(x, training=True), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(layer.moving_mean, weights[2])


def test_statistics_are_those_of_the_definition():
    x = array((4, 5, 6, 3), dtype=np.float64)
    for axes in [0, (1, 2), (0, 1, 2), -1, (1, 2, 3), (3, 0), (0, 1, 2, 3)]:
        _, mean, variance = normalize(x, axes)
        np.testing.assert_allclose(mean, np.mean(x, axis=axes), atol=1e-14)
        np.testing.assert_allclose(variance, np.var(x, axis=axes), atol=1e-13)
    gamma, beta, *_ = parameters(3, dtype=np.float64)
    y = batch_norm(x, gamma, beta, epsilon=1e-12).y
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), beta, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), np.abs(gamma), atol=1e-10)


def test_a_large_mean_does_not_spoil_the_variance_in_float32():
    x = np.float32(1000) + array((8, 56, 56, 2))
    ours = batch_norm(x)
    np.testing.assert_allclose(ours.mean, x.mean(axis=(0, 1, 2), dtype=float), rtol=2e-5)
    np.testing.assert_allclose(ours.variance, x.var(axis=(0, 1, 2), dtype=float), rtol=1e-2)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(2, 5),
    scale=st.floats(0.1, 10),
    shift=st.floats(-10, 10),
)
def test_a_scale_and_a_shift_of_a_channel_are_normalized_away(seed, batch, scale, shift):
    x = array((batch, 3, 2, 2), seed, np.float64)
    factors, offsets = np.array([scale, -scale]), np.array([shift, 0.0])
    y = batch_norm(x * factors + offsets, epsilon=1e-12).y
    np.testing.assert_allclose(y, batch_norm(x, epsilon=1e-12).y * [1, -1], atol=1e-6)


def test_a_bias_before_batch_normalization_changes_nothing():
    x = array((6, 4, 4, 3), dtype=np.float64)
    np.testing.assert_allclose(
        batch_norm(x + np.array([5, -7, 100])).y, batch_norm(x).y, atol=1e-10
    )


def test_inference_is_an_affine_map_of_each_example():
    x, weights = array((6, 4, 4, 3), dtype=np.float64), parameters(3, dtype=np.float64)
    y = batch_norm_inference(x, *weights)
    scale, shift = batch_norm_affine(*weights)
    assert scale[0] < 0
    np.testing.assert_allclose(y, scale * x + shift)
    np.testing.assert_allclose(batch_norm_inference(x[2:3], *weights), y[2:3])
    own = batch_norm(x, *weights[:2])
    again = batch_norm_inference(x, *weights[:2], own.mean, own.variance)
    np.testing.assert_allclose(again, own.y)


@pytest.mark.parametrize("value", [0.1, -3.0, 255.0])
def test_one_value_per_channel_and_constant_channels_give_beta(value):
    beta = np.array([2.0, -1.0], np.float32)
    for shape in [(1, 2), (1, 1, 1, 2), (4, 3, 3, 2)]:
        x = np.full(shape, value, np.float32)
        y, mean, variance = batch_norm(x, beta=beta)
        np.testing.assert_allclose(y, np.broadcast_to(beta, shape), atol=1e-5 * abs(value))
        np.testing.assert_allclose(mean, value, rtol=1e-6)
        np.testing.assert_allclose(variance, 0, atol=1e-12 * value**2)


def test_integers_become_floats_and_the_input_stays():
    x = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    before = x.copy()
    y, mean, _ = batch_norm(x)
    assert y.dtype == mean.dtype == np.float32
    np.testing.assert_array_equal(mean, [10, 11, 12, 13])
    np.testing.assert_allclose(y, batch_norm(x.astype(float)).y, atol=1e-6)
    np.testing.assert_array_equal(x, before)
    assert batch_norm(x.astype(np.int64)).y.dtype == np.float64
    x = array((3, 2))
    before = x.copy()
    batch_norm(x, np.ones(2), np.zeros(2))
    batch_norm_inference(x, *parameters(2))
    np.testing.assert_array_equal(x, before)


def test_the_type_of_the_input_decides_the_type_of_the_output():
    x, weights = array((4, 3)), parameters(3, dtype=np.float64)
    assert batch_norm(x, *weights[:2], epsilon=np.float64(1e-3)).y.dtype == np.float32
    assert batch_norm_inference(x, *weights, epsilon=np.float64(1e-3)).dtype == np.float32


def test_an_empty_batch_has_an_output_at_inference_but_no_mean():
    x, weights = np.zeros((0, 4, 4, 3), np.float32), parameters(3)
    assert batch_norm_inference(x, *weights).shape == (0, 4, 4, 3)
    with pytest.raises(
        ValueError,
        match=r"x must hold a value for every mean over axes \(0, 1, 2\), got shape \(0, 4, 4, 3\)",
    ):
        batch_norm(x)


def test_moving_average_forgets_its_start_exponentially():
    average = np.array([1.0])
    for _ in range(100):
        average = moving_average(average, np.array([0.0]))
    np.testing.assert_allclose(average, 0.99**100)


def test_parameter_counts_of_a_dense_network_are_those_of_keras():
    layers = [keras.Input((784,)), keras.layers.BatchNormalization()]
    for units in (300, 100):
        layers += [keras.layers.Dense(units, "relu"), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    learned, stored = np.sum([batch_norm_parameters(n) for n in (784, 300, 100)], axis=0)
    dense = 785 * 300 + 301 * 100 + 101 * 10
    assert (learned, stored, learned + stored) == (2368, 2368, 4736)
    assert model.count_params() == dense + learned + stored == 271_346
    trainable = sum(np.size(v) for v in model.trainable_variables)
    assert trainable == dense + learned == 268_978


def test_errors():
    x = array((4, 3))

    def fails(message):
        return pytest.raises(ValueError, match=f"^{re.escape(message)}")

    rank = "x must have at least 2 axes (batch, ..., channels) and a channel, got shape "
    with fails(rank + "(3,)"):
        batch_norm(x[0])
    with fails(rank + "(4, 0)"):
        batch_norm(x[:, :0])
    with fails(rank + "(3,)"):
        batch_norm_inference(x[0], *parameters(3))
    with fails("x must hold real numbers, got dtype complex64"):
        batch_norm(x * 1j)
    for axes in [(0, 0), (0, -2), 2, (), (0, 5)]:
        given = axes if isinstance(axes, tuple) else (axes,)
        with fails(f"axes must be different axes of the 2 of x, got {given}"):
            normalize(x, axes)
    with fails("axes must be an integer >= -2, got -3"):
        normalize(x, -3)
    with fails("gamma must have one value for each of the 3 channels, got shape (2,)"):
        batch_norm(x, np.ones(2))
    with fails("beta must have one value for each of the 3 channels, got shape ()"):
        batch_norm(x, None, 1.0)
    with fails("mean must have one value for each of the 3 channels, got shape (4,)"):
        batch_norm_inference(x, *parameters(4))
    with fails("variance must have one value for each of the 3 channels, got shape (1,)"):
        batch_norm_inference(x, None, None, np.zeros(3), np.ones(1))
    with fails("variance + epsilon must be positive, got [0.5 0. ]"):
        batch_norm_affine(None, None, np.zeros(2), np.array([0.5, 0.0]), epsilon=0)
    for epsilon in (0, -1e-3, float("nan")):
        with fails(f"epsilon must be positive, got {epsilon}"):
            batch_norm(x, epsilon=epsilon)
    with fails("epsilon must be positive, got 'a'"):
        batch_norm(x, epsilon="a")
    with fails("momentum must be between 0 and 1, got 'a'"):
        moving_average(x, x, momentum="a")
    with fails("momentum must be between 0 and 1, got 99"):
        moving_average(x, x, momentum=99)
    with fails("value must have the shape of the average (4, 3), got (3,)"):
        moving_average(x, x[0])
    with fails("channels must be an integer >= 1, got 0"):
        batch_norm_parameters(0)
