"""The instructor pages say only what the notebooks, the exercises and the claims bear out."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cvlab.check import check, find
from cvlab.claims import MIME
from tools.common import ROOT, run_tool
from tools.teaching import graph
from tools.teaching.__main__ import render
from tools.teaching.chapter_page import chapter_page
from tools.teaching.course_pages import courses_page, decks_page, plans_page, week_minutes
from tools.teaching.data import claim_link, courses, exercise_link, plans, section_link, topics
from tools.teaching.facts import all_chapters, all_exercises, chapter_facts, named_chapters

each_chapter = pytest.mark.parametrize("number", sorted(all_chapters()))


def _steps(data):
    return data["plan10"]["steps"] + data["plan50"]["steps"]


@each_chapter
def test_the_chapter_has_a_page_for_teachers(number):
    assert number in plans()


@each_chapter
def test_objectives_are_those_of_the_chapter_word_for_word(number):
    assert [entry["text"] for entry in plans()[number]["objectives"]] == (
        all_chapters()[number].objectives
    )


@each_chapter
def test_no_objective_is_without_an_exercise(number):
    for entry in plans()[number]["objectives"]:
        assert entry["exercises"], entry["text"]


@each_chapter
def test_every_exercise_and_every_claim_serves_an_objective_or_is_said_to_go_beyond(number):
    data = plans()[number]
    for kind, existing in {
        "exercises": [n for n in all_exercises() if n.startswith(number)],
        "claims": all_chapters()[number].claims,
    }.items():
        serving = {name for entry in data["objectives"] for name in entry.get(kind, [])}
        beyond = data.get("beyond", {}).get(kind, [])
        assert serving | set(beyond) == set(existing)
        assert not serving & set(beyond)


@each_chapter
@pytest.mark.parametrize(("plan", "minutes"), [("plan10", 10), ("plan50", 50)])
def test_the_minutes_of_a_plan_add_up(number, plan, minutes):
    steps = plans()[number][plan]["steps"]
    assert sum(step["minutes"] for step in steps) == minutes
    assert len(plans()[number][plan]["aim"]) > 40


@each_chapter
def test_steps_ask_what_the_section_asks_and_show_what_it_has(number):
    chapter = all_chapters()[number]
    for step in _steps(plans()[number]):
        section = chapter.sections[step["section"]]
        if "ask" in step:
            assert 1 <= step["ask"] <= len(section.predictions)
        if "show" in step:
            assert section.figures > 0, step["section"]
        if "exercise" in step:
            assert step["exercise"] in all_exercises()
        assert re.search(r"[.?!]$", step["do"])


@each_chapter
def test_plans_ask_for_predictions_and_set_exercises(number):
    for plan in ("plan10", "plan50"):
        assert any("ask" in step for step in plans()[number][plan]["steps"])
    assert any("exercise" in step for step in plans()[number]["plan50"]["steps"])


@each_chapter
def test_the_check_answers_every_mistake_with_the_sentence_quoted(number, monkeypatch):
    monkeypatch.delenv("CVLAB_STRICT", raising=False)
    mistakes = plans()[number]["mistakes"]
    assert len(mistakes) >= 5
    for entry in mistakes:
        assert entry["exercise"].startswith(number)
        slips = [slip for slip, said in find(entry["exercise"]).mistakes if said == entry["says"]]
        scores = [check(entry["exercise"], slip) for slip in slips]
        assert any(score < 1 and entry["says"] in score.messages for score in scores), entry


@each_chapter
def test_needs_are_those_that_the_chapter_states(number):
    data = plans()[number]
    assert set(data["needs"]) | set(data.get("helps", [])) == all_chapters()[number].needs
    assert all(needed < number for needed in data["needs"])


def test_chapters_are_found_in_the_sentence_that_names_them():
    assert named_chapters("chapters 2 to 4 (x), chapter 12 and [a](07-b.ipynb)") == {
        "02", "03", "04", "07", "12",
    }  # fmt: skip
    assert named_chapters("chapter [2](02-convolution.ipynb)") == {"02"}
    assert named_chapters("Python with NumPy, and 3 afternoons") == set()


def test_facts_are_read_from_the_notebook(monkeypatch, tmp_path):
    front = (
        "# A chapter: of two parts\n\n> **After this chapter you can**\n>\n"
        "> - do this;\n> - do that.\n>\n> **You need** chapter 3.\n>\n"
        "> **Time** about 45 minutes to read; runs in 5 s on two CPU cores.\n\n## One\n\ntext"
    )
    figure = new_output("display_data", {"image/png": "", "text/plain": ""})
    box = new_output("execute_result", {MIME: {"id": "C05"}}, execution_count=1)
    notebook = new_notebook(
        cells=[
            new_markdown_cell(front),
            new_code_cell("draw", outputs=[figure, figure]),
            new_markdown_cell("More.\n\n> **Predict.** Is it\n> so?\n\n### Two `x`: 1 × 1"),
            new_code_cell("claim", outputs=[box]),
        ]
    )
    path = tmp_path / "03-x.ipynb"
    monkeypatch.setattr("tools.teaching.facts.read", lambda path: notebook)
    facts = chapter_facts(path)
    assert (facts.title, facts.minutes, facts.needs) == ("A chapter", 45, {"03"})
    assert facts.objectives == ["do this", "do that"]
    assert facts.sections["One"].predictions == ["Is it so?"]
    assert facts.sections["One"].figures == 2
    assert facts.sections["Two `x`: 1 × 1"].claims == ["C05"] == facts.claims
    assert facts.sections["Two `x`: 1 × 1"].anchor == "two-x-1--1"


def test_links_to_what_does_not_exist_are_refused():
    with pytest.raises(
        ValueError, match=r"heading must be one of 02-convolution\.ipynb, got 'Nil'"
    ):
        section_link(all_chapters()["02"], "Nil")
    with pytest.raises(ValueError, match=r"number must be that of an exercise, got '02\.99'"):
        exercise_link("02.99")
    with pytest.raises(ValueError, match="claim_id must be tested in an executed chapter, got"):
        claim_link("C99")


def test_a_page_holds_what_its_data_hold():
    page = chapter_page(all_chapters()["02"], plans()["02"])
    assert "| 3–7 | [Kernels as image operators](" in page
    minutes = [e.minutes for n, e in all_exercises().items() if n.startswith("02")]
    assert f"its {len(minutes)} exercises about {sum(minutes)}." in page
    asked = all_chapters()["02"].sections["Kernels as image operators"].predictions[0]
    assert f"**Ask:** “{asked}”" in page
    for entry in plans()["02"]["mistakes"]:
        assert entry["says"] in page
    assert "02-convolution.ipynb#exercise-021-slide-a-kernel-with-a-stride" in page
    assert "[C05](../claims.md#c05-holds-with-conditions)" in page


# Graph


def test_arcs_that_follow_from_others_are_left_out():
    needs = {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"a", "b", "c"}, "e": {"a", "c"}}
    assert graph.direct(needs) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}, "e": {"c"}}


def test_the_drawing_has_a_dot_a_title_and_an_arc_for_each():
    titles = {"01": "First", "02": "A & B", "03": "Third"}
    needs = {"01": set(), "02": {"01"}, "03": {"01", "02"}}
    root = ET.fromstring(graph.draw(titles, needs))
    assert [text.text for text in root.iter("text")] == ["1 · First", "2 · A & B", "3 · Third"]
    arcs = [path for path in root.iter("path") if " A " in path.get("d")]
    assert len(arcs) == 2
    assert root.get("role") == "img"
    assert root.get("aria-label").endswith("First to A & B; A & B to Third.")
    rows = [float(dot.get("cy")) for dot in root.iter("circle")]
    for arc, (top, bottom) in zip(arcs, [(0, 1), (1, 2)], strict=True):
        numbers = [float(n) for n in re.findall(r"[\d.]+", arc.get("d"))]
        assert numbers[1] == rows[top]
        assert numbers[-1] == pytest.approx(rows[bottom] - 3)
        assert min(numbers[0], numbers[-2]) > 100


def test_a_chapter_cannot_need_one_without_a_title():
    with pytest.raises(ValueError, match=r"needs must name chapters with a title, got \['09'\]"):
        graph.draw({"10": "Ten"}, {"10": {"09"}})


# Courses and decks


def test_courses_have_the_weeks_that_they_say_and_teach_in_order():
    assert [course["weeks"] for course in courses()] == [4, 8, 14]
    for course in courses():
        assert len(course["week"]) == course["weeks"]
        lessons = [number for week in course["week"] for number in week.get("lessons", [])]
        assert len(set(lessons)) == len(lessons)
        for number in lessons:
            needed = plans().get(number, {"needs": []})["needs"]
            told = lessons[: lessons.index(number)]
            assert set(needed) <= set(told), number


def test_exercises_of_a_week_belong_to_its_lessons():
    for course in courses():
        for week in course["week"]:
            if (chosen := week.get("exercises", [])) != "all":
                assert {number[:2] for number in chosen} <= set(week.get("lessons", []))
                assert set(chosen) <= set(all_exercises())


def test_minutes_of_a_week_are_added_up():
    week = {
        "lessons": ["02"],
        "talks": ["03", "99"],
        "exercises": ["02.1", "02.13"],
        "other_minutes": 7,
    }
    assert week_minutes(week) == (50 + 10 + 7, all_chapters()["02"].minutes + 8 + 25)
    all_of_them = sum(e.minutes for n, e in all_exercises().items() if n.startswith("03"))
    everything = week_minutes({"lessons": ["03"], "exercises": "all"})
    assert everything == (50, all_chapters()["03"].minutes + all_of_them)


def test_the_page_of_courses_adds_the_weeks_up():
    weeks = [week_minutes(week) for week in courses()[0]["week"]]
    hours = [sum(column) / 60 for column in zip(*weeks, strict=True)]
    assert f"about {hours[0]:.0f} hours in class and {hours[1]:.0f} at home" in courses_page()


def test_topics_lead_to_sections_that_exist():
    for topic in topics():
        assert set(topic["decks"]) <= set("ABCDE")
        for number, *headings in topic["places"]:
            if number in all_chapters():
                assert set(headings) <= set(all_chapters()[number].sections), topic["name"]
    assert set("ABCDE") == set("".join(topic["decks"] for topic in topics()))


def test_every_tested_claim_stands_under_the_decks_it_comes_from():
    page = decks_page()
    parts = re.split(r"^## Deck ", page, flags=re.MULTILINE)[1:]
    assert [part[0] for part in parts] == list("ABCDE")
    assert "[C05](../claims.md#c05-holds-with-conditions)" in parts[4]
    assert "[C05]" not in parts[0]


# The tool


def test_committed_pages_are_up_to_date():
    for path, text in render().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_a_stale_page_fails_the_check(monkeypatch, tmp_path):
    monkeypatch.setattr("tools.common.ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["teaching", "--check"])
    with pytest.raises(SystemExit, match=r"stale: a\.md; run `make pages`"):
        run_tool("", lambda: {tmp_path / "a.md": "x"}, "make pages")


def test_the_door_leads_to_every_page():
    door = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
    for name in ("plans", "prerequisites", "courses", "decks"):
        assert f"](teaching/{name}.md)" in door
    for number in plans():
        assert f"]({all_chapters()[number].path.stem}.md)" in plans_page()
