"""How long a Keras model takes on the machine that runs this.

Seconds  wall-clock time for one batch of noise, compiled, in inference mode
Values   counts do not depend on those of the weights, times hardly do: a model may be built with
         zeros
Derived in chapter 08-architectures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from unittest.mock import patch

import keras
import numpy as np

from cvlab._validate import integer
from cvlab.networks.graph import walk
from cvlab.networks.shapes import input_shapes, node_shapes

# The initializers that draw numbers; the others are subclasses of VarianceScaling.
_RANDOM = "VarianceScaling", "TruncatedNormal", "RandomNormal", "RandomUniform", "Orthogonal"


class Latency(NamedTuple):
    """Seconds for one batch: over the rounds the median, the fastest and the slowest."""

    median: float
    fastest: float
    slowest: float


def measure_latency(
    model: keras.Model,
    input_size: tuple[int, int] | None = None,
    *,
    batch: int = 1,
    rounds: int = 10,
    rng: np.random.Generator | None = None,
) -> Latency:
    """Run a model on noise and measure how long a batch takes on this machine.

    Parameters
    ----------
    model : keras.Model
    input_size : (int, int), optional
        Height and width of the image; those of the model if not given.
    batch : int
    rounds : int
        Measurements, after one that compiles and is not counted.
    rng : numpy.random.Generator, optional
        Of the noise, uniform in [0, 1).

    Returns
    -------
    Latency

    Raises
    ------
    ValueError
        If a number is not positive, the model leaves its input size open, or a layer cannot take
        images of this size.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    >>> latency = measure_latency(model, rounds=3)
    >>> 0 < latency.fastest <= latency.median <= latency.slowest
    True
    """
    integer(batch, "batch", minimum=1)
    integer(rounds, "rounds", minimum=1)
    shapes = input_shapes(model, input_size)
    if input_size is not None:
        node_shapes(walk(model), shapes)  # says which layer cannot take images of this size
    rng = np.random.default_rng(0) if rng is None else rng
    images = [rng.random((batch, *shape), dtype=np.float32) for shape in shapes]
    images = images if len(images) > 1 else images[0]
    model.predict_on_batch(images)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        model.predict_on_batch(images)
        seconds.append(time.perf_counter() - start)
    return Latency(float(np.median(seconds)), min(seconds), max(seconds))


@contextmanager
def zero_weights() -> Iterator[None]:
    """Let models that are built within start with zeros in place of random numbers.

    What a model costs does not depend on the values of its weights, and drawing tens of millions of
    random numbers takes seconds. Such a model can be counted and timed; it cannot be trained.

    Examples
    --------
    >>> with zero_weights():
    ...     model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    >>> float(keras.ops.max(model.layers[0].kernel))
    0.0
    """

    def zeros(self, shape, dtype=None, **options):
        return keras.ops.zeros(shape, dtype or keras.config.floatx())

    with ExitStack() as stack:
        for name in _RANDOM:
            stack.enter_context(patch.object(getattr(keras.initializers, name), "__call__", zeros))
        yield
