"""The tutorial's real job, done as the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import labelmill

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:`([\w./]+)`:\n\n)?```(\w*)\n(.*?)```\n", re.DOTALL)


@pytest.mark.slow
def test_real_job_of_the_tutorial_comes_out_as_told(tmp_path):
    told = PAGE.partition("## 7. A real job")[2]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    said = ""
    for file, language, code in BLOCK.findall(told):
        if file:
            (tmp_path / file).write_text(code)
        elif language == "sh":
            for line in code.splitlines():
                said += done(line, tmp_path)
    assert "-ter in the title" in said
    assert "200 of 200 records judged" in said
    assert (tmp_path / "names-v3.html").exists()

    labels = labelmill.open_labels(str(tmp_path / "names" / "out")).to_table().to_pandas()
    corpus = pq.read_table(tmp_path / "names" / "data").to_pandas().set_index("codepoint")
    right = labels["label"] == corpus["gold"].reindex(labels["id"]).to_numpy()
    assert len(labels) == len(corpus)
    assert labels["covered"].mean() > 0.7
    assert right[labels["covered"]].mean() > 0.9


def done(line: str, folder: Path) -> str:
    """Do what a line of a shell does; return what it printed."""
    program, *rest = shlex.split(line)
    if program == "labelmill":
        rest = ["-m", "pipelines.cli", *rest]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *rest]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, (line, ran.stdout, ran.stderr)
    return ran.stdout
