"""How long models take, and models that are only counted and timed."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlab.networks import latency as latency_module
from cvlab.networks.cost_report import cost_report
from cvlab.networks.latency import measure_latency, measure_layers, zero_weights


def test_latency_is_that_of_the_rounds_alone(monkeypatch):
    clock = itertools.accumulate([0, 5, 0, 1, 0, 3])  # three rounds of 5, 1 and 3 seconds
    monkeypatch.setattr(latency_module.time, "perf_counter", lambda: next(clock))
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    sizes = []
    monkeypatch.setattr(model, "predict_on_batch", lambda images: sizes.append(images.shape))
    latency = measure_latency(model, (8, 9), batch=2, rounds=3)
    assert latency == (3, 1, 5)
    assert sizes == [(2, 8, 9, 3)] * 4


def test_latency_of_several_inputs_and_bad_arguments():
    a, b = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    model = keras.Model([a, b], layers.Add()([a, b]))
    assert measure_latency(model, rounds=1).median > 0
    with pytest.raises(ValueError, match=r"rounds must be an integer >= 1, got 0"):
        measure_latency(model, rounds=0)
    with pytest.raises(ValueError, match=r"batch must be an integer >= 1, got -1"):
        measure_latency(model, batch=-1)
    anything = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv")])
    with pytest.raises(ValueError, match=r"got \(2, 2\): 'conv' of class Conv2D gets \(2, 2, 3\)"):
        measure_latency(anything, (2, 2))


def test_models_that_are_only_counted_need_no_random_numbers():
    drawn = ["glorot_uniform", "he_normal", "lecun_uniform", "truncated_normal", "random_normal"]
    drawn += ["random_uniform", "orthogonal"]
    steps = [layers.Dense(4, kernel_initializer=name) for name in drawn]

    def weights():
        model = keras.models.clone_model(keras.Sequential([keras.Input((4,)), *steps]))
        return [layer.kernel.numpy() for layer in model.layers]

    with zero_weights():
        assert not any(kernel.any() for kernel in weights())
    assert all(kernel.any() for kernel in weights())  # put back


def test_a_report_measures_only_if_it_is_asked_to(monkeypatch):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    ran = []
    monkeypatch.setattr(model, "predict_on_batch", lambda images: ran.append(images.shape))
    assert cost_report(model).latency is None
    assert ran == []
    latency = cost_report(model, batch=5, rounds=2).latency
    assert 0 < latency.fastest <= latency.median <= latency.slowest
    assert ran == [(5, 8, 8, 3)] * 3
    with pytest.raises(ValueError, match="rounds must be an integer >= 0, got -1"):
        cost_report(model, rounds=-1)


class Slow(layers.Layer):
    """Let seconds pass, keep what came, and return the first input plus 1, the second plus 2."""

    supports_jit = False

    def __init__(self, seconds=1, wait=abs, **options):
        super().__init__(**options)
        self.seconds, self.wait, self.came, self.traced = seconds, wait, [], []

    def build(self, *shapes):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, *inputs):
        def work(*arrays):
            self.wait(self.seconds)
            self.came.append([array.copy() for array in arrays])
            return [array + k + 1 for k, array in enumerate(arrays)]

        self.traced.append(tf.inside_function())
        self.calls.assign(self.calls + 1)
        outputs = tf.nest.flatten(tf.numpy_function(work, inputs, [tf.float32] * len(inputs)))
        for output, given in zip(outputs, inputs, strict=True):
            output.set_shape(given.shape)
        return outputs if len(inputs) > 1 else outputs[0]

    def compute_output_spec(self, *inputs):
        specs = [keras.KerasTensor(given.shape, given.dtype) for given in inputs]
        return specs if len(inputs) > 1 else specs[0]


def test_a_layer_is_timed_alone_on_what_comes_to_it_in_the_model(monkeypatch):
    passed, waited = [], []
    monkeypatch.setattr(latency_module.time, "perf_counter", lambda: sum(passed))
    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: waited.append(len(passed)))
    pair, shared, last = (
        Slow(seconds, passed.append, name=name)
        for seconds, name in [(1, "pair"), (2, "shared"), (4, "last")]
    )
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    inside = keras.Sequential([keras.Input((2,)), shared], name="inside")
    first, second = pair(a, b)
    outputs = last(inside(second), inside(first))  # the outputs of "pair" are exchanged
    model = keras.Model([a, b], outputs)
    latencies = measure_layers(model, batch=3, rounds=2, rng=np.random.default_rng(1))
    assert latencies == {
        "pair": (1, 1, 1),
        "inside/shared": (2, 2, 2),
        "inside:2/shared": (2, 2, 2),
        "last": (4, 4, 4),
    }
    assert passed == [1, 2, 2, 4] * 3  # round by round; the first is not counted
    assert waited == list(range(1, 13))  # for each call before the clock is read
    assert pair.traced == [True]  # compiled once, never run by Python
    rng = np.random.default_rng(1)
    given = [rng.random((3, 2), dtype=np.float32) for _ in range(2)]
    np.testing.assert_array_equal(pair.came, [given] * 3)
    one, two = given[0] + 1, given[1] + 2
    np.testing.assert_array_equal(last.came, [[two + 1, one + 1]] * 3)


def test_the_rounds_are_summed_up_without_the_first(monkeypatch):
    passed, durations = [], itertools.cycle([90, 5, 1, 3])
    monkeypatch.setattr(latency_module.time, "perf_counter", lambda: sum(passed))
    slow = Slow(wait=lambda seconds: passed.append(next(durations)), name="slow")
    model = keras.Sequential([keras.Input((2,)), slow])
    assert measure_layers(model, rounds=3) == {"slow": (3, 1, 5)}


def test_layers_are_measured_in_inference_mode_and_left_as_they_were():
    penalty = keras.regularizers.L2(1.0)
    slow = Slow(name="slow")
    steps = [
        layers.Activation("relu", activity_regularizer=penalty, name="relu"),
        layers.BatchNormalization(momentum=0.5, epsilon=0, name="norm"),
        layers.Dropout(0.5, name="dropout"),
        slow,
    ]
    model = keras.Sequential([keras.Input((None, None, 3)), *steps])
    model(np.ones((1, 8, 8, 3), "float32"))
    losses = [float(loss) for loss in model.losses]
    weights = [weight.numpy() for weight in model.variables]
    assert losses
    slow.came.clear()
    latencies = measure_layers(model, (8, 9), rounds=1, rng=np.random.default_rng(1))
    assert list(latencies) == ["relu", "norm", "dropout", "slow"]
    noise = np.random.default_rng(1).random((1, 8, 9, 3), dtype=np.float32)
    np.testing.assert_allclose(slow.came, [[noise]] * 2, rtol=1e-6)  # not normalized, not dropped
    assert [float(loss) for loss in model.losses] == losses
    for weight, before in zip(model.variables, weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), before)


def test_layers_that_cannot_be_measured():
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv")])
    with pytest.raises(ValueError, match=r"got \(2, 2\): 'conv' of class Conv2D gets \(2, 2, 3\)"):
        measure_layers(model, (2, 2))
    with pytest.raises(ValueError, match=r"rounds must be an integer >= 1, got 0"):
        measure_layers(model, (8, 8), rounds=0)
    with pytest.raises(ValueError, match=r"batch must be an integer >= 1, got 0"):
        measure_layers(model, (8, 8), batch=0)
    with pytest.raises(ValueError, match=r"layer_rounds must be an integer >= 0, got -1"):
        cost_report(model, (8, 8), layer_rounds=-1)


def test_integers_come_to_a_layer_that_takes_integers():
    words = keras.Input((5,), dtype="int32")
    odd = layers.Lambda(lambda numbers: numbers & 1, output_shape=(5,), name="odd")(words)
    model = keras.Model(words, layers.Embedding(2, 4, name="embedding")(odd))
    assert list(measure_layers(model, rounds=1)) == ["odd", "embedding"]


def test_a_report_of_each_layer():
    slow = Slow(name="slow")
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3), slow])
    free = {"Slow": lambda layer, came, went: 0}
    slow.came.clear()
    report = cost_report(model, (8, 9), batch=5, layer_rounds=2, macs=free)
    assert [array.shape for (array,) in slow.came] == [(5, 6, 7, 4)] * 3
    assert report.latency is None
    image, *called = report.layers
    assert image.latency is None
    for layer in called:
        assert 0 < layer.latency.fastest <= layer.latency.median <= layer.latency.slowest
    whole = cost_report(model, (8, 9), rounds=2, macs=free)
    assert whole.latency is not None
    assert {layer.latency for layer in whole.layers} == {None}
