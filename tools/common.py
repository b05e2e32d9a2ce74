"""What the tools share: where things are, and how notebooks are read and written."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
EXERCISES = ROOT / "book" / "exercises"


def chapters() -> list[Path]:
    """Return the chapter notebooks in the order of the book."""
    return sorted((ROOT / "chapters").glob("[0-9][0-9]-*.ipynb"))


def exercise_sources() -> list[Path]:
    """Return the instructor versions of the exercise notebooks."""
    return sorted((EXERCISES / "source").glob("*/*.ipynb"))


def config() -> dict:
    """Return `_config.yml`, the one place of the repository address and the version."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook of format 4."""
    return nbformat.read(path, as_version=4)


def to_text(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook as the text that is committed."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def title(notebook: nbformat.NotebookNode) -> str:
    """Return the text of the first heading."""
    for cell in notebook.cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("# "):
                return line[2:].strip()
    raise ValueError("the notebook must have a heading of level 1, got none")


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """Return a hash of the code cells: stored outputs are stale when it changes.

    The set-up cell is left out: another version or address of the book changes no output.
    """
    cells = [c for c in notebook.cells if "setup" not in c.metadata.get("tags", [])]
    code = "\n\0".join(c.source for c in cells if c.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def run_tool(description: str, render: Callable[[], dict[Path, str]], remedy: str) -> None:
    """Write what `render` returns, or with ``--check`` fail if the files differ from it.

    Parameters
    ----------
    description : str
        First line of the help text.
    render : callable
        Returns the text of every file that the tool owns.
    remedy : str
        The command that mends a stale file.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="fail if a committed file is stale")
    check_only = parser.parse_args().check
    stale = {path: text for path, text in render().items() if _current(path) != text}
    if check_only and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"stale: {names}; run `{remedy}`")
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print("wrote", path.relative_to(ROOT))


def _current(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
