"""Grad-CAM at the last convolutional layer, beside the forward pass and beside tf-keras-vis.

EfficientNet-Lite0 at 224 x 224 pixels, a batch of 16 and one image, after tracing. The forward
pass is the same model in a `tf.function`, to its scores. tf-keras-vis (`pip install tf-keras-vis`)
is asked for the same classes at the same layer, on the model itself and not on a clone.

Limits: at most 1.2 times the forward pass, at most 1/4 of tf-keras-vis.
"""

import sys

from _ratio import Row, compare, report  # isort: skip (sets the threads: before NumPy)

import numpy as np
import tensorflow as tf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.utils.scores import CategoricalScore

from cvlab.networks import efficientnet_lite0
from cvlab.networks.grad_cam import grad_cam

LAYER = "top_activation"


def rows(model, count: int) -> list[Row]:
    """Time Grad-CAM of `count` images beside both peers."""
    images = np.random.default_rng(0).uniform(-1, 1, (count, 224, 224, 3)).astype(np.float32)
    classes = list(range(count))
    forward = tf.function(lambda x: model(x, training=False))
    peer = Gradcam(model, clone=False)

    def ours():
        return grad_cam(model, images, classes)

    def theirs():
        return peer(CategoricalScore(classes), images, penultimate_layer=LAYER)

    tensor = tf.constant(images)
    what = f"batch of {count}" if count > 1 else "one image"
    return [
        compare(f"{what} / forward pass", ours, lambda: forward(tensor).numpy(), 1.2, rounds=7),
        compare(f"{what} / tf-keras-vis", ours, theirs, 0.25, rounds=7),
    ]


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = efficientnet_lite0(classifier_activation=None)
    sys.exit(report("Grad-CAM", rows(model, 16) + rows(model, 1)))
