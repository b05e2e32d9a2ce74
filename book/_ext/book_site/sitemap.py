"""The list of pages for search engines."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx


def sitemap(addresses: Iterable[str]) -> str:
    """Return a sitemap of some addresses (protocol 0.9 of sitemaps.org)."""
    entries = "".join(f"<url><loc>{html.escape(a)}</loc></url>\n" for a in addresses)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
    )


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """Write sitemap.xml, with every document of the book, and the robots.txt that names it.

    A site without an address of its own, such as a course's, has neither.
    """
    base = app.config.html_baseurl
    if error is not None or app.builder.format != "html" or not base:
        return
    addresses = [base + app.builder.get_target_uri(name) for name in sorted(app.env.found_docs)]
    Path(app.outdir, "sitemap.xml").write_text(sitemap(addresses), encoding="utf-8")
    robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
    Path(app.outdir, "robots.txt").write_text(robots, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Listen to the end of the build."""
    app.connect("build-finished", write_sitemap)
