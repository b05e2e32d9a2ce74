"""SMOTE: new examples of a rare class, as points between neighbours.

Examples  (n, ...): vectors of features, or images; an example is a point with all its numbers
Neighbour by squared Euclidean distance; an example is not its own neighbour
Point     example + t (neighbour - example), t uniform in [0, 1)
Source    N. Chawla et al., "SMOTE", 2002, doi:10.1613/jair.953, section 4.2
Derived in chapter 09-transfer-learning.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integer


def smote(
    examples: np.ndarray, count: int, rng: np.random.Generator, neighbors: int = 5
) -> np.ndarray:
    """Return `count` new examples, each between an example and one of its nearest neighbours.

    Parameters
    ----------
    examples : array (n, ...)
        Examples of one class only, the rare one.
    count : int
        How many to make.
    rng : numpy.random.Generator
        Chooses example, neighbour and place, each uniformly.
    neighbors : int
        How many neighbours to choose from, at most n - 1.

    Returns
    -------
    numpy.ndarray (count, ...)
        float64.

    Raises
    ------
    ValueError
        If there are fewer than two examples, or a number is out of its range.

    Examples
    --------
    >>> new = smote([[0.0, 0.0], [1.0, 2.0]], 3, np.random.default_rng(0), neighbors=1)
    >>> bool(np.allclose(new[:, 1], 2 * new[:, 0]))  # on the line between the two
    True
    """
    examples = float_array(examples, "examples").astype(np.float64)
    if examples.ndim < 2 or len(examples) < 2:
        raise ValueError(
            f"examples must be at least two, of shape (n, ...), got shape {examples.shape}"
        )
    count, neighbors = integer(count, "count", 1), integer(neighbors, "neighbors", 1)
    if neighbors >= len(examples):
        raise ValueError(
            f"neighbors must be at most {len(examples) - 1} for {len(examples)} examples, "
            f"got {neighbors}"
        )
    points = examples.reshape(len(examples), -1)
    distances = ((points[:, np.newaxis] - points) ** 2).sum(axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :neighbors]
    chosen = rng.integers(len(points), size=count)
    other = nearest[chosen, rng.integers(neighbors, size=count)]
    t = rng.random((count, 1))
    new = points[chosen] + t * (points[other] - points[chosen])
    return new.reshape(count, *examples.shape[1:])
