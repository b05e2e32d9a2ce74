"""Padding and sizes against TensorFlow, Keras and the definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.padding import (
    axis_padding,
    conv2d_output_size,
    conv_output_size,
    conv_transpose_output_size,
    dilated_size,
    resolve_padding,
    same_padding,
    slide,
    slide_transpose,
)

SMALL = st.integers(1, 6)


def test_same_padding_published_examples():
    assert same_padding(16, 3, 2) == (0, 1)  # TensorFlow: even sizes pad after only
    assert same_padding(17, 3, 2) == (1, 1)
    assert same_padding(224, 7, 2) == (2, 3)
    assert same_padding(5, 4) == (1, 2)  # even kernel: the extra pixel goes after
    assert same_padding(9, 2, 5) == (0, 0)  # never negative
    assert same_padding(10, 3, dilation=4) == (4, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), SMALL, SMALL)
def test_same_padding_puts_the_windows_where_tensorflow_does(size, kernel, stride):
    rng = np.random.default_rng(size)
    x, k = rng.standard_normal((1, size, 1)), rng.standard_normal((kernel, 1, 1))
    padded = np.pad(x, [(0, 0), same_padding(size, kernel, stride), (0, 0)])
    expected = tf.nn.conv1d(x, k, stride, "SAME")
    np.testing.assert_allclose(tf.nn.conv1d(padded, k, stride, "VALID"), expected, atol=1e-12)
    assert conv_output_size(size, kernel, stride, "same") == expected.shape[1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), SMALL, SMALL)
def test_dilated_same_padding_agrees_with_tensorflow(size, kernel, dilation):
    x, k = np.ones((1, size, 1)), np.ones((kernel, 1, 1))
    x += np.arange(size)[:, None]
    padded = np.pad(x, [(0, 0), same_padding(size, kernel, 1, dilation), (0, 0)])
    expected = tf.nn.convolution(x, k, 1, "SAME", dilations=[dilation])
    ours = tf.nn.convolution(padded, k, 1, "VALID", dilations=[dilation])
    np.testing.assert_allclose(ours, expected, atol=1e-9)


@given(st.integers(1, 60), SMALL, SMALL, SMALL)
def test_same_padding_is_the_smallest_that_gives_the_size(size, kernel, stride, dilation):
    before, after = same_padding(size, kernel, stride, dilation)
    outputs = -(-size // stride)
    assert 0 <= after - before <= 1
    assert conv_output_size(size, kernel, stride, (before, after), dilation) == outputs
    if after:
        needed = (outputs - 1) * stride + dilated_size(kernel, dilation)
        assert size + before + after == needed


@given(st.integers(1, 40), SMALL, SMALL, SMALL, st.tuples(SMALL, SMALL))
def test_output_size_counts_the_windows(size, kernel, stride, dilation, pads):
    last = size + sum(pads) - ((kernel - 1) * dilation + 1)
    starts = range(0, last + 1, stride)
    if not starts:
        with pytest.raises(ValueError, match="kernel must not be larger than the padded image"):
            conv_output_size(size, kernel, stride, pads, dilation)
    else:
        assert conv_output_size(size, kernel, stride, pads, dilation) == len(starts)


@pytest.mark.parametrize("padding", ["valid", "same"])
@given(n=st.integers(1, 12), k=SMALL, s=SMALL)
@settings(max_examples=40, deadline=None)
def test_transposed_size_is_that_of_keras(padding, n, k, s):
    x, kernel = np.ones((1, n, 1), np.float32), np.ones((k, 1, 1), np.float32)
    expected = keras.ops.conv_transpose(x, kernel, strides=s, padding=padding).shape[1]
    assert conv_transpose_output_size(n, k, s, padding) == expected


@pytest.mark.parametrize("padding", ["valid", "same", 1, (0, 2)])
@given(n=st.integers(2, 20), k=st.integers(3, 6), s=SMALL, d=st.integers(1, 3))
def test_transposed_size_undoes_the_output_size(padding, n, k, s, d):
    enlarged = conv_transpose_output_size(n, k, s, padding, d)
    assert conv_output_size(enlarged, k, s, padding, d) == n


def test_explicit_padding_of_a_transpose_leaves_the_smallest_image():
    # Dumoulin and Visin 2016, relationship 13: s (i - 1) + k - 2 p.
    assert conv_transpose_output_size(3, 3, 2, 1) == 5
    assert conv_transpose_output_size(3, 2, 4, 0) == 10
    assert conv_transpose_output_size(3, 2, 4, "valid") == 12


def test_both_axes_are_kept_apart():
    pads = resolve_padding("same", (5, 8), (3, 4), (1, 2), (2, 1))
    assert pads == ((2, 2), (1, 1))
    assert resolve_padding(3, (5, 8), 1) == ((3, 3), (3, 3))
    assert resolve_padding([[1, 2], [3, 4]], (5, 8), 1) == ((1, 2), (3, 4))
    assert resolve_padding(np.array([[1, 2], [3, 4]]), (5, 8), 1) == ((1, 2), (3, 4))
    assert conv2d_output_size((5, 8), (3, 4), (1, 2), ((1, 0), (0, 3)), (2, 1)) == (2, 4)
    assert slide((5, 8), (3, 4), (1, 2), "same", (2, 1)) == ((1, 2), (2, 1), pads, (5, 4))
    assert slide_transpose((3, 4), (2, 3), (3, 1), "valid").output == (9, 6)
    assert slide_transpose((3, 4), (2, 3), (1, 2), "same").pads == ((0, 1), (0, 1))


def test_known_sizes_of_networks():
    assert conv_output_size(227, 11, 4) == 55  # AlexNet's first layer
    assert conv_output_size(224, 7, 2, "same") == 112  # ResNet's
    assert conv_output_size(224, 7, 2, 3) == 112
    assert conv2d_output_size((70, 120), 7) == (64, 114)


@pytest.mark.parametrize(
    "padding", ["full", None, 1.5, (1, 2, 3), (1, 2), ((1, 2), 3), ["same"] * 3]
)
def test_unknown_padding(padding):
    message = r'padding must be "valid", "same", an integer or'
    with pytest.raises(ValueError, match=message):
        resolve_padding(padding, (5, 5), 3)


@pytest.mark.parametrize("padding", [-1, ((0, 0), (0, -2))])
def test_negative_padding(padding):
    with pytest.raises(ValueError, match=r"padding(\[1\])? must be an integer >= 0, got -[12]"):
        resolve_padding(padding, (5, 5), 3)


def test_errors_name_the_argument_and_the_sizes():
    with pytest.raises(
        ValueError, match=r"a kernel that covers 5 pixels and size 3 padded by \(0, 1\) to 4"
    ):
        conv_output_size(3, 3, padding=(0, 1), dilation=2)
    with pytest.raises(ValueError, match=r"covers 4 pixels and width 3 padded by \(0, 0\) to 3"):
        conv2d_output_size((9, 3), 4)
    with pytest.raises(ValueError, match="covers 4 pixels and height 3"):
        slide((3, 9), 4)
    with pytest.raises(ValueError, match="height must be an integer >= 1, got 0"):
        slide((0, 9), 1, padding=1)
    with pytest.raises(ValueError, match=r"padding must leave at least 1 pixel, got 2 .* paints 3"):
        conv_transpose_output_size(1, 3, padding=2)
    with pytest.raises(ValueError, match="stride must be an integer >= 1, got 0"):
        same_padding(5, 3, stride=0)
    with pytest.raises(ValueError, match=r"dilation must be an integer >= 1, got 1\.5"):
        conv_output_size(5, 3, dilation=1.5)
    with pytest.raises(ValueError, match="kernel must be an integer >= 1, got True"):
        dilated_size(True)
    with pytest.raises(ValueError, match="size must be an integer >= 1, got 0"):
        conv_transpose_output_size(0, 3)
    with pytest.raises(ValueError, match='"same", an integer or pairs'):
        axis_padding("full", 3, 3)
