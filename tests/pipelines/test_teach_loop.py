"""Teaching a job from nothing: judge, suggest, accept, try, run with a classifier that assists.

The corpus are names of Unicode's characters, people are played by the Unicode database.
"""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from unicode_job import JOB, gold_of, write_answers, write_job

import labelmill
from labelmill.jobfile import load_job
from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.cli import _main as labelmill_command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("teach")
    write_job(made)
    return made


def call(capfd, *arguments) -> tuple[int, str, str]:
    capfd.readouterr()
    code = labelmill_command([str(argument) for argument in arguments])
    return code, *capfd.readouterr()


def judge_a_round(folder, capfd) -> tuple[dict, dict]:
    """Draw 50 records and judge them as the Unicode database does."""
    code, out, err = call(capfd, "judge", "draw", folder / "job.yaml", "--json")
    assert code == 0, err
    drawn = json.loads(out)
    write_answers(folder / "answers.json", drawn["sheet"], [r["id"] for r in drawn["records"]])
    files = folder / "answers.json"
    code, out, err = call(capfd, "judge", "read", folder / "job.yaml", files, "--json")
    assert code == 0, err
    return drawn, json.loads(out)


def test_whole_loop(folder, capfd):
    job = folder / "job.yaml"
    code, _, err = call(capfd, "suggest", job)
    assert code == 2
    assert "0 judged records" in err
    assert "judge draw" in err

    rounds = [judge_a_round(folder, capfd) for _ in range(3)]
    chosen = [{record["chosen"] for record in drawn["records"]} for drawn, _ in rounds]
    assert chosen == [{"random"}, {"uncertain"}, {"uncertain"}]
    every = [record["id"] for drawn, _ in rounds for record in drawn["records"]]
    assert len(set(every)) == 150
    assert rounds[0][1]["section"] == "gold"
    assert JOB in job.read_text()
    last = rounds[-1][1]
    assert (last["judged"], last["minutes"]) == (150, pytest.approx(15, abs=0.1))
    before, after = last["effect"]["scores"]["classifier"]
    assert after["log_loss"] < before["log_loss"]

    code, out, err = call(capfd, "suggest", job, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["coverage"][1] > found["coverage"][0] + 0.2
    shown = [one["shown"] for one in found["suggestions"]]
    assert len(shown) == len(set(shown)) >= 4
    whole = [text for text in shown if "-" not in text]
    assert not any("in the title" in text for text in whole)  # a single line is all title

    code, _, err = call(capfd, "suggest", job, "--accept", "1,99")
    assert code == 2
    assert "no suggestion '99'" in err
    code, out, err = call(capfd, "suggest", job, "--reject", "2", "--accept", "all")
    assert code == 0, err
    assert JOB.splitlines()[4] in job.read_text()
    spec, _ = load_job(job)
    assert len(spec.lfs) == len(shown)
    again = json.loads(call(capfd, "suggest", job, "--json")[1])
    assert shown[1] not in [one["shown"] for one in again["suggestions"]]

    arguments = (job, "--keywords", "digit,number", "--label", "number")
    code, out, err = call(capfd, "try", *arguments, "--json")
    assert code == 0, err
    tried = json.loads(out)
    assert tried["hits"] > 0
    assert tried["judged"] >= tried["right"] > 0

    right = assisted_run(folder, capfd)
    assert right["assisted"] > 0.85
    assert right["model"] > 0.5


def assisted_run(folder, capfd) -> dict[str, float]:
    """Run with `assist`; check that a full run publishes the same files, and return accuracies."""
    job = folder / "job.yaml"
    with job.open("a") as file:
        file.write("assist: {}\n")
    for arguments in ((), ("--full",), ("--full", "--direct_num_workers=2")):
        code, _, err = call(capfd, "run", job, *arguments)
        assert code == 0, err
    assert "nothing to do" in call(capfd, "run", job)[1]
    store = Store.open(str(folder / "out"))
    files = [
        sorted((file.path, file.sha256) for file in read_manifest(store, version).files)
        for version in (1, 2, 3)
    ]
    assert files[0] == files[1] == files[2]
    assert [file.kind for file in read_manifest(store).files].count("assist") == 1
    labels = labelmill.open_labels(folder / "out").to_table().to_pylist()
    assert {row["covered"] for row in labels if row["source"] == "model"} == {False}
    assert {row["covered"] for row in labels if row["source"] == "assisted"} == {True}
    shares = {}
    for source in ("assisted", "model"):
        rows = [row for row in labels if row["source"] == source]
        shares[source] = sum(row["label"] == gold_of(row["id"]) for row in rows) / len(rows)
    record = next(row["id"] for row in labels if row["source"] == "assisted")
    code, out, err = call(capfd, "explain", folder / "out", record)
    assert code == 0, err
    assert "a classifier assisted" in out
    return shares


def test_wrong_input_is_named(folder, capfd, tmp_path):
    job = tmp_path / "job.yaml"
    pq.write_table(pq.read_table(folder / "names.parquet"), tmp_path / "names.parquet")
    job.write_text(JOB)
    for arguments, message in [
        (("try", job), "say one of --keywords"),
        (("try", job, "--keywords", "a"), "--label is missing"),
        (("try", job, "--keywords", "a", "--label", "lettre"), "did you mean 'letter'"),
        (("try", job, "--function", "arows"), "did you mean 'arrows'"),
        (("try", job, "--regex", "(", "--label", "mark"), "does not compile"),
        (("suggest", job, "--accept", "1"), "nothing was suggested"),
        (("judge", "read", job, tmp_path / "none.json"), "no such file"),
        (("judge", "draw", job, "--field", "nam"), "has no column 'nam'"),
        (("run", job, "--set", "assist={}"), "records with gold for the fit"),
    ]:
        code, _, err = call(capfd, *arguments)
        assert (code, message in err) == (2, True), err
