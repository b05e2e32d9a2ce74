"""What a Keras model costs, layer by layer: parameters, multiply-adds, activation memory.

MACs are the products of a weight and a value in convolutions, dense and recurrent layers, those
    with the zeros of the padding too, and of two values in attention. Biases, normalization,
    activations, pooling and additions count 0, as in most published tables. FLOPs are 2 MACs. Many
    papers write FLOPs and mean MACs.
Shared weights count once as parameters, and at each call as MACs and as memory.
Memory: each call makes one array and nothing is overwritten, in bytes; 1 MB = 10**6 bytes. Running
    keeps an array until its last reader has run, training keeps all; weights, gradients and the
    scratch space of an operation come on top. Layers run in the order of the rows.
Text, table and picture of a report are in :mod:`cvlab.networks.cost_views`. Counts of single layers
without Keras are in :mod:`cvlab.cost`. Derived in chapter 08-architectures.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

import keras
import numpy as np

from cvlab._validate import integer
from cvlab.cost import activation_bytes
from cvlab.networks.graph import Node, walk
from cvlab.networks.latency import Latency, measure_latency, measure_layers
from cvlab.networks.layer_macs import MacsRule, node_macs
from cvlab.networks.receptive_field import model_receptive_fields
from cvlab.networks.shapes import input_shapes, node_shapes


class LayerReport(NamedTuple):
    """One call of a layer, for one image.

    Attributes
    ----------
    name, kind : str
        As in :func:`cvlab.networks.graph.walk`; the class.
    output_shape : tuple of int
        Without the batch.
    parameters, trained : int
        All weights, and those that training changes; 0 where an earlier call has counted them.
    macs : int
    output_bytes : int
        Of the whole batch.
    receptive_field : (int, int) or None
        Height and width, or None where it is not defined.
    latency : Latency or None
        Measured seconds of this call for the whole batch, in the types of the model's own values;
        None for inputs, and where it was not asked for.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    trained: int
    macs: int
    output_bytes: int
    receptive_field: tuple[int, int] | None
    latency: Latency | None = None

    @property
    def untrained(self) -> int:
        """Moving statistics and frozen weights."""
        return self.parameters - self.trained

    @property
    def flops(self) -> int:
        """Floating-point operations, two for each multiply-add."""
        return 2 * self.macs


class CostReport(NamedTuple):
    """The calls of a model's layers in order, its inputs first, and the totals.

    Attributes
    ----------
    name : str
    layers : tuple of LayerReport
    inference_bytes, training_bytes : int
        Activation memory of the whole batch; see the conventions of this module.
    batch : int
    dtype : str
    no_field_because : str
        Why there are no receptive fields, or empty.
    latency : Latency or None
        Measured seconds of the model for the whole batch, in the types of its own values.
    """

    name: str
    layers: tuple[LayerReport, ...]
    inference_bytes: int
    training_bytes: int
    batch: int
    dtype: str
    no_field_because: str
    latency: Latency | None = None

    @property
    def parameters(self) -> int:
        """All weights, as ``model.count_params()``."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trained(self) -> int:
        """Weights that training changes."""
        return sum(layer.trained for layer in self.layers)

    @property
    def untrained(self) -> int:
        """Moving statistics and frozen weights."""
        return self.parameters - self.trained

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations for one image, two for each multiply-add."""
        return 2 * self.macs


def cost_report(
    model: keras.Model,
    input_size: tuple[int, int] | None = None,
    *,
    batch: int = 1,
    dtype: str | np.dtype = "float32",
    macs: Mapping[str, MacsRule] | None = None,
    pointwise: Collection[str] = (),
    rounds: int = 0,
    layer_rounds: int = 0,
) -> CostReport:
    """Count what a model costs, and measure its latency if asked to.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, models inside it included. It is only read, and run if `rounds`
        says so.
    input_size : (int, int), optional
        Height and width of the image; those of the model if not given.
    batch : int
        Images at a time, for the memory. Parameters and MACs are for one.
    dtype : str or numpy.dtype
        Of the activations.
    macs : mapping of str to function, optional
        For classes of layers that are not known here: a function of the layer, its (first) input
        shape and its output shape, batch included, that returns the MACs.
    pointwise : collection of str
        As in :func:`cvlab.networks.receptive_field.model_receptive_fields`.
    rounds : int
        Measurements of the latency, see :func:`cvlab.networks.latency.measure_latency`; by default
        none: nothing is run.
    layer_rounds : int
        The same for each layer, see :func:`cvlab.networks.latency.measure_layers`.

    Returns
    -------
    CostReport

    Raises
    ------
    ValueError
        If the model has no graph of layers or leaves its input size open, a layer cannot take
        images of this size, or a layer's multiply-adds are not known.

    References
    ----------
    V. Sze et al., "Efficient processing of deep neural networks: a tutorial and survey", 2017,
    https://arxiv.org/abs/1703.09039.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 5, name="conv"),
    ...                           keras.layers.BatchNormalization(), keras.layers.ReLU()])
    >>> report = cost_report(model)
    >>> report.parameters, report.trained, report.macs  # 25 * 3 * 8 weights at 28 * 28 places
    (640, 624, 470400)
    >>> report.layers[1].receptive_field
    (5, 5)
    """
    integer(batch, "batch", minimum=1)
    value_bytes = activation_bytes((1,), batch, dtype)
    integer(rounds, "rounds", minimum=0)
    integer(layer_rounds, "layer_rounds", minimum=0)
    nodes = walk(model)
    shapes = node_shapes(nodes, input_shapes(model, input_size))
    counts = [node_macs(node, shapes, macs) for node in nodes]
    stored = {node.name: sum(map(math.prod, shapes[node.name])) for node in nodes}
    fields, reason = _fields(model, input_size, pointwise)
    latency, latencies = None, {}
    if rounds:
        latency = measure_latency(model, input_size, batch=batch, rounds=rounds)
    if layer_rounds:
        latencies = measure_layers(model, input_size, batch=batch, rounds=layer_rounds)
    counted: set[int] = set()
    rows = []
    for node, mac in zip(nodes, counts, strict=True):
        parameters, trained = _parameters(node.layer, counted)
        rows.append(
            LayerReport(
                node.name,
                type(node.layer).__name__,
                tuple(shapes[node.name][0]),
                parameters,
                trained,
                mac,
                stored[node.name] * value_bytes,
                fields.get(node.name),
                latencies.get(node.name),
            )
        )
    peak = _peak(nodes, stored) * value_bytes
    total = sum(row.output_bytes for row in rows)
    dtype = np.dtype(dtype).name
    return CostReport(model.name, tuple(rows), peak, total, batch, dtype, reason, latency)


def _parameters(layer, counted: set[int]) -> tuple[int, int]:
    """Return how many weights of a layer are not counted yet, and how many of them are trained."""
    new = [weight for weight in getattr(layer, "weights", ()) if id(weight) not in counted]
    counted.update(map(id, new))
    trained = {id(weight) for weight in getattr(layer, "trainable_weights", ())}
    sizes = [math.prod(weight.shape) for weight in new]
    return sum(sizes), sum(s for s, w in zip(sizes, new, strict=True) if id(w) in trained)


def _peak(nodes: list[Node], sizes: dict[str, int]) -> int:
    """Return the largest number of values that are alive while one of the layers runs."""
    last_reader = {name: i for i, node in enumerate(nodes) for name in node.sources}
    last_reader |= {node.name: len(nodes) for node in nodes if node.is_output}
    alive = peak = 0
    for i, node in enumerate(nodes):
        alive += sizes[node.name]
        peak = max(peak, alive)
        alive -= sum(sizes[name] for name in set(node.sources) if last_reader[name] == i)
    return peak


def _fields(model, size, pointwise):
    """Return the receptive field of every node that has one; and if there is none, why."""
    try:
        fields = model_receptive_fields(model, size, pointwise=pointwise)
    except ValueError as error:
        return {}, str(error)
    return {field.name: field.size for field in fields}, ""
