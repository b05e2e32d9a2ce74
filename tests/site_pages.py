"""The built site as files: its pages, what they load and what they lead to.

The site is where `make book` puts it, or where the environment's CVLAB_SITE says.
"""

from __future__ import annotations

import gzip
import os
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("CVLAB_SITE", ROOT / "build" / "_build" / "html"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
BUDGET_WITH_MATHS, BUDGET = 700_000, 400_000
FETCHED = {"stylesheet", "icon", "preload", "preconnect", "prefetch", "manifest"}


@cache
def soup(page: str) -> BeautifulSoup:
    """Return a page of the site, parsed."""
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


@cache
def pages() -> tuple[str, ...]:
    """Return every page but slides and the front door, which only leads to the first page."""
    found = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
    assert "index.html" in found, f"no site in {SITE}"
    return tuple(page for page in found if page != "index.html" and page not in slides())


@cache
def slides() -> tuple[str, ...]:
    """Return the pages that are slides: they stand alone, without the frame of the site."""
    return tuple(sorted(p.relative_to(SITE).as_posix() for p in SITE.glob("slides/*.html")))


@cache
def documents() -> tuple[str, ...]:
    """Return the names of the pages listed in the table of contents, without suffix."""
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))

    def names(entry: dict):
        yield from [entry["file"]] if "file" in entry else []
        yield from [entry["root"]] if "root" in entry else []
        for key in ("parts", "chapters", "sections"):
            for child in entry.get(key, []):
                yield from names(child)

    return tuple(names(toc))


def chapters() -> list[str]:
    """Return the names of the chapters among the documents."""
    return [name for name in documents() if name.startswith("chapters/")]


def target(page: str, address: str) -> tuple[Path, str]:
    """Return the file and the anchor that an address on a page leads to."""
    parts = urlsplit(address)
    path = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
    return path.resolve(), unquote(parts.fragment)


def is_external(address: str) -> bool:
    """Say whether an address leads out of the site."""
    return bool(urlsplit(address).scheme or urlsplit(address).netloc) and not address.startswith(
        ("data:", "mailto:")
    )


@cache
def assets(page: str) -> tuple[str, ...]:
    """Return the addresses that a browser fetches by itself to show the page."""
    parsed = soup(page)
    found = [tag["src"] for tag in parsed.find_all(src=True)]
    found += [
        source.split()[0]
        for tag in parsed.find_all(srcset=True)
        for source in tag["srcset"].split(",")
    ]
    links = parsed.find_all("link", href=True)
    return tuple(found + [link["href"] for link in links if set(link["rel"]) & FETCHED])


@cache
def compressed(path: Path) -> int:
    """Return the size of a file in bytes, as a server sends it."""
    return len(gzip.compress(path.read_bytes(), 6))


def budget(page: str) -> int:
    """Return how many bytes a page may take with all it loads, figures apart."""
    return BUDGET_WITH_MATHS if soup(page).select(".math") else BUDGET
