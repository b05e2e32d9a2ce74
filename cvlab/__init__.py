"""The tested helper package of the book *How Convolutional Networks See*.

Modules at this level need NumPy only (and matplotlib inside the functions that draw);
everything that touches Keras lives in :mod:`cvlab.networks`.
"""

from cvlab._requirements import check_versions

__all__ = ["check_versions"]
__version__ = "0.1.0"
