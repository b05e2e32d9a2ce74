"""Inception modules and GoogLeNet."""

import keras
import numpy as np
import pytest
from keras import layers
from network_checks import runs_both_ways

from cvlab.networks.cost_report import cost_report
from cvlab.networks.inception import MODULES, InceptionWidths, googlenet, inception_module
from cvlab.networks.receptive_field import model_receptive_fields

# Szegedy et al. 2014, table 1: output size, channels, thousands of parameters, millions of ops.
TABLE = {
    "3a": (28, 256, 159, 128),
    "3b": (28, 480, 380, 304),
    "4a": (14, 512, 364, 73),
    "4b": (14, 512, 437, 88),
    "4c": (14, 512, 463, 100),
    "4d": (14, 528, 580, 119),
    "4e": (14, 832, 840, 170),
    "5a": (7, 832, 1072, 54),
    "5b": (7, 1024, 1388, 71),
}


@pytest.fixture(scope="module")
def model():
    return googlenet(auxiliary=True)


@pytest.fixture(scope="module")
def report(model):
    return cost_report(model)


@pytest.mark.parametrize("name", TABLE)
def test_the_modules_of_googlenet_are_those_of_the_table(model, report, name):
    size, channels, thousands, millions = TABLE[name]
    assert model.get_layer(f"{name}_out").output.shape == (None, size, size, channels)
    rows = [row for row in report.layers if row.name.startswith(f"{name}_")]
    macs = sum(row.macs for row in rows)
    # the table has 54 for 5a, and its own widths give 51.1
    assert macs / 1e6 == pytest.approx(51.1 if name == "5a" else millions, abs=0.7)
    assert sum(row.parameters for row in rows) / 1024 == pytest.approx(thousands, rel=0.08)


def test_the_first_layers_of_googlenet(model, report):
    rows = {row.name: row for row in report.layers}
    assert rows["1_7x7"].output_shape == (112, 112, 64)
    assert rows["1_pool"].output_shape == (56, 56, 64)
    assert rows["2_3x3"].output_shape == (56, 56, 192)
    assert rows["2_pool"].output_shape == (28, 28, 192)
    assert round((rows["2_3x3_reduce"].macs + rows["2_3x3"].macs) / 1e6) == 360
    assert rows["1_7x7"].parameters == 49 * 3 * 64 + 64


def test_the_parameters_of_googlenet(model):
    """Without the auxiliary classifiers 6,998,552, as the Caffe model zoo's bvlc_googlenet."""
    modules = sum(
        channels * (w.ones + w.reduce_threes + w.reduce_fives + w.pool)
        + 9 * w.reduce_threes * w.threes
        + 25 * w.reduce_fives * w.fives
        + w.reduce_threes
        + w.reduce_fives
        + w.total
        for w, channels in zip(MODULES.values(), _inputs(), strict=True)
    )
    stem = 49 * 3 * 64 + 64 + 64 * 64 + 64 + 9 * 64 * 192 + 192
    plain = stem + modules + 1024 * 1000 + 1000
    auxiliary = sum(c * 128 + 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000 for c in (512, 528))
    assert plain == 6_998_552
    assert model.count_params() == plain + auxiliary
    assert len(MODULES) == 9


def _inputs():
    totals = [192, *(widths.total for widths in MODULES.values())]
    return totals[:-1]


def test_auxiliary_classifiers_average_to_4_x_4(model):
    assert model.get_layer("auxiliary_4a_pool").output.shape == (None, 4, 4, 512)
    assert model.get_layer("auxiliary_4d_pool").output.shape == (None, 4, 4, 528)
    assert [output.shape for output in model.outputs] == [(None, 1000)] * 3
    names = [output._keras_history.operation.name for output in model.outputs]
    assert names == ["predictions", "auxiliary_4a", "auxiliary_4d"]


def test_the_receptive_field_of_the_last_module():
    fields = {field.name: field for field in model_receptive_fields(googlenet(classes=2))}
    assert fields["5b_out"].size == (715, 715)
    assert fields["5b_out"].jump == (32, 32)


def test_a_module_concatenates_its_four_branches():
    """The branches one by one, with the weights of the module."""
    image = keras.Input((9, 8, 5))
    model = keras.Model(image, inception_module(image, (2, 3, 4, 1, 6, 7), "m"))
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 5)).astype("float32")

    def conv(name, x):
        layer = model.get_layer(f"m_{name}")
        y = keras.ops.conv(x, layer.kernel, padding="same") + layer.bias
        return np.maximum(y, 0)

    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    expected = [
        conv("1x1", x),
        conv("3x3", conv("3x3_reduce", x)),
        conv("5x5", conv("5x5_reduce", x)),
        conv("pool_1x1", pooled),
    ]
    np.testing.assert_allclose(model(x), np.concatenate(expected, -1), rtol=1e-4, atol=1e-5)
    assert model.output_shape == (None, 9, 8, InceptionWidths(2, 3, 4, 1, 6, 7).total)


def test_googlenet_runs_on_small_images():
    runs_both_ways(googlenet((65, 70, 1), classes=3, auxiliary=True), (65, 70))
    anything = googlenet((None, None, 3), classes=4)
    assert runs_both_ways(anything, (33, 47))[0].shape == (2, 4)


def test_what_googlenet_cannot_be():
    with pytest.raises(ValueError, match=r"height must be at least 32, got 31: five strides of 2"):
        googlenet((31, 64, 3))
    with pytest.raises(ValueError, match=r"width must be at least 65, got 64: the auxiliary"):
        googlenet((224, 64, 3), auxiliary=True)
    with pytest.raises(ValueError, match=r"height must be a number, got None: the dense layers"):
        googlenet((None, 224, 3), auxiliary=True)
    with pytest.raises(ValueError, match=r"input_shape must be \(height, width, channels\)"):
        googlenet((224, 224))
    with pytest.raises(ValueError, match=r"classes must be an integer >= 1, got 0"):
        googlenet(classes=0)
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"widths must be \('ones', .* got \(1, 2\)"):
        inception_module(image, (1, 2))
    with pytest.raises(ValueError, match=r"widths' threes must be an integer >= 1, got 0"):
        inception_module(image, (1, 1, 0, 1, 1, 1))
