"""Small arrays drawn with their numbers.

Conventions
-----------
Cells    row 0 on top, column 0 on the left; all cells of a figure have one size
Colours  with negatives red above zero and blue below, else black (0) to white (the largest)
Windows  (row, column, height, width) in cells
Blank    NaN is drawn as an empty cell: not computed yet
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cvlab._validate import integer, integers
from cvlab.plot._drawing import (
    color_scale,
    draw_cells,
    matching,
    number_texts,
    real_values,
    text_size,
)
from cvlab.plot.output import WIDTH, book_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST_CELL = 0.6  # inches
_GAP = 0.3  # inches between arrays
_SIGN = 0.3  # inches more where a sign stands
_LETTER = 0.11  # inches: width of a letter of a title
_LINE = 0.25  # inches: height of a line of a title
_FRAMES = ("#D55E00", "#0072B2", "#009E73")


def number_grid(
    arrays: np.ndarray | Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    signs: Sequence[str] | None = None,
    windows: Sequence | None = None,
    decimals: int | None = None,
    indices: bool = False,
) -> Figure:
    """Draw small arrays of numbers in a row, with frames around windows of cells.

    One call shows one step of a sliding product: the input with its window, the kernel, and
    the output so far, in which cells that hold NaN stay blank.

    Parameters
    ----------
    arrays : array_like
        An array of one or two axes (rows, columns), or a list or tuple of arrays.
    titles : sequence of str, optional
        One for each array.
    signs : sequence of str, optional
        What stands between neighbours, as ``["∗", "="]``: one fewer than arrays.
    windows : sequence, optional
        For each array None, one window (row, column, height, width), or a list of windows.
        The first window of an array has an orange frame, the second blue, the third green.
    decimals : int, optional
        Digits after the point; by default as many as needed, up to 2.
    indices : bool
        Number the rows and the columns.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If an argument does not match the arrays, a window leaves its array, or there are so
        many cells that their numbers could not be read.

    Examples
    --------
    >>> x = np.arange(25).reshape(5, 5)
    >>> figure = number_grid(
    ...     [x, np.ones((3, 3)), np.array([[54]])],
    ...     titles=["input", "kernel", "output"],
    ...     signs=["∗", "="],
    ...     windows=[(0, 0, 3, 3), None, None],
    ... )
    """
    arrays = _number_arrays(arrays)
    titles = matching(titles, "titles", len(arrays), "")
    signs = matching(signs, "signs", len(arrays) - 1, "")
    windows = [
        _windows(given, array.shape)
        for given, array in zip(matching(windows, "windows", len(arrays)), arrays, strict=True)
    ]
    if decimals is not None:
        decimals = integer(decimals, "decimals", minimum=0)

    from matplotlib.figure import Figure

    texts = [number_texts(array, decimals) for array in arrays]
    margin = _LINE if indices else 0.0
    cell, slots = _slots(arrays, titles, signs, margin)
    size = min(text_size(text, cell) for text in texts)
    lines = max(title.count("\n") + 1 if title else 0 for title in titles)
    rows = max(len(array) for array in arrays)
    height = rows * cell + lines * _LINE + margin + 0.2

    with book_style():
        figure = Figure(figsize=(WIDTH, height), layout="none")
        middle = 0.1 + rows * cell / 2  # of all arrays, above the lower edge
        for k, (left, width) in enumerate(slots):
            h, w = arrays[k].shape[0] * cell, arrays[k].shape[1] * cell
            place = (left + (width - w + margin) / 2, middle - h / 2, w, h)
            ax = figure.add_axes([v / s for v, s in zip(place, (WIDTH, height) * 2, strict=True)])
            draw_cells(ax, arrays[k], texts[k], size, color_scale(arrays[k], "gray"))
            ax.set_title(titles[k], pad=20 if indices else 5)
            if indices:
                _number_axes(ax, arrays[k].shape)
            for window, color in zip(windows[k], _FRAMES, strict=False):
                _draw_frame(ax, window, color)
            if k < len(signs) and signs[k]:
                x = (left + width + slots[k + 1][0] + margin) / 2
                figure.text(x / WIDTH, middle / height, signs[k], size=18, ha="center", va="center")
    return figure


def _number_arrays(arrays) -> list[np.ndarray]:
    """Return a list of arrays with two axes."""
    several = list(arrays) if isinstance(arrays, (list, tuple)) else [arrays]
    if not several:
        raise ValueError("arrays must hold at least one array, got none")
    result = []
    for array in several:
        array = real_values(array, "arrays", nan=True)
        if array.ndim not in (1, 2):
            raise ValueError(f"arrays must have one or two axes each, got shape {array.shape}")
        result.append(np.atleast_2d(array))
    return result


def _windows(given, shape) -> list[tuple[int, ...]]:
    """Return the windows of one array as a list, each checked to lie within it."""
    if given is None:
        return []
    several = given if isinstance(given, list) else [given]
    if len(several) > len(_FRAMES):
        raise ValueError(f"windows must hold at most {len(_FRAMES)} per array, got {given!r}")
    result = []
    for window in several:
        row, column, height, width = integers(window, "windows", minimum=0, length=4)
        fits = row + height <= shape[0] and column + width <= shape[1]
        if not fits or height == 0 or width == 0:
            raise ValueError(
                "windows must be (row, column, height, width) within the array, "
                f"got {window!r} for shape {shape}"
            )
        result.append((row, column, height, width))
    return result


def _slots(arrays, titles, signs, margin):
    """Return the side of a cell and, for each array with its title, (left, width), in inches."""
    letters = [max(map(len, title.split("\n"))) for title in titles]
    gaps = [0.0] + [_GAP + (_SIGN if sign else 0.0) for sign in signs]
    cell = _LARGEST_CELL
    while True:
        widths = [
            max(margin + array.shape[1] * cell, _LETTER * n)
            for array, n in zip(arrays, letters, strict=True)
        ]
        total = sum(widths) + sum(gaps)
        if total <= WIDTH - 0.1 or cell < 0.1:
            break
        cell *= 0.98
    lefts = (WIDTH - total) / 2 + np.cumsum(gaps) + np.cumsum([0.0, *widths[:-1]])
    return cell, list(zip(lefts, widths, strict=True))


def _draw_frame(ax, window, color):
    """Frame a window of cells, with a white edge that sets it off from any colour."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    row, column, height, width = window
    ax.add_patch(
        Rectangle(
            (column - 0.5, row - 0.5),
            width,
            height,
            fill=False,
            edgecolor=color,
            linewidth=3.5,
            joinstyle="round",
            clip_on=False,
            zorder=3,
            path_effects=[withStroke(linewidth=6, foreground="white")],
        )
    )


def _number_axes(ax, shape):
    """Write the indices of rows on the left and of columns on top."""
    ax.set(xticks=range(shape[1]), yticks=range(shape[0]))
    ax.tick_params(length=0, labeltop=True, labelbottom=False, labelcolor="#666666", pad=3)
