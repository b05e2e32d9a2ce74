"""Grades with a column that tells a score of 0 from "not graded"."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from nbgrader.api import Assignment, Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin

# Those of nbgrader's own table, and one more.
COLUMNS = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name"),
    *("email", "raw_score", "late_submission_penalty", "score", "max_score", "status"),
)
GRADED = "graded"


class CsvWithStatus(ExportPlugin):
    """The grades of all students, also of those whose folder was never graded.

    The column `status` is "graded", or says why the score is empty or incomplete.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Write the table, and name on the screen who needs a look."""
        target = self.to or "grades.csv"
        rows = list(self.rows(gradebook))
        with open(target, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)
        self.log.info("Wrote %s", target)
        for row in rows:
            if row["status"] != GRADED:
                self.log.warning("{assignment} {student_id}: {status}".format_map(row))

    def rows(self, gradebook: Gradebook) -> Iterator[dict]:
        """Return a row for each assignment and student asked for."""
        for assignment in gradebook.assignments:
            if self.assignment and assignment.name not in map(str, self.assignment):
                continue
            known = {student.id: student for student in gradebook.students}
            handed_in = self._folders("submitted_directory", assignment.name)
            for name in sorted(known.keys() | handed_in):
                if not self.student or name in map(str, self.student):
                    person = known.get(name)
                    yield self._row(gradebook, assignment, name) | {
                        key: getattr(person, key, None) or ""
                        for key in ("last_name", "first_name", "email")
                    }

    def _row(self, gradebook: Gradebook, assignment: Assignment, name: str) -> dict:
        row = {
            "assignment": assignment.name,
            "student_id": name,
            "status": "not submitted",
            "max_score": assignment.max_score,
            "duedate": assignment.duedate or "",
        }
        if name in self._folders("submitted_directory", assignment.name):
            row["status"] = "not graded: autograde was not run or stopped"
        graded = name in self._folders("autograded_directory", assignment.name)
        try:
            submission = gradebook.find_submission(assignment.name, name)
        except MissingEntry:
            return row
        grades = [
            grade for notebook in submission.notebooks for grade in notebook.grades
        ]
        empty = [
            g.name for g in grades if g.auto_score is None and g.manual_score is None
        ]
        if not graded or len(empty) == len(grades):
            return row
        penalty = submission.late_submission_penalty or 0
        row["status"] = f"not all graded: {', '.join(empty)}" if empty else GRADED
        return row | {
            "score": max(0.0, submission.score - penalty),
            "raw_score": submission.score,
            "late_submission_penalty": penalty,
            "timestamp": submission.timestamp or "",
        }

    def _folders(self, step: str, assignment: str) -> set[str]:
        """Return the students who have a folder of this step."""
        course = self.parent.coursedir
        found = glob(course.format_path(getattr(course, step), "*", assignment))
        return {Path(folder).parent.name for folder in found}
