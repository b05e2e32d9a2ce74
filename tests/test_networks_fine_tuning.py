"""Runs start from the same weights, follow Adam's rule, and leave frozen statistics alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlab.linear_head import LinearHead
from cvlab.networks.fine_tuning import FineTuner, _pointwise_products

CLASSES, CHANNELS = 3, 4
OPTIONS = {"steps": 3, "learning_rate": 0.01, "seed": 0}


def make_network():
    keras.utils.set_random_seed(1)
    steps = [layers.Conv2D(CHANNELS, 3), layers.BatchNormalization(), layers.ReLU()]
    network = keras.Sequential([keras.Input((6, 6, 2)), *steps, layers.GlobalAveragePooling2D()])
    network.layers[1].moving_mean.assign([0.1, -0.2, 0.3, 0.0])
    return network


def make_pointwise_network():
    """Four 1 x 1 convolutions, of which the first two use all channels everywhere."""
    keras.utils.set_random_seed(2)
    steps = [layers.Conv2D(CHANNELS, 1, activation="relu"), layers.Conv2D(CHANNELS, 1)]
    steps += [layers.Conv2D(CHANNELS, 1, strides=2), layers.Conv2D(CHANNELS, 1, groups=2)]
    steps += [layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((6, 6, 2)), *steps])


def examples(count=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6, 6, 2)).astype(np.float32), np.arange(count) % CLASSES


def make_head(seed=0):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(CHANNELS, CLASSES)).astype(np.float32)
    return LinearHead(kernel, rng.normal(size=CLASSES).astype(np.float32))


def weights(model):
    return [weight.numpy() for weight in model.weights]


def test_the_first_loss_is_that_of_the_given_head_on_the_frozen_network():
    images, labels = examples(count=4)
    network, head = make_network(), make_head()
    scores = head.scores(network(images, training=False).numpy())
    expected = keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True)
    tuner = FineTuner(network, CLASSES, batch_size=4)  # the batch holds all examples once
    losses = tuner.run(images, labels, head, **OPTIONS)
    assert np.isclose(losses[0], np.mean(expected), atol=1e-5)
    assert losses.shape == (3,)


@pytest.mark.parametrize(
    ("make", "trained"),  # kernels and biases of convolutions and head, no scale or shift
    [(make_network, 4), (make_pointwise_network, 10)],
)
def test_one_step_is_a_step_of_adam_on_kernels_and_head(make, trained):
    images, labels = examples(count=4)
    network, head = make(), make_head()
    reference = keras.Sequential([make(), layers.Dense(CLASSES)])
    reference.build((None, 6, 6, 2))
    reference.layers[1].set_weights(head)
    for layer in reference.layers[0].layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    with tf.GradientTape() as tape:
        scores = reference(images, training=False)
        loss = keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True)
        loss = tf.reduce_mean(loss)
    variables = reference.trainable_variables
    gradients = [g.numpy() for g in tape.gradient(loss, variables)]
    assert len(gradients) == trained
    before = [v.numpy() for v in variables]
    tuner = FineTuner(network, CLASSES, batch_size=4)
    tuner.run(images, labels, head, steps=1, learning_rate=0.01, seed=0)
    after = [v.numpy() for v in tuner.model.trainable_variables]
    for start, gradient, end in zip(before, gradients, after, strict=True):
        # Adam's first step; Keras adds epsilon before it corrects the second moment.
        step = 0.01 * gradient / (np.abs(gradient) + 1e-7 / np.sqrt(1 - 0.999))
        assert np.allclose(end, start - step, atol=1e-5)


def test_only_plain_pointwise_convolutions_are_written_as_products_and_only_in_the_step():
    before = keras.layers.Conv2D.convolution_op
    tuner = FineTuner(make_pointwise_network(), CLASSES, batch_size=4)
    images, labels = examples(count=4)
    graph = tuner._step.get_concrete_function(images, labels).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("Conv2D") == 1  # that with a stride; Keras runs groups in a function
    assert keras.layers.Conv2D.convolution_op is before


def test_a_convolution_with_channels_first_is_none_of_those_products():
    layer = layers.Conv2D(2, 1, data_format="channels_first")
    layer.build((4, 6, 6, 6))

    @tf.function(input_signature=[tf.TensorSpec((4, 6, 6, 6))])
    def call(images):
        with _pointwise_products():
            return layer(images)

    kinds = [operation.type for operation in call.get_concrete_function().graph.get_operations()]
    assert "Conv2D" in kinds


def test_an_error_while_the_step_is_traced_puts_the_convolution_back():
    before = keras.layers.Conv2D.convolution_op
    with pytest.raises(ZeroDivisionError), _pointwise_products():
        1 / 0  # noqa: B018
    assert keras.layers.Conv2D.convolution_op is before


def test_runs_start_anew_and_only_the_seed_decides():
    tuner, data, head = FineTuner(make_network(), CLASSES, batch_size=4), examples(), make_head()
    first = tuner.run(*data, head, **OPTIONS)
    end = weights(tuner.model)
    other = tuner.run(*data, head, **{**OPTIONS, "seed": 1})
    again = tuner.run(*data, head, **OPTIONS)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert all(np.array_equal(a, b) for a, b in zip(end, weights(tuner.model), strict=True))


def test_normalizations_stay_as_they_were_and_restore_undoes_the_rest():
    network = make_network()
    start = weights(network)
    frozen = [weight.numpy() for weight in network.layers[1].weights]
    tuner = FineTuner(network, CLASSES, batch_size=4)
    tuner.run(*examples(), make_head(), **OPTIONS)
    for weight, before in zip(network.layers[1].weights, frozen, strict=True):
        assert np.array_equal(weight.numpy(), before)
    assert not np.allclose(weights(network)[0], start[0])
    tuner.restore()
    assert all(np.array_equal(a, b) for a, b in zip(weights(network), start, strict=True))


def test_every_example_is_used_before_one_comes_again():
    images = np.zeros((5, 6, 6, 2), np.float32)
    labels = np.arange(5) % CLASSES
    tuner, seen = FineTuner(make_network(), CLASSES, batch_size=2), []
    tuner._step = lambda images, labels: seen.append((images[:, 0, 0, 0], labels)) or 0.0
    images[:, 0, 0, 0] = np.arange(5)
    tuner.run(images, labels, make_head(), steps=5, learning_rate=0.01, seed=0)
    order = np.concatenate([values for values, _ in seen])
    assert sorted(order[:5]) == sorted(order[5:]) == [0, 1, 2, 3, 4]
    assert all((labels[values.astype(int)] == kept).all() for values, kept in seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be an integer >= 1"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"learning_rate": 0}, "learning_rate must be a positive number, got 0"),
        ({"labels": [0, 1]}, "labels n integers"),
        ({"labels": [0, 1, 3]}, r"labels must lie in 0..2, got 0 to 3"),
        ({"labels": [0, 1, -1]}, r"labels must lie in 0..2, got -1 to 1"),
        ({"head": LinearHead(np.zeros((5, 3)), np.zeros(3))}, r"shape \(4, 3\), got \(5, 3\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    tuner = FineTuner(make_network(), CLASSES, batch_size=2)
    images, labels = examples(count=3)
    good = {"images": images, "labels": labels, "head": make_head(), **OPTIONS}
    with pytest.raises(ValueError, match=message):
        tuner.run(**{**good, **arguments})


def test_a_network_must_end_in_features():
    network = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(3, 3)])
    with pytest.raises(ValueError, match=r"features \(batch, C\), got \(None, 4, 4, 3\)"):
        FineTuner(network, CLASSES)
