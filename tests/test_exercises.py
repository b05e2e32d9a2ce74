"""Every exercise accepts right answers however written and names the classic mistakes.

The answers tried stand in one module for each chapter, such as `answers_02.py`.
"""

import importlib
import logging

import numpy as np
import pytest
from nbclient import NotebookClient
from nbgrader.utils import determine_grade

from cvlab.check import check
from tools.common import EXERCISES, exercise_sources, read


def _solutions(chapter):
    """Run the answer cells of an exercise notebook and return the names they define."""
    notebook = read(EXERCISES / "source" / chapter / f"{chapter}.ipynb")
    names = {"np": np}
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            exec(cell.source, names)
    return names


CHAPTERS = {
    path.stem: importlib.import_module(f"answers_{path.stem[:2]}") for path in exercise_sources()
}
RIGHT = {
    number: (answer, _solutions(chapter)[answers.NAMES[number]])
    for chapter, answers in CHAPTERS.items()
    for number, answer in answers.RIGHT.items()
}
WRONG = [entry for answers in CHAPTERS.values() for entry in answers.WRONG]


@pytest.fixture(autouse=True)
def _graded_leniently(monkeypatch):
    monkeypatch.delenv("CVLAB_STRICT", raising=False)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("number", RIGHT)
def test_right_answers_get_all_points(number, hidden):
    for answer in RIGHT[number]:
        score = check(number, answer, points=2, hidden=hidden)
        assert score == 2, score.text


@pytest.mark.parametrize(("number", "answer", "message"), WRONG)
def test_wrong_answers_are_named(number, answer, message):
    score = check(number, answer, points=2)
    assert score < 2
    assert message in score.text


@pytest.mark.parametrize(("number", "answer", "message"), WRONG)
def test_hidden_cases_catch_wrong_answers_too(number, answer, message):
    assert check(number, answer, hidden=True) < 1


def test_every_exercise_is_tried():
    for chapter in CHAPTERS:
        exercises = importlib.import_module(f"cvlab.exercises.chapter_{chapter[:2]}").EXERCISES
        assert exercises.keys() <= RIGHT.keys()
        for number in exercises:
            assert sum(entry[0] == number for entry in WRONG) >= 3, number


@pytest.mark.parametrize("path", exercise_sources(), ids=lambda p: p.stem)
def test_the_blank_release_scores_nothing_and_the_solution_everything(path, tmp_path):
    release = EXERCISES / "release" / path.parent.name / path.name
    assert _grade(release, path, tmp_path)[0] == 0
    earned, possible = _grade(path, path, tmp_path)
    assert earned == possible > 0


def _grade(submission, source, directory):
    """Do as nbgrader does: put back the locked cells, execute, add up the points."""
    notebook = read(submission)
    originals = {_grade_id(cell): cell.source for cell in read(source).cells}
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("locked"):
            cell.source = originals[_grade_id(cell)]
    resources = {"metadata": {"path": str(directory)}}
    NotebookClient(notebook, timeout=60, allow_errors=True, resources=resources).execute()
    graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    grades = [determine_grade(cell, logging.getLogger("grade")) for cell in graded]
    return sum(earned for earned, _ in grades), sum(possible for _, possible in grades)


def _grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")
