"""A step of fine-tuning against the same step with every convolution left to TensorFlow.

`FineTuner` writes 1 x 1 convolutions as products of matrices while it traces its step; the peer is
a second one, traced with that switched off. Both train all layers of EfficientNet-Lite0.
"""

import sys
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import _ratio  # first: it sets the number of threads
import keras
import numpy as np
import tensorflow as tf

from cvlab.networks import efficientnet_lite0, fine_tuning

CLASSES = 9
# images, pixels, limit
SIZES = [(18, 48, 0.8), (8, 224, 1.0)]


def compare_step(images, pixels, limit) -> _ratio.Row:
    """Return the row of a batch."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.uniform(-1, 1, (images, pixels, pixels, 3)).astype(np.float32))
    y = tf.constant(np.arange(images) % CLASSES)
    steps = []
    for products in (fine_tuning._pointwise_products, nullcontext):
        keras.utils.set_random_seed(0)  # the same head
        network = efficientnet_lite0(include_top=False, pooling="avg")
        tuner = fine_tuning.FineTuner(network, CLASSES)
        tuner._optimizer.learning_rate = 0.0  # every step does the same
        with patch.object(fine_tuning, "_pointwise_products", products):
            tuner._step(x, y)
        steps.append(partial(tuner._step, x, y))
    ours, peer = steps
    np.testing.assert_allclose(ours(), peer(), rtol=1e-4)
    return _ratio.compare(f"{images} images of {pixels} pixels", ours, peer, limit, rounds=5)


def main() -> int:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = [compare_step(*size) for size in SIZES]
    return _ratio.report("a step of fine-tuning: FineTuner / the same without products", rows)


if __name__ == "__main__":
    sys.exit(main())
