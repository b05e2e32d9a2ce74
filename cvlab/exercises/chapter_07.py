"""Exercises of chapter 07-residual-connections.

Conventions
-----------
Maps (batch, height, width, channels), features (batch, channels), dense kernels (in, out).
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

from math import comb

import numpy as np

from cvlab.check import Exercise

_RNG = np.random.default_rng(7)


def _integers(*shape: int) -> np.ndarray:
    """Small whole numbers: exact in any order of summation, and readable in a message."""
    return _RNG.integers(-3, 4, size=shape).astype(float)


def _relu(x):
    return np.where(x > 0, x, 0.0)


# 07.1 products of factors


def _loudness(factors):
    return np.array([np.prod(factors[layer + 1 :]) for layer in range(len(factors))])


_LOUDNESS = Exercise(
    reference=_loudness,
    cases=[([0.5, 0.5, 2.0],), ([0.8] * 10,), ([3.0, 0.1, 2.0, 1.5],)],
    hidden_cases=[([1.25] * 8,), ([4.0],), ([0.0, 2.0, 0.5, 3.0],)],
    mistakes=[
        (
            lambda f: np.array([np.prod(f[layer:]) for layer in range(len(f))]),
            "One factor too many: at the output of layer l the gradient has passed the layers "
            "after l, but not l itself. The last size is 1.",
        ),
        (
            lambda f: np.cumprod([1.0, *f[:-1]]),
            "This goes forwards, from the first layer on. The gradient starts at the last one.",
        ),
        (lambda f: _loudness(f)[::-1], "The order is reversed: the first layer comes first."),
        (
            lambda f: np.array([1 + sum(g - 1 for g in f[layer + 1 :]) for layer in range(len(f))]),
            "Factors multiply; they do not add up.",
        ),
    ],
)


# 07.2 paths


def _paths(units, removed):
    left = units - removed
    return np.array([comb(left, through) for through in range(left + 1)])


_PATHS = Exercise(
    reference=_paths,
    cases=[(2, 0), (3, 0), (5, 2), (9, 1)],
    hidden_cases=[(4, 3), (21, 1), (6, 0)],
    mistakes=[
        (
            lambda units, removed: [comb(units, k) for k in range(units + 1)],
            "These are the paths before units were taken out: a removed unit has no branch left.",
        ),
        (
            lambda units, removed: _paths(units, removed)[1:],
            "The path around all branches is missing: it goes through 0 of them.",
        ),
        (
            lambda units, removed: 2 ** (units - removed),
            "That is the number of all paths. Sort them by the branches that they go through.",
        ),
        (
            lambda units, removed: np.ones(units - removed + 1),
            "There are several ways to choose which branches a path goes through.",
        ),
    ],
)


# 07.3 what the shortcut needs


def _needs(shape, filters, stride):
    rows, columns = (len(range(0, length, stride)) for length in shape[:2])
    if (rows, columns, filters) == tuple(shape):
        return rows, columns, 0
    return rows, columns, (shape[2] + 2) * filters


def _needs_counted(change):
    """Return the right size with another count where a projection is needed."""

    def mistake(shape, filters, stride):
        rows, columns, parameters = _needs(shape, filters, stride)
        return rows, columns, change(shape[2], filters) if parameters else 0

    return mistake


_NEEDS = Exercise(
    reference=_needs,
    cases=[((8, 8, 16), 16, 1), ((8, 8, 16), 32, 2), ((7, 9, 64), 64, 2), ((5, 5, 3), 4, 1)],
    hidden_cases=[((56, 56, 64), 128, 2), ((9, 4, 8), 8, 1), ((10, 11, 5), 5, 3)],
    mistakes=[
        (
            lambda shape, k, s: (shape[0] // s, shape[1] // s, _needs(shape, k, s)[2]),
            "Same padding rounds up: 7 pixels at stride 2 give 4.",
        ),
        (
            lambda shape, k, s: (*_needs(shape, k, s)[:2], (shape[2] + 2) * k),
            "Where the shapes agree the shortcut is the identity and needs no parameters.",
        ),
        (
            lambda shape, k, s: (
                *_needs(shape, k, s)[:2],
                0 if shape[2] == k else (shape[2] + 2) * k,
            ),
            "A stride changes the shape too, even if the number of channels stays.",
        ),
        (
            _needs_counted(lambda c, k: c * k),
            "The normalization after the 1 x 1 convolution has parameters too: two per filter.",
        ),
        (
            _needs_counted(lambda c, k: c * k + 4 * k),
            "Moving means and variances are not trained: two numbers per filter, not four.",
        ),
        (
            _needs_counted(lambda c, k: c * k + 3 * k),
            "The convolution has no bias: the normalization after it would remove it.",
        ),
        (
            _needs_counted(lambda c, k: 9 * c * k + 2 * k),
            "The projection is 1 x 1: one weight for each pair of channels, not nine.",
        ),
    ],
)


# 07.4 the shortcut without parameters


def _zero_pad(x, filters, stride):
    result = np.zeros((len(x), *(len(range(0, n, stride)) for n in x.shape[1:3]), filters))
    result[..., : x.shape[3]] = x[:, ::stride, ::stride]
    return result


def _zeros_first(x, filters, stride):
    return np.roll(_zero_pad(x, filters, stride), filters - x.shape[3], axis=3)


def _last_pixels(x, filters, stride):
    return _zero_pad(x[:, stride - 1 :, stride - 1 :], filters, stride)


_ZERO_PAD = Exercise(
    reference=_zero_pad,
    cases=[
        (_integers(1, 4, 4, 2), 4, 2),
        (_integers(2, 3, 3, 1), 3, 1),
        (_integers(1, 5, 4, 2), 3, 2),
    ],
    hidden_cases=[(_integers(1, 7, 6, 3), 6, 3), (_integers(2, 4, 5, 2), 2, 2)],
    mistakes=[
        (_zeros_first, "The zeros come after the channels of the map, not before them."),
        (
            lambda x, k, s: _zero_pad(x, k, 1),
            "The stride is not used: keep every stride-th row and column.",
        ),
        (
            lambda x, k, s: _zero_pad(x, x.shape[3], s),
            "The channels of zeros are missing.",
        ),
        (_last_pixels, "Begin with the first row and column, as a strided convolution does."),
    ],
)


# 07.5 a residual unit


def _unit(x, w1, w2):
    return _relu(x + np.einsum("nh,hc->nc", _relu(np.einsum("nc,ch->nh", x, w1)), w2))


_UNIT = Exercise(
    reference=_unit,
    cases=[
        (
            np.array([[1.0, -2.0]]),
            np.array([[1.0, -1.0], [0.0, 1.0]]),
            np.array([[-2.0, 3.0], [1.0, 1.0]]),
        ),
        (_integers(3, 4), _integers(4, 2), _integers(2, 4)),
    ],
    hidden_cases=[(_integers(5, 3), _integers(3, 6), _integers(6, 3))],
    mistakes=[
        (
            lambda x, w1, w2: x + _relu(_relu(x @ w1) @ w2),
            "The last ReLU comes after the addition, not before it.",
        ),
        (lambda x, w1, w2: x + _relu(x @ w1) @ w2, "The ReLU at the very end is missing."),
        (
            lambda x, w1, w2: _relu(x + x @ w1 @ w2),
            "The ReLU between the two layers is missing: without it they are one linear layer.",
        ),
        (
            lambda x, w1, w2: _relu(_relu(x @ w1) @ w2),
            "The shortcut is missing: this is the plain twin.",
        ),
        (
            lambda x, w1, w2: _relu(_relu(x) + _relu(x @ w1) @ w2),
            "The shortcut passes x as it is, without a ReLU.",
        ),
    ],
)


# 07.6 stochastic depth


def _forward(x, kernels, survival, kept=None):
    weights = survival if kept is None else [1.0 if k else 0.0 for k in kept]
    for weight, w in zip(weights, kernels, strict=True):
        x = x @ (np.eye(len(w)) + weight * w)
    return x


def _scaled_in_training(x, kernels, survival, kept=None):
    """Dropout as it is common today: divide by the probability in training."""
    weights = np.ones(len(kernels)) if kept is None else np.array(kept) / np.array(survival)
    return _forward(x, kernels, weights)


_KERNELS = [_integers(3, 3) / 2 for _ in range(3)]
_FORWARD = Exercise(
    reference=_forward,
    cases=[
        (np.array([[1.0, 2.0]]), [np.eye(2)], [0.5], [True]),
        (np.array([[1.0, 2.0]]), [np.eye(2)], [0.5]),
        (_integers(2, 3), _KERNELS, [0.9, 0.8, 0.5], [True, False, True]),
        (_integers(2, 3), _KERNELS, [0.9, 0.8, 0.5]),
    ],
    hidden_cases=[
        (_integers(2, 3), _KERNELS, [0.75, 0.5, 0.25], [False, True, True]),
        (_integers(4, 3), _KERNELS, [0.75, 0.5, 0.25]),
    ],
    mistakes=[
        (
            lambda x, ws, p, kept=None: _forward(x, ws, np.ones(len(ws)), kept),
            "At inference every branch must be multiplied by its survival probability.",
        ),
        (
            _scaled_in_training,
            "This divides by the probability in training, as dropout in Keras does. Huang et al. "
            "leave training alone and multiply at inference.",
        ),
        (
            lambda x, ws, p, kept=None: _forward(
                x, ws, p if kept is None else np.array(p) * np.array(kept)
            ),
            "In training a branch that is kept counts in full.",
        ),
        (
            lambda x, ws, p, kept=None: _forward(
                x, ws, 1 - np.array(p) if kept is None else 1 - np.array(kept, float)
            ),
            "Kept and dropped are mixed up: the survival probability is that of being kept.",
        ),
        (
            lambda x, ws, p, kept=None: _forward(
                x, [w - np.eye(len(w)) for w in ws], np.ones(len(ws))
            ),
            "The shortcuts are missing: a unit is x + x @ w.",
        ),
    ],
)


# 07.7 the parameters of a small residual network


def _count(n, width, channels, norm=2, bias=0, units=2, projected=False, classes_bias=10):
    total = (9 * channels + norm + bias) * width
    for stage in range(3):
        filters = width * 2**stage
        inputs = [filters] * (units * n)
        if stage:
            inputs[0] = filters // 2
            total += projected * (filters // 2 + norm) * filters
        total += sum((9 * c + norm + bias) * filters for c in inputs)
    return total + 4 * width * 10 + classes_bias


_COUNT = Exercise(
    reference=_count,
    cases=[(3, 16, 3), (1, 8, 1), (9, 16, 3)],
    hidden_cases=[(7, 16, 3), (2, 5, 1), (18, 16, 3)],
    tolerance=1e-9,
    mistakes=[
        (
            lambda n, w, c: _count(n, w, c, norm=0),
            "The normalizations are missing: a scale and a shift for each filter.",
        ),
        (
            lambda n, w, c: _count(n, w, c, norm=4),
            "Moving means and variances are not trained: two numbers per filter, not four.",
        ),
        (
            lambda n, w, c: _count(n, w, c, bias=1),
            "Convolutions before a normalization have no bias.",
        ),
        (
            lambda n, w, c: _count(n, w, c, units=1),
            "A basic unit has two convolutions.",
        ),
        (
            lambda n, w, c: _count(n, w, c, projected=True),
            "These are projections; zero-padded shortcuts have no parameters.",
        ),
        (
            lambda n, w, c: _count(n, w, c, classes_bias=0),
            "The dense layer has a bias for each of the 10 classes.",
        ),
        (
            lambda n, w, c: _count(n, w, w),
            "The first convolution reads the channels of the image, not `width` of them.",
        ),
    ],
)


# 07.8 the way back


def _backward(x, w1, w2, dy):
    hidden = x @ w1
    on = (hidden > 0).astype(float)
    dx = dy + np.einsum("nc,hc,nh,dh->nd", dy, w2, on, w1)
    dw1 = np.einsum("nd,nc,hc,nh->dh", x, dy, w2, on)
    return dx, dw1, np.einsum("nh,nc->hc", hidden * on, dy)


def _with(index, change):
    """Return the right gradients with one of them changed."""

    def mistake(x, w1, w2, dy):
        gradients = list(_backward(x, w1, w2, dy))
        gradients[index] = change(x, w1, w2, dy)
        return tuple(gradients)

    return mistake


def _unmasked(x, w1, w2, dy):
    back = dy @ w2.T
    return dy + back @ w1.T, x.T @ back, _relu(x @ w1).T @ dy


def _masked_twice(x, w1, w2, dy):
    back = _relu(dy @ w2.T)
    return dy + back @ w1.T, x.T @ back, _relu(x @ w1).T @ dy


_BACKWARD = Exercise(
    reference=_backward,
    cases=[
        (_integers(4, 3), _integers(3, 5), _integers(5, 3), _integers(4, 3)),
        (_integers(4, 2), _integers(2, 5), np.zeros((5, 2)), _integers(4, 2)),
    ],
    hidden_cases=[(_integers(5, 4), _integers(4, 3), _integers(3, 4), _integers(5, 4))],
    mistakes=[
        (
            _with(0, lambda x, w1, w2, dy: _backward(x, w1, w2, dy)[0] - dy),
            "The shortcut is missing in dx: dy also reaches x directly.",
        ),
        (
            _with(0, lambda x, w1, w2, dy: dy),
            "The branch is missing in dx: the gradient also comes back through it.",
        ),
        (_unmasked, "The ReLU is missing on the way back: where x @ w1 <= 0 nothing passes."),
        (
            _masked_twice,
            "The mask of a ReLU is where its *input* was positive, not where the gradient is.",
        ),
        (
            _with(2, lambda x, w1, w2, dy: (x @ w1).T @ dy),
            "w2 was multiplied by relu(x @ w1), so dw2 needs it after the ReLU.",
        ),
    ],
)


# 07.9 slow, stuck or overfitted?


def _diagnose(shallow, deep, deep_test, wrong=0):
    """`wrong` chooses a slip: 1 test losses, 2 the shallow curve, 3 the last step, 4 no falling."""
    first, second = (deep_test if wrong == 1 else deep), (deep if wrong != 2 else shallow)
    higher = first[-1] > 1.1 * shallow[-1]
    falling = second[-1] < 0.9 * second[-2 if wrong == 3 else -6]
    return (2 if falling and wrong != 4 else 3) if higher else int(deep_test[-1] > 1.1 * deep[-1])


def _falling(start, factor, epochs=10):
    return start * factor ** np.arange(epochs)


_DIAGNOSE = Exercise(
    reference=_diagnose,
    cases=[
        (_falling(2.0, 0.6), _falling(2.0, 0.95), _falling(2.1, 0.95)),
        (_falling(2.0, 0.6), _falling(2.0, 0.99), _falling(2.0, 0.99)),
        (_falling(1.0, 0.99), _falling(1.0, 0.5), _falling(1.5, 1.0)),
        (_falling(1.0, 0.8), _falling(1.0, 0.8), _falling(1.05, 0.8)),
        (_falling(2.0, 0.5), _falling(2.0, 0.8), _falling(2.0, 0.8)),
    ],
    hidden_cases=[
        (_falling(2.0, 0.9), _falling(2.3, 0.96, 12), _falling(9.0, 1.0, 12)),
        (_falling(2.0, 0.7), _falling(1.9, 0.995), _falling(1.9, 0.995)),
        (_falling(0.5, 0.7), _falling(0.5, 0.7), _falling(0.5, 0.9)),
    ],
    mistakes=[
        (
            lambda s, d, t: _diagnose(s, d, t, 1),
            "Degradation is a *training* loss that is too high: compare training with training.",
        ),
        (
            lambda s, d, t: _diagnose(s, d, t, 2),
            "Is the *deep* network's loss still falling? That of the shallow one does not matter.",
        ),
        (
            lambda s, d, t: _diagnose(s, d, t, 3),
            "One epoch is too short a look: compare with the loss five epochs before.",
        ),
        (
            lambda s, d, t: _diagnose(s, d, t, 4),
            "A curve that is still falling cannot tell slow from stuck.",
        ),
    ],
)


# 07.10 read an ablation


def _contributions(accuracy, gain=lambda w, o: np.mean(w - o), clear=lambda w, o: min(w) > max(o)):
    """Go through the pairs one by one."""
    rows = []
    for axis in range(3):
        on, off = np.take(accuracy, 1, axis), np.take(accuracy, 0, axis)
        pairs = [(on[i], off[i]) for i in np.ndindex(2, 2)]
        rows.append([np.mean([gain(*p) for p in pairs]), sum(clear(*p) for p in pairs)])
    return np.array(rows, float)


def _last_pairs(mean):
    """Take each part from the full network."""
    return mean[1, 1, 1] - np.array([mean[0, 1, 1], mean[1, 0, 1], mean[1, 1, 0]])


_ABLATION_RNG = np.random.default_rng(70)


def _ablation(seeds):
    base = np.add.outer(np.add.outer([0.0, 0.3], [0.0, 0.4]), [0.05, 0.0])
    return (base[..., np.newaxis] + 0.25 * _ABLATION_RNG.random((2, 2, 2, seeds))).round(2)


_CONTRIBUTIONS = Exercise(
    reference=_contributions,
    cases=[(_ablation(3),), (_ablation(3),), (_ablation(2),)],
    hidden_cases=[(_ablation(4),), (_ablation(3),)],
    mistakes=[
        (
            lambda a: _contributions(1 - a),
            "The gain is with minus without.",
        ),
        (
            lambda a: np.column_stack([_last_pairs(a.mean(-1)), _contributions(a)[:, 1]]),
            "That is one pair only, the full network with and without the part: there are four.",
        ),
        (
            lambda a: _contributions(a, clear=lambda w, o: np.mean(w) > np.mean(o)),
            "Means do not make a pair clear: the worst run with must beat the best run without.",
        ),
        (
            lambda a: _contributions(a, clear=lambda w, o: max(w) > min(o)),
            "Compare the worst run with the part and the best run without it.",
        ),
        (
            lambda a: _contributions(a).T,
            "One row for each part: the result is transposed.",
        ),
    ],
)


# 07.11 the untouched main line


def _preactivation(x, kernels, first=_relu, main=lambda x: x, last=lambda x: x, stream=True):
    """Change what is passed on (`main`), the sum (`last`), or feed each unit x (no `stream`)."""
    branches, start = np.zeros((len(kernels), *x.shape)), x
    for unit, (w1, w2) in enumerate(kernels):
        hidden = _relu(np.einsum("nc,ch->nh", first(x if stream else start), w1))
        branches[unit] = np.einsum("nh,hc->nc", hidden, w2)
        x = last(main(x) + branches[unit])
    return x, branches


def _one_relu(x, kernels):
    branches = []
    for w1, w2 in kernels:
        branches.append(_relu(x) @ w1 @ w2)
        x = x + branches[-1]
    return x, np.array(branches)


def _outputs_for_branches(x, kernels):
    outputs = []
    for pair in kernels:
        x, _ = _preactivation(x, [pair])
        outputs.append(x)
    return x, np.array(outputs)


def _pairs(units, channels, hidden):
    return [(_integers(channels, hidden), _integers(hidden, channels)) for _ in range(units)]


_PREACTIVATION = Exercise(
    reference=_preactivation,
    cases=[
        (np.array([[1.0, -2.0]]), [(np.eye(2), np.eye(2)), (np.eye(2), -np.eye(2))]),
        (_integers(3, 4), _pairs(2, 4, 3)),
        (-np.ones((2, 3)), [(np.ones((3, 2)), np.zeros((2, 3)))]),
    ],
    hidden_cases=[(_integers(2, 3), _pairs(3, 3, 5)), (_integers(4, 2), _pairs(1, 2, 4))],
    mistakes=[
        (
            lambda x, ks: _preactivation(x, ks, first=lambda x: x, last=_relu),
            "This is the order of 2015, with a ReLU after the addition. Here each ReLU stands "
            "before a dense layer, and the main line has none.",
        ),
        (
            lambda x, ks: _preactivation(x, ks, main=_relu),
            "The shortcut passes x as it is: the ReLU belongs to the branch.",
        ),
        (
            lambda x, ks: _preactivation(x, ks, last=_relu),
            "Nothing stands after the addition.",
        ),
        (
            lambda x, ks: _preactivation(x, ks, first=lambda x: x),
            "The first ReLU is missing: one stands before each of the two dense layers.",
        ),
        (_one_relu, "The ReLU between the two dense layers is missing."),
        (
            lambda x, ks: _preactivation(x, ks, stream=False),
            "Each unit reads what the unit before it gave out, not the first input.",
        ),
        (
            _outputs_for_branches,
            "The second result holds what each unit *adds*, not what it gives out.",
        ),
    ],
)


EXERCISES = {
    "07.1": _LOUDNESS,
    "07.2": _PATHS,
    "07.3": _NEEDS,
    "07.4": _ZERO_PAD,
    "07.5": _UNIT,
    "07.6": _FORWARD,
    "07.7": _COUNT,
    "07.8": _BACKWARD,
    "07.9": _DIAGNOSE,
    "07.10": _CONTRIBUTIONS,
    "07.11": _PREACTIVATION,
}
