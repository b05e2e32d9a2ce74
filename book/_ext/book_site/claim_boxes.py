"""Claim boxes as places that pages can link to, such as `chapters/02-convolution.ipynb#claim-C01`.

The box that a cell shows is HTML with an identifier of its own, of which Sphinx knows nothing. Here
it is told, so that a link to a box that no cell shows is a warning, and a warning stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx

BOX = re.compile(r'<div class="claim [^>]*\bid="(claim-\w+)"')


def boxes(doctree: nodes.document) -> Iterator[str]:
    """Yield the identifier of every claim box of a page."""
    for raw in doctree.findall(nodes.raw):
        yield from BOX.findall(raw.astext())


def name_boxes(app: Sphinx, doctree: nodes.document) -> None:
    """Add the boxes to the places of the page that a link may name."""
    places = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for name in boxes(doctree):
        places[name] = (0, name, name.replace("-", " "))


def setup(app: Sphinx) -> None:
    """Listen to the end of reading a page."""
    app.connect("doctree-read", name_boxes)
