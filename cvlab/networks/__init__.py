"""Everything that touches Keras: models, layers and their analysis."""

from cvlab.networks.efficientnet_lite0 import efficientnet_lite0, preprocess_input
from cvlab.networks.imagenet import crop_and_resize, decode_predictions, imagenet_classes

__all__ = [
    "crop_and_resize",
    "decode_predictions",
    "efficientnet_lite0",
    "imagenet_classes",
    "preprocess_input",
]
