"""What the notebooks say of themselves: objectives, needs, minutes, sections and exercises.

Conventions
-----------
A chapter is told by its two digits, "02"; an exercise by chapter and number, "02.1".
A section runs from its heading, of level 2 or 3, to the next heading of any level.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mdit_py_plugins.anchors.index import slugify

from cvlab.claims import MIME
from tools.common import chapters, exercise_sources, read, title

_HEADING = re.compile(r"^(#{1,3}) (.+)$")
_PREDICTION = re.compile(r"^> \*\*Predict\.\*\* ((?:.*\n?)(?:^>.*\n?)*)", re.MULTILINE)
_PROMPT = re.compile(r"^## Exercise (\d\d\.\d+): (.+)\n\n\*(\d+) minutes, (\d+) points\.\*", re.M)


@dataclass
class Section:
    """A heading with what stands below it."""

    heading: str
    predictions: list[str] = field(default_factory=list)
    figures: int = 0
    claims: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The end of a link to the section."""
        return slugify(self.heading)


@dataclass
class Chapter:
    """What a chapter notebook says of itself."""

    path: Path
    title: str
    objectives: list[str]
    needs: set[str]
    minutes: int
    sections: dict[str, Section]

    @property
    def number(self) -> str:
        """The two digits that its name begins with."""
        return self.path.stem[:2]

    @property
    def claims(self) -> list[str]:
        """The claims that the chapter tests, in its order."""
        return [claim for section in self.sections.values() for claim in section.claims]


@dataclass
class ExerciseFacts:
    """Title, minutes and points, as the prompt of an exercise states them."""

    number: str
    title: str
    minutes: int
    points: int
    path: Path

    @property
    def anchor(self) -> str:
        """The end of a link to the exercise."""
        return slugify(f"Exercise {self.number}: {self.title}")


@cache
def all_chapters() -> dict[str, Chapter]:
    """Return every chapter that exists, by number."""
    return {path.stem[:2]: chapter_facts(path) for path in chapters()}


@cache
def all_exercises() -> dict[str, ExerciseFacts]:
    """Return every exercise that exists, by number."""
    found = {}
    for path in exercise_sources():
        for cell in read(path).cells:
            for number, name, minutes, points in _PROMPT.findall(cell.source):
                found[number] = ExerciseFacts(number, name, int(minutes), int(points), path)
    return found


def chapter_facts(path: Path) -> Chapter:
    """Read one chapter notebook."""
    notebook = read(path)
    front = notebook.cells[0].source
    return Chapter(
        path=path,
        title=title(notebook).partition(":")[0],
        objectives=[line.rstrip(";.") for line in re.findall(r"^> - (.+)$", front, re.MULTILINE)],
        needs=named_chapters(re.search(r"\*\*You need\*\*((?:.|\n)*?)\*\*Time\*\*", front)[1]),
        minutes=int(re.search(r"\*\*Time\*\* about (\d+) minutes", front)[1]),
        sections=_sections(notebook),
    )


def named_chapters(text: str) -> set[str]:
    """Return the numbers of the chapters that a sentence links to or names.

    Examples
    --------
    >>> sorted(named_chapters("chapters 2 to 4 (pooling), chapter 12, [Boxes](07-x.ipynb)"))
    ['02', '03', '04', '07', '12']
    """
    numbers = {int(n) for n in re.findall(r"\]\((\d\d)-[\w-]+\.ipynb\)", text)}
    plain = re.sub(r"\[[^\]]*\]\([^)]*\)", "", text)
    for first, last in re.findall(r"chapters? (\d+)(?: to (\d+))?", plain):
        numbers |= set(range(int(first), int(last or first) + 1))
    return {f"{n:02d}" for n in numbers}


def _sections(notebook) -> dict[str, Section]:
    sections, current = {}, Section("")
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            _count_outputs(current, cell)
            continue
        for part in re.split(r"^(?=#{1,3} )", cell.source, flags=re.MULTILINE):
            if heading := _HEADING.match(part.partition("\n")[0]):
                current = sections.setdefault(heading[2], Section(heading[2]))
            current.predictions += [_flat(text) for text in _PREDICTION.findall(part)]
    return sections


def _count_outputs(section: Section, cell) -> None:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        section.figures += any(mime.startswith("image/") for mime in data)
        if MIME in data:
            section.claims.append(data[MIME]["id"])


def _flat(text: str) -> str:
    """Take the marks of the quotation and the line breaks out of a prediction."""
    return " ".join(re.sub(r"^> ?", "", text, flags=re.MULTILINE).split())
