"""Where the windows of a layer lie: the part of a layer that receptive fields depend on.

A :class:`Layer` has no weights: only its kind, window, stride, padding, dilation and inputs.
Pairs are (height, width); padding as in :mod:`cvlab.padding`.
Along one axis every kind is the same thing, a :class:`Step`: lay the inputs `stretch` apart, then
    output i reads the places i * stride - before + t * dilation, for t = 0 ... taps - 1.
A transposed convolution stretches by its stride, then convolves with stride 1.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
arXiv:1603.07285. Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cvlab._validate import integers
from cvlab.padding import Padding, slide, slide_transpose

WINDOWED = ("convolution", "pooling", "transposed convolution", "upsampling", "padding")
PLAIN = ("pointwise", "merge", "gate", "global")
INPUT = "input"


@dataclass(frozen=True)
class Layer:
    """What a receptive field depends on in one layer.

    Parameters
    ----------
    kernel : int or (int, int), optional
        Window of a convolution or pooling, 1 if not given. For upsampling: how many outputs one
        input paints; if not given the stride (nearest neighbour). Bilinear paints 2 * stride, less
        1 if the stride is odd.
    stride : int or (int, int)
        Of a transposed convolution and of upsampling: the factor of enlargement.
    padding : {"valid", "same"}, int or ((int, int), (int, int))
        In the kind "padding" negative numbers cut pixels off; upsampling has none.
    dilation : int or (int, int)
    kind : str
        "convolution", "pooling", "transposed convolution", "upsampling" or "padding"; or, without
        a window, "pointwise" (activations, normalization by stored statistics), "merge" (a sum,
        product or concatenation of `inputs`), "global" (global pooling or flattening: each unit
        sees the whole map) or "gate" (a unit sees its own place, and the rest through a statistic).
    name : str
        The kind and the position, "pooling 3", if empty.
    inputs : tuple of str
        Names of earlier layers, or "input" for the image; the layer before if empty.

    Raises
    ------
    ValueError
        If the kind is unknown, a number is not positive, or a kind without a window has one.

    Examples
    --------
    >>> Layer(3, stride=(2, 1), padding="same").kernel
    (3, 3)
    """

    kernel: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] = 1
    padding: Padding = "valid"
    dilation: int | tuple[int, int] = 1
    kind: str = "convolution"
    name: str = ""
    inputs: tuple[str, ...] = ()

    def __post_init__(self):
        if self.kind not in WINDOWED + PLAIN:
            raise ValueError(f"kind must be one of {WINDOWED + PLAIN}, got {self.kind!r}")
        window = (self.kernel, self.stride, self.padding, self.dilation)
        if self.kind in PLAIN and window != (None, 1, "valid", 1):
            raise ValueError(
                f"kernel, stride, padding and dilation must be left out for kind {self.kind!r}, "
                f"got {window}"
            )
        stride = integers(self.stride, "stride", 1)
        default = stride if self.kind == "upsampling" else 1
        kernel = integers(default if self.kernel is None else self.kernel, "kernel", 1)
        object.__setattr__(self, "kernel", kernel)
        object.__setattr__(self, "stride", stride)
        object.__setattr__(self, "dilation", integers(self.dilation, "dilation", 1))


class Step(NamedTuple):
    """One layer along one axis; see the conventions of this module. `length` counts outputs."""

    taps: int
    dilation: int
    stride: int
    stretch: int
    before: int
    length: int

    def reads(self, unit: int) -> list[int]:
        """Return the inputs that output `unit` reads, those in the padding included.

        Examples
        --------
        Every second output of a transposed convolution with 3 taps and stride 2 reads two inputs:

        >>> step = Step(taps=3, dilation=1, stride=1, stretch=2, before=2, length=9)
        >>> step.reads(3), step.reads(4)
        ([1], [1, 2])
        """
        first = unit * self.stride - self.before
        places = range(first, first + self.taps * self.dilation, self.dilation)
        return [place // self.stretch for place in places if place % self.stretch == 0]


def steps(layer: Layer, size: tuple[int, int]) -> tuple[Step, Step]:
    """Return `layer` as a step along the height and one along the width.

    Parameters
    ----------
    layer : Layer
    size : (int, int)
        Height and width of the map it is applied to; TensorFlow's "same" padding depends on it.

    Raises
    ------
    ValueError
        If the window does not fit, or the padding is not understood.

    Examples
    --------
    >>> steps(Layer(3, stride=2, padding="same"), (8, 9))[0]
    Step(taps=3, dilation=1, stride=2, stretch=1, before=0, length=4)
    >>> steps(Layer(3, stride=2, padding="same", kind="transposed convolution"), (8, 9))[0]
    Step(taps=3, dilation=1, stride=1, stretch=2, before=2, length=16)
    """
    size = integers(size, "size", 1)
    if layer.kind == "global":
        pair = [Step(taps=n, dilation=1, stride=0, stretch=1, before=0, length=1) for n in size]
    elif layer.kind in PLAIN:
        pair = [Step(taps=1, dilation=1, stride=1, stretch=1, before=0, length=n) for n in size]
    elif layer.kind == "padding":
        pair = [_framed(n, pads) for n, pads in zip(size, _frame(layer.padding), strict=True)]
    elif layer.kind == "upsampling":
        axes = zip(layer.kernel, layer.stride, size, strict=True)
        pair = [_enlarged(k, 1, s, (k - s) // 2, n * s) for k, s, n in axes]
    else:
        transposed = layer.kind == "transposed convolution"
        window = (layer.kernel, layer.stride, layer.padding, layer.dilation)
        stride, dilation, pads, output = (slide_transpose if transposed else slide)(size, *window)
        befores = [before for before, _ in pads]
        axes = zip(layer.kernel, dilation, stride, befores, output, strict=True)
        pair = [_enlarged(*axis) if transposed else _window(*axis) for axis in axes]
    return pair[0], pair[1]


def link(layers: Sequence[Layer]) -> tuple[list[str], list[tuple[int, ...]]]:
    """Return the name of every layer and the positions of its inputs, -1 for the image.

    Raises
    ------
    ValueError
        If two layers share a name, an input is not an earlier layer, or one that is not a merge
        has several inputs.

    Examples
    --------
    >>> link([Layer(3, name="a"), Layer(1, inputs=("input",)), Layer(kind="merge", inputs=("a",))])
    (['a', 'convolution 2', 'merge 3'], [(-1,), (-1,), (0,)])
    """
    names, sources = [], []
    positions = {INPUT: -1}
    for position, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ValueError(f"layers must be a list of Layer, got {layer!r}")
        name = layer.name or f"{layer.kind} {position + 1}"
        unknown = [source for source in layer.inputs if source not in positions]
        if unknown:
            raise ValueError(f"inputs of {name!r} must be earlier layers, got {unknown[0]!r}")
        if name in positions:
            raise ValueError(f"name must be given to one layer only, got {name!r} twice")
        if len(layer.inputs) > 1 and layer.kind != "merge":
            raise ValueError(f"inputs of {name!r} must be one layer, got {layer.inputs}")
        sources.append(tuple(positions[s] for s in layer.inputs) or (position - 1,))
        names.append(name)
        positions[name] = position
    return names, sources


def _window(kernel, dilation, stride, before, length):
    """Return a convolution or a pooling along one axis."""
    return Step(kernel, dilation, stride, stretch=1, before=before, length=length)


def _enlarged(kernel, dilation, stride, cut, length):
    """Return a transposed convolution along one axis that cuts `cut` pixels off its start."""
    before = (kernel - 1) * dilation - cut
    return Step(kernel, dilation, stride=1, stretch=stride, before=before, length=length)


def _framed(size, pads):
    """Return a frame of `pads` pixels, negative where pixels are cut off, along one axis."""
    length = size + sum(pads)
    if length < 1:
        raise ValueError(f"padding must leave at least 1 of {size} pixels, got {pads}")
    return Step(taps=1, dilation=1, stride=1, stretch=1, before=pads[0], length=length)


def _frame(padding):
    """Return explicit padding of any sign as ((top, bottom), (left, right))."""
    values = np.asarray(0 if isinstance(padding, str) and padding == "valid" else padding)
    if values.dtype.kind not in "iu" or values.shape not in ((), (2, 2)):
        raise ValueError(
            f"padding must be an integer or ((top, bottom), (left, right)), got {padding!r}"
        )
    return np.broadcast_to(values, (2, 2)).tolist()
