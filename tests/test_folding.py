"""Folding: the folded layer against the layer followed by the normalization, in TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from cvlab.folding import fold_into_next, fold_into_previous
from cvlab.normalization import batch_norm_affine, batch_norm_inference

EPSILON = 0.01


def rng(seed=0):
    return np.random.default_rng(seed)


def statistics(channels, seed=1):
    """Return gamma (one negative, one 0), beta, mean and variance, all far from 0 and 1."""
    random = rng(seed)
    gamma = random.uniform(0.5, 2, channels)
    gamma[0] *= -1
    gamma[-1] = 0
    beta, mean = random.uniform(1, 3, (2, channels))
    return gamma, beta, mean, random.uniform(2, 9, channels)


def normalized(y, parameters):
    """Normalize with TensorFlow's own function."""
    gamma, beta, mean, variance = parameters
    return tf.nn.batch_normalization(y, mean, variance, beta, gamma, EPSILON).numpy()


# Every case: kind, kernel shape, output channels, and the layer as TensorFlow computes it.
LAYERS = {
    "dense": ("dense", (5, 4), 4, lambda x, w: x @ w),
    "conv1d": ("convolution", (3, 5, 4), 4, lambda x, w: tf.nn.conv1d(x[:, 0], w, 1, "SAME")),
    "conv2d": ("convolution", (3, 2, 5, 4), 4, lambda x, w: tf.nn.conv2d(x, w, 2, "SAME")),
    "dilated": (
        "convolution",
        (3, 2, 5, 4),
        4,
        lambda x, w: tf.nn.conv2d(x, w, 1, "SAME", dilations=2),
    ),
    "depthwise": (
        "depthwise",
        (3, 2, 5, 3),
        15,
        lambda x, w: tf.nn.depthwise_conv2d(x, w, (1, 1, 1, 1), "SAME"),
    ),
    "transposed": (
        "transposed",
        (3, 2, 4, 5),
        4,
        lambda x, w: tf.nn.conv2d_transpose(x, w, (2, 12, 14, 4), 2, "SAME"),
    ),
}


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_folded_layer_is_the_layer_and_its_normalization(name, with_bias):
    kind, shape, channels, layer = LAYERS[name]
    x, kernel = rng().standard_normal((2, 6, 7, 5)), rng(2).standard_normal(shape)
    bias = rng(3).uniform(1, 2, channels) if with_bias else None
    parameters = statistics(channels)
    expected = normalized(layer(x, kernel) + (bias if with_bias else 0), parameters)
    folded = fold_into_previous(kernel, bias, *parameters, epsilon=EPSILON, kind=kind)
    assert folded.kernel.shape == shape
    assert folded.bias.shape == (channels,)
    np.testing.assert_allclose(layer(x, folded.kernel) + folded.bias, expected, atol=1e-12)


def test_groups_fold_like_an_ordinary_convolution():
    x, kernel = rng().standard_normal((2, 6, 7, 4)), rng(2).standard_normal((3, 3, 2, 6))
    parameters = statistics(6)
    folded = fold_into_previous(kernel, None, *parameters, epsilon=EPSILON)

    def layer(kernel):
        halves = zip(np.split(x, 2, axis=-1), np.split(kernel, 2, axis=-1), strict=True)
        return np.concatenate([tf.nn.conv2d(a, w, 1, "VALID") for a, w in halves], axis=-1)

    expected = normalized(layer(kernel), parameters)
    np.testing.assert_allclose(layer(folded.kernel) + folded.bias, expected, atol=1e-12)


def test_two_normalizations_fold_one_after_the_other():
    x, kernel = rng().standard_normal((3, 5)), rng(2).standard_normal((5, 4))
    first, second = statistics(4), statistics(4, seed=7)
    expected = normalized(normalized(x @ kernel, first), second)
    once = fold_into_previous(kernel, None, *first, epsilon=EPSILON, kind="dense")
    twice = fold_into_previous(*once, *second, epsilon=EPSILON, kind="dense")
    np.testing.assert_allclose(x @ twice.kernel + twice.bias, expected, atol=1e-12)


def test_missing_scale_and_shift_are_one_and_zero():
    kernel, (_, _, mean, variance) = rng().standard_normal((5, 4)), statistics(4)
    ours = fold_into_previous(kernel, None, None, None, mean, variance)
    ones = fold_into_previous(kernel, np.zeros(4), np.ones(4), np.zeros(4), mean, variance)
    for got, wanted in zip(ours, ones, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("with_bias", [False, True])
def test_the_other_order_is_exact_without_padding(with_bias):
    x, kernel = rng().standard_normal((2, 6, 7, 5)), rng(2).standard_normal((3, 2, 5, 4))
    bias = rng(3).uniform(1, 2, 4) if with_bias else None
    parameters = statistics(5)
    before = normalized(x, parameters)
    expected = tf.nn.conv2d(before, kernel, 1, "VALID") + (bias if with_bias else 0)
    folded = fold_into_next(kernel, bias, *parameters, epsilon=EPSILON)
    ours = tf.nn.conv2d(x, folded.kernel, 1, "VALID") + folded.bias
    np.testing.assert_allclose(ours, expected, atol=1e-11)
    dense = kernel[0, 0]
    folded = fold_into_next(dense, bias, *parameters, epsilon=EPSILON)
    expected = before @ dense + (bias if with_bias else 0)
    np.testing.assert_allclose(x @ folded.kernel + folded.bias, expected, atol=1e-12)


def test_the_other_order_is_wrong_at_the_border_under_zero_padding_and_only_there():
    x, kernel = rng().standard_normal((2, 6, 7, 5)), rng(2).standard_normal((3, 3, 5, 4))
    parameters = statistics(5)
    parameters[0][-1] = 0.7
    expected = tf.nn.conv2d(normalized(x, parameters), kernel, 1, "SAME").numpy()
    folded = fold_into_next(kernel, None, *parameters, epsilon=EPSILON)
    error = tf.nn.conv2d(x, folded.kernel, 1, "SAME").numpy() + folded.bias - expected
    np.testing.assert_allclose(error[:, 1:-1, 1:-1], 0, atol=1e-12)
    scale, shift = batch_norm_affine(*parameters, epsilon=EPSILON)
    missed = np.einsum("uci,c->i", kernel[0].reshape(3, 5, 4), shift)  # the row above the image
    np.testing.assert_allclose(error[:, 0, 1:-1], np.broadcast_to(missed, (2, 5, 4)), atol=1e-11)
    assert np.abs(missed).min() > 0.1
    framed = np.broadcast_to(-shift / scale, (2, 8, 9, 5)).copy()  # becomes 0 when normalized
    framed[:, 1:-1, 1:-1] = x
    ours = tf.nn.conv2d(framed, folded.kernel, 1, "VALID") + folded.bias
    np.testing.assert_allclose(ours, expected, atol=1e-11)


def test_float32_stays_and_arguments_are_not_changed():
    kernel = rng().standard_normal((3, 3, 5, 4)).astype(np.float32)
    before = kernel.copy()
    parameters = statistics(4)
    folded = fold_into_previous(kernel, np.ones(4), *parameters)
    assert folded.kernel.dtype == folded.bias.dtype == np.float32
    folded = fold_into_next(kernel, np.ones(4), *statistics(5))
    assert folded.kernel.dtype == folded.bias.dtype == np.float32
    for kind, shape in (("transposed", (3, 3, 4, 5)), ("depthwise", (3, 3, 2, 2))):
        folded = fold_into_previous(np.ones(shape, np.uint8), None, *parameters, kind=kind)
        assert folded.kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, before)


def test_folding_into_the_identity_is_the_normalization_itself():
    x, parameters = rng().standard_normal((3, 4)), statistics(4)
    folded = fold_into_previous(np.eye(4), None, *parameters, kind="dense")
    expected = batch_norm_inference(x, *parameters)
    np.testing.assert_allclose(x @ folded.kernel + folded.bias, expected, atol=1e-12)


def test_errors():
    kernel, parameters = np.ones((3, 3, 5, 4)), statistics(4)
    with pytest.raises(ValueError, match=r"kind must be one of \('convolution', .*, got 'pool'"):
        fold_into_previous(kernel, None, *parameters, kind="pool")
    with pytest.raises(ValueError, match=r"kernel must have at least 2 axes, got shape \(4,\)"):
        fold_into_previous(np.ones(4), None, *parameters)
    message = r"mean must have one value for each of the {} channels, got shape \(4,\)"
    with pytest.raises(ValueError, match=message.format(20)):
        fold_into_previous(kernel, None, *parameters, kind="depthwise")
    with pytest.raises(ValueError, match=message.format(5)):
        fold_into_previous(kernel, None, *parameters, kind="transposed")
    with pytest.raises(ValueError, match=message.format(5)):
        fold_into_next(kernel, None, *parameters)
    with pytest.raises(ValueError, match=r"bias must have one value for each of the 4 channels"):
        fold_into_previous(kernel, np.ones(5), *parameters)
    with pytest.raises(ValueError, match=r"bias must have one value for each of the 4 channels"):
        fold_into_next(kernel, np.ones(5), *statistics(5))
    with pytest.raises(ValueError, match=r"variance \+ epsilon must be positive, got \["):
        fold_into_previous(kernel, None, None, None, np.zeros(4), -np.ones(4))
