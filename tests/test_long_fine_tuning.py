"""The stored curves of long fine-tuning, and the networks of the tool that makes them."""

import json

import keras
import numpy as np
import pytest

from cvlab.networks.experiments import Trainer
from tools import long_fine_tuning as tool

STORED = json.loads(tool.TARGET.read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", STORED, ids=lambda run: f"{run['way']} {run['rate']}")
def test_curves_count_patches_and_pictures(run):
    shape = tool.DRAWS, run["epochs"] + 1
    whole_of = {"accuracy": 270, "with test statistics": 270, "agreement": 90}
    if run["way"] == "frozen":  # whose layers take no statistics but their own
        del whole_of["with test statistics"]
    assert set(run) == {"way", "rate", "epochs", *whole_of}
    for name, whole in whole_of.items():
        curves = np.array(run[name])
        assert curves.shape == shape
        counts = curves * whole
        np.testing.assert_allclose(counts, counts.round(), atol=whole * 5.1e-5)  # four decimals
        assert ((curves >= 0) & (curves <= 1)).all()


def test_all_ways_are_stored_and_start_where_they_should():
    assert [{key: run[key] for key in ("way", "rate", "epochs")} for run in STORED] == tool.WAYS
    frozen, moving = ([run for run in STORED if run["way"] == way] for way in ("frozen", "moving"))
    starts = [[curve[0] for curve in run["accuracy"]] for run in frozen + moving]
    assert starts == [starts[0]] * 6
    assert min(starts[0]) > 0.7  # the fitted head
    for run in frozen + moving:
        assert {curve[0] for curve in run["agreement"]} == {1}
    assert all(curve[0] < 0.3 for curve in STORED[-1]["accuracy"])


@pytest.mark.parametrize(("train_norms", "trained"), [(False, 3_340_521), (True, 3_382_537)])
def test_normalizations_are_trained_only_where_they_should(train_norms, trained):
    """3,382,537: all but the moving statistics, 4,694,024 - 42,016, with 9 classes for 1,000."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(9, 48, 48, 3)).astype(np.float32)
    model = tool.pretrained(images, np.arange(9), train_norms)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trained
    np.testing.assert_array_equal(model.predict(images, verbose=0).argmax(axis=1), np.arange(9))


def test_the_old_names_are_kept_by_the_network_itself_and_lost_by_a_random_one():
    pictures = tool.pictures()
    assert pictures.shape == (90, 224, 224, 3)
    np.testing.assert_array_equal(pictures[45:, :, ::-1], pictures[:45])
    agreement = tool.agreement_with_the_old_names()
    assert agreement(tool.network_and_head("imagenet").layers[0]) == 1
    assert agreement(tool.network_and_head(None).layers[0]) < 0.3


@pytest.mark.parametrize("way", ["frozen", "moving", "scratch"])
def test_each_way_trains_what_it_says_at_the_rate_that_it_says(way, monkeypatch):
    """On a small network: whether its statistics move, and the rates that the training is given."""

    def small(weights):
        layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
        steps = [keras.Input((8, 8, 3)), *layers, keras.layers.GlobalAveragePooling2D()]
        return keras.Sequential([keras.Sequential(steps), keras.layers.Dense(9)])

    class Watched(Trainer):
        def run(self, **options):
            rates.append(options["learning_rate"])
            return super().run(**options)

    rates = []
    monkeypatch.setattr(tool, "network_and_head", small)
    monkeypatch.setattr(tool, "Trainer", Watched)
    rng = np.random.default_rng(0)
    examples = rng.normal(1, 1, (40, 8, 8, 3)).astype(np.float32), np.arange(40) % 9

    def mean(network):
        return float(network.layers[1].moving_mean.numpy().sum())

    options = {"examples": examples, "test": examples, "agreement": mean, "seed": 0}
    curves = tool.curves(way, rate=0.01, epochs=3, **options)
    assert ("with test statistics" in curves) == (way != "frozen")
    means = curves["agreement"]
    assert {len(curve) for curve in curves.values()} == {4}
    assert (len(set(means)) == 1) == (way == "frozen")
    (rate,) = rates
    if way == "scratch":  # three epochs of two steps
        assert [rate(step) for step in range(7)] == pytest.approx(np.linspace(0.01, 0, 7))
    else:
        assert rate == 0.01
