"""The questions of the chapters: their form, their numbers, their page and their exports."""

from __future__ import annotations

import json
import math
import re
import sys
import zipfile
from collections import Counter
from io import BytesIO, StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))

from book_site import quizzes as pages

from tools import questions, quizzes
from tools.common import ROOT, chapters

ALL = questions.load()
NAMES = [path.stem for path in chapters()]
NUMBERS = [(q, c) for q in ALL for c in q.choices if c.expression]

# What they are


@pytest.mark.parametrize("chapter", NAMES)
def test_every_chapter_asks_three_to_five_questions_and_goes_back_to_earlier_ones(chapter):
    own = [q for q in ALL if q.chapter == chapter]
    assert 3 <= len(own) <= 5
    assert all(q.id.startswith(chapter[:3]) for q in own)
    if chapter != NAMES[0]:
        assert any(q.about < chapter for q in own)


def test_questions_name_chapters_that_exist_and_stand_in_their_order():
    assert {q.chapter for q in ALL} | {q.about for q in ALL} <= set(NAMES)
    assert [q.chapter for q in ALL] == sorted(q.chapter for q in ALL)


@pytest.mark.parametrize("question", ALL, ids=lambda q: q.id)
def test_every_choice_is_explained_and_exactly_one_is_right(question):
    assert [c.right for c in question.choices].count(True) == 1
    assert all(len(c.why) >= 15 and c.why[-1] in ".)?" for c in question.choices)
    assert question.ask.endswith(("?", ")"))
    texts = [question.ask, *(c.text + c.why for c in question.choices)]
    assert all(text.count("$") % 2 == 0 and text.count("`") % 2 == 0 for text in texts)


@pytest.mark.parametrize(("question", "choice"), NUMBERS, ids=lambda x: x[0])
def test_numbers_are_what_their_expressions_give(question, choice):
    assert questions.is_true(choice), f"{choice.text}: {questions.value(choice.expression)}"


def test_no_number_is_left_uncomputed_and_no_wrong_one_is_right():
    plain = re.compile(r"[−-]?\d[\d,.]*")
    for question in ALL:
        if all(plain.fullmatch(c.text) for c in question.choices):
            assert all(c.expression for c in question.choices), question.id
        (right,) = (c for c in question.choices if c.right)
        for choice in question.choices:
            if right.expression and choice.expression and not choice.right:
                same = math.isclose(
                    questions.value(choice.expression), questions.value(right.expression)
                )
                assert not same, (question.id, choice.text)


def test_neither_place_nor_length_gives_the_right_choice_away():
    places = Counter([c.right for c in q.choices].index(True) for q in ALL)
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) < len(ALL) / 2
    longest = [max(q.choices, key=lambda c: len(c.text)).right for q in ALL]
    assert sum(longest) < len(ALL) / 2


# How they are read

GOOD = """
[[question]]
id = "02-x"
chapter = "02-convolution"
about = "01-images-and-tasks"
ask = "How many?"
right = { text = "3", why = "Because.", expression = "1 + 2" }
wrong = [{ text = "12", why = "No." }, { text = "2", why = "No." }]
"""


def load_text(tmp_path, text):
    path = tmp_path / "quizzes.toml"
    path.write_text(text, encoding="utf-8")
    return questions.load(path)


def test_a_question_is_read_with_numbers_in_order(tmp_path):
    (question,) = load_text(tmp_path, GOOD)
    assert question[:4] == ("02-x", "02-convolution", "01-images-and-tasks", "How many?")
    assert [(c.text, c.right) for c in question.choices] == [
        ("2", False),
        ("3", True),
        ("12", False),
    ]


def test_words_are_ordered_by_chance_always_the_same(tmp_path):
    text = GOOD.replace('"3"', '"three"').replace('"12"', '"twelve"').replace('"2"', '"two"')
    first, again = load_text(tmp_path, text), load_text(tmp_path, text)
    assert first == again
    assert sorted(c.text for c in first[0].choices) == ["three", "twelve", "two"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('ask = "How many?"', "", r"02-x: missing \['ask'\]"),
        ('ask = "How', 'hint = "?"\nask = "How', r"02-x: missing \[\], unknown \['hint'\]"),
        (', { text = "2", why = "No." }', "", "02-x must have 2 or 3 wrong choices, got 1"),
        ('"12"', '"3"', "02-x: two choices have the same text"),
        ("01-images-and-tasks", "03-pooling", "about its chapter or an earlier one, got 03-pool"),
        ("\nid", "\nid", r"must be unique, got twice: \['02-x'\]"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, old, new, message):
    text = GOOD.replace(old, new, 1) if old != new else GOOD + GOOD
    with pytest.raises(ValueError, match=message):
        load_text(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "expression", "true"),
    [
        ("0.33, so not", "1 / 3", True),
        ("0.34", "1 / 3", False),
        ("1,216", "1216", True),
        ("1,216", "1217", False),
        ("−2", "-2", True),
        ("4", "pooling.max_pool2d(np.arange(4.0).reshape(1, 2, 2, 1), 2).sum() + 1", True),
    ],
)
def test_a_number_is_compared_as_it_is_rounded(text, expression, true):
    assert questions.is_true(questions.Choice(text, "", True, expression)) is true


def test_an_expression_needs_a_number():
    with pytest.raises(ValueError, match="must hold a number, got 'three'"):
        questions.is_true(questions.Choice("three", "", True, "3"))


# Exports: what a platform reads back


def visible(html: str) -> str:
    return " ".join(BeautifulSoup(html, "html.parser").get_text().split())


def expected(question) -> tuple:
    choices = [(visible(quizzes.to_html(c.text)), c.right) for c in question.choices]
    return question.id, visible(quizzes.to_html(question.ask)), choices


def test_moodle_reads_back_every_question(tmp_path):
    xml, _ = quizzes.write_exports(tmp_path)
    quiz = ElementTree.fromstring(xml.read_text(encoding="utf-8"))
    found, categories = [], []
    for item in quiz:
        if item.get("type") == "category":
            categories.append(item.findtext("category/text"))
            continue
        assert item.get("type") == "multichoice"
        assert item.findtext("single") == "true"
        answers = item.findall("answer")
        assert [a.get("fraction") for a in answers].count("100") == 1
        assert all(visible(a.findtext("feedback/text")) for a in answers)
        choices = [(visible(a.findtext("text")), a.get("fraction") == "100") for a in answers]
        found.append((item.findtext("name/text"), visible(item.findtext("questiontext/text"))))
        found[-1] += (choices,)
    assert found == [expected(q) for q in ALL]
    assert len(categories) == len({q.chapter for q in ALL})
    assert categories[1] == "$course$/top/How Convolutional Networks See/2 Convolution"


def test_qti_reads_back_every_question():
    package = zipfile.ZipFile(BytesIO(quizzes.qti(ALL, quizzes.chapter_titles(), "Book")))
    manifest = ElementTree.fromstring(package.read("imsmanifest.xml"))
    files = [f.get("href") for f in manifest.iter(f"{{{quizzes.PACKAGE}}}file")]
    assert sorted([*files, "imsmanifest.xml"]) == sorted(package.namelist())
    found, q = [], f"{{{quizzes.QTI}}}"
    for name in files:
        for item in ElementTree.fromstring(package.read(name)).iter(f"{q}item"):
            ((right,),) = (
                [v.text for v in condition.iter(f"{q}varequal")]
                for condition in item.iter(f"{q}respcondition")
                if condition.find(f"{q}setvar") is not None
            )
            labels = list(item.iter(f"{q}response_label"))
            choices = [
                (visible(x.findtext(f".//{q}mattext")), x.get("ident") == right) for x in labels
            ]
            linked = {x.get("linkrefid") for x in item.iter(f"{q}displayfeedback")}
            assert linked == {x.get("ident") for x in item.iter(f"{q}itemfeedback")}
            ask = item.findtext(f"{q}presentation/{q}material/{q}mattext")
            found.append((item.get("ident"), visible(ask), choices))
    assert found == [expected(question) for question in ALL]


def test_exports_are_the_same_each_time():
    titles = quizzes.chapter_titles()
    assert quizzes.qti(ALL, titles, "Book") == quizzes.qti(ALL, titles, "Book")


def test_formulas_and_signs_survive_the_export():
    assert quizzes.to_html("If $a < b$") == r"<p>If \(a &lt; b\)</p>"
    assert quizzes.to_html("`x` *y*") == "<p><code>x</code> <em>y</em></p>"
    assert visible(quizzes.to_html("$a < b$")) == r"\(a < b\)"


# On the page


def notebook(*sources):
    cells = [{"cell_type": "markdown", "id": f"c{i}", "source": s} for i, s in enumerate(sources)]
    meta = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    return meta | {"cells": [cell | {"metadata": {}} for cell in cells]}


def test_questions_stand_before_the_summary_and_nothing_else_changes():
    text = "Text.\n\n## Summary\n\n- $x$ \\to y"
    changed = pages.with_quiz(notebook("# Title", text))
    first, second = (cell["source"] for cell in changed["cells"])
    assert first == "# Title"
    assert second.index("## Check yourself") < second.index("```{quiz}") < second.index("## Summ")
    assert second.replace(pages.SECTION, "") == text


def test_without_a_summary_they_stand_at_the_end():
    changed = pages.with_quiz(notebook("# Title", "Text."))
    assert [c["source"] for c in changed["cells"]] == ["# Title", "Text.", pages.SECTION]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Build a site of two small chapters and return one of its pages."""
    source = tmp_path_factory.mktemp("source")
    (source / "chapters").mkdir()
    for name in ("01-images-and-tasks", "02-convolution"):
        text = json.dumps(notebook(f"# {name[3:].title()}", "## Summary\n\nEnd."))
        (source / "chapters" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    settings = {
        "extensions": ["myst_nb", "book_site.quizzes"],
        "root_doc": "chapters/01-images-and-tasks",
        "nb_execution_mode": "off",
        "myst_enable_extensions": ["dollarmath"],
        "html_static_path": [str(ROOT / "book" / "_static" / "quiz.css")],
    }
    warnings = StringIO()
    app = Sphinx(
        source, None, source / "out", source / "trees", "html", settings, None, warnings, True
    )
    app.build()
    assert warnings.getvalue().count("WARNING") == 1
    assert "isn't included in any toctree" in warnings.getvalue()
    assert {p.name for p in (source / "out" / "quizzes").iterdir()} == {"moodle.xml", "qti.zip"}
    html = (source / "out" / "chapters" / "02-convolution.html").read_text(encoding="utf-8")
    return BeautifulSoup(html, "html.parser")


def test_choices_open_without_a_script_and_say_whether_they_are_right(page):
    own = [q for q in ALL if q.chapter == "02-convolution"]
    shown = page.select("div.question[role=group]")
    assert len(shown) == len(own)
    for question, group in zip(own, shown, strict=True):
        asked = page.find(id=group["aria-labelledby"])
        assert asked in group.select("p")
        choices = group.select("ol > li > details")
        assert not any(choice.has_attr("open") for choice in choices)
        said = [choice.find("p").strong.text for choice in choices]
        assert said == ["Right." if c.right else "Not right." for c in question.choices]
        assert all(visible(str(choice.summary)) for choice in choices)
    assert not [script for script in page.find_all("script") if "quiz" in str(script)]


def test_a_question_about_an_earlier_chapter_says_which(page):
    (origin,) = page.select("p.quiz-origin")
    assert origin.get_text() == "From chapter 1, Images-And-Tasks"
    assert origin.a["href"] == "01-images-and-tasks.html"


def test_the_style_is_loaded_and_the_key_is_for_print_alone(page):
    assert [link for link in page.find_all("link") if "quiz.css" in link.get("href", "")]
    (key,) = page.select("p.quiz-key")
    letters = re.findall(r"\d ([a-d])", key.text)
    own = [q for q in ALL if q.chapter == "02-convolution"]
    assert letters == ["abcd"[[c.right for c in q.choices].index(True)] for q in own]
    style = (ROOT / "book/_static/quiz.css").read_text(encoding="utf-8")
    screen, _, printed = style.partition("@media print")
    assert "quiz-key { display: none; }" in screen
    assert "quiz-key { display: block;" in printed
