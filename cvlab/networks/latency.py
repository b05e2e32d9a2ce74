"""How long a Keras model, and each of its layers, takes on the machine that runs this.

Seconds  wall-clock time for one batch of noise, in inference mode, compiled as Keras compiles the
         model; inputs of integers are zeros
Model    with the time to bring the batch in and the results out
Layers   each call of a layer as a function of its own, without that time, but with what it costs
         to call a function, some tenths of a millisecond. So the times of the layers do not add up
         to that of the model. Keras's masks are not passed on
Values   counts do not depend on those of the weights, times hardly do: a model may be built with
         zeros
Derived in chapter 08-architectures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
    integer(rounds, "rounds", minimum=1)
    model.predict_on_batch(images)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        model.predict_on_batch(images)
        seconds.append(time.perf_counter() - start)
    return _latency(seconds)


def measure_layers(
    model: keras.Model,
    input_size: tuple[int, int] | None = None,
    *,
    batch: int = 1,
    rounds: int = 10,
    rng: np.random.Generator | None = None,
) -> dict[str, Latency]:
    """Run a model layer by layer and measure how long each takes on this machine.

    Parameters
    ----------
    model, input_size, batch, rounds, rng
        As for :func:`measure_latency`. A round runs all layers once, in the order of the model.

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
    images = _noise(model, input_size, batch, rng)
    integer(rounds, "rounds", minimum=1)
    inputs, calls = [], []
    for node in walk(model):
        (calls if node.sources else inputs).append(node)
    last_reader = {source: node.name for node in calls for source in node.sources}
    compiled, seconds = {}, {node.name: [] for node in calls}
    for _ in range(rounds + 1):  # the first compiles, and is not counted
        values = {
            node.name: (tf.cast(noise, node.layer.dtype),)
            for node, noise in zip(inputs, images, strict=True)
        }
        for node in calls:
            tensors = [
                values[source][port] for source, port in zip(node.sources, node.ports, strict=True)
            ]
            if node.name not in compiled:
                compiled[node.name] = _compiled(node, tensors, model.jit_compile)
            start = time.perf_counter()
            values[node.name] = compiled[node.name](tensors)
            tf.test.experimental.sync_devices()  # an accelerator may still be at work
            seconds[node.name].append(time.perf_counter() - start)
            for source in node.sources:
                if last_reader[source] == node.name:
                    values.pop(source, None)
    return {name: _latency(measured[1:]) for name, measured in seconds.items()}


def _noise(model, input_size, batch, rng):
    """Return a batch of noise for each input of a model."""
    integer(batch, "batch", minimum=1)
    shapes = input_shapes(model, input_size)
    if input_size is not None:
        node_shapes(walk(model), shapes)  # says which layer cannot take images of this size
    rng = np.random.default_rng(0) if rng is None else rng
    return [rng.random((batch, *shape), dtype=np.float32) for shape in shapes]


def _compiled(node: Node, tensors: list[tf.Tensor], jit: bool) -> Callable:
    """Return the call of a node as a compiled function of the tensors of its sources."""

    def compute(tensors):
        values: dict[str, dict[int, tf.Tensor]] = {source: {} for source in node.sources}
        for source, port, tensor in zip(node.sources, node.ports, tensors, strict=True):
            values[source][port] = tensor
        return node.compute(values)

    function = tf.function(only_reading(compute), autograph=False, jit_compile=jit or None)
    return function.get_concrete_function(tensors)  # which never compiles a second time


def _latency(seconds: list[float]) -> Latency:
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
