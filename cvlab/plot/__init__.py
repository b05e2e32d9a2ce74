"""Figures of the book: one style, one way to show, and grids of images, maps and numbers.

Conventions
-----------
Result   functions return a `matplotlib.figure.Figure`; only `show` displays anything
Images   NHWC, uint8 in 0..255 or floats in [0, 1], one channel (grey) or three (colour)
Maps     any real values: red above zero, blue below, zero white; without negatives viridis
Kernels  HWIO, drawn like maps
Width    7 inches, text of 9 points or more: legible when a phone halves the figure
"""

from cvlab.plot.heat import overlay
from cvlab.plot.images import before_after, feature_maps, image_grid, kernel_grid
from cvlab.plot.numbers import number_grid
from cvlab.plot.output import encoded, show, use_style

__all__ = [
    "before_after",
    "encoded",
    "feature_maps",
    "image_grid",
    "kernel_grid",
    "number_grid",
    "overlay",
    "show",
    "use_style",
]
