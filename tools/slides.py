"""Make the slides of a chapter from its notebook, as pages of reveal.js.

Only cells whose metadata say so become slides: `slideshow.slide_type` as in Jupyter, "slide",
"subslide" (below the slide before), "fragment" (on it, shown at the next step) or "notes".

A slide shows less than a page. Of a marked text it shows headings, predictions, lists, tables and
formulas set apart. Of the paragraphs it keeps the one that leads to a prediction, or the first if
there is nothing else; the others become the speaker's notes (key S). Of a marked code cell it shows
what the cell puts out, each image on a slide of its own, or the code if it puts out nothing. A
heading begins a slide, and a slide without a heading repeats that of its section. Exercises and
references are left out.

    python -m tools.slides [FOLDER]   # all slides with the files they load (default: build/slides)
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbconvert.exporters import SlidesExporter

from tools.common import ROOT, chapters, config, read, title

STATIC = ROOT / "book" / "_static"
TEMPLATES = ROOT / "book" / "_templates"
FILES = ("reveal", "mathjax", "book.css", "slides.css", "favicon.svg")
LEFT_OUT = ("Exercises", "References")
SHOWN = {
    "blockquote_open",
    "bullet_list_open",
    "fence",
    "math_block",
    "ordered_list_open",
    "table_open",
}
SOURCE_LINK = re.compile(r'href="(?![a-z]+:)([^"#]+)\.(?:md|ipynb)(#[^"]*)?"')
PREDICTION = re.compile(r"> \*\*Predict")
# What fits on a slide, estimated: lines in the usual and in small type, characters in a line.
SMALL, LINES, CHARACTERS = 12, 17, 95
DENSE = '<div class="dense"></div>'


class Part(NamedTuple):
    """What follows a heading: what a slide shows of it, and what is said."""

    heading: str
    shown: list[str]
    said: list[str]


def marked(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the cells that are marked for slides, in order."""
    return [c for c in notebook.cells if slide_type(c) not in (None, "-", "skip")]


def slide_type(cell: nbformat.NotebookNode) -> str | None:
    """Return how a cell is marked, None if it is not."""
    return cell.metadata.get("slideshow", {}).get("slide_type")


def deck(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a notebook that holds the slides only, each cell with its type."""
    cells, section = [], ""
    for cell in marked(notebook):
        for heading, new in (_outputs if cell.cell_type == "code" else _texts)(cell):
            section, kind = heading or section, slide_type(new)
            if kind in ("slide", "subslide") and section and not heading:
                cells.append(_cell(f'<div class="section">\n\n{section}\n\n</div>', kind))
                new.metadata.slideshow.slide_type = "-"
            cells.append(new)
    return nbformat.v4.new_notebook(cells=cells)


def _cell(source: str, kind: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}})


def _outputs(cell: nbformat.NotebookNode) -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """Yield cells that show the outputs, one image each, or the source if there are none.

    The empty string before each says that it begins no section.
    """
    groups, has_image = [[]], False
    for output in cell.outputs:
        is_image = any(mime.startswith("image/") for mime in output.get("data", ()))
        if is_image and has_image:
            groups.append([])
        has_image = has_image or is_image
        groups[-1].append(output)
    for outputs in groups:
        metadata = {"slideshow": {"slide_type": slide_type(cell)}}
        if outputs:
            metadata["transient"] = {"remove_source": True}
        yield "", nbformat.v4.new_code_cell(cell.source, outputs=outputs, metadata=metadata)


def _texts(cell: nbformat.NotebookNode) -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """Yield the cells made of a text, each with the name of the section that it begins."""
    parts, kind = list(_parts(cell.source)), slide_type(cell)
    has_section = any(is_section(part.heading) for part in parts)
    pending = ""
    for number, part in enumerate(parts):
        name = part.heading.rpartition("\n")[2].lstrip("# ")
        if name in LEFT_OUT:
            continue
        if part.heading and not part.shown and not part.said:
            pending = part.heading + "\n\n"  # a heading right before another one
            continue
        lead, rest = part.said[:1], part.said[1:]
        if part.shown or not (part.heading or len(parts) == 1):
            lead, rest = [], part.said
        of_section = is_section(pending or part.heading) if has_section else number == 0
        begins = "subslide" if kind == "slide" and not of_section else kind
        heading, pending = pending + part.heading, ""
        for blocks in _pages([*lead, *part.shown]):
            dense = sum(map(_lines, blocks)) > SMALL
            text = "\n\n".join([heading, *blocks, *[DENSE] * dense]).strip()
            yield (name if heading else ""), _cell(text, begins)
            heading, begins = "", "subslide" if begins == "slide" else begins
        if rest:
            yield "", _cell("\n\n".join(rest), "notes")


def is_section(heading: str) -> bool:
    """Tell whether a heading is that of the chapter or of a section."""
    return heading.startswith(("# ", "## "))


def _parts(source: str) -> Iterator[Part]:
    """Yield the parts of a text that follow its headings, and what stands before the first."""
    lines, part, was_paragraph = source.splitlines(), Part("", [], []), False
    for token in _markdown().parse(source):
        if token.level or token.map is None or token.nesting < 0:
            continue
        text = "\n".join(lines[slice(*token.map)]).strip()
        if token.type == "heading_open":
            if part != Part("", [], []):
                yield part
            part = Part(text, [], [])
        elif token.type in SHOWN:
            if PREDICTION.match(text) and was_paragraph:
                part.shown.append(part.said.pop())
            part.shown.append(text)
        else:
            part.said.append(text)
        was_paragraph = token.type == "paragraph_open"
    yield part


def _pages(blocks: list[str]) -> Iterator[list[str]]:
    """Yield groups of blocks that fit on one slide."""
    group, used = [], 0
    for block in blocks:
        if group and used + _lines(block) > LINES:
            yield group
            group, used = [], 0
        group.append(block)
        used += _lines(block)
    if group:
        yield group


def _lines(block: str) -> int:
    """Estimate how many lines a block takes."""
    return sum(math.ceil(len(line) / CHARACTERS) for line in block.splitlines())


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)


@cache
def _exporter() -> SlidesExporter:
    return SlidesExporter(
        template_name="slides",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )


def to_html(
    notebook: nbformat.NotebookNode, name: str, static: str = "../_static", site: str = ".."
) -> str:
    """Return the page of slides of a chapter.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    name : str
        Name of the notebook, without suffix.
    static, site : str
        Where the page finds the files that it loads, and the other pages of the book.
    """
    book = {"title": title(notebook), "site": config()["title"], "static": static}
    book["chapter"] = f"{site}/chapters/{name}.html"
    page, _ = _exporter().from_notebook_node(deck(notebook), resources={"book": book})

    def to_page(link: re.Match) -> str:
        path = link[1].removeprefix("../") if link[1].startswith("../") else f"chapters/{link[1]}"
        return f'href="{site}/{path}.html{link[2] or ""}"'

    return SOURCE_LINK.sub(to_page, page)


def write(folder: Path, **places: str) -> list[Path]:
    """Write the slides of every chapter that has some into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in chapters():
        notebook, page = read(path), folder / path.with_suffix(".html").name
        if marked(notebook):
            page.write_text(to_html(notebook, path.stem, **places), encoding="utf-8")
            written.append(page)
    return written


def write_with_files(folder: Path) -> list[Path]:
    """Write all slides and the files that they load, so that the folder can be carried away."""
    for name in FILES:
        source, copied = STATIC / name, folder / "_static" / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copied, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, copied)
    return write(folder, static="_static", site=config()["html"]["baseurl"].rstrip("/"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "slides")
    for page in write_with_files(parser.parse_args().folder):
        print("wrote", page)


if __name__ == "__main__":
    main()
