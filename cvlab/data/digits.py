"""The 1,797 handwritten digits of scikit-learn, split for training and test.

Conventions
-----------
Layout   NHWC: 8 x 8 pixels, one channel
Values   float32 in [0, 1] (the file's 0..16 divided by 16); ink is bright
Labels   int64, the digit 0..9
Split    stratified: each class gives the same fraction, rounded, to the test set
"""

from __future__ import annotations

from numbers import Real
from typing import NamedTuple

import numpy as np


class Digits(NamedTuple):
    """Digits split in two; unpacks as four arrays.

    Attributes
    ----------
    train_images, test_images : numpy.ndarray
        (n, 8, 8, 1), float32 in [0, 1].
    train_labels, test_labels : numpy.ndarray
        (n,), int64 in 0..9.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def digits(test_fraction: float = 0.25, rng: np.random.Generator | None = None) -> Digits:
    """Return the 8 x 8 digits of scikit-learn, shuffled and split.

    Parameters
    ----------
    test_fraction : float
        Fraction of every class that goes to the test set, strictly between 0 and 1.
    rng : numpy.random.Generator, optional
        Source of the shuffle. None stands for ``numpy.random.default_rng(0)``: the same split
        at every call.

    Returns
    -------
    Digits
        ``(train_images, train_labels, test_images, test_labels)``.

    Raises
    ------
    ValueError
        If `test_fraction` is not between 0 and 1 or leaves one side without a class, or if
        `rng` is not a Generator.

    Notes
    -----
    The digits are the test part of E. Alpaydin and C. Kaynak, "Optical Recognition of
    Handwritten Digits", UCI Machine Learning Repository, 1998.

    Examples
    --------
    >>> train_images, train_labels, test_images, test_labels = digits()
    >>> train_images.shape, test_images.shape
    ((1347, 8, 8, 1), (450, 8, 8, 1))
    """
    if isinstance(test_fraction, bool) or not isinstance(test_fraction, Real):
        raise ValueError(f"test_fraction must be a number, got {test_fraction!r}")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, got {test_fraction}")
    if rng is None:
        rng = np.random.default_rng(0)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {rng!r}")

    from sklearn.datasets import load_digits

    source = load_digits()
    images = (source.images / 16).astype(np.float32)[..., np.newaxis]
    labels = source.target.astype(np.int64)

    in_test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        members = rng.permutation(np.flatnonzero(labels == label))
        test_size = round(test_fraction * len(members))
        if not 0 < test_size < len(members):
            raise ValueError(
                f"test_fraction must leave every class some digits on both sides, "
                f"got {test_fraction}: {test_size} of {len(members)} for class {label}"
            )
        in_test[members[:test_size]] = True

    train = rng.permutation(np.flatnonzero(~in_test))
    test = rng.permutation(np.flatnonzero(in_test))
    return Digits(images[train], labels[train], images[test], labels[test])
