"""Splits hold every example once, keep shares and never divide a group."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlab.splits import group_split, stratified_split

names = st.lists(st.integers(0, 6), min_size=1, max_size=60)


@given(names, st.integers(0, 99))
def test_a_stratified_split_gives_each_class_its_share(labels, seed):
    labels = np.array(labels)
    parts = stratified_split(labels, (3, 1, 1), np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert (np.diff(part) > 0).all()
        for label in np.unique(labels):
            count = np.sum(labels == label)
            assert abs(np.sum(labels[part] == label) - share * count) <= 1


@given(names.filter(lambda groups: len(set(groups)) > 2), st.integers(0, 99))
def test_a_group_split_divides_no_group(groups, seed):
    groups = np.array(groups)
    parts = group_split(groups, (2, 1), np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(groups)))
    sets = [set(groups[part].tolist()) for part in parts]
    assert not sets[0] & sets[1]
    assert abs(len(sets[0]) - 2 / 3 * len(set(groups.tolist()))) <= 0.5


def test_splits_are_random_and_repeat_with_the_seed():
    labels = np.repeat(np.arange(5), 10)
    for split in (stratified_split, group_split):
        one, again, other = (split(labels, (1, 1), np.random.default_rng(s)) for s in (0, 0, 1))
        np.testing.assert_array_equal(one[0], again[0])
        assert not np.array_equal(one[0], other[0])


BAD = {
    "labels must have the shape (n,) with n > 0, got (0,)": lambda rng: stratified_split(
        [], (1, 1), rng
    ),
    "shares must be at least two positive numbers, got (1, 0)": lambda rng: stratified_split(
        [1, 2], (1, 0), rng
    ),
    "shares must be at least two positive numbers, got (1,)": lambda rng: group_split(
        [1, 2], (1,), rng
    ),
    "number of groups must be an integer >= 2, got 1": lambda rng: group_split([1, 1], (1, 1), rng),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message](np.random.default_rng(0))
