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


RIGHT = {
    "02.1": lambda s, k, step: np.convolve(s, k[::-1], "valid")[::step],
    "02.2": lambda n, k, s, p, d: int((n + 2 * p - d * (k - 1) - 1) / s) + 1,
    "02.3": lambda kh, kw, c, k: float((kh * kw * c + 1) * k),
    "02.4": lambda n, k, s: list(same(n, k, s)),
    "02.5": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "02.6": lambda x, k: correlate(x, np.flip(k)).tolist(),
    "02.7": alternative_conv2d,
    "02.8": lambda x, dy: correlate(x, dy),
    "02.9": lambda a, b: correlate(np.pad(b, [(n - 1, n - 1) for n in a.shape]), a[::-1, ::-1]),
    "02.10": lambda w, h, wd, c: np.reshape(w, (h, wd, c, w.shape[1])),
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
    ("02.3", lambda kh, kw, c, k: kh * kw * k + k, "input channels are missing"),
    ("02.3", lambda kh, kw, c, k: kh * kw * c * k, "biases are missing"),
    ("02.3", lambda kh, kw, c, k: (kh * kw + 1) * c * k, "not to each of its slices"),
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
    ("02.8", lambda x, dy: correlate(x, dy)[::-1, ::-1], "comes out flipped"),
    ("02.8", lambda x, dy: correlate(x, np.ones_like(dy)), "dy, is not used"),
    ("02.8", lambda x, dy: correlate(x, dy) / dy.size, "mean"),
    ("02.8", lambda x, dy: 0 * correlate(x, dy), "Expected"),
    ("02.9", lambda a, b: RIGHT["02.9"](a, b[::-1, ::-1]), "One kernel is flipped"),
    ("02.9", lambda a, b: RIGHT["02.9"](a, b)[:3, :3], "Too small"),
    ("02.9", lambda a, b: 0 * RIGHT["02.9"](a, b), "Expected"),
    (
        "02.10",
        lambda w, h, wd, c: w.reshape(c, h, wd, -1).transpose(1, 2, 0, 3),
        "channels fastest",
    ),
    ("02.10", lambda w, h, wd, c: w.reshape(wd, h, c, -1).swapaxes(0, 1), "row by row"),
    ("02.10", lambda w, h, wd, c: w.T.reshape(h, wd, c, -1), "do not transpose"),
    ("02.10", lambda w, h, wd, c: w, "Expected shape"),
]
NAMES = {
    "02.1": "slide", "02.2": "output_size", "02.3": "parameters", "02.4": "same",
    "02.5": "edge_kernel", "02.6": "convolve", "02.7": "conv2d", "02.8": "kernel_gradient",
    "02.9": "merge", "02.10": "dense_to_kernel",
}  # fmt: skip
