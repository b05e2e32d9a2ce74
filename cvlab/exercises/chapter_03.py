"""Exercises of chapter 03-pooling.

Conventions
-----------
Arrays as everywhere: images (batch, height, width, channels), gradients like what they belong to.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.check import Exercise

_RNG = np.random.default_rng(3)


def _integers(*shape: int) -> np.ndarray:
    """Small whole numbers: many ties, and exact in any order of summation."""
    return _RNG.integers(-4, 5, size=shape).astype(float)


def _windows(x: np.ndarray, window: int, stride: int) -> np.ndarray:
    """Return the square windows over axes 1 and 2, with their pixels as the two last axes."""
    view = np.lib.stride_tricks.sliding_window_view(x, (window, window), axis=(1, 2))
    return view[:, ::stride, ::stride]


# 03.1 slide a maximum over a signal


def _slide(signal, window, stride, summary=np.max):
    views = np.lib.stride_tricks.sliding_window_view(signal, window)
    return summary(views[::stride], axis=1)


_MAXIMUM = Exercise(
    reference=_slide,
    cases=[
        (np.array([1.0, 5.0, 2.0, 2.0, 7.0]), 2, 2),
        (np.array([-3.0, -1.0, -2.0, -5.0, -4.0, -6.0]), 3, 1),
        (np.array([4.0, 0.0, 1.0, 6.0, 3.0, 2.0, 9.0]), 2, 3),
    ],
    hidden_cases=[
        (_integers(11) + 5, 4, 3),
        (np.array([-7.0, -3.0, -5.0, -2.0, -9.0, -4.0, -1.0, -8.0, -6.0]), 3, 2),
    ],
    mistakes=[
        (
            lambda s, w, step: _slide(s, w, w),
            "The stride is not the window: window i starts at value i * stride.",
        ),
        (
            lambda s, w, step: _slide(s, w, 1),
            "The stride is not used: from one window to the next, move by `stride` values.",
        ),
        (
            lambda s, w, step: [max(s[i : i + w]) for i in range(0, len(s), step)],
            "Windows that stick out were used too: keep those that lie inside.",
        ),
        (
            lambda s, w, step: _slide(s, w, step)[:-1],
            "The last window is missing: count floor((n - window) / stride) + 1 of them.",
        ),
        (
            lambda s, w, step: np.maximum(_slide(s, w, step), 0),
            "A zero won against negative values: the largest value of a window may be negative.",
        ),
        (
            lambda s, w, step: _slide(s, w, step, np.mean),
            "This is average pooling: take the largest value of each window.",
        ),
    ],
)


# 03.2 parameters of two heads


def _heads(height, width, channels, classes):
    return (
        np.zeros((height, width, channels, classes)).size + classes,
        np.zeros((channels, classes)).size + classes,
    )


_HEADS = Exercise(
    reference=_heads,
    cases=[(7, 7, 512, 10), (4, 6, 32, 5), (1, 1, 8, 3)],
    hidden_cases=[(14, 14, 512, 1000), (3, 5, 7, 2)],
    mistakes=[
        (
            lambda h, w, c, k: (h * w * c * k, c * k),
            "The biases are missing: a dense layer has one for each class.",
        ),
        (
            lambda h, w, c, k: _heads(h, w, c, k)[::-1],
            "The two numbers are swapped: the flattened head comes first.",
        ),
        (
            lambda h, w, c, k: (_heads(h, w, c, k)[0], h * w * k + k),
            "Global pooling keeps the channels and gives up the places, not the other way round.",
        ),
        (
            lambda h, w, c, k: ((h * w * c + h * w * c) * k, 2 * c * k),
            "One bias belongs to a class, not to each of its weights.",
        ),
    ],
)


# 03.3 a mean of real values


def _mean_of_real(signal, window, before=None):
    before = (window - 1) // 2 if before is None else before
    padded = np.pad(signal, (before, window - 1 - before), constant_values=np.nan)
    return np.nanmean(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)


def _mean_with_zeros(signal, window):
    before = (window - 1) // 2
    padded = np.pad(signal, (before, window - 1 - before))
    return np.lib.stride_tricks.sliding_window_view(padded, window).mean(axis=1)


_REAL = Exercise(
    reference=_mean_of_real,
    cases=[
        (np.array([6.0, 0.0, 3.0, 9.0]), 3),
        (np.array([4.0, 8.0, 2.0, 6.0, 0.0]), 2),
        (np.ones(6), 5),
    ],
    hidden_cases=[(_integers(7), 4), (_integers(5), 3), (np.ones(3), 2)],
    mistakes=[
        (
            _mean_with_zeros,
            "The padded zeros were counted: divide by the number of values that exist.",
        ),
        (
            lambda s, w: _mean_of_real(s, w, before=w - 1 - (w - 1) // 2),
            "Before and after are swapped: the odd value of padding goes after the signal.",
        ),
        (
            lambda s, w: _slide(s, w, 1, np.mean),
            "Too short: with same padding there is one mean for each value of the signal.",
        ),
        (
            lambda s, w: _mean_with_zeros(s, w) * w,
            "These are sums: divide each by the number of values that exist.",
        ),
    ],
)


# 03.4 max_pool2d from scratch


def _max_pool2d(x, window, stride):
    return _windows(x, window, stride).max(axis=(-2, -1))


_SCRATCH = Exercise(
    reference=_max_pool2d,
    cases=[
        (_integers(1, 4, 4, 1) - 3, 2, 2),
        (_integers(2, 6, 5, 3) - 3, 3, 1),
        (_integers(1, 8, 7, 2) - 3, 3, 2),
    ],
    hidden_cases=[(_integers(3, 7, 9, 4) - 3, 2, 3), (_integers(1, 5, 6, 2) - 3, 4, 1)],
    mistakes=[
        (
            lambda x, w, s: _max_pool2d(x, w, 1),
            "The stride is not used: move the window by `stride` pixels.",
        ),
        (
            lambda x, w, s: _max_pool2d(x, w, w),
            "The stride is not the window: window (i, j) starts at (i * stride, j * stride).",
        ),
        (
            lambda x, w, s: _max_pool2d(x, w, s).max(axis=-1, keepdims=True),
            "The maximum was taken over the channels too: each channel is pooled on its own.",
        ),
        (
            lambda x, w, s: _windows(x, w, s).mean(axis=(-2, -1)),
            "This is average pooling: take the largest value of each window.",
        ),
        (
            lambda x, w, s: np.maximum(_max_pool2d(x, w, s), 0),
            "A zero won against negative values: do not start the maximum from 0.",
        ),
        (
            lambda x, w, s: _max_pool2d(x, w, s)[:, :-1, :-1],
            "The last row and column are missing: count the positions with a floor, plus one.",
        ),
    ],
)


# 03.5 consistency


def _consistency(logits):
    classes = logits.argmax(axis=2)
    return np.array([np.mean(row == classes[0]) for row in classes])


def _logits(shifts, images, classes):
    """Return scores without ties, most classes of neighbouring shifts equal."""
    start = _RNG.normal(size=(1, images, classes))
    return start + 0.6 * _RNG.normal(size=(shifts, images, classes)).cumsum(axis=0)


_CONSISTENCY = Exercise(
    reference=_consistency,
    cases=[
        (np.array([[[2.0, 1.0], [0.0, 3.0]], [[5.0, 1.0], [2.0, 1.0]], [[0.0, 1.0], [1.0, 2.0]]]),),
        (_logits(5, 40, 3),),
    ],
    hidden_cases=[(_logits(6, 50, 10),), (_logits(4, 30, 4),)],
    mistakes=[
        (
            lambda z: 1 - _consistency(z),
            "This is the share of predictions that changed: count those that stayed.",
        ),
        (
            lambda z: np.mean(z == z[:1], axis=(1, 2)),
            "The scores were compared: a prediction is the class with the largest score.",
        ),
        (
            lambda z: np.concatenate([[1.0], np.mean(z.argmax(2)[1:] == z.argmax(2)[:-1], axis=1)]),
            "Each shift was compared with the one before: compare with shift 0.",
        ),
        (
            lambda z: np.mean(z.argmax(2) == z.argmax(2)[:1]),
            "One number came out: average over the images only, not over the shifts.",
        ),
        (
            lambda z: np.mean(z.argmax(2) == z.argmax(2)[:1], axis=0),
            "The mean runs over the shifts: average over the images, axis 1 of the classes.",
        ),
    ],
)


# 03.6 blur, then sample


def _blur_pool(signal):
    return np.convolve(signal, [0.25, 0.5, 0.25], mode="valid")[::2]


_BLUR = Exercise(
    reference=_blur_pool,
    cases=[
        (np.array([0.0, 4.0, 8.0, 4.0, 0.0]),),
        (np.tile([0.0, 1.0], 5),),
        (np.array([4.0, 0.0, 0.0, 8.0, 4.0, 12.0, 0.0]),),
    ],
    hidden_cases=[(_integers(12),), (_integers(9),)],
    mistakes=[
        (
            lambda s: np.convolve(s[::2], [0.25, 0.5, 0.25], mode="valid"),
            "Sampled first, then smoothed: what the sampling mixed up, no blur can repair.",
        ),
        (
            lambda s: 4 * _blur_pool(s),
            "The weights must sum to one: divide by 4, or a constant signal grows.",
        ),
        (
            lambda s: np.convolve(s, [0.25, 0.5, 0.25], mode="valid"),
            "Smoothed, but not sampled: keep every second value.",
        ),
        (
            lambda s: np.convolve(s, np.full(3, 1 / 3), mode="valid")[::2],
            "The middle value counts twice: the weights are 1, 2, 1, divided by 4.",
        ),
        (
            lambda s: np.convolve(s, [0.25, 0.5, 0.25], mode="same")[::2],
            "Windows that stick out were used too: keep those that lie inside.",
        ),
    ],
)


# 03.7 average pooling as a convolution


def _average_kernel(window, channels):
    kernel = np.zeros((window, window, channels, channels))
    for c in range(channels):
        kernel[:, :, c, c] = window**-2
    return kernel


_KERNEL = Exercise(
    reference=_average_kernel,
    cases=[(2, 3), (3, 1), (3, 2)],
    hidden_cases=[(4, 4), (1, 3)],
    mistakes=[
        (
            lambda w, c: np.full((w, w, c, c), 1 / w**2),
            "The channels are mixed: output channel k must read input channel k only.",
        ),
        (
            lambda w, c: np.full((w, w, c, c), 1 / (w**2 * c)),
            "The channels are averaged too: output channel k must read input channel k only.",
        ),
        (
            lambda w, c: _average_kernel(w, c) * w**2,
            "The weights are ones, so sums come out: a mean needs 1 / window².",
        ),
        (
            lambda w, c: _average_kernel(w, c) * w,
            "A window holds window² pixels: divide by the square.",
        ),
        (
            lambda w, c: np.full((w, w, c, 1), 1 / w**2),
            "This is a depthwise kernel, or one that adds up all channels: an ordinary "
            "convolution needs the shape (window, window, channels, channels).",
        ),
    ],
)


# 03.8 the gradient of a mean


def _average_backward(dy, height, width, window, stride):
    covers = np.zeros((*dy.shape, height, width))
    for i, j in np.ndindex(dy.shape):
        covers[i, j, i * stride : i * stride + window, j * stride : j * stride + window] = 1
    return np.einsum("ij,ijpq->pq", dy, covers) / window**2


def _average_backward_overwritten(dy, height, width, window, stride):
    dx = np.zeros((height, width))
    for i, j in np.ndindex(dy.shape):
        rows, columns = i * stride, j * stride
        dx[rows : rows + window, columns : columns + window] = dy[i, j] / window**2
    return dx


def _average_backward_per_pixel(dy, height, width, window, stride):
    counts = _average_backward(np.ones_like(dy), height, width, window, stride)
    sums = _average_backward(dy, height, width, window, stride)
    return sums / np.maximum(counts, 1e-12) / window**2


_MEAN_GRADIENT = Exercise(
    reference=_average_backward,
    cases=[
        (np.array([[4.0, 8.0], [12.0, 16.0]]), 4, 4, 2, 2),
        (_integers(2, 3) + 5, 4, 5, 3, 1),
        (_integers(2, 2) + 5, 6, 5, 3, 2),
    ],
    hidden_cases=[(_integers(3, 3), 5, 5, 3, 1), (_integers(2, 3), 6, 8, 3, 2)],
    mistakes=[
        (
            lambda dy, h, w, k, s: _average_backward(dy, h, w, k, s) * k**2,
            "Every pixel got the whole gradient: its share is 1 / window².",
        ),
        (
            _average_backward_overwritten,
            "Where windows overlap the last one has overwritten the others: add with +=.",
        ),
        (
            _average_backward_per_pixel,
            "You averaged over the windows that cover a pixel: what they send adds up.",
        ),
        (
            lambda dy, h, w, k, s: _average_backward(np.ones_like(dy), h, w, k, s),
            "The gradient that arrives, dy, is not used: the chain rule multiplies by it.",
        ),
    ],
)


# 03.9 the gradient of a maximum


def _each_channel(function):
    """Return a function of images with channels from one of grey images, x and dy first."""

    def of_channels(x, dy, *rest):
        channels = range(x.shape[-1])
        return np.stack([function(x[..., c], dy[..., c], *rest) for c in channels], axis=-1)

    return of_channels


@_each_channel
def _max_backward(x, dy, window, stride):
    dx = np.zeros(x.size)
    numbered = np.arange(x.size).reshape(1, *x.shape)
    places = _windows(numbered, window, stride).reshape(dy.size, -1)
    winners = places[np.arange(dy.size), x.ravel()[places].argmax(axis=1)]
    np.add.at(dx, winners, dy.ravel())
    return dx.reshape(x.shape)


@_each_channel
def _max_backward_by_rule(x, dy, window, stride, rule):
    """Return the sum over windows of dy times the weights that a rule gives to the pixels."""
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(dy.shape):
        place = np.s_[i * stride : i * stride + window, j * stride : j * stride + window]
        dx[place] += dy[i, j] * rule(x[place] == x[place].max())
    return dx


@_each_channel
def _max_backward_overwritten(x, dy, window, stride):
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(dy.shape):
        patch = x[i * stride : i * stride + window, j * stride : j * stride + window]
        u, v = np.unravel_index(patch.argmax(), patch.shape)
        dx[i * stride + u, j * stride + v] = dy[i, j]
    return dx


def _max_backward_one_place(x, dy, window, stride):
    """Give the gradient of all channels to the place of the largest value of any channel."""
    brightest = np.repeat(x.max(axis=-1, keepdims=True), x.shape[-1], axis=-1)
    return _max_backward(brightest, dy, window, stride)


def _last(tied):
    """Mark the last of the tied pixels."""
    mark = np.zeros(tied.size)
    mark[np.flatnonzero(tied)[-1]] = 1
    return mark.reshape(tied.shape)


_TIED = np.array([[2.0, 7.0, 1.0, 3.0], [7.0, 0.0, 3.0, 3.0], [5.0, 4.0, 9.0, 8.0], [1.0] * 4])
_OVERLAP = np.array([[1.0, 2.0, 3.0, 0.0], [4.0, 9.0, 5.0, 6.0], [7.0, 8.0, 0.0, 2.0]])
_MAX_GRADIENT = Exercise(
    reference=_max_backward,
    cases=[
        (_TIED[..., None], np.array([[1.0, 2.0], [3.0, 4.0]])[..., None], 2, 2),
        (_OVERLAP[..., None], np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[..., None], 2, 1),
        (
            np.dstack([np.zeros((5, 5)), _integers(5, 5)]),
            np.arange(1.0, 9.0).reshape(2, 2, 2),
            3,
            2,
        ),
    ],
    hidden_cases=[
        (_integers(7, 6, 3), _integers(3, 2, 3) + 5, 3, 2),
        (_integers(4, 5, 2), _integers(3, 4, 2) + 5, 2, 1),
    ],
    mistakes=[
        (
            lambda x, dy, w, s: _max_backward_by_rule(x, dy, w, s, lambda tied: tied),
            "Every tied pixel was paid in full, so more went out than came in: one winner, the "
            "first in reading order.",
        ),
        (
            lambda x, dy, w, s: _max_backward_by_rule(x, dy, w, s, lambda tied: tied / tied.sum()),
            "The gradient was shared among tied pixels: give it to one, the first in reading "
            "order.",
        ),
        (
            lambda x, dy, w, s: _max_backward_by_rule(x, dy, w, s, _last),
            "At a tie the last pixel won: the first in reading order should.",
        ),
        (
            _max_backward_overwritten,
            "A pixel that wins several windows keeps only the last gradient: add with +=.",
        ),
        (
            _max_backward_one_place,
            "One place won for all channels of a window: each channel has its own winner.",
        ),
        (
            lambda x, dy, w, s: (_max_backward(x, dy, w, s) != 0) * 1.0,
            "The winners are right, but they get ones: hand them the gradient dy.",
        ),
    ],
)


# 03.10 average over the object only


def _masked_average(x, mask):
    pairs = zip(x, mask.astype(bool), strict=True)
    return np.array([p[m].mean(axis=0) if m.any() else np.zeros(p.shape[-1]) for p, m in pairs])


def _masks(*shape: int) -> np.ndarray:
    """Random masks; the last one of the batch is empty."""
    masks = _RNG.integers(0, 2, size=shape).astype(float)
    masks[-1] = 0
    masks[:-1, 0, 0] = 1
    return masks


_FULL = np.ones((2, 2, 3))
_FULL[0, :, 1:] = 0
_MASKED = Exercise(
    reference=_masked_average,
    cases=[
        (_integers(2, 2, 3, 2), _FULL),
        (_integers(3, 4, 4, 3), _masks(3, 4, 4)),
    ],
    hidden_cases=[
        (_integers(4, 3, 5, 2), _masks(4, 3, 5)),
        (_integers(2, 6, 6, 1), _masks(2, 6, 6)),
    ],
    mistakes=[
        (
            lambda x, m: (x * m[..., None]).mean(axis=(1, 2)),
            "Divided by all positions: divide by the number of pixels in the mask.",
        ),
        (
            lambda x, m: (x * m[..., None]).sum(axis=(1, 2)) / max(m.sum(), 1),
            "Divided by the pixels of all masks together: each image has its own count.",
        ),
        (
            lambda x, m: (x * m[..., None]).sum(axis=(1, 2)),
            "These are sums: divide by the number of pixels in the mask.",
        ),
        (
            lambda x, m: x.mean(axis=(1, 2)),
            "The mask is not used: average over its pixels only.",
        ),
    ],
)


# 03.11 how much of a place is left


def _groups(outputs):
    """Collect the places of each different output."""
    found = {}
    for place, row in enumerate(outputs):
        found.setdefault(tuple(row), []).append(place)
    return list(found.values())


def _places_left(outputs, error=lambda e: np.sqrt(np.mean(e**2)), guess=np.mean):
    groups = _groups(outputs)
    errors = np.concatenate([np.array(group) - guess(group) for group in groups])
    return len(groups), error(errors)


def _maxima(places, window):
    return np.eye(places).reshape(places, -1, window).max(-1)


_PLACES = Exercise(
    reference=_places_left,
    cases=[
        (_maxima(8, 4),),
        (np.eye(7)[:, ::3],),
        (np.array([[0.0, 1], [0, 1], [2, 0], [0, 1], [2, 0]]),),
    ],
    hidden_cases=[(_maxima(12, 3),), (np.eye(9)[:, 1::4],)],
    mistakes=[
        (
            lambda outputs: (outputs.shape[1], _places_left(outputs)[1]),
            "That is how many numbers an output has: count the different rows.",
        ),
        (
            lambda outputs: _places_left(outputs, lambda e: np.mean(e**2)),
            "This is the mean square: take the root at the end.",
        ),
        (
            lambda outputs: _places_left(outputs, lambda e: np.abs(e).mean()),
            "This is the mean absolute error: square before the mean, and take the root.",
        ),
        (
            lambda outputs: _places_left(outputs, guess=lambda group: group[0]),
            "That guesses the first of the places: their mean is nearer to all of them.",
        ),
        (
            lambda o: (
                len(_groups(o)),
                np.mean([np.std(group) for group in _groups(o)]),
            ),
            "Every place counts once, not every output: most places may share one output.",
        ),
    ],
)


# 03.12 strided convolution, or convolution and pooling, on one budget


def _one_budget(height, width, channels, filters, size, stride, places=None, area=None):
    weights = (size**2 if area is None else area) * channels
    if places is None:
        places = len(range(0, height, stride)) * len(range(0, width, stride))
    budget = height * width * weights * filters
    return np.array([budget, budget // (places * weights)])


_ONE_BUDGET = Exercise(
    reference=_one_budget,
    cases=[(8, 8, 3, 16, 3, 2), (7, 9, 4, 10, 3, 2), (12, 12, 1, 6, 5, 3)],
    hidden_cases=[(13, 7, 2, 9, 3, 3), (5, 5, 8, 4, 1, 2)],
    mistakes=[
        (
            lambda h, w, c, f, k, s: np.array([h * w * k * k * c * f, f * s * s]),
            "That holds when the stride divides both sides: count the places with ceil.",
        ),
        (
            lambda h, w, c, f, k, s: np.array([h * w * k * k * c * f, f * s]),
            "The stride saves along both axes.",
        ),
        (
            lambda h, w, c, f, k, s: np.array([k * k * c * f, f]),
            "These are the weights: each is used at every place of the map.",
        ),
        (
            lambda h, w, c, f, k, s: _one_budget(h, w, 1, f, k, s),
            "The channels are missing: every filter has a kernel for each of them.",
        ),
        (
            lambda h, w, c, f, k, s: _one_budget(h, w, c, f, k, s, places=(h // s) * (w // s)),
            "Same padding rounds up: 7 pixels at stride 2 give 4 outputs.",
        ),
    ],
)


EXERCISES = {
    "03.1": _MAXIMUM,
    "03.2": _HEADS,
    "03.3": _REAL,
    "03.4": _SCRATCH,
    "03.5": _CONSISTENCY,
    "03.6": _BLUR,
    "03.7": _KERNEL,
    "03.8": _MEAN_GRADIENT,
    "03.9": _MAX_GRADIENT,
    "03.10": _MASKED,
    "03.11": _PLACES,
    "03.12": _ONE_BUDGET,
}
