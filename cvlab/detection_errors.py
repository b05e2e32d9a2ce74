"""Why a detector is wrong: every false positive and every miss, by cause.

Matching is COCO's, as in :func:`cvlab.detection.match_detections`, at an IoU of ``enough`` (0.5);
    an overlap below ``little`` (0.1) is none. Both limits and the causes are those of TIDE.
A false positive is the first of: **duplicate** (IoU >= enough with an object of its class, found
    already), **class** (>= enough with one of another class), **localization** (>= little with one
    of its class), **both** (>= little with one of another class), **background**.
An object is **missed** if nothing found it and no localization or class error is about it.

Sources: D. Bolya et al., "TIDE", 2020, arXiv:2008.08115, section 2.2; before it D. Hoiem et al.,
"Diagnosing error in object detectors", 2012, doi:10.1007/978-3-642-33712-3_25. Derived in chapter
13-detection.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvlab.detection import Detections, Truth, match_detections
from cvlab.iou import box_iou

CAUSES = ("localization", "class", "both", "duplicate", "background", "missed")


class Causes(NamedTuple):
    """What each detection and each object is.

    Attributes
    ----------
    detections : str array (detections,)
        ``"correct"``, ``"ignored"`` (it fell on a crowd), or one of the causes but the last.
    objects : str array (objects,)
        ``"found"``, ``"ignored"`` (a crowd), ``"missed"``, or the cause of the best detection that
        is about it, ``"localization"`` or ``"class"``.
    """

    detections: np.ndarray
    objects: np.ndarray


def find_causes(
    truth: Truth, detections: Detections, *, enough: float = 0.5, little: float = 0.1
) -> Causes:
    """Return the cause of each error.

    A localization or class error is about the object, of the class in question, that it overlaps
    most. Keep only detections with a score that you would act on: a detector's tail of low scores
    is mostly background.

    Parameters
    ----------
    truth : Truth
    detections : Detections
    enough, little : float
        The least IoU of a hit, and the least that is an overlap at all; 0 < little < enough <= 1.

    Raises
    ------
    ValueError
        If the limits are not in order.

    Examples
    --------
    >>> truth = Truth([[0, 0, 10, 10], [20, 0, 30, 10]], labels=["cat", "dog"])
    >>> boxes = [[0, 0, 10, 9], [0, 0, 9, 10], [20, 0, 24, 10], [60, 0, 70, 10]]
    >>> found = Detections(boxes, [0.9, 0.8, 0.7, 0.6], labels=["cat", "cat", "dog", "dog"])
    >>> causes = find_causes(truth, found)
    >>> causes.detections.tolist()
    ['correct', 'duplicate', 'localization', 'background']
    >>> causes.objects.tolist()
    ['found', 'localization']
    """
    if not 0 < little < enough <= 1:
        raise ValueError(
            "little and enough must satisfy 0 < little < enough <= 1, "
            f"got {little!r} and {enough!r}"
        )
    matches = match_detections(truth, detections, enough)
    of_detection = np.where(matches.hit, "correct", "background").astype("<U12")
    of_detection[matches.ignored] = "ignored"
    of_object = np.where(truth.crowd, "ignored", "missed").astype("<U12")
    of_object[matches.truth[matches.hit]] = "found"
    for d in detections.order():
        if of_detection[d] == "background":
            cause, item = _cause(truth, detections, d, enough, little)
            of_detection[d] = cause
            if cause in ("localization", "class") and of_object[item] == "missed":
                of_object[item] = cause
    return Causes(of_detection, of_object)


def count_causes(causes: Causes) -> dict[str, int]:
    """Return how often each cause occurs: the false positives, then the misses.

    Examples
    --------
    >>> truth = Truth([[0, 0, 10, 10], [20, 0, 30, 10]])
    >>> count_causes(find_causes(truth, Detections([[0, 0, 10, 9], [60, 0, 70, 10]], [0.9, 0.8])))
    {'localization': 0, 'class': 0, 'both': 0, 'duplicate': 0, 'background': 1, 'missed': 1}
    """
    counts = {cause: int(np.sum(causes.detections == cause)) for cause in CAUSES[:-1]}
    return counts | {"missed": int(np.sum(causes.objects == "missed"))}


def _cause(truth, detections, d, enough, little):
    """Return the cause of the false positive `d`, and the object that it is about."""
    here = np.flatnonzero((truth.images == detections.images[d]) & ~truth.crowd)
    overlap = box_iou(detections.boxes[d : d + 1], truth.boxes[here])[0]
    same = truth.labels[here] == detections.labels[d]
    for least, causes in ((enough, ("duplicate", "class")), (little, ("localization", "both"))):
        for cause, of_class in zip(causes, (same, ~same), strict=True):
            value = np.where(of_class, overlap, 0)
            if (value >= least).any():
                return cause, here[value.argmax()]
    return "background", None
