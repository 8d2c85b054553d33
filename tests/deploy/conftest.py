"""The tools that files of deploy/ are checked with."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deploy_files import missing

from scripts import deploy_tools

# Run by the Python of the tools, in whose environments what they import is.
collect_ignore = [
    "check_airflow.py", "check_container_spec.py", "check_kubernetes.py", "read_terraform.py"
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "deploy":
            item.add_marker("deploy")


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Return a function that gives the path of a tool of scripts/deploy_tools.py."""

    def path(name: str) -> str:
        found = deploy_tools.program(name)
        if not found.exists():
            missing(name, "python scripts/deploy_tools.py")
        return str(found)

    return path


@pytest.fixture(scope="session")
def system() -> Callable[[str], str]:
    """Return a function that gives the path of a program of the machine."""

    def path(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            missing(name, "install it with the machine's package manager")
        return str(found)

    return path


@pytest.fixture(scope="session")
def in_checkers(tool: Callable[[str], str]) -> Callable[..., Any]:
    """Return a function that runs a script beside the tests with the checkers' Python.

    It takes the script's name and a document, and returns what the script makes of it.
    """

    def run(script: str, document: Any) -> Any:
        done = subprocess.run(
            [tool("python"), str(Path(__file__).parent / script)],
            input=json.dumps(document), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
