"""Blocks as boxes and arrows."""

import itertools

import keras
import pytest
from keras import layers
from matplotlib.patches import Rectangle

from cvlab import networks
from cvlab.networks.block_diagram import block_boxes, plot_blocks


def model(make, shape=(32, 32, 24)):
    x = keras.Input(shape, name="x")
    return keras.Model(x, make(x))


@pytest.fixture(scope="module")
def inverted():
    return model(lambda x: networks.inverted_residual(x, 24))


@pytest.fixture(scope="module")
def inception():
    widths = (64, 96, 128, 16, 32, 32)
    return model(lambda x: networks.inception_module(x, widths), (28, 28, 192))


def test_an_inverted_residual_is_wide_in_the_middle_and_linear_at_the_end(inverted):
    assert [(box.lines, box.shape) for box in block_boxes(inverted)] == [
        (("input",), (32, 32, 24)),
        (("conv 1×1", "norm, ReLU6"), (32, 32, 144)),
        (("depthwise 3×3", "norm, ReLU6"), (32, 32, 144)),
        (("conv 1×1", "norm"), (32, 32, 24)),
        (("+",), (32, 32, 24)),
    ]


def test_a_shortcut_keeps_its_row_and_the_branch_goes_below(inverted):
    boxes = block_boxes(inverted)
    assert [(box.column, box.row) for box in boxes] == [(0, 0), (1, 1), (2, 1), (3, 1), (4, 0)]
    assert boxes[-1].sources == ("x", "block_project")


def test_branches_of_inception_lie_below_each_other_and_meet_in_the_middle(inception):
    boxes = block_boxes(inception)
    columns = [[box.row for box in boxes if box.column == column] for column in range(4)]
    assert columns == [[1.5], [0, 1, 2, 3], [1, 2, 3], [1.5]]
    assert [len(box.sources) for box in boxes if box.column == 3] == [4]
    assert [box.lines for box in boxes if box.row == 3] == [("max pool 3×3",), ("conv 1×1, ReLU",)]


def test_what_comes_before_a_convolution_and_is_read_by_it_alone_belongs_to_it():
    boxes = block_boxes(model(lambda x: networks.dense_block(x, count=2, growth=12)))
    assert [box.lines for box in boxes] == [
        ("input",),
        ("norm, ReLU", "conv 3×3"),
        ("concatenate",),
        ("norm, ReLU", "conv 3×3"),
        ("concatenate",),
    ]
    assert [box.shape[-1] for box in boxes] == [24, 12, 36, 12, 48]


def test_an_activation_that_two_layers_read_is_a_box_of_its_own():
    def make(x):
        y = layers.ReLU(name="relu")(x)
        return layers.Conv2D(24, 1, name="a")(y) + layers.Conv2D(24, 1, name="b")(y)

    boxes = {box.name: box for box in block_boxes(model(make))}
    assert boxes["relu"].lines == ("ReLU",)
    assert boxes["a"].sources == boxes["b"].sources == ("relu",)
    assert boxes["a"].column == boxes["b"].column == 2


def test_what_the_model_returns_is_a_box_of_its_own():
    x = keras.Input((8, 8, 3), name="x")
    conv = layers.Conv2D(4, 3, name="conv")(x)
    boxes = block_boxes(keras.Model(x, [conv, layers.ReLU(name="relu")(conv)]))
    assert [(box.name, box.lines) for box in boxes[1:]] == [
        ("conv", ("conv 3×3",)),
        ("relu", ("ReLU",)),
    ]


def test_a_shortcut_passes_the_columns_between_in_its_row(inverted, inception):
    assert [box.lane for box in block_boxes(inverted)] == [(0, 0, 0), (), (), (), ()]
    assert {box.name: box.lane for box in block_boxes(inception) if box.lane} == {
        "inception_1x1": (0,)
    }


def test_an_activation_at_the_end_and_one_behind_a_sum_are_kept():
    unit = block_boxes(model(lambda x: networks.residual_unit(x, 24)))
    assert unit[-1].lines == ("+", "ReLU")
    assert unit[-1].sources == ("x", "unit_conv2")
    alone = block_boxes(model(lambda x: layers.BatchNormalization()(x)))
    assert [box.lines for box in alone] == [("input",), ("norm",)]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.Conv2D(24, (3, 5), strides=2, groups=4, padding="same"), "conv 3×5/2, 4 groups"),
        (layers.Conv2D(8, 3, dilation_rate=2), "conv 3×3 dilated by 2"),
        (layers.MaxPooling2D((2, 1)), "max pool 2×1/2×1"),
        (layers.AveragePooling2D(2), "mean pool 2×2/2"),
        (layers.DepthwiseConv2D(3, strides=2, activation="relu6"), "depthwise 3×3/2, ReLU6"),
        (layers.SeparableConv2D(8, 3), "separable 3×3"),
        (layers.Conv2DTranspose(8, 2, strides=2), "transposed 2×2/2"),
        (layers.GlobalAveragePooling2D(), "mean"),
        (layers.Dense(3, activation="sigmoid"), "dense, sigmoid"),
        (layers.ReLU(), "ReLU"),
        (layers.Activation("softmax"), "softmax"),
        (layers.Dropout(0.5), "dropout"),
        (layers.Flatten(), "flatten"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_box_says_what_its_layer_does(layer, words):
    assert block_boxes(model(layer))[1].lines == (words,)


def test_models_inside_are_opened_and_shared_layers_drawn_once_for_each_call():
    shared = layers.Conv2D(24, 3, padding="same", name="shared")
    inner = model(lambda x: shared(shared(x)))
    assert [box.name.split("/")[-1] for box in block_boxes(model(inner))] == [
        "x",
        "shared",
        "shared:2",
    ]


def test_two_inputs_stand_below_each_other():
    a, b = (keras.Input((4, 4, 2), name=name) for name in "ab")
    boxes = block_boxes(keras.Model([a, b], layers.Add(name="sum")([a, b])))
    assert [(box.name, box.column, box.row) for box in boxes] == [
        ("a", 0, 0),
        ("b", 0, 1),
        ("sum", 1, 0.5),
    ]


def test_boxes_never_lie_on_each_other_or_on_a_line(inception, inverted):
    big = model(lambda x: networks.dense_block(networks.residual_unit(x, 24), 3, 12))
    for block in (inception, inverted, big):
        figure = plot_blocks({"block": block})
        places = [(box.column, box.row) for box in block_boxes(block)]
        for (column, row), (other_column, other_row) in itertools.combinations(places, 2):
            assert column != other_column or abs(row - other_row) >= 1
        for line in figure.axes[0].lines:
            for column, row in zip(*line.get_data(), strict=True):
                inside = [p for p in places if abs(p[0] - column) < 0.4 and abs(p[1] - row) < 0.38]
                assert inside == []


def test_the_drawing_has_a_box_for_each_layer_and_an_arrow_for_each_source(inception, inverted):
    figure = plot_blocks({"inception": inception, "inverted residual": inverted})
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "inception",
        "inverted residual",
    ]
    for axes, block in zip(figure.axes, (inception, inverted), strict=True):
        boxes = block_boxes(block)
        assert len(axes.texts) == len(boxes)
        assert len(axes.lines) == sum(len(box.sources) for box in boxes)
    assert figure.axes[1].texts[1].get_text() == "conv 1×1\nnorm, ReLU6\n32×32×144"


@pytest.mark.parametrize("count", [1, 3, 9])
def test_what_a_box_says_stays_within_it(count, inverted):
    x = first = keras.Input((128, 128, 64))
    x = layers.Conv2D(4, 1, activation="relu")(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.BatchNormalization()(x)
    for _ in range(count):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    wide = model(layers.Conv2D(1024, 1), (1024, 1024, 1024))
    figure = plot_blocks({"chain": keras.Model(first, x), "residual": inverted, "wide": wide})
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        for box, text in zip(boxes, axes.texts, strict=True):
            frame, letters = box.get_window_extent(), text.get_window_extent()
            assert frame.x0 < letters.x0 < letters.x1 < frame.x1, text
            assert frame.y0 < letters.y0 < letters.y1 < frame.y1, text


def test_open_sizes_are_question_marks():
    figure = plot_blocks({"open": model(layers.Conv2D(8, 3), (None, None, 3))})
    assert figure.axes[0].texts[1].get_text() == "conv 3×3\n?×?×8"


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match="models must hold at least one model, got none"):
        plot_blocks({})
    with pytest.raises(ValueError, match="model must be a functional or a Sequential Keras model"):
        block_boxes(keras.Sequential([layers.Dense(3)]))


def test_only_what_passes_a_column_is_a_shortcut():
    x = keras.Input((4, 4, 2), name="x")
    a, b = (layers.Conv2D(2, 1, name=name)(x) for name in "ab")
    outputs = [layers.Add(name="sum")([a, b]), layers.Conv2D(2, 1, name="c")(a)]
    rows = {box.name: box.row for box in block_boxes(keras.Model(x, outputs))}
    assert rows == {"x": 0.5, "a": 0, "b": 1, "c": 0, "sum": 1}
