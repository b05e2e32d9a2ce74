"""Whether the installed packages are new enough for `cvlab`.

The set-up cell of each notebook installs `cvlab` alone and leaves every other package as it
finds it; so nobody but this module looks at the bounds that the distribution declares.
"""

from __future__ import annotations

import re

LOWER_BOUND = re.compile(r"(?P<package>[\w-]+)>=(?P<bound>[\d.]+)(?P<extra>; extra == \"tf\")?$")


def check_versions() -> None:
    """Raise an error if a package that `cvlab` needs is missing or too old.

    TensorFlow and Keras may be missing: :mod:`cvlab.networks` alone needs them.

    Raises
    ------
    ImportError
        Names what is needed, what was found, and what to do.

    Examples
    --------
    >>> check_versions()  # silent, where everything is new enough
    """
    from importlib import metadata

    for requirement in metadata.requires("cvlab-book") or []:
        if not (parts := LOWER_BOUND.fullmatch(requirement.replace("'", '"'))):
            continue
        try:
            found = metadata.version(parts["package"])
        except metadata.PackageNotFoundError:
            if parts["extra"]:
                continue
            found = "none"
        if found == "none" or _numbers(found) < _numbers(parts["bound"]):
            raise ImportError(
                f"cvlab needs {parts['package']}>={parts['bound']}, got {found}: choose a newer "
                f"runtime, or %pip install -U {parts['package']} and restart the session"
            )


def _numbers(text: str) -> tuple[int, ...]:
    """Return the first three numbers of a version: (2, 18, 0) for ``"2.18"``."""
    return tuple(int(number) for number in [*re.findall(r"\d+", text), 0, 0][:3])
