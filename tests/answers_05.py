"""Answers to the exercises of chapter 05: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

from itertools import pairwise

import numpy as np


def first_loss(classes, several):
    return -np.log(0.5) if several else -np.log(1 / classes)


def recall(truth, answers, classes):
    shares = []
    for k in range(classes):
        mine = [a == k for t, a in zip(truth, answers, strict=True) if t == k]
        shares.append(sum(mine) / len(mine) if mine else 0)
    return shares


def squared_gradient(truth, scores):
    h = 1e-6

    def loss(s):
        return (1 / (1 + np.exp(-s)) - truth) ** 2

    return (loss(scores + h) - loss(scores - h)) / (2 * h)


def stop(losses, patience):
    for last in range(len(losses)):
        best = int(np.argmin(losses[: last + 1]))
        if last - best == patience:
            return best, last
    return int(np.argmin(losses)), len(losses) - 1


def train_step(x, labels, hidden, last, rate):
    y = x @ hidden
    features = y * (y > 0)
    powers = np.exp(features @ last)
    delta = powers / powers.sum(axis=1, keepdims=True)
    delta[np.arange(len(x)), labels] -= 1
    delta /= len(x)
    d_last = np.einsum("nh,nk->hk", features, delta)
    d_hidden = np.einsum("ni,nk,hk,nh->ih", x, delta, last, (y > 0).astype(float))
    return [hidden - rate * d_hidden, last - rate * d_last]


def calibration_error(confidence, right, bins):
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        total += abs(confidence[inside].sum() - right[inside].sum())
    return total / len(right)


def adam_steps(weight, gradients, rate):
    mean, square = 0.0, 0.0
    for t, g in enumerate(gradients):
        mean += 0.1 * (g - mean)
        square += 0.001 * (g * g - square)
        scale = np.sqrt(1 - 0.999 ** (t + 1)) / (1 - 0.9 ** (t + 1))
        weight = weight - rate * scale * mean / square**0.5
    return np.array(weight)


def group_split(groups, share):
    """Fill the test part with the largest groups that still fit."""
    names, sizes = np.unique(groups, return_counts=True)
    chosen, room = [], share * len(groups) + 0.5
    for i in np.argsort(-sizes):
        if sizes[i] <= room:
            chosen.append(names[i])
            room -= sizes[i]
    return [group in chosen for group in groups]


RIGHT = {
    "05.1": first_loss,
    "05.2": recall,
    "05.3": squared_gradient,
    "05.4": stop,
    "05.5": train_step,
    "05.6": calibration_error,
    "05.7": adam_steps,
    "05.8": group_split,
}

NAMES = {
    "05.1": "first_loss",
    "05.2": "recall",
    "05.3": "squared_gradient",
    "05.4": "stop",
    "05.5": "train_step",
    "05.6": "calibration_error",
    "05.7": "adam_steps",
    "05.8": "group_split",
}


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


def split_examples(groups, share):
    return np.arange(len(groups)) < share * len(groups)


def split_group_names(groups, share):
    names = np.unique(groups)
    return np.isin(groups, names[: max(1, int(share * len(names)))])


def frame_numbers(groups, share):
    return np.flatnonzero(group_split(groups, share))


def sort_both(losses, patience):
    return len(losses) - 1, len(losses) - 1


WRONG = [
    ("05.1", lambda k, s: 0.0, ""),
    ("05.1", lambda k, s: 1 / k, "minus its log"),
    ("05.1", lambda k, s: np.log2(2 if s else k), "natural logarithm"),
    ("05.1", lambda k, s: np.log(k), "question of its own"),
    ("05.2", lambda t, a, k: np.zeros(k), ""),
    ("05.2", lambda t, a, k: [np.mean(t[a == i] == i) for i in range(k)], "how often it is true"),
    ("05.2", lambda t, a, k: np.array([((t == i) & (a == i)).sum() for i in range(k)]), "counts"),
    (
        "05.2",
        lambda t, a, k: np.array([np.mean((t == i) & (a == i)) for i in range(k)]),
        "of the class",
    ),
    ("05.3", lambda t, s: np.zeros_like(s), ""),
    ("05.3", lambda t, s: sigmoid(s) - t, "of the cross-entropy"),
    ("05.3", lambda t, s: 2 * (sigmoid(s) - t), "chain rule"),
    ("05.3", lambda t, s: (sigmoid(s) - t) * sigmoid(s) * (1 - sigmoid(s)), "factor of 2"),
    ("05.4", lambda v, p: (0, 0), ""),
    ("05.4", lambda v, p: stop(v, p)[::-1], "order"),
    ("05.4", lambda v, p: (stop(v, p)[0], min(stop(v, p)[1] + 1, len(v) - 1)), ""),
    ("05.4", lambda v, p: (int(np.argmin(v)), stop(v, p)[1]), "never seen"),
    ("05.4", sort_both, ""),
    ("05.5", lambda x, t, a, b, r: (np.zeros_like(a), np.zeros_like(b)), ""),
    ("05.5", lambda x, t, a, b, r: train_step(x, t, a, b, -r), "against the gradient"),
    ("05.5", lambda x, t, a, b, r: train_step(x, t, a, b, r * len(x)), "mean over the examples"),
    ("05.5", lambda x, t, a, b, r: (a, train_step(x, t, a, b, r)[1]), "first layer learns too"),
    ("05.6", lambda c, r, n: 0.0, ""),
    ("05.6", lambda c, r, n: abs(c.mean() - r.mean()), "bin by bin"),
    ("05.6", lambda c, r, n: np.abs(c - r).mean(), "means of whole bins"),
    ("05.7", lambda w, g, r: 0.0 * w, ""),
    ("05.7", lambda w, g, r: w - r * np.sum(g), "plain gradient descent"),
    ("05.7", lambda w, g, r: 2 * w - adam_steps(w, g, r), "against the gradient"),
    ("05.8", split_examples, "a leak"),
    ("05.8", split_group_names, "count frames"),
    ("05.8", frame_numbers, "True or False"),
    ("05.8", lambda g, s: np.zeros(len(g), bool), "empty"),
]
