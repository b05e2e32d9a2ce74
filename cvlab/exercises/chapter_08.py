"""Exercises of chapter 08-architectures.

Conventions
-----------
Images are square; padding is "same", so a stride S leaves ceil(side / S) pixels a side.
Multiply-adds (MACs) are for one image; kernels have no bias unless the exercise says so.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import comb

import numpy as np

from cvlab.check import Exercise
from cvlab.cost import conv2d_cost, depthwise_conv2d_cost, separable_conv2d_cost

_RNG = np.random.default_rng(8)
_EXACT = 1e-12  # counts: the small one of two must be right as well


# 08.1 a stage of VGG


def _vgg_stage(side, channels, width, count):
    shape, parameters, macs = (side, side, channels), 0, 0
    for _ in range(count):
        layer = conv2d_cost(shape, 3, width, padding="same")
        shape, parameters, macs = layer.output_shape, parameters + layer.parameters, macs + layer[2]
    return (parameters, macs)


_VGG = Exercise(
    reference=_vgg_stage,
    tolerance=_EXACT,
    cases=[(56, 128, 256, 3), (8, 3, 16, 1), (14, 512, 512, 3)],
    hidden_cases=[(224, 3, 64, 2), (5, 7, 11, 4)],
    mistakes=[
        (
            lambda s, c, k, n: (n * (9 * c * k + k), n * 9 * c * k * s * s),
            "Only the first layer reads `channels` maps: the others read `width`.",
        ),
        (
            lambda s, c, k, n: (_vgg_stage(s, c, k, n)[0] - n * k, _vgg_stage(s, c, k, n)[1]),
            "The biases are missing: one parameter for each filter of each layer.",
        ),
        (
            lambda s, c, k, n: (_vgg_stage(s, c, k, n)[0], _vgg_stage(s, c, k, n)[0] * s * s),
            "Adding the bias is no multiplication: leave it out of the multiply-adds.",
        ),
        (
            lambda s, c, k, n: (_vgg_stage(s, c, k, n)[0], _vgg_stage(s, c, k, n)[1] // s),
            "The map has side × side places, not side.",
        ),
        (
            lambda s, c, k, n: (_vgg_stage(s, c, k, n)[0], 2 * _vgg_stage(s, c, k, n)[1]),
            "These are FLOPs: a multiply-add is counted once here.",
        ),
    ],
)


# 08.2 an inception module


def _inception(side, channels, widths, reduced=True):
    ones, reduce3, threes, reduce5, fives, pool = widths
    shape = (side, side, channels)
    branches = [[(1, ones)], [(1, reduce3), (3, threes)], [(1, reduce5), (5, fives)], [(1, pool)]]
    if not reduced:
        branches[1:3] = [[(3, threes)], [(5, fives)]]
    macs = 0
    for branch in branches:
        now = shape
        for kernel, filters in branch:
            layer = conv2d_cost(now, kernel, filters, padding="same")
            now, macs = layer.output_shape, macs + layer.macs
    return (ones + threes + fives + pool, macs)


_INCEPTION = Exercise(
    reference=_inception,
    tolerance=_EXACT,
    cases=[(28, 192, (64, 96, 128, 16, 32, 32)), (14, 480, (192, 96, 208, 16, 48, 64))],
    hidden_cases=[(7, 832, (384, 192, 384, 48, 128, 128)), (3, 5, (1, 2, 3, 4, 5, 6))],
    mistakes=[
        (
            lambda s, c, w: (sum(w), _inception(s, c, w)[1]),
            "The reduced maps inside the branches are not part of the output: only the last "
            "layer of each branch is concatenated.",
        ),
        (
            lambda s, c, w: (_inception(s, c, w)[0], _inception(s, c, w, reduced=False)[1]),
            "The 3 × 3 and the 5 × 5 kernel read the reduced maps, and the reductions cost too.",
        ),
        (
            lambda s, c, w: (
                _inception(s, c, w)[0],
                _inception(s, c, w)[1] - s * s * c * (w[1] + w[3]),
            ),
            "The 1 × 1 reductions are missing from the multiply-adds.",
        ),
        (
            lambda s, c, w: (_inception(s, c, w)[0], _inception(s, c, w)[1] - s * s * c * w[5]),
            "The 1 × 1 convolution after the pooling is missing.",
        ),
        (
            lambda s, c, w: (_inception(s, c, w)[0], _inception(s, c, w)[1] // (s * s)),
            "These are weights: each is used at every place of the map.",
        ),
    ],
)


# 08.3 an inverted residual


def _inverted(channels, filters, expansion):
    shape, trained, stored = (4, 4, channels), 0, 0
    steps = [
        lambda s: conv2d_cost(s, 1, expansion * channels, bias=False),
        lambda s: depthwise_conv2d_cost(s, 3, padding="same", bias=False),
        lambda s: conv2d_cost(s, 1, filters, bias=False),
    ]
    for step in steps[expansion == 1 :]:
        layer = step(shape)
        shape = layer.output_shape
        trained, stored = trained + layer.parameters + 2 * shape[2], stored + 2 * shape[2]
    return (trained, stored)


_INVERTED = Exercise(
    reference=_inverted,
    tolerance=_EXACT,
    cases=[(24, 24, 6), (32, 16, 1), (64, 96, 6)],
    hidden_cases=[(160, 320, 6), (5, 7, 4), (16, 16, 1)],
    mistakes=[
        (
            lambda c, k, t: (sum(_inverted(c, k, t)), 0),
            "Moving mean and variance are stored, but not trained: 2 of a normalization's 4 "
            "values for each channel.",
        ),
        (
            lambda c, k, t: (_inverted(c, k, t)[0] - _inverted(c, k, t)[1], _inverted(c, k, t)[1]),
            "Each normalization also trains a scale and a shift for each channel.",
        ),
        (
            lambda c, k, t: (
                _inverted(c, k, t)[0] + (t * c) * (t * c - 1) * 9,
                _inverted(c, k, t)[1],
            ),
            "The middle convolution is depthwise: nine weights for each channel, no mixing.",
        ),
        (
            lambda c, k, t: (_inverted(c, k, t)[0] + c * c + 2 * c, _inverted(c, k, t)[1] + 2 * c),
            "With an expansion of 1 there is no first convolution and no normalization after it.",
        ),
        (
            lambda c, k, t: (_inverted(c, k, t)[0] - 2 * k, _inverted(c, k, t)[1] - 2 * k),
            "The last 1 × 1 has no activation, but it has a normalization.",
        ),
    ],
)


# 08.4 a dense block


def _dense_block(channels, count, growth):
    reads = channels + growth * np.arange(count)
    return (channels + count * growth, int(9 * growth * reads.sum()))


_DENSE = Exercise(
    reference=_dense_block,
    tolerance=_EXACT,
    cases=[(16, 12, 12), (16, 1, 12), (24, 3, 8)],
    hidden_cases=[(160, 12, 12), (2, 7, 5), (64, 2, 32)],
    mistakes=[
        (
            lambda c, n, k: (c + n * k, 9 * n * k * c),
            "A later layer reads more maps: those of the input and of all layers before it.",
        ),
        (
            lambda c, n, k: (c + n * k, 9 * k * (c + (n - 1) * k)),
            "This is the last layer alone: add up all of them.",
        ),
        (
            lambda c, n, k: (k, _dense_block(c, n, k)[1]),
            "What a layer makes is concatenated with what it read: nothing is dropped.",
        ),
        (
            lambda c, n, k: (c + n * k, 9 * k * sum(c + k * i for i in range(1, n + 1))),
            "The first layer reads only the input: count what is there before a layer, not after.",
        ),
        (
            lambda c, n, k: (c + n * k, _dense_block(c, n, k)[1] // 9),
            "The kernels are 3 × 3.",
        ),
    ],
)


# 08.5 squeeze and excitation


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _gated(x, narrow, wide, *, squeeze=(1, 2), relu=True, gate=_sigmoid):
    hidden = x.mean(axis=squeeze, keepdims=True) @ narrow
    return x * gate((np.maximum(hidden, 0) if relu else hidden) @ wide)


def _se_case(batch, side, channels, hidden):
    return (
        _RNG.normal(size=(batch, side, side + 1, channels)),
        _RNG.normal(size=(channels, hidden)) * 2,
        _RNG.normal(size=(hidden, channels)) * 2,
    )


_GATES = Exercise(
    reference=lambda x, narrow, wide: np.einsum(
        "nijc,nc->nijc",
        x,
        _sigmoid(np.maximum(np.einsum("nijc,ch->nh", x, narrow) / x[0, :, :, 0].size, 0) @ wide),
    ),
    cases=[_se_case(2, 4, 6, 3), _se_case(3, 2, 4, 1), _se_case(1, 5, 8, 4)],
    hidden_cases=[_se_case(4, 3, 5, 2), _se_case(2, 1, 4, 4)],
    mistakes=[
        (
            lambda x, a, b: _gated(x, a, b, squeeze=(0, 1, 2)),
            "The mean runs over height and width, not over the batch: each image has its gates.",
        ),
        (
            lambda x, a, b: _gated(x, a, b, squeeze=()),
            "Squeeze first: one mean for each image and channel, not a gate for each pixel.",
        ),
        (
            lambda x, a, b: _gated(x, a, b, relu=False),
            "The ReLU after the narrow layer is missing.",
        ),
        (
            lambda x, a, b: _gated(x, a, b, gate=lambda z: z),
            "The sigmoid is missing: gates lie between 0 and 1.",
        ),
        (
            lambda x, a, b: _gated(
                x, a, b, gate=lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=1)
            ),
            "This is a softmax: gates are independent of each other and need not sum to 1.",
        ),
        (
            lambda x, a, b: x + _gated(x, a, b),
            "The gates replace the map by its weighted version; nothing is added here.",
        ),
        (
            lambda x, a, b: _gated(x, a, b) / x,
            "Multiply the map by its gates.",
        ),
    ],
)


# 08.6 the Pareto front


def _front(costs, accuracies):
    costs, accuracies = np.asarray(costs, float), np.asarray(accuracies, float)
    no_worse = (costs <= costs[:, None]) & (accuracies >= accuracies[:, None])
    better = (costs < costs[:, None]) | (accuracies > accuracies[:, None])
    return np.flatnonzero(~(no_worse & better).any(axis=1))


_PARETO = Exercise(
    reference=_front,
    cases=[
        ([0.3, 0.39, 3.9, 15.5, 4.5], [71.3, 77.1, 74.9, 71.3, 81.3]),
        ([1, 2, 3], [50, 60, 70]),
        ([3, 2, 1], [50, 60, 70]),
        ([1, 1, 2], [60, 70, 70]),
    ],
    hidden_cases=[
        ([2, 2, 1], [80, 80, 60]),
        ([5], [10]),
        ([1, 2, 2], [60, 60, 70]),
        (_RNG.integers(1, 30, 20).tolist(), _RNG.integers(50, 80, 20).tolist()),
    ],
    mistakes=[
        (
            lambda c, a: np.flatnonzero(np.asarray(a) == max(a)),
            "The most accurate is on the front, but so is every network that nothing beats at "
            "its cost.",
        ),
        (
            lambda c, a: [
                i
                for i in range(len(c))
                if not any(c[j] < c[i] and a[j] > a[i] for j in range(len(c)))
            ],
            "A network is beaten too if another is as good in one respect and better in the other.",
        ),
        (
            lambda c, a: [
                i
                for i in range(len(c))
                if not any(j != i and c[j] <= c[i] and a[j] >= a[i] for j in range(len(c)))
            ],
            "Two networks that are equal in both respects do not beat each other: keep both.",
        ),
        (
            lambda c, a: [
                i
                for i in range(len(c))
                if not any(
                    c[j] >= c[i] and a[j] >= a[i] and (c[j], a[j]) != (c[i], a[i])
                    for j in range(len(c))
                )
            ],
            "Lower cost is better, higher accuracy is better.",
        ),
    ],
)


# 08.7 what a ReLU loses


def _rank_lost(points, matrix):
    lost = 0
    for point in points:
        active = matrix[:, point @ matrix > 0]
        lost += active.size == 0 or np.linalg.matrix_rank(active) < len(matrix)
    return lost / len(points)


_PLANE = _RNG.normal(size=(40, 2))
_TWINS = np.array([[1.0, 2.0, -1.0, 0.5], [1.0, 2.0, -1.0, 0.5]])  # all columns on one line

_LOST = Exercise(
    reference=_rank_lost,
    cases=[
        (_PLANE, np.eye(2)),
        (_PLANE, _RNG.normal(size=(2, 4))),
        (_PLANE, _TWINS),
        (_RNG.normal(size=(30, 3)), _RNG.normal(size=(3, 5))),
    ],
    hidden_cases=[
        (_PLANE, np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])),
        (_RNG.normal(size=(25, 3)), np.hstack([np.eye(3), -np.eye(3)])),
    ],
    mistakes=[
        (
            lambda p, m: 1 - _rank_lost(p, m),
            "This is the share that can be recovered.",
        ),
        (
            lambda p, m: np.mean(((p @ m) > 0).sum(axis=1) < m.shape[0]),
            "Counting active channels is not enough: channels whose columns are multiples of each "
            "other tell the same. Ask for the rank of the active columns.",
        ),
        (
            lambda p, m: np.mean(((p @ m) > 0).sum(axis=1) < m.shape[1]),
            "Not every channel has to be active: as many independent ones as there are coordinates "
            "are enough.",
        ),
        (
            lambda p, m: np.mean(~((p @ m) > 0).any(axis=1)),
            "One active channel is one equation: a point has more than one coordinate.",
        ),
    ],
)


# 08.8 design a network for a budget


def _judge_design(layers, side, channels, last, field, max_parameters, max_macs):
    rows = tuple(tuple(int(number) for number in layer) for layer in layers)
    if not rows or any(len(row) != 4 for row in rows):
        return "Return a list of at least three (kernel, filters, stride, separable)."
    if any(min(row[:3]) < 1 or row[3] not in (0, 1) for row in rows):
        return "Kernel, filters and stride must be at least 1, separable 0 or 1."
    shape, size, jump, parameters, macs = (side, side, 1), 1, 1, 0, 0
    for kernel, filters, stride, separable in rows:
        count = separable_conv2d_cost if separable else conv2d_cost
        layer = count(shape, kernel, filters, stride=stride, padding="same", bias=False)
        shape, parameters, macs = (
            layer.output_shape,
            parameters + layer.parameters,
            macs + layer.macs,
        )
        size, jump = size + (kernel - 1) * jump, jump * stride
    if shape[0] != last:
        return f"The last map must be {last} pixels wide, yours is {shape[0]}."
    if shape[2] < channels:
        return f"The last map must have at least {channels} channels, yours has {shape[2]}."
    if size < field:
        return f"A unit must see at least {field} pixels, yours sees {size}."
    if parameters > max_parameters:
        return f"{parameters:,} parameters are more than the budget of {max_parameters:,}."
    if macs > max_macs:
        return f"{macs:,} multiply-adds are more than the budget of {max_macs:,}."
    if len(rows) < 3:
        return f"Use at least three layers, yours are {len(rows)}."
    accuracy = _trained(rows, side)
    if accuracy >= _ACCURACY:
        return None
    return (
        f"Within the budget, but trained on digits of {side} pixels it gets {accuracy:.3f} of the "
        f"validation digits right; {_ACCURACY} are asked for. "
        + _why_poor(rows, side, parameters, max_parameters)
    )


_ACCURACY = 0.85


@cache
def _trained(rows, side):
    from cvlab.networks.design_trial import train_design  # needs TensorFlow, nothing else here does

    return train_design(rows, side)


def _why_poor(rows, side, parameters, max_parameters):
    """Name what is likely to hold a design back."""
    if rows[0][3]:
        return (
            "Its first layer is separable and reads one channel: however many filters it has, it "
            "looks at the image through a single spatial kernel."
        )
    jump = 1
    for number, (kernel, _, stride, _) in enumerate(rows, start=1):
        if (stride - kernel) * jump >= side // 8:  # one pixel of a digit, enlarged
            return (
                f"The stride of layer {number} is larger than its kernel: it leaves places that no "
                "window sees."
            )
        jump *= stride
    filters, number = min((row[1], number) for number, row in enumerate(rows[:-1], start=1))
    reason = (
        f"Its narrowest layer before the last is number {number}: all that comes later must pass "
        f"through {filters} filters."
    )
    if parameters < 0.8 * max_parameters:
        reason += f" It has {parameters:,} of {max_parameters:,} parameters: use the rest."
    return reason


_DESIGN = Exercise(
    reference=lambda *_: [],
    judge=_judge_design,
    cases=[(8, 24, 2, 9, 2_500, 25_000), (16, 32, 4, 15, 4_000, 80_000)],
    hidden_cases=[(24, 32, 3, 25, 6_000, 150_000), (16, 24, 2, 20, 4_000, 60_000)],
)


# 08.9 clear winners, and how many chance gives


def _clear_wins(runs, wins=lambda a, b: min(a) > max(b), pairs=None, orders=2):
    found = [sorted(pair, key=np.mean) for pair in combinations(runs.tolist(), 2)]
    seeds = runs.shape[1]
    chance = orders / comb(2 * seeds, seeds)
    return np.array([sum(wins(b, a) for a, b in found), chance * (pairs or len(found))])


def _runs(blocks, seeds, spread):
    rng = np.random.default_rng(blocks * 10 + seeds)
    centre = np.linspace(0.8, 0.95, blocks)[:, np.newaxis]
    return centre + spread * rng.random((blocks, seeds))


_CLEAR_WINS = Exercise(
    reference=_clear_wins,
    cases=[(_runs(4, 3, 0.08),), (_runs(5, 2, 0.1),), (_runs(3, 4, 0.2),)],
    hidden_cases=[(_runs(8, 3, 0.1),), (_runs(6, 2, 0.15),)],
    mistakes=[
        (
            lambda runs: _clear_wins(runs, lambda a, b: np.mean(a) > np.mean(b)),
            "Every pair has a better mean: a clear winner is better with all of its runs.",
        ),
        (
            lambda runs: _clear_wins(runs, orders=1),
            "Either of the two can win by chance: count both.",
        ),
        (
            lambda runs: _clear_wins(runs, pairs=len(runs) * (len(runs) - 1)),
            "Each pair counts once: blocks × (blocks - 1) / 2 of them.",
        ),
        (
            lambda runs: _clear_wins(runs, pairs=1),
            "That is the chance for one pair: multiply by the number of pairs.",
        ),
    ],
)


EXERCISES = {
    "08.1": _VGG,
    "08.2": _INCEPTION,
    "08.3": _INVERTED,
    "08.4": _DENSE,
    "08.5": _GATES,
    "08.6": _PARETO,
    "08.7": _LOST,
    "08.8": _DESIGN,
    "08.9": _CLEAR_WINS,
}
