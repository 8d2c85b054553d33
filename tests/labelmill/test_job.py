"""Preparing a job: names, labels and fingerprints checked; what travels loads anywhere."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labelmill.errors import LabelingFunctionError
from labelmill.job import prepare_job
from labelmill.jobfile import load_job

ROOT = Path(__file__).resolve().parents[2]
LFS = """
from helper import is_short
from labelmill import keywords, labeling_function

money = keywords("money", label="spam", words=["cash"])


@labeling_function()
def short(x):
    import late
    return late.vote(is_short(x.text))
"""
FILES = {
    "lfs.py": LFS,
    "helper.py": "def is_short(text):\n    return len(text) < 3\n",
    "late.py": "def vote(short):\n    return 'ham' if short else None\n",
}
LINK = {"regex": {"name": "link", "label": 1, "pattern": "HTTP", "ignore_case": True}}


def prepare(folder, lfs=("lfs.py", LINK), files=FILES):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    spec = {
        "name": "n",
        "input": {"uri": "x.jsonl"},
        "labels": ["ham", "spam"],
        "lfs": list(lfs),
        "output": {"uri": "out"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(spec))
    return prepare_job(*load_job(folder / "job.yaml"))


def refusal(folder, **options):
    with pytest.raises(LabelingFunctionError) as caught:
        prepare(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_table_lists_functions_in_the_order_of_the_job(tmp_path):
    table = prepare(tmp_path, lfs=[LINK, "lfs.py"]).table
    assert [(lf.name, lf.kind) for lf in table.lfs] == [
        ("link", "regex"),
        ("money", "keywords"),
        ("short", "python"),
    ]
    assert table.class_names == ("ham", "spam")
    assert len({lf.fingerprint for lf in table.lfs}) == 3


def test_edit_of_one_function_changes_one_fingerprint(tmp_path):
    before = prepare(tmp_path / "a").table.lfs
    after = prepare(tmp_path / "b", files={**FILES, "late.py": FILES["late.py"] + "\n# x\n"}).table
    assert after.lfs == before
    helper = FILES["helper.py"].replace("3", "4")
    edited = prepare(tmp_path / "c", files={**FILES, "helper.py": helper}).table.lfs
    assert [lf.name for lf, old in zip(edited, before, strict=True) if lf != old] == ["short"]


def test_matcher_of_the_job_file_is_that_of_python(tmp_path):
    declared = {"keywords": {"name": "m", "label": "spam", "words": ["cash"]}}
    in_file = prepare(tmp_path / "a", lfs=["lfs.py"]).table.lfs[0]
    assert prepare(tmp_path / "b", lfs=[declared]).table.lfs[0].fingerprint == in_file.fingerprint


def test_prepared_job_runs_in_another_process_without_its_files(tmp_path):
    data = pickle.dumps(prepare(tmp_path / "job"))
    shutil.rmtree(tmp_path / "job")
    script = (
        "import pickle, sys, pyarrow as pa\n"
        "job = pickle.load(sys.stdin.buffer)\n"
        "batch = pa.RecordBatch.from_pydict({'__id__': ['a', 'b'], 'text': ['cash', 'hi']})\n"
        "applied = job.function_set().apply(batch)\n"
        "print(applied.votes.column('labels').to_pylist(), applied.faults)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        input=data,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (result.stdout.decode().strip(), result.stderr.decode()) == ("[[1], [0]] ()", "")


def test_functions_load_once_per_process(tmp_path):
    prepared = prepare(tmp_path)
    first, second = prepared.functions(), pickle.loads(pickle.dumps(prepared)).functions()
    assert first[1] is second[1]


def test_function_bound_in_two_files_counts_once(tmp_path):
    files = {**FILES, "more.py": "from lfs import money, short\n"}
    for lfs in (["lfs.py", "more.py"], ["more.py", "lfs.py"], ["lfs.py", "lfs.py"]):
        assert prepare(tmp_path, lfs=lfs, files=files).table.names == ("money", "short")


def test_files_may_be_named_from_home_or_by_absolute_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    prepare(tmp_path)
    for name in ("~/lfs.py", str(tmp_path / "lfs.py"), "../" + tmp_path.name + "/lfs.py"):
        assert prepare(tmp_path, lfs=[name]).table.names == ("money", "short")


def test_same_name_twice_is_refused(tmp_path):
    clash = {"regex": {"name": "money", "label": 1, "pattern": "x"}}
    assert "name 'money' is used 2 times" in refusal(tmp_path, lfs=["lfs.py", clash])


def test_name_that_is_no_text_is_refused(tmp_path):
    text = "from labelmill import labeling_function\nf = labeling_function(name=5)(lambda x: 1)"
    assert "name 5 must be text" in refusal(tmp_path, files={"lfs.py": text}, lfs=["lfs.py"])


def test_unknown_class_is_refused_with_the_nearest(tmp_path):
    wrong = {"regex": {"name": "r", "label": "spma", "pattern": "x"}}
    assert "did you mean 'spam'?" in refusal(tmp_path, lfs=[wrong])
    wrong["regex"]["label"] = 2
    assert "'r' votes for 2, which is not a class" in refusal(tmp_path, lfs=[wrong])


def test_file_without_functions_is_refused(tmp_path):
    message = refusal(tmp_path, lfs=["helper.py"])
    assert "helper.py: no labeling functions; decorate one" in message


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"regex": {"name": "r", "label": 1, "pattern": "("}}, "pattern '(' does not compile"),
        ({"keywords": {"name": "k", "label": 1, "words": [" "]}}, "' ' is an empty word"),
        ("missing.py", "missing.py: no such file"),
    ],
)
def test_function_that_cannot_be_made_is_refused(tmp_path, entry, reason):
    assert reason in refusal(tmp_path, lfs=[entry])


DEFINED_TWICE = """
from labelmill import keywords, labeling_function

@labeling_function()
def link(x):
    return 1

cash = keywords("cash", label="spam", words=["cash"])

@labeling_function(name="other")
def link(x):
    return link and 0
"""


def test_function_that_another_of_its_name_replaces_is_refused_with_both_lines(tmp_path):
    message = refusal(tmp_path, files={"lfs.py": DEFINED_TWICE}, lfs=["lfs.py"])

    assert "lfs.py:10: 'link' replaces the function of the same name in line 4" in message


@pytest.mark.parametrize(
    "source",
    [
        "a = keywords('a', label=1, words=['x'])\nfirst = a\n"
        "a = keywords('b', label=1, words=['y'])",
        "a = keywords('a', label=1, words=['x'])\na = replace(a, name='b')",
        "if keywords:\n    a = keywords('a', label=1, words=['x'])\n"
        "else:\n    a = 0\nb = keywords('b', label=1, words=['y'])",
        "a = str(1)\na = str(2)\nb = keywords('b', label=1, words=['y'])",
    ],
    ids=["kept under another name", "made from the first", "alternatives", "no function"],
)
def test_name_that_is_bound_again_and_loses_no_function_is_fine(tmp_path, source):
    imports = "from dataclasses import replace\nfrom labelmill import keywords\n"

    prepared = prepare(tmp_path, files={"lfs.py": imports + source}, lfs=["lfs.py"])

    assert "b" in prepared.table.names
