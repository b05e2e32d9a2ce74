"""Write the page "Claims tested" from the outputs of the executed chapters.

python -m tools.claims [--check]
"""

from __future__ import annotations

from pathlib import Path

from cvlab.claims import MIME, VERDICTS
from tools.common import ROOT, chapters, read, run_tool, title

PAGE = ROOT / "book" / "claims.md"

INTRODUCTION = """\
# Claims tested

Lectures state rules in a sentence. Each row below is such a sentence, taken from one of five
public lecture decks and put in the book's own words, with the verdict of the cell that tests it.
The verdicts are read from the executed chapters: this page is generated, and a verdict that
contradicts the run stops the build. The name of the chapter leads to the box with the test.

"""


def tested() -> list[tuple[Path, str, dict]]:
    """Return chapter, chapter title and data of every claim box, in the order of the numbers."""
    found = []
    for path in chapters():
        notebook = read(path)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if MIME in output.get("data", {}):
                    found.append((path, title(notebook), dict(output["data"][MIME])))
    return sorted(found, key=lambda entry: entry[2]["id"])


def render() -> dict[Path, str]:
    """Return the text of the page."""
    entries = tested()
    counts = ", ".join(
        f"{verdict}: {sum(claim['verdict'] == verdict for *_, claim in entries)}"
        for verdict in VERDICTS
    )
    lines = [f"{len(entries)} claims tested so far ({counts}).", ""]
    for path, chapter, claim in entries:
        lines += [
            f"## {claim['id']}: {claim['verdict']}",
            "",
            f"> {claim['statement']}",
            "",
            f"Lecture {claim['lecture']}. Tested in "
            f"[{chapter}](../chapters/{path.name}#claim-{claim['id']}).",
            "",
            *(f"- {name}: {'yes' if held else 'no'}" for name, held in _named(claim)),
            "",
            f"**Measured.** {claim['measured']}",
            "",
        ]
    return {PAGE: INTRODUCTION + "\n".join(lines)}


def _named(claim: dict) -> list[tuple[str, bool]]:
    return claim["conditions"] if len(claim["conditions"]) > 1 else []


if __name__ == "__main__":
    run_tool(__doc__.splitlines()[0], render, "make pages")
