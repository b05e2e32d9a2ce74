"""Patches come from where they say, and training and test share no pixel."""

import numpy as np
import pytest

from cvlab.data import photograph, photograph_names, photograph_patches

SIZE = 48


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("half", ["left", "right", "whole"])
def test_every_patch_is_cut_out_at_its_corner(half):
    patches = photograph_patches(3, SIZE, rng(), half=half)
    names = photograph_names()
    assert patches.images.dtype == np.uint8
    assert patches.labels.tolist() == [k for k in range(len(names)) for _ in range(3)]
    for image, label, (i, j) in zip(*patches, strict=True):
        colours = photograph(names[label])[0, i : i + SIZE, j : j + SIZE].astype(float)
        assert image.shape == (SIZE, SIZE, 3)
        assert np.abs(image - colours.mean(axis=-1, keepdims=True)).max() <= 0.5


def test_the_halves_share_no_pixel_and_are_used_up_to_their_rims():
    width = photograph("cat").shape[2]
    columns = {
        half: photograph_patches(2000, SIZE, rng(), half=half, names=["cat"]).corners[:, 1]
        for half in ("left", "right", "whole")
    }
    assert columns["left"].min() == 0
    assert columns["left"].max() + SIZE == width // 2 == columns["right"].min()
    assert columns["right"].max() + SIZE == width
    assert (columns["whole"].min(), columns["whole"].max() + SIZE) == (0, width)


def test_a_patch_may_fill_its_half():
    whole = photograph_patches(1, 512, rng(), half="whole", names=["brick"])
    assert whole.corners.tolist() == [[0, 0]]
    assert photograph_patches(2, 256, rng(), half="right", names=["brick"]).corners[0, 1] == 256


def test_the_generator_decides():
    first, same, other = (photograph_patches(5, SIZE, rng(seed)).corners for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be an integer >= 1"),
        ({"size": 0}, "size must be an integer >= 1"),
        ({"half": "top"}, "half must be one of left, right, whole, got 'top'"),
        ({"names": ["dog"]}, "name must be one of temple"),
        ({"names": "cat"}, "names must be a sequence of names of photographs, got 'cat'"),
        ({"names": []}, "names must be a sequence of names of photographs, got \\[\\]"),
        ({"size": 257, "names": ["brick"]}, "size must be at most 256, for half='left'.*'brick'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        photograph_patches(**{"count": 1, "size": SIZE, "rng": rng(), **arguments})
