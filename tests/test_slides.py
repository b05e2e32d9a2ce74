"""The slides: which cells they show, and that they load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import nbformat
import pytest
import site_browser
from bs4 import BeautifulSoup
from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))

from book_site import slides as pages

from tools import slides
from tools.common import ROOT, chapters, config, read

NAMES = [path.stem for path in chapters()]
TYPES = {"slide", "subslide", "fragment", "notes", "skip"}
FETCHING = {"src", "srcset", "data", "poster", "action", "background"}


def notebook(name: str) -> nbformat.NotebookNode:
    return read(ROOT / "chapters" / f"{name}.ipynb")


@cache
def page(name: str) -> BeautifulSoup:
    return BeautifulSoup(slides.to_html(notebook(name), name), "html.parser")


def images(cells) -> list[str]:
    """Alternative texts of all images that some cells put out."""
    return [
        metadata.get("alt", "")
        for cell in cells
        for output in cell.get("outputs", [])
        for mime, metadata in output.get("metadata", {}).items()
        if mime.startswith("image/")
    ]


# Which cells of the chapters are marked


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_is_marked_from_its_title_to_its_summary(name):
    cells = notebook(name).cells
    marked = [cell for cell in cells if slides.slide_type(cell) not in (None, "skip")]
    assert marked, "mark the cells for slides: metadata slideshow.slide_type"
    assert marked[0] is cells[0]
    assert marked[-1] is cells[-1]
    assert {slides.slide_type(cell) for cell in marked} <= TYPES
    assert all(set(cell.metadata.slideshow) == {"slide_type"} for cell in marked)
    assert not [c for c in marked if "setup" in c.metadata.get("tags", [])]


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_has_some_ten_slides_with_predictions_pictures_and_claims(name):
    across = page(name).select(".slides > section")
    assert 8 <= len(across) <= 18
    text = page(name).select_one(".slides").get_text()
    assert "After this chapter you can" in text
    assert len(page(name).select("blockquote > p > strong")) >= 4  # predictions
    assert page(name).find("h2", string="Summary")
    assert not page(name).find("h2", string=re.compile("Exercises|References"))
    assert len(page(name).select("img")) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_pictures_keep_their_alternative_texts(name):
    shown = [image["alt"] for image in page(name).find_all("img")]
    assert shown == images(slides.marked(notebook(name)))
    assert all(len(alt) >= 40 for alt in shown)


# What the pages load


@pytest.mark.parametrize("name", NAMES)
def test_slides_load_nothing_from_elsewhere(name):
    asked = [tag[key] for tag in page(name).find_all(True) for key in FETCHING if key in tag.attrs]
    asked += [link["href"] for link in page(name).find_all("link")]
    own = {address for address in asked if not address.startswith("data:image/")}
    assert all(address.startswith("../_static/") for address in own)
    assert all((ROOT / "book" / address[3:]).is_file() for address in own)
    assert {Path(address).name for address in own} >= {"reveal.js", "notes.js", "tex-chtml.js"}
    scripts = "".join(script.text for script in page(name).find_all("script"))
    styles = "".join(style.text for style in page(name).find_all("style"))
    assert "//" not in scripts
    assert "url(" not in styles
    assert "@import" not in styles


@pytest.mark.parametrize("sheet", ["reveal/reveal.css", "slides.css", "quiz.css"])
def test_stylesheets_load_nothing_from_elsewhere(sheet):
    text = (ROOT / "book/_static" / sheet).read_text(encoding="utf-8")
    assert "@import" not in text
    assert all(a.startswith("data:") for a in re.findall(r"url\(\s*['\"]?([^'\")]+)", text))


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_pages_of_the_book(name):
    for link in page(name).find_all("a", href=True):
        parts = urlsplit(link["href"])
        if parts.scheme or not parts.path:
            continue
        source = ROOT / parts.path.removeprefix("../").removesuffix(".html")
        assert parts.path.startswith("../"), parts.path
        found = [source.with_name(source.name + end) for end in (".md", ".ipynb")]
        assert any(path.exists() for path in found), link["href"]


def test_the_page_has_a_title_a_description_and_a_way_back():
    head = page("02-convolution").head
    assert head.title.text == f"Convolution: slides | {config()['title']}"
    assert len(head.find("meta", attrs={"name": "description"})["content"]) > 40
    back = page("02-convolution").select_one("main > a.to-chapter")
    assert back["href"] == "../chapters/02-convolution.html"


# What a slide shows of a cell


def cell(source: str, kind: str | None = None, outputs=None):
    new = nbformat.v4.new_code_cell if outputs is not None else nbformat.v4.new_markdown_cell
    made = new(source, outputs=outputs) if outputs is not None else new(source)
    if kind:
        made.metadata["slideshow"] = {"slide_type": kind}
    return made


def image(alt: str):
    return nbformat.v4.new_output(
        "display_data", {"image/png": "aGk="}, metadata={"image/png": {"alt": alt}}
    )


def stream(text: str):
    return nbformat.v4.new_output("stream", text=text)


def shown(*cells) -> list[tuple[str, str]]:
    """Types and texts of the deck."""
    deck = slides.deck(nbformat.v4.new_notebook(cells=list(cells)))
    return [(slides.slide_type(c), c.source) for c in deck.cells]


def test_cells_that_are_not_marked_are_left_out():
    text = [cell("# A\n\n- x", "slide"), cell("unmarked"), cell("- y", "skip"), cell("- z", "-")]
    assert shown(*text) == [("slide", "# A\n\n- x")]


def test_paragraphs_become_notes_and_what_leads_to_a_prediction_stays():
    text = "## A\n\nFirst.\n\nSecond.\n\n> **Predict.** What?\n\nThird."
    assert shown(cell(text, "slide")) == [
        ("slide", "## A\n\nSecond.\n\n> **Predict.** What?"),
        ("notes", "First.\n\nThird."),
    ]


def test_a_heading_alone_keeps_its_first_paragraph():
    assert shown(cell("## A\n\nFirst.\n\nSecond.", "slide")) == [
        ("slide", "## A\n\nFirst."),
        ("notes", "Second."),
    ]


def test_lists_tables_formulas_and_code_are_shown():
    blocks = ["- a\n- b", "1. c", "| x | y |\n| --- | --- |\n| 1 | 2 |", "$$\na = b\n$$"]
    blocks.append("```python\nx = 1\n```")
    text = "\n\n".join(["## A", *blocks])
    assert shown(cell(text, "slide")) == [("slide", text)]


def test_what_stands_before_a_heading_belongs_to_the_slide_before():
    text = "It was 3.\n\n## B\n\n$$x$$"
    assert shown(cell("# A\n\n- x", "slide"), cell(text, "slide")) == [
        ("slide", "# A\n\n- x"),
        ("notes", "It was 3."),
        ("slide", "## B\n\n$$x$$"),
    ]


def test_a_lower_heading_in_the_same_cell_begins_a_slide_below():
    text = "## A\n\n- x\n\n### B\n\n- y"
    assert [kind for kind, _ in shown(cell(text, "slide"))] == ["slide", "subslide"]
    assert [kind for kind, _ in shown(cell("### B\n\n- y", "slide"))] == ["slide"]


def test_headings_in_a_row_stay_together():
    text = "## A\n\n### B\n\n- y"
    assert shown(cell(text, "slide")) == [("slide", "## A\n\n### B\n\n- y")]


def test_exercises_and_references_are_left_out():
    names = ("Misconceptions", "Exercises", "Summary", "References")
    text = "\n\n".join(f"## {name}\n\n- {name[0]}" for name in names)
    assert [source for _, source in shown(cell(text, "slide"))] == [
        "## Misconceptions\n\n- M",
        "## Summary\n\n- S",
    ]


def test_a_slide_without_a_heading_repeats_that_of_its_section():
    found = shown(cell("## A $x$\n\n- x", "slide"), cell("$$y$$", "subslide"))
    assert found[1] == ("subslide", '<div class="section">\n\nA $x$\n\n</div>')
    assert found[2] == ("-", "$$y$$")


def test_fragments_stay_on_their_slide():
    found = shown(cell("## A\n\n- x", "slide"), cell("f()", "fragment", [stream("3")]))
    assert [kind for kind, _ in found] == ["slide", "fragment"]


def test_what_is_too_long_goes_on_on_the_next_slide():
    table = "| a |\n| --- |\n" + "\n".join("| 1 |" for _ in range(slides.LINES - 3))
    found = shown(cell(f"## A\n\n{table}\n\n- x\n- y", "slide"))
    assert [kind for kind, _ in found] == ["slide", "subslide", "-"]
    assert found[-1][1] == "- x\n- y"


def deck_of(*outputs):
    cells = [cell("## A\n\n- x", "slide"), cell("f()", "subslide", list(outputs))]
    return slides.deck(nbformat.v4.new_notebook(cells=cells)).cells[1:]


def test_code_shows_what_it_puts_out_or_else_itself():
    _, with_output = deck_of(stream("3"))
    assert with_output.metadata.transient.remove_source is True
    _, without = deck_of()
    assert "transient" not in without.metadata
    assert without.source == "f()"


def test_each_picture_has_a_slide_of_its_own():
    cells = deck_of(stream("before"), image("one"), stream("between"), image("two"))
    assert [slides.slide_type(c) for c in cells] == ["subslide", "-", "subslide", "-"]
    assert [len(c.outputs) for c in cells if c.cell_type == "code"] == [3, 1]
    assert images(cells) == ["one", "two"]


# In the site


def test_the_list_names_every_chapter_with_slides(monkeypatch):
    noted = []
    env = SimpleNamespace(docname="book/instructors", note_dependency=noted.append)
    directive = pages.SlidesList.__new__(pages.SlidesList)
    directive.state = SimpleNamespace(document=SimpleNamespace(settings=SimpleNamespace(env=env)))
    (items,) = directive.run()
    links = [link["refuri"] for link in items.findall(nodes.reference)]
    assert links == [f"../slides/{name}.html" for name in NAMES]
    assert items.astext().startswith("1 Images and tasks")
    assert len(noted) == len(NAMES)


@pytest.fixture(scope="module")
def browser():
    if site_browser.browser_path() is None:
        message = "no Chromium with chromedriver (Debian: apt-get install chromium chromium-driver)"
        (pytest.fail if "CI" in os.environ else pytest.skip)(message)
    chromium = site_browser.Browser()
    yield chromium
    chromium.close()


OVERFLOWING = """
const found = [];
for (const slide of Reveal.getSlides()) {
  const place = Reveal.getIndices(slide);
  Reveal.slide(place.h, place.v, 99);
  if (slide.scrollHeight > slide.clientHeight + 2 || slide.scrollWidth > slide.clientWidth + 2)
    found.push([place.h, place.v]);
}
return found;
"""


def test_slides_work_in_a_browser(browser, tmp_path):
    written = slides.write_with_files(tmp_path)
    assert [path.stem for path in written] == NAMES
    problems = []
    with site_browser.served(tmp_path) as server:
        for path in written:
            browser.open(f"{server}{path.name}")
            asked, failed = browser.traffic()
            problems += [(path.stem, "outside", a) for a in asked if not a.startswith(server)]
            problems += [(path.stem, "failed", a) for a in failed]
            over = browser.script(OVERFLOWING)
            problems += [(path.stem, "too long", place) for place in over]
            if browser.script("return document.querySelectorAll('mjx-merror').length"):
                problems.append((path.stem, "formula"))
            problems += [(path.stem, "console", message) for message in browser.messages()]
    assert not problems


def test_slides_follow_the_colours_of_the_system_and_can_be_read_on_a_telephone(browser, tmp_path):
    slides.write_with_files(tmp_path)
    with site_browser.served(tmp_path) as server:
        for theme, bright in (("light", True), ("dark", False)):
            browser.open(f"{server}02-convolution.html", width=390, theme=theme)
            color = browser.script("return getComputedStyle(document.body).backgroundColor")
            assert (int(re.search(r"\d+", color)[0]) > 128) is bright
            assert browser.script("return Reveal.isScrollView()")
            assert browser.wide_elements() == []
            size = browser.script(
                "return parseFloat(getComputedStyle(document.querySelector('.reveal')).fontSize)"
                " * Reveal.getScale()"
            )
            assert size >= 14
