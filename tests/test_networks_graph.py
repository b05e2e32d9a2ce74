"""Keras models as lists of nodes."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.graph import has_graph, layer_calls, walk


def described(model):
    return [(node.name, node.sources) for node in walk(model)]


def test_sequential_models():
    model = keras.Sequential([keras.Input((8, 8, 3), name="image"), layers.Conv2D(4, 3, name="a")])
    assert described(model) == [("image", ()), ("a", ("image",))]
    late = keras.Sequential([layers.Conv2D(4, 3, name="a"), layers.ReLU(name="b")])
    late(np.zeros((1, 8, 8, 3)))
    assert [node.name for node in walk(late)][1:] == ["a", "b"]
    assert [node.shape for node in walk(model)] == [(None, 8, 8, 3), (None, 6, 6, 4)]
    assert walk(model)[1].layer is model.get_layer("a")


def test_branches_come_before_what_merges_them_and_keep_their_order():
    image = keras.Input((8, 8, 3), name="image")
    stem = layers.Conv2D(4, 1, name="stem")(image)
    left = layers.Conv2D(4, 3, padding="same", name="left")(stem)
    right = layers.Conv2D(4, 1, name="right")(layers.ReLU(name="relu")(stem))
    model = keras.Model(image, layers.Subtract(name="out")([right, left]))
    assert described(model) == [
        ("image", ()),
        ("stem", ("image",)),
        ("relu", ("stem",)),
        ("right", ("relu",)),
        ("left", ("stem",)),
        ("out", ("right", "left")),
    ]


def test_a_shared_layer_is_one_node_for_each_call():
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, layers.Add(name="sum")([conv(conv(image)), image]))
    nodes = walk(model)
    assert [(node.name, node.sources) for node in nodes[1:]] == [
        ("conv", ("image",)),
        ("conv:2", ("conv",)),
        ("sum", ("conv:2", "image")),
    ]
    assert nodes[1].layer is nodes[2].layer is conv


def test_models_inside_models_are_opened_at_every_call():
    inner_image = keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, layers.Conv2D(3, 1, name="conv")(inner_image), name="inner")
    block = keras.Sequential(
        [keras.Input((8, 8, 3)), inner, layers.ReLU(name="relu")], name="block"
    )
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, layers.Add(name="sum")([block(image), inner(block(image))]))
    assert described(model) == [
        ("image", ()),
        ("block/inner/conv", ("image",)),
        ("block/relu", ("block/inner/conv",)),
        ("block:2/inner/conv", ("image",)),
        ("block:2/relu", ("block:2/inner/conv",)),
        ("inner/conv", ("block:2/relu",)),
        ("sum", ("block/relu", "inner/conv")),
    ]


def test_operations_on_keras_tensors_are_nodes():
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.ops.relu(image * 2.0 + image))
    nodes = walk(model)
    assert [type(node.layer).__name__ for node in nodes] == [
        "InputLayer",
        "Multiply",
        "Add",
        "Relu",
    ]
    assert nodes[2].sources == (nodes[1].name, "image")


def test_a_part_of_a_model_is_walked_from_its_own_input():
    model = keras.Sequential(
        [keras.Input((8, 8, 3), name="image"), layers.Conv2D(4, 3, name="a"), layers.ReLU(name="b")]
    )
    part = keras.Model(model.inputs, model.get_layer("a").output)
    assert [node.name for node in walk(part)] == ["image", "a"]
    head = keras.Model(model.get_layer("a").output, model.get_layer("b").output)
    assert [node.name for node in walk(head)][1:] == ["b"]


def test_several_inputs_and_outputs():
    one, two = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="two")
    total = layers.Add(name="sum")([one, two])
    model = keras.Model([one, two], [layers.ReLU(name="relu")(total), total])
    assert described(model) == [
        ("one", ()),
        ("two", ()),
        ("sum", ("one", "two")),
        ("relu", ("sum",)),
    ]


def test_computing_node_by_node_is_the_model():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Dropout(0.5), layers.Conv2D(3, 1)])
    image = keras.Input((8, 8, 3))
    first, rest = keras.ops.split(inner(image, training=True), [1], axis=-1)
    model = keras.Model(image, layers.Concatenate()([rest, 1.0 - first, inner(image)]))
    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    nodes = walk(model)
    values = {nodes[0].name: (pixels,)}
    for node in nodes[1:]:
        values[node.name] = node.compute(values)
    kept = inner(pixels, training=False).numpy()  # dropout does nothing, whatever the call says
    expected = np.concatenate([kept[..., 1:], 1 - kept[..., :1], kept], axis=-1)
    np.testing.assert_allclose(values[nodes[-1].name][0], expected, rtol=1e-5, atol=1e-6)


def test_every_layer_of_resnet50_appears_once():
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), include_top=False)
    nodes = walk(model)
    assert {node.name for node in nodes} == {layer.name for layer in model.layers}
    assert len(nodes) == len(model.layers) == 175
    seen = set()
    for node in nodes:
        assert seen.issuperset(node.sources)
        seen.add(node.name)
        assert node.shape == tuple(node.layer.output.shape)


@pytest.mark.parametrize("read", [walk, layer_calls])
def test_models_without_a_graph_are_an_error(read):
    class Subclass(keras.Model):
        def call(self, x):
            return x

    message = "model must be a functional or a Sequential Keras model .*, got "
    with pytest.raises(ValueError, match=message + "Subclass"):
        read(Subclass())
    with pytest.raises(ValueError, match=message + "Sequential"):
        read(keras.Sequential([layers.Conv2D(4, 3)]))
    with pytest.raises(ValueError, match=message + "Conv2D"):
        read(layers.Conv2D(4, 3))


def test_shapes_are_inferred_for_other_inputs_and_nothing_is_added_to_the_model():
    inner = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(6, 3, name="conv")])
    image = keras.Input((8, 8, 3))
    first, rest = keras.ops.split(inner(image), [1], axis=-1)
    pooled = layers.AveragePooling2D(2)(rest)
    nodes = walk(keras.Model(image, [layers.Flatten()(pooled), first]))
    shapes = {nodes[0].name: ((2, 11, 9, 3),)}
    for node in nodes[1:]:
        shapes[node.name] = node.infer(shapes)
    assert list(shapes.values())[1:] == [
        ((2, 9, 7, 6),),
        ((2, 9, 7, 1), (2, 9, 7, 5)),
        ((2, 4, 3, 5),),
        ((2, 60),),
    ]
    assert len(inner.layers[0]._inbound_nodes) == 1


def test_what_the_model_returns_is_marked():
    image = keras.Input((8, 8, 3), name="image")
    a = layers.ReLU(name="a")(image)
    b = layers.ReLU(name="b")(a)
    model = keras.Model(image, [layers.ReLU(name="c")(b), a])
    assert [node.name for node in walk(model) if node.is_output] == ["a", "c"]
    block = keras.Sequential([keras.Input((8, 8, 3)), layers.ReLU(name="d")], name="block")
    nested = keras.Model(image, block(image))
    assert [node.name for node in walk(nested) if node.is_output] == ["block/d"]


def test_a_graph_is_known_by_the_inputs_of_a_model():
    class Functional(keras.Model):
        def __init__(self):
            image = keras.Input((8, 8, 3))
            super().__init__(image, layers.ReLU()(image))

    late = keras.Sequential([layers.ReLU()])
    assert has_graph(Functional())
    assert not has_graph(late)
    late(np.zeros((1, 8, 8, 3)))
    assert has_graph(late)
