"""Each tool reproduces the committed files, and `--check` fails when one is stale."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cvlab.claims import MIME, claim
from tools import claims, common, degradation_curves, execute, matrix, release, stamp, timings

ROOT = common.ROOT
FRONT = (
    "# A chapter\n\n> **Time** about 5 minutes to read; runs in ? s on two CPU cores.\n\n"
    "[Open](https://colab.research.google.com/github/old/name/blob/old/chapters/01-a.ipynb)"
)

ABOUT = (
    "The book, version {0}, 2026.\n@software{{x,\n  version = {{{0}}},\n  url     = {{{1}}},\n}}\n"
)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one chapter and one exercise notebook in an empty directory."""
    for module in (common, execute, stamp, claims, timings):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(claims, "PAGE", tmp_path / "book/claims.md")
    monkeypatch.setattr(timings, "PAGE", tmp_path / "book/timings.md")
    monkeypatch.setattr(matrix, "VERIFIED", tmp_path / "book/verified.toml")
    for module in (common, release):
        monkeypatch.setattr(module, "EXERCISES", tmp_path / "book/exercises")
    (tmp_path / "_config.yml").write_text(
        "repository: {url: https://github.com/me/book, branch: main}\ncvlab: {tag: v9.9.9}\n"
    )
    (tmp_path / "CITATION.cff").write_text("version: 0.1\nrepository-code: x\ntitle: Book\n")
    (tmp_path / "book").mkdir()
    (tmp_path / "book/about.md").write_text(ABOUT.format("0.1.0", "https://github.com/old/name"))
    setup = lambda: new_code_cell("pass", metadata={"tags": ["setup"]})  # noqa: E731
    chapter = new_notebook(
        cells=[new_markdown_cell(FRONT), setup(), new_code_cell("import os\nprint(os.listdir())")]
    )
    exercise = new_notebook(cells=[new_markdown_cell("# Exercises"), setup(), *_exercise_cells()])
    for path, notebook in {
        "chapters/01-a.ipynb": chapter,
        "book/exercises/source/01-a/01-a.ipynb": exercise,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(nbformat.writes(notebook))
    return tmp_path


def _exercise_cells():
    def nbgrader(grade_id, **kind):
        base = {"grade": False, "solution": False, "locked": False, "task": False}
        return {"nbgrader": base | {"grade_id": grade_id, "schema_version": 3} | kind}

    answer = "def f(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION"
    hidden = "# more\n### BEGIN HIDDEN TESTS\nassert f(2) == 4\n### END HIDDEN TESTS"
    yield new_code_cell(answer, metadata=nbgrader("a", solution=True) | {"tags": ["hide-input"]})
    yield new_code_cell(
        hidden,
        metadata=nbgrader("b", grade=True, locked=True, points=1) | {"tags": ["remove-cell"]},
    )


def run(monkeypatch, tool, *arguments):
    monkeypatch.setattr(sys, "argv", ["tool", *arguments])
    if tool is execute:
        execute.main()
    else:
        common.run_tool("", tool.render, "make pages")


def test_stamp_writes_address_and_tag_and_notices_a_change(book, monkeypatch):
    with pytest.raises(SystemExit, match=r"stale: chapters/01-a.ipynb, .*; run `make pages`"):
        run(monkeypatch, stamp, "--check")
    run(monkeypatch, stamp)
    run(monkeypatch, stamp, "--check")
    cell = common.read(book / "chapters/01-a.ipynb").cells[1].source
    assert "git+https://github.com/me/book@v9.9.9" in cell
    assert "--no-deps" in cell
    link = "https://colab.research.google.com/github/me/book/blob/main/chapters/01-a.ipynb"
    assert link in common.read(book / "chapters/01-a.ipynb").cells[0].source
    citation = (book / "CITATION.cff").read_text()
    assert citation == "version: 9.9.9\nrepository-code: https://github.com/me/book\ntitle: Book\n"
    about = (book / "book/about.md").read_text()
    assert about == ABOUT.format("9.9.9", "https://github.com/me/book")
    assert "pip install cvlab" not in cell
    assert common.read(book / "chapters/01-a.ipynb").cells[1].metadata.tags == stamp.TAGS
    compile(re.sub(r"^\s*%pip.*$", "    pass", cell, flags=re.M), "cell", "exec")
    (book / "_config.yml").write_text(
        "repository: {url: https://github.com/me/moved, branch: main}\ncvlab: {tag: v9.9.9}\n"
    )
    with pytest.raises(SystemExit):
        run(monkeypatch, stamp, "--check")


@pytest.fixture
def run_setup(monkeypatch):
    """Run the set-up cell where the packages named are installed; return what pip was told."""
    cell = stamp.setup_source()
    python = re.sub(r"^(\s*)%pip (.*)$", r"\1installs.append('''\2''')", cell, flags=re.M)

    def run_with(*names):
        installs = []
        distributions = [type("D", (), {"name": name}) for name in names]
        monkeypatch.setattr("importlib.metadata.distributions", lambda: distributions)
        exec(compile(python, "cell", "exec"), {"installs": installs})
        return installs

    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    return run_with


def test_the_setup_cell_installs_what_is_missing_and_leaves_our_own_alone(run_setup):
    assert run_setup("numpy", "cvlab_book") == []
    assert run_setup("cvlab-book", None) == []  # Colab has had distributions without a name
    (told,) = run_setup("numpy")
    assert told.startswith('install -q --no-deps "cvlab-book @ git+https://')


def test_the_setup_cell_hides_accelerators_so_that_numbers_do_not_depend_on_them(run_setup):
    run_setup("cvlab-book")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"


def test_the_setup_cell_says_what_to_do_when_it_fails(run_setup, monkeypatch):
    with pytest.raises(ImportError, match="another cvlab is here: %pip uninstall -y cvlab"):
        run_setup("numpy", "cvlab")
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)  # pip has failed
        with pytest.raises(ImportError, match="turn the internet on, or choose a newer runtime"):
            run_setup("numpy")
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.requires", lambda name: ["numpy>=99"])
        with pytest.raises(ImportError, match=r"cvlab needs numpy>=99, got .* newer runtime"):
            run_setup("cvlab-book")


def test_the_setup_cell_has_the_style_of_the_notebooks(tmp_path):
    path = tmp_path / "a.ipynb"
    cells = [new_code_cell(stamp.setup_source())]
    path.write_text(nbformat.writes(new_notebook(cells=cells)))
    style = ["--no-cache", "--config", str(ROOT / "chapters" / "ruff.toml"), str(path)]
    for command in (["check", "--ignore", "D,E402,N806,B018"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, *style]
        assert subprocess.run(ruff).returncode == 0


def test_stamp_wants_exactly_one_setup_cell(book):
    notebook = common.read(book / "chapters/01-a.ipynb")
    notebook.cells.pop(1)
    (book / "chapters/01-a.ipynb").write_text(nbformat.writes(notebook))
    with pytest.raises(ValueError, match="one code cell tagged setup, got 0"):
        stamp.render()


def test_execute_runs_in_an_empty_directory_and_notices_changed_code(book, monkeypatch):
    chapter = book / "chapters/01-a.ipynb"
    with pytest.raises(SystemExit, match=r"outputs are stale: chapters/01-a\.ipynb"):
        run(monkeypatch, execute, "--check")
    run(monkeypatch, execute)
    run(monkeypatch, execute, "--check")
    notebook = common.read(chapter)
    assert notebook.cells[2].outputs[0].text == "[]\n"
    assert set(notebook.metadata) == {"cvlab", "kernelspec", "language_info"}
    assert notebook.metadata.cvlab.seconds >= 1
    assert not any("execution" in cell.metadata for cell in notebook.cells)

    notebook.cells[0].source += " More prose."
    chapter.write_text(common.to_text(notebook))
    run(monkeypatch, execute, "--check")  # prose does not make outputs stale
    notebook.cells[1].source = "print('another version')"
    chapter.write_text(common.to_text(notebook))
    run(monkeypatch, execute, "--check")  # nor does the set-up cell
    notebook.cells[2].source += "\n1 + 1"
    chapter.write_text(common.to_text(notebook))
    with pytest.raises(SystemExit):
        run(monkeypatch, execute, "--check")


def test_only_the_startup_log_of_tensorflow_is_dropped_from_stderr():
    log = "WARNING: All log messages before absl::Init\nI0000 00:00:1.2 1 port.cc:153] oneDNN\n\n"
    notebook = new_notebook(cells=[new_code_cell("import tensorflow")])
    outputs = [new_output("stream", name="stderr", text=text) for text in (log, log + "Help!\n")]
    notebook.cells[0].outputs = [*outputs, new_output("stream", name="stdout", text=log)]
    execute.normalise(notebook, seconds=0.2)
    assert [o.text for o in notebook.cells[0].outputs] == [log + "Help!\n", log]
    assert notebook.metadata.cvlab.seconds == 1


def test_execute_stops_at_an_error_and_keeps_the_old_file(book, monkeypatch):
    chapter = book / "chapters/01-a.ipynb"
    notebook = common.read(chapter)
    notebook.cells[2].source = "1 / 0"
    chapter.write_text(common.to_text(notebook))
    before = chapter.read_text()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        run(monkeypatch, execute)
    assert chapter.read_text() == before


def test_timings_write_the_measured_seconds_into_page_and_front_block(book, monkeypatch):
    with pytest.raises(ValueError, match=r"01-a.ipynb must be executed first"):
        timings.render()
    for path in common.chapters() + common.exercise_sources():
        notebook = common.read(path)
        notebook.metadata["cvlab"] = {"code": "x", "seconds": 17}
        path.write_text(common.to_text(notebook))
    run(monkeypatch, timings)
    run(monkeypatch, timings, "--check")
    assert (
        "runs in 17 s on two CPU cores" in common.read(book / "chapters/01-a.ipynb").cells[0].source
    )
    page = (book / "book/timings.md").read_text()
    assert "| [A chapter](../chapters/01-a.ipynb) | 17 |" in page
    assert "| **All** | **34** |" in page


def test_claims_are_read_from_the_outputs_of_the_chapters(book, monkeypatch):
    path = book / "chapters/01-a.ipynb"
    notebook = common.read(path)
    box = claim(
        "C05",
        holds={"grey": True, "colour": False},
        verdict="holds with conditions",
        measured="80 and 224 weights.",
    )
    notebook.cells[2].outputs = [
        new_output("execute_result", box._repr_mimebundle_(), execution_count=1)
    ]
    path.write_text(common.to_text(notebook))
    run(monkeypatch, claims)
    page = (book / "book/claims.md").read_text()
    assert "## C05: holds with conditions" in page
    assert "[A chapter](../chapters/01-a.ipynb#claim-C05)" in page
    assert "- grey: yes\n- colour: no" in page
    assert "1 claims tested so far (holds: 0, holds with conditions: 1, does not hold: 0)" in page
    notebook.cells[2].outputs[0].data[MIME]["measured"] = "another number"
    path.write_text(common.to_text(notebook))
    with pytest.raises(SystemExit, match=r"stale: book/claims.md"):
        run(monkeypatch, claims, "--check")


def test_release_has_no_solution_no_hidden_test_and_no_output(book, monkeypatch):
    run(monkeypatch, release)
    run(monkeypatch, release, "--check")
    text = (book / "book/exercises/release/01-a/01-a.ipynb").read_text()
    assert "return 2 * x" not in text
    assert "assert f(2) == 4" not in text
    assert "raise NotImplementedError()" in text
    assert "hide-input" not in text
    assert "remove-cell" not in text
    notebook = nbformat.reads(text, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert [c.metadata.nbgrader.grade_id for c in notebook.cells if "nbgrader" in c.metadata] == [
        "a",
        "b",
    ]


def test_the_degradation_curves_are_trained_with_the_rates_that_their_file_names():
    rates = [degradation_curves.learning_rate(epoch) for epoch in range(160)]
    assert rates == [0.05] * 80 + [0.005] * 40 + [0.0005] * 40
    stored = json.loads(degradation_curves.TARGET.read_text(encoding="utf-8"))
    assert stored["learning_rates"] == {"0": 0.05, "80": 0.005, "120": 0.0005}
    assert {len(curves["loss"]) for curves in stored["networks"].values()} == {len(rates)}


def test_a_title_is_the_first_heading():
    with pytest.raises(ValueError, match="heading of level 1"):
        common.title(new_notebook(cells=[new_markdown_cell("## Two")]))
