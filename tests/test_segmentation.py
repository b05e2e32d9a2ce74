"""Scores of semantic segmentation against scikit-learn, Keras, loops and exact fractions."""

import warnings
from fractions import Fraction

import keras
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.segmentation import (
    check_labels,
    confusion_matrix,
    dice,
    dice_per_class,
    iou_from_dice,
    iou_per_class,
    mean_iou,
    pixel_accuracy,
)

# The mask of chapter 14, six by six: background 0, object 1, outline 2.
TRUTH = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 2, 2, 2, 2, 0],
        [0, 2, 1, 1, 2, 0],
        [0, 2, 1, 1, 2, 0],
        [0, 2, 2, 2, 2, 0],
        [0, 0, 0, 0, 0, 0],
    ]
)
PREDICTION = np.roll(TRUTH, 1, axis=1)


def random_labels(seed, classes=5, shape=(3, 12, 10)):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, shape)
    return truth, np.where(rng.random(shape) < 0.6, truth, rng.integers(0, classes, shape))


def test_confusion_agrees_with_scikit_learn():
    truth, prediction = random_labels(0)
    expected = sklearn.metrics.confusion_matrix(truth.ravel(), prediction.ravel())
    confusion = confusion_matrix(truth, prediction, 5)
    np.testing.assert_array_equal(confusion, expected)
    assert confusion.dtype == np.int64
    assert (expected != expected.T).any()  # rows and columns can be told apart
    f1 = sklearn.metrics.f1_score(truth.ravel(), prediction.ravel(), average=None)
    jaccard = sklearn.metrics.jaccard_score(truth.ravel(), prediction.ravel(), average=None)
    np.testing.assert_allclose(dice_per_class(confusion), f1, rtol=1e-14)
    np.testing.assert_allclose(iou_per_class(confusion), jaccard, rtol=1e-14)
    accuracy = sklearn.metrics.accuracy_score(truth.ravel(), prediction.ravel())
    assert pixel_accuracy(confusion) == pytest.approx(accuracy, rel=1e-14)


@pytest.mark.parametrize("ignore_label", [None, 255, -1, 6])
def test_mean_iou_agrees_with_keras(ignore_label):
    truth, prediction = random_labels(1)
    truth[truth == 4] = 3
    prediction[prediction == 4] = 3  # class 4 is absent
    rng = np.random.default_rng(2)
    if ignore_label is not None:
        truth[rng.random(truth.shape) < 0.3] = ignore_label
    metric = keras.metrics.MeanIoU(5, ignore_class=ignore_label)
    metric.update_state(truth, prediction)
    confusion = confusion_matrix(truth, prediction, 5, ignore_label)
    np.testing.assert_array_equal(confusion, metric.total_cm)
    assert mean_iou(confusion) == pytest.approx(float(metric.result()), rel=1e-6)


def test_a_mask_by_hand():
    confusion = confusion_matrix(TRUTH, PREDICTION, 3)
    np.testing.assert_array_equal(confusion, [[16, 0, 4], [0, 2, 2], [4, 2, 6]])
    expected = [Fraction(16, 24), Fraction(2, 6), Fraction(6, 18)]
    np.testing.assert_allclose(iou_per_class(confusion), [float(v) for v in expected], rtol=1e-15)
    assert mean_iou(confusion) == pytest.approx(float(sum(expected) / 3), rel=1e-15)
    assert pixel_accuracy(confusion) == 24 / 36


def test_ignored_pixels_are_in_no_row_and_no_column():
    truth, prediction = random_labels(3)
    ignored = np.random.default_rng(4).random(truth.shape) < 0.4
    expected = confusion_matrix(truth[~ignored], prediction[~ignored], 5)
    truth[ignored] = 255
    for anything in (0, 4, 255, -7):
        prediction[ignored] = anything
        np.testing.assert_array_equal(confusion_matrix(truth, prediction, 5, 255), expected)
    assert expected.sum() == (~ignored).sum()


def test_absent_classes_have_no_score_and_wrongly_predicted_ones_have_zero():
    confusion = confusion_matrix([0, 0, 0, 1], [0, 0, 2, 1], 4)
    np.testing.assert_array_equal(iou_per_class(confusion), [2 / 3, 1, 0, np.nan])
    np.testing.assert_array_equal(dice_per_class(confusion), [4 / 5, 1, 0, np.nan])
    assert mean_iou(confusion) == pytest.approx(5 / 9)
    nothing = confusion_matrix([9, 9], [0, 1], 2, ignore_label=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(iou_per_class(nothing)).all()
        assert np.isnan(mean_iou(nothing))
        assert np.isnan(pixel_accuracy(nothing))


def test_scores_come_from_the_summed_matrix():
    first = confusion_matrix([0, 0, 0, 0], [0, 0, 0, 1], 2)
    second = confusion_matrix([1, 1, 1, 1], [1, 1, 1, 1], 2)
    whole = confusion_matrix([0] * 4 + [1] * 4, [0, 0, 0, 1] + [1] * 4, 2)
    np.testing.assert_array_equal(first + second, whole)
    assert mean_iou(first + second) == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert mean_iou(first + second) != pytest.approx((mean_iou(first) + mean_iou(second)) / 2)


def test_small_types_do_not_overflow():
    labels = np.arange(200, dtype=np.uint8)
    confusion = confusion_matrix(labels, labels[::-1], 200)
    np.testing.assert_array_equal(confusion, np.eye(200)[::-1])
    assert check_labels(labels).dtype == np.int64
    many = np.array([[2**31, 0], [0, 2**31]])
    assert pixel_accuracy(many.astype(np.uint32)) == 1


@given(
    labels=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    order=st.permutations(range(4)),
)
@settings(max_examples=100, deadline=None)
def test_properties(labels, order):
    truth, prediction = np.transpose(labels)
    confusion = confusion_matrix(truth, prediction, 4)
    iou, coefficient = iou_per_class(confusion), dice_per_class(confusion)
    np.testing.assert_allclose(iou, iou_from_dice(coefficient), rtol=1e-14)  # IoU = D / (2 - D)
    assert confusion.sum() == len(labels)
    np.testing.assert_array_equal(confusion_matrix(prediction, truth, 4), confusion.T)
    np.testing.assert_array_equal(iou_per_class(confusion.T), iou)
    renamed = confusion_matrix(np.array(order)[truth], np.array(order)[prediction], 4)
    np.testing.assert_array_equal(iou_per_class(renamed)[list(order)], iou)
    for label in range(4):
        a, b = truth == label, prediction == label
        if (a | b).any():
            assert iou[label] == (a & b).sum() / (a | b).sum()
            assert dice(a[None], b[None]) == pytest.approx(coefficient[label], rel=1e-14)
        else:
            assert np.isnan(iou[label])


def test_dice_of_stacks_and_of_empty_masks():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 4, 5, 6)) < 0.4
    expected = [
        [2 * (p & q).sum() / (p.sum() + q.sum()) for p, q in zip(*rows, strict=True)]
        for rows in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(dice(a, b), expected, rtol=1e-15)
    empty, full = np.zeros((4, 4)), np.ones((4, 4))
    assert dice(empty, empty) == 1
    assert dice(empty, empty, empty=0) == 0
    assert np.isnan(dice(empty, empty, empty=np.nan))
    for value in (0, 1, np.nan):
        assert dice(empty, full, empty=value) == 0
        assert dice(full, full, empty=value) == 1


def test_errors():
    message = "truth must hold integers, one label for each pixel, got dtype float64"
    with pytest.raises(ValueError, match=message):
        confusion_matrix([0.5], [0], 2)
    message = r"truth and prediction must have the same shape, got \(2,\) and \(1, 2\)"
    with pytest.raises(ValueError, match=message):
        confusion_matrix([0, 1], [[0, 1]], 2)
    with pytest.raises(ValueError, match="truth must hold classes from 0 to 1, got 2 at index 1"):
        confusion_matrix([0, 2], [0, 1], 2)
    message = "prediction must hold classes from 0 to 1, got 255 at index 0"
    with pytest.raises(ValueError, match=message):
        confusion_matrix([0, 255], [255, 1], 2, ignore_label=255)
    with pytest.raises(ValueError, match="prediction must hold classes from 0 to 1, got -1 at"):
        confusion_matrix([0, 1], [0, -1], 2)
    for label in (0, 1):
        with pytest.raises(ValueError, match=f"ignore_label must be no class .* 1, got {label}"):
            confusion_matrix([0, 1], [0, 1], 2, ignore_label=label)
    with pytest.raises(ValueError, match="number_of_classes must be an integer >= 1, got 0"):
        confusion_matrix([0], [0], 0)
    for score in (iou_per_class, dice_per_class, mean_iou, pixel_accuracy):
        with pytest.raises(ValueError, match=r"confusion must have shape \(classes, classes\)"):
            score([[1, 2, 3], [4, 5, 6]])
        with pytest.raises(ValueError, match=r"confusion must hold counts >= 0, got -1\.0 at"):
            score([[1, 2], [-1, 0]])
    for value in (1.5, -0.1):
        with pytest.raises(ValueError, match=rf"dice must lie from 0 to 1, got {value} at index 0"):
            iou_from_dice([value, 0.5])
    with pytest.raises(ValueError, match="mask1 must hold 0 and 1 only, or booleans, got 2 at"):
        dice([[0, 2]], [[0, 1]])
    message = r"mask1 and mask2 must have the same shape .*, got \(2,\) and \(2,\)"
    with pytest.raises(ValueError, match=message):
        dice([0, 1], [0, 1])
