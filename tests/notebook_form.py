"""What every chapter notebook must look like; `problems` returns what is wrong, in words.

Kept apart from the tests so that the rules themselves are tested on broken notebooks.
"""

from __future__ import annotations

import re
from pathlib import Path

MAX_BYTES = 600_000
MAX_CELL_LINES = 24
MIN_ALT = 40
OBJECTIVES = range(3, 7)
SECTIONS = ["Misconceptions", "Exercises", "Summary", "References"]
RANDOM = re.compile(r"\b(?:\.fit\(|keras\.Sequential|np\.random\.|layers\.Conv|layers\.Dense)")
SEEDED = re.compile(r"set_random_seed\(|default_rng\(\d")
CHECKED = re.compile(r"\bassert\b|\bclaim\(|\bnp\.testing\.")
SKIPPED = re.compile(r"[Ss]kipped|No connection")
ABSOLUTE = re.compile(r"(?<![\w.:/~])/(?:home|Users|root|tmp|work|content|usr|opt|var|mnt)/")


def problems(notebook, size: int) -> list[str]:
    """Return every departure of a chapter notebook from the template."""
    return [
        *_front(notebook),
        *_sections(notebook),
        *_cells(notebook),
        *_outputs(notebook),
        *_unchecked(notebook),
        *_images(notebook),
        *_metadata(notebook),
        *([f"{size:,} bytes: at most {MAX_BYTES:,}"] if size > MAX_BYTES else []),
    ]


def _front(notebook) -> list[str]:
    first = notebook.cells[0]
    front = first.source if first.cell_type == "markdown" else ""
    count = len(re.findall(r"^> - ", front, flags=re.M))
    wanted = {
        "a title": re.match(r"# \S", front),
        "the block 'After this chapter you can'": "**After this chapter you can**" in front,
        "3 to 6 objectives": count in OBJECTIVES,
        "the block 'You need'": "**You need**" in front,
        "minutes to read": re.search(r"\*\*Time\*\* about \d+ minutes", front),
        "measured seconds": re.search(r"runs in \d+ s on two CPU cores", front),
    }
    return [f"the front block lacks {name}" for name, found in wanted.items() if not found]


def _sections(notebook) -> list[str]:
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    headings = re.findall(r"^## (.+)$", text, flags=re.M)
    found = []
    if headings[-len(SECTIONS) :] != SECTIONS:
        found.append(f"the last sections must be {SECTIONS}, got {headings[-len(SECTIONS) :]}")
    if "> **Predict.**" not in text:
        found.append("no prediction is asked for")
    if len(re.findall(r"^# ", text, flags=re.M)) != 1:
        found.append("there must be exactly one heading of level 1")
    return found


def _cells(notebook) -> list[str]:
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    found = [
        f"cell of {source.count(chr(10)) + 1} lines: {source[:50]!r}"
        for source in code
        if source.count("\n") + 1 > MAX_CELL_LINES
    ]
    found += [f"empty code cell {i}" for i, source in enumerate(code) if not source.strip()]
    everything = "\n".join(c.source for c in notebook.cells)
    found += [f"absolute path {match}" for match in ABSOLUTE.findall(everything)]
    if RANDOM.search("\n".join(code)) and not SEEDED.search("\n".join(code)):
        found.append("something is random and nothing is seeded")
    if "assert" not in everything and "claim(" not in everything:
        found.append("nothing is asserted")
    if "np.random.seed" in everything:
        found.append("use a numpy.random.Generator, not the global seed")
    return found


def _outputs(notebook) -> list[str]:
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"error output: {output.ename}")
            if output.get("name") == "stderr":
                found.append(f"stderr output: {output.text[:80]!r}")
            text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            found += [f"absolute path in an output: {text[:80]!r}"] * bool(ABSOLUTE.search(text))
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                found.append("widget output")
    if any(c.cell_type == "code" and c.execution_count is None for c in notebook.cells):
        found.append("a code cell has not been executed")
    return found


def _unchecked(notebook) -> list[str]:
    """Return the cells whose printed results nobody would miss if they changed."""
    found = []
    for cell in notebook.cells:
        text = "".join(_text(output) for output in cell.get("outputs", []))
        compared = "nbval-check-output" in cell.metadata.get("tags", [])
        asserted = compared or CHECKED.search(cell.source) or SKIPPED.search(cell.source)
        if text.strip() and not asserted:
            found.append(f"printed, neither compared nor asserted: {text[:60]!r}")
    return found


def _text(output) -> str:
    data = output.get("data", {})
    if any(mime.startswith("image/") or mime == "text/html" for mime in data):
        return ""
    return "".join(output.get("text", "")) + "".join(data.get("text/plain", ""))


def _images(notebook) -> list[str]:
    found, seen = [], set()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime in ("image/png", "image/jpeg", "image/svg+xml"):
                if mime not in output.get("data", {}):
                    continue
                alt = output.get("metadata", {}).get(mime, {}).get("alt", "")
                if len(alt) < MIN_ALT:
                    found.append(f"figure with alternative text {alt!r}: {MIN_ALT} characters")
                elif alt in seen:
                    found.append(f"two figures with the alternative text {alt[:50]!r}")
                elif alt in "".join(c.source for c in notebook.cells if c.cell_type == "markdown"):
                    found.append(f"the alternative text repeats the prose: {alt[:50]!r}")
                seen.add(alt)
    return found


def _metadata(notebook) -> list[str]:
    extra = set(notebook.metadata) - {"cvlab", "kernelspec", "language_info"}
    found = [f"metadata that no tool reads: {sorted(extra)}"] if extra else []
    if any("execution" in c.metadata for c in notebook.cells):
        found.append("execution timestamps in the metadata")
    return found


def bytes_of(path: Path) -> int:
    """Return the size of a file."""
    return path.stat().st_size
