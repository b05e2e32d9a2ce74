"""Run the notebooks with other versions than the locked ones, and record what passed.

    tools/matrix.sh colab [02-convolution ...]     makes the environment and runs this tool in it

`cvlab` comes as a reader gets it: by the set-up cell, unchanged, only that git finds the book's
address in a copy of this checkout. The lists of packages before and after must differ by
`cvlab-book` alone. Then each chapter, its exercises with their solutions and its student version
run in an empty directory. `book/verified.toml` keeps what passed, for the page of timings.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.common import EXERCISES, ROOT, chapters, code_hash, config, read
from tools.execute import ENVIRONMENT
from tools.stamp import setup_source

VERIFIED = ROOT / "book" / "verified.toml"
VARIANTS = ("lowest", "colab", "newest", "locked")
PACKAGES = (
    "numpy", "scipy", "matplotlib", "scikit-image", "scikit-learn", "keras", "tensorflow",
)  # fmt: skip
CELL_LIMIT_SECONDS = 600  # versions are tried here, not speed: a busy machine must not fail
QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # a remark of the debugger on each start
HEADER = (
    "# What `make colab` and `make matrix` ran without a failure. Written by tools/matrix.py.\n"
)


def notebooks_of(name: str) -> list[Path]:
    """Return a chapter, its exercises with solutions and the student version, if it has them."""
    chapter = ROOT / "chapters" / f"{name}.ipynb"
    exercises = [EXERCISES / kind / name / f"{name}.ipynb" for kind in ("source", "release")]
    return [path for path in (chapter, *exercises) if path.exists()]


def code_of(name: str) -> str:
    """Return one hash of the code in all notebooks of a chapter."""
    hashes = "".join(code_hash(read(path)) for path in notebooks_of(name))
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def verified() -> dict[str, dict]:
    """Return, for each variant, its `versions` and the `passed` chapters with date and code."""
    return tomllib.loads(VERIFIED.read_text(encoding="utf-8")) if VERIFIED.exists() else {}


def record(variant: str, name: str, passed: bool) -> None:
    """Keep that a chapter passed today, or forget that it ever did with these versions."""
    everything = verified()
    versions = {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}
    if everything.get(variant, {}).get("versions") != versions:
        everything[variant] = {"versions": versions, "passed": {}}
    everything[variant]["passed"].pop(name, None)
    if passed:
        today = datetime.date.today()
        everything[variant]["passed"][name] = {"date": today, "code": code_of(name)}
    VERIFIED.write_text(HEADER + _to_toml(everything), encoding="utf-8")


def _to_toml(everything: dict[str, dict]) -> str:
    lines = []
    for variant in sorted(everything):
        lines += ["", f"[{variant}.versions]"]
        lines += [f'{package} = "{v}"' for package, v in everything[variant]["versions"].items()]
        lines += ["", f"[{variant}.passed]"]
        for name, entry in sorted(everything[variant]["passed"].items()):
            lines.append(f'{name} = {{ date = {entry["date"]}, code = "{entry["code"]}" }}')
    return "\n".join(lines) + "\n"


def packages() -> dict[str, str]:
    """Return the name and version of every installed package, as pip lists them."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
    )
    return {entry["name"]: entry["version"] for entry in json.loads(listed.stdout)}


def redirected(directory: Path) -> dict[str, str]:
    """Commit this checkout to a scratch repository; return what has git find it there."""
    repository = directory / "book.git"
    git = ["git", f"--git-dir={repository}", f"--work-tree={ROOT}"]
    author = ["-c", "user.name=book", "-c", "user.email=book@localhost"]
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        [*author, "commit", "-q", "-m", "The checkout as it is"],
        ["tag", config()["cvlab"]["tag"]],
    ):
        subprocess.run([*git, *command], check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": config()["repository"]["url"],
    }


def run(
    notebook: nbformat.NotebookNode, *, forgive: tuple[str, ...] = (), **environment: str
) -> None:
    """Execute a notebook in an empty directory; errors of the names in `forgive` do not stop it."""
    with tempfile.TemporaryDirectory() as empty:
        NotebookClient(
            notebook,
            timeout=CELL_LIMIT_SECONDS,
            kernel_name="python3",
            allow_error_names=forgive,
            resources={"metadata": {"path": empty}},
        ).execute(env=ENVIRONMENT | QUIET | os.environ | environment)


def set_up() -> float:
    """Run the set-up cell where `cvlab-book` is missing; return the seconds it took.

    Raises
    ------
    RuntimeError
        If the cell changes any other package, does not install ours, or a second run changes
        anything.
    """
    uninstall = [sys.executable, "-m", "pip", "uninstall", "-q", "-y", "cvlab-book"]
    subprocess.run(uninstall, check=True, stderr=subprocess.DEVNULL)
    cell = nbformat.v4.new_code_cell(setup_source())
    lonely = nbformat.v4.new_notebook(cells=[cell])
    ours = {"cvlab-book": config()["cvlab"]["tag"].removeprefix("v")}
    with tempfile.TemporaryDirectory() as directory:
        address = redirected(Path(directory))
        before = packages()
        start = time.perf_counter()
        run(lonely, **address)
        seconds = time.perf_counter() - start
        after = packages()
        run(lonely, **address)
    if after != before | ours or packages() != after:
        changed = sorted(before.items() ^ packages().items())
        raise RuntimeError(f"the set-up cell must add {ours} and change nothing else: {changed}")
    return seconds


def passes(name: str) -> bool:
    """Run all notebooks of a chapter and tell whether each ran through."""
    for path in notebooks_of(name):
        shown = path.relative_to(ROOT)
        start = time.perf_counter()
        try:
            if "release" in shown.parts:  # blank answers must cost points and nothing else
                run(read(path), forgive=("NotImplementedError",), CVLAB_STRICT="0")
            else:
                run(read(path), CVLAB_STRICT="1")
        except (CellExecutionError, TimeoutError) as error:
            print(f"FAILED {shown}\n{error}", flush=True)
            return False
        print(f"passed {shown}: {time.perf_counter() - start:.0f} s", flush=True)
    return True


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("chapters", nargs="*", help="such as 02-convolution (default: all)")
    arguments = parser.parse_args()
    known = [path.stem for path in chapters()]
    names = arguments.chapters or known
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"no such chapter: {', '.join(unknown)}; there are {', '.join(known)}")
    seconds = set_up()
    print(f"the set-up cell added cvlab-book and changed nothing else: {seconds:.0f} s", flush=True)
    failed = []
    for name in names:
        passed = passes(name)
        record(arguments.variant, name, passed)
        failed += [] if passed else [name]
    if failed:
        sys.exit(f"failed with the versions of {arguments.variant}: {', '.join(failed)}")


if __name__ == "__main__":
    main()
