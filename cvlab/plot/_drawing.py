"""What the figures of `cvlab.plot` share: colour scales, numbers in cells, argument checks.

Conventions
-----------
Cells    drawn at the indices of the array: row i, column j has its centre at (j, i)
Colours  with negatives red above zero and blue below, zero white; else from 0 to the largest
Numbers  a real minus sign; all of an array with the same number of decimals
Text     at least 9 points, or a `ValueError`
"""

from __future__ import annotations

import numpy as np

SMALLEST_TEXT = 9  # points


def diverging_map():
    """Return matplotlib's RdBu_r without its darkest ends, on which text cannot be read."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps["RdBu_r"](np.linspace(0.12, 0.88, 256)), "diverging")


def matching(values, name: str, count: int, default=None) -> list:
    """Return `count` values as a list; None gives `count` times the default."""
    if values is None:
        return [default] * count
    values = [values] if isinstance(values, str) else list(values)
    if len(values) != count:
        raise ValueError(f"{name} must have {count} entries, got {len(values)}: {values!r}")
    return values


def real_values(value, name: str, nan: bool = False) -> np.ndarray:
    """Return an array of finite real numbers (NaN allowed if `nan`) with at least one entry."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if np.isinf(array).any() or (np.isnan(array).any() and not nan):
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def color_scale(values: np.ndarray, positive: str = "viridis", cover: float = 1.0) -> dict:
    """Return colour map and limits for `imshow`: diverging if there are negative values.

    `cover` is the fraction of the values that the scale covers; larger ones saturate.
    """
    sizes = np.abs(values[~np.isnan(values)].astype(np.float64))
    limit = np.quantile(sizes, cover, method="higher") if sizes.size else 0.0
    limit = float(limit or sizes.max(initial=0.0)) or 1.0
    if np.nanmin(values, initial=0.0) < 0:
        return {"cmap": diverging_map(), "vmin": -limit, "vmax": limit}
    return {"cmap": positive, "vmin": 0.0, "vmax": limit}


def number_texts(array: np.ndarray, decimals: int | None = None) -> np.ndarray:
    """Return the texts of an array's numbers: with as many decimals as needed, up to 2.

    Examples
    --------
    >>> number_texts(np.array([0.5, -1.0, np.nan])).tolist()
    ['0.5', '−1.0', '']
    """
    if decimals is None:
        rounded = np.round(array.astype(np.float64), 2)
        exact = [np.array_equal(np.round(rounded, d), rounded, equal_nan=True) for d in range(3)]
        decimals = exact.index(True)
    texts = [
        "" if np.isnan(value) else f"{value:.{decimals}f}".replace("-", "−")
        for value in np.round(array.astype(np.float64), decimals).ravel() + 0.0
    ]
    return np.array(texts).reshape(array.shape)


def text_size(texts: np.ndarray, cell: float) -> float:
    """Return the size in points, at most 12, of texts that fit in cells `cell` inches wide."""
    longest = max(1, *(len(text) for text in texts.ravel()))
    size = min(12.0, 72 * cell * min(0.88 / (0.64 * longest), 0.6))
    if size < SMALLEST_TEXT:
        raise ValueError(
            f"numbers of up to {longest} characters cannot be read in cells of {cell:.2f} inches: "
            "draw fewer or smaller arrays, or round to fewer decimals"
        )
    return size


def draw_cells(ax, array: np.ndarray, texts: np.ndarray, size: float, scale: dict) -> None:
    """Draw an array as coloured cells with texts, dark on light and white on dark."""
    image = ax.imshow(np.ma.masked_invalid(array), **scale)
    colors = image.to_rgba(image.get_array())
    luminance = colors[..., :3] @ (0.2126, 0.7152, 0.0722)
    for (row, column), text in np.ndenumerate(texts):
        ink = "#222222" if luminance[row, column] > 0.5 else "white"
        ax.text(column, row, text, color=ink, size=size, ha="center", va="center")
    bare(ax)
    rows, columns = array.shape
    ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="#bbbbbb", linewidth=0.8)
    ax.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="#bbbbbb", linewidth=0.8)


def bare(ax) -> None:
    """Remove ticks and grid, leave a thin frame."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set(visible=True, color="#bbbbbb", linewidth=0.8)
