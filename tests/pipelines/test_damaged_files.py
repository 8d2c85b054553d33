"""Stored files whose bits flip or whose end is lost: found, named, and made again."""

from __future__ import annotations

import pytest

from labelmill.jobfile import load_job
from labelmill.store import Store
from labelmill.versions import read_manifest, verify_version
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
