"""What every page says about itself, and what it does not load."""

from __future__ import annotations

import html
import posixpath
import re
from functools import cache
from pathlib import Path

import imagesize
from docutils import nodes
from sphinx.application import Sphinx

from book_site.accessibility import repair
from book_site.derivations import link_listings
from book_site.figures import lazy_images

ICON_SCRIPT = re.compile(
    r"\s*(<!--[^>]*custom icons -->)?\s*<script[^>]*fontawesome\.js[^>]*></script>"
)
MATHS_SCRIPTS = re.compile(r"\s*<script[^>]*(/mathjax/|>window\.MathJax)[^<]*</script>")
SEARCH_SCRIPT = re.compile(r'<script (src="[^"]*(?:searchtools|language_data|searchindex)\.js)')
BOXES = {"Predict": "predict", "After this chapter": "objectives"}
DESCRIPTION_LENGTH = 200


def description_of(doctree: nodes.document | None) -> str:
    """Return the first paragraphs of a page, cut at a word; nothing for pages without text."""
    text = ""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        if isinstance(paragraph.parent, (nodes.section, nodes.document)):
            text = f"{text} {paragraph.astext()}".strip()
            if len(text) >= 60:
                break
    text = " ".join(text.split())
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[: DESCRIPTION_LENGTH - 1].rpartition(" ")[0].rstrip(",;:–") + " …"


def social_tags(title: str, description: str, address: str, site: str, image: str) -> str:
    """Return the description and the tags that make a card where the page is shared."""
    properties = {
        "og:type": "article",
        "og:site_name": site,
        "og:title": title,
        "og:description": description,
        "og:url": address,
        "og:image": image,
        "og:image:alt": "A photograph of a temple and what three kernels make of it.",
    }
    tags = [f'<meta name="description" content="{html.escape(description)}">']
    tags += [f'<meta property="{k}" content="{html.escape(v)}">' for k, v in properties.items()]
    return "\n".join([*tags, '<meta name="twitter:card" content="summary_large_image">'])


def add_tags(app: Sphinx, pagename: str, templatename, context: dict, doctree) -> None:
    """Fill in description and social tags, unless the page has its own description."""
    if pagename.startswith("_modules/cvlab"):
        context["title"] = f"Source of {context['title']}"
    if 'name="description"' in context.get("metatags", ""):
        return
    site, base = app.config.html_title, app.config.html_baseurl
    title = re.sub("<[^>]+>", "", html.unescape(context.get("title", site)))
    description = description_of(doctree) or f"{title}: a page of the open book {site}."
    address = base + app.builder.get_target_uri(pagename)
    tags = social_tags(title, description, address, site, base + "_static/social.jpg")
    context["metatags"] = context.get("metatags", "") + "\n" + tags
    if pagename == app.config.root_doc:
        context["titlesuffix"] = ""


def search_from_files(app: Sphinx, pagename: str, templatename, context, doctree) -> None:
    """Let search results come without summaries where browsers forbid pages to read pages."""
    if pagename == "search":
        app.add_js_file(
            None,
            body='if (location.protocol === "file:") '
            "DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;",
        )


def write_front_door(app: Sphinx, error: Exception | None) -> None:
    """Write the page that a visitor of the bare address gets: it leads to the first page."""
    if error is not None or app.builder.format != "html":
        return
    site, target = app.config.html_title, app.builder.get_target_uri(app.config.root_doc)
    doctree = app.env.get_doctree(app.config.root_doc)
    base = app.config.html_baseurl
    tags = social_tags(site, description_of(doctree), base, site, f"{base}_static/social.jpg")
    page = f"""<!DOCTYPE html>
<html lang="{app.config.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={target}">
<title>{site}</title>
<link rel="icon" href="_static/favicon.svg">
{tags}
</head>
<body><main><h1>{site}</h1><p><a href="{target}">Open the book</a></p></main></body>
</html>
"""
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def remove_unused_files(app: Sphinx, error: Exception | None) -> None:
    """Take out of the site what the theme copies and no page uses."""
    for pattern in ("scripts/fontawesome.js*", "*webpack-macros.html"):
        for path in Path(app.outdir, "_static").glob(pattern):
            path.unlink()


def mark_boxes(app: Sphinx, doctree: nodes.document) -> None:
    """Show quotations that open with certain words as boxes; in Colab they are quotations."""
    for quote in doctree.findall(nodes.block_quote):
        for opening, style in BOXES.items():
            if quote.astext().startswith(opening):
                quote["classes"].append(style)


def finish_pages(app: Sphinx) -> None:
    """Pass every rendered page through `finish`."""
    render = app.builder.templates.render
    app.builder.templates.render = lambda template, context: finish(
        app, render(template, context), context
    )


def finish(app: Sphinx, page: str, context: dict) -> str:
    """Return the page without what it does not use, with sized images and linked listings."""
    here = posixpath.dirname(app.builder.get_target_uri(context.get("pagename", "")))
    image_files = {name: path for path, name in app.builder.images.items()}

    def size_of(source: str) -> tuple[int, int] | None:
        folder, name = posixpath.split(source)
        if posixpath.basename(folder) == "_images" and name in image_files:
            return size(Path(app.srcdir, image_files[name]))
        return None

    def address_of(name: str) -> str | None:
        entry = app.env.get_domain("py").objects.get(name)
        if entry is None:
            return None
        return posixpath.relpath(app.builder.get_target_uri(entry.docname), here) + f"#{name}"

    page = repair(ICON_SCRIPT.sub("", page))
    if 'class="math' not in page:  # Jupyter Book asks for MathJax on every page
        page = MATHS_SCRIPTS.sub("", page)
    page = SEARCH_SCRIPT.sub(r"<script defer \1", page)
    return link_listings(lazy_images(page, size_of), address_of)


@cache
def size(path: Path) -> tuple[int, int] | None:
    """Return width and height of an image file, None if they cannot be read."""
    width, height = imagesize.get(path)
    return (int(width), int(height)) if width > 0 and height > 0 else None


def setup(app: Sphinx) -> None:
    """Listen to the builder."""
    app.connect("doctree-read", mark_boxes)
    app.connect("html-page-context", add_tags)
    app.connect("html-page-context", search_from_files)
    app.connect("builder-inited", finish_pages)
    app.connect("build-finished", write_front_door)
    app.connect("build-finished", remove_unused_files)
