"""Exercises of chapter 13-detection.

Conventions
-----------
Boxes are (x0, y0, x1, y1) in pixels, as in :mod:`cvlab.boxes`; sizes and grids rows first.
References are the tested functions of `cvlab`, or written in another way than the solutions.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cvlab.average_precision import average_precision, precision_recall
from cvlab.boxes import box_convert
from cvlab.check import Exercise
from cvlab.iou import box_iou
from cvlab.sliding_window import window_boxes
from cvlab.yolo import decode_cells, encode_cells


def _rng(seed):
    return np.random.default_rng(seed)


def _random_boxes(seed, count, reach=20):
    corner = _rng(seed).integers(0, reach, (count, 2))
    return np.hstack([corner, corner + _rng(seed + 1).integers(4, 14, (count, 2))]).astype(float)


# 13.1 from a window to the photograph


def _window_box(row, column, stride, window, scale):
    size = (row * stride + window, column * stride + window)
    return window_boxes(size, window, stride)[row, column] / scale


def _window(row, column, stride, window, scale):
    x, y = column * stride, row * stride
    return np.array([x, y, x + window, y + window]) / scale


_WINDOW = Exercise(
    reference=_window_box,
    cases=[(3, 5, 4, 25, 0.5), (0, 2, 4, 25, 0.25), (7, 1, 2, 12, 0.6)],
    hidden_cases=[(2, 9, 8, 24, 1.5), (10, 0, 3, 20, 0.125)],
    mistakes=[
        (
            lambda r, c, s, w, k: _window(c, r, s, w, k),
            "Rows count downwards, y; columns count to the right, x. They are swapped.",
        ),
        (
            lambda r, c, s, w, k: _window(r, c, s, w, 1 / k),
            "A smaller picture makes a window cover more: divide by the scale.",
        ),
        (
            lambda r, c, s, w, k: _window(r, c, s, w, 1),
            "These are pixels of the resized picture: the scale is missing.",
        ),
        (
            lambda r, c, s, w, k: _window(r, c, 1, w, k),
            "Neighbouring windows are a stride apart, not a pixel.",
        ),
        (
            lambda r, c, s, w, k: np.array([c * s / k, r * s / k, c * s / k + w, r * s / k + w]),
            "The window itself is larger in the photograph too: divide its side by the scale.",
        ),
    ],
)


# 13.2 how many predictions


def _predictions(size, stride, height, width):
    return tuple(len(range(0, extent - size + 1, stride)) for extent in (height, width))


_PREDICTIONS = Exercise(
    reference=_predictions,
    cases=[(224, 32, 448, 448), (25, 4, 256, 256), (12, 2, 100, 60)],
    hidden_cases=[(224, 16, 448, 224), (25, 4, 25, 31), (64, 8, 65, 200)],
    mistakes=[
        (
            lambda n, s, h, w: ((h - n) // s, (w - n) // s),
            "The first place counts too: one more than the steps that fit.",
        ),
        (
            lambda n, s, h, w: (h // n, w // n),
            "The windows overlap: they move by the stride, not by their own size.",
        ),
        (
            lambda n, s, h, w: (h // s, w // s),
            "The last window must end inside the image: take its size off first.",
        ),
        (
            lambda n, s, h, w: ((w - n) // s + 1, (h - n) // s + 1),
            "Rows come from the height, columns from the width.",
        ),
    ],
)


# 13.3 a dense layer that slides


def _as_convolution(feature_map, kernel, bias):
    """Slide a kernel (h, w, channels, classes)."""
    views = np.lib.stride_tricks.sliding_window_view(feature_map, kernel.shape[:2], axis=(0, 1))
    return np.einsum("ijchw,hwck->ijk", views, kernel) + bias


def _slide_dense(feature_map, weights, bias, size):
    kernel = weights.reshape(*size, feature_map.shape[2], -1)
    return _as_convolution(feature_map, kernel, bias)


def _wrong_kernel(change):
    def mistake(feature_map, weights, bias, size):
        return _as_convolution(feature_map, change(weights, (*size, feature_map.shape[2])), bias)

    return mistake


def _dense_case(seed, rows, columns, channels, size, classes):
    rng = _rng(seed)
    weights = rng.normal(size=(size[0] * size[1] * channels, classes))
    return rng.normal(size=(rows, columns, channels)), weights, rng.normal(size=classes), size


_DENSE = Exercise(
    reference=_slide_dense,
    cases=[_dense_case(0, 5, 6, 2, (3, 2), 4), _dense_case(1, 4, 4, 3, (4, 4), 1)],
    hidden_cases=[_dense_case(2, 6, 3, 5, (1, 3), 2), _dense_case(3, 3, 7, 1, (2, 2), 3)],
    mistakes=[
        (
            lambda x, w, b, size: _slide_dense(x, w, 0 * b, size),
            "The bias is missing: every place gets it.",
        ),
        (
            _wrong_kernel(lambda w, s: w.reshape(s[2], s[0], s[1], -1).transpose(1, 2, 0, 3)),
            "Channels come last: flattening runs through them first, then through the columns.",
        ),
        (
            _wrong_kernel(lambda w, s: w.reshape(s[1], s[0], s[2], -1).transpose(1, 0, 2, 3)),
            "Height and width are swapped: flattening goes row by row.",
        ),
        (
            _wrong_kernel(lambda w, s: w.reshape(*s, -1)[::-1, ::-1]),
            "The kernel is flipped: a layer computes a cross-correlation.",
        ),
    ],
)


# 13.4 non-max suppression


def _greedy(overlap, scores, threshold, strict=True, by_all=False):
    order, kept = np.argsort(-scores, kind="stable"), []
    for place, i in enumerate(order):
        rivals = overlap[i, order[:place] if by_all else np.array(kept, int)]
        if not (rivals > threshold if strict else rivals >= threshold).any():
            kept.append(i)
    return np.array(kept)


def _table(boxes):
    return box_iou(boxes, boxes)


_CHAIN = _table([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [30, 0, 40, 10]])
_HALVES = _table([[0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 1], [1, 0, 4, 4]])  # 1/2 at [0, 1]
_SUPPRESS = Exercise(
    reference=_greedy,
    cases=[
        (_CHAIN, np.array([0.9, 0.8, 0.7, 0.6]), 0.3),
        (_CHAIN, np.array([0.7, 0.9, 0.8, 0.95]), 0.3),
        (_HALVES, np.array([0.9, 0.8, 0.7, 0.6]), 0.5),
        (_table(_random_boxes(5, 12)), _rng(6).permutation(12) / 12, 0.4),
    ],
    hidden_cases=[
        (_table(_random_boxes(7, 20)), _rng(8).permutation(20) / 20, 0.2),
        (_table(_random_boxes(9, 1)), np.array([0.5]), 0.5),
        (_CHAIN[::-1, ::-1], np.array([0.1, 0.2, 0.3, 0.4]), 0.3),
        (_HALVES, np.array([0.5, 0.9, 0.8, 0.7]), 0.5),
    ],
    mistakes=[
        (
            lambda o, s, t: _greedy(o, s, t, by_all=True),
            "A box that has fallen suppresses nobody: compare with the survivors only.",
        ),
        (
            lambda o, s, t: _greedy(o, s, t, strict=False),
            "At the threshold itself both boxes stay: only a *larger* IoU suppresses.",
        ),
        (
            lambda o, s, t: np.sort(_greedy(o, s, t)),
            "These are the right boxes in another order: best score first.",
        ),
        (
            lambda o, s, t: _greedy(o, -s, t),
            "The worst box came first: sort by falling score.",
        ),
        (
            lambda o, s, t: _greedy(o, -np.arange(len(s)), t),
            "The boxes were taken in the order given: sort them by their score first.",
        ),
        (lambda o, s, t: np.argsort(-s), "Nothing was suppressed."),
    ],
)


# 13.5 the target of a box


def _encode(box, grid, size):
    values = encode_cells([box], [0], grid, size, 1).values.astype(float)
    row, column = np.argwhere(values[..., 4] == 1)[0]
    return np.array([row, column, *values[row, column, :4]])


def _target(box, grid, size, *, corner=False, root=True, inside=True, last=True):
    """Return a target with some of the rules broken."""
    (x, y, w, h), (rows, columns) = box_convert(box, "xyxy", "cxcywh"), grid
    x, y = (box[0], box[1]) if corner else (x, y)
    x, y = x / size[1] * columns, y / size[0] * rows
    row, column = (min(int(y), rows - 1), min(int(x), columns - 1)) if last else (int(y), int(x))
    place = (x - column, y - row) if inside else (x / columns, y / rows)
    sides = np.array([w / size[1], h / size[0]])
    return np.array([row, column, *place, *(np.sqrt(sides) if root else sides)])


_ENCODE = Exercise(
    reference=_encode,
    cases=[
        ([10.0, 20, 30, 60], (4, 6), (80, 120)),
        ([50.0, 4, 58, 12], (6, 6), (60, 60)),
        ([90.0, 70, 110, 90], (4, 5), (80, 100)),
    ],
    hidden_cases=[([0.0, 0, 7, 3], (7, 7), (448, 448)), ([33.0, 41, 45, 59], (3, 8), (64, 48))],
    mistakes=[
        (
            lambda b, g, s: _encode(b, g, s)[[1, 0, 2, 3, 4, 5]],
            "Row and column are swapped: the row comes from y.",
        ),
        (
            lambda b, g, s: _encode(b, g, s)[[0, 1, 3, 2, 5, 4]],
            "x and width come before y and height.",
        ),
        (
            lambda b, g, s: _target(b, g, s, root=False),
            "The square roots of width and height are missing.",
        ),
        (
            lambda b, g, s: _target(b, g, s, inside=False),
            "x and y are measured inside the cell: 0 at its left and top, 1 at its other borders.",
        ),
        (
            lambda b, g, s: _target(b, g, s, corner=True),
            "The cell that holds the *centre* answers, not the one with the corner.",
        ),
        (
            lambda b, g, s: _target(b, g, s, last=False),
            "A centre on the last border belongs to the last cell: there is no cell after it.",
        ),
    ],
)


# 13.6 read a grid's answer


def _decode(answer, size, threshold):
    boxes, scores, labels = decode_cells(answer, size, score_threshold=threshold)
    return np.column_stack([boxes, scores, labels])


def _read(answer, size, threshold, *, square=2.0, chance=True, swap=False):
    """Return the rows of an answer, read with some of the rules broken."""
    answer = answer.copy()
    if swap:  # cells counted the wrong way round
        rows, columns = np.indices(answer.shape[:2])
        shift = columns / answer.shape[1] - rows / answer.shape[0]
        answer[..., 0] -= shift * answer.shape[1]
        answer[..., 1] += shift * answer.shape[0]
    answer[..., 2:4] = np.abs(answer[..., 2:4]) ** (square / 2)
    rows = _decode(answer, size, 0.0 if not chance else threshold)
    if not chance:
        there = answer[..., 4].ravel()
        rows[:, 4] = there
        rows = rows[there > threshold]
    return rows


def _answer_case(seed, grid, size, classes, threshold):
    rng = _rng(seed)
    answer = rng.uniform(0.05, 0.95, (*grid, 5 + classes))
    answer[..., 5:] /= answer[..., 5:].sum(axis=-1, keepdims=True)
    return answer, size, threshold


_READ = Exercise(
    reference=_decode,
    cases=[
        _answer_case(0, (2, 3), (40, 90), 2, 0.3),
        _answer_case(1, (3, 3), (48, 48), 3, 0.2),
        _answer_case(2, (1, 2), (10, 20), 1, 0.0),
    ],
    hidden_cases=[
        _answer_case(3, (4, 2), (64, 32), 2, 0.4),
        _answer_case(4, (2, 2), (20, 20), 2, 0.99),
    ],
    mistakes=[
        (
            lambda a, s, t: _read(a, s, t, square=1.0),
            "The answer holds square roots: square them to get width and height.",
        ),
        (
            lambda a, s, t: _read(a, s, t, square=0.5),
            "The answer holds square roots already: square them, do not take the root again.",
        ),
        (
            lambda a, s, t: _read(a, s, t, chance=False),
            "The score is the objectness *times* the probability of the best class.",
        ),
        (
            lambda a, s, t: _read(a, s, t, swap=True),
            "Add the column to x and the row to y: they are swapped.",
        ),
        (
            lambda a, s, t: np.hstack(
                [box_convert(_decode(a, s, t)[:, :4], "xyxy", "cxcywh"), _decode(a, s, t)[:, 4:]]
            ),
            "These are centres, widths and heights: return the corners.",
        ),
    ],
)


# 13.7 the loss of a grid


def _grid_loss(target, logits, box=5.0, absent=0.5, everywhere=False, classes=True):
    total = 0.0
    for truth, z in zip(
        target.reshape(-1, target.shape[-1]), logits.reshape(-1, logits.shape[-1]), strict=True
    ):
        if truth[4] or everywhere:
            total += box * ((np.tanh(z[:4] / 2) / 2 + 0.5 - truth[:4]) ** 2).sum()
        if truth[4]:
            total += np.log1p(np.exp(-z[4]))
            total += classes * (np.log(np.exp(z[5:]).sum()) - z[5:] @ truth[5:])
        else:
            total += absent * np.log1p(np.exp(z[4]))
    return total


def _linear_boxes(target, logits):
    there = target[..., 4] == 1
    errors = ((logits - target)[there][:, :4] ** 2).sum()
    return _grid_loss(target, logits, box=0.0) + 5 * errors


def _loss_case(seed, boxes, grid, size, classes):
    rng = _rng(seed)
    labels = rng.integers(0, classes, len(boxes))
    target = encode_cells(np.reshape(boxes, (-1, 4)), labels, grid, size, classes).values
    return target, rng.normal(size=target.shape)


_LOSS = Exercise(
    reference=_grid_loss,
    cases=[
        _loss_case(0, [[3.0, 3, 9, 15]], (2, 2), (20, 20), 3),
        _loss_case(1, [[1.0, 2, 6, 5], [12, 11, 19, 17]], (3, 3), (20, 20), 2),
        _loss_case(2, [], (3, 3), (20, 20), 2),
    ],
    hidden_cases=[
        _loss_case(3, [[0.0, 0, 30, 16]], (2, 4), (20, 40), 4),
        _loss_case(4, [[2.0, 2, 5, 5], [8, 2, 11, 5], [14, 2, 17, 5]], (3, 3), (20, 20), 3),
    ],
    mistakes=[
        (
            lambda t, z: _grid_loss(t, z, everywhere=True),
            "A cell without an object has no box: its x, y and sides do not count.",
        ),
        (
            lambda t, z: _grid_loss(t, z, absent=1.0),
            "The weight of the empty cells, 0.5, is missing.",
        ),
        (lambda t, z: _grid_loss(t, z, box=1.0), "The weight of the boxes, 5, is missing."),
        (
            lambda t, z: _grid_loss(t, z, absent=0.0),
            "Cells without an object count too: they must learn to say no.",
        ),
        (lambda t, z: _grid_loss(t, z, classes=False), "The class is missing."),
        (_linear_boxes, "The box needs the sigmoid too: x, y and the roots lie from 0 to 1."),
        (
            lambda t, z: _grid_loss(t, z) / t[..., 0].size,
            "This is the mean over cells: sum over them.",
        ),
    ],
)


# 13.8 hits by the rule of COCO


def _hits(overlap, scores, threshold, coco=True):
    """Match with COCO's rule, or with VOC's, where a detection looks at its best object only."""
    free, hit = np.ones(overlap.shape[1], bool), np.zeros(len(scores), bool)
    for i in np.argsort(-scores, kind="stable"):
        row = np.where(free, overlap[i], -1) if coco else overlap[i]
        best = row.argmax()
        hit[i] = row[best] >= threshold and free[best]
        free[best] &= not hit[i]
    return hit


_PAIR = [[0, 0, 10, 10], [4, 0, 14, 10]]
_CROWD = box_iou(_random_boxes(11, 12), _random_boxes(13, 6))
_HITS = Exercise(
    reference=_hits,
    cases=[
        (box_iou([[0, 0, 10, 10], [1, 0, 11, 10]], _PAIR), np.array([0.9, 0.8]), 0.4),
        (box_iou([[0, 0, 10, 9], [0, 0, 10, 10]], _PAIR[:1]), np.array([0.6, 0.7]), 0.5),
        (_HALVES[[1, 0]][:, :1], np.array([0.9, 0.1]), 0.5),
        (_CROWD, _rng(12).permutation(12) / 12, 0.3),
    ],
    hidden_cases=[
        (box_iou(_random_boxes(14, 15), _random_boxes(16, 8)), _rng(15).random(15), 0.25),
        (box_iou([[1, 0, 11, 10], [0, 0, 10, 10]], _PAIR), np.array([0.2, 0.9]), 0.4),
        (box_iou([[0, 0, 10, 6], [0, 0, 10, 10]], _PAIR[:1]), np.array([0.2, 0.9]), 0.5),
    ],
    mistakes=[
        (
            lambda o, s, t: _hits(o, s, t, coco=False),
            "This is VOC's rule: COCO's detection passes on to the best object that is still free.",
        ),
        (
            lambda o, s, t: o.max(axis=1) >= t,
            "An object is found once: a second detection of it is a false positive.",
        ),
        (
            lambda o, s, t: _hits(o, -s, t),
            "The worst detection chose first: go by falling score.",
        ),
        (
            lambda o, s, t: _hits(o, -np.arange(len(s)), t),
            "The detections chose in the order given: go by falling score.",
        ),
        (
            lambda o, s, t: _hits(o, s, t)[np.argsort(-s, kind="stable")],
            "Return the hits in the order of the detections given, not of the scores.",
        ),
        (
            lambda o, s, t: _hits(o, s, np.nextafter(t, 1)),
            "An IoU equal to the threshold is enough.",
        ),
    ],
)


# 13.9 average precision


def _area(hit, scores, objects):
    return average_precision(*precision_recall(hit, scores, objects), "voc")


def _raw_area(hit, scores, objects):
    precision, recall = precision_recall(hit, scores, objects)
    return float(np.sum(np.diff(recall, prepend=0) * precision))


_AREA = Exercise(
    reference=_area,
    cases=[
        ([1, 0, 0, 1], [0.9, 0.8, 0.7, 0.6], 2),
        ([0, 1, 1, 0, 1, 1], [0.3, 0.9, 0.2, 0.7, 0.5, 0.4], 5),
        ([1, 1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 5),
        ([0, 0], [0.4, 0.5], 3),
    ],
    hidden_cases=[
        ([0, 1, 0, 1, 1, 0, 1], [0.9, 0.1, 0.8, 0.7, 0.2, 0.6, 0.3], 4),
        ([1], [0.5], 1),
        ([0, 0, 1], [0.9, 0.8, 0.7], 10),
    ],
    mistakes=[
        (
            _raw_area,
            "Interpolate first: at each recall take the best precision from there on.",
        ),
        (
            lambda hit, scores, objects: _area(hit, -np.arange(len(hit)), objects),
            "Sort by falling score first: here they are not in order.",
        ),
        (
            lambda hit, scores, objects: _area(hit, scores, max(sum(hit), 1)),
            "Recall is the share of all objects, those that nobody found included.",
        ),
        (
            lambda hit, scores, objects: average_precision(
                *precision_recall(hit, scores, objects), "voc2007"
            ),
            "This is the mean at 11 recalls, the rule of 2007: take the area.",
        ),
        (
            lambda hit, scores, objects: sum(hit) / len(hit),
            "This is the precision of all detections together, one point of the curve.",
        ),
    ],
)


# 13.10 identity switches


def _switches(history):
    last, count = None, 0
    for identity in history:
        if identity >= 0:
            count += last is not None and identity != last
            last = identity
    return count


def _neighbours(history, missing_counts):
    """Compare neighbouring frames only."""
    return sum(a != b and (missing_counts or min(a, b) >= 0) for a, b in pairwise(history))


_SWITCHES = Exercise(
    reference=_switches,
    cases=[([4, 4, 4],), ([4, 4, -1, 7, 7, -1, 7, 4],), ([-1, 3, 5, 3, 5],), ([2, -1, 2],)],
    hidden_cases=[([-1, -1],), ([1, 2, -1, -1, 2, 3, 3],), ([0, -1, 1],)],
    mistakes=[
        (
            lambda history: _neighbours(history, True),
            "A miss, and being found again, is no switch: compare the identities only.",
        ),
        (
            lambda history: _neighbours(history, False),
            "Compare with the last time it was *found*: a gap does not wash a switch away.",
        ),
        (
            lambda history: max(0, len({i for i in history if i >= 0}) - 1),
            "An identity that comes back is a switch too: count the changes, not the identities.",
        ),
        (lambda history: _switches(history) + 1, "The first identity is no switch."),
    ],
)


# 13.11 false detections, sorted by cause


def _causes(overlap, detected, true, hit, order=(0, 1, 2, 3), only_false=True, best=True):
    """Ask the questions in an order; `best` looks at all objects, not at the nearest alone."""
    same = np.equal.outer(detected, true)
    seen = overlap if best else np.where(overlap == overlap.max(1, keepdims=True), overlap, 0)
    own, other = np.where(same, seen, 0).max(1), np.where(same, 0, seen).max(1)
    questions = [own >= 0.5, other >= 0.5, own >= 0.1, other >= 0.1]
    left = ~hit if only_false else np.ones(len(hit), bool)
    counts = np.zeros(5)
    for cause in order:
        counts[cause] = np.sum(left & questions[cause])
        left = left & ~questions[cause]
    counts[4] = left.sum()
    return counts


def _detections(count, objects, seed):
    rng = np.random.default_rng(seed)
    overlap = rng.choice([0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.6], (count, objects))
    return overlap, rng.integers(0, 2, count), rng.integers(0, 2, objects), rng.random(count) < 0.3


_CAUSES = Exercise(
    reference=_causes,
    cases=[
        (
            np.array([[0.8, 0], [0.6, 0.1], [0, 0.7], [0.3, 0.1], [0, 0.2], [0.2, 0.6]]),
            np.array([0, 0, 0, 0, 0, 0]),
            np.array([0, 1]),
            np.array([True, False, False, False, False, False]),
        ),
        _detections(9, 3, 131),
        _detections(12, 2, 132),
    ],
    hidden_cases=[_detections(15, 3, 133), _detections(10, 4, 134)],
    mistakes=[
        (
            lambda *case: _causes(*case, only_false=False),
            "Right detections have no cause: leave the hits out.",
        ),
        (
            lambda *case: _causes(*case, order=(0, 2, 1, 3)),
            "A class error comes before a localization error: the first rule that fits counts.",
        ),
        (
            lambda *case: _causes(*case, order=(1, 0, 3, 2)),
            "Ask for the detection's own class first.",
        ),
        (
            lambda *case: _causes(*case, best=False),
            "The object that it overlaps most is not the only one: look at the best of each kind.",
        ),
        (
            lambda *case: _causes(*case) / max(1, np.sum(~case[3])),
            "How many, not which share.",
        ),
    ],
)


EXERCISES = {
    "13.1": _WINDOW,
    "13.2": _PREDICTIONS,
    "13.3": _DENSE,
    "13.4": _SUPPRESS,
    "13.5": _ENCODE,
    "13.6": _READ,
    "13.7": _LOSS,
    "13.8": _HITS,
    "13.9": _AREA,
    "13.10": _SWITCHES,
    "13.11": _CAUSES,
}
