"""Layer, instance and group normalization: Keras, loops over groups, central differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.normalization import normalize
from cvlab.normalization_family import (
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
)

SHAPES = [(3, 6), (2, 5, 6), (3, 4, 5, 6)]


def problem(shape, seed=0, dtype=np.float64):
    """Return dy, x, gamma and beta; the channels differ in mean and spread, one gamma is < 0."""
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal(shape) + 0.5
    x = rng.standard_normal(shape) * rng.uniform(0.5, 3, shape[-1]) + rng.uniform(-4, 4, shape[-1])
    gamma, beta = rng.uniform(0.5, 2, shape[-1]), rng.standard_normal(shape[-1])
    gamma[0] *= -1
    return [v.astype(dtype) for v in (dy, x, gamma, beta)]


def keras_group_norm(shape, gamma, beta, groups, **options):
    layer = keras.layers.GroupNormalization(groups=groups, **options)
    layer.build(shape)
    layer.set_weights([gamma, beta])
    return layer


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


def by_loops(x, groups, epsilon):
    """Normalize every group of every example by itself."""
    y = np.empty_like(x)
    size = x.shape[-1] // groups
    for n in range(len(x)):
        for g in range(groups):
            block = x[n, ..., g * size : (g + 1) * size]
            y[n, ..., g * size : (g + 1) * size] = (block - block.mean()) / np.sqrt(
                block.var() + epsilon
            )
    return y


@pytest.mark.parametrize("epsilon", [1e-3, 0.5])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_group_normalization_and_its_gradients_agree_with_keras(shape, groups, epsilon):
    dy, x, gamma, beta = problem(shape, dtype=np.float32)
    layer = keras_group_norm(shape, gamma, beta, groups, epsilon=epsilon)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = layer(tensor)
    expected = tape.gradient(y, [tensor, layer.gamma.value, layer.beta.value], tf.constant(dy))
    ours = group_norm(x, gamma, beta, groups=groups, epsilon=epsilon)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, y, rtol=1e-4, atol=1e-4)
    ours = group_norm_backward(dy, x, gamma, groups=groups, epsilon=epsilon)
    for got, wanted in zip(ours, expected, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", SHAPES)
def test_group_normalization_agrees_with_its_definition(shape, groups):
    _, x, gamma, beta = problem(shape)
    expected = gamma * by_loops(x, groups, 1e-3) + beta
    np.testing.assert_allclose(group_norm(x, gamma, beta, groups=groups), expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_normalization_is_one_group_and_instance_normalization_many(shape):
    dy, x, gamma, beta = problem(shape)
    expected = group_norm(x, gamma, beta, groups=1)
    np.testing.assert_allclose(layer_norm(x, gamma, beta), expected, atol=1e-12)
    expected = group_norm_backward(dy, x, gamma, groups=1)
    for got, wanted in zip(layer_norm_backward(dy, x, gamma), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)
    if len(shape) > 2:
        expected = group_norm(x, gamma, beta, groups=6)
        np.testing.assert_allclose(instance_norm(x, gamma, beta), expected, atol=1e-12)
        expected = group_norm_backward(dy, x, gamma, groups=6)
        for got, wanted in zip(instance_norm_backward(dy, x, gamma), expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_instance_normalization_agrees_with_keras():
    _, x, gamma, beta = problem((3, 4, 5, 6), dtype=np.float32)
    expected = keras_group_norm(x.shape, gamma, beta, groups=-1)(x)
    np.testing.assert_allclose(instance_norm(x, gamma, beta), expected, rtol=1e-4, atol=1e-4)


def test_which_keras_layer_normalization_is_which():
    _, x, gamma, beta = problem((3, 4, 5, 6), dtype=np.float32)
    layer = keras.layers.LayerNormalization()
    layer.build(x.shape)
    layer.set_weights([gamma, beta])
    ours = normalize(x, -1, gamma, beta).y
    np.testing.assert_allclose(ours, layer(x), rtol=1e-4, atol=1e-4)
    assert np.abs(layer_norm(x, gamma, beta) - ours).max() > 0.1
    layer = keras.layers.LayerNormalization(axis=[1, 2, 3])
    layer.build(x.shape)
    layer.set_weights([np.broadcast_to(v, x.shape[1:]) for v in (gamma, beta)])
    np.testing.assert_allclose(layer_norm(x, gamma, beta), layer(x), rtol=1e-4, atol=1e-4)
    _, x, gamma, beta = problem((3, 6), dtype=np.float32)
    layer = keras.layers.LayerNormalization()
    layer.build(x.shape)
    layer.set_weights([gamma, beta])
    np.testing.assert_allclose(layer_norm(x, gamma, beta), layer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_gradients_agree_with_central_differences(groups):
    dy, x, gamma, beta = problem((2, 3, 2, 6))
    ours = group_norm_backward(dy, x, gamma, groups=groups, epsilon=0.1)
    options = dict(groups=groups, epsilon=0.1)
    expected = numerical_gradient(lambda v: group_norm(v, gamma, beta, **options), x, dy)
    np.testing.assert_allclose(ours.x, expected, atol=1e-8)
    expected = numerical_gradient(lambda v: group_norm(x, v, beta, **options), gamma, dy)
    np.testing.assert_allclose(ours.gamma, expected, atol=1e-8)
    expected = numerical_gradient(lambda v: group_norm(x, gamma, v, **options), beta, dy)
    np.testing.assert_allclose(ours.beta, expected, atol=1e-8)


@pytest.mark.parametrize("norm", [layer_norm, instance_norm])
def test_no_example_depends_on_another(norm):
    _, x, gamma, beta = problem((3, 4, 5, 6))
    together = norm(x, gamma, beta)
    for n in range(3):
        np.testing.assert_allclose(norm(x[n : n + 1], gamma, beta)[0], together[n], atol=1e-12)
    assert norm(x[:0], gamma, beta).shape == (0, 4, 5, 6)


def test_brightness_and_contrast_of_each_image_are_normalized_away():
    _, x, *_ = problem((2, 4, 5, 3))
    brighter = x * np.array([2.0, 0.5]).reshape(2, 1, 1, 1) + np.array([[3.0, 0.0, -9.0]])
    ours, expected = instance_norm(brighter, epsilon=1e-12), instance_norm(x, epsilon=1e-12)
    np.testing.assert_allclose(ours, expected, atol=1e-9)
    assert np.abs(layer_norm(brighter) - layer_norm(x)).max() > 0.1


def test_constant_images_give_beta_and_integers_are_converted():
    beta = np.array([1.0, -2.0])
    x = np.full((2, 3, 3, 2), 7, np.uint8)
    for y in (layer_norm(x, None, beta), instance_norm(x, None, beta)):
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, np.broadcast_to(beta, x.shape))
    np.testing.assert_array_equal(group_norm(x, None, beta, groups=2)[..., 1], -2)


def test_arguments_stay():
    dy, x, gamma, beta = problem((2, 3, 2, 6))
    before = dy.copy(), x.copy()
    group_norm(x, gamma, beta, groups=3)
    group_norm_backward(dy, x, gamma, groups=3)
    layer_norm_backward(dy, x)
    instance_norm_backward(dy, x)
    np.testing.assert_array_equal(dy, before[0])
    np.testing.assert_array_equal(x, before[1])


def test_errors():
    dy, x, gamma, beta = problem((3, 6))
    with pytest.raises(ValueError, match=r"groups must divide the 6 channels of x, got 4"):
        group_norm(x, groups=4)
    with pytest.raises(ValueError, match=r"groups must be an integer >= 1, got 0"):
        group_norm_backward(dy, x, groups=0)
    with pytest.raises(ValueError, match=r"x must have at least 3 axes .*, got shape \(3, 6\)"):
        instance_norm(x)
    with pytest.raises(ValueError, match=r"x must have at least 3 axes .*, got shape \(3, 6\)"):
        instance_norm_backward(dy, x)
    with pytest.raises(ValueError, match=r"x must hold a value .* got shape \(2, 0, 6\)"):
        instance_norm(np.zeros((2, 0, 6)))
    with pytest.raises(ValueError, match=r"beta must have one value for each of the 6 channels"):
        group_norm(x, gamma, beta[:3], groups=2)
    with pytest.raises(ValueError, match=r"gamma must have one value for each of the 6 channels"):
        layer_norm(x, gamma[:3])
    with pytest.raises(ValueError, match=r"dy must have the shape of the output \(3, 6\), got \(2"):
        group_norm_backward(dy[:2], x, groups=2)
    with pytest.raises(ValueError, match=r"epsilon must be positive, got 0"):
        group_norm_backward(dy, x, groups=2, epsilon=0)
