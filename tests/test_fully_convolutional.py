"""A fully convolutional model against the classifier it was made of, slid window by window."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.fully_convolutional import dense_to_conv
from cvlab.sliding_window import window_patches

RNG = np.random.default_rng(0)


def with_random_weights(model):
    """Give every weight a value that is not the initial one, statistics included."""
    weights = [
        RNG.uniform(0.2, 0.9, w.shape) * RNG.choice([-1, 1], w.shape) for w in model.get_weights()
    ]
    model.set_weights([w if w.ndim > 1 else np.abs(w) for w in weights])
    return model


def flattening():
    return [
        keras.Input((13, 17, 3)),
        layers.Rescaling(2.0, offset=-1),
        layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(6, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(3, activation="softmax"),
    ], 2


def pooling(kind):
    return [
        keras.Input((13, 17, 3)),
        layers.Conv2D(4, 3, strides=2, activation="relu"),
        kind(),
        layers.Dense(5, activation="tanh"),
        layers.Dense(2),
        layers.Softmax(),
    ], 2


MODELS = [
    flattening(),
    pooling(layers.GlobalAveragePooling2D),
    pooling(layers.GlobalMaxPooling2D),
    ([keras.Input((13, 17, 3)), layers.Flatten(), layers.Dense(2)], 1),
    (
        [
            keras.Input((13, 17, 3)),
            layers.Conv2D(4, 5, strides=3),
            layers.Flatten(),
            layers.Dense(2),
        ],
        3,
    ),
]


@pytest.mark.parametrize(("stack", "stride"), MODELS)
def test_every_place_is_the_classifier_on_its_window(stack, stride):
    model = with_random_weights(keras.Sequential(stack))
    convolutional = dense_to_conv(model)
    image = RNG.random((25, 30, 3)).astype(np.float32)
    scores = convolutional(image[None])[0]
    patches = window_patches(image, (13, 17), stride)
    expected = model.predict(patches.reshape(-1, 13, 17, 3), verbose=0)
    expected = expected.reshape(*patches.shape[:2], -1)
    assert (np.subtract(scores.shape[:2], patches.shape[:2]) <= [1, 1]).all()
    scores = scores[: len(expected), : expected.shape[1]]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    assert scores.shape == expected.shape  # at least as many places as windows
    assert np.ptp(expected, axis=(0, 1)).max() > 1e-3  # the windows do differ


def test_functional_nested_and_repeated_layers():
    body = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(3, 3, name="conv")])
    image, relu = keras.Input((14, 14, 1)), layers.ReLU()
    x = relu(body(relu(layers.Conv2D(3, 3, name="conv")(image))))
    model = with_random_weights(keras.Model(image, layers.Dense(2)(layers.Flatten()(x))))
    window = RNG.random((2, 14, 14, 1)).astype(np.float32)
    scores = dense_to_conv(model)(window)
    assert scores.shape == (2, 1, 1, 2)
    np.testing.assert_allclose(scores[:, 0, 0], model(window), rtol=1e-5, atol=1e-5)


def test_the_model_is_left_as_it_was_and_shares_nothing():
    model = with_random_weights(keras.Sequential(flattening()[0]))
    before = [w.copy() for w in model.get_weights()]
    config = model.to_json()
    convolutional = dense_to_conv(model)
    convolutional.set_weights([0 * w for w in convolutional.get_weights()])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert model.to_json() == config
    assert convolutional.count_params() == model.count_params()


def test_a_dense_layer_on_7x7x100_is_a_convolution_with_4900_products():
    """Claim C41: 200 units on a 7x7x100 map are 200 filters of 7x7."""
    model = keras.Sequential([keras.Input((7, 7, 100)), layers.Flatten(), layers.Dense(200)])
    conv = dense_to_conv(model).layers[-1]
    assert conv.kernel.shape == (7, 7, 100, 200)
    assert np.prod(conv.kernel.shape[:3]) == 4900


def test_one_prediction_becomes_64_at_twice_the_size():
    """Claim C42: strides of 32 in all, a window of 224 pixels, an image of 448 pixels."""
    stack = [layers.MaxPooling2D(2) for _ in range(5)]
    stack = [keras.Input((224, 224, 3)), *stack, layers.Flatten(), layers.Dense(10)]
    shape = dense_to_conv(keras.Sequential(stack)).compute_output_shape((1, 448, 448, 3))
    assert shape == (1, 8, 8, 10)


def test_errors():
    image = keras.Input((8, 8, 2))
    branch = layers.Add()([layers.Conv2D(2, 1)(image), image])
    branched = keras.Model(image, layers.Dense(2)(layers.Flatten()(branch)))
    with pytest.raises(ValueError, match=r"model must be a chain of layers, got 'add.*'"):
        dense_to_conv(branched)
    with pytest.raises(ValueError, match="model must flatten its map or pool it globally"):
        dense_to_conv(keras.Sequential([keras.Input((8, 8, 2)), layers.Dense(2)]))
    open_size = [keras.Input((None, None, 2)), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    message = r"model must take images of a fixed size .*, got \(None, None, None, 2\)"
    with pytest.raises(ValueError, match=message):
        dense_to_conv(keras.Sequential(open_size))
    for wrong in (layers.BatchNormalization(), layers.Reshape((4, 32))):
        stack = [keras.Input((8, 8, 2)), layers.Flatten(), wrong]
        message = f"after its map is flat, got {type(wrong).__name__} '{wrong.name}'"
        with pytest.raises(ValueError, match=message):
            dense_to_conv(keras.Sequential(stack))
