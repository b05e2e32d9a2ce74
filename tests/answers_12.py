"""Answers to the exercises of chapter 12: right ones written in another way, and wrong ones.

`RIGHT` holds for each exercise an answer that differs from the notebook's solution, `WRONG`
classic slips, each with a part of the message it must meet, `NAMES` what the solution is called
in the exercise notebook.
"""

import numpy as np


def coco_to_yolo(bbox, size):
    corner, sides = np.split(np.array(bbox, float), 2)
    return np.concatenate([corner + sides / 2, sides]) / np.tile(size[::-1], 2)


def far_corner(bbox, size):
    x, y, w, h = bbox
    return (x + w) / 2 / size[1], (y + h) / 2 / size[0], w / size[1], h / size[0]


def overlap_sides(a, b):
    a, b = np.array(a, float), np.array(b, float)
    return np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])


def area(box):
    return float(np.prod(np.subtract(box[2:], box[:2])))


def shared(a, b):
    return np.prod(overlap_sides(a, b).clip(min=0))


def iou(a, b):
    return shared(a, b) / (area(a) + area(b) - shared(a, b))


def iou_negative(a, b):
    product = np.prod(overlap_sides(a, b))
    return product / (area(a) + area(b) - product)


def follow(box, size, window):
    """Turn all columns around, then count from the window's corner."""
    x = sorted(size[1] - np.array(box)[[0, 2]])
    x = np.clip(x, window[0], window[2]) - window[0]
    y = np.clip([box[1], box[3]], window[1], window[3]) - window[1]
    return x[0], y[0], x[1], y[1]


def crop_first(box, size, window):
    x0, y0, x1, y1 = follow(box, (size[0], 0), (-window[2], window[1], -window[0], window[3]))
    return x0, y0, x1, y1


def same_cost(large, small, error):
    step = np.sqrt(large + error) - np.sqrt(large)
    return step**2 + 2 * step * np.sqrt(small)


def hull_area(a, b):
    both = np.array([a, b], float)
    return np.prod(both[:, 2:].max(axis=0) - both[:, :2].min(axis=0))


def giou(a, b):
    union = area(a) + area(b) - shared(a, b)
    return iou(a, b) + union / hull_area(a, b) - 1


def hull_term(a, b):
    return iou(a, b) - giou(a, b)


def expected_place(scores):
    shares = np.exp(scores - scores.max())
    shares = shares / shares.sum()
    return [
        shares.sum(axis=0) @ np.arange(scores.shape[1]),
        shares.sum(axis=1) @ np.arange(scores.shape[0]),
    ]


def peak(scores):
    return np.unravel_index(scores.argmax(), scores.shape)[::-1]


def rows_apart(scores):
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return [(shares @ np.arange(scores.shape[1])).sum(), sum(range(scores.shape[0]))]


def iou_gradient(true, predicted):
    """Differentiate by a complex step."""
    result = []
    for k in range(4):
        p = np.array(predicted, complex)
        p[k] += 1e-20j
        w = min(true[2], p[2], key=np.real) - max(true[0], p[0], key=np.real)
        h = min(true[3], p[3], key=np.real) - max(true[1], p[1], key=np.real)
        both = w * h if np.real(w) > 0 and np.real(h) > 0 else 0
        union = area(true) + (p[2] - p[0]) * (p[3] - p[1]) - both
        result.append(np.imag(both / union) / 1e-20)
    return result


def gradient_of_area_only(true, predicted):
    p = np.array(predicted, float)
    return np.array([p[1] - p[3], p[0] - p[2], p[3] - p[1], p[2] - p[0]])


def union_by_area(true, predicted):
    """Forget that the union loses what the intersection gains."""
    wanted, both = np.array(iou_gradient(true, predicted)), shared(true, predicted)
    union = area(true) + area(predicted) - both
    change = (wanted * union**2 + both * gradient_of_area_only(true, predicted)) / (union + both)
    return wanted - both * change / union**2


def all_edges_count(true, predicted):
    (w, h), p = overlap_sides(true, predicted), np.array(predicted, float)
    if w <= 0 or h <= 0:
        return np.zeros(4)
    union = area(true) + area(p) - w * h
    change = np.array([-h, -w, h, w])
    return (change * union - w * h * (gradient_of_area_only(true, p) - change)) / union**2


def two_boxes(truth):
    """Shift along the shorter side; stretch it at its beginning."""
    k = 0 if truth[2] - truth[0] <= truth[3] - truth[1] else 1
    side = truth[k + 2] - truth[k]
    shifted, stretched = np.array([truth, truth], float)
    shifted[[k, k + 2]] += 0.2 * side
    stretched[k] -= 0.3 * side
    return [shifted, stretched]


def annotation_plan(images, objects, seconds, sigma, iou, people=2, hour=3600):
    side = 4 / np.pi**0.5 * sigma * (1 + iou) / (1 - iou)
    return [people * images * objects * seconds / hour, side]


RIGHT = {
    "12.1": coco_to_yolo,
    "12.2": iou,
    "12.3": follow,
    "12.4": same_cost,
    "12.5": giou,
    "12.6": expected_place,
    "12.7": iou_gradient,
    "12.8": two_boxes,
    "12.9": annotation_plan,
}

WRONG = [
    ("12.1", lambda b, s: np.divide(b, [s[1], s[0]] * 2), "still the corner"),
    ("12.1", lambda b, s: coco_to_yolo(b, s[::-1]), "divided by the width"),
    ("12.1", lambda b, s: coco_to_yolo(b, (1, 1)), "These are pixels"),
    ("12.1", far_corner, "not the far corner"),
    ("12.1", lambda b, s: np.zeros(4), "Expected"),
    ("12.2", lambda a, b: iou([*a[:2], a[2] + 1, a[3] + 1], [*b[:2], b[2] + 1, b[3] + 1]), "+ 1"),
    ("12.2", iou_negative, "cut it off at 0"),
    ("12.2", lambda a, b: max(iou_negative(a, b), 0), "one by one"),
    (
        "12.2",
        lambda a, b: shared(a, b) / (area(a) + area(b)),
        "shared part",
    ),
    ("12.2", lambda a, b: shared(a, b) / min(area(a), area(b)), "smaller"),
    ("12.2", lambda a, b: 0.0, "Not right yet"),
    ("12.3", lambda b, s, w: follow([s[1] - b[2], b[1], s[1] - b[0], b[3]], s, w), "mirrored"),
    ("12.3", lambda b, s, w: follow(b, s[::-1], w), "turns around the width"),
    ("12.3", lambda b, s, w: follow(b, s, (-99, -99, 99, 99)), "Expected"),
    ("12.3", lambda b, s, w: np.add(follow(b, s, w), [*w[:2], *w[:2]]), "new origin"),
    (
        "12.3",
        lambda b, s, w: np.array([s[1] - b[2], b[1], s[1] - b[0], b[3]]) - [*w[:2], *w[:2]],
        "Clip the box",
    ),
    ("12.3", lambda b, s, w: np.array(follow(b, s, w))[[2, 1, 0, 3]], "change places"),
    ("12.3", lambda b, s, w: follow([s[1] - b[2], 0, s[1] - b[0], 1], s, w), "Expected"),
    ("12.3", crop_first, "crops first"),
    ("12.3", lambda b, s, w: np.zeros(4), "Expected"),
    ("12.4", lambda a, b, e: e, "plain squared error"),
    ("12.4", lambda a, b, e: e * b / a, "relative error"),
    ("12.4", lambda a, b, e: e * np.sqrt(b / a), "tiny errors"),
    ("12.4", lambda a, b, e: 0, "Not right yet"),
    ("12.5", iou, "term with the hull is missing"),
    ("12.5", lambda a, b: iou(a, b) + hull_term(a, b), "Wrong sign"),
    ("12.5", lambda a, b: giou(a, b) + shared(a, b) / hull_area(a, b), "count the shared"),
    ("12.5", lambda a, b: 1 - giou(a, b), "This is the loss"),
    ("12.5", lambda a, b: 0.0, "Not right yet"),
    ("12.6", lambda s: expected_place(s)[::-1], "column comes first"),
    ("12.6", peak, "Take the mean"),
    ("12.6", lambda s: np.add(expected_place(s), 0.5), "counted from 0"),
    ("12.6", lambda s: [s.sum(0) @ np.arange(s.shape[1]) / s.sum(), 0], "Expected"),
    ("12.6", rows_apart, "not those of each row"),
    ("12.6", lambda s: np.zeros(2), "Expected"),
    ("12.7", all_edges_count, "does not change the intersection"),
    ("12.7", lambda t, p: -np.array(iou_gradient(t, p)), "the other sign"),
    ("12.7", lambda t, p: np.array(iou_gradient(t, p)) * [-1, -1, 1, 1], "box smaller"),
    ("12.7", union_by_area, "minus* the intersection's"),
    ("12.7", gradient_of_area_only, "Expected"),
    ("12.7", lambda t, p: np.zeros(4), "Expected"),
    ("12.8", lambda t: two_boxes(t)[::-1], "first must be smaller"),
    ("12.8", lambda t: [np.add(t, 0.1 * (t[3] - t[1])), np.add(t, t[3] - t[1])], "second must be"),
    ("12.8", lambda t: np.zeros((2, 4)), "x0 < x1"),
    ("12.8", lambda t: np.zeros((2, 3)), "four numbers"),
    ("12.9", lambda *case: annotation_plan(*case, people=1), "Two people"),
    ("12.9", lambda *case: annotation_plan(*case, hour=60), "minutes"),
    ("12.9", lambda i, o, t, s, iou: [i * o * t / 1800, 4 / np.pi**0.5 * s / (1 - iou)], "solve"),
    ("12.9", lambda i, o, t, s, iou: [i * o * t / 1800, s * (1 + iou) / (1 - iou)], "factor"),
    ("12.9", lambda i, o, t, s, iou: [0, 0], "Expected"),
]
NAMES = {
    "12.1": "coco_to_yolo", "12.2": "iou", "12.3": "follow", "12.4": "same_cost",
    "12.5": "giou", "12.6": "expected_place", "12.7": "iou_gradient", "12.8": "two_boxes",
    "12.9": "annotation_plan",
}  # fmt: skip
