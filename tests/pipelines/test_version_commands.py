"""Commands about versions, on a data set that real runs made: edits, a new cut, a renamed class."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from message_job import message, write_job

import labelmill
from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest, verify_version
from labelmill.votes import lf_table
from pipelines.cli import _main as labelmill_command

CASH = next(f"m{n:05d}" for n in range(300) if "cash" in message(n))
"""A record on which `money` votes in every version."""

HOSTILE = ["=1+1", "<script>", "\x1b[31mred", 'a,"b\n', "ünï [bold]", "' or 1=1", "-3"]


def run(job: Path, *flags: str) -> None:
    assert labelmill_command(["run", str(job), *flags]) == 0


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Publish four versions: the first, edited functions, a corpus cut anew, a renamed class."""
    changes = {"gates": {"max_label_shift": 1}, "lfs": ["lfs.py", {"keywords": {
        "name": "hi", "label": "ham", "words": ["hi"]}}]}  # fmt: skip
    job = write_job(tmp_path_factory.mktemp("versions"), **changes)
    data = job.parent / "data"
    with (data / "h.jsonl").open("w") as file:
        for name in HOSTILE:
            file.write(json.dumps({"id": name, "text": "=cash [red] win", "gold": None}) + "\n")
    run(job)
    edit(job.parent / "lfs.py", '["cash", "prize"]', '["cash"]')
    edit(job.parent / "helpers.py", "LIMIT = 8", "LIMIT = 12")
    run(job, "--accept", "label_shift", "--set", "gates.max_label_shift=0")
    first, second, third = (data / f"{n}.jsonl" for n in range(3))
    (data / "all.jsonl").write_text(first.read_text() + second.read_text())
    first.unlink()
    second.unlink()
    third.write_text("".join(third.read_text().splitlines(keepends=True)[10:]))
    edit(job.parent / "lfs.py", r"\bwin\b", "win")
    run(job)
    for path in (job, job.parent / "lfs.py"):
        path.write_text(path.read_text().replace("spam", "junk"))
    run(job, "--set", "gold=null", "--set", "model.random_state=1")
    return job


@pytest.fixture
def uri(job):
    return str(job.parent / "out")


@pytest.fixture
def call(capfd):
    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = labelmill_command([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def document(call):
    def document(*arguments: object):
        code, out, err = call(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return document


def labels_of(uri: str, version: int) -> dict[str, tuple[str | None, float]]:
    rows = labelmill.open_labels(uri, version).to_table().to_pylist()
    return {r["id"]: (r["label"] if r["covered"] else None, r["confidence"]) for r in rows}


def votes_of(uri: str, version: int) -> dict[str, dict[str, str]]:
    votes = {}
    for file in read_manifest(Store.open(uri), version).files_of("votes"):
        table = pq.read_table(Path(uri) / file.path)
        names = lf_table(table.schema)
        for row in table.to_pylist():
            pairs = zip(row["lfs"], row["labels"], strict=True)
            votes[row["id"]] = {names.names[f]: names.class_names[c] for f, c in pairs}
    return votes


# --- history ---


def test_history_says_what_each_version_changed(document, uri):
    first, second, third, fourth = document("history", uri)["versions"]

    assert first["changes"] is None
    assert first["rows"] == 307
    assert sum(first["class_counts"].values()) == first["covered"]
    assert set(second["changes"]["functions"]["edited"]) == {"money", "short"}
    assert second["accepted"] == ["label_shift"]
    assert second["changes"]["settings"] == ["gates"]
    assert third["changes"]["functions"]["edited"] == ["win"]
    shards = third["changes"]["shards"]
    assert [len(shards[key]) for key in ("added", "removed", "edited")] == [1, 2, 0] or shards
    assert fourth["changes"]["classes"] == {"added": ["junk"], "removed": ["spam"], "edited": []}
    assert fourth["changes"]["settings"] == ["gold", "model"]
    assert all(version["run_id"] and version["started"] for version in (first, fourth))


def test_history_shows_the_last_versions_with_their_changes(call, uri):
    code, out, _ = call("history", uri, "--last", 2)

    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[2:]] == ["3", "4"]
    assert "function win edited" in lines[2]
    assert "class junk added; class spam removed" in lines[3]


def test_history_goes_on_beside_a_damaged_manifest(document, uri):
    path = Path(uri) / "_labelmill/versions/00000002.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"rows":307', b'"rows":308', 1))
    try:
        versions = document("history", uri)["versions"]
    finally:
        path.write_bytes(whole)

    assert "content digest" in versions[1]["damaged"]
    assert versions[2]["changes"] is None
    assert versions[3]["changes"] is not None


# --- diff ---


@pytest.mark.parametrize("pair", [(1, 2), (2, 3), (1, 3), (3, 1), (1, 4), (4, 2), (3, 3)])
def test_diff_counts_what_a_comparison_record_by_record_counts(document, uri, pair):
    old, new = (labels_of(uri, version) for version in pair)
    old_votes, new_votes = (votes_of(uri, version) for version in pair)
    moved, because, alone, changed = Counter(), Counter(), Counter(), Counter()
    for name in old.keys() & new.keys():
        before, after = old_votes[name], new_votes[name]
        differing = [f for f in before.keys() | after.keys() if before.get(f) != after.get(f)]
        changed.update(
            (f, "gained" if f not in before else "lost" if f not in after else "moved")
            for f in differing
        )
        key = old[name][0], new[name][0]
        if key[0] != key[1]:
            moved[key] += 1
            because.update((*key, function) for function in differing)
            alone[key] += not differing

    found = document("diff", uri, *pair)

    assert found["rows_common"] == len(old.keys() & new.keys())
    assert (found["rows_before"], found["rows_after"]) == (len(old), len(new))
    assert found["moved"] == moved.total()
    pairs = {(p["before"], p["after"]): p for p in found["pairs"]}
    assert {key: p["records"] for key, p in pairs.items()} == moved
    assert {(*k, f): n for k, p in pairs.items() for f, n in p["functions"].items()} == because
    assert {key: p["model_alone"] for key, p in pairs.items() if p["model_alone"]} == +alone
    votes = {(f, kind): n for f, kinds in found["votes"].items() for kind, n in kinds.items() if n}
    assert votes == changed
    for p in found["pairs"]:
        assert len(p["examples"]) == min(3, p["records"])
        for example in p["examples"]:
            name = example["id"]
            assert old[name] == (example["before"], example["confidence_before"])
            assert new[name] == (example["after"], example["confidence_after"])
            for vote in example["votes"]:
                assert old_votes[name].get(vote["function"]) == vote["before"]
                assert new_votes[name].get(vote["function"]) == vote["after"]


def test_diff_without_versions_compares_the_last_two(document, uri):
    assert document("diff", uri) == document("diff", uri, 3, 4)
    assert document("diff", uri, 3) == document("diff", uri, 3, 4)


def test_diff_tells_that_a_class_looks_renamed_and_counts_it_as_the_same_when_told(
    call, document, uri
):
    code, out, _ = call("diff", uri, 3, 4)
    assert code == 0
    assert "spam looks renamed to junk" in out

    told = document("diff", uri, 3, 4, "--renamed", "spam=junk")

    assert (told["moved"], told["votes"]) == (0, {})


def test_diff_of_two_data_sets(document, call, job, uri, tmp_path):
    other = tmp_path / "other"
    call("run", job, "--set", f"output.uri={other}", "--set", "gold=null",
         "--set", "model.random_state=1")  # fmt: skip

    found = document("diff", uri, other)

    assert found["rows_common"] == found["rows_after"] == 297
    assert found["moved"] == 0


def test_diff_shows_hostile_ids_harmlessly(call, uri):
    _, out, _ = call("diff", uri, 3, 4, "--examples", 300)

    assert "\x1b" not in out
    assert r"\x1b[31mred" in out
    assert "ünï [bold]" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["1", "2", "3"], 2, "diff takes URI A B"),
        (["1", "x"], 2, "diff takes URI A B"),
        (["1", "99"], 1, "has no version 99"),
        (["3", "4", "--renamed", "spam"], 2, "expected OLD=NEW"),
        (["3", "4", "--renamed", "spm=junk"], 2, "did you mean 'spam'"),
    ],
)
def test_diff_refuses_what_it_does_not_understand(call, uri, arguments, code, message):
    assert call("diff", uri, *arguments)[0] == code
    assert message in call("diff", uri, *arguments)[2]


def test_diff_names_a_damaged_file(call, uri):
    file = read_manifest(Store.open(uri), 2).files_of("votes")[0]
    path = Path(uri) / file.path
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    try:
        code, _, err = call("diff", uri, 1, 2)
    finally:
        path.write_bytes(whole)

    assert code == 1
    assert file.path in err


# --- explain ---


def test_contributions_of_every_record_add_up_to_the_published_probability(uri):
    from pipelines.explaining import explain

    rows = labelmill.open_labels(uri, 2).to_table().to_pylist()
    votes = votes_of(uri, 2)
    for row in rows[::20]:
        (record,) = explain(Store.open(uri), row["id"], 2).records
        parts = [record.prior, record.abstain, record.adjustment]
        parts += [vote.terms for vote in record.votes]
        total = np.sum([list(part.values()) for part in parts], axis=0)
        posterior = np.exp(total) / np.exp(total).sum()
        assert posterior == pytest.approx(list(record.posterior.values()), abs=1e-12)
        assert posterior.astype(np.float32) == pytest.approx(row["probs"], abs=1e-7)
        assert {vote.function: vote.label for vote in record.votes} == votes[row["id"]]


@pytest.mark.parametrize("record_id", HOSTILE)
def test_explain_finds_hostile_ids_and_shows_them_harmlessly(call, uri, record_id):
    code, out, err = call("explain", uri, "--", record_id)

    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "win = regex(" in out


def test_explain_leads_to_the_record_in_the_corpus_and_to_the_source(document, job, uri):
    found = document("explain", uri, CASH)
    (record,) = found["records"]

    lineage = record["lineage"]
    assert lineage["file"] == str(job.parent / "data" / "all.jsonl")
    part = Path(lineage["file"]).read_bytes()[lineage["start"] : lineage["stop"]]
    assert json.loads(part.splitlines()[lineage["row"]])["id"] == CASH
    assert found["model_digest"] == read_manifest(Store.open(uri)).model_digest
    source = next(v["source"] for v in record["votes"] if v["function"] == "money")
    assert source["text"] == 'money = keywords("money", label="junk", words=["cash"])'
    assert (Path(uri) / found["code"]).exists()


def test_explain_shows_the_source_that_a_version_had(document, uri):
    texts = [
        vote["source"]["text"]
        for version in (1, 2)
        for vote in document("explain", uri, CASH, "--version", version)["records"][0]["votes"]
        if vote["function"] == "money"
    ]
    assert ['"prize"' in text for text in texts] == [True, False]


def test_explain_says_that_there_is_no_such_record(call, uri):
    code, _, err = call("explain", uri, "m99999")

    assert code == 1
    assert f"version 4 of {uri} has no record with id 'm99999'" in err


# --- verify ---


def test_verify_names_every_damaged_file(call, document, uri):
    assert document("verify", uri)["problems"] == []
    files = read_manifest(Store.open(uri), 1).files
    chosen = {kind: next(f for f in files if f.kind == kind) for kind in {f.kind for f in files}}
    assert set(chosen) == {"votes", "patterns", "ids", "labels", "model", "code"}
    before = {path: path.read_bytes() for path in (Path(uri) / f.path for f in chosen.values())}
    for path, whole in before.items():
        path.write_bytes(whole[:-1])
    try:
        code, out, err = call("verify", uri, "--version", 1)
    finally:
        for path, whole in before.items():
            path.write_bytes(whole)

    assert code == 1
    assert all(file.path in out for file in chosen.values())
    assert "has 6 problems" in err


def test_commands_about_no_data_set_say_so(call, tmp_path):
    for command in (["history"], ["diff"], ["verify"], ["gc", "--keep", 1]):
        code, _, err = call(*command, tmp_path)
        assert code in (1, 2)
        assert "no published version" in err


# --- export ---


def test_export_takes_covered_records_as_they_were_published(call, document, uri, tmp_path):
    target = tmp_path / "labels.parquet"
    exported = document("export", uri, target)

    rows = pq.read_table(target).to_pylist()
    expected = {k: v for k, v in labels_of(uri, 4).items() if v[0] is not None}
    assert {row["id"]: (row["label"], row["confidence"]) for row in rows} == expected
    assert exported["files"] == {str(target): len(rows)}
    assert list(tmp_path.iterdir()) == [target]


def test_export_of_all_records_with_probabilities(document, uri, tmp_path):
    target = tmp_path / "labels.jsonl"
    document("export", uri, target, "--labels", "soft", "--uncovered")

    rows = {row["id"]: row for row in map(json.loads, target.read_text().splitlines())}
    published = labelmill.open_labels(uri).to_table().to_pylist()
    assert len(rows) == len(published)
    for row in published:
        probs = rows[row["id"]]["probs"]
        assert list(probs) == ["ham", "junk"]
        assert list(probs.values()) == pytest.approx(row["probs"])


def test_export_splits_are_disjoint_stay_with_their_group_and_do_not_change(
    document, uri, tmp_path
):
    for version in (3, 4):
        document(
            "export", uri, tmp_path / f"{version}.csv", "--version", version, "--uncovered",
            "--split", "train=.4,test=.3", "--group", "text", "--column", "text",
        )  # fmt: skip

    def read(name: str) -> dict[str, str]:
        with (tmp_path / name).open(newline="") as file:
            return {row["id"]: row["text"] for row in csv.DictReader(file)}

    train, test = read("4-train.csv"), read("4-test.csv")
    assert min(len(train), len(test)) > 0
    assert not train.keys() & test.keys()
    assert not set(train.values()) & set(test.values())
    assert len(train) + len(test) < 297
    assert not read("3-train.csv").keys() & test.keys()


def test_export_balances_classes_and_leaves_unsure_records_out(document, uri, tmp_path):
    target = tmp_path / "labels.parquet"
    every = document("export", uri, target, "--min-confidence", 0.6, "--version", 1)["class_counts"]

    found = document("export", uri, target, "--min-confidence", 0.6, "--balance", "--version", 1)[
        "class_counts"
    ]

    assert min(pq.read_table(target).column("confidence").to_pylist()) >= np.float32(0.6)
    assert min(found.values()) == min(every.values())
    assert max(found.values()) <= 1.5 * min(found.values())


def test_export_makes_formulas_inert_in_csv_and_keeps_numbers(document, uri, tmp_path):
    target = tmp_path / "labels.csv"
    document("export", uri, target, "--column", "text")

    with target.open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["'=1+1"]["text"] == "'=cash [red] win"
    assert {"-3", "<script>", 'a,"b\n', "\x1b[31mred"} <= rows.keys()


def test_export_as_tfrecord_holds_an_example_of_each_record(document, uri, tmp_path):
    from tfrecord import reader  # the development extra has it

    target = tmp_path / "labels.tfrecord"
    document("export", uri, target, "--labels", "soft", "--column", "text")

    expected = {row["id"]: row for row in labelmill.open_labels(uri).to_table().to_pylist()}
    found = list(reader.tfrecord_loader(str(target), None))
    assert len(found) == sum(row["covered"] for row in expected.values())
    for example in found:
        row = expected[bytes(example["id"]).decode()]
        assert bytes(example["label"]).decode() == row["label"]
        assert example["probs"].tolist() == row["probs"]
        assert len(example["text"]) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["x.txt"], 2, "its suffix is none of parquet, jsonl, csv, tfrecord"),
        (["x.csv", "--column", "nope"], 2, "has no column 'nope'"),
        (["x.csv", "--split", "train=.8,test=.3"], 2, "add up to 1.1"),
        (["x.csv", "--split", "train"], 2, "expected NAME=SHARE"),
        (["x.csv", "--split", "../x=.5"], 2, "expected NAME=SHARE"),
        (["x.csv", "--group", "text"], 2, "group 'text' is for splits"),
        (["x.csv", "--version", "77"], 1, "has no version 77"),
        (["nothing://x.csv"], 1, "cannot write nothing://x.csv"),
    ],
)
def test_export_refuses_what_it_cannot_do_and_writes_nothing(
    call, uri, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)

    found, _, err = call("export", uri, *arguments)

    assert (found, message in err) == (code, True), err
    assert list(tmp_path.iterdir()) == []


def test_export_with_columns_of_a_corpus_that_changed_is_refused(call, uri, tmp_path):
    code, _, err = call("export", uri, tmp_path / "x.csv", "--version", 1, "--column", "text")

    assert code == 1
    assert "changed since it was planned" in err
    assert list(tmp_path.iterdir()) == []


# --- gc, last: it takes versions away ---


def test_gc_leaves_exactly_the_kept_versions(call, document, uri):
    store = Store.open(uri)
    store.put("prompts/ab/answer.json", b"paid for")
    store.put("notes.txt", b"not ours")
    every = store.list()

    planned = document("gc", uri, "--keep", 2, "--min-age", 0, "--dry-run")
    assert store.list() == every
    young = document("gc", uri, "--keep", 4)
    assert (young["versions"], young["files"]) == ([], 0)
    done = document("gc", uri, "--keep", 2, "--min-age", 0)

    assert {**done, "dry_run": True} == planned
    assert (done["versions"], done["kept"]) == ([1, 2], [3, 4])
    assert list_versions(store) == [3, 4]
    assert verify_version(store, 3) == verify_version(store, 4) == []
    left = {path for path in store.list() if not path.startswith("_labelmill/")}
    named = {file.path for n in (3, 4) for file in read_manifest(store, n).files}
    assert left == named | {"prompts/ab/answer.json", "notes.txt"}
    assert done["bytes"] == sum(folder["bytes"] for folder in done["folders"].values()) > 0
    assert len(store.list("_labelmill/runs")) == 2
    assert call("gc", uri, "--keep", 0)[0] == 2
