"""Read the questions of `book/quizzes.toml`, check their form, and compute their numbers.

Each question belongs to the chapter that asks it (`chapter`) and may be about an earlier one
(`about`). It has one right choice and two or three wrong ones, and says of each why. A choice
that is a number may state the `expression` that gives it: a test computes it.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import pkgutil
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.common import ROOT

SOURCE = ROOT / "book" / "quizzes.toml"
NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?")
WRONG_CHOICES = range(2, 4)


class Choice(NamedTuple):
    """One answer to choose, and what to say to whoever chooses it."""

    text: str
    why: str
    right: bool
    expression: str = ""


class Question(NamedTuple):
    """One question; `about` is a chapter, the asking one itself or an earlier one."""

    id: str
    chapter: str
    about: str
    ask: str
    choices: tuple[Choice, ...]


def load(path: Path = SOURCE) -> list[Question]:
    """Return all questions in the order of the file; raise ValueError at the first mistake."""
    with path.open("rb") as file:
        entries = tomllib.load(file).get("question", [])
    questions = [_question(entry) for entry in entries]
    names = [question.id for question in questions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the id of a question must be unique, got twice: {twice}")
    return questions


def _question(entry: dict) -> Question:
    name = entry.get("id", "a question without id")
    unknown = set(entry) - {"id", "chapter", "about", "ask", "right", "wrong"}
    missing = {"id", "chapter", "ask", "right", "wrong"} - set(entry)
    if unknown or missing:
        raise ValueError(f"{name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    if len(entry["wrong"]) not in WRONG_CHOICES:
        raise ValueError(f"{name} must have 2 or 3 wrong choices, got {len(entry['wrong'])}")
    choices = [Choice(**entry["right"], right=True)]
    choices += [Choice(**wrong, right=False) for wrong in entry["wrong"]]
    if len({choice.text for choice in choices}) < len(choices):
        raise ValueError(f"{name}: two choices have the same text")
    about = entry.get("about", entry["chapter"])
    if about > entry["chapter"]:
        raise ValueError(f"{name} must be about its chapter or an earlier one, got {about}")
    return Question(name, entry["chapter"], about, entry["ask"].strip(), _in_order(name, choices))


def _in_order(name: str, choices: list[Choice]) -> tuple[Choice, ...]:
    """Order numbers by size and other choices by chance, the same chance each time."""
    if all(NUMBER.match(choice.text) for choice in choices):
        return tuple(sorted(choices, key=lambda choice: number(choice.text)[0]))
    return tuple(sorted(choices, key=lambda c: hashlib.sha256((name + c.text).encode()).digest()))


def number(text: str) -> tuple[float, int]:
    """Return the first number of a text, and how many decimals it has.

    Examples
    --------
    >>> number("about 1,234.50 MB")
    (1234.5, 2)
    """
    found = NUMBER.search(text)
    if not found:
        raise ValueError(f"a choice with an expression must hold a number, got {text!r}")
    digits = found[0].replace(",", "").replace("−", "-")
    return float(digits), len(digits.partition(".")[2])


@cache
def _names() -> dict:
    """Return what an expression may use: NumPy, math and cvlab's modules without Keras."""
    import cvlab

    modules = [m.name for m in pkgutil.iter_modules(cvlab.__path__) if not m.ispkg]
    public = {m: importlib.import_module(f"cvlab.{m}") for m in modules if m[0] != "_"}
    return {"np": np, "math": math, **public}


def value(expression: str) -> float:
    """Compute an expression with NumPy as `np`, `math`, and the modules of cvlab by name."""
    return float(np.asarray(eval(expression, dict(_names()))))


def is_true(choice: Choice) -> bool:
    """Tell whether the number of a choice is that of its expression, rounded as stated."""
    stated, decimals = number(choice.text)
    return abs(value(choice.expression) - stated) <= 0.5000001 * 10.0**-decimals
