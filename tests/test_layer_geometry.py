"""Layers as steps along one axis: TensorFlow's numbers, linking, errors."""

import pytest

from cvlab.layer_geometry import Layer, Step, link, steps


def test_numbers_become_pairs_and_upsampling_paints_its_factor():
    layer = Layer(3, stride=(2, 1), dilation=2)
    assert (layer.kernel, layer.stride, layer.dilation) == ((3, 3), (2, 1), (2, 2))
    assert Layer(kind="upsampling", stride=3).kernel == (3, 3)
    assert Layer().kernel == Layer(kind="pointwise").kernel == (1, 1)


@pytest.mark.parametrize(
    ("size", "before", "length"), [((16, 17), (0, 1), (8, 9)), ((7, 8), (1, 0), (4, 4))]
)
def test_same_padding_depends_on_the_parity_of_the_map(size, before, length):
    pair = steps(Layer(3, stride=2, padding="same"), size)
    assert tuple(step.before for step in pair) == before
    assert tuple(step.length for step in pair) == length


def test_every_kind_has_its_step():
    assert steps(Layer(3, dilation=2, padding=1), (9, 9))[0] == Step(3, 2, 1, 1, 1, 7)
    assert steps(Layer(2, stride=2, kind="pooling"), (9, 8))[1] == Step(2, 1, 2, 1, 0, 4)
    frame = Layer(kind="padding", padding=((1, -2), (0, 3)))
    assert steps(frame, (9, 9)) == (Step(1, 1, 1, 1, 1, 8), Step(1, 1, 1, 1, 0, 12))
    assert steps(Layer(kind="global"), (9, 4)) == (Step(9, 1, 0, 1, 0, 1), Step(4, 1, 0, 1, 0, 1))
    for kind in ("pointwise", "gate", "merge"):
        assert steps(Layer(kind=kind), (9, 4))[1] == Step(1, 1, 1, 1, 0, 4)
    # transposed: paints 3 pixels from 2 i - 1 on, so that output o reads (o + 1 - t) / 2
    enlarged = Layer(3, stride=2, padding=((1, 1), (1, 1)), kind="transposed convolution")
    assert steps(enlarged, (4, 4))[0] == Step(3, 1, 1, 2, 1, 7)
    assert steps(Layer(kind="upsampling", stride=2, kernel=4), (5, 5))[0] == Step(4, 1, 1, 2, 2, 10)


def test_reads_lists_real_and_padded_inputs():
    assert Step(3, 2, 2, 1, 1, 9).reads(1) == [1, 3, 5]
    assert Step(3, 2, 2, 1, 1, 9).reads(0) == [-1, 1, 3]
    assert Step(1, 1, 1, 2, 0, 9).reads(3) == []  # a gap between stretched inputs
    assert Step(4, 1, 0, 1, 0, 1).reads(0) == [0, 1, 2, 3]


def test_links():
    layers = [
        Layer(3, name="a"),
        Layer(3),
        Layer(1, inputs=("a",), name="b"),
        Layer(kind="merge", inputs=("convolution 2", "b", "input")),
    ]
    names, sources = link(layers)
    assert names == ["a", "convolution 2", "b", "merge 4"]
    assert sources == [(-1,), (0,), (0,), (1, 2, -1)]


def test_errors():
    with pytest.raises(ValueError, match=r"kind must be one of .*, got 'conv'"):
        Layer(3, kind="conv")
    with pytest.raises(ValueError, match=r"must be left out for kind 'merge', got \(3, 1, 'valid'"):
        Layer(3, kind="merge")
    with pytest.raises(ValueError, match="kernel must be an integer >= 1, got 0"):
        Layer(0)
    with pytest.raises(ValueError, match="stride must be one integer or 2 of them"):
        Layer(3, stride=(1, 2, 3))
    with pytest.raises(ValueError, match="kernel must not be larger than the padded image"):
        steps(Layer(5), (4, 9))
    with pytest.raises(
        ValueError, match=r"padding must leave at least 1 of 4 pixels, got \[-2, -2"
    ):
        steps(Layer(kind="padding", padding=-2), (4, 4))
    with pytest.raises(ValueError, match=r"padding must be an integer or .*, got 'same'"):
        steps(Layer(kind="padding", padding="same"), (4, 4))
    with pytest.raises(ValueError, match="layers must be a list of Layer, got 3"):
        link([3])
    with pytest.raises(
        ValueError, match="inputs of 'convolution 1' must be earlier layers, got 'b'"
    ):
        link([Layer(3, inputs=("b",)), Layer(3, name="b")])
    with pytest.raises(ValueError, match="name must be given to one layer only, got 'a' twice"):
        link([Layer(3, name="a"), Layer(3, name="a")])
    with pytest.raises(ValueError, match="inputs of 'convolution 2' must be one layer, got"):
        link([Layer(3, name="a"), Layer(3, inputs=("a", "input"))])
