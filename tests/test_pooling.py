"""Pooling against TensorFlow, against plain loops, and against what pooling must never do."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.padding import resolve_padding
from cvlab.pooling import (
    avg_pool2d,
    blur_pool2d,
    channel_max_pool,
    global_average_pool,
    global_max_pool,
    max_pool2d,
)
from cvlab.pooling_gradients import blur_pool2d_backward

# (image, window, stride): overlapping, gaps, even and odd sizes, oblong, one pixel.
CASES = [
    ((8, 8), 2, 2),
    ((9, 8), 3, 2),
    ((7, 10), 3, 1),
    ((8, 9), 4, 3),
    ((9, 9), 2, 3),
    ((6, 11), (2, 3), (3, 1)),
    ((5, 4), (1, 4), (1, 2)),
    ((1, 1), 1, 1),
    ((4, 5), 1, 2),
]


def image(size, batch=2, channels=3, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, *size, channels)).astype(dtype)


def loop_pool(x, window, stride, pads, reduce):
    """Pool by the definition: cut every window out of the real image and reduce it."""
    (top, bottom), (left, right) = pads
    _, height, width, _ = x.shape
    rows = []
    for i in range(-top, height + bottom - window[0] + 1, stride[0]):
        row = []
        for j in range(-left, width + right - window[1] + 1, stride[1]):
            piece = x[:, max(i, 0) : i + window[0], max(j, 0) : j + window[1]]
            row.append(reduce(piece, axis=(1, 2)))
        rows.append(np.stack(row, axis=1))
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "window", "stride"), CASES)
def test_pooling_agrees_with_tensorflow(size, window, stride, padding):
    x = image(size)
    arguments = dict(ksize=window, strides=stride, padding=padding.upper())
    ours = max_pool2d(x, window, stride=stride, padding=padding)
    np.testing.assert_array_equal(ours, tf.nn.max_pool2d(x, **arguments))
    ours = avg_pool2d(x, window, stride=stride, padding=padding)
    np.testing.assert_allclose(ours, tf.nn.avg_pool2d(x, **arguments), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pads", [1, ((1, 0), (0, 2)), ((2, 2), (1, 2))])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
def test_explicit_padding_agrees_with_the_definition(pads, stride):
    x = image((6, 7), dtype=np.float64)
    step = np.broadcast_to(stride, 2)
    pairs = resolve_padding(pads, (6, 7), (3, 4))
    expected = loop_pool(x, (3, 4), step, pairs, np.max)
    np.testing.assert_array_equal(max_pool2d(x, (3, 4), stride=stride, padding=pads), expected)
    expected = loop_pool(x, (3, 4), step, pairs, np.mean)
    ours = avg_pool2d(x, (3, 4), stride=stride, padding=pads)
    np.testing.assert_allclose(ours, expected, atol=1e-14)


def test_the_stride_is_the_window_unless_given():
    x = image((6, 9))
    np.testing.assert_array_equal(max_pool2d(x, (2, 3)), max_pool2d(x, (2, 3), stride=(2, 3)))
    assert avg_pool2d(x, (2, 3)).shape == (2, 3, 3, 3)


def test_padding_never_wins_a_maximum():
    x = -np.abs(image((5, 5))) - 1.0
    assert max_pool2d(x, 3, stride=1, padding="same").max() < -1.0


def test_an_average_counts_real_pixels_only():
    ones = np.ones((1, 5, 6, 2), np.float32)
    np.testing.assert_array_equal(avg_pool2d(ones, 3, stride=1, padding="same"), ones)


def test_pooling_leaves_its_input_alone_and_returns_an_array_of_its_own():
    x = image((4, 4))
    before = x.copy()
    for y in (max_pool2d(x, 1, stride=1), avg_pool2d(x, 1), blur_pool2d(x, (1,), stride=1)):
        assert not np.shares_memory(x, y)
        np.testing.assert_array_equal(y, x)
    max_pool2d(x, 3, stride=1)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d, blur_pool2d])
def test_types_and_empty_batches(pool):
    argument = (1, 1) if pool is blur_pool2d else 2
    assert pool(image((4, 4)), argument).dtype == np.float32
    assert pool(image((4, 4), dtype=np.float64), argument).dtype == np.float64
    assert pool(np.zeros((1, 4, 4, 1), np.uint8), argument).dtype == np.float32
    assert pool(image((4, 4), batch=0), argument).shape == (0, 2, 2, 3)


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    window=st.integers(1, 4),
    stride=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_properties_of_same_pooling(height, width, window, stride, seed):
    x = image((height, width), batch=1, dtype=np.float64, seed=seed)
    largest = max_pool2d(x, window, stride=stride, padding="same")
    mean = avg_pool2d(x, window, stride=stride, padding="same")
    smallest = -max_pool2d(-x, window, stride=stride, padding="same")
    assert largest.shape[1:3] == (-(-height // stride), -(-width // stride))
    assert np.isin(largest, x).all()
    assert (mean <= largest + 1e-12).all()
    assert (mean >= smallest - 1e-12).all()
    exponential = max_pool2d(np.exp(x), window, stride=stride, padding="same")
    np.testing.assert_allclose(exponential, np.exp(largest))  # commutes with what increases
    shifted = avg_pool2d(3 * x + 1, window, stride=stride, padding="same")
    np.testing.assert_allclose(shifted, 3 * mean + 1, atol=1e-12)  # a mean is linear


def test_global_pools_agree_with_keras_and_with_one_big_window():
    x = image((5, 7))
    layers = tf.keras.layers
    np.testing.assert_allclose(
        global_average_pool(x), layers.GlobalAveragePooling2D()(x), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(global_max_pool(x), layers.GlobalMaxPooling2D()(x))
    np.testing.assert_array_equal(global_max_pool(x), max_pool2d(x, (5, 7))[:, 0, 0])


def test_channel_max_pool_takes_consecutive_channels():
    x = image((3, 4), channels=6)
    expected = [x[..., 0:3].max(axis=-1), x[..., 3:6].max(axis=-1)]
    np.testing.assert_array_equal(channel_max_pool(x, 3), np.stack(expected, axis=-1))
    y = tf.nn.max_pool(x, ksize=(1, 1, 1, 3), strides=(1, 1, 1, 3), padding="VALID")
    np.testing.assert_array_equal(channel_max_pool(x, 3), y)
    assert channel_max_pool(x[:0], 3).shape == (0, 3, 4, 2)


@pytest.mark.parametrize(
    ("taps", "stride"), list(itertools.product([(1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1)], [1, 2]))
)
def test_blur_is_a_depthwise_convolution_with_binomial_weights(taps, stride):
    x = image((9, 10))
    kernel = np.outer(taps, taps) / np.sum(taps) ** 2
    kernel = np.repeat(kernel[:, :, None, None], 3, axis=2).astype(np.float32)
    expected = tf.nn.depthwise_conv2d(x, kernel, (1, stride, stride, 1), "VALID")
    ours = blur_pool2d(x, taps, stride=stride, padding="valid")
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_blur_weights_the_real_pixels_at_the_border():
    x = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
    ours = blur_pool2d(x, (1, 2, 1), stride=1)[0, 0, :, 0]
    np.testing.assert_allclose(ours, [(2 * 1 + 2) / 3, (1 + 4 + 4) / 4, (2 + 2 * 4) / 3])
    constant = blur_pool2d(np.full((1, 7, 6, 1), 5.0), (1, 4, 6, 4, 1), stride=2)
    np.testing.assert_allclose(constant, 5.0)


def test_equal_taps_make_an_average():
    x = image((8, 9), dtype=np.float64)
    for padding in ("valid", "same"):
        ours = blur_pool2d(x, (1, 1, 1), stride=2, padding=padding)
        expected = avg_pool2d(x, 3, stride=2, padding=padding)
        np.testing.assert_allclose(ours, expected, atol=1e-14)


def test_blurring_a_max_pool_removes_most_of_its_aliasing():
    """Zhang 2019, section 3: a shift of 0 0 1 1 0 0 1 1 ... by one pixel."""
    signal = np.tile([0.0, 0.0, 1.0, 1.0], 8).reshape(1, 1, 32, 1)
    shifted = np.roll(signal, 1, axis=2)

    def plain(x):
        return max_pool2d(x, (1, 2))[0, 0, 2:-2, 0]

    def blurred(x):
        dense = max_pool2d(x, (1, 2), stride=1, padding="same")
        return blur_pool2d(dense, (1, 2, 1), stride=(1, 2))[0, 0, 2:-2, 0]

    np.testing.assert_array_equal(plain(signal), np.tile([0.0, 1.0], 6))
    np.testing.assert_array_equal(plain(shifted), np.ones(12))
    np.testing.assert_allclose(blurred(signal), np.full(12, 0.75))
    np.testing.assert_allclose(np.sort(blurred(shifted)), np.repeat([0.5, 1.0], 6))


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
def test_errors_of_windows(pool):
    x = image((4, 5))
    with pytest.raises(ValueError, match=r"x must have 4 axes .*, got shape \(4, 5\)"):
        pool(x[0, :, :, 0], 2)
    with pytest.raises(ValueError, match="window must be an integer >= 1, got 0"):
        pool(x, 0)
    with pytest.raises(ValueError, match="stride must be an integer >= 1, got -1"):
        pool(x, 2, stride=-1)
    message = (
        r"window must not be larger than the padded image, got 5 x 5 .* 4 x 5 padded by \(\(0,"
    )
    with pytest.raises(ValueError, match=message):
        pool(x, 5)
    with pytest.raises(
        ValueError, match=r"x must have at least one pixel, got shape \(2, 4, 0, 3\)"
    ):
        pool(x[:, :, :0], 2)
    with pytest.raises(ValueError, match=r"padding must be smaller than the window, got .* 2 x 3"):
        pool(x, (2, 3), padding=2)
    with pytest.raises(ValueError, match='padding must be "valid", "same"'):
        pool(x, 2, padding="reflect")


def test_other_errors():
    x = image((4, 5))
    with pytest.raises(
        ValueError, match=r"x must have at least one pixel, got shape \(2, 0, 5, 3\)"
    ):
        global_max_pool(x[:, :0])
    with pytest.raises(ValueError, match="x must have 4 axes"):
        global_average_pool(x[0])
    with pytest.raises(ValueError, match="window must divide the 3 channels of x, got 2"):
        channel_max_pool(x, 2)
    with pytest.raises(
        ValueError, match=r"taps must be one or more positive numbers, got \(1, 0\)"
    ):
        blur_pool2d(x, (1, 0))
    with pytest.raises(ValueError, match=r"taps must be one or more positive numbers, got \(\)"):
        blur_pool2d(x, ())
    with pytest.raises(ValueError, match=r"taps must have 1 axes \(weights\), got shape \(2, 2\)"):
        blur_pool2d(x, np.ones((2, 2)))


def test_the_mean_of_a_large_constant_image_is_that_constant():
    x = np.full((1, 1024, 1024, 2), 0.1, np.float32)
    np.testing.assert_allclose(global_average_pool(x), x[:, 0, 0], rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 3, 1e30, 1e200])
def test_only_the_ratios_of_the_taps_count(scale):
    x = np.random.default_rng(0).standard_normal((1, 6, 7, 2)).astype(np.float32)
    taps = np.array([1.0, 2.0, 1.0])
    y = blur_pool2d(x, taps)
    np.testing.assert_allclose(blur_pool2d(x, taps * scale), y, rtol=1e-5, atol=1e-6)
    dx = blur_pool2d_backward(y, x.shape, taps)
    np.testing.assert_allclose(
        blur_pool2d_backward(y, x.shape, taps * scale), dx, rtol=1e-5, atol=1e-6
    )
