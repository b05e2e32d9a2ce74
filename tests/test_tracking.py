"""Tracking: the best assignment by brute force, links by hand, MOTA of counted examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.iou import box_iou
from cvlab.tracking import TrackingScore, assign, link, score_tracks


def random_boxes(rng, count, reach=12):
    corner = rng.uniform(0, reach, (count, 2))
    return np.hstack([corner, corner + rng.uniform(2, 10, (count, 2))])


def at(*lefts, top=0, side=10):
    """Return squares side by side."""
    return np.array([[x, top, x + side, top + side] for x in lefts], float).reshape(-1, 4)


@given(st.integers(0, 4), st.integers(0, 4), st.floats(0.05, 0.9), st.integers(0, 999))
@settings(max_examples=80, deadline=None)
def test_the_assignment_is_the_best_of_all(rows, columns, threshold, seed):
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, rows), random_boxes(rng, columns)
    of_a, of_b = assign(a, b, threshold)
    overlap = box_iou(a, b)
    value = np.where(overlap >= threshold, overlap, 0)
    if rows > columns:
        value = value.T
    best = max(
        sum(value[i, j] for i, j in enumerate(places))
        for places in itertools.permutations(range(value.shape[1]), value.shape[0])
    )
    assert np.isclose(overlap[of_a, of_b].sum(), best)
    assert (overlap[of_a, of_b] >= threshold).all()
    assert (np.diff(of_a) > 0).all()
    assert len(set(of_b.tolist())) == len(of_b)


def test_a_forbidden_pair_does_not_cost_an_allowed_one():
    """The largest sum of all IoU would take 0.6 + 0.15; only one pair may be formed."""
    a, b = at(0, 7.4), at(2.5)
    both = np.vstack([b, [[5.0, 0, 7.0, 10]]])
    assert [v.tolist() for v in assign(a, both, 0.5)] == [[0], [0]]


def test_pairs_at_the_threshold_count():
    assert len(assign(at(0, side=2), [[1, 0, 3, 2]], 1 / 3)[0]) == 1
    assert len(assign(at(0, side=2), [[1, 0, 3, 2]], 0.3334)[0]) == 0


def test_two_that_cross_keep_their_identities_by_prediction_only():
    """At the crossing each stands where the other one would be expected to stay."""
    left, right = np.arange(0, 60, 6), np.arange(57, -3, -6)
    video = [at(a, b) for a, b in zip(left, right, strict=True)]
    straight = link(video, iou_threshold=0.1)
    assert [ids.tolist() for ids in straight] == [[0, 1]] * len(video)
    bounced = link(video, iou_threshold=0.1, predict=False)
    assert bounced[-1].tolist() != [0, 1]
    truth = [np.array([0, 1])] * len(video)
    assert score_tracks(video, truth, video, straight).mota == 1
    assert score_tracks(video, truth, video, bounced).switches >= 2


def test_a_gap_is_bridged_at_the_speed_of_the_last_step():
    """From 5 at 5 pixels a frame: 20 is expected in frame 4, where the object last seen is far."""
    video = [at(0), at(5), at(), at(), at(20)]
    assert [ids.tolist() for ids in link(video, max_gap=2)] == [[0], [0], [], [], [0]]
    assert link(video, max_gap=1)[-1].tolist() == [1]
    assert link(video, max_gap=2, predict=False)[-1].tolist() == [1]


def test_the_speed_is_per_frame_also_after_a_gap():
    """4 pixels a frame, with a gap of two frames: a step of 12 pixels is still a speed of 4."""
    seen = [0, 1, 2, 5, 6, 7]
    video = [at(4 * t) if t in seen else at() for t in range(8)]
    ids = link(video, iou_threshold=0.42)  # 6 / 14 is enough for the first step
    assert [ids[t].tolist() for t in seen] == [[0]] * 6
    down = [frame[:, [1, 0, 3, 2]] for frame in video]
    assert [v.tolist() for v in link(down, iou_threshold=0.42)] == [v.tolist() for v in ids]


def test_the_size_is_that_of_the_last_box():
    """Growing from the middle moves nothing: the next box is expected in the same place."""
    video = [[[4, 4, 6, 6]], [[3, 3, 7, 7]], [[3, 3, 7, 7]]]
    assert link(video, iou_threshold=0.2)[1].tolist() == [0]
    assert link(video[:2], iou_threshold=0.3)[1].tolist() == [1]
    assert link([video[0], video[1], video[2]], iou_threshold=0.25)[2].tolist() == [0]


def test_identities_count_from_zero_and_never_come_back():
    video = [at(0), at(100), at(0, 100), at(), at(), at(), at(0)]
    ids = [v.tolist() for v in link(video, max_gap=1)]
    assert ids == [[0], [1], [0, 1], [], [], [], [2]]
    assert link([]) == []
    assert [v.tolist() for v in link([at(), at()])] == [[], []]


def test_every_kind_of_error_is_counted_once():
    """Two objects over five frames, as in a table that can be counted by hand."""
    truth = [at(0, 50)] * 5
    names = [["a", "b"]] * 5
    found = [at(0, 50), at(0), at(0, 50, 80), at(0, 50), at(4, 50)]
    ids = [[1, 2], [1], [1, 3, 9], [3, 1], [3, 1]]
    # Frame 1: b is missed. Frame 2: b is 3, a switch; 9 is false. Frame 3: a is 3 and b is 1, two
    # switches. Frame 4: a's box moved, with an IoU of 6 / 14: a miss and a false positive.
    score = score_tracks(truth, names, found, ids)
    assert score == TrackingScore(objects=10, misses=2, false_positives=2, switches=3)
    assert np.isclose(score.mota, 1 - 7 / 10)


def test_an_identity_is_kept_though_another_box_fits_better():
    truth = [at(0)] * 2
    found = [at(0), at(2, 0)]
    kept = score_tracks(truth, [[0], [0]], found, [[5], [5, 6]])
    assert (kept.switches, kept.false_positives) == (0, 1)
    away = score_tracks(truth, [[0], [0]], [at(0), at(8, 0)], [[5], [5, 6]])
    assert (away.switches, away.false_positives) == (1, 1)


def test_a_switch_after_a_gap_counts_against_the_last_identity_known():
    truth = [at(0)] * 3
    found = [at(0), at(), at(0)]
    assert score_tracks(truth, [[0]] * 3, found, [[4], [], [4]]).switches == 0
    assert score_tracks(truth, [[0]] * 3, found, [[4], [], [8]]).switches == 1


def test_one_identity_cannot_be_two_objects():
    """Object 0 was 4; then object 1 takes the 4 over while 0 is missed; then both overlap it."""
    truth = [at(0), at(0, 2), at(0, 2)]
    names = [[0], [0, 1], [0, 1]]
    found = [at(0), at(5), at(1)]
    score = score_tracks(truth, names, found, [[4], [4], [4]], iou_threshold=0.4)
    assert score == TrackingScore(objects=5, misses=2, false_positives=0, switches=0)


def test_without_objects_mota_is_undefined_and_it_can_be_negative():
    empty = score_tracks([at()], [[]], [at(0)], [[1]])
    assert empty == TrackingScore(0, 0, 1, 0)
    assert np.isnan(empty.mota)
    assert score_tracks([at(0)], [[0]], [at(50, 80)], [[1, 2]]).mota == -2


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"one entry for each frame, got lengths \[1, 1, 2, 1\]"):
        score_tracks([at(0)], [[0]], [at(0)] * 2, [[0]])
    with pytest.raises(ValueError, match=r"^ids\[1\] must be 2 different identities, got \[3, 3\]"):
        score_tracks([at(0)] * 2, [[0]] * 2, [at(0), at(0, 20)], [[0], [3, 3]])
    with pytest.raises(ValueError, match=r"true_ids\[0\] must be 1 different identities, got \[\]"):
        score_tracks([at(0)], [[]], [at(0)], [[0]])
    with pytest.raises(ValueError, match=r"frames\[1\] must have shape"):
        link([at(0), np.zeros((2, 3))])
    with pytest.raises(ValueError, match="max_gap must be an integer >= 0, got -1"):
        link([at(0)], max_gap=-1)
    for threshold in (0, 1.5, np.nan):
        for call in (
            lambda t: assign(at(0), at(0), t),
            lambda t: link([], iou_threshold=t),
            lambda t: score_tracks([], [], [], [], iou_threshold=t),
        ):
            with pytest.raises(ValueError, match="iou_threshold must be above 0 and at most 1"):
                call(threshold)
