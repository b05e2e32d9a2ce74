"""Initial weights that keep the size of a signal from layer to layer.

Kernels are HWIO, (kh, kw, in, out); dense weights (in, out). The last two axes are in and out.
Fan-in is the number of products in one output, fan-out how often one input is used: both count
    the places of the kernel, kh * kw of them.
Glorot's rule suits tanh, He's suits ReLU, which loses half of its signal and needs twice the
    variance. Biases start at 0. Keras cuts its normal draws off at two standard deviations and
    widens them to keep the variance; here they are plain.

Derived in chapter 05-training.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import integer


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan-in and fan-out of a kernel or of a dense layer's weights.

    Raises
    ------
    ValueError
        If `shape` is not (in, out) with any number of axes of the kernel before it.

    Examples
    --------
    >>> fans((784, 100)), fans((3, 3, 16, 32))
    ((784, 100), (144, 288))
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if len(sizes) < 2:
        raise ValueError(f"shape must end in (in, out), got {shape!r}")
    sizes = [integer(size, f"shape[{i}]", 1) for i, size in enumerate(sizes)]
    places = int(np.prod(sizes[:-2]))
    return places * sizes[-2], places * sizes[-1]


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw weights uniformly, with variance 2 / (fan-in + fan-out): the default of Keras.

    A compromise: 1 / fan-in would keep the signal on its way forward, 1 / fan-out the gradient on
    its way back (Glorot and Bengio 2010, equation 16).

    Raises
    ------
    ValueError
        If `shape` is not as :func:`fans` wants it.

    Examples
    --------
    >>> weights = glorot_uniform((300, 100), np.random.default_rng(0))
    >>> bool(np.abs(weights).max() <= (6 / 400) ** 0.5), round(float(weights.var() * 400), 1)
    (True, 2.0)
    """
    limit = np.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, tuple(shape))


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw weights from a normal distribution with variance 2 / fan-in.

    It keeps the mean square of the signal through a ReLU layer (He et al. 2015, arXiv:1502.01852,
    equation 10).

    Raises
    ------
    ValueError
        If `shape` is not as :func:`fans` wants it.

    Examples
    --------
    >>> weights = he_normal((3, 3, 64, 64), np.random.default_rng(0))
    >>> round(float(weights.var() * 9 * 64), 1)
    2.0
    """
    return rng.normal(0, np.sqrt(2 / fans(shape)[0]), tuple(shape))
