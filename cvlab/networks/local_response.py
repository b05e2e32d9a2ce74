"""Local response normalization as a Keras layer.

The arithmetic and its conventions are those of :mod:`cvlab.local_response`: `window` counts
channels, alpha multiplies their sum of squares, the window is cut at the first and last channels.
The defaults are AlexNet's.

Source: A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional
neural networks", 2012, section 3.3. Derived in chapter 06-batch-normalization.
"""

from __future__ import annotations

import keras
from keras import ops

from cvlab._validate import integer


@keras.saving.register_keras_serializable("cvlab")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by the strength of the neighbouring channels at its pixel.

    Parameters
    ----------
    window, alpha, beta, k
        As in :func:`cvlab.local_response.local_response_norm`.
    **options
        Of ``keras.layers.Layer``.

    Raises
    ------
    ValueError
        If `window` is not odd, `alpha` is negative or `k` not positive.

    Examples
    --------
    >>> layer = LocalResponseNormalization(window=3, alpha=1e-4, beta=1, k=1)
    >>> layer(ops.array([[1.0, 1.0, 100.0, 1.0, 1.0]])).numpy().round(2).tolist()
    [[1.0, 0.5, 50.0, 0.5, 1.0]]
    """

    def __init__(
        self,
        window: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        **options,
    ):
        super().__init__(**options)
        if integer(window, "window", minimum=1) % 2 == 0:
            raise ValueError(f"window must be odd, got {window}")
        if not (alpha >= 0 and k > 0):
            raise ValueError(
                f"alpha must not be negative and k must be positive, got {alpha} and {k}"
            )
        self.window, self.alpha, self.beta, self.k = window, alpha, beta, k

    def call(self, x):
        """Return x / (k + alpha * sum of squares) ^ beta."""
        channels, radius = x.shape[-1], self.window // 2
        squares = ops.pad(x * x, [(0, 0)] * (len(x.shape) - 1) + [(radius, radius)])
        total = sum(squares[..., start : start + channels] for start in range(self.window))
        return x * (self.k + self.alpha * total) ** -self.beta

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape

    def get_config(self):
        """Return what a copy is made from."""
        numbers = {name: getattr(self, name) for name in ("window", "alpha", "beta", "k")}
        return {**super().get_config(), **numbers}
