"""Answers to the exercises of chapter 06: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def rows(x):
    return np.reshape(x, (-1, np.shape(x)[-1]))


def statistics(x):
    r = rows(x)
    mean = r.sum(axis=0) / len(r)
    return [mean, (r * r).sum(axis=0) / len(r) - mean**2]


def forward(x, gamma, beta, epsilon):
    mean, variance = statistics(x)
    scale = gamma * (variance + epsilon) ** -0.5
    return x * scale + (beta - scale * mean)


def moving(values, start, momentum):
    for value in values:
        start += (1 - momentum) * (value - start)
    return start


def steps(momentum, share):
    t = int(np.ceil(np.log(share) / np.log(momentum) - 1e-9))
    return float(max(t, 0))


def counts(sizes):
    n = np.array(sizes)
    stored = 2 * n[:-1].sum()
    return np.array([n[:-1] @ n[1:] + n[-1] + stored, stored])


def fold(kernel, bias, gamma, beta, mean, variance, epsilon):
    scale = np.diag(gamma / np.sqrt(variance + epsilon))
    return kernel @ scale, (bias - mean) @ scale + beta


def group(x, groups, epsilon):
    y = []
    for part in np.split(x, groups, axis=-1):
        mean = part.mean(axis=(1, 2, 3), keepdims=True)
        y.append((part - mean) / np.sqrt(part.var(axis=(1, 2, 3), keepdims=True) + epsilon))
    return np.concatenate(y, axis=-1)


def backward(dy, x, gamma, epsilon):
    d, r = rows(dy), rows(x)
    n = len(r)
    centred = r - r.mean(axis=0)
    s = np.sqrt((centred**2).mean(axis=0) + epsilon)
    dvariance = (gamma * d * centred).sum(axis=0) * -0.5 / s**3
    dmean = -(gamma * d).sum(axis=0) / s
    dx = gamma * d / s + dvariance * 2 * centred / n + dmean / n
    return [dx.reshape(x.shape), (d * centred / s).sum(axis=0), d.sum(axis=0)]


def signal_sizes(x, kernels, normalize, axis=0, order="nr", measure=np.std):
    sizes = []
    for w in kernels:
        x = x.dot(w)
        for step in order:
            if step == "r":
                x = np.where(x > 0, x, 0)
            elif normalize:
                x = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-3)
        sizes.append(measure(x))
    return tuple(sizes)


def training_gap(x, size, epsilon, mean_variance=False, step=False, power=2):
    batches = len(x) // size
    groups = np.arange(len(x)) % batches if step else np.arange(len(x)) // size
    spread = [x[groups == g].var(axis=0) for g in range(batches)]
    known = np.mean(spread, axis=0) if mean_variance else x.var(axis=0)
    total = 0.0
    for row, g in zip(x, groups, strict=True):
        seen = (row - x[groups == g].mean(axis=0)) / np.sqrt(spread[g] + epsilon)
        total += (abs(seen - (row - x.mean(axis=0)) / np.sqrt(known + epsilon)) ** power).sum()
    return (total / x.size) ** (1 / power)


RIGHT = {
    "06.1": statistics,
    "06.2": forward,
    "06.3": moving,
    "06.4": steps,
    "06.5": counts,
    "06.6": fold,
    "06.7": group,
    "06.8": backward,
    "06.9": signal_sizes,
    "06.10": lambda b, a: (((a.mean(0) - b.mean(0)) ** 2).mean() / (b * b).mean()) ** 0.5,
    "06.11": training_gap,
}


def spread(x, epsilon):
    return np.sqrt(x.var(axis=(0, 1, 2)) + epsilon)


def centred(x):
    return x - x.mean(axis=(0, 1, 2))


def with_dx(dx):
    def answer(dy, x, gamma, epsilon):
        return dx(dy * gamma, x, epsilon), *backward(dy, x, gamma, epsilon)[1:]

    return answer


def cut(x, groups, epsilon, axes):
    parts = x.reshape(*x.shape[:3], groups, -1)
    parts = parts - parts.mean(axis=axes, keepdims=True)
    return (parts / np.sqrt(parts.var(axis=axes, keepdims=True) + epsilon)).reshape(x.shape)


def with_bias(new_bias):
    def answer(k, b, g, t, m, v, e):
        a = g / np.sqrt(v + e)
        return k * a, new_bias(a, b, t, m)

    return answer


WRONG = [
    ("06.1", lambda x: (x.mean(axis=0), x.var(axis=0)), "batch only"),
    ("06.1", lambda x: (x.mean(axis=(1, 2)), x.var(axis=(1, 2))), "of each image"),
    ("06.1", lambda x: (np.mean(x), np.var(x)), "its own mean"),
    ("06.1", lambda x: (x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))), "standard deviation"),
    ("06.1", lambda x: (rows(x).mean(axis=0), rows(x).var(axis=0, ddof=1)), "not by n - 1"),
    ("06.1", lambda x: np.zeros((2, x.shape[-1])), "Expected"),
    ("06.2", lambda x, g, b, e: g * centred(x) / (spread(x, 0) + e) + b, "under the root"),
    ("06.2", lambda x, g, b, e: g * centred(x) / spread(x, 0) + b, "Epsilon is missing"),
    ("06.2", lambda x, g, b, e: g * centred(x) / spread(x, e) ** 2 + b, "by the root"),
    ("06.2", lambda x, g, b, e: g * (centred(x) / spread(x, e) + b), "add beta afterwards"),
    ("06.2", lambda x, g, b, e: centred(x) / spread(x, e), "This is x_hat"),
    ("06.2", lambda x, g, b, e: np.zeros(x.shape), "Expected"),
    ("06.3", lambda v, s, m: moving(v, s, 1 - m), "PyTorch"),
    ("06.3", lambda v, s, m: moving(v[::-1], s, m), "in their order"),
    ("06.3", lambda v, s, m: moving(v, 0.0, m), "begins at `start`"),
    ("06.3", lambda v, s, m: moving(v[1:], v[0], m), "not at the first"),
    ("06.3", lambda v, s, m: np.mean(v), "plain mean"),
    ("06.3", lambda v, s, m: 0.0, "Not right yet"),
    ("06.4", lambda m, s: np.ceil((1 - s) / (1 - m) - 1e-9), "multiplied by"),
    ("06.4", lambda m, s: steps(m, s) - 1, "too few"),
    ("06.4", lambda m, s: steps(m, s) + 1, "too many"),
    ("06.4", lambda m, s: steps(1 - m, s), "is what is kept"),
    ("06.4", lambda m, s: -1, "Not right yet"),
    ("06.5", lambda n: np.add(counts(n), [sum(n[1:-1]), 0]), "needs no bias"),
    ("06.5", lambda n: counts(n) - [n[-1], 0], "keeps its bias"),
    ("06.5", lambda n: (sum(counts(n)), 0), "count them apart"),
    ("06.5", lambda n: counts(n) - 2 * n[0], "The input is normalized"),
    ("06.5", lambda n: counts(n) + 2 * n[-1], "scores are not"),
    ("06.5", lambda n: counts(n)[::-1], "other way round"),
    ("06.5", lambda n: (0, 0), "Expected"),
    ("06.6", with_bias(lambda a, b, t, m: b + t - a * m), "normalized as well"),
    ("06.6", with_bias(lambda a, b, t, m: t - a * m), "bias is lost"),
    ("06.6", with_bias(lambda a, b, t, m: a * (b + m) + t), "subtracted, not added"),
    ("06.6", with_bias(lambda a, b, t, m: a * b + t - m), "mean is scaled"),
    ("06.6", lambda k, b, g, t, m, v, e: fold(k, b, g, t, m, v, 0), "Epsilon is missing"),
    (
        "06.6",
        lambda k, b, g, t, m, v, e: (
            k * (g / np.sqrt(v + e)).reshape(-1, 1),
            fold(k, b, g, t, m, v, e)[1],
        ),
        "last axis of the kernel",
    ),
    ("06.6", lambda k, b, *rest: (np.zeros(k.shape), np.zeros(b.shape)), "Expected"),
    ("06.7", lambda x, n, e: cut(x, n, e, (0, 1, 2, 4)), "batch as well"),
    ("06.7", lambda x, n, e: cut(x, n, e, (4,)), "every pixel by itself"),
    ("06.7", lambda x, n, e: cut(x, n, e, (1, 2)), "instance normalization"),
    ("06.7", lambda x, n, e: group(x, 1, e), "layer normalization"),
    ("06.7", lambda x, n, e: group(x, x.shape[-1] // n, e), "how many groups there are"),
    ("06.7", lambda x, n, e: np.zeros(x.shape), "Expected"),
    ("06.8", with_dx(lambda g, x, e: g / spread(x, e)), "frozen layer"),
    ("06.8", with_dx(lambda g, x, e: centred(g) / spread(x, e)), "through the variance"),
    (
        "06.8",
        with_dx(
            lambda g, x, e: (
                (g - centred(x) * (g * centred(x)).mean(axis=(0, 1, 2)) / spread(x, e) ** 2)
                / spread(x, e)
            )
        ),
        "through the mean",
    ),
    (
        "06.8",
        lambda dy, x, g, e: (backward(dy, x, 1, e)[0], *backward(dy, x, g, e)[1:]),
        "Gamma is missing",
    ),
    (
        "06.8",
        lambda dy, x, g, e: [
            part / (1 if part.ndim > 1 else x[..., 0].size) for part in backward(dy, x, g, e)
        ],
        "gradients are sums",
    ),
    (
        "06.8",
        lambda dy, x, g, e: (
            backward(dy, x, g, e)[0],
            (dy * x).sum(axis=(0, 1, 2)),
            dy.sum(axis=(0, 1, 2)),
        ),
        "not x",
    ),
    ("06.8", lambda dy, x, g, e: (0 * x, 0 * g, 0 * g), "Expected"),
    ("06.9", lambda x, k, n: signal_sizes(x, k, n, axis=1), "over its units"),
    ("06.9", lambda x, k, n: signal_sizes(x, k, n, order="n"), "ReLU is missing"),
    ("06.9", lambda x, k, n: signal_sizes(x, k, n, order="rn"), "before the ReLU"),
    ("06.9", lambda x, k, n: signal_sizes(x, k, False), "is not used"),
    ("06.9", lambda x, k, n: signal_sizes(x, k, n, measure=np.var), "variance"),
    ("06.9", lambda x, k, n: np.zeros(len(k)), "Expected"),
    ("06.10", lambda b, a: (((a - b) ** 2).mean() / (b * b).mean()) ** 0.5, "single number"),
    (
        "06.10",
        lambda b, a: (((a - b).mean(1) ** 2).mean() / (b * b).mean()) ** 0.5,
        "means of the images",
    ),
    ("06.10", lambda b, a: (((a - b).mean(0) ** 2).mean()) ** 0.5, "Divide by the size"),
    ("06.10", lambda b, a: ((a - b).mean(0) ** 2).mean() / (b * b).mean(), "take the root"),
    ("06.10", lambda b, a: 9.0, "Not right yet"),
    ("06.11", lambda x, n, e: training_gap(x, n, e, mean_variance=True), "variance of all images"),
    ("06.11", lambda x, n, e: training_gap(x, n, e, step=True), "in a row"),
    ("06.11", lambda x, n, e: training_gap(x, len(x) // n, e), "how many batches"),
    ("06.11", lambda x, n, e: training_gap(x, n, e) ** 2, "take the root"),
    ("06.11", lambda x, n, e: training_gap(x, n, e, power=1), "mean distance"),
    ("06.11", lambda x, n, e: 7.0, "Not right yet"),
]
NAMES = {
    "06.1": "statistics", "06.2": "batch_norm", "06.3": "moving_average", "06.4": "steps_needed",
    "06.5": "count", "06.6": "fold", "06.7": "group_norm", "06.8": "batch_norm_backward",
    "06.9": "signal_sizes",
    "06.10": "input_shift",
    "06.11": "training_gap",
}  # fmt: skip
