"""Runs functions in a process of their own, so that none can take the job with it.

A function that does not return within the time limit, or that ends its process (a crash in an
extension, ``os._exit``), costs the record that it was seeing: the process is started again and goes
on with the records around. After some such records the function is stopped: the others are faults
without being tried.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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
import pyarrow.compute as pc

from labelmill.calling import ABSTAINED, FAULTED, OWN_FILES, Called
from labelmill.errors import LabelingFunctionError
from labelmill.guarded import BEAT_SECONDS, STATE, Start, Task
from labelmill.labeling import AnyLabelingFunction, LabelingFunction, takes_batches
from labelmill.outcomes import Fault, add_times
from labelmill.records import ID

MAX_STOPS = 3
"""Records on which a function may hang or crash before it is stopped, in one process,"""

ROWS_PER_STOP = 10_000
"""and one more for so many records that it returned from."""

Rows = npt.NDArray[np.int64]


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
        self._stops: dict[int, dict[str, Fault]] = defaultdict(dict)
        self._seen: dict[int, int] = defaultdict(int)
        self._batch: pa.RecordBatch | None = None

    def start(self) -> None:
        """Start the process without waiting for it, where work is sure to come."""
        with self._lock:
            if self._process is None:
                self._process = _Process(self._job, self._limit)

    def run(
        self, batch: pa.RecordBatch, tasks: Sequence[tuple[int, Rows | None]], max_faults: int
    ) -> list[Called]:
        """Call functions on a batch.

        Args:
            batch: Records with their ids.
            tasks: Functions by position, each with the rows to call it on, or None for all.
            max_faults: Samples of faults to keep per function.

        Returns:
            What each did on its rows, in the order of `tasks`.
        """
        with self._lock:
            self._batch = batch
            if self._process is not None:
                self._process.batch = None
            return [self._run(position, rows, max_faults) for position, rows in tasks]

    def printed(self) -> str:
        """Return what functions printed since this was last called."""
        with self._lock:
            return "" if self._process is None else self._process.printed()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None

    def _run(self, position: int, rows: Rows | None, max_faults: int) -> Called:
        """Call one function, cutting its rows around those that it does not return from."""
        assert self._batch is not None
        n_rows = self._batch.num_rows if rows is None else len(rows)
        total = Called(np.full(n_rows, ABSTAINED, dtype=np.int16))
        pieces = [(start, stop, False) for start, stop in self._around_known(position, rows, total)]
        while pieces:
            start, stop, watched = pieces.pop()
            if start >= stop:
                continue
            if self._is_stopped(position):
                self._refuse(position, rows, range(start, stop), total, max_faults)
                continue
            whole = rows is None and (start, stop) == (0, n_rows)
            chosen = None
            if not whole:
                chosen = np.arange(start, stop) if rows is None else rows[start:stop]
            answer = self._ask(Task(position, chosen, max_faults, watched))
            if isinstance(answer, Called):
                _merge(total, answer, start, max_faults)
                self._seen[position] += stop - start
                continue
            row, fault, certain = answer
            if not certain and not watched and stop - start > 1:
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
            self._stops[position][named.id] = named
            total.codes[row] = FAULTED
            if len(total.faults) < max_faults:
                total.faults[row] = named
            pieces += [(row + 1, stop, False), (start, row, False)]
        total.faults = dict(sorted(total.faults.items())[:max_faults])
        return total

    def _is_stopped(self, position: int) -> bool:
        allowed = MAX_STOPS + self._seen[position] // ROWS_PER_STOP
        return len(self._stops[position]) >= allowed

    def _around_known(
        self, position: int, rows: Rows | None, total: Called
    ) -> list[tuple[int, int]]:
        """Make faults of records that are known to hang or crash; return the pieces between."""
        known = self._stops[position]
        found: list[int] = []
        if known and self._batch is not None:
            ids = self._batch.column(ID)
            ids = ids if rows is None else ids.take(pa.array(rows))
            found = np.flatnonzero(pc.is_in(ids, value_set=pa.array(list(known)))).tolist()
            for row in found:
                total.codes[row] = FAULTED
                total.faults[row] = known[ids[row].as_py()]
        return [(a + 1, b) for a, b in itertools.pairwise([-1, *found, len(total.codes)])]

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
        stops = self._stops[position]
        first = next(iter(stops.values()))
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
        assert process is not None
        assert self._batch is not None
        try:
            if process.batch is not self._batch:
                process.send_batch(self._batch)
            answer = process.ask(task)
        except (EOFError, OSError):
            self._process = None
            return process.post_mortem()
        if isinstance(answer, BaseException):
            raise LabelingFunctionError(
                f"labeling function {self._lfs[task.position].name!r}: {answer}"
            )
        assert isinstance(answer, Called)
        return answer


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
            path.write_bytes(bytes(STATE.size) if path.name == "state" else b"")
        self._files = files
        self.batch: pa.RecordBatch | None = None
        self._ready = False
        self._read = 0
        with files["log"].open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_MAIN}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
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
        return pickle.loads(self._receive.recv_bytes())

    def _wait_ready(self) -> None:
        if self._ready:
            return
        try:
            self._receive.recv_bytes()
        except (EOFError, OSError):
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
        data = self._files["log"].read_bytes()
        if len(data) < self._read:  # it was cut
            self._read = 0
        new, self._read = data[self._read :], len(data)
        return new.decode("utf-8", "replace")

    def post_mortem(self) -> tuple[int, Fault, bool]:
        """Return what the ended process was seeing, and why it ended."""
        code = self._process.wait()
        row, noted = STATE.unpack(self._files["state"].read_bytes())
        dump = self._files["dump"].read_text("utf-8", "replace")
        dumped = self._files["dump"].stat().st_mtime
        self.close()
        if dump.startswith("Timeout"):
            # While an extension holds Python's lock, nobody notes the record.
            certain = dumped - noted < 4 * BEAT_SECONDS
            frames = _frames(dump)
            return row, Fault("", "", "fault", "TimeLimitExceeded", "", frames), certain
        message = f"the process that ran it ended: {_how_it_ended(code)}"
        return row, Fault("", "", "fault", "ProcessDied", message, _frames(dump)), False


_MAIN = "from labelmill.guarded import main; main(sys.stdin.buffer, sys.stdout.buffer)"


def _end(
    process: subprocess.Popen[bytes], send: Connection, receive: Connection, folder: Path
) -> None:
    process.kill()  # it keeps nothing that would be lost
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
