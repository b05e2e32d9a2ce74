"""Links between a function's reference and the section of the chapter that derives it.

Where a chapter shows the source of a function with ``show_source(name)``, the reference says
"Derived in ..." and the listing in the chapter leads to the reference. A function that is only
called says "Used in ...".
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from docutils.nodes import make_id
from sphinx.application import Sphinx

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*$")
MARKUP = re.compile(r"(:\w+:)?`+~?")
LISTING = re.compile(r'<span class="c1"># (cvlab\.[\w.]+)</span>')


def section_with(notebook: dict, pattern: str) -> tuple[str, str] | None:
    """Return the chapter's title and the first section whose code matches a pattern."""
    title = section = ""
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.search(pattern, text):
            return title, section
        if cell["cell_type"] == "markdown":
            for level, heading in headings(text):
                if level == 1:
                    title = heading
                section = heading
    return None


def showing(module: str, function: str, notebook: dict) -> str:
    """Return the pattern of code that shows the source of a function."""
    return rf"\bshow_source\(\s*(\w+\.)*{function}\b(?!\.)"


def calling(module: str, function: str, notebook: dict) -> str:
    """Return the pattern of code that calls a function by the name it was imported under.

    `module` is that of the function, such as "cvlab.networks.resnet"; packages above it, such as
    "cvlab.networks", may hand the function on.
    """
    parts = module.split(".")
    origins = [".".join(parts[:end]) for end in range(2, len(parts) + 1)]
    origin = "|".join(map(re.escape, origins))
    names = rf"(?:\([^)]*|[^\n(]*)\b{function}\b"
    imported = section_with(notebook, rf"from (?:{origin}) import {names}")
    prefix = "|".join(parts[1:])
    return rf"\b(?:{prefix})\.{function}\(" + (rf"|(?<![\w.]){function}\(" if imported else "")


def headings(markdown: str) -> list[tuple[int, str]]:
    """Return level and text of each heading that does not stand in a block of code."""
    found, fenced = [], False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and (match := HEADING.match(line)):
            found.append((len(match[1]), match[2]))
    return found


def add_derivation(app: Sphinx, what, name, obj, options, lines: list[str]) -> None:
    """Append to a function's docstring the link to the section that shows or uses it."""
    if what != "function":
        return
    notebooks = {}
    for chapter in sorted(d for d in app.env.found_docs if d.startswith("chapters/")):
        path = Path(app.env.doc2path(chapter))
        app.env.note_dependency(str(path))
        notebooks[chapter] = json.loads(path.read_text(encoding="utf-8"))
    module, _, function = name.rpartition(".")
    for verb, pattern in (("Derived", showing), ("Used", calling)):
        for chapter, notebook in notebooks.items():
            section = section_with(notebook, pattern(module, function, notebook))
            if section:
                link = link_to(chapter, *section, here=posixpath.dirname(app.env.docname))
                lines += ["", ".. container:: derived", "", f"   {verb} in {link}.", ""]
                return


def link_to(chapter: str, title: str, section: str, here: str) -> str:
    """Return a link in reStructuredText to a section of a chapter."""
    place = title if section == title else f"{title}, “{section}”"
    return f"`{place} <{posixpath.relpath(chapter, here)}.html#{make_id(section)}>`__"


def plain_module_text(app: Sphinx, what, name, obj, options, lines: list[str]) -> None:
    """Show what follows the first paragraph of a module's docstring as it stands in the file.

    The blocks of conventions are laid out for readers of the source, in columns.
    """
    if what == "module" and "" in lines:
        end = lines.index("")
        rest = [line for line in lines[end:] if not re.fullmatch(r"Conventions|-+", line)]
        block = MARKUP.sub("", "\n".join(rest)).strip("\n").splitlines()
        lines[end:] = ["", ".. code-block:: text", "   :class: conventions", ""]
        lines += [f"   {line}" for line in block] + [""]


def skip_field_numbers(app: Sphinx, what, name, obj, skip: bool, options) -> bool | None:
    """Leave out the fields of named tuples that say no more than "Alias for field number 0"."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


def link_listings(page: str, address_of: Callable[[str], str | None]) -> str:
    """Make the name that heads a listing of `show_source` a link to its reference."""

    def link(match: re.Match) -> str:
        address = address_of(match[1])
        return f'<a class="to-reference" href="{address}">{match[0]}</a>' if address else match[0]

    return LISTING.sub(link, page)


def setup(app: Sphinx) -> None:
    """Listen to autodoc."""
    app.connect("autodoc-process-docstring", plain_module_text, priority=100)
    app.connect("autodoc-skip-member", skip_field_numbers)
    app.connect("autodoc-process-docstring", add_derivation, priority=900)
