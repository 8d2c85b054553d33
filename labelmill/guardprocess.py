"""The process of the functions as its parent sees it: pipes, files, and how it ended."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from labelmill.batchview import Phase
from labelmill.calling import OWN_FILES
from labelmill.errors import LabelingFunctionError
from labelmill.guarded import Start, Task
from labelmill.outcomes import Fault
from labelmill.watchdog import BEAT_SECONDS, LOAD_SECONDS, State

POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0
"""After the time by which the process should have ended itself, until it is ended from here."""

TIME_LIMIT_EXCEEDED = "TimeLimitExceeded"


@dataclass(frozen=True)
class Death:
    """How the process ended while a function ran.

    Attributes:
        phase: What it was doing.
        row: The record that it saw, in phases that go one after the other.
        fault: Why; without function, record and, for a time limit, message.
        is_fresh: Whether `row` is sure to be where a time limit was exceeded.
    """

    phase: Phase
    row: int
    fault: Fault
    is_fresh: bool


class GuardProcess:
    """The process, its pipes and files.

    Args:
        job: What it loads.
        limit: Seconds that a record may take.
    """

    def __init__(self, job: Any, limit: float) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="labelmill-"))
        self._files = {name: self._folder / name for name in ("state", "dump", "log")}
        for name, path in self._files.items():
            path.write_bytes(State.at_start().to_bytes() if name == "state" else b"")
        self.batch: pa.RecordBatch | None = None
        self.left = ""
        """What it printed before it ended, as far as nobody had asked for it."""
        self._ready = False
        self._read = 0
        alive, held = os.pipe()
        with self._files["log"].open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_MAIN}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[alive],
                start_new_session=True,
            )
        os.close(alive)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._send = Connection(os.dup(stdin.fileno()), readable=False)
        self._receive = Connection(os.dup(stdout.fileno()), writable=False)
        stdin.close()
        stdout.close()
        pipes = (self._send, self._receive, Connection(held, readable=False))
        self.close = weakref.finalize(self, _end, self._process, pipes, self._folder)
        paths = {name: str(path) for name, path in self._files.items()}
        start = Start(job, limit, **paths, parent=os.getpid(), alive=alive)
        with contextlib.suppress(OSError):  # it ended already: the first answer will tell
            self._send.send_bytes(pickle.dumps(start))

    def send_batch(self, batch: pa.RecordBatch) -> None:
        """Hand a batch over.

        Raises:
            LabelingFunctionError: The process did not start.
            EOFError, OSError: It has ended, or was closed.
        """
        self._wait_ready()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        self._send.send_bytes(b"B" + sink.getvalue().to_pybytes())
        self.batch = batch

    def ask(self, task: Task) -> Any:
        """Return the answer to a task.

        Raises:
            EOFError, OSError: The process has ended, or was closed.
        """
        self._send.send_bytes(b"T" + pickle.dumps(task))
        return pickle.loads(self._answer())

    def printed(self) -> str:
        """Return what was printed since this was last called."""
        if not self.close.alive:
            return ""
        data = self._files["log"].read_bytes()
        if len(data) < self._read:  # it was cut
            self._read = 0
        new, self._read = data[self._read :], len(data)
        return new.decode("utf-8", "replace")

    def post_mortem(self) -> Death:
        """Return how the process ended; what is left of it is ended as well."""
        code = self._exit_code()
        state = self._state()
        self.left = self.printed()
        last = self.left.strip().rpartition("\n")[2]
        dump = self._files["dump"].read_text("utf-8", "replace")
        since_noted = time.monotonic() - state.noted
        since_dump = time.time() - self._files["dump"].stat().st_mtime
        self.close()
        if dump.startswith("Timeout"):
            # While an extension holds Python's lock, nobody notes the record.
            is_fresh = since_noted - since_dump < 4 * BEAT_SECONDS
            fault = Fault("", "", "fault", TIME_LIMIT_EXCEEDED, "", _frames(dump))
            return Death(state.phase, state.row, fault, is_fresh)
        said = f" (last said: {last:.200})" if last else ""
        message = f"the process that ran it ended: {_how_it_ended(code)}{said}"
        fault = Fault("", "", "fault", "ProcessDied", message, _frames(dump))
        return Death(state.phase, state.row, fault, is_fresh=False)

    def _wait_ready(self) -> None:
        if self._ready:
            return
        try:
            self._answer()
        except (EOFError, OSError):
            if not self.close.alive:  # it was ended from here
                raise
            death = self.post_mortem()
            last = self.left.strip().rpartition("\n")[2]
            if death.fault.type == TIME_LIMIT_EXCEEDED or time.monotonic() > self._overdue:
                last = f"loading the functions took more than {LOAD_SECONDS:g} s"
            raise LabelingFunctionError(
                "the process that runs the labeling functions did not start: "
                f"{last or death.fault.message}"
            ) from None
        self._ready = True

    def _answer(self) -> bytes:
        """Return what the process sends; its end counts, whoever else holds the pipe open."""
        self._overdue = math.inf
        while not self._receive.poll(POLL_SECONDS):
            if self._process.poll() is not None and not self._receive.poll(0):
                raise EOFError
            self._overdue = self._state().deadline + GRACE_SECONDS
            if time.monotonic() > self._overdue:  # it cannot even end itself
                self._process.kill()
        return self._receive.recv_bytes()

    def _state(self) -> State:
        return State.from_bytes(self._files["state"].read_bytes())

    def _exit_code(self) -> int:
        try:
            return self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # it closed its pipes, and lives
            self._process.kill()
            return self._process.wait()


_MAIN = "from labelmill.guarded import main; main(sys.stdin.buffer, sys.stdout.buffer)"


def _end(process: subprocess.Popen[bytes], pipes: tuple[Connection, ...], folder: Path) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # it keeps nothing that would be lost
    for pipe in pipes:
        pipe.close()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


_FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)')


def _frames(dump: str) -> str:
    """Return the main thread's frames of a dump, outermost first, without labelmill's own."""
    last = dump.rsplit("(most recent call first):", 1)[-1]
    found = [m for m in map(_FRAME.match, last.splitlines()) if m]
    frames = [m for m in found if m[1] not in OWN_FILES and m[1] != "<string>"]
    return "".join(f'  File "{m[1]}", line {m[2]}, in {m[3]}\n' for m in reversed(frames))
