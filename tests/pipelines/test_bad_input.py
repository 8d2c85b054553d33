"""What bad input gets: the rows of the design's table that a run can meet, message and code."""

from __future__ import annotations

import gzip
import json
import os
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest
from pipelines.cli import _main as labelmill_command


def fails(capfd: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """Run the command, check its exit code and that no traceback shows, return stderr."""
    capfd.readouterr()
    assert labelmill_command([str(a) for a in arguments]) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    return err


def rewrite(job: Path, **changes: object) -> None:
    document = json.loads(job.read_text())
    document.update(changes)
    job.write_text(json.dumps(document, indent=1))


def test_unknown_key_is_named_with_its_line_and_the_nearest_key(make_job, capfd):
    job = make_job()
    rewrite(job, input={"uri": "data/*.jsonl", "idd": "id"})

    err = fails(capfd, 2, "run", job)

    assert "job.yaml:5: unknown key 'idd'; did you mean 'id'?" in err


def test_missing_job_file(tmp_path, capfd):
    assert "no such job file" in fails(capfd, 2, "run", tmp_path / "none.yaml")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_unknown_flag_is_an_error_with_a_suggestion(make_job, capfd, command):
    err = fails(capfd, 2, command, make_job(), "--direct_num_worker=2")

    assert "unknown option --direct_num_worker=2; did you mean --direct_num_workers?" in err


def test_unknown_gate_lists_the_gates(make_job, capfd):
    err = fails(capfd, 2, "run", make_job(), "--accept", "coverag")

    assert "no such gate; gates: bad_records, duplicate_ids, coverage" in err


def test_glob_that_matches_nothing(make_job, capfd):
    job = make_job(input={"uri": "nothing/*.jsonl"})

    assert "matches no files" in fails(capfd, 2, "run", job)


def test_empty_corpus(make_job, capfd):
    job = make_job()
    for path in (job.parent / "data").glob("*"):
        path.write_text("")

    err = fails(capfd, 2, "run", job)

    assert "no records" in err or "empty" in err


def test_missing_column_names_file_column_and_reader(make_job, capfd):
    job = make_job()
    lfs = job.parent / "lfs.py"
    lfs.write_text(lfs.read_text().replace("is_short(x.text)", "is_short(x.txt)"))

    err = fails(capfd, 2, "run", job)

    assert "no column 'txt'" in err
    assert "did you mean 'text'" in err
    assert "read by short" in err


def test_files_that_do_not_fit_together(tmp_path, make_job, capfd):
    job = make_job(input={"uri": "parquet/*.parquet", "id": "id"}, gold=None)
    folder = job.parent / "parquet"
    folder.mkdir()
    pq.write_table(pa.table({"id": ["a"], "text": ["x"]}), folder / "a.parquet")
    pq.write_table(pa.table({"id": ["b"], "text": [1]}), folder / "b.parquet")

    err = fails(capfd, 2, "run", job)

    assert "text" in err
    assert "b.parquet" in err
    assert "int64" in err
    assert "string" in err


def test_matcher_on_a_column_that_is_no_text(make_job, capfd):
    job = make_job(input={"uri": "parquet", "id": "id"}, gold=None)
    (job.parent / "parquet").mkdir()
    pq.write_table(pa.table({"id": ["a"], "text": [1]}), job.parent / "parquet" / "a.parquet")

    err = fails(capfd, 2, "run", job)

    assert "labeling function 'money' matches text, but column 'text' is int64" in err


def test_malformed_lines_within_the_limit_are_dead_letters(make_job, capfd):
    job = make_job(gates={"max_bad_records": 0.05})
    with (job.parent / "data" / "1.jsonl").open("ab") as file:
        file.write(b'{"id": "x", "text": \n')
        file.write(b'{"id": "y", "text": "caf\xe9"}\n')
        file.write(b"[1, 2]\n")

    assert labelmill_command(["run", str(job)]) == 0

    manifest = read_manifest(Store.open(str(job.parent / "out")))
    assert manifest.counts["bad_records"] == 3
    assert manifest.counts["rows"] == 300
    (faults,) = manifest.files_of("faults")
    letters = pq.read_table(str(job.parent / "out" / faults.path)).to_pylist()
    assert [row["line"] for row in letters] == [101, 102, 103]
    assert all(row["outcome"] == "bad_record" and row["message"] for row in letters)
    assert all(row["file"].endswith("1.jsonl") for row in letters)


def test_too_many_malformed_lines_publish_nothing(make_job, capfd):
    job = make_job()
    with (job.parent / "data" / "1.jsonl").open("a") as file:
        file.write("no json\n" * 10)

    err = fails(capfd, 3, "run", job)

    assert "gate bad_records: 10 of 310 records could not be read (3.23%)" in err
    assert "nothing was published" in err
    assert list_versions(Store.open(str(job.parent / "out"))) == []


def test_refused_refresh_keeps_the_last_good_version(make_job, capfd):
    job = make_job()
    assert labelmill_command(["run", str(job)]) == 0
    for name in ("0.jsonl", "1.jsonl"):
        (job.parent / "data" / name).unlink()

    err = fails(capfd, 3, "run", job)

    store = Store.open(str(job.parent / "out"))
    assert "gate row_loss: 100 records, 66.7% fewer than the 300 of version 1" in err
    assert list_versions(store) == [1]
    assert labelmill_command(["run", str(job), "--accept", "row_loss"]) == 0
    manifest = read_manifest(store)
    assert manifest.version == 2
    assert [g["name"] for g in manifest.gates if g["accepted"]] == ["row_loss"]


def test_null_text_abstains_for_matchers_and_is_none_for_python(make_job, capfd):
    job = make_job(gold=None)
    (job.parent / "lfs.py").write_text(
        "from labelmill import labeling_function, keywords\n"
        "money = keywords('money', label='spam', words=['cash'])\n"
        "@labeling_function()\n"
        "def none(x):\n"
        "    return 'ham' if x.text is None else None\n"
    )
    with (job.parent / "data" / "2.jsonl").open("a") as file:
        file.write('{"id": "n", "text": null}\n{"id": "n2"}\n')

    assert labelmill_command(["run", str(job)]) == 0

    counts = read_manifest(Store.open(str(job.parent / "out"))).counts
    assert counts["votes"][1] == 2
    assert counts["faults"] == [0, 0]


@pytest.mark.parametrize(("mode", "code"), [("warn", 0), ("error", 3), ("ignore", 0)])
def test_duplicate_ids_within_and_across_shards(make_job, capfd, mode, code):
    job = make_job(input={"uri": "data/*.jsonl", "id": "id", "on_duplicate_id": mode})
    for name in ("1.jsonl", "2.jsonl"):
        with (job.parent / "data" / name).open("a") as file:
            file.write('{"id": "m00000", "text": "hello"}\n' * 2)
    capfd.readouterr()

    assert labelmill_command(["run", str(job)]) == code

    out, err = capfd.readouterr()
    if mode == "error":
        assert "4 ids occur more than once in column 'id'" in err
    elif mode == "warn":
        assert "4 repeated ids in column 'id'" in out
    else:
        assert "repeated ids" not in out


def test_function_file_that_does_not_import_names_file_and_line(make_job, capfd):
    job = make_job()
    (job.parent / "lfs.py").write_text("import math\n\nx = math.nothing\n")

    err = fails(capfd, 2, "run", job)

    assert "lfs.py:3: importing module 'lfs' failed: AttributeError" in err


def test_function_file_that_does_not_parse_names_file_and_line(make_job, capfd):
    job = make_job()
    (job.parent / "lfs.py").write_text("x = 1\ndef broken(:\n")

    assert "lfs.py:2: " in fails(capfd, 2, "run", job)


def test_no_functions_one_class_and_unknown_class(make_job, capfd):
    job = make_job()
    (job.parent / "lfs.py").write_text("x = 1\n")
    assert "lfs.py: no labeling functions" in fails(capfd, 2, "run", job)

    rewrite(job, labels=["ham"])
    assert "labels" in fails(capfd, 2, "run", job)

    rewrite(job, labels=["ham", "spam"])
    (job.parent / "lfs.py").write_text(
        "from labelmill import keywords\nx = keywords('x', label='spma', words=['a'])\n"
    )
    err = fails(capfd, 2, "run", job)
    assert "'x' votes for 'spma', which is not a class of this job (ham, spam)" in err
    assert "did you mean 'spam'?" in err


def test_duplicate_function_name(make_job, capfd):
    job = make_job(lfs=["lfs.py", {"keywords": {"name": "money", "label": "spam", "words": ["x"]}}])

    assert "name 'money' is used 2 times" in fails(capfd, 2, "run", job)


def test_gold_value_that_is_no_class(make_job, capfd):
    job = make_job(labels=["spam", "other"])
    (job.parent / "lfs.py").write_text(
        "from labelmill import keywords\nx = keywords('x', label='spam', words=['cash'])\n"
    )

    err = fails(capfd, 2, "run", job)

    assert "column 'gold'" in err
    assert "holds 'ham', which is not a class of this job (spam, other)" in err


@pytest.mark.parametrize(
    ("source", "warning"),
    [
        (
            "x = keywords('x', label='spam', words=['zzz'])",
            "no labeling function voted: every record gets the class balance",
        ),
        ("x = keywords('x', label='spam', words=['cash'])", "one"),
    ],
)
def test_weak_function_sets_run_and_the_summary_warns(make_job, capfd, source, warning):
    job = make_job(gold=None)
    (job.parent / "lfs.py").write_text(f"from labelmill import keywords\n{source}\n")
    capfd.readouterr()

    assert labelmill_command(["run", str(job)]) == 0

    out, _ = capfd.readouterr()
    assert "warning:" in out
    assert warning in out
    assert "1.000-1.000" not in out


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
@pytest.mark.parametrize("kind", ["votes", "patterns", "labels", "ids"])
def test_damaged_stored_file_is_computed_again(make_job, capfd, kind, damage):
    job = make_job()
    assert labelmill_command(["run", str(job)]) == 0
    store = Store.open(str(job.parent / "out"))
    before = read_manifest(store)
    path = job.parent / "out" / before.files_of(kind)[0].path
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 3] ^= 0x10
        path.write_bytes(data)
    else:
        path.unlink()
    (job.parent / "data" / "3.jsonl").write_text('{"id": "n", "text": "cash"}\n')
    expected = {f.path: f.sha256 for f in before.files if f.kind in ("votes", "patterns", "ids")}

    assert labelmill_command(["run", str(job)]) == 0

    after = read_manifest(store)
    found = {f.path: f.sha256 for f in after.files}
    assert {p: found[p] for p in expected} == expected
    for file in after.files:
        store.verify(file.stored_file)


def test_truncated_parquet_and_gzip_files_are_named(make_job, capfd):
    job = make_job(input={"uri": "more/*"}, gold=None)
    folder = job.parent / "more"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["x"] * 1000}), folder / "a.parquet")
    data = (folder / "a.parquet").read_bytes()
    (folder / "a.parquet").write_bytes(data[: len(data) // 2])
    assert "a.parquet" in fails(capfd, 2, "run", job)

    (folder / "a.parquet").unlink()
    packed = gzip.compress(b'{"text": "cash"}\n' * 100_000)
    (folder / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    err = fails(capfd, 2, "run", job)
    assert "b.jsonl.gz cannot be read: Truncated compressed stream" in err


def test_hostile_text_stays_inert_on_the_screen(make_job, capfd):
    job = make_job()
    rewrite(job, name="[red]\x1b[31mx", lfs=["lfs.py"])
    capfd.readouterr()

    assert labelmill_command(["run", str(job)]) == 0

    out, _ = capfd.readouterr()
    assert "\x1b" not in out
    assert "[red]" in out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_that_cannot_be_written(make_job, capfd):
    job = make_job()
    (job.parent / "out").mkdir(mode=0o500)

    assert "out" in fails(capfd, 1, "run", job)


def test_output_inside_the_input_folder_is_refused(make_job, capfd):
    job = make_job(input={"uri": "data", "id": "id"}, output={"uri": "data/out"})

    assert "lies inside input.uri" in fails(capfd, 2, "run", job)


def test_unknown_runner_is_named_with_the_nearest_one(make_job, capfd):
    err = fails(capfd, 2, "run", make_job(), "--runner", "Flinkk")

    assert "no such runner; did you mean flink?" in err


def test_gold_that_matches_no_record_is_said(make_job, capfd):
    job = make_job(gold={"column": "truth", "uri": "gold.csv", "id": "who"})
    (job.parent / "gold.csv").write_text("who,truth\nx1,spam\n")
    capfd.readouterr()

    assert labelmill_command(["run", str(job)]) == 0

    assert "no gold label has a record" in capfd.readouterr()[0]


def test_job_service_that_does_not_answer_is_named(make_job, capfd):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("localhost", 0))
        endpoint = f"localhost:{taken.getsockname()[1]}"

        err = fails(
            capfd, 1, "run", make_job(), "--runner=PortableRunner", f"--job_endpoint={endpoint}"
        )

    assert f"no job service answers at {endpoint} (--job_endpoint)" in err
