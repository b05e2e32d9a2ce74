"""Normalization against Keras, eager; and networks with their normalizations folded in or not.

The NumPy functions do on float32 arrays what a Keras layer does on tensors made beforehand; the
peer of a backward pass is the eager tape, for the input, gamma and beta. The networks are compiled
with ``tf.function``; EfficientNet-Lite0 has 49 normalizations, ResNet-50 has 53.
"""

import sys
from functools import partial

import _ratio  # first: it sets the number of threads
import keras
import numpy as np
import tensorflow as tf

from cvlab.local_response import local_response_norm
from cvlab.networks import efficientnet_lite0
from cvlab.networks.folding import fold_batch_norms
from cvlab.normalization import batch_norm
from cvlab.normalization_family import group_norm, group_norm_backward
from cvlab.normalization_gradients import batch_norm_backward

# Our forward and backward pass, Keras's layer, and the options of its call.
METHODS = {
    "batch": (
        lambda x, gamma, beta: batch_norm(x, gamma, beta).y,
        batch_norm_backward,
        keras.layers.BatchNormalization,
        {"training": True},
    ),
    "group": (
        partial(group_norm, groups=8),
        partial(group_norm_backward, groups=8),
        partial(keras.layers.GroupNormalization, 8),
        {},
    ),
}
# method, shape, limit forward, limit forward + backward
LAYERS = [
    ("batch", (64, 256), 0.2, 0.2),
    ("batch", (32, 32, 32, 16), 0.7, 0.7),
    ("batch", (8, 56, 56, 64), 0.7, 0.7),
    ("batch", (1, 224, 224, 3), 0.7, 0.7),
    ("group", (32, 32, 32, 16), 0.7, 0.7),
    ("group", (8, 56, 56, 64), 0.7, 0.7),
]
LOCAL_RESPONSE = ((1, 27, 27, 256), 0.7)  # the second one of AlexNet, and the limit
# network, images, limit folded / not folded
NETWORKS = [
    (efficientnet_lite0, 1, 0.95),
    (efficientnet_lite0, 8, 0.95),
    (partial(keras.applications.ResNet50, weights=None), 1, 1.0),
]


def compare_layer(method, shape, forward_limit, both_limit) -> list[_ratio.Row]:
    """Return the rows of a layer: forward, and forward with backward."""
    forward, backward, make_layer, options = METHODS[method]
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape), dtype=np.float32)
    gamma, beta = rng.uniform(0.5, 2, (2, shape[-1])).astype(np.float32)
    layer = make_layer()
    layer.build(shape)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    tensor, gradient = tf.constant(x), tf.constant(dy)

    def peer():
        return layer(tensor, **options)

    def tape():
        with tf.GradientTape() as recorded:
            recorded.watch(tensor)
            y = peer()
        sources = [tensor, layer.gamma.value, layer.beta.value]
        return recorded.gradient(y, sources, output_gradients=gradient)

    def ours():
        return forward(x, gamma, beta)

    def both():
        ours()
        return backward(dy, x, gamma)

    np.testing.assert_allclose(ours(), peer(), rtol=1e-3, atol=1e-3)
    for got, wanted in zip(both(), tape(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-2)
    name = f"{method} {'x'.join(map(str, shape))}"
    return [
        _ratio.compare(f"forward {name}", ours, peer, forward_limit),
        _ratio.compare(f"forward + backward {name}", both, tape, both_limit),
    ]


def compare_local_response(shape, limit) -> _ratio.Row:
    """Return the row of local response normalization, forward."""
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    tensor = tf.constant(x)

    def peer():
        return tf.nn.local_response_normalization(tensor, 2, bias=2, alpha=1e-4, beta=0.75)

    np.testing.assert_allclose(local_response_norm(x), peer(), rtol=1e-5)
    name = f"forward local response {'x'.join(map(str, shape))}"
    return _ratio.compare(name, lambda: local_response_norm(x), peer, limit)


def compare_network(make_network, images, limit) -> _ratio.Row:
    """Return the row of a network: with its normalizations folded in over as it was."""
    model = make_network()
    folded, removed = fold_batch_norms(model)
    size = (images, 224, 224, 3)
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, size).astype(np.float32))
    ours, peer = (tf.function(partial(m, training=False)) for m in (folded, model))
    np.testing.assert_allclose(ours(x), peer(x), atol=1e-5)
    name = f"{model.name}, {removed} folded, {images} image{'s' * (images > 1)}"
    return _ratio.compare(name, lambda: ours(x), lambda: peer(x), limit)


def main() -> int:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = [row for layer in LAYERS for row in compare_layer(*layer)]
    rows.append(compare_local_response(*LOCAL_RESPONSE))
    failed = _ratio.report("normalization: cvlab / Keras, TensorFlow", rows)
    print()
    rows = [compare_network(*network) for network in NETWORKS]
    return failed | _ratio.report("folding: folded / not folded, the same network", rows)


if __name__ == "__main__":
    sys.exit(main())
