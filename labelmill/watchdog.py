"""How the process of the functions ends itself, and what it leaves for its parent to read.

Where no record is finished in time, `faulthandler` writes where it hangs and ends the process from
a thread that needs no lock of Python's, so that even an expression that backtracks for ever is
stopped. A file of a few bytes says what the process was doing when it ended.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import select
import shutil
import signal
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from labelmill.batchview import BatchView, Phase

BEAT_SECONDS = 0.05
LOG_BYTES = 1 << 20
LOAD_SECONDS = 900.0
"""How long loading may take: a large model, on a machine that is busy."""

_POLL_SECONDS = 1.0
_LAYOUT = struct.Struct("qqdd")


@dataclass(frozen=True)
class State:
    """What the parent reads.

    Attributes:
        phase: What the process is doing.
        row: The record that it sees, in phases that go one after the other.
        noted: When that was written, by the machine's monotonic clock.
        deadline: By when it has to be further.
    """

    phase: Phase
    row: int
    noted: float
    deadline: float

    SIZE = _LAYOUT.size

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return _LAYOUT.pack(self.phase, self.row, self.noted, self.deadline)

    @classmethod
    def from_bytes(cls, content: bytes) -> State:
        """Read what `to_bytes` wrote."""
        phase, row, noted, deadline = _LAYOUT.unpack(content)
        return cls(Phase(phase), row, noted, deadline)

    @classmethod
    def at_start(cls) -> State:
        """Return the state of a process that has just been started."""
        now = time.monotonic()
        return cls(Phase.LOADING, 0, now, now + LOAD_SECONDS)


class Watchdog:
    """Ends this process when no record is finished in time; a `labelmill.batchview.Watch`.

    Args:
        limit: Seconds that a record may take.
        state: File that tells the parent what is going on.
        dump: File that says where it hung.
        log: File for what functions print.
    """

    def __init__(self, limit: float, state: str, dump: str, log: str) -> None:
        self._limit = limit
        self._dump = Path(dump).open("wb")  # noqa: SIM115 - open as long as the process
        with Path(state).open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), State.SIZE)
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(self._log, 1)
        os.dup2(self._log, 2)
        faulthandler.enable(self._dump, all_threads=False)  # crashes say where as well
        self.every_record = False
        self._view: BatchView | None = None
        self._phase = Phase.LOADING
        self._seconds = LOAD_SECONDS
        self._own_limit = limit
        self._deadline = 0.0
        self._seen = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._beat, daemon=True).start()

    def begin(self, view: BatchView, limit: float, every_record: bool) -> None:
        """Start the clock for a call whose progress `view` tells.

        Args:
            view: The batch.
            limit: Seconds that the function may take on a record.
            every_record: Whether to note each record before it is seen.
        """
        view.progress = ()
        self.every_record, self._own_limit = every_record, limit
        self._view = view
        self.enters(Phase.LOADING)

    def enters(self, phase: Phase) -> None:
        """Note what comes next, and give it its time."""
        limits = {Phase.LOADING: LOAD_SECONDS, Phase.CALLING: self._own_limit,
                  Phase.BATCH: self._own_limit}  # fmt: skip
        with self._lock:
            self._phase, self._seen = phase, 0
            self._arm(limits.get(phase, self._limit))
            self.sees(0)

    def sees(self, row: int) -> None:
        """Note the record that is being seen."""
        now = time.monotonic()
        self._state[:] = State(self._phase, row, now, self._deadline).to_bytes()

    def end(self) -> None:
        """Stop the clock; what was noted last stays."""
        with self._lock:
            self._view = None
            faulthandler.cancel_dump_traceback_later()
            self._deadline = float("inf")
            state = State.from_bytes(self._state[:])
            self._state[:] = State(Phase.ENDED, state.row, state.noted, self._deadline).to_bytes()

    def _arm(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._dump)

    def _beat(self) -> None:
        while True:
            with self._lock:
                if self._view is not None:
                    moved = len(self._view.progress) != self._seen
                    self._seen = len(self._view.progress)
                    if moved:
                        self._arm(self._seconds)
                    if not self.every_record and self._phase in (
                        Phase.PREPROCESSING, Phase.CALLING,
                    ):  # fmt: skip
                        self.sees(self._seen)
                interval = min(BEAT_SECONDS, self._seconds / 4) if self._view else BEAT_SECONDS
            with contextlib.suppress(OSError):  # a function closed files that it did not open
                if os.fstat(self._log).st_size > LOG_BYTES:
                    os.ftruncate(self._log, 0)
            time.sleep(interval)


def end_with(parent: int, alive: int, folder: str) -> None:
    """Let this process, and all that functions start in it, end when its parent has ended.

    A process of its own looks for that: this one may be in an extension that lets no thread run.

    Args:
        parent: Process id of the parent.
        alive: End of a pipe that the parent holds open.
        folder: Deleted then.
    """
    guarded = os.getpid()
    if os.fork():
        os.close(alive)
        return
    while os.getppid() == guarded:
        closed, _, _ = select.select([alive], [], [], _POLL_SECONDS)
        if closed or not is_running(parent):
            shutil.rmtree(folder, ignore_errors=True)
            os.killpg(0, signal.SIGKILL)
    os._exit(0)


def is_running(process: int) -> bool:
    """Whether there is a process with this number."""
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True
