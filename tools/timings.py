"""Write the measured seconds of every chapter, in its front block and on the page of timings.

The page also says with which other versions the chapters ran (`book/verified.toml`).

    python -m tools.timings [--check]
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.common import ROOT, chapters, exercise_sources, read, run_tool, title, to_text
from tools.matrix import code_of, verified

PAGE = ROOT / "book" / "timings.md"
SECONDS = re.compile(r"runs in (?:\d+|\?) s on two CPU cores")

INTRODUCTION = """\
# Timings

Seconds that each notebook took, from start to end, on two CPU cores without an accelerator, when
its stored outputs were made. This page is generated.

| Notebook | Seconds |
| --- | ---: |
"""

VERSIONS = """\

## Other versions

The seconds, and the outputs on the pages, come from the locked versions in
{repo}`constraints.txt <constraints.txt>`, with which every change is checked. Each chapter, its
exercises with their solutions and its student version are also run, each in an empty directory,
with the versions below. A date says that all three ran from beginning to end on that day, every
assertion and every check included; *older* beside it, that the code of one of them has changed
since; a dash, that they have not passed yet.

"""
COLUMNS = {
    "colab": "Colab",
    "lowest": "Lowest allowed",
    "newest": "Newest",
    "locked": "Locked",
}
NAMES = {
    "python": "Python", "numpy": "NumPy", "scipy": "SciPy", "matplotlib": "Matplotlib",
    "keras": "Keras", "tensorflow": "TensorFlow",
}  # fmt: skip


def measured_seconds(path: Path) -> int:
    """Return the seconds stored at the last execution of a notebook."""
    seconds = read(path).metadata.get("cvlab", {}).get("seconds")
    if seconds is None:
        raise ValueError(f"{path.name} must be executed first; run `make notebooks`")
    return seconds


def with_seconds(path: Path) -> str:
    """Return the chapter's text with the measured seconds in its front block."""
    notebook = read(path)
    front = notebook.cells[0]
    front.source, replaced = SECONDS.subn(
        f"runs in {measured_seconds(path)} s on two CPU cores", front.source
    )
    if replaced != 1:
        raise ValueError(f"{path.name} must say once 'runs in ? s on two CPU cores' in its front")
    return to_text(notebook)


def render() -> dict[Path, str]:
    """Return the text of the page and of every chapter."""
    seconds = {path: measured_seconds(path) for path in chapters() + exercise_sources()}
    rows = [f"| {_link(path)} | {count} |" for path, count in seconds.items()]
    rows += [f"| **All** | **{sum(seconds.values())}** |"]
    page = INTRODUCTION + "\n".join(rows) + "\n" + _versions()
    return {PAGE: page} | {path: with_seconds(path) for path in chapters()}


def _versions() -> str:
    """Return the section on other versions, or nothing before the first run."""
    tried = {variant: entry for variant, entry in verified().items() if entry["passed"]}
    columns = [variant for variant in COLUMNS if variant in tried]
    if not columns:
        return ""
    rows = [
        "| | " + " | ".join(COLUMNS[variant] for variant in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for package in tried[columns[0]]["versions"]:
        cells = [tried[variant]["versions"][package] for variant in columns]
        rows.append(f"| {NAMES.get(package, package)} | " + " | ".join(cells) + " |")
    for path in chapters():
        code = code_of(path.stem)
        cells = [_day(tried[variant]["passed"].get(path.stem), code) for variant in columns]
        rows.append(f"| {_link(path)} | " + " | ".join(cells) + " |")
    return VERSIONS + "\n".join(rows) + "\n"


def _day(entry: dict | None, code: str) -> str:
    if entry is None:
        return "–"
    return f"{entry['date']}" + ("" if entry["code"] == code else " (older)")


def _link(path: Path) -> str:
    return f"[{title(read(path))}]({Path('..') / path.relative_to(ROOT)})"


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
