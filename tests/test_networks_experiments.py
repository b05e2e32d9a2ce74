"""The training loop of the experiments: softmax regression in NumPy, and runs that repeat."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlab.networks.experiments import Trainer, evaluate


def examples(count=40, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, 3))
    return images, images.argmax(axis=1)


def linear(**options):
    return keras.Sequential([keras.Input((3,)), layers.Dense(3, **options)])


def busy():
    """Return a network with everything a run must reset: moving statistics and dropped units."""
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def shuffled(epochs, batch_size, seed, count=40):
    """Yield the numbers of the examples of each step, every epoch in an order of its own."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        yield from rng.permutation(count).reshape(-1, batch_size)


def regression(images, labels, learning_rates, batches, momentum):
    """Softmax regression from zero: loss and accuracy before each step, the weights at the end."""
    weights, velocity = np.zeros((2, 3, 3))
    target, losses, hits = np.eye(3)[labels], [], []
    for rate, batch in zip(learning_rates, batches, strict=True):
        shares = softmax(images[batch] @ weights)
        losses.append(-np.log((shares * target[batch]).sum(axis=1)).mean())
        hits.append((shares.argmax(axis=1) == labels[batch]).mean())
        gradient = images[batch].T @ (shares - target[batch]) / len(batch)
        velocity = momentum * velocity - rate * gradient
        weights = weights + velocity
    return np.array(losses), np.array(hits), weights


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("batch_size", [8, 40])
def test_runs_follow_softmax_regression(batch_size, jit):
    images, labels = examples()
    trainer = Trainer(
        lambda: linear(use_bias=False, kernel_initializer="zeros"),
        *(images, labels),
        batch_size=batch_size,
        jit=jit,
    )
    for seed, rate in enumerate((0.5, 0.05)):  # a second run starts afresh, with its own rate
        history = trainer.run(seed=seed, epochs=6, learning_rate=rate)
        rates = np.full(6 * 40 // batch_size, rate)
        batches = shuffled(6, batch_size, seed)
        losses, hits, weights = regression(images, labels, rates, batches, momentum=0.9)
        assert history.loss.shape == (6, 40 // batch_size)
        np.testing.assert_allclose(history.loss.ravel(), losses, rtol=1e-5)
        np.testing.assert_allclose(history.accuracy.ravel(), hits, rtol=1e-6)
        np.testing.assert_allclose(trainer.model.get_weights()[0], weights, atol=1e-5)


@pytest.mark.parametrize("batch_size", [20, 40])
def test_a_schedule_gives_each_step_its_rate(batch_size):
    images, labels = examples()
    trainer = Trainer(
        lambda: linear(use_bias=False, kernel_initializer="zeros"),
        *(images, labels),
        batch_size=batch_size,
        optimizer=keras.optimizers.SGD,
    )
    rates = [0.0, 0.5, 0.5, 0.1, 0.0, 0.3]
    epochs = len(rates) * batch_size // 40
    *_, weights = regression(images, labels, rates, shuffled(epochs, batch_size, 0), momentum=0)
    for _ in range(2):  # a second run starts at the first rate again
        trainer.run(seed=0, epochs=epochs, learning_rate=rates.__getitem__)
        np.testing.assert_allclose(trainer.model.get_weights()[0], weights, atol=1e-5)


def test_all_runs_use_what_the_first_one_compiled():
    class Counting(Trainer):
        traced = 0

        def _train_step(self, batch):
            self.traced += 1
            return super()._train_step(batch)

    trainer = Counting(linear, *examples(), batch_size=4, steps=2)
    for seed, kind in enumerate((int, np.int32, np.uint8)):
        chosen = np.arange(8 + seed).astype(kind)
        trainer.run(seed=seed, epochs=1 + seed, learning_rate=0.1 + seed, subset=chosen)
    assert trainer.traced == 1


def test_a_subset_is_all_that_a_run_sees():
    images, labels = examples()
    chosen = np.array([3, 5, 8, 13, 21, 34, 2, 1])
    trainer = Trainer(linear, images, labels, batch_size=4, steps=2)
    part = trainer.run(seed=1, epochs=5, learning_rate=0.1, subset=chosen).loss
    weights = trainer.model.get_weights()
    alone = Trainer(linear, images[chosen], labels[chosen], batch_size=4)
    expected = alone.run(seed=1, epochs=5, learning_rate=0.1).loss
    np.testing.assert_allclose(part, expected, rtol=1e-5)
    np.testing.assert_allclose(weights[0], alone.model.get_weights()[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(part, trainer.run(seed=1, epochs=5, learning_rate=0.1).loss)


@pytest.mark.parametrize("jit", [False, True])
def test_runs_repeat_and_leave_nothing_behind(jit):
    trainer = Trainer(busy, *examples(), batch_size=8, optimizer=keras.optimizers.Adam, jit=jit)
    first, other, again = (
        trainer.run(seed=seed, epochs=3, learning_rate=0.01) for seed in (1, 2, 1)
    )
    np.testing.assert_array_equal(first.loss, again.loss)
    assert abs(first.loss - other.loss).max() > 1e-3
    weights = trainer.model.get_weights()
    fresh = Trainer(busy, *examples(), batch_size=8, optimizer=keras.optimizers.Adam, jit=jit)
    np.testing.assert_array_equal(fresh.run(seed=1, epochs=3, learning_rate=0.01).loss, first.loss)
    for ours, theirs in zip(weights, fresh.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def dropped():
    """Return a network that differs from run to run in the dropped units alone."""
    return keras.Sequential(
        [keras.Input((3,)), layers.Dropout(0.5), layers.Dense(3, kernel_initializer="zeros")]
    )


@pytest.mark.parametrize(
    ("make_model", "batch_size"),
    [
        (linear, 40),  # all examples in one batch: only the initial weights differ
        (lambda: linear(kernel_initializer="zeros"), 8),  # only the order
        (dropped, 40),  # only the dropped units
    ],
    ids=["initial weights", "order", "dropped units"],
)
def test_a_seed_sets_the_initial_weights_the_order_and_the_dropped_units(make_model, batch_size):
    trainer = Trainer(make_model, *examples(), batch_size=batch_size)
    first, other = (trainer.run(seed=seed, epochs=2, learning_rate=0.1).loss for seed in (0, 1))
    again = Trainer(make_model, *examples(), batch_size=batch_size)
    assert np.abs(first - other).max() > 1e-3
    np.testing.assert_array_equal(again.run(seed=1, epochs=2, learning_rate=0.1).loss, other)


def test_a_run_leaves_the_random_numbers_of_tensorflow_alone():
    tf.random.set_seed(7)
    expected = tf.random.normal((3,)), tf.random.normal((3,))
    tf.random.set_seed(7)
    first = tf.random.normal((3,))
    Trainer(dropped, *examples(), batch_size=40).run(seed=1, epochs=2, learning_rate=0.1)
    np.testing.assert_array_equal((first, tf.random.normal((3,))), expected)


def test_compiling_changes_rounding_only():
    curves = [
        Trainer(linear, *examples(), batch_size=8, jit=jit)
        .run(seed=0, epochs=2, learning_rate=0.1)
        .loss
        for jit in (False, True)
    ]
    np.testing.assert_allclose(*curves, rtol=1e-5)


def test_every_epoch_shuffles_and_drops_what_fills_no_batch():
    images = np.arange(10.0)[:, None]  # the loss of an example says which one it is

    def make_model():
        model = keras.Sequential([keras.Input((1,)), layers.Dense(2, trainable=False)])
        model.layers[-1].set_weights([np.array([[0.0, 1.0]]), np.zeros(2)])
        return model

    trainer = Trainer(make_model, images, np.zeros(10, int), batch_size=3)
    loss = trainer.run(seed=0, epochs=20, learning_rate=1.0).loss
    assert trainer.steps == 3
    assert loss.shape == (20, 3)
    each = np.log1p(np.exp(np.arange(10.0)))
    sums = 3 * loss.sum(axis=1)
    seen = [np.argmin(abs(each.sum() - total - each)) for total in sums]  # who was left out
    np.testing.assert_allclose(sums, each.sum() - each[seen], rtol=1e-5)
    assert len(set(seen)) > 3
    assert len(np.unique(loss.round(3))) > 20


def test_a_shorter_epoch_sees_some_of_the_examples():
    trainer = Trainer(linear, *examples(), batch_size=4, steps=3)
    short = trainer.run(seed=0, epochs=2, learning_rate=0.1).loss
    whole = Trainer(linear, *examples(), batch_size=4).run(seed=0, epochs=1, learning_rate=0.1).loss
    assert short.shape == (2, 3)
    np.testing.assert_array_equal(short[0], whole[0, :3])


def test_observe_sees_the_network_before_and_after_every_epoch():
    def weight(model):
        return model.get_weights()[0][0, 0]

    trainer = Trainer(linear, *examples(), batch_size=20)
    history = trainer.run(seed=3, epochs=4, learning_rate=0.1, observe=weight)
    keras.utils.set_random_seed(3)
    assert history.observed[0] == weight(linear())
    assert len(set(history.observed)) == 5
    assert history.observed[-1] == weight(trainer.model)
    assert trainer.run(seed=3, epochs=1, learning_rate=0.1).observed == []


def test_prepare_changes_the_weights_of_one_run():
    def silence(model):
        model.set_weights([0 * weight for weight in model.get_weights()])

    trainer = Trainer(linear, *examples(), batch_size=20)
    before = trainer.run(seed=0, epochs=1, learning_rate=0.1).loss
    prepared = trainer.run(
        seed=0, epochs=1, learning_rate=0.1, prepare=silence, observe=keras.Model.get_weights
    )
    assert not np.any(prepared.observed[0][0])
    assert prepared.loss[0, 0] == pytest.approx(np.log(3))
    np.testing.assert_array_equal(trainer.run(seed=0, epochs=1, learning_rate=0.1).loss, before)


def test_a_run_that_diverges_goes_on_and_the_next_one_is_sound():
    images, labels = examples()
    trainer = Trainer(linear, 1e30 * images, labels, batch_size=8)
    first, second = (trainer.run(seed=0, epochs=2, learning_rate=1e30) for _ in range(2))
    assert first.loss.shape == (2, 5)
    assert np.isfinite(first.loss[0, 0])
    assert not np.isfinite(first.loss[-1]).any()
    assert second.loss[0, 0] == first.loss[0, 0]


def test_evaluate_counts_all_examples_and_leaves_the_model_alone():
    images, labels = examples()
    keras.utils.set_random_seed(0)
    model = busy()
    before = [v.numpy() for v in model.variables]
    at_rest, training = (evaluate(model, images, labels, training=t) for t in (False, True))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    shares = softmax(model.predict(images, verbose=0))
    assert at_rest.loss == pytest.approx(-np.log(shares[np.arange(40), labels]).mean(), rel=1e-5)
    assert at_rest.accuracy == pytest.approx((shares.argmax(axis=1) == labels).mean())
    assert abs(training.loss - at_rest.loss) > 1e-2


BAD = {
    r"images must have the shape (n, ...) and labels (n,) with n > 0, got (3, 2) and (2,)": (
        np.ones((3, 2)),
        np.zeros(2, int),
    ),
    r"got (0, 2) and (0,)": (np.ones((0, 2)), np.zeros(0, int)),
    r"got (3,) and (3,)": (np.ones(3), np.zeros(3, int)),
    r"labels must be integers >= 0, got float64 from 0.0": (np.ones((3, 2)), np.zeros(3)),
    r"labels must be integers >= 0, got int64 from -1": (np.ones((3, 2)), np.array([0, 1, -1])),
    r"images must hold real numbers, got dtype <U1": (np.full((3, 2), "a"), np.zeros(3, int)),
}


@pytest.mark.parametrize("message", BAD)
def test_examples_that_do_not_match_are_refused(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Trainer(linear, *BAD[message], batch_size=1)
    with pytest.raises(ValueError, match=re.escape(message)):
        evaluate(linear(), *BAD[message])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"epochs": 0}, "epochs must be an integer >= 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be a positive number, got 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a positive number, got 'fast'"),
        ({"learning_rate": lambda t: -0.1}, "learning_rate must be a positive number, got -0.1"),
        ({"subset": [1, 2]}, "subset must be at least 40 integers, got int64 of shape (2,)"),
        ({"subset": np.arange(1, 41)}, "subset must lie from 0 to 39, got 40 at index 39"),
    ],
)
def test_arguments_of_a_run_are_checked(options, message):
    trainer = Trainer(linear, *examples(), batch_size=8)
    with pytest.raises(ValueError, match=re.escape(message)):
        trainer.run(**{"seed": 0, "epochs": 1, "learning_rate": 0.1} | options)


def test_batches_and_scores_must_fit_the_examples():
    with pytest.raises(ValueError, match="images must fill 1 batches of 64, got 40 of them"):
        Trainer(linear, *examples())
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        Trainer(linear, *examples(), batch_size=0)
    with pytest.raises(ValueError, match="images must fill 6 batches of 8, got 40 of them"):
        Trainer(linear, *examples(), batch_size=8, steps=6)
    with pytest.raises(ValueError, match="steps must be an integer >= 1, got 0"):
        Trainer(linear, *examples(), batch_size=8, steps=0)
    narrow = Trainer(
        lambda: keras.Sequential([keras.Input((3,)), layers.Dense(2)]), *examples(), batch_size=8
    )
    with pytest.raises(
        ValueError, match=re.escape("at least 3 scores for each image, got outputs of shape (8, 2)")
    ):
        narrow.run(seed=0, epochs=1, learning_rate=0.1)
