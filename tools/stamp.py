"""Stamp the repository address and the version from `_config.yml` into every notebook.

The first code cell of each chapter and exercise notebook, tagged `setup`, installs the
helper package in Colab. This tool owns its text, so that an address is changed in one place.

    python -m tools.stamp [--check]
"""

from __future__ import annotations

from pathlib import Path

from tools.common import chapters, config, exercise_sources, read, run_tool, to_text

SETUP = """\
# In Colab, install the book's helper package cvlab; nothing else is touched.
from importlib.metadata import distributions

installed = {{d.metadata["Name"].lower().replace("_", "-") for d in distributions()}}
if "cvlab" in installed:  # an unrelated project of the same name
    raise ImportError("Another package named cvlab is here: %pip uninstall -y cvlab, then restart")
if "cvlab-book" not in installed:
    %pip install -q --no-deps "cvlab-book @ git+{url}@{tag}"
"""


def setup_source() -> str:
    """Return the text of the set-up cell for the configured address and version."""
    settings = config()
    return SETUP.format(url=settings["repository"]["url"], tag=settings["cvlab"]["tag"]).rstrip()


def stamped(path: Path) -> str:
    """Return the notebook's text with the current set-up cell."""
    notebook = read(path)
    cells = [c for c in notebook.cells if "setup" in c.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        raise ValueError(f"{path.name} must have one code cell tagged setup, got {len(cells)}")
    cells[0].source = setup_source()
    return to_text(notebook)


def render() -> dict[Path, str]:
    """Return the text of every notebook that carries the stamp."""
    return {path: stamped(path) for path in chapters() + exercise_sources()}


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
