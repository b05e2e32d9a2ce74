"""Folding every normalization of a Keras model that follows a convolution or a dense layer.

Inference only: the new model has no batch statistics left to learn. The old model stays as it is.
A BatchNormalization is folded if the layer right before it is a convolution (ordinary, depthwise,
    separable, transposed) or dense layer, with channels last and without an activation, and if
    nothing else reads that layer's output: no other layer, no output of the model.
It stays where it is if it, or the layer before it, is called more than once in its model, or if
    it was called with ``training=True``. Models inside the model are folded each by itself.
The arithmetic is that of :mod:`cvlab.folding`. Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import keras

from cvlab.folding import fold_into_previous
from cvlab.networks.graph import _has_graph, walk

# How the kernel of each layer is laid out; of a separable convolution, the pointwise kernel.
KERNEL_KINDS = {
    keras.layers.Conv1D: "convolution",
    keras.layers.Conv2D: "convolution",
    keras.layers.Conv3D: "convolution",
    keras.layers.SeparableConv1D: "convolution",
    keras.layers.SeparableConv2D: "convolution",
    keras.layers.Dense: "dense",
    keras.layers.DepthwiseConv1D: "depthwise",
    keras.layers.DepthwiseConv2D: "depthwise",
    keras.layers.Conv1DTranspose: "transposed",
    keras.layers.Conv2DTranspose: "transposed",
    keras.layers.Conv3DTranspose: "transposed",
}


class FoldedModel(NamedTuple):
    """A model for inference, and how many layers it has less than the one it was made of."""

    model: keras.Model
    removed: int


def fold_batch_norms(model: keras.Model) -> FoldedModel:
    """Return a copy of `model` with every foldable batch normalization folded.

    The copy has its own weights and computes, but for rounding, what `model` computes at
    inference. It is a functional model, also where `model` is Sequential, and not compiled; the
    layers that remain keep their names.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional. It is only read.

    Returns
    -------
    FoldedModel

    Raises
    ------
    ValueError
        If the model has no graph of layers, see :func:`cvlab.networks.graph.walk`.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, use_bias=False),
    ...                           keras.layers.BatchNormalization(), keras.layers.ReLU()])
    >>> folded = fold_batch_norms(model)
    >>> folded.removed, model.count_params(), folded.model.count_params()
    (1, 124, 112)
    """
    before = _count_batch_norms(model)
    folded = _fold(model, {})
    return FoldedModel(folded, before - _count_batch_norms(folded))


def _count_batch_norms(model):
    """Return how many batch normalizations there are in `model`, shared ones once."""
    layers = {id(node.layer): node.layer for node in walk(model)}.values()
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)


def _fold(model, copies):
    """Return the folded copy of `model`; `copies` holds those of models met before, by identity."""
    if id(model) in copies:
        return copies[id(model)]
    if isinstance(model, keras.Sequential):
        ends = model.inputs[0], model.outputs[0]
    else:
        ends = model.input, model.output
    graph = keras.Model(*ends, name=model.name)  # functional: clone_model shows us every call
    partners = _foldable(graph)
    removed = {name for names in partners.values() for name in names}

    def copy(layer):
        if layer.name in removed:
            return None
        if _has_graph(layer):
            return _fold(layer, copies)
        config = layer.get_config()
        if layer.name in partners:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer is None else layer(*args, **kwargs)

    folded = keras.models.clone_model(graph, clone_function=copy, call_function=call)
    for layer in folded.layers:
        if layer.weights and not _has_graph(layer):
            normalizations = [graph.get_layer(name) for name in partners.get(layer.name, ())]
            layer.set_weights(_folded_weights(graph.get_layer(layer.name), normalizations))
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it keeps values computed from its weights
    copies[id(model)] = folded
    return folded


def _foldable(graph):
    """Return, by the name of a convolution, the names of the normalizations to fold into it.

    Every call of a layer is seen while the model is copied as it is; tensors are known by identity.
    """
    calls = []

    def record(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        calls.append((layer, args, kwargs, outputs))
        return outputs

    twin = keras.models.clone_model(graph, call_function=record)
    readers = Counter(id(tensor) for tensor in twin.outputs)
    for _, args, kwargs, _ in calls:
        readers.update(id(tensor) for tensor in keras.tree.flatten((args, kwargs)))
    uses = Counter(layer.name for layer, *_ in calls)
    made_by, partners = {}, {}
    for layer, args, kwargs, outputs in calls:
        made_by[id(outputs)] = layer
        if type(layer) is keras.layers.BatchNormalization and len(args) == 1:
            maker = made_by.get(id(args[0]))
            fits = _fits(maker, layer, rank=len(args[0].shape)) and not kwargs.get("training")
            if fits and uses[maker.name] == uses[layer.name] == readers[id(args[0])] == 1:
                partners.setdefault(maker.name, []).append(layer.name)
                made_by[id(outputs)] = maker  # which may take in the next one, too
    return partners


def _fits(maker, normalization, rank):
    """Tell whether `normalization` acts on the output channels of the linear layer `maker`."""
    return (
        type(maker) in KERNEL_KINDS
        and maker.activation is keras.activations.linear
        and getattr(maker, "data_format", "channels_last") == "channels_last"
        and normalization.axis in (-1, rank - 1)
    )


def _folded_weights(layer, normalizations):
    """Return the weights of `layer` with the normalizations after it folded in, in their order."""
    weights = layer.get_weights()
    if not normalizations:
        return weights
    bias = weights.pop() if layer.use_bias else None
    *others, kernel = weights
    for norm in normalizations:
        variables = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        arrays = [None if v is None else v.numpy() for v in variables]
        kind = KERNEL_KINDS[type(layer)]
        kernel, bias = fold_into_previous(kernel, bias, *arrays, epsilon=norm.epsilon, kind=kind)
    return [*others, kernel, bias]
