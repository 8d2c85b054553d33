"""Processes that tests of deploy/ start, wait for, and end by their own id."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT = 300


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str], port: int, log: Path, **variables: str) -> Iterator[None]:
    """Run a server until the end of the block, which begins once its port answers."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.2)
        else:
            pytest.fail(f"nothing answers at {port}:\n{log.read_text()}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
