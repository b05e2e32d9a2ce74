"""The public host's workflows: they parse, are modest in their rights, and call what exists."""

import os
import re
import shutil
import stat
import subprocess

import pytest
import yaml

from tools.common import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
JOBS = {f"{w}.{j}": job for w, workflow in WORKFLOWS.items() for j, job in workflow["jobs"].items()}
SCRIPTS = {
    f"{name}.{number}": step["run"]
    for name, job in JOBS.items()
    for number, step in enumerate(job["steps"])
    if "run" in step
}
ACTIONS = {
    "checkout", "setup-python", "upload-artifact", "download-artifact", "upload-pages-artifact",
    "deploy-pages",
}  # fmt: skip


def triggers(name):
    return WORKFLOWS[name][True]  # YAML reads the key `on` as a truth value


def test_there_are_workflows_for_changes_releases_and_other_versions():
    assert set(WORKFLOWS) == {"test", "release", "versions"}
    assert triggers("release") == {"push": {"tags": ["v*"]}}
    assert triggers("test")["push"] == {"branches": ["main"]}
    ((_, _, of_month, month, weekday),) = [
        e["cron"].split() for e in triggers("versions")["schedule"]
    ]
    assert (of_month, month, weekday) == ("*", "*", "1")
    variants = JOBS["versions.notebooks"]["strategy"]["matrix"]["variant"]
    assert sorted(variants) == ["colab", "locked", "lowest", "newest"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_may_write_unless_its_job_says_so(name):
    assert WORKFLOWS[name]["permissions"] in ({}, {"contents": "read"})
    assert not {"pull_request_target", "workflow_run"} & set(triggers(name))


def test_only_three_jobs_may_write_and_none_of_them_runs_the_books_code():
    writing = {
        name: {right for right, level in job["permissions"].items() if level == "write"}
        for name, job in JOBS.items()
        if "write" in job.get("permissions", {}).values()
    }
    assert writing == {
        "test.publish": {"pages", "id-token"},
        "release.release": {"contents"},
        "versions.report": {"issues"},
    }
    for name in writing:
        assert JOBS[name]["needs"]
        assert not any("checkout" in step.get("uses", "") for step in JOBS[name]["steps"])


@pytest.mark.parametrize("name", JOBS)
def test_every_job_ends_and_uses_the_hosts_own_actions(name):
    assert JOBS[name]["timeout-minutes"] <= 120
    for step in JOBS[name]["steps"]:
        if "uses" in step:
            owner, action = re.fullmatch(r"(\w+)/([\w-]+)@v\d+", step["uses"]).groups()
            assert owner == "actions"
            assert action in ACTIONS
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_bash_without_expressions_pasted_in_and_call_what_exists(name):
    script = SCRIPTS[name]
    assert "${{" not in script  # values come through the environment
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", script):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
    for path in re.findall(r"(?:tools|\.ci)/[\w.]+", script):
        assert (ROOT / path).stat().st_mode & stat.S_IXUSR or script.startswith("bash ")
    for module in re.findall(r"-m (tools\.\w+)", script):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.sh")), ids=lambda p: p.name)
def test_shell_scripts_parse_stop_at_errors_and_may_be_run(path):
    subprocess.run(["bash", "-n", path], check=True)
    assert "set -euo pipefail" in path.read_text()
    assert os.access(path, os.X_OK)


GH = """#!/usr/bin/env bash
echo "$@" >>"$LOG"
case "$1 $2" in
  "run view") echo "colab, lowest" ;;
  "issue list") echo "$OPEN" ;;
esac
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(("number", "wanted"), [("", "issue create"), ("12", "issue comment 12")])
def test_a_failure_opens_an_issue_or_adds_to_the_one_that_is_open(tmp_path, number, wanted):
    fake = tmp_path / "gh"
    fake.write_text(GH)
    fake.chmod(0o755)
    step = JOBS["versions.report"]["steps"][0]
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "OPEN": number,
        "GITHUB_RUN_ID": "7",
        "RUN_URL": "https://example.org/runs/7",
        "TITLE": step["env"]["TITLE"],
    }
    subprocess.run(["bash", "-e", "-c", step["run"]], env=environment, check=True)
    *_, last = (tmp_path / "log").read_text().splitlines()
    assert last.startswith(wanted)
    assert "Failed with these versions: colab, lowest." in last
    assert "https://example.org/runs/7" in last
    assert JOBS["versions.report"]["if"] == "failure()"
