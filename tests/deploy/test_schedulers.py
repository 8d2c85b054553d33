"""systemd, cron and GitHub Actions: valid, and treating exit codes as labelmill means them."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_files import DEPLOY

from labelmill import errors
from pipelines.cli import run

UNIT = DEPLOY / "cron" / "labelmill@.service"
TIMER = DEPLOY / "cron" / "labelmill@.timer"
CRONTAB = DEPLOY / "cron" / "crontab"
WORKFLOW = DEPLOY / "github" / "labelmill.yml"
FINAL = {2, 3, 4}
"""Exit codes that trying again does not mend; 4 is that the engine still works on it."""


def read_unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def test_exit_codes_that_schedulers_treat_are_those_of_labelmill():
    codes = {
        e.exit_code for e in vars(errors).values()
        if isinstance(e, type) and issubclass(e, errors.LabelmillError)
    }  # fmt: skip
    assert codes <= {1} | FINAL
    assert errors.GateRefusedError.exit_code == 3
    assert errors.JobSpecError.exit_code == 2


def test_units_are_valid(tmp_path, system):
    text = UNIT.read_text()
    assert "ExecStart=/opt/labelmill/bin/labelmill run" in text
    for name in ("labelmill@.service", "labelmill@spam.service"):
        (tmp_path / name).write_text(text.replace("/opt/labelmill/bin/labelmill", sys.executable))
    for name in ("labelmill@.timer", "labelmill@spam.timer"):
        shutil.copy(TIMER, tmp_path / name)
    done = subprocess.run(
        [system("systemd-analyze"), "verify", str(tmp_path / "labelmill@spam.service"),
         str(tmp_path / "labelmill@spam.timer")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_verification_catches_a_wrong_unit(tmp_path, system):
    text = UNIT.read_text().replace("RestartPreventExitStatus=2 3 4", "RestartPreventExit=2 3 4")
    (tmp_path / "bad.service").write_text(text.replace("%i", "x"))
    done = subprocess.run(
        [system("systemd-analyze"), "verify", str(tmp_path / "bad.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "RestartPreventExit" in done.stderr


def test_unit_tries_again_what_may_pass_only():
    service = read_unit(UNIT)["Service"]
    assert service["Restart"] == "on-failure"
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == FINAL
    assert "StartLimitBurst" in read_unit(UNIT)["Unit"]
    assert service["Type"] == "oneshot", "another start waits for it: runs never overlap"
    assert service["User"] == "labelmill"
    assert service["TimeoutStartSec"] == "6h"


def commands_of(text: str) -> list[list[str]]:
    return [shlex.split(found) for found in re.findall(r"labelmill (run [^\n>|;&]*)", text)]


@pytest.mark.parametrize("path", [UNIT, CRONTAB, WORKFLOW], ids=lambda path: path.name)
def test_command_that_is_scheduled_is_one_that_labelmill_takes(path):
    text = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", path.read_text())
    text = text.replace('"$FULL"', "--full").replace('"$ACCEPT"', "row_loss").replace("\\\n", "")
    commands = commands_of(text)
    assert commands
    for _, *arguments in commands:
        context = run.make_context("run", arguments)
        assert str(context.params["job"]).endswith("job.yaml")
        assert context.params["beam_flags"] == ()


def test_crontab_lets_one_run_at_a_time_and_ends_one_that_hangs():
    (line,) = [
        line for line in CRONTAB.read_text().splitlines() if re.match(r"[\d*]", line)
    ]  # fmt: skip
    schedule, user, command = line.split(None, 5)[:5], *line.split(None, 6)[5:]
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in schedule)
    assert user == "labelmill"
    assert command.startswith("flock --nonblock ")
    assert "%" not in command, "cron takes % for a new line"
    assert re.search(r"timeout --signal=TERM --kill-after=1m 6h labelmill run", command)


@pytest.mark.parametrize("code", [0, 1, 3])
def test_crontab_mails_when_the_exit_code_is_not_0(tmp_path, system, code):
    system("flock")
    line = CRONTAB.read_text().splitlines()[-1].split(None, 6)[6]
    labelmill = tmp_path / "labelmill"
    labelmill.write_text(f"#!/bin/sh\necho done\nexit {code}\n")
    labelmill.chmod(0o755)
    for folder in ("/var/lock", "/var/log/labelmill"):
        line = line.replace(folder, str(tmp_path))
    done = subprocess.run(
        ["/bin/sh", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    assert done.stderr == (f"labelmill spam: exit code {code}\n" if code else "")
    assert (tmp_path / "spam.log").read_text() == "done\n"


def workflow() -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return read


def test_workflow_fits_the_schema_of_github(tool):
    done = subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflow_has_no_finding(tool):
    done = subprocess.run(
        [tool("actionlint"), "-shellcheck", tool("shellcheck"), str(WORKFLOW)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflow_runs_one_at_a_time_ends_and_holds_no_key():
    read = workflow()
    assert read["concurrency"] == {"group": "labelmill-refresh", "cancel-in-progress": False}
    assert read["permissions"] == {"contents": "read", "id-token": "write"}
    assert 0 < read["jobs"]["refresh"]["timeout-minutes"] <= 360
    assert "secrets." not in WORKFLOW.read_text()
    assert "persist-credentials: false" in WORKFLOW.read_text()


@pytest.mark.parametrize(
    ("code", "says"),
    [(0, ""), (1, "::error::failed"), (2, "::error::bad job"), (3, "::error::a gate refused")],
)
def test_workflow_says_how_the_run_ended_and_exits_so(tmp_path, code, says):
    script = workflow()["jobs"]["refresh"]["steps"][-1]["run"]
    labelmill = tmp_path / "labelmill"
    labelmill.write_text(f'#!/bin/sh\necho "$@"; echo problem >&2; exit {code}\n')
    labelmill.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "FULL": "--full", "ACCEPT": "row_loss",
             "GITHUB_STEP_SUMMARY": str(tmp_path / "step.md")},
    )  # fmt: skip
    assert done.returncode == code
    assert says in done.stdout
    assert done.stdout.startswith("run job.yaml --full --accept row_loss\n")
    assert "run job.yaml --full" in (tmp_path / "step.md").read_text()
