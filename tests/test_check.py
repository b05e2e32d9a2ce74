"""The machinery of exercise checks; the exercises themselves are in test_exercises.py."""

import warnings

import numpy as np
import pytest

import cvlab.check as module
from cvlab.check import Exercise, Score, check

DOUBLE = Exercise(
    reference=lambda x: 2 * np.asarray(x, dtype=float),
    cases=[(np.array([1.0, 2.0]),), (np.array([0.0, -3.0]),)],
    hidden_cases=[(np.array([4.0]),)],
    mistakes=[(lambda x: x, "You returned the input itself.")],
)
PAIR = Exercise(reference=lambda: (np.arange(2.0), np.ones((1, 2))))
POSITIVE = Exercise(
    reference=lambda: None, judge=lambda r: None if np.asarray(r) > 0 else "Must be positive."
)
WORD = Exercise(reference=lambda: "same")


@pytest.fixture(autouse=True)
def exercises(monkeypatch):
    table = {"x.1": DOUBLE, "x.2": PAIR, "x.3": POSITIVE, "x.4": WORD}
    monkeypatch.setattr(module, "find", table.__getitem__)
    monkeypatch.delenv("CVLAB_STRICT", raising=False)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 2 * x,
        lambda x: [v + v for v in x],
        lambda x: tuple(np.float32(2) * x),
        lambda x: 2 * x + 1e-9,
        lambda x: (2 * x).astype(int),
    ],
)
def test_every_right_answer_gets_full_points(answer):
    score = check("x.1", answer, points=3)
    assert score == 3
    assert repr(score) == "3.0"
    assert "check-pass" in score._repr_html_()


@pytest.mark.parametrize(
    ("answer", "points", "message"),
    [
        (lambda x: x, 0, "You returned the input itself."),
        (lambda x: 0 * x, 0, "Expected 4 at index (1,), got 0."),
        (lambda x: x[:1], 0, r"Expected shape (2,), got shape (1,)."),
        (lambda x: np.abs(2 * x), 1, "Expected -6 at index (1,), got 6."),
        (lambda x: x * np.nan, 0, "The result holds NaN or infinity."),
        (lambda x: None, 0, "returned None: is a `return` missing?"),
        (lambda x: "words", 0, "Expected numbers"),
        (lambda x: 1 / 0, 0, "ZeroDivisionError"),
        (lambda: 3, 0, "TypeError"),
        (..., 0, "Not answered yet."),
        (None, 0, "Not answered yet."),
    ],
)
def test_wrong_answers_lose_points_and_are_told_why(answer, points, message):
    score = check("x.1", answer, points=2)
    assert score == points
    assert message in score.text


def test_the_blank_stub_scores_zero():
    def stub(x):
        raise NotImplementedError

    assert check("x.1", stub) == 0
    assert check("x.1", stub).messages == ("Not answered yet.",)


def test_a_mistake_is_named_once_however_many_cases_show_it():
    assert check("x.1", lambda x: x).text.count("You returned the input itself.") == 1


def test_a_mistake_that_cannot_be_made_on_a_case_is_passed_over(monkeypatch):
    fragile = Exercise(
        reference=lambda x: x + 1,
        cases=[(np.zeros(2),)],
        mistakes=[(lambda x: x.reshape(7), "never")],
    )
    monkeypatch.setattr(module, "find", lambda _: fragile)
    assert "Expected 1 at index" in check("x.1", lambda x: x).text


def test_hidden_cases_are_other_cases():
    only_two = lambda x: 2 * x if len(x) == 2 else x  # noqa: E731
    assert check("x.1", only_two) == 1
    assert check("x.1", only_two, hidden=True) == 0


def test_a_single_number_is_not_given_away():
    number = Exercise(reference=lambda: 42)
    assert "42" not in module._try(number, 41, ())


@pytest.mark.parametrize("answer", [[42], np.array([42]), np.array([[42.0]])])
def test_a_single_number_may_come_in_an_array(answer):
    number = Exercise(reference=lambda: 42)
    assert module._try(number, answer, ()) is None
    assert "Expected shape" in module._try(number, [42, 42], ())
    assert module._try(number, np.asarray(answer) + 1, ()) == "Not right yet: 43."


def test_results_of_several_parts_are_compared_one_by_one():
    assert check("x.2", (np.arange(2), [[1, 1]])) == 1
    assert "Result 1: Expected shape (1, 2)" in check("x.2", ([0, 1], [1, 1])).text
    assert "Expected 2 results" in check("x.2", np.zeros(2)).text


def test_a_judge_decides_where_many_answers_are_right():
    assert check("x.3", 5) == check("x.3", 0.1) == 1
    assert check("x.3", -1).messages == ("Must be positive.",)
    assert "wrong form" in check("x.3", np.ones((2, 2))).text


def test_words_are_compared_as_words():
    assert check("x.4", "same") == 1
    assert check("x.4", "valid") == 0


def test_the_answer_cannot_change_the_inputs():
    def vandal(x):
        x *= 2
        return x

    assert check("x.1", vandal) == 1
    assert DOUBLE.cases[0][0].tolist() == [1.0, 2.0]


def test_warnings_of_the_answer_do_not_reach_stderr():
    def noisy(x):
        warnings.warn("noise", stacklevel=1)
        return 2 * x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check("x.1", noisy) == 1


def test_strict_mode_raises_unless_the_score_is_full(monkeypatch):
    monkeypatch.setenv("CVLAB_STRICT", "1")
    assert check("x.1", lambda x: 2 * x) == 1
    with pytest.raises(AssertionError, match="1 of 2 points"):
        check("x.1", lambda x: np.abs(2 * x), points=2)


def test_messages_are_escaped_in_the_box():
    assert "<b>" not in Score(0, 1, ["<b>"], "x.1")._repr_html_()


def test_unknown_exercises_are_an_error(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"exercise_id must be one of 02\.1, .*got '02\.99'"):
        check("02.99", 0)
    with pytest.raises(ValueError, match=r"none for this chapter, got '77\.1'"):
        check("77.1", 0)
