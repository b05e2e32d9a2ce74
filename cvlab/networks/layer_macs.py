"""The multiply-adds of one call of a Keras layer, from its weights and the shapes around it.

A multiply-add is the product of a weight, or of a value, and a value, that is added to others.
Biases, normalization, activations, pooling, look-ups and additions count 0; and so does a layer
    of one's own that has no weights, unless a rule says what it costs.
Shapes have a batch of 1 in front.
Counts of single layers without Keras are in :mod:`cvlab.cost`. Derived in chapter 08-architectures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import keras
import numpy as np

from cvlab.networks.graph import Node, Shape, has_graph, walk
from cvlab.networks.shapes import node_shapes

MacsRule = Callable[[keras.layers.Layer, Shape, Shape], int]


def node_macs(
    node: Node, shapes: Mapping[str, list[Shape]], rules: Mapping[str, MacsRule] | None = None
) -> int:
    """Return the multiply-adds of one call in a model.

    Parameters
    ----------
    node : Node
        From :func:`cvlab.networks.graph.walk`.
    shapes : mapping of str to list of shapes
        Of the outputs of every node, from :func:`cvlab.networks.shapes.node_shapes`.
    rules : mapping of str to function, optional
        For classes that are not known here, or other than here: a function of the layer, its
        (first) input shape and its output shape, a batch of 1 included.

    Raises
    ------
    ValueError
        If they are not known, or `rules` are none.

    Examples
    --------
    >>> from cvlab.networks.shapes import input_shapes, node_shapes
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    >>> nodes = walk(model)
    >>> node_macs(nodes[1], node_shapes(nodes, input_shapes(model)))  # 27 * 4 weights, 36 places
    3888
    """
    rules = {} if rules is None else rules
    if not isinstance(rules, Mapping) or not all(map(callable, rules.values())):
        raise ValueError(f"macs must hold a function for the name of each class, got {rules!r}")
    if not node.sources:
        return 0
    outputs = {name: [(1, *shape) for shape in shapes[name]] for name in node.sources}
    return _Count(rules, node.name).macs(
        node.layer, node.given(outputs), (1, *shapes[node.name][0])
    )


class _Count:
    """Counts a layer and those it holds, by the rules of the reader and of this module."""

    def __init__(self, rules: Mapping[str, MacsRule], name: str):
        self.rules, self.name = rules, name

    def macs(self, layer, given: Mapping[str, list[Shape]], shape) -> int:
        """Return the multiply-adds of a call of `layer` with arguments of these shapes."""
        name, first = type(layer).__name__, next(iter(given.values()))[0]
        known = name not in _UNLIKE and not getattr(layer, "lora_enabled", False)
        for kind in (ancestor.__name__ for ancestor in type(layer).__mro__):
            if kind in self.rules:
                return self.rules[kind](layer, first, shape)
            if kind in _MACS and known:
                return _MACS[kind](layer, first, shape)
            if kind in _HOLDERS:
                return _HOLDERS[kind](self, layer, given, shape)
        if has_graph(layer):
            return self._of_model(layer, given)
        weights = getattr(layer, "weights", ())
        if name in _PRODUCTS or any(len(weight.shape) > 1 for weight in weights):
            raise ValueError(
                f"model has a layer whose multiply-adds are not known, {self.name!r} of class "
                f"{name}; give a rule for the class in `macs`"
            )
        return 0

    def _of_model(self, model, given) -> int:
        nodes = walk(model)
        shapes = node_shapes(nodes, [part[1:] for parts in given.values() for part in parts])
        return sum(node_macs(node, shapes, self.rules) for node in nodes)

    def at_each_step(self, layer, given, shape) -> int:
        """Count the layer of a TimeDistributed once for every step."""
        _, steps, *step = given["inputs"][0]
        return steps * self.macs(layer.layer, {"inputs": [(1, *step)]}, (1, *shape[2:]))

    def both_ways(self, layer, given, shape) -> int:
        """Count the two layers of a Bidirectional."""
        both = layer.forward_layer, layer.backward_layer
        return sum(self.macs(one, given, shape) for one in both)

    def held(self, layer, given, shape) -> int:
        """Count the layer within, whose weights are only scaled."""
        return self.macs(layer.layer, given, shape)

    def attention(self, layer, given, shape) -> int:
        """Count the four projections, the scores of all pairs and the sums that they weight."""
        asked, answered = given["query"][0], given["value"][0]
        queries, keys = math.prod(asked[1:-1]), math.prod(answered[1:-1])
        axes = layer.get_config()["attention_axes"]
        axes = range(1, len(asked) - 1) if axes is None else np.atleast_1d(axes)
        pairs = queries * math.prod(answered[axis] for axis in axes)
        query, key, value, output = (
            math.prod(dense.kernel.shape)
            for dense in (
                layer.query_dense,
                layer.key_dense,
                layer.value_dense,
                layer.output_dense,
            )
        )
        for_each_pair = layer.num_heads * (layer.key_dim + layer.value_dim)
        return queries * (query + output) + keys * (key + value) + pairs * for_each_pair


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


def _einsum_dense(layer, source, shape):
    """Multiply for every combination of the letters of the equation."""
    spare, letters = layer.equation.split("->")[0].split(","), {}
    for term, sizes in zip(spare, (source, tuple(layer.kernel.shape)), strict=True):
        before, dots, after = term.partition("...")
        names = [*before, *(("...", k) for k in range(len(sizes) - len(before + after)))]
        letters |= dict(zip([*names, *after] if dots else [*term], sizes, strict=True))
    return math.prod(letters.values())


def _recurrent(layer, source, shape):
    """Use every weight of the cell at every step."""
    cell = layer.cell
    return source[1] * sum(math.prod(w.shape) for w in (cell.kernel, cell.recurrent_kernel))


_MACS: dict[str, MacsRule] = {
    **{f"{kind}{n}D": _convolution for kind in ("Conv", "DepthwiseConv") for n in (1, 2, 3)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    **{f"Conv{n}DTranspose": _transposed for n in (1, 2, 3)},
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), _recurrent),
    **dict.fromkeys(("PReLU", "Normalization", "LayerNormalization", "Embedding"), _nothing),
}
_HOLDERS = {
    "TimeDistributed": _Count.at_each_step,
    "Bidirectional": _Count.both_ways,
    "SpectralNormalization": _Count.held,
    "MultiHeadAttention": _Count.attention,
}
# They inherit from a class with a rule, and do something else.
_UNLIKE = ("ReversibleEmbedding",)
# Without weights, or with hidden ones, but not free of multiply-adds.
_PRODUCTS = (
    *("Vdot", "MelSpectrogram"),
    *("Lambda", "Dot", "Attention", "AdditiveAttention", "Matmul", "Einsum", "Tensordot", "Inner"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "DotProductAttention"),
)
