"""Optimizers: how a gradient becomes a step, and how the step size changes with time.

A step takes an array of weights, the gradient of the loss, and what the rule remembers: a state.
It returns new weights and a new state; nothing is changed in place. The first state is ``None``.
The names and defaults are those of Keras 3, including where epsilon stands; with Adam the state
    also counts the steps. Memory per weight is the number of arrays in the state.
Schedules map the number of steps taken, from 0 on, to a learning rate.

Derived in chapter 05-training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, integer


class Update(NamedTuple):
    """The weights after a step, and what the rule remembers: arrays of their shape, by name."""

    weights: np.ndarray
    state: dict


def sgd(
    weights: np.ndarray,
    gradient: np.ndarray,
    state: dict | None,
    learning_rate: float,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Update:
    """Step against the gradient; with momentum, go on in the direction of earlier steps too.

    velocity = momentum * velocity - learning_rate * gradient; weights = weights + velocity. With
    `nesterov` the step is momentum * velocity - learning_rate * gradient once more (Sutskever et
    al. 2013). Without momentum nothing is remembered.

    Parameters
    ----------
    weights, gradient : array, of one shape
    state : dict or None
        That of the step before; None at the first.
    learning_rate : float
        Positive.
    momentum : float
        From 0 to less than 1.
    nesterov : bool

    Raises
    ------
    ValueError
        If the shapes differ, or a number is out of its range.

    Examples
    --------
    >>> first = sgd(np.array([1.0]), np.array([2.0]), None, 0.1, momentum=0.5)
    >>> second = sgd(first.weights, np.array([2.0]), first.state, 0.1, momentum=0.5)
    >>> first.weights, second.weights  # steps of 0.2, then of 0.1 + 0.2
    (array([0.8]), array([0.5]))
    """
    weights, gradient = _checked(weights, gradient, learning_rate, momentum=momentum)
    if momentum == 0:
        return Update(weights - learning_rate * gradient, {})
    (velocity,) = _recall(state, weights, "velocity")
    velocity = momentum * velocity - learning_rate * gradient
    move = momentum * velocity - learning_rate * gradient if nesterov else velocity
    return Update(weights + move, {"velocity": velocity})


def rmsprop(
    weights: np.ndarray,
    gradient: np.ndarray,
    state: dict | None,
    learning_rate: float,
    *,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> Update:
    """Divide the gradient by its usual size: the root of a moving average of its square.

    mean_square = rho * mean_square + (1 - rho) * gradient^2, and the step is learning_rate *
    gradient / sqrt(mean_square + epsilon) (Tieleman and Hinton 2012).

    Parameters, errors and result are those of :func:`sgd`; `rho` lies from 0 to less than 1.

    Examples
    --------
    >>> step = rmsprop(np.array([1.0, 1.0]), np.array([4.0, 0.1]), None, 0.1)
    >>> step.weights.round(3)  # a large and a small gradient move the weight as far
    array([0.684, 0.684])
    """
    weights, gradient = _checked(weights, gradient, learning_rate, rho=rho)
    (mean_square,) = _recall(state, weights, "mean_square")
    mean_square = rho * mean_square + (1 - rho) * gradient**2
    move = learning_rate * gradient / np.sqrt(mean_square + epsilon)
    return Update(weights - move, {"mean_square": mean_square})


def adam(
    weights: np.ndarray,
    gradient: np.ndarray,
    state: dict | None,
    learning_rate: float,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Update:
    """Momentum on the gradient, divided by its usual size; both corrected for their start at 0.

    mean and mean_square are moving averages of the gradient and its square; after t steps both
    fall short by the factors 1 - beta_1^t and 1 - beta_2^t, which is mended before the division
    (Kingma and Ba 2015, arXiv:1412.6980; epsilon as in the efficient form after algorithm 1).

    Parameters, errors and result are those of :func:`sgd`; the betas lie from 0 to less than 1.

    Examples
    --------
    >>> step = adam(np.array([1.0, 1.0]), np.array([4.0, -0.01]), None, 0.1)
    >>> step.weights.round(3)  # the first step is the learning rate, whatever the gradient
    array([0.9, 1.1])
    """
    weights, gradient = _checked(weights, gradient, learning_rate, beta_1=beta_1, beta_2=beta_2)
    mean, mean_square = _recall(state, weights, "mean", "mean_square")
    steps = 1 + (state["steps"] if state else 0)
    mean = beta_1 * mean + (1 - beta_1) * gradient
    mean_square = beta_2 * mean_square + (1 - beta_2) * gradient**2
    rate = learning_rate * np.sqrt(1 - beta_2**steps) / (1 - beta_1**steps)
    move = rate * mean / (np.sqrt(mean_square) + epsilon)
    return Update(weights - move, {"mean": mean, "mean_square": mean_square, "steps": steps})


def decay_weights(weights: np.ndarray, learning_rate: float, weight_decay: float) -> np.ndarray:
    """Return the weights a little smaller: (1 - learning_rate * weight_decay) times as large.

    Done before each step, apart from the gradient, this is decoupled weight decay: Adam with it is
    AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Raises
    ------
    ValueError
        If the weights are not real numbers, or a number is out of its range.

    Examples
    --------
    >>> decay_weights(np.array([2.0, -1.0]), learning_rate=0.1, weight_decay=0.5)
    array([ 1.9 , -0.95])
    """
    weights, _ = _checked(weights, weights, learning_rate)
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay!r}")
    return weights * (1 - learning_rate * weight_decay)


def descend(
    gradient: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    rule: Callable[..., Update],
    learning_rate: float | Callable[[int], float],
    steps: int,
    **options,
) -> np.ndarray:
    """Return the path of `steps` steps from `start`, an array (steps + 1, ...).

    Parameters
    ----------
    gradient : callable
        From weights to the gradient there.
    start : array (...)
    rule : callable
        :func:`sgd`, :func:`rmsprop` or :func:`adam`; `options` go to it.
    learning_rate : float or callable
        A number, or a schedule: a function of the steps taken so far.
    steps : int
        At least 1.

    Raises
    ------
    ValueError
        If `steps` is no such number, or an argument is one that the rule refuses.

    Examples
    --------
    >>> descend(lambda w: 2 * w, np.array([1.0]), sgd, 0.25, steps=3).ravel()  # loss w^2
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    steps = integer(steps, "steps", 1)
    weights, state = float_array(start, "start"), None
    path = [weights]
    for t in range(steps):
        rate = learning_rate(t) if callable(learning_rate) else learning_rate
        weights, state = rule(weights, gradient(weights), state, rate, **options)
        path.append(weights)
    return np.array(path)


def cosine_decay(step: int, total: int, start: float, *, warmup: int = 0) -> float:
    """Return a learning rate that sinks from `start` to 0 along half a cosine.

    During the first `warmup` steps it rises from 0 to `start` on a straight line; then it is
    start * (1 + cos(pi t)) / 2 with t from 0 to 1 (Loshchilov and Hutter 2017, arXiv:1608.03983).

    Parameters
    ----------
    step : int
        Steps taken so far; at `total` and beyond the rate is 0.
    total : int
        Steps in all, more than `warmup`.
    start : float
        Positive.
    warmup : int

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> [round(cosine_decay(t, 8, 1.0), 3) for t in (0, 2, 4, 8)]
    [1.0, 0.854, 0.5, 0.0]
    """
    step, warmup = integer(step, "step", 0), integer(warmup, "warmup", 0)
    total = integer(total, "total", warmup + 1)
    _positive(start, "start")
    if step < warmup:
        return start * step / warmup
    done = min((step - warmup) / (total - warmup), 1)
    return float(start * (1 + np.cos(np.pi * done)) / 2)


def step_decay(step: int, every: int, start: float, factor: float = 0.1) -> float:
    """Return a learning rate that is multiplied by `factor` after `every` steps, again and again.

    Raises
    ------
    ValueError
        If a number is out of its range: `factor` lies above 0 and at most at 1.

    Examples
    --------
    >>> [round(step_decay(t, 10, 1.0), 3) for t in (0, 9, 10, 25)]
    [1.0, 1.0, 0.1, 0.01]
    """
    step, every = integer(step, "step", 0), integer(every, "every", 1)
    _positive(start, "start")
    if not 0 < factor <= 1:
        raise ValueError(f"factor must lie above 0 and at most at 1, got {factor!r}")
    return start * factor ** (step // every)


def _recall(state, weights, *names):
    return [state[name] if state else np.zeros_like(weights) for name in names]


def _checked(weights, gradient, learning_rate, **shares):
    weights, gradient = float_array(weights, "weights"), float_array(gradient, "gradient")
    if weights.shape != gradient.shape:
        raise ValueError(
            f"gradient must have the shape of the weights, {weights.shape}, got {gradient.shape}"
        )
    _positive(learning_rate, "learning_rate")
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must lie from 0 to less than 1, got {share!r}")
    return weights, gradient


def _positive(value, name):
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
