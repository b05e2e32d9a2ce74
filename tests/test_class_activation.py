"""The arithmetic of class activation maps, against loops, TensorFlow and the papers' formulas."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cvlab.class_activation import (
    grad_cam_plus_plus_weights,
    grad_cam_weights,
    hires_cam_map,
    resize_maps,
    scaled,
    weighted_sum,
)

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 3, 4, 5))
GRADIENTS = RNG.normal(size=(2, 3, 4, 5))


def test_grad_cam_weights_are_means_over_positions():
    weights = grad_cam_weights(GRADIENTS)
    for n in range(2):
        for k in range(5):
            assert weights[n, k] == pytest.approx(GRADIENTS[n, :, :, k].sum() / 12)


def test_the_weighted_sum_by_loops():
    weights = RNG.normal(size=(2, 5))
    signed = weighted_sum(FEATURES, weights)
    assert signed.shape == (2, 3, 4)
    for n, i, j in np.ndindex(2, 3, 4):
        assert signed[n, i, j] == pytest.approx(sum(FEATURES[n, i, j] * weights[n]))


def test_hires_cam_by_loops():
    signed = hires_cam_map(FEATURES, GRADIENTS)
    for n, i, j in np.ndindex(2, 3, 4):
        assert signed[n, i, j] == pytest.approx(sum(FEATURES[n, i, j] * GRADIENTS[n, i, j]))


def test_grad_cam_and_hires_cam_agree_where_the_gradient_is_the_same_everywhere():
    gradients = np.broadcast_to(GRADIENTS[:, :1, :1], GRADIENTS.shape)
    signed = weighted_sum(FEATURES, grad_cam_weights(gradients))
    np.testing.assert_allclose(signed, hires_cam_map(FEATURES, gradients), rtol=1e-12)


def test_grad_cam_plus_plus_solves_the_equation_it_is_derived_from():
    """Equations 4 to 6 of the paper: Y = sum of w A with w = sum of alpha relu(dY/dA)."""
    features = np.abs(FEATURES)
    gradients = np.abs(GRADIENTS)
    weights = grad_cam_plus_plus_weights(features, gradients)
    for n in range(2):
        for k in range(5):
            a, g = features[n, :, :, k], gradients[n, :, :, k]
            alpha = g**2 / (2 * g**2 + a.sum() * g**3)
            assert weights[n, k] == pytest.approx((alpha * g).sum())


def test_grad_cam_plus_plus_for_a_gradient_that_is_the_same_everywhere():
    features = np.abs(FEATURES)
    gradients = np.full_like(features, 0.25)
    total = features.sum(axis=(1, 2))
    np.testing.assert_allclose(
        grad_cam_plus_plus_weights(features, gradients), 12 * 0.25 / (2 + 0.25 * total)
    )


def test_grad_cam_plus_plus_ignores_negative_and_zero_gradients():
    gradients = -np.abs(GRADIENTS)
    gradients[0] = 0
    weights = grad_cam_plus_plus_weights(FEATURES, gradients)
    assert np.array_equal(weights, np.zeros((2, 5)))
    singular = np.array([[[[2.0]]]]), np.array([[[[-1.0]]]])  # 2 g² + A g³ = 0
    assert np.array_equal(grad_cam_plus_plus_weights(*singular), [[0.0]])


def test_scaled_divides_each_map_by_its_own_maximum():
    maps = scaled(np.array([[[-4.0, 2.0]], [[10.0, 5.0]], [[-1.0, -2.0]]]))
    assert maps.tolist() == [[[0, 1]], [[1, 0.5]], [[0, 0]]]
    tiny = scaled(np.full((1, 1, 2), 1e-30))
    assert tiny.tolist() == [[[1, 1]]]
    assert scaled(np.zeros((0, 3, 3))).shape == (0, 3, 3)


@pytest.mark.parametrize("size", [(7, 7), (224, 224), (30, 11), (3, 2), (1, 1)])
def test_resizing_is_tensorflows_bilinear(size):
    maps = RNG.random((3, 7, 5)).astype(np.float32)
    expected = tf.image.resize(maps[..., None], size, "bilinear", antialias=False)[..., 0]
    np.testing.assert_allclose(resize_maps(maps, size), expected, atol=1e-6)


@given(st.integers(1, 9), st.integers(1, 40))
def test_resizing_keeps_constants_and_the_range(old, new):
    assert resize_maps(np.full((1, old, old), 0.5), new) == pytest.approx(0.5)
    maps = np.random.default_rng(old * new).random((1, old, old))
    resized = resize_maps(maps, new)
    assert maps.min() - 1e-12 <= resized.min()
    assert resized.max() <= maps.max() + 1e-12
    np.testing.assert_allclose(resized[:, ::-1], resize_maps(maps[:, ::-1], new), atol=1e-12)


def test_types_are_kept():
    features = FEATURES.astype(np.float32)
    weights = grad_cam_weights(features)
    assert weights.dtype == np.float32
    assert weighted_sum(features, weights).dtype == np.float32
    assert grad_cam_plus_plus_weights(features, features).dtype == np.float32
    assert resize_maps(scaled(features[..., 0]), 9).dtype == np.float32


def test_errors():
    with pytest.raises(ValueError, match=r"gradients must have 4 axes .* got shape \(3, 4, 5\)"):
        grad_cam_weights(GRADIENTS[0])
    with pytest.raises(ValueError, match="gradients must have at least one position"):
        grad_cam_weights(np.zeros((1, 0, 3, 2)))
    message = r"gradients must have the shape of the features, \(2, 3, 4, 5\), got \(1, 3, 4, 5\)"
    for function in (hires_cam_map, grad_cam_plus_plus_weights):
        with pytest.raises(ValueError, match=message):
            function(FEATURES, GRADIENTS[:1])
    with pytest.raises(ValueError, match=r"weights must have the shape \(2, 5\), got \(5, 2\)"):
        weighted_sum(FEATURES, np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"signed must be finite, got nan at index 0, 0, 1"):
        scaled(np.array([[[0, np.nan]]]))
    with pytest.raises(ValueError, match="size must be an integer >= 1, got 0"):
        resize_maps(np.ones((1, 2, 2)), 0)
    with pytest.raises(ValueError, match="maps must have at least one position"):
        resize_maps(np.ones((1, 0, 2)), 3)
