"""Panels of any shapes laid out in rows, with titles, row labels and a colour bar.

Conventions
-----------
Units    inches, measured from the left and, within this module, from the top
Panel    an array (rows, columns) with a colour scale for `imshow`, or (rows, columns, 3)
Order    row by row, as the panels come
Shape    every axes has exactly the shape of its panel: no unused paper
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cvlab._validate import integer
from cvlab.plot._drawing import bare, draw_cells, matching, number_texts, text_size
from cvlab.plot.output import WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 96  # panels in a figure
_TALLEST = 3.6  # height of a panel
_EDGE = 0.06  # around the figure
_GAP = 0.1  # between panels
_LINE = 0.27  # a line of a title, or a row label
_BAR = 1.0  # a colour bar with its numbers and its label


class Panel(NamedTuple):
    """What to draw, and the colour scale: arguments of `imshow`."""

    array: np.ndarray
    scale: dict


def lay_out(panels, titles, columns, rows=None, bar=False) -> tuple[Figure, list[Axes]]:
    """Return a figure 7 inches wide with one empty axes for each panel.

    `rows` holds labels for the rows; `bar` keeps room for a colour bar on the right.
    """
    count = len(panels)
    if count > _MOST:
        raise ValueError(f"at most {_MOST} panels fit in one figure, got {count}")
    columns = min(4, count) if columns is None else integer(columns, "columns", minimum=1)
    columns = min(columns, count)
    titles = matching(titles, "titles", count, "")

    from matplotlib.figure import Figure

    left = _EDGE + (_LINE if rows else 0.0)
    width = (WIDTH - left - _EDGE - (_BAR if bar else 0.0) - _GAP * (columns - 1)) / columns
    shapes = [panel.array.shape for panel in panels]
    tops, heights = [], []
    y = _EDGE
    for start in range(0, count, columns):
        of_row = slice(start, start + columns)
        lines = max(title.count("\n") + 1 if title else 0 for title in titles[of_row])
        tops.append(y + lines * _LINE)
        heights.append(min(_TALLEST, width * max(s[0] / s[1] for s in shapes[of_row])))
        y = tops[-1] + heights[-1] + _GAP
    total = y - _GAP + _EDGE

    figure = Figure(figsize=(WIDTH, total), layout="none")
    axes = []
    for k, (shape, title) in enumerate(zip(shapes, titles, strict=True)):
        row, column = divmod(k, columns)
        scale = min(width / shape[1], heights[row] / shape[0])
        w, h = shape[1] * scale, shape[0] * scale
        x = left + column * (width + _GAP) + (width - w) / 2
        bottom = total - tops[row] - (heights[row] + h) / 2
        ax = figure.add_axes((x / WIDTH, bottom / total, w / WIDTH, h / total))
        ax.set_title(title, pad=5)
        if rows and column == 0:
            ax.set_ylabel(rows[row])
        axes.append(ax)
    return figure, axes


def draw(axes: list[Axes], panels: list[Panel], numbers: bool | None = False) -> None:
    """Draw each panel into its axes; with numbers in the cells, or if they fit (None)."""
    if numbers is not False:
        texts = [number_texts(panel.array) for panel in panels]
        cells = [
            ax.get_position().width * WIDTH / panel.array.shape[1]
            for ax, panel in zip(axes, panels, strict=True)
        ]
        try:
            size = min(text_size(t, cell) for t, cell in zip(texts, cells, strict=True))
        except ValueError:
            if numbers:
                raise
            numbers = False
    for k, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        if numbers is False:
            ax.imshow(panel.array, **panel.scale)
            bare(ax)
        else:
            draw_cells(ax, panel.array, texts[k], size, panel.scale)


def color_bar(figure: Figure, axes: list[Axes], label: str) -> None:
    """Draw the common scale of all panels beside them; arrows where values leave it."""
    low, high = axes[0].images[0].get_clim()
    values = [ax.images[0].get_array() for ax in axes]
    below, above = any(v.min() < low for v in values), any(v.max() > high for v in values)
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    top, bottom = axes[0].get_position().y1, axes[-1].get_position().y0
    margin = 0.09 / figure.get_figheight()  # half the height of the numbers at its ends
    place = (1 - (_BAR - _GAP) / WIDTH, bottom + margin, 0.15 / WIDTH, top - bottom - 2 * margin)
    figure.colorbar(axes[0].images[0], cax=figure.add_axes(place), label=label, extend=extend)
