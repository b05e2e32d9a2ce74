"""Answers to the exercises of chapter 13: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

from itertools import pairwise

import numpy as np

from cvlab.networks.yolo_loss import YoloLoss


def window_box(row, column, stride, window, scale):
    corner = np.array([column, row]) * stride
    return [*(corner / scale), *((corner + window) / scale)]


def predictions(size, stride, height, width):
    return np.floor_divide([height - size, width - size], stride) + 1


def slide_dense(feature_map, weights, bias, size):
    kernel = weights.reshape(*size, feature_map.shape[2], len(bias))
    rows, columns = (n - f + 1 for n, f in zip(feature_map.shape[:2], size, strict=True))
    out = np.zeros((rows, columns, len(bias))) + bias
    for u in range(size[0]):
        for v in range(size[1]):
            out += feature_map[u : u + rows, v : v + columns] @ kernel[u, v]
    return out


def suppress(overlap, scores, threshold, allowed=np.less_equal):
    alive, kept = np.ones(len(scores), bool), []
    while alive.any():
        best = int(np.argmax(np.where(alive, scores, -np.inf)))
        kept.append(best)
        alive &= allowed(overlap[best], threshold)
        alive[best] = False
    return kept


def encode(box, grid, size):
    box, sides = np.asarray(box, float), np.array(size[::-1])
    cells = np.array(grid[::-1])
    place = (box[:2] + box[2:]) / 2 / sides * cells
    cell = np.minimum(np.floor(place), cells - 1)
    return np.concatenate([cell[::-1], place - cell, np.sqrt((box[2:] - box[:2]) / sides)])


def decode(answer, size, threshold):
    rows, columns = answer.shape[:2]
    y, x = np.indices((rows, columns))
    x, y = (x + answer[..., 0]) * size[1] / columns, (y + answer[..., 1]) * size[0] / rows
    w, h = size[1] * answer[..., 2] ** 2, size[0] * answer[..., 3] ** 2
    score = answer[..., 4] * answer[..., 5:].max(axis=-1)
    label = answer[..., 5:].argmax(axis=-1)
    table = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2, score, label], axis=-1)
    return table[score > threshold]


def hits(overlap, scores, threshold):
    free, hit = set(range(overlap.shape[1])), [False] * len(scores)
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        best = max(free, key=lambda j: overlap[i, j], default=None)
        if best is not None and overlap[i, best] >= threshold:
            hit[i] = True
            free.remove(best)
    return hit


def average_precision(hit, scores, objects):
    order = sorted(range(len(hit)), key=lambda i: -scores[i])
    found = [sum(hit[i] for i in order[: k + 1]) for k in range(len(order))]
    precision = [f / (k + 1) for k, f in enumerate(found)]
    steps = [k for k in range(len(order)) if hit[order[k]]]
    return sum(max(precision[k:]) for k in steps) / objects


def switches(history):
    found = [i for i in history if i != -1]
    return sum(a != b for a, b in pairwise(found))


def grid_loss(target, logits):
    return float(YoloLoss(dtype="float64")(target[None], logits[None]))


def causes(overlap, detected, true, hit, order=(0, 1, 2, 3), skip=True):
    counts = [0] * 5
    for row, label, right in zip(overlap, detected, hit, strict=True):
        rules = [
            any(v >= 0.5 and t == label for v, t in zip(row, true, strict=True)),
            any(v >= 0.5 and t != label for v, t in zip(row, true, strict=True)),
            any(v >= 0.1 and t == label for v, t in zip(row, true, strict=True)),
            any(v >= 0.1 and t != label for v, t in zip(row, true, strict=True)),
        ]
        if not (right and skip):
            counts[next((c for c in order if rules[c]), 4)] += 1
    return counts


RIGHT = {
    "13.1": window_box,
    "13.2": predictions,
    "13.3": slide_dense,
    "13.4": suppress,
    "13.5": encode,
    "13.6": decode,
    "13.7": grid_loss,
    "13.8": hits,
    "13.9": average_precision,
    "13.10": switches,
    "13.11": causes,
}


def by_everyone(overlap, scores, threshold):
    """A suppressed box suppresses too."""
    order = np.argsort(-scores)
    better = np.triu(overlap[np.ix_(order, order)], 1)
    return order[~(better > threshold).any(axis=0)]


def without(part, factor):
    """Return the loss with one weight changed."""

    def loss(target, logits):
        weights = {"box_weight": 5.0, "absent_weight": 0.5} | {part: factor}
        return float(YoloLoss(**weights, dtype="float64")(target[None], logits[None]))

    return loss


def voc(overlap, scores, threshold):
    taken, hit = set(), np.zeros(len(scores), bool)
    for i in np.argsort(-scores):
        best = int(overlap[i].argmax())
        if overlap[i, best] >= threshold and best not in taken:
            hit[i] = True
            taken.add(best)
    return hit


def raw(hit, scores, objects):
    hit = np.asarray(hit)[np.argsort(-np.asarray(scores))]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return precision[hit == 1].sum() / objects


WRONG = [
    ("13.1", lambda r, c, s, w, k: window_box(c, r, s, w, k), "are swapped"),
    ("13.1", lambda r, c, s, w, k: window_box(r, c, s, w, 1), "scale is missing"),
    ("13.1", lambda r, c, s, w, k: np.array(window_box(r, c, s, w, k)) * k * k, "divide by"),
    ("13.1", lambda r, c, s, w, k: window_box(r, c, 1, w, k), "a stride apart"),
    (
        "13.1",
        lambda r, c, s, w, k: [c * s / k, r * s / k, c * s / k + w, r * s / k + w],
        "divide its side",
    ),
    ("13.1", lambda r, c, s, w, k: np.zeros(4), "Expected"),
    ("13.2", lambda n, s, h, w: ((h - n) // s, (w - n) // s), "first place counts"),
    ("13.2", lambda n, s, h, w: (h // n, w // n), "windows overlap"),
    ("13.2", lambda n, s, h, w: (h // s, w // s), "take its size off"),
    ("13.2", lambda n, s, h, w: (0, 0), "Expected"),
    ("13.3", lambda x, w, b, size: slide_dense(x, w, 0 * b, size), "bias is missing"),
    ("13.3", lambda x, w, b, size: slide_dense(x, w, b, size[::-1]), "Expected shape"),
    (
        "13.3",
        lambda x, w, b, size: slide_dense(
            x,
            np.moveaxis(w.reshape(x.shape[2], *size, -1), 0, 2).reshape(w.shape),
            b,
            size,
        ),
        "Channels come last",
    ),
    (
        "13.3",
        lambda x, w, b, size: slide_dense(
            x, w.reshape(*size, x.shape[2], -1)[::-1, ::-1].reshape(w.shape), b, size
        ),
        "flipped",
    ),
    ("13.3", lambda x, w, b, size: 0 * slide_dense(x, w, b, size), "Expected"),
    ("13.4", by_everyone, "fallen suppresses nobody"),
    ("13.4", lambda o, s, t: suppress(o, s, t, np.less), "At the threshold itself"),
    ("13.4", lambda b, s, t: sorted(suppress(b, s, t)), "another order"),
    ("13.4", lambda b, s, t: suppress(b, -s, t), "worst box came first"),
    ("13.4", lambda b, s, t: np.argsort(-s), "Nothing was suppressed"),
    ("13.4", lambda b, s, t: [0], "Expected"),
    ("13.5", lambda b, g, s: encode(b, g, s)[[1, 0, 2, 3, 4, 5]], "swapped"),
    ("13.5", lambda b, g, s: encode(b, g, s) ** [1, 1, 1, 1, 2, 2], "square roots"),
    (
        "13.5",
        lambda b, g, s: [
            *encode(b, g, s)[:2],
            (b[0] + b[2]) / 2 / s[1],
            (b[1] + b[3]) / 2 / s[0],
            *encode(b, g, s)[4:],
        ],
        "inside the cell",
    ),
    ("13.5", lambda b, g, s: np.zeros(6), "Expected"),
    (
        "13.6",
        lambda a, s, t: decode(a ** np.r_[1, 1, 0.5, 0.5, np.ones(a.shape[2] - 4)], s, t),
        "square them",
    ),
    (
        "13.6",
        lambda a, s, t: np.column_stack(
            [decode(a, s, 0)[:, :4], a[..., 4].ravel(), decode(a, s, 0)[:, 5]]
        )[a[..., 4].ravel() > t],
        "objectness *times*",
    ),
    ("13.6", lambda a, s, t: decode(a, s, t)[:, :4], "Expected shape"),
    ("13.6", lambda a, s, t: 0 * decode(a, s, t), "Expected"),
    ("13.7", without("box_weight", 1.0), "weight of the boxes"),
    ("13.7", without("absent_weight", 1.0), "weight of the empty"),
    ("13.7", without("absent_weight", 0.0), "must learn to say no"),
    ("13.7", lambda t, z: grid_loss(t, z) / t[..., 0].size, "mean over cells"),
    ("13.7", lambda t, z: 0.0, "Not right yet"),
    ("13.8", voc, "VOC's rule"),
    ("13.8", lambda o, s, t: o.max(axis=1) >= t, "found once"),
    ("13.8", lambda o, s, t: hits(o, -s, t), "worst detection"),
    ("13.8", lambda o, s, t: np.zeros(len(o), bool), "Expected"),
    ("13.9", raw, "Interpolate first"),
    ("13.9", lambda h, s, n: average_precision(h, range(0, -len(h), -1), n), "Sort by"),
    ("13.9", lambda h, s, n: average_precision(h, s, max(1, sum(h))), "share of all objects"),
    ("13.9", lambda h, s, n: sum(h) / len(h), "one point of the curve"),
    ("13.9", lambda h, s, n: 0.0, "Not right yet"),
    ("13.10", lambda h: np.count_nonzero(np.diff(h)), "found again, is no switch"),
    ("13.10", lambda h: len(set(h) - {-1}) - 1, "comes back"),
    ("13.10", lambda h: switches(h) + 1, "first identity"),
    (
        "13.10",
        lambda h: sum(a != b and a >= 0 and b >= 0 for a, b in pairwise(h)),
        "wash a switch away",
    ),
    ("13.10", lambda h: -1, "Not right yet"),
    ("13.11", lambda *case: causes(*case, skip=False), "leave the hits out"),
    ("13.11", lambda *case: causes(*case, order=(0, 2, 1, 3)), "first rule"),
    ("13.11", lambda *case: causes(*case, order=(1, 0, 3, 2)), "own class first"),
    ("13.11", lambda *case: [0] * 5, "Expected"),
]
NAMES = {
    "13.1": "window_box", "13.2": "predictions", "13.3": "slide_dense", "13.4": "suppress",
    "13.5": "encode", "13.6": "decode", "13.7": "grid_loss", "13.8": "hits",
    "13.9": "average_precision", "13.10": "switches",
    "13.11": "causes",
}  # fmt: skip
