"""What Dataflow would be sent, offline: graph, environment and options of a job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from engine_jobs import RUN_SECONDS, Local, command, environment
from processes import installed

IMAGE = "registry.example/labelmill:0.1.0"
FLAGS = [
    "--project=p-x", "--region=us-central1", "--temp_location=gs://my-bucket/tmp",
    "--staging_location=gs://my-bucket/stg", "--dry_run=true", "--no_auth",
    f"--sdk_container_image={IMAGE}",
]  # fmt: skip
MOST_BYTES = 5_000_000
"""Dataflow takes ten; half of that leaves room for jobs with more functions."""


def sent(local: Local, out: Path, *flags: str) -> dict:
    script = Path(__file__).with_name("dataflow_job.py")
    done = subprocess.run(
        [str(installed("dataflow")), str(script), str(local.job), str(out), *FLAGS, *flags],
        cwd=local.job.parent, env={**environment(), "NO_GCE_CHECK": "true"}, capture_output=True,
        text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["demo", "texts", "staged"])
def test_the_job_that_dataflow_would_get(kind, tmp_path, request):
    job = sent(request.getfixturevalue(kind), tmp_path / "out")

    assert job["state"] == "DONE"
    assert job["bytes"] < MOST_BYTES
    assert set(job["environments"]) == {"beam:env:docker:v1"}
    assert all(IMAGE in payload for payload in job["image"])
    for step in ("Shards", "Spread", "ApplyLabelingFunctions", "FitLabelModel", "Publish"):
        assert any(name.split("/")[0] == step for name in job["steps"]), step
    assert job["options"]["project"] == "p-x"
    assert job["options"]["region"] == "us-central1"
    assert job["job_name"].startswith(
        {"demo": "labelmill-unicode-names", "texts": "labelmill-topics"}.get(kind, "labelmill-")
    )


def test_a_dry_run_of_the_command_line_submits_and_records_nothing(demo, tmp_path):
    (_, *rest) = command(demo.job, tmp_path / "out", "--runner=dataflow", *FLAGS)
    done = subprocess.run(
        [str(installed("dataflow")), *rest], cwd=demo.job.parent,
        env={**environment(), "NO_GCE_CHECK": "true"}, capture_output=True, text=True,
        timeout=RUN_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dry run labelmill-unicode-names-")
    assert not (tmp_path / "out" / "_labelmill" / "submissions").exists()


def test_without_its_client_the_error_says_what_to_install(demo, tmp_path):
    done = subprocess.run(
        command(demo.job, tmp_path / "out", "--runner=dataflow", *FLAGS), cwd=demo.job.parent,
        env=environment(), capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip

    assert sys.executable != str(installed("dataflow"))
    assert done.returncode == 1
    assert "labelmill[gcp]" in done.stderr
