"""Detections against the truth: which detection found which object.

Boxes are xyxy in pixels, as in :mod:`cvlab.boxes`, of all images in one array; `images` and
    `labels` say for every box where and what it is (any values that can be sorted).
Detections are taken by falling score; ties in the order of the images, then as given.
A detection can find an object of its own image and class only, if their IoU reaches the threshold.
An object is found once: what finds it again is a false positive.
A crowd (COCO) or difficult object (VOC) need not be found, and what falls on it does not count.

Sources: M. Everingham et al., "The PASCAL visual object classes challenge", 2010,
doi:10.1007/s11263-009-0275-4; T.-Y. Lin et al., "Microsoft COCO", 2014, arXiv:1405.0312, and
its reference code, pycocotools. Derived in chapter 13-detection.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cvlab._validate import float_array, refuse
from cvlab.boxes import box_area, check_boxes
from cvlab.iou import box_intersection, box_iou


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of a set of images.

    Attributes
    ----------
    boxes : array (objects, 4)
        In format xyxy.
    labels, images : array (objects,), optional
        Class and image of each object; all the same if not given.
    crowd : bool array (objects,), optional
        Objects that need not be found; none if not given.
    area : array (objects,), optional
        What COCO tells small from large objects by; the area of the box if not given.

    Raises
    ------
    ValueError
        If the boxes are no boxes, or another array has not one value for each of them.

    Examples
    --------
    >>> Truth([[0, 0, 4, 2], [5, 5, 8, 8]], labels=["cat", "dog"]).area
    array([8., 9.])
    """

    boxes: np.ndarray
    labels: np.ndarray | None = None
    images: np.ndarray | None = None
    crowd: np.ndarray | None = None
    area: np.ndarray | None = None

    def __post_init__(self):
        _check_fields(self)
        crowd = _column(self, "crowd", default=False)
        refuse((crowd != 0) & (crowd != 1), crowd, "crowd must be 0 or 1")
        object.__setattr__(self, "crowd", crowd.astype(bool))


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector says about a set of images.

    Attributes
    ----------
    boxes : array (detections, 4)
        In format xyxy.
    scores : array (detections,)
        Higher is surer.
    labels, images, area : array (detections,), optional
        As in :class:`Truth`.

    Raises
    ------
    ValueError
        As in :class:`Truth`, or if a score is not finite.

    Examples
    --------
    >>> Detections([[0, 0, 4, 2]], scores=[float("nan")])
    Traceback (most recent call last):
    ...
    ValueError: scores must be finite, got nan at index 0
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray | None = None
    images: np.ndarray | None = None
    area: np.ndarray | None = None

    def __post_init__(self):
        _check_fields(self)
        scores = float_array(_column(self, "scores"), "scores")
        refuse(~np.isfinite(scores), scores, "scores must be finite")
        object.__setattr__(self, "scores", scores)

    def order(self) -> np.ndarray:
        """Return the indices of the detections by falling score; see the module for ties.

        Examples
        --------
        >>> Detections(np.zeros((3, 4)), scores=[0.5, 0.9, 0.5], images=[7, 1, 2]).order()
        array([1, 2, 0])
        """
        return np.lexsort((self.images, -self.scores))


class Matches(NamedTuple):
    """What became of every detection.

    Attributes
    ----------
    truth : int array (..., detections)
        Index of the object that the detection found, or -1.
    hit : bool array (..., detections)
        True positives: the object counts. Neither hit nor ignored is a false positive.
    ignored : bool array (..., detections)
        Detections that count neither for nor against the detector.
    """

    truth: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray


def match_detections(
    truth: Truth, detections: Detections, iou_threshold: float = 0.5, *, rule: str = "coco"
) -> Matches:
    """Return which object each detection finds.

    ``"coco"``: the detection takes the object with the largest IoU among those still free, and a
    crowd only if no other is left. With a crowd, the area of the detection takes the place of the
    union, and a crowd is never used up.
    ``"voc"``: the detection takes the object with the largest IoU, whether it is free or not, and
    is a false positive if it is not.

    Parameters
    ----------
    truth : Truth
    detections : Detections
    iou_threshold : float
        The least IoU, above 0, at most 1.
    rule : {"coco", "voc"}

    Returns
    -------
    Matches
        In the order of `detections`.

    Raises
    ------
    ValueError
        If the threshold is out of range or the rule unknown.

    Examples
    --------
    The second detection overlaps the left object best, which is taken:

    >>> truth = Truth([[0, 0, 10, 10], [4, 0, 14, 10]])
    >>> found = Detections([[0, 0, 10, 10], [1, 0, 11, 10]], scores=[0.9, 0.8])
    >>> match_detections(truth, found, rule="coco").truth
    array([0, 1])
    >>> match_detections(truth, found, rule="voc").truth
    array([ 0, -1])
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold!r}")
    if rule == "coco":
        found = match_coco(truth, detections, np.array([iou_threshold]), ~truth.crowd[None])[0, 0]
    elif rule == "voc":
        found = _match_voc(truth, detections, iou_threshold)
    else:
        raise ValueError(f'rule must be "coco" or "voc", got {rule!r}')
    crowd = np.append(truth.crowd, False)[found]  # the index -1 finds the entry at the end
    return Matches(found, (found >= 0) & ~crowd, crowd)


def match_coco(
    truth: Truth, detections: Detections, thresholds: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """Match by the rule of COCO for many thresholds and selections of objects at once.

    All images and classes go in step: first their best detections, then their second best.

    Parameters
    ----------
    truth : Truth
    detections : Detections
    thresholds : array (thresholds,)
        The least IoU.
    counted : bool array (selections, objects)
        Objects that count; the others are taken only if none of these is left.

    Returns
    -------
    int array (selections, thresholds, detections)
        Index of the object that each detection takes, or -1.

    Examples
    --------
    >>> truth, found = Truth([[0, 0, 10, 10]]), Detections([[0, 0, 10, 7]], scores=[0.9])
    >>> match_coco(truth, found, np.array([0.5, 0.9]), np.array([[True]]))
    array([[[ 0],
            [-1]]])
    """
    detection, item, overlap = _pairs(truth, detections, thresholds.min(), crowds=True)
    rank = ranks(detections)[detection]
    order = np.lexsort((item, overlap, detection, rank))  # the best pair of a detection comes last
    detection, item, overlap, rank = (v[order] for v in (detection, item, overlap, rank))
    found = np.full((len(counted), len(thresholds), len(detections.boxes)), -1)
    taken = np.zeros((len(counted), len(thresholds), len(truth.boxes)), bool)
    starts = np.flatnonzero(np.diff(rank, prepend=-1))
    for start, stop in itertools.pairwise([*starts, len(rank)]):  # all pairs of one rank
        items, pairs = item[start:stop], stop - start
        free = ~taken[..., items] | truth.crowd[items]
        allowed = free & (overlap[start:stop] >= thresholds[:, None])
        # The last allowed pair is the best one, but any object that counts beats the others.
        value = np.where(allowed, np.arange(pairs) + pairs * counted[:, None, items], -1)
        firsts = np.flatnonzero(np.diff(detection[start:stop], prepend=-1))
        best = np.maximum.reduceat(value, firsts, axis=-1)
        selection, threshold, entry = np.nonzero(best >= 0)
        match = items[best[selection, threshold, entry] % pairs]
        found[selection, threshold, detection[start + firsts[entry]]] = match
        taken[selection, threshold, match] = True
    return found


def ranks(detections: Detections) -> np.ndarray:
    """Return how many detections of the same image and class come before each detection.

    Examples
    --------
    >>> ranks(Detections(np.zeros((3, 4)), scores=[0.5, 0.9, 0.7], images=[1, 1, 2]))
    array([1, 0, 0])
    """
    (group,) = _groups(detections)
    order = detections.order()
    order = order[np.argsort(group[order], kind="stable")]
    sorted_group = group[order]
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order)) - np.searchsorted(sorted_group, sorted_group)
    return rank


def _match_voc(truth, detections, iou_threshold):
    """Return the object that each detection takes by the rule of VOC, or -1."""
    detection, item, overlap = _pairs(truth, detections, iou_threshold, crowds=False)
    order = np.lexsort((-item, overlap, detection))
    last = order[np.flatnonzero(np.diff(detection[order], append=-1))]  # of each detection
    best = np.full(len(detections.boxes), -1)
    best[detection[last]] = item[last]
    order = detections.order()
    order = order[best[order] >= 0]
    first = order[np.unique(best[order], return_index=True)[1]]  # on each object
    keeps = np.append(truth.crowd, False)[best]
    keeps[first] = True
    return np.where(keeps, best, -1)


def _pairs(truth, detections, least_iou, crowds):
    """Return detection, object and IoU of all pairs in one image and class that overlap enough.

    With `crowds`, the IoU with a crowd is the share of the detection that lies in the crowd.
    """
    truth_group, group = _groups(truth, detections)
    order = np.argsort(truth_group, kind="stable")
    first, stop = (np.searchsorted(truth_group[order], group, side) for side in ("left", "right"))
    count = stop - first  # objects that each detection could find
    detection = np.repeat(np.arange(len(group)), count)
    turn = np.arange(len(detection)) - (np.cumsum(count) - count)[detection]
    item = order[first[detection] + turn]
    a, b = detections.boxes[detection], truth.boxes[item]
    overlap = box_iou(a, b, paired=True)
    if crowds:
        in_crowd = truth.crowd[item]
        shared, area = box_intersection(a, b, paired=True), box_area(a)
        overlap = np.where(in_crowd, shared / np.where(area > 0, area, 1), overlap)
    enough = overlap >= least_iou
    return detection[enough], item[enough], overlap[enough]


def _groups(*parts):
    """Return for each of the parts one number per box that tells images and classes apart."""
    group = 0
    for name in ("images", "labels"):
        columns = np.concatenate([getattr(part, name) for part in parts])
        values, code = np.unique(columns, return_inverse=True)
        group = group * len(values) + code
    return np.split(group, np.cumsum([len(part.boxes) for part in parts])[:-1])


def _check_fields(self):
    """Check and complete the fields that truth and detections share."""
    boxes = check_boxes(self.boxes, ndim=2).astype(np.float64)
    object.__setattr__(self, "boxes", boxes)
    for name in ("labels", "images"):
        object.__setattr__(self, name, _column(self, name, default=0))
    area = float_array(box_area(boxes) if self.area is None else _column(self, "area"), "area")
    refuse(~(area >= 0), area, "area must be at least 0")
    object.__setattr__(self, "area", area)


def _column(self, name, default=None):
    """Return a field as an array with one value for each box."""
    value, count = getattr(self, name), len(self.boxes)
    column = np.full(count, default) if value is None else np.asarray(value)
    if column.shape != (count,):
        raise ValueError(
            f"{name} must be one value for each of {count} boxes, got shape {column.shape}"
        )
    return column
