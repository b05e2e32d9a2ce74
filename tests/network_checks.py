"""What every classifier of the zoo must do: run forward and backward on images of a size."""

import keras
import numpy as np
import tensorflow as tf


def trained(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def runs_both_ways(model, size, seed=0):
    """Classify two images, and take one gradient that reaches every trained weight."""
    keras.utils.set_random_seed(seed)
    shape = (2, *size, model.inputs[0].shape[-1])
    images = np.random.default_rng(seed).normal(size=shape).astype("float32")
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        loss = -sum(tf.reduce_sum(tf.math.log(output[:, 0] + 1e-6)) for output in outputs)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for output in outputs:
        classes = output.shape[-1]
        assert output.shape == (2, classes)
        if classes > 1:
            np.testing.assert_allclose(np.sum(output, axis=-1), 1, rtol=1e-5)
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
    assert np.abs(gradients[0]).max() > 0
    return outputs
