"""Train a network that is written down as a list of layers, briefly, and see how good it gets.

Layers   (kernel, filters, stride, separable) each, without bias and with "same" padding; behind
         each stand a batch normalization and a ReLU, behind the last the mean of the map and a
         dense layer with ten scores
Images   the digits of :func:`cvlab.data.digits`, one channel, enlarged to side x side pixels by
         repeating each pixel
Digits   trained with the package's training digits, judged with its 450 test digits: chapter 08
         settles its recipe with these, so they are called validation digits there and here
Training 80 steps of Adam with 128 digits each; its rate falls from 0.02 to 0
Derived in exercise 08.8.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from cvlab._validate import integer
from cvlab.data import digits
from cvlab.networks.blocks import conv, norm_relu, separable_conv
from cvlab.networks.experiments import Trainer, evaluate

PIXELS = 8  # a side of a digit
BATCH, EPOCHS, RATE = 128, 8, 0.02


def train_design(design: Sequence[Sequence[int]], side: int = PIXELS, seed: int = 0) -> float:
    """Return the share of the validation digits that a briefly trained design classifies rightly.

    Parameters
    ----------
    design : sequence of (kernel, filters, stride, separable)
        Separable is 0 for an ordinary convolution and 1 for a separable one.
    side : int
        Height and width of the images in pixels, a multiple of 8.
    seed : int
        Of the initial weights and of the order of the digits.

    Returns
    -------
    float
        Of the 450 validation digits; the training digits are the other 1,347. The last digits
        depend on the machine, unless threads and operations are made deterministic.

    Raises
    ------
    ValueError
        If `design` is not as above or `side` is no multiple of 8.

    Examples
    --------
    >>> accuracy = train_design([(3, 16, 1, 0), (3, 24, 2, 1), (3, 24, 2, 1)])
    >>> accuracy > 0.8
    True
    """
    rows = _rows(design)
    if integer(side, "side", minimum=PIXELS) % PIXELS:
        raise ValueError(f"side must be a multiple of {PIXELS}, got {side}")
    data = digits()
    images, judged = (
        np.kron(part, np.ones((1, side // PIXELS, side // PIXELS, 1)))
        for part in (data.train_images, data.test_images)
    )
    steps = len(images) // BATCH * EPOCHS
    trainer = Trainer(
        lambda: _network(rows, side),
        images,
        data.train_labels,
        batch_size=BATCH,
        optimizer=keras.optimizers.Adam,
    )
    trainer.run(seed=seed, epochs=EPOCHS, learning_rate=lambda step: RATE * (1 - step / steps))
    return evaluate(trainer.model, judged, data.test_labels).accuracy


def _rows(design) -> list[tuple[int, ...]]:
    """Return the layers as tuples of four integers."""
    rows = []
    for number, row in enumerate(design, start=1):
        if np.shape(row) != (4,) or row[3] not in (0, 1):
            raise ValueError(
                "design must hold (kernel, filters, stride, separable) for each layer, with "
                f"separable 0 or 1, got {row!r} as number {number}"
            )
        names = ("kernel", "filters", "stride")
        pairs = zip(row[:3], names, strict=True)
        sizes = [integer(value, f"design's {name}", minimum=1) for value, name in pairs]
        rows.append((*sizes, int(row[3])))
    if not rows:
        raise ValueError("design must hold at least one layer, got none")
    return rows


def _network(rows, side: int) -> keras.Model:
    """Return the network with its classifier."""
    image = x = keras.Input((side, side, 1))
    for number, (kernel, filters, stride, separable) in enumerate(rows, start=1):
        name = f"layer{number}"
        if separable:
            x = separable_conv(x, filters, kernel, stride, name)
        else:
            x = conv(filters, kernel, name, stride)(x)
        x = norm_relu(x, name)
    model = keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9  # 80 steps are too few for the usual 0.99
    return model
