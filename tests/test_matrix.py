"""The runs with other versions: what counts as passed, what is recorded, what is compared."""

import datetime
import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import colab_versions, common, matrix, timings

TODAY = datetime.date.today()


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one chapter, its exercises and their student version, each of one cell."""
    for module in (common, matrix):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "EXERCISES", tmp_path / "exercises")
    monkeypatch.setattr(matrix, "VERIFIED", tmp_path / "verified.toml")
    for folder in ("chapters", "exercises/source/01-a", "exercises/release/01-a"):
        path = tmp_path / folder / "01-a.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, "import os\nassert os.listdir() == []")
    (tmp_path / "_config.yml").write_text(
        "repository: {url: https://github.com/me/book, branch: main}\ncvlab: {tag: v9.9.9}\n"
    )
    return tmp_path


def write(path, source):
    path.write_text(nbformat.writes(new_notebook(cells=[new_code_cell(source)])))


def test_a_chapter_passes_when_its_three_notebooks_run_each_in_an_empty_directory(book):
    assert len(matrix.notebooks_of("01-a")) == 3
    assert matrix.passes("01-a")


def test_only_the_student_version_may_have_wrong_answers(book, monkeypatch):
    monkeypatch.delenv("CVLAB_STRICT", raising=False)
    chapter, source, release = matrix.notebooks_of("01-a")
    source_of = 'import os\nassert os.environ["CVLAB_STRICT"] == "{}"'
    write(chapter, source_of.format(1))
    write(source, source_of.format(1))
    write(release, source_of.format(0))
    assert matrix.passes("01-a")


def test_only_the_student_version_may_have_blank_answers(book):
    chapter, _, release = matrix.notebooks_of("01-a")
    blank = new_code_cell("x = 0\nraise NotImplementedError()")
    after = new_code_cell("assert x == 0")
    release.write_text(nbformat.writes(new_notebook(cells=[blank, after])))
    assert matrix.passes("01-a")
    after.source = "assert x == 1"
    release.write_text(nbformat.writes(new_notebook(cells=[blank, after])))
    assert not matrix.passes("01-a")
    write(release, "")
    write(chapter, blank.source)
    assert not matrix.passes("01-a")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_failing_notebook_fails_the_chapter(book, capsys, which):
    broken = matrix.notebooks_of("01-a")[which]
    write(broken, "1 / 0")
    assert not matrix.passes("01-a")
    said = capsys.readouterr().out
    assert f"FAILED {broken.relative_to(book)}" in said
    assert "ZeroDivisionError" in said


def test_what_passed_is_recorded_with_versions_date_and_code(book):
    matrix.record("colab", "01-a", True)
    entry = matrix.verified()["colab"]
    assert entry["versions"]["python"] == sys.version.split()[0]
    assert set(matrix.PACKAGES) <= set(entry["versions"])
    assert entry["passed"] == {"01-a": {"date": TODAY, "code": matrix.code_of("01-a")}}


def test_a_failure_takes_an_earlier_pass_back_and_leaves_other_variants_alone(book):
    matrix.record("colab", "01-a", True)
    matrix.record("lowest", "01-a", True)
    matrix.record("lowest", "01-a", False)
    assert matrix.verified()["lowest"]["passed"] == {}
    assert set(matrix.verified()["colab"]["passed"]) == {"01-a"}


def test_other_versions_start_a_new_record(book, monkeypatch):
    matrix.record("colab", "01-a", True)
    monkeypatch.setattr(matrix, "version", lambda package: "99.0")
    matrix.record("colab", "02-b", False)
    assert matrix.verified()["colab"]["versions"]["numpy"] == "99.0"
    assert matrix.verified()["colab"]["passed"] == {}


def test_a_change_of_any_of_the_three_notebooks_is_a_change_of_the_code(book):
    codes = {matrix.code_of("01-a")}
    for path in matrix.notebooks_of("01-a"):
        write(path, "1 + 1")
        codes.add(matrix.code_of("01-a"))
    assert len(codes) == 4


def test_git_finds_the_address_of_the_book_in_a_copy_of_the_checkout(book, tmp_path_factory):
    environment = os.environ | matrix.redirected(tmp_path_factory.mktemp("scratch"))
    address = "https://github.com/me/book"
    listed = subprocess.run(
        ["git", "ls-remote", "--tags", address],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.endswith("refs/tags/v9.9.9\n")
    assert not (book / ".git").exists()


@pytest.fixture
def simulated(book, monkeypatch):
    """Run `set_up` with made-up lists of packages in place of pip's."""

    def set_up(*lists):
        remaining = iter(lists)
        ran = []
        monkeypatch.setattr(matrix, "packages", lambda: dict(next(remaining)))
        monkeypatch.setattr(matrix, "redirected", lambda directory: {})
        monkeypatch.setattr(matrix, "run", lambda notebook: ran.append(notebook.cells[0].source))
        monkeypatch.setattr(matrix, "setup_source", lambda: "the set-up cell")
        monkeypatch.setattr(matrix.subprocess, "run", lambda *a, **k: None)
        matrix.set_up()
        return ran

    return set_up


BEFORE = {"numpy": "2.1.3", "pip": "25.0"}
OURS = {"cvlab-book": "9.9.9"}


def test_the_set_up_cell_may_add_our_package_alone(simulated):
    assert simulated(BEFORE, BEFORE | OURS, BEFORE | OURS) == ["the set-up cell"] * 2


@pytest.mark.parametrize(
    ("after", "again"),
    [
        (BEFORE, BEFORE),  # nothing was installed
        (BEFORE | OURS | {"numpy": "2.2.0"}, BEFORE | OURS | {"numpy": "2.2.0"}),
        (BEFORE | OURS | {"scipy": "1.0"}, BEFORE | OURS | {"scipy": "1.0"}),
        (OURS, OURS),  # something went
        (BEFORE | {"cvlab-book": "9.9.8"}, BEFORE | {"cvlab-book": "9.9.8"}),
        (BEFORE | OURS, BEFORE | OURS | {"scipy": "1.0"}),  # at the second run
    ],
)
def test_any_other_change_by_the_set_up_cell_is_an_error(simulated, after, again):
    with pytest.raises(RuntimeError, match=r"must add .*cvlab-book.* and change nothing else"):
        simulated(BEFORE, after, again, again)


def test_an_unknown_chapter_is_named_before_anything_runs(book, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["matrix", "colab", "01-a", "1-a"])
    with pytest.raises(SystemExit, match="no such chapter: 1-a; there are 01-a"):
        matrix.main()


def test_the_command_records_what_passed_and_fails_for_the_rest(book, monkeypatch):
    monkeypatch.setattr(matrix, "set_up", lambda: 1.0)
    monkeypatch.setattr(matrix, "passes", lambda name: name == "01-a")
    write(book / "chapters/02-b.ipynb", "1 / 0")
    monkeypatch.setattr(sys, "argv", ["matrix", "colab"])
    with pytest.raises(SystemExit, match="failed with the versions of colab: 02-b"):
        matrix.main()
    assert set(matrix.verified()["colab"]["passed"]) == {"01-a"}


def test_the_page_shows_dates_and_marks_what_has_changed_since(book, monkeypatch):
    monkeypatch.setattr(timings, "ROOT", book)
    assert timings._versions() == ""
    for path in matrix.notebooks_of("01-a"):
        notebook = common.read(path)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# A chapter"))
        path.write_text(common.to_text(notebook))
    matrix.record("colab", "01-a", True)
    matrix.record("lowest", "01-a", False)
    page = timings._versions()
    assert "| | Colab |\n" in page  # nothing passed with the lowest: no column for it
    assert f"| Python | {sys.version.split()[0]} |" in page
    assert page.endswith(f"| [A chapter](../chapters/01-a.ipynb) | {TODAY} |\n")
    write(matrix.notebooks_of("01-a")[1], "2 + 2")
    assert timings._versions().endswith(f"| {TODAY} (older) |\n")


def test_the_committed_record_names_chapters_that_exist():
    names = {path.stem for path in common.chapters()}
    for entry in matrix.verified().values():
        assert set(entry["passed"]) <= names


FREEZE = """\
# Do not modify this file directly
absl-py==1.4.0
google-colab @ file:///colabtools/dist/google-colab-1.0.0.tar.gz
ipykernel==6.17.1
ipython==7.34.0
keras==3.13.2
matplotlib==3.10.0
numpy==2.1.3
Pillow==11.3.0
scikit_image==0.25.2
scikit-learn==1.6.1
scipy==1.16.3
tensorflow==2.20.0
"""
SYSTEM = "# lsb_release\nUbuntu 22.04.4 LTS\nPython 3.13.2\njulia version 1.11.5\n"


def test_the_versions_of_colab_are_read_from_its_lists(tmp_path, monkeypatch, capsys):
    (tmp_path / "pip-freeze.txt").write_text(FREEZE)
    (tmp_path / "os-info.txt").write_text(SYSTEM)
    monkeypatch.setattr(colab_versions, "REQUIREMENTS", tmp_path / "requirements.txt")
    colab_versions.main(source=f"{tmp_path.as_uri()}/")
    written = (tmp_path / "requirements.txt").read_text()
    first, *pins = written.splitlines()
    assert "Python 3.13;" in first
    assert set(pins) == {
        line.lower().replace("_", "-") for line in FREEZE.splitlines() if "==" in line
    } - {"absl-py==1.4.0"}
    assert capsys.readouterr().out == written


def test_the_committed_versions_of_colab_have_the_form_that_the_tool_writes():
    committed = colab_versions.REQUIREMENTS.read_text()
    assert colab_versions.requirements(committed, SYSTEM) == committed


def test_lists_without_a_version_are_an_error():
    with pytest.raises(ValueError, match="must have a version of keras, numpy, got none"):
        colab_versions.requirements(
            FREEZE.replace("keras==3.13.2", "keras @ file:///x").replace("numpy", "number"), SYSTEM
        )
    with pytest.raises(ValueError, match="must name the version of Python"):
        colab_versions.requirements(FREEZE, "Ubuntu")


@pytest.mark.parametrize(
    ("variant", "python"),
    [("lowest", "3.11"), ("newest", "3.13"), ("locked", "3.12")],
)
def test_each_variant_says_which_python_it_wants(variant, python):
    script = common.ROOT / "tools" / "matrix.sh"
    said = subprocess.run([script, "--python", variant], capture_output=True, text=True, check=True)
    assert said.stdout == f"python={python}\n"

    said = subprocess.run([script, "--python", "colab"], capture_output=True, text=True, check=True)
    assert (
        f"Python {said.stdout.strip().removeprefix('python=')};"
        in colab_versions.REQUIREMENTS.read_text()
    )


def test_an_unknown_variant_is_refused():
    script = common.ROOT / "tools" / "matrix.sh"
    refused = subprocess.run([script, "oldest"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "lowest, colab, newest or locked, got oldest" in refused.stderr
