"""The pages about the whole book: all plans, what needs what, sample courses, the lecture decks.

Conventions
-----------
Chapters that are planned, but not written, are named without a link and count no minutes.
"""

from __future__ import annotations

from cvlab.claims import _table as claims_table
from tools.teaching import graph
from tools.teaching.chapter_page import GENERATED, exercise_minutes
from tools.teaching.data import (
    chapter_link,
    claim_anchors,
    claim_link,
    courses,
    exercise_link,
    plans,
    section_link,
    topics,
)
from tools.teaching.facts import all_chapters, all_exercises

PLANNED = {"15": "Generation", "16": "Practice"}

PLANS = """\
# Lesson plans

Each chapter has a plan of 10 minutes for one idea, a plan of 50 minutes for a lesson, the mistakes
that we expect with the sentence that answers each, and a list of which exercise and which claim
serves which objective. Plans quote the predictions that the chapter asks for, so that you can teach
from the chapter's page itself.
"""

PREREQUISITES = """\
# What needs what

An arc leads from a chapter down to one that builds on it. What follows from other arcs is left
out: chapter 8 needs chapter 2, but it also needs chapter 7, which needs chapter 2 itself.

```{{raw}} html
{drawing}
```

The same in full, as each chapter states it. *Helpful* is a chapter of which another one uses
something that it explains where it uses it.

| Chapter | Needs | Helpful |
| --- | --- | --- |
{rows}
"""

COURSES = """\
# Courses of 4, 8 and 14 weeks

Three ways through the book, to be changed. A lesson is the 50-minute plan of a chapter, and its
reading is done at home; a talk is the 10-minute plan, without the reading. The minutes at home are
those that the chapters and the exercises state for themselves, estimates of the authors; a tool
adds them up.
"""

DECKS = """\
# From five lecture decks to the book

The book grew out of five public lecture decks. If you teach from one of them, this page says where
each of its topics stands in the book, section by section, and which of its claims were tested.
"""


def plans_page() -> str:
    """Return the page that leads to the plans, and says which objectives lack an exercise."""
    known = {number: chapter for number, chapter in all_chapters().items() if number in plans()}
    rows = [
        f"| [{int(number)}\u00a0· {chapter.title}]({chapter.path.stem}.md) | {_idea(number)} |"
        for number, chapter in known.items()
    ]
    objectives = [(number, entry) for number in known for entry in plans()[number]["objectives"]]
    bare = [
        f"- Chapter {int(number)}: {entry['text']}. No exercise for: {entry['gap']}"
        for number, entry in objectives
        if not entry["exercises"]
    ]
    table = "\n".join(["| Plan | Its one idea, for 10 minutes |", "| --- | --- |", *rows])
    parts = [GENERATED + PLANS.rstrip(), table]
    if bare:
        parts += [
            "## Objectives without an exercise",
            f"Of {len(objectives)} objectives these {len(bare)} are practised in their chapter, "
            "by its predictions and experiments, and in no exercise with a check:",
            "\n".join(bare),
        ]
    return "\n\n".join(parts) + "\n"


def _idea(number: str) -> str:
    idea = plans()[number]["plan10"]["aim"].removeprefix("One idea: ")
    return idea[0].upper() + idea[1:]


def prerequisites_page() -> str:
    """Return the page that shows which chapter needs which."""
    known = {number: chapter for number, chapter in all_chapters().items() if number in plans()}
    rows = [
        f"| {chapter_link(chapter)} | {_short(plans()[number]['needs'])} | "
        f"{_short(plans()[number].get('helps', []))} |"
        for number, chapter in known.items()
    ]
    drawing = graph.draw(
        {number: chapter.title for number, chapter in known.items()},
        {number: set(plans()[number]["needs"]) for number in known},
    )
    return GENERATED + PREREQUISITES.format(drawing=drawing, rows="\n".join(rows))


def _short(numbers: list[str]) -> str:
    return ", ".join(str(int(number)) for number in numbers) or "–"


def courses_page() -> str:
    """Return the page of sample courses."""
    parts = [GENERATED + COURSES.rstrip()]
    for course in courses():
        parts += [
            f"## {course['weeks']} weeks: {course['title']}",
            course["about"],
            _course(course["week"]),
        ]
    return "\n\n".join(parts) + "\n"


def week_exercises(week: dict) -> list[str]:
    """Return the exercises of a week; "all" are those of the chapters of its lessons."""
    chosen = week.get("exercises", [])
    if chosen != "all":
        return chosen
    return [number for number in all_exercises() if number[:2] in week["lessons"]]


def week_minutes(week: dict) -> tuple[int, int]:
    """Return the minutes in class and at home of one week, of the chapters that exist."""
    lessons, talks = (
        [number for number in week.get(kind, []) if number in all_chapters()]
        for kind in ("lessons", "talks")
    )
    in_class = 50 * len(lessons) + 10 * len(talks) + week.get("other_minutes", 0)
    reading = sum(all_chapters()[number].minutes for number in lessons)
    return in_class, reading + exercise_minutes(week_exercises(week))


def _course(weeks: list[dict]) -> str:
    lines = ["| Week | What | Minutes in class, at home |", "| --- | --- | --- |"]
    for number, week in enumerate(weeks, 1):
        in_class, at_home = week_minutes(week)
        lines.append(f"| {number} | {_week(week)} | {in_class}, {at_home} |")
    in_class, at_home = (sum(column) for column in zip(*map(week_minutes, weeks), strict=True))
    return "\n".join(
        [
            *lines,
            "",
            f"In all about {in_class / 60:.0f} hours in class and {at_home / 60:.0f} at home.",
        ]
    )


def _week(week: dict) -> str:
    said = [
        f"{kind.capitalize()}: {', '.join(map(_chapter_or_name, week[kind]))}."
        for kind in ("lessons", "talks")
        if kind in week
    ]
    if week.get("exercises") == "all":
        said.append("All exercises.")
    elif numbers := week.get("exercises"):
        said.append(f"Exercises: {', '.join(exercise_link(number) for number in numbers)}.")
    return " ".join([*said, *([week["note"]] if "note" in week else [])])


def _chapter_or_name(number: str) -> str:
    if number in all_chapters():
        return chapter_link(all_chapters()[number])
    return f"{int(number)}\u00a0· {PLANNED[number]} (not written yet)"


def decks_page() -> str:
    """Return the page that leads from the five lecture decks to the sections of the book."""
    parts = [GENERATED + DECKS.rstrip()]
    for letter, name in claims_table()["decks"].items():
        rows = [
            f"| {topic['name']} | {_places(topic)} |"
            for topic in topics()
            if letter in topic["decks"]
        ]
        parts += [
            f"## Deck {letter}",
            f"{name}.",
            "\n".join(["| Topic | In the book |", "| --- | --- |", *rows]),
            f"Claims of this deck, tested: {_claims_of(letter)}.",
        ]
    return "\n\n".join(parts) + "\n"


def _places(topic: dict) -> str:
    said = []
    for number, *headings in topic["places"]:
        if number in all_chapters() and headings:
            links = [section_link(all_chapters()[number], heading) for heading in headings]
            said.append(f"{int(number)}\u00a0· {', '.join(links)}")
        else:
            said.append(_chapter_or_name(number))
    return "; ".join(said)


def _claims_of(letter: str) -> str:
    owned = claims_table()["claims"]
    return ", ".join(claim_link(c) for c in claim_anchors() if letter in owned[c]["decks"])
