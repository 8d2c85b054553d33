"""Slices through whole jobs: counts, what an edit runs, the commands that show and use them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import jsonschema
import pytest
from message_job import message, write_messages

from labelmill import open_labels
from labelmill.manifestschema import manifest_schema
from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.cli import _main as labelmill_command

CHEAP = {"field": "price", "op": "<", "value": 10}
LUNCH = {"keywords": {"words": ["lunch"]}}
SLICES = {
    "cheap": CHEAP,
    "lunch": LUNCH,
    "dear lunch": {"all": {"of": [LUNCH, {"not": CHEAP}]}},
    "priceless": {"field": "price", "op": "is null"},
    "empty": {"regex": {"pattern": "zzz"}},
}


@pytest.fixture
def call(capfd):
    """Return a function that runs the command and gives exit code, document or text, and errors."""

    def run(*arguments: object):
        capfd.readouterr()
        code = labelmill_command([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return run


@pytest.fixture
def job(make_job):
    """A job of 300 messages, which all but every seventh have a price that no function reads."""
    path = make_job(slices=SLICES, lfs=LFS)
    for file in (path.parent / "data").iterdir():
        records = map(json.loads, file.read_text().splitlines())
        file.write_text("".join(json.dumps(with_price(record)) + "\n" for record in records))
    return path


LFS = [
    {"keywords": {"name": "money", "label": "spam", "words": ["cash", "prize"]}},
    {"keywords": {"name": "friendly", "label": "ham", "words": ["lunch", "hello"]}},
    {"regex": {"name": "free", "label": "spam", "pattern": "free|win"}},
]


def price(n: int) -> int | None:
    return n % 50 if n % 7 else None


def with_price(record):
    return {**record, "price": price(int(record["id"][1:]))}


def inside(name: str, n: int) -> bool:
    lunch, asked = "lunch" in message(n).split(), price(n)
    cheap = asked is not None and asked < 10
    return {
        "cheap": cheap,
        "lunch": lunch,
        "dear lunch": lunch and not cheap,
        "priceless": asked is None,
        "empty": False,
    }[name]


def manifest_of(job: Path, version: int | None = None):
    return read_manifest(Store.open(str(job.parent / "out")), version)


def paths(manifest, kind):
    return [file.path for file in manifest.files_of(kind)]


def test_run_counts_each_slice_as_its_records_are_labeled(job, call):
    code, out, err = call("run", job)

    assert code == 0, err
    manifest = manifest_of(job)
    rows = {row["id"]: row for row in open_labels(job.parent / "out").to_table().to_pylist()}
    for found in manifest.summary["slices"]:
        mine = [rows[f"m{n:05d}"] for n in range(300) if inside(found["name"], n)]
        covered = [row["label"] for row in mine if row["covered"]]
        assert found["records"] == len(mine)
        assert found["covered"] == len(covered)
        assert found["class_counts"] == [covered.count("ham"), covered.count("spam")]
        judged = [row for row in mine if row["gold"]]
        if not judged:
            assert found["gold"] is None
            continue
        right = sum(row["label"] == row["gold"] for row in judged)
        assert (found["gold"]["n"], found["gold"]["right"]) == (len(judged), right)
        assert found["gold"]["accuracy"] == right / len(judged)
    assert [one["name"] for one in manifest.summary["slices"]] == list(SLICES)
    assert "dear lunch |" in out
    assert "warning: slice 'empty' has no records" in out
    jsonschema.validate(json.loads(manifest.to_bytes()), json.loads(manifest_schema()))


def test_slices_change_no_vote_and_no_label(job, call):
    call("run", job)
    with_slices = manifest_of(job)
    call("run", job, "--set", "slices={}")
    without = manifest_of(job)

    for kind in ("votes", "labels", "patterns"):
        assert paths(without, kind) == paths(with_slices, kind)
    assert paths(with_slices, "slices")
    assert "slices" not in without.summary
    assert not paths(without, "slices")


def test_edited_slice_runs_no_function_and_gives_the_bytes_of_a_full_run(job, call):
    call("run", job)
    before = manifest_of(job)
    edit = ("--set", "slices.cheap.value=20")

    plan = call("plan", job, *edit, "--json")[1]
    assert [lf["name"] for lf in plan["lfs"] if lf["runs"]] == []
    assert call("run", job, *edit)[0] == 0
    after = manifest_of(job)
    assert (after.version, after.counts) == (2, before.counts)
    for kind in ("votes", "labels"):
        assert paths(after, kind) == paths(before, kind)
    assert not set(paths(after, "slices")) & set(paths(before, "slices"))
    assert after.summary["slices"][0]["records"] > before.summary["slices"][0]["records"]

    assert "nothing to do" in call("run", job, *edit)[1]
    call("run", job, *edit, "--full")
    full = manifest_of(job)
    assert (full.version, full.files, full.summary) == (3, after.files, after.summary)


def test_edited_function_takes_slices_from_the_store(job, call, monkeypatch):
    call("run", job)
    before = manifest_of(job)
    monkeypatch.setattr("labelmill.slicefiles.CorpusColumns", None)  # reads the corpus for slices

    code, _, err = call(
        "run", job, "--set", "lfs=" + json.dumps(LFS[:2]), "--accept", "label_shift"
    )

    assert code == 0, err
    after = manifest_of(job)
    assert paths(after, "slices") == paths(before, "slices")
    assert after.summary["slices"] != before.summary["slices"]


def test_damaged_slices_file_is_made_again(job, call):
    call("run", job)
    before = manifest_of(job)
    path = job.parent / "out" / paths(before, "slices")[0]
    path.write_bytes(path.read_bytes()[:-9])

    assert call("run", job, "--set", "name=other")[0] == 0

    assert manifest_of(job).files_of("slices") == before.files_of("slices")
    assert call("verify", job.parent / "out")[0] == 0


def test_new_shard_is_counted_and_the_others_are_kept(job, call):
    call("run", job)
    before = manifest_of(job)
    write_messages(job.parent / "data" / "9.jsonl", 300, 340)  # without a price

    assert call("run", job)[0] == 0

    after = manifest_of(job)
    assert set(paths(before, "slices")) < set(paths(after, "slices"))
    counts = {one["name"]: one["records"] for one in after.summary["slices"]}
    assert counts["priceless"] == sum(inside("priceless", n) for n in range(300)) + 40


def test_value_that_cannot_be_read_is_missing_and_costs_no_record(job, call):
    file = job.parent / "data" / "0.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    records[1]["price"] = "a lot"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))

    assert call("run", job, "--set", "input.types={price: int64}")[0] == 0

    manifest = manifest_of(job)
    assert (manifest.counts["rows"], manifest.counts["bad_records"]) == (300, 0)
    counts = {one["name"]: one["records"] for one in manifest.summary["slices"]}
    assert counts["priceless"] == sum(inside("priceless", n) for n in range(300)) + 1


@pytest.mark.parametrize(
    ("predicate", "problem"),
    [
        ({"field": "prize", "op": "<", "value": 3}, "has no column 'prize'"),
        ({"not": {"field": "prize", "op": "is null"}}, "(read by slice 'a')"),
        ({"keywords": {"words": ["x"], "field": "price"}}, "slices: slice 'a' matches text, but"),
        ({"field": "price", "op": "contains", "value": "x"}, "slices: compare 'a': column 'price'"),
    ],
)
def test_columns_that_a_predicate_cannot_read_are_told_before_anything_runs(
    job, call, predicate, problem
):
    code, _, err = call("run", job, "--set", "slices=" + json.dumps({"a": predicate}))
    assert code == 2
    assert problem in err
    assert len(err.splitlines()) == 1


def test_gate_refuses_what_is_not_covered_in_every_slice(job, call):
    gate = ("--set", "gates.min_slice_coverage=1", "--set", "gates.min_coverage=0")
    code, _, err = call("run", job, *gate)
    assert code == 3
    assert "slice_coverage" in err
    assert call("run", job, *gate, "--accept", "slice_coverage")[0] == 0
    assert [g["name"] for g in manifest_of(job).gates if g["accepted"]] == ["slice_coverage"]


def test_history_and_diff_tell_what_moved_in_which_slice(job, call):
    out = job.parent / "out"
    call("run", job)
    fewer = ("--set", "lfs=" + json.dumps(LFS[:2]), "--accept", "label_shift")
    call("run", job, *fewer)
    call("run", job, *fewer, "--set", "slices.cheap.value=20")

    text = call("history", out)[1]
    assert re.search(r"slice [\w ]+ moved: .*coverage [\d.]+% -> [\d.]+%", text)
    assert "slice cheap edited" in text
    shown = call("diff", out, 1, 2)[1]
    assert "label shift (bits)" in shown
    drift = call("diff", out, 1, 2, "--json")[1]["changes"]["slice_drift"]
    assert [one["name"] for one in drift] == list(SLICES)
    edited = call("diff", out, 2, 3, "--json")[1]["changes"]
    assert edited["slices"]["edited"] == ["cheap"]
    assert edited["settings"] == []
    assert [one["name"] for one in edited["slice_drift"]] == [n for n in SLICES if n != "cheap"]


def test_lfs_shows_the_slices_of_the_sample_as_a_run_counts_them(job, call):
    call("run", job)
    counted = manifest_of(job).summary["slices"]
    found = call("lfs", job, "--rows", 300, "--json")[1]["slices"]
    assert [(one["name"], one["records"], one["covered"]) for one in found] == [
        (one["name"], one["records"], one["covered"]) for one in counted
    ]
    assert "dear lunch |" in call("lfs", job)[1]


def test_export_takes_the_records_of_a_slice(job, call, tmp_path):
    out = job.parent / "out"
    call("run", job)
    code, _, err = call("export", out, tmp_path / "a.csv", "--slice", "dear lunch", "--uncovered")
    assert code == 0, err
    with (tmp_path / "a.csv").open() as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert ids
    assert sorted(ids) == [f"m{n:05d}" for n in range(300) if inside("dear lunch", n)]
    code, _, err = call("export", out, tmp_path / "b.csv", "--slice", "launch")
    assert code == 2
    assert "version 1 has no slice 'launch'; did you mean 'lunch'?" in err


def test_report_has_the_slices_beside_those_of_the_version_before(job, call, tmp_path):
    out, page = job.parent / "out", tmp_path / "page.html"
    hostile = json.dumps({"</td><script>x": LUNCH})
    call("run", job, "--set", f"slices={hostile}")
    fewer = "lfs=" + json.dumps(LFS[:2])
    call("run", job, "--set", fewer, "--set", f"slices={hostile}", "--accept", "label_shift")

    assert call("report", out, "--out", page)[0] == 0

    _, _, section = page.read_text().partition('<section id="slices"')
    section = section.partition("</section>")[0]
    (found,) = manifest_of(job).summary["slices"]
    assert "&lt;/td&gt;&lt;script&gt;x</bdi>" in section
    assert "covered before" in section
    assert f">{found['gold']['accuracy']:.1%} <small>" in section
    call("run", job, "--set", "slices={}", "--set", fewer)
    assert call("report", out, "--out", page)[0] == 0
    assert 'id="slices"' not in page.read_text()
