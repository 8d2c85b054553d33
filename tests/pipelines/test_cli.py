"""The command line as a user meets it: exit codes, screens and what is in the store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

import labelmill
from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest, verify_version
from pipelines.cli import _main as labelmill_command


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command in this process; return exit code, stdout and stderr."""
    capfd.readouterr()
    code = labelmill_command([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def store_of(job: Path) -> Store:
    return Store.open(str(job.parent / "out"))


def test_run_publishes_labels_that_open_as_a_dataset(make_job, capfd):
    job = make_job()

    code, out, err = call(capfd, "run", job)

    assert (code, err) == (0, "")
    assert "published version 1 of messages" in out
    labels = labelmill.open_labels(job.parent / "out").to_table().to_pylist()
    assert len(labels) == 300
    assert {row["label"] for row in labels} == {"ham", "spam"}
    for row in labels:
        assert sum(row["probs"]) == pytest.approx(1, abs=1e-5)
        assert row["confidence"] == max(row["probs"])
        assert row["covered"] == (row["n_votes"] > 0)
    assert verify_version(store_of(job)) == []


def test_summary_shows_functions_gold_and_what_to_do_next(make_job, capfd):
    _, out, _ = call(capfd, "run", make_job())

    for text in (
        "300 records", "covered", "vote patterns", "3 shards", "money", "win", "short", "free",
        "learned", "on gold", "label model, covered", "majority vote, covered", "label model, all",
        "majority vote, all", "95 %", "labelmill.open_labels(",
    ):  # fmt: skip
        assert text in out


def test_without_gold_the_summary_says_that_judging_is_worth_more_than_any_model(make_job, capfd):
    _, out, _ = call(capfd, "run", make_job(gold=None))

    assert "judge 50 random records" in out
    assert "on gold" not in out


def test_second_run_with_nothing_changed_does_nothing(make_job, capfd):
    job = make_job()
    call(capfd, "run", job)
    before = store_of(job).list()

    code, out, _ = call(capfd, "run", job)

    assert code == 0
    assert "nothing to do: version 1" in out
    assert store_of(job).list() == before


def test_edited_comment_does_nothing_and_edited_function_publishes(make_job, capfd):
    job = make_job()
    call(capfd, "run", job)
    lfs = job.parent / "lfs.py"
    lfs.write_text("# a comment\n" + lfs.read_text())
    assert "nothing to do" in call(capfd, "run", job)[1]

    helpers = job.parent / "helpers.py"
    helpers.write_text(helpers.read_text().replace("LIMIT = 8", "LIMIT = 5"))
    code, out, _ = call(capfd, "run", job)

    assert code == 0
    assert "published version 2" in out
    assert read_manifest(store_of(job)).parent == 1


def test_new_shard_runs_alone(make_job, capfd):
    job = make_job()
    call(capfd, "run", job)
    extra = job.parent / "data" / "9.jsonl"
    extra.write_text('{"id": "new", "text": "cash", "gold": null}\n')

    document = json.loads(call(capfd, "run", job, "--json")[1])

    assert document["details"]["shards_reused"] == 3
    assert document["details"]["counts"]["rows"] == 301


def test_incremental_result_equals_a_full_run_bit_for_bit(make_job, capfd):
    job = make_job()
    call(capfd, "run", job)
    (job.parent / "data" / "9.jsonl").write_text('{"id": "new", "text": "cash", "gold": null}\n')
    call(capfd, "run", job)
    incremental = read_manifest(store_of(job))

    call(capfd, "run", job, "--full", "--set", "output.uri=fresh")

    full = read_manifest(Store.open(str(job.parent / "fresh")))
    assert full.files == incremental.files
    assert full.summary == incremental.summary


def test_gold_edit_reuses_votes(make_job, capfd):
    job = make_job()
    call(capfd, "run", job)

    document = json.loads(call(capfd, "run", job, "--json", "--set", "gold.fit=0.5")[1])

    assert document["details"]["shards_reused"] == 3
    assert document["details"]["summary"]["gold"]["fit_records"] > 0
    assert document["version"] == 2


def test_gold_file_is_joined_by_id(make_job, capfd):
    gold = {"column": "truth", "uri": "gold.csv", "id": "who"}
    job = make_job(gold=gold)
    (job.parent / "gold.csv").write_text("who,truth\nm00003,spam\nm00004,ham\nunknown,ham\n")

    document = json.loads(call(capfd, "run", job, "--json")[1])

    assert document["details"]["summary"]["gold"]["eval_records"] == 2
    table = labelmill.open_labels(job.parent / "out").to_table()
    found = {row["id"]: row["gold"] for row in table.to_pylist() if row["gold"]}
    assert found == {"m00003": "spam", "m00004": "ham"}


def test_functions_never_see_the_gold_column(make_job, capfd):
    job = make_job()
    (job.parent / "lfs.py").write_text(
        "from labelmill import labeling_function\n"
        "@labeling_function()\n"
        "def peek(x):\n"
        "    y = x\n"
        "    return 'spam' if 'gold' in y.keys() else None\n"
    )

    document = json.loads(call(capfd, "run", job, "--json")[1])

    assert document["details"]["counts"]["votes"] == [0]


def test_run_works_from_another_directory_and_paths_are_relative_to_the_job(
    make_job, capfd, monkeypatch
):
    job = make_job()
    monkeypatch.chdir("/")

    assert call(capfd, "run", job)[0] == 0
    assert list_versions(store_of(job)) == [1]


def test_init_writes_a_job_that_runs(tmp_path, capfd):
    code, out, _ = call(capfd, "init", tmp_path / "new")
    assert code == 0
    assert "next: labelmill run" in out

    code, out, err = call(capfd, "run", tmp_path / "new" / "job.yaml")

    assert (code, err) == (0, "")
    assert "8 records" in out
    assert call(capfd, "init", tmp_path / "new")[0] == 2


def test_plan_shows_shards_speed_and_reuse_and_writes_nothing(make_job, capfd):
    job = make_job()

    code, out, _ = call(capfd, "plan", job)

    assert code == 0
    assert "3 shards" in out
    assert "us/record" in out
    assert not (job.parent / "out").exists()
    document = json.loads(call(capfd, "plan", job, "--json")[1])
    assert len(document["shards"]) == 3
    assert document["unchanged"] is False
    call(capfd, "run", job)
    assert json.loads(call(capfd, "plan", job, "--json")[1])["unchanged"] is True


def test_lfs_shows_the_table_without_a_store(make_job, capfd):
    job = make_job()

    code, out, _ = call(capfd, "lfs", job)

    assert code == 0
    assert "300 records" in out
    assert "us/record" in out
    assert not (job.parent / "out").exists()
    document = json.loads(call(capfd, "lfs", job, "--json", "--rows", 30)[1])
    assert document["rows"] == 30


def test_schema_describes_every_example(capfd):
    _, out, _ = call(capfd, "schema")
    schema = json.loads(out)

    jobs = sorted((Path(__file__).parents[2] / "examples").glob("*/job.yaml"))
    assert jobs
    for job in jobs:
        jsonschema.validate(yaml.safe_load(job.read_text()), schema)


def test_progress_and_results_do_not_mix_when_piped(make_job, capfd):
    _, out, err = call(capfd, "run", make_job(), "--json")

    assert json.loads(out)["status"] == "published"
    assert err == ""


def test_dead_letters_name_function_record_and_reason(make_job, capfd):
    job = make_job(gates={"max_fault_rate": 1.0})
    (job.parent / "lfs.py").write_text(
        "from labelmill import labeling_function, keywords\n"
        "ok = keywords('ok', label='spam', words=['cash'])\n"
        "@labeling_function()\n"
        "def bad(x):\n"
        "    if x.id.endswith('7'):\n"
        "        raise ValueError('seven: ' + x.id)\n"
        "    return 7 if x.id.endswith('8') else 'ham'\n"
    )

    document = json.loads(call(capfd, "run", job, "--json")[1])

    counts = document["details"]["counts"]
    assert counts["faults"] == [0, 30]
    assert counts["invalid"] == [0, 30]
    assert counts["votes"][1] == 240
    letters = labelmill.open_faults(job.parent / "out").to_table().to_pylist()
    assert len(letters) == 60
    first = next(r for r in letters if r["outcome"] == "fault")
    assert first["lf"] == "bad"
    assert (first["type"], first["message"]) == ("ValueError", f"seven: {first['id']}")
    assert "raise ValueError" in first["traceback"]
    [shown] = document["details"]["failures"]
    assert shown in [{key: letter[key] for key in shown} for letter in letters]


def test_summary_says_why_functions_failed_the_worst_first(make_job, capfd):
    job = make_job(gates={"max_fault_rate": 1.0})
    (job.parent / "lfs.py").write_text(
        "from labelmill import labeling_function, keywords\n"
        "ok = keywords('ok', label='spam', words=['cash'])\n"
        "def failing(n):\n"
        "    def fail(x):\n"
        "        if int(x.id[1:]) >= 300 - n:\n"
        "            raise ValueError(f'late: {x.id}')\n"
        "    return labeling_function(name=f'fails_{n}')(fail)\n"
        "lfs = [failing(n) for n in range(7)]\n"
    )

    out = call(capfd, "run", job)[1]

    assert "21 faults and invalid results; samples are in labelmill.open_faults()" in out
    lines = [line for line in out.splitlines() if line.startswith("fault ")]
    assert [line.split()[1] for line in lines] == [f"fails_{n}" for n in (6, 5, 4, 3, 2)]
    assert "lfs.py:6: ValueError: late: m00294 (record m00294, in all 6)" in lines[0]


def test_function_above_the_fault_rate_is_not_used_and_the_screen_says_so(make_job, capfd):
    job = make_job()
    (job.parent / "lfs.py").write_text(
        "from labelmill import labeling_function, keywords\n"
        "ok = keywords('ok', label='spam', words=['cash'])\n"
        "@labeling_function()\n"
        "def bad(x):\n"
        "    if x.id < 'm00060':\n"
        "        raise ValueError('no')\n"
        "    return 'ham'\n"
    )

    code, out, err = call(capfd, "run", job)

    assert code == 0
    assert "bad (not used)" in out
    assert "never voted" not in out
    assert "labeling function 'bad' failed on 60 of 100 sampled records" in err
    labels = labelmill.open_labels(job.parent / "out").to_table().to_pylist()
    assert max(row["n_votes"] for row in labels) == 1


def test_full_run_that_comes_out_otherwise_leaves_published_versions_as_they_were(make_job, capfd):
    job = make_job(gold=None)
    words = job.parent / "words.txt"
    words.write_text("cash")
    (job.parent / "lfs.py").write_text(
        "from labelmill import keywords, labeling_function\n"
        "ham = keywords('ham', label='ham', words=['lunch'])\n"
        "@labeling_function()\n"
        "def listed(x):\n"
        f"    return 'spam' if open({str(words)!r}).read() in x.text else None\n"
    )
    call(capfd, "run", job)
    before = read_manifest(store_of(job))
    words.write_text("hello")

    code, _, _ = call(capfd, "run", job, "--full", "--set", "gates.min_coverage=1")

    assert code == 3
    assert verify_version(store_of(job), 1) == []
    assert call(capfd, "run", job, "--full", "--accept", "label_shift")[0] == 0
    after = read_manifest(store_of(job))
    assert after.counts["votes"] != before.counts["votes"]
    assert verify_version(store_of(job), 1) == verify_version(store_of(job), 2) == []
    (job.parent / "data" / "9.jsonl").write_text('{"id": "new", "text": "cash"}\n')
    document = json.loads(call(capfd, "run", job, "--json")[1])
    assert document["details"]["shards_reused"] == 3  # those of the current version
    votes = {f.shard: f.sha256 for f in read_manifest(store_of(job)).files_of("votes")}
    assert {f.shard: f.sha256 for f in after.files_of("votes")}.items() <= votes.items()


def test_another_column_of_the_gold_file_is_other_gold(make_job, capfd):
    job = make_job(gold={"column": "truth", "uri": "gold.csv", "id": "who"})
    (job.parent / "gold.csv").write_text("who,truth,other\nm00003,spam,ham\nm00004,ham,spam\n")
    call(capfd, "run", job)

    call(capfd, "run", job, "--set", "gold.column=other")

    table = labelmill.open_labels(job.parent / "out").to_table()
    found = {row["id"]: row["gold"] for row in table.to_pylist() if row["gold"]}
    assert found == {"m00003": "ham", "m00004": "spam"}


def test_files_of_the_current_version_that_are_gone_are_made_again(make_job, capfd):
    job = make_job()
    call(capfd, "run", job)
    next((job.parent / "out" / "labels").iterdir()).unlink()

    code, out, err = call(capfd, "run", job)

    assert code == 0
    assert "1 files of version 1 are gone" in err
    assert "published version 2" in out
    assert verify_version(store_of(job)) == []


def test_what_functions_print_is_no_part_of_the_result(make_job):
    job = make_job()
    lfs = job.parent / "lfs.py"
    lfs.write_text(lfs.read_text() + "\nprint('hello from lfs')\n")
    command = [sys.executable, "-m", "pipelines", "run", str(job), "--json"]

    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)["status"] == "published"


def test_one_file_under_two_spellings_is_read_once(make_job, capfd):
    job = make_job(input={"uri": ["data/0.jsonl", "./data/0.jsonl", "data/../data/0.jsonl"]})

    document = json.loads(call(capfd, "run", job, "--json")[1])

    assert document["details"]["counts"]["rows"] == 100
