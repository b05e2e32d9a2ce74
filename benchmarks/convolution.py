"""Convolution against TensorFlow, eager, on tensors made beforehand; float32.

Below each pass stand the calls of NumPy that it cannot do without, alone, against the same peer:
the matrix products (three in a forward and a backward pass), or for depthwise the sum of products.
What a pass takes more than these is the cost of windows and checks; what these take more than the
peer is NumPy's own.
"""

import sys
import tracemalloc

import _ratio  # first: it sets the number of threads
import numpy as np
import tensorflow as tf

from cvlab._windows import depthwise_rows
from cvlab.convolution import conv2d, depthwise_conv2d
from cvlab.convolution_gradients import conv2d_backward

MEMORY_LIMIT_MB = 25.0  # beyond the output
# name, image, kernel, stride, groups, limit forward, limit forward + backward
LAYERS = [
    ("32x32x3, 3x3, 16", (1, 32, 32, 3), (3, 3, 3, 16), 1, 1, 1.1, 1.0),
    ("8 of 56x56x64, 3x3, 64", (8, 56, 56, 64), (3, 3, 64, 64), 1, 1, 1.1, 1.0),
    ("224x224x3, 7x7 stride 2, 64", (1, 224, 224, 3), (7, 7, 3, 64), 2, 1, 1.1, 1.6),
    ("8 of 28x28x256, 1x1, 64", (8, 28, 28, 256), (1, 1, 256, 64), 1, 1, 1.1, 1.0),
    ("8 of 28x28x128, 3x3, 4 groups", (8, 28, 28, 128), (3, 3, 32, 128), 1, 4, 2.5, None),
]
random = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape, dtype=np.float32)


def forward(name, image, size, stride, groups, limit, _) -> list[_ratio.Row]:
    x, kernel = normal(*image), normal(*size)
    tensors = tf.constant(x), tf.constant(kernel)
    y = conv2d(x, kernel, stride=stride, groups=groups)
    np.testing.assert_allclose(y, tf.nn.conv2d(*tensors, stride, "VALID"), atol=2e-3)

    def peer():
        return tf.nn.conv2d(*tensors, stride, "VALID")

    row = _ratio.compare(
        f"forward {name}", lambda: conv2d(x, kernel, stride=stride, groups=groups), peer, limit
    )
    return [row, _ratio.compare("    its matrix products alone", products(y, kernel, groups), peer)]


def products(y, kernel, groups, backward=False):
    """Return a function that does the matrix products of a convolution.

    They are about 1 MiB each, as in the pass; a 1x1 convolution is a single one.
    """
    depth, rows = kernel[..., 0].size, y[..., 0].size
    pointwise = kernel.shape[:2] == (1, 1) and groups == 1
    tiles = 1 if pointwise else -(-rows * depth * groups * y.itemsize // 2**20)
    windows = normal(groups, -(-rows // tiles), depth)
    weights = normal(groups, depth, kernel.shape[3] // groups)
    calls = [(windows, weights)]
    if backward:
        errors = windows @ weights
        calls += [(errors, weights.swapaxes(1, 2)), (windows.swapaxes(1, 2), errors)]
    outputs = [a @ b for a, b in calls]

    def run():
        for _ in range(tiles):
            for (a, b), out in zip(calls, outputs, strict=True):
                np.matmul(a, b, out=out)

    return run


def forward_and_backward(name, image, size, stride, _, __, limit) -> list[_ratio.Row]:
    x, kernel = normal(*image), normal(*size)
    dy = np.ones_like(conv2d(x, kernel, stride=stride))
    tensors, gradient = [tf.constant(x), tf.constant(kernel)], tf.constant(dy)

    def ours():
        conv2d(x, kernel, stride=stride)
        return conv2d_backward(dy, x, kernel, stride=stride)

    def peer():
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = tf.nn.conv2d(*tensors, stride, "VALID")
        return tape.gradient(y, tensors, output_gradients=gradient)

    for mine, theirs in zip(ours(), peer(), strict=False):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-1)
    row = _ratio.compare(f"forward + backward {name}", ours, peer, limit)
    alone = products(dy, kernel, 1, backward=True)
    return [row, _ratio.compare("    its matrix products alone", alone, peer)]


def depthwise() -> list[_ratio.Row]:
    x, kernel = normal(8, 28, 28, 128), normal(3, 3, 128, 1)
    tensors = tf.constant(x), tf.constant(kernel)

    def peer():
        return tf.nn.depthwise_conv2d(*tensors, [1, 1, 1, 1], "VALID")

    def ours():
        return depthwise_conv2d(x, kernel)

    rows = depthwise_rows(x, (3, 3), (1, 1), (1, 1))
    weights = np.tile(kernel[..., 0], rows.shape[4] // 128)
    y = np.empty((*rows.shape[:2], rows.shape[4]), np.float32)
    np.testing.assert_allclose(ours(), peer(), atol=1e-4)
    return [
        _ratio.compare("depthwise 8 of 28x28x128, 3x3", ours, peer, 1.3),
        _ratio.compare(
            "    its sum of products alone",
            lambda: np.einsum("nhijx,ijx->nhx", rows, weights, out=y),
            peer,
        ),
    ]


def scratch_megabytes(padding: str) -> float:
    """Return the peak memory of the second layer's forward pass, beyond its output."""
    x, kernel = normal(8, 56, 56, 64), normal(3, 3, 64, 64)
    tracemalloc.start()
    y = conv2d(x, kernel, padding=padding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - y.nbytes) / 1e6


def main() -> int:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = [row for layer in LAYERS for row in forward(*layer)]
    rows += depthwise()
    for layer in LAYERS:
        if layer[-1] is not None:
            rows += forward_and_backward(*layer)
    status = _ratio.report("convolution: cvlab / TensorFlow", rows)
    for padding in ("valid", "same"):
        megabytes = scratch_megabytes(padding)
        print(f"\nscratch memory, {LAYERS[1][0]}, {padding}: {megabytes:.1f} MB", end="")
        print(f" (limit {MEMORY_LIMIT_MB:.0f} MB)", end="")
        status = max(status, int(megabytes > MEMORY_LIMIT_MB))
    print()
    return status


if __name__ == "__main__":
    sys.exit(main())
