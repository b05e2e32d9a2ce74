"""Answers to the exercises of chapter 02: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import math

import numpy as np


def alternative_conv2d(x, kernel, stride):
    out = []
    for image in x:
        rows = range(0, len(image) - len(kernel) + 1, stride)
        columns = range(0, image.shape[1] - kernel.shape[1] + 1, stride)
        out.append(
            [
                [
                    np.einsum(
                        "abc,abco->o", image[i : i + len(kernel), j : j + kernel.shape[1]], kernel
                    )
                    for j in columns
                ]
                for i in rows
            ]
        )
    return out


def conv2d(x, kernel, stride):
    return np.array(alternative_conv2d(x, kernel, stride))


def correlate(image, kernel):
    return conv2d(image[None, :, :, None], kernel[:, :, None, None], 1)[0, :, :, 0]


def same(size, kernel, stride):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def kernel_gradient(x, dy, stride):
    size = [n - (m - 1) * stride for n, m in zip(x.shape, dy.shape, strict=True)]
    total = np.zeros(size)
    for i, j in np.ndindex(dy.shape):
        row, column = i * stride, j * stride
        total += dy[i, j] * x[row : row + size[0], column : column + size[1]]
    return total


def paint(signal, kernel, stride, add=True):
    out = np.zeros((len(signal) - 1) * stride + len(kernel))
    for i, value in enumerate(signal):
        window = slice(i * stride, i * stride + len(kernel))
        out[window] = value * kernel + add * out[window]
    return out


def stack(shape, layers, batch, *, bias=True, deep=True, valid=False):
    """Return the four costs, and the sizes of all arrays."""
    height, width, channels = shape
    weights, products, numbers = [], [], [math.prod(shape)]
    for filters, size, stride in layers:
        inside = [n - size + 1 if valid else n for n in (height, width)]
        height, width = (math.ceil(n / stride) for n in inside)
        weights.append(size * size * (channels if deep else 1) * filters)
        products.append(height * width * weights[-1])
        numbers.append(height * width * filters)
        channels = filters
    parameters = sum(weights) + bias * sum(filters for filters, *_ in layers)
    pairs = [numbers[i] + numbers[i + 1] for i in range(len(layers))]
    return [parameters, sum(products), 4 * batch * max(pairs), 4 * batch * sum(numbers)], numbers


def change(part, function):
    """Return an answer to 02.9 with one part wrong: a function of the costs, sizes and batch."""

    def answer(shape, layers, batch):
        costs, numbers = stack(shape, layers, batch)
        costs[part] = function(costs, numbers, batch)
        return costs

    return answer


def explained(bank, patterns):
    basis = patterns.reshape(9, -1)
    return [
        np.sum((basis @ (np.linalg.pinv(basis) @ w)) ** 2) / np.sum(w**2)
        for w in bank.reshape(9, -1).T
    ]


def cosines(bank, patterns):
    """Return the cosine of the angle between each kernel and each pattern."""
    flat, basis = bank.reshape(9, -1), patterns.reshape(9, -1)
    return flat.T @ basis / np.outer(np.linalg.norm(flat, axis=0), np.linalg.norm(basis, axis=0))


RIGHT = {
    "02.1": lambda s, k, step: np.convolve(s, k[::-1], "valid")[::step],
    "02.2": lambda x, k: correlate(x, np.flip(k)).tolist(),
    "02.3": lambda n, k, s, p, d: np.array([n + 2 * p - d * (k - 1) - 1]) // s + 1,
    "02.4": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "02.5": lambda h, w, c, k, f: [h * w * c * f**2 * k, float(h * w * c * (f**2 + k))],
    "02.6": lambda n, k, s: list(same(n, k, s)),
    "02.7": lambda b, a, m: abs(b[:, m:] - a[:, : len(a[0]) - m]).max().tolist(),
    "02.8": lambda w, h, wd, c: np.moveaxis(w.reshape(c, h, wd, w.shape[1]), 0, 2),
    "02.9": lambda shape, layers, batch: np.array(stack(shape, layers, batch)[0], float),
    "02.10": lambda a, b: correlate(np.pad(b, [(n - 1, n - 1) for n in a.shape]), a[::-1, ::-1]),
    "02.11": lambda s, k, step: paint(s, k, step),
    "02.12": explained,
    "02.13": alternative_conv2d,
    "02.14": lambda x, dy, s: kernel_gradient(x, dy, s).tolist(),
}

WRONG = [
    ("02.1", lambda s, k, step: np.convolve(s, k, "valid")[::step], "flipped"),
    ("02.1", lambda s, k, step: np.correlate(s, k, "valid"), "stride is not used"),
    ("02.1", lambda s, k, step: np.correlate(s, k, "valid")[::step][:-1], "last window is missing"),
    ("02.1", lambda s, k, step: np.correlate(s, k, "same")[::step], "stick out"),
    ("02.1", lambda s, k, step: 0 * np.correlate(s, k, "valid")[::step], "Expected"),
    ("02.2", correlate, "Not flipped"),
    ("02.2", lambda x, k: correlate(x, k[::-1]), "Only one axis"),
    ("02.2", lambda x, k: correlate(x, k[:, ::-1]), "Only one axis"),
    ("02.2", lambda x, k: correlate(x[::-1, ::-1], k), "upside down"),
    ("02.3", lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) / s + 1, "floor"),
    ("02.3", lambda n, k, s, p, d: [(n + 2 * p - k) // s + 1], "dilation is missing"),
    ("02.3", lambda n, k, s, p, d: (n + 2 * p - k) // s + 1, "dilation is missing"),
    ("02.3", lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1, "counts twice"),
    ("02.3", lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s, "One is missing"),
    ("02.3", lambda n, k, s, p, d: -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1, "rounded up"),
    ("02.4", np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]]), "sign is reversed"),
    ("02.4", np.array([[-1, 0, 1]] * 3), "does not answer to the edge"),
    ("02.4", np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 2]]), "sum to zero"),
    ("02.4", np.array([[-1, -2, 0], [0, 0, 0], [0, 1, 2]]), "vertical edge"),
    ("02.4", np.zeros((3, 3)), "zeros answers to nothing"),
    ("02.4", np.full((3, 3), np.nan), "NaN or infinity"),
    ("02.4", np.repeat([[1.0], [-1.4], [0.4]], 3, axis=1), "both signs"),
    ("02.4", np.array([[1, 1, 1], [-2, -2, -2], [1, 1, 1]]), "both signs"),
    ("02.4", np.ones(3), "Expected a kernel of shape (3, 3)"),
    ("02.5", lambda h, w, c, k, f: (h * w * f * f * k, h * w * (f * f + k)), "input channels"),
    ("02.5", lambda h, w, c, k, f: (f * f * c * k, f * f * c + c * k), "These are the weights"),
    ("02.5", lambda h, w, c, k, f: (h * w * f * f * c * k, h * w * f * f * c * c * k), "add"),
    ("02.5", lambda h, w, c, k, f: (h * w * f * f * c * k, h * w * f * f * c), "pointwise step"),
    ("02.5", lambda h, w, c, k, f: h * w * f * f * c * k, "Expected shape (2,)"),
    ("02.6", lambda n, k, s: same(n, k, s)[::-1], "swapped"),
    ("02.6", lambda n, k, s: ((k - 1) // 2, k - 1 - (k - 1) // 2), "stride 1 only"),
    ("02.6", lambda n, k, s: ((k - 1) // 2, (k - 1) // 2), "The same on both sides"),
    (
        "02.6",
        lambda n, k, s: (lambda t: (t // 2, t - t // 2))((-(-n // s) - 1) * s + k - n),
        "negative",
    ),
    ("02.7", lambda b, a, m: abs(b - a).max(), "same place"),
    ("02.7", lambda b, a, m: abs(a[:, m:] - b[:, : len(a[0]) - m]).max(), "wrong way"),
    ("02.7", lambda b, a, m: abs(b[:, m:] - a[:, : len(a[0]) - m]).mean(), "mean"),
    ("02.7", lambda b, a, m: abs(np.roll(b, -m, axis=1) - a).max(), "np.roll"),
    ("02.7", lambda b, a, m: 0.0, "Not right yet"),
    ("02.8", lambda w, h, wd, c: w.reshape(h, wd, c, -1), "order of channels last"),
    ("02.8", lambda w, h, wd, c: w.reshape(c, wd, h, -1).transpose(2, 1, 0, 3), "row by row"),
    ("02.8", lambda w, h, wd, c: w.reshape(c, h, wd, -1), "channels still come first"),
    ("02.8", lambda w, h, wd, c: w, "Expected shape"),
    ("02.9", lambda s, n, b: stack(s, n, b, bias=False)[0], "biases are missing"),
    ("02.9", lambda s, n, b: stack(s, n, b, deep=False)[0], "input channels are missing"),
    ("02.9", lambda s, n, b: stack(s, n, b, valid=True)[0], "same padding has ceil"),
    ("02.9", change(1, lambda costs, *_: 2 * costs[1]), "These are FLOPs"),
    ("02.9", change(1, lambda costs, *_: costs[0]), "used once at every place"),
    ("02.9", change(1, lambda costs, numbers, batch: costs[1] * batch), "not for the batch"),
    ("02.9", change(2, lambda costs, *_: costs[3]), "That is what training keeps"),
    ("02.9", change(2, lambda c, numbers, batch: 4 * batch * max(numbers)), "both at once"),
    ("02.9", change(3, lambda costs, *_: costs[2]), "That is what running needs"),
    ("02.9", change(3, lambda costs, numbers, batch: costs[3] // batch), "That is one image"),
    ("02.9", change(3, lambda c, numbers, b: 4 * b * sum(numbers[1:])), "images are missing"),
    ("02.9", change(3, lambda costs, *_: costs[3] // 4), "takes 4 bytes"),
    ("02.9", change(3, lambda costs, *_: 0), "not right yet"),
    ("02.9", lambda s, n, b: stack(s, n, b)[0][0], "Expected four numbers"),
    ("02.10", lambda a, b: RIGHT["02.10"](a, b[::-1, ::-1]), "One kernel is flipped"),
    ("02.10", lambda a, b: RIGHT["02.10"](a, b)[:3, :3], "Too small"),
    ("02.10", lambda a, b: 0 * RIGHT["02.10"](a, b), "Expected"),
    ("02.11", lambda s, k, step: paint(s, k, step, add=False), "overwrote"),
    ("02.11", lambda s, k, step: paint(s, k[::-1], step), "reversed"),
    ("02.11", lambda s, k, step: paint(s, k, 1), "stride is not used"),
    ("02.11", lambda s, k, step: np.append(paint(s, k, step), [0] * (step - 1)), "Too long"),
    ("02.11", lambda s, k, step: 0 * paint(s, k, step), "Expected"),
    ("02.12", lambda b, p: (cosines(b, p) ** 2).sum(axis=1), "at right angles"),
    ("02.12", lambda b, p: (cosines(b, p) ** 2).max(axis=1), "best single pattern"),
    ("02.12", lambda b, p: 1 - np.array(explained(b, p)), "left over"),
    ("02.12", lambda b, p: np.sqrt(explained(b, p)), "compare squares with squares"),
    ("02.12", lambda b, p: explained(b.reshape(-1, 9).T, p.reshape(-1, 9).T), "got mixed"),
    ("02.12", lambda b, p: explained(b - b.mean(axis=(0, 1)), p), "mean of each kernel"),
    ("02.12", lambda b, p: np.mean(explained(b, p)), "Expected shape"),
    ("02.12", lambda b, p: np.zeros(b.shape[2]), "Expected"),
    ("02.13", lambda x, k, s: conv2d(x, k[::-1, ::-1], s), "flipped"),
    ("02.13", lambda x, k, s: conv2d(x, k.swapaxes(0, 1), s), "swapped"),
    ("02.13", lambda x, k, s: conv2d(x, k, 1), "stride is not used"),
    ("02.13", lambda x, k, s: conv2d(x[..., :1], k[:, :, :1], s), "first input channel"),
    ("02.13", lambda x, k, s: conv2d(x, k, s)[:, :-1, :-1], "last row and column"),
    ("02.13", lambda x, k, s: 0 * conv2d(x, k, s), "Expected"),
    ("02.14", lambda x, dy, s: kernel_gradient(x, dy, s)[::-1, ::-1], "comes out flipped"),
    ("02.14", lambda x, dy, s: kernel_gradient(x, np.ones_like(dy), s), "dy, is not used"),
    ("02.14", lambda x, dy, s: kernel_gradient(x, dy, s) / dy.size, "mean"),
    ("02.14", lambda x, dy, s: correlate(x, dy), "stride is not used"),
    ("02.14", lambda x, dy, s: 0 * kernel_gradient(x, dy, s), "Expected"),
]
NAMES = {
    "02.1": "slide", "02.2": "convolve", "02.3": "output_size", "02.4": "edge_kernel",
    "02.5": "multiply_adds", "02.6": "same", "02.7": "shift_error", "02.8": "dense_to_kernel",
    "02.9": "stack_cost", "02.10": "merge", "02.11": "spread", "02.12": "explained",
    "02.13": "conv2d", "02.14": "kernel_gradient",
}  # fmt: skip
