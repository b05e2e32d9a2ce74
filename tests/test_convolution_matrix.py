"""im2col, col2im and the convolution as one matrix, against TensorFlow and against conv2d."""

import re

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from convolution_reference import GEOMETRIES, normal
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.convolution import conv2d, conv2d_transpose
from cvlab.convolution_matrix import col2im, convolution_matrix, full_kernel, im2col

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_im2col_agrees_with_tensorflow(size, kernel, stride, padding):
    x = normal(2, *size, 3)
    steps = {"strides": [1, *stride, 1], "rates": [1] * 4, "padding": padding.upper()}
    patches = tf.image.extract_patches(x, [1, *kernel, 1], **steps).numpy()
    columns = im2col(x, kernel, stride=stride, padding=padding)
    np.testing.assert_array_equal(columns, patches.reshape(columns.shape))


def test_im2col_with_dilation_agrees_with_tensorflow():
    x = normal(2, 9, 8, 3)
    patches = tf.image.extract_patches(x, [1, 3, 2, 1], [1] * 4, [1, 2, 3, 1], "VALID").numpy()
    np.testing.assert_array_equal(im2col(x, (3, 2), dilation=(2, 3)), patches.reshape(-1, 18))


def test_im2col_is_a_copy_of_the_same_type():
    x = normal(1, 4, 4, 2, dtype=np.float32)
    columns = im2col(x, 1)
    assert columns.dtype == np.float32
    assert not np.shares_memory(columns, x)
    assert im2col(np.zeros((0, 4, 4, 2)), 3).shape == (0, 18)


SETTINGS = st.fixed_dictionaries(
    {
        "stride": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "padding": st.sampled_from(["same", 2, ((4, 3), (4, 5))]),
        "dilation": st.sampled_from([1, (2, 1), (1, 3)]),
    }
)


@settings(max_examples=50, deadline=None)
@given(SETTINGS, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(0, 2**32))
def test_col2im_is_the_adjoint_of_im2col(step, kernel, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 5, 6, 2))
    if step["padding"] == 2 and step["dilation"] == (1, 3):
        kernel = (kernel[0], 2)
    columns = im2col(x, kernel, **step)
    y = rng.standard_normal(columns.shape)
    back = col2im(y, x.shape, kernel, **step)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.vdot(columns, y), np.vdot(x, back), atol=1e-10)


def test_col2im_counts_how_often_a_pixel_was_read():
    counts = col2im(np.ones((9, 9)), (1, 5, 5, 1), 3)[0, :, :, 0]
    np.testing.assert_array_equal(counts, np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]))


@settings(max_examples=50, deadline=None)
@given(
    SETTINGS,
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.sampled_from([1, 2]),
    st.integers(0, 2**32),
)
def test_the_matrix_is_the_convolution(step, kernel, groups, seed):
    rng = np.random.default_rng(seed)
    x, k = rng.standard_normal((1, 5, 6, 4)), rng.standard_normal((*kernel, 4 // groups, 6))
    matrix = convolution_matrix(k, (5, 6), groups=groups, **step)
    y = conv2d(x, k, groups=groups, **step)
    np.testing.assert_allclose(matrix @ x.ravel(), y.ravel(), **CLOSE)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_transposed_matrix_is_the_transposed_convolution(stride, padding):
    y, k = normal(1, 3, 4, 5), normal(3, 3, 2, 5, seed=1)
    back = conv2d_transpose(y, k, stride=stride, padding=padding)
    matrix = convolution_matrix(k, back.shape[1:3], stride=stride, padding=padding)
    np.testing.assert_allclose(matrix.T @ y.ravel(), back.ravel(), **CLOSE)


def test_a_signal_gives_a_toeplitz_matrix():
    k = np.array([1.0, 2.0, 3.0])
    expected = scipy.linalg.toeplitz([1, 0, 0, 0], [1, 2, 3, 0, 0, 0])
    np.testing.assert_array_equal(convolution_matrix(k.reshape(1, 3, 1, 1), (1, 6)), expected)
    expected = scipy.linalg.toeplitz([2, 1, 0, 0], [2, 3, 0, 0])
    same = convolution_matrix(k.reshape(1, 3, 1, 1), (1, 4), padding="same")
    np.testing.assert_array_equal(same, expected)


def test_weights_are_shared_and_most_entries_are_zero():
    k = np.arange(1.0, 19).reshape(3, 3, 2, 1)
    matrix = convolution_matrix(k, (8, 8))
    assert matrix.shape == (36, 128)
    for row in matrix:
        np.testing.assert_array_equal(row[row != 0], k.ravel())


def test_full_kernel_has_the_groups_on_its_diagonal():
    k = normal(2, 3, 2, 6)
    full = full_kernel(k, 3)
    assert full.shape == (2, 3, 6, 6)
    np.testing.assert_array_equal(full[:, :, 2:4, 2:4], k[:, :, :, 2:4])
    assert np.count_nonzero(full) == k.size
    x = normal(1, 4, 5, 6, seed=1)
    np.testing.assert_allclose(conv2d(x, full), conv2d(x, k, groups=3), **CLOSE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: im2col(np.zeros((3, 3)), 2),
            "x must have 4 axes (batch, height, width, channels)",
        ),
        (lambda: im2col(np.zeros((1, 3, 3, 1)), 4), "covers 4 pixels and height 3"),
        (lambda: im2col(np.zeros((1, 3, 3, 1)), 0), "kernel_size must be an integer >= 1, got 0"),
        (
            lambda: col2im(np.zeros((4, 5)), (1, 3, 3, 1), 2),
            "columns must have shape (4, 4), got (4, 5)",
        ),
        (lambda: col2im(np.zeros((4, 4)), (3, 3), 2), "shape must be one integer or 4 of them"),
        (
            lambda: convolution_matrix(np.zeros((3, 3)), (5, 5)),
            "kernel must have 4 axes (height, width, in_channels / groups, out_channels)",
        ),
        (
            lambda: convolution_matrix(np.zeros((3, 3, 1, 4)), (5, 5), groups=3),
            "groups must divide the number of output channels 4, got 3",
        ),
        (lambda: convolution_matrix(np.zeros((3, 3, 1, 1)), (2, 5)), "kernel must not be larger"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
