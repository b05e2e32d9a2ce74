"""The receptive fields of a Keras model against building the model.

ResNet-50 of keras.applications: 177 layers with its head. The peer is its constructor, without
loading weights.
"""

import sys

import _ratio  # first: it sets the number of threads
import keras

from cvlab.networks.receptive_field import model_receptive_fields

MODELS = {
    "ResNet50": keras.applications.ResNet50,
    "InceptionV3": keras.applications.InceptionV3,
    "MobileNet": keras.applications.MobileNet,
}
LIMIT = 0.05


def main() -> int:
    rows = []
    for name, build in MODELS.items():
        model = build(weights=None)
        rows.append(
            _ratio.compare(
                f"{name}, {len(model.layers)} layers",
                lambda model=model: model_receptive_fields(model),
                lambda build=build: build(weights=None),
                LIMIT,
                rounds=7,
            )
        )
    return _ratio.report("receptive fields / building the model", rows)


if __name__ == "__main__":
    sys.exit(main())
