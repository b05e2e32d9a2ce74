"""Run-length encoding against pycocotools: lists, strings and back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from cvlab.run_length import compress_counts, decode_rle, decompress_counts, encode_rle

OLD_NUMPY = "ignore:__array__ implementation doesn't accept:DeprecationWarning"  # pycocotools
pytestmark = pytest.mark.filterwarnings(OLD_NUMPY)


def reference(mask):
    """Return pycocotools' encoding as a string."""
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def check(mask):
    expected = reference(mask)
    assert encode_rle(mask) == expected
    counts = encode_rle(mask, compress=False)["counts"]
    assert decompress_counts(expected["counts"]) == counts
    assert sum(counts) == mask.size
    assert sum(counts[1::2]) == mask.sum()
    assert all(counts[1:])  # only the first run may be empty
    for rle in (expected, {**expected, "counts": expected["counts"].encode()}):
        np.testing.assert_array_equal(decode_rle(rle), mask)
    np.testing.assert_array_equal(decode_rle({"size": mask.shape, "counts": counts}), mask)
    np.testing.assert_array_equal(coco.decode(encode_rle(mask)), mask)
    listed = encode_rle(mask, compress=False)
    np.testing.assert_array_equal(coco.decode(coco.frPyObjects(listed, *mask.shape)), mask)


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
@settings(max_examples=200, deadline=None)
def test_small_masks_agree_with_pycocotools(mask):
    check(mask)


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.99, 0.9995, 1.0])
def test_masks_with_long_runs_agree_with_pycocotools(share):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 40), (40, 1), (240, 320), (333, 77)):
        check(rng.random(shape) < share)


def test_objects_agree_with_pycocotools():
    y, x = np.mgrid[:200, :300]
    check((y - 90) ** 2 + (x - 140) ** 2 < 70**2)
    check(np.hypot(y - 90, x - 140) // 9 % 2 == 0)


def test_by_hand():
    mask = [[0, 0, 1], [1, 0, 1]]
    assert encode_rle(mask, compress=False) == {"size": [2, 3], "counts": [1, 1, 2, 2]}
    # The fourth count, 2, is written as its difference to the second, 1.
    assert encode_rle(mask)["counts"] == "1121"
    first = {"size": [2, 3], "counts": [0, 2, 4]}
    assert encode_rle([[1, 0, 0], [1, 0, 0]], compress=False) == first
    assert compress_counts([15]) == "?"
    assert compress_counts([16]) == "`0"  # one group would read as -16
    assert compress_counts([9, 16, 9, 0]) == "9`09@"  # 0 - 16 is -16
    assert json.loads(json.dumps(encode_rle(mask))) == encode_rle(mask)


@given(st.lists(st.integers(0, 2**31 - 1), max_size=30))
@settings(max_examples=200, deadline=None)
def test_counts_and_strings_are_the_same(counts):
    string = compress_counts(counts)
    assert decompress_counts(string) == counts
    assert decompress_counts(string.encode()) == counts
    assert all("0" <= character <= "o" for character in string)


def test_masks_without_pixels():
    for shape in ((0, 4), (3, 0)):
        empty = np.zeros(shape, bool)
        assert encode_rle(empty)["counts"] == reference(empty)["counts"] == "0"
        assert decode_rle(encode_rle(empty)).shape == shape


def test_errors():
    with pytest.raises(ValueError, match="mask must hold 0 and 1 only, or booleans, got 255 at"):
        encode_rle([[0, 255]])
    with pytest.raises(ValueError, match=r"mask must have 2 axes .*, got shape \(1, 2, 2\)"):
        encode_rle(np.zeros((1, 2, 2)))
    for rle in ("12", {"counts": "12"}):
        with pytest.raises(ValueError, match="rle must be a dictionary with 'size' and 'counts'"):
            decode_rle(rle)
    with pytest.raises(ValueError, match="counts must add up to 2 x 3 = 6 pixels, got 5"):
        decode_rle({"size": [2, 3], "counts": [1, 4]})
    with pytest.raises(ValueError, match=r"counts\[1\] must be an integer >= 0, got -1"):
        decode_rle({"size": [2, 3], "counts": [7, -1]})
    with pytest.raises(ValueError, match=r"counts\[1\] must be an integer >= 0, got 2.5"):
        compress_counts([1, 2.5])
    with pytest.raises(ValueError, match=r"size\[0\] must be an integer >= 0, got -2"):
        decode_rle({"size": [-2, 3], "counts": [6]})
    for string in ("1p", "1/", "1é"):
        with pytest.raises(ValueError, match=r"characters from '0' to 'o', got .* at 1"):
            decompress_counts(string)
    with pytest.raises(ValueError, match="string must not end within a count, got '1P'"):
        decompress_counts("1P")
