"""Images: the alternative text that a notebook carries, their size, and when they load."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable

from myst_nb.core.render import NbElementRenderer
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
IMG = re.compile(r"<img\b[^>]*>")
SRC = re.compile(r'\bsrc="([^"]*)"')
SIZED = re.compile(r'\s(?:width|height)="')


def with_alternative_text(render_image: Callable) -> Callable:
    """Wrap myst-nb's renderer: it ignores the text that `cvlab.plot.show` stores."""

    @functools.wraps(render_image)
    def render(self, data):
        images = render_image(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt")
        for image in images:
            if alt:
                image["alt"] = alt
            elif not image.get("alt"):
                LOGGER.warning(
                    "an image has no alternative text: use cvlab.plot.show(figure, alt=...)",
                    location=(self.renderer.document["source"], data.line),
                    type="book_site",
                )
        return images

    return render


def lazy_images(page: str, size_of: Callable[[str], tuple[int, int] | None]) -> str:
    """Give every image of the article its size, and let it load when it comes into view.

    Parameters
    ----------
    page : str
        A page of HTML.
    size_of : callable
        Width and height in pixels of the image at an address of the page, or None.
    """

    def mend(match: re.Match) -> str:
        tag = match[0]
        attributes = ""
        if "loading=" not in tag:
            attributes += ' loading="lazy" decoding="async"'
        source = SRC.search(tag)
        size = size_of(html.unescape(source[1])) if source else None
        if size and not SIZED.search(tag):
            attributes += f' width="{size[0]}" height="{size[1]}"'
        return tag.rstrip("/>").rstrip() + attributes + ">"

    start = page.find("<article")
    return page[:start] + IMG.sub(mend, page[start:]) if start >= 0 else page


def setup(app: Sphinx) -> None:
    """Replace myst-nb's image renderer for this build."""
    if not hasattr(NbElementRenderer.render_image, "__wrapped__"):
        NbElementRenderer.render_image = with_alternative_text(NbElementRenderer.render_image)
