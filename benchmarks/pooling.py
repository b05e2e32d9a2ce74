"""Pooling against TensorFlow, eager, on tensors made beforehand; float32, 8 of 56x56x64.

Below a pass stand the calls of `np.maximum` or `np.add` that it contains, alone, into arrays made
beforehand: what these take more than the peer is NumPy's, not the function's.
"""

import sys

import _ratio  # first: it sets the number of threads
import numpy as np
import tensorflow as tf

from cvlab.pooling import _along, _places, avg_pool2d, max_pool2d
from cvlab.pooling_gradients import avg_pool2d_backward, max_pool2d_backward

IMAGES = (8, 56, 56, 64)
# pooling, window, stride, padding, limit forward, limit forward + backward
LAYERS = [
    ("max", 2, 2, "valid", 1.5, 1.0),
    ("max", 3, 2, "valid", 1.5, 1.0),
    ("max", 3, 2, "same", None, 1.0),
    ("average", 2, 2, "valid", 1.5, 1.0),
    ("average", 3, 2, "valid", 1.5, 1.0),
    ("average", 3, 2, "same", None, 1.0),
]


def pools(kind, window, stride, padding):
    """Return our forward and backward pass, and TensorFlow's forward pass."""
    options = dict(stride=stride, padding=padding)
    if kind == "max":
        return (
            lambda x: max_pool2d(x, window, **options),
            lambda dy, x: max_pool2d_backward(dy, x, window, **options),
            lambda x: tf.nn.max_pool2d(x, window, stride, padding.upper()),
        )
    return (
        lambda x: avg_pool2d(x, window, **options),
        lambda dy, x: avg_pool2d_backward(dy, x.shape, window, **options),
        lambda x: tf.nn.avg_pool2d(x, window, stride, padding.upper()),
    )


def combined(x, combine, window, stride):
    """Return a function that does the maxima or sums of an unpadded pooling and nothing else."""
    steps = []
    for axis in (1, 2):
        _, places = _places(x.shape[axis], window, stride, (0, 0))
        pixels = [x[_along(axis, pixel)] for _, pixel in places]
        x = np.empty_like(pixels[0])
        steps += [(pixels[0], pixels[1], x)] + [(x, pixel, x) for pixel in pixels[2:]]

    def run():
        for one, other, result in steps:
            combine(one, other, out=result)

    return run


def shared(dy, window, stride):
    """Return a function that hands out the gradient of an unpadded mean and does nothing else."""
    steps = []
    for axis in (2, 1):
        shape = list(dy.shape)
        shape[axis] = IMAGES[axis]
        dx = np.zeros(shape, dy.dtype)
        _, places = _places(shape[axis], window, stride, (0, 0))
        targets = [dx[_along(axis, pixel)] for _, pixel in places]
        steps += [(np.add if n >= stride else None, dy, t) for n, t in enumerate(targets)]
        dy = dx

    def run():
        for add, share, target in steps:
            if add is None:
                target[...] = share
            else:
                add(target, share, out=target)

    return run


def compare_layer(kind, window, stride, padding, forward_limit, both_limit) -> list[_ratio.Row]:
    """Return the rows of a layer: forward, and forward with backward against the eager tape."""
    forward, backward, peer = pools(kind, window, stride, padding)
    x = np.random.default_rng(0).standard_normal(IMAGES, dtype=np.float32)
    dy = np.ones_like(forward(x))
    tensor, gradient = tf.constant(x), tf.constant(dy)
    np.testing.assert_allclose(forward(x), peer(tensor), rtol=1e-5, atol=1e-6)

    def ours():
        forward(x)
        return backward(dy, x)

    def tape():
        with tf.GradientTape() as recorded:
            recorded.watch(tensor)
            y = peer(tensor)
        return recorded.gradient(y, tensor, output_gradients=gradient)

    np.testing.assert_allclose(ours(), tape(), rtol=1e-5, atol=1e-6)
    name = f"{kind} {window}x{window} / {stride} {padding}"
    rows = [
        _ratio.compare(f"forward {name}", lambda: forward(x), lambda: peer(tensor), forward_limit),
        _ratio.compare(f"forward + backward {name}", ours, tape, both_limit),
    ]
    if forward_limit is not None:
        what, combine = ("maxima", np.maximum) if kind == "max" else ("sums", np.add)
        alone = combined(x, combine, window, stride)
        rows.insert(1, _ratio.compare(f"    its {what} alone", alone, lambda: peer(tensor)))
        if kind == "average":
            hand_out = shared(dy, window, stride)
            both = _ratio.compare("    its sums alone", lambda: (alone(), hand_out()), tape)
            rows.append(both)
    return rows


def main() -> int:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = [row for layer in LAYERS for row in compare_layer(*layer)]
    return _ratio.report("pooling: cvlab / TensorFlow", rows)


if __name__ == "__main__":
    sys.exit(main())
