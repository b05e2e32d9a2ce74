"""Small repairs of the HTML that Sphinx and the theme write, for screen readers and keyboards.

Each line answers a finding of axe-core.
"""

from __future__ import annotations

import re

REPAIRS = (
    # An arrow in the sidebar has no name.
    (
        re.compile(r'<summary>(?=<span class="toctree-toggle")'),
        '<summary aria-label="Pages below">',
    ),
    # The sidebar is no part of the text.
    (
        re.compile(r'<div id="pst-primary-sidebar"'),
        '<div id="pst-primary-sidebar" role="complementary" aria-label="The book"',
    ),
    # A name that differs from the visible text cannot be called by voice.
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),
    (re.compile(r'(<button class="btn search-button-field[^>]*) aria-label="[^"]*"'), r"\1"),
    # The entries of a list are list items.
    (re.compile(r'role="doc-biblioentry"'), 'role="listitem"'),
    # The printed title repeats the heading of the page.
    (re.compile(r'(<div id="jb-print-docs-body"[^>]*>\s*)<h1>.*?</h1>', re.DOTALL), r"\1"),
)
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)


def repair(page: str) -> str:
    """Return the page with every repair made."""
    for pattern, replacement in REPAIRS:
        page = pattern.sub(replacement, page)
    return SIGNATURE.sub(plain_lines, page)


def plain_lines(signature: re.Match) -> str:
    """Write the lines of a long signature as lines: they are no definition list."""
    text = signature[0].replace("<dl>", '<div class="sig-lines">').replace("</dl>", "</div>")
    return text.replace("<dd>", "<div>").replace("</dd>", "</div>")
