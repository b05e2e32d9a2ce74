"""Answers to the exercises of chapter 04: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def jumps(layers):
    return np.cumprod([1, *(stride for _, stride, *_ in layers)])


def field(layers):
    k, _, d, p = np.array(layers).T
    j = jumps(layers)
    return [1 + ((k - 1) * d * j[:-1]).sum(), j[-1], -(p * j[:-1]).sum()]


def pixels(r, j, q, i, n):
    return np.clip([q + i * j, q + i * j + r], 0, n)


def layers_needed(extent, kernel, pool_every):
    for count in range(1000):
        full, rest = divmod(count, pool_every)
        size = 1 + sum(2**b * (pool_every * (kernel - 1) + 1) for b in range(full))
        if size + 2**full * rest * (kernel - 1) >= extent:
            return count
    return None


def merge(a, b):
    start, stop = min(a[2], b[2]), max(a[2] + a[0], b[2] + b[0])
    return [stop - start, start, 2 * a[2] + a[0] == 2 * b[2] + b[0]]


def pixels_seen(rates):
    hit = np.ones(1)
    for rate in rates:
        taps = np.zeros(2 * rate + 1)
        taps[::rate] = 1
        hit = np.convolve(hit, taps)
    return np.count_nonzero(hit)


def width(layers):
    k, _, d, _ = np.array(layers).T
    return np.linalg.norm(jumps(layers)[:-1] * d * np.sqrt((k**2 - 1) / 12))


def design(extent, jump, most):
    """Plain 3 x 3 until the strides are needed, dilations by search at the end."""
    strides = int(np.log2(jump))
    best = [(2, 2, 1)] * strides
    rates = iter([1, 3, 9, 27])
    while (size := 1 + sum((k - 1) * d * j for (k, _, d), j in zip(best, jumps(best)))) < extent:  # noqa: B905
        missing = -(-(extent - size) // (2 * jump))
        best.append((3, 1, min(next(rates), missing)))
    return np.array(best)


def model_field(layers, pools=True, dilated=True, late=True):
    size, jump = 1, 1
    for layer in layers:
        window = layer.get("kernel", 1)
        if pools and "Pooling" in layer["class_name"]:
            window = layer["pool"]
        stride = layer.get("strides", 1)
        jump *= 1 if late else stride
        size += (window - 1) * (layer.get("dilation", 1) if dilated else 1) * jump
        jump *= stride if late else 1
    return [size, jump]


RIGHT = {
    "04.1": lambda kernels: float(np.sum(kernels) - len(kernels) + 1),
    "04.2": field,
    "04.3": pixels,
    "04.4": layers_needed,
    "04.5": merge,
    "04.6": pixels_seen,
    "04.7": width,
    "04.8": design,
    "04.9": model_field,
}


def early(layers):
    k, _, d, p = np.array(layers).T
    j = jumps(layers)[1:]
    return [1 + ((k - 1) * d * j).sum(), j[-1], -(p * j).sum()]


def swapped(layers):
    size, jump, start = field(layers)
    return jump, size, start


WRONG = [
    ("04.1", lambda kernels: sum(kernels) + 1, "claim C08"),
    ("04.1", lambda kernels: sum(kernels), "adds kernel - 1"),
    ("04.1", lambda kernels: sum(kernels) - len(kernels), "first pixel is missing"),
    ("04.1", max, "stacked"),
    ("04.1", lambda kernels: 0, "Not right yet"),
    ("04.2", early, "change the jump last"),
    ("04.2", lambda ls: field([(k, s, 1, p) for k, s, d, p in ls]), "dilation is missing"),
    ("04.2", lambda ls: [*field(ls)[:2], -field(ls)[2]], "wrong sign"),
    ("04.2", lambda ls: [*field(ls)[:2], -sum(np.array(ls)[:, 3])], "a jump wide"),
    ("04.2", lambda ls: [1 + sum((k - 1) * d for k, _, d, _ in ls), *field(ls)[1:]], "is missing"),
    ("04.2", lambda ls: [field(ls)[0], sum(np.array(ls)[:, 1]), field(ls)[2]], "Strides multiply"),
    ("04.2", swapped, "Expected"),
    ("04.2", lambda ls: np.zeros(3), "Expected"),
    ("04.3", lambda r, j, q, i, n: (max(q + i * j, 0), min(q + i * j + r, n) - 1), "half-open"),
    ("04.3", lambda r, j, q, i, n: (q + i * j, q + i * j + r), "Clip at the border"),
    ("04.3", lambda r, j, q, i, n: np.clip([q + i, q + i + r], 0, n), "not a pixel"),
    ("04.3", lambda r, j, q, i, n: np.clip([i * j, i * j + r], 0, n), "start is missing"),
    (
        "04.3",
        lambda r, j, q, i, n: (max(q + i * j, 0), min(max(q + i * j, 0) + r, n)),
        "before you clip",
    ),
    ("04.3", lambda r, j, q, i, n: (0, 0), "Expected"),
    ("04.4", lambda e, k, p: -(-(e - 1) // (k - 1)), "poolings are missing"),
    ("04.4", lambda e, k, p: layers_needed(e, k, p) - 1, "too few"),
    ("04.4", lambda e, k, p: layers_needed(e, k, p) + 1, "too many"),
    ("04.4", lambda e, k, p: 0, "Not right yet"),
    ("04.5", lambda a, b: (max(a[0], b[0]), *merge(a, b)[1:]), "larger than the larger"),
    ("04.5", lambda a, b: (a[0] + b[0], *merge(a, b)[1:]), "do not add up"),
    ("04.5", lambda a, b: (*merge(a, b)[:2], a[2] == b[2]), "not the same start"),
    ("04.5", lambda a, b: (merge(a, b)[0], max(a[2], b[2]), merge(a, b)[2]), "smaller start"),
    ("04.5", lambda a, b: np.zeros(3), "Expected"),
    ("04.6", lambda rates: 1 + 2 * sum(rates), "holes included"),
    ("04.6", lambda rates: 3 ** len(rates), "These are paths"),
    ("04.6", lambda rates: 2 * len(rates) + 1, "use the rates"),
    ("04.6", lambda rates: 0, "Not right yet"),
    ("04.7", lambda ls: width(ls) ** 2, "This is the variance"),
    ("04.7", lambda ls: width([(k, 1, d, p) for k, s, d, p in ls]), "jump is missing"),
    ("04.7", lambda ls: width([(k, s, 1, p) for k, s, d, p in ls]), "dilation is missing"),
    ("04.7", lambda ls: (field(ls)[0] - 1) / 4, "grows faster"),
    ("04.7", lambda ls: 0.0, "Not right yet"),
    ("04.8", lambda e, j, m: [(e, j, 1)], "larger than 3"),
    ("04.8", lambda e, j, m: [(3, 1, 1)] * (e // 2), "too many"),
    ("04.8", lambda e, j, m: [(3, 2, 1)] * m, "jump must be"),
    ("04.8", lambda e, j, m: [(3, j, 1)], "does not fit in"),
    ("04.8", lambda e, j, m: [(3, j, -(-e // 2))], "has holes"),
    ("04.8", lambda e, j, m: [*design(e, j, m).tolist(), (3, 1, e)], "more than twice"),
    ("04.8", lambda e, j, m: np.zeros((2, 3)), "at least 1"),
    ("04.8", lambda e, j, m: [], "at least one"),
    (
        "04.9",
        lambda layers: model_field([x for x in layers if "kernel" in x]),
        "A pooling is a window",
    ),
    ("04.9", lambda layers: model_field(layers, pools=False), "so does its size"),
    ("04.9", lambda layers: model_field(layers, dilated=False), "dilation is missing"),
    ("04.9", lambda layers: model_field(layers, late=False), "change the jump last"),
    ("04.9", lambda layers: (0, 0), "Expected"),
]
NAMES = {
    "04.1": "field_size", "04.2": "field", "04.3": "pixels", "04.4": "layers_needed",
    "04.5": "merge", "04.6": "pixels_seen", "04.7": "effective_width", "04.8": "design",
    "04.9": "model_field",
}  # fmt: skip
