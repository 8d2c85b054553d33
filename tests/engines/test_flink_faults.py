"""What a Flink cluster loses while a job runs: task managers, workers, job service, client."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from engine_jobs import (
    Local,
    assert_same_version,
    command,
    environment,
    manifest,
    run,
    set_delay,
    text_job,
)
from engines import Engine, flink_cluster, wait_for_slots

from labelmill.history import history
from labelmill.store import Store
from labelmill.submission import read_status

pytestmark = pytest.mark.xdist_group("flink-faults")

SHARDS = 12
WAIT_SECONDS = 240


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with flink_cluster(tmp_path_factory.mktemp("flink")) as engine:
        yield engine


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Local:
    """A job whose shards take a second and a half each, and what it publishes undisturbed."""
    folder = tmp_path_factory.mktemp("slow")
    job = text_job(folder / "job", shards=SHARDS, rows=500)
    run(job, folder / "local")
    set_delay(job, 3)
    return Local(job, folder / "local")


class Client:
    """A launcher that runs in the background."""

    def __init__(self, job: Path, out: Path, *flags: str) -> None:
        self._process = subprocess.Popen(
            command(job, out, *flags), cwd=job.parent, env=environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def wait_for_votes(self, out: Path, least: int = 2) -> None:
        """Wait until some shards are voted on, so that the job is in its midst."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            stored = len(list((out / "votes").glob("*.parquet")))
            if stored >= least:
                assert stored < SHARDS, "too late to disturb it"
                return
            assert self._process.poll() is None, self._process.communicate()
            time.sleep(0.05)
        pytest.fail("no votes were stored")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self, code: int | None = 0) -> str:
        """Wait for it; return what it said on stderr."""
        out, err = self._process.communicate(timeout=WAIT_SECONDS)
        if code is not None:
            assert self._process.returncode == code, f"{self._process.returncode}\n{out}\n{err}"
        self.code = self._process.returncode
        return err


def workers_of(process_id: int) -> list[psutil.Process]:
    """Return the SDK workers that a task manager started."""
    return [
        child
        for child in psutil.Process(process_id).children(recursive=True)
        if "sdk_worker_main" in " ".join(child.cmdline())
    ]


def test_both_task_managers_work_on_shards(cluster, slow, tmp_path):
    with_hosts = Client(slow.job, tmp_path / "out", *cluster.flags)
    with_hosts.wait_for_votes(tmp_path / "out")
    busy = [len(workers_of(cluster.processes[f"taskmanager-{n}"].pid)) for n in (1, 2)]
    with_hosts.end()

    assert all(busy), busy
    assert_same_version(tmp_path / "out", slow.out)
    (tasks,) = [
        vertex["parallelism"]
        for vertex in cluster.jobs()[-1]["vertices"]
        if "ApplyLabelingFunctions" in vertex["name"] and "Spread" not in vertex["name"]
    ][:1]
    assert tasks == 4


def test_a_launcher_may_leave_and_the_store_tells_how_it_went(cluster, slow, tmp_path):
    out = tmp_path / "out"
    set_delay(slow.job, 12)

    said = run(slow.job, out, "--no-wait", *cluster.flags).stdout

    assert "submitted" in said
    codes = []
    status = ["status" if part == "run" else part for part in command(slow.job, out)[:4]]
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and (not codes or codes[-1] == 4):
        done = subprocess.run(
            [*status, str(out)], cwd=slow.job.parent, env=environment(), capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        codes.append(done.returncode)
        time.sleep(1)
    assert codes[0] == 4
    assert codes[-1] == 0, done.stdout + done.stderr
    assert done.stdout.startswith("published run")
    set_delay(slow.job, 3)
    assert_same_version(out, slow.out)


def test_a_killed_worker_process_is_replaced(cluster, slow, tmp_path):
    client = Client(slow.job, tmp_path / "out", *cluster.flags)
    client.wait_for_votes(tmp_path / "out")
    victim = next(
        worker for n in (1, 2) for worker in workers_of(cluster.processes[f"taskmanager-{n}"].pid)
    )
    os.kill(victim.pid, signal.SIGKILL)
    client.end()

    assert_same_version(tmp_path / "out", slow.out)


def test_a_killed_task_manager_costs_nothing_but_time_where_slots_are_free(cluster, slow, tmp_path):
    flags = [flag for flag in cluster.flags if not flag.startswith("--parallelism")]
    client = Client(slow.job, tmp_path / "out", *flags, "--parallelism=2")
    client.wait_for_votes(tmp_path / "out")
    cluster.processes["taskmanager-1"].kill()
    client.end()

    assert_same_version(tmp_path / "out", slow.out)
    cluster.restart("taskmanager-1")
    wait_for_slots(cluster, 4)


def test_a_client_whose_job_service_is_gone_asks_flink_and_waits(cluster, slow, tmp_path):
    client = Client(slow.job, tmp_path / "out", *cluster.flags)
    client.wait_for_votes(tmp_path / "out")
    cluster.processes["job-server"].kill()
    said = client.end()

    assert "is gone; Flink at" in said
    assert_same_version(tmp_path / "out", slow.out)
    cluster.restart("job-server")


def test_a_second_submission_beside_a_running_job_is_harmless(cluster, slow, tmp_path):
    out = tmp_path / "out"
    first = Client(slow.job, out, *cluster.flags)
    first.wait_for_votes(out, least=1)
    first.kill()
    second = Client(slow.job, out, *cluster.flags)
    second.end(code=None)

    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and any(job["state"] == "RUNNING" for job in cluster.jobs()):
        time.sleep(0.5)
    assert second.code in (0, 1)  # 1: the first one published before it, and it says so
    assert [version.version for version in history(Store.open(str(out)))] == [1]
    assert_same_version(out, slow.out)


def test_a_killed_job_manager_fails_the_run_and_a_rerun_resumes(cluster, slow, tmp_path):
    out = tmp_path / "out"
    client = Client(slow.job, out, *cluster.flags)
    client.wait_for_votes(out, least=3)
    cluster.processes["jobmanager"].kill()
    said = client.end(code=1)

    assert "nothing was published" in said or "labelmill status" in said, said
    assert not (out / "_labelmill" / "versions").exists()
    outcome = read_status(Store.open(str(out))).outcome
    assert outcome is None or outcome.status == "failed"  # as the launcher came to know of it
    cluster.restart("jobmanager")
    wait_for_slots(cluster, 4)
    run(slow.job, out, *cluster.flags)
    assert_same_version(out, slow.out)
    assert manifest(out).run["shards_reused"] >= 3
