"""The commands of docs/howto/versions.md, run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from pipelines.cli import _main as labelmill_command

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "versions.md"
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(SHELL.findall(PAGE.read_text(encoding="utf-8"))).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_every_command_of_the_page_works(make_job, monkeypatch, capfd):
    job = make_job()
    monkeypatch.chdir(job.parent)
    assert labelmill_command(["run", "job.yaml"]) == 0
    helpers = job.parent / "helpers.py"
    helpers.write_text(helpers.read_text().replace("LIMIT = 8", "LIMIT = 12"))
    assert labelmill_command(["run", "job.yaml"]) == 0

    assert {command[0] for command in commands()} == {
        "history", "diff", "explain", "verify", "gc", "export",
    }  # fmt: skip
    for command in commands():
        assert labelmill_command(command) == 0, (command, capfd.readouterr().err)
