"""Claim boxes: statements from public lectures, put to the test by the cell that shows them.

Conventions
-----------
`claims.toml` holds each statement in the book's own words with the numbers it asserts.
A chapter computes; `claim` compares what the run found with what the text says.
Evidence is one truth value, or several named conditions; the verdict follows from them:
all true "holds", none true "does not hold", else "holds with conditions".
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np

MIME = "application/vnd.cvlab.claim+json"
VERDICTS = ("holds", "holds with conditions", "does not hold")
_STYLE = "border-left:4px solid {colour};padding:.5em 1em;margin:1em 0"
_COLOURS = dict(zip(VERDICTS, ("#1b7f5c", "#b06f00", "#b3402a"), strict=True))
_CLASSES = dict(zip(VERDICTS, ("claim-holds", "claim-conditions", "claim-fails"), strict=True))


@cache
def _table() -> dict:
    return tomllib.loads(files("cvlab").joinpath("claims.toml").read_text(encoding="utf-8"))


def _entry(claim_id: str) -> dict:
    claims = _table()["claims"]
    if claim_id not in claims:
        raise ValueError(f"claim_id must be one of {', '.join(claims)}, got {claim_id!r}")
    return claims[claim_id]


def claimed(claim_id: str) -> dict:
    """Return the numbers that a claim asserts, by name, to be compared with the run.

    Examples
    --------
    >>> claimed("C02")["parameters"]
    15200
    """
    values = _entry(claim_id).get("values", {})
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def statement(claim_id: str) -> str:
    """Return the claim in the book's words, with its numbers written out.

    Examples
    --------
    >>> statement("C05")
    'A convolution layer with K filters of F × F has F × F × K + K weights.'
    """
    return _entry(claim_id)["statement"].format(**claimed(claim_id))


def lecture(claim_id: str) -> str:
    """Return where the claim was found: the lecture decks, as the book cites them."""
    decks = _table()["decks"]
    return "; ".join(f"{letter} ({decks[letter]})" for letter in _entry(claim_id)["decks"])


class Claim:
    """A tested claim: shown as a box, and as data for the page "Claims tested"."""

    def __init__(self, claim_id: str, verdict: str, evidence: dict[str, bool], measured: str):
        self.claim_id = claim_id
        self.verdict = verdict
        self.evidence = evidence
        self.measured = measured

    def __repr__(self) -> str:
        return (
            f"Claim {self.claim_id}: {statement(self.claim_id)}\n"
            f"Verdict: {self.verdict}\nMeasured: {self.measured}"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        data = {
            "id": self.claim_id,
            "statement": statement(self.claim_id),
            "lecture": lecture(self.claim_id),
            "verdict": self.verdict,
            "conditions": [[name, held] for name, held in self.evidence.items()],
            "measured": self.measured,
        }
        return {"text/plain": repr(self), "text/html": self._repr_html_(), MIME: data}

    def _repr_html_(self) -> str:
        style = _STYLE.format(colour=_COLOURS[self.verdict])
        conditions = "".join(
            f"<li>{html.escape(name)}: {'yes' if held else 'no'}</li>"
            for name, held in self.evidence.items()
        )
        return (
            f'<div class="claim {_CLASSES[self.verdict]}" id="claim-{self.claim_id}" '
            f'role="note" aria-label="Claim {self.claim_id}" style="{style}">'
            f"<p><strong>Claim {self.claim_id}.</strong> {html.escape(statement(self.claim_id))} "
            f"<small>Lecture {html.escape(lecture(self.claim_id))}</small></p>"
            + (f"<ul>{conditions}</ul>" if len(self.evidence) > 1 else "")
            + f"<p><strong>Verdict: {self.verdict}.</strong> {html.escape(self.measured)}</p></div>"
        )


def claim(claim_id: str, *, holds: bool | Mapping[str, bool], verdict: str, measured: str) -> Claim:
    """Test a claim and return its box; fail if the run contradicts the text.

    Parameters
    ----------
    claim_id : str
        Number of the claim, such as ``"C02"``.
    holds : bool or mapping of str to bool
        What the run found: one truth value, or one for each named condition.
    verdict : {"holds", "holds with conditions", "does not hold"}
        What the chapter says. The run decides: if `holds` leads to another verdict, the
        cell fails.
    measured : str
        The measured values in a sentence, formatted from the run's own variables.

    Returns
    -------
    Claim
        Shown as a box; read by the tool that writes the page "Claims tested".

    Raises
    ------
    AssertionError
        If the evidence contradicts `verdict`.
    ValueError
        If an argument is unknown, or the evidence is not made of truth values.

    Examples
    --------
    >>> box = claim("C05", holds={"one input channel": True, "three": False},
    ...             verdict="holds with conditions", measured="80 against 224 weights")
    >>> box.verdict
    'holds with conditions'
    >>> claim("C05", holds=False, verdict="holds", measured="80 against 224 weights")
    Traceback (most recent call last):
    ...
    AssertionError: claim C05: the text says 'holds', the run says 'does not hold' ...
    """
    _entry(claim_id)
    if verdict not in VERDICTS:
        raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}")
    if not isinstance(measured, str) or not measured.strip():
        raise ValueError(f"measured must be a sentence with the measured value, got {measured!r}")
    evidence = {str(k): _truth(v) for k, v in _conditions(holds).items()}
    found = _verdict(evidence)
    if found != verdict:
        raise AssertionError(
            f"claim {claim_id}: the text says {verdict!r}, the run says {found!r} "
            f"(evidence {evidence}, measured {measured})"
        )
    return Claim(claim_id, verdict, evidence, measured)


def _conditions(holds) -> Mapping:
    conditions = holds if isinstance(holds, Mapping) else {"holds": holds}
    if not conditions:
        raise ValueError("holds must name at least one condition, got an empty mapping")
    return conditions


def _truth(value) -> bool:
    """Accept Python's and NumPy's booleans only: a number or an array is no evidence."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"holds must be made of True or False, got {value!r}")
    return bool(value)


def _verdict(evidence: Mapping[str, bool]) -> str:
    if all(evidence.values()):
        return "holds"
    return "holds with conditions" if any(evidence.values()) else "does not hold"
