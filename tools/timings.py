"""Write the measured seconds of every chapter: its own front block and the page of timings.

python -m tools.timings [--check]
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.common import ROOT, chapters, exercise_sources, read, run_tool, title, to_text

PAGE = ROOT / "book" / "timings.md"
SECONDS = re.compile(r"runs in (?:\d+|\?) s on two CPU cores")

INTRODUCTION = """\
# Timings

Seconds that each notebook took, from start to end, on two CPU cores without an accelerator, when
its stored outputs were made. This page is generated.

| Notebook | Seconds |
| --- | ---: |
"""


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
    page = INTRODUCTION + "\n".join([*rows, f"| **All** | **{sum(seconds.values())}** |"]) + "\n"
    return {PAGE: page} | {path: with_seconds(path) for path in chapters()}


def _link(path: Path) -> str:
    return f"[{title(read(path))}]({Path('..') / path.relative_to(ROOT)})"


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
