"""Exercises of chapter 01-images-and-tasks.

Conventions
-----------
Images are (height, width, channels), batches NHWC; files hold uint8 in 0..255.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.check import Exercise
from cvlab.data.photographs import center_crop


def _picture(seed, *shape, dtype=np.uint8):
    """Return an array of random values that fill the range of an integer type."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, True)


# 01.1 what a batch weighs


def _batch_bytes(count, height, width):
    return np.zeros((count, height, width, 3), np.float32).nbytes


_BATCH_BYTES = Exercise(
    reference=_batch_bytes,
    cases=[(1, 2, 3), (32, 224, 224), (2, 70, 120)],
    hidden_cases=[(1, 427, 640), (8, 16, 1)],
    mistakes=[
        (
            lambda n, h, w: n * h * w * 3,
            "That is uint8, one byte each: a float32 takes four.",
        ),
        (lambda n, h, w: n * h * w * 4, "Each pixel has three channels."),
        (lambda n, h, w: n * h * w * 3 * 32, "float32 has 32 bits: that is 4 bytes."),
        (lambda n, h, w: h * w * 3 * 4, "That is one image: multiply by the size of the batch."),
        (lambda n, h, w: n * h * w * 3 * 8, "That is float64, NumPy's own choice, not float32."),
    ],
)


# 01.2 from files to a batch


def _prepared(images, height, width, scale=255, crop=center_crop):
    cut = [crop(np.asarray(image)[np.newaxis], height, width) for image in images]
    return np.concatenate(cut).astype(np.float32) / scale


def _from_the_corner(images, height, width):
    return images[:, :height, :width]


_PREPARE = Exercise(
    reference=_prepared,
    cases=[
        ([_picture(0, 6, 8, 3), _picture(1, 9, 6, 3)], 4, 5),
        ([_picture(2, 5, 5, 3)], 5, 3),
    ],
    hidden_cases=[([_picture(s, 7 + s, 9, 3) for s in range(3)], 6, 3)],
    mistakes=[
        (lambda i, h, w: _prepared(i, h, w, 1), "The values must lie between 0 and 1."),
        (lambda i, h, w: _prepared(i, h, w, 256), "White is 255: divide by that, not by 256."),
        (
            lambda i, h, w: _prepared(i, h, w, 255**2),
            "Divided twice: the picture is nearly black.",
        ),
        (
            lambda i, h, w: _prepared(i, h, w, crop=_from_the_corner),
            "That is the top left corner: crop around the centre.",
        ),
        (
            lambda i, h, w: _prepared(i, w, h),
            "Height and width are exchanged: rows come first.",
        ),
        (
            lambda i, h, w: _prepared([x[..., ::-1] for x in i], h, w),
            "Red and blue are exchanged.",
        ),
    ],
)


# 01.3 brighter, without a wrap


def _brightened(image, amount):
    return np.array([min(max(int(v) + amount, 0), 255) for v in image.ravel()]).reshape(image.shape)


_BRIGHTEN = Exercise(
    reference=_brightened,
    cases=[
        (np.array([[[0, 100, 250]]], np.uint8), 60),
        (np.array([[[0, 100, 250]]], np.uint8), -30),
        (_picture(3, 4, 5, 3), 100),
    ],
    hidden_cases=[(_picture(4, 3, 3, 3), -200), (_picture(5, 3, 3, 1), 300)],
    mistakes=[
        (
            lambda image, amount: (image.astype(int) + amount) % 256,
            "Values beyond 0 and 255 have wrapped around: leave uint8 before adding.",
        ),
        (
            lambda image, amount: np.minimum(image.astype(int) + amount, 255),
            "Values below 0 must be clipped too.",
        ),
        (
            lambda image, amount: image.astype(int) + amount,
            "The result must stay between 0 and 255: clip it.",
        ),
        (
            lambda image, amount: np.minimum(image.astype(int) + amount, 255) % 256,
            "Values below 0 have wrapped around: clip them at 0.",
        ),
    ],
)


# 01.4 channels last


_CHANNELS_LAST = Exercise(
    reference=lambda x: np.stack([x[:, c] for c in range(x.shape[1])], axis=-1),
    cases=[(_picture(6, 1, 3, 2, 4),), (_picture(7, 2, 3, 3, 3),)],
    hidden_cases=[(_picture(8, 3, 1, 4, 2),), (_picture(9, 1, 5, 5, 5),)],
    mistakes=[
        (
            lambda x: x.reshape(len(x), *x.shape[2:], x.shape[1]),
            "reshape relabels the numbers without moving them: the picture is torn apart.",
        ),
        (lambda x: x.T, ".T reverses all axes: the batch must stay first."),
        (lambda x: x.transpose(0, 3, 2, 1), "Rows and columns are exchanged as well."),
        (lambda x: x, "Nothing has moved yet: the channels must come last."),
    ],
)


# 01.5 softmax of a batch


def _softmax(scores):
    """Divide by hand, one row at a time, with the largest score taken off."""
    rows = [np.exp(np.asarray(row, dtype=float) - max(row)) for row in scores]
    return np.array([row / sum(row) for row in rows])


def _over_the_batch(scores):
    return _softmax(np.transpose(scores)).T


_SOFTMAX = Exercise(
    reference=_softmax,
    cases=[
        (np.array([[3.0, 3.0, -2.0]]),),
        (np.array([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]]),),
        (np.array([[1000.0, 999.0], [-1000.0, -1001.0]]),),
    ],
    hidden_cases=[(np.array([[1.0, 2.0], [3.0, 4.0], [800.0, -800.0]]),), (np.array([[7.0]]),)],
    mistakes=[
        (_over_the_batch, "Each row, an image, must sum to 1: sum over the classes."),
        (
            lambda z: _softmax(np.reshape(z, (1, -1))).reshape(np.shape(z)),
            "All images share one sum: sum over the last axis, with keepdims=True.",
        ),
        (lambda z: 1 / (1 + np.exp(-z)), "That is the sigmoid: softmax makes the classes compete."),
        (lambda z: np.exp(z), "Divide by the sum, so that a row sums to 1."),
    ],
)


# 01.6 one label or several


def _multi_hot(labels, classes):
    return np.array([[k in set(row.tolist()) for k in range(classes)] for row in labels], float)


def _one_hots(labels, classes):
    return np.eye(classes)[labels]


_LABELS = np.array([[0, 2, -1], [1, 1, 0], [-1, -1, -1]])
_TARGETS = Exercise(
    reference=_multi_hot,
    cases=[(_LABELS, 3), (np.array([[3, 0], [2, 2]]), 4)],
    hidden_cases=[(np.array([[1, 1, 0, -1], [2, 1, 2, -1]]), 4), (np.zeros((2, 0), int), 3)],
    mistakes=[
        (
            lambda labels, classes: _one_hots(labels, classes).max(axis=1),
            "-1 means that there is no object; as an index it is the last class.",
        ),
        (
            lambda labels, classes: _one_hots(labels, classes + 1).sum(axis=1)[:, :-1],
            "Two objects of one class still give one yes: 1, not their number.",
        ),
        (
            lambda labels, classes: _multi_hot(labels[:, :1], classes),
            "All objects of a scene count, not only the first.",
        ),
        (
            lambda labels, classes: (
                _multi_hot(labels, classes)
                / np.maximum(_multi_hot(labels, classes).sum(1, keepdims=True), 1)
            ),
            "Each class is a question of its own: answer 1, do not share 1 among them.",
        ),
    ],
)


# 01.7 how alike are neighbours


def _correlation(image, down, right):
    first = image[: len(image) - down, : image.shape[1] - right].ravel()
    second = image[down:, right:].ravel()
    first, second = first - first.mean(), second - second.mean()
    return first @ second / np.sqrt((first @ first) * (second @ second))


def _rolled(image, down, right):
    return np.corrcoef(image.ravel(), np.roll(image, (-down, -right), (0, 1)).ravel())[0, 1]


def _uncentred(image, down, right):
    first = image[: len(image) - down, : image.shape[1] - right].ravel()
    second = image[down:, right:].ravel()
    return first @ second / np.sqrt((first @ first) * (second @ second))


def _ramp(seed, rows, columns):
    """Return an image in which near pixels are alike, more so along the rows."""
    noise = np.random.default_rng(seed).normal(size=(rows, columns))
    return np.cumsum(noise, axis=1) + 5


_NEIGHBOURS = Exercise(
    reference=_correlation,
    cases=[(_ramp(0, 6, 12), 0, 1), (_ramp(1, 8, 10), 2, 0), (_ramp(2, 9, 9), 1, 3)],
    hidden_cases=[(_ramp(3, 12, 7), 0, 0), (_ramp(4, 10, 15), 4, 5)],
    mistakes=[
        (_rolled, "The image wraps around: pixels of opposite edges are no neighbours."),
        (_uncentred, "Subtract the means first: a correlation ignores the brightness."),
        (
            lambda image, down, right: _correlation(image, right, down),
            "down and right are exchanged: rows are the first axis.",
        ),
    ],
)


# 01.8 shuffle all images alike


def _shuffled(images, permutation):
    flat = images.reshape(len(images), -1, images.shape[-1])
    return np.stack([flat[:, p] for p in permutation], axis=1).reshape(images.shape)


def _unshuffled(images, permutation):
    return _shuffled(images, np.argsort(permutation))


def _channels_apart(images, permutation):
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1, images.shape[-1])
    return flat[:, permutation].reshape(images.shape)


_SHUFFLE = Exercise(
    reference=_shuffled,
    cases=[
        (_picture(10, 1, 2, 2, 1), np.array([2, 0, 3, 1])),
        (_picture(11, 3, 3, 4, 3), np.random.default_rng(0).permutation(12)),
    ],
    hidden_cases=[(_picture(12, 2, 4, 3, 2), np.random.default_rng(1).permutation(12))],
    mistakes=[
        (
            _unshuffled,
            "That is the way back: position k must receive pixel permutation[k].",
        ),
        (_channels_apart, "The channels of a pixel must stay together: they are the last axis."),
        (lambda images, permutation: images, "Nothing has moved yet."),
    ],
)


# 01.9 from objects to classes


def _semantic_map(instances, labels):
    result = np.zeros_like(instances)
    for number, label in enumerate(labels, start=1):
        result[instances == number] = label + 1
    return result


def _nearly_looked_up(instances, labels, first, shift):
    """Look classes up with the background's entry first, or without one."""
    return np.array([*first, *labels])[instances - shift]


_INSTANCES = np.array([[0, 1, 1, 0], [2, 1, 3, 3], [2, 2, 0, 3]])
_SEMANTIC_MAP = Exercise(
    reference=_semantic_map,
    cases=[(_INSTANCES, [1, 0, 1]), (np.array([[0, 0, 1], [2, 2, 1]]), [2, 2])],
    hidden_cases=[(_INSTANCES.T, [2, 0, 5]), (np.zeros((2, 3), int), [])],
    mistakes=[
        (lambda instances, labels: instances, "Those are the objects: look up their classes."),
        (
            lambda instances, labels: np.where(
                instances > 0, _semantic_map(instances, labels) - 1, 0
            ),
            "Class 0 is not the background: add 1 to the class of an object.",
        ),
        (
            lambda instances, labels: _nearly_looked_up(instances, labels, [], 1) + 1,
            "labels[0 - 1] is the last object: the background must stay 0.",
        ),
        (
            lambda instances, labels: np.where(instances > 0, 1, 0),
            "That says object or not: the class of each object is asked for.",
        ),
    ],
)


# 01.10 directions, cell by cell


def _cells(down, right, side, bins, weigh=np.hypot, turn=np.pi, angle=np.arctan2):
    rows, columns = down.shape
    result = np.zeros((rows // side, columns // side, bins))
    angles = angle(down, right) % turn
    for i in range(rows):
        for j in range(columns):
            b = min(int(angles[i, j] / turn * bins), bins - 1)
            result[i // side, j // side, b] += weigh(down[i, j], right[i, j])
    return result


def _gradients(seed, rows, columns):
    return tuple(np.random.default_rng(seed).normal(size=(2, rows, columns)))


_CELL_HISTOGRAMS = Exercise(
    reference=_cells,
    cases=[
        (*_gradients(0, 4, 4), 4, 4),
        (*_gradients(1, 8, 8), 4, 8),
        (*_gradients(2, 4, 6), 2, 3),
    ],
    hidden_cases=[(*_gradients(3, 6, 9), 3, 5), (*_gradients(4, 16, 8), 8, 8)],
    mistakes=[
        (
            lambda *a: _cells(*a, weigh=lambda d, r: 1),
            "Those are counts of pixels: add up the magnitudes of the gradients.",
        ),
        (
            lambda *a: _cells(*a, turn=2 * np.pi),
            "A rise and a fall count as one: take the angle modulo pi.",
        ),
        (
            lambda *a: _cells(*a, angle=lambda d, r: np.arctan2(r, d)),
            "The angle is arctan2(down, right), in this order.",
        ),
        (
            lambda *a: _cells(*a) / _cells(*a).sum(axis=-1, keepdims=True),
            "Those are shares: do not divide.",
        ),
        (
            lambda *a: _cells(*a, weigh=lambda d, r: d * d + r * r),
            "The magnitude is the square root of down squared plus right squared.",
        ),
    ],
)


# 01.11 a complex cell


def _simple_cells(image, weights):
    """Return the sums of all simple cells before negative ones become 0."""
    fields = np.lib.stride_tricks.sliding_window_view(image, weights.shape)
    return np.einsum("ijuv,uv->ij", fields, weights)


def _grey(seed, rows, columns):
    return np.random.default_rng(seed).random((rows, columns))


_LINE = np.array([[-1.0, 2.0, -1.0]] * 3)
_COMPLEX_CELL = Exercise(
    reference=lambda image, weights: max(_simple_cells(image, weights).max(), 0.0),
    cases=[
        (_grey(0, 3, 3), _LINE),
        (_grey(1, 6, 8), _LINE),
        (_grey(2, 5, 4), -np.array([[1.0, 2.0], [3.0, 1.0]])),
    ],
    hidden_cases=[
        (_grey(3, 7, 5), np.array([[0.5, -1.0, 0.2, 1.0]])),
        (_grey(4, 4, 4), -np.ones((4, 2))),
        (_grey(5, 9, 6), np.array([[1.0], [2.0], [-3.0]])),
    ],
    mistakes=[
        (
            lambda image, weights: _simple_cells(image, weights).max(),
            "A simple cell never answers below 0: no cell fires less than not at all.",
        ),
        (
            lambda image, weights: np.maximum(_simple_cells(image, weights), 0).sum(),
            "That is the sum of the simple cells: the largest is asked for.",
        ),
        (
            lambda image, weights: np.maximum(_simple_cells(image, weights), 0).mean(),
            "That is the mean of the simple cells: the largest is asked for.",
        ),
        (
            lambda image, weights: np.abs(_simple_cells(image, weights)).max(),
            "A negative sum is an answer of 0, not of its magnitude.",
        ),
        (
            lambda image, weights: max(_simple_cells(image, weights)[0, 0], 0.0),
            "That is one simple cell: put one at every place.",
        ),
        (
            lambda image, weights: (
                max(_simple_cells(image[:-1], weights).max(), 0.0)
                if len(image) > len(weights)
                else np.nan
            ),
            "The last rows are missing: there are rows - height + 1 places.",
        ),
    ],
)


# 01.12 any picture


def _standardised(image):
    """Build the result channel by channel."""
    largest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    values = np.atleast_3d(image).astype(np.float64) / largest
    colours = [values[..., 0]] * 3 if values.shape[-1] < 3 else [values[..., c] for c in range(3)]
    if values.shape[-1] in (2, 4):
        cover = values[..., -1]
        colours = [1 + cover * (colour - 1) for colour in colours]
    return np.stack(colours, axis=-1)[np.newaxis].astype(np.float32)


def _by_255(image):
    unit = image if image.dtype.kind == "f" else image.astype(float)
    return _standardised(unit / 255)


_STANDARDISE = Exercise(
    reference=_standardised,
    cases=[
        (_picture(13, 3, 4, 3),),
        (_picture(14, 3, 4),),
        (_picture(15, 2, 2, 4),),
        (_picture(16, 3, 2, 3, dtype=np.uint16),),
        (np.linspace(0, 1, 12).reshape(2, 2, 3),),
    ],
    hidden_cases=[
        (_picture(17, 2, 3, 4, dtype=np.uint16),),
        (_picture(18, 4, 1, 1),),
        (np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),),
    ],
    mistakes=[
        (lambda image: _standardised(image)[0], "Add the axis of the batch in front."),
        (
            lambda image: _standardised(image[..., :3] if image.ndim == 3 else image),
            "It is partly transparent: mix it with white before you drop the last channel.",
        ),
        (
            _by_255,
            "Not every picture ends at 255: np.iinfo(image.dtype).max is white for whole "
            "numbers, and 1 for fractions.",
        ),
        (
            lambda image: _standardised(image)[..., :1],
            "A grey picture needs its values in all three channels: np.repeat.",
        ),
        (lambda image: _standardised(image) * 255, "The values must lie between 0 and 1."),
    ],
)


EXERCISES = {
    "01.1": _BATCH_BYTES,
    "01.2": _PREPARE,
    "01.3": _BRIGHTEN,
    "01.4": _CHANNELS_LAST,
    "01.5": _SOFTMAX,
    "01.6": _TARGETS,
    "01.7": _NEIGHBOURS,
    "01.8": _SHUFFLE,
    "01.9": _SEMANTIC_MAP,
    "01.10": _CELL_HISTOGRAMS,
    "01.11": _COMPLEX_CELL,
    "01.12": _STANDARDISE,
}
