"""Links from a term to the glossary, where a chapter first sets it in bold.

Chapters are plain Markdown, which Colab shows as it stands: they mark a term by bold type, and
the site makes the first one of each a link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from docutils import nodes
from sphinx.application import Sphinx


def glossary_key(words: str, terms: Mapping[str, object]) -> str | None:
    """Return the glossary's entry for some words, in the singular and in lower case.

    Examples
    --------
    >>> glossary_key("Feature maps", {"feature map": 0})
    'feature map'
    """
    words = " ".join(words.lower().split()).strip(".,:;")
    return next((key for key in (words, words.removesuffix("s")) if key in terms), None)


def link_terms(doctree: nodes.document, terms: Mapping[str, str]) -> None:
    """Wrap the first bold occurrence of each term in a link.

    Parameters
    ----------
    doctree : nodes.document
    terms : mapping of str to str
        The address of each term, as seen from this page.
    """
    seen = set()
    for strong in list(doctree.findall(nodes.strong)):
        key = glossary_key(strong.astext(), terms)
        if key is None or key in seen or isinstance(strong.parent, nodes.reference):
            continue
        seen.add(key)
        link = nodes.reference("", "", internal=True, refuri=terms[key], classes=["term-link"])
        strong.replace_self(link)
        link += strong


def addresses(objects: Mapping, uri_of: Callable[[str], str]) -> dict[str, str]:
    """Return the address of every glossary term among Sphinx's standard objects."""
    return {
        name.lower(): f"{uri_of(page)}#{anchor}"
        for (kind, name), (page, anchor) in objects.items()
        if kind == "term"
    }


def link_chapter(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link the terms of a chapter, once all pages have been read."""
    if page.startswith("chapters/"):
        objects = app.env.get_domain("std").objects
        link_terms(doctree, addresses(objects, lambda to: app.builder.get_relative_uri(page, to)))


def setup(app: Sphinx) -> None:
    """Listen to the builder."""
    app.connect("doctree-resolved", link_chapter)
