"""Stamp the repository address and the version from `_config.yml` where they are needed.

The first code cell of each chapter and exercise notebook, tagged `setup`, installs the
helper package in Colab: this tool owns its text. It also keeps the links into Colab and
`CITATION.cff` up to date, so that an address is changed in one place.

    python -m tools.stamp [--check]
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.common import ROOT, chapters, config, exercise_sources, read, run_tool, to_text

COLAB_LINK = re.compile(r"https://colab\.research\.google\.com/github/[^/]+/[^/]+/blob/[^/]+/")
CITATION = {
    "version": re.compile(r"^version: .*$", re.M),
    "url": re.compile(r"^repository-code: .*$", re.M),
}

SETUP = """\
# In Colab, install the book's helper package cvlab; nothing else is touched.
from importlib.metadata import distributions

installed = {{d.name.lower().replace("_", "-") for d in distributions()}}
if "cvlab" in installed:  # an unrelated project of the same name
    raise ImportError("another cvlab is here: %pip uninstall -y cvlab, restart")
if "cvlab-book" not in installed:
    %pip install -q --no-deps "cvlab-book @ git+{url}@{tag}"
"""


def setup_source() -> str:
    """Return the text of the set-up cell for the configured address and version."""
    settings = config()
    return SETUP.format(url=settings["repository"]["url"], tag=settings["cvlab"]["tag"]).rstrip()


def colab_prefix() -> str:
    """Return what precedes a notebook's path in a link that opens it in Colab."""
    repository = config()["repository"]
    name = repository["url"].removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{name}/blob/{repository['branch']}/"


def citation() -> str:
    """Return the text of `CITATION.cff` with the current address and version."""
    settings = config()
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    text = CITATION["version"].sub(f"version: {settings['cvlab']['tag'].removeprefix('v')}", text)
    return CITATION["url"].sub(f"repository-code: {settings['repository']['url']}", text)


def stamped(path: Path) -> str:
    """Return the notebook's text with the current set-up cell."""
    notebook = read(path)
    cells = [c for c in notebook.cells if "setup" in c.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        raise ValueError(f"{path.name} must have one code cell tagged setup, got {len(cells)}")
    cells[0].source = setup_source()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = COLAB_LINK.sub(colab_prefix(), cell.source)
    return to_text(notebook)


def render() -> dict[Path, str]:
    """Return the text of every file that carries the stamp."""
    notebooks = {path: stamped(path) for path in chapters() + exercise_sources()}
    return notebooks | {ROOT / "CITATION.cff": citation()}


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
