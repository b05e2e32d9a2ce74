"""Answers to the exercises of chapter 01: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def prepare(images, height, width):
    batch = np.empty((len(images), height, width, 3))
    for out, image in zip(batch, images, strict=True):
        rows, columns = image.shape[0] - height, image.shape[1] - width
        out[:] = image[rows // 2 : rows // 2 + height, columns // 2 : columns // 2 + width]
    return batch / 255


def brighten(image, amount):
    total = image.astype(np.int32) + amount
    total[total > 255] = 255
    total[total < 0] = 0
    return total.astype(np.uint8)


def softmax(scores):
    return np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


def overflowing(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def targets(labels, classes):
    result = np.zeros((len(labels), classes + 1))
    np.put_along_axis(result, np.where(labels < 0, classes, labels), 1, axis=1)
    return result[:, :-1]


def correlation(image, down, right):
    rows, columns = image.shape
    pair = np.stack([image[: rows - down, : columns - right].ravel(), image[down:, right:].ravel()])
    pair = (pair - pair.mean(axis=1, keepdims=True)) / pair.std(axis=1, keepdims=True)
    return float(pair.prod(axis=0).mean())


def shuffle(images, permutation):
    count, height, width, channels = images.shape
    rows, columns = np.divmod(permutation, width)
    return images[:, rows, columns].reshape(count, height, width, channels)


def semantic_map(instances, labels):
    classes = dict(enumerate([-1, *labels]))
    return np.vectorize(lambda number: classes[number] + 1, otypes=[int])(instances)


def cell_histograms(down, right, side, bins):
    magnitude = np.sqrt(down**2 + right**2)
    angle = np.where(down < 0, np.arctan2(-down, -right), np.arctan2(down, right))
    result = []
    for top in range(0, len(down), side):
        for left in range(0, down.shape[1], side):
            cell = np.s_[top : top + side, left : left + side]
            result.append(np.histogram(angle[cell], bins, (0, np.pi), weights=magnitude[cell])[0])
    return np.reshape(result, (len(down) // side, -1, bins))


def simple_cells(image, weights):
    rows, columns = np.subtract(image.shape, weights.shape) + 1
    return sum(
        weight * image[i : i + rows, j : j + columns] for (i, j), weight in np.ndenumerate(weights)
    )


def standardise(image):
    x = np.asarray(image)
    if x.dtype != np.float32 and x.dtype != np.float64:
        x = x / {1: 255, 2: 65535}[x.dtype.itemsize]
    if x.ndim == 2:
        x = x[..., None]
    if x.shape[2] == 4:
        x = x[..., :3] * x[..., 3:] + 1 - x[..., 3:]
    return np.broadcast_to(x, (*x.shape[:2], 3))[None]


RIGHT = {
    "01.1": lambda count, height, width: 12 * count * height * width,
    "01.2": prepare,
    "01.3": brighten,
    "01.4": lambda x: np.moveaxis(x, 1, -1),
    "01.5": softmax,
    "01.6": targets,
    "01.7": correlation,
    "01.8": shuffle,
    "01.9": semantic_map,
    "01.10": cell_histograms,
    "01.11": lambda image, weights: np.maximum(simple_cells(image, weights), 0).max(),
    "01.12": standardise,
}

WRONG = [
    ("01.1", lambda n, h, w: n * h * w * 3, "one byte each"),
    ("01.1", lambda n, h, w: n * h * w * 4, "three channels"),
    ("01.1", lambda n, h, w: h * w * 12, "one image"),
    ("01.1", lambda n, h, w: 96 * n * h * w, "32 bits"),
    ("01.1", lambda n, h, w: 24 * n * h * w, "float64"),
    ("01.1", lambda n, h, w: 0, "Not right yet"),
    ("01.2", lambda i, h, w: prepare(i, h, w) * 255, "between 0 and 1"),
    ("01.2", lambda i, h, w: prepare(i, h, w) * 255 / 256, "not by 256"),
    ("01.2", lambda i, h, w: prepare(i, h, w) / 255, "Divided twice"),
    ("01.2", lambda i, h, w: np.stack([x[:h, :w] for x in i]) / 255, "top left corner"),
    ("01.2", lambda i, h, w: prepare(i, w, h), "rows come first"),
    ("01.2", lambda i, h, w: prepare(i, h, w)[..., ::-1], "Red and blue"),
    ("01.2", lambda i, h, w: np.zeros((len(i), h, w, 3)), "Expected"),
    ("01.3", lambda x, a: x + np.array(a % 256, np.uint8), "wrapped around"),
    ("01.3", lambda x, a: x.astype(int) + a, "between 0 and 255"),
    ("01.3", lambda x, a: np.minimum(x.astype(int) + a, 255), "below 0"),
    ("01.3", lambda x, a: np.zeros_like(x), "Expected"),
    ("01.4", lambda x: np.reshape(x, (len(x), *x.shape[2:], -1)), "torn apart"),
    ("01.4", np.transpose, "the batch must stay first"),
    ("01.4", lambda x: np.swapaxes(x, 1, 3), "Rows and columns"),
    ("01.4", lambda x: x, "Nothing has moved"),
    ("01.4", lambda x: np.zeros_like(np.moveaxis(x, 1, 3)), "Expected"),
    ("01.5", overflowing, "NaN"),
    ("01.5", lambda z: softmax(z.T).T, "sum over the classes"),
    ("01.5", lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(), "share one sum"),
    ("01.5", lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
    ("01.5", np.zeros_like, "Expected"),
    ("01.6", lambda labels, k: np.eye(k)[labels].max(axis=1), "last class"),
    ("01.6", lambda labels, k: (labels[..., None] == range(k)).sum(axis=1), "not their number"),
    ("01.6", lambda labels, k: targets(labels[:, :1], k), "not only the first"),
    ("01.6", lambda labels, k: targets(labels, k)[:, ::-1], "Expected"),
    ("01.6", lambda labels, k: np.zeros((len(labels), k)), "Expected"),
    (
        "01.6",
        lambda labels, k: targets(labels, k) / np.maximum(targets(labels, k).sum(1)[:, None], 1),
        "question of its own",
    ),
    (
        "01.7",
        lambda x, d, r: np.corrcoef(x.ravel(), np.roll(x, (-d, -r), (0, 1)).ravel())[0, 1],
        "wraps around",
    ),
    ("01.7", lambda x, d, r: correlation(x, r, d), "exchanged"),
    (
        "01.7",
        lambda x, d, r: (
            (x[: len(x) - d, : x.shape[1] - r] * x[d:, r:]).sum()
            / np.linalg.norm(x[: len(x) - d, : x.shape[1] - r])
            / np.linalg.norm(x[d:, r:])
        ),
        "Subtract the means",
    ),
    ("01.7", lambda x, d, r: 0.0, "Not right yet"),
    ("01.8", lambda x, p: shuffle(x, np.argsort(p)), "the way back"),
    ("01.8", lambda x, p: x, "Nothing has moved"),
    (
        "01.8",
        lambda x, p: np.moveaxis(x, 3, 1).reshape(len(x), -1, x.shape[3])[:, p].reshape(x.shape),
        "stay together",
    ),
    ("01.8", lambda x, p: np.zeros_like(x), "Expected"),
    ("01.9", lambda m, labels: m, "look up their classes"),
    ("01.9", lambda m, labels: np.array([0, *labels])[m], "add 1 to the class"),
    ("01.9", lambda m, labels: np.array([*labels, 0])[m - 1] + 1, "Expected"),
    ("01.9", lambda m, labels: np.array([*labels] or [0])[m - 1] + 1, "the background must stay 0"),
    ("01.9", lambda m, labels: (m > 0).astype(int), "object or not"),
    ("01.9", lambda m, labels: np.zeros_like(m) - 1, "Expected"),
    ("01.10", lambda d, r, s, b: cell_histograms(r, d, s, b), "in this order"),
    (
        "01.10",
        lambda d, r, s, b: cell_histograms(d / np.hypot(d, r), r / np.hypot(d, r), s, b),
        "counts of pixels",
    ),
    (
        "01.10",
        lambda d, r, s, b: (
            cell_histograms(d, r, s, b) / cell_histograms(d, r, s, b).sum(2)[..., None]
        ),
        "do not divide",
    ),
    (
        "01.10",
        lambda d, r, s, b: cell_histograms(d * np.hypot(d, r), r * np.hypot(d, r), s, b),
        "square root",
    ),
    (
        "01.10",
        lambda d, r, s, b: np.zeros((len(d) // s, d.shape[1] // s, b)),
        "Expected",
    ),
    ("01.11", lambda x, w: simple_cells(x, w).max(), "below 0"),
    ("01.11", lambda x, w: np.maximum(simple_cells(x, w), 0).sum(), "the sum of"),
    ("01.11", lambda x, w: np.maximum(simple_cells(x, w), 0).mean(), "the mean of"),
    ("01.11", lambda x, w: abs(simple_cells(x, w)).max(), "not of its magnitude"),
    ("01.11", lambda x, w: max(simple_cells(x, w)[0, 0], 0), "one simple cell"),
    ("01.11", lambda x, w: 0.0, "Not right yet"),
    ("01.12", lambda x: standardise(x)[0], "axis of the batch"),
    ("01.12", lambda x: standardise(x[..., :3] if x.ndim > 2 else x), "partly transparent"),
    ("01.12", lambda x: standardise(x.astype(float) / 255), "Not every picture"),
    ("01.12", lambda x: standardise(x)[..., :1], "all three channels"),
    ("01.12", lambda x: standardise(x) * 255, "between 0 and 1"),
    ("01.12", lambda x: np.zeros_like(standardise(x)), "Expected"),
]
NAMES = {
    "01.1": "batch_bytes", "01.2": "prepare", "01.3": "brighten", "01.4": "channels_last",
    "01.5": "softmax", "01.6": "targets", "01.7": "neighbour_correlation", "01.8": "shuffle",
    "01.9": "semantic_map", "01.10": "cell_histograms", "01.11": "complex_cell",
    "01.12": "standardise",
}  # fmt: skip
