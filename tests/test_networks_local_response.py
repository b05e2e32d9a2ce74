"""Local response normalization as a layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.local_response import local_response_norm
from cvlab.networks.local_response import LocalResponseNormalization


@pytest.mark.parametrize("channels", [1, 4, 12])
def test_it_agrees_with_the_numpy_function_and_with_tensorflow(channels):
    x = 30 * np.random.default_rng(0).normal(size=(2, 3, 4, channels)).astype("float32")
    y = LocalResponseNormalization()(x).numpy()
    np.testing.assert_allclose(y, local_response_norm(x), rtol=1e-5)
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=2, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(y, theirs, rtol=1e-5)


def test_it_is_a_layer_that_can_be_copied():
    options = {"window": 3, "alpha": 0.5, "beta": 0.6, "k": 1.5}
    layer = LocalResponseNormalization(**options)
    copy = LocalResponseNormalization.from_config(layer.get_config())
    x = np.random.default_rng(1).normal(size=(1, 2, 2, 5)).astype("float32")
    np.testing.assert_allclose(copy(x), local_response_norm(x, **options), rtol=1e-5)
    assert layer(keras.Input((None, None, 5))).shape == (None, None, None, 5)


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match=r"window must be odd, got 4"):
        LocalResponseNormalization(window=4)
    with pytest.raises(ValueError, match=r"k must be positive, got 0.0001 and 0"):
        LocalResponseNormalization(k=0)
    with pytest.raises(ValueError, match=r"alpha must not be negative .* got -1 and 2"):
        LocalResponseNormalization(alpha=-1)
