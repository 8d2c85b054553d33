"""Processes of engines: started on free ports with a log each, ended by pid, whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.engines import where

START_SECONDS = 120


def installed(engine: str) -> Path:
    """Return where an engine is; skips the test without it, or fails it in CI."""
    path = where(engine)
    if path.exists():
        return path
    missing = f"{engine} is not installed; run scripts/engines.py {engine}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def free_ports(count: int) -> list[int]:
    """Return ports that are free at the same time."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("localhost", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


class Process:
    """A process with its log, in a process group of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                list(map(str, command)),
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_alive:
                pytest.fail(f"{self.name} ended before it listened:\n{self.tail()}")
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    return
            time.sleep(0.1)
        pytest.fail(f"{self.name} does not listen on {port}:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def kill(self) -> None:
        """SIGKILL to the process alone; its children see what a crash leaves."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it with its children."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            if self._gone(5):
                break
        self._process.wait(timeout=30)

    def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._process.poll()
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.05)
        return False
