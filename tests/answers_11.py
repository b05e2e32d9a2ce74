"""Answers to the exercises of chapter 11: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def weights(g):
    return np.einsum("ijk->k", g) / (g.shape[0] * g.shape[1])


def signed(a, g):
    return a @ weights(g)


def scaled(e):
    e = np.where(e > 0, e, 0)
    return e / (e.max() or 1)


def grad_cam_map(a, g):
    return scaled(signed(a, g))


def gradient(a, w, t):
    return np.ones(a.shape[:2])[..., None] * w[:, t] / len(a[..., 0].ravel())


def softmax(s):
    return np.exp(s) / np.exp(s).sum()


def probability_weights(a, g, s, t):
    p = softmax(s)
    means = np.array([weights(one) for one in g])
    return p[t] * (means[t] - p @ means)


def matrix(old, new):
    places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(old)), 0)


def resize(m, size):
    return matrix(m.shape[0], size[0]) @ m @ matrix(m.shape[1], size[1]).T


def corners(m, size):
    rows = np.linspace(0, m.shape[0] - 1, size[0])
    columns = np.linspace(0, m.shape[1] - 1, size[1])
    m = np.array([np.interp(rows, np.arange(m.shape[0]), line) for line in m.T]).T
    return np.array([np.interp(columns, np.arange(m.shape[1]), line) for line in m])


def evidence(a, w, b, t):
    e = (a * w[:, t]).sum(-1) / np.prod(a.shape[:2])
    return [e, e.sum() + b[t]]


def pointing(maps, masks):
    peaks = maps == maps.max(axis=(1, 2), keepdims=True)
    return ((peaks & masks).any(axis=(1, 2)) & (maps.max(axis=(1, 2)) > 0)).mean()


def ranks(m):
    order = np.argsort(m.ravel())
    result = np.empty(len(order))
    result[order] = np.arange(len(order))
    return result


def rank_correlation(a, b):
    return np.corrcoef(ranks(a), ranks(b))[0, 1]


RIGHT = {
    "11.1": weights, "11.2": grad_cam_map, "11.3": gradient, "11.4": probability_weights,
    "11.5": resize, "11.6": evidence, "11.7": pointing, "11.8": rank_correlation,
    "11.9": lambda w, c, k: (k <= c[:, None]).sum(1) / k.shape[1],
}  # fmt: skip


def log_gradient(a, w, t):
    p = softmax(a.mean((0, 1)) @ w)
    return np.broadcast_to((w[:, t] - w @ p) / a[..., 0].size, a.shape)


WRONG = [
    ("11.1", lambda g: g.mean(axis=2), "mean over the channels"),
    ("11.1", lambda g: g.mean(axis=0), "Only one of the two"),
    ("11.1", lambda g: g.sum(axis=(0, 1)), "divide by their number"),
    ("11.1", lambda g: np.maximum(g, 0).mean((0, 1)), "No ReLU here"),
    ("11.1", lambda g: np.zeros(g.shape[2]), "Expected"),
    ("11.2", lambda a, g: signed(a, g) / signed(a, g).max(), "ReLU is missing"),
    ("11.2", lambda a, g: scaled(np.abs(signed(a, g))), "not the absolute value"),
    ("11.2", lambda a, g: np.maximum(signed(a, g), 0), "Divide by the maximum"),
    ("11.2", lambda a, g: scaled((a * g).sum(-1)), "HiResCAM"),
    ("11.2", lambda a, g: scaled(a @ np.maximum(weights(g), 0)), "not to the weights"),
    ("11.2", lambda a, g: scaled(g @ weights(a)), "swapped"),
    ("11.2", lambda a, g: scaled((a * g.mean(-1)[..., None]).sum(-1)), "over the positions"),
    ("11.2", lambda a, g: np.zeros(a.shape[:2]), "Expected"),
    ("11.3", lambda a, w, t: np.broadcast_to(w[:, t], a.shape), "takes a mean"),
    (
        "11.3",
        lambda a, w, t: log_gradient(a, w, t) * softmax(a.mean((0, 1)) @ w)[t],
        "gradient of the probability",
    ),
    ("11.3", log_gradient, "log of the probability"),
    ("11.3", lambda a, w, t: w[:, t] / a[..., 0].size, "shape of the features"),
    ("11.3", lambda a, w, t: np.zeros(a.shape), "Expected"),
    ("11.4", lambda a, g, s, t: weights(g[t]), "weights from the score"),
    ("11.4", lambda a, g, s, t: softmax(s)[t] * weights(g[t]), "other scores enter"),
    (
        "11.4",
        lambda a, g, s, t: probability_weights(a, g, s, t) / softmax(s)[t],
        "factor p of the class",
    ),
    (
        "11.4",
        lambda a, g, s, t: softmax(s)[t] * (1 - softmax(s)[t]) * weights(g[t]),
        "the rivals are missing",
    ),
    ("11.4", lambda a, g, s, t: np.zeros(a.shape[-1]), "Expected"),
    ("11.5", corners, "corner pixels"),
    (
        "11.5",
        lambda m, size: m[np.arange(size[0]) * m.shape[0] // size[0]][
            :, np.arange(size[1]) * m.shape[1] // size[1]
        ],
        "nearest cell",
    ),
    ("11.5", lambda m, size: resize(m, size[::-1]), "swapped"),
    ("11.5", lambda m, size: np.zeros(size), "Expected"),
    ("11.6", lambda a, w, b, t: (a @ w[:, t], evidence(a, w, b, t)[1]), "divide by the number"),
    ("11.6", lambda a, w, b, t: (evidence(a, w, b, t)[0], a.mean((0, 1)) @ w[:, t]), "bias is"),
    (
        "11.6",
        lambda a, w, b, t: (np.maximum(evidence(a, w, b, t)[0], 0), evidence(a, w, b, t)[1]),
        "No ReLU",
    ),
    ("11.6", lambda a, w, b, t: (np.zeros(a.shape[:2]), 0.0), "Expected"),
    ("11.7", lambda m, k: (m * k).sum() / m.sum(), "share of the maps"),
    (
        "11.7",
        lambda m, k: np.mean([b.ravel()[a.argmax()] for a, b in zip(m, k, strict=True)]),
        "points nowhere",
    ),
    ("11.7", lambda m, k: k.mean(), "area of the masks"),
    ("11.7", lambda m, k: 0.0, "Not right yet"),
    ("11.8", lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1], "by its rank"),
    (
        "11.8",
        lambda a, b: np.corrcoef(a.ravel().argsort(), b.ravel().argsort())[0, 1],
        "apply it twice",
    ),
    ("11.8", lambda a, b: abs(rank_correlation(a, b)), "Keep the sign"),
    ("11.8", lambda a, b: 0.0, "Not right yet"),
    ("11.9", lambda w, c, k: (k < c[:, None]).mean(1), "exactly as much"),
    ("11.9", lambda w, c, k: (k > c[:, None]).mean(1), "less* harm"),
    ("11.9", lambda w, c, k: (k >= c[:, None]).mean(1), "sign is turned"),
    ("11.9", lambda w, c, k: (abs(w[:, None] - k) >= abs(w - c)[:, None]).mean(1), "no fall"),
    ("11.9", lambda w, c, k: (k <= c[:, None]).mean(), "each picture"),
    ("11.9", lambda w, c, k: 2.0 + 0 * w, "Expected"),
]
NAMES = {
    "11.1": "channel_weights", "11.2": "grad_cam_map", "11.3": "score_gradient",
    "11.4": "probability_weights", "11.5": "resize", "11.6": "cam_evidence",
    "11.7": "pointing_game", "11.8": "rank_correlation",
    "11.9": "what_may_be_said",
}  # fmt: skip
