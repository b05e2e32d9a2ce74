"""Splitting examples into training, validation and test sets without leaks.

A split is a tuple of index arrays, one for each share, sorted; together they hold every example
    once. Images and labels move as ``images[part]``.
Shares are relative sizes such as (0.7, 0.15, 0.15); parts are as large as rounding allows.
Groups say which examples belong together, such as frames of one video or pictures of one
    patient: a group is never divided, so its examples cannot be met in training and in testing.

Derived in chapter 05-training.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import integer


def stratified_split(
    labels: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Split at random such that every class has its share in every part.

    Parameters
    ----------
    labels : array (n,)
        Class of each example.
    shares : tuple of float
        Positive, any sum.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of int arrays
        Indices of the examples of each part.

    Raises
    ------
    ValueError
        If there are no labels, or fewer than two shares or one that is not positive.

    Examples
    --------
    >>> labels = np.array([0] * 8 + [1] * 4)
    >>> train, test = stratified_split(labels, (3, 1), np.random.default_rng(0))
    >>> np.bincount(labels[train]), np.bincount(labels[test])
    (array([6, 3]), array([2, 1]))
    """
    labels, shares = _one_axis(labels, "labels"), _shares(shares)
    classes = (rng.permutation(np.flatnonzero(labels == k)) for k in np.unique(labels))
    pieces = [np.split(members, _cuts(len(members), shares)) for members in classes]
    return tuple(np.sort(np.concatenate(parts)) for parts in zip(*pieces, strict=True))


def group_split(
    groups: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Split at random such that no group is divided.

    Parameters
    ----------
    groups : array (n,)
        Name or number of the group of each example.
    shares : tuple of float
        Of the groups, whatever their sizes.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of int arrays

    Raises
    ------
    ValueError
        As :func:`stratified_split`, and if there are fewer groups than shares.

    Examples
    --------
    >>> videos = np.array(["a", "a", "a", "b", "b", "c", "d"])
    >>> train, test = group_split(videos, (0.5, 0.5), np.random.default_rng(1))
    >>> videos[train].tolist(), videos[test].tolist()
    (['a', 'a', 'a', 'b', 'b'], ['c', 'd'])
    """
    groups, shares = _one_axis(groups, "groups"), _shares(shares)
    names = np.unique(groups)
    integer(len(names), "number of groups", len(shares))
    parts = np.split(rng.permutation(names), _cuts(len(names), shares))
    return tuple(np.flatnonzero(np.isin(groups, part)) for part in parts)


def _cuts(count, shares):
    """Return where to cut `count` examples: the running sum of the shares, rounded."""
    return np.floor(np.cumsum(shares)[:-1] / sum(shares) * count + 0.5).astype(int)


def _one_axis(values, name):
    values = np.asarray(values)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} must have the shape (n,) with n > 0, got {values.shape}")
    return values


def _shares(shares):
    if len(shares) < 2 or not all(share > 0 for share in shares):
        raise ValueError(f"shares must be at least two positive numbers, got {shares!r}")
    return shares
