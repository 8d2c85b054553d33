"""The pages whose code is run: what they show is what happens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import yaml

from labelmill.gates import GATES
from labelmill.jobfile import load_job
from labelmill.jobspec import GatesSpec

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [
    "howto/keywords-and-regexes.md",
    "howto/combinations.md",
    "howto/python-functions.md",
    "howto/label-models.md",
]
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?```(\w+)\n(.*?)```\n", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_code_of_the_page_does_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    names = {"__name__": "page", "__file__": str(tmp_path / "page.py")}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    shown = 0
    for file, language, code in BLOCK.findall(text):
        if file:
            (tmp_path / file).write_text(code)
        elif language == "python":
            exec(compile(code, str(tmp_path / "page.py"), "exec"), names)
        elif language == "pycon":
            examples = doctest.DocTestParser().get_doctest(code, names, page, page, 0)
            examples.globs = names  # what a block assigns is there in the next
            runner.run(examples, clear_globs=False)
            shown += len(examples.examples)
    assert runner.summarize().failed == 0
    assert shown >= 2


@pytest.mark.parametrize("page", PAGES[:2])
def test_job_files_of_the_page_are_valid(page, tmp_path):
    text = (DOCS / page).read_text(encoding="utf-8")
    (tmp_path / "slurs.txt").write_text("x\n")
    blocks = [code for _, language, code in BLOCK.findall(text) if language == "yaml"]
    assert blocks
    for code in blocks:
        job = {"name": "n", "input": {"uri": "x"}, "labels": ["ham", "spam"]}
        job |= {"output": {"uri": "out"}} | yaml.safe_load(code)
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
        spec, _ = load_job(tmp_path / "job.yaml")
        assert len(spec.lfs) == len(job["lfs"]) > 1


def test_job_files_of_the_slices_page_are_valid(tmp_path):
    text = (DOCS / "howto" / "slices.md").read_text(encoding="utf-8")
    job = {"name": "n", "input": {"uri": "x"}, "labels": ["ham", "spam"], "output": {"uri": "out"}}
    for _, language, code in BLOCK.findall(text):
        job |= yaml.safe_load(code) if language == "yaml" else {}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    spec, _ = load_job(tmp_path / "job.yaml")
    assert list(spec.slices) == sorted(job["slices"])
    assert len(spec.slices) == 6
    assert spec.gates.min_slice_coverage == 0.3


def test_refresh_page_has_every_gate_with_its_default():
    text = (DOCS / "howto" / "refresh.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (?:`(\w+): (\S+)`)? ?\|$", text, re.MULTILINE)
    assert [gate for gate, _, _ in rows] == list(GATES)
    defaults = {key: yaml.safe_load(value) for _, key, value in rows if key}
    every = GatesSpec().model_dump()
    del every["max_fault_rate"]  # it takes votes, and stops nothing
    assert defaults == every
