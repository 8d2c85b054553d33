"""Stored files whose bits flip or whose end is lost: found, named, and made again."""

from __future__ import annotations

import pytest
from message_job import HELPERS

from labelmill import open_labels
from labelmill.errors import CorruptFileError
from labelmill.jobfile import load_job
from labelmill.store import Store
from labelmill.versions import manifest_path, read_manifest, verify_version
from pipelines.cli import _main as labelmill_command
from pipelines.plan import make_plan
from pipelines.run import run_plan
from pipelines.runners import choose_runner

FAILING = """

@labeling_function()
def fails(x):
    if x.id.endswith("7"):
        raise ValueError(x.id)
    return ABSTAIN
"""


LOGGING = """

@labeling_function(batch=True)
def logs(batch):
    if batch.num_rows == 100:
        with open({log!r}, "a") as file:
            file.write("whole\\n")
    return [None] * batch.num_rows
"""


def run(job, *, full=False):
    spec, folder = load_job(job, [])
    plan = make_plan(spec, folder, full=full)
    outcome = run_plan(plan, choose_runner("local", [], projected_seconds=0, n_shards=3)).outcome
    assert outcome.status == "published", outcome.message


def flip_a_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def cut_off(data):
    return data[:-1]


@pytest.mark.parametrize("damage", [flip_a_bit, cut_off])
def test_damaged_file_of_each_kind_is_named_and_a_full_run_makes_it_again(make_job, damage):
    job = make_job(gates={"max_fault_rate": 0.5})
    with (job.parent / "lfs.py").open("a") as lfs:
        lfs.write(FAILING)
    run(job)
    store = Store.open(str(job.parent / "out"))
    one_each = {file.kind: file.path for file in read_manifest(store).files}
    assert sorted(one_each) == ["code", "faults", "ids", "labels", "model", "patterns", "votes"]
    whole = {path: store.get(path) for path in one_each.values()}
    for path, data in whole.items():
        store.put(path, damage(data))

    problems = verify_version(store)
    run(job, full=True)

    assert sorted(whole) == sorted(p for p in whole if any(p in problem for problem in problems))
    assert len(problems) == len(whole)
    assert {path: store.get(path) for path in whole} == whole
    assert [verify_version(store, version) for version in (1, 2)] == [[], []]


def empty(data):
    return b""


def cut_in_half(data):
    return data[: len(data) // 2]


def garbage(data):
    return b"\0" * len(data)


@pytest.mark.parametrize("damage", [flip_a_bit, cut_in_half, empty, garbage])
def test_damaged_current_manifest_is_named_and_deleting_it_loses_nothing(make_job, capfd, damage):
    job = make_job(gates={"max_label_shift": 1.0, "max_gold_loss": 1.0, "max_vote_shift": 1.0})
    assert labelmill_command(["run", str(job)]) == 0
    (job.parent / "helpers.py").write_text(HELPERS.replace("8", "12"))
    with (job.parent / "lfs.py").open("a") as lfs:
        lfs.write(LOGGING.format(log=str(job.parent / "log")))
    assert labelmill_command(["run", str(job)]) == 0
    store = Store.open(str(job.parent / "out"))
    lost, calls = read_manifest(store), (job.parent / "log").read_text()
    assert "whole" in calls
    store.put(manifest_path(2), damage(lost.to_bytes()))
    capfd.readouterr()

    uri = store.uri
    commands = (["run", str(job)], ["plan", str(job)], ["verify", uri], ["gc", uri, "--keep", "1"])
    for command in commands:
        assert labelmill_command(command) == 1
        said = capfd.readouterr()
        assert manifest_path(2) in said.out + said.err
        assert "Put that file back from a copy, or delete it and run again" in said.out + said.err
        assert "version 1 can be read by its number" in said.out + said.err
    with pytest.raises(CorruptFileError, match="delete it and run again"):
        open_labels(uri)
    assert open_labels(uri, version=1).count_rows() == 300
    assert labelmill_command(["history", uri]) == 0
    table, _, advice = capfd.readouterr().out.rstrip().rpartition("\n")
    assert "manifest is damaged" in table
    assert advice.startswith("version 2: ")

    store.put(manifest_path(2), lost.to_bytes())
    assert labelmill_command(["run", str(job)]) == 0
    assert "nothing to do: version 2" in capfd.readouterr().out
    store.delete(manifest_path(2))
    assert labelmill_command(["run", str(job)]) == 0

    again = read_manifest(store)
    assert (again.version, again.parent) == (3, 1)
    assert again.files == lost.files
    assert again.run["shards_reused"] == 3
    assert (job.parent / "log").read_text() == calls
    assert verify_version(store) == []


def test_manifest_of_a_newer_labelmill_is_no_damage(make_job, capfd):
    job = make_job()
    run(job)
    store = Store.open(str(job.parent / "out"))
    text = store.get(manifest_path(1)).replace(b'"format_version":2', b'"format_version":99')
    store.put(manifest_path(1), text)

    assert labelmill_command(["run", str(job)]) == 1
    said = capfd.readouterr().err
    assert "Upgrade labelmill" in said
    assert "delete" not in said
