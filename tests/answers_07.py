"""Answers to the exercises of chapter 07: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

from math import factorial

import numpy as np


def loudness(factors):
    return np.cumprod([1.0, *factors[:0:-1]])[::-1]


def paths(units, removed):
    n = units - removed
    return [factorial(n) // factorial(k) // factorial(n - k) for k in range(n + 1)]


def needs(shape, filters, stride):
    h, w, c = shape
    size = [int(np.ceil(h / stride)), int(np.ceil(w / stride))]
    return [*size, 0 if stride == 1 and c == filters else c * filters + 2 * filters]


def zero_pad(x, filters, stride):
    return np.pad(x, [(0, 0)] * 3 + [(0, filters - x.shape[3])])[:, ::stride, ::stride]


def unit(x, w1, w2):
    return (x + (x @ w1).clip(0) @ w2).clip(0)


def forward(x, kernels, survival, kept=None):
    weights = survival if kept is None else kept
    for p, w in zip(weights, kernels, strict=True):
        x = x + (p * x) @ w
    return x


def count(n, width, channels):
    w = width
    convolutions = 9 * w * w * (2 * n + 2 + 4 * (2 * n - 1) + 8 + 16 * (2 * n - 1))
    return 9 * channels * w + convolutions + 2 * w * (1 + 14 * n) + 40 * w + 10


def backward(x, w1, w2, dy):
    mask = np.heaviside(x @ w1, 0)
    inner = (w2 @ dy.T).T * mask
    return [dy + (w1 @ inner.T).T, (inner.T @ x).T, ((x @ w1) * mask).T @ dy]


def diagnose(shallow, deep, deep_test, back=6, train=True, which="deep"):
    mine = deep if train else deep_test
    if mine[-1] / shallow[-1] > 1.1:
        watched = deep if which == "deep" else shallow
        return 2 + (watched[-1] / watched[-back] >= 0.9)
    return int(deep_test[-1] / deep[-1] > 1.1)


def contributions(accuracy, clear=lambda w, o: w.min(-1) > o.max(-1), sign=1):
    rows = []
    for axis in range(3):
        o, w = np.split(accuracy, 2, axis)
        rows.append([sign * (w - o).mean(), clear(w, o).sum()])
    return rows


def preactivation(x, kernels, before="rr", keep=False):
    """`before` says for each dense layer whether a ReLU leads to it."""
    act = {"r": lambda v: np.maximum(v, 0), "-": lambda v: v}
    sums = [x]
    for w1, w2 in kernels:
        branch = act[before[1]](act[before[0]](x if keep else sums[-1]) @ w1) @ w2
        sums.append(sums[-1] + branch)
    return [sums[-1], np.diff(sums, axis=0)]


RIGHT = {
    "07.1": loudness,
    "07.2": paths,
    "07.3": needs,
    "07.4": zero_pad,
    "07.5": unit,
    "07.6": forward,
    "07.7": count,
    "07.8": backward,
    "07.9": diagnose,
    "07.10": contributions,
    "07.11": preactivation,
}


def relu(x):
    return np.maximum(x, 0)


def without_shortcut(x, w1, w2, dy):
    dx, *others = backward(x, w1, w2, dy)
    return [dx - dy, *others]


def without_mask(x, w1, w2, dy):
    return dy + dy @ w2.T @ w1.T, x.T @ dy @ w2.T, relu(x @ w1).T @ dy


def mask_of_the_gradient(x, w1, w2, dy):
    back = relu(dy @ w2.T)
    return dy + back @ w1.T, x.T @ back, relu(x @ w1).T @ dy


def after_the_addition(x, kernels):
    branches = []
    for w1, w2 in kernels:
        branches.append(relu(x @ w1) @ w2)
        x = relu(x + branches[-1])
    return x, branches


def sums(x, kernels):
    return x + np.cumsum(preactivation(x, kernels)[1], axis=0)


WRONG = [
    ("07.1", lambda f: np.cumprod(f[::-1])[::-1], "One factor too many"),
    ("07.1", lambda f: np.cumprod([1.0, *f[:-1]]), "This goes forwards"),
    ("07.1", lambda f: loudness(f)[::-1], "order is reversed"),
    ("07.1", lambda f: np.zeros(len(f)), "Expected"),
    ("07.2", lambda n, r: 2 ** (n - r), "number of all paths"),
    ("07.2", lambda n, r: paths(n, r)[1:], "around all branches"),
    ("07.2", lambda n, r: np.ones(n - r + 1), "several ways"),
    ("07.2", lambda n, r: paths(n, 0), "before units were taken out"),
    ("07.2", lambda n, r: np.zeros(n - r + 1), "Expected"),
    ("07.3", lambda s, k, t: (s[0] // t, s[1] // t, needs(s, k, t)[2]), "rounds up"),
    ("07.3", lambda s, k, t: (*needs(s, k, t)[:2], s[2] * k + 2 * k), "is the identity"),
    ("07.3", lambda s, k, t: (*needs(s, k, t)[:2], 0 if s[2] == k else (s[2] + 2) * k), "A stride"),
    ("07.3", lambda s, k, t: (*needs(s, k, t)[:2], needs(s, k, t)[2] and s[2] * k), "two per"),
    (
        "07.3",
        lambda s, k, t: (*needs(s, k, t)[:2], needs(s, k, t)[2] and (s[2] + 4) * k),
        "are not trained",
    ),
    (
        "07.3",
        lambda s, k, t: (*needs(s, k, t)[:2], needs(s, k, t)[2] and (9 * s[2] + 2) * k),
        "is 1 x 1",
    ),
    ("07.3", lambda s, k, t: np.zeros(3), "Expected"),
    ("07.4", lambda x, k, s: zero_pad(x[..., ::-1], k, s)[..., ::-1], "come after"),
    ("07.4", lambda x, k, s: zero_pad(x, k, 1), "stride is not used"),
    ("07.4", lambda x, k, s: x[:, ::s, ::s], "channels of zeros are missing"),
    ("07.4", lambda x, k, s: zero_pad(x[:, s - 1 :, s - 1 :], k, s), "Begin with the first"),
    ("07.4", lambda x, k, s: np.zeros_like(zero_pad(x, k, s)), "Expected"),
    ("07.5", lambda x, a, b: x + relu(relu(x @ a) @ b), "after the addition"),
    ("07.5", lambda x, a, b: x + relu(x @ a) @ b, "at the very end"),
    ("07.5", lambda x, a, b: relu(x + x @ a @ b), "between the two layers"),
    ("07.5", lambda x, a, b: relu(relu(x @ a) @ b), "plain twin"),
    ("07.5", lambda x, a, b: relu(relu(x) + relu(x @ a) @ b), "without a ReLU"),
    ("07.5", lambda x, a, b: np.zeros(x.shape), "Expected"),
    (
        "07.6",
        lambda x, ws, p, kept=None: forward(
            x, ws, np.ones(len(ws)) if kept is None else np.array(kept) / p
        ),
        "as dropout in Keras",
    ),
    (
        "07.6",
        lambda x, ws, p, kept=None: forward(x, ws, np.ones(len(ws)), kept),
        "At inference every",
    ),
    (
        "07.6",
        lambda x, ws, p, kept=None: forward(x, ws, p if kept is None else np.multiply(p, kept)),
        "counts in full",
    ),
    (
        "07.6",
        lambda x, ws, p, kept=None: forward(
            x, ws, 1 - np.array(p if kept is None else kept, float)
        ),
        "mixed up",
    ),
    (
        "07.6",
        lambda x, ws, p, kept=None: x @ np.linalg.multi_dot([*ws, np.eye(len(ws[0]))]),
        "shortcuts are missing",
    ),
    ("07.6", lambda x, ws, p, kept=None: np.zeros(x.shape), "Expected"),
    ("07.7", lambda n, w, c: count(n, w, c) - 2 * w * (1 + 14 * n), "normalizations are missing"),
    ("07.7", lambda n, w, c: count(n, w, c) + 2 * w * (1 + 14 * n), "are not trained"),
    ("07.7", lambda n, w, c: count(n, w, c) + w * (1 + 14 * n), "have no bias"),
    ("07.7", lambda n, w, c: count(n, w, c) + 10 * w * w + 12 * w, "These are projections"),
    ("07.7", lambda n, w, c: count(n, w, c) - 10, "each of the 10 classes"),
    ("07.7", lambda n, w, c: count(n, w, w), "channels of the image"),
    ("07.7", lambda n, w, c: 0, "Not right yet"),
    ("07.8", without_shortcut, "shortcut is missing"),
    ("07.8", lambda x, a, b, dy: [dy, *backward(x, a, b, dy)[1:]], "branch is missing"),
    ("07.8", without_mask, "ReLU is missing"),
    ("07.8", mask_of_the_gradient, "where its *input* was positive"),
    (
        "07.8",
        lambda x, a, b, dy: [*backward(x, a, b, dy)[:2], (x @ a).T @ dy],
        "after the ReLU",
    ),
    (
        "07.8",
        lambda x, a, b, dy: (np.zeros(x.shape), np.zeros(a.shape), np.zeros(b.shape)),
        "Expected",
    ),
    ("07.9", lambda s, d, t: diagnose(s, d, t, train=False), "training with training"),
    ("07.9", lambda s, d, t: diagnose(s, d, t, which="shallow"), "does not matter"),
    ("07.9", lambda s, d, t: diagnose(s, d, t, back=2), "five epochs before"),
    ("07.9", lambda s, d, t: 7, "Not right yet"),
    ("07.10", lambda a: contributions(1 - a), "with minus without"),
    ("07.10", lambda a: contributions(a, lambda w, o: w.mean(-1) > o.mean(-1)), "Means do not"),
    (
        "07.10",
        lambda a: contributions(a, lambda w, o: w.max(-1) > o.min(-1)),
        "worst run with the part",
    ),
    ("07.10", lambda a: np.zeros((3, 2)), "Expected"),
    ("07.11", lambda x, ks: preactivation(x, ks, "-r"), "first ReLU is missing"),
    ("07.11", lambda x, ks: preactivation(x, ks, "r-"), "between the two dense"),
    ("07.11", lambda x, ks: preactivation(x, ks, keep=True), "not the first input"),
    ("07.11", after_the_addition, "order of 2015"),
    ("07.11", lambda x, ks: (preactivation(x, ks)[0], sums(x, ks)), "what each unit *adds*"),
    ("07.11", lambda x, ks: (0 * x, np.zeros((len(ks), *x.shape))), "Expected"),
]
NAMES = {
    "07.1": "loudness", "07.2": "paths", "07.3": "shortcut_needs", "07.4": "zero_pad_shortcut",
    "07.5": "unit", "07.6": "forward", "07.7": "count", "07.8": "backward",
    "07.9": "diagnose",
    "07.10": "contributions",
    "07.11": "preactivation",
}  # fmt: skip
