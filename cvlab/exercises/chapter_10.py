"""Exercises of chapter 10-looking-inside.

Conventions
-----------
Kernels are (height, width, 3), of one filter; maps are (images, rows, columns), of one channel.
Features are (examples, channels), one row for each example.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.check import Exercise


def _normal(seed, *shape):
    """Return an array of normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape)


# 10.1 a kernel as a picture


def _picture(kernel):
    largest = max(abs(kernel.min()), abs(kernel.max()))
    return np.interp(kernel, [-largest, largest], [0.0, 1.0])


def _stretched(kernel):
    return (kernel - kernel.min()) / np.ptp(kernel)


_PICTURE = Exercise(
    reference=_picture,
    cases=[(_normal(0, 3, 3, 3),), (_normal(1, 2, 4, 3) + 2,)],
    hidden_cases=[(_normal(2, 5, 5, 3) - 1,), (_normal(3, 3, 3, 3) * 0.01,)],
    mistakes=[
        (
            _stretched,
            "The smallest weight became 0: then nobody can see where the weights are zero. "
            "Keep zero at 0.5.",
        ),
        (
            lambda k: 0.5 + k / (2 * k.max()),
            "Divide by the largest size of a weight: the most negative one may be larger.",
        ),
        (
            lambda k: np.clip(k, 0, 1),
            "Negative weights became black: half of the kernel is lost.",
        ),
        (
            lambda k: np.abs(k) / np.abs(k).max(),
            "The sign is lost: weights that add and weights that subtract look alike.",
        ),
        (
            lambda k: 0.5 + k / np.abs(k).max(),
            "The values leave 0 to 1: half of the range is left on either side of 0.5.",
        ),
        (
            lambda k: 0.5 + k / (2 * np.abs(k).max(axis=(0, 1))),
            "Each colour has a scale of its own, which changes the hue: one scale for all.",
        ),
    ],
)


# 10.2 brightness or colour


def _share(kernel):
    flat = kernel.reshape(-1, 3)
    alike = np.full((3, 3), 1 / 3)  # the matrix that replaces three colours by their mean
    return ((flat @ alike) ** 2).sum() / (flat**2).sum()


_BRIGHTNESS = Exercise(
    reference=_share,
    cases=[(_normal(4, 3, 3, 3),), (_normal(5, 3, 3, 3) + 1.5,)],
    hidden_cases=[(np.repeat(_normal(6, 3, 3, 1), 3, axis=-1),), (_normal(7, 5, 2, 3),)],
    mistakes=[
        (
            lambda k: (k.mean(-1) ** 2).sum() / (k**2).sum(),
            "The grey kernel has three colours too: each of its entries counts three times.",
        ),
        (
            lambda k: (k.sum(-1) ** 2).sum() / (k**2).sum(),
            "This takes the sum of the three colours: the grey kernel holds their mean.",
        ),
        (
            lambda k: 3 * np.abs(k.mean(-1)).sum() / np.abs(k).sum(),
            "Energy is a sum of squares: absolute values do not split into parts that add up.",
        ),
        (
            lambda k: 1 - _share(k),
            "This is the share of the colour: what differs between red, green and blue.",
        ),
        (
            lambda k: 9 * (k.mean((0, 1)) ** 2).sum() / (k**2).sum(),
            "The mean goes over the three colours, not over the positions.",
        ),
    ],
)


# 10.3 the strongest positions of a channel


def _strongest(maps, count):
    best = []
    for number, one in enumerate(maps):
        row, column = divmod(int(one.argmax()), one.shape[1])
        best.append((-one.max(), number, row, column))
    return np.array([entry[1:] for entry in sorted(best)[:count]])


def _all_units(maps, count):
    order = np.argsort(-maps, axis=None)[:count]
    return np.stack(np.unravel_index(order, maps.shape), axis=1)


_STRONGEST = Exercise(
    reference=_strongest,
    cases=[(_normal(8, 5, 3, 4), 3), (_normal(9, 4, 2, 5) - 3, 4)],
    hidden_cases=[(_normal(10, 9, 6, 5), 5), (_normal(11, 3, 7, 2), 1)],
    mistakes=[
        (
            _all_units,
            "Several of these lie in one image: take only the strongest unit of each image.",
        ),
        (
            lambda maps, count: _strongest(maps, len(maps))[::-1][:count],
            "The weakest images come first: turn the order round.",
        ),
        (
            lambda maps, count: _strongest(np.abs(maps), count),
            "A strongly negative value does not excite a unit: no absolute value.",
        ),
        (
            lambda maps, count: (
                np.sort(_strongest(maps, count).T[0])[:, None] + np.zeros((count, 3), int)
            ),
            "Return image, row and column of each.",
        ),
        (
            lambda maps, count: _strongest(maps, count)[:, [0, 2, 1]],
            "Row and column are swapped: the row comes first.",
        ),
        (
            lambda maps, count: np.array(sorted(_strongest(maps, count).tolist())),
            "These are in the order of the images: the strongest comes first.",
        ),
        (
            lambda maps, count: _strongest(maps, len(maps))[
                np.argsort(_strongest(maps, len(maps))[:, 0])
            ][:count],
            "These are the first images, not those with the strongest units.",
        ),
    ],
)


# 10.4 cut out what a unit sees


def _field(image, unit, size, jump, start):
    rows, columns = (
        [p for p in range(start + u * jump, start + u * jump + size) if 0 <= p < length]
        for u, length in zip(unit, image.shape[:2], strict=True)
    )
    return image[np.ix_(rows, columns)]


def _unclipped(image, unit, size, jump, start):
    top, left = (start + u * jump for u in unit)
    return image[top : top + size, left : left + size]


def _moved(image, unit, size, jump, start):
    top, left = (max(start + u * jump, 0) for u in unit)
    return image[top : top + size, left : left + size]


_CROP = Exercise(
    reference=_field,
    cases=[
        (_normal(12, 12, 16, 3), (2, 1), 5, 3, -1),
        (_normal(13, 12, 16, 3), (0, 4), 6, 3, -2),
        (_normal(14, 12, 16, 3), (3, 5), 6, 3, -2),
    ],
    hidden_cases=[
        (_normal(15, 20, 14, 3), (0, 0), 9, 2, -4),
        (_normal(16, 20, 14, 3), (9, 6), 9, 2, -4),
        (_normal(17, 10, 10, 3), (1, 2), 40, 4, -18),
    ],
    mistakes=[
        (
            _unclipped,
            "A negative first row counts from the end in NumPy: clip the interval at 0.",
        ),
        (
            _moved,
            "The whole field has moved inwards: clip the first pixel, but find the stop from "
            "the unclipped one.",
        ),
        (
            lambda im, u, r, j, q: _field(im, u, r + 1, j, q),
            "One pixel too many: r pixels from the first one end before first + r.",
        ),
        (
            lambda im, u, r, j, q: _field(im, u, r, j, 0),
            "Add the start: unit 0 begins there, before the image because of padding.",
        ),
        (
            lambda im, u, r, j, q: _field(im, u, r, 1, q),
            "Multiply by the jump: it is the distance from one unit's field to the next one's.",
        ),
        (
            lambda im, u, r, j, q: _field(im, u[::-1], r, j, q),
            "Row and column of the unit are swapped.",
        ),
    ],
)


# 10.5 occlusion


def _mean_of_corner(image):
    return float((image * np.outer(np.arange(image.shape[0]), np.ones(image.shape[1]))).sum())


def _brightest(image):
    return float(image.max() + 0.1 * image.mean())


def _occlusion(score, image, window, stride, fill, sign=1):
    rows = (image.shape[0] - window) // stride + 1
    columns = (image.shape[1] - window) // stride + 1
    drops = np.zeros((rows, columns))
    for i, j in np.ndindex(rows, columns):
        inside = np.zeros(image.shape, bool)
        inside[i * stride : i * stride + window, j * stride : j * stride + window] = True
        drops[i, j] = sign * (score(image) - score(np.where(inside, fill, image)))
    return drops


def _in_place(score, image, window, stride, fill):
    whole, covered = score(image), image.copy()
    rows = range(0, image.shape[0] - window + 1, stride)
    columns = range(0, image.shape[1] - window + 1, stride)
    drops = np.zeros((len(rows), len(columns)))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            covered[top : top + window, left : left + window] = fill
            drops[i, j] = whole - score(covered)
    return drops


_OCCLUSION = Exercise(
    reference=_occlusion,
    cases=[
        (_mean_of_corner, _normal(18, 6, 8), 2, 2, 0.0),
        (_brightest, _normal(19, 7, 6), 3, 2, -1.0),
    ],
    hidden_cases=[
        (_brightest, _normal(20, 5, 5), 2, 1, 0.5),
        (_mean_of_corner, _normal(21, 8, 7), 4, 3, 1.0),
    ],
    mistakes=[
        (
            _in_place,
            "The windows covered before are still covered: start from a fresh copy each time.",
        ),
        (
            lambda s, im, w, d, f: _occlusion(s, im, w, d, f, sign=-1),
            "The sign is turned round: an important window has a positive entry.",
        ),
        (
            lambda s, im, w, d, f: s(im) - _occlusion(s, im, w, d, f),
            "This is the score of the covered image: subtract it from that of the whole one.",
        ),
        (
            lambda s, im, w, d, f: _occlusion(s, im, w, d, 0.0),
            "The window is filled with zeros: use `fill`.",
        ),
        (
            lambda s, im, w, d, f: _occlusion(s, im, w, w, f),
            "The window moves by its own size: use `stride`.",
        ),
        (
            lambda s, im, w, d, f: _occlusion(s, im[:-1, :-1], w, d, f),
            "The last windows are missing: the last one ends where the image ends.",
        ),
    ],
)


# 10.6 nearest neighbours by the angle


def _neighbours(features):
    found = []
    for i, one in enumerate(features):
        angles = [
            -np.inf if i == j else one @ other / np.sqrt((one @ one) * (other @ other))
            for j, other in enumerate(features)
        ]
        found.append(int(np.argmax(angles)))
    return np.array(found)


def _euclidean(features):
    distance = ((features[:, np.newaxis] - features) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return distance.argmin(1)


def _dot(features, sign=1):
    products = sign * features @ features.T
    np.fill_diagonal(products, -np.inf)
    return products.argmax(1)


def _scaled_rows(seed, examples, channels):
    """Return features of very different lengths, so that angle and distance disagree."""
    lengths = np.exp(1.5 * _normal(seed + 100, examples, 1))
    return lengths * (_normal(seed, examples, channels) + 0.5)


def _cosines(features):
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    return rows @ rows.T


def _columns_normalized(features):
    rows = features / np.linalg.norm(features, axis=0)
    return _dot(rows)


_NEIGHBOURS = Exercise(
    reference=_neighbours,
    cases=[(_scaled_rows(22, 8, 4),), (_scaled_rows(23, 10, 3),)],
    hidden_cases=[(_scaled_rows(24, 12, 6),), (_scaled_rows(25, 15, 2),)],
    mistakes=[
        (
            lambda f: np.arange(len(f)),
            "Every example is its own neighbour: leave the diagonal out.",
        ),
        (
            _euclidean,
            "These are the neighbours by distance: the cosine leaves the lengths out.",
        ),
        (
            _dot,
            "The inner product grows with the length: divide by the lengths of both.",
        ),
        (
            _columns_normalized,
            "The channels were normalized: divide every example, that is every row, by its length.",
        ),
        (
            lambda f: _cosines(f).argmin(1),
            "These are the examples furthest away: the largest cosine is the nearest.",
        ),
    ],
)


# 10.7 how many neighbours survive an embedding


def _lists(points, k):
    distance = np.linalg.norm(points[:, np.newaxis] - points[np.newaxis], axis=-1)
    distance[np.diag_indices(len(points))] = np.inf
    return np.argsort(distance, axis=1)[:, :k]


def _kept(features, embedding, k):
    pairs = zip(_lists(features, k), _lists(embedding, k), strict=True)
    return np.mean([len(set(a) & set(b)) for a, b in pairs]) / k


def _with_itself(features, embedding, k):
    lists = [
        np.argsort(((p[:, None] - p) ** 2).sum(-1), axis=1)[:, :k] for p in (features, embedding)
    ]
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(*lists, strict=True)])


def _embedding_case(seed, examples, k):
    features = _normal(seed, examples, 4) * [2.0, 1.5, 1.0, 0.8]
    return features, features[:, :2], k


_KEPT = Exercise(
    reference=_kept,
    cases=[_embedding_case(26, 12, 3), _embedding_case(27, 15, 4)],
    hidden_cases=[_embedding_case(28, 20, 5), _embedding_case(29, 9, 2)],
    mistakes=[
        (
            _with_itself,
            "Every example counts itself as a neighbour that is always kept: leave it out.",
        ),
        (
            lambda f, z, k: np.mean(_lists(f, k) == _lists(z, k)),
            "This asks for the same neighbour at the same rank: the order does not matter.",
        ),
        (
            lambda f, z, k: np.mean(_lists(f, 1) == _lists(z, 1)),
            "Only the first neighbour was compared: use all k.",
        ),
        (
            lambda f, z, k: _kept(f, z, k) * k,
            "This is the number of neighbours kept: divide by k.",
        ),
        (
            lambda f, z, k: 1 - _kept(f, z, k),
            "This is the share that is lost.",
        ),
    ],
)


# 10.8 one step uphill


def _ascent(image, gradient, step, low, high):
    size = np.linalg.norm(gradient) / np.sqrt(gradient.size)
    if size == 0:
        return image
    return np.minimum(np.maximum(image + step / size * gradient, low), high)


_ASCENT = Exercise(
    reference=_ascent,
    cases=[
        (0.1 * _normal(30, 4, 4, 3), _normal(31, 4, 4, 3), 0.2, -1.0, 1.0),
        (0.1 * _normal(32, 3, 5, 3), 1e-4 * _normal(33, 3, 5, 3), 0.9, -1.0, 1.0),
        (0.1 * _normal(34, 2, 2, 3), np.zeros((2, 2, 3)), 0.2, -1.0, 1.0),
    ],
    hidden_cases=[
        (0.5 + 0.1 * _normal(35, 6, 3, 3), 50 * _normal(36, 6, 3, 3), 0.3, 0.0, 1.0),
        (0.5 + 0.1 * _normal(37, 2, 3, 3), np.zeros((2, 3, 3)), 0.3, 0.0, 1.0),
    ],
    mistakes=[
        (
            lambda x, g, s, low, high: np.clip(x + s * g, low, high),
            "The gradient is not normalized: divide it by its root mean square.",
        ),
        (
            lambda x, g, s, low, high: _ascent(x, -g, s, low, high),
            "This goes downhill: to raise the activation, add the gradient.",
        ),
        (
            lambda x, g, s, low, high: x + s * g / np.sqrt((g**2).mean()),
            "The pixels leave their range: clip them to it.",
        ),
        (
            lambda x, g, s, low, high: np.clip(x + s * g / np.linalg.norm(g), low, high),
            "Divided by the norm, the step shrinks as images grow: take the root of the mean "
            "square, not of the sum.",
        ),
        (
            lambda x, g, s, low, high: np.clip(x + s * g / np.abs(g).max(), low, high),
            "This divides by the largest gradient: one odd pixel would decide the step.",
        ),
        (
            lambda x, g, s, low, high: np.clip(x + s * np.sign(g), low, high),
            "Only the signs are used: keep the proportions of the gradient.",
        ),
    ],
)


# 10.9 how far a change moves the features


def _distance(a, b):
    return sum((a - b) ** 2) ** 0.5


def _how_far(features, changed, distance=_distance, others=None, everything=False):
    moved = [distance(f, g) for f, g in zip(features, changed, strict=True)]
    others = features if others is None else others
    pairs = [(i, j) for i, j in np.ndindex(len(features), len(features)) if everything or i != j]
    apart = [distance(features[i], others[j]) for i, j in pairs]
    return np.mean(moved) / np.mean(apart)


def _moved(images, channels, size, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, channels))
    return features, features + size * rng.normal(size=(images, channels))


_HOW_FAR = Exercise(
    reference=_how_far,
    cases=[_moved(4, 3, 0.2, 90), _moved(5, 2, 1.0, 91), _moved(3, 6, 0.7, 92)],
    hidden_cases=[_moved(6, 4, 0.4, 93), _moved(2, 5, 0.3, 94)],
    mistakes=[
        (
            lambda f, g: _how_far(f, g, everything=True),
            "An image is no other photograph than itself: leave the zeros on the diagonal out.",
        ),
        (
            lambda f, g: np.mean([_distance(*pair) for pair in zip(f, g, strict=True)]),
            "The unit is missing: divide by the mean distance of different photographs.",
        ),
        (
            lambda f, g: _how_far(f, g, lambda a, b: sum((a - b) ** 2)),
            "These are squared distances: take the root of each before the mean.",
        ),
        (
            lambda f, g: _how_far(f, g, others=g),
            "The yardstick is between unchanged photographs.",
        ),
        (
            lambda f, g: _how_far(f, g, lambda a, b: sum(abs(a - b))),
            "Distances are Euclidean: the root of the sum of squares.",
        ),
    ],
)


# 10.10 the control


def _likeness(maps, size=abs, itself=False, dead=None):
    """Go through the pairs one by one; `dead` is what a constant channel's correlation counts."""
    found = []
    for i, j in np.ndindex(maps.shape[1], maps.shape[1]):
        a, b = maps[:, i] - maps[:, i].mean(), maps[:, j] - maps[:, j].mean()
        length = np.sqrt((a @ a) * (b @ b))
        if (i != j or itself) and (length > 0 or dead is not None):
            found.append(size(a @ b / length) if length > 0 else dead)
    return np.mean(found)


def _against(trained, controls, count=None, **options):
    mine = _likeness(trained, **options)
    larger = sum(_likeness(maps, **options) > mine for maps in controls)
    return np.array([mine, larger if count is None else count(larger, len(controls))])


def _maps(positions, channels, shared, seeds=None):
    """Channels that share a part, and one that is constant."""
    shape = (positions, channels) if seeds is None else (seeds, positions, channels)
    maps = _CONTROL_RNG.normal(size=shape)
    maps = maps + shared * _CONTROL_RNG.choice([-1, 1], channels) * maps[..., :1]
    maps[..., -1] = 2.0
    return maps


_CONTROL_RNG = np.random.default_rng(100)
_CONTROL = Exercise(
    reference=_against,
    cases=[
        (_maps(8, 4, 0.5), _maps(8, 4, 0.8, 3)),
        (_maps(6, 5, 0.2), _maps(6, 5, 0.4, 4)),
        (_maps(9, 4, 1.0), _maps(9, 4, 0.3, 3)),
    ],
    hidden_cases=[
        (_maps(7, 5, 0.6), _maps(7, 5, 0.7, 5)),
        (_maps(10, 4, 0.3), _maps(10, 4, 1.0, 3)),
    ],
    mistakes=[
        (
            lambda t, c: _against(t, c, size=float),
            "Opposite channels are alike too: take the absolute value of each correlation.",
        ),
        (
            lambda t, c: _against(t, c, itself=True),
            "A channel correlates with itself by 1: count pairs of different channels only.",
        ),
        (
            lambda t, c: _against(t, c, dead=0.0),
            "A constant channel has no correlation: leave it out, do not count it as 0.",
        ),
        (
            lambda t, c: _against(t, c, count=lambda larger, seeds: seeds - larger),
            "Count the controls whose channels are *more* alike than the trained ones.",
        ),
        (
            lambda t, c: _against(t, c, count=lambda larger, seeds: larger / seeds),
            "The number of seeds is asked for, not their share.",
        ),
    ],
)


EXERCISES = {
    "10.1": _PICTURE,
    "10.2": _BRIGHTNESS,
    "10.3": _STRONGEST,
    "10.4": _CROP,
    "10.5": _OCCLUSION,
    "10.6": _NEIGHBOURS,
    "10.7": _KEPT,
    "10.8": _ASCENT,
    "10.9": _HOW_FAR,
    "10.10": _CONTROL,
}
