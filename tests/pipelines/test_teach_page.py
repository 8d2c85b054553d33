"""The commands of docs/howto/teach.md, run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from unicode_job import write_answers, write_job

from labelmill.jobfile import load_job
from pipelines.cli import _main as labelmill_command

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "teach.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(language: str) -> list[str]:
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def test_every_command_of_the_page_works(tmp_path, monkeypatch, capfd):
    job = write_job(tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = "".join(blocks("sh")).splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.strip()]
    assert {command[0] for command in commands} == {"judge", "suggest", "try", "run"}
    for command in commands:
        if command[:2] == ["judge", "read"]:
            sheets = list(tmp_path.glob("judging/*/judge-*.json"))
            sheets.sort(key=lambda path: path.stat().st_mtime_ns)
            records = json.loads(sheets[-1].read_text())["records"]
            name = sheets[-1].stem.removeprefix("judge-")
            write_answers(tmp_path / command[3], name, [record["id"] for record in records])
        assert labelmill_command(command) == 0, (command, capfd.readouterr().err)
    assert len(load_job(job)[0].lfs) > 1


@pytest.mark.parametrize("text", blocks("yaml"))
def test_job_sections_of_the_page_are_valid(text, tmp_path):
    job = write_job(tmp_path)
    spec = yaml.safe_load(job.read_text()) | yaml.safe_load(text)
    job.write_text(yaml.safe_dump(spec))
    load_job(job)
