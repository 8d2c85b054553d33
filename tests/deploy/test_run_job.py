"""The launcher's entry point, on jobs as a bucket and as Kubernetes hold them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from deploy_files import DEPLOY, ROOT

RUN_JOB = DEPLOY / "docker" / "run_job.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN_JOB), *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.fixture
def job(make_job, tmp_path) -> Path:
    """A job whose input and output are URLs, as a job in a bucket has them."""
    file = make_job()
    written = yaml.safe_load(file.read_text())
    written["input"]["uri"] = f"file://{tmp_path}/corpus/*.jsonl"
    written["output"]["uri"] = f"file://{tmp_path}/out"
    file.write_text(yaml.safe_dump(written))
    (file.parent / "data").rename(tmp_path / "corpus")
    return file


def test_job_in_a_store_is_copied_with_its_folder_and_runs(job):
    first = run(f"file://{job}", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["status"] == "published"

    again = run(f"file://{job}", "--json")  # from another copy: where it is does not matter
    assert json.loads(again.stdout)["status"] == "unchanged", again.stderr


def test_job_mounted_from_a_config_map_runs(job, tmp_path):
    mounted = tmp_path / "mounted"
    (mounted / "..2026_11_24").mkdir(parents=True)
    (mounted / "..data").symlink_to("..2026_11_24")
    for file in job.parent.glob("*.*"):
        if file.is_file():
            (mounted / "..2026_11_24" / file.name).write_bytes(file.read_bytes())
            (mounted / file.name).symlink_to(f"..data/{file.name}")
    done = run(mounted / job.name, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "published"


def test_other_commands_pass_through(job):
    assert run("plan", job).returncode == 0
    assert run("history", job.parent / "nothing").returncode != 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["file:///nowhere/job.yaml"], 2, "file:///nowhere/job.yaml: no such job file"),
        (["nosuch://bucket/job.yaml"], 2, "nosuch://bucket/job.yaml: "),
        (["/nowhere/job.yaml"], 2, "no such job file"),
    ],
)
def test_job_that_is_not_there_exits_as_a_bad_job(arguments, code, says):
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_refusal_keeps_its_exit_code(job):
    done = run(f"file://{job}", "--set", "gates.min_coverage=1.0")
    assert done.returncode == 3, done.stdout + done.stderr
