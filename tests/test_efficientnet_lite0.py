"""The bundled network against its source in PyTorch, against Keras's own B0, and in use."""

import hashlib
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvlab
from cvlab.data import photograph, photograph_names
from cvlab.networks import (
    crop_and_resize,
    decode_predictions,
    efficientnet_lite0,
    imagenet_classes,
    preprocess_input,
)
from tools import convert_efficientnet_lite0 as tool

WEIGHTS = Path(cvlab.__file__).parent / "weights"
RECORD = json.loads((WEIGHTS / "efficientnet_lite0.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def network():
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def inputs():
    """Return every photograph as the network takes it, grey ones in three equal channels."""
    colour = [np.repeat(i, 3 // i.shape[-1], axis=-1) for i in map(photograph, photograph_names())]
    return np.concatenate([preprocess_input(crop_and_resize(image)) for image in colour])


@pytest.fixture(scope="module")
def probabilities(network, inputs):
    return dict(zip(photograph_names(), network.predict(inputs, verbose=0), strict=True))


def names_of(scores, top):
    return [name for _, name, _ in decode_predictions(scores[np.newaxis], top=top)[0]]


# What it sees


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("temple", ["palace", "bell_cote", "monastery"]),
        ("cat", ["tiger_cat"]),
        ("coffee", ["espresso"]),
        ("flower", ["daisy"]),
    ],
)
def test_the_photographs_are_what_they_show(probabilities, photo, expected):
    assert names_of(probabilities[photo], top=len(expected)) == expected


@pytest.mark.parametrize("photo", photograph_names())
def test_storage_in_half_precision_changes_no_top_5_list(probabilities, photo):
    """The record was computed by PyTorch from the float32 original, resize included."""
    original = RECORD["float32_top5"][photo]
    assert names_of(probabilities[photo], top=5) == list(original)
    stored = [score for *_, score in decode_predictions(probabilities[photo][np.newaxis])[0]]
    np.testing.assert_allclose(stored, list(original.values()), rtol=0.02, atol=1e-3)


def test_scores_without_softmax_are_the_logarithms_up_to_a_constant(network, inputs):
    logits = efficientnet_lite0(classifier_activation=None)(inputs[:2]).numpy()
    assert logits.min() < 0
    np.testing.assert_allclose(tf.nn.softmax(logits), network(inputs[:2]), atol=1e-5)


def test_the_features_are_those_under_the_top(network, inputs):
    """The map, its mean and its maximum; the pretrained weights need no fixed size."""
    maps = efficientnet_lite0(include_top=False)(inputs[:2]).numpy()
    assert maps.shape == (2, 7, 7, 1280)
    mean = efficientnet_lite0(include_top=False, pooling="avg")(inputs[:2])
    largest = efficientnet_lite0(include_top=False, pooling="max")(inputs[:2])
    np.testing.assert_allclose(mean, maps.mean((1, 2)), atol=1e-5)
    np.testing.assert_allclose(largest, maps.max((1, 2)), atol=1e-5)
    under_top = keras.Model(network.inputs[0], network.get_layer("avg_pool").output)
    np.testing.assert_allclose(under_top(inputs[:2]), mean, atol=1e-5)


def test_a_larger_picture_is_still_a_daisy():
    network = efficientnet_lite0(input_shape=(None, None, 3))
    x = preprocess_input(crop_and_resize(photograph("flower"), size=288))
    assert names_of(network.predict(x, verbose=0)[0], top=1) == ["daisy"]


# How it is built


def test_parameters(network):
    assert network.count_params() == 4_694_024
    moving = sum(int(np.prod(w.shape)) for w in network.non_trainable_weights)
    assert moving == 42_016


def test_map_sizes_are_those_of_the_paper(network):
    """Table 1 of Tan and Le: the output of each stage."""
    last = ["stem", "block1a", "block2b", "block3b", "block4c", "block5c", "block6d", "block7a"]
    ends = ["activation", "project_bn", "add", "add", "add", "add", "add", "project_bn"]
    shapes = [
        network.get_layer(f"{a}_{b}").output.shape[1:] for a, b in zip(last, ends, strict=True)
    ]
    assert [height for height, *_ in shapes] == [112, 112, 56, 28, 14, 14, 7, 7]
    assert [channels for *_, channels in shapes] == [32, 16, 24, 40, 80, 112, 192, 320]
    assert network.get_layer("top_activation").output.shape == (None, 7, 7, 1280)


def test_every_layer_with_weights_is_one_of_keras_efficientnet_b0(network):
    """Lite0 is B0 without squeeze-and-excitation: same names, kernels and strides."""
    b0 = keras.applications.EfficientNetB0(weights=None)
    weighted = [layer for layer in network.layers if layer.weights]
    others = [layer.name for layer in b0.layers if layer.weights and "_se_" not in layer.name]
    assert [layer.name for layer in weighted] == [
        n for n in others if not n.startswith("normalization")
    ]
    for layer in weighted:
        other = b0.get_layer(layer.name)
        assert type(layer) is type(other)
        assert [w.shape for w in layer.weights] == [w.shape for w in other.weights]
        assert getattr(layer, "strides", None) == getattr(other, "strides", None)
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (1e-3, 0.99)


def test_the_bottleneck_is_linear_and_the_rest_is_cut_at_6(network):
    rectified = [layer for layer in network.layers if isinstance(layer, keras.layers.ReLU)]
    assert len(rectified) == 33
    assert {float(layer.max_value) for layer in rectified} == {6.0}
    assert not any("project" in layer.name for layer in rectified)


@pytest.mark.parametrize(
    ("size", "cells"), [((32, 32), (1, 1)), ((33, 96), (2, 3)), ((64, 65), (2, 3))]
)
def test_any_size_from_32_on(size, cells):
    model = efficientnet_lite0(weights=None, include_top=False, input_shape=(*size, 3))
    assert model.output_shape == (None, *cells, 1280)


def test_on_a_tensor_of_ones_own(network, inputs):
    """The model starts where the tensor does; layers before it keep their weights."""
    image = keras.Input((96, 80, 3))
    same = keras.layers.Dense(3, kernel_initializer="identity", name="first")(image)
    model = efficientnet_lite0(include_top=False, input_tensor=same, pooling="avg")
    assert model.input_shape == (None, 96, 80, 3)
    assert model.inputs[0] is image
    x = inputs[:2, :96, :80]
    alone = efficientnet_lite0(include_top=False, pooling="avg")
    np.testing.assert_allclose(model(x), alone(x), atol=1e-5)


def test_weights_from_a_file(tmp_path):
    options = {"classes": 4, "input_shape": (32, 32, 1)}
    trained = efficientnet_lite0(weights=None, **options)
    trained.save_weights(tmp_path / "four.weights.h5")
    for path in (tmp_path / "four.weights.h5", str(tmp_path / "four.weights.h5")):
        loaded = efficientnet_lite0(weights=path, **options)
        for ours, theirs in zip(loaded.get_weights(), trained.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_without_top_the_size_is_open():
    model = efficientnet_lite0(weights=None, include_top=False)
    assert model.output_shape == (None, None, None, 1280)
    assert model(np.zeros((1, 50, 40, 3), np.float32)).shape == (1, 2, 2, 1280)


def test_a_classifier_of_ones_own_learns():
    """Custom classes and channels; every weight gets a gradient, and one step lowers the loss."""
    keras.utils.set_random_seed(0)
    model = efficientnet_lite0(weights=None, classes=4, input_shape=(32, 32, 1), name="small")
    assert model.name == "small"
    x = tf.random.normal((8, 32, 32, 1))
    labels = tf.range(8) % 4
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs))
    assert outputs.shape == (8, 4)
    np.testing.assert_allclose(tf.reduce_sum(outputs, -1), 1, atol=1e-5)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    assert all(g is not None and np.isfinite(g).all() for g in gradients)
    assert all(np.abs(g).max() > 0 for g in gradients[-2:])


# The files


def test_the_file_is_the_one_on_record():
    content = (WEIGHTS / "efficientnet_lite0.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == RECORD["sha256"]
    assert len(content) < 10e6
    for name in ("efficientnet_lite0.LICENSE.txt", "imagenet_classes.LICENSE.txt", "README.md"):
        assert (WEIGHTS / name).stat().st_size > 1000


def test_the_file_holds_every_weight_and_no_other(network):
    with np.load(WEIGHTS / "efficientnet_lite0.npz") as stored:
        shapes = {name: stored[name].shape for name in stored}
        half = sum(stored[name].size for name in stored if stored[name].dtype == np.float16)
    expected = {f"{v.name}/{w.name}": w.shape for v in network.layers for w in v.weights}
    assert shapes == expected
    assert half / 4_694_024 == pytest.approx(0.943, abs=1e-3)


def test_the_tool_writes_the_same_bytes_again():
    content = (WEIGHTS / "efficientnet_lite0.npz").read_bytes()
    with np.load(io.BytesIO(content)) as stored:
        assert tool.npz_bytes({name: stored[name] for name in stored}) == content


def test_the_tool_names_and_turns_what_pytorch_calls_otherwise():
    assert tool.keras_name("_blocks.0._bn2.running_mean") == "block1a_project_bn/moving_mean"
    assert tool.keras_name("_blocks.15._expand_conv.weight") == "block7a_expand_conv/kernel"
    assert tool.keras_name("_fc.bias") == "predictions/bias"
    kernel = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    assert tool.keras_layout("stem_conv/kernel", kernel)[4, 6, 2, 1] == kernel[1, 2, 4, 6]
    assert (
        tool.keras_layout("block1a_dwconv/kernel", kernel[:, :1])[4, 6, 1, 0] == kernel[1, 0, 4, 6]
    )


def test_the_tool_converts_every_tensor_of_a_state(network):
    """PyTorch's names and layouts, written out here; the values count up."""
    norm = ("weight", "bias", "running_mean", "running_var")
    blocks = [layer.name[:-7] for layer in network.layers if layer.name.endswith("_dwconv")]
    convs = {"_conv_stem": "stem_conv", "_conv_head": "top_conv"}
    norms = {"_bn0": "stem_bn", "_bn1": "top_bn"}
    for i, block in enumerate(blocks):
        parts = [("expand_conv", "_bn0", "expand_bn")] if i else []  # the first has no expansion
        parts += [("depthwise_conv", "_bn1", "bn"), ("project_conv", "_bn2", "project_bn")]
        for conv, bn, name in parts:
            convs[f"_blocks.{i}._{conv}"] = f"{block}_{conv.replace('depthwise_conv', 'dwconv')}"
            norms[f"_blocks.{i}.{bn}"] = f"{block}_{name}"
    arrays = {}
    for theirs, ours in convs.items():
        rows, columns, inputs, outputs = network.get_layer(ours).kernel.shape
        shape = (inputs, 1) if "dwconv" in ours else (outputs, inputs)
        arrays[f"{theirs}.weight"] = (*shape, rows, columns)
    for theirs, ours in norms.items():
        size = network.get_layer(ours).gamma.shape
        arrays |= {f"{theirs}.{kind}": size for kind in norm} | {f"{theirs}.num_batches_tracked": 1}
    arrays |= {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}
    state = {
        name: tf.constant(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) % 1009)
        for name, shape in arrays.items()
    }
    converted = tool.convert(state)
    with np.load(WEIGHTS / "efficientnet_lite0.npz") as stored:
        assert {n: (a.shape, a.dtype) for n, a in converted.items()} == {
            name: (stored[name].shape, stored[name].dtype) for name in stored
        }
    kernel = state["_blocks.3._depthwise_conv.weight"].numpy()
    picture = np.random.default_rng(0).normal(size=(1, len(kernel), *kernel.shape[2:]))
    turned = converted["block3a_dwconv/kernel"].astype(float)
    ours = tf.nn.depthwise_conv2d(picture.transpose(0, 2, 3, 1), turned, [1] * 4, "VALID")
    np.testing.assert_allclose(ours[0, 0, 0], np.einsum("crs,crs->c", kernel[:, 0], picture[0]))
    np.testing.assert_array_equal(
        converted["block3a_expand_conv/kernel"][0, 0],
        state["_blocks.3._expand_conv.weight"].numpy()[:, :, 0, 0].T,
    )


def test_the_classes_are_listed_in_the_order_of_their_identifiers():
    identifiers = [identifier for identifier, _ in imagenet_classes()]
    assert len(set(identifiers)) == 1000
    assert identifiers == sorted(identifiers)


# Scaling


def test_preprocessing_leaves_its_argument_as_it_was():
    x = np.full((1, 2, 2, 3), 255.0, dtype=np.float32)
    y = preprocess_input(x)
    assert (x == 255).all()
    assert (y == 1).all()
    assert y.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64])
def test_preprocessing_of_any_type(dtype):
    x = np.array([[[0, 127, 191]]], dtype=dtype)
    np.testing.assert_array_equal(preprocess_input(x), np.float32([[[-127 / 128, 0, 0.5]]]))


def test_preprocessing_of_tensors():
    x = tf.constant([[[0, 127, 255]]], dtype=tf.uint8)
    np.testing.assert_array_equal(preprocess_input(x), [[[-127 / 128, 0, 1]]])
    symbol = preprocess_input(keras.Input((8, 8, 3), dtype="uint8"))
    assert symbol.shape == (None, 8, 8, 3)
    batches = tf.data.Dataset.from_tensors(x).map(preprocess_input)
    assert next(iter(batches)).dtype == tf.float32


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 4)), "x must have 3 channels on the last axis, got shape \\(4, 4\\)"),
        (tf.zeros((1, 4, 4, 1)), "x must have 3 channels .* np.repeat"),
        (np.full((2, 3), -0.5), "0..255, got -0.5 to -0.5: is it preprocessed already"),
        (np.full((2, 3), 256), "0..255, got 256 to 256: is it preprocessed already"),
        (np.full((2, 3), np.nan), "0..255, got nan at index 0, 0"),
        (np.full((2, 3), 0.75), "got 0.75 to 0.75: multiply by 255 what was scaled"),
        (np.full((2, 3), "a"), "x must hold real numbers"),
    ],
)
def test_preprocessing_refuses_what_are_no_pixels(x, message):
    with pytest.raises(ValueError, match=message):
        preprocess_input(x)


def test_black_pictures_are_pictures():
    assert (preprocess_input(np.zeros((1, 1, 3))) == np.float32(-127 / 128)).all()
    assert preprocess_input(np.ones((1, 1, 3), np.uint8)).shape == (1, 1, 3)


# Bad arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "noisy"}, 'weights must be "imagenet", a file of weights, or None, got \'n'),
        ({"weights": 3}, "weights must be .* got 3"),
        ({"input_tensor": np.zeros((1, 64, 64, 3))}, "input_tensor must be a tensor of Keras"),
        ({"input_tensor": keras.Input((64, 64, 1))}, "channels must be 3 with the ImageNet"),
        (
            {"input_tensor": keras.Input((64, 3))},
            r"input_tensor must be .* the shape \(None, 64, 3",
        ),
        ({"input_tensor": keras.Input((64, 64, 3)), "input_shape": 5}, "left out, got 5"),
        (
            {"input_tensor": keras.Input((64, 64, 3)), "input_shape": (32, 32, 3)},
            r"input_shape must be that of input_tensor, \(64, 64, 3\), or left out",
        ),
        ({"classes": 10}, "classes must be 1000 .* got 10: take include_top=False"),
        ({"weights": None, "classes": 0}, "classes must be an integer >= 1, got 0"),
        ({"pooling": "avg"}, "pooling must be None when include_top=True"),
        ({"pooling": "sum", "include_top": False}, 'pooling must be None, "avg" or "max"'),
        ({"classifier_activation": "relu"}, "must be \"softmax\" or None .* got 'relu'"),
        ({"input_shape": (224, 224)}, "input_shape must be \\(height, width, channels\\)"),
        ({"input_shape": 224}, "input_shape must be .* got 224"),
        ({"input_shape": (31, 224, 3)}, "input_shape's height must be at least 32.* got 31"),
        ({"input_shape": (None, 16, 3)}, "input_shape's width must be at least 32.* got 16"),
        ({"input_shape": (64, 64.0, 3)}, "input_shape's width must be an integer"),
        ({"input_shape": (64, 64, 1)}, "channels must be 3 with the ImageNet weights, got 1"),
        ({"input_shape": (64, 64, 0), "weights": None}, "channels must be an integer >= 1"),
    ],
)
def test_what_the_network_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        efficientnet_lite0(**arguments)
