"""Draw which chapter needs which, as an SVG that takes its colours from the page.

Conventions
-----------
Chapters stand in one column, in the order of the book; an arc on the left leads from a chapter
down to one that needs it. `needs` maps a chapter to the chapters that it needs.
Lengths are in the units of the view box, which a phone shows nearly one to one.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

ROW, COLUMN, WIDTH, RADIUS = 34, 150, 380, 5
_TEXT = "font: 16px system-ui, sans-serif; fill: var(--pst-color-text-base)"
_LINE = "fill: none; stroke: {colour}; stroke-width: 1.6"


def direct(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out what follows from the rest: what a needed chapter itself needs.

    Examples
    --------
    >>> direct({"02": set(), "03": {"02"}, "08": {"02", "03"}})["08"]
    {'03'}
    """

    def behind(chapter: str) -> set[str]:
        return {
            further for needed in needs.get(chapter, set()) for further in {needed} | behind(needed)
        }

    return {
        chapter: needed - {n for other in needed for n in behind(other)}
        for chapter, needed in needs.items()
    }


def describe(titles: Mapping[str, str], arcs: Mapping[str, set[str]]) -> str:
    """Say in words what the drawing shows."""
    ends = [
        f"{titles[start]} to {_listed([titles[c] for c in arcs if start in arcs[c]])}"
        for start in titles
        if any(start in needed for needed in arcs.values())
    ]
    return (
        "The chapters in a column, with an arc from each chapter to those that build on it: "
        + "; ".join(ends)
        + "."
    )


def draw(titles: Mapping[str, str], needs: Mapping[str, set[str]]) -> str:
    """Return the drawing as SVG, with what it shows in words as its label.

    Parameters
    ----------
    titles : mapping
        Number to title, in the order of the book.
    needs : mapping
        Number to the numbers of the chapters needed; those that follow from others are left out.

    Raises
    ------
    ValueError
        If a chapter needs one that has no title.
    """
    if unknown := {n for needed in needs.values() for n in needed} - set(titles):
        raise ValueError(f"needs must name chapters with a title, got {sorted(unknown)}")
    arcs = direct(needs)
    rows = {number: ROW * (row + 0.6) for row, number in enumerate(titles)}
    colours = ("var(--pst-color-primary)", "var(--pst-color-secondary)", "var(--pst-color-success)")
    lines = [
        f'<svg class="prerequisites" viewBox="0 0 {WIDTH} {ROW * len(titles) + 8:g}" '
        f'style="width: 100%; max-width: 30rem" role="img" '
        f'aria-label="{html.escape(describe(titles, arcs))}">'
    ]
    for row, (start, top) in enumerate(rows.items()):
        colour = colours[row % len(colours)]
        lines += [
            _arc(top, rows[end], colour) for end, needed in sorted(arcs.items()) if start in needed
        ]
        lines += [
            f'<circle cx="{COLUMN}" cy="{top:g}" r="{RADIUS}" style="fill: {colour}" />',
            f'<text x="{COLUMN + 14}" y="{top + 5.5:g}" style="{_TEXT}">'
            f"{int(start)} · {html.escape(titles[start])}</text>",
        ]
    return "\n".join([*lines, "</svg>"])


def _arc(top: float, bottom: float, colour: str) -> str:
    """Draw half an ellipse to the left of the column, with an arrowhead at its lower end."""
    end, reach = COLUMN - RADIUS - 1, min(COLUMN - 10, 12 + 0.33 * (bottom - top))
    half = (bottom - 3 - top) / 2
    style = _LINE.format(colour=colour)
    return (
        f'<path d="M {end:g} {top:g} A {reach:g} {half:g} 0 0 0 {end - 6:g} {bottom - 3:g}" '
        f'style="{style}" />'
        f'<path d="M {end:g} {bottom - 3:g} l -8 -4 l 0 8 z" style="fill: {colour}" />'
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
