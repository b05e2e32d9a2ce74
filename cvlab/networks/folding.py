"""Folding the normalizations of a Keras model into the linear layer before or after them.

Inference only: the new model has no batch statistics left to learn. The old model stays as it is.
Before   convolution (ordinary, depthwise, separable, transposed) or dense layer, channels last and
         without an activation; between it and the normalization, only layers that pass on what they
         get (dropout, noise, Identity, a linear Activation) or take its global average
After    if there is none before: dense layer, or ordinary convolution in one group that adds no
         zeros (padding "valid", or a 1 x 1 kernel); between them the same layers, or Flatten. Its
         activation does no harm
Stays    a normalization that is called twice or with ``training=True``, that meets a shared layer,
         a map that something else reads too (a layer, or the model's outputs), an activation, or
         zero padding after it: the zeros are not normalized, and a folded layer would treat them so
Models inside the model are folded each by itself. The arithmetic is that of :mod:`cvlab.folding`.
Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import keras
import numpy as np

from cvlab.folding import fold_into_next, fold_into_previous
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


CAN_FOLLOW = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)
SILENT = (  # at inference they return what they are given
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
)
AVERAGES = (  # the mean of scale x + shift is scale (mean of x) + shift
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)


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
    before, after = _foldable(graph)
    removed = {name for names in [*before.values(), *after.values()] for name in names}

    def copy(layer):
        if layer.name in removed:
            return None
        if _has_graph(layer):
            return _fold(layer, copies)
        config = layer.get_config()
        if layer.name in before or layer.name in after:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer is None else layer(*args, **kwargs)

    folded = keras.models.clone_model(graph, clone_function=copy, call_function=call)
    for layer in folded.layers:
        if layer.weights and not _has_graph(layer):
            names = before.get(layer.name, ()), after.get(layer.name, ())
            around = ([graph.get_layer(name) for name in side] for side in names)
            layer.set_weights(_folded_weights(graph.get_layer(layer.name), *around))
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it keeps values computed from its weights
    copies[id(model)] = folded
    return folded


def _foldable(graph):
    """Return the names of the normalizations to fold into each layer: those before it, after it.

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
    once = {name for name, count in uses.items() if count == 1}
    alone = {tensor for tensor, count in readers.items() if count == 1}
    chain = [
        (layer, args[0], outputs)
        for layer, args, kwargs, outputs in calls
        if len(args) == 1 and not kwargs.get("training")
    ]
    after = _after(chain, once, alone)
    return _before(chain, once.difference(*after.values()), alone), after


def _after(chain, once, alone):
    """Return, by the name of a linear layer, the normalizations that follow it, in their order."""
    found, made_by = {}, {}
    for layer, x, outputs in chain:
        maker = made_by.get(id(x)) if id(x) in alone else None
        if _precedes(layer) and layer.name in once:
            made_by[id(outputs)] = layer
        elif maker and _passes(layer):
            made_by[id(outputs)] = maker
        elif maker and _normalizes(layer, x) and layer.name in once:
            found.setdefault(maker.name, []).append(layer.name)
            made_by[id(outputs)] = maker  # which may take in the next one, too
    return found


def _before(chain, once, alone):
    """Return, by the name of a linear layer, the normalizations that lead to it, last one first."""
    found, read_by = {}, {}
    for layer, x, outputs in reversed(chain):
        reader = read_by.get(id(outputs)) if id(outputs) in alone else None
        if _follows(layer) and layer.name in once:
            read_by[id(x)] = layer
        elif reader and (_passes(layer) or _flattens(layer)):
            read_by[id(x)] = reader
        elif reader and _normalizes(layer, x) and layer.name in once:
            found.setdefault(reader.name, []).append(layer.name)
            read_by[id(x)] = reader
    return found


def _channels_last(layer):
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _passes(layer):
    """Tell whether `layer` keeps, at inference, a scale and a shift of every channel."""
    linear = type(layer) is keras.layers.Activation and _is_linear(layer)
    return linear or type(layer) in SILENT or (type(layer) in AVERAGES and _channels_last(layer))


def _flattens(layer):
    """Tell whether `layer` is a Flatten, which leaves the channels side by side, pixel by pixel."""
    return type(layer) is keras.layers.Flatten and _channels_last(layer)


def _is_linear(layer):
    return layer.activation is keras.activations.linear


def _normalizes(layer, x):
    """Tell whether `layer` normalizes the last axis of `x`."""
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, len(x.shape) - 1)


def _precedes(layer):
    """Tell whether `layer` may take in the normalization after it."""
    return type(layer) in KERNEL_KINDS and _is_linear(layer) and _channels_last(layer)


def _follows(layer):
    """Tell whether `layer` may take in the normalization before it: no groups, no zeros added."""
    if type(layer) not in CAN_FOLLOW or not _channels_last(layer):
        return False
    unpadded = type(layer) is keras.layers.Dense or (
        layer.padding == "valid" or set(layer.kernel_size) == {1}
    )
    return unpadded and getattr(layer, "groups", 1) == 1


def _folded_weights(layer, before, after):
    """Return the weights of `layer` with the normalizations around it folded in."""
    weights = layer.get_weights()
    if not before and not after:
        return weights
    bias = weights.pop() if layer.use_bias else None
    *others, kernel = weights
    for norm in after:
        kind = KERNEL_KINDS[type(layer)]
        arrays, epsilon = _arrays(norm), norm.epsilon
        kernel, bias = fold_into_previous(kernel, bias, *arrays, epsilon=epsilon, kind=kind)
    for norm in before:
        # behind a Flatten the channels come again for every pixel
        times = kernel.shape[-2] // norm.moving_mean.shape[0]
        arrays = [None if array is None else np.tile(array, times) for array in _arrays(norm)]
        kernel, bias = fold_into_next(kernel, bias, *arrays, epsilon=norm.epsilon)
    return [*others, kernel, bias]


def _arrays(norm):
    """Return scale and shift, None if it has none, and the moving mean and variance."""
    variables = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    return [None if variable is None else variable.numpy() for variable in variables]
