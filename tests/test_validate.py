import numpy as np
import pytest

from cvlab._validate import float_array, integer, integers


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("float32", "float32"), ("float64", "float64"), ("float16", "float32"),
        ("uint8", "float32"), ("int16", "float32"), ("bool", "float32"),
        ("int32", "float64"), ("int64", "float64"), ("uint32", "float64"),
    ],
)  # fmt: skip
def test_no_type_loses_precision(given, becomes):
    assert float_array(np.ones(2, dtype=given), "x").dtype == becomes


def test_the_largest_values_survive_conversion():
    for dtype in ("uint16", "int32"):
        largest = np.iinfo(dtype).max
        assert float_array(np.array([largest], dtype), "x")[0] == largest


@pytest.mark.parametrize("value", [np.array([1j]), np.array(["a"]), np.array([None])])
def test_what_is_not_a_real_number_is_an_error(value):
    with pytest.raises(ValueError, match="x must hold real numbers, got dtype"):
        float_array(value, "x")


def test_the_rank_is_named():
    with pytest.raises(ValueError, match=r"x must have 2 axes \(h, w\), got shape \(3,\)"):
        float_array(np.ones(3), "x", ndim=2, layout="(h, w)")


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None])
def test_integers_are_integers_and_large_enough(value):
    with pytest.raises(ValueError, match="n must be an integer >= 1, got"):
        integer(value, "n", minimum=1)
    assert integer(np.int64(1), "n", minimum=1) == 1


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), "12", 1.5, None])
def test_pairs_are_pairs(value):
    with pytest.raises(ValueError, match="stride must be one integer or 2 of them, got"):
        integers(value, "stride", minimum=1)


def test_the_bad_one_of_a_pair_is_named():
    with pytest.raises(ValueError, match=r"stride\[1\] must be an integer >= 1, got 0"):
        integers((1, 0), "stride", minimum=1)
    assert integers([3, 4], "stride", minimum=1) == (3, 4)
