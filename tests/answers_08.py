"""Answers to the exercises of chapter 08: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import math
from functools import partial

import numpy as np


def vgg_stage(side, channels, width, count):
    reads = np.array([channels] + [width] * (count - 1))
    return np.array([(9 * reads * width + width).sum(), (9 * reads * width).sum() * side**2])


def inception_cost(side, channels, w):
    kernels = np.array([1, 1, 9, 1, 25, 1])
    reads = np.array([channels, channels, w[1], channels, w[3], channels])
    return [w[0] + w[2] + w[4] + w[5], int((kernels * reads * w).sum()) * side * side]


def inverted_weights(c, k, t):
    wide = t * c
    kernels = (c * wide if t > 1 else 0) + 9 * wide + wide * k
    norms = (2 if t > 1 else 1) * wide + k
    return np.array([kernels + 2 * norms, 2 * norms])


def dense_block(c, n, k):
    return [c + n * k, 9 * k * (n * c + k * n * (n - 1) // 2)]


def sigmoid(z):
    return 0.5 * (1 + np.tanh(z / 2))


def squeeze_excite(x, narrow, wide):
    gates = sigmoid(np.clip(x.mean((1, 2), keepdims=True) @ narrow, 0, None) @ wide)
    return gates * x


def pareto_front(costs, accuracies):
    """Sort by cost, then by falling accuracy; keep what is better than all cheaper ones."""
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -accuracies[i]))
    kept, best, cost = [], -np.inf, None
    for i in order:
        if accuracies[i] > best or (accuracies[i] == best and costs[i] == cost):
            kept, best, cost = [*kept, i], accuracies[i], costs[i]
    return np.array(sorted(kept))


def share_lost(points, matrix):
    active = (points @ matrix > 0)[:, np.newaxis]
    ranks = np.linalg.matrix_rank(matrix * active)
    return float((ranks < len(matrix)).mean())


def design(side, channels, last, field, max_parameters, max_macs):
    """Large kernels in cheap depthwise layers, few of them."""
    halvings = int(np.ceil(np.log2(side / last)))
    layers = [(3, 16, 2, 0)]
    for step in range(1, halvings):
        layers.append((7, min(16 * 2**step, channels), 2, 1))
    seen = 3 + sum(6 * 2**step for step in range(1, halvings))
    kernel = 1 + 2 * max(0, -(-(field - seen) // 2 ** (halvings + 1)))
    return np.array([*layers, (max(kernel, 1), channels, 1, 1)])


def clear_wins(runs, better=lambda a, b: (a[:, None] > b).all(), both=2):
    n, seeds = runs.shape
    count = sum(bool(better(runs[i], runs[j])) for i in range(n) for j in range(n) if i != j)
    chance = both / math.comb(2 * seeds, seeds)
    return [count, chance * n * (n - 1) / 2]


RIGHT = {
    "08.1": vgg_stage,
    "08.2": inception_cost,
    "08.3": inverted_weights,
    "08.4": dense_block,
    "08.5": squeeze_excite,
    "08.6": pareto_front,
    "08.7": share_lost,
    "08.8": design,
    "08.9": clear_wins,
}


def zeros(*_):
    return np.zeros(2)


def se_over_batch(x, a, b):
    return x * sigmoid(np.maximum(x.mean((0, 1, 2)) @ a, 0) @ b)


def se_linear(x, a, b):
    return x * sigmoid(x.mean((1, 2), keepdims=True) @ a @ b)


def se_without_sigmoid(x, a, b):
    return x * (np.maximum(x.mean((1, 2), keepdims=True) @ a, 0) @ b)


def se_per_pixel(x, a, b):
    return x * sigmoid(np.maximum(x @ a, 0) @ b)


def se_gates(x, a, b):
    return squeeze_excite(x, a, b) / x


def strictly(c, a):
    pairs = list(zip(c, a, strict=True))
    return [i for i, p in enumerate(pairs) if not any(q[0] < p[0] and q[1] > p[1] for q in pairs)]


def looks_at_few_pixels(side, channels, last, field, *_):
    step = side // last
    return [(1, 4, step, 0), (field // step + 3, 4, 1, 1), (1, channels, 1, 0)]


def passes_one_filter(*budget):
    *layers, end = design(*budget).tolist()
    return [*layers, (3, 1, 1, 1), end]


def too_narrow(side, channels, last, field, *_, separable=0):
    halvings = int(np.log2(side // last))
    kernel = 3 + 2 * (field // (2 * side // last))
    later = [*[(3, 2, 2, 1)] * (halvings - 1), (kernel, 2, 1, 1), (1, channels, 1, 0)]
    return [(3, 2, 2, separable), *later]


WRONG = [
    ("08.1", lambda s, c, k, n: (n * (9 * c * k + k), 9 * n * c * k * s * s), "others read"),
    ("08.1", lambda s, c, k, n: vgg_stage(s, c, k, n) - [n * k, 0], "biases are missing"),
    ("08.1", lambda s, c, k, n: vgg_stage(s, c, k, n) * [1, 2], "FLOPs"),
    ("08.1", lambda s, c, k, n: vgg_stage(s, c, k, n)[0] * np.array([1, s * s]), "no multiplica"),
    ("08.1", zeros, "Expected"),
    ("08.2", lambda s, c, w: (sum(w), inception_cost(s, c, w)[1]), "only the last"),
    (
        "08.2",
        lambda s, c, w: (
            inception_cost(s, c, w)[0],
            s * s * c * (w[0] + 9 * w[2] + 25 * w[4] + w[5]),
        ),
        "read the reduced maps",
    ),
    (
        "08.2",
        lambda s, c, w: inception_cost(s, c, w) - np.array([0, s * s * c * w[5]]),
        "after the pooling",
    ),
    (
        "08.2",
        lambda s, c, w: np.array(inception_cost(s, c, w)) // [1, s * s],
        "every place",
    ),
    ("08.2", zeros, "Expected"),
    ("08.3", lambda c, k, t: (sum(inverted_weights(c, k, t)), 0), "not trained"),
    ("08.3", lambda c, k, t: inverted_weights(c, k, t) - [2 * k, 2 * k], "has a normalization"),
    (
        "08.3",
        lambda c, k, t: inverted_weights(c, k, t) - [inverted_weights(c, k, t)[1], 0],
        "scale and a shift",
    ),
    (
        "08.3",
        lambda c, k, t: np.add(inverted_weights(c, k, t), [9 * t * c * (t * c - 1), 0]),
        "depthwise",
    ),
    (
        "08.3",
        lambda c, k, t: inverted_weights(c, k, t) + (t == 1) * np.array([c * c + 2 * c, 2 * c]),
        "no first convolution",
    ),
    ("08.3", zeros, "Expected"),
    ("08.4", lambda c, n, k: (c + n * k, 9 * n * k * c), "reads more maps"),
    ("08.4", lambda c, n, k: (k, dense_block(c, n, k)[1]), "nothing is dropped"),
    ("08.4", lambda c, n, k: dense_block(c, n, k) + np.array([0, 9 * k * k * n]), "not after"),
    ("08.4", lambda c, n, k: (c + n * k, dense_block(c, n, k)[1] // 9), "3 × 3"),
    ("08.4", zeros, "Expected"),
    ("08.5", se_over_batch, "not over the batch"),
    ("08.5", se_linear, "ReLU"),
    ("08.5", se_without_sigmoid, "sigmoid is missing"),
    ("08.5", se_per_pixel, "Squeeze first"),
    ("08.5", se_gates, "Multiply the map"),
    ("08.5", lambda x, a, b: np.zeros(x.shape), "Expected"),
    ("08.6", lambda c, a: [int(np.argmax(a))], "beats at"),
    ("08.6", strictly, "as good in one"),
    ("08.6", lambda c, a: pareto_front([-x for x in c], a), "Lower cost is better"),
    ("08.6", lambda c, a: np.zeros(len(pareto_front(c, a))), "Expected"),
    ("08.7", lambda p, m: 1 - share_lost(p, m), "recovered"),
    ("08.7", lambda p, m: np.mean((p @ m > 0).sum(1) < len(m)), "rank"),
    ("08.7", lambda p, m: np.mean((p @ m > 0).sum(1) < m.shape[1]), "Not every channel"),
    ("08.7", lambda p, m: np.mean((p @ m <= 0).all(1)), "one equation"),
    ("08.7", lambda p, m: 0.0, "Not right yet"),
    ("08.8", lambda *_: [], "at least three"),
    ("08.8", lambda *_: np.zeros((2, 4)), "at least 1"),
    ("08.8", lambda s, c, *_: [(3, c, 1, 0)], "pixels wide"),
    ("08.8", lambda s, c, last, *_: [(3, c - 1, s // last, 0)], "channels"),
    ("08.8", lambda s, c, last, *_: [(3, c, s // last, 0)], "must see"),
    ("08.8", lambda s, c, last, *_: [(1, 3, s // last, 0), (99, c, 1, 0)], "parameters"),
    ("08.8", lambda s, c, last, *_: [(99, 3, 1, 1), (1, c, s // last, 0)], "more than the budget"),
    ("08.8", lambda s, c, last, *_: [(9, c, s // last, 0)], "at least three layers"),
    ("08.8", too_narrow, "must pass through 2 filters"),
    ("08.8", partial(too_narrow, separable=1), "single spatial kernel"),
    ("08.8", looks_at_few_pixels, "no window sees"),
    ("08.8", passes_one_filter, "must pass through 1 filters"),
    ("08.9", lambda r: clear_wins(r, lambda a, b: a.mean() > b.mean()), "better mean"),
    ("08.9", lambda r: clear_wins(r, both=1), "Either of the two"),
    ("08.9", lambda r: np.array(clear_wins(r)) * [1, 2], "Each pair counts once"),
    ("08.9", lambda r: [0, 0], "Expected"),
]
NAMES = {
    "08.1": "vgg_stage", "08.2": "inception_cost", "08.3": "inverted_weights",
    "08.4": "dense_block", "08.5": "squeeze_excite", "08.6": "pareto_front",
    "08.7": "share_lost", "08.8": "design",
    "08.9": "clear_wins",
}  # fmt: skip
