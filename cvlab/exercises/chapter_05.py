"""Exercises of chapter 05-training.

Conventions
-----------
Scores are (N, K), labels (N,) class numbers; epochs, examples and groups are counted from 0.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.calibration import expected_calibration_error
from cvlab.check import Exercise
from cvlab.losses import sparse_categorical_cross_entropy
from cvlab.optimizers import adam

_RNG = np.random.default_rng(5)


# 05.1 the loss of knowing nothing


def _nothing(classes, several):
    zeros = np.zeros((1, classes))
    return np.log(2) if several else sparse_categorical_cross_entropy([0], zeros).value


_FIRST = Exercise(
    reference=_nothing,
    cases=[(10, False), (1000, False), (10, True)],
    hidden_cases=[(2, False), (2, True), (80, True)],
    mistakes=[
        (lambda k, s: 1 / k, "This is the probability of each class: the loss is minus its log."),
        (
            lambda k, s: np.log2(2 if s else k),
            "This is in bits: the loss uses the natural logarithm.",
        ),
        (
            lambda k, s: np.log(k),
            "With several labels each class is a question of its own, with yes and no: the "
            "probability of knowing nothing is 1/2, whatever the number of classes.",
        ),
        (lambda k, s: np.log(2), "With one label the probability of each class is 1/K."),
        (
            lambda k, s: k * np.log(2) if s else np.log(k),
            "The binary cross-entropy is the mean over the classes, not the sum.",
        ),
    ],
)


# 05.2 the confusion matrix


def _confusion(truth, answers, classes):
    return np.bincount(classes * truth + answers, minlength=classes**2).reshape(classes, classes)


def _confusion_case(count, classes):
    truth = _RNG.integers(0, classes, count)
    return truth, np.where(_RNG.random(count) < 0.6, truth, _RNG.integers(0, classes, count))


def _recall(truth, answers, classes):
    table = _confusion(truth, answers, classes)
    rows = table.sum(axis=1)
    return np.divide(np.diag(table), rows, out=np.zeros(classes), where=rows > 0)


_RECALL = Exercise(
    reference=_recall,
    cases=[(*_confusion_case(30, 3), 3), (*_confusion_case(60, 5), 5)],
    hidden_cases=[(np.array([0, 0, 2, 2]), np.array([0, 1, 1, 2]), 3), (*_confusion_case(9, 2), 2)],
    mistakes=[
        (
            lambda t, a, k: _recall(a, t, k),
            "This divides by how often a class was answered: divide by how often it is true.",
        ),
        (
            lambda t, a, k: np.diag(_confusion(t, a, k)) / len(t),
            "Divide by the examples of the class, not by all examples.",
        ),
        (
            lambda t, a, k: np.full(k, np.mean(t == a)),
            "This is the accuracy over all classes; give one number for each class.",
        ),
        (
            lambda t, a, k: np.diag(_confusion(t, a, k)),
            "These are counts: divide each by the number of examples of its class.",
        ),
    ],
)


# 05.3 the wrong loss for a classifier


def _sigmoid(s):
    return 1 / (1 + np.exp(-s))


def _faded(truth, scores):
    p = 0.5 * (1 + np.tanh(scores / 2))
    return 2 * (p - truth) * p * (1 - p)


_FADED = Exercise(
    reference=_faded,
    cases=[
        (1.0, np.array([-6.0, -1.0, 0.0, 1.0, 6.0])),
        (0.0, np.array([-4.0, 0.5, 4.0])),
    ],
    hidden_cases=[(np.array([1.0, 0.0]), np.array([-9.0, 9.0])), (1.0, _RNG.normal(size=(2, 3)))],
    mistakes=[
        (
            lambda t, s: _sigmoid(s) - t,
            "This is the gradient of the cross-entropy. The squared error has another one.",
        ),
        (
            lambda t, s: 2 * (_sigmoid(s) - t),
            "This is the gradient with respect to p. The chain rule goes on to the score: "
            "dp/ds = p (1 - p).",
        ),
        (
            lambda t, s: (_sigmoid(s) - t) * _sigmoid(s) * (1 - _sigmoid(s)),
            "The derivative of the square brings a factor of 2.",
        ),
        (
            lambda t, s: -2 * (_sigmoid(s) - t) * _sigmoid(s) * (1 - _sigmoid(s)),
            "The sign is wrong: for a truth of 1 a larger score lowers the loss.",
        ),
        (
            lambda t, s: 2 * (s - t),
            "The error is that of the probability, not of the score.",
        ),
    ],
)


# 05.4 when to stop


def _stop(losses, patience, strict=True, late=0):
    best, waited = 0, 0
    for epoch in range(1, len(losses)):
        better = losses[epoch] < losses[best] if strict else losses[epoch] < losses[epoch - 1]
        best, waited = (epoch, 0) if better else (best, waited + 1)
        if waited == patience + late:
            return (best, epoch)
    return (best, len(losses) - 1)


_CURVE = [2.0, 1.2, 0.9, 1.0, 0.8, 0.85, 0.84, 0.83, 0.7, 0.9]

_STOP = Exercise(
    reference=_stop,
    tolerance=1e-12,
    cases=[(_CURVE, 1), (_CURVE, 3), (_CURVE, 5), ([1.0, 1.0, 1.0, 0.5], 2)],
    hidden_cases=[(_CURVE, 2), ([0.5, 0.4, 0.3], 1), ([1.0, 2.0, 3.0, 4.0], 3)],
    mistakes=[
        (
            lambda v, p: _stop(v, p, strict=False),
            "Compare with the best loss so far, not with the epoch before: a curve can fall "
            "from a bump without getting anywhere.",
        ),
        (
            lambda v, p: _stop(v, p, late=1),
            "One epoch too late: stop in the epoch that is the last of `patience` without gain.",
        ),
        (
            lambda v, p: (int(np.argmin(v)), _stop(v, p)[1]),
            "The best epoch is the best of those that were trained: what comes after the stop "
            "was never seen.",
        ),
        (
            lambda v, p: (_stop(v, p)[1], _stop(v, p)[1]),
            "The weights to keep are those of the best epoch, not those of the last one.",
        ),
        (
            lambda v, p: _stop(v, p)[::-1],
            "The order is (best epoch, last epoch).",
        ),
    ],
)


# 05.5 a step of training by hand


def _step(x, labels, hidden, last, rate):
    active = np.maximum(x @ hidden, 0)
    gradient = sparse_categorical_cross_entropy(labels, active @ last).gradient
    back = np.where(active > 0, gradient @ last.T, 0)
    return (hidden - rate * x.T @ back, last - rate * active.T @ gradient)


def _linear_step(x, labels, hidden, last, rate):
    y = x @ hidden
    gradient = sparse_categorical_cross_entropy(labels, np.maximum(y, 0) @ last).gradient
    return (
        hidden - rate * x.T @ (gradient @ last.T),
        last - rate * np.maximum(y, 0).T @ gradient,
    )


def _sequential_step(x, labels, hidden, last, rate):
    new = _step(x, labels, hidden, last, rate)[1]
    active = np.maximum(x @ hidden, 0)
    gradient = sparse_categorical_cross_entropy(labels, active @ last).gradient
    return (hidden - rate * x.T @ np.where(active > 0, gradient @ new.T, 0), new)


def _step_case(count, inputs, units, classes, same=False):
    hidden = _RNG.normal(size=(inputs, 1 if same else units))
    last = _RNG.normal(size=(1 if same else units, classes))
    if same:
        hidden, last = np.tile(hidden, units), np.tile(last, (units, 1))
    return (
        _RNG.normal(size=(count, inputs)),
        _RNG.integers(0, classes, count),
        hidden,
        last,
        0.5,
    )


_STEP = Exercise(
    reference=_step,
    cases=[_step_case(6, 3, 4, 3), _step_case(8, 5, 3, 2), _step_case(5, 4, 3, 3, same=True)],
    hidden_cases=[_step_case(10, 2, 6, 4), _step_case(1, 3, 3, 3)],
    mistakes=[
        (
            lambda x, t, a, b, r: _step(x, t, a, b, len(x) * r),
            "The loss is the mean over the examples: divide by their number.",
        ),
        (
            lambda x, t, a, b, r: _step(x, t, a, b, -r),
            "Step against the gradient, not along it.",
        ),
        (
            _linear_step,
            "The ReLU lets the gradient pass only where its input was above zero.",
        ),
        (
            _sequential_step,
            "Compute both gradients first, with the old weights, and only then change them.",
        ),
        (
            lambda x, t, a, b, r: (a, _step(x, t, a, b, r)[1]),
            "The first layer learns too: its gradient comes back through the last one.",
        ),
    ],
)


# 05.6 the expected calibration error


def _gap(confidence, right, bins, absolute=True, weighted=True):
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps, counts = [], []
    for k in range(bins):
        inside = place == k
        if inside.any():
            gaps.append(confidence[inside].mean() - right[inside].mean())
            counts.append(inside.sum())
    gaps = np.abs(gaps) if absolute else np.array(gaps)
    return float(np.average(gaps, weights=counts if weighted else None))


def _ece(confidence, right, bins):
    pairs = np.stack([confidence, 1 - confidence], axis=1)
    return expected_calibration_error(pairs, np.where(right, 0, 1), bins)


def _ece_case(count, bins, skew):
    confidence = 0.5 + 0.499 * _RNG.random(count)
    return confidence, _RNG.random(count) < confidence**skew, bins


_ECE = Exercise(
    reference=_ece,
    cases=[_ece_case(60, 10, 2), _ece_case(200, 5, 0.3), _ece_case(40, 10, 1)],
    hidden_cases=[_ece_case(30, 20, 3), _ece_case(100, 4, 1)],
    mistakes=[
        (
            lambda c, r, n: _gap(c, r, n, weighted=False),
            "Bins with few answers count less: weight each gap by its number of answers.",
        ),
        (
            lambda c, r, n: _gap(c, r, n, absolute=False),
            "Take the absolute gap in each bin: too sure here and too modest there do not cancel.",
        ),
        (
            lambda c, r, n: abs(c.mean() - r.mean()),
            "This is one gap for all answers together: take it bin by bin.",
        ),
        (
            lambda c, r, n: float(np.abs(c - r).mean()),
            "A single answer is right or wrong: compare means of whole bins.",
        ),
    ],
)


# 05.7 three steps of Adam


def _adam(weight, gradients, rate):
    state = None
    for gradient in gradients:
        weight, state = adam(np.float64(weight), np.float64(gradient), state, rate, epsilon=0.0)
    return float(weight)


def _loose_adam(weight, gradients, rate, correct=(True, True), root=True, sign=-1):
    mean = square = 0.0
    for t, g in enumerate(gradients, 1):
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        m = mean / (1 - 0.9**t) if correct[0] else mean
        s = square / (1 - 0.999**t) if correct[1] else square
        weight += sign * rate * m / (np.sqrt(s) if root else s)
    return weight


_ADAM = Exercise(
    reference=_adam,
    cases=[(1.0, [2.0], 0.1), (0.0, [1.0, 1.0, -3.0], 0.01), (-2.0, [0.01, 0.02], 0.5)],
    hidden_cases=[(5.0, [-4.0, 3.0, 2.0, 0.5], 0.1), (0.0, [100.0, -100.0], 0.01)],
    mistakes=[
        (
            lambda w, g, r: _loose_adam(w, g, r, correct=(False, False)),
            "The averages start at 0 and are too small at first: divide them by 1 - 0.9^t and "
            "1 - 0.999^t, with t = 1 at the first step.",
        ),
        (
            lambda w, g, r: _loose_adam(w, g, r, correct=(True, False)),
            "Correct the mean square too: it starts at 0 like the mean.",
        ),
        (
            lambda w, g, r: _loose_adam(w, g, r, correct=(False, True)),
            "Correct the mean too: it starts at 0 like the mean square.",
        ),
        (
            lambda w, g, r: _loose_adam(w, g, r, root=False),
            "Divide by the root of the mean square, not by the mean square.",
        ),
        (
            lambda w, g, r: _loose_adam(w, g, r, sign=1),
            "Step against the gradient, not along it.",
        ),
        (
            lambda w, g, r: w - r * sum(g),
            "This is plain gradient descent: no averages, no division.",
        ),
    ],
)


# 05.8 a split by groups


def _judge_split(in_test, groups, share):
    in_test = np.asarray(in_test, dtype=float)
    if in_test.shape != groups.shape or not np.isin(in_test, (0, 1)).all():
        return "Return one True or False for each frame."
    in_test = in_test == 1
    if in_test.all() or not in_test.any():
        return "One part is empty."
    shared = sorted(set(groups[in_test].tolist()) & set(groups[~in_test].tolist()))
    if shared:
        return f"Film {shared[0]} is in both parts: a leak."
    if abs(in_test.mean() - share) > 0.05:
        return (
            f"The test part holds {in_test.mean():.0%} of the frames, {share:.0%} were "
            "wanted: films differ in length, so count frames, not films."
        )
    return None


def _groups(sizes):
    return _RNG.permutation(np.repeat(np.arange(len(sizes)), sizes))


_SPLIT = Exercise(
    reference=lambda *_: [],
    judge=_judge_split,
    cases=[
        (_groups([1] * 40), 0.25),
        (_groups([30, *[2] * 30]), 0.2),
        (_groups(range(1, 16)), 0.3),
    ],
    hidden_cases=[(_groups([50, 20, 10, *[1] * 20]), 0.2), (_groups([5] * 20), 0.5)],
)

EXERCISES = {
    "05.1": _FIRST,
    "05.2": _RECALL,
    "05.3": _FADED,
    "05.4": _STOP,
    "05.5": _STEP,
    "05.6": _ECE,
    "05.7": _ADAM,
    "05.8": _SPLIT,
}
