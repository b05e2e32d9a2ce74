"""The book's own part of the site, a Sphinx extension in small files.

``figures``        alternative texts that notebooks carry, sizes and lazy loading of images
``pages``          descriptions and social titles, scripts that are not used, boxes for predictions
``accessibility``  small repairs of the theme's HTML
``derivations``    links between the reference pages and the chapters that derive a function
``terms``          links from a chapter's terms to the glossary
``repository``     every address that depends on where the book is kept
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

from book_site import derivations, figures, pages, repository, terms

ROOT = Path(__file__).resolve().parents[3]


def setup(app: Sphinx) -> dict:
    """Connect the parts; the reference pages describe the `cvlab` that lies beside them."""
    sys.path.insert(0, str(ROOT))
    for part in (figures, pages, derivations, terms, repository):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
