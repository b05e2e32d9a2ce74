"""How long models take, and models that are only counted and timed."""

import itertools

import keras
import pytest
from keras import layers

from cvlab.networks import latency as latency_module
from cvlab.networks.cost_report import cost_report
from cvlab.networks.latency import measure_latency, zero_weights


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
