"""The book's own part of the site, a Sphinx extension in small files.

``figures``        alternative texts that notebooks carry, sizes and lazy loading of images
``pages``          descriptions and social titles, scripts that are not used, boxes for predictions
``accessibility``  small repairs of the theme's HTML
``claim_boxes``    claim boxes as places to link to
``derivations``    links between the reference pages and the chapters that derive a function
``terms``          links from a chapter's terms to the glossary
``sitemap``        the list of pages for search engines
``repository``     every address that depends on where the book is kept
``quizzes``        the questions at the end of a chapter, and their files for learning platforms
``slides``         the slides of each chapter
``course``         a site without solutions
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

from book_site import (
    claim_boxes,
    course,
    derivations,
    figures,
    pages,
    repository,
    sitemap,
    terms,
)

ROOT = Path(__file__).resolve().parents[3]


def setup(app: Sphinx) -> dict:
    """Connect the parts; pages are made with the `cvlab` and the tools that lie beside them."""
    sys.path.insert(0, str(ROOT))
    from book_site import quizzes, slides

    own = (figures, pages, claim_boxes, derivations, terms, sitemap, repository, course)
    for part in (*own, quizzes, slides):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
