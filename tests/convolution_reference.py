"""Independent truth for the tests of convolution: TensorFlow, and the loops of the definition."""

import itertools

import numpy as np
import tensorflow as tf

# (image, kernel, stride): odd, even and oblong kernels, gaps between windows, one pixel.
GEOMETRIES = [
    ((7, 8), (3, 3), (1, 1)),
    ((8, 7), (3, 3), (2, 2)),
    ((6, 9), (2, 4), (1, 1)),
    ((9, 6), (4, 2), (2, 2)),
    ((8, 11), (2, 3), (3, 1)),
    ((10, 9), (1, 2), (3, 4)),
    ((5, 6), (1, 1), (1, 1)),
    ((5, 6), (1, 1), (2, 3)),
    ((4, 3), (4, 3), (1, 1)),
    ((1, 1), (1, 1), (1, 1)),
]
PADDINGS = ["valid", "same", 2, ((1, 0), (0, 3))]


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def pairs(padding, size, kernel, stride, dilation=(1, 1)):
    """Return ((top, bottom), (left, right)), the arithmetic of "same" as TensorFlow states it."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    if padding != "same":
        return padding
    result = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        k = (k - 1) * d + 1
        total = max(k - s if n % s == 0 else k - n % s, 0)
        result.append((total // 2, total - total // 2))
    return tuple(result)


def fits(size, kernel, pads, dilation=(1, 1)):
    axes = zip(size, kernel, pads, dilation, strict=True)
    return all((k - 1) * d + 1 <= n + p[0] + p[1] for n, k, p, d in axes)


def loops(x, kernel, stride, pads, dilation=(1, 1), groups=1):
    """Correlate by the definition: one multiplication at a time, zeros outside the image."""
    (top, bottom), (left, right) = pads
    batch, height, width, _ = x.shape
    kh, kw, depth, filters = kernel.shape
    rows = (height + top + bottom - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (width + left + right - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.zeros((batch, rows, columns, filters))
    for r, c, i, j in itertools.product(range(rows), range(columns), range(kh), range(kw)):
        row = r * stride[0] + i * dilation[0] - top
        column = c * stride[1] + j * dilation[1] - left
        if not (0 <= row < height and 0 <= column < width):
            continue
        for f in range(filters):
            first = f // (filters // groups) * depth
            y[:, r, c, f] += x[:, row, column, first : first + depth] @ kernel[i, j, :, f]
    return y


def paint_loops(x, kernel, stride, pads, size, dilation=(1, 1)):
    """Transposed convolution by the definition: every pixel paints its kernel, then crop."""
    batch, rows, columns, _ = x.shape
    kh, kw, filters, _ = kernel.shape
    y = np.zeros((batch, *size, filters))
    for r, c, i, j in itertools.product(range(rows), range(columns), range(kh), range(kw)):
        row = r * stride[0] + i * dilation[0] - pads[0][0]
        column = c * stride[1] + j * dilation[1] - pads[1][0]
        if 0 <= row < size[0] and 0 <= column < size[1]:
            y[:, row, column] += x[:, r, c] @ kernel[i, j].T
    return y


def tf_conv2d(x, kernel, stride, pads, dilation=(1, 1), groups=1):
    """`tf.nn.convolution` on an image padded beforehand, group by group (differentiable)."""
    padded = tf.pad(x, [(0, 0), *pads, (0, 0)])
    parts = zip(tf.split(padded, groups, axis=3), tf.split(kernel, groups, axis=3), strict=True)
    return tf.concat(
        [tf.nn.convolution(a, k, stride, "VALID", dilations=dilation) for a, k in parts], axis=3
    )


def tf_gradients(function, dy, *arrays):
    """Return the gradients of sum(dy * function(*arrays)) with respect to the arrays."""
    variables = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        y = function(*variables)
    gradients = tape.gradient(y, variables, output_gradients=tf.constant(dy))
    return [g.numpy() for g in gradients]


def numerical_gradient(function, x, step=1e-6):
    """Return central differences of the number `function(x)`, one coordinate at a time."""
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (function(ahead) - function(behind)) / (2 * step)
    return gradient
