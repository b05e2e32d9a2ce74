"""Cost reports as text, table and picture."""

import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import layers
from needs import missing

from cvlab.networks.cost_report import cost_report
from cvlab.networks.cost_views import (
    format_report,
    plot_report,
    report_columns,
    report_frame,
)
from cvlab.networks.latency import Latency


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


@pytest.fixture(scope="module")
def of_each_layer(report):
    """The same report, as if every layer had been measured."""
    image, *layers_ = report.layers
    medians = [0.012, 0.0003, 0.0004, 1.5]
    timed = [
        layer._replace(latency=Latency(median, median / 2, median * 2))
        for layer, median in zip(layers_, medians, strict=True)
    ]
    return report._replace(layers=(image, *timed))


@pytest.fixture(scope="module")
def frame_of():
    if find_spec("pandas") is None:
        missing("no pandas: `make unit` installs it, beside the environment")
    return report_frame


def test_text(report):
    lines = format_report(report).splitlines()
    assert (
        lines[2]
        == "conv    Conv2D                  18x16x8         368      368  103,680  0.018    3x5"
    )
    assert lines[3].split()[:5] == ["norm", "BatchNormalization", "18x16x8", "32", "16"]
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


def test_text_and_picture_show_a_latency_that_was_measured(report):
    timed = report._replace(latency=Latency(0.0123, 0.0119, 0.0134))
    text = "12.3 ms (median; 11.9 to 13.4)"
    assert format_report(timed).splitlines()[-1] == f"latency of the batch, measured: {text}"
    assert "latency" not in format_report(report)
    assert plot_report(timed).get_suptitle() == f"latency {text}"
    assert plot_report(report).get_suptitle() == ""


def test_text_columns_and_picture_show_what_each_layer_took(of_each_layer):
    lines = [line.split() for line in format_report(of_each_layer).splitlines()]
    assert lines[0][-2:] == ["field", "ms"]
    assert [line[-1] for line in lines[1:6]] == ["0.010", "12.00", "0.30", "0.40", "1,500.00"]
    slowest = format_report(of_each_layer, largest=2, by="ms").splitlines()[1:3]
    assert [line.split()[0] for line in slowest] == ["conv", "scores"]
    taken = [np.nan, 12, 0.3, 0.4, 1500]
    np.testing.assert_allclose(report_columns(of_each_layer)["ms"], taken)
    *_, axes = plot_report(of_each_layer).axes
    assert axes.get_ylabel() == "ms"
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], taken)
    ranges = [line[:, 1] for line in axes.collections[0].get_segments() if len(line)]
    np.testing.assert_allclose(ranges[-2:], [[0.2, 0.8], [750, 3000]])
    assert axes.texts[0].get_text() == "scores"


def test_layers_whose_times_overlap_count_as_equally_slow(report):
    image, *called = report.layers
    latencies = [  # one is always below 6 ms
        Latency(0.011, 0.010, 0.030),
        Latency(0.001, 0.001, 0.005),
        Latency(0.003, 0.001, 0.007),
        Latency(0.012, 0.006, 0.013),
    ]
    timed = [
        layer._replace(latency=latency) for layer, latency in zip(called, latencies, strict=True)
    ]
    *_, axes = plot_report(report._replace(layers=(image, *timed))).axes
    assert axes.texts[0].get_text() == "scores and 2 more"
    assert axes.texts[0].xy == (4.4, pytest.approx(30))  # above every line


def test_what_the_largest_layers_are_chosen_by(report):
    def chosen(by):
        lines = format_report(report, largest=1, by=by).splitlines()
        return lines[1].split()[0]

    assert [chosen(by) for by in ("macs", "parameters", "output_bytes")] == ["conv"] * 3
    dense = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(4, 1), layers.Flatten()])
    dense.add(layers.Dense(3, name="dense"))
    text = format_report(cost_report(dense), largest=1, by="parameters")
    assert text.splitlines()[1].startswith("dense ")
    message = r"by must be one of macs, output_bytes, parameters, got 'ms'"
    with pytest.raises(ValueError, match=message):
        format_report(report, largest=1, by="ms")


def test_text_says_why_there_are_no_receptive_fields():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    assert format_report(cost_report(model)).splitlines()[-1].startswith("no receptive fields: ")


def test_columns(report):
    columns = report_columns(report)
    assert {len(column) for column in columns.values()} == {5}
    assert columns["name"] == ["image", "conv", "norm", "mean", "scores"]
    assert columns["untrained"] == [0, 0, 16, 0, 0]
    assert "ms" not in columns
    assert columns["flops"] == [2 * macs for macs in columns["macs"]]
    assert sum(columns["output_bytes"]) == report.training_bytes


def test_a_frame_sorts_and_filters_and_holds_the_totals_in_its_attributes(report, frame_of):
    timed = report._replace(latency=Latency(0.0123, 0.0119, 0.0134))
    frame = frame_of(timed)
    assert list(frame.index) == ["image", "conv", "norm", "mean", "scores"]
    assert frame.to_dict("list") == {k: v for k, v in report_columns(report).items() if k != "name"}
    numbers = ["parameters", "trained", "untrained", "macs", "flops", "output_bytes"]
    assert {frame[name].dtype.kind for name in numbers} == {"i"}
    assert frame.sort_values("macs").index[-1] == "conv"
    assert frame[frame["untrained"] > 0].index.tolist() == ["norm"]
    assert frame.attrs == {
        "name": "net",
        "batch": 2,
        "dtype": "float32",
        "inference_bytes": report.inference_bytes,
        "training_bytes": report.training_bytes,
        "latency": timed.latency,
    }


def test_a_frame_sorts_the_layers_by_what_they_took(of_each_layer, frame_of):
    taken = frame_of(of_each_layer)["ms"]
    assert taken.dtype == np.float64
    assert taken.sort_values().index.tolist() == ["norm", "mean", "conv", "scores", "image"]


def test_a_frame_needs_pandas(report, monkeypatch):
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
