"""Exercise checks that say what went wrong.

Conventions
-----------
An exercise is a right answer written independently, the inputs to try, and the classic
mistakes, each as the code that makes it, with a sentence that teaches.
`check("02.1", answer, points=3)` looks the exercise up in `cvlab.exercises.chapter_02`.
Points are shared equally among the inputs tried; the result is a float for graders.
"""

from __future__ import annotations

import html
import importlib
import os
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

_COLOURS = {"pass": "#1b7f5c", "partial": "#b06f00", "fail": "#b3402a"}


@dataclass(frozen=True)
class Exercise:
    """A right answer, the inputs to try it on, and the mistakes worth naming.

    Attributes
    ----------
    reference : callable
        Computes the right result from the arguments of a case.
    cases, hidden_cases : sequence of tuples
        Arguments of each trial; an answer that is a value has the one case ``()``.
    mistakes : sequence of (callable, str)
        Code that makes a classic mistake, with the sentence shown to who made it.
        A mistake is recognised by its result on the failing case.
    judge : callable, optional
        ``judge(result, *arguments)`` returns None or a message; for exercises with many
        right answers. It replaces the comparison with `reference`.
    tolerance : float
        Relative to the largest magnitude of the expected result.
    """

    reference: Callable[..., Any]
    cases: Sequence[tuple] = ((),)
    hidden_cases: Sequence[tuple] = ()
    mistakes: Sequence[tuple[Callable[..., Any], str]] = ()
    judge: Callable[..., str | None] | None = None
    tolerance: float = 1e-5


class Score(float):
    """The points earned, with the messages to show.

    Its repr is the plain number, which graders read as partial credit.
    """

    def __new__(cls, earned: float, points: float, messages: Sequence[str], exercise_id: str):
        """Round to hundredths, so that thirds add up on paper."""
        score = super().__new__(cls, round(earned, 2))
        score.points = float(points)
        score.messages = tuple(messages)
        score.exercise_id = exercise_id
        return score

    def __repr__(self) -> str:
        return float.__repr__(self)

    @property
    def text(self) -> str:
        """The outcome as plain text."""
        head = f"Exercise {self.exercise_id}: {float(self):g} of {self.points:g} points."
        return "\n".join([head, *self.messages])

    def _repr_html_(self) -> str:
        state = "pass" if self == self.points else "partial" if self > 0 else "fail"
        head, *messages = (html.escape(line) for line in self.text.split("\n"))
        return (
            f'<div class="check check-{state}" role="status" '
            f'style="border-left:4px solid {_COLOURS[state]};padding:.5em 1em">'
            f"<strong>{head}</strong>" + "".join(f"<p>{m}</p>" for m in messages) + "</div>"
        )


def check(exercise_id: str, answer: Any, *, points: float = 1, hidden: bool = False) -> Score:
    """Try an answer and return the points with a message for each kind of mistake.

    Parameters
    ----------
    exercise_id : str
        Chapter and number, such as ``"02.1"``.
    answer : function, number, sequence or array
        What the exercise asks for. Functions get copies of their arguments.
    points : float
        What a full answer earns.
    hidden : bool
        Use the second set of cases, which graders run.

    Returns
    -------
    Score
        A float: `points` times the share of cases passed. Shown as a coloured box.

    Raises
    ------
    ValueError
        If there is no such exercise.
    AssertionError
        If the environment sets ``CVLAB_STRICT=1`` and the score is not full.

    Examples
    --------
    >>> score = check("02.11", lambda signal, kernel, stride: np.convolve(signal, kernel), points=3)
    >>> score
    1.0
    >>> print(score.text)
    Exercise 02.11: 1 of 3 points.
    The stride is not used: number i paints from position i * stride on.
    """
    exercise = find(exercise_id)
    cases = exercise.hidden_cases if hidden else exercise.cases
    with warnings.catch_warnings():  # anything on stderr would cost the points
        warnings.simplefilter("ignore")
        outcomes = [_try(exercise, answer, case) for case in cases]
    earned = points * outcomes.count(None) / len(outcomes)
    messages = list(dict.fromkeys(m for m in outcomes if m is not None))
    score = Score(earned, points, messages or ["Well done."], exercise_id)
    if os.environ.get("CVLAB_STRICT") == "1" and score < points:
        raise AssertionError(score.text)
    return score


def find(exercise_id: str) -> Exercise:
    """Return the exercise registered under a number such as ``"02.1"``."""
    chapter = str(exercise_id).partition(".")[0]
    try:
        exercises = importlib.import_module(f"cvlab.exercises.chapter_{chapter}").EXERCISES
    except ModuleNotFoundError:
        exercises = {}
    if exercise_id not in exercises:
        known = ", ".join(exercises) or "none for this chapter"
        raise ValueError(f"exercise_id must be one of {known}, got {exercise_id!r}")
    return exercises[exercise_id]


def _try(exercise: Exercise, answer: Any, case: tuple) -> str | None:
    """Return None if the answer is right on this case, else what to tell the reader."""
    call = answer if callable(answer) else lambda *_: answer
    name = getattr(answer, "__name__", "the answer")
    try:
        result = call(*deepcopy(case))
    except NotImplementedError:
        return "Not answered yet."
    except Exception as error:
        return f"{name} stopped with {type(error).__name__}: {error} ({_describe(case)})"
    if result is Ellipsis or (result is None and not callable(answer)):
        return "Not answered yet."
    if result is None:
        return f"{name} returned None: is a `return` missing?"
    if exercise.judge is not None:
        return _judged(exercise.judge, result, case)
    wrong = _difference(result, exercise.reference(*case), exercise.tolerance)
    if wrong is None:
        return None
    for mistake, message in exercise.mistakes:
        if _same_result(mistake, case, result, exercise.tolerance):
            return message
    return f"{wrong} ({_describe(case)})" if case else wrong


def _same_result(mistake: Callable, case: tuple, result: Any, tolerance: float) -> bool:
    try:
        return _difference(result, mistake(*case), tolerance) is None
    except (ValueError, IndexError):  # the slip cannot even be made on this input
        return False


def _judged(judge: Callable, result: Any, case: tuple) -> str | None:
    try:
        if not np.isfinite(np.asarray(result, dtype=float)).all():
            return "The result holds NaN or infinity."  # which no comparison would notice
        return judge(result, *case)
    except (TypeError, ValueError) as error:
        return f"The answer has the wrong form: {error}"


def _difference(result: Any, expected: Any, tolerance: float) -> str | None:
    """Compare shapes, then values; None if they agree, else how they differ."""
    if isinstance(expected, tuple) and any(np.ndim(part) for part in expected):
        return _difference_of_parts(result, expected, tolerance)
    expected = np.asarray(expected)
    try:
        result = np.asarray(result)
        if expected.dtype.kind in "fiub":
            result = result.astype(float)
    except (TypeError, ValueError):
        return f"Expected numbers, got {type(result).__name__}."
    if expected.ndim == 0 and result.size == 1:  # a number may come in a list or an array
        result = result.reshape(())
    if result.shape != expected.shape:
        return f"Expected shape {expected.shape}, got shape {result.shape}."
    if expected.dtype.kind not in "fiub":
        return None if np.array_equal(result, expected) else f"Not right yet: {result!s}."
    if not np.isfinite(result).all():
        return "The result holds NaN or infinity."
    scale = max(float(np.abs(expected).max(initial=0)), 1e-12)
    error = np.abs(result - expected)
    if error.max(initial=0) <= tolerance * scale:
        return None
    where = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
    if not where:  # a single number: naming it would give the answer away
        return f"Not right yet: {result:.6g}."
    return f"Expected {expected[where]:.6g} at index {where}, got {result[where]:.6g}."


def _difference_of_parts(result: Any, expected: tuple, tolerance: float) -> str | None:
    if not isinstance(result, (tuple, list)) or len(result) != len(expected):
        return f"Expected {len(expected)} results, got {type(result).__name__}."
    for i, (got, want) in enumerate(zip(result, expected, strict=True)):
        wrong = _difference(got, want, tolerance)
        if wrong is not None:
            return f"Result {i}: {wrong}"
    return None


def _describe(case: tuple) -> str:
    """Name the arguments of a case: small ones in full, arrays by their shape."""
    parts = (
        f"array of shape {a.shape}" if isinstance(a, np.ndarray) and a.size > 8 else repr(a)
        for a in case
    )
    return "tried with " + ", ".join(parts)
