"""Tracking: detections linked over the frames of a video, and how well that went.

A video is a list with the boxes of each frame, arrays (boxes, 4) in format xyxy as in
    :mod:`cvlab.boxes`; identities are integers, one for each box: the same number, the same object.
Boxes of two frames are paired one to one so that the sum of their IoU is largest (the Hungarian
    method; H. W. Kuhn 1955, doi:10.1002/nav.3800020109). Pairs below the least IoU are no pairs.
A track moves at constant velocity: the last step of its centre, per frame. Its size stays.

Sources: A. Bewley et al., "Simple online and realtime tracking", 2016, arXiv:1602.00763, whose
Kalman filter is a last step here; K. Bernardin and R. Stiefelhagen, "Evaluating multiple object
tracking performance: the CLEAR MOT metrics", 2008, doi:10.1155/2008/246309. Derived in chapter
13-detection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvlab._validate import integer
from cvlab.boxes import check_boxes
from cvlab.iou import box_iou


def assign(
    boxes1: np.ndarray, boxes2: np.ndarray, iou_threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pair boxes one to one, with the largest sum of IoU.

    Pairs with an IoU below the threshold are excluded before the sum is formed, so that a
    forbidden pair cannot cost an allowed one.

    Parameters
    ----------
    boxes1 : array (N, 4)
    boxes2 : array (M, 4)
    iou_threshold : float
        The least IoU of a pair; above 0, at most 1.

    Returns
    -------
    rows, columns : int arrays (pairs,)
        Box ``rows[i]`` of the first belongs to box ``columns[i]`` of the second; rows ascend.

    Raises
    ------
    ValueError
        If an array holds no boxes or the threshold is out of range.

    Examples
    --------
    The best single pair, 1 and 0, would leave nothing for the others:

    >>> before, now = [[0, 0, 10, 10], [4, 0, 14, 10]], [[3, 0, 13, 10], [8, 0, 18, 10]]
    >>> assign(before, now, iou_threshold=0.3)
    (array([0, 1]), array([0, 1]))
    """
    from scipy.optimize import linear_sum_assignment

    _check_threshold(iou_threshold)
    boxes1, boxes2 = check_boxes(boxes1, "boxes1", ndim=2), check_boxes(boxes2, "boxes2", ndim=2)
    overlap = box_iou(boxes1, boxes2)
    value = np.where(overlap >= iou_threshold, overlap, 0)
    rows, columns = linear_sum_assignment(value, maximize=True)
    pairs = value[rows, columns] > 0
    return rows[pairs], columns[pairs]


def link(
    frames: Sequence[np.ndarray],
    *,
    iou_threshold: float = 0.3,
    max_gap: int = 2,
    predict: bool = True,
) -> list[np.ndarray]:
    """Return an identity for every detection of a video.

    Frame by frame, the detections are paired with where the tracks so far are expected. What is
    left over starts a track of its own.

    Parameters
    ----------
    frames : sequence of arrays (detections, 4)
        The boxes found in each frame, after non-max suppression.
    iou_threshold : float
        The least IoU of a detection with the box expected; above 0, at most 1.
    max_gap : int
        Frames in a row without a detection that a track survives.
    predict : bool
        Expect a track where its velocity leads; otherwise where it was last seen.

    Returns
    -------
    list of int arrays (detections,)
        Identities count from 0 in the order of their first frame.

    Raises
    ------
    ValueError
        If a frame holds no boxes, or another argument is out of range.

    Examples
    --------
    An object of 4 pixels that jumps 3 pixels a frame after a slower start:

    >>> video = [[[0, 0, 4, 4]], [[2, 0, 6, 4]], [[5, 0, 9, 4]], [[8, 0, 12, 4]]]
    >>> [ids.tolist() for ids in link(video, iou_threshold=0.3)]
    [[0], [0], [0], [0]]
    >>> [ids.tolist() for ids in link(video, iou_threshold=0.3, predict=False)]
    [[0], [0], [1], [2]]
    """
    _check_threshold(iou_threshold)
    max_gap = integer(max_gap, "max_gap", 0)
    frames = [check_boxes(boxes, f"frames[{t}]", ndim=2) for t, boxes in enumerate(frames)]
    tracks, answer, born = [], [], 0
    for time, boxes in enumerate(frames):
        tracks = [track for track in tracks if time - track.time <= max_gap + 1]
        expected = [track.expected(time if predict else track.time) for track in tracks]
        of_track, of_box = assign(np.reshape(expected, (-1, 4)), boxes, iou_threshold)
        identities = np.full(len(boxes), -1)
        for track, box in zip(of_track, of_box, strict=True):
            tracks[track].move(boxes[box], time)
            identities[box] = tracks[track].identity
        for box in np.flatnonzero(identities < 0):
            tracks.append(_Track(born, boxes[box], time))
            identities[box] = born
            born += 1
        answer.append(identities)
    return answer


@dataclass
class _Track:
    """An object that is followed: where it was last seen, when, and how fast it moved."""

    identity: int
    box: np.ndarray
    time: int
    step: np.ndarray | float = 0.0  # of the box in one frame

    def expected(self, time):
        """Return where the object should be."""
        return self.box + (time - self.time) * self.step

    def move(self, box, time):
        """Take a new box."""
        shift = (box[:2] + box[2:] - self.box[:2] - self.box[2:]) / 2 / (time - self.time)
        self.box, self.time, self.step = box, time, np.tile(shift, 2)


@dataclass(frozen=True)
class TrackingScore:
    """What went wrong in a video.

    Attributes
    ----------
    objects : int
        In all frames together.
    misses, false_positives : int
        Objects without a box, and boxes without an object.
    switches : int
        An object is found under another identity than the last time it was found.
    """

    objects: int
    misses: int
    false_positives: int
    switches: int

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / objects; negative if very bad."""
        if self.objects == 0:
            return float("nan")
        return 1 - (self.misses + self.false_positives + self.switches) / self.objects


def score_tracks(
    true_boxes: Sequence[np.ndarray],
    true_ids: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray],
    ids: Sequence[np.ndarray],
    iou_threshold: float = 0.5,
) -> TrackingScore:
    """Return the counts behind MOTA, the multiple object tracking accuracy.

    In each frame (Bernardin and Stiefelhagen 2008, section 2.1): an object that was last found
    under an identity keeps it, if that box still overlaps it enough. Objects and boxes that are
    left are paired with the largest sum of IoU. A pair that contradicts the object's last identity
    is a switch. The distance of the paper is 1 - IoU here.

    Parameters
    ----------
    true_boxes, boxes : sequences of arrays (boxes, 4)
        For each frame.
    true_ids, ids : sequences of int arrays (boxes,)
        Who it is; no identity twice in a frame.
    iou_threshold : float
        The least IoU of an object and a box; above 0, at most 1.

    Raises
    ------
    ValueError
        If the sequences differ in length, an identity is there twice in a frame or missing for a
        box, or the threshold is out of range.

    Examples
    --------
    Two frames, one object; in the second it has another identity, and there is a stray box:

    >>> truth, found = [[[0, 0, 4, 4]]] * 2, [[[0, 0, 4, 4]], [[0, 0, 4, 3], [9, 9, 12, 12]]]
    >>> score = score_tracks(truth, [[7], [7]], found, [[0], [1, 2]])
    >>> score, score.mota
    (TrackingScore(objects=2, misses=0, false_positives=1, switches=1), 0.0)
    """
    _check_threshold(iou_threshold)
    lengths = [len(part) for part in (true_boxes, true_ids, boxes, ids)]
    if len(set(lengths)) > 1:
        raise ValueError(
            "true_boxes, true_ids, boxes and ids must have one entry for each frame, "
            f"got lengths {lengths}"
        )
    truth = [_frame(true_boxes[t], true_ids[t], t, "true_") for t in range(lengths[0])]
    found = [_frame(boxes[t], ids[t], t) for t in range(lengths[0])]
    known, owner = {}, {}  # the last identity of each object, the last object of each identity
    objects, misses, wrong, switches = 0, 0, 0, 0
    for (a, a_ids), (b, b_ids) in zip(truth, found, strict=True):
        kept = {who: known[who] for who in a_ids if owner.get(known.get(who)) == who}
        pairs = _pair(a, a_ids, b, b_ids, kept, iou_threshold)
        objects += len(a)
        misses += len(a) - len(pairs)
        wrong += len(b) - len(pairs)
        switches += sum(known.get(who, identity) != identity for who, identity in pairs.items())
        known |= pairs
        owner |= {identity: who for who, identity in pairs.items()}
    return TrackingScore(objects, misses, wrong, switches)


def _pair(a, a_ids, b, b_ids, kept, iou_threshold):
    """Return the identity under which each object is found, those of `kept` first if they can be.

    Objects and identities are those of one frame; an object that is not found has no entry.
    """
    overlap = box_iou(a, b) >= iou_threshold
    place = {identity: j for j, identity in enumerate(b_ids)}
    pairs = {
        who: kept[who]
        for i, who in enumerate(a_ids)
        if kept.get(who) in place and overlap[i, place[kept[who]]]
    }
    rest_a = np.array([who not in pairs for who in a_ids], bool)
    rest_b = np.array([identity not in pairs.values() for identity in b_ids], bool)
    rows, columns = assign(a[rest_a], b[rest_b], iou_threshold)
    free_a, free_b = np.flatnonzero(rest_a)[rows], np.flatnonzero(rest_b)[columns]
    return pairs | {a_ids[i]: b_ids[j] for i, j in zip(free_a, free_b, strict=True)}


def _frame(boxes, ids, time, prefix=""):
    """Return the boxes and the list of identities of one frame."""
    boxes = check_boxes(boxes, f"{prefix}boxes[{time}]", ndim=2)
    ids = np.asarray(ids).tolist()
    if len(ids) != len(boxes) or len(set(ids)) < len(ids):
        raise ValueError(
            f"{prefix}ids[{time}] must be {len(boxes)} different identities, got {ids}"
        )
    return boxes, ids


def _check_threshold(iou_threshold):
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold!r}")
