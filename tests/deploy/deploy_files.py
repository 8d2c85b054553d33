"""Where the files are that the tests of deploy/ read, and what becomes of a missing tool."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def shell_scripts() -> list[Path]:
    """Return the shell scripts of deploy/."""
    return sorted(DEPLOY.rglob("*.sh"))


def missing(what: str, remedy: str) -> None:
    """End the test: in CI everything has to be there."""
    message = f"{what} is not installed: {remedy}"
    pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
