"""Backward passes of pooling: TensorFlow, central differences, adjoints, ties."""

import numpy as np
import pytest
import tensorflow as tf

from cvlab.pooling import (
    avg_pool2d,
    blur_pool2d,
    channel_max_pool,
    global_average_pool,
    global_max_pool,
    max_pool2d,
)
from cvlab.pooling_gradients import (
    avg_pool2d_backward,
    blur_pool2d_backward,
    channel_max_pool_backward,
    global_average_pool_backward,
    global_max_pool_backward,
    max_pool2d_backward,
)

# (image, window, stride): none, some and much overlap, gaps, oblong windows, one pixel.
CASES = [
    ((6, 6), 2, 2),
    ((7, 8), 3, 2),
    ((5, 6), 3, 1),
    ((9, 9), 2, 3),
    ((6, 7), (2, 3), (3, 1)),
    ((1, 1), 1, 1),
]
PADS = ((1, 0), (1, 2))


def distinct_image(size, channels=2, seed=0):
    """Return an image without ties, its values at least 0.01 apart."""
    count = 2 * size[0] * size[1] * channels
    values = np.random.default_rng(seed).permutation(count) / 100
    return values.reshape(2, *size, channels)


def gradient_like(y, seed=1):
    return np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)


def numerical_gradient(function, x, dy, step=1e-4):
    """Central differences of sum(dy * function(x))."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] = x[index] + step
        above = np.sum(dy * function(moved))
        moved[index] = x[index] - step
        gradient[index] = (above - np.sum(dy * function(moved))) / (2 * step)
    return gradient


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "window", "stride"), CASES)
def test_gradients_agree_with_tensorflow(size, window, stride, padding):
    x = np.random.default_rng(0).integers(0, 3, (2, *size, 4)).astype(np.float32)  # many ties
    for pool, tf_pool in ((max_pool2d, tf.nn.max_pool2d), (avg_pool2d, tf.nn.avg_pool2d)):
        dy = gradient_like(pool(x, window, stride=stride, padding=padding))
        with tf.GradientTape() as tape:
            variable = tf.Variable(x)
            y = tf_pool(variable, window, stride, padding.upper())
        expected = tape.gradient(y, variable, tf.constant(dy))
        if pool is max_pool2d:
            ours = max_pool2d_backward(dy, x, window, stride=stride, padding=padding)
        else:
            ours = avg_pool2d_backward(dy, x.shape, window, stride=stride, padding=padding)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding", ["valid", "same", PADS])
@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
def test_window_gradients_agree_with_central_differences(stride, padding):
    x = distinct_image((5, 6))
    options = dict(stride=stride, padding=padding)
    window, taps = (2, 3), (1, 3, 2)
    pads = padding if isinstance(padding, str) else ((1, 0), (2, 2))
    blur_options = dict(stride=stride, padding=pads)

    dy = gradient_like(max_pool2d(x, window, **options))
    expected = numerical_gradient(lambda v: max_pool2d(v, window, **options), x, dy)
    np.testing.assert_allclose(max_pool2d_backward(dy, x, window, **options), expected, atol=1e-8)
    expected = numerical_gradient(lambda v: avg_pool2d(v, window, **options), x, dy)
    ours = avg_pool2d_backward(dy, x.shape, window, **options)
    np.testing.assert_allclose(ours, expected, atol=1e-8)
    dy = gradient_like(blur_pool2d(x, taps, **blur_options))
    expected = numerical_gradient(lambda v: blur_pool2d(v, taps, **blur_options), x, dy)
    ours = blur_pool2d_backward(dy, x.shape, taps, **blur_options)
    np.testing.assert_allclose(ours, expected, atol=1e-8)


def test_other_gradients_agree_with_central_differences():
    x = distinct_image((3, 4), channels=4)
    dy = gradient_like(global_max_pool(x))
    expected = numerical_gradient(global_max_pool, x, dy)
    np.testing.assert_allclose(global_max_pool_backward(dy, x), expected, atol=1e-8)
    expected = numerical_gradient(global_average_pool, x, dy)
    np.testing.assert_allclose(global_average_pool_backward(dy, x.shape), expected, atol=1e-8)
    dy = gradient_like(channel_max_pool(x, 2))
    expected = numerical_gradient(lambda v: channel_max_pool(v, 2), x, dy)
    np.testing.assert_allclose(channel_max_pool_backward(dy, x, 2), expected, atol=1e-8)


def test_a_tie_has_one_winner_the_first_in_reading_order():
    x = np.zeros((1, 4, 4, 1))
    dx = max_pool2d_backward(np.ones((1, 2, 2, 1)), x, 2)[0, :, :, 0]
    np.testing.assert_array_equal(dx, [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    column_first = np.array([[0.0, 1.0], [1.0, 0.0]]).reshape(1, 2, 2, 1)
    dx = max_pool2d_backward(np.ones((1, 1, 1, 1)), column_first, 2)[0, :, :, 0]
    np.testing.assert_array_equal(dx, [[0, 1], [0, 0]])
    dx = global_max_pool_backward(np.ones((1, 1)), column_first)[0, :, :, 0]
    np.testing.assert_array_equal(dx, [[0, 1], [0, 0]])
    dx = channel_max_pool_backward(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 3)), 3)
    np.testing.assert_array_equal(dx, [[[[1, 0, 0]]]])


def test_overlapping_windows_add_their_gradients():
    x = np.array([0.0, 9.0, 0.0]).reshape(1, 1, 3, 1)
    dy = np.array([3.0, 4.0]).reshape(1, 1, 2, 1)
    dx = max_pool2d_backward(dy, x, (1, 2), stride=1)[0, 0, :, 0]
    np.testing.assert_array_equal(dx, [0.0, 7.0, 0.0])


def test_all_negative_images_send_no_gradient_into_the_padding():
    x = -1.0 - distinct_image((5, 5))
    dy = gradient_like(max_pool2d(x, 3, stride=2, padding="same"))
    dx = max_pool2d_backward(dy, x, 3, stride=2, padding="same")
    np.testing.assert_allclose(dx.sum(axis=(1, 2)), dy.sum(axis=(1, 2)))


def test_windows_of_minus_infinity_pay_their_first_real_pixel_and_not_the_padding():
    dy = np.array([[1.0, 2.0], [4.0, 8.0]]).reshape(1, 2, 2, 1)
    expected = np.zeros((4, 4))
    expected[:2, :2] = dy[0, :, :, 0]  # the windows begin at rows and columns -1 and 1
    x = np.full((1, 4, 4, 1), -np.inf)
    dx = max_pool2d_backward(dy, x, 3, stride=2, padding=((1, 0), (1, 0)))[0, :, :, 0]
    np.testing.assert_array_equal(dx, expected)
    x[0, 1, 1, 0] = -5.0  # in every window: a finite pixel wins
    dx = max_pool2d_backward(dy, x, 3, stride=2, padding=((1, 0), (1, 0)))[0, :, :, 0]
    assert dx[1, 1] == dy.sum() == dx.sum()


def test_pixels_outside_every_window_get_nothing():
    dx = avg_pool2d_backward(np.ones((1, 2, 2, 1)), (1, 5, 5, 1), 2)[0, :, :, 0]
    assert (dx[4] == 0).all()
    assert (dx[:, 4] == 0).all()
    assert (dx[:4, :4] == 0.25).all()


@pytest.mark.parametrize("padding", ["valid", "same", PADS])
def test_linear_pools_satisfy_the_adjoint_identity(padding):
    x = distinct_image((6, 7))
    y = avg_pool2d(x, (2, 3), stride=2, padding=padding)
    dy = gradient_like(y)
    dx = avg_pool2d_backward(dy, x.shape, (2, 3), stride=2, padding=padding)
    np.testing.assert_allclose(np.sum(y * dy), np.sum(x * dx))


def test_gradients_keep_their_input_and_their_type():
    x = distinct_image((4, 4)).astype(np.float32)
    dy = np.ones((2, 2, 2, 2), np.float32)
    before = x.copy(), dy.copy()
    assert max_pool2d_backward(dy, x, 2).dtype == np.float32
    assert blur_pool2d_backward(dy, x.shape).dtype == np.float32
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(dy, before[1])
    assert max_pool2d_backward(dy[:0], x[:0], 2).shape == (0, 4, 4, 2)


def test_errors():
    x = distinct_image((4, 4))
    message = r"dy must have the shape of the output \(2, 2, 2, 2\), got \(2, 4, 4, 2\)"
    with pytest.raises(ValueError, match=message):
        max_pool2d_backward(x, x, 2)
    with pytest.raises(ValueError, match=message):
        avg_pool2d_backward(x, x.shape, 2)
    with pytest.raises(ValueError, match=message):
        blur_pool2d_backward(x, x.shape)
    with pytest.raises(ValueError, match=r"dy must have .* \(2, 2\), got \(2, 4, 4, 2\)"):
        global_average_pool_backward(x, x.shape)
    with pytest.raises(ValueError, match=r"dy must have .* \(2, 4, 4, 1\), got \(2, 4, 4, 2\)"):
        channel_max_pool_backward(x, x, 2)
    with pytest.raises(ValueError, match=r"dy must have .* \(2, 2\), got \(1, 2\)"):
        global_max_pool_backward(np.ones((1, 2)), x)
    with pytest.raises(
        ValueError, match=r"input_shape must be one integer or 4 of them, got \(4, 4"
    ):
        avg_pool2d_backward(x, (4, 4, 2), 2)
    with pytest.raises(ValueError, match=r"input_shape must have at least one pixel, got \(2, 0, "):
        global_average_pool_backward(np.ones((2, 2)), (2, 0, 4, 2))


@pytest.mark.parametrize("padding", ["valid", "same", PADS])
def test_the_first_nan_of_a_window_gets_its_gradient(padding):
    x = distinct_image((5, 6))
    x[0, 1, 2, 0] = x[0, 1, 3, 0] = np.nan
    y = max_pool2d(x, 3, stride=2, padding=padding)
    dx = max_pool2d_backward(np.ones_like(y), x, 3, stride=2, padding=padding)
    assert np.isnan(y).any()
    assert dx.sum() == y.size  # nothing is lost
    assert dx[0, 1, 2, 0] + dx[0, 1, 3, 0] == np.isnan(y).sum()
    assert dx[0, 1, 2, 0] > 0  # before its neighbour in every window that holds both


def test_an_infinite_gradient_goes_to_the_winner_alone():
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    dx = max_pool2d_backward(np.full((1, 1, 1, 1), np.inf), x, 2)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0], [0, np.inf]])
