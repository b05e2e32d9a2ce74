"""The backward passes against TensorFlow's tape, central differences and the adjoint identity."""

import re

import numpy as np
import pytest
import tensorflow as tf
from convolution_reference import (
    GEOMETRIES,
    PADDINGS,
    fits,
    normal,
    numerical_gradient,
    pairs,
    tf_conv2d,
    tf_gradients,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.convolution import (
    conv1d,
    conv2d,
    conv2d_transpose,
    depthwise_conv2d,
    separable_conv2d,
)
from cvlab.convolution_gradients import (
    conv1d_backward,
    conv2d_backward,
    conv2d_transpose_backward,
    depthwise_conv2d_backward,
    separable_conv2d_backward,
)

CLOSE = {"rtol": 1e-11, "atol": 1e-11}


def assert_gradients(ours, expected, arrays):
    for gradient, truth, array in zip(ours, expected, arrays, strict=True):
        assert gradient.shape == array.shape
        np.testing.assert_allclose(gradient, truth, **CLOSE)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_conv2d_agrees_with_the_tape(size, kernel, stride, padding):
    x, k, bias = normal(2, *size, 3), normal(*kernel, 3, 4, seed=1), normal(4, seed=2)
    dy = normal(*conv2d(x, k, stride=stride, padding=padding).shape, seed=3)
    pads = pairs(padding, size, kernel, stride)
    expected = tf_gradients(lambda x, k, b: tf_conv2d(x, k, stride, pads) + b, dy, x, k, bias)
    ours = conv2d_backward(dy, x, k, stride=stride, padding=padding)
    assert_gradients(ours, expected, (x, k, bias))
    if padding in ("valid", "same"):
        expected = tf_gradients(
            lambda x, k, b: tf.nn.conv2d(x, k, stride, padding.upper()) + b, dy, x, k, bias
        )
        assert_gradients(ours, expected, (x, k, bias))


@pytest.mark.parametrize("dilation", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_groups_and_dilation_agree_with_the_tape(size, kernel, stride, groups, dilation):
    if stride != (1, 1) and dilation != (1, 1):
        dilation = (1, 1)  # TensorFlow refuses both: see the central differences below
    x, k, bias = normal(2, *size, 6), normal(*kernel, 6 // groups, 12, seed=1), normal(12)
    pads = pairs("same", size, kernel, stride, dilation)
    assert fits(size, kernel, pads, dilation)
    step = {"stride": stride, "padding": "same", "dilation": dilation, "groups": groups}
    dy = normal(*conv2d(x, k, **step).shape, seed=3)
    expected = tf_gradients(
        lambda x, k, b: tf_conv2d(x, k, stride, pads, dilation, groups) + b, dy, x, k, bias
    )
    assert_gradients(conv2d_backward(dy, x, k, **step), expected, (x, k, bias))


@pytest.mark.parametrize(
    "step",
    [
        {"stride": 2, "dilation": 2, "padding": "same"},
        {"stride": (1, 3), "dilation": (2, 1), "padding": ((4, 0), (0, 1)), "groups": 2},
        {"stride": 1, "dilation": (1, 2), "padding": ((0, 5), (6, 7))},
        {"stride": (3, 1), "dilation": 2, "padding": 5, "groups": 2},
    ],
)
def test_conv2d_agrees_with_central_differences(step):
    x, k = normal(2, 5, 6, 4), normal(3, 2, 4 // step.get("groups", 1), 2, seed=1)
    bias, dy = normal(2), normal(*conv2d(x, k, **step).shape, seed=2)
    ours = conv2d_backward(dy, x, k, **step)
    numbers = (
        numerical_gradient(lambda x: np.vdot(dy, conv2d(x, k, bias, **step)), x),
        numerical_gradient(lambda k: np.vdot(dy, conv2d(x, k, bias, **step)), k),
        numerical_gradient(lambda b: np.vdot(dy, conv2d(x, k, b, **step)), bias),
    )
    for gradient, truth in zip(ours, numbers, strict=True):
        np.testing.assert_allclose(gradient, truth, rtol=1e-6, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.tuples(st.integers(0, 9), st.integers(0, 9))] * 2),
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
)
def test_adjoint_identities(seed, size, kernel, stride, pads, dilation):
    # <dy, conv(x, k)> = <dx, x> = <dk, k>: conv2d is linear in each, and these are its adjoints.
    if not fits(size, kernel, pads, dilation):
        return
    rng = np.random.default_rng(seed)
    x, k = rng.standard_normal((2, *size, 2)), rng.standard_normal((*kernel, 1, 4))
    step = {"stride": stride, "padding": pads, "dilation": dilation, "groups": 2}
    y = conv2d(x, k, **step)
    dy = rng.standard_normal(y.shape)
    dx, dk, _ = conv2d_backward(dy, x, k, **step)
    np.testing.assert_allclose(np.vdot(dx, x), np.vdot(dy, y), atol=1e-10)
    np.testing.assert_allclose(np.vdot(dk, k), np.vdot(dy, y), atol=1e-10)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("length", "kernel", "stride"), [(9, 3, 1), (10, 4, 2), (7, 2, 5), (1, 1, 1)]
)
def test_conv1d_agrees_with_the_tape(length, kernel, stride, padding):
    x, k, bias = normal(2, length, 3), normal(kernel, 3, 4, seed=1), normal(4, seed=2)
    dy = normal(*conv1d(x, k, stride=stride, padding=padding).shape, seed=3)
    expected = tf_gradients(
        lambda x, k, b: tf.nn.conv1d(x, k, stride, padding.upper()) + b, dy, x, k, bias
    )
    ours = conv1d_backward(dy, x, k, stride=stride, padding=padding)
    assert_gradients(ours, expected, (x, k, bias))


def test_conv1d_with_dilation_groups_and_explicit_padding():
    x, k = normal(2, 9, 4), normal(3, 2, 6, seed=1)
    step = {"stride": 2, "padding": (1, 3), "dilation": 2, "groups": 2}
    dy = normal(*conv1d(x, k, **step).shape, seed=2)
    dx, dk, db = conv1d_backward(dy, x, k, **step)
    numbers = numerical_gradient(lambda x: np.vdot(dy, conv1d(x, k, **step)), x)
    np.testing.assert_allclose(dx, numbers, rtol=1e-6, atol=1e-7)
    numbers = numerical_gradient(lambda k: np.vdot(dy, conv1d(x, k, **step)), k)
    np.testing.assert_allclose(dk, numbers, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(db, dy.sum(axis=(0, 1)))


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 1)])
def test_depthwise_agrees_with_the_tape(kernel, stride, dilation, multiplier):
    if stride > 1 and dilation > 1:
        dilation = 1  # TensorFlow refuses both
    x, k = normal(2, 9, 8, 3), normal(*kernel, 3, multiplier, seed=1)
    bias = normal(3 * multiplier)
    step = {"stride": stride, "padding": "same", "dilation": dilation}
    dy = normal(*depthwise_conv2d(x, k, **step).shape, seed=2)

    def truth(x, k, b):
        strides = [1, stride, stride, 1]
        return tf.nn.depthwise_conv2d(x, k, strides, "SAME", dilations=[dilation] * 2) + b

    expected = tf_gradients(truth, dy, x, k, bias)
    assert_gradients(depthwise_conv2d_backward(dy, x, k, **step), expected, (x, k, bias))


def test_depthwise_is_a_convolution_with_one_group_per_channel():
    x, k = normal(2, 6, 7, 5), normal(3, 2, 5, 4, seed=1)
    step = {"stride": (2, 1), "padding": ((1, 0), (4, 2)), "dilation": (1, 2)}
    dy = normal(*depthwise_conv2d(x, k, **step).shape, seed=2)
    dx, dk, db = conv2d_backward(dy, x, k.reshape(3, 2, 1, 20), groups=5, **step)
    ours = depthwise_conv2d_backward(dy, x, k, **step)
    assert_gradients(ours, (dx, dk.reshape(k.shape), db), (x, k, db))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_separable_agrees_with_the_tape(padding, stride):
    x, bias = normal(2, 8, 9, 3), normal(5)
    deep, point = normal(3, 2, 3, 2, seed=1), normal(1, 1, 6, 5, seed=2)
    step = {"stride": stride, "padding": padding}
    dy = normal(*separable_conv2d(x, deep, point, **step).shape, seed=3)

    def truth(x, deep, point, bias):
        strides = [1, stride, stride, 1]
        return tf.nn.separable_conv2d(x, deep, point, strides, padding.upper()) + bias

    arrays = (x, deep, point, bias)
    ours = separable_conv2d_backward(dy, x, deep, point, **step)
    assert_gradients(ours, tf_gradients(truth, dy, *arrays), arrays)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (4, 5), (1, 2)])
def test_transpose_agrees_with_the_tape(kernel, stride, padding):
    x, k, bias = normal(2, 3, 4, 5), normal(*kernel, 6, 5, seed=1), normal(6)
    y = conv2d_transpose(x, k, stride=stride, padding=padding)
    dy = normal(*y.shape, seed=2)

    def truth(x, k, b):
        return tf.nn.conv2d_transpose(x, k, y.shape, stride, padding.upper()) + b

    expected = tf_gradients(truth, dy, x, k, bias)
    ours = conv2d_transpose_backward(dy, x, k, stride=stride, padding=padding)
    assert_gradients(ours, expected, (x, k, bias))


@pytest.mark.parametrize("padding", [*PADDINGS, ((0, 2), (3, 0))])
@pytest.mark.parametrize("stride", [1, 3])
def test_transpose_agrees_with_central_differences(stride, padding):
    x, k = normal(1, 4, 4, 2), normal(3, 2, 3, 2, seed=1)
    step = {"stride": stride, "padding": padding, "dilation": (1, 2)}
    dy = normal(*conv2d_transpose(x, k, **step).shape, seed=2)
    dx, dk, _ = conv2d_transpose_backward(dy, x, k, **step)
    numbers = numerical_gradient(lambda x: np.vdot(dy, conv2d_transpose(x, k, **step)), x)
    np.testing.assert_allclose(dx, numbers, rtol=1e-6, atol=1e-7)
    numbers = numerical_gradient(lambda k: np.vdot(dy, conv2d_transpose(x, k, **step)), k)
    np.testing.assert_allclose(dk, numbers, rtol=1e-6, atol=1e-7)


def test_pixels_that_no_window_reached_have_no_gradient():
    x, k = np.ones((1, 8, 9, 1)), np.ones((2, 2, 1, 1))
    dx, dk, _ = conv2d_backward(np.ones((1, 2, 2, 1)), x, k, stride=(4, 5))
    expected = np.zeros((8, 9))
    expected[[[0], [1], [4], [5]], [0, 1, 5, 6]] = 1
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)
    np.testing.assert_array_equal(dk, np.full((2, 2, 1, 1), 4.0))


@pytest.mark.parametrize("shape", [(6, 60, 60, 24), (3, 3, 4000, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_tiles_cover_every_window(shape, stride):
    x, k = normal(*shape), normal(3, 2, shape[3], 3, seed=1)
    dy = normal(*conv2d(x, k, stride=stride).shape, seed=2)
    expected = tf_gradients(lambda x, k: tf.nn.conv2d(x, k, stride, "VALID"), dy, x, k)
    ours = conv2d_backward(dy, x, k, stride=stride)
    np.testing.assert_allclose(ours.x, expected[0], atol=1e-10)
    np.testing.assert_allclose(ours.kernel, expected[1], rtol=1e-9, atol=1e-9)


CALLS = [
    (conv2d, conv2d_backward, [(2, 5, 6, 4), (3, 2, 4, 4)]),
    (conv1d, conv1d_backward, [(2, 5, 4), (3, 4, 4)]),
    (depthwise_conv2d, depthwise_conv2d_backward, [(2, 5, 6, 4), (3, 2, 4, 1)]),
    (separable_conv2d, separable_conv2d_backward, [(2, 5, 6, 4), (3, 2, 4, 1), (1, 1, 4, 4)]),
    (conv2d_transpose, conv2d_transpose_backward, [(2, 5, 6, 4), (3, 2, 4, 4)]),
]


@pytest.mark.parametrize(("forward", "backward", "shapes"), CALLS)
def test_the_first_layer_can_leave_out_the_gradient_of_its_input(forward, backward, shapes):
    arrays = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    dy = normal(*forward(*arrays).shape)
    full, short = backward(dy, *arrays), backward(dy, *arrays, input_gradient=False)
    assert full.x is not None
    assert short.x is None
    for one, other in zip(full[1:], short[1:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("forward", "backward", "shapes"), CALLS)
def test_types_of_the_gradients(forward, backward, shapes):
    arrays = [normal(*shape, dtype=np.float32) for shape in shapes]
    y = forward(*arrays)
    assert {g.dtype for g in backward(y, *arrays)} == {np.dtype(np.float32)}
    assert {g.dtype for g in backward(y.astype(np.float64), *arrays)} == {np.dtype(np.float32)}
    wide = [a.astype(np.float64) for a in arrays]
    assert {g.dtype for g in backward(y, *wide)} == {np.dtype(np.float64)}


@pytest.mark.parametrize(("forward", "backward", "shapes"), CALLS)
def test_empty_batch(forward, backward, shapes):
    arrays = [np.zeros((0, *shapes[0][1:])), *(np.ones(shape) for shape in shapes[1:])]
    dx, *others = backward(forward(*arrays), *arrays)
    assert dx.shape == arrays[0].shape
    assert all((g == 0).all() for g in others)


@pytest.mark.parametrize(("forward", "backward", "shapes"), CALLS)
def test_the_gradient_must_have_the_shape_of_the_output(forward, backward, shapes):
    arrays = [np.zeros(shape) for shape in shapes]
    y = forward(*arrays)
    message = f"dy must have the shape of the output {y.shape}, got {y[:1].shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        backward(y[:1], *arrays)


@pytest.mark.parametrize(("forward", "backward", "shapes"), CALLS)
def test_the_arguments_are_checked_as_in_the_forward_pass(forward, backward, shapes):
    arrays = [np.zeros(shape) for shape in shapes]
    arrays[1] = arrays[1][..., :3, :3]
    with pytest.raises(ValueError, match="kernel must have shape") as forth:
        forward(*arrays)
    with pytest.raises(ValueError, match="kernel must have shape") as back:
        backward(np.zeros(1), *arrays)
    assert str(forth.value) == str(back.value)


def test_a_step_against_the_gradient_lowers_the_loss():
    # Fit a known kernel from its output: only the right gradients bring it back.
    x, truth = normal(4, 8, 8, 2), normal(3, 3, 2, 2, seed=1)
    y, k = conv2d(x, truth, padding="same"), np.zeros((3, 3, 2, 2))
    for _ in range(60):
        error = conv2d(x, k, padding="same") - y
        k -= 2e-3 * conv2d_backward(error, x, k, padding="same", input_gradient=False).kernel
    np.testing.assert_allclose(k, truth, atol=1e-3)
