"""Maps laid over pictures."""

import matplotlib as mpl
import numpy as np
import pytest

from cvlab.plot import overlay

RNG = np.random.default_rng(0)
PICTURES = RNG.random((2, 4, 5, 3))
MAPS = RNG.random((2, 4, 5))


def test_zero_shows_the_picture_in_grey_and_one_the_colour():
    blank = overlay(PICTURES, np.zeros((2, 4, 5)))
    grey = PICTURES @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(blank, np.repeat(grey[..., None], 3, axis=-1))
    full = overlay(PICTURES, np.ones((2, 4, 5)), strength=1)
    np.testing.assert_allclose(full, np.broadcast_to(mpl.colormaps["inferno"](1.0)[:3], full.shape))


def test_between_them_each_pixel_is_mixed_by_its_own_value():
    mixed = overlay(PICTURES, MAPS, strength=0.5)
    n, i, j = 1, 2, 3
    grey = PICTURES[n, i, j] @ [0.299, 0.587, 0.114]
    color = np.array(mpl.colormaps["inferno"](MAPS[n, i, j])[:3])
    share = 0.5 * MAPS[n, i, j]
    np.testing.assert_allclose(mixed[n, i, j], (1 - share) * grey + share * color)


def test_whole_numbers_and_one_channel():
    whole = np.full((1, 2, 2, 1), 51, np.uint8)
    np.testing.assert_allclose(overlay(whole, np.zeros((1, 2, 2))), 0.2)


def test_errors():
    with pytest.raises(ValueError, match=r"images must have the shape .* got \(4, 5, 3\)"):
        overlay(PICTURES[0], MAPS[0])
    message = r"images must lie in \[0, 1\], got -1 to .*; show the picture before it was scaled"
    with pytest.raises(ValueError, match=message):
        overlay(PICTURES - 1 - PICTURES.min(), MAPS)
    with pytest.raises(ValueError, match=r"maps must have the shape \(2, 4, 5\), got \(2, 2, 2\)"):
        overlay(PICTURES, MAPS[:, :2, :2])
    with pytest.raises(ValueError, match=r"maps must lie in \[0, 1\], got 2 to 2"):
        overlay(PICTURES, np.full((2, 4, 5), 2))
    with pytest.raises(ValueError, match="strength must be from 0 to 1, got 2"):
        overlay(PICTURES, MAPS, strength=2)
