"""How a run stands by what the store tells, and what the doctor finds."""

from __future__ import annotations

import datetime
import json
import os
import socket
from dataclasses import replace

import pytest

from labelmill.environment import differences, environment
from labelmill.errors import CorruptFileError, VersionNotFoundError
from labelmill.retention import plan_cleanup
from labelmill.store import Store
from labelmill.submission import Submission, read_status, store_submission
from labelmill.versions import submission_path
from pipelines.cli import _main
from pipelines.runstatus import exit_code, look_up

RUN = Submission(
    run_id="20260101T000000-aa", started="2026-01-01T00:00:00+00:00", job="topics", runner="flink",
    engine_job="labelmill-topics-1", engine="", host="elsewhere", pid=1, needs_launcher=False,
    shards=10, to_vote=4, votes_mark="-f00", votes_before=1, labels_before=2,
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return Store.open(str(tmp_path / "out"))


def test_a_run_counts_what_it_stored(store):
    for name in ("a-1-f00", "b-1-f00", "c-1-f00", "d-1-other"):
        store.put(f"votes/{name}.parquet", b"x")
    for name in ("1", "2", "3"):
        store.put(f"labels/{name}.parquet", b"x")
    store_submission(store, RUN)

    status = read_status(store)

    assert (status.voted, status.labeled, status.outcome) == (2, 1, None)
    assert read_status(store, RUN.run_id) == status


def test_the_last_run_counts_and_others_by_name(store):
    later = replace(RUN, run_id="20270101T000000-bb", votes_mark="")
    store_submission(store, RUN)
    store_submission(store, later)

    assert read_status(store).submission == later
    assert read_status(store).voted is None
    assert read_status(store, RUN.run_id).submission == RUN


def test_no_run_and_a_damaged_record(store):
    with pytest.raises(VersionNotFoundError, match="no record of a run"):
        read_status(store)
    with pytest.raises(VersionNotFoundError, match="no run x"):
        read_status(store, "x")
    store.put(submission_path("x"), b'{"format": 1, "odd": 2}')
    with pytest.raises(CorruptFileError, match=r"x\.json is no record of a run"):
        read_status(store)
    store.put(submission_path("x"), b'{"format": 2}')
    with pytest.raises(CorruptFileError, match="newer labelmill"):
        read_status(store)


@pytest.mark.parametrize(
    ("changes", "standing", "code"),
    [
        ({}, "unknown", 4),
        ({"engine": "localhost:1"}, "unknown", 4),
        ({"engine": "localhost:1", "host": socket.gethostname()}, "unknown", 4),
        ({"needs_launcher": True}, "unknown", 4),
        ({"needs_launcher": True, "host": socket.gethostname(), "pid": os.getpid()}, "running", 4),
        ({"needs_launcher": True, "host": socket.gethostname(), "pid": 2**22 + 1}, "ended", 1),
    ],
)
def test_who_is_asked_while_there_is_no_outcome(store, changes, standing, code):
    store_submission(store, replace(RUN, **changes))

    found = look_up(store.uri)

    assert _main(["status", store.uri]) == code
    assert (found.standing, exit_code(found)) == (standing, code)
    assert found.engine


@pytest.mark.parametrize(("minutes", "standing"), [(1, "unknown"), (60, "ended")])
def test_flink_may_not_have_the_job_yet(store, minutes, standing, monkeypatch):
    monkeypatch.setattr("pipelines.flinkrest.FlinkRest.find", lambda self, *asked: None)
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    store_submission(store, replace(RUN, engine="flink:1", started=started.isoformat()))

    assert look_up(store.uri).standing == standing


def test_status_of_a_run_that_published(make_job, capfd):
    job = make_job()
    assert _main(["run", str(job)]) == 0
    capfd.readouterr()

    assert _main(["status", str(job.parent / "out")]) == 0
    assert capfd.readouterr().out.startswith("published run")
    assert _main(["status", str(job.parent / "out"), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["standing"] == "published"
    assert found["submission"]["to_vote"] == found["submission"]["shards"] == found["voted"] == 3


def test_old_records_of_runs_go_with_their_versions(make_job):
    job = make_job()
    for days in (0, 1):
        assert _main(["run", str(job), "--set", f"gold.seed={days}"]) == 0
    store = Store.open(str(job.parent / "out"))
    before = store.list("_labelmill/submissions")

    cleanup = plan_cleanup(store, keep=1, min_age=datetime.timedelta(0))

    assert len(before) == 2
    assert before[0] in {file.path for file in cleanup.files}
    assert before[1] not in {file.path for file in cleanup.files}


def test_a_local_run_is_refused_no_wait(make_job, capfd):
    assert _main(["run", str(make_job()), "--no-wait"]) == 2
    assert "--no-wait: the local runner is this process" in capfd.readouterr().err


def test_the_doctor_finds_a_job_ready(make_job, capfd):
    job = make_job()

    assert _main(["doctor", str(job)]) == 0

    said = capfd.readouterr().out
    assert "1 worker processes" in said
    assert "fails" not in said
    assert not list((job.parent / "out").rglob("probe*"))


def test_the_doctor_says_what_to_do(make_job, capfd):
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        port = sock.getsockname()[1]
    job = str(make_job())
    flags = ["--runner=flink", f"--job_endpoint=localhost:{port}"]

    assert _main(["doctor", job, *flags, f"--flink_master=localhost:{port}"]) == 1

    said = capfd.readouterr()
    assert "fails job service: nothing answers" in said.out
    assert "fails flink" in said.out
    assert "start it, or name another with --job_endpoint" in said.out
    assert "warns workers: not checked: the engine is not ready" in said.out
    assert "not ready: job service, flink" in said.err


def test_environments_that_differ():
    here = dict(environment())

    assert differences(here, here) == []
    assert differences(here, {**here, "numpy": "0"}) == [f"numpy {here['numpy']} here, 0 there"]
    assert differences({"python": "3.11.7"}, {"python": "3.11.9"}) == []
    assert differences({"python": "3.11.7"}, {"python": "3.12.0"})
