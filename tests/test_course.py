"""The site for a course has no solution in any file; the public site has them, folded away.

`make site-test` builds both. Spaces and line ends are taken out before texts are compared, and
pages are read without their markup, so that highlighting cannot hide a line.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from site_pages import SITE

from tools import course
from tools.common import EXERCISES, ROOT, config, exercise_sources, read
from tools.common import chapters as chapter_notebooks
from tools.release import student_version

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from book_site.course import without_solutions

COURSE = Path(os.environ.get("CVLAB_COURSE", ROOT / "build" / "course" / "_build" / "html"))
TEXT = {".html", ".ipynb", ".js", ".json", ".txt", ".md", ".py", ".xml", ".inv"}
LONG_ENOUGH = 16  # signs: shorter lines, such as "return kernel", are no one's own
CONTENTS = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
NAMES = [path.stem for path in exercise_sources() if f"{path.stem}/{path.stem}\n" in CONTENTS]
built = pytest.mark.skipif(
    not (COURSE.is_dir() and SITE.is_dir()) and "CI" not in os.environ,
    reason=f"the sites are not built: run `make site-test` (looked in {COURSE} and {SITE})",
)


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def code(path: Path) -> str:
    return bare("\n".join(cell.source for cell in read(path).cells))


def lines(block: str) -> set[str]:
    found = {bare(line) for line in block.splitlines() if not line.strip().startswith("#")}
    return {line for line in found if len(line) >= LONG_ENOUGH}


@cache
def solutions(name: str) -> dict[str, set[str]]:
    """Return the lines of each solution that the student version does not have."""
    source, found = EXERCISES / "source" / name / f"{name}.ipynb", {}
    released = nbformat.reads(student_version(source), as_version=4)
    given = bare("\n".join(cell.source for cell in released.cells))
    for cell in read(source).cells:
        blocks = re.findall(r"# BEGIN SOLUTION\n(.*?)# END SOLUTION", cell.source, re.DOTALL)
        blocks += re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END", cell.source, re.DOTALL)
        if blocks:
            own = {line for line in lines("\n".join(blocks)) if line not in given}
            found[cell.metadata.nbgrader.grade_id] = own
    return found


@cache
def secret(name: str) -> set[str]:
    """Return the lines of all solutions that neither a chapter nor a listing shows anyway."""
    shown = "".join(code(path) for path in chapter_notebooks())
    listed = [p for p in (ROOT / "cvlab").rglob("*.py") if p.parent.name != "exercises"]
    shown += bare("".join(path.read_text(encoding="utf-8") for path in listed))
    return {line for own in solutions(name).values() for line in own if line not in shown}


@cache
def seen(path: Path) -> str:
    """Return what a file says: a page without markup, a notebook without JSON's escapes."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".html":
        return bare(html.unescape(re.sub(r"<[^>]+>", "", text)))
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return bare("".join("".join(cell["source"]) for cell in cells)) + bare(text)
    return bare(text.replace('\\"', '"').replace("\\n", ""))


def files(site: Path) -> list[Path]:
    return [p for p in site.rglob("*") if p.suffix in TEXT and "mathjax" not in p.parts]


def page(site: Path, kind: str, name: str) -> Path:
    return site / "book" / "exercises" / kind / name / f"{name}.html"


# How the course's site is made


def test_every_solution_has_lines_to_look_for():
    for name in NAMES:
        assert all(solutions(name).values()), name
        assert len(secret(name)) >= len(solutions(name)) - 1, name  # 04.2 is the chapter's own


def test_the_contents_are_those_of_the_book_with_student_versions():
    text = yaml.safe_dump(course.contents(yaml.safe_load(CONTENTS)))
    assert "exercises/source" not in text
    assert (
        text.count("exercises/release") == len(NAMES) == CONTENTS.count("- file: book/exercises/")
    )
    assert yaml.safe_load(text.replace("/release/", "/source/")) == yaml.safe_load(CONTENTS)


def test_the_settings_execute_nothing_and_lead_to_no_solution():
    settings = course.settings(config())
    assert settings["only_build_toc_files"] is True
    assert settings["execute"] == {"execute_notebooks": "off"}
    assert settings["sphinx"]["config"]["book_course"] is True
    assert settings["html"]["use_edit_page_button"] is False
    assert settings["html"]["use_repository_button"] is False
    (extension,) = settings["sphinx"]["local_extensions"].values()
    assert (course.FOLDER / extension).resolve() == ROOT / "book" / "_ext"


def test_links_to_exercises_lead_to_the_student_version():
    link = "[a](../book/exercises/source/02-a/02-a.ipynb) and [b](exercises/source/02-b/02-b.ipynb)"
    assert without_solutions(link) == link.replace("/source/", "/release/")
    for other in ("book/exercises/source/02-a", "[a](https://example.org/source/a)"):
        assert without_solutions(other) == other
    text = "This page shows the tasks and, on demand, a solution. To work on them, open"
    assert without_solutions(text) == "This page shows the tasks. To work on them, open"


# The course's site


@built
def test_every_exercise_page_of_the_course_is_the_student_version():
    assert not list(COURSE.rglob("exercises/source"))
    for name in NAMES:
        shown = seen(page(COURSE, "release", name))
        released = read(EXERCISES / "release" / name / f"{name}.ipynb")
        stubs = [c for c in released.cells if c.metadata.get("nbgrader", {}).get("solution")]
        assert stubs
        assert all(bare(cell.source) in shown for cell in stubs), name
        assert "ondemand,asolution" not in shown


@built
@pytest.mark.parametrize("name", NAMES)
def test_no_exercise_page_of_the_course_has_a_line_of_its_solutions(name):
    shown = seen(page(COURSE, "release", name))
    own = set().union(*solutions(name).values())
    assert [line for line in own if line in shown] == []


@built
def test_no_file_of_the_course_has_a_line_that_only_solutions_have():
    every = files(COURSE)
    assert len(every) > len(NAMES)
    for name in NAMES:
        for line in secret(name):
            assert [path for path in every if line in seen(path)] == [], line


@built
def test_no_exercise_file_of_the_course_has_a_mark_of_solutions_or_hidden_tests():
    marks = [bare(mark) for mark in ("# BEGIN SOLUTION", "### BEGIN HIDDEN", "Show a solution")]
    exercises = [path for path in files(COURSE) if "exercises" in path.parts]
    assert len(exercises) >= 2 * len(NAMES)  # pages, and notebooks to download
    assert [(p, mark) for p in exercises for mark in marks if mark in seen(p)] == []
    assert not list(COURSE.rglob("cvlab/exercises*"))


@built
def test_no_page_of_the_course_leads_to_a_solution():
    for path in COURSE.rglob("*.html"):
        addresses = re.findall(r'href="([^"]*)"', path.read_text(encoding="utf-8"))
        assert [a for a in addresses if "exercises/source" in a] == [], path


# The public site


@built
@pytest.mark.parametrize("name", NAMES)
def test_the_public_site_has_every_solution_folded_away_and_no_hidden_test(name):
    parsed = BeautifulSoup(page(SITE, "source", name).read_text(encoding="utf-8"), "html.parser")
    folds = parsed.select("details.hide")
    assert not [fold for fold in folds if fold.has_attr("open")]
    folded = bare("".join(fold.extract().get_text() for fold in folds))
    open_text = bare(parsed.get_text())
    for grade_id, own in solutions(name).items():
        assert [line for line in own if line in open_text] == [], grade_id
        shown = [line for line in own if line in folded]
        assert shown == ([] if grade_id.endswith("-hidden") else list(own)), grade_id


@built
def test_no_other_page_of_the_public_site_has_a_line_of_a_solution():
    others = [path for path in files(SITE) if "exercises" not in path.parts]
    for name in NAMES:
        for line in secret(name):
            assert [path for path in others if line in seen(path)] == [], line
