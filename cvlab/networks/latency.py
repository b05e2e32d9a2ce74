"""How long a Keras model, and each of its layers, takes on the machine that runs this.

Seconds  wall-clock time for one batch of noise, compiled, in inference mode
Layers   each call of a layer is compiled and run alone, on what comes to it in the model; to start
         a compiled function takes some tenths of a millisecond, which every small layer shows. So
         the layers of a model can take longer than the model, in which they also are fused
Values   counts do not depend on those of the weights, times hardly do: a model may be built with
         zeros
Derived in chapter 08-architectures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import integer
from cvlab.networks.graph import Node, only_reading, walk
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
    images = _noise(model, input_size, batch, rng)
    images = images if len(images) > 1 else images[0]
    return _latency(lambda: model.predict_on_batch(images), rounds)


def measure_layers(
    model: keras.Model,
    input_size: tuple[int, int] | None = None,
    *,
    batch: int = 1,
    rounds: int = 10,
    rng: np.random.Generator | None = None,
) -> dict[str, Latency]:
    """Run every layer of a model alone and measure how long it takes on this machine.

    Parameters
    ----------
    model, input_size, batch, rounds, rng
        As for :func:`measure_latency`; `rounds` for each layer.

    Returns
    -------
    dict of str to Latency
        By the names of :func:`cvlab.networks.graph.walk`, in its order, the inputs left out.

    Raises
    ------
    ValueError
        As :func:`measure_latency`.

    Examples
    --------
    >>> conv, relu = keras.layers.Conv2D(4, 3, name="conv"), keras.layers.ReLU(name="relu")
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), conv, relu])
    >>> list(measure_layers(model, rounds=3))
    ['conv', 'relu']
    """
    images = iter(_noise(model, input_size, batch, rng))
    nodes = walk(model)
    last_reader = {source: node.name for node in nodes for source in node.sources}
    values, measured = {}, {}
    for node in nodes:
        if not node.sources:
            values[node.name] = (tf.cast(next(images), node.layer.dtype),)
            continue
        tensors = [values[name][port] for name, port in zip(node.sources, node.ports, strict=True)]
        # TensorFlow counts the traces of a function's code, and warns when there are many.
        run = tf.function(partial(_call, node), autograph=False).get_concrete_function(tensors)
        measured[node.name] = _latency(partial(_finished, run, tensors), rounds)
        values[node.name] = run(tensors)
        for source in node.sources:
            if last_reader[source] == node.name:
                values.pop(source, None)
    return measured


def _noise(model, input_size, batch, rng):
    """Return a batch of noise for each input of a model."""
    integer(batch, "batch", minimum=1)
    shapes = input_shapes(model, input_size)
    if input_size is not None:
        node_shapes(walk(model), shapes)  # says which layer cannot take images of this size
    rng = np.random.default_rng(0) if rng is None else rng
    return [rng.random((batch, *shape), dtype=np.float32) for shape in shapes]


def _latency(run: Callable, rounds: int) -> Latency:
    """Return how long a function takes, after a first call that may compile it."""
    integer(rounds, "rounds", minimum=1)
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return Latency(float(np.median(seconds)), min(seconds), max(seconds))


def _call(node: Node, tensors):
    """Repeat the call of a node on the tensors of its sources."""

    def compute(tensors):
        values: dict[str, dict[int, tf.Tensor]] = {name: {} for name in node.sources}
        for name, port, tensor in zip(node.sources, node.ports, tensors, strict=True):
            values[name][port] = tensor
        return node.compute(values)

    return only_reading(compute)(tensors)


def _finished(run, tensors):
    """Run a compiled function, and wait until the accelerator is done if there is one."""
    run(tensors)
    tf.test.experimental.sync_devices()


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
