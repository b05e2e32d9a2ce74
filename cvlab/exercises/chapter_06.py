"""Exercises of chapter 06-batch-normalization.

Conventions
-----------
Images are (batch, height, width, channels), kernels (height, width, in, out).
gamma, beta, mean, variance and bias have one value per channel; variances are biased.
Momentum is the share of the old average that is kept, as in Keras.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from cvlab.check import Exercise
from cvlab.folding import fold_into_previous
from cvlab.normalization import batch_norm, batch_norm_parameters
from cvlab.normalization_family import group_norm
from cvlab.normalization_gradients import batch_norm_backward


def _array(*shape, seed=0):
    """Return values with another mean and spread in each channel, rounded to be readable."""
    rng = np.random.default_rng((6, seed))
    channels = shape[-1]
    values = rng.normal(size=shape) * rng.uniform(1, 3, channels) + rng.uniform(-4, 4, channels)
    return values.round(1)


def _vector(channels, seed=0):
    return np.random.default_rng((66, seed)).uniform(0.5, 2, channels).round(1)


# 06.1 the statistics of a batch


def _statistics(x):
    _, mean, variance = batch_norm(x)
    return mean, variance


_STATISTICS = Exercise(
    reference=_statistics,
    cases=[(_array(4, 3, 3, 2),), (_array(2, 2, 5, 3, seed=1),), (_array(1, 1, 1, 2, seed=2),)],
    hidden_cases=[(_array(5, 4, 2, 4, seed=3),), (_array(3, 1, 1, 1, seed=4),)],
    mistakes=[
        (
            lambda x: (x.mean(axis=0), x.var(axis=0)),
            "You averaged over the batch only: every pixel kept a mean of its own. All pixels of "
            "a channel share one.",
        ),
        (
            lambda x: (x.mean(axis=(1, 2)), x.var(axis=(1, 2))),
            "These are statistics of each image (instance normalization): average over the "
            "batch, too.",
        ),
        (
            lambda x: (x.mean(), x.var()),
            "One number for everything: each channel has its own mean and variance.",
        ),
        (
            lambda x: (x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))),
            "The second result is the standard deviation, the root of the variance.",
        ),
        (
            lambda x: (x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2), ddof=1)),
            "Divide by n, not by n - 1: the variance describes this batch.",
        ),
    ],
)


# 06.2 the forward pass


def _forward(x, gamma, beta, epsilon):
    return batch_norm(x, gamma, beta, epsilon=epsilon).y


def _parts(x):
    axes = tuple(range(x.ndim - 1))
    return x - x.mean(axis=axes), x.var(axis=axes)


def _forward_case(shape, epsilon, seed):
    channels = shape[-1]
    beta = _vector(channels, seed + 50) - 1
    return (_array(*shape, seed=seed), _vector(channels, seed), beta, epsilon)


_FORWARD = Exercise(
    reference=_forward,
    cases=[_forward_case((4, 2, 2, 2), 0.5, 10), _forward_case((3, 4, 4, 3), 0.01, 11)],
    hidden_cases=[_forward_case((1, 1, 1, 2), 1.0, 12), _forward_case((6, 3, 2, 2), 0.3, 13)],
    mistakes=[
        (
            lambda x, g, b, e: g * _parts(x)[0] / (np.sqrt(_parts(x)[1]) + e) + b,
            "Epsilon is added to the variance, under the root, not to the standard deviation.",
        ),
        (
            lambda x, g, b, e: g * _parts(x)[0] / np.sqrt(np.maximum(_parts(x)[1], 1e-12)) + b,
            "Epsilon is missing: a constant channel would divide by zero.",
        ),
        (
            lambda x, g, b, e: g * _parts(x)[0] / (_parts(x)[1] + e) + b,
            "Divide by the root of variance + epsilon.",
        ),
        (
            lambda x, g, b, e: g * (_parts(x)[0] / np.sqrt(_parts(x)[1] + e) + b),
            "Gamma multiplies x_hat only: add beta afterwards.",
        ),
        (
            lambda x, g, b, e: _parts(x)[0] / np.sqrt(_parts(x)[1] + e),
            "This is x_hat: scale it by gamma and add beta.",
        ),
    ],
)


# 06.3 the moving average


def _moving(values, start, momentum):
    steps = len(values)
    weights = [(1 - momentum) * momentum ** (steps - 1 - t) for t in range(steps)]
    return start * momentum**steps + sum(w * v for w, v in zip(weights, values, strict=True))


_MOVING = Exercise(
    reference=_moving,
    cases=[([5.0, 5.0], 0.0, 0.9), ([2.0, -1.0, 4.0], 1.0, 0.75), ([7.0], 3.0, 0.99)],
    hidden_cases=[([1.0, 2.0, 3.0, 4.0], 0.5, 0.6), ([], 2.0, 0.9), ([3.0] * 9, 0.0, 0.2)],
    mistakes=[
        (
            lambda v, s, m: _moving(v, s, 1 - m),
            "Momentum is the share of the old average that is kept (Keras); this is PyTorch's "
            "convention, the share of the new value.",
        ),
        (
            lambda v, s, m: _moving(v[::-1], s, m),
            "The last value counts most: go through the values in their order.",
        ),
        (
            lambda v, s, m: _moving(v, 0.0, m),
            "The average begins at `start`, whose weight fades step by step.",
        ),
        (
            lambda v, s, m: _moving(v[1:], v[0], m),
            "Begin at `start`, not at the first value.",
        ),
        (lambda v, s, m: float(np.mean(v)), "This is the plain mean: older values must fade."),
    ],
)


# 06.4 how long the start is remembered


def _steps(momentum, share):
    steps, weight = 0, 1.0
    while weight > share:
        steps, weight = steps + 1, weight * momentum
    return steps


_MEMORY = Exercise(
    reference=_steps,
    cases=[(0.9, 0.5), (0.99, 0.01), (0.5, 0.25), (0.999, 0.05)],
    hidden_cases=[(0.9, 0.01), (0.99, 0.5), (0.75, 1.0), (0.25, 0.2)],
    mistakes=[
        (
            lambda m, s: math.ceil((1 - s) / (1 - m) - 1e-9),
            "The weight does not fall by the same amount in each step: it is multiplied by the "
            "momentum.",
        ),
        (
            lambda m, s: _steps(m, s) - 1,
            "One step too few: after it the start still weighs more than `share`.",
        ),
        (
            lambda m, s: _steps(m, s) + 1,
            "One step too many: a weight of exactly `share` is small enough.",
        ),
        (
            lambda m, s: math.ceil(math.log(s) / math.log(1 - m) - 1e-9),
            "Momentum is what is kept: the start weighs momentum ** t after t steps.",
        ),
    ],
)


# 06.5 counting


def _counts(sizes):
    *hidden, classes = sizes
    norms = [batch_norm_parameters(n) for n in hidden]
    trained = sum(a * b for a, b in pairwise(sizes)) + classes
    trained += sum(learned for learned, _ in norms)
    return (trained, sum(stored for _, stored in norms))


_COUNTS = Exercise(
    reference=_counts,
    cases=[([784, 300, 100, 10],), ([64, 32, 10],), ([8, 3],)],
    hidden_cases=[([100, 50, 50, 50, 7],), ([2, 2, 2],)],
    mistakes=[
        (
            lambda sizes: (_counts(sizes)[0] + sum(sizes[1:-1]), _counts(sizes)[1]),
            "A dense layer before a normalization needs no bias: beta does its work.",
        ),
        (
            lambda sizes: (_counts(sizes)[0] - sizes[-1], _counts(sizes)[1]),
            "The last layer has no normalization after it and keeps its bias.",
        ),
        (
            lambda sizes: (sum(_counts(sizes)), 0),
            "The moving mean and variance are stored, not trained: count them apart.",
        ),
        (
            lambda sizes: (
                _counts(sizes)[0] - 2 * sizes[0],
                _counts(sizes)[1] - 2 * sizes[0],
            ),
            "The input is normalized, too.",
        ),
        (
            lambda sizes: (
                _counts(sizes)[0] + 2 * sizes[-1],
                _counts(sizes)[1] + 2 * sizes[-1],
            ),
            "The scores are not normalized.",
        ),
        (
            lambda sizes: _counts(sizes)[::-1],
            "The other way round: first what is trained, then what is stored.",
        ),
    ],
)


# 06.6 folding


def _fold(kernel, bias, gamma, beta, mean, variance, epsilon):
    return tuple(fold_into_previous(kernel, bias, gamma, beta, mean, variance, epsilon=epsilon))


def _fold_case(shape, epsilon, seed):
    rng = np.random.default_rng((666, seed))
    bias, beta, mean = rng.uniform(-2, 2, (3, shape[-1])).round(1)
    gamma, variance = _vector(shape[-1], seed), _vector(shape[-1], seed + 1)
    gamma[0] *= -1
    return (rng.uniform(-1, 1, shape).round(1), bias, gamma, beta, mean, variance, epsilon)


def _scale(gamma, variance, epsilon):
    return gamma / np.sqrt(variance + epsilon)


_FOLD = Exercise(
    reference=_fold,
    cases=[_fold_case((1, 1, 2, 2), 0.5, 1), _fold_case((3, 3, 2, 4), 0.01, 2)],
    hidden_cases=[_fold_case((3, 1, 4, 4), 0.2, 3), _fold_case((2, 2, 1, 3), 1.0, 4)],
    mistakes=[
        (
            lambda k, b, g, t, m, v, e: (k * _scale(g, v, e), b + t - _scale(g, v, e) * m),
            "The layer's own bias is normalized as well: scale it.",
        ),
        (
            lambda k, b, g, t, m, v, e: (k * _scale(g, v, e), t - _scale(g, v, e) * m),
            "The layer's own bias is lost.",
        ),
        (
            lambda k, b, g, t, m, v, e: (k * _scale(g, v, e), _scale(g, v, e) * (b + m) + t),
            "The mean is subtracted, not added.",
        ),
        (
            lambda k, b, g, t, m, v, e: (k * _scale(g, v, e), _scale(g, v, e) * b + t - m),
            "The mean is scaled, too: it is subtracted before the multiplication.",
        ),
        (
            lambda k, b, g, t, m, v, e: (
                k * _scale(g, v, e)[:, None],
                _scale(g, v, e) * (b - m) + t,
            ),
            "The scale belongs to the output channels, the last axis of the kernel.",
        ),
        (
            lambda k, b, g, t, m, v, e: _fold(k, b, g, t, m, v, 1e-300),
            "Epsilon is missing under the root.",
        ),
    ],
)


# 06.7 group normalization


def _group(x, groups, epsilon):
    return group_norm(x, groups=groups, epsilon=epsilon)


def _grouped(x, groups, epsilon, axes):
    """Normalize x, cut into (batch, height, width, groups, channels of a group), over `axes`."""
    cut = x.reshape(*x.shape[:3], groups, x.shape[3] // groups)
    mean, variance = cut.mean(axis=axes, keepdims=True), cut.var(axis=axes, keepdims=True)
    return ((cut - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)


def _interleaved(x, groups, epsilon):
    size = x.shape[3] // groups
    order = np.arange(x.shape[3]).reshape(size, groups).T.ravel()
    y = np.empty(x.shape)
    y[..., order] = _group(x[..., order], groups, epsilon)
    return y


_GROUP = Exercise(
    reference=_group,
    cases=[
        (_array(2, 2, 2, 4, seed=20), 2, 0.1),
        (_array(3, 3, 4, 6, seed=21), 2, 0.01),
        (_array(2, 3, 3, 6, seed=22), 3, 0.5),
    ],
    hidden_cases=[(_array(1, 4, 2, 8, seed=23), 4, 0.2), (_array(2, 2, 3, 6, seed=24), 3, 0.3)],
    mistakes=[
        (
            lambda x, g, e: _grouped(x, g, e, (0, 1, 2, 4)),
            "You averaged over the batch as well: each image has its own statistics.",
        ),
        (
            lambda x, g, e: _grouped(x, g, e, (4,)),
            "You took every pixel by itself: average over the pixels, too.",
        ),
        (
            lambda x, g, e: _grouped(x, g, e, (1, 2)),
            "This is instance normalization: the channels of a group share their statistics.",
        ),
        (
            lambda x, g, e: _group(x, 1, e),
            "This is layer normalization: cut the channels into groups.",
        ),
        (
            lambda x, g, e: _group(x, x.shape[3] // g, e),
            "`groups` is how many groups there are, not how many channels a group has.",
        ),
        (
            _interleaved,
            "Groups are neighbouring channels: reshape to (..., groups, channels of a group).",
        ),
    ],
)


# 06.8 the backward pass


def _backward(dy, x, gamma, epsilon):
    return tuple(batch_norm_backward(dy, x, gamma, epsilon=epsilon))


def _backward_parts(x, epsilon):
    centred, variance = _parts(x)
    scale = np.sqrt(variance + epsilon)
    return centred / scale, scale


def _slip(dx_of):
    """Return the backward pass with another formula for dx."""

    def backward(dy, x, gamma, epsilon):
        x_hat, scale = _backward_parts(x, epsilon)
        _, dgamma, dbeta = _backward(dy, x, gamma, epsilon)
        return dx_of(gamma * dy, x_hat, scale), dgamma, dbeta

    return backward


def _backward_case(shape, epsilon, seed):
    dy = np.random.default_rng((6666, seed)).uniform(-2, 2, shape).round(1)
    return (dy, _array(*shape, seed=seed), _vector(shape[-1], seed), epsilon)


_BACKWARD = Exercise(
    reference=_backward,
    cases=[_backward_case((3, 1, 1, 1), 0.5, 30), _backward_case((4, 3, 2, 2), 0.01, 31)],
    hidden_cases=[_backward_case((2, 2, 2, 3), 0.2, 32), _backward_case((1, 5, 4, 2), 1.0, 33)],
    mistakes=[
        (
            _slip(lambda g, x_hat, s: g / s),
            "The mean and the variance depend on x, too: this is the gradient of a frozen layer.",
        ),
        (
            _slip(lambda g, x_hat, s: (g - g.mean(axis=(0, 1, 2))) / s),
            "The path through the variance is missing.",
        ),
        (
            _slip(lambda g, x_hat, s: (g - x_hat * (g * x_hat).mean(axis=(0, 1, 2))) / s),
            "The path through the mean is missing.",
        ),
        (
            _slip(
                lambda g, x_hat, s: (
                    (g - g.sum(axis=(0, 1, 2)) - x_hat * (g * x_hat).sum(axis=(0, 1, 2))) / s
                )
            ),
            "Subtract means over the batch and the pixels, not sums.",
        ),
        (
            lambda dy, x, g, e: (
                _backward(dy, x, np.ones_like(g), e)[0],
                *_backward(dy, x, g, e)[1:],
            ),
            "Gamma is missing in dx.",
        ),
        (
            lambda dy, x, g, e: (
                _backward(dy, x, g, e)[0],
                (dy * _backward_parts(x, e)[0]).mean(axis=(0, 1, 2)),
                dy.mean(axis=(0, 1, 2)),
            ),
            "gamma and beta are shared by all values of a channel: their gradients are sums.",
        ),
        (
            lambda dy, x, g, e: (
                _backward(dy, x, g, e)[0],
                (dy * x).sum(axis=(0, 1, 2)),
                dy.sum(axis=(0, 1, 2)),
            ),
            "Gamma multiplies x_hat, not x: so does its gradient.",
        ),
    ],
)


# 06.9 measure a signal


def _signal_sizes(x, kernels, normalize, axis=0, relu=True, last=True, measure=np.std):
    """With `last` the ReLU comes after the normalization, else before it."""
    sizes = []
    for w in kernels:
        x = np.einsum("ni,ij->nj", x, w)
        if relu and not last:
            x = x * (x > 0)
        if normalize:
            x = (x - x.mean(axis, keepdims=True)) / (x.var(axis, keepdims=True) + 1e-3) ** 0.5
        if relu and last:
            x = x * (x > 0)
        sizes.append(measure(x))
    return np.array(sizes)


_SIGNAL_RNG = np.random.default_rng(69)


def _chain(depth, normalize, images=6, units=4, scale=0.5):
    kernels = scale * _SIGNAL_RNG.normal(size=(depth, units, units))
    return _SIGNAL_RNG.normal(size=(images, units)), kernels, normalize


_SIGNAL = Exercise(
    reference=_signal_sizes,
    cases=[_chain(3, False), _chain(3, True), _chain(2, True, scale=3.0)],
    hidden_cases=[_chain(5, True, images=9), _chain(4, False, scale=1.5)],
    mistakes=[
        (
            lambda x, kernels, normalize: _signal_sizes(x, kernels, normalize, axis=1),
            "You normalized each image over its units: average over the batch, for each unit.",
        ),
        (
            lambda x, kernels, normalize: _signal_sizes(x, kernels, normalize, relu=False),
            "The ReLU is missing.",
        ),
        (
            lambda x, kernels, normalize: _signal_sizes(x, kernels, normalize, last=False),
            "The normalization stands before the ReLU.",
        ),
        (
            lambda x, kernels, normalize: _signal_sizes(x, kernels, False),
            "`normalize` is not used.",
        ),
        (
            lambda x, kernels, normalize: _signal_sizes(x, kernels, True),
            "Normalize only if `normalize` is true.",
        ),
        (
            lambda x, kernels, normalize: _signal_sizes(x, kernels, normalize, measure=np.var),
            "This is the variance: the standard deviation is its root.",
        ),
    ],
)


# 06.10 how far the inputs of a layer shifted


def _input_shift(before, after, axis=0, size=None):
    moves = np.asarray(after - before).mean(axis)
    scale = before if size is None else size
    return np.linalg.norm(moves) / np.sqrt(moves.size) / np.sqrt((scale**2).mean())


def _epoch(images, units, shift):
    start = _SIGNAL_RNG.normal(size=(images, units)) + 1
    moves, noise = _SIGNAL_RNG.normal(size=units), _SIGNAL_RNG.normal(size=(images, units))
    return start, start + shift * moves + noise


_SHIFT = Exercise(
    reference=_input_shift,
    cases=[_epoch(5, 3, 2.0), _epoch(4, 6, 0.3), (np.ones((2, 2)), np.array([[0.0, 3], [2, 1]]))],
    hidden_cases=[_epoch(8, 5, 1.0), _epoch(3, 7, 4.0)],
    mistakes=[
        (
            lambda b, a: np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2)),
            "This is how far every single number moved: take the means over the images first.",
        ),
        (
            lambda b, a: _input_shift(b, a, axis=1),
            "These are the means of the images: a shift is about the means of the units.",
        ),
        (
            lambda b, a: _input_shift(b, a, size=np.ones(1)),
            "Divide by the size of the inputs: a large layer would seem to shift more.",
        ),
        (
            lambda b, a: _input_shift(b, a, size=b.mean(0)),
            "The size is that of all numbers in `before`, not that of their means.",
        ),
        (
            lambda b, a: _input_shift(b, a) ** 2,
            "This is the square: take the root.",
        ),
        (
            lambda b, a: abs(np.mean(a) - np.mean(b)) / np.sqrt(np.mean(b**2)),
            "Moves up and down would cancel: square the move of every unit before you average.",
        ),
    ],
)


# 06.11 the gap between training and inference


def _normalized(values, like, epsilon, ddof=0):
    """Normalize over the images, the last axis but one; `like` gives the statistics."""
    mean, variance = like.mean(-2, keepdims=True), like.var(-2, keepdims=True, ddof=ddof)
    return (values - mean) * (variance + epsilon) ** -0.5


def _batches(x, size):
    return x.reshape(-1, size, x.shape[1])


def _training_gap(x, size, epsilon, measure=lambda d: np.linalg.norm(d) / d.size**0.5, ddof=0):
    cut = _batches(x, size)
    in_training = _normalized(cut, cut, epsilon, ddof)
    return measure(in_training - _normalized(cut, x, epsilon))


def _gap_to_mean_statistics(x, size, epsilon):
    """At inference the mean of the batches' variances, as an average of batches has it."""
    cut = _batches(x, size)
    scale = np.sqrt(cut.var(axis=1).mean(axis=0) + epsilon)
    return np.sqrt(np.mean((_normalized(cut, cut, epsilon) - (cut - x.mean(0)) / scale) ** 2))


def _sample(images, units, seed):
    return _array(images, units, seed=seed)


_GAP = Exercise(
    reference=_training_gap,
    cases=[
        (_sample(6, 3, 40), 2, 0.01),
        (_sample(8, 2, 41), 4, 0.1),
        (_sample(12, 4, 42), 3, 0.5),
        (_sample(5, 3, 43), 5, 0.1),
    ],
    hidden_cases=[(_sample(20, 3, 44), 4, 0.2), (_sample(9, 5, 45), 3, 0.01)],
    mistakes=[
        (
            _gap_to_mean_statistics,
            "At inference take the variance of all images: the mean of the batches' variances is "
            "smaller, for each batch lies closer to its own mean.",
        ),
        (
            lambda x, size, e: _training_gap(_spread_order(x, size), size, e),
            "A batch is `size` images in a row, not every so-many-th one.",
        ),
        (
            lambda x, size, e: _training_gap(x, len(x) // size, e),
            "`size` is how many images a batch has, not how many batches there are.",
        ),
        (
            lambda x, size, e: _training_gap(x, size, e, measure=lambda d: np.mean(d**2)),
            "This is the mean square: take the root.",
        ),
        (
            lambda x, size, e: _training_gap(x, size, e, measure=lambda d: np.abs(d).mean()),
            "This is the mean distance: square, take the mean, then the root.",
        ),
        (
            lambda x, size, e: _training_gap(x, size, e, measure=np.mean),
            "Differences up and down cancel: square them first.",
        ),
        (
            lambda x, size, e: _training_gap(x, size, e, ddof=1) if size > 1 else 0.0,
            "Divide by n, not by n - 1: the variance describes this batch.",
        ),
    ],
)


def _spread_order(x, size):
    """Return the images in the order in which slices with a step would take them."""
    return x.reshape(size, -1, x.shape[1]).swapaxes(0, 1).reshape(x.shape)


EXERCISES = {
    "06.1": _STATISTICS,
    "06.2": _FORWARD,
    "06.3": _MOVING,
    "06.4": _MEMORY,
    "06.5": _COUNTS,
    "06.6": _FOLD,
    "06.7": _GROUP,
    "06.8": _BACKWARD,
    "06.9": _SIGNAL,
    "06.10": _SHIFT,
    "06.11": _GAP,
}
