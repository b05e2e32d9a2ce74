"""Exercises of chapter 11-grad-cam.

Conventions
-----------
Features and gradients are (height, width, channels), of one image; maps are (height, width).
Gradients are those of one class's score with respect to the features.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.check import Exercise


def _arrays(seed, *shape, count=2):
    """Return arrays of normally distributed numbers."""
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=shape) for _ in range(count))


# 11.1 one weight for each channel


def _weights(gradients):
    rows, columns, channels = gradients.shape
    flat = gradients.reshape(rows * columns, channels)
    return np.ones(len(flat)) @ flat / len(flat)


_WEIGHTS = Exercise(
    reference=_weights,
    cases=[_arrays(0, 3, 4, 2, count=1), _arrays(1, 2, 2, 5, count=1)],
    hidden_cases=[_arrays(2, 7, 7, 3, count=1), _arrays(3, 1, 6, 4, count=1)],
    mistakes=[
        (
            lambda g: g.mean(axis=-1),
            "This is the mean over the channels. Keep them: the mean goes over the positions.",
        ),
        (
            lambda g: g.mean(axis=0),
            "Only one of the two axes of positions is gone: the mean goes over rows and columns.",
        ),
        (
            lambda g: g.mean(axis=1),
            "Only one of the two axes of positions is gone: the mean goes over rows and columns.",
        ),
        (
            lambda g: g.sum(axis=(0, 1)),
            "This is the sum over the positions: divide by their number.",
        ),
        (
            lambda g: np.maximum(g, 0).mean(axis=(0, 1)),
            "No ReLU here: a negative gradient lowers the channel's weight.",
        ),
        (
            lambda g: g.max(axis=(0, 1)),
            "This is the largest gradient of each channel; Grad-CAM takes the mean.",
        ),
        (
            lambda g: g.mean(),
            "This is one number for everything; every channel has a weight of its own.",
        ),
    ],
)


# 11.2 from features and gradients to a map in 0..1


def _signed(features, gradients):
    weights = _weights(gradients)
    return sum(weight * features[..., k] for k, weight in enumerate(weights))


def _divided(signed):
    largest = signed.max()
    return signed / largest if largest > 0 else signed * 0


def _map(features, gradients):
    return _divided(_signed(features, gradients).clip(min=0))


def _shifted(features, gradients):
    signed = _signed(features, gradients)
    return (signed - signed.min()) / np.ptp(signed)


_SINGLE = np.array([[[1.0, 2.0], [0.5, 3.0]]]), np.array([[[2.0, -1.0], [0.0, -1.0]]])

_MAP = Exercise(
    reference=_map,
    cases=[
        _arrays(4, 3, 4, 5),
        _arrays(5, 2, 3, 2),
        (np.abs(_arrays(6, 3, 3, 2, count=1)[0]), -np.ones((3, 3, 2))),
    ],
    hidden_cases=[
        _arrays(7, 7, 7, 8),
        _SINGLE,
        (np.ones((2, 3, 1)), np.zeros((2, 3, 1))),
    ],
    mistakes=[
        (
            lambda a, g: _signed(a, g) / _signed(a, g).max(),
            "The ReLU is missing: what speaks against the class must be zero.",
        ),
        (
            lambda a, g: _signed(a, g) / np.abs(_signed(a, g)).max(),
            "The ReLU is missing, and the map is divided by its maximum, not by its largest size.",
        ),
        (
            _shifted,
            "Do not shift the minimum to 0: cut at 0, where evidence turns against the class.",
        ),
        (
            lambda a, g: np.abs(_signed(a, g)) / np.abs(_signed(a, g)).max(),
            "Evidence against the class is not evidence for it: ReLU, not the absolute value.",
        ),
        (
            lambda a, g: _signed(a, g).clip(min=0),
            "Divide by the maximum, if it is positive.",
        ),
        (
            lambda a, g: _divided((np.maximum(_weights(g), 0) * a).sum(-1).clip(min=0)),
            "ReLU belongs to the sum, not to the weights: channels that speak against must count.",
        ),
        (
            lambda a, g: _divided((_weights(g) * np.maximum(a, 0)).sum(-1).clip(min=0)),
            "ReLU belongs to the sum, not to the features, which may be negative.",
        ),
        (
            lambda a, g: _divided((a * g).sum(-1).clip(min=0)),
            "This is HiResCAM: the mean of the gradient over the positions is missing.",
        ),
        (
            lambda a, g: _divided((a.mean((0, 1)) * g).sum(-1).clip(min=0)),
            "Features and gradients are swapped: the mean of the gradients weights the features.",
        ),
        (
            lambda a, g: _divided((a * g.mean(axis=-1, keepdims=True)).sum(-1).clip(min=0)),
            "The mean goes over the positions, so that each channel has one weight.",
        ),
    ],
)


# 11.3 the gradient of the score of a small head


def _score_gradient(features, kernel, label):
    step = np.zeros(features.size)
    gradient = []
    for n in range(features.size):  # the head is linear: a step of 1 gives the slope
        step[n] = 1
        gradient.append((step.reshape(features.shape).mean(axis=(0, 1)) @ kernel)[label])
        step[n] = 0
    return np.reshape(gradient, features.shape)


def _softmax(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def _probability_gradient(features, kernel, label):
    p = _softmax(features.mean(axis=(0, 1)) @ kernel)
    slope = p[label] * (kernel[:, label] - kernel @ p)
    return np.broadcast_to(slope / np.prod(features.shape[:2]), features.shape)


def _log_probability_gradient(features, kernel, label):
    p = _softmax(features.mean(axis=(0, 1)) @ kernel)
    return _probability_gradient(features, kernel, label) / p[label]


def _head(seed, size, channels, classes, label):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*size, channels)), rng.normal(size=(channels, classes)), label


_GRADIENT = Exercise(
    reference=_score_gradient,
    cases=[_head(8, (2, 3), 4, 3, 1), _head(9, (3, 3), 2, 2, 0)],
    hidden_cases=[_head(10, (4, 1), 3, 5, 4), _head(11, (7, 7), 3, 3, 2)],
    mistakes=[
        (
            _probability_gradient,
            "This is the gradient of the probability: take the score before the softmax.",
        ),
        (
            _log_probability_gradient,
            "This is the gradient of the log of the probability: take the score itself.",
        ),
        (
            lambda a, w, t: np.broadcast_to(w[:, t], a.shape),
            "The pooling takes a mean: a single number counts 1 / (height * width).",
        ),
        (
            lambda a, w, t: np.broadcast_to(w[:, t] / a.size, a.shape),
            "The mean goes over the positions of one channel, not over all numbers.",
        ),
        (
            lambda a, w, t: np.broadcast_to(w.sum(1) / np.prod(a.shape[:2]), a.shape),
            "This is the gradient of the sum of all scores: choose the class.",
        ),
        (
            lambda a, w, t: a * w[:, t] / np.prod(a.shape[:2]),
            "The gradient of a linear head does not depend on the features.",
        ),
        (
            lambda a, w, t: w[:, t] / np.prod(a.shape[:2]),
            "One number for each channel: the gradient has the shape of the features.",
        ),
    ],
)


# 11.4 after the softmax


def _probability_weights(features, gradients, scores, label):
    """Weights from the gradient of the probability, by the chain rule over all scores."""
    p = _softmax(scores)
    jacobian = np.diag(p) - np.outer(p, p)
    each = gradients.mean(axis=(1, 2))  # (classes, channels)
    return jacobian[label] @ each


def _all_gradients(seed, size, channels, classes, label):
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(classes, *size, channels))
    return rng.normal(size=(*size, channels)), gradients, rng.normal(size=classes), label


_SATURATED = Exercise(
    reference=_probability_weights,
    cases=[_all_gradients(12, (2, 3), 4, 3, 1), _all_gradients(13, (3, 3), 2, 2, 0)],
    hidden_cases=[_all_gradients(14, (4, 2), 3, 5, 4), _all_gradients(15, (1, 1), 2, 4, 2)],
    mistakes=[
        (
            lambda a, g, s, t: g[t].mean(axis=(0, 1)),
            "These are the weights from the score: the softmax still has to come in.",
        ),
        (
            lambda a, g, s, t: _softmax(s)[t] * g[t].mean(axis=(0, 1)),
            "The other scores enter too: subtract the mean of all gradients, weighted by p.",
        ),
        (
            lambda a, g, s, t: (
                g[t].mean(axis=(0, 1)) - np.tensordot(_softmax(s), g.mean(axis=(1, 2)), 1)
            ),
            "This is for the log of the probability: the factor p of the class is missing.",
        ),
        (
            lambda a, g, s, t: _softmax(s)[t] * (1 - _softmax(s)[t]) * g[t].mean(axis=(0, 1)),
            "p (1 - p) is the slope along the class's own score only: the rivals are missing.",
        ),
        (
            lambda a, g, s, t: _softmax(s)[t] * (g[t].mean(axis=(0, 1)) - g.mean(axis=(0, 1, 2))),
            "The rivals count by their probabilities, not all alike.",
        ),
    ],
)


# 11.5 resize with half-pixel centres


def _interpolated(values, new):
    """Resize along the first axis: every new centre between two old ones."""
    old = len(values)
    rows = []
    for i in range(new):
        place = min(max((i + 0.5) * old / new - 0.5, 0.0), old - 1.0)
        low = min(int(place), max(old - 2, 0))
        part = place - low
        rows.append((1 - part) * values[low] + part * values[min(low + 1, old - 1)])
    return np.array(rows)


def _resized(small, size):
    return _interpolated(_interpolated(np.asarray(small), size[0]).T, size[1]).T


def _by_corners(small, size):
    small = np.asarray(small)
    for axis in (0, 1):
        places = np.linspace(0, small.shape[axis] - 1, size[axis])
        small = _sampled(small, places, axis)
    return small


def _from_zero(small, size):
    small = np.asarray(small)
    for axis in (0, 1):
        places = np.arange(size[axis]) * small.shape[axis] / size[axis]
        small = _sampled(small, places, axis)
    return small


def _sampled(values, places, axis):
    grid = np.arange(values.shape[axis])
    return np.apply_along_axis(lambda line: np.interp(places, grid, line), axis, values)


def _nearest(small, size):
    small = np.asarray(small)
    rows = np.arange(size[0]) * small.shape[0] // size[0]
    columns = np.arange(size[1]) * small.shape[1] // size[1]
    return small[rows][:, columns]


_RESIZE = Exercise(
    reference=_resized,
    cases=[
        (np.array([[0.0, 1.0], [1.0, 0.0]]), (4, 6)),
        (_arrays(16, 3, 5, count=1)[0], (7, 10)),
        (_arrays(17, 4, 1, count=1)[0], (8, 3)),
    ],
    hidden_cases=[(_arrays(18, 7, 7, count=1)[0], (32, 20)), (np.array([[2.0]]), (3, 2))],
    mistakes=[
        (
            _by_corners,
            "This matches the corner pixels' centres; match areas: (i + 0.5) * old / new - 0.5.",
        ),
        (
            _from_zero,
            "The halves are missing: the centre of pixel i lies at i + 0.5, in both maps.",
        ),
        (_nearest, "This repeats the nearest cell: interpolate linearly between two."),
        (
            lambda m, size: _resized(m, (size[1], size[0])),
            "Height and width are swapped: size is (rows, columns).",
        ),
        (
            lambda m, size: _resized(m, size).T,
            "The map is transposed: rows first.",
        ),
    ],
)


# 11.6 evidence that adds up: CAM


def _cam(features, kernel, bias, label):
    score = features.mean(axis=(0, 1)) @ kernel[:, label] + bias[label]
    evidence = np.einsum("ijk,k->ij", features, kernel[:, label])
    return evidence / evidence.size, score


def _cam_case(seed, size, channels, classes, label):
    rng = np.random.default_rng(seed)
    features, kernel = rng.normal(size=(*size, channels)), rng.normal(size=(channels, classes))
    return features, kernel, rng.normal(size=classes), label


_CAM = Exercise(
    reference=_cam,
    cases=[_cam_case(19, (2, 3), 4, 3, 1), _cam_case(20, (3, 3), 3, 3, 0)],
    hidden_cases=[_cam_case(21, (7, 7), 5, 4, 3), _cam_case(22, (1, 2), 2, 2, 1)],
    mistakes=[
        (
            lambda a, w, b, t: (a @ w[:, t], a.mean((0, 1)) @ w[:, t] + b[t]),
            "The evidence must add up to score - bias: divide by the number of positions.",
        ),
        (
            lambda a, w, b, t: (_cam(a, w, b, t)[0], a.mean((0, 1)) @ w[:, t]),
            "The bias is missing in the score.",
        ),
        (
            lambda a, w, b, t: (
                np.maximum(_cam(a, w, b, t)[0], 0),
                _cam(a, w, b, t)[1],
            ),
            "No ReLU here: negative evidence is needed for the sum.",
        ),
        (
            lambda a, w, b, t: (_cam(a, w, b, t)[0] + b[t] / a[..., 0].size, _cam(a, w, b, t)[1]),
            "The bias belongs to no position: leave it out of the evidence.",
        ),
        (
            lambda a, w, b, t: (
                a @ w[t] / a[..., 0].size,
                _cam(a, w, b, t)[1],
            ),
            "kernel is (channels, classes): the class is its second axis.",
        ),
    ],
)


# 11.7 the pointing game


def _points_in(maps, masks):
    hits = []
    for heat, mask in zip(maps, masks, strict=True):
        row, column = divmod(int(np.argmax(heat)), heat.shape[1])
        hits.append(bool(mask[row, column]) and heat.max() > 0)
    return np.mean(hits)


def _pointing_case(seed, count, height, width):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, height, width)) < 0.4
    maps = rng.random((count, height, width))
    maps[0] = 0
    masks[0] = True
    return maps, masks


_POINTING = Exercise(
    reference=_points_in,
    cases=[_pointing_case(23, 12, 4, 7), _pointing_case(24, 9, 6, 5)],
    hidden_cases=[_pointing_case(25, 30, 7, 3), _pointing_case(26, 11, 5, 5)],
    mistakes=[
        (
            lambda maps, masks: np.mean(
                [k.ravel()[np.argmax(m)] for m, k in zip(maps, masks, strict=True)]
            ),
            "A map of zeros points nowhere: that is no hit.",
        ),
        (
            lambda maps, masks: (maps * masks).sum() / maps.sum(),
            "This is the share of the maps inside the masks; ask where each maximum lies.",
        ),
        (
            lambda maps, masks: np.mean(
                [
                    k[m.max(1).argmax() % k.shape[0], m.max(1).argmax() % k.shape[1]]
                    for m, k in zip(maps, masks, strict=True)
                ]
            ),
            "The column is missing: the maximum has a row and a column.",
        ),
        (
            lambda maps, masks: np.mean(
                [m[k].mean() > m[~k].mean() for m, k in zip(maps, masks, strict=True)]
            ),
            "This compares means; the pointing game looks at the maximum alone.",
        ),
        (
            lambda maps, masks: masks.mean(),
            "This is the area of the masks, which is what a random map would score.",
        ),
    ],
)


# 11.8 the rank correlation of two maps


def _ranks(values):
    """Return the number of smaller values for each value."""
    flat = np.ravel(values)
    return (flat[:, np.newaxis] > flat).sum(axis=1)


def _rank_correlation(one, other):
    a, b = _ranks(one), _ranks(other)
    n = len(a)
    return 1 - 6 * ((a - b) ** 2).sum() / (n * (n**2 - 1))


_RANKS = Exercise(
    reference=_rank_correlation,
    cases=[
        _arrays(27, 3, 4),
        (np.exp(3 * _arrays(28, 4, 4, count=1)[0]), _arrays(28, 4, 4, count=1)[0]),
        (_arrays(29, 2, 5, count=1)[0], -(_arrays(29, 2, 5, count=1)[0] ** 3)),
    ],
    hidden_cases=[_arrays(30, 7, 7), (np.arange(6.0).reshape(2, 3), -np.arange(6.0).reshape(2, 3))],
    mistakes=[
        (
            lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1],
            "This is the correlation of the values: replace every value by its rank first.",
        ),
        (
            lambda a, b: np.corrcoef(np.argsort(a.ravel()), np.argsort(b.ravel()))[0, 1],
            "argsort says which cell comes next, not each cell's rank: apply it twice.",
        ),
        (
            lambda a, b: abs(_rank_correlation(a, b)),
            "Keep the sign: opposite orders give -1.",
        ),
        (
            lambda a, b: np.mean(_ranks(a) == _ranks(b)),
            "This counts equal ranks; the correlation also sees ranks that are near.",
        ),
    ],
)


# 11.9 a region against control places


def _as_harmful(whole, covered, controls, worse=lambda fall, mine: fall >= mine):
    return np.array(
        [
            sum(worse(w - c, w - mine) for c in row) / len(row)
            for w, mine, row in zip(whole, covered, controls, strict=True)
        ]
    )


def _covers(pictures, places):
    """Scores in whole numbers, so that ties occur; for the last picture covering helps."""
    whole = _COVER_RNG.integers(5, 12, pictures).astype(float)
    covered = whole - _COVER_RNG.integers(0, 4, pictures)
    covered[-1] = whole[-1] + 1
    controls = whole[:, np.newaxis] - _COVER_RNG.integers(-2, 4, (pictures, places))
    controls[:, 0] = covered
    return whole, covered, controls


_COVER_RNG = np.random.default_rng(119)
_AS_HARMFUL = Exercise(
    reference=_as_harmful,
    cases=[_covers(3, 5), _covers(2, 8), _covers(4, 4)],
    hidden_cases=[_covers(5, 10), _covers(3, 7)],
    mistakes=[
        (
            lambda w, c, k: _as_harmful(w, c, k, lambda fall, mine: fall > mine),
            "A control that does exactly as much harm counts too.",
        ),
        (
            lambda w, c, k: 1 - _as_harmful(w, c, k),
            "That is the share of places that do *less* harm.",
        ),
        (
            lambda w, c, k: _as_harmful(w, c, k, lambda fall, mine: fall <= mine),
            "The sign is turned: a fall is the whole picture's score minus the covered one's.",
        ),
        (
            lambda w, c, k: _as_harmful(w, c, k, lambda fall, mine: abs(fall) >= abs(mine)),
            "A gain is no fall: covering may help, so keep the sign.",
        ),
        (
            lambda w, c, k: np.mean(_as_harmful(w, c, k)),
            "One share for each picture: average over the places only.",
        ),
    ],
)


EXERCISES = {
    "11.1": _WEIGHTS,
    "11.2": _MAP,
    "11.3": _GRADIENT,
    "11.4": _SATURATED,
    "11.5": _RESIZE,
    "11.6": _CAM,
    "11.7": _POINTING,
    "11.8": _RANKS,
    "11.9": _AS_HARMFUL,
}
