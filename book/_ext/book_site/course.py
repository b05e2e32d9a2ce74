"""A site without solutions, for a course: what its pages say and lead to.

With ``book_course`` set, links to an exercise notebook lead to the student version: the solved one
is no page of that site.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

LINK = re.compile(r"(\]\([^)\s]*exercises/)source(/)")
SOLVED = "This page shows the tasks and, on demand, a solution."


def without_solutions(text: str) -> str:
    """Return the source of a page as a course shows it."""
    return LINK.sub(r"\1release\2", text).replace(SOLVED, "This page shows the tasks.")


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Change the source of every page if the site is for a course."""
    if app.config.book_course:
        source[0] = without_solutions(source[0])


def setup(app: Sphinx) -> None:
    """Add the setting."""
    app.add_config_value("book_course", False, "env", types=(bool,))
    app.connect("source-read", read_source)
