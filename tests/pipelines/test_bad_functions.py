"""Functions that misbehave, in whole jobs: the exact outcome of each, the same on every runner."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.cli import _main as labelmill_command

ROWS = 300
SOURCE = """
import os, re, sys, time
from labelmill import ABSTAIN, labeling_function

@labeling_function()
def fine(x): return x.n % 2

@labeling_function()
def raises_on_one_percent(x):
    if x.n % 100 == 7: raise ValueError("unlucky")
    return 1

@labeling_function()
def returns_7(x): return 7

@labeling_function()
def returns_a_fraction(x): return 0.7

@labeling_function()
def returns_yes(x): return "yes"

@labeling_function()
def returns_true(x): return True

@labeling_function(batch=True)
def list_of_the_wrong_length(b): return [0] * (b.num_rows - 1 if b.num_rows > 1 else 1)

@labeling_function(batch=True)
def one_bad_record_in_a_batch(b):
    if "text 8" in b["text"].to_pylist(): raise KeyError("8")
    return [1] * b.num_rows

@labeling_function()
def adds_to_its_input(x):
    x.extra = 1
    return 0

@labeling_function()
def empties_a_list_of_its_input(x):
    x.tags.clear()
    return 0

@labeling_function()
def sees_that_list(x): return 1 if len(x.tags) == 2 else ABSTAIN

@labeling_function(timeout=.2)
def sleeps(x):
    if x.n in (5, 6): time.sleep(99)
    return 0

@labeling_function(timeout=.2)
def never_returns(x):
    while True: pass

@labeling_function()
def calls_sys_exit(x): sys.exit(0)

@labeling_function()
def leaves(x):
    if x.n == 9: os._exit(1)
    return 0

@labeling_function()
def recurses_for_ever(x): return recurses_for_ever(x)
"""

# votes, faults, invalid, not used; type and message of a dead letter
EXPECTED = {
    "fine": (ROWS, 0, 0, False, None),
    "raises_on_one_percent": (ROWS - 3, 3, 0, False, "ValueError: unlucky"),
    "returns_7": (0, 0, ROWS, True, "int: returned 7, which is no class"),
    "returns_a_fraction": (0, 0, ROWS, True, "float: returned 0.7, which is no class"),
    "returns_yes": (0, 0, ROWS, True, "str: returned 'yes', which is no class"),
    "returns_true": (0, 0, ROWS, True, "bool: returned True, which is no class"),
    "list_of_the_wrong_length": (0, ROWS, 0, True, "ValueError: returned 99 results for a batch"),
    "one_bad_record_in_a_batch": (ROWS - 1, 1, 0, False, "KeyError: '8'"),
    "adds_to_its_input": (0, ROWS, 0, True, "AttributeError: cannot set 'extra'"),
    "empties_a_list_of_its_input": (ROWS, 0, 0, False, None),
    "sees_that_list": (ROWS, 0, 0, False, None),
    "sleeps": (ROWS - 2, 2, 0, False, "TimeLimitExceeded: did not return within 0.2 s"),
    "never_returns": (0, ROWS, 0, True, "TimeLimitExceeded: did not return within 0.2 s"),
    "calls_sys_exit": (0, ROWS, 0, True, "SystemExit: 0"),
    "leaves": (ROWS - 1, 1, 0, False, "ProcessDied: the process that ran it ended: exit code 1"),
    "recurses_for_ever": (0, ROWS, 0, True, "RecursionError: maximum recursion depth"),
}
MODES = {
    "in_memory": ["--direct_running_mode=in_memory"],
    "two_threads": ["--direct_running_mode=multi_threading", "--direct_num_workers=2"],
    "two_processes": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}


def write_job(folder: Path) -> Path:
    (folder / "lfs.py").write_text(SOURCE)
    (folder / "data").mkdir()
    for part in range(3):
        rows = range(part * 100, part * 100 + 100)
        lines = [json.dumps({"n": n, "text": f"text {n}", "tags": ["a", "b"]}) for n in rows]
        (folder / "data" / f"{part}.jsonl").write_text("\n".join(lines))
    job = {
        "name": "bad",
        "input": {"uri": "data/*.jsonl"},
        "labels": ["ham", "spam"],
        "lfs": ["lfs.py"],
        "output": {"uri": "out"},
        "limits": {"timeout": 5},
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    return folder / "job.yaml"


@pytest.mark.parametrize("mode", MODES)
def test_every_bad_function_has_its_exact_outcome_and_the_job_goes_on(tmp_path, capfd, mode):
    job = write_job(tmp_path)
    assert labelmill_command(["run", str(job), *MODES[mode]]) == 0, capfd.readouterr().err
    store = Store.open(str(tmp_path / "out"))
    manifest = read_manifest(store)
    letters = [
        row
        for file in manifest.files
        if file.kind == "faults"
        for row in pq.read_table(tmp_path / "out" / file.path).to_pylist()
    ]
    counts = manifest.counts
    assert counts["rows"] == ROWS
    for n, lf in enumerate(manifest.summary["lfs"]):
        votes, faults, invalid, unused, letter = EXPECTED[lf["name"]]
        found = (counts["votes"][n], counts["faults"][n], counts["invalid"][n], lf["quarantined"])
        assert found == (votes, faults, invalid, unused), lf["name"]
        own = [row for row in letters if row["lf"] == lf["name"]]
        assert bool(own) == (letter is not None), lf["name"]
        if letter:
            texts = [f"{row['type']}: {row['message']}" for row in own]
            assert any(text.startswith(letter) for text in texts), texts[:3]
            assert len({row["id"] for row in own}) == len(own) == min(faults + invalid, ROWS)


def test_dead_letters_say_where(tmp_path, capfd):
    job = write_job(tmp_path)
    assert labelmill_command(["run", str(job), "--json"]) == 0
    folder = tmp_path / "out" / "faults"
    letters = [row for path in folder.glob("*") for row in pq.read_table(path).to_pylist()]
    by_lf = {row["lf"]: row for row in letters if row["type"] != "FunctionStopped"}
    line = 1 + SOURCE[: SOURCE.index('raise ValueError("unlucky")')].count("\n")
    unlucky = by_lf["raises_on_one_percent"]["traceback"]
    assert re.search(rf"lfs.py\", line {line}, in raises_on_one_percent", unlucky)
    assert "in never_returns" in by_lf["never_returns"]["traceback"]
    assert by_lf["raises_on_one_percent"]["id"].endswith(("#7", "#107", "#207"))


def test_longer_time_limit_asks_again_and_the_same_one_does_not(tmp_path, capfd):
    job = write_job(tmp_path)
    (tmp_path / "lfs.py").write_text(
        "import time\nfrom labelmill import labeling_function\n"
        "@labeling_function()\ndef slow(x):\n"
        "    if x.n == 150: time.sleep(.6)\n    return x.n % 2\n"
    )

    def votes_after(limit: float) -> tuple[int, int]:
        code = labelmill_command(["run", str(job), "--set", f"limits.timeout={limit}"])
        assert code == 0, capfd.readouterr().err
        manifest = read_manifest(Store.open(str(tmp_path / "out")))
        return manifest.version, manifest.counts["votes"][0]

    assert votes_after(0.2) == (1, ROWS - 1)
    assert votes_after(0.2) == (1, ROWS - 1)
    assert votes_after(20) == (2, ROWS)
    assert votes_after(30) == (2, ROWS)  # no vote was missing for want of time


def test_run_after_one_that_was_refused_does_not_wait_for_the_same_functions_again(tmp_path, capfd):
    job = write_job(tmp_path)
    log = tmp_path / "log"
    (tmp_path / "lfs.py").write_text(
        "import time\nfrom pathlib import Path\nfrom labelmill import labeling_function\n"
        "@labeling_function()\ndef slow(x):\n"
        "    if x.n == 150:\n"
        f"        Path({str(log)!r}).open('a').write('waited\\n')\n        time.sleep(3)\n"
        "    return x.n % 2 if x.n < 200 else None\n"
    )
    flags = ["--set", "limits.timeout=.2"]
    assert labelmill_command(["run", str(job), *flags, "--set", "gates.min_coverage=1"]) == 3
    waited = log.read_text()
    assert waited

    assert labelmill_command(["run", str(job), *flags]) == 0, capfd.readouterr().err

    assert log.read_text() == waited
    manifest = read_manifest(Store.open(str(tmp_path / "out")))
    assert manifest.run["shards_reused"] == 3
    assert manifest.counts["votes"] == [199]
    assert labelmill_command(["run", str(job), "--set", "limits.timeout=20"]) == 0
    assert log.read_text() == waited + "waited\n"
