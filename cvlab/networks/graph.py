"""A Keras model as a list of plain nodes: the only file that reads Keras's private attributes.

A node is one *call* of a layer: a layer that is used twice gives two nodes, "conv" and "conv:2".
Models inside models are opened; their nodes are named "model/layer".
The list starts with the inputs and is in an order in which every node comes after its sources.
Shapes are those of the model, (batch, height, width, channels), None where they are open.
Private, and the same in Keras 3.13 and 3.15: `_keras_history` of a tensor (the layer and the number
    of the call that made it) and `_inbound_nodes` of a layer (its calls, with their arguments).
Derived in chapter 04-receptive-fields; computed node by node in 11-grad-cam.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
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
    ports : tuple of int
        Which output of each source it was called with: 0 unless a layer has several.
    call : object
        Keras's record of the call, with all its arguments.
    is_output : bool
        Whether the model returns one of its outputs.
    """

    name: str
    layer: Any
    sources: tuple[str, ...]
    shape: Shape
    ports: tuple[int, ...] = field(default=(), repr=False, compare=False)
    call: Any = field(default=None, repr=False, compare=False)
    is_output: bool = field(default=False, repr=False, compare=False)

    def compute(self, values: Mapping[str, tuple]) -> tuple:
        """Repeat the call in inference mode on other tensors.

        Parameters
        ----------
        values : mapping of str to tuple of tensors
            The outputs of every source, by name.

        Returns
        -------
        tuple of tensors
            The outputs of this call.
        """
        arguments, keywords = self._arguments(values)
        if "training" in signature(self.layer.call).parameters:
            keywords = {**keywords, "training": False}
        return tuple(keras.tree.flatten(self.layer(*arguments, **keywords)))

    def infer(self, shapes: Mapping[str, tuple[Shape, ...]]) -> tuple[Shape, ...]:
        """Return the shapes of the outputs of the call for inputs of other shapes; run nothing.

        Parameters
        ----------
        shapes : mapping of str to tuple of shapes
            Those of the outputs of every source, by name.

        Returns
        -------
        tuple of shapes
        """
        arguments, keywords = self._arguments(self._symbols(shapes))
        outputs = self.layer.compute_output_spec(*arguments, **keywords)
        return tuple(output.shape for output in keras.tree.flatten(outputs))

    def given(self, shapes: Mapping[str, tuple[Shape, ...]]) -> dict[str, list[Shape]]:
        """Return the shapes of the tensors in each argument of the call, by the argument's name.

        They are in the order in which the layer declares its arguments, not in that of the call;
        arguments without tensors are left out. `shapes` are those of :meth:`infer`.
        """
        arguments, keywords = self._arguments(self._symbols(shapes))
        bound = signature(self.layer.call).bind(*arguments, **keywords).arguments
        flat = {name: keras.tree.flatten(value) for name, value in bound.items()}
        found = {
            name: [part.shape for part in parts if isinstance(part, keras.KerasTensor)]
            for name, parts in flat.items()
        }
        return {name: parts for name, parts in found.items() if parts}

    def _symbols(self, shapes):
        """Return symbolic tensors of the given shapes for every source."""
        return {
            source: tuple(keras.KerasTensor(shape) for shape in shapes[source])
            for source in self.sources
        }

    def _arguments(self, values):
        """Return the arguments of the call with other tensors in place of the recorded ones."""
        given = zip(self.call.input_tensors, self.sources, self.ports, strict=True)
        tensors = {id(tensor): values[source][port] for tensor, source, port in given}
        return self.call.arguments.fill_in(tensors)


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
    _require_graph(model)
    nodes = []
    for tensor in model.inputs:
        layer = tensor._keras_history.operation
        nodes.append(Node(layer.name, layer, (), tensor.shape))
    made = [(node.name, 0) for node in nodes]
    returned = {name for name, _ in _open(model, made, "", nodes, Counter())}
    return [replace(node, is_output=node.name in returned) for node in nodes]


def layer_calls(model: keras.Model) -> list[Any]:
    """Return Keras's records of the calls in a model, sources first; models inside stay closed.

    Parameters
    ----------
    model : keras.Model
        Its inputs and outputs mark where to look; it is only read.

    Returns
    -------
    list
        Of each call the layer (`operation`), its `arguments`, `input_tensors`, `output_tensors`.

    Raises
    ------
    ValueError
        If the model has no graph, see :func:`has_graph`.

    Examples
    --------
    >>> image = keras.Input((8, 8, 3))
    >>> model = keras.Model(image, keras.layers.ReLU(name="relu")(image))
    >>> [call.operation.name for call in layer_calls(model)]
    ['relu']
    """
    _require_graph(model)
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


def only_reading(compute: Callable) -> Callable:
    """Return a function that leaves the layers which `compute` calls as they were.

    In a stateless scope no Keras variable changes. A layer that is called from outside drops the
    `losses` of its last call; within the call of another layer it does not.

    Parameters
    ----------
    compute : callable
        Of one argument, a tensor or a nest of tensors.

    Examples
    --------
    >>> norm = keras.layers.BatchNormalization()
    >>> norm.build((None, 2))
    >>> only_reading(lambda x: norm(x, training=True))(keras.ops.ones((3, 2))).shape
    TensorShape([3, 2])
    >>> norm.moving_mean.numpy().tolist()
    [0.0, 0.0]
    """

    def run(tensors):
        with keras.StatelessScope(collect_losses=True):
            return compute(tensors)

    caller = keras.layers.Lambda(run, autocast=False, name="only_reading")
    return partial(caller, training=False)


def has_graph(layer: Any) -> bool:
    """Tell whether a layer is a model made of layers that were called one on another.

    Parameters
    ----------
    layer : keras.layers.Layer or operation

    Returns
    -------
    bool
        False for layers, for models with a `call` of their own, and for Sequential models whose
        input shape is not known yet.

    Examples
    --------
    >>> dense = keras.layers.Dense(2)
    >>> has_graph(dense), has_graph(keras.Sequential([dense]))
    (False, False)
    >>> has_graph(keras.Sequential([keras.Input((3,)), dense]))
    True
    """
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def _open(model, made, prefix, nodes, used):
    """Append the calls inside `model` to `nodes`; return what made its outputs.

    What made a tensor is the name of a node and the number of its output; `made` says so for the
    inputs. `used` counts the calls of every layer so far.
    """
    made_by = {id(tensor): maker for tensor, maker in zip(model.inputs, made, strict=True)}
    for call in layer_calls(model):
        layer = call.operation
        inputs = [made_by[id(tensor)] for tensor in call.input_tensors]
        name = prefix + layer.name
        used[name] += 1
        if used[name] > 1:
            name = f"{name}:{used[name]}"
        if has_graph(layer):
            outputs = _open(layer, inputs, f"{name}/", nodes, used)
        else:
            sources = tuple(source for source, _ in inputs)
            ports = tuple(port for _, port in inputs)
            nodes.append(Node(name, layer, sources, call.output_tensors[0].shape, ports, call))
            outputs = [(name, port) for port in range(len(call.output_tensors))]
        made_by.update(zip(map(id, call.output_tensors), outputs, strict=True))
    return [made_by[id(tensor)] for tensor in model.outputs]


def _require_graph(model):
    if not has_graph(model):
        raise ValueError(
            "model must be a functional or a Sequential Keras model whose input shape is known, "
            f"got {type(model).__name__}"
        )
