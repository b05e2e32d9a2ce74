"""Exercises of chapter 02-convolution.

Conventions
-----------
Arrays as everywhere: images (batch, height, width, channels), kernels (height, width, in, out).
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab import cost, kernels
from cvlab.check import Exercise

_RNG = np.random.default_rng(2)


def _integers(*shape: int) -> np.ndarray:
    """Small whole numbers: exact in any order of summation, and readable in a message."""
    return _RNG.integers(-4, 5, size=shape).astype(float)


# 02.1 slide a kernel over a signal


def _slide(signal, kernel, stride):
    return np.correlate(signal, kernel, mode="valid")[::stride]


_SLIDE = Exercise(
    reference=_slide,
    cases=[
        (np.array([1.0, 2.0, 4.0, 7.0, 11.0]), np.array([-1.0, 0.0, 2.0]), 1),
        (np.array([3.0, 1.0, 2.0, 2.0]), np.array([1.0, -2.0]), 2),
        (np.array([5.0, 1.0, 2.0, 0.0, 3.0]), np.array([2.0, 3.0]), 2),
    ],
    hidden_cases=[(_integers(9), _integers(4), 3), (_integers(6), _integers(6), 1)],
    mistakes=[
        (
            lambda s, k, step: np.convolve(s, k, mode="valid")[::step],
            "Your kernel is flipped: this is the mathematical convolution. Multiply "
            "signal[i + u] with kernel[u], both read from left to right.",
        ),
        (
            lambda s, k, step: _slide(s, k, 1),
            "The stride is not used: from one window to the next, move by `stride` values.",
        ),
        (
            lambda s, k, step: _slide(s, k, step)[:-1],
            "The last window is missing: count floor((n - k) / stride) + 1 of them.",
        ),
        (
            lambda s, k, step: np.correlate(s, k, mode="same")[::step],
            "Windows that stick out were used too: keep those that lie inside.",
        ),
    ],
)


# 02.2 the mathematical convolution


def _convolve_by_definition(image, kernel):
    (h, w), (kh, kw) = image.shape, kernel.shape
    out = np.zeros((h - kh + 1, w - kw + 1))
    for m, n in np.ndindex(kernel.shape):
        out += kernel[m, n] * image[kh - 1 - m : h - m, kw - 1 - n : w - n]
    return out


def _correlate2d(image, kernel):
    return _convolve_by_definition(image, kernel[::-1, ::-1])


_FLIP = Exercise(
    reference=_convolve_by_definition,
    cases=[(_integers(4, 5), _integers(2, 3)), (_integers(5, 5), _integers(3, 3))],
    hidden_cases=[(_integers(6, 4), _integers(3, 2)), (_integers(3, 3), _integers(3, 3))],
    mistakes=[
        (_correlate2d, "Not flipped: this is still the cross-correlation."),
        (
            lambda x, k: _correlate2d(x, k[::-1]),
            "Only one axis is flipped: turn the kernel upside down and left to right.",
        ),
        (
            lambda x, k: _correlate2d(x, k[:, ::-1]),
            "Only one axis is flipped: turn the kernel upside down and left to right.",
        ),
        (
            lambda x, k: _correlate2d(x[::-1, ::-1], k),
            "The image is flipped instead of the kernel: the result comes out upside down.",
        ),
    ],
)


# 02.3 the output size


def _count_positions(size, kernel, stride, padding, dilation):
    reach = (kernel - 1) * dilation
    return sum(
        1 for start in range(0, size + 2 * padding, stride) if start + reach < size + 2 * padding
    )


_OUTPUT_SIZE = Exercise(
    reference=_count_positions,
    tolerance=0,
    cases=[(7, 3, 1, 0, 1), (8, 3, 2, 1, 1), (32, 5, 1, 2, 1), (11, 3, 2, 0, 2), (9, 4, 3, 1, 1)],
    hidden_cases=[(224, 7, 2, 3, 1), (17, 3, 4, 0, 3), (5, 5, 1, 0, 1), (13, 2, 5, 1, 2)],
    mistakes=[
        (
            lambda n, k, s, p, d: (n - ((k - 1) * d + 1) + 2 * p) / s + 1,
            "A layer cannot have half an output: the division needs a floor.",
        ),
        (
            lambda n, k, s, p, d: -(-(n - ((k - 1) * d + 1) + 2 * p) // s) + 1,
            "You rounded up: a last window that sticks out is dropped, so round down.",
        ),
        (
            lambda n, k, s, p, d: (n - k + 2 * p) // s + 1,
            "The dilation is missing: a dilated kernel covers (kernel - 1) * dilation + 1 pixels.",
        ),
        (
            lambda n, k, s, p, d: (n - ((k - 1) * d + 1) + p) // s + 1,
            "The padding is added on both sides: it counts twice.",
        ),
        (
            lambda n, k, s, p, d: (n - ((k - 1) * d + 1) + 2 * p) // s,
            "One is missing: the window at the very start counts too.",
        ),
    ],
)


# 02.4 design a kernel


def _judge_edge_kernel(kernel, image, kind):
    kernel = np.asarray(kernel, dtype=float)
    if kernel.shape != (3, 3):
        return f"Expected a kernel of shape (3, 3), got {kernel.shape}."
    if not kernel.any():
        return "A kernel of zeros answers to nothing at all."
    peak = {"edge": 1.0, "reverse": -1.0}.get(kind, 0.0)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    response = (windows * kernel).sum(axis=(2, 3))
    size = max(np.abs(kernel).sum(), 1e-12)
    if peak and (response * peak).min() < -1e-6 * size < 0.1 * size < (response * peak).max():
        return (
            "The kernel answers to one edge with both signs: above the edge and below it the "
            "answers must not contradict each other."
        )
    if peak and (response * peak).max() < 0.1 * size:
        if (response * peak).min() < -0.1 * size:
            return (
                "The sign is reversed: dark above bright must give a positive response, "
                "bright above dark a negative one."
            )
        return "The kernel does not answer to the edge: no large value where dark meets bright."
    if not peak and np.abs(response).max() > 1e-6 * size:
        return {
            "flat": "A flat area must give zero: the weights of the kernel must sum to zero.",
            "side": "The kernel answers to a vertical edge too: each column must sum to zero.",
        }[kind]
    return None


_ROWS = np.repeat([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 6).reshape(6, 6)
_EDGE = Exercise(
    reference=lambda image, kind: None,
    judge=_judge_edge_kernel,
    cases=[
        (_ROWS, "edge"),
        (1 - _ROWS, "reverse"),
        (np.full((6, 6), 0.7), "flat"),
        (_ROWS.T, "side"),
    ],
    hidden_cases=[
        (0.5 * _ROWS + 0.2, "edge"),
        (np.full((5, 5), 3.0), "flat"),
        (1 - _ROWS.T, "side"),
    ],
)


# 02.5 what separating saves


def _count_products(height, width, channels_in, channels_out, size):
    ordinary = np.zeros((height, width, channels_out, size, size, channels_in)).size
    depthwise = np.zeros((height, width, channels_in, size, size)).size
    return ordinary, depthwise + np.zeros((height, width, channels_in, channels_out)).size


_SEPARABLE = Exercise(
    reference=_count_products,
    tolerance=0,
    cases=[(8, 8, 3, 16, 3), (5, 7, 4, 2, 5), (10, 6, 8, 8, 1)],
    hidden_cases=[(14, 14, 16, 32, 3), (9, 4, 1, 6, 7)],
    mistakes=[
        (
            lambda h, w, c, k, f: (h * w * f * f * k, h * w * (f * f + k)),
            "The input channels are missing: every filter has a kernel for each of them.",
        ),
        (
            lambda h, w, c, k, f: (f * f * c * k, f * f * c + c * k),
            "These are the weights. Each is used once at every one of the h × w positions.",
        ),
        (
            lambda h, w, c, k, f: (h * w * f * f * c * k, h * w * f * f * c * c * k),
            "The two steps of a separable layer run one after the other: their costs add.",
        ),
        (
            lambda h, w, c, k, f: (h * w * f * f * c * k, h * w * f * f * c),
            "The pointwise step is missing: it mixes the channels with a 1 × 1 kernel.",
        ),
    ],
)


# 02.6 "same" padding


def _same_by_search(size, kernel, stride):
    outputs = int(np.ceil(size / stride))
    total = next(p for p in range(kernel + size) if (size + p - kernel) // stride + 1 >= outputs)
    return (total // 2, total - total // 2)


_SAME = Exercise(
    reference=_same_by_search,
    tolerance=0,
    cases=[(16, 3, 2), (17, 3, 2), (5, 4, 1), (6, 1, 3), (28, 5, 1)],
    hidden_cases=[(224, 7, 2), (6, 1, 4), (1, 3, 2)],
    mistakes=[
        (
            lambda n, k, s: _same_by_search(n, k, s)[::-1],
            "Before and after are swapped: TensorFlow puts the odd pixel after the image.",
        ),
        (
            lambda n, k, s: ((k - 1) // 2, k - 1 - (k - 1) // 2),
            "This is right at stride 1 only: the windows at a larger stride need less.",
        ),
        (
            lambda n, k, s: ((k - 1) // 2, (k - 1) // 2),
            "The same on both sides is not always enough, and not always needed: start from "
            "the number of outputs, ceil(size / stride).",
        ),
        (
            lambda n, k, s: (
                ((-(-n // s) - 1) * s + k - n) // 2,
                ((-(-n // s) - 1) * s + k - n + 1) // 2,
            ),
            "The total came out negative: when the stride is larger than the kernel, the "
            "padding is zero, never less.",
        ),
    ],
)


# 02.7 does a layer commute with a shift?


def _shift_errors(before, after, moved):
    """All differences, column by column."""
    columns = range(before.shape[1] - moved)
    return np.array([before[:, c + moved] - after[:, c] for c in columns])


def _pan(width, moved, border=0.0):
    """Two views of one map; with a border the outermost columns differ, as with same padding."""
    scene = _integers(3, width + moved)
    before, after = scene[:, :width].copy(), scene[:, moved:].copy()
    before[:, -1] -= border
    after[:, 0] -= 2 * border
    return before, after, moved


_COMMUTES = Exercise(
    reference=lambda *case: np.abs(_shift_errors(*case)).max(),
    cases=[_pan(6, 2, border=0.5), _pan(5, 1, border=-1.0), (*_pan(6, 1)[:2], 3)],
    hidden_cases=[_pan(9, 3, border=0.75), (*_pan(8, 2)[:2], 4)],
    mistakes=[
        (
            lambda before, after, moved: np.abs(before - after).max(),
            "Compared at the same place: that asks for invariance. Move the map along first.",
        ),
        (
            lambda before, after, moved: np.abs(_shift_errors(after, before, moved)).max(),
            "Moved the wrong way: the camera pans right, so the scene moves left.",
        ),
        (
            lambda *case: np.abs(_shift_errors(*case)).mean(),
            "This is the mean: one wrong column among many would hardly show. Take the largest.",
        ),
        (
            lambda *case: _shift_errors(*case).max(),
            "A difference below zero is a difference too: take absolute values.",
        ),
        (
            lambda b, a, moved: np.abs(np.roll(b, -moved, 1) - a).max(),
            "np.roll brings columns back in on the other side: compare only what both maps show.",
        ),
    ],
)


# 02.8 a dense layer from another framework


def _kernel_of_channels_first(weights, height, width, channels):
    kernel = np.empty((height, width, channels, weights.shape[1]))
    for c, row, column in np.ndindex(channels, height, width):
        kernel[row, column, c] = weights[(c * height + row) * width + column]
    return kernel


_DENSE = Exercise(
    reference=_kernel_of_channels_first,
    cases=[(_integers(12, 2), 2, 3, 2), (_integers(18, 4), 3, 3, 2)],
    hidden_cases=[(_integers(30, 3), 3, 2, 5), (_integers(12, 1), 2, 2, 3)],
    mistakes=[
        (
            lambda w, h, wd, c: w.reshape(h, wd, c, -1),
            "This is the order of channels last: here the channel changes slowest.",
        ),
        (
            lambda w, h, wd, c: w.reshape(c, wd, h, -1).transpose(2, 1, 0, 3),
            "Height and width are swapped: each channel is flattened row by row.",
        ),
        (
            lambda w, h, wd, c: w.reshape(c, h, wd, -1).reshape(h, wd, c, -1),
            "Reshaping moves no number: after (channels, height, width, units) the axes must be "
            "transposed.",
        ),
        (
            lambda w, h, wd, c: w.reshape(c, h, wd, -1),
            "The channels still come first: move that axis behind height and width.",
        ),
    ],
)


# 02.9 what a stack of layers costs


def _sizes(shape, layers, padding="same", every=None):
    """Shapes of all arrays and costs of all layers; `every` layer may read as many channels."""
    shapes, layer_costs = [shape], []
    for filters, size, stride in layers:
        height, width, channels = shapes[-1]
        here = (height, width, every or channels)
        layer_costs.append(
            cost.conv2d_cost(here, size, filters, stride=stride, padding=padding, bias=False)
        )
        shapes.append(layer_costs[-1].output_shape)
    return shapes, layer_costs


def _stack(shape, layers, batch, padding="same", every=None):
    shapes, layer_costs = _sizes(shape, layers, padding, every)
    return (
        sum(layer.parameters for layer in layer_costs) + sum(filters for filters, *_ in layers),
        sum(layer.macs for layer in layer_costs),
        cost.inference_bytes(shapes, batch),
        cost.training_bytes(shapes, batch),
    )


def _places(shapes):
    return [height * width for height, width, _ in shapes]


def _parameters_slips(shape, layers, batch):
    one, first = _stack(shape, layers, batch, every=1), _stack(shape, layers, batch, every=shape[2])
    biases = sum(filters for filters, *_ in layers)
    return {
        _stack(shape, layers, batch)[0] - biases: "The biases are missing: one for each filter.",
        one[0]: "The input channels are missing: every filter has a kernel for each of them.",
        first[0]: "Only the first layer reads the image: each later one reads as many channels "
        "as the layer before it has filters.",
    }


def _product_slips(shape, layers, batch):
    shapes, layer_costs = _sizes(shape, layers)
    right = _stack(shape, layers, batch)
    biased = sum(
        places * filters for places, (filters, *_) in zip(_places(shapes[1:]), layers, strict=True)
    )
    before = sum(
        places * layer.parameters
        for places, layer in zip(_places(shapes), layer_costs, strict=False)
    )
    return {
        sum(layer.parameters for layer in layer_costs): "These are the weights: each is used once "
        "at every place of the output.",
        right[
            0
        ]: "These are the parameters: each weight is used once at every place of the output.",
        right[1] + biased: "Adding a bias is no multiply-add: count the weights alone.",
        2 * right[1]: "These are FLOPs: a multiply-add is two of them, and here it counts as one.",
        right[1] * batch: "Asked for are the multiply-adds for one image, not for the batch.",
        before: "Count the places of the output: a stride of 2 leaves a quarter of those of the "
        "input.",
        _stack(shape, layers, batch, every=shape[2])[1]: "Only the first layer reads the image: "
        "each later one reads as many channels as the layer before it has filters.",
    }


def _running_slips(shape, layers, batch):
    right = _stack(shape, layers, batch)
    largest = max(cost.activation_bytes(each, batch) for each in _sizes(shape, layers)[0])
    return {
        right[3]: "That is what training keeps. To run the chain, an array is free again once the "
        "next layer has read it: take the largest sum of two neighbours.",
        largest: "The layer at work needs its input and its output, both at once.",
        4 * right[0] + right[2]: "The parameters are no activations: leave them out.",
        right[2] // 4: "These are numbers: a float32 number takes 4 bytes.",
        right[2] // batch: "That is one image: the batch holds `batch` of them.",
    }


def _training_slips(shape, layers, batch):
    right = _stack(shape, layers, batch)
    return {
        right[2]: "That is what running needs. Training goes back through the layers, and keeps "
        "the images and every output until then.",
        right[3] - cost.activation_bytes(shape, batch): "The images are missing: the gradient of "
        "the first kernels needs them.",
        4 * right[0] + right[3]: "The parameters are no activations: leave them out.",
        right[3] // 4: "These are numbers: a float32 number takes 4 bytes.",
        right[3] // batch: "That is one image: the batch holds `batch` of them.",
    }


_PARTS = {
    "The parameters": _parameters_slips,
    "The multiply-adds": _product_slips,
    "The bytes to run": _running_slips,
    "The bytes to train": _training_slips,
}


def _judge_stack(result, shape, layers, batch):
    numbers = np.asarray(result, dtype=float).ravel()
    if numbers.size != len(_PARTS):
        return f"Expected four numbers, got {numbers.size}."
    for number, right, valid, (name, slips) in zip(
        numbers,
        _stack(shape, layers, batch),
        _stack(shape, layers, batch, padding="valid"),
        _PARTS.items(),
        strict=True,
    ):
        if number == right:
            continue
        known = slips(shape, layers, batch)
        known[valid] = "The maps came out too small: same padding has ceil(size / stride) outputs."
        why = known.get(number, f"{number:,.0f} is not right yet.")
        return f"{name}: {why} (tried with {shape!r}, {layers!r}, {batch!r})"
    return None


_STACK = Exercise(
    reference=_stack,
    judge=_judge_stack,
    cases=[
        ((32, 32, 3), [(8, 3, 1), (16, 3, 2), (4, 1, 1)], 2),
        ((15, 10, 1), [(6, 5, 2), (12, 3, 2)], 4),
        ((12, 12, 5), [(7, 3, 1), (9, 3, 1), (11, 5, 3)], 3),
    ],
    hidden_cases=[
        ((224, 224, 3), [(64, 3, 1), (64, 3, 1), (128, 3, 2), (128, 3, 2)], 64),
        ((17, 20, 2), [(3, 3, 1), (5, 5, 3), (8, 3, 2)], 5),
    ],
)


# 02.10 two layers in one


def _full_convolution(first, second):
    out = np.zeros(np.add(first.shape, second.shape) - 1)
    for i, j in np.ndindex(first.shape):
        out[i : i + second.shape[0], j : j + second.shape[1]] += first[i, j] * second
    return out


_MERGE = Exercise(
    reference=_full_convolution,
    cases=[(_integers(2, 2), _integers(2, 3)), (_integers(3, 3), _integers(3, 3))],
    hidden_cases=[(_integers(2, 3), _integers(3, 3)), (_integers(3, 2), _integers(1, 1))],
    mistakes=[
        (
            lambda a, b: _full_convolution(a, b[::-1, ::-1]),
            "One kernel is flipped: weight (i, j) of the first meets weight (m, n) of the "
            "second at (i + m, j + n).",
        ),
        (
            lambda a, b: _full_convolution(a, b)[
                : max(len(a), len(b)), : max(a.shape[1], b.shape[1])
            ],
            "Too small: two kernels of k and l pixels see k + l - 1 pixels together.",
        ),
    ],
)


# 02.11 the transposed convolution


def _spread(signal, kernel, stride):
    stretched = np.zeros((len(signal) - 1) * stride + 1)
    stretched[::stride] = signal
    return np.convolve(stretched, kernel)


def _overwrite(signal, kernel, stride):
    out = np.zeros((len(signal) - 1) * stride + len(kernel))
    for i, value in enumerate(signal):
        out[i * stride : i * stride + len(kernel)] = value * kernel
    return out


_TRANSPOSED = Exercise(
    reference=_spread,
    cases=[
        (np.array([1.0, 2.0, -1.0]), np.array([1.0, 2.0, 3.0]), 2),
        (np.array([2.0, 1.0]), np.array([1.0, -1.0, 4.0, 2.0]), 1),
        (np.array([3.0, 5.0]), np.array([1.0, 2.0]), 2),
    ],
    hidden_cases=[(_integers(5), _integers(4), 3), (_integers(4), _integers(5), 2)],
    mistakes=[
        (_overwrite, "What overlaps must add up: you overwrote what was painted before."),
        (
            lambda s, k, step: _spread(s, k[::-1], step),
            "The kernel came out reversed: painting writes it as it stands.",
        ),
        (
            lambda s, k, step: _spread(s, k, 1),
            "The stride is not used: number i paints from position i * stride on.",
        ),
        (
            lambda s, k, step: np.append(_spread(s, k, step), np.zeros(step - 1)),
            "Too long: the last number paints from (n - 1) * stride on, and k positions.",
        ),
    ],
)


# 02.12 what is in a filter


def _explained(bank, patterns):
    """Project on directions at right angles that span the same patterns."""
    directions, _ = np.linalg.qr(patterns.reshape(9, -1))
    flat = bank.reshape(9, -1)
    return ((directions.T @ flat) ** 2).sum(axis=0) / (flat**2).sum(axis=0)


def _squared_cosines(bank, patterns):
    flat, basis = bank.reshape(9, -1), patterns.reshape(9, -1)
    basis = basis / np.linalg.norm(basis, axis=0)
    return ((basis.T @ flat) ** 2).sum(axis=0) / (flat**2).sum(axis=0)


def _scrambled(bank, patterns):
    """Take each kernel from nine numbers that lie side by side in memory."""
    return _explained(bank.reshape(-1, 9).T, patterns.reshape(-1, 9).T)


def _centred(array):
    return array - array.mean(axis=(0, 1))


def _compass(*directions):
    return np.stack([kernels.kernel(f"sobel {side}") for side in directions], axis=-1).astype(float)


# The first kernels of the second run in the chapter, in tenths.
_TENTHS = [
    [-14, 12, 9, -10, -6, -14, 8, -8],
    [8, 3, 7, -16, -1, -4, 8, -6],
    [0, -2, 13, -12, -5, 5, 7, 3],
    [3, 7, 3, 4, -2, -11, -3, 3],
    [5, -3, -3, 3, 0, 2, 3, 3],
    [-8, -11, 2, 3, 0, 6, 4, 6],
    [8, 10, -2, 7, 9, -2, -8, 7],
    [-6, 4, -5, 3, 7, 5, -10, 5],
    [2, -10, -2, 2, 9, 11, -2, 7],
]
_LEARNED = np.array(_TENTHS).reshape(3, 3, 8) / 10

_EXPLAINED = Exercise(
    reference=_explained,
    cases=[
        (_LEARNED, _compass("east", "south")),
        (_integers(3, 3, 4), _compass("east", "southeast")),
        (_integers(3, 3, 2), _integers(3, 3, 3)),
    ],
    hidden_cases=[
        (_LEARNED, _compass("north", "northeast", "west")),
        (_integers(3, 3, 5), _integers(3, 3, 2)),
    ],
    mistakes=[
        (
            _squared_cosines,
            "Squared cosines add up only if the patterns are at right angles to each other: what "
            "two of them share is counted twice. Solve for the best combination.",
        ),
        (
            lambda bank, patterns: 1 - _explained(bank, patterns),
            "That is the share that is left over: asked for is the share explained.",
        ),
        (
            lambda bank, patterns: np.sqrt(_explained(bank, patterns)),
            "That is the ratio of the lengths: compare squares with squares.",
        ),
        (
            lambda bank, patterns: 1 - np.sqrt(1 - _explained(bank, patterns)),
            "The length of what is left over was compared with the length of the kernel: compare "
            "squares with squares.",
        ),
        (
            _scrambled,
            "The numbers of different kernels got mixed: the kernels lie along the last axis, so "
            "reshape to (9, kernels), not to (kernels, 9).",
        ),
        (
            lambda bank, patterns: _explained(_centred(bank), patterns),
            "The mean of each kernel was taken away first, as for a variance: a kernel that only "
            "averages would look like an edge.",
        ),
        (
            lambda bank, patterns: np.max(
                [_explained(bank, patterns[..., i]) for i in range(patterns.shape[2])], axis=0
            ),
            "Only the best single pattern was used: the nearest combination comes nearer.",
        ),
        (
            lambda bank, patterns: (
                1
                - np.sum((1 - _explained(bank, patterns)) * (bank**2).sum(axis=(0, 1)))
                / np.sum(bank**2)
            ),
            "That is one share for the whole bank: sum over the nine weights of each kernel.",
        ),
    ],
)


# 02.13 conv2d from scratch


def _conv2d(x, kernel, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nijcab,abcd->nijd", windows[:, ::stride, ::stride], kernel)


_SCRATCH = Exercise(
    reference=_conv2d,
    cases=[
        (_integers(1, 4, 4, 1), _integers(2, 2, 1, 1), 1),
        (_integers(2, 6, 5, 3), _integers(3, 2, 3, 4), 1),
        (_integers(1, 8, 7, 2), _integers(3, 3, 2, 3), 2),
    ],
    hidden_cases=[
        (_integers(3, 7, 7, 1), _integers(3, 3, 1, 2), 3),
        (_integers(2, 5, 9, 4), _integers(1, 1, 4, 3), 2),
        (_integers(1, 5, 4, 2), _integers(5, 4, 2, 1), 1),
    ],
    mistakes=[
        (
            lambda x, k, s: _conv2d(x, k[::-1, ::-1], s),
            "Your kernel is flipped: layers compute the cross-correlation, without a flip.",
        ),
        (
            lambda x, k, s: _conv2d(x, k.swapaxes(0, 1), s),
            "Rows and columns of the kernel are swapped.",
        ),
        (
            lambda x, k, s: _conv2d(x, k, 1),
            "The stride is not used: move the window by `stride` pixels.",
        ),
        (
            lambda x, k, s: _conv2d(x[..., :1], k[:, :, :1], s),
            "Only the first input channel is used: sum over all of them.",
        ),
        (
            lambda x, k, s: _conv2d(x, k, s)[:, :-1, :-1],
            "The last row and column are missing: count the positions with a floor, plus one.",
        ),
    ],
)


# 02.14 the gradient of the kernel


def _kernel_gradient(x, dy, stride):
    """Cross-correlate with `dy` spread apart by the stride."""
    spread = np.zeros([(n - 1) * stride + 1 for n in dy.shape])
    spread[::stride, ::stride] = dy
    windows = np.lib.stride_tricks.sliding_window_view(x, spread.shape)
    return np.einsum("uvij,ij->uv", windows, spread)


_GRADIENT = Exercise(
    reference=_kernel_gradient,
    cases=[
        (_integers(4, 5), _integers(3, 3), 1),
        (_integers(7, 6), _integers(3, 2), 2),
        (_integers(6, 6), _integers(4, 4), 1),
    ],
    hidden_cases=[(_integers(8, 9), _integers(2, 3), 3), (_integers(3, 3), _integers(3, 3), 1)],
    mistakes=[
        (
            lambda x, dy, s: _kernel_gradient(x, dy, s)[::-1, ::-1],
            "The gradient comes out flipped: weight (u, v) met the pixel x[i + u, j + v].",
        ),
        (
            lambda x, dy, s: _kernel_gradient(x, np.ones_like(dy), s),
            "The gradient that arrives, dy, is not used: the chain rule multiplies by it.",
        ),
        (
            lambda x, dy, s: _kernel_gradient(x, dy, s) / dy.size,
            "You took the mean: a weight is used at every position, and its uses add up.",
        ),
        (
            lambda x, dy, s: _kernel_gradient(x, dy, 1),
            "The stride is not used: the window of (i, j) starts at (i * stride, j * stride).",
        ),
    ],
)


EXERCISES = {
    "02.1": _SLIDE,
    "02.2": _FLIP,
    "02.3": _OUTPUT_SIZE,
    "02.4": _EDGE,
    "02.5": _SEPARABLE,
    "02.6": _SAME,
    "02.7": _COMMUTES,
    "02.8": _DENSE,
    "02.9": _STACK,
    "02.10": _MERGE,
    "02.11": _TRANSPOSED,
    "02.12": _EXPLAINED,
    "02.13": _SCRATCH,
    "02.14": _GRADIENT,
}
