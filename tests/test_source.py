import numpy as np
import pytest

from cvlab.source import show_source


def sample(x):
    """Say something.

    At length.
    """

    def inner():
        """Stay."""

    inner()
    return x  # a comment stays


def only_a_docstring():
    """Nothing else."""


def without(x): return x  # fmt: skip


def test_the_docstring_goes_and_everything_else_stays():
    text = show_source(sample).text
    assert "At length" not in text
    assert '"""Stay."""' in text
    assert "# a comment stays" in text
    assert text.splitlines()[:2] == ["def sample(x):", "    def inner():"]
    compile(text, "sample", "exec")


def test_the_docstring_can_be_kept():
    assert "At length." in show_source(sample, docstring=True).text


def test_short_functions_survive():
    assert show_source(only_a_docstring).text.endswith('"""Nothing else."""')
    assert show_source(without).text.startswith("def without(x): return x")


def test_it_renders_as_highlighted_python_headed_by_its_name():
    markdown = show_source(sample)._repr_markdown_()
    assert (
        markdown.startswith("```python\n# test_source.sample\n") or "test_source.sample" in markdown
    )
    assert markdown.endswith("\n```")


@pytest.mark.parametrize("thing", [3, len, np.sum.__call__, None])
def test_what_has_no_python_source_is_an_error(thing):
    with pytest.raises(ValueError, match="function must be a function or class written in Python"):
        show_source(thing)
