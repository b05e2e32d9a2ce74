"""The shapes of a model's arrays for an image of a given size; nothing is run.

Shapes are those for one image, the batch left out: (height, width, channels), or (C,).
Derived in chapter 08-architectures.
"""

from __future__ import annotations

import keras

from cvlab._validate import integers
from cvlab.networks.graph import Node, Shape, walk


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
        If neither tells, or `input_size` is given for other inputs than such images.

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
        formats = {getattr(node.layer, "data_format", None) for node in walk(model)}
        if "channels_first" in formats or not any(len(shape) == 3 for shape in shapes):
            raise ValueError(
                "input_size sets the first two axes of images (height, width, channels), "
                f"got {input_size!r} for a model of other inputs: {shapes}"
            )
        shapes = [(*size, shape[2]) if len(shape) == 3 else shape for shape in shapes]
    for shape in shapes:
        if None in shape:
            raise ValueError(
                "input_size must be given, and give all that the model leaves open, "
                f"got {input_size!r} and the input {shape}"
            )
    return shapes


def node_shapes(nodes: list[Node], inputs) -> dict[str, list[Shape]]:
    """Return the shapes of all outputs of every node for one image, without the batch.

    Raises
    ------
    ValueError
        If a layer cannot take what comes to it, or Keras does not know what it returns.
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
        for output in shapes[node.name]:
            if None in output:
                raise ValueError(
                    f"model has a layer whose output shape is not known, {node.name!r} of class "
                    f"{type(node.layer).__name__}: Keras says {output[1:]}"
                )
    return {name: [shape[1:] for shape in outputs] for name, outputs in shapes.items()}
