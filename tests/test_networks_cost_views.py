"""Cost reports as text, table and picture; latency."""

import itertools
import sys
import types

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks import cost_views
from cvlab.networks.cost_report import cost_report
from cvlab.networks.cost_views import (
    format_report,
    measure_latency,
    plot_report,
    report_columns,
    report_frame,
    zero_weights,
)


@pytest.fixture(scope="module")
def report():
    steps = [
        layers.Conv2D(8, (3, 5), name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Dense(10, name="scores"),
    ]
    model = keras.Sequential([keras.Input((20, 20, 3), name="image"), *steps], name="net")
    return cost_report(model, batch=2)


def test_text(report):
    lines = format_report(report).splitlines()
    assert lines[2] == "conv    Conv2D                  18x16x8         368  103,680  0.018    3x5"
    assert lines[1].endswith("0.010")  # the image has no receptive field
    assert lines[-3:] == [
        "net: 490 parameters, 474 of them trained",
        "103,760 MACs for one image, 207,520 FLOPs",
        "activations, float32, batch of 2: 0.037 MB to run, 0.047 MB to train",
    ]
    shorter = format_report(report, largest=2).splitlines()
    assert [line.split()[0] for line in shorter[1:3]] == ["conv", "scores"]
    assert shorter[-3:] == lines[-3:]
    with pytest.raises(ValueError, match=r"largest must be an integer >= 1, got 0"):
        format_report(report, largest=0)


def test_text_says_why_there_are_no_receptive_fields():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    assert format_report(cost_report(model)).splitlines()[-1].startswith("no receptive fields: ")


def test_columns(report):
    columns = report_columns(report)
    assert {len(column) for column in columns.values()} == {5}
    assert columns["name"] == ["image", "conv", "norm", "mean", "scores"]
    assert columns["untrained"] == [0, 0, 16, 0, 0]
    assert columns["flops"] == [2 * macs for macs in columns["macs"]]
    assert sum(columns["output_bytes"]) == report.training_bytes


def test_a_frame_needs_pandas(report, monkeypatch):
    class Frame(dict):
        def set_index(self, name):
            return name, self

    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=Frame))
    assert report_frame(report) == ("name", report_columns(report))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"report_frame needs pandas"):
        report_frame(report)


def test_the_picture_has_a_bar_for_every_layer(report):
    figure = plot_report(report)
    columns = report_columns(report)
    expected = {
        "thousand MACs": np.array(columns["macs"]) / 1e3,
        "parameters": columns["parameters"],
        "kB of activations": np.array(columns["output_bytes"]) / 1e3,
    }
    assert [axes.get_ylabel() for axes in figure.axes] == list(expected)
    for axes, values in zip(figure.axes, expected.values(), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in axes.patches], values)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["conv", "conv", "conv and 1 more"]
    # the label stands over its bar: the maps of conv and norm are equally large
    assert [axes.texts[0].get_ha() for axes in figure.axes] == ["center"] * 3
    assert [axes.texts[0].xy[0] for axes in figure.axes] == [1, 1, 1]
    ticks = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert ticks == columns["name"]


def test_a_label_at_an_edge_of_the_picture_stays_within():
    steps = [layers.Conv2D(1, 1, name=f"conv{k}") for k in range(5)]
    start = layers.Conv2D(9, 1, name="the_largest_of_all")
    small = [layers.Conv2D(1, 1) for _ in range(12)]
    first = keras.Sequential([keras.Input((9, 9, 1)), start, *small])
    axes = plot_report(cost_report(first)).axes[2]
    assert (axes.texts[0].get_text(), axes.texts[0].get_ha()) == ("the_largest_of_all", "left")
    last = layers.Conv2D(9, 1, name="the_largest_of_all")
    report = cost_report(keras.Sequential([keras.Input((9, 9, 1)), *steps, last]))
    axes = plot_report(report).axes[2]
    assert (axes.texts[0].get_text(), axes.texts[0].get_ha()) == ("the_largest_of_all", "right")


def test_latency_is_that_of_the_rounds_alone(monkeypatch):
    clock = itertools.accumulate([0, 5, 0, 1, 0, 3])  # three rounds of 5, 1 and 3 seconds
    monkeypatch.setattr(cost_views.time, "perf_counter", lambda: next(clock))
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
    def build():
        start = {"kernel_initializer": keras.initializers.TruncatedNormal(seed=0)}
        return keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(2, **start)])

    with zero_weights():
        zero = build()
    assert not any(np.any(weight) for weight in zero.get_weights())
    assert all(np.any(layer.kernel) for layer in build().layers)  # put back
    assert cost_report(zero).layers[1:] == tuple(
        row._replace(name=old.name)
        for row, old in zip(
            cost_report(build()).layers[1:], cost_report(zero).layers[1:], strict=True
        )
    )
