"""Stamp the repository address and the version from `_config.yml` where they are needed.

The first code cell of each chapter and exercise notebook, tagged `setup`, installs the
helper package in Colab: this tool owns its text. It also keeps the links into Colab, `CITATION.cff`
and the lines to cite in `book/about.md` up to date, so that an address is changed in one place.

    python -m tools.stamp [--check]
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.common import ROOT, chapters, config, exercise_sources, read, run_tool, to_text

COLAB_LINK = re.compile(r"https://colab\.research\.google\.com/github/[^/]+/[^/]+/blob/[^/]+/")
# What stands before a version or an address, in each of the two files that say how to cite.
VERSION = re.compile(r"((?:^version: |^  version = \{|, version ))\d[\d.]*\d", re.M)
ADDRESS = re.compile(r"(^repository-code: |^  url     = \{)[^\s}]+", re.M)

SETUP = """\
# In Colab, install the book's helper package cvlab; no other package is touched.
import os
from importlib.metadata import distributions
from importlib.util import find_spec

installed = {{str(d.name).lower().replace("_", "-") for d in distributions()}}
if "cvlab" in installed:  # an unrelated project of the same name
    raise ImportError("another cvlab is here: %pip uninstall -y cvlab, restart")
if "cvlab-book" not in installed:
    %pip install -q --no-deps "cvlab-book @ git+{url}@{tag}"
if not find_spec("cvlab"):
    remedy = "turn the internet on, or choose a newer runtime, and run this cell again"
    raise ImportError(f"cvlab could not be installed, pip says why: {{remedy}}")
import cvlab

cvlab.check_versions()
# The processor is enough, and gives the same numbers with and without an accelerator.
os.environ |= {{"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}}
"""
TAGS = ["setup", "hide-input"]  # on the site the cell opens on demand


def setup_source() -> str:
    """Return the text of the set-up cell for the configured address and version."""
    settings = config()
    return SETUP.format(url=settings["repository"]["url"], tag=settings["cvlab"]["tag"]).rstrip()


def colab_prefix() -> str:
    """Return what precedes a notebook's path in a link that opens it in Colab."""
    repository = config()["repository"]
    name = repository["url"].removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{name}/blob/{repository['branch']}/"


def cited(path: Path) -> str:
    """Return the text of a file that says how to cite, with the current version and address."""
    settings = config()
    version, address = settings["cvlab"]["tag"].removeprefix("v"), settings["repository"]["url"]
    text = VERSION.sub(rf"\g<1>{version}", path.read_text(encoding="utf-8"))
    return ADDRESS.sub(rf"\g<1>{address}", text)


def stamped(path: Path) -> str:
    """Return the notebook's text with the current set-up cell."""
    notebook = read(path)
    cells = [c for c in notebook.cells if "setup" in c.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        raise ValueError(f"{path.name} must have one code cell tagged setup, got {len(cells)}")
    cells[0].source = setup_source()
    cells[0].metadata["tags"] = TAGS
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = COLAB_LINK.sub(colab_prefix(), cell.source)
    return to_text(notebook)


def render() -> dict[Path, str]:
    """Return the text of every file that carries the stamp."""
    notebooks = {path: stamped(path) for path in chapters() + exercise_sources()}
    return notebooks | {
        path: cited(path) for path in (ROOT / "CITATION.cff", ROOT / "book/about.md")
    }


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
