"""Who handed in what: the names that learning platforms give to submitted files.

`PATTERNS` has a regular expression for each platform. It matches the whole name of a
submitted file or of a folder it lies in. Students are told apart by the platform's own
number or user name where there is one, because names alone are not unique. `choose`
takes one notebook of each student; `Collector` hands them to `nbgrader zip_collect`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from dateutil import parser
from nbgrader.plugins import FileNameCollectorPlugin
from traitlets import Enum

PATTERNS = {
    # Jane Doe_123456_assignsubmission_file/02-convolution.ipynb, or all in one name
    "moodle": r"(?P<student>[^_]+_\d+)_assignsubmission_file(_(?P<file>.*))?",
    # doejane_LATE_123_4567_02-convolution-1.ipynb; the download itself is no student
    "canvas": (
        r"(?!.*_submissions$)(?P<name>(?!LATE_|anon_)\w+?_)?(LATE_)?(?P<number>\d+|anon_\w+?)"
        r"_(?P<order>\d+)_(?P<file>.+)"
    ),
    # Week 2_jdoe_attempt_2026-10-02-13-45-10_02-convolution.ipynb
    "blackboard": r"(?P<student>.+)_attempt_(?P<time>\d{4}(-\d\d){5})_(?P<file>.+)",
    # 13394-80551 - Jane Doe - Oct 2, 2026 145 PM - 02-convolution.ipynb, or a folder
    "brightspace": (
        r"(?P<number>\d+)-\d+ - (?P<name>.+?)"
        r" - (?P<time>(?:(?! - ).)*\b\d{4}\b(?:(?! - ).)*)( - (?P<file>.+))?"
    ),
    # Jane Doe - 02-convolution.ipynb, in the class's folder of the drive
    "classroom": r"(?P<student>.+?) - (?P<file>.+\.ipynb)",
    # Doe_Jane_jdoe_98765/02-convolution.ipynb
    "ilias": r"(?P<student>[^_]+_[^_]+_.+_\d+)",
    # jdoe/02-convolution.ipynb
    "folders": r"(?P<student>.+)",
}
BY_FOLDER = ("ilias", "folders")  # the folder nearest to the file names the student
OTHER_FILES = ("__MACOSX", ".")  # what archives and Jupyter add


@dataclass(frozen=True)
class Submission:
    """Whose a submitted notebook is, and what tells a later one from an earlier."""

    path: str
    student: str
    file: str
    time: datetime | None = None
    order: int = 0


def identify(path: str, platform: str) -> Submission | None:
    """Return whose notebook this is, or None if no part of the path says it.

    Parameters
    ----------
    path : str
        Relative to the folder of extracted files, with forward slashes.
    platform : str
        A key of `PATTERNS`.

    Examples
    --------
    >>> found = identify("Zoë Li_42_assignsubmission_file_/work.ipynb", "moodle")
    >>> found.student, found.file
    ('Zoë Li_42', 'work.ipynb')
    """
    *folders, name = PurePosixPath(unicodedata.normalize("NFC", path)).parts
    parts = folders[::-1] if platform in BY_FOLDER else [*folders, name]
    for part in parts:
        match = re.fullmatch(PATTERNS[platform], part)
        if match:
            found = match.groupdict()
            student = found.get("student") or _with_number(found)
            file = (found.get("file") or name) if part == name else name
            order = int(found.get("order") or 0)
            return Submission(
                path, clean(student), file, _time(found.get("time")), order
            )
    return None


def _with_number(found: dict) -> str:
    return "_".join(filter(None, [(found["name"] or "").rstrip("_"), found["number"]]))


def _time(text: str | None) -> datetime | None:
    """Read 2026-10-02-13-45-10, or Oct 2, 2026 145 PM; None if it cannot be read."""
    if text is None:
        return None
    text = re.sub(r"^(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)$", r"\1 \2:\3:\4", text)
    text = re.sub(r"\b(\d{1,2})(\d\d)( [AP]M)?$", r"\1:\2\3", text)
    try:
        return parser.parse(text)
    except (ValueError, OverflowError):
        return None


def clean(student: str) -> str:
    """Return a name that is safe as a folder and in a table.

    Examples
    --------
    >>> clean(" Doe, Jane (née Roe)/[2] ")
    'Doe Jane née Roe2'
    """
    return " ".join(re.sub(r"[^\w .@+'-]", "", student).split()).lstrip(".")


def choose(
    paths: Iterable[str], platform: str, notebook: str
) -> tuple[dict[str, Submission], list[str]]:
    """Choose one notebook of each student.

    The latest counts, by the platform's time or number; without either, the file that
    has the asked name, then the highest number of a copy, such as "02-convolution (2)".

    Parameters
    ----------
    paths : iterable of str
        The extracted files, as for `identify`.
    platform : str
        A key of `PATTERNS`.
    notebook : str
        What the notebook is called, without suffix.

    Returns
    -------
    chosen : dict of str to Submission
        By student.
    remarks : list of str
        What was left out, and why.

    Raises
    ------
    ValueError
        If two folders of one name would merge two students.
    """
    candidates, remarks = defaultdict(list), []
    for path in sorted(paths):
        parts = PurePosixPath(path).parts
        if not path.endswith(".ipynb") or any(p.startswith(OTHER_FILES) for p in parts):
            continue
        found = identify(path, platform)
        if found is None:
            remarks.append(f"{path}: no student recognised")
        else:
            candidates[found.student].append(_title_first(found, notebook))
    if platform == "folders":
        _refuse_two_folders(candidates)
    if platform == "blackboard":
        candidates = _without_title(candidates)
    chosen = {}
    for student, submissions in candidates.items():
        *others, best = sorted(submissions, key=lambda s: _rank(s, notebook))
        if others and _rank(others[-1], notebook) == _rank(best, notebook):
            remarks.append(
                f"{student}: cannot tell which of {[s.file for s in submissions]}"
            )
            continue
        chosen[student] = best
        remarks += [f"{other.path}: not the latest of {student}" for other in others]
    return chosen, remarks


def _rank(submission: Submission, notebook: str) -> tuple:
    stem = submission.file.removesuffix(".ipynb")
    copy = re.search(r"\(?(\d+)\)?$", stem.rpartition(notebook)[2])
    return (
        notebook in stem,
        submission.time.isoformat() if submission.time else "",
        submission.order,
        stem == notebook,
        int(copy[1]) if copy and notebook in stem else 0,
    )


def _title_first(found: Submission, notebook: str) -> Submission:
    """Read "02-convolution - Jane Doe.ipynb" the other way round."""
    if notebook in found.student and notebook not in found.file:
        student = clean(found.file.removesuffix(".ipynb"))
        return Submission(
            found.path, student, f"{notebook}.ipynb", found.time, found.order
        )
    return found


def _refuse_two_folders(candidates: dict[str, list[Submission]]) -> None:
    for student, submissions in candidates.items():
        folders = sorted({str(PurePosixPath(s.path).parent) for s in submissions})
        if len(folders) > 1:
            raise ValueError(
                f"folders must name the students, got {student!r} as {folders}"
            )


def _without_title(
    candidates: dict[str, list[Submission]],
) -> dict[str, list[Submission]]:
    """Take off the title, which all begin with; user names may have underscores."""
    if len(candidates) < 2:
        return {name.rpartition("_")[2]: found for name, found in candidates.items()}
    first, last = min(candidates), max(candidates)
    alike = [a == b for a, b in zip(first, last, strict=False)] + [False]
    start = first[: alike.index(False)].rfind("_") + 1
    return {student[start:]: found for student, found in candidates.items()}


class Collector(FileNameCollectorPlugin):
    """Let `nbgrader zip_collect` take the chosen notebooks, under the asked name."""

    platform = Enum(
        list(PATTERNS),
        default_value=None,
        allow_none=True,
        help="The learning platform that the files come from.",
    ).tag(config=True)

    def collect(self, submitted_file: str) -> dict | None:
        """Return student, file and time of a chosen file, None for all others."""
        if not hasattr(self, "_chosen"):
            self._chosen = self._choose_all()
        found = self._chosen.get(submitted_file)
        if found is None:
            return None
        notebook = self.parent.coursedir.assignment_id
        time = {"timestamp": found.time.isoformat(" ")} if found.time else {}
        return {"student_id": found.student, "file_id": notebook} | time

    def _choose_all(self) -> dict[str, Submission]:
        app = self.parent
        if self.platform is None:
            app.fail("add --Collector.platform=NAME, one of: " + ", ".join(PATTERNS))
        root = Path(app._format_collect_path(app.extracted_directory))
        paths = [p.relative_to(root).as_posix() for p in root.rglob("*.ipynb")]
        chosen, remarks = choose(paths, self.platform, app.coursedir.assignment_id)
        for remark in remarks:
            self.log.warning(remark)
        return {
            str(root / found.path): Submission(
                found.path, student, found.file, found.time
            )
            for student, found in chosen.items()
        }
