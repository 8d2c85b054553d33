"""The DAGs in a real Airflow: imported, and one of them run with a real job."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from deploy_files import DEPLOY, ROOT, missing

from scripts import deploy_tools

DAGS = DEPLOY / "airflow"
LIMIT = 240


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment variables of an Airflow with an empty data base of its own."""
    bin_folder = deploy_tools.environment("airflow") / "bin"
    if not (bin_folder.parent / ".ready").exists():
        missing("airflow", "python scripts/deploy_tools.py airflow")
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "PATH": f"{bin_folder}:/usr/bin:/bin",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(DAGS),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        ["airflow", "db", "migrate"], env=environment, cwd=home,
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return environment


@pytest.fixture(scope="module")
def seen(airflow: dict[str, str]) -> dict[str, Any]:
    """What Airflow makes of the folder."""
    done = subprocess.run(
        ["python", str(Path(__file__).parent / "check_airflow.py"), str(DAGS)],
        env=airflow, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_dags_import_without_error(seen):
    assert seen["errors"] == {}
    assert set(seen["dags"]) == {"labelmill_command", "labelmill_kubernetes"}


def test_refreshes_never_overlap_pile_up_or_hang(seen):
    for name, dag in seen["dags"].items():
        assert dag["catchup"] is False, name
        assert dag["max_active_runs"] == 1, name
        assert dag["retries"] == 2, name
        assert dag["has_time_limit"], name


def test_pod_fails_for_good_where_trying_again_does_not_help(seen):
    after = seen["after"]
    assert after["0"] == ""
    for code in ("2", "3", "4"):
        assert after[code].startswith(f"AirflowFailException: pod p: exit code {code}, ")
    for code in ("1", "None"):
        assert after[code].startswith("AirflowException: pod p: exit code ")


@pytest.fixture
def command(airflow, make_job, tmp_path) -> dict[str, str]:
    """The environment in which the DAG runs this checkout's labelmill on a small job."""
    script = tmp_path / "labelmill"
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m pipelines "$@" $MORE\n'
    )
    script.chmod(0o755)
    return {**airflow, "LABELMILL_COMMAND": str(script), "LABELMILL_JOB": str(make_job())}


def run_dag(environment: dict[str, str], until: str) -> str:
    """Run the DAG until its log says something; return the log."""
    process = subprocess.Popen(
        ["airflow", "dags", "test", "labelmill_command", "2026-10-01"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    stop = threading.Timer(LIMIT, process.kill)
    stop.start()
    lines = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if until in line:
                break
        else:
            pytest.fail(f"the log never said {until!r}:\n{''.join(lines[-60:])}")
    finally:
        stop.cancel()
        process.kill()  # after a failure that is tried again it would wait for ten minutes
        process.wait()
    return "".join(lines)


def test_dag_publishes(command):
    log = run_dag(command, "new_state=success")
    assert "published version 1" in log


def test_dag_fails_for_good_when_a_gate_refuses(command):
    log = run_dag({**command, "MORE": "--set gates.min_coverage=1.0"}, "new_state=failed")
    assert "exit code 3, refused by a gate" in log
    assert "up_for_retry" not in log


def test_dag_is_tried_again_when_it_failed(command):
    broken = Path(command["LABELMILL_JOB"]).parent / "out"
    broken.write_text("a file where the output's folder should be")
    log = run_dag(command, "new_state=up_for_retry")
    assert "exit code 1" in log
    assert broken.is_file()
