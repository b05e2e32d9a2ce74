"""Class activation maps of Keras models: Grad-CAM, Grad-CAM++, HiResCAM and CAM.

Layout   images (batch, height, width, channels) as the model takes them; maps without channels
Score    of a class before softmax; whose class, which layer: see `feature_gradients`
Maps     after ReLU, each divided by its own maximum; zeros where nothing is positive
Resize   bilinear with half-pixel centres, to the height and width of the images
The model is only read. The arithmetic is in :mod:`cvlab.class_activation`.
Derived in chapter 11-grad-cam.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from cvlab.class_activation import (
    grad_cam_plus_plus_weights,
    grad_cam_weights,
    hires_cam_map,
    resize_maps,
    scaled,
    weighted_sum,
)
from cvlab.networks.feature_gradients import Target, feature_gradients
from cvlab.networks.score_layers import score_nodes

_AFTER_POOLING = (layers.Dropout, layers.Flatten, layers.Reshape, layers.Identity)


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """Maps of a batch of n images, and what they were made of.

    Attributes
    ----------
    maps : numpy.ndarray
        (n, h, w), float32 in [0, 1], at the resolution of the feature map.
    image_maps : numpy.ndarray
        (n, height, width), the same resized to the images. Its maximum may be less than 1.
    signed : numpy.ndarray
        (n, h, w), float32: before ReLU and division.
    weights : numpy.ndarray or None
        (n, channels): one weight a channel; None for HiResCAM, which has one for every position.
    scores : numpy.ndarray
        (n,): the score explained.
    class_index : numpy.ndarray or None
        (n,): its class, None if a function was asked about.
    layer : str
        Name of the layer.
    """

    maps: np.ndarray
    image_maps: np.ndarray
    signed: np.ndarray
    weights: np.ndarray | None
    scores: np.ndarray
    class_index: np.ndarray | None
    layer: str


def grad_cam(
    model: keras.Model, images: np.ndarray, class_index: Target = None, layer: str | None = None
) -> ClassMaps:
    """Return the maps of Grad-CAM: where a layer's features raise the score of a class.

    The gradient of the score, averaged over all positions, weights the channels of the feature
    map; their weighted sum is cut at zero and divided by its maximum. Selvaraju et al. 2017,
    https://arxiv.org/abs/1610.02391.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, models inside it included; one batch of images in, one output.
    images : numpy.ndarray
        (batch, height, width, channels), as the model takes them.
    class_index : int, sequence of int, callable or None
        The class whose score is explained, one for all images or one for each; None takes each
        image's largest score. Or a function that takes the scores, a tensor (batch, ...), and
        returns one number for each image, (batch,).
    layer : str, optional
        By default the last convolutional feature map with a spatial extent.

    Returns
    -------
    ClassMaps

    Raises
    ------
    ValueError
        As :func:`cvlab.networks.feature_gradients.feature_gradients`.

    Examples
    --------
    >>> from cvlab.data import photograph
    >>> from cvlab.networks import crop_and_resize, efficientnet_lite0, preprocess_input
    >>> x = preprocess_input(crop_and_resize(photograph("flower")))
    >>> result = grad_cam(efficientnet_lite0(), x)
    >>> result.layer, result.class_index.tolist(), result.maps.shape, result.image_maps.shape
    ('top_activation', [985], (1, 7, 7), (1, 224, 224))
    """
    found = feature_gradients(model, images, class_index, layer)
    weights = grad_cam_weights(found.gradients)
    return _class_maps(found, images, weighted_sum(found.features, weights), weights)


def grad_cam_plus_plus(
    model: keras.Model, images: np.ndarray, class_index: Target = None, layer: str | None = None
) -> ClassMaps:
    """Return the maps of Grad-CAM++, whose weights add up positive gradients only.

    Chattopadhay et al. 2018, https://arxiv.org/abs/1710.11063: meant for several objects of one
    class. Parameters, result and errors as for :func:`grad_cam`.

    Examples
    --------
    >>> stack = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]
    >>> grad_cam_plus_plus(keras.Sequential(stack), np.ones((5, 8, 8, 3))).maps.shape
    (5, 6, 6)
    """
    found = feature_gradients(model, images, class_index, layer)
    weights = grad_cam_plus_plus_weights(found.features, found.gradients)
    return _class_maps(found, images, weighted_sum(found.features, weights), weights)


def hires_cam(
    model: keras.Model, images: np.ndarray, class_index: Target = None, layer: str | None = None
) -> ClassMaps:
    """Return the maps of HiResCAM, which weights every position by its own gradient.

    Draelos and Carin 2020, https://arxiv.org/abs/2011.08891: where the head is linear in the
    feature map, the signed map adds up to the score but for the bias. Parameters, result and
    errors as for :func:`grad_cam`.

    Examples
    --------
    >>> stack = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]
    >>> result = hires_cam(keras.Sequential(stack), np.ones((1, 8, 8, 3)))
    >>> bool(np.isclose(result.signed.sum(), result.scores[0], atol=1e-5))
    True
    """
    found = feature_gradients(model, images, class_index, layer)
    return _class_maps(found, images, hires_cam_map(found.features, found.gradients), None)


def cam(
    model: keras.Model, images: np.ndarray, class_index: int | list[int] | None = None
) -> ClassMaps:
    """Return the maps of CAM: the feature map weighted by the last layer's weights for a class.

    For models that end in global average pooling and one dense layer. Zhou et al. 2016,
    https://arxiv.org/abs/1512.04150, equation 2. The signed map's mean is the score but for the
    bias. ReLU and division as for the other maps, though the paper has neither.

    Parameters
    ----------
    model, images
        As for :func:`grad_cam`.
    class_index : int, sequence of int or None

    Returns
    -------
    ClassMaps

    Raises
    ------
    ValueError
        As :func:`grad_cam`, or if the model does not end so.

    Examples
    --------
    >>> pool = layers.GlobalAveragePooling2D()
    >>> stack = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), pool, layers.Dense(2)]
    >>> result = cam(keras.Sequential(stack), np.ones((1, 8, 8, 3)))
    >>> result.layer, bool(np.isclose(result.signed.mean(), result.scores[0]))
    ('conv', True)
    """
    if callable(class_index):
        raise ValueError("class_index must be a class: CAM reads the weights of one")
    layer, kernel = _pooled_head(model)
    found = feature_gradients(model, images, class_index, layer)
    weights = kernel[:, found.class_index].T
    return _class_maps(found, images, weighted_sum(found.features, weights), weights)


def _class_maps(found, images, signed, weights):
    maps = scaled(signed)
    image_maps = resize_maps(maps, np.shape(images)[1:3])
    return ClassMaps(
        maps, image_maps, signed, weights, found.scores, found.class_index, found.layer
    )


def _pooled_head(model):
    """Return the name of the globally averaged map and the kernel (channels, classes) after it."""
    nodes = score_nodes(model)
    by_name = {node.name: node for node in nodes}
    dense = nodes[-1]
    layer = getattr(dense.layer, "layer", dense.layer)
    pooling = by_name[dense.sources[0]] if dense.sources else dense
    while isinstance(pooling.layer, _AFTER_POOLING):
        pooling = by_name[pooling.sources[0]]
    if not isinstance(layer, layers.Dense) or not isinstance(
        pooling.layer, layers.GlobalAveragePooling2D
    ):
        raise ValueError(
            "model must end in global average pooling and one dense layer, got "
            f"{type(pooling.layer).__name__} and {type(layer).__name__}"
        )
    return pooling.sources[0], layer.kernel.numpy()
