"""What a Keras model costs, layer by layer: parameters, multiply-adds, activation memory.

MACs are the products of a weight and a value in convolutions and dense layers, those with the zeros
    of the padding too. Biases, normalization, activations, pooling and additions count 0, as in
    most published tables. FLOPs are 2 MACs. Many papers write FLOPs and mean MACs.
Shared weights count once as parameters, and at each call as MACs and as memory.
Memory: each call makes one array and nothing is overwritten, in bytes; 1 MB = 10**6 bytes. Running
    keeps an array until its last reader has run, training keeps all; weights, gradients and the
    scratch space of an operation come on top. Layers run in the order of the rows.
Text, table and picture of a report are in :mod:`cvlab.networks.cost_views`. Counts of single layers
without Keras are in :mod:`cvlab.cost`. Derived in chapter 08-architectures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import keras
import numpy as np

from cvlab._validate import integer, integers
from cvlab.cost import activation_bytes
from cvlab.networks.graph import Node, Shape, walk
from cvlab.networks.receptive_field import model_receptive_fields

MacsRule = Callable[[keras.layers.Layer, Shape, Shape], int]


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
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    trained: int
    macs: int
    output_bytes: int
    receptive_field: tuple[int, int] | None

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
    """

    name: str
    layers: tuple[LayerReport, ...]
    inference_bytes: int
    training_bytes: int
    batch: int
    dtype: str
    no_field_because: str

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
) -> CostReport:
    """Count what a model costs; nothing is run.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, models inside it included. It is only read.
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
    rules = {**_MACS, **_checked_rules(macs)}
    nodes = walk(model)
    shapes = node_shapes(nodes, input_shapes(model, input_size))
    counts = [_macs(node, shapes, rules) for node in nodes]
    stored = {node.name: sum(map(math.prod, shapes[node.name])) for node in nodes}
    fields, reason = _fields(model, input_size, pointwise)
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
            )
        )
    peak = _peak(nodes, stored) * value_bytes
    total = sum(row.output_bytes for row in rows)
    return CostReport(model.name, tuple(rows), peak, total, batch, np.dtype(dtype).name, reason)


def input_shapes(
    model: keras.Model, input_size: tuple[int, int] | None = None
) -> list[tuple[int, ...]]:
    """Return the shapes of a model's inputs for one image, the batch left out.

    Parameters
    ----------
    model : keras.Model
    input_size : (int, int), optional
        Height and width in place of those of the model.

    Raises
    ------
    ValueError
        If neither tells.

    Examples
    --------
    >>> input_shapes(keras.Sequential([keras.Input((None, None, 3)), keras.layers.ReLU()]), (8, 9))
    [(8, 9, 3)]
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            "model must be a functional or a Sequential Keras model whose input shape is known, "
            f"got {type(model).__name__}"
        )
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if input_size is not None:
        size = integers(input_size, "input_size", 1)
        shapes = [(*size, shape[2]) if len(shape) == 3 else shape for shape in shapes]
    for shape in shapes:
        if None in shape:
            raise ValueError(
                f"input_size must be given where the model leaves it open, got the input {shape}"
            )
    return shapes


def node_shapes(nodes: list[Node], inputs) -> dict[str, list[Shape]]:
    """Return the shapes of all outputs of every node for one image, without the batch.

    Raises
    ------
    ValueError
        If a layer cannot take what comes to it.
    """
    given = iter(inputs)
    shapes: dict[str, tuple[Shape, ...]] = {}
    for node in nodes:
        try:
            shapes[node.name] = node.infer(shapes) if node.sources else ((1, *next(given)),)
        except ValueError as error:
            came = [
                shapes[name][port][1:] for name, port in zip(node.sources, node.ports, strict=True)
            ]
            raise ValueError(
                f"input_size must leave every layer an input that it can take, got {inputs[0][:2]}:"
                f" {node.name!r} of class {type(node.layer).__name__} gets {came[0]}"
            ) from error
    return {name: [shape[1:] for shape in outputs] for name, outputs in shapes.items()}


def _checked_rules(macs) -> Mapping[str, MacsRule]:
    """Return the rules that were given, by the name of a class."""
    macs = {} if macs is None else macs
    if not isinstance(macs, Mapping) or not all(map(callable, macs.values())):
        raise ValueError(f"macs must hold a function for the name of each class, got {macs!r}")
    return macs


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


def _macs(node: Node, shapes, rules: Mapping[str, MacsRule]) -> int:
    """Return the multiply-adds of one call."""
    if not node.sources:
        return 0
    layer, source = node.layer, shapes[node.sources[0]][node.ports[0]]
    for ancestor in type(layer).__mro__:
        if ancestor.__name__ in rules:
            return rules[ancestor.__name__](layer, (1, *source), (1, *shapes[node.name][0]))
    weights = getattr(layer, "weights", ())
    if type(layer).__name__ in _PRODUCTS or any(len(weight.shape) > 1 for weight in weights):
        raise ValueError(
            f"model has a layer whose multiply-adds are not known, {node.name!r} of class "
            f"{type(layer).__name__}; give a rule for the class in `macs`"
        )
    return 0


def _places(layer, shape: Shape) -> int:
    """Return the number of places of a map."""
    channel_axis = 1 if layer.data_format == "channels_first" else -1
    return math.prod(shape) // shape[channel_axis]


def _convolution(layer, source, shape):
    """Use every weight at every place of the output."""
    return math.prod(layer.kernel.shape) * _places(layer, shape)


def _transposed(layer, source, shape):
    """Use every weight at every place of the input."""
    return math.prod(layer.kernel.shape) * _places(layer, source)


def _separable(layer, source, shape):
    """Use the weights of both steps at every place of the output."""
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    return sum(math.prod(kernel.shape) for kernel in kernels) * _places(layer, shape)


def _dense(layer, source, shape):
    """Use every weight once, or once at every place of a map."""
    if source[-1] != layer.kernel.shape[0]:
        raise ValueError(
            f"input_size must give the dense layer {layer.name!r} its {layer.kernel.shape[0]} "
            f"inputs, got {source[-1]}: the model takes images of one size only"
        )
    return math.prod(layer.kernel.shape) * math.prod(shape[:-1])


def _nothing(layer, source, shape):
    """Scale or shift values one by one."""
    return 0


_MACS: dict[str, MacsRule] = {
    **{f"{kind}{n}D": _convolution for kind in ("Conv", "DepthwiseConv") for n in (1, 2, 3)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    **{f"Conv{n}DTranspose": _transposed for n in (1, 2, 3)},
    "Dense": _dense,
    **dict.fromkeys(("PReLU", "Normalization", "LayerNormalization"), _nothing),
}
# Without weights, or with hidden ones, but not free of multiply-adds.
_PRODUCTS = (
    *("Lambda", "Dot", "Attention", "AdditiveAttention", "Matmul", "Einsum", "Tensordot", "Inner"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "DotProductAttention"),
)
