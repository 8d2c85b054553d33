"""Runs functions in a process of their own, so that none can take the job with it.

A function that does not return within the time limit, or that ends its process (a crash in an
extension, ``os._exit``), costs the record that it was seeing: the process is started again and goes
on with the records around. After some such records the function is stopped: the others are faults
without being tried.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.calling import OWN_FILES, Called
from labelmill.encoding import ABSTAINED, FAULTED
from labelmill.errors import LabelingFunctionError
from labelmill.guarded import BEAT_SECONDS, LOAD_SECONDS, LOADING, STATE, Start, Task
from labelmill.labeling import AnyLabelingFunction, LabelingFunction, takes_batches
from labelmill.outcomes import Fault, add_times
from labelmill.records import ID

MAX_STOPS = 3
"""Records of a shard on which a function may hang or crash before it is stopped,"""

ROWS_PER_STOP = 10_000
"""and one more for so many records that it returned from."""

Rows = npt.NDArray[np.int64]

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 15.0
"""After the time by which the process should have ended itself, until it is ended from here."""


class Stops:
    """What functions did not return from, among records that are judged together: a shard's.

    Counted where the records are, not where they run, so that votes do not depend on which
    process saw which shard.
    """

    def __init__(self) -> None:
        self.faults: dict[int, list[Fault]] = defaultdict(list)
        """By position of the function: what ended the process, or would not end."""
        self._seen: dict[int, int] = defaultdict(int)

    def returned(self, position: int, records: int) -> None:
        """Count records that a function returned from."""
        self._seen[position] += records

    def is_stopped(self, position: int) -> bool:
        """Whether a function is not to be tried any more."""
        allowed = MAX_STOPS + self._seen[position] // ROWS_PER_STOP
        return len(self.faults[position]) >= allowed

    @property
    def depend_on_limit(self) -> bool:
        """Whether a longer time limit could have given other votes."""
        faults = itertools.chain.from_iterable(self.faults.values())
        return any(fault.type == "TimeLimitExceeded" for fault in faults)


class Guard:
    """A process that runs the functions of one job; started when it is first needed.

    Args:
        job: A `labelmill.job.PreparedJob`: what the process loads.
        lfs: Its functions and their parts, as `labelmill.combining.with_parts` gives them.
        limit: Seconds that a function may take on a record.
    """

    def __init__(self, job: Any, lfs: Sequence[AnyLabelingFunction], limit: float) -> None:
        self._job = job
        self._lfs = tuple(lfs)
        self._limit = limit
        self._lock = threading.RLock()
        self._process: _Process | None = None
        self.closed = False
        self._printed = ""
        self._batch: pa.RecordBatch | None = None
        self._stops = Stops()
        _GUARDS.add(self)

    def start(self) -> None:
        """Start the process without waiting for it, where work is sure to come."""
        with self._lock:
            if self._process is None and not self.closed:
                self._process = _Process(self._job, self._limit)

    def run(
        self,
        batch: pa.RecordBatch,
        tasks: Sequence[tuple[int, Rows | None]],
        max_faults: int,
        stops: Stops,
    ) -> list[Called]:
        """Call functions on a batch.

        Args:
            batch: Records with their ids.
            tasks: Functions by position, each with the rows to call it on, or None for all.
            max_faults: Samples of faults to keep per function.
            stops: What functions did not return from so far; it is added to.

        Returns:
            What each did on its rows, in the order of `tasks`.

        Raises:
            LabelingFunctionError: The functions, or what one needs, cannot be loaded; or this was
                closed meanwhile.
        """
        with self._lock:
            self._batch, self._stops = batch, stops
            if self._process is not None:
                self._process.batch = None
            return [self._run(position, rows, max_faults) for position, rows in tasks]

    def printed(self) -> str:
        """Return what functions printed since this was last called."""
        with self._lock:
            printed, self._printed = self._printed, ""
            return printed + ("" if self._process is None else self._process.printed())

    def close(self) -> None:
        """End the process for good, without waiting for what it is doing."""
        self.closed = True
        process = self._process
        if process is not None:
            process.close()

    def _run(self, position: int, rows: Rows | None, max_faults: int) -> Called:
        """Call one function, cutting its rows around those that it does not return from."""
        assert self._batch is not None
        n_rows = self._batch.num_rows if rows is None else len(rows)
        total = Called(np.full(n_rows, ABSTAINED, dtype=np.int16))
        pieces = [(0, n_rows, False)]
        while pieces:
            start, stop, one_by_one = pieces.pop()
            if start >= stop:
                continue
            if self._stops.is_stopped(position):
                self._refuse(position, rows, range(start, stop), total, max_faults)
                continue
            whole = rows is None and (start, stop) == (0, n_rows)
            chosen = None
            if not whole:
                chosen = np.arange(start, stop) if rows is None else rows[start:stop]
            answer = self._ask(Task(position, chosen, max_faults, one_by_one))
            if isinstance(answer, Called):
                _merge(total, answer, start, max_faults)
                self._stops.returned(position, stop - start)
                continue
            row, fault, certain = answer
            if not certain and not one_by_one and stop - start > 1:
                pieces.append((start, stop, True))  # find out which record it is
                continue
            lf = self._lfs[position]
            is_batch = takes_batches(lf)
            if is_batch and stop - start > 1:
                half = (start + stop) // 2
                pieces += [(half, stop, False), (start, half, False)]
                continue
            row = start if is_batch else min(start + row, stop - 1)
            named = replace(
                fault,
                lf=lf.name,
                id=self._id_of(rows, row),
                message=fault.message or f"did not return within {self._limit_of(lf):g} s",
            )
            self._stops.faults[position].append(named)
            total.seconds += self._limit_of(lf) if fault.type == "TimeLimitExceeded" else 0.0
            total.codes[row] = FAULTED
            if len(total.faults) < max_faults:
                total.faults[row] = named
            pieces += [(row + 1, stop, False), (start, row, False)]
        total.faults = dict(sorted(total.faults.items())[:max_faults])
        return total

    def _limit_of(self, lf: AnyLabelingFunction) -> float:
        declared = lf.timeout if isinstance(lf, LabelingFunction) else None
        return self._limit if declared is None else declared

    def _id_of(self, rows: Rows | None, row: int) -> str:
        assert self._batch is not None
        place = row if rows is None else int(rows[row])
        return str(self._batch.column(ID)[place].as_py())

    def _refuse(
        self, position: int, rows: Rows | None, places: range, total: Called, max_faults: int
    ) -> None:
        """Make faults of records that a stopped function does not see."""
        stops = self._stops.faults[position]
        first = stops[0]
        total.codes[places.start : places.stop] = FAULTED
        for row in itertools.islice(places, max(0, max_faults - len(total.faults))):
            total.faults[row] = Fault(
                self._lfs[position].name,
                self._id_of(rows, row),
                "fault",
                "FunctionStopped",
                f"not tried: the function was stopped after {len(stops)} records such as "
                f"{first.id} ({first.type}: {first.message})",
            )

    def _ask(self, task: Task) -> Called | tuple[int, Fault, bool]:
        """Return what a function did, or how it ended the process: row, fault, whether sure."""
        self.start()
        process = self._process
        assert self._batch is not None
        try:
            if process is None:
                raise EOFError
            if process.batch is not self._batch:
                process.send_batch(self._batch)
            answer = process.ask(task)
        except (EOFError, OSError):
            self._process = None
            if process is None or self.closed:
                raise LabelingFunctionError(
                    "the process that runs the labeling functions was ended"
                ) from None
            row, fault, certain = process.post_mortem()
            self._printed += process.left
            if row == LOADING:
                why = fault.message or f"it took more than {LOAD_SECONDS:g} s"
                raise LabelingFunctionError(
                    f"labeling function {self._lfs[task.position].name!r}: what it needs could not "
                    f"be loaded: {why}"
                ) from None
            return row, fault, certain
        if isinstance(answer, BaseException):
            raise LabelingFunctionError(
                f"labeling function {self._lfs[task.position].name!r}: {answer}"
            )
        assert isinstance(answer, Called)
        return answer


_GUARDS: weakref.WeakSet[Guard] = weakref.WeakSet()


def close_all() -> None:
    """End the processes of all functions that this process started, whatever they are doing."""
    for guard in list(_GUARDS):
        guard.close()


def _merge(total: Called, part: Called, start: int, max_faults: int) -> None:
    total.codes[start : start + len(part.codes)] = part.codes
    for row, fault in part.faults.items():
        if len(total.faults) < max_faults:
            total.faults[start + row] = fault
    total.seconds += part.seconds
    total.times = dict(add_times(total.times, part.times))


class _Process:
    """The process, its pipes and files."""

    def __init__(self, job: Any, limit: float) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="labelmill-"))
        files = {name: self._folder / name for name in ("state", "dump", "log")}
        for path in files.values():
            path.write_bytes(STATE.pack(0, 0.0, math.inf) if path.name == "state" else b"")
        self._files = files
        self.batch: pa.RecordBatch | None = None
        self.left = ""
        """What it printed before it ended, as far as nobody had asked for it."""
        self._ready = False
        self._read = 0
        with files["log"].open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_MAIN}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._send = Connection(os.dup(stdin.fileno()), readable=False)
        self._receive = Connection(os.dup(stdout.fileno()), writable=False)
        stdin.close()
        stdout.close()
        self.close = weakref.finalize(
            self, _end, self._process, self._send, self._receive, self._folder
        )
        paths = {name: str(path) for name, path in files.items()}
        with contextlib.suppress(OSError):  # it ended already: the first answer will tell
            self._send.send_bytes(pickle.dumps(Start(job, limit, **paths, parent=os.getpid())))

    def send_batch(self, batch: pa.RecordBatch) -> None:
        """Hand a batch over."""
        self._wait_ready()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        self._send.send_bytes(b"B" + sink.getvalue().to_pybytes())
        self.batch = batch

    def ask(self, task: Task) -> Any:
        """Return the answer to a task."""
        self._send.send_bytes(b"T" + pickle.dumps(task))
        return pickle.loads(self._answer())

    def _answer(self) -> bytes:
        """Return what the process sends; its end counts, whoever else holds the pipe open."""
        while not self._receive.poll(_POLL_SECONDS):
            if self._process.poll() is not None and not self._receive.poll(0):
                raise EOFError
            if time.time() > self._state()[2] + _GRACE_SECONDS:  # it cannot even end itself
                self._process.kill()
        return self._receive.recv_bytes()

    def _state(self) -> tuple[int, float, float]:
        """Return the record being seen, when that was noted, and by when the call has to end."""
        row, noted, deadline = STATE.unpack(self._files["state"].read_bytes())
        return row, noted, deadline

    def _wait_ready(self) -> None:
        if self._ready:
            return
        try:
            self._answer()
        except (EOFError, OSError):
            if not self.close.alive:  # it was ended from here
                raise
            self._process.wait()
            printed = self.printed().strip().splitlines()
            self.close()
            raise LabelingFunctionError(
                "the process that runs the labeling functions did not start: "
                f"{printed[-1] if printed else _how_it_ended(self._process.returncode)}"
            ) from None
        self._ready = True

    def printed(self) -> str:
        """Return what was printed since this was last called."""
        if not self.close.alive:
            return ""
        data = self._files["log"].read_bytes()
        if len(data) < self._read:  # it was cut
            self._read = 0
        new, self._read = data[self._read :], len(data)
        return new.decode("utf-8", "replace")

    def post_mortem(self) -> tuple[int, Fault, bool]:
        """Return what the ended process was seeing, and why it ended."""
        code = self._process.wait()
        row, noted, _ = self._state()
        self.left = self.printed()
        last = self.left.strip().rpartition("\n")[2]
        dump = self._files["dump"].read_text("utf-8", "replace")
        dumped = self._files["dump"].stat().st_mtime
        self.close()
        if dump.startswith("Timeout"):
            # While an extension holds Python's lock, nobody notes the record.
            certain = dumped - noted < 4 * BEAT_SECONDS
            frames = _frames(dump)
            return row, Fault("", "", "fault", "TimeLimitExceeded", "", frames), certain
        said = f" (last said: {last:.200})" if last else ""
        message = f"the process that ran it ended: {_how_it_ended(code)}{said}"
        return row, Fault("", "", "fault", "ProcessDied", message, _frames(dump)), False


_MAIN = "from labelmill.guarded import main; main(sys.stdin.buffer, sys.stdout.buffer)"


def _end(
    process: subprocess.Popen[bytes], send: Connection, receive: Connection, folder: Path
) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # it keeps nothing that would be lost
    for connection in (send, receive):
        connection.close()
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
