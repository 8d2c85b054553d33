"""Functions of a job to remove or fix."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from unicode_job import gold_of, write_job

from labelmill.jobfile import load_job
from pipelines.cli import _main as labelmill_command
from pipelines.faulty import find_faulty
from pipelines.lesson import open_lesson

FUNCTIONS = """\
  - keywords: {name: letters, label: letter, words: [letter]}
  - keywords: {name: letters again, label: letter, words: [letter, ligature]}
  - keywords: {name: wrong, label: symbol, words: [latin, cyrillic, greek]}
"""


@pytest.fixture
def job(tmp_path):
    path = write_job(tmp_path)
    text = path.read_text().replace("output:", f"{FUNCTIONS}output:")
    path.write_text(text + "gold: {uri: gold.jsonl, column: label, role: role}\n")
    ids = pq.read_table(tmp_path / "names.parquet")["id"].to_pylist()[::20]
    lines = [{"id": name, "label": gold_of(name), "role": "fit"} for name in ids]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_functions_that_hurt_and_repeat_are_named(job):
    found = find_faulty(open_lesson(*load_job(job)))
    assert [(one.name, one.why) for one in found] == [
        ("wrong", "hurts"),
        ("letters again", "duplicate"),
    ]
    assert "judged votes" in found[0].said


def test_functions_that_drifted_between_versions_are_named(job, capfd):
    assert labelmill_command(["run", str(job)]) == 0
    corpus = job.parent / "names.parquet"
    table = pq.read_table(corpus)
    names = [name.replace("arrow", "dart") for name in table["text"].to_pylist()]
    pq.write_table(table.set_column(1, "text", [names]), corpus)
    accepted = ["--accept", "vote_shift", "--accept", "label_shift"]
    assert labelmill_command(["run", str(job), *accepted]) == 0, capfd.readouterr().err
    found = find_faulty(open_lesson(*load_job(job)))
    (drifted,) = [one for one in found if one.why == "drifted"]
    assert drifted.name == "arrows"
    assert "now 0.00%" in drifted.said
