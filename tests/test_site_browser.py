"""Checks of the built site in a browser: every page, wide and narrow, light and dark.

Skipped without Chromium or the packages of tests/package.json, except where CI is set.
"""

from __future__ import annotations

import io
import json
import os
from urllib.parse import unquote, urlsplit

import pytest
import site_browser
from needs import missing
from pypdf import PdfReader
from selenium.webdriver.common.keys import Keys
from site_pages import ROOT, SITE, budget, chapters, compressed, documents, pages, slides, soup

WIDE, NARROW = 1280, 390
CHAPTER = "chapters/02-convolution.html"
SHARES = range(12)  # of the pages, one after the other to each: no browser waits long for another
SILENT = "return document.querySelectorAll('mjx-container:not(:has(math))').length"
FIGURES = {".png", ".jpg", ".jpeg", ".webp", ".svg", ".ico"}
FOCUSED = "const e = document.activeElement; return "
# A button may show itself by what it holds.
IN_SIGHT = """
const e = document.activeElement;
return [e, ...e.children].map(part => part.getBoundingClientRect()).some(
  box => box.width > 0 && box.height > 0 && box.top < innerHeight && box.bottom > 0);
"""
OUTLINED = """
const e = document.activeElement;
return [e, ...e.children].map(part => getComputedStyle(part)).some(
  style => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
"""

pytestmark = pytest.mark.skipif(
    not SITE.is_dir() and "CI" not in os.environ,
    reason=f"the site is not built: run `make book` (looked in {SITE})",
)


@pytest.fixture(scope="module")
def browser():
    if site_browser.browser_path() is None:
        missing("no Chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    chromium = site_browser.Browser()
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def auditor(browser):
    if not site_browser.AXE.exists():
        missing("no axe-core: npm ci --prefix tests (needs Node)")
    return browser


@pytest.fixture(scope="module")
def server():
    with site_browser.served(SITE) as address:
        yield address


# Every page


@pytest.mark.parametrize("share", SHARES)
def test_pages_work_wide_and_narrow_light_and_dark(auditor, server, share):
    problems = [
        (page, *problem)
        for page in pages()[share :: len(SHARES)]
        for problem in visit(auditor, server, page)
    ]
    assert problems == []


def visit(browser, server: str, page: str):
    """Look at a page in both themes and at both widths, and yield what is wrong with it."""
    browser.open(server + page, WIDE, "light")
    if browser.script("return document.querySelectorAll('mjx-merror').length"):
        yield "formula", "an error of MathJax"
    if browser.script(SILENT):
        yield "formula", "no MathML for screen readers"
    browser.thin()
    for width, theme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark"), (NARROW, "light")):
        browser.resize(width)
        browser.colour(theme)
        if not browser.wait_for(f"return document.documentElement.dataset.theme === '{theme}'"):
            yield theme, "the theme does not follow the system"
        if theme == "light":
            yield from ((width, "sticks out", wide) for wide in browser.wide_elements())
        # All rules at each width; in the dark, those that look at colours.
        rules = () if theme == "light" else site_browser.COLOUR_RULES
        yield from ((width, theme, found) for found in browser.audit(rules))
    asked, failed = browser.traffic()
    yield from (("outside", address) for address in asked if not address.startswith(server))
    yield from (("failed", address) for address in failed)
    yield from (("console", message) for message in browser.messages())
    paths = {SITE / unquote(urlsplit(a.removeprefix(server)).path) for a in asked}
    size = sum(compressed(p) for p in paths if p.is_file() and p.suffix not in FIGURES)
    if not 20_000 < size <= budget(page):
        yield "bytes", size


@pytest.mark.parametrize("share", SHARES)
def test_slides_work_wide_and_narrow(auditor, server, share):
    problems = []
    for page in slides()[share :: len(SHARES)]:
        for width in (WIDE, NARROW):
            auditor.open(server + page, width)
            asked, failed = auditor.traffic()
            problems += [(page, "outside", a) for a in asked if not a.startswith(server)]
            problems += [(page, "failed", a) for a in failed]
            auditor.thin()
            problems += [(page, width, found) for found in auditor.audit()]
            problems += [(page, "console", message) for message in auditor.messages()]
    assert problems == []


def test_documents_open_from_the_file_system(browser):
    problems = []
    reference = [name for name in documents() if name.startswith("book/api/")]
    for name in ("search", *(n for n in documents() if n not in reference[2:])):
        browser.open((SITE / f"{name}.html").resolve().as_uri())
        asked, failed = browser.traffic()
        problems += [(name, a) for a in asked if not a.startswith("file:")]
        problems += [(name, a) for a in failed]
        problems += [(name, message) for message in browser.messages()]
    assert not problems


def test_figures_are_shown_as_they_are_in_the_dark(browser, server):
    for name in chapters():
        browser.open(f"{server}{name}.html", theme="dark")
        styles = browser.script(
            "return [...document.querySelectorAll('.cell_output img')]"
            ".map(i => [getComputedStyle(i).filter, getComputedStyle(i).backgroundColor])"
        )
        assert styles
        assert {tuple(style) for style in styles} == {("none", "rgb(255, 255, 255)")}


def test_solutions_of_exercises_are_closed_until_asked_for(browser, server):
    exercises = [name for name in documents() if name.startswith("book/exercises/")]
    assert exercises
    for name in exercises:
        browser.open(f"{server}{name}.html")
        state = browser.script(
            "return [...document.querySelectorAll('details.hide')].map(d => d.open)"
        )
        assert state
        assert not any(state)


# Search


@pytest.mark.parametrize("term", ["stride", "receptive field", "Grad-CAM", "logit"])
@pytest.mark.parametrize("address", ["server", "file"])
def test_search_finds_a_term_of_the_glossary(browser, server, address, term):
    start = server if address == "server" else SITE.resolve().as_uri() + "/"
    browser.open(f"{start}search.html?q={term.replace(' ', '+')}")
    found = f"""return [...document.querySelectorAll("#search-results a")].some(
      a => a.href.endsWith("glossary.html#term-{term.replace(" ", "-")}"))"""
    assert browser.wait_for(found), "the glossary is not among the results"
    assert not browser.messages()


# Keyboard


def test_the_first_tab_stop_leads_past_the_navigation(browser, server):
    browser.open(server + CHAPTER)
    browser.press(Keys.TAB)
    assert browser.script(FOCUSED + "e.getAttribute('href')") == "#main-content"
    assert browser.wait_for(FOCUSED + "e.getBoundingClientRect().top >= 0")
    browser.press(Keys.ENTER)
    browser.press(Keys.TAB)
    assert browser.script(FOCUSED + "document.querySelector('#main-content').contains(e)")


def test_tab_stops_come_in_the_order_of_the_page_and_show_where_they_are(browser, server):
    browser.open(server + CHAPTER)
    browser.script("window.stops = []")
    for _ in range(40):
        browser.press(Keys.TAB)
        stop = browser.script(FOCUSED + "(stops.push(e), e.outerHTML.slice(0, 120))")
        assert browser.wait_for(IN_SIGHT), stop
        assert browser.script(OUTLINED), stop
    assert browser.script("return new Set(stops).size") == 40
    # The page's order, apart from the sidebar, which the theme places before the text.
    assert browser.script(
        """return stops.slice(1).every((e, i) =>
          stops[i].compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)"""
    )


def test_the_sidebar_of_a_telephone_opens_and_closes_by_keyboard(auditor, server):
    auditor.open(server + CHAPTER, NARROW)
    auditor.script("document.querySelector('button.primary-toggle').focus()")
    auditor.press(Keys.ENTER)
    opened = "return document.querySelector('#pst-primary-sidebar-modal').open"
    assert auditor.wait_for(opened)
    assert auditor.script(
        FOCUSED + "document.querySelector('#pst-primary-sidebar-modal').contains(e)"
    )
    auditor.thin()
    assert auditor.audit() == []
    auditor.press(Keys.ESCAPE)
    assert auditor.wait_for(opened.replace("return ", "return !"))
    assert auditor.wait_for(FOCUSED + "e.classList.contains('primary-toggle')")


def test_search_opens_by_keyboard_and_leads_to_the_results(auditor, server):
    auditor.open(server + CHAPTER)
    auditor.press(Keys.CONTROL, "k")
    assert auditor.wait_for("return document.querySelector('#pst-search-dialog').open")
    auditor.thin()
    assert auditor.audit() == []
    field = auditor.driver.switch_to.active_element
    field.send_keys("stride", Keys.ENTER)
    assert auditor.wait_for("return location.href.includes('search.html?q=stride')")


def test_code_is_copied_as_it_stands_in_the_notebook(browser, server):
    cells = json.loads((ROOT / CHAPTER.replace(".html", ".ipynb")).read_text("utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    browser.open(server + CHAPTER)
    browser.script("addEventListener('copy', e => { window.copied = e.target.value; }, true)")
    buttons = (
        "[...document.querySelectorAll('.cell_input .copybtn')].filter(b => b.checkVisibility())"
    )
    assert browser.script(f"return {buttons}.length") > 5
    for number in range(3):
        browser.script(f"window.copied = null; {buttons}[{number}].focus()")
        browser.press(Keys.ENTER)
        assert browser.wait_for("return window.copied")
        assert browser.script("return copied").strip() in {source.strip() for source in sources}


# Print


def test_a_chapter_prints_as_text_without_the_furniture_of_the_site(browser, server):
    browser.open(server + CHAPTER)
    printed = PdfReader(io.BytesIO(browser.pdf(printBackground=True)))
    text = " ".join(" ".join(page.extract_text() for page in printed.pages).split())
    assert 10 < len(printed.pages) < 80
    for heading in soup(CHAPTER).select("article h1, article h2"):
        words = heading.get_text().removesuffix("#").strip()
        assert words in text, words
    for furniture in ("Skip to main content", "Back to top", "Search the book", "Next"):
        assert furniture not in text, furniture
