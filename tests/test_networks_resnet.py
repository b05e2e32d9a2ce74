"""Residual networks: published counts, the same function as Keras's, shapes and errors."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.receptive_field import model_receptive_fields
from cvlab.networks.resnet import resnet, small_resnet
from cvlab.networks.stochastic_depth import StochasticDepth


def trained(model):
    return sum(w.numpy().size for w in model.trainable_weights)


def layers_with_weights(model):
    """Count the convolutions and dense layers of the main path."""
    kinds = (layers.Conv2D, layers.SeparableConv2D, layers.Dense)
    return sum(isinstance(x, kinds) and "shortcut" not in x.name for x in model.layers)


# torchvision's documentation: num_params of resnet18, 34 and 50; statistics are 2 numbers for
# each of the 4,800, 8,512 and 26,560 normalized channels.
@pytest.mark.parametrize(
    ("depth", "published", "statistics"),
    [(18, 11_689_512, 9_600), (34, 21_797_672, 17_024), (50, 25_557_032, 53_120)],
)
def test_parameters_are_the_published_ones(depth, published, statistics):
    model = resnet(depth)
    assert trained(model) == published
    assert model.count_params() == published + statistics
    assert layers_with_weights(model) == depth
    pyramid = [model.get_layer(f"stage{stage}_unit2").output.shape[1:] for stage in (1, 2, 3, 4)]
    wide = 4 if depth == 50 else 1
    assert pyramid == [(56, 56, 64 * wide), (28, 28, 128 * wide), (14, 14, 256 * wide),
                       (7, 7, 512 * wide)]  # fmt: skip


def test_resnet50_is_the_one_of_keras():
    """With sides of 32 m + 1 both ways to pad are the same, so the outputs must be, too."""
    ours = resnet(50, (65, 65, 3))
    theirs = keras.applications.ResNet50(
        weights=None, input_shape=(65, 65, 3), classifier_activation=None
    )
    biases = [x.bias.shape[0] for x in theirs.layers if isinstance(x, layers.Conv2D)]
    assert theirs.count_params() == 25_636_712
    assert theirs.count_params() - ours.count_params() == sum(biases) == 26_560
    rng = np.random.default_rng(0)
    sources = {}
    for layer in ours.layers:
        values = [w.numpy() for w in layer.weights]
        if isinstance(layer, layers.BatchNormalization):
            values = [rng.uniform(0.5, 1.5, v.shape) for v in values]
        layer.set_weights(values)
        if values:
            sources[_keras_name(layer.name)] = values
    for layer in theirs.layers:
        if layer.weights:
            values = sources[layer.name]
            zero_bias = [np.zeros(layer.bias.shape)] if isinstance(layer, layers.Conv2D) else []
            layer.set_weights([*values, *zero_bias])
    x = rng.normal(size=(2, 65, 65, 3)).astype("float32")
    expected = theirs(x).numpy()
    np.testing.assert_allclose(ours(x), expected, atol=1e-3 * np.abs(expected).max())


def _keras_name(name):
    """Translate the name of a layer: stage1_unit2_conv3 is conv2_block2_3_conv."""
    if name == "scores":
        return "predictions"
    place, what = name.rsplit("_", 1)
    if place == "stem":
        return {"conv": "conv1_conv", "norm": "conv1_bn"}[what]
    stage, unit = (int(part[5 if part[1] == "t" else 4 :]) for part in place.split("_")[:2])
    number = 0 if "shortcut" in place else what[-1]
    kind = {"conv": "conv", "norm": "bn"}[what.rstrip("123")]
    return f"conv{stage + 1}_block{unit}_{number}_{kind}"


def test_the_receptive_field_of_resnet50_is_the_published_one():
    """Araujo et al. 2019: resnet_v1_50 has 483 pixels and a stride of 32."""
    last = {f.name: f for f in model_receptive_fields(resnet(50))}["stage4_unit3"]
    assert (last.size, last.jump) == ((483, 483), (32, 32))


# He et al. 2015, table 6
@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_small_networks_have_the_published_parameters(depth, millions):
    n, w = depth // 6, 16
    convolutions = 9 * (3 * w + 2 * n * w * w)  # the stem and the first stage
    for width in (2 * w, 4 * w):
        convolutions += 9 * (width // 2 * width + (2 * n - 1) * width * width)
    channels = w + 2 * n * (w + 2 * w + 4 * w)
    expected = convolutions + 2 * channels + 4 * w * 10 + 10
    model = small_resnet(depth)
    assert trained(model) == expected
    assert model.count_params() == expected + 2 * channels
    assert layers_with_weights(model) == depth
    assert float(f"{expected / 1e6:.2g}") == millions


def test_plain_and_residual_have_the_same_parameters_and_layers():
    residual, plain = small_resnet(14), small_resnet(14, shortcut=None)
    assert [w.shape for w in residual.weights] == [w.shape for w in plain.weights]
    assert layers_with_weights(plain) == layers_with_weights(residual) == 14
    assert (residual.name, plain.name) == ("resnet14", "plain14")


def test_depths_and_options_reach_every_unit():
    model = small_resnet(
        20, (8, 8, 1), width=4, separable=True, normalize=False, preactivation=True,
        shortcut="auto", last_survival=0.1,
    )  # fmt: skip
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("SeparableConv2D") == 18
    assert kinds.count("BatchNormalization") == 0
    assert kinds.count("Add") == 9
    assert model.get_layer("stage3_unit3").output.shape == (None, 2, 2, 16)
    survival = [x.survival for x in model.layers if isinstance(x, StochasticDepth)]
    np.testing.assert_allclose(survival, 1 - 0.1 * np.arange(1, 10))
    assert model.get_layer("stem_conv").use_bias


def test_preactivation_moves_the_first_and_the_last_activation():
    names = [layer.name for layer in small_resnet(8, preactivation=True).layers]
    assert "stem_relu" not in names
    assert names[-4:] == ["last_norm", "last_relu", "mean", "scores"]


def test_any_image_size_and_colour():
    model = small_resnet(8, (None, None, 1), classes=3)
    assert model(np.zeros((2, 9, 12, 1), "float32")).shape == (2, 3)


def test_without_a_projection_the_first_wider_unit_says_so():
    message = r"unit 'stage2_unit1' gives \(8, 8, 16\), which cannot be added to \(4, 4, 32\): take"
    with pytest.raises(ValueError, match=message):
        small_resnet(8, (8, 8, 1), shortcut="identity")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: resnet(20), "depth must be one of 18, 34, 50, 101, 152, got 20"),
        (lambda: resnet([34]), r"depth must be an integer >= 1, got \[34\]"),
        (lambda: small_resnet(21), "depth must be 6 n .* got 21"),
        (lambda: small_resnet(2), "depth must be 6 n .* got 2"),
        (lambda: small_resnet(20.0), "depth must be an integer >= 1, got 20.0"),
        (lambda: small_resnet(20, width=0), "width must be an integer >= 1, got 0"),
        (lambda: small_resnet(8, classes=0), "classes must be an integer >= 1, got 0"),
        (lambda: small_resnet(8, (8, 8)), r"input_shape must be .*, got \(8, 8\)"),
        (lambda: small_resnet(8, (8, 0, 1)), "input_shape's width must be an integer >= 1, got 0"),
        (lambda: small_resnet(8, (8, 8, None)), "input_shape's channels must be .* got None"),
        (
            lambda: small_resnet(8, shortcut=None, last_survival=0.5),
            "last_survival must be 1 without",
        ),
        (lambda: resnet(18, survival=0.5), "zero_init, last_survival, got survival=0.5: all else"),
        (lambda: resnet(18, kind="basic"), "must be among shortcut, .*, got kind='basic'"),
        (lambda: small_resnet(8, survive=0.5), "options of the units must be .*got survive=0.5"),
        (lambda: resnet(18, last_survival=2), "last_survival must be a probability, .* got 2"),
        (lambda: resnet(18, classes=0), "classes must be an integer >= 1, got 0"),
    ],
)
def test_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()
