"""A feature map inside a Keras model, and the gradient of a score with respect to it.

Layout   images (batch, height, width, channels) as the model takes them: already preprocessed
Scores   the output before a final softmax or sigmoid, whether a layer of its own or fused
Mode     inference; each image's score depends on that image alone
Names    of layers as in :mod:`cvlab.networks.graph`: "conv", "model/conv", "conv:2"
The model is computed call by call, up to the feature map without a tape and from there with one;
    it is only read. Compiled once for every model and layer.
Derived in chapter 11-grad-cam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import integer
from cvlab.networks.graph import only_reading, walk
from cvlab.networks.score_layers import (
    check_extent,
    checked_images,
    find_layer,
    score_nodes,
)

Target = int | Sequence[int] | Callable | None
BEST = -1  # stands for the class with the largest score


@dataclass(frozen=True, eq=False)
class FeatureGradients:
    """What explains the scores of a batch of n images at one layer.

    Attributes
    ----------
    features, gradients : numpy.ndarray
        (n, h, w, channels), float32: the feature map, and the gradient of each image's score.
    scores : numpy.ndarray
        (n,), float32: the score explained.
    class_index : numpy.ndarray or None
        (n,), int64: its class; None if a function of the scores was asked about.
    layer : str
        Name of the layer.
    """

    features: np.ndarray
    gradients: np.ndarray
    scores: np.ndarray
    class_index: np.ndarray | None
    layer: str


def feature_gradients(
    model: keras.Model, images: np.ndarray, class_index: Target = None, layer: str | None = None
) -> FeatureGradients:
    """Return a feature map and the gradient of one score of every image with respect to it.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, models inside it included; one batch of images in, one output.
    images : numpy.ndarray
        (batch, height, width, channels), as the model takes them.
    class_index : int, sequence of int, callable or None
        The class whose score is explained, one for all images or one for each; None takes each
        image's largest score. Or a function that takes the scores, a tensor (batch, ...), and
        returns one number for each image, (batch,); it is not compiled.
    layer : str, optional
        By default the last convolutional feature map with a spatial extent: the output of the
        last convolution, after the normalization, activation or addition that may follow it.

    Returns
    -------
    FeatureGradients

    Raises
    ------
    ValueError
        If the model has no graph of layers, more than one input or output, or an output whose
        scores cannot be found; if there is no such layer or it has no spatial extent; if the
        images have not the shape of the model's input; if there is no such class.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="conv")
    >>> stack = [keras.Input((2, 2, 1)), conv, keras.layers.Flatten(), keras.layers.Softmax()]
    >>> found = feature_gradients(keras.Sequential(stack), np.ones((1, 2, 2, 1)), class_index=3)
    >>> found.layer, found.gradients[0, :, :, 0].tolist()
    ('conv', [[0.0, 0.0], [0.0, 1.0]])
    """
    cut = _cut(model, layer)
    images = checked_images(images, cut.image_shape)
    if not len(images):
        raise ValueError(f"images must hold at least one image, got shape {images.shape}")
    if callable(class_index):
        results = cut.gradients(tf.constant(images, cut.dtype), class_index)
        chosen = None
    else:
        classes = _classes(class_index, len(images), cut.score_shape)
        *results, chosen = cut.class_gradients(tf.constant(images, cut.dtype), classes)
        chosen = chosen.numpy()
    features, gradients, scores = (tensor.numpy() for tensor in results)
    return FeatureGradients(features, gradients, scores, chosen, cut.layer)


class _Cut:
    """A model in two parts: the trunk up to one feature map, and the head from there to the scores.

    It does not hold the model itself, so that a forgotten model is freed.
    """

    def __init__(self, model: keras.Model, layer: str | None):
        self.output = model.outputs[0]
        self.image_shape = tuple(model.inputs[0].shape)
        self.dtype = model.inputs[0].dtype
        nodes = score_nodes(model)
        feature = find_layer(nodes, layer)
        self.layer, self.image, self.last = feature.name, nodes[0].name, nodes[-1].name
        self.score_shape = tuple(nodes[-1].shape)
        depends = {feature.name}
        self.trunk, self.head = [], []
        for node in nodes[1:]:
            if depends.intersection(node.sources):
                depends.add(node.name)
                self.head.append(node)
            else:
                self.trunk.append(node)
        signature = [
            tf.TensorSpec((None, *self.image_shape[1:]), self.dtype),
            tf.TensorSpec((None,), tf.int64),
        ]
        # TensorFlow counts the traces of a function's code and warns when one cut follows another.
        run = partial(_Cut._class_gradients, self)
        self.class_gradients = tf.function(run, input_signature=signature)

    def gradients(self, images, score: Callable):
        """Return feature map, gradient and score, where `score` maps (batch, ...) to (batch,)."""
        return only_reading(lambda images: self._gradients(images, score))(images)

    def _gradients(self, images, score):
        values = {self.image: (images,)}
        for node in self.trunk:
            values[node.name] = node.compute(values)
        feature = values[self.layer][0]
        check_extent(self.layer, feature.shape)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(feature)
            for node in self.head:
                values[node.name] = node.compute(values)
            chosen = tf.convert_to_tensor(score(values[self.last][0]))
            _check_scores(chosen.shape, images.shape[0])
        gradient = tape.gradient(chosen, feature)
        if gradient is None:
            raise ValueError(f"class_index must be a score that depends on layer {self.layer!r}")
        return tuple(tf.cast(tensor, tf.float32) for tensor in (feature, gradient, chosen))

    def _class_gradients(self, images, classes):
        """Return the same for classes (batch,), and the classes with `BEST` replaced."""
        found = []

        def score(scores):
            found.append(tf.where(classes == BEST, tf.argmax(scores, axis=-1), classes))
            return tf.gather(scores, found[0], batch_dims=1)

        return *self.gradients(images, score), *found


_CUTS: WeakKeyDictionary[keras.Model, dict[str | None, _Cut]] = WeakKeyDictionary()


def _cut(model, layer):
    """Return the model cut at a layer, from the last time if the model is still the same."""
    known = _CUTS.get(model, {}) if isinstance(model, keras.Model) else {}
    if layer not in known or known[layer].output is not model.outputs[0]:
        cut = _Cut(_checked(model), layer)
        _CUTS.setdefault(model, {})[layer] = cut
        return cut
    return known[layer]


def _check_scores(shape, count):
    if len(shape) != 1 or shape[0] != count:
        raise ValueError(
            "class_index as a function must return one number for each image, "
            f"({count},), got shape {tuple(shape)}"
        )


def _checked(model):
    """Raise unless the model has a graph, one input and one output."""
    last = walk(model)[-1]
    outputs = len(model.outputs) if last.call is None else len(last.call.output_tensors)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or outputs != 1:
        raise ValueError(
            f"model must take one batch of images and return one output, got {len(model.inputs)} "
            f"inputs and {max(outputs, len(model.outputs))} outputs"
        )
    return model


def _classes(class_index, count, shape):
    """Return one class for each image, `BEST` where none is given."""
    if len(shape) != 2:
        raise ValueError(
            "class_index must be a function of the model's output, which has the shape "
            f"{shape} and not (batch, classes); got {class_index!r}"
        )
    if class_index is None:
        return np.full(count, BEST)
    single = np.ndim(class_index) == 0
    given = [class_index] * count if single else list(class_index)
    if len(given) != count:
        raise ValueError(f"class_index must hold {count} classes, one an image, got {len(given)}")
    classes = [integer(value, "class_index", minimum=0) for value in given]
    if max(classes) >= shape[1]:
        raise ValueError(f"class_index must be in 0..{shape[1] - 1}, got {max(classes)}")
    return np.array(classes, dtype=np.int64)
