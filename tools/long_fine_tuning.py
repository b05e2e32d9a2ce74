"""Fine-tune for long, with frozen and with moving statistics, and train from scratch; store it all.

python -m tools.long_fine_tuning

The task of chapter 09-transfer-learning: which of nine photographs was a patch cut from? Three
    draws of 50 patches of each photograph, batches of 18 patches, 25 steps an epoch, Adam.
frozen    the pretrained network under a fitted head; all weights are trained, but no batch
          normalization: 12 epochs at each of three rates
moving    the same, with the batch normalizations trained, too, and in training mode
scratch   the same network from random weights; the rate falls from 1e-3 to 0 in 40 epochs
The file holds for each run, before the first and after every epoch: the accuracy on the test
    patches; the same with the statistics of the test patches themselves, but for "frozen", whose
    layers take no others; and the share of 90 pictures of the photographs that the old head names
    as before. It takes half an hour or more.
"""

from __future__ import annotations

import json
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from cvlab import data, networks
from cvlab.linear_head import LinearHead, fit_linear_head
from cvlab.networks.experiments import Trainer, evaluate
from tools.common import ROOT

TARGET = ROOT / "cvlab" / "data" / "long_fine_tuning.json"
SIZE, PER_CLASS, DRAWS, BATCH = 48, 50, 3, 18
WAYS = [
    *({"way": "frozen", "rate": rate, "epochs": 12} for rate in (1e-5, 1e-4, 1e-3)),
    *({"way": "moving", "rate": rate, "epochs": 12} for rate in (1e-5, 1e-4, 1e-3)),
    {"way": "scratch", "rate": 1e-3, "epochs": 40},
]


def task():
    """Return images and labels of each draw for training, and those of the test."""
    draws = [
        data.photograph_patches(PER_CLASS, SIZE, np.random.default_rng(seed))
        for seed in range(DRAWS)
    ]
    test = data.photograph_patches(30, SIZE, np.random.default_rng(99), half="right")
    parts = [(networks.preprocess_input(part.images), part.labels) for part in (*draws, test)]
    return parts[:-1], parts[-1]


def pictures() -> np.ndarray:
    """Return 90 pictures of the photographs: five fractions of each, as it is and mirrored."""
    crops = []
    for name in data.photograph_names():
        photograph = data.photograph(name)
        photograph = np.broadcast_to(photograph, (*photograph.shape[:3], 3))  # grey ones, too
        for fraction in (0.6, 0.7, 0.8, 0.875, 1.0):
            crops.append(networks.crop_and_resize(photograph, fraction=fraction))
    shown = networks.preprocess_input(np.concatenate(crops))
    return np.concatenate([shown, shown[:, :, ::-1]])


def network_and_head(weights: str | None):
    """Return EfficientNet-Lite0 without its head, under a new head of nine scores."""
    whole = networks.efficientnet_lite0(weights=weights, input_shape=(None, None, 3))
    network = keras.Model(whole.input, whole.get_layer("avg_pool").output)
    return keras.Sequential([network, keras.layers.Dense(len(data.photograph_names()))])


def pretrained(images, labels, train_norms: bool):
    """Return the pretrained network under a head that was fitted to its features."""
    model = network_and_head("imagenet")
    network, head = model.layers
    head.set_weights(fit_linear_head(network.predict(images, verbose=0), labels))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = train_norms
    return model


def agreement_with_the_old_names():
    """Return a function of a network: the share of the pictures that it names as at first."""
    whole = networks.efficientnet_lite0(input_shape=(None, None, 3))
    old_head = LinearHead(*whole.get_layer("predictions").get_weights())
    shown = pictures()

    def names(network):
        return old_head.scores(network.predict(shown, batch_size=30, verbose=0)).argmax(axis=1)

    before = names(keras.Model(whole.input, whole.get_layer("avg_pool").output))
    return lambda network: (names(network) == before).mean()


def curves(way: str, rate: float, epochs: int, examples, test, agreement, seed: int):
    """Train one network; return each measured curve, before the first and after every epoch."""

    def observe(model):
        measured = {
            "accuracy": evaluate(model, *test).accuracy,
            "with test statistics": evaluate(model, *test, training=True).accuracy,
            "agreement": agreement(model.layers[0]),
        }
        if way == "frozen":
            del measured["with test statistics"]
        return measured

    def falling(step):
        return rate * (1 - step / (epochs * trainer.steps))

    make = partial(network_and_head, None)
    if way != "scratch":
        make = partial(pretrained, *examples, train_norms=way == "moving")
    trainer = Trainer(make, *examples, batch_size=BATCH, optimizer=keras.optimizers.Adam)
    history = trainer.run(
        seed=seed,
        epochs=epochs,
        learning_rate=falling if way == "scratch" else rate,
        observe=observe,
    )
    return {
        name: [round(float(m[name]), 4) for m in history.observed] for name in history.observed[0]
    }


def main() -> None:
    """Train all networks and write the file."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    draws, test = task()
    agreement = agreement_with_the_old_names()
    stored = []
    for way in WAYS:
        runs = [
            curves(**way, examples=examples, test=test, agreement=agreement, seed=seed)
            for seed, examples in enumerate(draws)
        ]
        stored.append(way | {name: [run[name] for run in runs] for name in runs[0]})
        print(way, *[run["accuracy"][-1] for run in runs], flush=True)
    TARGET.write_text(json.dumps(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
