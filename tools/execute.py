"""Execute notebooks and store their outputs: the only thing that writes outputs.

Each notebook runs in an empty directory, so that it can depend on nothing but `cvlab`.
Metadata is reduced to what readers need; `metadata.cvlab` keeps the hash of the executed
code (to know what is stale) and the seconds that execution took.

    python -m tools.execute              # those whose code changed
    python -m tools.execute --all        # every one
    python -m tools.execute --check      # fail if a stored output is stale
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient

from tools.common import ROOT, chapters, code_hash, exercise_sources, read, to_text

# Two threads and no accelerator, as in continuous integration; broken exercises raise.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "CVLAB_STRICT": "1",
    "OMP_NUM_THREADS": "2",
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_NUM_INTEROP_THREADS": "2",
}
CELL_LIMIT_SECONDS = 120

# TensorFlow 2.21 logs its start to stderr at every level of TF_CPP_MIN_LOG_LEVEL.
STARTUP_LOG = re.compile(r"(?:(?:WARNING: All log messages before absl|[IW]\d{4} ).*\n|\n)+")


def is_stale(path: Path) -> bool:
    """Tell whether the code of a notebook is not the code that its outputs come from."""
    notebook = read(path)
    return notebook.metadata.get("cvlab", {}).get("code") != code_hash(notebook)


def execute(path: Path) -> float:
    """Execute one notebook in place and return the seconds it took."""
    notebook = read(path)
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(
            notebook,
            timeout=CELL_LIMIT_SECONDS,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": empty}},
        )
        start = time.perf_counter()
        client.execute(env=os.environ | ENVIRONMENT)
        seconds = time.perf_counter() - start
    normalise(notebook, seconds)
    path.write_text(to_text(notebook), encoding="utf-8")
    return seconds


def normalise(notebook, seconds: float) -> None:
    """Keep only the metadata that mean something to a reader or to a tool."""
    notebook.metadata = {
        "cvlab": {"code": code_hash(notebook), "seconds": max(1, round(seconds))},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_startup_log(output)]


def _is_startup_log(output) -> bool:
    return output.get("name") == "stderr" and bool(STARTUP_LOG.fullmatch(output.text))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: those stale)")
    parser.add_argument("--all", action="store_true", help="every notebook of the book")
    parser.add_argument("--check", action="store_true", help="fail if an output is stale")
    arguments = parser.parse_args()
    notebooks = [p.resolve() for p in arguments.paths] or chapters() + exercise_sources()
    stale = [path for path in notebooks if is_stale(path)]
    if arguments.check:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            sys.exit(f"outputs are stale: {names}; run `make notebooks`")
        return
    for path in notebooks if arguments.all or arguments.paths else stale:
        print(f"{path.relative_to(ROOT)}: {execute(path):.1f} s", flush=True)


if __name__ == "__main__":
    main()
