"""Answers to the exercises of chapter 03: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np

from cvlab import pooling, pooling_gradients


def slide(signal, window, stride, summary=max):
    positions = (len(signal) - window) // stride + 1
    return [summary(signal[i * stride : i * stride + window]) for i in range(positions)]


def real_mean(signal, window):
    before = (window - 1) // 2
    return [np.mean(signal[max(i - before, 0) : i - before + window]) for i in range(len(signal))]


def zero_mean(signal, window):
    padded = np.pad(signal, ((window - 1) // 2, window // 2))
    return np.array(slide(padded, window, 1, np.mean))


def max_pool2d(x, window, stride):
    return pooling.max_pool2d(x, window, stride=stride)


def unchanged(logits):
    classes = np.argmax(logits, axis=-1)
    return (classes == classes[0]).mean(axis=1)


def blur(signal):
    return pooling.avg_pool2d(
        pooling.avg_pool2d(signal.reshape(1, 1, -1, 1), (1, 2), stride=1), (1, 2)
    ).ravel()


def kernel(window, channels):
    return np.broadcast_to(np.eye(channels), (window, window, channels, channels)) / window**2


def mean_gradient(dy, height, width, window, stride):
    return pooling_gradients.avg_pool2d_backward(
        dy[None, :, :, None], (1, height, width, 1), window, stride=stride
    )[0, :, :, 0]


def max_gradient(x, dy, window, stride):
    return pooling_gradients.max_pool2d_backward(dy[None], x[None], window, stride=stride)[0]


def brightest_gradient(x, dy, window, stride):
    brightest = np.broadcast_to(x.max(axis=-1, keepdims=True), x.shape)
    return max_gradient(brightest, dy, window, stride)


def spread(x, dy, window, stride, weights, add=True):
    """A gradient with a weight for each pixel of a window, from which of them are largest."""
    dx = np.zeros(x.shape)
    for i, j, *c in np.ndindex(dy.shape):
        rows = slice(i * stride, i * stride + window)
        columns = slice(j * stride, j * stride + window)
        place = (rows, columns, *c)
        share = dy[(i, j, *c)] * weights(x[place] == x[place].max())
        dx[place] = np.where(share != 0, share + add * dx[place], dx[place])
    return dx


def at(tied, index):
    flat = np.zeros(tied.size)
    flat[np.flatnonzero(tied)[index]] = 1
    return flat.reshape(tied.shape)


def masked_mean(x, mask):
    weights = mask / np.maximum(mask.sum(axis=(1, 2), keepdims=True), 1)
    return np.einsum("nhwc,nhw->nc", x, weights)


def nan_mean(x, mask):
    return (x * mask[..., None]).sum(axis=(1, 2)) / mask.sum(axis=(1, 2))[:, None]


def places_left(outputs, error=lambda e: np.mean(e**2) ** 0.5, guess=np.mean):
    rows = [tuple(row) for row in np.asarray(outputs).tolist()]
    errors = [p - guess([q for q, r in enumerate(rows) if r == rows[p]]) for p in range(len(rows))]
    return [len(set(rows)), error(np.array(errors))]


def on_one_budget(height, width, channels, filters, size, stride):
    places = ((height - 1) // stride + 1) * ((width - 1) // stride + 1)
    return height * width * size * size * channels * filters, height * width * filters // places


RIGHT = {
    "03.1": slide,
    "03.2": lambda h, w, c, k: [(h * w * c + 1.0) * k, (c + 1.0) * k],
    "03.3": real_mean,
    "03.4": lambda x, w, s: max_pool2d(x, w, s).tolist(),
    "03.5": lambda z: unchanged(z).tolist(),
    "03.6": blur,
    "03.7": kernel,
    "03.8": mean_gradient,
    "03.9": max_gradient,
    "03.10": masked_mean,
    "03.11": places_left,
    "03.12": on_one_budget,
}

WRONG = [
    ("03.1", lambda s, w, step: slide(s, w, w), "stride is not the window"),
    ("03.1", lambda s, w, step: slide(s, w, 1), "stride is not used"),
    ("03.1", lambda s, w, step: [max(s[i : i + w]) for i in range(0, len(s), step)], "stick out"),
    ("03.1", lambda s, w, step: slide(s, w, step)[:-1], "last window is missing"),
    ("03.1", lambda s, w, step: slide(s, w, step, np.mean), "average pooling"),
    ("03.1", lambda s, w, step: np.maximum(slide(s, w, step), 0), "zero won"),
    ("03.1", lambda s, w, step: np.zeros(len(slide(s, w, step))), "Expected"),
    ("03.2", lambda h, w, c, k: (h * w * c * k, c * k), "biases are missing"),
    ("03.2", lambda h, w, c, k: (c * k + k, h * w * c * k + k), "swapped"),
    ("03.2", lambda h, w, c, k: (h * w * c * k + k, h * w * k + k), "keeps the channels"),
    ("03.2", lambda h, w, c, k: (2 * h * w * c * k, 2 * c * k), "not to each of its weights"),
    ("03.2", lambda h, w, c, k: (0, 0), "Expected"),
    ("03.2", lambda h, w, c, k: (h * w * c + 1) * k, "Expected shape"),
    ("03.3", zero_mean, "zeros were counted"),
    ("03.3", lambda s, w: real_mean(s[::-1], w)[::-1], "swapped"),
    ("03.3", lambda s, w: slide(s, w, 1, np.mean), "Too short"),
    ("03.3", lambda s, w: zero_mean(s, w) * w, "sums"),
    ("03.3", lambda s, w: np.zeros(len(s)), "Expected"),
    ("03.4", lambda x, w, s: max_pool2d(x, w, 1), "stride is not used"),
    ("03.4", lambda x, w, s: max_pool2d(x, w, w), "stride is not the window"),
    ("03.4", lambda x, w, s: max_pool2d(x, w, s).max(-1, keepdims=True), "each channel"),
    ("03.4", lambda x, w, s: pooling.avg_pool2d(x, w, stride=s), "average pooling"),
    ("03.4", lambda x, w, s: np.maximum(max_pool2d(x, w, s), 0), "zero won"),
    ("03.4", lambda x, w, s: max_pool2d(x, w, s)[:, :-1, :-1], "last row and column"),
    ("03.4", lambda x, w, s: 0 * max_pool2d(x, w, s), "Expected"),
    ("03.5", lambda z: 1 - unchanged(z), "changed"),
    ("03.5", lambda z: (z == z[:1]).mean(axis=(1, 2)), "scores were compared"),
    (
        "03.5",
        lambda z: [1.0, *np.mean(z.argmax(2)[1:] == z.argmax(2)[:-1], axis=1)],
        "compare with shift 0",
    ),
    ("03.5", lambda z: unchanged(z).mean(), "One number"),
    ("03.5", lambda z: (z.argmax(2) == z[0].argmax(1)).mean(axis=0), "over the shifts"),
    ("03.5", lambda z: 0 * unchanged(z), "Expected"),
    ("03.6", lambda s: np.convolve(s[::2], [0.25, 0.5, 0.25], "valid"), "Sampled first"),
    ("03.6", lambda s: 4 * blur(s), "sum to one"),
    ("03.6", lambda s: np.convolve(s, [0.25, 0.5, 0.25], "valid"), "not sampled"),
    ("03.6", lambda s: slide(s, 3, 2, np.mean), "counts twice"),
    ("03.6", lambda s: np.convolve(s, [0.25, 0.5, 0.25], "same")[::2], "stick out"),
    ("03.6", lambda s: 0 * blur(s), "Expected"),
    ("03.7", lambda w, c: np.ones((w, w, c, c)) / w**2, "channels are mixed"),
    ("03.7", lambda w, c: np.ones((w, w, c, c)) / w**2 / c, "averaged too"),
    ("03.7", lambda w, c: kernel(w, c) * w**2, "sums come out"),
    ("03.7", lambda w, c: kernel(w, c) * w, "divide by the square"),
    ("03.7", lambda w, c: np.ones((w, w, c, 1)) / w**2, "depthwise"),
    ("03.7", lambda w, c: np.zeros((w, w, c, c)), "Expected"),
    ("03.8", lambda dy, h, w, k, s: mean_gradient(dy, h, w, k, s) * k**2, "whole gradient"),
    (
        "03.8",
        lambda dy, h, w, k, s: spread(
            np.zeros((h, w)), dy, k, s, lambda tied: tied / k**2, add=False
        ),
        "overwritten",
    ),
    (
        "03.8",
        lambda dy, h, w, k, s: (
            mean_gradient(dy, h, w, k, s)
            / np.maximum(mean_gradient(np.ones_like(dy), h, w, k, s), 1e-9)
            / k**2
        ),
        "adds up",
    ),
    ("03.8", lambda dy, h, w, k, s: mean_gradient(np.ones_like(dy), h, w, k, s), "not used"),
    ("03.8", lambda dy, h, w, k, s: np.zeros((h, w)), "Expected"),
    ("03.9", lambda x, dy, w, s: spread(x, dy, w, s, lambda tied: tied), "paid in full"),
    ("03.9", lambda x, dy, w, s: spread(x, dy, w, s, lambda t: t / t.sum()), "shared among"),
    ("03.9", lambda x, dy, w, s: spread(x, dy, w, s, lambda t: at(t, -1)), "the last pixel won"),
    ("03.9", lambda x, dy, w, s: spread(x, dy, w, s, lambda t: at(t, 0), add=False), "add with"),
    ("03.9", brightest_gradient, "its own winner"),
    ("03.9", lambda x, dy, w, s: np.sign(max_gradient(x, dy, w, s)), "they get ones"),
    ("03.9", lambda x, dy, w, s: np.zeros(x.shape), "Expected"),
    ("03.10", lambda x, m: (x * m[..., None]).mean(axis=(1, 2)), "all positions"),
    ("03.10", lambda x, m: (x * m[..., None]).sum(axis=(1, 2)) / m.sum(), "own count"),
    ("03.10", lambda x, m: (x * m[..., None]).sum(axis=(1, 2)), "sums"),
    ("03.10", lambda x, m: x.mean(axis=(1, 2)), "mask is not used"),
    ("03.10", nan_mean, "NaN"),
    ("03.10", lambda x, m: 0 * masked_mean(x, m), "Expected"),
    ("03.11", lambda o: (o.shape[1], places_left(o)[1]), "different rows"),
    ("03.11", lambda o: places_left(o, lambda e: np.mean(e**2)), "root at the end"),
    ("03.11", lambda o: places_left(o, lambda e: abs(e).mean()), "mean absolute"),
    ("03.11", lambda o: places_left(o, guess=min), "first of the places"),
    ("03.11", lambda o: (1, 0.0), "Expected"),
    ("03.12", lambda h, w, c, f, k, s: (h * w * k * k * c * f, f * s * s), "ceil"),
    ("03.12", lambda h, w, c, f, k, s: (h * w * k * k * c * f, f * s), "both axes"),
    ("03.12", lambda h, w, c, f, k, s: (k * k * c * f, f), "every place"),
    ("03.12", lambda h, w, c, f, k, s: (0, 0), "Expected"),
]
NAMES = {
    "03.1": "max_pool", "03.2": "heads", "03.3": "mean_pool", "03.4": "max_pool2d",
    "03.5": "consistency", "03.6": "blur_pool", "03.7": "average_kernel",
    "03.8": "average_backward", "03.9": "max_backward", "03.10": "masked_average",
    "03.11": "places_left",
    "03.12": "on_one_budget",
}  # fmt: skip
