"""A Keras model as a list of plain nodes: the only file that reads Keras's private attributes.

A node is one *call* of a layer: a layer that is used twice gives two nodes, "conv" and "conv:2".
Models inside models are opened; their nodes are named "model/layer".
The list starts with the inputs and is in an order in which every node comes after its sources.
Shapes are those of the model, (batch, height, width, channels), None where they are open.
Private, and the same in Keras 3.13 and 3.15: `_keras_history` of a tensor (the layer and the number
    of the call that made it) and `_inbound_nodes` of a layer (its calls).
Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Node:
    """One call of a layer.

    Attributes
    ----------
    name : str
        Unique in the list.
    layer : keras.layers.Layer or operation
        What was called; operations such as ``x + y`` on Keras tensors are no layers.
    sources : tuple of str
        Names of the nodes whose outputs it was called with.
    shape : tuple
        Shape of its (first) output.
    """

    name: str
    layer: Any
    sources: tuple[str, ...]
    shape: Shape


def walk(model: keras.Model) -> list[Node]:
    """Return every call of a layer in a Sequential or functional model, models inside it opened.

    Parameters
    ----------
    model : keras.Model
        It is only read.

    Returns
    -------
    list of Node

    Raises
    ------
    ValueError
        If the model has no graph of layers: a subclass of Model, or a Sequential model whose input
        shape is not known yet.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(4, 3, name="conv")
    >>> block = keras.Sequential([keras.Input((8, 8, 3)), conv], name="block")
    >>> image = keras.Input((8, 8, 3), name="image")
    >>> model = keras.Model(image, keras.layers.ReLU(name="relu")(block(image)))
    >>> [(node.name, node.sources, node.shape) for node in walk(model)][1:]
    [('block/conv', ('image',), (None, 6, 6, 4)), ('relu', ('block/conv',), (None, 6, 6, 4))]
    """
    if not _has_graph(model):
        raise ValueError(
            "model must be a functional or a Sequential Keras model whose input shape is known, "
            f"got {type(model).__name__}"
        )
    nodes = []
    for tensor in model.inputs:
        layer = tensor._keras_history.operation
        nodes.append(Node(layer.name, layer, (), tensor.shape))
    _open(model, [node.name for node in nodes], "", nodes, Counter())
    return nodes


def _open(model, sources, prefix, nodes, used):
    """Append the calls inside `model` to `nodes`; return the names of what made its outputs.

    `used` counts the calls of every layer so far.
    """
    made_by = {id(tensor): name for tensor, name in zip(model.inputs, sources, strict=True)}
    for call in _calls(model):
        layer = call.operation
        inputs = tuple(made_by[id(tensor)] for tensor in call.input_tensors)
        name = prefix + layer.name
        used[name] += 1
        if used[name] > 1:
            name = f"{name}:{used[name]}"
        if _has_graph(layer):
            outputs = _open(layer, inputs, f"{name}/", nodes, used)
        else:
            nodes.append(Node(name, layer, inputs, call.output_tensors[0].shape))
            outputs = [name] * len(call.output_tensors)
        made_by.update(zip(map(id, call.output_tensors), outputs, strict=True))
    return [made_by[id(tensor)] for tensor in model.outputs]


def _calls(model):
    """Return the calls between the inputs and the outputs of `model`, sources first."""
    given = {id(tensor) for tensor in model.inputs}

    def callers(tensors):
        histories = [t._keras_history for t in tensors if id(t) not in given]
        return [history.operation._inbound_nodes[history.node_index] for history in histories]

    ordered = {}
    waiting = callers(model.outputs)[::-1]
    while waiting:
        call = waiting[-1]
        missing = [c for c in callers(call.input_tensors) if id(c) not in ordered]
        if missing:
            waiting.append(missing[0])
        else:
            ordered[id(call)] = waiting.pop()
    return list(ordered.values())


def _has_graph(layer):
    """Tell whether `layer` is a model made of layers that were called one on another."""
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))
