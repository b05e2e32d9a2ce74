"""Residual networks: ResNet-18 to 152 for ImageNet, and those of depth 6n + 2 for small images.

Layout   images (batch, height, width, channels); the models end in scores, without a softmax
Units    those of :mod:`cvlab.networks.residual_units`, with their names: "stage2_unit1" is a unit's
         output; stages and units count from 1
Stride   of a stage stands in its first unit's first convolution, as in the paper and in Keras
         (torchvision strides the 3 x 3 of a bottleneck: as many parameters, more multiply-adds)
Padding  TensorFlow's "same"; torchvision and keras.applications pad evenly on both sides
Source: K. He et al., "Deep residual learning for image recognition", 2015, arXiv:1512.03385, table
1 and section 4.2. Derived in chapter 07-residual-connections.
"""

from __future__ import annotations

import keras
from keras import layers

from cvlab._validate import integer
from cvlab.networks.residual_units import normalization, residual_unit
from cvlab.networks.stochastic_depth import probability, survival_probabilities

OPTIONS = ("shortcut", "preactivation", "normalize", "separable", "zero_init", "last_survival")
# Table 1 of He et al. (2015): the kind of unit, and how many there are in each stage.
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


def resnet(
    depth: int = 34,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    **options,
) -> keras.Model:
    """Build a ResNet for photographs, untrained.

    ResNet-34 has 21,797,672 trained parameters, as torchvision's `resnet34`, and 17,024 moving
    statistics, which Keras counts and PyTorch does not: `count_params` gives 21,814,696.
    ResNet-50 has 25,557,032 + 53,120. `keras.applications.ResNet50` has 26,560 more, the biases
    of its convolutions, which the normalization after each makes redundant.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
        Layers with weights on the main path: convolutions and the dense layer.
    input_shape : (height, width, channels)
        Height and width may be None.
    classes : int
    **options
        Of every :func:`cvlab.networks.residual_units.residual_unit`: `shortcut`, `preactivation`,
        `normalize`, `separable`, `zero_init`; and `last_survival`, the survival probability of
        the last unit, to which those of the others fall linearly from 1.

    Returns
    -------
    keras.Model
        From images to scores (batch, classes).

    Raises
    ------
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> model = resnet(34)
    >>> sum(w.numpy().size for w in model.trainable_weights), model.count_params()
    (21797672, 21814696)
    >>> model.get_layer("stage4_unit3").output.shape
    (None, 7, 7, 512)
    """
    if integer(depth, "depth", minimum=1) not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth!r}")
    kind, units = DEPTHS[depth]
    _check_options(options, classes)
    image = keras.Input(_image_shape(input_shape), name="image")
    x = _stem(image, 64, kernel=7, stride=2, **options)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    x = _stages(x, units, width=64, kind=kind, **options)
    return keras.Model(image, _head(x, classes, **options), name=f"resnet{depth}")


def small_resnet(
    depth: int = 20,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    *,
    width: int = 16,
    **options,
) -> keras.Model:
    """Build a residual network of any depth 6n + 2 for small images, untrained.

    A convolution, three stages of n basic units with width, 2 width and 4 width filters, global
    average pooling and a dense layer. By default shortcuts have no parameters (option A), so that
    the plain twin, ``shortcut=None``, has exactly as many. With 20 layers and the default sizes
    269,722 are trained; the paper says 0.27 M.

    Parameters
    ----------
    depth : int
        8, 14, 20, ...: layers with weights.
    input_shape : (height, width, channels)
    classes : int
    width : int
        Filters of the first stage.
    **options
        As for :func:`resnet`; `shortcut` is "zero_pad" by default.

    Returns
    -------
    keras.Model
        From images to scores (batch, classes).

    Raises
    ------
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> residual, plain = small_resnet(20), small_resnet(20, shortcut=None)
    >>> residual.count_params() == plain.count_params()
    True
    >>> small_resnet(30)
    Traceback (most recent call last):
    ...
    ValueError: depth must be 6 n + 2 with n >= 1, so 8, 14, 20 and so on, got 30
    """
    if integer(depth, "depth", minimum=1) < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6 n + 2 with n >= 1, so 8, 14, 20 and so on, got {depth}")
    options = {"shortcut": "zero_pad", **options}
    _check_options(options, classes)
    image = keras.Input(_image_shape(input_shape), name="image")
    x = _stem(image, integer(width, "width", minimum=1), kernel=3, stride=1, **options)
    x = _stages(x, (depth // 6,) * 3, width, kind="basic", **options)
    name = f"plain{depth}" if options["shortcut"] is None else f"resnet{depth}"
    return keras.Model(image, _head(x, classes, **options), name=name)


def _stages(x, units, width, *, kind, last_survival=1.0, **options):
    """Apply the stages: each but the first halves the map and doubles the width."""
    survival = iter(survival_probabilities(sum(units), last_survival))
    for stage, count in enumerate(units, start=1):
        for unit in range(1, count + 1):
            x = residual_unit(
                x,
                width * 2 ** (stage - 1),
                kind=kind,
                stride=2 if unit == 1 and stage > 1 else 1,
                survival=next(survival),
                name=f"stage{stage}_unit{unit}",
                **options,
            )
    return x


def _stem(x, filters, kernel, stride, *, normalize=True, preactivation=False, **_):
    """Apply the first convolution; its activation belongs to the units if they begin with one."""
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=not normalize,
        kernel_initializer="he_normal",
        name="stem_conv",
    )(x)
    return x if preactivation else _normalize_and_activate(x, "stem", normalize)


def _head(x, classes, *, normalize=True, preactivation=False, **_):
    """Apply the classifier, after the activation that units which begin with one leave out."""
    if preactivation:
        x = _normalize_and_activate(x, "last", normalize)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return layers.Dense(classes, name="scores")(x)


def _normalize_and_activate(x, name, normalize):
    x = normalization(f"{name}_norm")(x) if normalize else x
    return layers.ReLU(name=f"{name}_relu")(x)


def _check_options(options, classes):
    """Raise for what a network cannot be built with, before it is begun."""
    integer(classes, "classes", minimum=1)
    for name, value in options.items():
        if name not in OPTIONS:
            raise ValueError(
                f"options of the units must be among {', '.join(OPTIONS)}, got {name}={value!r}: "
                "all else is set for each unit by the network"
            )
    last = probability(options.get("last_survival", 1.0), "last_survival")
    if last < 1 and options.get("shortcut", "auto") is None:
        raise ValueError(
            f"last_survival must be 1 without a shortcut, got {last}: nothing would be left of the "
            "map when a branch is dropped"
        )


def _image_shape(shape) -> tuple:
    """Return (height, width, channels), checked."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {shape!r}")
    for name, size in zip(("height", "width", "channels"), shape, strict=True):
        if size is not None or name == "channels":
            integer(size, f"input_shape's {name}", minimum=1)
    return tuple(shape)
