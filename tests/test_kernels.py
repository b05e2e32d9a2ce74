"""The gallery: known matrices, and the responses that the kernels are made for."""

import re

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from cvlab.convolution import conv2d, depthwise_conv2d
from cvlab.kernels import (
    COMPASS,
    LINES,
    box_kernel,
    compass_kernel,
    depthwise_kernel,
    filter_bank,
    gaussian_kernel,
    kernel,
    kernel_names,
    line_kernel,
)

# Unit steps (rows down, columns right) of the compass, in the order of COMPASS.
STEPS = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]


def respond(array, image, padding="valid"):
    return conv2d(image[None, :, :, None], array[:, :, None, None], padding=padding)[0, :, :, 0]


def test_every_name_gives_a_small_float32_array():
    assert len(set(kernel_names())) == len(kernel_names()) == 27
    for name in kernel_names():
        array = kernel(name)
        assert array.dtype == np.float32
        assert array.shape == (len(array),) * 2
        assert len(array) in (3, 5, 7)


def test_a_kernel_may_be_changed_without_changing_the_gallery():
    for name in kernel_names():
        before = kernel(name).copy()
        kernel(name)[:] = 7
        np.testing.assert_array_equal(kernel(name), before)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sobel east", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
        ("sobel south", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
        ("sobel northwest", [[2, 1, 0], [1, 0, -1], [0, -1, -2]]),
        ("prewitt east", [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]),
        ("prewitt north", [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]),
        ("prewitt southeast", [[-1, -1, 0], [-1, 0, 1], [0, 1, 1]]),
        ("laplacian 4", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("laplacian 8", [[1, 1, 1], [1, -8, 1], [1, 1, 1]]),
        ("sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("emboss", [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    ],
)
def test_known_matrices(name, expected):
    np.testing.assert_array_equal(kernel(name), expected)


@pytest.mark.parametrize(("axis", "direction"), [(1, "east"), (0, "south")])
def test_sobel_and_prewitt_agree_with_scipy(axis, direction):
    image = np.random.default_rng(0).standard_normal((9, 8))
    expected = scipy.ndimage.sobel(image, axis)[1:-1, 1:-1]
    np.testing.assert_allclose(respond(kernel(f"sobel {direction}"), image), expected, atol=1e-12)
    expected = scipy.ndimage.prewitt(image, axis)[1:-1, 1:-1]
    np.testing.assert_allclose(respond(kernel(f"prewitt {direction}"), image), expected, atol=1e-12)


@pytest.mark.parametrize("family", ["sobel", "prewitt"])
@pytest.mark.parametrize(("direction", "step"), list(zip(COMPASS, STEPS, strict=True)))
def test_the_compass_points_where_the_image_becomes_brighter(family, direction, step):
    rows, columns = np.mgrid[:5, :5]
    ramp = rows * step[0] + columns * step[1]
    responses = {name: respond(kernel(f"{family} {name}"), ramp)[1, 1] for name in COMPASS}
    assert max(responses, key=responses.get) == direction
    opposite = COMPASS[(COMPASS.index(direction) + 4) % 8]
    assert responses[opposite] == -responses[direction] < 0
    np.testing.assert_array_equal(kernel(f"{family} {opposite}"), -kernel(f"{family} {direction}"))


@pytest.mark.parametrize("name", kernel_names())
def test_response_to_a_flat_image(name):
    # Blurs and the kernels around the identity keep it; edges see nothing; lines add it up.
    flat = respond(kernel(name), np.ones((7, 7)))[0, 0]
    keeps = name in ("identity", "emboss", "sharpen", "box blur", "gaussian blur")
    expected = 7 if name.startswith("line") else 1 if keeps else 0
    assert flat == pytest.approx(expected, abs=1e-6)


def test_sharpen_is_the_identity_less_the_laplacian():
    np.testing.assert_array_equal(kernel("sharpen"), kernel("identity") - kernel("laplacian 4"))


def test_laplacian_of_a_paraboloid():
    rows, columns = np.mgrid[:6, :6]
    image = rows**2 + columns**2
    np.testing.assert_array_equal(respond(kernel("laplacian 4"), image), np.full((4, 4), 4))
    np.testing.assert_array_equal(respond(kernel("laplacian 8"), image), np.full((4, 4), 12))


@given(st.floats(0.2, 8), st.one_of(st.none(), st.integers(1, 30)))
def test_gaussian_is_a_distribution_with_the_right_spread(sigma, size):
    array = gaussian_kernel(sigma, size)
    assert array.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(array, array[::-1])
    np.testing.assert_array_equal(array, array.T)
    if size is None:
        assert len(array) == 2 * np.ceil(3 * sigma) + 1
        distance = np.arange(len(array)) - len(array) // 2
        if sigma > 0.7:  # below, the pixel grid is too coarse for this
            spread = np.sqrt(array.sum(axis=0) @ distance**2)
            assert spread == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize(("sigma", "size"), [(1.0, 5), (2.0, 9), (1.5, 4)])
def test_gaussian_agrees_with_scipy(sigma, size):
    window = scipy.signal.windows.gaussian(size, sigma)
    window /= window.sum()
    np.testing.assert_allclose(gaussian_kernel(sigma, size), np.outer(window, window), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_box_is_the_mean(size):
    image = np.random.default_rng(0).standard_normal((size, size))
    assert respond(box_kernel(size), image).item() == pytest.approx(image.mean(), abs=1e-6)


@pytest.mark.parametrize("direction", LINES)
def test_a_line_answers_most_to_its_own_direction(direction):
    lines = {name: line_kernel(name) for name in LINES}
    answers = {name: respond(array, lines[direction])[0, 0] for name, array in lines.items()}
    assert answers.pop(direction) == 7
    assert set(answers.values()) == {1}


def test_lines_as_in_the_lecture():
    expected = np.zeros((7, 7))
    expected[:, 3] = 1
    np.testing.assert_array_equal(kernel("line vertical"), expected)
    np.testing.assert_array_equal(kernel("line horizontal"), expected.T)
    assert line_kernel("antidiagonal", 5)[0, 4] == 1  # from the bottom left to the top right


def test_depthwise_kernel_keeps_the_channels_apart():
    image = np.random.default_rng(0).standard_normal((1, 6, 5, 3))
    result = depthwise_conv2d(image, depthwise_kernel(kernel("emboss"), 3))
    for channel in range(3):
        expected = respond(kernel("emboss"), image[0, :, :, channel])
        np.testing.assert_allclose(result[0, :, :, channel], expected, atol=1e-12)


def test_filter_bank_adds_the_channels_up():
    image = np.random.default_rng(0).standard_normal((1, 9, 8, 3))
    names = ["line vertical", "line horizontal", "line diagonal"]
    bank = filter_bank([kernel(name) for name in names], channels=3)
    assert bank.shape == (7, 7, 3, 3)
    assert bank.dtype == np.float32
    result = conv2d(image, bank)
    for i, name in enumerate(names):
        expected = respond(kernel(name), image[0].sum(axis=-1))
        np.testing.assert_allclose(result[0, :, :, i], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel("sobel"), "name must be one of ['identity', 'laplacian 4', "),
        (lambda: compass_kernel("up"), "direction must be one of ('east', 'northeast', "),
        (lambda: line_kernel("oblique"), "direction must be one of ('vertical', "),
        (
            lambda: line_kernel("vertical", 4),
            "size must be odd, so that a line has a middle, got 4",
        ),
        (lambda: box_kernel(0), "size must be an integer >= 1, got 0"),
        (lambda: gaussian_kernel(0), "sigma must be above 0 and finite, got 0"),
        (lambda: gaussian_kernel("a"), "sigma must be above 0 and finite, got 'a'"),
        (lambda: gaussian_kernel(float("nan")), "sigma must be above 0 and finite, got nan"),
        (lambda: gaussian_kernel(1, 0), "size must be an integer >= 1, got 0"),
        (lambda: depthwise_kernel(np.ones(3), 1), "kernel must have 2 axes (height, width), got"),
        (lambda: depthwise_kernel(np.ones((3, 3)), 0), "channels must be an integer >= 1, got 0"),
        (
            lambda: filter_bank([np.ones((3, 3)), np.ones((5, 5))], 1),
            "kernels must be one or more of the same shape, got shapes [(3, 3), (5, 5)]",
        ),
        (
            lambda: filter_bank([], 1),
            "kernels must be one or more of the same shape, got shapes []",
        ),
        (lambda: filter_bank([np.ones(3)], 1), "kernels[0] must have 2 axes (height, width)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
