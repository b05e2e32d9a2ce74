"""Everything that touches Keras: models, layers and their analysis."""

from cvlab.networks.blocks import inverted_residual, separable_conv, squeeze_excitation
from cvlab.networks.classic_networks import alexnet, lenet5
from cvlab.networks.compact_networks import mini_xception, mobilenet_v2, se_resnet
from cvlab.networks.cost_report import CostReport, LayerReport, cost_report
from cvlab.networks.cost_views import format_report, plot_report, report_columns, report_frame
from cvlab.networks.dense_networks import dense_block, densenet, transition
from cvlab.networks.efficientnet_lite0 import efficientnet_lite0, preprocess_input
from cvlab.networks.folding import fold_batch_norms
from cvlab.networks.imagenet import crop_and_resize, decode_predictions, imagenet_classes
from cvlab.networks.inception import InceptionWidths, googlenet, inception_module
from cvlab.networks.latency import Latency, measure_latency, measure_layers, zero_weights
from cvlab.networks.local_response import LocalResponseNormalization
from cvlab.networks.residual_units import residual_unit, shortcut_path
from cvlab.networks.resnet import resnet, small_resnet
from cvlab.networks.stochastic_depth import StochasticDepth, survival_probabilities

__all__ = [
    "CostReport",
    "InceptionWidths",
    "Latency",
    "LayerReport",
    "LocalResponseNormalization",
    "StochasticDepth",
    "alexnet",
    "cost_report",
    "crop_and_resize",
    "decode_predictions",
    "dense_block",
    "densenet",
    "efficientnet_lite0",
    "fold_batch_norms",
    "format_report",
    "googlenet",
    "imagenet_classes",
    "inception_module",
    "inverted_residual",
    "lenet5",
    "measure_latency",
    "measure_layers",
    "mini_xception",
    "mobilenet_v2",
    "plot_report",
    "preprocess_input",
    "report_columns",
    "report_frame",
    "residual_unit",
    "resnet",
    "se_resnet",
    "separable_conv",
    "shortcut_path",
    "small_resnet",
    "squeeze_excitation",
    "survival_probabilities",
    "transition",
    "zero_weights",
]
