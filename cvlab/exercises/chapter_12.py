"""Exercises of chapter 12-localization.

Conventions
-----------
Boxes are (x0, y0, x1, y1) with continuous edges unless an exercise says otherwise; sizes are
(height, width). References are the tested functions of `cvlab`, or written in another way than
the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.box_augmentation import crop_boxes, flip_boxes
from cvlab.boxes import box_area, box_convert, to_relative
from cvlab.check import Exercise
from cvlab.iou import box_intersection, box_iou, generalized_box_iou

# 12.1 from COCO to YOLO


def _coco_to_yolo(bbox, size):
    return to_relative(box_convert(bbox, "xywh", "cxcywh"), size, "cxcywh")


def _swapped_size(bbox, size):
    return _coco_to_yolo(bbox, size[::-1])


_FORMATS = Exercise(
    reference=_coco_to_yolo,
    cases=[([10, 20, 30, 40], (100, 200)), ([0, 0, 64, 48], (48, 64)), ([5, 7, 3, 2], (10, 8))],
    hidden_cases=[([100, 50, 200, 300], (480, 640)), ([0.5, 1.5, 2, 4], (6, 5))],
    mistakes=[
        (
            lambda b, size: to_relative(b, size, "xywh"),
            "This is still the corner: YOLO wants the centre, half a width further.",
        ),
        (_swapped_size, "A size is (height, width): x and w are divided by the width."),
        (
            lambda b, size: box_convert(b, "xywh", "cxcywh"),
            "These are pixels: divide by the size of the image.",
        ),
        (
            lambda b, size: to_relative(
                [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2], b[3]], size, "cxcywh"
            ),
            "COCO's last two numbers are width and height, not the far corner.",
        ),
    ],
)


# 12.2 intersection over union


def _iou(a, b):
    return box_iou([a], [b]).item()


def _pixels_counted(a, b):
    a, b = ((x0, y0, x1 + 1, y1 + 1) for x0, y0, x1, y1 in (a, b))
    return _iou(a, b)


def _without_clipping(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)


def _clipped_after(a, b):
    return max(_without_clipping(a, b), 0)


def _shared(a, b):
    return box_intersection([a], [b]).item()


_OVERLAP = Exercise(
    reference=_iou,
    cases=[
        ((0, 0, 4, 4), (2, 2, 6, 6)),
        ((0, 0, 4, 4), (6, 0, 9, 4)),
        ((0, 0, 2, 3), (5, 7, 9, 9)),
        ((1, 1, 5, 3), (2, 0, 3, 8)),
    ],
    hidden_cases=[
        ((0, 0, 10, 10), (1, 1, 11, 11)),
        ((3, 4, 5, 6), (0, 0, 2, 2)),
        ((0.5, 0.5, 1.5, 2), (1, 1, 2, 3)),
        ((0, 0, 4, 4), (0, 0, 4, 4)),
        ((-3, -2, 1, 1), (4, -2, 6, 1)),
    ],
    mistakes=[
        (_pixels_counted, "Edges are continuous here: a width is x1 - x0, without + 1."),
        (
            _clipped_after,
            "Cut off width and height one by one: two negative sides make a positive area.",
        ),
        (
            _without_clipping,
            "Boxes apart have a negative side of the intersection: cut it off at 0.",
        ),
        (
            lambda a, b: _shared(a, b) / box_area([a, b]).sum(),
            "The union counts the shared part once: subtract the intersection from the two areas.",
        ),
        (
            lambda a, b: _shared(a, b) / box_area([a, b]).min(),
            "Divide by the union, not by the smaller box.",
        ),
    ],
)


# 12.3 a box follows its image


def _follow(box, size, window):
    return crop_boxes(flip_boxes([box], size), window, min_visible=0)[0][0]


def _cropped(box, window):
    x0, y0, x1, y1 = window
    shifted = np.array(box, float) - [x0, y0, x0, y0]
    return np.clip(shifted, 0, [x1 - x0, y1 - y0] * 2)


def _mirrored(box, width):
    return np.array([width - box[2], box[1], width - box[0], box[3]], float)


_FOLLOW = Exercise(
    reference=_follow,
    cases=[
        ((2, 3, 6, 9), (20, 16), (5, 0, 16, 20)),
        ((0, 0, 10, 10), (12, 24), (10, 2, 20, 8)),
        ((4, 4, 9, 6), (10, 10), (0, 3, 10, 10)),
    ],
    hidden_cases=[((1, 2, 9, 5), (30, 12), (2, 1, 9, 4)), ((0, 1, 3, 8), (9, 7), (3, 2, 6, 9))],
    mistakes=[
        (
            lambda b, size, w: _cropped([size[1] - b[0], b[1], size[1] - b[2], b[3]], w),
            "Mirrored, the right edge becomes the left one: x0 and x1 change places.",
        ),
        (
            lambda b, size, w: _mirrored(_cropped(b, w), w[2] - w[0]),
            "This crops first. The image is mirrored before it is cropped.",
        ),
        (
            lambda b, size, w: _cropped(_mirrored(b, size[0]), w),
            "A size is (height, width): a mirror image turns around the width.",
        ),
        (
            lambda b, size, w: _mirrored(b, size[1]) - np.array([w[0], w[1]] * 2),
            "Clip the box: what lies outside the window is no longer in the image.",
        ),
        (
            lambda b, size, w: np.clip(_mirrored(b, size[1]), [w[0], w[1]] * 2, [w[2], w[3]] * 2),
            "Shift the box: the corner of the window is the new origin.",
        ),
        (lambda b, size, w: _cropped(b, w), "The box has not been mirrored."),
    ],
)


# 12.4 errors that cost the same


def _same_cost(large, small, error):
    """Solve for the error by bisection."""

    def cost(side, e):
        return (np.sqrt(side + e) - np.sqrt(side)) ** 2

    low, high = 0.0, float(error)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(small, middle) < cost(large, error) else (low, middle)
    return low


_SAME_COST = Exercise(
    reference=_same_cost,
    cases=[(200, 50, 10), (200, 50, 50), (90, 10, 30)],
    hidden_cases=[(100, 25, 44), (400, 16, 5), (30, 20, 60)],
    mistakes=[
        (lambda large, small, e: e, "That is the answer for the plain squared error."),
        (
            lambda large, small, e: e * small / large,
            "This keeps the relative error the same; square roots do not go that far.",
        ),
        (
            lambda large, small, e: e * np.sqrt(small / large),
            "Close: this holds for tiny errors. Solve the equation exactly.",
        ),
        (
            lambda large, small, e: (np.sqrt(large + e) - np.sqrt(large)) ** 2,
            "This is the cost on the large side. Which error costs as much on the small side?",
        ),
    ],
)


# 12.5 generalized IoU


def _giou(a, b):
    return generalized_box_iou([a], [b]).item()


def _hull(a, b):
    return (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))


def _union(a, b):
    return box_area([a, b]).sum() - _shared(a, b)


_GENERALIZED = Exercise(
    reference=_giou,
    cases=[
        ((0, 0, 1, 1), (3, 0, 4, 1)),
        ((0, 0, 4, 4), (2, 2, 6, 6)),
        ((0, 0, 2, 3), (5, 7, 9, 9)),
        ((0, 0, 6, 6), (1, 1, 3, 3)),
    ],
    hidden_cases=[
        ((0, 0, 10, 10), (1, 1, 11, 11)),
        ((0, 0, 1, 1), (99, 0, 100, 1)),
        ((2, 2, 3, 9), (0, 4, 8, 5)),
    ],
    mistakes=[
        (_iou, "This is the IoU: the term with the hull is missing."),
        (
            lambda a, b: _iou(a, b) + 1 - _union(a, b) / _hull(a, b),
            "Wrong sign: the empty part of the hull is subtracted.",
        ),
        (
            lambda a, b: _iou(a, b) - (_hull(a, b) - _union(a, b)) / _union(a, b),
            "The empty part is divided by the hull, so that the result stays above -1.",
        ),
        (
            lambda a, b: _iou(a, b) - 1 + box_area([a, b]).sum() / _hull(a, b),
            "The empty part is hull minus union; the two areas count the shared part twice.",
        ),
        (lambda a, b: 1 - _giou(a, b), "This is the loss, 1 - GIoU."),
    ],
)


# 12.6 a position as an expectation


def _expected_place(scores):
    shares = np.exp(scores - np.max(scores))
    shares /= shares.sum()
    rows, columns = np.indices(shares.shape)
    return np.array([(shares * columns).sum(), (shares * rows).sum()])


def _without_softmax(scores):
    rows, columns = np.indices(np.shape(scores))
    return np.array([(scores * columns).sum(), (scores * rows).sum()]) / np.sum(scores)


def _softmax_of_rows(scores):
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    rows, columns = np.indices(shares.shape)
    return np.array([(shares * columns).sum(), (shares * rows).sum()])


def _peak(scores):
    row, column = np.unravel_index(np.argmax(scores), np.shape(scores))
    return np.array([column, row], float)


_EXPECTATION = Exercise(
    reference=_expected_place,
    cases=[
        (np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 1.0]]),),
        (np.array([[4.0, 0.0], [0.0, 0.0], [0.0, 1.0]]),),
        (np.array([[1.0, 1000.0, 999.0]]),),
    ],
    hidden_cases=[
        (np.random.default_rng(5).normal(size=(5, 7)),),
        (np.arange(12.0).reshape(3, 4) * 100,),
    ],
    mistakes=[
        (lambda s: _expected_place(s)[::-1], "This is (y, x): the column comes first."),
        (_peak, "This is the largest score alone, which has no gradient. Take the mean."),
        (_without_softmax, "The scores must become shares first: softmax over all places."),
        (_softmax_of_rows, "The shares of *all* places sum to 1, not those of each row."),
        (
            lambda s: _expected_place(s) + 0.5,
            "Places are counted from 0 here: the first column is at x = 0.",
        ),
    ],
)


# 12.7 the gradient of IoU


def _iou_gradient(true, predicted):
    """Return central differences, in float64."""
    predicted = np.array(predicted, float)
    nudges = 1e-5 * np.eye(4)
    return np.array(
        [(_iou(true, predicted + e) - _iou(true, predicted - e)) / 2e-5 for e in nudges]
    )


def _gradient_parts(true, predicted, *, only_inside=True, union=True, signs=(-1, -1, 1, 1)):
    """Differentiate by the quotient rule, with one part changed."""
    t, p = (np.array(v, float) for v in (true, predicted))
    width = min(t[2], p[2]) - max(t[0], p[0])
    height = min(t[3], p[3]) - max(t[1], p[1])
    if width <= 0 or height <= 0:
        return np.zeros(4)
    inside = np.array([p[0] > t[0], p[1] > t[1], p[2] < t[2], p[3] < t[3]])
    shared = width * height
    change = np.array(signs) * [height, width, height, width]
    if only_inside:
        change = change * inside
    sides = np.array([p[3] - p[1], p[2] - p[0]] * 2)
    area = np.array(signs) * sides
    total = _union(t, p)
    return (change * total - shared * (area - change * union)) / total**2


_GRADIENT = Exercise(
    reference=_iou_gradient,
    cases=[
        ((0, 0, 4, 4), (1, 1, 6, 3)),
        ((0, 0, 4, 4), (-1, 2, 3, 7)),
        ((0, 0, 4, 4), (7, 1, 9, 3)),
        ((2, 2, 8, 6), (0, 0, 10, 9)),
    ],
    hidden_cases=[
        ((0, 0, 10, 10), (2, 3, 5, 8)),
        ((0, 0, 4, 4), (6, 6, 8, 9)),
        ((1, 2, 6, 9), (3, -1, 8, 5)),
    ],
    mistakes=[
        (
            lambda t, p: _gradient_parts(t, p, only_inside=False),
            "An edge outside the true box does not change the intersection.",
        ),
        (
            lambda t, p: _gradient_parts(t, p, union=False),
            "The union changes by the area's change *minus* the intersection's.",
        ),
        (
            lambda t, p: _gradient_parts(t, p, signs=(1, 1, 1, 1)),
            "Signs: moving a left or top edge to larger values makes the box smaller.",
        ),
        (
            lambda t, p: -_iou_gradient(t, p),
            "This is the gradient of the loss 1 - IoU; that of IoU has the other sign.",
        ),
    ],
    tolerance=1e-4,
)


# 12.8 two judges


def _judge_two(result, truth):
    first, second = np.asarray(result, float)
    truth = np.asarray(truth, float)
    if first.shape != (4,) or second.shape != (4,):
        return "Return two boxes of four numbers."
    for box in (first, second):
        if box[0] >= box[2] or box[1] >= box[3]:
            return f"A box must have x0 < x1 and y0 < y1, got {box.tolist()}."
    errors = [np.sum((box - truth) ** 2) for box in (first, second)]
    overlaps = [_iou(truth, box) for box in (first, second)]
    if errors[0] > 0.9 * errors[1]:
        return (
            f"The squared errors are {errors[0]:.3g} and {errors[1]:.3g}: the first must be "
            "smaller by a tenth at least."
        )
    if overlaps[1] < overlaps[0] + 0.05:
        return (
            f"The IoUs are {overlaps[0]:.3f} and {overlaps[1]:.3f}: the second must be larger by "
            "0.05 at least."
        )
    return None


_JUDGES = Exercise(
    reference=lambda truth: [],
    judge=_judge_two,
    cases=[((0, 0, 10, 40),), ((5, 5, 25, 25),), ((-3, 2, 37, 10),)],
    hidden_cases=[((100, 100, 300, 200),), ((0, 0, 1, 1),)],
)


# 12.9 plan an annotation


def _annotation_plan(images, objects, seconds, sigma, iou, people=2, side=None):
    """Solve the formula by halving an interval."""
    low, high = 1e-6, 1e7
    for _ in range(200):
        middle = (low + high) / 2
        rho = 4 * sigma / np.sqrt(np.pi) / middle
        low, high = (middle, high) if (1 - rho) / (1 + rho) < iou else (low, middle)
    hours = sum(people * objects * seconds for _ in range(images)) / 60 / 60
    return np.array([hours, high if side is None else side])


_PLAN = Exercise(
    reference=_annotation_plan,
    cases=[(1000, 3, 7, 1.0, 0.95), (200, 1, 35, 2.0, 0.5), (50, 10, 12, 0.5, 0.8)],
    hidden_cases=[(500, 2, 20, 1.5, 0.9), (80, 4, 7, 3.0, 0.75)],
    mistakes=[
        (
            lambda i, o, t, s, iou: _annotation_plan(i, o, t, s, iou, people=1),
            "Two people box every photograph.",
        ),
        (
            lambda i, o, t, s, iou: _annotation_plan(i, o, t, s, iou) * [60, 1],
            "These are minutes: an hour has 3600 seconds.",
        ),
        (
            lambda i, o, t, s, iou: _annotation_plan(
                i, o, t, s, iou, side=4 * s / np.sqrt(np.pi) / (1 - iou)
            ),
            "1 - ρ is not the IoU: solve (1 - ρ) / (1 + ρ) = iou for ρ.",
        ),
        (
            lambda i, o, t, s, iou: _annotation_plan(
                i, o, t, s, iou, side=s * (1 + iou) / (1 - iou)
            ),
            "The factor 4 / √π is missing: four edges, and the difference of two errors.",
        ),
        (
            lambda i, o, t, s, iou: _annotation_plan(
                i, o, t, s, iou, side=4 * s / np.sqrt(np.pi) * (1 - iou) / (1 + iou)
            ),
            "A stricter agreement needs a *larger* object: divide by ρ.",
        ),
    ],
)


EXERCISES = {
    "12.1": _FORMATS,
    "12.2": _OVERLAP,
    "12.3": _FOLLOW,
    "12.4": _SAME_COST,
    "12.5": _GENERALIZED,
    "12.6": _EXPECTATION,
    "12.7": _GRADIENT,
    "12.8": _JUDGES,
    "12.9": _PLAN,
}
