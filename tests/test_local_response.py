"""Local response normalization: TensorFlow, central differences, and whose convention is whose."""

import numpy as np
import pytest
import tensorflow as tf

from cvlab.local_response import local_response_norm, local_response_norm_backward

# (window, alpha, beta, k): AlexNet's, strong ones, one channel, wider than the image is deep.
CASES = [(5, 1e-4, 0.75, 2.0), (3, 0.5, 0.75, 2.0), (1, 1.0, 0.5, 1.0), (19, 0.2, 1.5, 0.5)]


def images(dtype=np.float32, channels=8, seed=0):
    rng = np.random.default_rng(seed)
    return (20 * rng.standard_normal((2, 3, 4, channels))).astype(dtype)


@pytest.mark.parametrize(("window", "alpha", "beta", "k"), CASES)
def test_forward_and_gradient_agree_with_tensorflow(window, alpha, beta, k):
    x = tf.constant(images())
    dy = images(seed=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.local_response_normalization(
            x, depth_radius=window // 2, bias=k, alpha=alpha, beta=beta
        )
    options = dict(window=window, alpha=alpha, beta=beta, k=k)
    ours = local_response_norm(x.numpy(), **options)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, y, rtol=1e-5, atol=1e-5)
    ours = local_response_norm_backward(dy, x.numpy(), **options)
    assert ours.dtype == np.float32
    expected = tape.gradient(y, x, tf.constant(dy))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def test_the_defaults_are_those_of_alexnet_and_not_a_radius_of_five():
    x = images(channels=16)
    constants = dict(bias=2, alpha=1e-4, beta=0.75)
    expected = tf.nn.local_response_normalization(x, depth_radius=2, **constants)
    np.testing.assert_allclose(local_response_norm(x), expected, rtol=1e-5)
    wide = tf.nn.local_response_normalization(x, depth_radius=5, **constants)
    assert np.abs(local_response_norm(x) - wide).max() > 0.1
    np.testing.assert_allclose(local_response_norm(x, window=11), wide, rtol=1e-5)


def test_one_channel_of_the_definition_by_hand():
    x = images(np.float64)
    energy = sum(x[1, 2, 3, j] ** 2 for j in (1, 2, 3, 4, 5))
    expected = x[1, 2, 3, 3] / (2 + 1e-4 * energy) ** 0.75
    np.testing.assert_allclose(local_response_norm(x)[1, 2, 3, 3], expected)
    energy = sum(x[1, 2, 3, j] ** 2 for j in (0, 1, 2))  # the window is cut at the first channel
    expected = x[1, 2, 3, 0] / (2 + 1e-4 * energy) ** 0.75
    np.testing.assert_allclose(local_response_norm(x)[1, 2, 3, 0], expected)


@pytest.mark.parametrize(("window", "alpha", "beta", "k"), CASES[1:])
def test_gradient_agrees_with_central_differences(window, alpha, beta, k):
    options = dict(window=window, alpha=alpha, beta=beta, k=k)
    x, dy = images(np.float64)[:1, :2, :2], images(np.float64, seed=1)[:1, :2, :2]
    expected = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        change = local_response_norm(x + step, **options) - local_response_norm(x - step, **options)
        expected[index] = np.sum(dy * change) / 2e-5
    np.testing.assert_allclose(local_response_norm_backward(dy, x, **options), expected, atol=1e-7)


def test_pixels_do_not_interact_and_any_rank_will_do():
    x = images()
    np.testing.assert_array_equal(local_response_norm(x)[1, 2, 3], local_response_norm(x[1, 2, 3]))
    assert local_response_norm(x[:0]).shape == (0, 3, 4, 8)


def test_without_a_sum_only_the_constant_divides():
    x = images(np.float64)
    np.testing.assert_allclose(local_response_norm(x, alpha=0, k=16, beta=0.5), x / 4)


def test_integers_and_numpy_constants():
    x = np.arange(8, dtype=np.uint8)
    y = local_response_norm(x, alpha=np.float64(1e-4), beta=np.float64(0.75), k=np.float64(2))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, local_response_norm(x.astype(np.float32)))


def test_errors():
    x = images()
    with pytest.raises(ValueError, match=r"window must be odd, got 4"):
        local_response_norm(x, window=4)
    with pytest.raises(ValueError, match=r"window must be an integer >= 1, got 0"):
        local_response_norm(x, window=0)
    with pytest.raises(ValueError, match=r"alpha must not be negative .* got -1 and 2.0"):
        local_response_norm(x, alpha=-1)
    with pytest.raises(ValueError, match=r"k must be positive, got 0.0001 and 0"):
        local_response_norm(x, k=0)
    with pytest.raises(ValueError, match=r"x must have at least 1 axis"):
        local_response_norm(3.0)
    with pytest.raises(ValueError, match=r"dy must have the shape of the output \(2, 3, 4, 8\)"):
        local_response_norm_backward(x[:1], x)
