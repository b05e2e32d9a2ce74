"""Exercises of chapter 04-receptive-fields.

Conventions
-----------
A layer is (kernel, stride, dilation, zeros before), along one axis; units and pixels count from 0.
Fields are size, jump and start in pixels, as in :mod:`cvlab.receptive_field`.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from cvlab.check import Exercise


def _jumps(layers):
    """Return the jump before each layer."""
    return [prod(stride for _, stride, *_ in layers[:n]) for n in range(len(layers))]


def _followed_back(unit, layers):
    """Return every pixel that a unit of the last layer reads, as a set."""
    seen = {unit}
    for kernel, stride, dilation, before in reversed(layers):
        seen = {u * stride - before + t * dilation for u in seen for t in range(kernel)}
    return seen


def _size(layers):
    pixels = _followed_back(0, layers)
    return max(pixels) - min(pixels) + 1


# 04.1 the size after plain layers


def _plain(kernels):
    return _size([(kernel, 1, 1, 0) for kernel in kernels])


_PLAIN = Exercise(
    reference=_plain,
    cases=[([3],), ([3, 3, 3],), ([5, 3, 1],), ([7, 2],)],
    hidden_cases=[([1, 1],), ([11, 5, 3, 3, 3],), ([2] * 6,)],
    mistakes=[
        (
            lambda kernels: sum(kernels) + 1,
            "This is the lecture's rule of claim C08: a layer adds kernel - 1 pixels, not kernel.",
        ),
        (lambda kernels: sum(kernels), "A layer adds kernel - 1 pixels to the first one."),
        (
            lambda kernels: sum(k - 1 for k in kernels),
            "The first pixel is missing: without any layer the field is 1, not 0.",
        ),
        (lambda kernels: max(kernels), "The layers are stacked: each one adds to the field."),
    ],
)


# 04.2 the recurrence


def _recurrence(layers):
    first, second = (_followed_back(unit, layers) for unit in (0, 1))
    return (
        max(first) - min(first) + 1,
        min(second) - min(first),
        min(first),
    )


def _updated_too_early(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, dilation, before in layers:
        jump *= stride
        size += (kernel - 1) * dilation * jump
        start -= before * jump
    return size, jump, start


def _without_dilation(layers):
    return _recurrence([(k, s, 1, b) for k, s, _, b in layers])


def _changed(index, change):
    """Return the recurrence with one of its results changed."""

    def mistake(layers):
        result = list(_recurrence(layers))
        result[index] = change(result, layers)
        return tuple(result)

    return mistake


_RECURRENCE = Exercise(
    reference=_recurrence,
    cases=[
        ([(3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 1, 1)],),
        ([(7, 2, 1, 3), (2, 2, 1, 0)],),
        ([(3, 2, 1, 0), (3, 1, 2, 2), (5, 3, 1, 1)],),
    ],
    hidden_cases=[
        ([(3, 1, 4, 4), (3, 1, 2, 0)],),
        ([(1, 2, 1, 0), (3, 2, 1, 1), (1, 1, 1, 0), (4, 1, 3, 2)],),
    ],
    mistakes=[
        (
            _updated_too_early,
            "Size and start use the jump *before* the layer: change the jump last.",
        ),
        (
            _without_dilation,
            "The dilation is missing: the last tap lies (kernel - 1) * dilation units further on.",
        ),
        (
            _changed(2, lambda result, _: -result[2]),
            "The start has the wrong sign: padding puts it before the image, below 0.",
        ),
        (
            _changed(2, lambda _, layers: -sum(before for *_, before in layers)),
            "Zeros of a later layer are units of that layer's input, each a jump wide.",
        ),
        (
            _changed(0, lambda _, layers: 1 + sum((k - 1) * d for k, _, d, _ in layers)),
            "The size must grow by (kernel - 1) * dilation * jump: the jump is missing.",
        ),
        (
            _changed(1, lambda _, layers: sum(stride for _, stride, *_ in layers)),
            "Strides multiply: the jump is their product, not their sum.",
        ),
    ],
)


# 04.3 the pixels of a unit, clipped


def _clipped(size, jump, start, unit, length):
    seen = [p for p in range(start + unit * jump, start + unit * jump + size) if 0 <= p < length]
    return (seen[0], seen[-1] + 1)


def _unclipped(size, jump, start, unit, length):
    return start + unit * jump, start + unit * jump + size


_CLIPPED = Exercise(
    reference=_clipped,
    cases=[(7, 2, -3, 4, 32), (7, 2, -3, 0, 32), (212, 32, -90, 6, 224), (3, 1, 0, 5, 9)],
    hidden_cases=[(1311, 32, -618, 0, 299), (5, 4, -2, 7, 30), (9, 2, -4, 1, 30), (1, 1, 0, 0, 1)],
    mistakes=[
        (
            lambda r, j, q, i, n: (
                max(_unclipped(r, j, q, i, n)[0], 0),
                min(_unclipped(r, j, q, i, n)[1] - 1, n - 1),
            ),
            "The interval is half-open: stop is one more than the last pixel.",
        ),
        (
            _unclipped,
            "Clip at the border: pixels below 0 and from `length` on are padding.",
        ),
        (
            lambda r, j, q, i, n: (max(q + i * j, 0), min(max(q + i * j, 0) + r, n)),
            "A clipped field is smaller: compute where it ends before you clip where it begins.",
        ),
        (
            lambda r, j, q, i, n: (max(q + i, 0), min(q + i + r, n)),
            "Neighbouring units are a jump apart, not a pixel.",
        ),
        (
            lambda r, j, q, i, n: (max(i * j, 0), min(i * j + r, n)),
            "The start is missing: unit 0 begins at pixel `start`.",
        ),
    ],
)


# 04.4 how many layers until a field holds an object


def _layers_needed(extent, kernel, pool_every):
    layers, count = [], 0
    while _size(layers) < extent:
        layers.append((kernel, 1, 1, 0))
        count += 1
        if count % pool_every == 0:
            layers.append((2, 2, 1, 0))
    return count


def _needed_without_pooling(extent, kernel, pool_every):
    return int(np.ceil((extent - 1) / (kernel - 1)))


def _needed(extent, kernel, pool_every, pool_adds):
    size, jump, count = 1, 1, 0
    while size < extent:
        size, count = size + (kernel - 1) * jump, count + 1
        if count % pool_every == 0:
            size, jump = size + pool_adds * jump, 2 * jump
    return count


_NEEDED = Exercise(
    reference=_layers_needed,
    cases=[(7, 3, 10), (10, 3, 2), (32, 3, 2), (40, 5, 1)],
    hidden_cases=[(224, 3, 3), (1, 3, 2), (100, 3, 1), (18, 2, 4)],
    mistakes=[
        (
            _needed_without_pooling,
            "The poolings are missing: each one doubles the jump of all layers after it.",
        ),
        (
            lambda e, k, p: _layers_needed(e, k, p) - 1,
            "One layer too few: its field must be at least as large as the object.",
        ),
        (
            lambda e, k, p: _layers_needed(e, k, p) + 1,
            "One layer too many: a field of exactly the extent is large enough.",
        ),
        (
            lambda e, k, p: _needed(e, k, p, 0),
            "A 2 x 2 pooling is a window too: it adds one jump before it doubles the jump.",
        ),
    ],
)


# 04.5 merge two branches


def _merged(first, second):
    intervals = [(start, start + size) for size, _, start in (first, second)]
    start, stop = min(a for a, _ in intervals), max(b for _, b in intervals)
    aligned = len({a + b for a, b in intervals}) == 1
    return (stop - start, start, float(aligned))


_MERGED = Exercise(
    reference=_merged,
    cases=[
        ((7, 2, -2), (1, 2, 0)),
        ((7, 2, -3), (1, 2, 0)),
        ((3, 2, 0), (3, 2, -1)),
        ((5, 1, -2), (9, 1, -4)),
        ((1, 4, 0), (11, 4, -5)),
    ],
    hidden_cases=[((4, 2, -1), (6, 2, -2)), ((9, 4, 0), (3, 4, -6)), ((6, 1, -3), (6, 1, -3))],
    mistakes=[
        (
            lambda a, b: (max(a[0], b[0]), min(a[2], b[2]), _merged(a, b)[2]),
            "The union can be larger than the larger branch: go from the first start to the "
            "last end.",
        ),
        (
            lambda a, b: (a[0] + b[0], *_merged(a, b)[1:]),
            "Branches lie side by side: their fields overlap and do not add up.",
        ),
        (
            lambda a, b: (*_merged(a, b)[:2], float(a[2] == b[2])),
            "Aligned means the same middle, not the same start.",
        ),
        (
            lambda a, b: (_merged(a, b)[0], max(a[2], b[2]), _merged(a, b)[2]),
            "The union begins where the first of the branches begins: take the smaller start.",
        ),
    ],
)


# 04.6 holes


def _pixels_seen(rates):
    return len({sum(offsets) for offsets in product(*[(-rate, 0, rate) for rate in rates])})


_HOLES = Exercise(
    reference=_pixels_seen,
    cases=[([1, 1, 1],), ([2, 2, 2],), ([1, 2, 3],), ([1, 4],), ([5],)],
    hidden_cases=[([1, 2, 4, 8],), ([3, 6],), ([2, 4, 8],), ([1, 2, 9],)],
    mistakes=[
        (
            lambda rates: 1 + 2 * sum(rates),
            "That is the size of the field, holes included. Count the pixels that are read.",
        ),
        (
            lambda rates: 3 ** len(rates),
            "These are paths. Several paths may lead to one pixel; count each pixel once.",
        ),
        (lambda rates: 3 * len(rates), "Every layer multiplies its taps with those before."),
        (lambda rates: 2 * len(rates) + 1, "Dilation spreads the taps: use the rates."),
    ],
)


# 04.7 the width of the effective field


def _effective_width(layers):
    share = np.ones(1)
    for (kernel, _, dilation, _), jump in zip(layers, _jumps(layers), strict=True):
        taps = np.zeros((kernel - 1) * dilation * jump + 1)
        taps[:: dilation * jump] = 1 / kernel
        share = np.convolve(share, taps)
    places = np.arange(len(share))
    return float(np.sqrt(share @ (places - share @ places) ** 2))


def _variance(layers, jumps=None, root=True):
    jumps = _jumps(layers) if jumps is None else jumps
    terms = ((j * d) ** 2 * (k**2 - 1) / 12 for (k, _, d, _), j in zip(layers, jumps, strict=True))
    return np.sqrt(sum(terms)) if root else sum(terms)


def _added_widths(layers):
    return sum(
        _variance([layer], [jump]) for layer, jump in zip(layers, _jumps(layers), strict=True)
    )


_WIDTH = Exercise(
    reference=_effective_width,
    cases=[
        ([(3, 1, 1, 1)] * 6,),
        ([(3, 1, 1, 1), (2, 2, 1, 0), (3, 1, 1, 1)],),
        ([(3, 1, 2, 2), (3, 1, 4, 4)],),
        ([(7, 2, 1, 3)],),
    ],
    hidden_cases=[
        ([(5, 1, 1, 2), (3, 2, 1, 1), (3, 2, 1, 1), (3, 1, 1, 1)],),
        ([(1, 2, 1, 0), (3, 1, 3, 3)],),
    ],
    mistakes=[
        (
            lambda layers: _variance(layers, root=False),
            "This is the variance: take the square root at the end.",
        ),
        (_added_widths, "Variances add up, widths do not: take the square root of the sum."),
        (
            lambda layers: _variance(layers, [1] * len(layers)),
            "The jump is missing: a step in a later layer is a jump wide, its variance jump ** 2.",
        ),
        (
            lambda layers: _variance([(k, s, 1, b) for k, s, _, b in layers]),
            "The dilation is missing: it stretches the step, and its square the variance.",
        ),
        (
            lambda layers: _variance(
                layers, [j * s for (_, s, *_), j in zip(layers, _jumps(layers), strict=True)]
            ),
            "A layer counts with the jump before it: its own stride comes later.",
        ),
        (
            lambda layers: (_size(layers) - 1) / 4,
            "This is a fixed part of the theoretical size, which grows faster than the width.",
        ),
    ],
)


# 04.8 design a network for an object


def _judge_design(layers, extent, jump, most):
    rows = [tuple(int(n) for n in layer) for layer in layers]
    if not rows or any(len(row) != 3 for row in rows):
        return "Return a list of at least one (kernel, stride, dilation)."
    if any(n < 1 for row in rows for n in row):
        return "Kernel, stride and dilation must be at least 1."
    if any(kernel > 3 for kernel, _, _ in rows):
        return "A kernel is larger than 3: the parameters would not be equal."
    if len(rows) > most:
        return f"{len(rows)} layers are too many, at most {most} are allowed."
    full = [(*row, 0) for row in rows]
    found = prod(stride for _, stride, _ in rows)
    if found != jump:
        return f"The jump must be {jump}, that of your network is {found}."
    seen = _followed_back(0, full)
    size = max(seen) - min(seen) + 1
    if size < extent:
        return f"The field has {size} pixels, the object {extent}: it does not fit in."
    if size > 2 * extent:
        return f"The field has {size} pixels, more than twice the object's {extent}."
    if len(seen) < size:
        return f"The field of {size} pixels has holes: only {len(seen)} of them are seen."
    return None


_DESIGN = Exercise(
    reference=lambda extent, jump, most: [],
    judge=_judge_design,
    cases=[(15, 1, 3), (30, 1, 5), (30, 4, 5), (9, 1, 4)],
    hidden_cases=[(60, 1, 6), (60, 2, 6), (7, 1, 3), (100, 4, 6)],
)


# 04.9 a model that was written down


def _conv(kernel, strides=1, dilation=1):
    return {"class_name": "Conv2D", "kernel": kernel, "strides": strides, "dilation": dilation}


def _pool(pool, strides, kind="Max"):
    return {"class_name": f"{kind}Pooling2D", "pool": pool, "strides": strides}


def _model_field(layers, window=("kernel", "pool"), dilated=True, jump_first=False):
    """Follow the last unit back, layer by layer."""
    length, jump = 1, 1
    for layer in reversed(layers):
        size = max([1, *(layer.get(name, 1) for name in window)])
        step = layer.get("strides", 1) if size > 1 or "kernel" in window else 1
        spread = (size - 1) * (layer.get("dilation", 1) if dilated else 1)
        length = length * step if jump_first else (length - 1) * step + 1
        length, jump = length + spread, jump * step
    return np.array([length, jump])


_BLOCK = [_conv(3), {"class_name": "BatchNormalization"}, {"class_name": "ReLU"}, _pool(2, 2)]
_WRITTEN = Exercise(
    reference=_model_field,
    cases=[
        ([_conv(3), _conv(3, 2), _conv(3)],),
        (_BLOCK + _BLOCK,),
        ([_conv(5, 2, 1), _pool(3, 2, "Average"), _conv(3, 1, 2)],),
    ],
    hidden_cases=[
        ([*_BLOCK, _conv(3, 1, 4), _pool(2, 2)],),
        ([_pool(3, 1), _conv(7, 4), _pool(3, 2)],),
    ],
    mistakes=[
        (
            lambda layers: _model_field([x for x in layers if "kernel" in x]),
            "A pooling is a window like any other: it adds to the field and to the jump.",
        ),
        (
            lambda layers: _model_field([x | {"pool": 1} for x in layers]),
            "A pooling is a window too: its stride counts, and so does its size.",
        ),
        (
            lambda layers: _model_field(layers, dilated=False),
            "The dilation is missing: it spreads the kernel over more pixels.",
        ),
        (
            lambda layers: _model_field(layers, jump_first=True),
            "Size uses the jump *before* the layer: change the jump last.",
        ),
        (
            lambda layers: _model_field(layers)[::-1],
            "Size first, then the jump.",
        ),
    ],
)


EXERCISES = {
    "04.1": _PLAIN,
    "04.2": _RECURRENCE,
    "04.3": _CLIPPED,
    "04.4": _NEEDED,
    "04.5": _MERGED,
    "04.6": _HOLES,
    "04.7": _WIDTH,
    "04.8": _DESIGN,
    "04.9": _WRITTEN,
}
