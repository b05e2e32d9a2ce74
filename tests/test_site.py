"""Checks of the built site as files, every page of it; test_site_browser.py opens them.

These tests do not build the site.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from site_pages import (
    CONFIG,
    ROOT,
    SITE,
    assets,
    budget,
    chapters,
    compressed,
    documents,
    is_external,
    pages,
    soup,
    target,
)

TESTS = Path(__file__).resolve().parent
NODE = shutil.which("node") or "node"
VALIDATOR = TESTS / "node_modules" / "html-validate" / "bin" / "html-validate.mjs"
REPOSITORY = CONFIG["repository"]["url"]
COLAB = "https://colab.research.google.com/github/" + REPOSITORY.removeprefix("https://github.com/")
# fmt: off
TERMS = (
    "activation", "activation-function", "adjoint", "backward-pass", "batch", "bias", "channel",
    "checkerboard-artefact", "convolution", "cross-correlation", "depthwise-convolution",
    "dilation", "epoch", "feature-map", "filter", "finite-differences", "FLOP", "gradient",
    "grouped-convolution", "im2col", "kernel", "linearity", "logit", "loss", "multiply-add",
    "padding", "parameter-sharing", "pointwise-convolution", "receptive-field", "ReLU", "seed",
    "separable-convolution", "softmax", "stride", "tensor", "Toeplitz-matrix",
    "translation-equivariance", "transposed-convolution",
)
# fmt: on

pytestmark = pytest.mark.skipif(
    not SITE.is_dir() and "CI" not in os.environ,
    reason=f"the site is not built: run `make book` (looked in {SITE})",
)


def headings(page: str) -> list:
    return soup(page).find_all("h1")


def notebook(name: str) -> dict:
    return json.loads((ROOT / f"{name}.ipynb").read_text(encoding="utf-8"))


def code_of_chapters():
    for name in chapters():
        for cell in notebook(name)["cells"]:
            if cell["cell_type"] == "code":
                yield "".join(cell["source"])


# What the pages are made of


def test_every_document_of_the_table_of_contents_has_a_page():
    assert not [name for name in documents() if f"{name}.html" not in pages()]


def test_the_front_door_leads_to_the_first_page():
    door = soup("index.html")
    assert door.find("meta", attrs={"http-equiv": "refresh"})["content"] == "0; url=book/index.html"
    assert door.find("a")["href"] == "book/index.html"


def test_no_page_asks_another_host():
    assert not [(page, a) for page in pages() for a in assets(page) if is_external(a)]


def test_no_stylesheet_asks_another_host_and_every_file_it_names_exists():
    problems = []
    for sheet in SITE.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        for address in re.findall(r"url\(\s*['\"]?([^'\")]+)", text):
            if address.startswith(("data:", "#")):
                continue
            missing = not (sheet.parent / urlsplit(address).path).exists()
            if is_external(address) or missing:
                problems.append((sheet.name, address))
        problems += [(sheet.name, rule) for rule in re.findall(r"@import[^;]*//[^;]*", text)]
    assert not problems


def test_neither_thebe_nor_the_icon_script_is_loaded():
    scripts = {a for page in pages() for a in assets(page) if urlsplit(a).path.endswith(".js")}
    assert scripts
    assert not [a for a in scripts if "thebe" in a.lower() or "fontawesome" in a.lower()]
    assert not list(SITE.rglob("fontawesome.js*"))
    assert not list(SITE.rglob("*thebe*"))


def test_every_icon_on_a_page_is_drawn_in_the_stylesheet():
    drawn = set(
        re.findall(r"\.(fa-[\w-]+)[^{}]*\{\s*--icon", (SITE / "_static/icons.css").read_text())
    )
    used = {
        name
        for page in pages()
        for tag in soup(page).select("i, span")
        for name in tag.get("class", [])
        if name.startswith("fa-")
    }
    assert used - drawn == {"fa-solid", "fa-lg"}


def test_every_page_has_exactly_one_search_field_to_open():
    """One in the dialog that opens on demand; the page of results has its own as well."""
    counts = {page: len(soup(page).select("input[type=search]")) for page in pages()}
    assert counts.pop("search.html") == 2
    assert set(counts.values()) == {1}
    assert all(soup(page).select_one("dialog input[type=search]") for page in pages())


def test_formulas_are_set_by_the_copy_of_mathjax_in_the_site():
    with_maths = [page for page in pages() if soup(page).select(".math")]
    assert "book/notation.html" in with_maths
    for page in with_maths:
        scripts = [a for a in assets(page) if "mathjax" in a]
        assert len(scripts) == 1, page
        assert target(page, scripts[0])[0].exists()


# What a page says about itself


def test_every_page_has_a_language_one_heading_and_a_favicon():
    for page in pages():
        assert soup(page).html["lang"] == "en", page
        assert len(headings(page)) == 1, page
        icon = soup(page).find("link", rel="icon")["href"]
        assert target(page, icon)[0].exists(), page


def test_titles_and_descriptions_are_present_and_differ_from_page_to_page():
    titles, descriptions = Counter(), Counter()
    for page in pages():
        (description,) = soup(page).find_all("meta", attrs={"name": "description"})
        properties = {
            m["property"]: m["content"] for m in soup(page).find_all("meta", property=True)
        }
        assert len(description["content"]) >= 40, page
        assert properties["og:title"].strip(), page
        assert properties["og:description"] == description["content"], page
        assert properties["og:image"] == CONFIG["html"]["baseurl"] + "_static/social.jpg"
        titles[soup(page).title.text] += 1
        descriptions[description["content"]] += 1
    assert (SITE / "_static/social.jpg").exists()
    assert [title for title, n in titles.items() if n > 1] == []
    assert [text for text, n in descriptions.items() if n > 1] == []


def test_every_image_has_an_alternative_text_and_figures_have_a_real_one():
    problems = []
    for page in pages():
        for image in soup(page).find_all("img"):
            alt = image.get("alt")
            in_text = image.find_parent("article") is not None
            name = Path(image["src"]).stem
            if alt is None or (in_text and (len(alt) < 40 or name in alt or "_images" in alt)):
                problems.append((page, image["src"], alt))
    assert not problems


def test_figures_load_when_they_come_into_view_and_leave_room_for_themselves():
    figures = [(p, i) for p in pages() for i in soup(p).select("article img")]
    assert figures
    for page, image in figures:
        assert image.get("loading") == "lazy", (page, image["src"])
        assert int(image["width"]) > 0, (page, image["src"])
        assert int(image["height"]) > 0, (page, image["src"])


# Links


def test_every_internal_link_and_anchor_leads_somewhere():
    anchors: dict[Path, set[str]] = {}
    broken = []
    for page in ("index.html", *pages()):
        for link in soup(page).find_all("a", href=True):
            address = link["href"]
            if is_external(address) or address.startswith("mailto:"):
                continue
            path, anchor = target(page, address)
            if not path.is_file():
                broken.append((page, address))
            elif anchor and path.suffix == ".html":
                if path not in anchors:
                    there = soup(path.relative_to(SITE.resolve()).as_posix())
                    anchors[path] = {t["id"] for t in there.find_all(id=True)}
                    anchors[path] |= {t["name"] for t in there.find_all("a", attrs={"name": True})}
                if anchor not in anchors[path]:
                    broken.append((page, address))
    assert not broken


def test_every_claim_leads_to_the_very_box_that_tests_it():
    sections = soup("book/claims.html").select("section section")
    assert len(sections) > 50
    led_to = []
    for section in sections:
        claim = section.find("h2").text.partition(":")[0]
        (link,) = section.select("a[href*='chapters/']")
        path, anchor = target("book/claims.html", link["href"])
        assert anchor == f"claim-{claim}"
        box = soup(path.relative_to(SITE.resolve()).as_posix()).find(id=anchor)
        assert box is not None, (path, anchor)
        assert "claim" in box["class"]
        assert box.strong.text == f"Claim {claim}."
        led_to.append(anchor)
    shown = [box["id"] for name in chapters() for box in soup(f"{name}.html").select(".claim")]
    assert sorted(shown) == sorted(led_to)


def test_every_asset_exists():
    missing = [(p, a) for p in pages() for a in assets(p) if not target(p, a)[0].is_file()]
    assert not missing


def test_ids_are_unique_on_each_page():
    for page in pages():
        counts = Counter(tag["id"] for tag in soup(page).find_all(id=True))
        assert [name for name, n in counts.items() if n > 1] == [], page


def test_notebook_pages_open_in_colab_at_the_right_file():
    for name in documents():
        links = [a["href"] for a in soup(f"{name}.html").select("a.btn-colab-button")]
        if not (ROOT / f"{name}.ipynb").exists():
            assert links == []
            continue
        released = name.replace("book/exercises/source/", "book/exercises/release/")
        assert links == [f"{COLAB}/blob/{CONFIG['repository']['branch']}/{released}.ipynb"]
        assert (ROOT / f"{released}.ipynb").exists()


def test_every_document_has_links_to_edit_it_and_to_report_an_error():
    for name in documents():
        links = [a["href"] for a in soup(f"{name}.html").find_all("a", href=True)]
        assert any(a.startswith(f"{REPOSITORY}/edit/main/{name}.") for a in links), name
        assert any(a.startswith(f"{REPOSITORY}/issues/new") and name in a for a in links), name


def test_links_into_the_repository_lead_to_files_that_exist():
    start = f"{REPOSITORY}/blob/{CONFIG['repository']['branch']}/"
    found = {
        a["href"].removeprefix(start)
        for page in pages()
        for a in soup(page).find_all("a", href=True)
        if a["href"].startswith(start)
    }
    assert found
    assert [path for path in found if not (ROOT / path).exists()] == []


def test_documents_are_chained_by_previous_and_next():
    for before, after in zip(documents(), documents()[1:], strict=False):
        forward = soup(f"{before}.html").select_one(".prev-next-area a.right-next")
        back = soup(f"{after}.html").select_one(".prev-next-area a.left-prev")
        assert target(f"{before}.html", forward["href"])[0] == (SITE / f"{after}.html").resolve()
        assert target(f"{after}.html", back["href"])[0] == (SITE / f"{before}.html").resolve()


# What readers are promised


def test_the_first_page_has_a_card_with_the_minutes_of_every_chapter():
    cards = {}
    for card in soup("book/index.html").select(".chapters .sd-card"):
        path, _ = target("book/index.html", card.select_one("a")["href"])
        cards[path] = card.get_text(" ")
    assert set(cards) == {(SITE / f"{name}.html").resolve() for name in chapters()}
    for name in chapters():
        front = "".join(notebook(name)["cells"][0]["source"])
        minutes = re.search(r"(\d+)\s*min", front)[1]
        assert f"{minutes} min to read" in cards[(SITE / f"{name}.html").resolve()], name


def test_the_glossary_defines_the_terms_of_the_chapters():
    defined = {tag["id"] for tag in soup("book/glossary.html").select("dl.glossary dt[id]")}
    assert [term for term in TERMS if f"term-{term}" not in defined] == []


def test_every_module_that_a_chapter_imports_has_a_reference_page():
    described = {
        tag["id"]
        for page in pages()
        if page.startswith("book/api/")
        for tag in soup(page).select("[id^='module-cvlab.']")
    }
    modules = set()
    for code in code_of_chapters():
        modules |= set(re.findall(r"^from cvlab\.(\w+)", code, re.MULTILINE))
        for names in re.findall(r"^from cvlab import (.+)$", code, re.MULTILINE):
            modules |= {name.split(" as ")[0].strip() for name in names.split(",")}
    assert modules
    wanted = {f"module-cvlab.{name}" for name in modules if not name.startswith("_")}
    assert wanted - described == set()


def test_reference_and_chapters_are_linked_both_ways():
    from_reference = {
        target(page, link["href"])[0]
        for page in pages()
        if page.startswith("book/api/")
        for link in soup(page).select(".derived a")
    }
    assert from_reference == {(SITE / f"{name}.html").resolve() for name in chapters()}
    for name in chapters():
        assert soup(f"{name}.html").select("a[href*='book/api/']"), name


def test_listings_of_public_functions_lead_to_their_reference():
    for name in chapters():
        for listing in soup(f"{name}.html").select(".cell_output span.c1"):
            if re.match(r"# cvlab(\.[a-z]\w*)+$", listing.text):
                assert listing.parent.get("class") == ["to-reference"], (name, listing.text)


def test_downloaded_exercises_hold_no_solution():
    copies = list((SITE / "_sources/book/exercises/source").rglob("*.ipynb"))
    assert len(copies) == sum(name.startswith("book/exercises/") for name in documents())
    for path in copies:
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        assert "HIDDEN TESTS" not in text


def test_every_chapter_can_be_downloaded_as_the_notebook_that_it_is():
    for name in chapters():
        (link,) = soup(f"{name}.html").select("a.btn-download-source-button")
        path, _ = target(f"{name}.html", link["href"])
        assert path.read_bytes() == (ROOT / f"{name}.ipynb").read_bytes(), name


def test_pages_keep_to_their_budget_of_bytes():
    for page in pages():
        files = {target(page, a)[0] for a in assets(page) if re.search(r"\.(css|js)(\?|$)", a)}
        assert sum(map(compressed, {SITE / page, *files})) <= budget(page), page


# What machines read


def test_the_sitemap_lists_every_document_at_its_canonical_address():
    listed = re.findall("<loc>(.*?)</loc>", (SITE / "sitemap.xml").read_text(encoding="utf-8"))
    canonical = [soup(f"{name}.html").find("link", rel="canonical")["href"] for name in documents()]
    assert sorted(listed) == sorted(canonical)
    assert all(address.startswith(CONFIG["html"]["baseurl"]) for address in listed)
    robots = (SITE / "robots.txt").read_text(encoding="utf-8")
    assert f"Sitemap: {CONFIG['html']['baseurl']}sitemap.xml" in robots.splitlines()


def test_every_page_is_valid_html(tmp_path):
    """By html-validate, with those of its rules that are rules of the standard."""
    if not VALIDATOR.exists():
        message = "no html-validate: npm ci --prefix tests (needs Node)"
        (pytest.fail if "CI" in os.environ else pytest.skip)(message)
    report = tmp_path / "report.json"
    options = ["--config", TESTS / "htmlvalidate.json", "--formatter", f"json={report}"]
    run = subprocess.run(
        [NODE, VALIDATOR, *options, "."], cwd=SITE, capture_output=True, text=True, check=False
    )
    assert report.exists(), run.stderr
    results = json.loads(report.read_text(encoding="utf-8"))
    assert [
        (Path(page["filePath"]).name, found["line"], found["message"])
        for page in results
        for found in page["messages"]
    ] == []
