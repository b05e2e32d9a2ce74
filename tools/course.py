"""Write contents and settings of a site without solutions, for a course: see `make course`.

    python -m tools.course

The site has the student versions of the exercises in place of the solved ones.
"""

from __future__ import annotations

from os.path import relpath
from pathlib import Path

import yaml

from tools.common import ROOT, config

SOURCE, RELEASE = "book/exercises/source/", "book/exercises/release/"
FOLDER = ROOT / "build" / "course"


def contents(toc):
    """Return the table of contents with the student versions of the exercises."""
    if isinstance(toc, dict):
        return {key: contents(value) for key, value in toc.items()}
    if isinstance(toc, list):
        return [contents(value) for value in toc]
    return toc.replace(SOURCE, RELEASE)


def settings(book: dict, folder: Path = FOLDER) -> dict:
    """Return the book's settings for a course, to be kept in `folder`.

    Buttons that lead into the repository, which holds the solutions, are left out.
    """
    extensions = book["sphinx"]["local_extensions"].items()  # relative to the settings' file
    html = {"baseurl": "", "use_edit_page_button": False, "use_repository_button": False}
    sphinx = {
        "config": book["sphinx"]["config"] | {"book_course": True},
        "local_extensions": {name: relpath(ROOT / path, folder) for name, path in extensions},
    }
    return book | {"html": book["html"] | html, "sphinx": book["sphinx"] | sphinx}


def main() -> None:
    """Write `_toc.yml` and `_config.yml` into build/course."""
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in (("_toc.yml", contents(toc)), ("_config.yml", settings(config()))):
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
