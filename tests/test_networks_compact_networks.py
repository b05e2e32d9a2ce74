"""Mini-Xception, MobileNetV2 and SE-ResNet."""

import keras
import numpy as np
import pytest
from network_checks import runs_both_ways, trained

from cvlab.networks.compact_networks import mini_xception, mobilenet_v2, multiple_of_8, se_resnet
from cvlab.networks.cost_report import cost_report
from cvlab.networks.resnet import resnet, small_resnet


# Multiply-adds: Sandler et al. 2018, table 4. Parameters: those of keras.applications; the paper's
# 3.4 and 6.9 M are neither these nor the trained ones.
@pytest.mark.parametrize(
    ("width", "parameters", "millions"), [(1.0, 3_538_984, 300), (1.4, 6_156_712, 585)]
)
def test_mobilenet_v2_costs_what_is_published(width, parameters, millions):
    report = cost_report(mobilenet_v2(width=width))
    assert report.parameters == parameters
    assert report.macs / 1e6 == pytest.approx(millions, rel=0.01)
    if width == 1.0:
        assert report.trained == 3_504_872  # torchvision's mobilenet_v2


def test_mobilenet_v2_computes_what_keras_applications_does():
    """The same weights give the same probabilities, at odd sizes too."""
    options = {"input_shape": (65, 96, 3), "classes": 7}
    theirs = keras.applications.MobileNetV2(weights=None, **options)
    ours = mobilenet_v2(**options)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    rng = np.random.default_rng(0)
    for weight in theirs.weights:
        if "moving_variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
        elif len(weight.shape) == 1:
            weight.assign(rng.normal(size=weight.shape))
    ours.set_weights(theirs.get_weights())
    x = rng.uniform(-1, 1, (2, 65, 96, 3)).astype("float32")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-3, atol=1e-6)


def test_the_stages_of_mobilenet_v2():
    """Sandler et al. 2018, table 2."""
    model = mobilenet_v2(classes=10)
    last = {1: (112, 16), 3: (56, 24), 6: (28, 32), 10: (14, 64), 13: (14, 96), 16: (7, 160)}
    for block, (size, channels) in {**last, 17: (7, 320)}.items():
        shape = model.get_layer(f"block{block}_project").output.shape
        assert shape == (None, size, size, channels)
    added = [layer.name for layer in model.layers if layer.name.endswith("_add")]
    assert added == [f"block{n}_add" for n in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)]


def test_filters_are_rounded_to_multiples_of_8_but_not_by_more_than_a_tenth():
    for filters in np.linspace(1, 400, 300):
        rounded = multiple_of_8(filters)
        assert rounded % 8 == 0
        assert rounded >= 0.9 * filters
        assert rounded == 8 or rounded - filters <= 8


def test_mini_xception_is_that_of_the_book():
    """Chollet 2021, section 9.3.5: 721,857 parameters, 3,008 of them moving statistics."""
    model = mini_xception()
    assert model.count_params() == 721_857
    assert trained(model) == 721_857 - 2 * (32 + 32 + 32 + 2 * (64 + 128 + 256) + 512)
    sizes = [model.get_layer(f"part{n}_add").output.shape[1:] for n in range(1, 6)]
    assert sizes == [(88, 88, 32), (44, 44, 64), (22, 22, 128), (11, 11, 256), (6, 6, 512)]
    assert model.layers[-1].activation is keras.activations.sigmoid


def test_se_resnet50_costs_what_the_paper_says():
    """Hu et al. 2018, section 4: 3.86 G, 2.5 million more parameters, in closed form (eq. 5)."""
    report = cost_report(se_resnet())
    plain = 25_557_032  # torchvision's resnet50
    gates = sum(
        units * (2 * channels * channels // 16 + channels // 16 + channels)
        for units, channels in ((3, 256), (4, 512), (6, 1024), (3, 2048))
    )
    assert report.trained == plain + gates == 28_088_024
    assert f"{report.macs / 1e9:.2f}" == "3.86"
    assert report.macs - 3_857_973_248 == 2_514_944
    assert {row.name: row.output_shape for row in report.layers}["stage4_unit3"] == (7, 7, 2048)


def test_without_gates_it_is_the_residual_network():
    shape = (32, 32, 3)
    for ours, theirs in (
        (se_resnet((3, 4, 6, 3), shape, 10, ratio=None), resnet(50, shape, 10)),
        (
            se_resnet((2, 2, 2), shape, 10, width=16, bottleneck=False, small=True, ratio=None),
            small_resnet(14, shape, 10, shortcut="auto"),
        ),
    ):
        assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]


def test_a_closed_gate_leaves_the_shortcut():
    model = se_resnet((1,), (8, 8, 4), 2, width=4, bottleneck=False, small=True)
    gate = model.get_layer("stage1_unit1_se_gate")
    kernel, bias = gate.get_weights()
    gate.set_weights([0 * kernel, bias - 1e3])
    parts = [model.get_layer(name).output for name in ("stem_relu", "stage1_unit1")]
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype("float32")
    before, after = keras.Model(model.input, parts)(x)
    np.testing.assert_allclose(after, before)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda shape: mini_xception(shape, widths=(8, 16)), (5, 12)),
        (lambda shape: mini_xception(shape, classes=3, widths=(8,)), (9, 6)),
        (lambda shape: mobilenet_v2(shape, 3, width=0.35), (32, 45)),
        (lambda shape: se_resnet((1, 1, 1), shape, 3, width=8, small=True), (4, 7)),
        (lambda shape: se_resnet((1, 1), shape, 3, width=8, bottleneck=False), (8, 11)),
    ],
)
def test_they_run_on_the_smallest_sizes_and_on_open_ones(build, size):
    runs_both_ways(build((*size, 3)), size)
    runs_both_ways(build((None, None, 3)), (size[0] + 3, size[1]))


def test_what_they_cannot_be():
    with pytest.raises(
        ValueError, match=r"height must be at least 5, got 4: the first convolution"
    ):
        mini_xception((4, 8, 3))
    with pytest.raises(ValueError, match=r"widths must hold the filters of each part, got none"):
        mini_xception(widths=())
    with pytest.raises(ValueError, match=r"widths must be a sequence of integers.* got 32"):
        mini_xception(widths=32)
    with pytest.raises(ValueError, match=r"widths\[1\] must be an integer >= 1, got 'a'"):
        mini_xception(widths=(32, "a"))
    with pytest.raises(ValueError, match=r"width must be at least 32, got 31: five strides of 2"):
        mobilenet_v2((32, 31, 3))
    for width in (0, "a", float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"width must be a positive number, got {width!r}"):
            mobilenet_v2(width=width)
    with pytest.raises(
        ValueError, match=r"height must be at least 32, got 16: strides of 2 divide"
    ):
        se_resnet(input_shape=(16, 64, 3))
    with pytest.raises(
        ValueError, match=r"units must hold the residual units of each stage, got none"
    ):
        se_resnet(())
    with pytest.raises(ValueError, match=r"units\[1\] must be an integer >= 1, got 0"):
        se_resnet((2, 0))
    for units in (3, "34"):
        with pytest.raises(ValueError, match=rf"units must be a sequence of.* got {units!r}"):
            se_resnet(units)
    with pytest.raises(ValueError, match=r"ratio must be an integer >= 1, got 'a'"):
        se_resnet(ratio="a")
    with pytest.raises(ValueError, match=r"classes must be an integer >= 1, got 0"):
        se_resnet(classes=0)
