"""EfficientNet-Lite0, trained on ImageNet: the network whose weights travel with this package.

Layout   images (batch, height, width, 3), pixel values 0..255, red first; `preprocess_input` scales
Padding  TensorFlow's "same" everywhere: five strides of 2, so a 224 px image ends as a 7 x 7 map
Names    of layers as in keras.applications.EfficientNetB0: block3a_expand_conv, top_activation
Weights  94 % stored as float16, all computed with in float32; origin and licence in cvlab/weights
Derived in chapter 08-architectures; used in 09-transfer-learning to 11-grad-cam.
"""

from __future__ import annotations

from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from cvlab._validate import integer
from cvlab.networks.imagenet import CLASSES, pixels, three_channels

SIZE = 224
STRIDE = 32
WEIGHTS = files("cvlab").joinpath("weights", "efficientnet_lite0.npz")


class Stage(NamedTuple):
    """Inverted residual blocks of one width; only the first of them has the stride."""

    expansion: int
    filters: int
    blocks: int
    stride: int
    kernel: int


# Table 1 of Tan and Le (2019). The Lite variant drops squeeze-and-excitation and takes ReLU6.
STAGES = (
    Stage(expansion=1, filters=16, blocks=1, stride=1, kernel=3),
    Stage(expansion=6, filters=24, blocks=2, stride=2, kernel=3),
    Stage(expansion=6, filters=40, blocks=2, stride=2, kernel=5),
    Stage(expansion=6, filters=80, blocks=3, stride=2, kernel=3),
    Stage(expansion=6, filters=112, blocks=3, stride=1, kernel=5),
    Stage(expansion=6, filters=192, blocks=4, stride=2, kernel=5),
    Stage(expansion=6, filters=320, blocks=1, stride=1, kernel=3),
)


def efficientnet_lite0(
    weights: str | PathLike | None = "imagenet",
    include_top: bool = True,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    classes: int = CLASSES,
    pooling: str | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """Build EfficientNet-Lite0, with the ImageNet weights of this package or untrained.

    4,694,024 parameters with the 1,000 classes, 42,016 of them the moving statistics of batch
    normalization; 75.1 % of the ImageNet validation images right, as its authors report.

    Parameters
    ----------
    weights : "imagenet", path or None
        A file that `save_weights` wrote for a network with the same arguments. None leaves the
        weights at their random start (`keras.utils.set_random_seed`).
    include_top : bool
        Whether to end with global average pooling, dropout of 0.2 and the classifier.
    input_tensor : keras.KerasTensor, optional
        What to build on, such as the output of layers that augment; in place of `input_shape`. The
        model then starts at the inputs from which it was made.
    input_shape : (height, width, channels), optional
        Height and width are at least 32, or None for any. By default (224, 224, 3) with the top
        and (None, None, 3) without. The ImageNet weights ask for 3 channels.
    classes : int
        Outputs of the classifier: 1000 with the ImageNet weights. Unused without the top.
    pooling : {None, "avg", "max"}
        Global pooling in place of the top.
    classifier_activation : str or None
        ``"softmax"`` gives probabilities, None the scores before them.
    name : str
        Name of the model.

    Returns
    -------
    keras.Model
        From (batch, height, width, channels), as `preprocess_input` returns it, to
        (batch, classes), or without the top to (batch, ceil(height / 32), ceil(width / 32), 1280),
        or (batch, 1280) when pooled.

    Raises
    ------
    ValueError
        If an argument is not as above.

    References
    ----------
    M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
    Networks", ICML 2019, table 1, https://arxiv.org/abs/1905.11946; R. Liu, "Higher accuracy on
    vision models with EfficientNet-Lite", TensorFlow Blog, 2020, for the Lite variant.

    Examples
    --------
    >>> from cvlab.data import photograph
    >>> from cvlab.networks import crop_and_resize, decode_predictions
    >>> model = efficientnet_lite0()
    >>> model.count_params()
    4694024
    >>> x = preprocess_input(crop_and_resize(photograph("flower")))
    >>> decode_predictions(model.predict(x, verbose=0), top=1)
    [[('n11939491', 'daisy', 0...)]]
    """
    if input_tensor is not None:
        input_shape = _shape_of(input_tensor, input_shape)
    shape = _check(weights, include_top, input_shape, classes, pooling, classifier_activation)
    image = keras.Input(shape) if input_tensor is None else input_tensor
    x = _normalize(_conv(32, 3, "stem_conv", stride=2)(image), "stem_")
    for number, stage in enumerate(STAGES, start=1):
        for block in range(stage.blocks):
            stride = stage.stride if block == 0 else 1
            x = _inverted_residual(x, stage, stride, f"block{number}{'abcd'[block]}_")
    x = _normalize(_conv(1280, 1, "top_conv")(x), "top_")
    if include_top or pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)
    if include_top:
        x = layers.Dropout(0.2, name="top_dropout")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    sources = keras.utils.get_source_inputs(image)
    model = keras.Model(sources if len(sources) > 1 else sources[0], x, name=name)
    if weights == "imagenet":
        _load_imagenet(model if input_tensor is None else keras.Model(image, x))
    elif weights is not None:
        model.load_weights(weights)
    return model


def preprocess_input(x):
    """Scale pixel values 0..255 to about -1..1, as this network was trained: (x - 127) / 128.

    Unlike the functions of that name in `keras.applications`, it does not overwrite its argument.

    Parameters
    ----------
    x : numpy.ndarray or tensor
        (..., height, width, 3), pixel values 0..255. The values of tensors, which may be
        symbolic, are not checked.

    Returns
    -------
    numpy.ndarray or tensor
        float32, of the shape of `x`.

    Raises
    ------
    ValueError
        If the last axis is not 3 or an array's values are not in 0..255, or look scaled to 0..1.

    Examples
    --------
    >>> preprocess_input(np.array([[[0, 127, 255]]], dtype=np.uint8)).tolist()
    [[[-0.9921875, 0.0, 1.0]]]
    """
    if keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor):
        three_channels(x.shape, "x")
        values = keras.ops.cast(x, "float32")
    else:
        values = pixels(x, "x", ndim=None)
    return (values - 127.0) / 128.0


def _inverted_residual(x, stage: Stage, stride: int, name: str):
    """Widen, filter each channel on its own, narrow without activation; add the input if alike."""
    shortcut = x
    channels = x.shape[-1]
    if stage.expansion > 1:
        x = _conv(stage.expansion * channels, 1, f"{name}expand_conv")(x)
        x = _normalize(x, f"{name}expand_")
    x = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}dwconv"
    )(x)
    x = _normalize(x, name)
    x = _conv(stage.filters, 1, f"{name}project_conv")(x)
    x = _normalize(x, f"{name}project_", relu=False)
    if stride == 1 and channels == stage.filters:
        x = layers.Add(name=f"{name}add")([shortcut, x])
    return x


def _conv(filters: int, kernel: int, name: str, stride: int = 1) -> layers.Conv2D:
    """Return a convolution without bias: the normalization that follows has one."""
    return layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)


def _normalize(x, name: str, relu: bool = True):
    """Normalize over the batch, then cut to 0..6 unless the block must stay linear."""
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}bn")(x)
    return layers.ReLU(6.0, name=f"{name}activation")(x) if relu else x


def _load_imagenet(model: keras.Model) -> None:
    """Copy the stored array "layer/weight" to each weight of that name."""
    with np.load(WEIGHTS) as stored:
        for layer in model.layers:
            for weight in layer.weights:
                weight.assign(stored[f"{layer.name}/{weight.name}"].astype(np.float32))


def _shape_of(tensor, input_shape) -> tuple:
    """Return the shape of the tensor to build on, without the batch."""
    if not isinstance(tensor, keras.KerasTensor):
        raise ValueError(
            f"input_tensor must be a tensor of Keras, such as keras.Input, got {type(tensor)}"
        )
    shape = tuple(tensor.shape[1:])
    if len(shape) != 3:
        raise ValueError(
            f"input_tensor must be (batch, height, width, channels), got the shape {tensor.shape}"
        )
    if input_shape not in (None, shape, list(shape)):
        raise ValueError(
            f"input_shape must be that of input_tensor, {shape}, or left out, got {input_shape!r}"
        )
    return shape


def _check(weights, include_top, input_shape, classes, pooling, activation) -> tuple:
    """Raise for what the network cannot be; return the input shape."""
    is_path = isinstance(weights, (str, PathLike)) and weights != "imagenet"
    if weights not in ("imagenet", None) and not (is_path and Path(weights).is_file()):
        raise ValueError(f'weights must be "imagenet", a file of weights, or None, got {weights!r}')
    weights = None if is_path else weights  # a file may hold any network of this kind
    if pooling not in (None, "avg", "max"):
        raise ValueError(f'pooling must be None, "avg" or "max", got {pooling!r}')
    if include_top and pooling is not None:
        raise ValueError(
            f"pooling must be None when include_top=True, which pools by itself, got {pooling!r}"
        )
    if include_top and integer(classes, "classes", minimum=1) != CLASSES and weights is not None:
        raise ValueError(
            f"classes must be {CLASSES} with the ImageNet weights and include_top=True, got "
            f"{classes}: take include_top=False and add a classifier of your own"
        )
    if include_top and weights is not None and activation not in ("softmax", None):
        raise ValueError(
            'classifier_activation must be "softmax" or None with the ImageNet weights, '
            f"got {activation!r}"
        )
    if input_shape is None:
        return (SIZE, SIZE, 3) if include_top else (None, None, 3)
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {input_shape!r}")
    for side, length in zip(("height", "width"), input_shape[:2], strict=True):
        if length is not None and integer(length, f"input_shape's {side}", minimum=1) < STRIDE:
            raise ValueError(
                f"input_shape's {side} must be at least {STRIDE}, or None for any, got {length}: "
                f"five strides of 2 divide it by {STRIDE}"
            )
    channels = integer(input_shape[2], "input_shape's channels", minimum=1)
    if weights is not None and channels != 3:
        raise ValueError(
            f"input_shape's channels must be 3 with the ImageNet weights, got {channels}"
        )
    return tuple(input_shape)
