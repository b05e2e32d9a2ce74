"""Answers to the exercises of chapter 02: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

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


RIGHT = {
    "02.1": lambda s, k, step: np.convolve(s, k[::-1], "valid")[::step],
    "02.2": lambda n, k, s, p, d: int((n + 2 * p - d * (k - 1) - 1) / s) + 1,
    "02.3": lambda h, w, c, k, f: [h * w * c * f**2 * k, float(h * w * c * (f**2 + k))],
    "02.4": lambda n, k, s: list(same(n, k, s)),
    "02.5": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "02.6": lambda x, k: correlate(x, np.flip(k)).tolist(),
    "02.7": alternative_conv2d,
    "02.8": lambda x, dy, s: kernel_gradient(x, dy, s).tolist(),
    "02.9": lambda a, b: correlate(np.pad(b, [(n - 1, n - 1) for n in a.shape]), a[::-1, ::-1]),
    "02.10": lambda w, h, wd, c: np.moveaxis(w.reshape(c, h, wd, w.shape[1]), 0, 2),
    "02.11": lambda s, k, step: paint(s, k, step),
    "02.12": lambda b, a, m: abs(b[:, m:] - a[:, : len(a[0]) - m]).max().tolist(),
}

WRONG = [
    ("02.1", lambda s, k, step: np.convolve(s, k, "valid")[::step], "flipped"),
    ("02.1", lambda s, k, step: np.correlate(s, k, "valid"), "stride is not used"),
    ("02.1", lambda s, k, step: np.correlate(s, k, "valid")[::step][:-1], "last window is missing"),
    ("02.1", lambda s, k, step: np.correlate(s, k, "same")[::step], "stick out"),
    ("02.1", lambda s, k, step: 0 * np.correlate(s, k, "valid")[::step], "Expected"),
    ("02.2", lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) / s + 1, "floor"),
    ("02.2", lambda n, k, s, p, d: (n + 2 * p - k) // s + 1, "dilation is missing"),
    ("02.2", lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1, "counts twice"),
    ("02.2", lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s, "One is missing"),
    ("02.2", lambda n, k, s, p, d: -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1, "rounded up"),
    ("02.3", lambda h, w, c, k, f: (h * w * f * f * k, h * w * (f * f + k)), "input channels"),
    ("02.3", lambda h, w, c, k, f: (f * f * c * k, f * f * c + c * k), "These are the weights"),
    ("02.3", lambda h, w, c, k, f: (h * w * f * f * c * k, h * w * f * f * c * c * k), "add"),
    ("02.3", lambda h, w, c, k, f: (h * w * f * f * c * k, h * w * f * f * c), "pointwise step"),
    ("02.3", lambda h, w, c, k, f: h * w * f * f * c * k, "Expected shape (2,)"),
    ("02.4", lambda n, k, s: same(n, k, s)[::-1], "swapped"),
    ("02.4", lambda n, k, s: ((k - 1) // 2, k - 1 - (k - 1) // 2), "stride 1 only"),
    ("02.4", lambda n, k, s: ((k - 1) // 2, (k - 1) // 2), "The same on both sides"),
    (
        "02.4",
        lambda n, k, s: (lambda t: (t // 2, t - t // 2))((-(-n // s) - 1) * s + k - n),
        "negative",
    ),
    ("02.5", np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]]), "sign is reversed"),
    ("02.5", np.array([[-1, 0, 1]] * 3), "does not answer to the edge"),
    ("02.5", np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 2]]), "sum to zero"),
    ("02.5", np.array([[-1, -2, 0], [0, 0, 0], [0, 1, 2]]), "vertical edge"),
    ("02.5", np.zeros((3, 3)), "zeros answers to nothing"),
    ("02.5", np.full((3, 3), np.nan), "NaN or infinity"),
    ("02.5", np.repeat([[1.0], [-1.4], [0.4]], 3, axis=1), "both signs"),
    ("02.5", np.array([[1, 1, 1], [-2, -2, -2], [1, 1, 1]]), "both signs"),
    ("02.5", np.ones(3), "Expected a kernel of shape (3, 3)"),
    ("02.6", correlate, "Not flipped"),
    ("02.6", lambda x, k: correlate(x, k[::-1]), "Only one axis"),
    ("02.6", lambda x, k: correlate(x, k[:, ::-1]), "Only one axis"),
    ("02.6", lambda x, k: correlate(x[::-1, ::-1], k), "upside down"),
    ("02.7", lambda x, k, s: conv2d(x, k[::-1, ::-1], s), "flipped"),
    ("02.7", lambda x, k, s: conv2d(x, k.swapaxes(0, 1), s), "swapped"),
    ("02.7", lambda x, k, s: conv2d(x, k, 1), "stride is not used"),
    ("02.7", lambda x, k, s: conv2d(x[..., :1], k[:, :, :1], s), "first input channel"),
    ("02.7", lambda x, k, s: conv2d(x, k, s)[:, :-1, :-1], "last row and column"),
    ("02.7", lambda x, k, s: 0 * conv2d(x, k, s), "Expected"),
    ("02.8", lambda x, dy, s: kernel_gradient(x, dy, s)[::-1, ::-1], "comes out flipped"),
    ("02.8", lambda x, dy, s: kernel_gradient(x, np.ones_like(dy), s), "dy, is not used"),
    ("02.8", lambda x, dy, s: kernel_gradient(x, dy, s) / dy.size, "mean"),
    ("02.8", lambda x, dy, s: correlate(x, dy), "stride is not used"),
    ("02.8", lambda x, dy, s: 0 * kernel_gradient(x, dy, s), "Expected"),
    ("02.9", lambda a, b: RIGHT["02.9"](a, b[::-1, ::-1]), "One kernel is flipped"),
    ("02.9", lambda a, b: RIGHT["02.9"](a, b)[:3, :3], "Too small"),
    ("02.9", lambda a, b: 0 * RIGHT["02.9"](a, b), "Expected"),
    ("02.10", lambda w, h, wd, c: w.reshape(h, wd, c, -1), "order of channels last"),
    ("02.10", lambda w, h, wd, c: w.reshape(c, wd, h, -1).transpose(2, 1, 0, 3), "row by row"),
    ("02.10", lambda w, h, wd, c: w.reshape(c, h, wd, -1), "channels still come first"),
    ("02.10", lambda w, h, wd, c: w, "Expected shape"),
    ("02.11", lambda s, k, step: paint(s, k, step, add=False), "overwrote"),
    ("02.11", lambda s, k, step: paint(s, k[::-1], step), "reversed"),
    ("02.11", lambda s, k, step: paint(s, k, 1), "stride is not used"),
    ("02.11", lambda s, k, step: np.append(paint(s, k, step), [0] * (step - 1)), "Too long"),
    ("02.11", lambda s, k, step: 0 * paint(s, k, step), "Expected"),
    ("02.12", lambda b, a, m: abs(b - a).max(), "same place"),
    ("02.12", lambda b, a, m: abs(a[:, m:] - b[:, : len(a[0]) - m]).max(), "wrong way"),
    ("02.12", lambda b, a, m: abs(b[:, m:] - a[:, : len(a[0]) - m]).mean(), "mean"),
    ("02.12", lambda b, a, m: abs(np.roll(b, -m, axis=1) - a).max(), "np.roll"),
    ("02.12", lambda b, a, m: 0.0, "Not right yet"),
]
NAMES = {
    "02.1": "slide", "02.2": "output_size", "02.3": "multiply_adds", "02.4": "same",
    "02.5": "edge_kernel", "02.6": "convolve", "02.7": "conv2d", "02.8": "kernel_gradient",
    "02.9": "merge", "02.10": "dense_to_kernel", "02.11": "spread",
    "02.12": "shift_error",
}  # fmt: skip
