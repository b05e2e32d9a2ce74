"""Losses for boxes, differentiable: overlap (IoU, GIoU, DIoU, CIoU), smooth L1 and square roots.

Boxes stand on the last axis; prediction i meets truth i, and each pair gives one number.
Formats: ``"xyxy"`` (x0, y0, x1, y1) or ``"cxcywh"`` (centre, width, height), in any unit.
The formulas are those of :mod:`cvlab.iou`; here a predicted box may be inverted, which counts as
    one without area. 0 / 0 is 0, in the gradient too.
A loss based on overlap is 1 minus the overlap: 0 for a perfect box, up to 1 (IoU) or 2 (others).

Derived in chapter 12-localization.
"""

from __future__ import annotations

import math

import keras
from keras import ops

KINDS = ("iou", "giou", "diou", "ciou")
LEAST_SIDE = 1e-6  # of a predicted box under a square root


def paired_overlap(y_true, y_pred, kind: str = "iou", fmt: str = "xyxy"):
    """Return how much each predicted box overlaps the true one.

    Parameters
    ----------
    y_true, y_pred : tensors (..., 4)
    kind : {"iou", "giou", "diou", "ciou"}
        See :func:`cvlab.iou.box_iou` and those after it. The weight of the shape in CIoU counts as
        a constant in the gradient, as in the authors' code.
    fmt : {"xyxy", "cxcywh"}

    Returns
    -------
    tensor (...)
        1 where the boxes are equal.

    Raises
    ------
    ValueError
        If the kind or the format is unknown, or the last axis has not 4 values.

    Examples
    --------
    >>> overlap = paired_overlap([[0.0, 0, 2, 2]], [[1.0, 0, 3, 2]])
    >>> round(float(overlap[0]), 4)
    0.3333
    """
    _check(kind, fmt)
    (a, a_sides), (b, b_sides) = (_corners_and_sides(y, fmt) for y in (y_true, y_pred))
    width = ops.minimum(a[2], b[2]) - ops.maximum(a[0], b[0])
    height = ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1])
    intersection = ops.relu(width) * ops.relu(height)
    union = a_sides[0] * a_sides[1] + b_sides[0] * b_sides[1] - intersection
    overlap = ops.divide_no_nan(intersection, union)
    if kind == "iou":
        return overlap
    width = ops.maximum(a[2], b[2]) - ops.minimum(a[0], b[0])  # of the box around both
    height = ops.maximum(a[3], b[3]) - ops.minimum(a[1], b[1])
    if kind == "giou":
        return overlap - ops.divide_no_nan(width * height - union, width * height)
    distance = (a[0] + a[2] - b[0] - b[2]) ** 2 + (a[1] + a[3] - b[1] - b[3]) ** 2
    result = overlap - ops.divide_no_nan(distance / 4, width**2 + height**2)
    if kind == "ciou":
        shape = (2 / math.pi * (_angle(*a_sides) - _angle(*b_sides))) ** 2
        weight = ops.stop_gradient(ops.divide_no_nan(shape, 1 - overlap + shape))
        result = result - weight * shape
    return result


@keras.saving.register_keras_serializable("cvlab")
class OverlapLoss(keras.losses.Loss):
    """1 - IoU, or 1 minus one of its descendants.

    Parameters
    ----------
    kind, fmt : str
        As in :func:`paired_overlap`.
    **options
        ``name``, ``reduction`` and ``dtype`` of ``keras.losses.Loss``.

    Examples
    --------
    Boxes apart: IoU does not tell how far, GIoU does.

    >>> near, far, truth = [[3.0, 0, 4, 1]], [[9.0, 0, 10, 1]], [[0.0, 0, 1, 1]]
    >>> [float(OverlapLoss("iou")(truth, box)) for box in (near, far)]
    [1.0, 1.0]
    >>> [round(float(OverlapLoss("giou")(truth, box)), 2) for box in (near, far)]
    [1.5, 1.8]
    """

    def __init__(self, kind: str = "giou", fmt: str = "xyxy", **options):
        _check(kind, fmt)
        super().__init__(**{"name": f"{kind}_loss", **options})
        self.kind, self.fmt = kind, fmt

    def call(self, y_true, y_pred):
        """Return one loss for each box, (...)."""
        return 1 - paired_overlap(y_true, y_pred, self.kind, self.fmt)

    def get_config(self):
        """Return the arguments, for saving."""
        return {**super().get_config(), "kind": self.kind, "fmt": self.fmt}


@keras.saving.register_keras_serializable("cvlab")
class SmoothL1Loss(keras.losses.Loss):
    """The mean over the four numbers of a squared error near 0 and an absolute one beyond.

    With the error d it is d^2 / (2 beta) for abs(d) < beta, else abs(d) - beta / 2 (Girshick 2015,
    arXiv:1504.08083, equation 3, where beta is 1). It is ``keras.losses.Huber(beta)`` over beta.

    Examples
    --------
    >>> float(SmoothL1Loss()(ops.zeros((1, 4)), ops.array([[1.0, 3, 0, 0]])))  # (1/2 + 5/2) / 4
    0.75
    """

    def __init__(self, beta: float = 1.0, **options):
        if not 0 < beta < math.inf:
            raise ValueError(f"beta must be a positive number, got {beta!r}")
        super().__init__(**{"name": "smooth_l1_loss", **options})
        self.beta = beta

    def call(self, y_true, y_pred):
        """Return one loss for each box, (...)."""
        error = ops.abs(y_pred - y_true)
        near = error**2 / (2 * self.beta)
        return ops.mean(ops.where(error < self.beta, near, error - self.beta / 2), axis=-1)

    def get_config(self):
        """Return the arguments, for saving."""
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable("cvlab")
class SquareRootLoss(keras.losses.Loss):
    """The squared errors of the centre, and of the *square roots* of width and height, summed.

    The same error of a side costs more in a small box than in a large one (Redmon et al. 2016,
    arXiv:1506.02640, section 2.2). For boxes ``"cxcywh"`` relative to the image, with positive
    predicted sides, as a sigmoid gives them: below 1e-6 a side counts as 1e-6, without a gradient.

    Examples
    --------
    An error of 10 pixels in the width of a box of 200 and of 50 pixels, in an image of 400:

    >>> loss = SquareRootLoss(reduction=None)
    >>> truth = ops.array([[0.5, 0.5, w / 400, 0.1] for w in (200, 50)])
    >>> boxes = ops.array([[0.5, 0.5, w / 400, 0.1] for w in (210, 60)])
    >>> [f"{float(value):.2e}" for value in loss(truth, boxes)]
    ['3.05e-04', '1.14e-03']
    """

    def __init__(self, **options):
        super().__init__(**{"name": "square_root_loss", **options})

    def call(self, y_true, y_pred):
        """Return one loss for each box, (...)."""
        centre = y_pred[..., :2] - y_true[..., :2]
        sides = ops.maximum(y_pred[..., 2:], LEAST_SIDE)
        sides = ops.sqrt(sides) - ops.sqrt(y_true[..., 2:])
        return ops.sum(centre**2 + sides**2, axis=-1)


@keras.saving.register_keras_serializable("cvlab")
class MeanBoxIoU(keras.metrics.MeanMetricWrapper):
    """The mean IoU of predicted and true boxes, as a metric of ``model.compile``.

    ``keras.metrics.MeanIoU`` is another thing: it compares the classes of pixels.

    Examples
    --------
    >>> metric = MeanBoxIoU()
    >>> metric.update_state([[0.0, 0, 2, 2], [0.0, 0, 2, 2]], [[0.0, 0, 2, 2], [0.0, 0, 2, 1]])
    >>> float(metric.result())
    0.75
    """

    def __init__(self, fmt: str = "xyxy", name: str = "mean_box_iou", dtype=None):
        _check("iou", fmt)
        super().__init__(paired_overlap, name=name, dtype=dtype, fmt=fmt)
        self.fmt = fmt

    def get_config(self):
        """Return the arguments, for saving."""
        return {"name": self.name, "dtype": self.dtype, "fmt": self.fmt}


def _corners_and_sides(boxes, fmt):
    """Return (x0, y0, x1, y1) and (width, height) of boxes; a side of an inverted box is 0."""
    boxes = ops.convert_to_tensor(boxes)
    if boxes.shape[-1] != 4:
        raise ValueError(f"boxes must have 4 numbers on the last axis, got shape {boxes.shape}")
    a, b, c, d = ops.unstack(boxes, axis=-1)
    if fmt == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return (a, b, c, d), (ops.relu(c - a), ops.relu(d - b))


def _angle(width, height):
    """Return the angle whose tangent is width / height, 0 for a point."""
    return ops.arctan2(width, ops.where(width + height > 0, height, 1))


def _check(kind, fmt):
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    if fmt not in ("xyxy", "cxcywh"):
        raise ValueError(f'fmt must be "xyxy" or "cxcywh", got {fmt!r}')
