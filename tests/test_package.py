"""The package as a whole: what imports what, and one version everywhere."""

import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

import cvlab
from cvlab.data import credit, photograph_names
from tools.common import ROOT, config

MODULES = [
    module.name
    for module in pkgutil.walk_packages(cvlab.__path__, "cvlab.")
    if not module.name.startswith("cvlab.networks")
]
BLOCKED = """
import sys
for name in ("tensorflow", "keras", "torch", "matplotlib", "skimage", "sklearn"):
    sys.modules[name] = None  # an import of it raises ImportError
import {modules}
"""


def test_everything_but_networks_imports_with_numpy_alone():
    code = BLOCKED.format(modules=", ".join(["cvlab", *MODULES]))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_networks_is_the_only_place_that_names_keras_or_tensorflow():
    for path in (ROOT / "cvlab").rglob("*.py"):
        imports = re.findall(r"^\s*(?:import|from) (keras|tensorflow)\b", path.read_text(), re.M)
        assert not imports or "networks" in path.parts, path


def test_private_attributes_of_keras_are_touched_in_one_file_only():
    private = re.compile(r"\._(?:inbound_nodes|outbound_nodes|operations|nodes|functional)\b")
    touching = {
        path.name for path in (ROOT / "cvlab").rglob("*.py") if private.search(path.read_text())
    }
    assert touching <= {"graph.py"}


@pytest.mark.parametrize("module", [m for m in MODULES if "._" not in m and "exercises" not in m])
def test_every_module_says_what_it_is_for(module):
    documentation = __import__(module, fromlist=["x"]).__doc__
    assert documentation
    assert len(documentation.strip().splitlines()) >= 4


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "cvlab-book"  # PyPI's cvlab is somebody else's
    assert project["version"] == cvlab.__version__
    assert config()["cvlab"]["tag"] == f"v{cvlab.__version__}"


def test_the_pages_that_say_how_to_cite_and_what_changed_agree_with_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == cvlab.__version__
    assert citation["repository-code"] == config()["repository"]["url"]
    changes = (ROOT / "book" / "changes.md").read_text(encoding="utf-8")
    latest, *_ = re.findall(r"^## (.+)$", changes, re.M)
    assert latest == f"{cvlab.__version__} ({citation['date-released']})"
    about = (ROOT / "book" / "about.md").read_text(encoding="utf-8")
    assert f", version {cvlab.__version__}, {citation['date-released'][:4]}." in about
    entry = dict(re.findall(r"^  (\w+) += \{(.+)\},$", about, re.M))
    assert entry["version"] == cvlab.__version__
    assert entry["year"] == citation["date-released"][:4]
    assert entry["url"] == citation["repository-code"]
    assert entry["title"].startswith(citation["title"])


def test_nothing_says_to_install_the_stranger():
    command = re.compile(r"pip install (?:-\S+ )*cvlab(?![-\w@ ]*@|-book)\b")
    for path in [ROOT / "README.md", *(ROOT / "book").glob("*.md"), *ROOT.glob("chapters/*.ipynb")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not command.search(line) or "never" in line or "not" in line, (path, line)


def test_the_licence_of_every_photograph_stands_on_the_page_about_the_book():
    rows = (ROOT / "book" / "about.md").read_text(encoding="utf-8").splitlines()
    for name in (*photograph_names(), "faces", "digits"):
        author, licence, _ = credit(name)
        (row,) = (row for row in rows if re.match(rf"\|[^|]*\b{name}\b", row))
        assert licence in row, (name, row)
        assert re.split(",| et al", author)[0] in row, (name, row)
