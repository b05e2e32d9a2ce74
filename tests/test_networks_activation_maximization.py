"""Gradient ascent on the input: closed forms of linear models, seeds, fields, errors."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.activation_maximization import maximize_activation
from cvlab.networks.inspection import activations

PLAIN = dict(jitter=0, smoothness=(0, 0))


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(1)


def model(size=(16, 16)):
    return keras.Sequential(
        [
            keras.Input((*size, 1)),
            layers.Conv2D(4, 3, activation="tanh", name="first"),
            layers.Conv2D(3, 3, name="second"),
        ]
    )


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_linear_unit_is_driven_to_the_ends_of_the_range():
    weights = rng(2).normal(size=(3, 3, 2, 1))
    conv = layers.Conv2D(1, 3, use_bias=False, name="conv")
    linear = keras.Sequential([keras.Input((3, 4, 2)), conv])
    conv.set_weights([weights])
    options = dict(unit=(0, 1), value_range=(-1, 3), steps=400, **PLAIN)
    found = maximize_activation(linear, "conv", 0, rng(), **options)
    seen = found.image[:, 1:]
    np.testing.assert_array_equal(seen, np.where(weights[..., 0] > 0, 3, -1))
    np.testing.assert_allclose(found.activation[-1], (seen * weights[..., 0]).sum(), 1e-5)


def test_the_activation_climbs_and_is_that_of_the_image():
    net = model()
    found = maximize_activation(net, "second", 1, rng(), steps=20)
    assert found.activation.shape == (21,)
    assert found.activation[-1] > found.activation[0] + 0.02
    mean = activations(net, found.image[None], "second")["second"][..., 1].mean()
    np.testing.assert_allclose(found.activation[-1], mean, rtol=1e-5)
    assert found.image.dtype == np.float32
    assert 0 <= found.image.min() <= found.image.max() <= 1


def test_one_unit_changes_its_field_only():
    start = maximize_activation(model(), "second", 0, rng(), unit=(3, 5), steps=0).image
    found = maximize_activation(model(), "second", 0, rng(), unit=(3, 5), steps=5, **PLAIN).image
    changed = np.argwhere((found != start)[..., 0])
    assert changed.min(axis=0).tolist() == [3, 5]
    assert changed.max(axis=0).tolist() == [7, 9]


def test_jitter_and_blur_give_smoother_images():
    rough = maximize_activation(model(), "second", 0, rng(), steps=20, **PLAIN).image
    smooth = maximize_activation(model(), "second", 0, rng(), steps=20, smoothness=(2, 1)).image
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.5 * np.abs(np.diff(rough, axis=0)).mean()


def test_the_generator_decides():
    net = model()
    images = [maximize_activation(net, "second", 0, rng(s), steps=4).image for s in (0, 0, 1)]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_an_open_size_must_be_given():
    net = model((None, None))
    assert maximize_activation(net, "first", 0, rng(), size=(9, 12), steps=1).image.shape == (
        9,
        12,
        1,
    )
    with pytest.raises(ValueError, match="size must be given"):
        maximize_activation(net, "first", 0, rng())


def test_a_dead_unit_leaves_the_image_alone():
    conv = layers.Conv2D(1, 3, kernel_initializer="zeros", name="conv")
    net = keras.Sequential([keras.Input((5, 5, 1)), conv])
    found = maximize_activation(net, "conv", 0, rng(), steps=3)
    assert np.isfinite(found.image).all()
    np.testing.assert_array_equal(found.activation, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(channel=3), r"channel must be in 0\.\.2, got 3"),
        (dict(unit=(12, 0)), "unit must lie in the map"),
        (dict(rng=0), "Generator"),
        (dict(value_range=(1, 1)), "value_range"),
        (dict(step_size=0), "step_size"),
        (dict(smoothness=(1, -1)), "smoothness"),
        (dict(steps=-1), "steps"),
        (dict(jitter=-1), "jitter"),
        (dict(layer="third"), "'second'"),
        (dict(size=8), "images must have the shape"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    arguments = dict(layer="second", channel=0, rng=rng(), steps=1) | options
    with pytest.raises(ValueError, match=message):
        maximize_activation(model(), **arguments)


def test_a_model_without_images_is_refused():
    net = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="dense")])
    with pytest.raises(ValueError, match="more than one position"):
        maximize_activation(net, "dense", 0, rng())
