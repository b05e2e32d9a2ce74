"""Progress of long cells: visible to a reader who waits, silent in a stored notebook.

Lines go to standard output and overwrite themselves; the last one is wiped out.
Silent where nobody waits: if the environment variable CVLAB_STRICT or CI is set, as they are when
    the book is built and tested, or when `quiet` says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any


def progress(items: Iterable[Any], label: str = "", quiet: bool | None = None) -> Iterator[Any]:
    """Yield the items, and say how many of them are done.

    Parameters
    ----------
    items : iterable
        Finite; counted before the first is yielded.
    label : str
        Printed before the count.
    quiet : bool, optional
        By default silent where the book is built or tested.

    Examples
    --------
    >>> list(progress([3, 4], quiet=True))
    [3, 4]
    """
    items = list(items)
    if quiet is None:
        quiet = bool(os.environ.get("CVLAB_STRICT") or os.environ.get("CI"))
    for done, item in enumerate(items):
        if not quiet:
            print(f"\r{label} {done} of {len(items)} done".strip(" "), end="", flush=True)
        yield item
    if not quiet:
        print("\r" + " " * (len(label) + 2 * len(str(len(items))) + 12), end="\r", flush=True)
