"""Progress is visible to a reader and silent where the book is built."""

import pytest

from cvlab.progress import progress


def test_it_counts_aloud_and_wipes_its_line(capsys):
    assert list(progress("abc", "seed", quiet=False)) == ["a", "b", "c"]
    out = capsys.readouterr().out
    for done in range(3):
        assert f"\rseed {done} of 3 done" in out
    last = out.split("\r")
    assert set(last[-2]) == {" "}
    assert len(last[-2]) >= len("seed 2 of 3 done")
    assert last[-1] == ""


@pytest.mark.parametrize("variable", ["CVLAB_STRICT", "CI"])
def test_it_is_silent_where_nobody_waits(variable, monkeypatch, capsys):
    monkeypatch.delenv("CVLAB_STRICT", raising=False)
    monkeypatch.delenv("CI", raising=False)
    list(progress([1]))
    assert capsys.readouterr().out
    monkeypatch.setenv(variable, "1")
    assert list(progress(iter([1, 2]))) == [1, 2]
    assert capsys.readouterr().out == ""
