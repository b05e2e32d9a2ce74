"""The look of the book's figures, and the one way to show them.

Conventions
-----------
Width    7 inches, text of 9 points or more: legible when a phone halves the figure
Colours  an opaque white card, lines in Okabe and Ito's palette: reads on light and dark pages
Text     every figure is shown with an alternative text
Bytes    the same figure gives the same PNG
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = Path(__file__).parents[1] / "book.mplstyle"
WIDTH = 7.0  # inches
_DPI, _LEAST_DPI = 120, 72
_MAX_BYTES = 100_000


def book_style():
    """Return a context in which matplotlib has the look of the book, and no other settings."""
    import matplotlib as mpl

    return mpl.rc_context(fname=STYLE)


def use_style() -> None:
    """Give every matplotlib figure made from now on the look of the book.

    The functions of this module have that look anyway; a chapter's own figures need this.

    Examples
    --------
    >>> use_style()
    """
    import matplotlib as mpl

    mpl.rc_file(STYLE)


def show(figure: Figure, alt: str) -> None:
    """Publish a figure as the output of the notebook cell, with a text for those who cannot see it.

    The text becomes ``metadata["image/png"]["alt"]`` of the output, and its plain-text form.
    The figure is closed. Outside a notebook nothing is displayed.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to show.
    alt : str
        What is to be seen and what it means, in at least 40 characters.

    Raises
    ------
    ValueError
        If `figure` is not a Figure or `alt` is too short.

    Examples
    --------
    >>> from cvlab.plot import image_grid
    >>> figure = image_grid([[[0, 1]]])
    >>> show(figure, alt="One black pixel, and to the right of it one white pixel.")
    """
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise ValueError(f"figure must be a matplotlib Figure, got {type(figure).__name__}")
    if not isinstance(alt, str) or len(alt.strip()) < 40:
        raise ValueError(f"alt must say in 40 characters or more what is to be seen, got {alt!r}")
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return
    from IPython.display import display

    image = base64.b64encode(png_bytes(figure)).decode()
    display(
        {"image/png": image, "text/plain": alt.strip()},
        metadata={"image/png": {"alt": alt.strip()}},
        raw=True,
    )


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as a small PNG with a palette of 256 colours.

    It is 840 pixels wide, less if it would take more than 100,000 bytes, down to 504. The
    same figure gives the same bytes: no date, no version, no other metadata.

    Examples
    --------
    >>> from cvlab.plot import image_grid
    >>> png_bytes(image_grid([[[0, 1]]]))[1:4]
    b'PNG'
    """
    dpi = _DPI
    png = _render(figure, dpi)
    while len(png) > _MAX_BYTES and dpi > _LEAST_DPI:
        dpi = max(_LEAST_DPI, int(0.97 * dpi * (_MAX_BYTES / len(png)) ** 0.5))
        png = _render(figure, dpi)
    return png


def _render(figure, dpi) -> bytes:
    """Return a figure as a PNG of so many dots per inch, in the book's style."""
    from PIL import Image

    full, small = io.BytesIO(), io.BytesIO()
    engine = figure.get_layout_engine()
    with book_style():
        figure.savefig(full, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
    figure.set_layout_engine(engine or "none")  # savefig puts the style's in place of none
    palette = Image.open(full).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT)
    palette.save(small, "png", optimize=True)
    return small.getvalue()
