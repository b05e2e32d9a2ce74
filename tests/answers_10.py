"""Answers to the exercises of chapter 10: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def picture(k):
    return (k / np.max(np.abs(k)) + 1) / 2


def share(k):
    grey = np.stack([k.mean(-1)] * 3, axis=-1)
    return np.linalg.norm(grey) ** 2 / np.linalg.norm(k) ** 2


def strongest(maps, count):
    flat = maps.reshape(len(maps), -1)
    places = flat.argmax(1)
    order = np.argsort(flat.max(1))[::-1][:count]
    return [(n, places[n] // maps.shape[2], places[n] % maps.shape[2]) for n in order]


def crop(image, unit, size, jump, start):
    padded = np.full((image.shape[0] + 2 * size, image.shape[1] + 2 * size, 3), np.nan)
    padded[size:-size, size:-size] = image
    top, left = (size + start + u * jump for u in unit)
    part = padded[top : top + size, left : left + size, 0]
    rows = np.flatnonzero(~np.isnan(part).all(axis=1))
    columns = np.flatnonzero(~np.isnan(part).all(axis=0))
    return image[
        top - size + rows[0] : top - size + rows[-1] + 1,
        left - size + columns[0] : left - size + columns[-1] + 1,
    ]


def unclipped(image, unit, size, jump, start):
    top, left = start + unit[0] * jump, start + unit[1] * jump
    return image[top : top + size, left : left + size]


def occlusion(score, image, window, stride, fill):
    def drop(top, left):
        covered = image.copy()
        covered[top : top + window, left : left + window] = fill
        return score(image) - score(covered)

    tops = range(0, image.shape[0] - window + 1, stride)
    lefts = range(0, image.shape[1] - window + 1, stride)
    return [[drop(top, left) for left in lefts] for top in tops]


def covered_for_good(score, image, window, stride, fill):
    before, result = score(image), []
    for top in range(0, image.shape[0] - window + 1, stride):
        result.append([])
        for left in range(0, image.shape[1] - window + 1, stride):
            image[top : top + window, left : left + window] = fill
            result[-1].append(before - score(image))
    return result


def cosine(f):
    lengths = np.sqrt((f**2).sum(1))
    return f @ f.T / np.outer(lengths, lengths)


def nearest(f):
    return (cosine(f) - 9 * np.eye(len(f))).argmax(1)


def lists(p, k, first=1):
    return np.argsort(((p[:, None] - p) ** 2).sum(-1), axis=1)[:, first : first + k]


def kept(f, z, k, first=1):
    a, b = lists(f, k, first), lists(z, k, first)
    return np.mean((a[:, :, None] == b[:, None, :]).any(2))


def step(x, g, s, low, high):
    size = np.mean(g**2) ** 0.5
    return np.clip(x + s * g / (size or 1), low, high)


def how_far(f, g, power=2, root=True, pairs=None):
    def size(d):
        total = (np.abs(d) ** power).sum(-1)
        return total ** (1 / power) if root else total

    apart = size(f[:, None] - f[None])
    upper = apart[np.triu_indices(len(f), 1)] if pairs is None else apart
    return size(f - g).mean() / upper.mean()


def likeness(maps, size=np.abs, k=1, keep=False):
    living = maps if keep else maps[:, np.ptp(maps, axis=0) > 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        table = np.nan_to_num(size(np.corrcoef(living.T)))
    off = ~np.eye(len(table), dtype=bool)
    return table[off].mean() if k else table.mean()


def against(trained, controls, **options):
    mine = likeness(trained, **options)
    return mine, int(np.sum([likeness(maps, **options) > mine for maps in controls]))


RIGHT = {
    "10.1": picture,
    "10.2": share,
    "10.3": strongest,
    "10.4": crop,
    "10.5": occlusion,
    "10.6": nearest,
    "10.7": kept,
    "10.8": step,
    "10.9": how_far,
    "10.10": against,
}
WRONG = [
    ("10.1", lambda k: (k - k.min()) / (k.max() - k.min()), "zero at 0.5"),
    ("10.1", lambda k: np.abs(k) / np.abs(k).max(), "sign is lost"),
    ("10.1", lambda k: k.clip(0, 1), "Negative weights became black"),
    ("10.1", lambda k: 0.5 + k / np.abs(k).max(), "leave 0 to 1"),
    ("10.1", np.zeros_like, "Expected"),
    ("10.2", lambda k: (k.mean(-1) ** 2).sum() / (k**2).sum(), "counts three times"),
    ("10.2", lambda k: (k.sum(-1) ** 2).sum() / (k**2).sum(), "sum of the three colours"),
    ("10.2", lambda k: 1 - share(k), "share of the colour"),
    ("10.2", lambda k: 0.0, "Not right yet"),
    (
        "10.3",
        lambda m, n: np.transpose(np.unravel_index(np.argsort(-m.ravel())[:n], m.shape)),
        "only the strongest unit of each image",
    ),
    ("10.3", lambda m, n: strongest(m, len(m))[::-1][:n], "weakest images come first"),
    ("10.3", lambda m, n: [(i, c, r) for i, r, c in strongest(m, n)], "swapped"),
    ("10.3", lambda m, n: np.zeros((n, 3)), "Expected"),
    (
        "10.4",
        unclipped,
        "clip the interval",
    ),
    (
        "10.4",
        lambda im, u, r, j, q: im[max(u[0] * j + q, 0) :, max(u[1] * j + q, 0) :][:r, :r],
        "moved inwards",
    ),
    ("10.4", lambda im, u, r, j, q: crop(im, u, r, j, 0), "Add the start"),
    ("10.4", lambda im, u, r, j, q: crop(im, u[::-1], r, j, q), "swapped"),
    ("10.4", lambda im, u, r, j, q: np.zeros_like(crop(im, u, r, j, q)), "Expected"),
    ("10.5", covered_for_good, "fresh copy"),
    ("10.5", lambda *a: -np.array(occlusion(*a)), "sign is turned round"),
    ("10.5", lambda s, im, w, d, f: occlusion(s, im, w, d, 0), "use `fill`"),
    ("10.5", lambda s, im, w, d, f: np.zeros_like(occlusion(s, im, w, d, f)), "Expected"),
    ("10.6", lambda f: cosine(f).argmax(1), "its own neighbour"),
    ("10.6", lambda f: lists(f, 1)[:, 0], "neighbours by distance"),
    ("10.6", lambda f: (f @ f.T - 1e9 * np.eye(len(f))).argmax(1), "inner product"),
    ("10.6", lambda f: np.zeros(len(f), int), "Expected"),
    ("10.7", lambda f, z, k: kept(f, z, k, first=0), "counts itself"),
    ("10.7", lambda f, z, k: np.mean(lists(f, k) == lists(z, k)), "same rank"),
    ("10.7", lambda f, z, k: k * kept(f, z, k), "divide by k"),
    ("10.7", lambda f, z, k: 0.0, "Not right yet"),
    ("10.8", lambda x, g, s, low, high: np.clip(x + s * g, low, high), "not normalized"),
    ("10.8", lambda x, g, s, low, high: step(x, -g, s, low, high), "downhill"),
    ("10.8", lambda x, g, s, low, high: step(x, g, s, -99, 99), "leave their range"),
    ("10.8", lambda x, g, s, low, high: np.zeros_like(x), "Expected"),
    ("10.9", lambda f, g: how_far(f, g, pairs="all"), "diagonal out"),
    ("10.9", lambda f, g: np.linalg.norm(f - g, axis=1).mean(), "unit is missing"),
    ("10.9", lambda f, g: how_far(f, g, root=False), "squared distances"),
    ("10.9", lambda f, g: how_far(f, g, power=1), "Euclidean"),
    ("10.9", lambda f, g: -1.0, "Not right yet"),
    ("10.10", lambda t, c: against(t, c, size=np.positive), "Opposite channels"),
    ("10.10", lambda t, c: against(t, c, k=0), "with itself"),
    ("10.10", lambda t, c: against(t, c, keep=True), "constant channel"),
    ("10.10", lambda t, c: (against(t, c)[0], len(c) - against(t, c)[1]), "more* alike"),
    ("10.10", lambda t, c: (0, 0), "Expected"),
]
NAMES = {
    "10.1": "kernel_picture", "10.2": "brightness_share", "10.3": "strongest_units",
    "10.4": "crop_field", "10.5": "occlusion", "10.6": "nearest_neighbours",
    "10.7": "neighbours_kept", "10.8": "ascent_step",
    "10.9": "how_far_moved",
    "10.10": "against_the_control",
}  # fmt: skip
