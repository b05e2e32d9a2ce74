"""Show the real source of a function on the page.

Conventions
-----------
The text comes from the installed module, so page and library cannot part.
The docstring is left out unless asked for: the reference pages show it in full.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable


class Source:
    """Python source that notebooks and the site show highlighted."""

    def __init__(self, text: str, origin: str):
        self.text = text
        self.origin = origin

    def __repr__(self) -> str:
        return f"# {self.origin}\n{self.text}"

    def _repr_markdown_(self) -> str:
        return f"```python\n{self!r}\n```"


def show_source(function: Callable, *, docstring: bool = False) -> Source:
    '''Return the source of `function`, shown highlighted as the result of a cell.

    Parameters
    ----------
    function : function or class
        Anything written in Python whose file can be read.
    docstring : bool
        Keep the docstring of the function itself (those of inner functions always stay).

    Returns
    -------
    Source
        Renders as a highlighted listing, headed by the module and the name.

    Raises
    ------
    ValueError
        If there is no Python source: builtins, callables written in C, plain values.

    Examples
    --------
    >>> def double(x):
    ...     """Return twice x."""
    ...     return 2 * x
    >>> show_source(double)
    # cvlab.source.double
    def double(x):
        return 2 * x
    '''
    target = inspect.unwrap(function) if callable(function) else function
    try:
        text = textwrap.dedent(inspect.getsource(target))
    except (TypeError, OSError):
        raise ValueError(
            f"function must be a function or class written in Python, got {function!r}"
        ) from None
    if not docstring:
        text = _without_docstring(text)
    return Source(text.rstrip(), f"{target.__module__}.{target.__qualname__}")


def _without_docstring(text: str) -> str:
    """Cut the first docstring out of the text, leaving every other line as it was written."""
    definition = ast.parse(text).body[0]
    if ast.get_docstring(definition, clean=False) is None:
        return text
    doc = definition.body[0]
    if len(definition.body) == 1:
        return text
    lines = text.splitlines()
    following = lines[doc.end_lineno :]
    while following and not following[0].strip():
        following = following[1:]
    return "\n".join(lines[: doc.lineno - 1] + following)
