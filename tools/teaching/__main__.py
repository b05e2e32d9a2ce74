"""Write the instructor pages, or with ``--check`` fail if they are stale."""

from __future__ import annotations

from pathlib import Path

from tools.common import run_tool
from tools.teaching.chapter_page import chapter_page
from tools.teaching.course_pages import courses_page, decks_page, plans_page, prerequisites_page
from tools.teaching.data import PAGES, plans
from tools.teaching.facts import all_chapters


def render() -> dict[Path, str]:
    """Return the text of every instructor page that is generated."""
    chapters = all_chapters()
    pages = {
        PAGES / f"{chapters[number].path.stem}.md": chapter_page(chapters[number], data)
        for number, data in plans().items()
    }
    return pages | {
        PAGES / "plans.md": plans_page(),
        PAGES / "prerequisites.md": prerequisites_page(),
        PAGES / "courses.md": courses_page(),
        PAGES / "decks.md": decks_page(),
    }


if __name__ == "__main__":
    run_tool(__doc__, render, "make pages")
