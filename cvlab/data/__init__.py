"""Images that need no connection: photographs, face patches, digits and drawn scenes.

Conventions
-----------
Layout   NHWC (batch, height, width, channels); grey images have one channel
Values   photographs uint8 in 0..255; faces, digits and drawn scenes float32 in [0, 1]
Boxes    (x0, y0, x1, y1) in pixels, continuous edges: the first pixel spans 0 to 1
Origin   files of the installed scikit-learn and scikit-image; `credit` names their authors
Random   only through a `numpy.random.Generator` argument
"""

from cvlab.data.digits import Digits, digits
from cvlab.data.patches import Patches, photograph_patches
from cvlab.data.photographs import (
    Credit,
    center_crop,
    credit,
    faces,
    photograph,
    photograph_names,
    photographs,
)
from cvlab.data.scenes import Scenes, draw_scenes
from cvlab.data.shapes import SHAPES, signed_distance

__all__ = [
    "SHAPES",
    "Credit",
    "Digits",
    "Patches",
    "Scenes",
    "center_crop",
    "credit",
    "digits",
    "draw_scenes",
    "faces",
    "photograph",
    "photograph_names",
    "photograph_patches",
    "photographs",
    "signed_distance",
]
