"""Overlap of boxes against pycocotools, non-max suppression against TensorFlow.

python benchmarks/boxes.py
"""

from __future__ import annotations

import sys

from _ratio import compare, report  # isort: skip (sets the threads: before NumPy)

import numpy as np
import tensorflow as tf
from pycocotools import mask

from cvlab.boxes import box_convert
from cvlab.iou import box_iou
from cvlab.non_max_suppression import nms

RNG = np.random.default_rng(0)


def random_boxes(count: int, dtype: type) -> np.ndarray:
    """Return boxes of 20 to 120 pixels a side in an image of 1,000 pixels."""
    corner = RNG.uniform(0, 1000, (count, 2))
    return np.hstack([corner, corner + RNG.uniform(20, 120, (count, 2))]).astype(dtype)


def compare_iou(dtype: type, limit: float):
    """All pairs of 1,000 boxes; pycocotools has float64 only, and takes xywh."""
    a, b = random_boxes(1000, dtype), random_boxes(1000, dtype)
    others = [np.ascontiguousarray(box_convert(v, "xyxy", "xywh"), np.float64) for v in (a, b)]
    no_crowds = [0] * len(b)
    np.testing.assert_allclose(box_iou(a, b), mask.iou(*others, no_crowds), atol=1e-5)
    return compare(
        f"IoU, 1,000 x 1,000 boxes, {np.dtype(dtype).name}, against pycocotools",
        lambda: box_iou(a, b),
        lambda: mask.iou(*others, no_crowds),
        limit,
    )


def compare_nms(count: int, limit: float):
    """Keep whatever survives a threshold of 0.5."""
    boxes, scores = random_boxes(count, np.float32), RNG.random(count).astype(np.float32)
    tensors = tf.constant(boxes[:, [1, 0, 3, 2]]), tf.constant(scores)
    expected = tf.image.non_max_suppression(*tensors, count, 0.5)
    np.testing.assert_array_equal(nms(boxes, scores, 0.5), expected)
    return compare(
        f"NMS, {count:,} boxes, of which {len(expected):,} stay, against tf.image",
        lambda: nms(boxes, scores, 0.5),
        lambda: tf.image.non_max_suppression(*tensors, count, 0.5),
        limit,
    )


if __name__ == "__main__":
    rows = [
        compare_iou(np.float64, 1.2),
        compare_iou(np.float32, 0.7),
        compare_nms(1000, 1.3),
        compare_nms(10000, 0.7),
    ]
    sys.exit(report("Boxes", rows))
