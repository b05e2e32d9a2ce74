"""Fine-tuning: go on training a pretrained network, or the top of it, under a new head.

Images are (n, ...) as the network takes them; labels are (n,), class numbers from 0.
The network ends in one vector for each image; a dense layer, the head, makes scores of it.
Every batch normalization is frozen: it keeps its statistics, its scale and its shift.
A run is fixed by its seed, the order of the examples; it starts from the weights the network
    had when the `FineTuner` was made, and leaves its own in `model`.
Derived in chapter 09-transfer-learning.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import float_array, integer
from cvlab.linear_head import LinearHead

_TRACING = threading.RLock()  # one thread at a time changes a class of Keras, and changes it back


class FineTuner:
    """Fine-tunes a network again and again, each time from the same start.

    The training step, with Adam, is compiled once, by the first run.

    Parameters
    ----------
    network : keras.Model
        Maps images to features (batch, C). It is changed by the runs; `restore` undoes that.
    classes : int
    batch_size : int

    Attributes
    ----------
    model : keras.Sequential
        The network and the head, as the last run left them.

    Raises
    ------
    ValueError
        If the network's output is not (batch, C), or a number is out of its range.

    Examples
    --------
    >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "relu")])
    >>> tuner = FineTuner(network, classes=2, batch_size=4)
    >>> head = LinearHead(np.zeros((3, 2), np.float32), np.zeros(2, np.float32))
    >>> images, labels = np.eye(2, dtype=np.float32), np.array([0, 1])
    >>> losses = tuner.run(images, labels, head, steps=5, learning_rate=0.01, seed=0)
    >>> losses.shape
    (5,)
    """

    def __init__(self, network: keras.Model, classes: int, batch_size: int = 18):
        if len(network.output_shape) != 2:
            raise ValueError(
                f"network must map images to features (batch, C), got {network.output_shape}"
            )
        self.batch_size = integer(batch_size, "batch_size", 1)
        self.network = network
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        self._head = keras.layers.Dense(integer(classes, "classes", 2))
        self.model = keras.Sequential([network, self._head])
        self.model.build(network.input_shape)
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self.model.trainable_variables)
        self._state = [(v, v.numpy()) for v in [*network.variables, *self._optimizer.variables]]
        self._step = tf.function(self._train_step, autograph=False)  # nothing to convert

    def restore(self) -> None:
        """Give network and optimizer the values they had at first."""
        for variable, start in self._state:
            variable.assign(start)

    def run(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        head: LinearHead,
        *,
        steps: int,
        learning_rate: float,
        seed: int,
    ) -> np.ndarray:
        """Fine-tune from the first weights and the given head; return the loss of each step.

        The batches go through the examples in a random order, again and again; where there are
        fewer examples than a batch holds, a batch holds some of them several times.

        Parameters
        ----------
        images : array (n, ...)
        labels : array (n,)
            Integers below `classes`.
        head : LinearHead
            Its kernel (C, classes) and bias (classes,), fitted to the features before.
        steps : int
        learning_rate : float
            Of Adam, positive.
        seed : int

        Returns
        -------
        numpy.ndarray (steps,)

        Raises
        ------
        ValueError
            If images, labels and head do not match, or a number is out of its range.
        """
        images, labels = float_array(images, "images").astype(np.float32), np.asarray(labels)
        steps, seed = integer(steps, "steps", 1), integer(seed, "seed", 0)
        if not (isinstance(learning_rate, Real) and learning_rate > 0):
            raise ValueError(f"learning_rate must be a positive number, got {learning_rate!r}")
        self._check(images, labels, head)
        self.restore()
        self._head.kernel.assign(head.kernel)
        self._head.bias.assign(head.bias)
        self._optimizer.learning_rate = learning_rate
        rng = np.random.default_rng(seed)
        rounds = -(-steps * self.batch_size // len(images))
        order = np.concatenate([rng.permutation(len(images)) for _ in range(rounds)])
        batches = order[: steps * self.batch_size].reshape(steps, self.batch_size)
        return np.array([float(self._step(images[b], labels[b])) for b in batches])

    def _check(self, images, labels, head):
        if len(images) == 0 or labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                "images must have the shape (n, ...) and labels n integers, with n > 0, "
                f"got {images.shape} and {labels.dtype} {labels.shape}"
            )
        classes = self._head.units
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(
                f"labels must lie in 0..{classes - 1}, got {labels.min()} to {labels.max()}"
            )
        if head.kernel.shape != tuple(self._head.kernel.shape):
            raise ValueError(
                f"head must have a kernel of shape {tuple(self._head.kernel.shape)}, "
                f"got {head.kernel.shape}"
            )

    def _train_step(self, images, labels):
        with tf.GradientTape() as tape, _pointwise_products():
            scores = self.model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)
            )
        variables = self.model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss


@contextmanager
def _pointwise_products() -> Iterator[None]:
    """Let 1 x 1 convolutions that are called within be one product of matrices for all images.

    That is what they are. On a processor TensorFlow computes their gradient with respect to the
    input image by image, though, which for small maps takes longer (``benchmarks/fine_tuning.py``).
    """

    def product(layer, inputs, kernel):
        pointwise = layer.kernel_size == layer.strides == (1, 1) and layer.groups == 1
        if pointwise and layer.data_format == "channels_last":
            return keras.ops.matmul(inputs, kernel[0, 0])
        return convolution(layer, inputs, kernel)

    with _TRACING:
        convolution = keras.layers.Conv2D.convolution_op
        with patch.object(keras.layers.Conv2D, "convolution_op", product):
            yield
