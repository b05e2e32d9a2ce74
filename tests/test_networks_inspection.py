"""Activations, exciting patches and occlusion: against Keras, closed forms and brute force."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.graph import walk
from cvlab.networks.inspection import activations, exciting_patches, occlusion_map


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(3)


def images(count=4, size=(14, 12), channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *size, channels)).astype(np.float32)


def stack(activation=None):
    return keras.Sequential(
        [
            keras.Input((14, 12, 2)),
            layers.Conv2D(5, 3, activation="relu", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Dropout(0.5),
            layers.Conv2D(4, 3, name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation=activation, name="scores"),
        ]
    )


def test_activations_are_those_of_keras():
    model = stack()
    names = ["second", "first", "pool"]
    outputs = [model.get_layer(name).output for name in names]
    expected = keras.Model(model.inputs, outputs).predict(images(), verbose=0)
    found = activations(model, images(), names, batch_size=3)
    assert list(found) == names
    for name, array in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


def test_one_name_and_any_size():
    conv = layers.Conv2D(3, 3, strides=2, padding="same", name="conv")
    model = keras.Sequential([keras.Input((None, None, 2)), conv])
    assert activations(model, images(2), "conv")["conv"].shape == (2, 7, 6, 3)


def test_layers_of_models_inside_the_model_and_of_a_shared_layer():
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    block = keras.Sequential([keras.Input((14, 12, 2)), conv], name="block")
    image = keras.Input((14, 12, 2))
    model = keras.Model(image, block(block(image)))
    x = images()
    once = conv(x).numpy()
    names = [node.name for node in walk(model)][1:]
    assert len(names) == 2
    found = activations(model, x, names)
    np.testing.assert_allclose(found[names[0]], once, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[names[1]], conv(once), rtol=1e-4, atol=1e-5)


def test_an_empty_batch_gives_empty_maps():
    assert activations(stack(), images()[:0], "pool")["pool"].shape == (0, 6, 5, 5)


def test_the_model_is_as_before():
    model = stack()
    weights = [w.copy() for w in model.get_weights()]
    activations(model, images(), ["first", "norm"])
    occlusion_map(model, images()[0], 0, window=7)
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))


def test_the_strongest_patches_are_those_of_a_search():
    model, x = stack(), images()
    maps = activations(model, x, "second")["second"][..., 2]
    found = exciting_patches(model, x, "second", 2, count=5, per_image=None)
    np.testing.assert_allclose([p.activation for p in found], np.sort(maps.ravel())[:-6:-1])
    for patch in found:
        assert maps[(patch.image, *patch.unit)] == patch.activation


def test_one_patch_an_image_unless_more_are_wanted():
    model, x = stack(), images()
    maps = activations(model, x, "second")["second"][..., 0]
    found = exciting_patches(model, x, "second", 0)
    assert [p.image for p in found] == np.argsort(-maps.max(axis=(1, 2))).tolist()
    twice = exciting_patches(model, x, "second", 0, per_image=2)
    assert sorted(p.image for p in twice) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_patch_holds_exactly_what_the_unit_sees():
    """Through the same layers, the patch alone gives one unit with the same activation."""
    model, x = stack(), images()
    for patch in exciting_patches(model, x, "second", 1, count=3):
        assert patch.pixels.shape == (8, 8, 2)
        alone = keras.Sequential([keras.Input((8, 8, 2)), *model.layers[:5]])
        np.testing.assert_allclose(
            alone(patch.pixels[np.newaxis])[0, 0, 0, 1], patch.activation, rtol=1e-4, atol=1e-5
        )
        rows, columns = slice(*patch.rows), slice(*patch.columns)
        assert np.array_equal(patch.pixels, x[patch.image, rows, columns])


def test_patches_are_clipped_at_the_border_and_cut_from_the_originals():
    conv = layers.Conv2D(1, 5, padding="same", name="conv", kernel_initializer="ones")
    model = keras.Sequential([keras.Input((6, 6, 1)), conv])
    x = np.zeros((1, 6, 6, 1))
    x[0, 0, 5] = 1
    originals = np.arange(36, dtype=np.uint8).reshape(1, 6, 6)
    patch = exciting_patches(model, x, "conv", 0, originals=originals)[0]
    assert (patch.rows, patch.columns) == ((0, 3), (1, 6))  # the first of equals: unit (0, 3)
    assert np.array_equal(patch.pixels, originals[0, :3, 1:])


def test_occlusion_of_a_linear_model_has_a_closed_form():
    weights = np.random.default_rng(1).normal(size=(6, 8, 2))
    dense = layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.Input((6, 8, 2)), layers.Flatten(), dense])
    dense.set_weights([weights.reshape(-1, 1)])
    x = images(1, (6, 8))[0]
    drops = occlusion_map(model, x, 0, window=(2, 3), stride=(2, 1), fill=[0.5, -1.0])
    assert drops.shape == (3, 6)
    change = weights * (x - [0.5, -1.0])
    for i, j in np.ndindex(3, 6):
        expected = change[2 * i : 2 * i + 2, j : j + 3].sum()
        np.testing.assert_allclose(drops[i, j], expected, rtol=1e-4, atol=1e-5)


def test_occlusion_takes_the_score_before_softmax_and_any_function():
    linear, squashed = stack(), stack("softmax")
    squashed.set_weights(linear.get_weights())
    x = images()[0]
    options = dict(window=6, stride=4, batch_size=2)
    expected = occlusion_map(linear, x, 1, **options)
    np.testing.assert_allclose(occlusion_map(squashed, x[None], 1, **options), expected, atol=1e-6)
    by_function = occlusion_map(squashed, x, lambda scores: scores[:, 1], **options)
    np.testing.assert_allclose(by_function, expected, atol=1e-6)


def test_the_stride_is_half_of_the_window_unless_given():
    x = images()[0]
    assert occlusion_map(stack(), x, 0, window=(6, 1)).shape == (3, 12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: activations(m, x[..., :1], "first"), r"\(batch, 14, 12, 2\)"),
        (lambda m, x: activations(m, x[0], "first"), "images must have the shape"),
        (lambda m, x: activations(m, x, "frist"), "'first'"),
        (lambda m, x: activations(m, x, []), "at least one"),
        (lambda m, x: activations(m, x, "scores"), "more than one position"),
        (lambda m, x: activations(m, x, "first", batch_size=0), "batch_size"),
        (lambda m, x: exciting_patches(m, x, "first", 5), r"0\.\.4, got 5"),
        (lambda m, x: exciting_patches(m, x, "first", 0, count=0), "count"),
        (lambda m, x: exciting_patches(m, x, "first", 0, originals=x[:2]), "originals"),
        (lambda m, x: occlusion_map(m, x, 0, window=3), "one image"),
        (lambda m, x: occlusion_map(m, x[0], 3, window=3), "must be a class"),
        (lambda m, x: occlusion_map(m, x[0], 0, window=13), "window must fit"),
        (lambda m, x: occlusion_map(m, x[0], lambda s: s, window=7), "one number"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(stack(), images())


def test_a_model_with_two_inputs_is_refused():
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    model = keras.Model([a, b], layers.Add(name="sum")([a, b]))
    with pytest.raises(ValueError, match="2 inputs"):
        activations(model, np.zeros((1, 4, 4, 1)), "sum")
