"""A training loop for experiments: one network, many runs, a curve for each.

Images are (n, ...) and labels (n,), class numbers from 0; results are NumPy arrays.
The network ends in scores (logits), one for each class; the loss is the mean cross-entropy.
A run is fixed by its seed: the initial weights, the order of the examples, the dropped units. The
    seed sets what Keras's layers and Python's `random` draw; not NumPy's global generator,
    `tf.random`, or `keras.random` without a seed.
Each epoch shuffles the examples and drops the last batch if it is not full.
An epoch, a loop over its steps, is compiled once, when a :class:`Trainer` makes its first run; all
    later runs start from fresh weights and reuse it, which makes sweeps over seeds and learning
    rates cheap.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cvlab._validate import float_array, integer, refuse


class History(NamedTuple):
    """The curves of a run: `loss` and `accuracy` (epochs, steps), and what was observed.

    Both are taken in training mode, on the batch of the step and before its update.
    ``loss.mean(axis=1)`` has one value for each epoch, ``loss.ravel()`` one for each step.
    `observed` holds what the function `observe` returned: first of the untrained network, then
    after each epoch.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    observed: list


class Score(NamedTuple):
    """The mean cross-entropy and the share of examples classified rightly."""

    loss: float
    accuracy: float


class Trainer:
    """Trains copies of one network on one set of examples.

    Parameters
    ----------
    make_model : callable
        Called without arguments it returns a new `keras.Model` with its weights, which maps
        images to scores (batch, classes). It is called once for each seed.
    images : array (n, ...)
    labels : array (n,)
        Integers.
    batch_size : int
    steps : int, optional
        Steps in an epoch; by default as many as there are full batches.
    optimizer : callable, optional
        Called without arguments it returns a new Keras optimizer; by default SGD with momentum
        0.9. The learning rate is set by each run.
    jit : bool
        Compile the step with XLA: slower to start, then faster for networks of small layers.

    Attributes
    ----------
    model : keras.Model
        The network, as the last run left it.
    steps : int
        Steps in an epoch.

    Raises
    ------
    ValueError
        If images and labels do not match, labels are not integers from 0 on, or there are
        fewer examples than a batch holds.

    Examples
    --------
    >>> def make_model():
    ...     return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> images = np.random.default_rng(0).normal(size=(64, 2))
    >>> trainer = Trainer(make_model, images, images[:, 0] > images[:, 1], batch_size=16)
    >>> history = trainer.run(seed=0, epochs=5, learning_rate=0.5)
    >>> history.loss.shape
    (5, 4)
    >>> bool(history.accuracy[-1].mean() > 0.9)
    True
    """

    def __init__(
        self,
        make_model: Callable[[], keras.Model],
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int = 64,
        steps: int | None = None,
        optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
        jit: bool = False,
    ):
        images, labels = _checked_examples(images, labels)
        self.batch_size = integer(batch_size, "batch_size", 1)
        self.steps = len(images) // self.batch_size if steps is None else integer(steps, "steps", 1)
        if len(images) < max(self.steps, 1) * self.batch_size:
            raise ValueError(
                f"images must fill {max(self.steps, 1)} batches of {batch_size}, "
                f"got {len(images)} of them"
            )
        self.make_model = make_model
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        self._make_optimizer = optimizer or (lambda: keras.optimizers.SGD(momentum=0.9))
        self._jit = bool(jit)
        self._run_epoch = None
        self._initial = {}

    def run(
        self,
        *,
        seed: int,
        epochs: int,
        learning_rate: float | Callable[[int], float],
        prepare: Callable[[keras.Model], Any] | None = None,
        observe: Callable[[keras.Model], Any] | None = None,
        subset: np.ndarray | None = None,
    ) -> History:
        """Train a new copy of the network and return its curves.

        Parameters
        ----------
        seed : int
        epochs : int
        learning_rate : float or callable
            Positive; or a schedule, a function of the steps taken so far. It is set before every
            step: what `prepare` or `observe` do to an optimizer's rate has no effect.
        prepare : callable, optional
            ``prepare(model)`` may change the initial weights, before anything else happens.
        observe : callable, optional
            ``observe(model)`` is called before the first and after every epoch.
        subset : int array, optional
            Numbers of the examples to train on, enough for an epoch; by default all.

        Returns
        -------
        History
            A run that diverges goes on; its losses are infinite or NaN from then on.

        Raises
        ------
        ValueError
            If an argument has not the form above, or the model does not give one score for each
            class.
        """
        seed, epochs = integer(seed, "seed", 0), integer(epochs, "epochs", 1)
        rates = _rates(learning_rate, epochs * self.steps)
        examples = self._chosen(subset)
        self._start(seed)
        if prepare is not None:
            prepare(self.model)
        rng = np.random.default_rng(seed)
        observed = [] if observe is None else [observe(self.model)]
        curves = []
        for epoch_rates in tf.reshape(tf.constant(rates, tf.float32), (epochs, self.steps)):
            order = rng.permutation(examples)[: self.steps * self.batch_size]
            batches = tf.constant(order.reshape(self.steps, self.batch_size))
            curves.append(self._run_epoch(batches, epoch_rates))
            if observe is not None:
                observed.append(observe(self.model))
        return History(*(tf.stack(curve).numpy() for curve in zip(*curves, strict=True)), observed)

    def _chosen(self, subset):
        """Return the numbers of the examples of a run."""
        count, needed = len(self._images), self.steps * self.batch_size
        subset = np.arange(count) if subset is None else np.asarray(subset)
        if subset.ndim != 1 or subset.dtype.kind not in "iu" or len(subset) < needed:
            raise ValueError(
                f"subset must be at least {needed} integers, "
                f"got {subset.dtype} of shape {subset.shape}"
            )
        refuse((subset < 0) | (subset >= count), subset, f"subset must lie from 0 to {count - 1}")
        return subset.astype(np.int64)  # of one kind, so that nothing is compiled twice

    def _start(self, seed):
        """Give model and optimizer the state of new ones; make them at the first call."""
        if seed not in self._initial:
            # Not `keras.utils.set_random_seed`: it empties TensorFlow's cache of kernels, and every
            # compiled function is then set up again. Keras's layers take their seeds from `random`.
            random.seed(seed)
            fresh = self.make_model()
            if self._run_epoch is None:
                self._check(fresh)
                self.model, self._optimizer = fresh, self._make_optimizer()
                self._optimizer.build(fresh.trainable_variables)
                self._start_state = [variable.numpy() for variable in self._optimizer.variables]
                self._run_epoch = self._compiled_epoch()
            self._initial[seed] = [variable.numpy() for variable in fresh.variables]
        for variable, start in zip(self.model.variables, self._initial[seed], strict=True):
            variable.assign(start)
        for variable, start in zip(self._optimizer.variables, self._start_state, strict=True):
            variable.assign(start)

    def _check(self, model):
        classes = int(tf.reduce_max(self._labels)) + 1
        shape = tuple(model(self._images[: self.batch_size]).shape)
        if len(shape) != 2 or shape[1] < classes:
            raise ValueError(
                f"make_model must return a model with at least {classes} scores for each image, "
                f"got outputs of shape {shape}"
            )

    def _compiled_epoch(self):
        """Return a function of batches (steps, batch) and rates (steps,): losses, accuracies."""
        step = self._train_step
        if self._jit:
            step = tf.function(step, jit_compile=True, autograph=False)

        def step_at(batch_and_rate):
            batch, self._optimizer.learning_rate = batch_and_rate
            return step(batch)

        @tf.function(autograph=False)  # nothing to convert
        def epoch(batches, rates):
            return tf.map_fn(
                step_at,
                (batches, rates),
                parallel_iterations=1,  # a step starts from the weights that the last one left
                fn_output_signature=(tf.float32, tf.float32),
            )

        return epoch

    def _train_step(self, batch):
        images, labels = tf.gather(self._images, batch), tf.gather(self._labels, batch)
        with tf.GradientTape() as tape:
            scores = self.model(images, training=True)
            loss = _cross_entropy(labels, scores)
        variables = self.model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, _accuracy(labels, scores)


def evaluate(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, *, training: bool = False
) -> Score:
    """Return the loss and the accuracy of a network on all images at once.

    Parameters
    ----------
    model : keras.Model
        Maps images to scores (batch, classes).
    images : array (n, ...)
    labels : array (n,)
    training : bool
        Run the layers as in training: with the statistics of these images, and dropout. The
        moving statistics of the model stay as they were.

    Raises
    ------
    ValueError
        If images and labels do not match.

    Examples
    --------
    >>> zeros = keras.layers.Dense(2, kernel_initializer="zeros")
    >>> model = keras.Sequential([keras.Input((2,)), zeros])
    >>> score = evaluate(model, np.ones((3, 2)), np.array([0, 0, 1]))
    >>> round(score.loss, 3), round(score.accuracy, 3)  # log 2, and the first class wins the tie
    (0.693, 0.667)
    """
    images, labels = _checked_examples(images, labels)
    before = [variable.numpy() for variable in model.non_trainable_variables]
    scores = model(images, training=bool(training))
    if training:
        for variable, value in zip(model.non_trainable_variables, before, strict=True):
            variable.assign(value)
    return Score(float(_cross_entropy(labels, scores)), float(_accuracy(labels, scores)))


def _rates(learning_rate, steps):
    """Return the learning rate of each step; a schedule may begin or end at 0."""
    scheduled = callable(learning_rate)
    rates = [learning_rate(step) if scheduled else learning_rate for step in range(steps)]
    for rate in rates:
        if not (isinstance(rate, Real) and (rate > 0 or (scheduled and rate == 0))):
            raise ValueError(f"learning_rate must be a positive number, got {rate!r}")
    return rates


def _cross_entropy(labels, scores):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)
    )


def _accuracy(labels, scores):
    return tf.reduce_mean(tf.cast(tf.argmax(scores, axis=1) == labels, tf.float32))


def _checked_examples(images, labels):
    """Return images as float32 and labels as int64."""
    images, labels = float_array(images, "images"), np.asarray(labels)
    if images.ndim < 2 or len(images) == 0 or labels.shape != (len(images),):
        raise ValueError(
            "images must have the shape (n, ...) and labels (n,) with n > 0, "
            f"got {images.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iub" or labels.min() < 0:
        raise ValueError(f"labels must be integers >= 0, got {labels.dtype} from {labels.min()}")
    return images.astype(np.float32), labels.astype(np.int64)
