"""Effective fields of Keras models, against closed formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlab.effective_field import fit_gaussian, mass_inside, uniform_width
from cvlab.layer_geometry import Layer
from cvlab.networks.effective_field import (
    effective_field,
    gradient_map,
    measured_field,
    positive_copy,
)
from cvlab.networks.receptive_field import model_unit_interval


def chain(depth, kernel=3, size=41, channels=1, seed=None):
    """A stack of valid convolutions, all weights 1 or drawn from a normal distribution."""
    convolutions = []
    for layer in range(depth):
        weights = "ones"
        if seed is not None:
            weights = keras.initializers.RandomNormal(stddev=0.1, seed=1000 * seed + layer)
        convolutions.append(
            layers.Conv2D(channels, kernel, use_bias=False, kernel_initializer=weights)
        )
    return keras.Sequential([keras.Input((size, size, 1)), *convolutions])


def random_images(count=1, size=41, channels=1):
    shape = (count, size, size, channels)
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize(("depth", "kernel"), [(1, 5), (6, 3), (8, 5)])
def test_equal_weights_have_the_width_of_the_closed_form(depth, kernel):
    field = gradient_map(chain(depth, kernel), random_images())
    centre, width = fit_gaussian(field)
    np.testing.assert_allclose(width, uniform_width([Layer(kernel)] * depth), rtol=1e-5)
    np.testing.assert_allclose(centre, (20, 20), rtol=1e-5)


def test_random_weights_have_that_width_in_the_mean_square():
    models = (chain(6, size=21, channels=8, seed=seed) for seed in range(12))
    field = effective_field(models, random_images(size=21), power=2)
    _, width = fit_gaussian(field)
    assert field.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(width, uniform_width([Layer(3)] * 6), rtol=0.06)


def test_a_network_counts_the_same_whatever_the_scale_of_its_gradient():
    small, large = chain(1, kernel=1, size=5), chain(1, kernel=3, size=5)
    large.set_weights([1000.0 * w for w in large.get_weights()])
    field = effective_field([small, large], random_images(size=5), unit=(0, 0))
    assert field[0, 0] == pytest.approx(0.5 * (1 + 1 / 9))
    assert field[2, 2] == pytest.approx(0.5 / 9)


def test_the_gradient_is_that_of_one_unit():
    """Against central differences of the sum over the channels of the unit."""
    model = keras.Sequential(
        [keras.Input((6, 5, 2)), layers.Conv2D(3, 3, activation="tanh"), layers.Conv2D(2, 2)]
    )
    x = random_images(size=6, channels=2)[:, :, :5]
    step = 1e-2
    expected = np.zeros((6, 5, 2))
    for index in np.ndindex(6, 5, 2):
        moved = np.repeat(x, 2, axis=0)
        moved[(0, *index)] += step
        moved[(1, *index)] -= step
        above, below = model(moved).numpy()[:, 2, 1].sum(axis=1)
        expected[index] = (above - below) / (2 * step)
    ours = gradient_map(model, x, unit=(2, 1))
    np.testing.assert_allclose(ours, np.abs(expected).mean(axis=-1), atol=1e-3)
    squares = gradient_map(model, x, unit=(2, 1), power=2)
    np.testing.assert_allclose(squares, (expected**2).mean(axis=-1), atol=1e-3)


def test_images_are_averaged_one_by_one():
    model = keras.Sequential([keras.Input((7, 7, 1)), layers.Conv2D(4, 5, activation="tanh")])
    x = random_images(3, size=7)
    each = [gradient_map(model, x[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(gradient_map(model, x), np.mean(each, axis=0), rtol=1e-5)


def test_the_middle_unit_is_the_default_and_dropout_is_off():
    model = keras.Sequential(
        [
            keras.Input((9, 9, 1)),
            layers.Conv2D(1, 3, kernel_initializer="ones"),
            layers.Dropout(0.9),
        ]
    )
    field = gradient_map(model, random_images(size=9))
    np.testing.assert_array_equal(np.argwhere(field)[[0, -1]], [[3, 3], [5, 5]])
    np.testing.assert_array_equal(field, gradient_map(model, random_images(size=9), unit=(3, 3)))


def test_dead_units_hide_pixels_and_the_positive_copy_does_not():
    """ReLU and maximum pooling pass no gradient from where they are 0 or lose."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(
                1, 3, activation="relu", bias_initializer=keras.initializers.Constant(-9)
            ),
            layers.MaxPooling2D(3),
        ]
    )
    assert not gradient_map(model, random_images(size=12), (1, 1)).any()
    seen = measured_field(model, (1, 1))
    (top, bottom), (left, right) = model_unit_interval(model, (1, 1))
    assert seen[top:bottom, left:right].all()
    assert seen.sum() == (bottom - top) * (right - left) == 25
    with pytest.raises(ValueError, match="models must depend on the image, got a gradient of zero"):
        effective_field([model], random_images(size=12), (1, 1))


@pytest.mark.parametrize(
    "saturating",
    [
        layers.Activation("relu6"),
        layers.ReLU(max_value=6),
        layers.Conv2D(1, 1, activation="softmax"),
        layers.Conv2D(2, 1, activation="relu6"),
    ],
)
def test_saturated_units_do_not_hide_pixels(saturating):
    image = keras.Input((7, 7, 2))
    x = image
    for _ in range(4):  # as the sums of a residual network grow
        x = layers.Add()([x, x])
    model = keras.Model(image, layers.Conv2D(2, 3)(saturating(x)))
    assert measured_field(model, (0, 0)).sum() == 9


def test_deep_networks_do_not_underflow():
    deep = chain(40, size=91)
    assert measured_field(deep).sum() == 81**2


def test_the_positive_copy_keeps_what_the_field_depends_on():
    block = keras.Sequential([keras.Input((None, None, 2)), layers.DepthwiseConv2D(3, 2, "same")])
    image = keras.Input((9, 9, 2))
    x = layers.BatchNormalization()(layers.MaxPooling2D(3, 2, "same")(block(image)))
    model = keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(x))
    copy = positive_copy(model, np.random.default_rng(0))
    assert copy.output_shape == model.output_shape
    pooling = copy.layers[2]
    assert isinstance(pooling, layers.AveragePooling2D)
    assert (pooling.pool_size, pooling.strides, pooling.padding) == ((3, 3), (2, 2), "same")
    kernels = [w for w in copy.get_weights() if w.ndim > 1]
    assert len(kernels) == 2
    assert all(w.dtype == np.float64 and w.min() > 0 for w in kernels)
    assert isinstance(model.layers[2], layers.MaxPooling2D)


def test_a_gate_lets_mass_in_from_outside_the_theoretical_field():
    image = keras.Input((21, 21, 1))
    x = layers.Conv2D(4, 3, padding="same", kernel_initializer="ones")(image)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    model = keras.Model(image, layers.Multiply()([x, gate]))
    field = gradient_map(model, random_images(size=21))
    inside = mass_inside(field, model_unit_interval(model, (10, 10)))
    assert 0.4 < inside < 0.6  # d(x g) = g dx + x dg, and for equal pixels both are alike
    alone = keras.Model(image, x)
    assert mass_inside(gradient_map(alone, random_images(size=21)), ((9, 12), (9, 12))) == 1.0


def test_the_gradient_needs_no_float32_input():
    model = chain(2, size=9)
    copy = positive_copy(model, np.random.default_rng(0))
    assert copy(tf.ones((1, 9, 9, 1), tf.float64)).dtype == tf.float64
    seen = measured_field(model, (0, 0), rng=np.random.default_rng(7))
    assert seen.sum() == 25


def test_errors():
    model = chain(1, size=9)
    with pytest.raises(ValueError, match=r"images must have 4 axes .* got shape \(9, 9, 1\)"):
        gradient_map(model, np.ones((9, 9, 1)))
    with pytest.raises(ValueError, match=r"unit must lie in a map of \(7, 7\) units, got \(7, 0\)"):
        gradient_map(model, random_images(size=9), unit=(7, 0))
    flat = keras.Sequential([keras.Input((9, 9, 1)), layers.Flatten()])
    with pytest.raises(ValueError, match=r"model must return one map .* shape \(1, 81\)"):
        gradient_map(flat, random_images(size=9))
    with pytest.raises(ValueError, match="models must hold at least one model, got none"):
        effective_field([], random_images(size=9))
    with pytest.raises(ValueError, match="power must be an integer >= 1, got 0"):
        gradient_map(model, random_images(size=9), power=0)
