"""Generate the student version of every exercise notebook with nbgrader's own steps.

Solutions and hidden tests are cut, cells locked, outputs cleared. The result is committed,
because Colab opens it from the repository.

    python -m tools.release [--check]
"""

from __future__ import annotations

import logging
from pathlib import Path

from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

from tools.common import EXERCISES, exercise_sources, read, run_tool, to_text

SITE_ONLY = ("hide-input", "remove-cell", "remove-output")


def student_version(path: Path) -> str:
    """Return the text of the release made from one source notebook."""
    notebook = read(path)
    for step in (ClearSolutions, ClearHiddenTests, LockCells, ClearOutput):
        preprocessor = step(log=logging.getLogger(step.__name__))
        notebook, _ = preprocessor.preprocess(notebook, {})
    notebook.metadata.pop("cvlab", None)
    for cell in notebook.cells:
        cell.metadata.pop("mystnb", None)
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag not in SITE_ONLY]
        if tags:
            cell.metadata["tags"] = tags
    return to_text(notebook)


def render() -> dict[Path, str]:
    """Return the text of every release notebook."""
    return {
        EXERCISES / "release" / path.parent.name / path.name: student_version(path)
        for path in exercise_sources()
    }


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
