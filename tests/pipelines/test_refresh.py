"""Refreshes: what runs and why, what is kept, when the model is fitted, what stops a version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest
from pipelines.cli import _main as labelmill_command


@pytest.fixture
def call(capfd):
    """Return a function that runs the command and gives exit code, document or text, and errors."""

    def run(*arguments: object):
        capfd.readouterr()
        code = labelmill_command([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return run


def store_of(job: Path) -> Store:
    return Store.open(str(job.parent / "out"))


def edit(job: Path, old: str, new: str, name: str = "lfs.py") -> None:
    path = job.parent / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def add_shard(job: Path, text: str = "cash", rows: int = 1) -> None:
    lines = [json.dumps({"id": f"new{n}", "text": text, "gold": None}) for n in range(rows)]
    (job.parent / "data" / "9.jsonl").write_text("\n".join(lines))


def running(document):
    """Return which functions run why, and on how many shards how many of them."""
    why = {lf["name"]: lf["change"] for lf in document["lfs"] if lf["runs"]}
    return why, [(shard["file"], shard["functions_to_run"]) for shard in document["shards"]]


def test_plan_names_the_edited_function_and_why_it_runs(make_job, call):
    job = make_job()
    call("run", job)
    edit(job, '["cash", "prize"]', '["cash", "prize", "gold"]')

    why, shards = running(call("plan", job, "--json")[1])

    assert why == {"money": "edited"}
    assert shards == [("unchanged", 1)] * 3
    out = call("plan", job)[1]
    assert "functions edited: money" in out
    assert "to vote on: 3 shards of unchanged files (300 records) with 1 of 5 functions" in out


def test_plan_tells_new_changed_and_removed_files_and_functions(make_job, call):
    job = make_job()
    call("run", job)
    add_shard(job)
    edit(job, "m00000", "x00000", "data/0.jsonl")
    (job.parent / "data" / "1.jsonl").unlink()
    edit(job, 'win = regex("win"', 'won = regex("won"')

    document = call("plan", job, "--json")[1]

    why, shards = running(document)
    assert shards == [("changed", 5), ("unchanged", 1), ("new", 5)]
    assert why["won"] == "new"
    assert document["removed_files"] == ["1.jsonl"]
    assert document["removed_lfs"] == ["win"]


def test_removed_function_runs_nothing(make_job, call):
    job = make_job()
    call("run", job)
    edit(job, 'win = regex("win", label="spam", pattern=r"\\bwin\\b")\n', "")

    assert running(call("plan", job, "--json")[1]) == ({}, [("unchanged", 0)] * 3)
    assert call("run", job)[0] == 0
    assert [lf["name"] for lf in read_manifest(store_of(job)).lfs] == [
        "money",
        "friendly",
        "short",
        "free",
    ]


def test_nothing_changed_takes_one_listing_and_reads_no_data(make_job, call, monkeypatch):
    job = make_job()
    call("run", job)
    listings, read = [], []
    list_store, get = Store.list, Store.get
    monkeypatch.setattr(Store, "list", lambda s, p="": listings.append(p) or list_store(s, p))
    monkeypatch.setattr(Store, "get", lambda s, p: read.append(p) or get(s, p))
    monkeypatch.setattr("labelmill.corpus.open_stream", None)

    assert "nothing to do" in call("run", job)[1]
    assert listings == [""]
    assert read == ["_labelmill/versions/00000001.json"]


def test_refused_run_is_resumed_with_the_functions_that_were_edited_since(make_job, call):
    job = make_job(gates={"min_coverage": 1.0})
    assert call("run", job)[0] == 3
    assert list_versions(store_of(job)) == []
    assert running(call("plan", job, "--json")[1]) == ({}, [("new", 0)] * 3)
    edit(job, '["cash", "prize"]', '["cash", "prize", "gold"]')

    why, shards = running(call("plan", job, "--json")[1])

    assert (list(why), shards) == (["money"], [("new", 1)] * 3)


def test_times_of_functions_that_did_not_run_are_those_last_measured(make_job, call):
    job = make_job()
    call("run", job)
    before = read_manifest(store_of(job)).run
    edit(job, '["cash", "prize"]', '["cash", "prize", "gold"]')
    call("run", job)
    after = read_manifest(store_of(job)).run
    assert after["lf_times"][1:] == before["lf_times"][1:]
    assert after["lf_seconds"][1:] == before["lf_seconds"][1:]
    assert after["lf_seconds"][0] != before["lf_seconds"][0]


def versions_after(job, call, change):
    call("run", job)
    change()
    code, _, err = call("run", job)
    assert code == 0, err
    store = store_of(job)
    return read_manifest(store, 1), read_manifest(store, 2)


def labels_of(manifest):
    return {file.shard: file.path for file in manifest.files_of("labels")}


@pytest.mark.parametrize("refit", ["never", "on_drift"])
def test_kept_model_keeps_the_labels_of_unchanged_shards(make_job, call, refit):
    job = make_job(model={"refit": refit})
    before, after = versions_after(job, call, lambda: add_shard(job))
    assert after.model_digest == before.model_digest
    assert labels_of(before).items() < labels_of(after).items()
    assert after.summary["model"]["kept"] is True


def test_model_is_always_fitted_by_default(make_job, call):
    job = make_job()
    before, after = versions_after(job, call, lambda: add_shard(job))
    assert after.model_digest != before.model_digest


def test_edited_function_is_drift_whatever_it_votes(make_job, call):
    job = make_job(model={"refit": "on_drift"})
    before, after = versions_after(job, call, lambda: edit(job, '"cash", ', '"cash", "gold", '))
    assert after.summary["model"]["kept"] is False
    assert before.summary["model"]["fitted_on"] != after.summary["model"]["fitted_on"]


def test_drift_adds_up_from_the_version_that_the_model_was_fitted_on(make_job, call):
    job = make_job(model={"refit": "on_drift"}, gates={"max_vote_shift": 1.0, "max_label_shift": 1})
    kept = []
    for rows in (1, 20, 4000):
        call("run", job)
        add_shard(job, "hello", rows)
        code, _, err = call("run", job)
        assert code == 0, err
        kept.append(read_manifest(store_of(job)).summary["model"]["kept"])
    assert kept == [True, True, False]


def test_never_fits_again_where_the_model_cannot_serve(make_job, call):
    job = make_job(model={"refit": "never"})
    _, after = versions_after(job, call, lambda: edit(job, 'regex("win"', 'regex("won"'))
    assert after.summary["model"]["kept"] is False
    call("run", job, "--full")
    assert read_manifest(store_of(job)).summary["model"]["kept"] is False


def test_gone_model_is_fitted_again(make_job, call):
    job = make_job(model={"refit": "never"})
    before, after = versions_after(
        job, call, lambda: [p.unlink() for p in (job.parent / "out" / "models").iterdir()]
    )
    assert after.summary["model"]["kept"] is False
    assert after.model_digest == before.model_digest


def test_function_that_falls_silent_stops_until_it_is_accepted(make_job, call):
    job = make_job(gates={"max_label_shift": 1.0, "max_coverage_loss": 1.0}, gold=None)
    call("run", job)
    for file in (job.parent / "data").iterdir():
        text = file.read_text()
        for word in ("lunch", "meeting", "hello"):
            text = text.replace(word, "nothing")
        file.write_text(text)

    code, _, err = call("run", job)

    store = store_of(job)
    assert (code, list_versions(store)) == (3, [1])
    assert "'friendly' votes on, which was not edited" in err
    ends = [json.loads(store.get(path))["status"] for path in store.list("_labelmill/runs")]
    assert sorted(ends) == ["published", "refused"]
    assert call("run", job, "--accept", "vote_shift")[0] == 0
    gates = {gate["name"]: gate for gate in read_manifest(store).gates}
    assert gates["vote_shift"]["accepted"] is True
