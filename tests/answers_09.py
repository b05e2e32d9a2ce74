"""Answers to the exercises of chapter 09: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import math

import numpy as np

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
BGR = np.array([103.939, 116.779, 123.68])


def preprocess(images, mode):
    scale, shift = {
        "tf": (np.full(3, 2 / 255), -np.ones(3)),
        "torch": (1 / (255 * STD), -MEAN / STD),
        "caffe": (np.ones(3), -BGR),
    }[mode]
    x = images[..., ::-1] if mode == "caffe" else images
    return x.astype(np.float32) * scale + shift


def first_k(probabilities, k):
    return [list(np.lexsort((np.arange(len(row)), -row))[:k]) for row in probabilities]


def trained(layers, first, head):
    total = head
    for number, (kind, weights) in enumerate(layers):
        total += weights * (number >= first) * (kind == "conv")
    return total


def split(corners, size, width):
    first, last = corners[:, 1], corners[:, 1] + size - 1
    return [np.nonzero(last < width // 2)[0], np.nonzero(first > width // 2 - 1)[0]]


def nearest_mean(features, labels, queries):
    """In the original units, with the distances weighted by the inverse variances."""
    weight = 1 / features.var(axis=0)
    gaps = [
        ((queries - features[labels == k].mean(0)) ** 2) @ weight for k in range(max(labels) + 1)
    ]
    return np.array(gaps).argmin(axis=0)


def flip_example(image, boxes):
    x0, y0, x1, y1 = boxes.T
    width = image.shape[1]
    return [image[:, np.arange(width)[::-1]], np.array([width - x1, y0, width - x0, y1]).T]


def passes(share, momentum):
    return math.ceil(round(math.log(1 - share, momentum), 9))


def head_step(features, labels, kernel, bias, rate, decay):
    """With the bias as one more row of the kernel."""
    x = np.hstack([features, np.ones((len(features), 1))])
    w = np.vstack([kernel, bias])
    p = np.exp(x @ w)
    p /= p.sum(axis=1, keepdims=True)
    target = np.eye(len(bias))[labels]
    slope = x.T @ (p - target) / len(x)
    slope[:-1] += decay * kernel
    return (w - rate * slope)[:-1], (w - rate * slope)[-1]


def choose_rate(rates, accuracy, frozen, before, after, index=None):
    bad = [i for i, a in enumerate(accuracy) if a < frozen]
    i = (bad[0] if bad else len(rates)) - 1 if index is None else index
    return [rates[i], (after[i] == before).sum() / before.size]


SELL = ["MIT", "BSD-3-Clause", "Apache-2.0"]


def usable(cards, commercial, keys=("preprocessing", "training_data"), licences=(), extra=()):
    """Strike out, one reason after the other."""
    fine = [*SELL, *extra] + ([] if commercial else ["CC-BY-NC-4.0", "research only"])
    left = dict(enumerate(cards))
    for licence in licences or ("code_licence", "weights_licence"):
        left = {k: card for k, card in left.items() if card.get(licence) in fine}
    for key in keys:
        left = {k: card for k, card in left.items() if card.get(key)}
    return np.array(list(left), dtype=int)


RIGHT = {
    "09.1": preprocess,
    "09.2": first_k,
    "09.3": trained,
    "09.4": split,
    "09.5": nearest_mean,
    "09.6": flip_example,
    "09.7": passes,
    "09.8": head_step,
    "09.9": choose_rate,
    "09.10": usable,
}


def one_mode(mode, slip):
    """Right in two modes, wrong in one."""
    return lambda x, asked: slip(x.astype(float)) if asked == mode else preprocess(x, asked)


def zeros_like_images(images, mode):
    return np.zeros(images.shape)


def own_statistics(features, labels, queries):
    moved = (queries - queries.mean(0)) / queries.std(0) * features.std(0) + features.mean(0)
    return nearest_mean(features, labels, moved)


def unscaled(features, labels, queries):
    spread = features.std(axis=0)
    return nearest_mean(features / spread, labels, queries / spread) if spread.max() < 0 else (
        np.array([((queries - features[labels == k].mean(0)) ** 2).sum(1)
                  for k in range(max(labels) + 1)]).argmin(0)
    )  # fmt: skip


def nearest_example(features, labels, queries):
    gaps = ((queries[:, None] - features) / features.std(0)) ** 2
    return labels[gaps.sum(-1).argmin(1)]


def unswapped(image, boxes):
    flipped = boxes.copy()
    flipped[:, [0, 2]] = image.shape[1] - boxes[:, [0, 2]]
    return image[:, ::-1], flipped


def summed(f, y, w, b, r, d):
    return head_step(f, y, w, b, r * len(y), d / len(y))


WRONG = [
    ("09.1", one_mode("tf", lambda x: x / 127.5), "subtract 1"),
    ("09.1", one_mode("tf", lambda x: x / 255), "0 to 1"),
    ("09.1", one_mode("caffe", lambda x: x - BGR), "still red"),
    ("09.1", one_mode("caffe", lambda x: (x - BGR)[..., ::-1]), "turn the colours around first"),
    ("09.1", one_mode("caffe", lambda x: (x[..., ::-1] - BGR) / 255), "does not divide"),
    ("09.1", one_mode("torch", lambda x: (x - MEAN) / STD), "divide by 255 first"),
    ("09.1", one_mode("torch", lambda x: x / 255 - MEAN), "deviation is missing"),
    ("09.1", zeros_like_images, "Expected"),
    ("09.2", lambda p, k: np.argsort(p, 1, kind="stable")[:, :k], "smallest"),
    ("09.2", lambda p, k: np.argsort(p, 1, kind="stable")[:, -k:], "largest must come first"),
    ("09.2", lambda p, k: np.argsort(p, 1, kind="stable")[:, ::-1][:, :k], "smaller number"),
    ("09.2", lambda p, k: np.sort(p, 1)[:, ::-1][:, :k], "numbers of the classes"),
    ("09.2", lambda p, k: np.zeros((len(p), k)), "Expected"),
    ("09.3", lambda a, f, h: h + sum(n for _, n in a[f:]), "normalizations stay frozen"),
    ("09.3", lambda a, f, h: trained(a, f, h) - h, "head is always"),
    ("09.3", lambda a, f, h: trained(a[:f], 0, h), "before `first`"),
    ("09.3", lambda a, f, h: trained(a, f + 1, h), "itself"),
    ("09.3", lambda a, f, h: 0, "Not right yet"),
    (
        "09.4",
        lambda c, s, w: (np.flatnonzero(c[:, 1] < w // 2), np.flatnonzero(c[:, 1] >= w // 2)),
        "may end on the right",
    ),
    (
        "09.4",
        lambda c, s, w: (np.flatnonzero(c[:, 1] + s < w // 2), np.flatnonzero(c[:, 1] > w // 2)),
        "may touch the middle",
    ),
    ("09.4", lambda c, s, w: split(c[:, ::-1], s, w), "between columns"),
    ("09.4", lambda c, s, w: split(c, s, w)[::-1], "in this order"),
    ("09.4", lambda c, s, w: [np.zeros(len(part)) for part in split(c, s, w)], "Expected"),
    ("09.5", own_statistics, "their own mean"),
    ("09.5", unscaled, "largest numbers"),
    ("09.5", nearest_example, "not with single"),
    ("09.5", lambda f, y, q: np.zeros(len(q)), "Expected"),
    ("09.6", lambda i, b: (i[:, ::-1], b), "frame something else"),
    ("09.6", lambda i, b: (i, flip_example(i, b)[1]), "the image did not"),
    ("09.6", unswapped, "swap them"),
    ("09.6", lambda i, b: (i[:, ::-1], flip_example(i, b)[1] - [1, 0, 1, 0]), "width - 1 - x"),
    ("09.6", lambda i, b: (i[::-1], b[:, [0, 3, 2, 1]] * [1, -1, 1, -1] + [0, len(i), 0, len(i)]),
     "top and bottom"),
    ("09.6", lambda i, b: (i[:, ::-1], flip_example(i.swapaxes(0, 1), b)[1]), "along the width"),
    ("09.6", lambda i, b: (0 * i, 0 * b), "Expected"),
    ("09.7", lambda s, m: passes(s, m) - (passes(s, m) != math.log(1 - s, m)), "Round up"),
    ("09.7", lambda s, m: math.ceil(round(math.log(s, m), 9)), "is *old*"),
    ("09.7", lambda s, m: math.ceil(round(s / (1 - m), 9)), "partly new"),
    ("09.7", lambda s, m: math.ceil(round(math.log(1 - s, 1 - m), 9)), "share that is kept"),
    ("09.7", lambda s, m: 0, "Not right yet"),
    ("09.8", lambda f, y, w, b, r, d: head_step(f, y, w, b, -r, d), "Up instead of down"),
    ("09.8", summed, "divide by their number"),
    ("09.8", lambda f, y, w, b, r, d: head_step(f, y, w, b, r, 0), "is missing"),
    ("09.8", lambda f, y, w, b, r, d: head_step(f, y, w, b, r, 2 * d), "has no 2"),
    ("09.8", lambda f, y, w, b, r, d: (head_step(f, y, w, b, r, d)[0], b), "bias has a gradient"),
    ("09.8", lambda f, y, w, b, r, d: (0 * w, 0 * b), "Expected"),
    ("09.9", lambda *case: choose_rate(*case, np.flatnonzero(case[1] >= case[2])[-1]), "by luck"),
    ("09.9", lambda r, a, f, b, c: choose_rate(r, a, f, b, c, a.argmax()), "best accuracy"),
    ("09.9", lambda *case: [choose_rate(*case)[0], 1 - choose_rate(*case)[1]], "forgotten"),
    ("09.9", lambda *case: [0, 0], "Expected"),
    ("09.10", lambda c, use: usable(c, use, licences=("code_licence",)), "does not cover"),
    ("09.10", lambda c, use: usable(c, use, licences=("weights_licence",)), "of its own"),
    ("09.10", lambda c, use: usable(c, use, extra=(None, "")), "nothing is allowed"),
    ("09.10", lambda c, use: usable(c, use, extra=("our own licence",)), "has read it"),
    ("09.10", lambda c, use: usable(c, use, keys=()), "not enough"),
    ("09.10", lambda c, use: usable(c, use, keys=("preprocessing",)), "training data stated"),
    ("09.10", lambda c, use: usable(c, False), "forbid"),
    ("09.10", lambda c, use: usable(c, True), "by more licences"),
    ("09.10", lambda c, use: np.arange(len(c)), "Expected"),
]  # fmt: skip
NAMES = {
    "09.1": "preprocess", "09.2": "first_k", "09.3": "trained", "09.4": "split",
    "09.5": "nearest_mean", "09.6": "flip_example", "09.7": "passes", "09.8": "head_step",
    "09.9": "choose_rate", "09.10": "usable",
}  # fmt: skip
