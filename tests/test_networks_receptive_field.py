"""Receptive fields of Keras models: published numbers, and the field measured by gradients."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from cvlab.networks.effective_field import measured_field
from cvlab.networks.graph import walk
from cvlab.networks.receptive_field import (
    model_layers,
    model_receptive_fields,
    model_unit_interval,
)
from cvlab.receptive_field import unit_pixels


def fields_by_name(model, *args, **kwargs):
    return {field.name: field for field in model_receptive_fields(model, *args, **kwargs)}


def check_published(fields, table):
    """Compare with rows of name: (size, jump, effective padding)."""
    for name, (size, jump, padding) in table.items():
        field = fields[name]
        assert (field.size, field.jump) == ((size, size), (jump, jump)), name
        assert field.start == (-padding, -padding), name
        assert field.aligned, name


# Araujo et al. 2019; the rows are from the table of their library, github.com/google-research/
# receptive_field, RECEPTIVE_FIELD_TABLE.md, at resolution 224 (RF, effective stride and padding).


def test_vgg16_has_the_published_fields():
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    published = {
        "block1_conv1": (3, 1, 1), "block1_pool": (6, 2, 2), "block2_conv1": (10, 2, 4),
        "block2_pool": (16, 4, 6), "block3_conv1": (24, 4, 10), "block3_conv2": (32, 4, 14),
        "block3_pool": (44, 8, 18), "block4_conv1": (60, 8, 26), "block4_conv2": (76, 8, 34),
        "block4_pool": (100, 16, 42), "block5_conv1": (132, 16, 58), "block5_conv2": (164, 16, 74),
        "block5_pool": (212, 32, 90),
    }  # fmt: skip
    check_published(fields_by_name(model), published)


def test_inception_v3_has_the_published_fields():
    model = keras.applications.InceptionV3(weights=None, include_top=False)
    published = {
        "mixed0": (63, 8, 18), "mixed1": (95, 8, 34), "mixed2": (127, 8, 50),
        "mixed3": (159, 16, 58), "mixed4": (351, 16, 154), "mixed5": (543, 16, 250),
        "mixed6": (735, 16, 346), "mixed7": (927, 16, 442), "mixed8": (1055, 32, 490),
        "mixed9": (1183, 32, 554), "mixed10": (1311, 32, 618),
    }  # fmt: skip
    check_published(fields_by_name(model, (299, 299)), published)


def test_mobilenet_has_the_published_fields():
    model = keras.applications.MobileNet(weights=None, include_top=False, alpha=0.25)
    published = {
        "conv1": (3, 2, 0), "conv_pw_1": (7, 2, 2), "conv_pw_2": (11, 4, 2),
        "conv_pw_3": (19, 4, 6), "conv_pw_4": (27, 8, 6), "conv_pw_5": (43, 8, 14),
        "conv_pw_6": (59, 16, 14), "conv_pw_7": (91, 16, 30), "conv_pw_8": (123, 16, 46),
        "conv_pw_9": (155, 16, 62), "conv_pw_10": (187, 16, 78), "conv_pw_11": (219, 16, 94),
        "conv_pw_12": (251, 32, 94), "conv_pw_13": (315, 32, 126),
    }  # fmt: skip
    check_published(fields_by_name(model, (224, 224)), published)


def slim_resnet50(channels=2):
    """ResNet-50 as in TF-Slim, which the table is about, with few channels.

    The stride stands in the 3x3 convolution of the last unit of a block; strided convolutions are
    padded explicitly, the pooling is padded "same", and a strided shortcut subsamples.
    """
    image = keras.Input((224, 224, 3))
    x = layers.ZeroPadding2D(3)(image)
    x = layers.Conv2D(channels, 7, strides=2)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for block, units in enumerate((3, 4, 6, 3), start=1):
        for unit in range(1, units + 1):
            stride = 2 if unit == units and block < 4 else 1
            shortcut = layers.MaxPooling2D(1, strides=stride)(x)
            x = layers.Conv2D(channels, 1)(x)
            if stride == 2:
                x = layers.ZeroPadding2D(1)(x)
            x = layers.Conv2D(
                channels, 3, strides=stride, padding="valid" if stride == 2 else "same"
            )(x)
            x = layers.Conv2D(channels, 1)(x)
            last = unit == units
            x = layers.Add(name=f"block{block}" if last else None)([x, shortcut])
    return keras.Model(image, x)


def test_resnet50_has_the_published_fields():
    published = {
        "block1": (35, 8, 15), "block2": (99, 16, 47), "block3": (291, 32, 143),
        "block4": (483, 32, 239),
    }  # fmt: skip
    check_published(fields_by_name(slim_resnet50()), published)


def test_resnet50_of_keras_differs_in_stride_and_padding_only():
    """Keras strides at the first unit of a block and pads the pooling by 1 on both sides."""
    model = keras.applications.ResNet50(weights=None, include_top=False)
    sizes = {
        "conv2_block3_out": (35, 4, 17), "conv3_block4_out": (99, 8, 49),
        "conv4_block6_out": (291, 16, 145), "conv5_block3_out": (483, 32, 241),
    }  # fmt: skip
    check_published(fields_by_name(model, (224, 224)), sizes)


# --- the measured field ------------------------------------------------------------------------


def network(*stack, size=(15, 14)):
    return keras.Sequential([keras.Input((*size, 2)), *stack])


def residual(stride, size=(15, 14)):
    image = keras.Input((*size, 2))
    x = layers.Conv2D(3, 3, padding="same", activation="relu")(image)
    shortcut = layers.Conv2D(3, 1, strides=stride)(x)
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, strides=stride, padding="same")(x))
    x = layers.ReLU()(layers.Add()([x, shortcut]))
    return keras.Model(image, layers.Conv2D(2, 3, padding="same")(x))


def inception():
    image = keras.Input((15, 14, 2))
    branches = [
        layers.Conv2D(2, 1)(image),
        layers.Conv2D(2, (1, 7), padding="same")(image),
        layers.Conv2D(2, (5, 1), padding="same")(image),
        layers.AveragePooling2D(3, strides=1, padding="same")(image),
    ]
    return keras.Model(image, layers.Concatenate()(branches))


def u_net():
    image = keras.Input((16, 12, 2))
    fine = layers.Conv2D(2, 3, padding="same", activation="relu")(image)
    coarse = layers.Conv2D(2, 3, padding="same")(layers.MaxPooling2D()(fine))
    deepest = layers.Conv2D(2, 3, padding="same")(layers.MaxPooling2D()(coarse))
    up = layers.Conv2DTranspose(2, 2, strides=2)(deepest)
    up = layers.UpSampling2D(interpolation="bilinear")(layers.Concatenate()([up, coarse]))
    return keras.Model(image, layers.Conv2D(2, 3, padding="same")(layers.Concatenate()([up, fine])))


def nested():
    block = keras.Sequential(
        [keras.Input((None, None, 2)), layers.Conv2D(2, 3, padding="same"), layers.ReLU()]
    )
    image = keras.Input((15, 14, 2))
    twice = block(layers.MaxPooling2D(2)(block(image)))
    return keras.Model(image, keras.ops.silu(twice * 0.5 + 1.0))


def dense_autoencoder():
    return network(
        layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(8), layers.Reshape((2, 2, 2)),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
    )  # fmt: skip


MODELS = {
    "plain": lambda: network(layers.Conv2D(2, 3), layers.Conv2D(2, (2, 3), activation="relu")),
    "same even": lambda: network(
        layers.Conv2D(2, 3, strides=2, padding="same"),
        layers.Conv2D(2, 3, strides=2, padding="same"), size=(16, 8),
    ),
    "same odd": lambda: network(
        layers.Conv2D(2, 4, strides=3, padding="same"), layers.Conv2D(2, 3, padding="same")
    ),
    "dilated": lambda: network(
        layers.Conv2D(2, 3, dilation_rate=2),
        layers.Conv2D(2, 2, dilation_rate=(3, 1), padding="same"),
    ),
    "skips pixels": lambda: network(layers.Conv2D(2, 1, strides=2), layers.Conv2D(2, 3)),
    "pooling": lambda: network(
        layers.MaxPooling2D(3, strides=2, padding="same"), layers.AveragePooling2D((2, 1))
    ),
    "depthwise": lambda: network(
        layers.DepthwiseConv2D(3, strides=2, padding="same"), layers.SeparableConv2D(2, 3)
    ),
    "grouped": lambda: network(layers.Conv2D(4, 3, groups=2), layers.SpatialDropout2D(0.5)),
    "transposed same": lambda: network(
        layers.Conv2D(2, 3, strides=2), layers.Conv2DTranspose(2, 3, strides=2, padding="same")
    ),
    "transposed valid": lambda: network(
        layers.Conv2DTranspose(2, 4, strides=3), layers.Conv2D(2, 3, padding="same"), size=(5, 6)
    ),
    "transposed with gaps": lambda: network(
        layers.Conv2DTranspose(2, 2, strides=3, padding="same"), layers.Conv2D(2, 2), size=(5, 6)
    ),
    "nearest": lambda: network(layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3), size=(5, 6)),
    "bilinear": lambda: network(
        layers.UpSampling2D((2, 3), interpolation="bilinear"), layers.Conv2D(2, 3), size=(5, 6)
    ),
    "bicubic": lambda: network(layers.UpSampling2D(2, interpolation="bicubic"), size=(9, 8)),
    "frame": lambda: network(
        layers.ZeroPadding2D(((2, 0), (1, 3))), layers.Conv2D(2, 3, strides=2),
        layers.Cropping2D(((1, 0), (0, 2))), layers.Conv2D(2, 3, padding="same"),
    ),
    "residual": lambda: residual(1),
    "misaligned residual": lambda: residual(2, size=(16, 14)),
    "inception": inception,
    "u-net": u_net,
    "nested": nested,
    "global pooling": lambda: network(
        layers.Conv2D(2, 3), layers.GlobalMaxPooling2D(keepdims=True), layers.Dense(2)
    ),
    "dense autoencoder": dense_autoencoder,
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_measured_field_is_the_predicted_one(name):
    model = MODELS[name]()
    size = model.inputs[0].shape[1:3]
    *_, last = model_receptive_fields(model)
    rows, columns = model.output_shape[1:3]
    assert last.length == (rows, columns)
    for unit in {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2), (rows - 1, 0)}:
        seen = measured_field(model, unit)
        predicted = unit_pixels(model_layers(model), unit, size)
        for axis in (0, 1):
            measured = np.flatnonzero(seen.any(axis=1 - axis))
            np.testing.assert_array_equal(measured, predicted[axis])
        (top, bottom), (left, right) = model_unit_interval(model, unit)
        assert seen[top:bottom, left:right].sum() == seen.sum()


@pytest.mark.parametrize(
    ("interpolation", "factor"), [("bilinear", 2), ("bilinear", 3), ("bicubic", 2), ("nearest", 3)]
)
def test_every_interpolated_unit_sees_what_is_predicted(interpolation, factor):
    model = network(layers.UpSampling2D((1, factor), interpolation=interpolation), size=(1, 6))
    for column in range(6 * factor):
        measured = np.flatnonzero(measured_field(model, (0, column))[0])
        _, predicted = unit_pixels(model_layers(model), (0, column), (1, 6))
        np.testing.assert_array_equal(measured, predicted)


def test_branches_see_a_union_that_need_not_be_a_box():
    seen = measured_field(inception(), unit=(7, 7))
    assert seen[7, 4:11].all()  # the row of the 1x7 branch
    assert seen[5:10, 7].all()  # the column of the 5x1 branch
    assert not seen[5, 4]


def test_the_length_of_every_map_is_that_of_keras():
    for model in (u_net(), nested(), residual(2), MODELS["frame"](), slim_resnet50()):
        shapes = {node.name: node.shape for node in walk(model)}
        for field in model_receptive_fields(model):
            if None not in shapes[field.name][1:3]:
                assert field.length == shapes[field.name][1:3], field.name


def test_misaligned_branches_are_reported():
    assert model_receptive_fields(residual(1))[-1].aligned
    assert not model_receptive_fields(residual(2, size=(16, 16)))[-1].aligned
    assert model_receptive_fields(residual(2, size=(15, 15)))[-1].aligned


def squeeze_and_excitation(weights="sigmoid"):
    image = keras.Input((13, 13, 2))
    x = layers.Conv2D(4, 3, padding="same", name="map")(image)
    gate = layers.GlobalAveragePooling2D(name="squeeze")(x)
    gate = layers.Reshape((1, 1, 4), name="reshape")(gate)
    gate = layers.Dense(4, activation=weights, name="excite")(gate)
    return keras.Model(image, layers.Multiply(name="scale")([x, gate]))


def test_a_gate_is_reported_and_the_local_field_kept():
    model = squeeze_and_excitation()
    fields = fields_by_name(model)
    assert fields["scale"].gated
    assert not fields["map"].gated
    assert (fields["scale"].size, fields["scale"].jump) == ((3, 3), (1, 1))
    assert fields["excite"].size == (15, 15)  # the whole map, padding included
    assert model_unit_interval(model, (6, 6)) == ((5, 8), (5, 8))
    assert measured_field(model, (6, 6)).all()  # through the gate a unit sees everything


def test_normalization_by_the_statistics_of_a_map_is_a_gate():
    for norm in (layers.GroupNormalization(2), layers.LayerNormalization(axis=(1, 2, 3))):
        field = model_receptive_fields(network(layers.Conv2D(4, 3), norm))[-1]
        assert (field.size, field.gated) == ((3, 3), True)
    for norm in (layers.LayerNormalization(), layers.BatchNormalization()):
        assert not model_receptive_fields(network(layers.Conv2D(4, 3), norm))[-1].gated
    grouped = network(layers.Conv2D(4, 3), layers.GroupNormalization(2))
    assert measured_field(grouped).all()


def test_reshaping_keeps_places_or_gives_them_up():
    model = network(layers.Conv2D(4, 3), layers.Reshape((13, 12, 4)))
    assert model_receptive_fields(model)[-1].jump == (1, 1)
    tokens = model_receptive_fields(network(layers.Conv2D(4, 3), layers.Reshape((-1, 4))))[-1]
    assert (tokens.size, tokens.jump, tokens.length) == ((15, 14), (0, 0), (1, 1))


def test_the_size_of_the_image_may_be_given():
    model = network(layers.Conv2D(2, 3, strides=2, padding="same"), size=(None, None))
    assert model_receptive_fields(model, (16, 17))[0].start == (0, -1)
    assert model_unit_interval(model, (0, 0), input_size=(16, 17)) == ((0, 3), (0, 2))
    with pytest.raises(
        ValueError, match=r"input_size must be given .* got \(None, None, None, 2\)"
    ):
        model_receptive_fields(model)


def test_one_unit_of_an_inner_layer():
    model = network(layers.Conv2D(2, 3, name="first"), layers.Conv2D(2, 5, name="second"))
    assert model_unit_interval(model, (0, 0)) == ((0, 7), (0, 7))
    assert model_unit_interval(model, (0, 0), "first") == ((0, 3), (0, 3))


def test_layers_that_are_not_known_must_be_named():
    class Unheard(layers.Layer):
        def call(self, x):
            return x * 2.0

    class OwnConv(layers.Conv2D):
        pass

    model = network(OwnConv(2, 3), Unheard(name="odd"))
    with pytest.raises(ValueError, match="not known, 'odd' of class Unheard; name the class in"):
        model_receptive_fields(model)
    assert model_receptive_fields(model, pointwise=["Unheard"])[-1].size == (3, 3)


def test_the_model_is_left_as_it_was():
    model = u_net()
    before = [w.copy() for w in model.get_weights()], model.to_json()
    model_receptive_fields(model)
    measured_field(model)
    assert all(np.array_equal(a, b) for a, b in zip(before[0], model.get_weights(), strict=True))
    assert model.to_json() == before[1]


def test_errors():
    image = keras.Input((8, 8, 2))
    fine, coarse = layers.Conv2D(2, 3, padding="same")(image), layers.MaxPooling2D()(image)
    crop = layers.Cropping2D(2)(fine)
    model = keras.Model(image, layers.Add(name="sum")([crop, coarse]))
    with pytest.raises(ValueError, match=r"jump of the branches that 'sum' merges must agree"):
        model_receptive_fields(model)
    stacked = keras.Model(image, layers.Concatenate(axis=1, name="stack")([fine, image]))
    with pytest.raises(ValueError, match="axis of 'stack' must be the channels, got 1"):
        model_receptive_fields(stacked)
    vector = keras.Sequential([keras.Input((8,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"model must have one image .* got \[\(None, 8\)\]"):
        model_receptive_fields(vector)
    first = network(layers.MaxPooling2D(2, data_format="channels_first", name="first"))
    with pytest.raises(ValueError, match="data_format of 'first' must be channels_last"):
        model_receptive_fields(first)
    padded = layers.Conv2DTranspose(2, 3, strides=2, output_padding=1, name="up")
    with pytest.raises(ValueError, match="output_padding of 'up' must be None, got"):
        model_receptive_fields(network(padded))


@pytest.mark.parametrize(
    ("operation", "layer"),
    [
        (lambda x: ops.max_pool(x, 2), layers.MaxPooling2D(2)),
        (
            lambda x: ops.average_pool(x, 3, 2, padding="same"),
            layers.AveragePooling2D(3, 2, "same"),
        ),
        (lambda x: ops.mean(x, axis=(1, 2)), layers.GlobalAveragePooling2D()),
        (lambda x: ops.max(x, [-3, -2], keepdims=True), layers.GlobalMaxPooling2D(keepdims=True)),
        (lambda x: ops.mean(x, axis=-1, keepdims=True), layers.Dense(1)),
    ],
)
def test_an_operation_has_the_field_of_the_layer_that_does_the_same(operation, layer):
    image = keras.Input((20, 24, 3))
    x = layers.Conv2D(4, 3, strides=2)(image)
    of_operation, of_layer = (
        model_receptive_fields(keras.Model(image, f(x)))[-1] for f in (operation, layer)
    )
    assert dataclasses.replace(of_operation, name="") == dataclasses.replace(of_layer, name="")


def test_a_mean_over_one_axis_of_the_image_is_refused():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, ops.mean(image, axis=1))
    with pytest.raises(ValueError, match=r"axis of 'mean.*' must be the channels or all of height"):
        model_receptive_fields(model)


def test_a_resizing_is_refused_with_a_way_out():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Resizing(6, 6)])
    with pytest.raises(ValueError, match=r"Resizing; .* build the model on the prepared image"):
        model_receptive_fields(model)
