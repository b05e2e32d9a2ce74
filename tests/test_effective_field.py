"""Widths and masses of effective fields, against closed formulas."""

import numpy as np
import pytest

from cvlab.effective_field import area_of_mass, fit_gaussian, mass_inside, uniform_width
from cvlab.layer_geometry import Layer


def gaussian(size, centre, width):
    rows, columns = np.indices(size)
    squares = ((rows - centre[0]) / width[0]) ** 2 + ((columns - centre[1]) / width[1]) ** 2
    return np.exp(-squares / 2)


def test_the_fit_finds_the_parameters_of_a_gaussian():
    field = gaussian((61, 81), (28.0, 40.0), (3.0, 5.0))
    centre, width = fit_gaussian(7.5 * field)
    np.testing.assert_allclose(centre, (28.0, 40.0), atol=1e-6)
    np.testing.assert_allclose(width, (3.0, 5.0), rtol=1e-4)


def test_area_and_mass_of_a_gaussian():
    field = gaussian((101, 101), (50.0, 50.0), (6.0, 6.0))
    # in two dimensions the disc of radius r holds 1 - exp(-r^2 / 2 sigma^2)
    area = 2 * np.pi * 6.0**2 * np.log(1 / (1 - 0.9545))
    assert area_of_mass(field) == pytest.approx(area, rel=0.01)
    band = mass_inside(field, ((50 - 12, 50 + 13), (0, 101)))
    assert band == pytest.approx(0.9545, abs=0.01)  # two standard deviations, along one axis
    assert mass_inside(field, ((0, 101), (0, 101))) == pytest.approx(1.0)
    assert mass_inside(field, ((0, 0), (0, 101))) == 0.0


def test_area_counts_the_largest_pixels():
    field = np.array([[4.0, 3.0], [2.0, 1.0]])
    assert [area_of_mass(field, m) for m in (0.4, 0.41, 0.7, 0.9, 1.0)] == [1, 2, 2, 3, 4]
    assert area_of_mass(np.ones((3, 3)), 1.0) == 9


@pytest.mark.parametrize(
    "layers",
    [
        [Layer(3)] * 5,
        [Layer(5), Layer(2, stride=2), Layer(3), Layer((1, 3), stride=(2, 1)), Layer(3)],
        [Layer(3, dilation=2), Layer(3, dilation=4, stride=3), Layer(kind="pointwise"), Layer(2)],
    ],
)
def test_uniform_width_is_that_of_repeated_convolution(layers):
    """Convolve the boxes of all layers, spread by the jump, and take the standard deviation."""
    for axis in (0, 1):
        mass, jump = np.ones(1), 1
        for layer in layers:
            box = np.zeros((layer.kernel[axis] - 1) * layer.dilation[axis] * jump + 1)
            box[:: layer.dilation[axis] * jump] = 1.0
            mass = np.convolve(mass, box)
            jump *= layer.stride[axis]
        _, (_, width) = fit_gaussian(mass[None])
        assert uniform_width(layers)[axis] == pytest.approx(width)


def test_uniform_width_grows_like_the_square_root_of_the_depth():
    shallow, deep = uniform_width([Layer(3)] * 4)[0], uniform_width([Layer(3)] * 64)[0]
    assert deep / shallow == pytest.approx(4.0)


def test_errors():
    with pytest.raises(ValueError, match=r"field must have 2 axes \(height, width\)"):
        fit_gaussian(np.ones(3))
    for bad in (np.zeros((2, 2)), [[1.0, -0.5]], [[np.nan, 1.0]], np.ones((0, 3))):
        with pytest.raises(ValueError, match="field must be finite, nowhere negative and not all"):
            fit_gaussian(bad)
    with pytest.raises(ValueError, match=r"mass must be above 0 and at most 1, got 0"):
        area_of_mass(np.ones((2, 2)), 0)
    with pytest.raises(ValueError, match=r"box must be \(\(top, bottom\), \(left, right\)\)"):
        mass_inside(np.ones((2, 2)), ((0, 1), (0, 1), (0, 1)))
    with pytest.raises(ValueError, match=r"box\[0\] must be an integer >= 0, got -1"):
        mass_inside(np.ones((2, 2)), ((-1, 1), (0, 1)))
    with pytest.raises(ValueError, match="layers must be a chain of windows, got the kind 'merge'"):
        uniform_width([Layer(kind="merge")])
