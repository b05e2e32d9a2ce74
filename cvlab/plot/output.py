"""The look of the book's figures, and the one way to show them.

Conventions
-----------
Width    7 inches, text of 9 points or more: legible when a phone halves the figure
Colours  an opaque white card, lines in Okabe and Ito's palette: reads on light and dark pages
Text     every figure is shown with an alternative text
Bytes    the same figure gives the same picture
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
_MAX_PNG_BYTES = 60_000


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

    The text becomes ``metadata[kind]["alt"]`` of the output, where the kind is "image/png" or
    "image/jpeg", and its plain-text form.
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

    mime, picture = encoded(figure)
    display(
        {mime: base64.b64encode(picture).decode(), "text/plain": alt.strip()},
        metadata={mime: {"alt": alt.strip()}},
        raw=True,
    )


def encoded(figure: Figure) -> tuple[str, bytes]:
    """Return the kind and the bytes of a small picture of a figure, 840 pixels wide.

    A PNG with a palette of 256 colours, which keeps lines and flat areas exact; where that would
    take more than 60,000 bytes, as photographs do, a JPEG. The same figure gives the same bytes:
    no date, no version, no other metadata.

    Examples
    --------
    >>> from cvlab.plot import image_grid
    >>> mime, picture = encoded(image_grid([[[0, 1]]]))
    >>> mime, picture[1:4]
    ('image/png', b'PNG')
    """
    from PIL import Image

    rendered = _render(figure)
    png = _saved(rendered.quantize(256, method=Image.Quantize.MEDIANCUT), "png")
    if len(png) <= _MAX_PNG_BYTES:
        return "image/png", png
    return "image/jpeg", _saved(rendered, "jpeg", quality=75, progressive=True)


def _render(figure):
    """Return a figure as an RGB picture in the book's style."""
    from PIL import Image

    full = io.BytesIO()
    engine = figure.get_layout_engine()
    with book_style():
        figure.savefig(full, format="png", pil_kwargs={"compress_level": 1})
    figure.set_layout_engine(engine or "none")  # savefig puts the style's in place of none
    return Image.open(full).convert("RGB")


def _saved(picture, kind, **options) -> bytes:
    """Return the bytes of a picture as a file of some kind."""
    file = io.BytesIO()
    picture.save(file, kind, optimize=True, **options)
    return file.getvalue()
