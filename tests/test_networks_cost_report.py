"""Costs of Keras models."""

import keras
import numpy as np
import pytest
from keras import applications, layers

from cvlab import cost
from cvlab.networks import efficientnet_lite0
from cvlab.networks.compact_networks import mobilenet_v2
from cvlab.networks.cost_report import cost_report, input_shapes
from cvlab.networks.receptive_field import model_receptive_fields

SIZE = (12, 10)


def chain(*steps, shape=(*SIZE, 6)):
    return keras.Sequential([keras.Input(shape), *steps])


# Multiply-adds as published, in 10**9 unless the source counts millions; decimals as printed.
PUBLISHED = [
    # K. He et al. 2015, arXiv:1512.03385, section 4.1: convolutions only
    (applications.VGG16, {"include_top": False}, 224, "15.3"),
    (applications.ResNet50, {}, 224, "3.86"),  # J. Hu et al. 2018, arXiv:1709.01507, section 4
    (applications.MobileNet, {}, 224, "0.569"),  # A. Howard et al. 2017, arXiv:1704.04861, table 4
    (mobilenet_v2, {}, 224, "0.30"),  # M. Sandler et al. 2018, arXiv:1801.04381, table 4: 300 M
    (applications.DenseNet121, {}, 224, "2.83"),  # torchvision's documentation
    (applications.EfficientNetB0, {}, 224, "0.39"),  # M. Tan and Q. Le 2019, table 2
    (applications.InceptionV3, {}, 299, "5.71"),  # torchvision's documentation
    (applications.Xception, {}, 299, "8.4"),  # B. Zoph et al. 2018, arXiv:1707.07012, table 2
]


@pytest.mark.parametrize(("build", "options", "size", "published"), PUBLISHED)
def test_published_multiply_adds(build, options, size, published):
    model = build(weights=None, **options) if build is not mobilenet_v2 else build()
    report = cost_report(model, (size, size))
    decimals = len(published.split(".")[1])
    assert f"{report.macs / 1e9:.{decimals}f}" == published
    assert report.flops == 2 * report.macs
    assert report.parameters == model.count_params()
    assert report.trained == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert report.no_field_because == ""


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(8, 3, strides=2, groups=2), ("conv2d", 3, 8, {"stride": 2, "groups": 2})),
        (
            layers.Conv2D(8, (3, 1), dilation_rate=2, padding="same", use_bias=False),
            ("conv2d", (3, 1), 8, {"dilation": 2, "padding": "same", "bias": False}),
        ),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), ("depthwise_conv2d", 3, 2, {})),
        (
            layers.SeparableConv2D(8, 3, strides=2, depth_multiplier=2, padding="same"),
            ("separable_conv2d", 3, 8, {"multiplier": 2, "stride": 2, "padding": "same"}),
        ),
        (
            layers.Conv2DTranspose(8, 3, strides=2, padding="same"),
            ("conv2d_transpose", 3, 8, {"stride": 2, "padding": "same"}),
        ),
        (layers.Dense(8), ("conv2d", 1, 8, {})),  # on a map, a 1 x 1 convolution
    ],
)
def test_every_kind_of_layer_costs_what_the_formulas_say(layer, expected):
    name, *sizes, options = expected
    formula = getattr(cost, f"{name}_cost")((*SIZE, 6), *sizes, **options)
    row = cost_report(chain(layer)).layers[1]
    assert (row.output_shape, row.parameters, row.macs) == formula
    assert (row.flops, row.untrained) == (formula.flops, 0)


def test_other_dimensions_and_layouts():
    one = cost_report(keras.Sequential([keras.Input((20, 3)), layers.Conv1D(4, 5)]))
    assert one.macs == 5 * 3 * 4 * 16
    first = layers.Conv2D(4, 3, data_format="channels_first")
    assert cost_report(keras.Sequential([keras.Input((3, 8, 9)), first])).macs == 27 * 4 * 6 * 7
    vector = cost_report(keras.Sequential([keras.Input((7,)), layers.Dense(5)]))
    assert (vector.macs, vector.parameters) == (35, 40)
    assert vector.layers[1].receptive_field is None
    assert vector.no_field_because.startswith("model must have one image")


def test_layers_that_only_scale_and_shift_have_parameters_but_no_multiply_adds():
    report = cost_report(chain(layers.BatchNormalization(), layers.PReLU(), layers.MaxPooling2D()))
    norm, prelu, _ = report.layers[1:]
    assert (norm.parameters, norm.trained, norm.untrained) == (24, 12, 12)
    assert (prelu.parameters, report.macs) == (12 * 10 * 6, 0)


def test_frozen_layers_are_not_trained():
    model = chain(layers.Conv2D(4, 3), layers.Conv2D(2, 1))
    model.layers[0].trainable = False
    report = cost_report(model)
    assert (report.parameters, report.trained) == (9 * 6 * 4 + 4 + 10, 10)
    assert report.untrained == 9 * 6 * 4 + 4


def test_a_shared_layer_counts_once_as_parameters_and_at_every_call_as_multiply_adds():
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Add()([conv(conv(image)), image]))
    report = cost_report(model)
    assert [(row.name, row.parameters) for row in report.layers[1:3]] == [
        ("conv", 84),
        ("conv:2", 0),
    ]
    assert report.macs == 2 * 81 * 64
    assert report.parameters == model.count_params() == 84


def test_models_inside_models_are_opened_and_get_the_size_of_the_outer_one():
    inner_image = keras.Input((None, None, 3))
    inner = keras.Model(inner_image, layers.Conv2D(3, 3, name="conv")(inner_image), name="inner")
    image = keras.Input((20, 16, 3))
    model = keras.Model(image, inner(layers.MaxPooling2D()(inner(image))))
    report = cost_report(model)
    shapes = {row.name: row.output_shape for row in report.layers}
    assert shapes["inner/conv"] == (18, 14, 3)
    assert report.layers[-1].output_shape == (7, 5, 3)
    assert report.macs == 81 * (18 * 14 + 7 * 5)
    assert report.parameters == 84


def test_input_size_replaces_that_of_the_model():
    model = chain(layers.Conv2D(4, 3, padding="same"), layers.GlobalAveragePooling2D())
    assert cost_report(model, (24, 20)).macs == 4 * cost_report(model).macs
    assert cost_report(model, (24, 20)).layers[1].output_shape == (24, 20, 4)
    assert cost_report(efficientnet_lite0(None)).macs == 385_187_552


def test_memory_of_a_chain_is_what_the_formulas_say():
    model = chain(layers.Conv2D(8, 3), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10))
    shapes = [(12, 10, 6), (10, 8, 8), (5, 4, 8), (160,), (10,)]
    for batch, dtype in ((1, "float32"), (5, "float16"), (2, np.float64), (1, np.dtype("int8"))):
        report = cost_report(model, batch=batch, dtype=dtype)
        assert report.inference_bytes == cost.inference_bytes(shapes, batch, dtype)
        assert report.training_bytes == cost.training_bytes(shapes, batch, dtype)
        assert report.dtype == np.dtype(dtype).name
    assert [row.output_bytes for row in cost_report(model).layers] == [
        cost.activation_bytes(shape) for shape in shapes
    ]


def test_a_shortcut_keeps_its_array_alive():
    """The image (3 maps) lives until the sum: 3 + 8 + 8 maps while the second layer runs."""
    image = keras.Input((4, 4, 3))
    y = layers.Conv2D(8, 1)(image)
    y = layers.Conv2D(3, 1)(layers.ReLU()(y))
    maps = 4 * 4 * 4  # bytes of one map
    report = cost_report(keras.Model(image, layers.Add()([image, y])))
    assert report.inference_bytes == (3 + 8 + 8) * maps
    assert report.training_bytes == (3 + 8 + 8 + 3 + 3) * maps
    assert cost_report(keras.Model(image, y)).inference_bytes == (8 + 8) * maps


def test_outputs_stay_and_repeated_inputs_are_freed_once():
    image = keras.Input((4, 4, 1))
    a = layers.Conv2D(5, 1, name="a")(image)
    b = layers.Conv2D(7, 1, name="b")(a)
    c = layers.Conv2D(2, 1, name="c")(b)
    kept = cost_report(keras.Model(image, [a, c]))
    assert kept.inference_bytes == (5 + 7 + 2) * 64
    assert cost_report(keras.Model(image, c)).inference_bytes == (5 + 7) * 64
    twice = keras.Model(image, layers.Conv2D(9, 1)(layers.Add()([b, b])))
    assert cost_report(twice).inference_bytes == (7 + 9) * 64


def test_receptive_fields_are_those_of_the_model():
    model = chain(layers.Conv2D(4, (3, 5), strides=2), layers.MaxPooling2D())
    fields = {field.name: field.size for field in model_receptive_fields(model)}
    for row in cost_report(model).layers[1:]:
        assert row.receptive_field == fields[row.name]
    assert cost_report(model).layers[0].receptive_field is None


@keras.saving.register_keras_serializable("tests")
class Mixer(layers.Layer):
    def build(self, input_shape):
        self.matrix = self.add_weight(shape=(input_shape[-1], input_shape[-1]))

    def call(self, x):
        return keras.ops.matmul(x, self.matrix)


def test_unknown_layers_need_a_rule():
    model = chain(Mixer(name="mixer"))
    with pytest.raises(ValueError, match=r"multiply-adds are not known, 'mixer' of class Mixer"):
        cost_report(model)

    def rule(layer, source, shape):
        return layer.matrix.shape[0] * int(np.prod(shape))

    report = cost_report(model, macs={"Mixer": rule})
    assert report.macs == 6 * 12 * 10 * 6
    assert "'mixer' of class Mixer" in report.no_field_because
    known = cost_report(model, macs={"Mixer": rule}, pointwise=("Mixer",))
    assert known.layers[1].receptive_field == (1, 1)


def test_products_of_two_tensors_need_a_rule_too():
    image = keras.Input((4, 6))
    product = keras.ops.matmul(image, keras.ops.transpose(image, (0, 2, 1)))
    with pytest.raises(ValueError, match=r"of class Matmul; give a rule"):
        cost_report(keras.Model(image, product))


def test_the_model_is_only_read():
    conv = layers.Conv2D(4, 3)
    model = chain(conv)
    before, calls = model.get_weights(), len(conv._inbound_nodes)
    cost_report(model, (30, 30))
    assert len(conv._inbound_nodes) == calls
    assert model.output_shape == (None, 10, 8, 4)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_cannot_be_counted_is_refused():
    anything = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    with pytest.raises(
        ValueError, match=r"input_size must be given.* got None and the input \(None, None"
    ):
        cost_report(anything)
    with pytest.raises(ValueError, match=r"input_size must be one integer or 2 of them"):
        cost_report(anything, (1, 2, 3))
    with pytest.raises(ValueError, match=r"batch must be an integer >= 1, got 0"):
        cost_report(anything, (8, 8), batch=0)
    for dtype in ("foo", "string", None):
        with pytest.raises(ValueError, match=rf"dtype must name a NumPy type, got {dtype!r}"):
            cost_report(anything, (8, 8), dtype=dtype)
    for macs in (3, {"Conv2D": 3}):
        with pytest.raises(ValueError, match=r"macs must hold a function for .* got .*3"):
            cost_report(anything, (8, 8), macs=macs)
    deep = chain(layers.Conv2D(4, 3), layers.MaxPooling2D(4, name="pool"))
    with pytest.raises(ValueError, match=r"got \(5, 5\): 'pool' .* MaxPooling2D gets \(3, 3, 4\)"):
        cost_report(deep, (5, 5))
    fixed = chain(layers.Flatten(), layers.Dense(3, name="last"))
    with pytest.raises(ValueError, match=r"dense layer 'last' its 720 inputs, got 1440"):
        cost_report(fixed, (24, 10))
    with pytest.raises(ValueError, match=r"functional or a Sequential Keras model"):
        cost_report(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match=r"functional or a Sequential Keras model"):
        input_shapes(keras.Sequential([layers.Dense(3)]))


def test_a_size_is_for_images_with_the_channels_last():
    first = keras.Input((3, 32, 32))
    conv = layers.Conv2D(4, 3, data_format="channels_first")
    model = keras.Model(first, conv(first))
    assert cost_report(model).macs == 30 * 30 * 27 * 4
    with pytest.raises(ValueError, match=r"input_size sets the first two axes .*\(3, 32, 32\)"):
        cost_report(model, (64, 64))
    vector = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"other inputs: \[\(4,\)\]"):
        cost_report(vector, (64, 64))
    video = keras.Sequential([keras.Input((None, 8, 8, 3)), layers.Conv3D(4, 3)])
    with pytest.raises(ValueError, match=r"got None and the input \(None, 8, 8, 3\)"):
        cost_report(video)
