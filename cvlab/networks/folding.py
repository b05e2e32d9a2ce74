"""Folding the normalizations of a Keras model into the linear layer before or after them.

Inference only: the new model has no batch statistics left to learn. The old model stays as it is.
Before   convolution (ordinary, depthwise, separable, transposed) or dense layer, channels last and
         without an activation; between it and the normalization, only layers that pass on what they
         get (dropout, noise, Identity, a linear Activation) or take its global average
After    if there is none before: dense layer, or ordinary convolution in one group that adds no
         zeros (padding "valid", or a 1 x 1 kernel); between them the same layers, or Flatten. Its
         activation does no harm
Stays    a normalization that is called twice or with ``training=True``, that meets a shared layer,
         a map that something else reads too (a layer, or the model's outputs), an activation, a
         layer of another dtype policy or with LoRA weights, or zero padding after it: the zeros
         are not normalized, and a folded layer would treat them so
Models inside the model are folded each by itself, but for those called with ``training=True``.
The arithmetic is that of :mod:`cvlab.folding`.
Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import keras
import numpy as np

from cvlab.folding import fold_into_next, fold_into_previous
from cvlab.networks.graph import has_graph, layer_calls, walk

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
    inference. It is a functional model, also where `model` is Sequential, and not compiled. The
    layers that remain keep their names; an input that was given none gets a new one, and so does
    a layer of your own whose ``get_config`` leaves the name out.

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
        If the model has no graph of layers, see :func:`cvlab.networks.graph.walk`; or if a layer
        cannot be made anew from its ``get_config`` (the message names it).

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, use_bias=False),
    ...                           keras.layers.BatchNormalization(), keras.layers.ReLU()])
    >>> folded = fold_batch_norms(model)
    >>> folded.removed, model.count_params(), folded.model.count_params()
    (1, 124, 112)
    """
    before = _count_batch_norms(model)
    folded = _fold(model, {}, _in_training(model))
    return FoldedModel(folded, before - _count_batch_norms(folded))


def _count_batch_norms(model):
    """Return how many batch normalizations there are in `model`, shared ones once."""
    layers = {id(node.layer): node.layer for node in walk(model)}.values()
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)


def _in_training(model, inside=False):
    """Return the ids of the models in `model` called with ``training=True``, or inside one."""
    found = set()
    for call in layer_calls(model):
        if has_graph(call.operation):
            training = inside or bool(call.arguments.kwargs.get("training"))
            found |= {id(call.operation)} if training else set()
            found |= _in_training(call.operation, training)
    return found


def _fold(model, copies, in_training):
    """Return the folded copy of `model`; `copies` holds those of models met before, by identity."""
    if id(model) in copies:
        return copies[id(model)]
    if isinstance(model, keras.Sequential):
        ends = model.inputs[0], model.outputs[0]
    else:
        ends = model.input, model.output
    graph = keras.Model(*ends, name=model.name)  # functional: clone_model shows us every call
    before, after = ({}, {}) if id(model) in in_training else _foldable(graph)
    removed = {id(norm) for norms in [*before.values(), *after.values()] for norm in norms}
    pairs = []

    def copy(layer):
        if id(layer) in removed:
            return None
        if has_graph(layer):
            return _fold(layer, copies, in_training)
        new = _made_anew(layer, id(layer) in before or id(layer) in after)
        if isinstance(layer, keras.Layer):  # arithmetic on tensors has no weights
            pairs.append((layer, new))
        return new

    def call(layer, *args, **kwargs):
        return args[0] if layer is None else layer(*args, **kwargs)

    folded = keras.models.clone_model(graph, clone_function=copy, call_function=call)
    for old, new in pairs:
        around = before.get(id(old), ()), after.get(id(old), ())
        try:
            new.set_weights(_folded_weights(old, *around))
        except ValueError as error:
            raise _cannot_be_copied(old, error) from error
        if isinstance(new, keras.layers.Normalization):
            new.finalize_state()  # it keeps values computed from its weights
    copies[id(model)] = folded
    return folded


def _made_anew(layer, with_bias):
    """Return a new layer of the same configuration, if asked for with a bias."""
    try:
        config = layer.get_config()
        return type(layer).from_config(config | {"use_bias": True} if with_bias else config)
    except Exception as error:  # whatever a layer of somebody else's raises
        raise _cannot_be_copied(layer, error) from error


def _cannot_be_copied(layer, error):
    return ValueError(
        f"model must have layers that can be made anew from their config, but {layer.name!r} "
        f"({type(layer).__name__}) cannot: {error}"
    )


def _foldable(graph):
    """Return the normalizations to fold into each layer, by its id: those before it, after it."""
    calls = layer_calls(graph)
    readers = Counter(id(tensor) for tensor in graph.outputs)
    for call in calls:
        given = call.arguments.args, call.arguments.kwargs
        readers.update(id(tensor) for tensor in keras.tree.flatten(given))
    uses = Counter(id(call.operation) for call in calls)
    once = {layer for layer, count in uses.items() if count == 1}
    alone = {tensor for tensor, count in readers.items() if count == 1}
    chain = [
        (call.operation, call.arguments.args[0], call.output_tensors[0])
        for call in calls
        if len(call.arguments.args) == 1 and not call.arguments.kwargs.get("training")
    ]
    after = _after(chain, once, alone)
    taken = {id(norm) for norms in after.values() for norm in norms}
    return _before(chain, once - taken, alone), after


def _after(chain, once, alone):
    """Return, by the id of a linear layer, the normalizations that follow it, in their order."""
    found, made_by = {}, {}
    for layer, x, outputs in chain:
        maker = made_by.get(id(x)) if id(x) in alone else None
        if _precedes(layer) and id(layer) in once:
            made_by[id(outputs)] = layer
        elif maker and _passes(layer):
            made_by[id(outputs)] = maker
        elif maker and _normalizes(layer, x, maker) and id(layer) in once:
            found.setdefault(id(maker), []).append(layer)
            made_by[id(outputs)] = maker  # which may take in the next one, too
    return found


def _before(chain, once, alone):
    """Return, by the id of a linear layer, the normalizations that lead to it, last one first."""
    found, read_by = {}, {}
    for layer, x, outputs in reversed(chain):
        reader = read_by.get(id(outputs)) if id(outputs) in alone else None
        if _follows(layer) and id(layer) in once:
            read_by[id(x)] = layer
        elif reader and (_passes(layer) or _flattens(layer)):
            read_by[id(x)] = reader
        elif reader and _normalizes(layer, x, reader) and id(layer) in once:
            found.setdefault(id(reader), []).append(layer)
            read_by[id(x)] = reader
    return found


def _channels_last(layer):
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _is_plain(layer):
    """Tell whether a linear layer has its channels last and no second kernel that adapts it."""
    return _channels_last(layer) and not getattr(layer, "lora_enabled", False)


def _passes(layer):
    """Tell whether `layer` keeps, at inference, a scale and a shift of every channel."""
    linear = type(layer) is keras.layers.Activation and _is_linear(layer)
    return linear or type(layer) in SILENT or (type(layer) in AVERAGES and _channels_last(layer))


def _flattens(layer):
    """Tell whether `layer` is a Flatten, which leaves the channels side by side, pixel by pixel."""
    return type(layer) is keras.layers.Flatten and _channels_last(layer)


def _is_linear(layer):
    return layer.activation is keras.activations.linear


def _normalizes(layer, x, linear):
    """Tell whether `layer` normalizes the last axis of `x`, in the number types of `linear`."""
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    same_types = layer.dtype_policy.name == linear.dtype_policy.name
    return same_types and layer.axis in (-1, len(x.shape) - 1)


def _precedes(layer):
    """Tell whether `layer` may take in the normalization after it."""
    return type(layer) in KERNEL_KINDS and _is_linear(layer) and _is_plain(layer)


def _follows(layer):
    """Tell whether `layer` may take in the normalization before it: no groups, no zeros added."""
    if type(layer) not in CAN_FOLLOW or not _is_plain(layer):
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
    weights = [_exact(array) for array in weights]
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
    return [None if variable is None else _exact(variable.numpy()) for variable in variables]


def _exact(array):
    """Return half precision as single precision, and the others as they are."""
    return array.astype(np.result_type(array.dtype, np.float32))
