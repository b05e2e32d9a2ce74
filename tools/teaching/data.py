"""The data behind the instructor pages, and links from these pages into the book.

Conventions
-----------
Every page is a file in `book/teaching`; links are relative to that folder.
A link to a heading that does not exist is an error, not a dead link.
"""

from __future__ import annotations

import tomllib
from functools import cache

from mdit_py_plugins.anchors.index import slugify

from tools.claims import tested
from tools.common import ROOT
from tools.teaching.facts import Chapter, all_exercises

PAGES = ROOT / "book" / "teaching"


@cache
def plans() -> dict[str, dict]:
    """Return the data of every chapter that has some, by number."""
    return {path.stem[:2]: _load(path.name) for path in sorted(PAGES.glob("[0-9][0-9]-*.toml"))}


@cache
def courses() -> list[dict]:
    """Return the sample courses."""
    return _load("courses.toml")["course"]


@cache
def topics() -> list[dict]:
    """Return the topics of the lecture decks, in the order of the book."""
    return _load("decks.toml")["topic"]


def _load(name: str) -> dict:
    return tomllib.loads((PAGES / name).read_text(encoding="utf-8"))


def chapter_link(chapter: Chapter) -> str:
    """Link to a chapter, with its number."""
    return f"[{int(chapter.number)}\u00a0· {chapter.title}](../../chapters/{chapter.path.name})"


def section_link(chapter: Chapter, heading: str) -> str:
    """Link to a section of a chapter.

    Raises
    ------
    ValueError
        If the chapter has no such heading.
    """
    if heading not in chapter.sections:
        raise ValueError(f"heading must be one of {chapter.path.name}, got {heading!r}")
    anchor = chapter.sections[heading].anchor
    return f"[{heading}](../../chapters/{chapter.path.name}#{anchor})"


def exercise_link(number: str, *, named: bool = False) -> str:
    """Link to an exercise, by its number or with its title.

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    if number not in all_exercises():
        raise ValueError(f"number must be that of an exercise, got {number!r}")
    facts = all_exercises()[number]
    label = f"{number} {facts.title}" if named else number
    return f"[{label}](../{facts.path.relative_to(ROOT / 'book')}#{facts.anchor})"


@cache
def claim_anchors() -> dict[str, str]:
    """Return the anchor of every tested claim on the page of claims."""
    return {claim["id"]: slugify(f"{claim['id']}: {claim['verdict']}") for *_, claim in tested()}


def claim_link(claim_id: str) -> str:
    """Link to a claim on the page of claims.

    Raises
    ------
    ValueError
        If no executed chapter tests the claim.
    """
    if claim_id not in claim_anchors():
        raise ValueError(f"claim_id must be tested in an executed chapter, got {claim_id!r}")
    return f"[{claim_id}](../claims.md#{claim_anchors()[claim_id]})"
