"""The tested helper package of the book *How Convolutional Networks See*.

Modules at this level need NumPy only (and matplotlib inside the functions that draw);
everything that touches Keras lives in :mod:`cvlab.networks`.
"""

__version__ = "0.1.0"
