"""A hook that lets a process kill itself, as `kill -9` would, at a put of its choice.

Nothing of it is in the product: it wraps the two ways in which `labelmill.store.Store` writes.
"""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labelmill import store as store_module
from labelmill.store import Store, StoredFile

VARIABLE = "LABELMILL_TEST_KILL"
MOMENTS = ("before", "during", "after")


@dataclass(frozen=True)
class Kill:
    """When a process kills itself, and where puts are logged.

    Attributes:
        kind: How the path of the put begins, such as ``votes/``; empty for never.
        moment: ``before`` the put, ``during`` it, with half of its bytes written, or ``after``.
        count: Which of these puts, from 1, counted over all processes.
        log: File that the path of every put that ended is appended to.
        once: File that is made by the process that kills itself; no other does then.
    """

    kind: str
    moment: str
    count: int
    log: str
    once: str

    def in_environment(self) -> dict[str, str]:
        """Return what arms the processes of a command, with the folder ``hook`` on their path."""
        return {VARIABLE: json.dumps(asdict(self))}


def arm_from(environment: Mapping[str, str]) -> None:
    """Arm this process as the environment says, if it does."""
    if VARIABLE in environment:
        arm(Kill(**json.loads(environment[VARIABLE])))


def arm(kill: Kill) -> None:
    """Let this process and those that it forks kill themselves."""
    Store.put = _killing(kill, Store.put)
    Store.create = _killing(kill, Store.create)


def _killing(kill: Kill, write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def writing(store: Store, path: str, data: bytes) -> StoredFile | bool:
        chosen = bool(kill.kind) and path.startswith(kill.kind) and _turn(kill) == kill.count
        if chosen and kill.moment == "before":
            _die(kill)
        if chosen and kill.moment == "during":
            store_module.os = _HalfWriting(kill)
        result = write(store, path, data)
        _append(kill.log, path)
        if chosen and kill.moment == "after":
            _die(kill)
        return result

    return writing


def _turn(kill: Kill) -> int:
    """Return how many such puts began, this one included, in whatever process."""
    turns = f"{kill.once}.turns"
    _append(turns, "x")
    return Path(turns).stat().st_size // 2


def _append(path: str, line: str) -> None:
    with Path(path).open("a") as file:  # one short write: lines of processes do not mix
        file.write(f"{line}\n")


def _die(kill: Kill) -> None:
    Path(kill.once).touch()
    os.kill(os.getpid(), signal.SIGKILL)


class _HalfWriting:
    """The module `os`, whose files kill the process when half of their bytes are on disk."""

    def __init__(self, kill: Kill) -> None:
        self._kill = kill

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fdopen(self, descriptor: int, mode: str) -> Any:
        kill = self._kill

        class Half:
            def __enter__(self) -> Half:
                return self

            def __exit__(self, *error: object) -> None:
                raise AssertionError("the process outlived its kill")

            def write(self, data: bytes) -> None:
                os.write(descriptor, data[: len(data) // 2])
                os.fsync(descriptor)
                _die(kill)

        return Half()
