"""Fields along one axis: the recurrence, phases after an enlargement, unions."""

from fractions import Fraction

from cvlab.axis_field import AxisField, merge_axis, next_field
from cvlab.layer_geometry import Layer, steps


def chain(layers, length):
    field = AxisField(length)
    for layer in layers:
        field = next_field(field, steps(layer, (field.length, field.length))[0])
    return field


def test_one_pixel_sees_itself():
    pixel = AxisField(9)
    assert (pixel.size, pixel.jump, pixel.start, pixel.centre) == (1, 1, 0, 0)
    assert pixel.interval(4) == (4, 5)


def test_recurrence_by_hand():
    """conv 7/2, pool 3/2, conv 3: the stem of a ResNet with valid windows."""
    fields = [chain([Layer(7, stride=2), Layer(3, stride=2), Layer(3)][:n], 63) for n in (1, 2, 3)]
    assert [f.size for f in fields] == [7, 11, 19]
    assert [f.jump for f in fields] == [2, 4, 4]
    assert [f.length for f in fields] == [29, 14, 12]


def test_a_1x1_stride_adds_no_size_and_doubles_the_jump():
    field = chain([Layer(3), Layer(1, stride=2)], 9)
    assert (field.size, field.jump, field.interval(1)) == (3, 2, (2, 5))


def test_padding_moves_the_start_by_the_jump():
    field = chain([Layer(3, stride=2, padding=1), Layer(3, padding=1)], 9)
    assert (field.start, field.size, field.centre) == (-1 - 2, 3 + 4, 0)


def test_upsampling_halves_the_jump_and_adds_no_pixel():
    coarse = [Layer(3, stride=2, padding=1), Layer(kind="upsampling", stride=2)]
    field = chain(coarse, 9)
    assert (field.size, field.jump, len(field.phases)) == (3, 1, 2)
    assert [field.interval(unit) for unit in range(4)] == [(-1, 2), (-1, 2), (1, 4), (1, 4)]
    field = chain([Layer(kind="upsampling", stride=4)], 9)
    assert field.jump == Fraction(1, 4)
    assert field.centre == Fraction(1, 2) * Fraction(1, 4) - Fraction(1, 2)  # half pixels


def test_units_of_a_transposed_convolution_see_one_and_two_pixels_in_turn():
    field = chain([Layer(3, stride=2, kind="transposed convolution")], 9)
    assert [field.interval(unit) for unit in range(2, 6)] == [(0, 2), (1, 2), (1, 3), (2, 3)]
    assert (field.size, field.jump) == (2, Fraction(1, 2))


def test_a_stride_after_an_enlargement_picks_its_phases():
    """Every second unit of the transposed convolution sees one pixel, the others two."""
    transposed = Layer(3, stride=2, kind="transposed convolution")
    assert chain([transposed, Layer(1, stride=2)], 9).size == 2
    odd = chain([transposed, Layer(kind="padding", padding=-1), Layer(1, stride=2)], 9)
    assert (odd.size, odd.jump, odd.phases) == (1, 1, ((0, 1),))


def test_gaps_of_a_transposed_convolution_see_nothing():
    field = chain([Layer(1, stride=2, kind="transposed convolution")], 9)
    assert field.phases == ((0, 1), (0, 0))
    assert [field.interval(unit) for unit in (0, 1, 4, 5)] == [(0, 1), (0, 0), (2, 3), (0, 0)]
    assert (field.size, field.centre) == (1, 0)
    dark = next_field(field, steps(Layer(kind="padding", padding=-1), (18, 18))[0])
    dark = next_field(dark, steps(Layer(1, stride=2), (16, 16))[0])
    assert (dark.size, dark.centre) == (0, 0)


def test_global_pooling_sees_all_from_everywhere():
    field = chain([Layer(3, padding=1), Layer(kind="global")], 9)
    assert (field.length, field.size, field.jump, field.start) == (1, 11, 0, -1)
    assert field.interval(5) == (-1, 10)
    wide = next_field(field, steps(Layer(kind="upsampling", stride=4), (1, 1))[0])
    assert (wide.length, wide.size, wide.jump) == (4, 11, 0)


def test_unions_are_not_maxima():
    left, right = AxisField(8, ((-4, 1),)), AxisField(8, ((0, 5),))
    union = merge_axis([left, right])
    assert (union.size, union.start, union.jump) == (9, -4, 1)
    coarse = AxisField(8, ((-1, 2), (-1, 2)), shift=2)
    union = merge_axis([AxisField(8), coarse])
    assert union == AxisField(8, ((-1, 2), (-1, 2)), shift=2)
    assert [union.interval(unit) for unit in (2, 3)] == [(1, 4), (1, 4)]
    twos, threes = AxisField(12, ((0, 2),) * 2, shift=2), AxisField(12, ((0, 3),) * 3, shift=3)
    union = merge_axis([twos, threes])
    assert [union.interval(u) for u in range(6)] == [(0, 3), (0, 3), (0, 4), (2, 6), (3, 6), (3, 6)]
    assert (union.interval(7), union.jump) == ((6, 9), 1)
