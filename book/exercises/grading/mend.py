"""Mend submitted notebooks before they are graded.

nbgrader knows cells by their metadata. A copied cell would stop the grading of the
whole class, and cells that lost their metadata would lose their points without a word.
Here the release notebook decides what every cell is.
"""

from __future__ import annotations

import re
from copy import deepcopy
from difflib import SequenceMatcher
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor


def grade_id(cell: NotebookNode) -> str | None:
    """Return nbgrader's name of a cell, or None."""
    metadata = cell.metadata.get("nbgrader")
    return metadata.get("grade_id") if isinstance(metadata, dict) else None


def text(cell: NotebookNode) -> str:
    """Return the source as it is compared: white space at the ends does not count."""
    return "\n".join(line.rstrip() for line in cell.source.strip().splitlines())


class _ReleasePreprocessor(NbGraderPreprocessor):
    """A preprocessor that compares a submission with the release notebook."""

    def preprocess(self, notebook: NotebookNode, resources: dict):
        """Read the release of the same name."""
        course = self.parent.parent.coursedir
        names = resources["nbgrader"]
        folder = course.format_path(course.release_directory, ".", names["assignment"])
        path = Path(folder, f"{names['notebook']}.ipynb")
        self.mend(notebook, nbformat.read(path, as_version=4))
        return notebook, resources


class KnownCells(_ReleasePreprocessor):
    """Give the release's metadata to the cells it knows, and take it from all others.

    Of several cells with one name, copies of each other, the last keeps it. This takes
    the place of nbgrader's `DeduplicateIds`, which does the same but leaves the others
    with empty metadata, which nbgrader then takes for those of an old version.
    """

    def mend(self, notebook: NotebookNode, release: NotebookNode) -> None:
        """Change the notebook in place."""
        named = [cell for cell in release.cells if grade_id(cell)]
        known = {grade_id(cell): cell.metadata.nbgrader for cell in named}
        for cell in reversed(notebook.cells):
            name = grade_id(cell)
            if name in known:
                cell.metadata["nbgrader"] = deepcopy(known.pop(name))
            elif cell.metadata.pop("nbgrader", None):
                self.log.warning(
                    "A cell named %r is a copy or unknown: not graded", name
                )


class LostCells(_ReleasePreprocessor):
    """Find the cells that lost their metadata, and put back missing checks.

    A notebook that has nothing in common with the release is an error.
    """

    def mend(self, notebook: NotebookNode, release: NotebookNode) -> None:
        """Change the notebook in place."""
        wanted = [cell for cell in release.cells if grade_id(cell)]
        present = {grade_id(cell) for cell in notebook.cells}
        if all(grade_id(cell) in present for cell in wanted):
            return
        places = self._places(notebook.cells, wanted, present)
        if not places:
            raise ValueError("the notebook has no cell in common with the release")
        for i, cell in places.items():
            if grade_id(notebook.cells[cell]) is None:
                self._attach(notebook.cells[cell], wanted[i])
        self._insert_missing(notebook.cells, wanted, places)

    def _places(self, cells, wanted, present) -> dict[int, int]:
        """Return where each wanted cell is: by name, source, or between neighbours."""
        ours = [grade_id(c) if grade_id(c) in present else text(c) for c in wanted]
        theirs = [grade_id(cell) or text(cell) for cell in cells]
        blocks = SequenceMatcher(
            None, ours, theirs, autojunk=False
        ).get_matching_blocks()
        places = {b.a + i: b.b + i for b in blocks for i in range(b.size)}
        for i, original in enumerate(wanted):
            if places and i not in places and original.metadata.nbgrader.solution:
                start = max((places[k] for k in places if k < i), default=-1)
                end = min((places[k] for k in places if k > i), default=len(cells))
                answer = self._answer(cells, range(start + 1, end), original)
                places |= {} if answer is None else {i: answer}
        return places

    @staticmethod
    def _answer(cells, between: range, original: NotebookNode) -> int | None:
        """Return the last cell that defines what is asked for, else the last of all."""
        code = [k for k in between if cells[k].cell_type == "code"]
        code = [k for k in code if not grade_id(cells[k])]
        asked = re.search(r"^(def |class )?\w+", original.source, re.MULTILINE)
        asks = [k for k in code if asked and asked[0] in cells[k].source]
        return max(asks or code, default=None)

    def _attach(self, cell: NotebookNode, original: NotebookNode) -> None:
        self.log.warning("Cell %s had lost its metadata", grade_id(original))
        cell.metadata["nbgrader"] = deepcopy(original.metadata.nbgrader)

    def _insert_missing(self, cells, wanted, places) -> None:
        position = len(cells)
        for i, original in reversed(list(enumerate(wanted))):
            if i in places:
                position = places[i]
            elif original.cell_type == "code" and original.metadata.nbgrader.locked:
                self.log.warning("Cell %s was missing: put back", grade_id(original))
                cells.insert(position, deepcopy(original))


class FreshCheck(NbGraderPreprocessor):
    """Let graded cells use the book's `check`, even if an answer took its name."""

    def preprocess(self, notebook: NotebookNode, resources: dict):
        """Import it anew in each graded cell."""
        for cell in notebook.cells:
            graded = cell.metadata.get("nbgrader", {}).get("grade")
            if graded and cell.cell_type == "code" and "check(" in cell.source:
                cell.source = f"from cvlab.check import check\n{cell.source}"
        return notebook, resources
