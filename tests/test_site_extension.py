"""The site's own Sphinx extension, piece by piece; the built pages are in test_site.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from docutils import nodes
from docutils.core import publish_doctree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))

from book_site import (
    accessibility,
    claim_boxes,
    derivations,
    figures,
    pages,
    repository,
    sitemap,
    terms,
)

from cvlab.claims import claim

# Images


class Renderer:
    renderer = SimpleNamespace(document={"source": "chapter.ipynb"})

    def render_image(self, data):
        return [nodes.image(uri="abc.png", **data.options)]


def image_data(metadata=None, **options):
    return SimpleNamespace(
        mime_type="image/png", output_metadata=metadata or {}, line=3, options=options
    )


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(figures.LOGGER, "warning", lambda text, **_: said.append(text))
    return said


def test_the_alternative_text_of_an_output_reaches_the_image(warnings):
    render = figures.with_alternative_text(Renderer.render_image)
    (image,) = render(Renderer(), image_data({"image/png": {"alt": "A curve that falls."}}))
    assert image["alt"] == "A curve that falls."
    assert warnings == []


def test_an_image_without_any_alternative_text_is_a_warning(warnings):
    render = figures.with_alternative_text(Renderer.render_image)
    (image,) = render(Renderer(), image_data())
    assert "alt" not in image
    assert len(warnings) == 1
    assert "cvlab.plot.show" in warnings[0]


def test_the_alternative_text_of_the_cell_is_kept(warnings):
    render = figures.with_alternative_text(Renderer.render_image)
    (image,) = render(Renderer(), image_data(alt="From the cell."))
    assert image["alt"] == "From the cell."
    assert warnings == []


def test_images_of_the_article_get_a_size_and_load_late():
    page = '<img src="logo.svg"><article><img alt="x" src="a.png" /><p><img src="b.png"></article>'
    mended = figures.lazy_images(page, {"a.png": (640, 480)}.get)
    assert mended == (
        '<img src="logo.svg"><article>'
        '<img alt="x" src="a.png" loading="lazy" decoding="async" width="640" height="480"><p>'
        '<img src="b.png" loading="lazy" decoding="async"></article>'
    )


def test_images_keep_what_they_say_themselves():
    page = '<article><img src="a.png" loading="eager" width="50"></article>'
    assert figures.lazy_images(page, lambda source: (640, 480)) == page


def test_a_page_without_an_article_stays_as_it_is():
    assert figures.lazy_images('<img src="a.png">', lambda source: (1, 1)) == '<img src="a.png">'


# Descriptions and boxes


def test_a_description_is_the_first_paragraph_outside_of_lists_and_boxes():
    text = "Title\n=====\n\n.. note::\n\n   Not this.\n\n- nor this\n\n" + "A first sentence. " * 4
    assert pages.description_of(publish_doctree(text)) == ("A first sentence. " * 4).strip()


def test_short_paragraphs_are_joined_and_long_ones_cut_at_a_word():
    assert pages.description_of(publish_doctree("One.\n\nTwo.")) == "One. Two."
    cut = pages.description_of(publish_doctree("word " * 100))
    assert cut.endswith("word …")
    assert len(cut) <= pages.DESCRIPTION_LENGTH + 1


def test_a_page_without_text_has_no_description():
    assert pages.description_of(None) == ""


def test_tags_are_escaped():
    tags = pages.social_tags('A "b" <c>', "d & e", "https://x/", "Site", "https://x/i.jpg")
    assert '<meta name="description" content="d &amp; e">' in tags
    assert 'property="og:title" content="A &quot;b&quot; &lt;c&gt;"' in tags


def test_only_quotations_that_open_with_certain_words_become_boxes():
    openings = ("**Predict.** What comes?", "Quoted **Predict**.", "**After this chapter** you can")
    doctree = publish_doctree("\n\nText\n\n".join(["", *(f"   {text}" for text in openings)]))
    pages.mark_boxes(None, doctree)
    classes = [quote["classes"] for quote in doctree.findall(nodes.block_quote)]
    assert classes == [["predict"], [], ["objectives"]]


def test_scripts_that_a_page_does_not_use_are_cut():
    icons = '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>'
    setting = '<script>window.MathJax = {"options": {}}</script>'
    maths = '<script defer="defer" src="../_static/mathjax/tex-chtml.js?v=1"></script>'
    page = f"<head>{icons}{setting}{maths}<script src='x.js'></script></head>"
    assert pages.ICON_SCRIPT.sub("", page) == page.replace(icons, "")
    assert pages.MATHS_SCRIPTS.sub("", page) == page.replace(setting, "").replace(maths, "")


# Claim boxes


def test_links_may_name_the_claim_boxes_of_a_page_and_no_others():
    box = claim("C05", holds=False, verdict="does not hold", measured="80 < 224")
    doctree = publish_doctree("A page.")
    doctree += nodes.container("", nodes.raw("", box._repr_html_(), format="html"))
    env = SimpleNamespace(docname="chapters/a", metadata={"chapters/a": {"myst_slugs": {"x": 1}}})
    claim_boxes.name_boxes(SimpleNamespace(env=env), doctree)
    places = env.metadata["chapters/a"]["myst_slugs"]
    assert places.pop("x") == 1
    assert [place[1] for place in places.values()] == list(places) == ["claim-C05"]


def test_a_page_without_boxes_has_no_such_places():
    env = SimpleNamespace(docname="a", metadata={"a": {}})
    claim_boxes.name_boxes(SimpleNamespace(env=env), publish_doctree("Claim C05, id=claim-C05."))
    assert env.metadata["a"]["myst_slugs"] == {}


# Links between chapters and reference


def cell(kind: str, source: str) -> dict:
    return {"cell_type": kind, "source": source.splitlines(keepends=True)}


NOTEBOOK = {
    "cells": [
        cell("markdown", "# Convolution\n\nText."),
        cell("code", "from cvlab import padding\nfrom cvlab.cost import macs, parameters"),
        cell("code", "show_source(first)"),
        cell("markdown", "## Padding\n\n```python\n# not a heading\n```"),
        cell("code", "x = 1\nshow_source(padding.same_padding, docstring=True)"),
        cell("code", "def slide(x):\n    return slide(x)"),
        cell("markdown", "## Later"),
        cell("code", "show_source(same_padding)\npadding.slide(x)\ncost.slide(x)\nmacs(3)"),
    ]
}


def test_the_first_section_with_matching_code_counts():
    assert derivations.section_with(NOTEBOOK, "first") == ("Convolution", "Convolution")
    assert derivations.section_with(NOTEBOOK, "same_padding") == ("Convolution", "Padding")
    assert derivations.section_with(NOTEBOOK, "a heading") is None


def read_functions(*names):
    """Return the lines that the reference of each function gets from a book of two chapters."""
    env = SimpleNamespace(
        docname="book/api/padding",
        found_docs={"book/index", "chapters/02-a", "chapters/03-b"},
        doc2path=lambda name: f"{name}.ipynb",
        note_dependency=lambda path: None,
    )
    texts = []
    for name in names:
        lines = ["Summary."]
        derivations.add_derivation(SimpleNamespace(env=env), "function", name, None, None, lines)
        texts.append([line.strip() for line in lines[1:] if "in `" in line])
    return texts


def test_the_reference_names_the_section_that_derives_or_uses_a_function(monkeypatch):
    second = {"cells": [cell("markdown", "# Pooling"), cell("code", "pooling.pad(x)")]}
    books = {"chapters/02-a.ipynb": NOTEBOOK, "chapters/03-b.ipynb": second}
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: json.dumps(books[str(self)]))
    names = ("padding.same_padding", "padding.slide", "cost.macs", "pooling.pad", "other.macs")
    assert read_functions(*(f"cvlab.{name}" for name in names)) == [
        ["Derived in `Convolution, “Padding” <../../chapters/02-a.html#padding>`__."],
        ["Used in `Convolution, “Later” <../../chapters/02-a.html#later>`__."],
        ["Used in `Convolution, “Later” <../../chapters/02-a.html#later>`__."],
        ["Used in `Pooling <../../chapters/03-b.html#pooling>`__."],
        [],
    ]


def test_functions_that_a_package_hands_on_are_found_and_modules_not_taken_for_them(monkeypatch):
    imports = "from cvlab.networks import (\n    resnet,\n    small_resnet,\n)\n"
    book = [cell("markdown", "# Depth"), cell("code", imports), cell("markdown", "## Stacks")]
    book += [cell("code", "small_resnet(20)\nshow_source(padding.pad)"), cell("markdown", "## Far")]
    book += [cell("code", "networks.unit(x)\nshow_source(normal.forward)")]
    texts = {"chapters/02-a.ipynb": {"cells": book}, "chapters/03-b.ipynb": {"cells": []}}
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: json.dumps(texts[str(self)]))
    names = ("networks.resnet.small_resnet", "networks.units.unit", "networks.units.normal")
    assert read_functions(*(f"cvlab.{name}" for name in names)) == [
        ["Used in `Depth, “Stacks” <../../chapters/02-a.html#stacks>`__."],
        ["Used in `Depth, “Far” <../../chapters/02-a.html#far>`__."],
        [],
    ]


def test_a_listing_leads_to_the_reference_of_its_function():
    page = '<span class="c1"># cvlab.padding.same_padding</span> <span class="c1"># cvlab.x</span>'
    linked = derivations.link_listings(page, {"cvlab.padding.same_padding": "p.html#s"}.get)
    assert linked == (
        '<a class="to-reference" href="p.html#s">'
        '<span class="c1"># cvlab.padding.same_padding</span></a> <span class="c1"># cvlab.x</span>'
    )


def test_the_text_of_a_module_is_shown_as_it_stands_in_the_file():
    lines = [
        "Summary.",
        "",
        "Conventions",
        "-----------",
        "Axes   ``NHWC``",
        "",
        "See :func:`f`.",
    ]
    derivations.plain_module_text(None, "module", "cvlab.x", None, None, lines)
    assert lines[:5] == ["Summary.", "", ".. code-block:: text", "   :class: conventions", ""]
    assert [line.strip() for line in lines[5:]] == ["Axes   NHWC", "", "See f.", ""]
    assert all(line.startswith("   ") for line in lines[5:-1])


def test_the_text_of_a_function_is_left_to_the_parser():
    lines = ["Summary.", "", "More."]
    derivations.plain_module_text(None, "function", "cvlab.x.f", None, None, lines)
    assert lines == ["Summary.", "", "More."]


def test_fields_that_only_say_their_number_are_left_out():
    numbered = SimpleNamespace(__doc__="Alias for field number 0")
    told = SimpleNamespace(__doc__="The author.")
    assert derivations.skip_field_numbers(None, "class", "a", numbered, False, None) is True
    assert derivations.skip_field_numbers(None, "class", "a", told, False, None) is None


# The rest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '<summary><span class="toctree-toggle" role="presentation">',
            '<summary aria-label="Pages below"><span class="toctree-toggle" role="presentation">',
        ),
        (
            '<div id="pst-primary-sidebar" class="x">',
            '<div id="pst-primary-sidebar" role="complementary" aria-label="The book" class="x">',
        ),
        ('<summary aria-label="Toggle hidden content">', "<summary>"),
        (
            '<button class="btn search-button-field x" aria-label="Search" data-x="y">',
            '<button class="btn search-button-field x" data-x="y">',
        ),
        ('<div class="citation" role="doc-biblioentry">', '<div class="citation" role="listitem">'),
        (
            '<div id="jb-print-docs-body" class="onlyprint">\n <h1>Title</h1>\n<h1>Title</h1>',
            '<div id="jb-print-docs-body" class="onlyprint">\n \n<h1>Title</h1>',
        ),
        (
            '<summary>\n<p class="collapsed admonition-title">Show <b>it</b></p></summary>',
            '<summary>\n<span class="collapsed admonition-title">Show <b>it</b></span></summary>',
        ),
        (
            '<dd class="field-even"><p><ul class="simple">\n<li><p>a</p></li>\n</ul>\n</p>\n</dd>',
            '<dd class="field-even"><ul class="simple">\n<li><p>a</p></li>\n</ul>\n</dd>',
        ),
        (
            '<pre>a<div class="viewcode-block" id="f">f</div>\n</pre><div>b</div>',
            '<pre>a<span class="viewcode-block" id="f">f</span>\n</pre><div>b</div>',
        ),
        ("<pre>a</pre><div><pre>b</pre></div>", "<pre>a</pre><div><pre>b</pre></div>"),
        (
            '<dt class="sig x">f(<dl><dd>a</dd></dl>)</dt><dd><dl><dt>n</dt><dd>b</dd></dl></dd>',
            '<dt class="sig x">f(<div class="sig-lines"><div>a</div></div>)</dt>'
            "<dd><dl><dt>n</dt><dd>b</dd></dl></dd>",
        ),
    ],
)
def test_repairs_for_screen_readers(before, after):
    assert accessibility.repair(before) == after


def test_link_roles_follow_the_configured_address():
    options = {
        "repository_url": "https://github.com/someone/book/",
        "repository_branch": "next",
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    }
    config = SimpleNamespace(html_theme_options=options, html_baseurl="https://book.org/")
    repository.add_link_roles(None, config)
    assert config.extlinks == {
        "repo": ("https://github.com/someone/book/blob/next/%s", "%s"),
        "colab": ("https://colab.research.google.com/github/someone/book/blob/next/%s", "%s"),
        "kaggle": (
            "https://www.kaggle.com/kernels/welcome?src=https://github.com/someone/book/blob/next/%s",
            "%s",
        ),
        "site": ("https://book.org/%s", "%s"),
    }


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("chapters/02-x.ipynb", "chapters/02-x.ipynb"),
        ("book/exercises/source/02-x/02-x.ipynb", "book/exercises/release/02-x/02-x.ipynb"),
    ],
)
def test_the_colab_button_opens_the_page_or_the_student_version(path, opened):
    menu = {"label": "launch-buttons", "buttons": [{"text": "Colab", "url": f"https://c/{path}"}]}
    context = {"header_buttons": [{"label": "download-buttons"}, menu]}
    repository.colab_button(None, "", None, context, None)
    download, colab = context["header_buttons"]
    assert download == {"label": "download-buttons"}
    assert colab["url"] == f"https://c/{opened}"
    assert colab["text"] == "Colab"


def test_the_download_of_an_exercise_is_the_student_version(tmp_path):
    for kind, root in (("source", "out/_sources"), ("release", "src")):
        folder = tmp_path / root / "book" / "exercises" / kind / "02-x"
        folder.mkdir(parents=True)
        (folder / "02-x.ipynb").write_text(kind)
    app = SimpleNamespace(outdir=tmp_path / "out", srcdir=tmp_path / "src")
    repository.offer_release(app, None)
    copied = tmp_path / "out/_sources/book/exercises/source/02-x/02-x.ipynb"
    assert copied.read_text() == "release"


def test_an_image_whose_text_speaks_of_width_gets_its_size_too():
    page = figures.lazy_images(
        '<article><img alt="its width and height" src="a.png">', lambda _: (4, 3)
    )
    assert 'width="4" height="3"' in page
    sized = '<article><img alt="x" width="9" src="a.png">'
    assert 'width="4"' not in figures.lazy_images(sized, lambda _: (4, 3))


# The sitemap


def test_a_sitemap_is_xml_with_escaped_addresses():
    text = sitemap.sitemap(["https://x/a.html", "https://x/b.html?c&d"])
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    found = ElementTree.fromstring(text).findall(f"{space}url/{space}loc")
    assert [entry.text for entry in found] == ["https://x/a.html", "https://x/b.html?c&d"]


def book_at(base: str, outdir: Path) -> SimpleNamespace:
    return SimpleNamespace(
        outdir=outdir,
        config=SimpleNamespace(html_baseurl=base),
        env=SimpleNamespace(found_docs={"book/b", "a"}),
        builder=SimpleNamespace(format="html", get_target_uri=lambda name: f"{name}.html"),
    )


def test_the_sitemap_and_the_robots_stand_at_the_root_of_the_site(tmp_path):
    sitemap.write_sitemap(book_at("https://x/", tmp_path), error=None)
    listed = (tmp_path / "sitemap.xml").read_text()
    assert listed.index("https://x/a.html") < listed.index("https://x/book/b.html")
    assert "Sitemap: https://x/sitemap.xml\n" in (tmp_path / "robots.txt").read_text()


@pytest.mark.parametrize(("base", "error"), [("https://x/", RuntimeError()), ("", None)])
def test_a_failed_build_and_a_site_without_address_have_no_sitemap(tmp_path, base, error):
    sitemap.write_sitemap(book_at(base, tmp_path), error)
    assert not list(tmp_path.iterdir())


# Terms


def chapter_of(*words):
    paragraph = nodes.paragraph()
    for word in words:
        paragraph += nodes.strong(word, word)
    document = publish_doctree("")
    document += paragraph
    return document


def test_the_first_bold_occurrence_of_a_term_becomes_a_link():
    document = chapter_of("Feature maps", "emphasis", "feature map", "stride")
    terms.link_terms(document, {"feature map": "g#map", "stride": "g#stride", "padding": "g#pad"})
    links = list(document.findall(nodes.reference))
    assert [(link.astext(), link["refuri"]) for link in links] == [
        ("Feature maps", "g#map"),
        ("stride", "g#stride"),
    ]
    assert all(isinstance(link[0], nodes.strong) for link in links)


def test_a_term_that_is_a_link_already_stays_as_it_is():
    document = publish_doctree("")
    link = nodes.reference("", "", nodes.strong("", "stride"), refuri="elsewhere")
    document += nodes.paragraph("", "", link)
    terms.link_terms(document, {"stride": "g#stride"})
    assert [link["refuri"] for link in document.findall(nodes.reference)] == ["elsewhere"]


def test_addresses_are_those_of_terms_only():
    objects = {("term", "Stride"): ("book/glossary", "term-Stride"), ("label", "x"): ("a", "b")}
    assert terms.addresses(objects, lambda page: f"../{page}.html") == {
        "stride": "../book/glossary.html#term-Stride"
    }
