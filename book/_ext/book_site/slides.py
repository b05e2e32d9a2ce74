"""The slides of each chapter, made when the pages are, and the list of them.

The directive ``slides`` lists every chapter that has slides.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools import slides
from tools.common import chapters, read, title


class SlidesList(SphinxDirective):
    """A list of links to the slides of all chapters."""

    def run(self) -> list[nodes.Node]:
        """Return the list; it is made anew whenever a chapter has changed."""
        here, items = posixpath.dirname(self.env.docname), nodes.bullet_list()
        for path in chapters():
            self.env.note_dependency(str(path))
            notebook = read(path)
            if slides.marked(notebook):
                address = posixpath.relpath(f"slides/{path.stem}.html", here)
                name = f"{int(path.stem[:2])} {title(notebook)}"
                link = nodes.reference("", name, internal=True, refuri=address)
                items += nodes.list_item("", nodes.paragraph("", "", link))
        return [items]


def write_slides(app: Sphinx, error: Exception | None) -> None:
    """Write the slides of every chapter beside the pages."""
    if error is None and app.builder.format == "html":
        slides.write(Path(app.outdir, "slides"))


def setup(app: Sphinx) -> None:
    """Add the directive, and listen to the builder."""
    app.add_directive("slides", SlidesList)
    app.connect("build-finished", write_slides)
