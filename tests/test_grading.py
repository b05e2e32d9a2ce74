"""From a learning platform's download to grades.csv: nbgrader with the book's settings.

The loop runs nbgrader's own commands in a copy of the course folder, on made-up submissions.
"""

import copy
import csv
import doctest
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Configurable

from tools.common import EXERCISES, ROOT, exercise_sources, read, to_text
from tools.release import student_version

sys.path.insert(0, str(EXERCISES))

from grading import collect, mend
from grading.report import CsvWithStatus

NAME = "02-convolution"
TIMEOUT = 10  # seconds, where the shipped settings say 60: the test meets an infinite loop


def _release(name=NAME):
    text = student_version(EXERCISES / "source" / name / f"{name}.ipynb")
    return nbformat.reads(text, as_version=4)


def _solution(name=NAME):
    """Return the release with the answers of the source, as a student would hand it in."""
    notebook, answers = _release(name), {}
    for cell in read(EXERCISES / "source" / name / f"{name}.ipynb").cells:
        answers[mend.grade_id(cell)] = cell.source
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = answers[mend.grade_id(cell)]
    return notebook


def _cell(notebook, name):
    return next(c for c in notebook.cells if mend.grade_id(c) == name)


# Submissions


def perfect():
    return _solution()


def blank():
    return _release()


def mistakes():
    """A kernel that is not flipped, a size that is one too large, a stride that is not used."""
    notebook = _solution()
    for name, right, wrong in (
        ("ex-02-2", "[::-1, ::-1]", ""),
        ("ex-02-3", "stride + 1", "stride + 2"),
    ):
        answer = _cell(notebook, name)
        assert right in answer.source
        answer.source = answer.source.replace(right, wrong)
    _cell(
        notebook, "ex-02-11"
    ).source = "def spread(signal, kernel, stride):\n    return np.convolve(signal, kernel)"
    return notebook


def copied_cell():
    """An answer, a check and a prompt stand twice."""
    notebook = _solution()
    for name in ("ex-02-1", "ex-02-1-check", "ex-02-2-prompt"):
        twin = copy.deepcopy(_cell(notebook, name))
        twin.id = f"{twin.id}-copy"
        notebook.cells.insert(notebook.cells.index(_cell(notebook, name)) + 1, twin)
    return notebook


def stripped():
    """No cell has metadata; new cells stand between, one of them an earlier attempt."""
    notebook = _solution()
    for cell in notebook.cells:
        cell.metadata.clear()
    notebook.cells.insert(13, new_code_cell("# tried afterwards\nscratch = 1"))
    notebook.cells.insert(12, new_code_cell("def output_size(*sizes):\n    return 0"))
    notebook.cells.insert(5, new_markdown_cell("A remark of mine."))
    notebook.cells.append(new_code_cell("print('done')"))
    return notebook


def infinite_loop():
    notebook = _solution()
    head = "import time\n\n\ndef slide(signal, kernel, stride):\n"
    _cell(notebook, "ex-02-1").source = f"{head}    while True:\n        time.sleep(0.01)"
    return notebook


def crash_at_import():
    notebook = _solution()
    answer = _cell(notebook, "ex-02-3")
    answer.source = f"import a_package_that_is_not_here\n\n\n{answer.source}"
    return notebook


def edited_tests():
    """Nothing is answered; the checks and their points are changed, and `check` is replaced."""
    notebook = _release()
    _cell(notebook, "ex-02-1-check").source = "2.0"
    _cell(notebook, "ex-02-2-check").metadata.nbgrader.points = 100
    _cell(notebook, "ex-02-3-check").metadata.nbgrader.update(grade=False, locked=False)
    _cell(notebook, "ex-02-4-hidden").metadata.nbgrader.pop("schema_version")
    cheat = "\n\n\ndef check(*_, points, **__):\n    return float(points)"
    _cell(notebook, "ex-02-1").source += cheat
    notebook.cells.remove(_cell(notebook, "ex-02-5-check"))
    return notebook


def dead_kernel():
    notebook = _solution()
    _cell(notebook, "ex-02-1").source = "import os\n\nos._exit(1)"
    return notebook


def other_notebook():
    return new_notebook(cells=[new_code_cell("print('my holiday plans')")])


ALL, NONE, UNGRADED = 52.0, 0.0, None
GRADES = {
    perfect: ALL,
    blank: NONE,
    mistakes: ALL - 3 - 3 - 3,  # of its four points the last keeps one: where the stride is 1
    copied_cell: ALL,
    stripped: ALL,
    infinite_loop: ALL - 3,
    crash_at_import: ALL - 3,
    edited_tests: NONE,
    dead_kernel: UNGRADED,
    other_notebook: UNGRADED,
}


def _download(folder):
    """Write what Moodle would let the teacher download."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "CV26-Exercises 2-4711.zip", "w") as archive:
        for submission in GRADES:
            place = f"{_student(submission)}_assignsubmission_file"
            archive.writestr(f"{place}/{NAME}.ipynb", to_text(submission()))
        archive.writestr("Tor Nakt_150_assignsubmission_file/notes.pdf", b"%PDF")
        archive.writestr(
            f"Broken Upload_151_assignsubmission_file/{NAME}.ipynb", to_text(blank())[:5000]
        )


def _student(submission):
    return f"{submission.__name__.replace('_', ' ')}_{100 + list(GRADES).index(submission)}"


def _page():
    return (ROOT / "book" / "grading.md").read_text(encoding="utf-8")


def _write_private_test(path):
    """Put the private test that the page shows in the place of the hidden one of 02.1."""
    (private,) = re.findall(r"```python\n(.*?BEGIN HIDDEN TESTS.*?)\n```", _page(), re.DOTALL)
    notebook = read(path)
    _cell(notebook, "ex-02-1-hidden").source = private
    path.write_text(to_text(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A graded course: its folder, the rows of grades.csv, and what each command said."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(EXERCISES / "grading", folder / "grading")
    shutil.copy(EXERCISES / "nbgrader_config.py", folder)
    for step in ("source", "release"):
        shutil.copytree(EXERCISES / step / NAME, folder / step / NAME)
    _download(folder / "downloaded" / NAME / "archive")
    _write_private_test(folder / "source" / NAME / f"{NAME}.ipynb")
    log, commands = {}, []
    environment = {k: v for k, v in os.environ.items() if k != "CVLAB_STRICT"}
    # nbgrader calls alembic: let it be found as in an activated environment
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def nbgrader(command, *arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", command, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        log[command] = done.stdout + done.stderr
        commands.append(" ".join([command, *(a for a in arguments if "timeout" not in a)]))
        assert done.returncode == code, log[command]

    nbgrader("generate_assignment", NAME, "--force")
    nbgrader("generate_solution", NAME)
    nbgrader("db", "student", "add", "Away_152", "--last-name=Roe, Jr.")
    nbgrader("zip_collect", NAME, "--Collector.platform=moodle")
    nbgrader("autograde", NAME, f"--Execute.timeout={TIMEOUT}", code=1)  # some cannot be graded
    nbgrader("generate_feedback", NAME)
    nbgrader("export", "--to", "grades.csv")
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    commands = {command for command in commands if not command.startswith("db ")}
    return SimpleNamespace(folder=folder, rows=rows, log=log, commands=commands)


@pytest.mark.parametrize("submission", GRADES, ids=lambda s: s.__name__)
def test_each_submission_gets_its_grade_and_none_stops_the_others(course, submission):
    row = course.rows[_student(submission)]
    if GRADES[submission] is UNGRADED:
        assert row["score"] == ""
        assert row["status"] == "not graded: autograde was not run or stopped"
    else:
        assert float(row["score"]) == GRADES[submission]
        assert row["status"] == "graded"
    assert float(row["max_score"]) == ALL


def test_zero_and_not_graded_and_not_submitted_differ_in_the_table(course):
    assert course.rows[_student(blank)]["score"] == "0.0"
    assert course.rows["Broken Upload_151"]["status"].startswith("not graded")
    assert course.rows["Away_152"]["status"] == "not submitted"
    assert course.rows["Away_152"]["score"] == ""
    assert course.rows["Away_152"]["last_name"] == "Roe, Jr."
    assert "Tor Nakt_150" not in course.rows  # handed in no notebook and is in no list
    assert len(course.rows) == len(GRADES) + 2


def test_the_log_names_what_was_not_collected_mended_or_not_graded(course):
    assert "notes.pdf" in course.log["zip_collect"]
    mended = course.log["autograde"]
    assert "A cell named 'ex-02-1-check' is a copy or unknown" in mended
    assert "Cell ex-02-11-hidden had lost its metadata" in mended
    assert "Cell ex-02-5-check was missing: put back" in mended
    for submission, grade in GRADES.items():
        named = f"{_student(submission)}: not graded" in course.log["export"]
        assert named == (grade is UNGRADED)


def test_feedback_shows_what_each_check_said(course):
    def feedback(submission):
        page = course.folder / "feedback" / _student(submission) / NAME / f"{NAME}.html"
        return page.read_text(encoding="utf-8")

    assert f"Score: {GRADES[mistakes]} / {ALL}" in feedback(mistakes)
    assert "The stride is not used" in feedback(mistakes)
    assert "No reply from kernel before timeout" in feedback(infinite_loop)
    assert "a_package_that_is_not_here" in feedback(crash_at_import)
    assert f"Score: {ALL} / {ALL}" in feedback(stripped)


def test_the_generated_release_and_solution_are_those_of_the_book(course):
    def sources(path):
        return [cell.source for cell in read(path).cells]

    release = course.folder / "release" / NAME / f"{NAME}.ipynb"
    assert sources(release) == [cell.source for cell in _release().cells]
    solution = read(course.folder / "solution" / NAME / f"{NAME}.ipynb")
    outputs = [output for cell in solution.cells for output in cell.get("outputs", [])]
    earned = sum(float(output.data["text/plain"]) for output in outputs)
    assert earned == ALL - 1  # the private test says nothing when it is passed


def test_the_commands_on_the_page_are_those_that_were_run(course):
    shown = {line for line in _page().splitlines() if line.startswith("nbgrader ")}
    assert shown == {f"nbgrader {command}" for command in course.commands}


@pytest.fixture
def report(course):
    """The exporter, and a gradebook to change."""
    shutil.copy(course.folder / "gradebook.db", course.folder / "changed.db")

    class App(Configurable):
        coursedir = CourseDirectory(root=str(course.folder))

    with Gradebook(f"sqlite:///{course.folder / 'changed.db'}") as gradebook:
        yield CsvWithStatus(parent=App()), gradebook


def _row(report, submission):
    exporter, gradebook = report
    (row,) = (r for r in exporter.rows(gradebook) if r["student_id"] == _student(submission))
    return row


def test_a_grade_of_an_earlier_run_is_not_shown_as_that_of_a_failed_one(course, report):
    assert _row(report, copied_cell)["score"] == ALL
    shutil.move(course.folder / "autograded" / _student(copied_cell), course.folder / "aside")
    try:
        assert _row(report, copied_cell)["status"].startswith("not graded")
        assert "score" not in _row(report, copied_cell)
    finally:
        shutil.move(course.folder / "aside", course.folder / "autograded" / _student(copied_cell))


def test_cells_without_a_grade_are_named_until_someone_grades_them(report):
    _, gradebook = report
    grade = gradebook.find_grade("ex-02-13-hidden", NAME, NAME, _student(perfect))
    grade.auto_score = None
    gradebook.db.commit()
    assert _row(report, perfect)["status"] == "not all graded: ex-02-13-hidden"
    assert _row(report, perfect)["score"] == ALL - 2
    grade.manual_score = 1
    gradebook.db.commit()
    assert _row(report, perfect)["status"] == "graded"
    assert _row(report, perfect)["score"] == ALL - 1


def test_the_table_can_be_had_for_some_students_and_chapters(report):
    exporter, gradebook = report
    exporter.student = [_student(blank), "Away_152"]
    names = [row["student_id"] for row in exporter.rows(gradebook)]
    assert names == sorted([_student(blank), "Away_152"])
    exporter.assignment = ["03-pooling"]
    assert list(exporter.rows(gradebook)) == []


def test_the_shipped_settings_give_a_cell_one_minute():
    text = (EXERCISES / "nbgrader_config.py").read_text(encoding="utf-8")
    assert re.findall(r"^c\.Execute\.timeout = (\d+)$", text, re.MULTILINE) == ["60"]


# Mending


def _mended(notebook, release=None):
    release = release or _release()
    for step in (mend.KnownCells(), mend.LostCells()):
        step.mend(notebook, release)
    return notebook


def _names(notebook):
    return [mend.grade_id(cell) for cell in notebook.cells if mend.grade_id(cell)]


def test_an_untouched_notebook_is_left_as_it_is():
    assert _mended(_solution()) == _solution()


def test_of_copies_the_last_is_graded():
    notebook = _mended(copied_cell())
    assert _names(notebook) == _names(_release())
    first = notebook.cells[[c.id for c in notebook.cells].index("ex02-05")]
    assert mend.grade_id(first) is None


@pytest.mark.parametrize("metadata", [{}, {"grade": True}, {"grade_id": "mine"}, "text", None, []])
def test_metadata_of_no_known_cell_are_dropped(metadata):
    notebook = _solution()
    notebook.cells.insert(3, new_code_cell("1", metadata={"nbgrader": metadata}))
    assert "nbgrader" not in _mended(notebook).cells[3].metadata
    assert _names(notebook) == _names(_release())


def test_metadata_of_a_known_cell_are_those_of_the_release():
    notebook = edited_tests()
    release = {mend.grade_id(c): c.metadata.nbgrader for c in _release().cells}
    for cell in _mended(notebook).cells:
        assert cell.metadata.nbgrader == release[mend.grade_id(cell)]
    assert _names(notebook) == _names(_release())


def test_lost_metadata_return_to_the_right_cells():
    wanted = {mend.grade_id(c): c.source for c in _solution().cells}
    found = {mend.grade_id(c): c.source for c in _mended(stripped()).cells}
    found.pop(None)
    assert found == wanted


@pytest.mark.parametrize("name", [path.stem for path in exercise_sources()])
def test_a_perfect_notebook_of_every_chapter_survives_the_loss_of_all_metadata(name):
    notebook, release = _solution(name), _release(name)
    for cell in notebook.cells:
        cell.metadata.clear()
    mended = _mended(notebook, release).cells
    wanted = _solution(name).cells
    assert [(mend.grade_id(c), c.source) for c in mended] == [
        (mend.grade_id(c), c.source) for c in wanted
    ]


@pytest.mark.parametrize("missing", ["ex-02-1-hidden", "ex-02-4-check", "ex-02-11-hidden"])
@pytest.mark.parametrize("bare", [False, True])
def test_a_missing_check_is_put_back_behind_its_answer(missing, bare):
    """The hidden checks all read the same in the release: one must not stand in for another."""
    notebook = _solution()
    notebook.cells.remove(_cell(notebook, missing))
    if bare:
        for cell in notebook.cells:
            cell.metadata.clear()
    assert _names(_mended(notebook)) == _names(_release())
    expected = [cell.source for cell in _solution().cells]
    assert [cell.source for cell in notebook.cells] == expected


def test_an_edited_check_without_metadata_is_put_back():
    notebook = stripped()
    check = next(c for c in notebook.cells if c.source == 'check("02.5", multiply_adds, points=2)')
    check.source = "2.0"
    names = _names(_mended(notebook))
    assert names == _names(_release())
    assert _cell(notebook, "ex-02-5-check").source != "2.0"


def test_another_notebook_is_refused():
    with pytest.raises(ValueError, match="no cell in common with the release"):
        _mended(other_notebook())


def test_a_graded_cell_imports_the_check_that_an_answer_replaced():
    notebook = _solution()
    notebook.cells.append(new_code_cell('check("02.1", slide)'))
    mend.FreshCheck().preprocess(notebook, {})
    start = "from cvlab.check import check\n"
    assert _cell(notebook, "ex-02-1-check").source == f'{start}check("02.1", slide, points=2)'
    assert not notebook.cells[-1].source.startswith(start)


# Collecting

# fmt: off
NAMES = [
    ("moodle", "CV26-Week 2-4711/Jane Doe_123_assignsubmission_file_/02-convolution.ipynb",
     "Jane Doe_123", "02-convolution.ipynb"),
    ("moodle", "Jane Doe_123_assignsubmission_file/my work/02-convolution.ipynb",
     "Jane Doe_123", "02-convolution.ipynb"),
    ("moodle", "Jane Doe_123_assignsubmission_file_02-convolution_v2.ipynb",
     "Jane Doe_123", "02-convolution_v2.ipynb"),
    ("moodle", "Zoë Ångström-Núñez_7_assignsubmission_file_/work.ipynb",
     "Zoë Ångström-Núñez_7", "work.ipynb"),
    ("moodle", "Zoe\u0308 Li_7_assignsubmission_file_/work.ipynb", "Zoë Li_7", "work.ipynb"),
    ("moodle", "Participant_99_assignsubmission_file_/02-convolution.ipynb",
     "Participant_99", "02-convolution.ipynb"),
    ("moodle", "Jane (Jenny) Doe, PhD_5_assignsubmission_file_/a.ipynb",
     "Jane Jenny Doe PhD_5", "a.ipynb"),
    ("canvas", "doejane_12345_67890_02-convolution.ipynb",
     "doejane_12345", "02-convolution.ipynb"),
    ("canvas", "submissions/doejane_LATE_12345_67890_02-convolution-1.ipynb",
     "doejane_12345", "02-convolution-1.ipynb"),
    ("canvas", "CS_231_2026_Fall_submissions/o_neilanne2_12345_67890_1_2_3.ipynb",
     "o_neilanne2_12345", "1_2_3.ipynb"),
    ("canvas", "ångströmzoë_1_22_my work (2).ipynb", "ångströmzoë_1", "my work (2).ipynb"),
    ("canvas", "LATE_anon_aB1cd_67890_02-convolution.ipynb",
     "anon_aB1cd", "02-convolution.ipynb"),
    ("canvas", "doejane_12_34_work/5_6_02-convolution.ipynb",
     "doejane_12", "5_6_02-convolution.ipynb"),
    ("blackboard", "Week 2_jdoe_attempt_2026-10-02-13-45-10_02-convolution.ipynb",
     "Week 2_jdoe", "02-convolution.ipynb"),
    ("blackboard",
     "gradebook_CV26_Week202/Week 2_j_doe@uni.edu_attempt_2026-10-02-13-45-10_my_work.ipynb",
     "Week 2_j_doe@uni.edu", "my_work.ipynb"),
    ("brightspace", "13394-80551 - Jane Doe - Oct 2, 2026 145 PM - 02-convolution.ipynb",
     "Jane Doe_13394", "02-convolution.ipynb"),
    ("brightspace",
     "Week 2 Download Oct 3, 2026 900 AM/13394-80551 - Anne-Marie O'Neil - "
     "2 October 2026 1345/A - B.ipynb", "Anne-Marie O'Neil_13394", "A - B.ipynb"),
    ("brightspace", "1-2 - Jane Doe - Oct 2, 2026 145 PM - Doe - Homework 6.ipynb",
     "Jane Doe_1", "Doe - Homework 6.ipynb"),
    ("classroom", "Unit 1 - Convolution/Jane Doe - 02-convolution.ipynb",
     "Jane Doe", "02-convolution.ipynb"),
    ("classroom", "Anne-Marie O'Neil - Copy of 02-convolution (1).ipynb",
     "Anne-Marie O'Neil", "Copy of 02-convolution (1).ipynb"),
    ("ilias", "Week_2_12345/Submissions/Doe_Jane_jdoe_98765/02-convolution.ipynb",
     "Doe_Jane_jdoe_98765", "02-convolution.ipynb"),
    ("ilias", "Van der Berg_Anne Marie_a.vd_b@uni_7/02-convolution.ipynb",
     "Van der Berg_Anne Marie_a.vd_b@uni_7", "02-convolution.ipynb"),
    ("folders", "section A/jdoe/02-convolution.ipynb", "jdoe", "02-convolution.ipynb"),
]
# fmt: on


@pytest.mark.parametrize(("platform", "path", "student", "file"), NAMES)
def test_names_of_the_platforms_are_read(platform, path, student, file):
    found = collect.identify(path, platform)
    assert (found.student, found.file) == (student, file)


def test_the_table_of_the_page_is_right():
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)`.*\| `([^`]+)` \|$", _page(), re.MULTILINE)
    assert [platform for platform, _, _ in rows] == list(collect.PATTERNS)
    for platform, path, student in rows:
        chosen, _ = collect.choose([path.replace("…", f"{NAME}.ipynb")], platform, NAME)
        assert list(chosen) == [student]


def test_every_platform_is_tried():
    assert {name[0] for name in NAMES} == collect.PATTERNS.keys()


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("moodle", "Jane Doe_assignsubmission_file_/02-convolution.ipynb"),
        ("moodle", "Jane Doe_1_assignsubmission_onlinetext/02-convolution.ipynb"),
        ("canvas", "02-convolution.ipynb"),
        ("blackboard", "gradebook_CV26_Week2_2026-10-02-13-45-10/02-convolution.ipynb"),
        ("brightspace", "Week 2 Download Oct 2, 2026 145 PM/02-convolution.ipynb"),
        ("classroom", "Unit 1 - Convolution/02-convolution.ipynb"),
        ("ilias", "Submissions/02-convolution.ipynb"),
        ("folders", "02-convolution.ipynb"),
    ],
)
def test_names_that_name_nobody_are_not_guessed(platform, path):
    assert collect.identify(path, platform) is None
    chosen, remarks = collect.choose([path], platform, NAME)
    assert chosen == {}
    assert remarks == [f"{path}: no student recognised"]


STUDENTS = {
    "moodle": "{}_assignsubmission_file_/02-convolution.ipynb",
    "canvas": "{}_67890_02-convolution.ipynb",
    "blackboard": "Week_2_{}_attempt_2026-10-02-13-45-10_02-convolution.ipynb",
    "brightspace": "{}-9 - Jane Doe - Oct 2, 2026 145 PM - 02-convolution.ipynb",
    "classroom": "{} - 02-convolution.ipynb",
    "ilias": "Doe_Jane_{}/02-convolution.ipynb",
    "folders": "{}/02-convolution.ipynb",
}
ALIKE = {
    "moodle": ["Jane Doe_1", "Jane Doe_2", "Jane Doe_12", "Jane_3", "Doe_3"],
    "canvas": ["doejane_1", "doejane_2", "doejane_12", "doejane_LATE_3", "LATE_anon_a1", "anon_b1"],
    "blackboard": ["jane_doe", "john_doe", "doe", "jane_doe_2", "jane"],
    "brightspace": ["1", "2", "12"],
    "classroom": ["Jane Doe", "Jane Doe-Roe", "Jane", "Doe"],
    "ilias": ["jdoe_1", "jdoe_12", "j_doe_3", "a_jdoe_1"],
    "folders": ["jdoe", "j doe", "jdoe2", "j.doe"],
}


@pytest.mark.parametrize("platform", STUDENTS)
def test_no_two_students_are_merged(platform):
    paths = [STUDENTS[platform].format(name) for name in ALIKE[platform]]
    chosen, remarks = collect.choose([f"the download/{path}" for path in paths], platform, NAME)
    assert len(chosen) == len(paths)
    assert remarks == []
    if platform == "blackboard":
        assert set(chosen) == set(ALIKE[platform])


def test_a_single_student_of_blackboard_is_named_without_the_title():
    path = STUDENTS["blackboard"].format("jdoe")
    assert set(collect.choose([path], "blackboard", NAME)[0]) == {"jdoe"}


LATEST = [
    ("blackboard", ["W_a_attempt_2026-10-02-23-59-59_02-convolution.ipynb",
                    "W_a_attempt_2026-10-03-00-00-01_02-convolution.ipynb"], 1),
    ("brightspace", ["1-2 - A - Oct 12, 2026 905 AM - 02-convolution.ipynb",
                     "1-2 - A - Oct 2, 2026 1105 PM - 02-convolution.ipynb"], 0),
    ("brightspace", ["1-2 - A - Oct 2, 2026 1205 AM - 02-convolution.ipynb",
                     "1-2 - A - Oct 2, 2026 1105 AM - 02-convolution.ipynb"], 1),
    ("canvas", ["a_1_999_02-convolution.ipynb", "a_1_1000_02-convolution-1.ipynb"], 1),
    ("canvas", ["a_1_999_02-convolution.ipynb", "a_LATE_1_1000_02-convolution.ipynb"], 1),
    ("canvas", ["a_1_999_02-convolution.ipynb", "a_1_1000_scratch.ipynb"], 0),
    ("moodle", ["a_1_assignsubmission_file_/02-convolution.ipynb",
                "a_1_assignsubmission_file_/02-convolution (1).ipynb"], 0),
    ("moodle", ["a_1_assignsubmission_file_/02-convolution(9).ipynb",
                "a_1_assignsubmission_file_/Copy of 02-convolution (10).ipynb"], 1),
    ("classroom", ["A - notes.ipynb", "A - 02-convolution.ipynb"], 1),
]  # fmt: skip


@pytest.mark.parametrize(("platform", "paths", "index"), LATEST)
def test_one_notebook_of_each_student_counts(platform, paths, index):
    for order in (paths, paths[::-1]):
        chosen, remarks = collect.choose(order, platform, NAME)
        (found,) = chosen.values()
        assert found.path == paths[index]
        (remark,) = remarks
        assert remark.startswith(f"{paths[1 - index]}: not the latest of ")


def test_a_notebook_with_another_name_counts_if_it_is_the_only_one():
    folder = "A_1_assignsubmission_file_/"
    assert collect.choose([f"{folder}work.ipynb"], "moodle", NAME)[0]["A_1"].file == "work.ipynb"
    chosen, remarks = collect.choose([f"{folder}a.ipynb", f"{folder}b.ipynb"], "moodle", NAME)
    assert chosen == {}
    assert remarks == ["A_1: cannot tell which of ['a.ipynb', 'b.ipynb']"]


def test_the_name_may_stand_behind_the_title():
    (found,) = collect.choose(["02-convolution - Jane Doe.ipynb"], "classroom", NAME)[0].values()
    assert found.student == "Jane Doe"


def test_files_that_archives_and_jupyter_add_are_passed_over():
    folder = "A_1_assignsubmission_file_"
    paths = [
        f"__MACOSX/{folder}/._02-convolution.ipynb",
        f"{folder}/.ipynb_checkpoints/02-convolution-checkpoint.ipynb",
        f"{folder}/02-convolution.pdf",
    ]
    assert collect.choose(paths, "moodle", NAME) == ({}, [])


def test_two_folders_of_one_name_are_an_error():
    paths = ["a/work/02-convolution.ipynb", "b/work/02-convolution.ipynb"]
    with pytest.raises(ValueError, match=r"got 'work' as \['a/work', 'b/work'\]"):
        collect.choose(paths, "folders", NAME)


def test_the_examples_hold():
    assert doctest.testmod(collect).attempted > 0
    assert doctest.testmod(collect).failed == 0
