"""The loss of a one-stage grid detector, of three questions: is it there, where, and what is it.

Targets are those of :func:`cvlab.yolo.encode_cells`: in each cell x and y, the roots of relative
    width and height, 1 for an object, one-hot classes; shape (N, rows, columns, 5 + classes).
The network answers in the same layout with **logits**: a sigmoid makes x, y, the roots and the
    objectness of them, a softmax the classes. :func:`probabilities` does both, for decoding.
Box and class count in cells with an object only. Sums run over cells, one loss for each image.

Source: J. Redmon et al., "You only look once", 2016, arXiv:1506.02640, equation 3. There all terms
are squared errors of linear outputs; here objectness and class are cross-entropies, as in YOLOv3
(arXiv:1804.02767, section 2) and classifiers. Derived in chapter 13-detection.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
from keras import ops


class Terms(NamedTuple):
    """The parts of the loss before they are weighted, each a tensor (N,).

    Attributes
    ----------
    box : tensor
        Squared errors of x, y and the roots of width and height, in cells with an object.
    present : tensor
        Cross-entropy of the objectness in cells with an object.
    absent : tensor
        Cross-entropy of the objectness in all other cells.
    classes : tensor
        Cross-entropy of the class in cells with an object.
    """

    box: object
    present: object
    absent: object
    classes: object


def yolo_terms(y_true, y_pred) -> Terms:
    """Return the four parts of the loss of each image.

    Parameters
    ----------
    y_true : tensor (N, rows, columns, 5 + classes)
        Targets.
    y_pred : tensor (N, rows, columns, 5 + classes)
        Logits.

    Raises
    ------
    ValueError
        If the two do not have the same four axes, or there is no room for one class.

    Examples
    --------
    A network that answers 0 everywhere says 1/2 everywhere; one cell, no object:

    >>> terms = yolo_terms(ops.zeros((1, 1, 1, 6)), ops.zeros((1, 1, 1, 6)))
    >>> round(float(terms.absent[0]), 4), float(terms.box[0])  # log(2), and nothing to miss
    (0.6931, 0.0)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    if len(y_true.shape) != 4 or y_true.shape[1:] != y_pred.shape[1:] or y_pred.shape[-1] < 6:
        raise ValueError(
            "y_true and y_pred must both have shape (images, rows, columns, 5 + classes), "
            f"got shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        )
    there = y_true[..., 4]
    squares = ops.sum((ops.sigmoid(y_pred[..., :4]) - y_true[..., :4]) ** 2, axis=-1)
    # log(1 + e^-z) for an object, log(1 + e^z) for none: cross-entropies without overflow
    yes, no = ops.softplus(-y_pred[..., 4]), ops.softplus(y_pred[..., 4])
    entropy = -ops.sum(y_true[..., 5:] * ops.log_softmax(y_pred[..., 5:]), axis=-1)
    parts = (there * squares, there * yes, (1 - there) * no, there * entropy)
    return Terms(*(ops.sum(part, axis=(1, 2)) for part in parts))


def probabilities(y_pred):
    """Return what logits stand for: the input of :func:`cvlab.yolo.decode_cells`.

    Examples
    --------
    >>> probabilities(ops.zeros((1, 1, 1, 7)))[0, 0, 0].numpy()
    array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    return ops.concatenate([ops.sigmoid(y_pred[..., :5]), ops.softmax(y_pred[..., 5:])], axis=-1)


@keras.saving.register_keras_serializable("cvlab")
class YoloLoss(keras.losses.Loss):
    """box_weight * box + present + absent_weight * absent + classes, see :class:`Terms`.

    Most cells are empty, so their sum would drown the others: the paper weighs it with 0.5, and the
    errors of the boxes, which are small numbers, with 5.

    Parameters
    ----------
    box_weight, absent_weight : float
        At least 0.
    **options
        ``name``, ``reduction`` and ``dtype`` of ``keras.losses.Loss``.

    Examples
    --------
    >>> float(YoloLoss()(ops.zeros((2, 3, 3, 6)), ops.zeros((2, 3, 3, 6))))  # 9 / 2 log(2)
    3.119...
    """

    def __init__(self, box_weight: float = 5.0, absent_weight: float = 0.5, **options):
        for name, value in (("box_weight", box_weight), ("absent_weight", absent_weight)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}")
        super().__init__(**{"name": "yolo_loss", **options})
        self.box_weight, self.absent_weight = box_weight, absent_weight

    def call(self, y_true, y_pred):
        """Return one loss for each image, (N,)."""
        terms = yolo_terms(y_true, y_pred)
        boxes, empty = self.box_weight * terms.box, self.absent_weight * terms.absent
        return boxes + terms.present + empty + terms.classes

    def get_config(self):
        """Return the arguments, for saving."""
        weights = {"box_weight": self.box_weight, "absent_weight": self.absent_weight}
        return {**super().get_config(), **weights}
