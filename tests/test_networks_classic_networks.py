"""LeNet-5 and AlexNet."""

import keras
import numpy as np
import pytest
from keras import layers
from network_checks import runs_both_ways

from cvlab.networks.classic_networks import (
    LENET_TABLE,
    TableConv2D,
    TrainedAverage2D,
    alexnet,
    lenet5,
)
from cvlab.networks.cost_report import cost_report
from cvlab.networks.receptive_field import model_receptive_fields


@pytest.fixture(scope="module")
def alexnet_report():
    return cost_report(alexnet())


def rows(report):
    return {row.name: row for row in report.layers}


def test_lenet5_has_the_parameters_and_maps_of_the_paper():
    """LeCun et al. 1998, section II-B: 60,000 parameters, and the sizes in figure 2."""
    found = rows(cost_report(lenet5(original=True)))
    expected = {
        "C1": ((28, 28, 6), 156),
        "S2": ((14, 14, 6), 12),
        "C3": ((10, 10, 16), 1516),
        "S4": ((5, 5, 16), 32),
        "C5": ((1, 1, 120), 48_120),
        "F6": ((84,), 10_164),
    }
    assert {n: (found[n].output_shape, found[n].parameters) for n in expected} == expected
    assert sum(parameters for _, parameters in expected.values()) == 60_000


def test_lenet5_has_the_connections_of_the_paper():
    """Each parameter of a map is used at each of its places; those of the output are fixed."""
    found = rows(cost_report(lenet5(original=True)))
    connections = {
        name: found[name].parameters * np.prod(found[name].output_shape[:-1], dtype=int)
        for name in ("C1", "C3", "C5", "F6")
    }
    assert connections == {"C1": 122_304, "C3": 151_600, "C5": 48_120, "F6": 10_164}
    pooled = 5 * (14 * 14 * 6 + 5 * 5 * 16)  # 4 inputs and a bias each
    assert sum(connections.values()) + pooled + 840 == 340_908


def test_the_plain_lenet5():
    report = cost_report(lenet5())
    assert report.parameters == 61_706
    assert rows(report)["C3"].parameters == 150 * 16 + 16
    assert report.macs == 117_600 + 240_000 + 48_000 + 10_080 + 840


@pytest.mark.parametrize("original", [False, True])
def test_lenet5_runs(original):
    runs_both_ways(lenet5(original=original), (32, 32))
    assert runs_both_ways(lenet5((40, 33, 3), 4, original), (40, 33))[0].shape == (2, 4)


def test_the_table_of_lenet5():
    """Table I: 6 maps read 3 in a row, 6 read 4 in a row, 3 read 2 pairs, 1 reads all."""
    assert [len(maps) for maps in LENET_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert len({frozenset(maps) for maps in LENET_TABLE}) == 16
    for start in range(6):
        assert {start, (start + 1) % 6, (start + 2) % 6} in [set(m) for m in LENET_TABLE[:6]]
        four = {(start + step) % 6 for step in range(4)}
        assert four in [set(maps) for maps in LENET_TABLE[6:12]]
    pairs = [{0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}]
    assert [set(maps) for maps in LENET_TABLE[12:15]] == pairs


def test_a_table_convolution_reads_only_the_maps_of_its_table():
    rng = np.random.default_rng(0)
    layer = TableConv2D([[2], [0, 1]], 3, padding="same", activation="relu")
    x = rng.normal(size=(2, 5, 6, 3)).astype("float32")
    layer(x)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    (links, bias), kernel = layer.get_weights(), np.array(layer.kernel)
    expected = np.zeros((3, 3, 3, 2), "float32")
    expected[:, :, 2, 0] = links[..., 0]
    expected[:, :, 0, 1], expected[:, :, 1, 1] = links[..., 1], links[..., 2]
    np.testing.assert_allclose(kernel, expected)
    y = np.maximum(keras.ops.conv(x, expected, padding="same") + bias, 0)
    np.testing.assert_allclose(layer(x), y, rtol=1e-4, atol=1e-5)
    copy = TableConv2D.from_config(layer.get_config())
    copy.build(x.shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_allclose(copy(x), y, rtol=1e-4, atol=1e-5)


def test_a_trained_average_scales_and_shifts_each_map():
    layer, plain = TrainedAverage2D(2), layers.AveragePooling2D(2)
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 2)).astype("float32")
    np.testing.assert_allclose(layer(x), plain(x))
    layer.set_weights([np.array([2.0, -1.0]), np.array([0.5, 3.0])])
    np.testing.assert_allclose(layer(x), plain(x) * [2, -1] + [0.5, 3], rtol=1e-5, atol=1e-6)


def test_alexnet_has_the_maps_of_the_lecture_and_the_neurons_of_the_paper(alexnet_report):
    """Claim C26; Krizhevsky et al. 2012, section 3.5, which has 253,440 for the first layer."""
    found = rows(alexnet_report)
    names = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    sizes = [found[name].output_shape[:2] for name in names]
    assert sizes == [(n, n) for n in (55, 27, 27, 13, 13, 13, 13, 6)]
    convolutions = ("conv1", "conv2", "conv3", "conv4", "conv5")
    neurons = [int(np.prod(found[name].output_shape)) for name in convolutions]
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264]


def test_alexnet_has_the_parameters_and_multiply_adds_of_the_reference_model(alexnet_report):
    """60,965,224 as bvlc_alexnet of the Caffe model zoo; 724 M: Sze et al. 2017, table II."""
    found = rows(alexnet_report)
    by_layer = [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
    assert [row.parameters for row in alexnet_report.layers if row.parameters] == by_layer
    assert alexnet_report.parameters == 60_965_224
    assert round(alexnet_report.macs / 1e6) == 724
    assert found["pool5"].receptive_field == (195, 195)


def test_normalization_stands_between_activation_and_pooling():
    model = alexnet((67, 67, 3), classes=2)
    assert [layer.name for layer in model.layers[1:7]] == [
        *("conv1", "norm1", "pool1", "conv2", "norm2", "pool2"),
    ]
    fields = {field.name: field for field in model_receptive_fields(model)}
    assert fields["norm1"].size == (11, 11)


def test_alexnet_without_groups_and_on_other_sizes():
    model = alexnet((67, 80, 1), classes=3, groups=1)
    runs_both_ways(model, (67, 80))
    grouped = alexnet((67, 67, 3), classes=3)
    runs_both_ways(grouped, (67, 67))
    kernels = [grouped.get_layer(f"conv{n}").kernel.shape[2] for n in (1, 2, 3, 4, 5)]
    assert kernels == [3, 48, 256, 192, 192]
    assert [model.get_layer(f"conv{n}").kernel.shape[2] for n in (2, 4, 5)] == [96, 384, 384]


def test_what_they_cannot_be():
    with pytest.raises(ValueError, match=r"height must be at least 32, got 28: three 5 x 5"):
        lenet5((28, 28, 1))
    with pytest.raises(ValueError, match=r"width must be a number, got None: F6 is dense"):
        lenet5((32, None, 1))
    with pytest.raises(ValueError, match=r"classes must be an integer >= 1, got 0"):
        lenet5(classes=0)
    with pytest.raises(ValueError, match=r"height must be at least 67, got 66: an 11 x 11"):
        alexnet((66, 67, 3))
    with pytest.raises(ValueError, match=r"height must be a number, got None: the dense layers"):
        alexnet((None, None, 3))
    for table in (3, [0, 1], [[0], []]):
        with pytest.raises(ValueError, match=r"table must hold the input maps of each filter"):
            TableConv2D(table, 3)
    with pytest.raises(ValueError, match=r"table must name maps below 2, got 7"):
        TableConv2D([[0], [7]], 3).build((None, 8, 8, 2))
    with pytest.raises(ValueError, match=r"groups must divide 96, 256 and 384 filters, got 3"):
        alexnet(groups=3)
    with pytest.raises(ValueError, match=r"input_shape's channels must be an integer >= 1, got 0"):
        alexnet((227, 227, 0))
