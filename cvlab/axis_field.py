"""The receptive fields of a layer along one axis.

Pixels and units count from 0; intervals [first, stop) are half-open.
Unit i sees `size` pixels from start + i * jump on. Those in the padding count too; before the
    image they are negative.
After an enlargement (transposed convolution, upsampling) units see different numbers of pixels in
    turn, and the jump may be a fraction. Everything is exact: whole numbers and fractions.
Two axes, whole networks and tables: :mod:`cvlab.receptive_field`.
Derived in chapter 04-receptive-fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cvlab.layer_geometry import Step

Number = int | Fraction
Interval = tuple[int, int]


@dataclass(frozen=True)
class AxisField:
    """The receptive fields of all units of a layer along one axis.

    Attributes
    ----------
    length : int
        Number of units.
    phases : tuple of (int, int)
        Pixels [first, stop) of the first units. The pattern repeats after them: a single phase
        unless the map was enlarged. A unit that sees nothing has (0, 0).
    shift : int
        Pixels from one repetition to the next; 0 if every unit sees the same.
    """

    length: int
    phases: tuple[Interval, ...] = ((0, 1),)
    shift: int = 1

    @property
    def size(self) -> int:
        """Pixels that a unit sees; if the phases differ, the most that one of them sees."""
        return max(stop - first for first, stop in self.phases)

    @property
    def jump(self) -> Number:
        """Pixels from the field of one unit to that of the next; a mean if the phases differ."""
        return _exact(Fraction(self.shift, len(self.phases)))

    @property
    def start(self) -> int:
        """First pixel of unit 0."""
        return self.phases[0][0]

    @property
    def centre(self) -> Number:
        """Middle of the field of unit 0; with several phases the mean of centre - unit * jump."""
        middles = [
            Fraction(first + stop - 1, 2) - unit * self.jump
            for unit, (first, stop) in enumerate(self.phases)
            if first < stop
        ]
        return _exact(Fraction(sum(middles), max(len(middles), 1)))

    def interval(self, unit: int) -> Interval:
        """Return the pixels [first, stop) of `unit`, without regard to the border.

        Examples
        --------
        >>> AxisField(length=8, phases=((-1, 2),), shift=2).interval(3)
        (5, 8)
        """
        repetition, phase = divmod(unit, len(self.phases))
        first, stop = self.phases[phase]
        moved = repetition * self.shift if first < stop else 0
        return first + moved, stop + moved


def next_field(field: AxisField, step: Step) -> AxisField:
    """Return the field one layer further: the union of the fields of the units it reads.

    Where nothing has been enlarged, this is the recurrence (Araujo et al. 2019)

        size + (taps - 1) dilation jump,    start - before jump,    stride jump.

    Examples
    --------
    >>> step = Step(taps=3, dilation=1, stride=2, stretch=1, before=0, length=4)
    >>> field = next_field(AxisField(length=8), step)
    >>> field.size, field.jump, field.start, field.length
    (3, 2, 0, 4)
    """
    places = len(field.phases) * step.stretch
    repeat = places // math.gcd(places, step.stride)
    phases = tuple(_union(map(field.interval, step.reads(unit))) for unit in range(repeat))
    return AxisField(step.length, phases, field.shift * repeat * step.stride // places)


def merge_axis(fields: Sequence[AxisField]) -> AxisField:
    """Return the union of the fields of several branches, which agree in length and jump.

    Examples
    --------
    >>> merge_axis([AxisField(8, ((-1, 2),)), AxisField(8, ((0, 3),))])
    AxisField(length=8, phases=((-1, 3),), shift=1)
    """
    repeat = math.lcm(*(len(field.phases) for field in fields))
    phases = tuple(_union(field.interval(unit) for field in fields) for unit in range(repeat))
    return AxisField(fields[0].length, phases, int(fields[0].jump * repeat))


def _union(intervals: Iterable[Interval]) -> Interval:
    """Return the smallest interval that holds all of them."""
    seen = [(first, stop) for first, stop in intervals if first < stop]
    if not seen:
        return 0, 0
    return min(first for first, _ in seen), max(stop for _, stop in seen)


def _exact(number):
    """Return a whole fraction as an int, anything else as it is."""
    return number.numerator if number.denominator == 1 else number
