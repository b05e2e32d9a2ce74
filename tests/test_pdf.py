"""The parts of the PDF; test_site_browser.py prints a chapter."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from tools import pdf

NAMES = ["chapters/02-a", "book/exercises/source/02-a/02-a", "book/glossary"]
BASE = pdf.CONFIG["html"]["baseurl"]


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        ("#strides", "#chapters-02-a--strides"),
        ("../book/glossary.html#term-stride", "#book-glossary--term-stride"),
        ("../book/glossary.html", "#book-glossary"),
        ("../book/api/iou.html#cvlab.iou", f"{BASE}book/api/iou.html#cvlab.iou"),
        ("https://example.org/a.html#b", "https://example.org/a.html#b"),
        ("mailto:a@example.org", "mailto:a@example.org"),
    ],
)
def test_a_link_leads_to_the_same_place_when_all_pages_are_one(address, moved):
    assert pdf.moved(address, "chapters/02-a", NAMES, BASE) == moved


def test_exercises_follow_their_chapter_and_reference_pages_are_left_out():
    names = ["book/index", *NAMES[:2], "book/claims", "book/api/iou", "book/glossary", "book/about"]
    assert pdf.printed(names) == [*NAMES[:2], "book/claims", "book/glossary", "book/about"]


PAGE = """<html><head><link rel="stylesheet" href="../_static/a.css">
<script>window.MathJax = {}</script><script src="../_static/mathjax/m.js"></script>
<script src="../_static/other.js"></script></head><body><nav>Menu</nav>
<article class="bd-article"><section id="a"><h1>Title<a class="headerlink" href="#a">#</a></h1>
<p><a href="%s">there</a></p><img src="../_images/x.png" loading="lazy"></section></article>
</body></html>"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "SITE", tmp_path)
    for name, link in (("chapters/02-a", "03-b.html#a"), ("chapters/03-b", "#a")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.html").write_text(PAGE % link, encoding="utf-8")
    return ["chapters/02-a", "chapters/03-b"]


def test_all_pages_become_one_whose_links_and_identifiers_do_not_clash(site):
    whole = BeautifulSoup(pdf.single_page(site), "html.parser")
    identifiers = [tag["id"] for tag in whole.find_all(id=True)]
    assert len(set(identifiers)) == len(identifiers) == 4
    links = [link["href"].removeprefix("#") for link in whole.select("a[href^='#']")]
    assert len(links) == 4
    assert set(links) <= set(identifiers)
    assert [image["src"] for image in whole.find_all("img")] == ["_images/x.png"] * 2
    assert not whole.select("[loading], nav, .headerlink")


def test_the_whole_loads_the_style_and_mathjax_of_the_site_and_nothing_else(site):
    head = BeautifulSoup(pdf.single_page(site), "html.parser").head
    assert [link["href"] for link in head.find_all("link")] == ["_static/a.css"]
    assert [tag.get("src") for tag in head.find_all("script")] == [None, "_static/mathjax/m.js"]
