"""Receptive fields: which pixels of the image a unit of a network can see.

Pairs are (height, width); pixels and units count from 0; intervals [first, stop) are half-open.
Along one axis unit i sees `size` pixels from start + i * jump on; those in the padding count, and
    before the image they are negative. After an enlargement the jump may be a fraction.
Branches merge by union, are `aligned` if they share a centre, and must have the same jump.
Gates: a branch whose units all see the whole map (squeeze-and-excitation) leaves the size, jump
    and start of the other branches as they are and sets `gated`.

This is the theoretical field, what a unit *can* see. How much each pixel counts is the effective
field, see :mod:`cvlab.effective_field`.

Source: A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural
networks", Distill, 2019, doi:10.23915/distill.00021. Their effective stride is the jump, their
effective padding is minus the start. Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cvlab._validate import integers
from cvlab.axis_field import AxisField, Interval, Number, merge_axis, next_field
from cvlab.layer_geometry import INPUT, Layer, Step, link, steps


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive fields of the units of one layer.

    Attributes
    ----------
    name, kind : str
        Of the layer.
    height, width : AxisField
    aligned : bool
        Whether all paths from the image to a unit are centred on the same place.
    gated : bool
        Whether a unit depends, besides its field, on a statistic of the whole map.
    size, jump, start, length : pairs
        Those of height and width.
    """

    name: str
    kind: str
    height: AxisField
    width: AxisField
    aligned: bool = True
    gated: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the field, in pixels."""
        return self.height.size, self.width.size

    @property
    def jump(self) -> tuple[Number, Number]:
        """Pixels from one unit's field to the next one's, down and across."""
        return self.height.jump, self.width.jump

    @property
    def start(self) -> tuple[Number, Number]:
        """Top and left edge of the field of the first unit."""
        return self.height.start, self.width.start

    @property
    def length(self) -> tuple[int, int]:
        """Rows and columns of units."""
        return self.height.length, self.width.length


def receptive_fields(layers: Sequence[Layer], input_size: tuple[int, int]) -> list[ReceptiveField]:
    """Return the receptive field of every layer of a network.

    Parameters
    ----------
    layers : sequence of Layer
        In an order in which every layer comes after its inputs.
    input_size : (int, int)
        Height and width of the image. The sizes do not depend on it (branches that are misaligned
        apart), the starts do: TensorFlow's "same" padding is another for odd and for even maps.

    Returns
    -------
    list of ReceptiveField
        One for each layer.

    Raises
    ------
    ValueError
        If a window does not fit its map, the names do not link up, or branches with different
        jumps or lengths merge.

    Examples
    --------
    >>> stem = [Layer(7, stride=2, padding="same"), Layer(3, stride=2, kind="pooling")]
    >>> print(format_fields(receptive_fields(stem, (224, 224))))
    layer          units  size  jump  start
    convolution 1  112    7     2     -2
    pooling 2      55     11    4     -2
    """
    return [traced.field for traced in trace(layers, input_size)]


def closed_form(
    layers: Sequence[Layer], input_size: tuple[int, int]
) -> tuple[AxisField, AxisField]:
    """Return the fields of the last layer of a chain as sums over its layers, without recurrence.

    With J_l, the product of the strides of the layers before layer l,

        size = 1 + sum_l (taps_l - 1) dilation_l J_l,    start = -sum_l before_l J_l,

    and the jump is the product of all strides (Araujo et al. 2019, section "Single-path networks").

    Raises
    ------
    ValueError
        If the layers are not a chain, if a layer enlarges its map (its units see different numbers
        of pixels in turn: there is no such sum), or if a window does not fit.

    Examples
    --------
    >>> height, width = closed_form([Layer(3, stride=2)] * 4, (127, 127))
    >>> height.size, height.jump, height.start, height.length
    (31, 16, 0, 7)
    """
    _, sources = link(layers)
    if any(source != (position - 1,) for position, source in enumerate(sources)):
        raise ValueError("layers must be a chain, each one the input of the next, got branches")
    size, chain = integers(input_size, "input_size", 1), []
    for layer in layers:
        chain.append(steps(layer, size))
        size = chain[-1][0].length, chain[-1][1].length
    height, width = (_sums([pair[axis] for pair in chain], size[axis]) for axis in (0, 1))
    return height, width


def unit_pixels(
    layers: Sequence[Layer],
    unit: tuple[int, int],
    input_size: tuple[int, int],
    layer: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the columns of the image that one unit sees, exactly.

    The unit is followed back, layer by layer, to the units it reads. Pixels that a dilated or
    strided layer skips are left out, and so is what lies in the padding of any layer. Gates are
    not followed.

    Parameters
    ----------
    layers, input_size
        As in :func:`receptive_fields`.
    unit : (int, int)
        Row and column of the unit.
    layer : str, optional
        Name of its layer; the last layer if not given.

    Returns
    -------
    rows, columns : arrays of int
        In ascending order; empty if the unit sees padding only. A single path sees the product of
        both, a union of branches no more than that (1x7 beside 7x1 is a cross).

    Raises
    ------
    ValueError
        As :func:`receptive_fields`, or if there is no such layer or unit.

    Examples
    --------
    Two dilated convolutions see every second pixel:

    >>> rows, columns = unit_pixels([Layer(3, dilation=2)] * 2, unit=(0, 1), input_size=(9, 10))
    >>> rows, columns
    (array([0, 2, 4, 6, 8]), array([1, 3, 5, 7, 9]))
    """
    traced = trace(layers, input_size)
    names = [step.field.name for step in traced]
    if layer is not None and layer not in names:
        raise ValueError(f"layer must be one of {names}, got {layer!r}")
    last = len(names) - 1 if layer is None else names.index(layer)
    unit = integers(unit, "unit", 0)
    lengths = [step.field.length for step in traced] + [integers(input_size, "input_size", 1)]
    if any(i >= n for i, n in zip(unit, lengths[last], strict=True)):
        raise ValueError(f"unit must lie in a map of {lengths[last]} units, got {unit}")
    rows, columns = (_followed_back(traced[: last + 1], lengths, unit, axis) for axis in (0, 1))
    return rows, columns


def unit_interval(
    layers: Sequence[Layer],
    unit: tuple[int, int],
    input_size: tuple[int, int],
    layer: str | None = None,
) -> tuple[Interval, Interval]:
    """Return the smallest box of the image, ((top, bottom), (left, right)), that one unit sees.

    Parameters and errors are those of :func:`unit_pixels`. The box is clipped at the border and
    half-open: ``image[top:bottom, left:right]``. It is empty if the unit sees padding only.

    Examples
    --------
    >>> unit_interval([Layer(5, padding="same")], unit=(0, 4), input_size=(9, 9))
    ((0, 3), (2, 7))
    """
    rows, columns = unit_pixels(layers, unit, input_size, layer)
    vertical, horizontal = (
        (int(seen[0]), int(seen[-1]) + 1) if seen.size else (0, 0) for seen in (rows, columns)
    )
    return vertical, horizontal


def format_fields(fields: Sequence[ReceptiveField]) -> str:
    """Return a table of receptive fields as text, a line for each layer.

    A single number stands for height and width if they agree.

    Examples
    --------
    >>> layers = [Layer((3, 5), stride=2), Layer(kind="upsampling", stride=2)]
    >>> print(format_fields(receptive_fields(layers, (9, 9))))
    layer          units  size  jump  start
    convolution 1  4x3    3x5   2     0
    upsampling 2   8x6    3x5   1     0
    """
    rows = [["layer", "units", "size", "jump", "start", ""]]
    for field in fields:
        pairs = (field.length, field.size, field.jump, field.start)
        numbers = [f"{h}" if h == w else f"{h}x{w}" for h, w in pairs]
        notes = "" if field.aligned else "misaligned"
        rows.append([field.name, *numbers, f"{notes} {'gated' if field.gated else ''}".strip()])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)


class Traced(NamedTuple):
    """A layer's fields, its steps, and the positions of the inputs through which it sees."""

    field: ReceptiveField
    steps: tuple[Step, Step]
    sources: tuple[int, ...]


def trace(layers: Sequence[Layer], input_size: tuple[int, int]) -> list[Traced]:
    """Run the recurrence through a network; see :func:`receptive_fields`."""
    size = integers(input_size, "input_size", 1)
    image = ReceptiveField(INPUT, INPUT, AxisField(size[0]), AxisField(size[1]))
    done = []
    for layer, name, positions in zip(layers, *link(layers), strict=True):
        incoming = [image if p < 0 else done[p].field for p in positions]
        kept = _local_branches(incoming)
        merged = _merge(name, [incoming[i] for i in kept])
        try:
            axes = steps(layer, merged.length)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        field = ReceptiveField(
            name,
            layer.kind,
            next_field(merged.height, axes[0]),
            next_field(merged.width, axes[1]),
            aligned=merged.aligned,
            gated=layer.kind == "gate"
            or len(kept) < len(incoming)
            or any(branch.gated for branch in incoming),
        )
        done.append(Traced(field, axes, tuple(positions[i] for i in kept)))
    return done


def _local_branches(fields):
    """Return the positions of the branches that keep their place; the others are gates."""
    longest = max(field.length for field in fields)
    local = [
        i
        for i, field in enumerate(fields)
        if field.jump != (0, 0) and (field.length != (1, 1) or longest == (1, 1))
    ]
    return local or [i for i, field in enumerate(fields) if field.length == longest]


def _merge(name, fields):
    """Return the smallest field that holds those of all branches, unit by unit."""
    if len(fields) == 1:
        return fields[0]
    for what in ("jump", "length"):
        values = [getattr(field, what) for field in fields]
        if len(set(values)) > 1:
            found = " and ".join(str(value) for value in dict.fromkeys(values))
            raise ValueError(f"{what} of the branches that {name!r} merges must agree, got {found}")
    height = merge_axis([field.height for field in fields])
    width = merge_axis([field.width for field in fields])
    centred = len({(field.height.centre, field.width.centre) for field in fields}) == 1
    aligned = centred and all(field.aligned for field in fields)
    return ReceptiveField(name, "merge", height, width, aligned)


def _sums(chain, length):
    """Return the closed form along one axis."""
    if any(step.stretch > 1 for step in chain):
        raise ValueError("layers must not enlarge their map, got an upsampling or the like")
    jumps = [math.prod(step.stride for step in chain[:position]) for position in range(len(chain))]
    weighted = list(zip(chain, jumps, strict=True))
    size = 1 + sum((step.taps - 1) * step.dilation * jump for step, jump in weighted)
    start = -sum(step.before * jump for step, jump in weighted)
    return AxisField(length, ((start, start + size),), math.prod(step.stride for step in chain))


def _followed_back(traced, lengths, unit, axis):
    """Return the pixels along one axis that a unit of the last traced layer sees."""
    seen = [set() for _ in lengths]  # the last one is the image, whose position is -1
    seen[len(traced) - 1] = {unit[axis]}
    for position in reversed(range(len(traced))):
        step = traced[position].steps[axis]
        read = {i for u in seen[position] for i in step.reads(u)}
        for source in traced[position].sources:
            seen[source] |= {i for i in read if 0 <= i < lengths[source][axis]}
    return np.array(sorted(seen[-1]), dtype=int)
