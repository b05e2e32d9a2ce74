"""Every notebook has the form of the template, and the rules catch what breaks it."""

import copy
import re

import nbformat
import pytest
import yaml
from notebook_form import bytes_of, problems

from tools.common import EXERCISES, ROOT, chapters, exercise_sources, read

CHAPTERS = [
    "01-images-and-tasks", "02-convolution", "03-pooling", "04-receptive-fields", "05-training",
    "06-batch-normalization", "07-residual-connections", "08-architectures",
    "09-transfer-learning", "10-looking-inside", "11-grad-cam", "12-localization",
    "13-detection", "14-segmentation", "15-generation", "16-practice",
]  # fmt: skip


@pytest.mark.parametrize("path", chapters(), ids=lambda p: p.stem)
def test_the_chapter_has_the_form_of_the_template(path):
    assert problems(read(path), bytes_of(path)) == []


@pytest.mark.parametrize("path", chapters(), ids=lambda p: p.stem)
def test_the_chapter_has_its_fixed_name_its_exercises_and_its_place_in_the_contents(path):
    assert path.stem in CHAPTERS
    source = EXERCISES / "source" / path.stem / f"{path.stem}.ipynb"
    assert source.exists()
    contents = (ROOT / "book" / "_toc.yml").read_text()
    assert f"chapters/{path.stem}" in contents
    assert str(source.relative_to(ROOT).with_suffix("")) in contents


@pytest.mark.parametrize("path", chapters(), ids=lambda p: p.stem)
def test_relative_links_of_the_chapter_lead_to_files(path):
    text = "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", chapters(), ids=lambda p: p.stem)
def test_sources_cited_in_the_chapter_are_in_the_bibliography(path):
    last = next(c for c in reversed(read(path).cells) if "## References" in c.source)
    cited = re.findall(r"\]\((https://(?:doi\.org|arxiv\.org)/[^)\s]+)\)", last.source)
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").lower()
    assert cited
    for url in cited:
        key = re.sub(r"https://(doi\.org/|arxiv\.org/abs/)", "", url).lower()
        assert key in bibliography, url


def test_every_notebook_in_the_contents_exists():
    def files(node):
        if isinstance(node, dict):
            yield from ([node["file"]] if "file" in node else [])
            yield from (f for value in node.values() for f in files(value))
        elif isinstance(node, list):
            yield from (f for value in node for f in files(value))

    contents = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    for name in files(contents):
        assert any((ROOT / name).with_suffix(s).exists() for s in (".md", ".ipynb")), name


RELEASES = sorted((EXERCISES / "release").glob("*/*.ipynb"))


@pytest.mark.parametrize(
    "path", [*chapters(), *exercise_sources(), *RELEASES], ids=lambda p: f"{p.parts[-3]}-{p.stem}"
)
def test_every_common_program_opens_the_notebook_and_finds_its_kernel(path):
    """JupyterLab, VS Code, Kaggle and Colab go by the format and by the kernel's name alone."""
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.kernelspec.language == notebook.metadata.language_info.name == "python"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    magics = [
        line
        for cell in notebook.cells
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", [])
        for line in cell.source.splitlines()
        if line.lstrip().startswith(("%", "!"))
    ]
    assert magics == []  # nothing that needs a shell, an extension, or Colab itself
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert not re.search(r"^(?:from|import) google", code, flags=re.M)


@pytest.mark.parametrize("path", exercise_sources(), ids=lambda p: p.stem)
def test_exercises_are_complete(path):
    """Each exercise is a prompt, an answer, a visible and a hidden check, in this order."""
    graded = [c for c in read(path).cells if c.metadata.get("nbgrader", {}).get("grade_id")]
    ids = [c.metadata.nbgrader.grade_id for c in graded]
    assert len(set(ids)) == len(ids)
    names = [i.removesuffix("-prompt") for i in ids if i.endswith("-prompt")]
    assert len(names) >= 6
    for name in names:
        start = ids.index(f"{name}-prompt")
        assert ids[start : start + 4] == [
            f"{name}{part}" for part in ("-prompt", "", "-check", "-hidden")
        ]
        _, answer, visible, hidden = graded[start : start + 4]
        assert "# BEGIN SOLUTION" in answer.source
        assert "hide-input" in answer.metadata.tags
        assert "### BEGIN HIDDEN TESTS" in hidden.source
        assert "remove-cell" in hidden.metadata.tags
        for cell in (visible, hidden):
            points = cell.metadata.nbgrader.points
            assert points > 0
            assert f"points={points}" in cell.source


@pytest.fixture(scope="module")
def good():
    return read(chapters()[0])


def _image(notebook):
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    return next(o for o in outputs if "image/png" in o.get("data", {}))


def _code(notebook):
    return next(c for c in notebook.cells if c.cell_type == "code")


BREAKAGES = {
    "lacks measured seconds": lambda nb: nb.cells[0].update(
        source=re.sub(r"runs in \d+ s", "runs fast", nb.cells[0].source)
    ),
    "lacks 3 to 6 objectives": lambda nb: nb.cells[0].update(
        source=nb.cells[0].source.replace("> - ", "> ")
    ),
    "lacks a title": lambda nb: nb.cells.pop(0),
    "the last sections must be": lambda nb: nb.cells.append(
        nbformat.v4.new_markdown_cell("## Afterthoughts")
    ),
    "exactly one heading of level 1": lambda nb: nb.cells.append(
        nbformat.v4.new_markdown_cell("# Another")
    ),
    "error output": lambda nb: _code(nb).outputs.append(
        nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
    ),
    "stderr output": lambda nb: _code(nb).outputs.append(
        nbformat.v4.new_output("stream", name="stderr", text="warning")
    ),
    "absolute path in an output": lambda nb: _code(nb).outputs.append(
        nbformat.v4.new_output("stream", text="/home/me/book")
    ),
    "absolute path /": lambda nb: _code(nb).update(source="open('/home/me/book')"),
    "widget output": lambda nb: _code(nb).outputs.append(
        nbformat.v4.new_output(
            "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}
        )
    ),
    "cell of 25 lines": lambda nb: _code(nb).update(source="\n".join(["x = 1"] * 25)),
    "neither compared nor asserted": lambda nb: _code(nb).outputs.append(
        nbformat.v4.new_output("stream", text="accuracy 0.93")
    ),
    "40 characters": lambda nb: _image(nb).metadata["image/png"].update(alt="A figure."),
    "repeats the prose": lambda nb: nb.cells.append(
        nbformat.v4.new_markdown_cell(_image(nb).metadata["image/png"]["alt"])
    ),
    "has not been executed": lambda nb: _code(nb).update(execution_count=None),
    "metadata that no tool reads": lambda nb: nb.metadata.update(widgets={}),
    "execution timestamps": lambda nb: _code(nb).metadata.update(execution={}),
    "nothing is seeded": lambda nb: [
        c.update(source=re.sub(r"set_random_seed\(|default_rng\(\d", "f(", c.source))
        for c in nb.cells
    ],
}


@pytest.mark.parametrize("symptom", BREAKAGES)
def test_the_rules_catch_a_broken_notebook(good, symptom):
    broken = copy.deepcopy(good)
    BREAKAGES[symptom](broken)
    assert symptom in "\n".join(problems(broken, size=1))


def test_the_rules_catch_a_notebook_that_is_too_large(good):
    assert "at most 600,000" in problems(good, size=600_001)[-1]
