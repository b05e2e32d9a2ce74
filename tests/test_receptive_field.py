"""Receptive fields of plain lists of layers.

The truth is a simulation: every unit carries the set of pixels it has seen, as a row of booleans,
and each layer is carried out on these rows as an array operation. One more column says whether the
padding or the border was involved.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.layer_geometry import Layer
from cvlab.padding import axis_padding
from cvlab.receptive_field import (
    closed_form,
    format_fields,
    receptive_fields,
    unit_interval,
    unit_pixels,
)


def framed(seen, before, after):
    """Add units that have seen the padding only; negative numbers cut units off."""
    seen = seen[max(-before, 0) : len(seen) - max(-after, 0)]
    padding = np.zeros((1, seen.shape[1]), bool)
    padding[0, -1] = True
    parts = [np.repeat(padding, max(n, 0), axis=0) for n in (before, after)]
    return np.concatenate([parts[0], seen, parts[1]])


def simulate(layer, seen):
    kernel, stride, dilation = layer.kernel[0], layer.stride[0], layer.dilation[0]
    padding = layer.padding if isinstance(layer.padding, str | int) else layer.padding[0]
    covered = (kernel - 1) * dilation + 1
    if layer.kind == "padding":
        return framed(seen, padding, padding)
    if layer.kind == "global":
        return seen.any(axis=0, keepdims=True)
    if layer.kind == "upsampling" and kernel == stride:
        return np.repeat(seen, stride, axis=0)
    if layer.kind == "upsampling":  # bilinear, half-pixel centres
        places = (np.arange(len(seen) * stride) + 0.5) / stride - 0.5 + 1
        wider = framed(seen, 1, 1)
        return wider[np.floor(places).astype(int)] | wider[np.ceil(places).astype(int)]
    if layer.kind == "transposed convolution":
        margin = covered // stride + 1
        wider = framed(seen, margin, margin)
        painted = np.zeros(((len(wider) - 1) * stride + covered, seen.shape[1]), bool)
        for i, unit in enumerate(wider):
            painted[i * stride : i * stride + covered : dilation] |= unit
        length = len(seen) * stride
        if padding == "valid":
            length += max(covered - stride, 0)
        before = axis_padding(padding, length, kernel, stride, dilation)[0]
        first = margin * stride + before
        return painted[first : first + length]
    before, after = axis_padding(padding, len(seen), kernel, stride, dilation)
    wider = framed(seen, before, after)
    windows = range(0, len(wider) - covered + 1, stride)
    return np.array([wider[i : i + covered : dilation].any(axis=0) for i in windows])


WINDOW = st.builds(
    Layer,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same", 1, 2]),
    kind=st.sampled_from(["convolution", "pooling"]),
)
FRAME = st.builds(Layer, kind=st.just("padding"), padding=st.integers(-2, 2))
TRANSPOSED = st.builds(
    Layer,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    kind=st.just("transposed convolution"),
)
NEAREST = st.builds(Layer, stride=st.integers(1, 3), kind=st.just("upsampling"))
BILINEAR = st.integers(2, 4).map(lambda s: Layer(2 * s - s % 2, stride=s, kind="upsampling"))
PLAIN = st.sampled_from(["pointwise", "gate"]).map(lambda kind: Layer(kind=kind))
WINDOWS = st.lists(st.one_of(WINDOW, WINDOW, FRAME, PLAIN), min_size=1, max_size=5)
ANY = st.lists(
    st.one_of(WINDOW, FRAME, TRANSPOSED, NEAREST, BILINEAR, PLAIN), min_size=1, max_size=5
)


def fitting(layers, length):
    """Return as many of the layers as fit on an image of `length` pixels, and their units."""
    seen = np.zeros((length, length + 1), bool)
    seen[:, :-1] = np.eye(length, dtype=bool)
    done = []
    for layer in layers:
        covered = (layer.kernel[0] - 1) * layer.dilation[0] + 1
        if len(seen) < covered + 4 or len(seen) > 80:
            break
        seen = simulate(layer, seen)
        done.append(layer)
    return done, seen


@given(layers=ANY, length=st.integers(8, 40))
@settings(max_examples=300, deadline=None)
def test_fields_and_pixels_agree_with_a_simulation(layers, length):
    layers, seen = fitting(layers, length)
    if not layers:
        return
    field = receptive_fields(layers, (length, length))[-1].height
    assert field.length == len(seen)
    sizes = set()
    for unit in range(0, len(seen), max(1, len(seen) // 9)):
        truth = np.flatnonzero(seen[unit, :-1])
        rows, columns = unit_pixels(layers, (unit, 0), (length, length))
        np.testing.assert_array_equal(rows, truth)
        np.testing.assert_array_equal(columns, np.flatnonzero(seen[0, :-1]))
        first, stop = field.interval(unit)
        assert ((truth >= first) & (truth < stop)).all()
        if not seen[unit, -1] and truth.size:  # no border involved: the field is exact
            assert (first, stop) == (truth[0], truth[-1] + 1)
            sizes.add(stop - first)
    assert max(sizes, default=0) <= field.size


@given(layers=WINDOWS, height=st.integers(8, 40), width=st.integers(8, 40))
@settings(max_examples=300, deadline=None)
def test_the_closed_form_agrees_with_the_recurrence(layers, height, width):
    layers, _ = fitting(layers, min(height, width))
    if not layers:
        return
    field = receptive_fields(layers, (height, width))[-1]
    assert closed_form(layers, (height, width)) == (field.height, field.width)


@given(layers=WINDOWS, length=st.integers(20, 40))
@settings(max_examples=50, deadline=None)
def test_size_and_jump_do_not_depend_on_the_image(layers, length):
    layers, _ = fitting(layers, length)
    if not layers:
        return
    here, there = (receptive_fields(layers, (n, n))[-1] for n in (length, length + 61))
    assert (here.size, here.jump) == (there.size, there.jump)


def test_the_start_depends_on_the_parity_of_the_image():
    layer = [Layer(3, stride=2, padding="same")]
    field = receptive_fields(layer, (16, 17))[0]
    assert field.start == (0, -1)
    assert field.size == (3, 3)


def test_height_and_width_are_apart():
    field = receptive_fields([Layer((1, 7), stride=(1, 2)), Layer((5, 1))], (32, 64))[-1]
    assert field.size == (5, 7)
    assert field.jump == (1, 2)
    assert field.length == (28, 29)
    rows, columns = unit_pixels([Layer((1, 3), dilation=(1, 2))], (2, 1), (9, 10))
    assert (rows.tolist(), columns.tolist()) == ([2], [1, 3, 5])


def test_vgg16_as_a_list():
    """The numbers of Araujo et al. 2019 for vgg_16/pool5, and 404 with the first dense layer."""
    layers = []
    for convolutions in (2, 2, 3, 3, 3):
        layers += [Layer(3, padding="same")] * convolutions + [Layer(2, stride=2, kind="pooling")]
    field = receptive_fields(layers, (224, 224))[-1]
    assert (field.size, field.jump, field.start) == ((212, 212), (32, 32), (-90, -90))
    assert closed_form([*layers, Layer(7)], (224, 224))[0].size == 404


def test_intervals_are_clipped_where_the_map_ends_not_only_where_the_image_ends():
    """A valid stride leaves pixel 7 out; padding after it cannot bring the pixel back."""
    layers = [Layer(3, stride=2), Layer(3, padding="same")]
    assert receptive_fields(layers, (8, 8))[-1].height.interval(2) == (2, 9)
    assert unit_interval(layers, (2, 0), (8, 8)) == ((2, 7), (0, 5))
    cropped = [Layer(kind="padding", padding=-2), Layer(3, padding="same")]
    assert unit_interval(cropped, (0, 3), (8, 8))[0] == (2, 4)


def test_dilation_leaves_holes():
    rows, _ = unit_pixels([Layer(3, dilation=2)] * 3, (0, 0), (32, 32))
    np.testing.assert_array_equal(rows, np.arange(0, 13, 2))
    rows, _ = unit_pixels([Layer(1, stride=2), Layer(3)], (0, 0), (9, 9))
    np.testing.assert_array_equal(rows, [0, 2, 4])


def test_a_unit_that_sees_padding_only_has_an_empty_box():
    layers = [Layer(1, padding=1)]
    assert unit_interval(layers, (0, 2), (4, 4)) == ((0, 0), (1, 2))


def residual(stride, padding):
    """A block with a 3x3 path and a 1x1 shortcut."""
    return [
        Layer(3, stride=stride, padding=padding, name="path"),
        Layer(1, stride=stride, inputs=("input",), name="shortcut"),
        Layer(kind="merge", inputs=("path", "shortcut"), name="sum"),
        Layer(3, padding="same", name="after"),
    ]


def test_branches_merge_by_union_and_alignment_is_reported():
    aligned = receptive_fields(residual(2, 1), (16, 16))
    assert [field.aligned for field in aligned] == [True, True, True, True]
    misaligned = receptive_fields(residual(2, "same"), (16, 16))  # the padding comes after
    assert [field.aligned for field in misaligned] == [True, True, False, False]
    assert receptive_fields(residual(2, "same"), (17, 17))[-1].aligned
    shifted = [
        Layer(3, padding=((2, 0), (2, 0)), name="before"),
        Layer(3, padding=((0, 2), (0, 2)), inputs=("input",), name="behind"),
        Layer(kind="merge", inputs=("before", "behind")),
    ]
    field = receptive_fields(shifted, (16, 16))[-1]
    assert (field.size, field.start, field.aligned) == ((5, 5), (-2, -2), False)
    rows, _ = unit_pixels(shifted, (0, 0), (16, 16))
    np.testing.assert_array_equal(rows, [0, 1, 2])


def test_pixels_of_branches_are_followed_along_every_path():
    layers = [
        Layer(3, dilation=3, name="far"),
        Layer(kind="padding", padding=-3, inputs=("input",), name="near"),
        Layer(kind="merge", inputs=("far", "near")),
    ]
    rows, _ = unit_pixels(layers, (1, 0), (12, 12))
    np.testing.assert_array_equal(rows, [1, 4, 7])
    rows, _ = unit_pixels(layers, (1, 0), (12, 12), layer="near")
    np.testing.assert_array_equal(rows, [4])


def test_a_decoder_and_its_skip_connection_are_aligned_by_their_mean_centre():
    def fields(pooling):
        return receptive_fields(
            [
                Layer(3, padding="same", name="fine"),
                pooling,
                Layer(kind="upsampling", stride=2, name="up"),
                Layer(kind="merge", inputs=("fine", "up"), name="skip"),
                Layer(3, padding="same"),
            ],
            (16, 16),
        )

    even = fields(Layer(2, stride=2, kind="pooling"))
    assert [field.size[0] for field in even] == [3, 4, 4, 4, 6]
    assert even[2].jump == even[3].jump == (1, 1)
    assert even[3].aligned
    assert not fields(Layer(3, stride=2, padding="same", kind="pooling"))[3].aligned


def test_a_gate_keeps_the_field_and_is_reported():
    squeeze = [
        Layer(3, name="map"),
        Layer(kind="global", name="squeeze"),
        Layer(kind="pointwise", name="weights"),
        Layer(kind="merge", inputs=("map", "weights"), name="scaled"),
        Layer(3, name="after"),
    ]
    fields = receptive_fields(squeeze, (16, 16))
    assert [field.size[0] for field in fields] == [3, 16, 16, 3, 5]
    assert [field.jump[0] for field in fields] == [1, 0, 0, 1, 1]
    assert [field.gated for field in fields] == [False, False, False, True, True]
    assert unit_interval(squeeze, (0, 0), (16, 16)) == ((0, 5), (0, 5))
    window = [*squeeze[:1], Layer(14, name="squeeze", kind="pooling"), *squeeze[2:]]
    assert [field.gated for field in receptive_fields(window, (16, 16))][3:] == [True, True]
    normalized = receptive_fields([Layer(3), Layer(kind="gate")], (16, 16))[-1]
    assert (normalized.size, normalized.gated) == ((3, 3), True)


def test_two_branches_that_see_everything_merge_as_such():
    layers = [
        Layer(kind="global", name="mean"),
        Layer(kind="upsampling", stride=4, inputs=("mean",), name="wide"),
        Layer(kind="merge", inputs=("mean", "wide")),
    ]
    field = receptive_fields(layers, (8, 8))[-1]
    assert (field.length, field.size, field.jump) == ((4, 4), (8, 8), (0, 0))


def test_the_table():
    layers = [
        Layer((3, 5), stride=2, padding="same", name="stem"),
        Layer(1, stride=2, inputs=("input",), name="shortcut"),
        Layer(kind="merge", inputs=("stem", "shortcut"), name="sum"),
        Layer(kind="upsampling", stride=(4, 2), name="up"),
        Layer(kind="gate", name="norm"),
    ]
    lines = format_fields(receptive_fields(layers, (8, 8))).splitlines()
    assert lines == [
        "layer     units  size  jump   start",
        "stem      4      3x5   2      0x-1",
        "shortcut  4      1     2      0",
        "sum       4      3x5   2      0x-1   misaligned",
        "up        16x8   3x5   1/2x1  0x-1   misaligned",
        "norm      16x8   3x5   1/2x1  0x-1   misaligned gated",
    ]
    assert receptive_fields(layers, (8, 8))[3].jump == (Fraction(1, 2), 1)


def test_errors():
    branches = [
        Layer(3, stride=2, padding="same", name="a"),
        Layer(3, padding="same", inputs=("input",), name="b"),
        Layer(kind="merge", inputs=("a", "b"), name="sum"),
    ]
    message = r"jump of the branches that 'sum' merges must agree, got \(2, 2\) and \(1, 1\)"
    with pytest.raises(ValueError, match=message):
        receptive_fields(branches, (8, 8))
    shorter = [Layer(3, name="a"), Layer(kind="merge", inputs=("a", "input"), name="sum")]
    message = r"length of the branches that 'sum' merges must agree, got \(6, 6\) and \(8, 8\)"
    with pytest.raises(ValueError, match=message):
        receptive_fields(shorter, (8, 8))
    with pytest.raises(ValueError, match="layers must be a chain, each one the input of the next"):
        closed_form(shorter, (8, 8))
    with pytest.raises(ValueError, match="layers must not enlarge their map"):
        closed_form([Layer(kind="upsampling", stride=2)], (8, 8))
    with pytest.raises(ValueError, match="big: kernel must not be larger than the padded image"):
        receptive_fields([Layer(9, name="big")], (8, 8))
    with pytest.raises(ValueError, match="input_size must be one integer or 2 of them"):
        receptive_fields([Layer(3)], (8, 8, 3))
    with pytest.raises(ValueError, match=r"layer must be one of \['convolution 1'\], got 'pool'"):
        unit_pixels([Layer(3)], (0, 0), (8, 8), layer="pool")
    with pytest.raises(ValueError, match=r"unit must lie in a map of \(6, 6\) units, got \(0, 6\)"):
        unit_interval([Layer(3)], (0, 6), (8, 8))
