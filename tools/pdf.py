"""Print the built site as one PDF, with links between its pages and an outline.

The chapters, their exercises and the pages for reference are put one after the other into a single
page, which headless Chromium prints with the site's own style for paper. The reference of the
package is left out: links to it lead to the published site.

    python -m tools.pdf [FILE]   # after `make book`; default: build/book.pdf
"""

from __future__ import annotations

import argparse
import html
import posixpath
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from tools.common import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from site_browser import Browser, served
from site_pages import CONFIG, SITE, documents

PDF = ROOT / "build" / "book.pdf"
BACK_MATTER = ("book/claims", "book/glossary", "book/notation", "book/references", "book/about")
NOT_PRINTED = "script, .headerlink"
SECONDS = 300
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8pt Georgia, serif">'
    '<span class="pageNumber"></span></div>'
)
STYLE = """
.bd-article { break-before: page; padding: 0; }
.bd-article.title-page { padding-top: 50mm; }
.bd-article.title-page h1 { display: block !important; font-size: 28pt; }
.title-page ol { list-style: none; padding: 0; }
.bd-main { display: block; }
"""


def printed(names: list[str]) -> list[str]:
    """Return the names of the pages that go into the PDF, in the order of the book."""
    body = [name for name in names if name.startswith(("chapters/", "book/exercises/"))]
    return body + [name for name in BACK_MATTER if name in names]


def anchor(name: str, identifier: str = "") -> str:
    """Return the name that a place of one page has among those of all pages."""
    return "--".join([name.replace("/", "-"), *([identifier] if identifier else [])])


def moved(address: str, name: str, names: list[str], base: str) -> str:
    """Return where a link on a page leads once all pages are one.

    Examples
    --------
    >>> pages = ["chapters/02-a", "chapters/03-b"]
    >>> moved("03-b.html#x", "chapters/02-a", pages, "https://example.org/")
    '#chapters-03-b--x'
    >>> moved("../book/api/iou.html", "chapters/02-a", pages, "https://example.org/")
    'https://example.org/book/api/iou.html'
    """
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), parts.path))
    there = path.removesuffix(".html") if parts.path else name
    if there in names:
        return "#" + anchor(there, parts.fragment)
    return base + path + (f"#{parts.fragment}" if parts.fragment else "")


def parsed(name: str) -> BeautifulSoup:
    """Return a page of the site."""
    return BeautifulSoup((SITE / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def article(name: str, names: list[str]) -> BeautifulSoup:
    """Return the text of a page, with its addresses and identifiers made fit for the whole."""
    text = parsed(name).find("article", class_="bd-article")
    for tag in text.select(NOT_PRINTED):
        tag.decompose()
    for tag in text.find_all(id=True):
        tag["id"] = anchor(name, tag["id"])
    for link in text.find_all("a", href=True):
        link["href"] = moved(link["href"], name, names, CONFIG["html"]["baseurl"])
    for image in text.find_all("img"):
        image["src"] = posixpath.normpath(posixpath.join(posixpath.dirname(name), image["src"]))
        del image["loading"]
    text["id"] = anchor(name)
    return text


def single_page(names: list[str]) -> str:
    """Return all pages as one, behind a page with title and contents."""
    articles = {name: article(name, names) for name in names}
    contents = "".join(
        f'<li><a href="#{anchor(name)}">{html.escape(text.h1.get_text())}</a></li>\n'
        for name, text in articles.items()
        if not name.startswith("book/exercises/")
    )
    title, base = html.escape(CONFIG["title"]), CONFIG["html"]["baseurl"]
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-content_root="./">
<head>
<meta charset="utf-8">
<title>{title}</title>
{head(names[0])}
<style>{STYLE}</style>
</head>
<body><main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<article class="bd-article title-page">
<h1>{title}</h1>
<p>{html.escape(CONFIG["author"])}, version {CONFIG["cvlab"]["tag"].removeprefix("v")}</p>
<p>To run and to read online: <a href="{base}">{base}</a></p>
<ol>{contents}</ol>
</article>
{"".join(map(str, articles.values()))}
</div></div></main></body>
</html>
"""


def head(name: str) -> str:
    """Return the style sheets of a page and its settings of MathJax, as seen from the root."""
    page = parsed(name).head
    tags = page.find_all("link", rel="stylesheet")
    tags += [tag for tag in page.find_all("script") if "mathjax" in str(tag).lower()]
    for tag in tags:
        for key in {"href", "src"} & set(tag.attrs):
            tag[key] = posixpath.normpath(posixpath.join(posixpath.dirname(name), tag[key]))
    return "\n".join(map(str, tags))


def print_book(names: list[str]) -> bytes:
    """Return the PDF of some pages of the built site."""
    page = SITE / "print.html"
    page.write_text(single_page(names), encoding="utf-8")
    browser = Browser(seconds=SECONDS)
    try:
        with served(SITE) as address:
            browser.open(address + page.name)
            if broken := browser.script("return document.querySelectorAll('mjx-merror').length"):
                raise SystemExit(f"{broken} formulas could not be set")
            return browser.pdf(
                displayHeaderFooter=True,
                headerTemplate="<span></span>",
                footerTemplate=FOOTER,
                generateDocumentOutline=True,
                preferCSSPageSize=True,
                printBackground=True,
            )
    finally:
        browser.close()
        page.unlink()


def main() -> None:
    """Write the PDF."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=PDF)
    file = parser.parse_args().file
    file.write_bytes(print_book(printed(documents())))
    print(f"{file}: {file.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
