"""The head is the minimum of its convex loss, and works on features as they are."""

import numpy as np
import pytest

from cvlab.linear_head import fit_linear_head


def examples(classes=3, count=40, width=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return rng.normal(size=(classes, width))[labels] + rng.normal(size=(count, width)), labels


def loss(kernel, bias, features, labels, strength):
    """The loss of the docstring, from the definition."""
    center = features.mean(axis=0)
    length = np.sqrt(np.mean(((features - center) ** 2).sum(axis=1)))
    scores = features @ kernel + bias
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(labels)), labels] - np.log(np.exp(scores).sum(axis=1))
    return ((kernel * length) ** 2).sum() / 2 - strength * chosen.sum()


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("strength", [0.5, 20.0])
def test_no_step_in_any_direction_lowers_the_loss(classes, strength):
    features, labels = examples(classes)
    features = 7 * features + 3  # neither centred nor scaled
    head = fit_linear_head(features, labels, strength)
    kernel, bias = head.kernel.astype(float), head.bias.astype(float)
    least = loss(kernel, bias, features, labels, strength)
    rng = np.random.default_rng(1)
    for _ in range(20):
        step = rng.normal(size=kernel.shape) * 0.01, rng.normal(size=bias.shape) * 0.05
        assert loss(kernel + step[0], bias + step[1], features, labels, strength) > least


def test_scale_and_shift_of_the_features_change_no_score():
    features, labels = examples()
    head = fit_linear_head(features, labels)
    moved = fit_linear_head(1000 * features - 50, labels)
    expected = head.scores(features)
    assert np.allclose(moved.scores(1000 * features - 50), expected, atol=0.01 * np.ptp(expected))


def test_a_larger_strength_follows_the_examples_more_closely():
    features, labels = examples()
    sizes = [np.linalg.norm(fit_linear_head(features, labels, s).kernel) for s in (0.1, 1, 10)]
    assert sizes == sorted(sizes)
    assert fit_linear_head(features, labels, 1e4).accuracy(features, labels) > 0.8


def test_accuracy_counts_the_largest_score():
    head = fit_linear_head([[-1.0], [1.0]], [0, 1])
    assert head.accuracy(np.array([[-2.0], [-3.0], [5.0], [4.0]]), np.array([0, 1, 1, 1])) == 0.75
    assert head.kernel.shape == (1, 2)
    assert head.kernel.dtype == head.bias.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": [1.0, 2.0]}, "features must have"),
        ({"labels": [0, 1]}, "labels must be 3 integers"),
        ({"labels": [0.0, 1.0, 0.0]}, "labels must be 3 integers, .*float64"),
        ({"labels": [0, 2, 0]}, r"each of the classes 0, 1, 2, ..., got \[0, 2\]"),
        ({"labels": [0, 0, 0]}, r"each of the classes 0, 1, 2, ..., got \[0\]"),
        ({"features": np.ones((3, 2))}, "got equal rows"),
        ({"strength": 0}, "strength must be a positive number, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = {"features": [[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]], "labels": [0, 1, 0]}
    with pytest.raises(ValueError, match=message):
        fit_linear_head(**{**good, **arguments})
