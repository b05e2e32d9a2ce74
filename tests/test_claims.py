import numpy as np
import pytest

from cvlab import claims
from cvlab.claims import claim, claimed, lecture, statement


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        (True, "holds"),
        (np.bool_(True), "holds"),
        (False, "does not hold"),
        ({"a": True, "b": True}, "holds"),
        ({"a": True, "b": False}, "holds with conditions"),
        ({"a": False, "b": False}, "does not hold"),
    ],
)
def test_the_verdict_follows_from_the_evidence(holds, verdict):
    assert claim("C05", holds=holds, verdict=verdict, measured="x").verdict == verdict
    for other in set(claims.VERDICTS) - {verdict}:
        with pytest.raises(AssertionError, match=f"the run says '{verdict}'"):
            claim("C05", holds=holds, verdict=other, measured="x")


@pytest.mark.parametrize("holds", [1, 0.0, np.array([True, True]), None, {"a": "yes"}])
def test_evidence_must_be_truth_values(holds):
    with pytest.raises(ValueError, match="holds must be made of True or False"):
        claim("C05", holds=holds, verdict="holds", measured="x")


def test_bad_arguments_are_errors():
    with pytest.raises(ValueError, match=r"claim_id must be one of C01, .* got 'C99'"):
        claim("C99", holds=True, verdict="holds", measured="x")
    with pytest.raises(ValueError, match=r"verdict must be one of .* got 'true'"):
        claim("C05", holds=True, verdict="true", measured="x")
    with pytest.raises(ValueError, match="measured must be a sentence"):
        claim("C05", holds=True, verdict="holds", measured=" ")
    with pytest.raises(ValueError, match="at least one condition"):
        claim("C05", holds={}, verdict="holds", measured="x")


def test_every_statement_can_be_written_out_and_has_a_lecture():
    for claim_id in claims._table()["claims"]:
        assert "{" not in statement(claim_id)
        assert len(statement(claim_id)) > 30
        assert lecture(claim_id)


def test_numbers_of_a_statement_are_the_numbers_compared():
    values = claimed("C02")
    for number in (values["parameters"], values["multiplications"]):
        assert f"{number:,}" in statement("C02")
    assert claimed("C01")["valid"] == (2, 64, 114, 32)
    assert claimed("C05") == {}


def test_the_box_carries_text_html_and_data():
    box = claim(
        "C05",
        holds={"one <channel>": True, "three": False},
        verdict="holds with conditions",
        measured="80 < 224",
    )
    bundle = box._repr_mimebundle_()
    assert bundle[claims.MIME]["conditions"] == [["one <channel>", True], ["three", False]]
    assert 'id="claim-C05"' in bundle["text/html"]
    assert "one &lt;channel&gt;: yes" in bundle["text/html"]
    assert "80 &lt; 224" in bundle["text/html"]
    assert "Verdict: holds with conditions" in bundle["text/plain"]
