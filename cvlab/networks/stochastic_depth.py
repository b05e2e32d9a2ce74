"""Stochastic depth: train with some residual units switched off, predict with all of them.

In a training step the branch of a unit is kept with the probability `survival`, one draw for the
    whole batch, and is zero otherwise: the unit is then its shortcut.
At inference the branch is always there, multiplied by `survival`, its mean in training.
Keras computes the branch also when it is dropped: training becomes a regulariser, not faster.
Source: G. Huang et al., "Deep networks with stochastic depth", 2016, arXiv:1603.09382, section 3.
Used in chapter 07-residual-connections.
"""

from __future__ import annotations

from numbers import Real

import keras

from cvlab._validate import integer


@keras.saving.register_keras_serializable("cvlab")
class StochasticDepth(keras.layers.Layer):
    """Keep a branch with a probability in training; scale it by that probability at inference.

    Parameters
    ----------
    survival : float
        Probability to keep it, 0 to 1.
    seed : int, optional
        Fixes the draws; by default `keras.utils.set_random_seed` does.

    Raises
    ------
    ValueError
        If `survival` is not between 0 and 1.

    Examples
    --------
    >>> layer = StochasticDepth(0.5, seed=0)
    >>> branch = keras.ops.ones((4, 2))
    >>> float(layer(branch, training=False)[0, 0])
    0.5
    >>> sorted({float(layer(branch, training=True)[0, 0]) for _ in range(20)})
    [0.0, 1.0]
    """

    def __init__(self, survival: float, seed: int | None = None, **options):
        super().__init__(**options)
        self.survival = probability(survival, "survival")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        """Return the branch, dropped or kept (training), or scaled (inference)."""
        if not training:
            return x * self.survival
        draw = keras.random.uniform((), dtype=x.dtype, seed=self.seed_generator)
        return x * keras.ops.cast(draw < self.survival, x.dtype)

    def get_config(self):
        """Return what a copy is made from."""
        return {**super().get_config(), "survival": self.survival, "seed": self.seed}


def survival_probabilities(units: int, last: float) -> list[float]:
    """Return the survival probability of every unit, falling linearly with its depth.

    Unit l of 1 ... `units` has 1 - (l / units) (1 - last): Huang et al. (2016), equation 4.

    Parameters
    ----------
    units : int
    last : float
        Survival probability of the last unit, 0 to 1.

    Returns
    -------
    list of float

    Raises
    ------
    ValueError
        If `units` is not positive or `last` not between 0 and 1.

    Examples
    --------
    >>> survival_probabilities(4, 0.5)
    [0.875, 0.75, 0.625, 0.5]
    """
    units, last = integer(units, "units", minimum=1), probability(last, "last")
    return [1 - (unit / units) * (1 - last) for unit in range(1, units + 1)]


def probability(value, name: str) -> float:
    """Return `value` as a float between 0 and 1.

    Raises
    ------
    ValueError
        If it is no number or not between 0 and 1.

    Examples
    --------
    >>> probability(1, "survival")
    1.0
    """
    if not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability, 0 to 1, got {value!r}")
    return float(value)
