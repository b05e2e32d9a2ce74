"""Backward passes of batch normalization: GradientTape, central differences, a graph by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.normalization import batch_norm, batch_norm_inference, normalize
from cvlab.normalization_gradients import (
    batch_norm_backward,
    batch_norm_inference_backward,
    normalize_backward,
)

SHAPES = [(7, 3), (4, 3, 2, 3), (1, 4, 5, 2)]


def problem(shape, seed=0, dtype=np.float64):
    """Return dy, x, gamma, beta, mean and variance, all far from 0 and 1; one gamma negative."""
    rng = np.random.default_rng(seed)
    dy, x = rng.standard_normal(shape) + 0.5, 3 * rng.standard_normal(shape) + 5
    gamma, variance = rng.uniform(0.5, 2, (2, shape[-1]))
    gamma[0] *= -1
    beta, mean = rng.standard_normal((2, shape[-1]))
    return [v.astype(dtype) for v in (dy, x, gamma, beta, mean, variance)]


def numerical_gradient(function, x, dy, step=1e-5):
    """Central differences of sum(dy * function(x))."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] = x[index] + step
        above = np.sum(dy * function(moved))
        moved[index] = x[index] - step
        gradient[index] = (above - np.sum(dy * function(moved))) / (2 * step)
    return gradient


def tape_gradients(layer, x, dy, **call):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, **call)
    return tape.gradient(y, [x, layer.gamma.value, layer.beta.value], tf.constant(dy))


def graph_backward(dy, x, gamma, epsilon):
    """Go back through batch normalization of (batch, channels), node by node."""
    n = len(x)
    centred = x - x.sum(0) / n
    square = centred**2
    root = np.sqrt(square.sum(0) / n + epsilon)
    inverse = 1 / root
    x_hat = centred * inverse

    dx_hat = dy * gamma
    dinverse = (dx_hat * centred).sum(0)
    droot = -dinverse / root**2
    dvariance = droot / (2 * root)
    dsquare = np.ones_like(x) * dvariance / n
    dcentred = dx_hat * inverse + 2 * centred * dsquare
    dmean = -dcentred.sum(0)
    return dcentred + dmean / n, (dy * x_hat).sum(0), dy.sum(0)


@pytest.mark.parametrize("epsilon", [1e-3, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_agree_with_the_tape(shape, epsilon):
    dy, x, gamma, beta, mean, variance = problem(shape, dtype=np.float32)
    layer = keras.layers.BatchNormalization(epsilon=epsilon)
    layer.build(shape)
    layer.set_weights([gamma, beta, mean, variance])
    expected = tape_gradients(layer, x, dy, training=False)
    ours = batch_norm_inference_backward(dy, x, gamma, mean, variance, epsilon=epsilon)
    for got, wanted in zip(ours, expected, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    expected = tape_gradients(layer, x, dy, training=True)
    ours = batch_norm_backward(dy, x, gamma, epsilon=epsilon)
    for got, wanted in zip(ours, expected, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("axes", [0, -1, (1, 2), (0, 1, 2), (1, 2, 3), (0, 1, 2, 3)])
def test_gradients_agree_with_central_differences_over_any_axes(axes):
    dy, x, gamma, beta, *_ = problem((3, 2, 4, 3))
    ours = normalize_backward(dy, x, axes, gamma, epsilon=0.1)
    for name, value in (("x", x), ("gamma", gamma), ("beta", beta)):
        arguments = dict(x=x, gamma=gamma, beta=beta)

        def function(moved, name=name, arguments=arguments):
            return normalize(**{**arguments, name: moved}, axes=axes, epsilon=0.1).y

        expected = numerical_gradient(function, value, dy)
        np.testing.assert_allclose(getattr(ours, name), expected, atol=1e-8)


def test_gradients_agree_with_central_differences_at_inference():
    dy, x, gamma, beta, mean, variance = problem((3, 2, 2, 3))
    ours = batch_norm_inference_backward(dy, x, gamma, mean, variance)
    expected = numerical_gradient(
        lambda v: batch_norm_inference(v, gamma, beta, mean, variance), x, dy
    )
    np.testing.assert_allclose(ours.x, expected, atol=1e-8)
    expected = numerical_gradient(
        lambda v: batch_norm_inference(x, v, beta, mean, variance), gamma, dy
    )
    np.testing.assert_allclose(ours.gamma, expected, atol=1e-8)
    np.testing.assert_allclose(ours.beta, dy.sum(axis=(0, 1, 2)))


def test_the_compact_formula_is_the_computation_graph():
    dy, x, gamma, *_ = problem((6, 4))
    expected = graph_backward(dy, x, gamma, epsilon=1e-3)
    for got, wanted in zip(batch_norm_backward(dy, x, gamma), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_the_gradient_has_no_part_along_the_mean_nor_along_the_normalized_input():
    dy, x, gamma, *_ = problem((4, 3, 2, 3))
    dx = batch_norm_backward(dy, x, gamma, epsilon=1e-12).x
    assert np.abs(dx).max() > 0.1
    np.testing.assert_allclose(dx.sum(axis=(0, 1, 2)), 0, atol=1e-12)
    x_hat = batch_norm(x, epsilon=1e-12).y
    np.testing.assert_allclose((dx * x_hat).sum(axis=(0, 1, 2)), 0, atol=1e-10)
    frozen = batch_norm_inference_backward(dy, x, gamma, x.mean((0, 1, 2)), x.var((0, 1, 2)))
    assert (np.abs(frozen.x.sum(axis=(0, 1, 2))) > 0.1).all()


def test_one_example_gets_no_gradient_in_training_and_some_at_inference():
    dy, x, gamma, _, mean, variance = problem((1, 3))
    np.testing.assert_array_equal(batch_norm_backward(dy, x, gamma).x, 0)
    assert (batch_norm_inference_backward(dy, x, gamma, mean, variance).x != 0).all()


def test_a_constant_channel_gives_finite_gradients():
    dy, x, *_ = problem((5, 2))
    x[:, 0] = 7
    dx = batch_norm_backward(dy, x).x
    np.testing.assert_allclose(dx[:, 0], (dy - dy.mean(0))[:, 0] / np.sqrt(1e-3))


def test_gamma_defaults_to_one_and_arguments_stay():
    dy, x, *_ = problem((5, 2), dtype=np.float32)
    before = dy.copy(), x.copy()
    default, ones = batch_norm_backward(dy, x), batch_norm_backward(dy, x, np.ones(2))
    for got, wanted in zip(default, ones, strict=True):
        assert got.dtype == wanted.dtype == np.float32
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(dy, before[0])
    np.testing.assert_array_equal(x, before[1])
    assert batch_norm_backward(dy.astype(float), x).x.dtype == np.float32
    integers = np.arange(10, dtype=np.uint8).reshape(5, 2)
    as_floats = batch_norm_backward(dy, integers.astype(np.float32))
    np.testing.assert_array_equal(batch_norm_backward(dy, integers).x, as_floats.x)


def test_an_empty_batch_at_inference_has_zero_parameter_gradients():
    empty = np.zeros((0, 4, 4, 2))
    ours = batch_norm_inference_backward(empty, empty, None, np.zeros(2), np.ones(2))
    assert ours.x.shape == empty.shape
    np.testing.assert_array_equal(ours.gamma, [0, 0])
    np.testing.assert_array_equal(ours.beta, [0, 0])


def test_errors():
    dy, x, gamma, _, mean, variance = problem((4, 3))
    message = r"dy must have the shape of the output \(4, 3\), got \(3, 3\)"
    with pytest.raises(ValueError, match=message):
        batch_norm_backward(dy[:3], x, gamma)
    with pytest.raises(ValueError, match=message):
        batch_norm_inference_backward(dy[:3], x, gamma, mean, variance)
    with pytest.raises(ValueError, match=r"gamma must have one value for each of the 3 channels"):
        batch_norm_backward(dy, x, gamma[:2])
    with pytest.raises(ValueError, match=r"x must hold a value for every mean over axes \(0,\)"):
        batch_norm_backward(dy[:0], x[:0])
    with pytest.raises(ValueError, match=r"epsilon must be positive, got 0"):
        batch_norm_backward(dy, x, epsilon=0)
    with pytest.raises(ValueError, match=r"x must have at least 2 axes"):
        batch_norm_backward(dy[0], x[0])
