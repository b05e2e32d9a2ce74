"""Small repairs of the HTML that Sphinx and the theme write, for screen readers and keyboards.

Each answers a finding of axe-core or of html-validate, which tests/ runs on every page.
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
    # A summary holds words, no paragraphs.
    (
        re.compile(r'<p class="((?:collapsed|expanded) admonition-title)">(.*?)</p>', re.DOTALL),
        r'<span class="\1">\2</span>',
    ),
    # Nor does a paragraph hold a list.
    (
        re.compile(r'(<dd class="field-\w+">)<p>(<ul class="simple">.*?</ul>)\s*</p>', re.DOTALL),
        r"\1\2",
    ),
    # The printed title repeats the heading of the page.
    (re.compile(r'(<div id="jb-print-docs-body"[^>]*>\s*)<h1>.*?</h1>', re.DOTALL), r"\1"),
)
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
SOURCE = re.compile(r"<pre>(?:(?!</pre>).)*?viewcode-block.*?</pre>", re.DOTALL)


def repair(page: str) -> str:
    """Return the page with every repair made."""
    for pattern, replacement in REPAIRS:
        page = pattern.sub(replacement, page)
    page = SOURCE.sub(plain_blocks, page)
    return SIGNATURE.sub(plain_lines, page)


def plain_blocks(source: re.Match) -> str:
    """Mark the functions of a listing with spans: preformatted text holds no blocks."""
    return source[0].replace("<div", "<span").replace("</div>", "</span>")


def plain_lines(signature: re.Match) -> str:
    """Write the lines of a long signature as lines: they are no definition list."""
    text = signature[0].replace("<dl>", '<div class="sig-lines">').replace("</dl>", "</div>")
    return text.replace("<dd>", "<div>").replace("</dd>", "</div>")
