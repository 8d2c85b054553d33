"""Eight refreshes of one data set at the same time, on local disk and on each of the stores."""

from __future__ import annotations

import multiprocessing
import subprocess
import uuid
from concurrent.futures import ProcessPoolExecutor

import pytest
from committers import COMMITTERS, assert_linear_without_loss, commit_many
from faulty_proxy import FaultyProxy, faulty_proxy
from jobs import ROOT, Places, command, labels_of, run, write_job

from labelmill import open_labels
from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest, verify_version


def test_eight_committers_that_lose_answers_of_s3_commit_exactly_once(s3, monkeypatch):
    store = Store.open(f"{s3.uri}/{uuid.uuid4().hex}")
    losing = FaultyProxy(s3.port, rate=0.15, faults=("lose the answer",))
    spawn = multiprocessing.get_context("spawn")
    with faulty_proxy(losing) as proxy:
        for name, value in s3.through(proxy.port).items():
            monkeypatch.setenv(name, value)
        with ProcessPoolExecutor(COMMITTERS, mp_context=spawn) as processes:
            committed = list(processes.map(commit_many, [store] * COMMITTERS, range(COMMITTERS)))

        assert_linear_without_loss(store, committed)
    assert proxy.seen["lose the answer"] > 0


@pytest.fixture(params=["local disk", "s3", "gcs", "azure"])
def root(request, tmp_path):
    if request.param == "local disk":
        return str(tmp_path / "data")
    return f"{request.getfixturevalue(request.param).uri}/{uuid.uuid4().hex}"


def test_of_eight_refreshes_at_once_one_publishes_and_nothing_is_lost(tmp_path, root):
    places = Places.below(root)
    job = write_job(tmp_path / "job", places)
    run(job)
    pinned = open_labels(places.output)
    before = labels_of(places.output)
    refreshes = [
        subprocess.Popen(
            command(job, "--set", f"model.random_state={n + 1}"), cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(COMMITTERS)
    ]  # fmt: skip

    ends = [(process.communicate(timeout=300)[1], process.returncode) for process in refreshes]

    published = [code for _, code in ends].count(0)
    for message, code in ends:
        assert "Traceback" not in message
        assert code == 0 or "Run again, stored votes are reused" in message
    store = Store.open(places.output)
    history = [read_manifest(store, version) for version in list_versions(store)]
    assert [manifest.version for manifest in history] == list(range(1, published + 2))
    assert published >= 1
    parents = [manifest.parent_digest for manifest in history[1:]]
    assert parents == [manifest.digest for manifest in history[:-1]]
    assert [verify_version(store, manifest.version) for manifest in history] == [[]] * len(history)
    assert pinned.to_table().sort_by("id").to_pylist() == before
