"""Answers to the exercises of chapter 14: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def confusion(truth, guess, classes, ignore):
    valid = truth != ignore
    pairs = truth[valid] * classes + guess[valid]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def mean_iou(c):
    c = c[(c.sum(0) + c.sum(1)) > 0][:, (c.sum(0) + c.sum(1)) > 0]
    return sum(c[k, k] / (c[k].sum() + c[:, k].sum() - c[k, k]) for k in range(len(c))) / len(c)


def trimap(instances):
    result = (instances > 0).astype(float)
    for i, j in np.argwhere(instances):
        near = instances[max(i - 1, 0) : i + 2, j].tolist()
        near += instances[i, max(j - 1, 0) : j + 2].tolist()
        result[i, j] += len(set(near)) > 1
    return result


def dice_loss(g, p, s):
    a, b = 2 * np.einsum("nij,nij->n", g, p), np.einsum("nij->n", g + p)
    return 1 - ((a + s) / (b + s)).mean()


def gradient(g, p, s):
    b = (g + p).sum() + s
    return (2 * (g * p).sum() + s) / b**2 - 2 * g / b


def run_lengths(mask):
    text = "".join(str(pixel) for column in mask.T for pixel in column)
    counts, value = [], "0"
    while text:
        rest = text.lstrip(value)
        counts.append(len(text) - len(rest))
        text, value = rest, "1" if value == "0" else "0"
    return np.array(counts)


def roi_align(grid, box, bins):
    x0, y0, x1, y1 = box
    steps = (2 * np.arange(bins) + 1) / (2 * bins)
    rows, columns = np.arange(grid.shape[0]) + 0.5, np.arange(grid.shape[1]) + 0.5
    lines = [np.interp(x0 + steps * (x1 - x0), columns, line) for line in grid]
    return np.transpose([np.interp(y0 + steps * (y1 - y0), rows, c) for c in np.transpose(lines)])


def quality(iou):
    fit, found = [], 0
    for row in iou:
        for value in row:
            if value > 0.5:
                fit.append(value)
                found += 1
    recognition = 2 * found / (iou.shape[0] + iou.shape[1])
    segmentation = sum(fit) / max(found, 1)
    return [segmentation * recognition, segmentation, recognition]


def unet_maps(side, filters, together=2, half=2, join=True):
    levels = [(side // half**k, f) for k, f in enumerate(filters)]
    up = []
    for s, f in reversed(levels[:-1]):
        up += ([(s, together * f)] if join else []) + [(s, f)]
    return levels + up


def band_accuracy(truth, prediction, mode="edge", of=None, inner=False):
    from scipy.ndimage import maximum_filter, minimum_filter

    of = truth if of is None else of
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    cross = np.ones((3, 3)) if mode == "corners" else cross
    spread = [f(of, footprint=cross, mode="nearest") for f in (maximum_filter, minimum_filter)]
    band = (spread[0] != spread[1]) & ((of == 1) | (not inner))
    right = truth == prediction
    return [right[band].mean(), right[~band].mean()]


def phases(kernel, stride, cured=True):
    padded = np.pad(kernel, (0, -len(kernel) % stride))
    board = padded.reshape(-1, stride).sum(0)
    return board.tolist(), [float(np.sum(kernel))] * stride if cured else board


RIGHT = {
    "14.1": confusion,
    "14.2": mean_iou,
    "14.3": trimap,
    "14.4": dice_loss,
    "14.5": gradient,
    "14.6": run_lengths,
    "14.7": roi_align,
    "14.8": quality,
    "14.9": unet_maps,
    "14.10": band_accuracy,
    "14.11": phases,
}


def per_class(c, empty):
    hits = np.diag(c)
    union = c.sum(0) + c.sum(1) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), empty).mean()


def quality_at(iou, pairs, segments):
    fit = np.mean(pairs) if len(pairs) else 0.0
    return np.sum(pairs) / segments, fit, len(pairs) / segments


WRONG = [
    ("14.1", lambda t, g, c, i: confusion(g * (t != i) + t * (t == i), t, c, i), "transposed"),
    ("14.1", lambda t, g, c, i: confusion(np.where(t == i, 0, t), g, c, i), "no background"),
    ("14.1", lambda t, g, c, i: confusion(t, g, c, i) * np.eye(c), "off the diagonal"),
    ("14.1", lambda t, g, c, i: confusion(t, g, c, i) / np.sum(t != i), "not shares"),
    ("14.1", lambda t, g, c, i: np.zeros((c, c)), "Expected"),
    ("14.2", lambda c: per_class(c, 0.0), "not count it as 0"),
    ("14.2", lambda c: per_class(c, 1.0), "not count it as 1"),
    ("14.2", lambda c: np.trace(c) / c.sum(), "pixel accuracy"),
    (
        "14.2",
        lambda c: np.mean([2 * c[k, k] / (c[k].sum() + c[:, k].sum()) for k in (0, len(c) - 1)]),
        "mean Dice",
    ),
    ("14.2", lambda c: 0.0, "Not right yet"),
    ("14.3", lambda m: trimap((m > 0).astype(int)), "between them"),
    ("14.3", lambda m: trimap(np.pad(m, 1))[1:-1, 1:-1], "no boundary"),
    ("14.3", lambda m: np.where(m == 0, 2 * (trimap(m + 1) == 2), trimap(m)), "stay 0"),
    ("14.3", lambda m: (m > 0).astype(int), "Expected"),
    ("14.3", lambda m: np.zeros(m.shape), "Expected"),
    (
        "14.4",
        lambda g, p, s: dice_loss(g.reshape(1, -1, 1), p.reshape(1, -1, 1), s),
        "drown",
    ),
    ("14.4", lambda g, p, s: 1 - dice_loss(g, p, s), "1 minus it"),
    ("14.4", lambda g, p, s: dice_loss(g, p, 1e-9), "smoothing is missing"),
    ("14.4", lambda g, p, s: 0.0, "Not right yet"),
    ("14.5", lambda g, p, s: -gradient(g, p, s), "sign"),
    ("14.5", lambda g, p, s: -2 * g / ((g + p).sum() + s), "rule for quotients"),
    ("14.5", lambda g, p, s: gradient(g, p, 0), "smoothing is missing"),
    ("14.5", lambda g, p, s: gradient(g, p, s) / g.size, "divided by the pixels"),
    ("14.5", lambda g, p, s: np.zeros(g.shape), "Expected"),
    ("14.6", lambda m: run_lengths(m.T), "reads columns"),
    ("14.6", lambda m: [n for n in run_lengths(m) if n], "first count"),
    ("14.6", lambda m: np.cumsum(run_lengths(m)), "between them"),
    ("14.6", lambda m: run_lengths(m)[1::2], "Runs outside"),
    ("14.6", lambda m: np.zeros(len(run_lengths(m))), "Expected"),
    ("14.7", lambda f, b, n: roi_align(f, np.add(b, 0.5), n), "Half a unit"),
    ("14.7", lambda f, b, n: roi_align(f, np.floor(np.add(b, 0.5)), n), "been rounded"),
    ("14.7", lambda f, b, n: roi_align(f, (b[1], b[0], b[3], b[2]), n), "x runs along"),
    ("14.7", lambda f, b, n: roi_align(f, b, n).T, "transposed"),
    ("14.7", lambda f, b, n: np.zeros((n, n)), "Expected"),
    ("14.8", lambda t: quality_at(t, t[t >= 0.5], sum(t.shape) / 2), "above one half"),
    (
        "14.8",
        lambda t: quality_at(t, t[t > 0.5], sum(t.shape) - np.sum(t > 0.5)),
        "half each",
    ),
    ("14.8", lambda t: quality_at(t, t[t > 0.5], t.shape[0]), "without a partner"),
    ("14.8", lambda t: [quality(t)[i] for i in (0, 2, 1)], "swapped"),
    ("14.8", lambda t: np.zeros(3), "Expected"),
    ("14.9", lambda side, f: unet_maps(side, f, together=1), "concatenated"),
    ("14.9", lambda side, f: unet_maps(side, f, join=False), "Two shapes"),
    ("14.9", lambda side, f: unet_maps(side, f, half=1), "halved"),
    ("14.9", lambda side, f: 0 * np.array(unet_maps(side, f)), "Expected"),
    ("14.10", lambda t, p: band_accuracy(t, p)[::-1], "First the band"),
    ("14.10", lambda t, p: band_accuracy(t, p, mode="corners"), "along an edge only"),
    ("14.10", lambda t, p: band_accuracy(t, p, inner=True), "both sides"),
    ("14.10", lambda t, p: band_accuracy(t, p, of=p), "judged"),
    ("14.10", lambda t, p: [0, 0], "Expected"),
    ("14.11", lambda k, s: phases(np.ones(len(k)), s), "covered"),
    ("14.11", lambda k, s: phases(k, s)[::-1], "swapped"),
    ("14.11", lambda k, s: phases(k[::-1], s), "reversed"),
    ("14.11", lambda k, s: phases(k, s, cured=False), "constant"),
    ("14.11", lambda k, s: (np.zeros(s), np.zeros(s)), "Expected"),
]
NAMES = {
    "14.1": "confusion", "14.2": "mean_iou", "14.3": "trimap", "14.4": "dice_loss",
    "14.5": "dice_gradient", "14.6": "run_lengths", "14.7": "roi_align", "14.8": "quality",
    "14.9": "unet_maps",
    "14.10": "band_accuracy",
    "14.11": "phases",
}  # fmt: skip
