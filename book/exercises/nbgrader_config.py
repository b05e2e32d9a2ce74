"""Settings of nbgrader for the exercises of this book.

A copy of the folder of this file is a course folder: run nbgrader's commands in it.
The page "Grade with nbgrader" of the book has them all.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from grading.collect import Collector
from grading.mend import FreshCheck, KnownCells, LostCells
from grading.report import CsvWithStatus
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    OverwriteCells,
    OverwriteKernelspec,
)

c = get_config()  # noqa: F821 (nbgrader defines it)

# Seconds for one cell. An infinite loop costs as much for each check that runs into it.
c.Execute.timeout = 60

# Files of a learning platform: nbgrader zip_collect NAME --Collector.platform=moodle
c.ZipCollectApp.collector_plugin = Collector

# What a submission passes through before it is run.
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    KnownCells,
    LostCells,
    OverwriteKernelspec,
    OverwriteCells,
    FreshCheck,
    CheckCellMetadata,
]

# grades.csv tells a score of 0 from "not graded".
c.ExportApp.plugin_class = CsvWithStatus
