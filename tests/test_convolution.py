"""The forward passes against TensorFlow, the definition's loops and the laws of convolution."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from convolution_reference import (
    GEOMETRIES,
    PADDINGS,
    fits,
    loops,
    normal,
    paint_loops,
    pairs,
    tf_conv2d,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.convolution import (
    conv1d,
    conv2d,
    conv2d_transpose,
    convolve,
    depthwise_conv2d,
    separable_conv2d,
)
from cvlab.padding import conv2d_output_size, slide_transpose

close = np.testing.assert_allclose
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_conv2d_agrees_with_tensorflow(size, kernel, stride, padding):
    x, k, bias = normal(2, *size, 3), normal(*kernel, 3, 4, seed=1), normal(4, seed=2)
    expected = tf_conv2d(x, k, stride, pairs(padding, size, kernel, stride)) + bias
    close(conv2d(x, k, bias, stride=stride, padding=padding), expected, **CLOSE)
    if padding in ("valid", "same"):
        expected = tf.nn.conv2d(x, k, stride, padding.upper()) + bias
        close(conv2d(x, k, bias, stride=stride, padding=padding), expected, **CLOSE)


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_groups_agree_with_tensorflow(size, kernel, stride, groups):
    x, k = normal(2, *size, 6), normal(*kernel, 6 // groups, 12, seed=1)
    pads = pairs("same", size, kernel, stride)
    ours = conv2d(x, k, stride=stride, padding="same", groups=groups)
    close(ours, tf_conv2d(x, k, stride, pads, groups=groups), **CLOSE)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("dilation", [(2, 2), (1, 3), (3, 2)])
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_dilation(size, kernel, stride, padding, dilation):
    pads = pairs(padding, size, kernel, stride, dilation)
    x, k = normal(2, *size, 4), normal(*kernel, 2, 6, seed=1)
    step = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 2}
    if not fits(size, kernel, pads, dilation):
        with pytest.raises(ValueError, match="kernel must not be larger than the padded image"):
            conv2d(x, k, **step)
        return
    ours = conv2d(x, k, **step)
    close(ours, loops(x, k, stride, pads, dilation, groups=2), **CLOSE)
    if stride == (1, 1):
        close(ours, tf_conv2d(x, k, stride, pads, dilation, groups=2), **CLOSE)


def test_the_kernel_is_not_flipped():
    x, k = np.zeros((1, 3, 3, 1)), np.arange(9.0).reshape(3, 3, 1, 1)
    x[0, 1, 1, 0] = 1
    # An impulse shows the kernel turned by 180 degrees: cross-correlation.
    close(conv2d(x, k, padding="same")[0, :, :, 0], k[::-1, ::-1, 0, 0])
    close(convolve(x[0, :, :, 0], k[:, :, 0, 0], "same"), k[:, :, 0, 0])


@pytest.mark.parametrize(
    "shape", [(8, 60, 60, 24), (700, 6, 6, 8), (2, 3, 4000, 5), (3, 40, 2, 900)]
)
def test_tiles_cover_every_output(shape):
    # Some images per tile, some rows per tile, one row that is larger than a tile.
    x, k = normal(*shape, dtype=np.float32), normal(3, 2, shape[3], 3, seed=1, dtype=np.float32)
    close(conv2d(x, k), tf.nn.conv2d(x, k, 1, "VALID"), rtol=1e-4, atol=2e-4)
    deep = normal(3, 2, shape[3], 1, dtype=np.float32)
    expected = tf.nn.depthwise_conv2d(x, deep, [1, 1, 1, 1], "VALID")
    close(depthwise_conv2d(x, deep), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("length", "kernel", "stride"), [(9, 3, 1), (10, 4, 2), (7, 2, 5), (1, 1, 1)]
)
def test_conv1d_agrees_with_tensorflow(length, kernel, stride, padding):
    x, k, bias = normal(2, length, 3), normal(kernel, 3, 4, seed=1), normal(4)
    expected = tf.nn.conv1d(x, k, stride, padding.upper()) + bias
    close(conv1d(x, k, bias, stride=stride, padding=padding), expected, **CLOSE)


def test_conv1d_with_dilation_groups_and_explicit_padding():
    x, k = normal(2, 9, 4), normal(3, 2, 6, seed=1)
    ours = conv1d(x, k, stride=2, padding=(1, 3), dilation=2, groups=2)
    expected = loops(x[:, None], k[None], (1, 2), ((0, 0), (1, 3)), (1, 2), 2)[:, 0]
    close(ours, expected, **CLOSE)
    close(conv1d(x, k, padding=2, groups=2), conv1d(x, k, padding=(2, 2), groups=2))


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("padding", ["valid", "same", ((1, 0), (0, 3))])
@pytest.mark.parametrize(("size", "kernel", "stride"), GEOMETRIES)
def test_depthwise_agrees_with_tensorflow(size, kernel, stride, padding, multiplier):
    x, k = normal(2, *size, 3), normal(*kernel, 3, multiplier, seed=1)
    bias = normal(3 * multiplier, seed=2)
    ours = depthwise_conv2d(x, k, bias, stride=stride, padding=padding)
    pads = pairs(padding, size, kernel, stride)
    if stride[0] == stride[1]:  # TensorFlow has no other strides here
        padded = np.pad(x, [(0, 0), *pads, (0, 0)])
        expected = tf.nn.depthwise_conv2d(padded, k, [1, *stride, 1], "VALID")
    else:
        expected = loops(x, k.reshape(*kernel, 1, -1), stride, pads, groups=3)
    close(ours, expected + bias, **CLOSE)


@pytest.mark.parametrize("dilation", [(2, 2), (1, 3)])
def test_depthwise_dilation_agrees_with_tensorflow(dilation):
    x, k = normal(2, 9, 10, 3), normal(3, 2, 3, 2, seed=1)
    expected = tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME", dilations=dilation)
    close(depthwise_conv2d(x, k, padding="same", dilation=dilation), expected, **CLOSE)


def test_depthwise_is_a_convolution_with_one_group_per_channel():
    x, k = normal(2, 6, 7, 5), normal(3, 2, 5, 4, seed=1)
    grouped = conv2d(x, k.reshape(3, 2, 1, 20), stride=2, padding=1, groups=5)
    close(depthwise_conv2d(x, k, stride=2, padding=1), grouped, **CLOSE)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_separable_agrees_with_tensorflow(padding, stride):
    x, bias = normal(2, 8, 9, 3), normal(5)
    deep, point = normal(3, 2, 3, 2, seed=1), normal(1, 1, 6, 5, seed=2)
    expected = tf.nn.separable_conv2d(x, deep, point, [1, stride, stride, 1], padding.upper())
    ours = separable_conv2d(x, deep, point, bias, stride=stride, padding=padding)
    close(ours, expected + bias, **CLOSE)


def test_separable_equals_one_full_convolution():
    x, deep, point = normal(1, 6, 6, 3), normal(3, 3, 3, 2), normal(1, 1, 6, 4, seed=1)
    full = np.einsum("ijcm,cmf->ijcf", deep, point.reshape(3, 2, 4))
    step = {"padding": "same", "dilation": 2}
    close(separable_conv2d(x, deep, point, **step), conv2d(x, full, **step), **CLOSE)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 1), (5, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2), (4, 5)])
def test_transpose_agrees_with_keras(kernel, stride, padding):
    x, k, bias = normal(2, 3, 4, 5), normal(*kernel, 6, 5, seed=1), normal(6)
    expected = keras.ops.conv_transpose(x, k, strides=stride, padding=padding)
    ours = conv2d_transpose(x, k, bias, stride=stride, padding=padding)
    close(ours, expected + bias, **CLOSE)


@pytest.mark.parametrize("padding", [*PADDINGS, ((0, 2), (1, 0))])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (3, 2), (1, 2), (4, 5)])
def test_transpose_paints_its_kernel(stride, dilation, padding):
    x, k = normal(2, 4, 4, 3), normal(3, 2, 2, 3, seed=1)
    sliding = slide_transpose((4, 4), (3, 2), stride, padding, dilation)
    expected = paint_loops(x, k, stride, sliding.pads, sliding.output, dilation)
    ours = conv2d_transpose(x, k, stride=stride, padding=padding, dilation=dilation)
    close(ours, expected, **CLOSE)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (4, 1), (1, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_adjoint_identity(stride, padding, dilation):
    # <conv(x), y> = <x, conv_transpose(y)>, the definition of the transpose.
    y, k = normal(2, 3, 4, 5), normal(3, 2, 4, 5, seed=1)
    step = {"stride": stride, "padding": padding, "dilation": dilation}
    back = conv2d_transpose(y, k, **step)
    x = normal(*back.shape, seed=2)
    forth = conv2d(x, k, **step)
    assert forth.shape == y.shape
    close(np.vdot(forth, y), np.vdot(x, back), rtol=1e-12)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "k"), [(7, 3), (8, 4), (5, 5), (6, 1), (4, 2)])
def test_convolve_agrees_with_numpy(n, k, mode):
    signal, kernel = normal(n), normal(k, seed=1)
    close(convolve(signal, kernel, mode), np.convolve(signal, kernel, mode), **CLOSE)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_multiplies_polynomials_in_two_variables(mode):
    signal, kernel = normal(5, 6), normal(3, 4, seed=1)
    full = np.zeros((7, 9))
    for i, j in np.ndindex(3, 4):
        full[i : i + 5, j : j + 6] += kernel[i, j] * signal
    expected = {"full": full, "same": full[1:6, 1:7], "valid": full[2:5, 3:6]}[mode]
    close(convolve(signal, kernel, mode), expected, **CLOSE)


def test_convolve_on_plain_lists_and_a_long_kernel():
    close(convolve([1, 2, 3], [0, 1, 0.5]), [0, 1, 2.5, 4, 1.5])
    close(convolve([1, 2], [1, 1, 1, 1]), [1, 3, 3, 3, 2])
    assert convolve([1, 2], [1, 1, 1, 1], "same").shape == (2,)
    close(convolve([[1, 2]], [[1], [3]]), [[1, 2], [3, 6]])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6))
def test_convolve_commutes_and_associates(seed, n, k):
    rng = np.random.default_rng(seed)
    a, b, c = rng.standard_normal((n, 3)), rng.standard_normal((k, 2)), rng.standard_normal((2, k))
    close(convolve(a, b), convolve(b, a), atol=1e-12)
    close(convolve(convolve(a, b), c), convolve(a, convolve(b, c)), atol=1e-10)
    close(convolve(a, [[1.0]]), a)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(PADDINGS),
    st.sampled_from([1, 2]),
)
def test_linear_in_the_image_and_in_the_kernel(seed, kernel, stride, padding, groups):
    rng = np.random.default_rng(seed)
    x, other = rng.standard_normal((2, 2, 6, 5, 4))
    k, second = rng.standard_normal((2, *kernel, 4 // groups, 2))
    step = {"stride": stride, "padding": padding, "groups": groups}
    both = conv2d(2 * x - 3 * other, k, **step)
    close(both, 2 * conv2d(x, k, **step) - 3 * conv2d(other, k, **step), atol=1e-11)
    both = conv2d(x, 2 * k - 3 * second, **step)
    close(both, 2 * conv2d(x, k, **step) - 3 * conv2d(x, second, **step), atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 2))
def test_shift_equivariance(down, right, stride, dilation):
    # Shift the image by whole strides and the output shifts; a border of zeros takes the rest.
    x, k = np.zeros((1, 26, 26, 2)), normal(3, 2, 2, 3)
    x[:, 6:12, 6:12] = normal(1, 6, 6, 2, seed=1)
    moved = np.roll(x, (down * stride, right * stride), axis=(1, 2))
    step = {"stride": stride, "dilation": dilation, "padding": "same"}
    expected = np.roll(conv2d(x, k, **step), (down, right), axis=(1, 2))
    close(conv2d(moved, k, **step), expected, atol=1e-12)


def test_stacked_convolutions_collapse_to_one():
    x, first, second = normal(1, 9, 9, 2), normal(3, 3, 2, 3), normal(2, 2, 3, 4, seed=1)
    one = np.zeros((4, 4, 2, 4))
    for i, j in np.ndindex(2, 2):
        one[i : i + 3, j : j + 3] += first @ second[i, j]
    close(conv2d(conv2d(x, first), second), conv2d(x, one), **CLOSE)


def test_dense_layer_is_a_convolution_as_large_as_the_image():
    x, k = normal(3, 7, 7, 10), normal(7, 7, 10, 20, seed=1)
    close(conv2d(x, k)[:, 0, 0], x.reshape(3, -1) @ k.reshape(490, 20), **CLOSE)


def test_types():
    x, k = normal(1, 5, 5, 2), normal(3, 3, 2, 2)
    x32, k32 = x.astype(np.float32), k.astype(np.float32)
    assert conv2d(x32, k32, np.zeros(2, np.float32), padding="same").dtype == np.float32
    assert depthwise_conv2d(x32, k32).dtype == np.float32
    assert conv2d_transpose(x32, k32, stride=2).dtype == np.float32
    assert separable_conv2d(x32, k32, np.ones((1, 1, 4, 2), np.float32)).dtype == np.float32
    assert convolve(x32[0, 0, :, 0], k32[0, 0, 0]).dtype == np.float32
    assert conv2d(x, k32).dtype == conv2d(x32, k).dtype == np.float64
    assert conv2d(x32, k32, np.zeros(2)).dtype == np.float64
    assert conv2d(x32.astype(np.float16), k32).dtype == np.float32


def test_integers_do_not_overflow():
    x, k = np.full((1, 3, 3, 1), 255, np.uint8), np.full((3, 3, 1, 1), -128, np.int8)
    for function in (conv2d, depthwise_conv2d):
        y = function(x, k)
        assert y.dtype == np.float32
        assert y.item() == 9 * 255 * -128
    y = conv2d(np.full((1, 1, 1, 1), 2**40), np.full((1, 1, 1, 1), 3))
    assert y.dtype == np.float64
    assert y.item() == 3 * 2**40
    assert convolve(np.array([200, 200], np.uint8), np.array([2], np.uint8)).tolist() == [400, 400]


def test_strided_reversed_and_read_only_inputs_stay_as_they_were():
    x, k = normal(2, 12, 14, 6), normal(3, 2, 3, 4, seed=1)
    x_before, k_before = x.copy(), k.copy()
    x.setflags(write=False)
    view = x[::-1, ::2, ::-1, ::2]
    expected = conv2d(view.copy(), k, stride=2, padding="same")
    close(conv2d(view, k, stride=2, padding="same"), expected, **CLOSE)
    close(conv2d(view, k), conv2d(view.copy(), k), **CLOSE)
    flipped = k[::-1, :, :, ::-1]
    close(conv2d(view, flipped), conv2d(view.copy(), flipped.copy()), **CLOSE)
    close(conv2d(view, k[:1, :1]), view @ k[0, 0], **CLOSE)
    same = np.broadcast_to(x[:1, :1, :1], (1, 5, 5, 6))[..., :3]
    close(conv2d(same, k), conv2d(same.copy(), k), **CLOSE)
    assert (x == x_before).all()
    assert (k == k_before).all()


def test_the_output_is_never_the_input():
    x = normal(1, 3, 3, 1)
    y = conv2d(x, np.ones((1, 1, 1, 1)), np.ones(1))
    assert not np.shares_memory(x, y)
    close(y, x + 1)


def test_empty_batch():
    x, k = np.zeros((0, 5, 6, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    assert conv2d(x, k, np.ones(4, np.float32)).shape == (0, 3, 4, 4)
    assert conv2d(x, k[:1, :1], stride=2).shape == (0, 3, 3, 4)
    assert conv2d(x, k[:, :, :1], groups=2, padding="same").shape == (0, 5, 6, 4)
    assert depthwise_conv2d(x, k).shape == (0, 3, 4, 8)
    assert separable_conv2d(x, k, np.ones((1, 1, 8, 3))).shape == (0, 3, 4, 3)
    assert conv2d_transpose(x, k.swapaxes(2, 3), stride=2).shape == (0, 11, 13, 4)
    assert conv2d_transpose(x, k.swapaxes(2, 3)).shape == (0, 7, 8, 4)
    assert conv1d(x[:, 0], k[0]).shape == (0, 4, 4)


def test_one_pixel():
    x, k = np.full((1, 1, 1, 1), 5.0), np.arange(9.0).reshape(3, 3, 1, 1)
    assert conv2d(x, k, padding="same").item() == 20
    assert conv2d(x, k, padding="same", stride=7).item() == 20
    close(conv2d(x, k, padding=2)[0, :, :, 0], 5 * k[::-1, ::-1, 0, 0])
    assert depthwise_conv2d(x, k, padding="same").item() == 20
    assert conv2d_transpose(x, k, padding="same").item() == 20


@given(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 4)] * 2), st.integers(1, 4))
def test_shape_is_the_one_predicted(size, kernel, stride):
    for padding in ("same", 3):
        y = conv2d(np.ones((1, *size, 1)), np.ones((*kernel, 1, 2)), stride=stride, padding=padding)
        assert y.shape == (1, *conv2d_output_size(size, kernel, stride, padding), 2)


X, K = np.zeros((1, 5, 5, 3)), np.zeros((3, 3, 3, 4))
LAYOUT = "(height, width, in_channels / groups, out_channels)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv2d(X, np.zeros((3, 3, 4, 8))),
            f"kernel must have shape {LAYOUT} with in_channels / groups = 3, got (3, 3, 4, 8)",
        ),
        (
            lambda: conv2d(X, np.zeros((3, 3))),
            f"kernel must have shape {LAYOUT} with in_channels / groups = 3, got (3, 3)",
        ),
        (
            lambda: conv2d(X, np.zeros((3, 3, 3, 0))),
            f"kernel must have shape {LAYOUT} with in_channels / groups = 3, got (3, 3, 3, 0)",
        ),
        (
            lambda: conv2d(X[0], K),
            "x must have 4 axes (batch, height, width, channels), got shape (5, 5, 3)",
        ),
        (lambda: conv2d(X + 1j, K), "x must hold real numbers, got dtype complex128"),
        (lambda: conv2d(X, K, np.zeros(3)), "bias must have shape (4,), got (3,)"),
        (
            lambda: conv2d(X, K, groups=2),
            "groups must divide the number of input channels 3, got 2",
        ),
        (
            lambda: conv2d(X, K[:, :, :1], groups=3),
            "groups must divide the number of output channels 4, got 3",
        ),
        (lambda: conv2d(X, K, groups=0), "groups must be an integer >= 1, got 0"),
        (lambda: conv2d(X, K, stride=(1, 0)), "stride[1] must be an integer >= 1, got 0"),
        (lambda: conv2d(X, K, padding=-1), "padding must be an integer >= 0, got -1"),
        (
            lambda: conv2d(X, K, dilation=(1, 3)),
            "kernel must not be larger than the padded image, got a kernel that covers 7 pixels "
            "and width 5 padded by (0, 0) to 5",
        ),
        (
            lambda: conv2d(X[:, :0], K, padding=4),
            "height must be an integer >= 1, got 0",
        ),
        (
            lambda: conv1d(X[0], K[0, :, :2]),
            "kernel must have shape (length, in_channels / groups, out_channels) with "
            "in_channels / groups = 3, got (3, 2, 4)",
        ),
        (lambda: conv1d(X, K[0]), "x must have 3 axes (batch, length, channels), got shape"),
        (
            lambda: conv1d(X[0], K[0], padding=((0, 0), (1, 1))),
            "padding[0] must be an integer >= 0",
        ),
        (lambda: conv1d(X[0], K[0], dilation=4), "covers 9 pixels and size 5"),
        (lambda: conv1d(X[0], K[0], stride=(1, 1)), "stride must be an integer >= 1, got (1, 1)"),
        (
            lambda: depthwise_conv2d(X, K.swapaxes(2, 3)),
            "kernel must have shape (height, width, channels, multiplier) with channels = 3, "
            "got (3, 3, 4, 3)",
        ),
        (lambda: depthwise_conv2d(X, K, np.zeros(4)), "bias must have shape (12,), got (4,)"),
        (
            lambda: separable_conv2d(X, K, K[:1, :1]),
            "pointwise_kernel must have shape (1, 1, channels * multiplier, out_channels) with "
            "channels * multiplier = 12, got (1, 1, 3, 4)",
        ),
        (
            lambda: separable_conv2d(X, K, np.zeros((1, 2, 12, 4))),
            "pointwise_kernel must have height and width 1, got shape (1, 2, 12, 4)",
        ),
        (
            lambda: conv2d_transpose(X, K),
            "kernel must have shape (height, width, out_channels, in_channels) with "
            "in_channels = 3, got (3, 3, 3, 4)",
        ),
        (
            lambda: conv2d_transpose(X[:, :1], K.swapaxes(2, 3), padding=2),
            "padding must leave at least 1 pixel, got 2",
        ),
        (
            lambda: convolve(X, K),
            "signal and kernel must be two sequences or two grids that are not empty, "
            "got shapes (1, 5, 5, 3) and (3, 3, 3, 4)",
        ),
        (lambda: convolve([1.0], [[1.0]]), "got shapes (1,) and (1, 1)"),
        (lambda: convolve([1.0], []), "got shapes (1,) and (0,)"),
        (lambda: convolve([1.0], [1.0], "half"), 'mode must be "full", "same" or "valid", got'),
        (lambda: convolve([1.0], [1.0, 2.0], "valid"), "covers 2 pixels and width 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
