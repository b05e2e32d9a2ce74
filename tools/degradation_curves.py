"""Train plain and residual networks on the digits until they converge; store their curves.

python -m tools.degradation_curves

Three networks of the same widths learn the training digits from the same seed, each for 160 epochs
    of 21 steps; the learning rate falls from 0.05 to a tenth after 80 epochs and again after 120.
The file holds for each network the loss and the accuracy of every epoch, means over its batches in
    training mode. About five minutes of CPU time; read by chapter 07-residual-connections.
"""

from __future__ import annotations

import json
from functools import partial

from cvlab.data import digits
from cvlab.networks import small_resnet
from cvlab.networks.experiments import Trainer
from tools.common import ROOT

TARGET = ROOT / "cvlab" / "data" / "degradation_curves.json"
EPOCHS = 160
RATES = {0: 0.05, 80: 0.005, 120: 0.0005}
SEED = 0
NETWORKS = {
    "plain 20": dict(depth=20, shortcut=None),
    "plain 44": dict(depth=44, shortcut=None),
    "residual 44": dict(depth=44),
}


def learning_rate(epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    return RATES[max(start for start in RATES if start <= epoch)]


def curves(options: dict) -> dict[str, list[float]]:
    """Train one network; return its loss and accuracy, epoch by epoch."""
    data = digits()
    trainer = Trainer(
        partial(small_resnet, input_shape=(8, 8, 1), width=8, **options),
        data.train_images,
        data.train_labels,
        jit=True,
    )
    history = trainer.run(
        seed=SEED, epochs=EPOCHS, learning_rate=lambda step: learning_rate(step // trainer.steps)
    )
    means = {"loss": history.loss.mean(axis=1), "accuracy": history.accuracy.mean(axis=1)}
    return {name: [round(float(v), 5) for v in values] for name, values in means.items()}


def main() -> None:
    """Train all networks and write the file."""
    stored = {
        "epochs": EPOCHS,
        "learning_rates": {str(epoch): rate for epoch, rate in RATES.items()},
        "seed": SEED,
        "networks": {name: curves(options) for name, options in NETWORKS.items()},
    }
    TARGET.write_text(json.dumps(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
