"""The process in which a job's functions run; `labelmill.guard` starts it and talks to it.

Whatever a function does there (hang, crash, exit, use up memory) ends this process and not the
one that runs the job. It watches itself: where no record is finished within the time limit,
`faulthandler` writes where it hangs and ends the process from a thread that needs no lock of
Python's, so that even an expression that backtracks for ever is stopped.
"""

from __future__ import annotations

import contextlib
import faulthandler
import math
import mmap
import os
import pickle
import re
import shutil
import signal
import struct
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.batchview import BatchView, Watch
from labelmill.calling import Called, Caller
from labelmill.combining import with_parts
from labelmill.errors import LabelmillError
from labelmill.filecache import FILE_CACHE
from labelmill.labeling import AnyLabelingFunction, LabelingFunction, Matcher, takes_batches
from labelmill.outcomes import bucket_of

STATE = struct.Struct("qdd")
"""What the parent reads: a record's number, when it was noted, and by when a call has to end."""

LOADING = -1
"""In the place of a record's number: what a function needs is being loaded."""

LOAD_SECONDS = 900.0
"""How long that may take: a large model, on a machine that is busy."""

BEAT_SECONDS = 0.05
LOG_BYTES = 1 << 20
BATCH_SECONDS_PER_ROW = 0.02
"""Added to the time limit of a call on a batch, per record in it."""


@dataclass(frozen=True)
class Task:
    """One function to call on a batch.

    Attributes:
        position: The function.
        rows: int64, rows to call it on; None for all.
        max_faults: Samples of faults to keep.
        every_record: Whether to note each record before it is seen, to find one that crashes.
    """

    position: int
    rows: npt.NDArray[np.int64] | None
    max_faults: int
    every_record: bool = False


@dataclass(frozen=True)
class Start:
    """The first message: what to load.

    Attributes:
        job: A `labelmill.job.PreparedJob`; anything with `functions()` and `table`.
        limit: Seconds that a record may take.
        state: File that tells the parent which record is being seen.
        dump: File that says where it hung.
        log: File for what functions print.
        parent: Process id of the one that started it.
    """

    job: Any
    limit: float
    state: str
    dump: str
    log: str
    parent: int


class _Watchdog:
    """Ends the process when no record is finished in time; a `labelmill.batchview.Watch`.

    Args:
        start: Limit and files.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._dump = Path(start.dump).open("wb")  # noqa: SIM115 - open as long as the process
        state = Path(start.state).open("r+b")  # noqa: SIM115
        self._deadline = math.inf
        self._state = mmap.mmap(state.fileno(), STATE.size)
        self._log = os.open(start.log, os.O_WRONLY | os.O_APPEND)
        os.dup2(self._log, 1)
        os.dup2(self._log, 2)
        faulthandler.enable(self._dump, all_threads=False)  # crashes say where as well
        self._view: BatchView | None = None
        self._limit = 0.0
        self._seen = LOADING
        self.every_record = False
        self._lock = threading.Lock()
        threading.Thread(target=self._beat, daemon=True).start()

    def begin(self, view: BatchView, limit: float, every_record: bool) -> None:
        """Start the clock for a call whose progress `view` tells, once it has loaded its needs."""
        with self._lock:
            view.progress = ()
            self._view, self._limit, self._seen = view, limit, LOADING
            self.every_record = every_record
            self._arm(LOAD_SECONDS)
            self.sees(LOADING)

    def ready(self) -> None:
        """From here on, time is spent on records."""
        with self._lock:
            self._seen = 0
            self._arm(self._limit)
            self.sees(0)

    def sees(self, row: int) -> None:
        """Tell the parent which record is being seen."""
        STATE.pack_into(self._state, 0, row, time.time(), self._deadline)

    def end(self) -> None:
        """Stop the clock."""
        with self._lock:
            self._view = None
            self._deadline = math.inf
            self.sees(max(self._seen, 0))
            faulthandler.cancel_dump_traceback_later()

    def leave(self) -> NoReturn:
        """End the process at once, with all that functions left behind: threads and processes."""
        shutil.rmtree(Path(self._start.state).parent, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)
        os._exit(0)

    def _arm(self, seconds: float) -> None:
        self._deadline = time.time() + seconds
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._dump)

    def _beat(self) -> None:
        while True:
            with self._lock:
                if self._view is not None and self._seen != LOADING:
                    moved = len(self._view.progress) != self._seen
                    self._seen = len(self._view.progress)
                    if moved:
                        self._arm(self._limit)
                    if not self.every_record:
                        self.sees(self._seen)
                interval = min(BEAT_SECONDS, self._limit / 4) if self._view else BEAT_SECONDS
            if os.getppid() != self._start.parent:
                self.leave()
            with contextlib.suppress(OSError):  # a function closed files that it did not open
                if os.fstat(self._log).st_size > LOG_BYTES:
                    os.ftruncate(self._log, 0)
            time.sleep(interval)


class _Worker:
    def __init__(self, start: Start, watchdog: _Watchdog) -> None:
        self._functions = with_parts(start.job.functions())
        self._caller = Caller(start.job.table.class_names)
        self._limit = start.limit
        self._watchdog = watchdog
        self._view: BatchView | None = None

    def open(self, data: bytes) -> None:
        """Take a batch."""
        self._view = BatchView(pa.ipc.open_stream(data).read_next_batch(), self._watchdog)

    def run(self, task: Task) -> Called:
        """Call a function on the batch."""
        view, lf = self._view, self._functions[task.position]
        assert view is not None
        if task.rows is not None:
            view = BatchView(view.batch.take(pa.array(task.rows)), self._watchdog)
        limit = self._limit_of(lf, view.batch.num_rows)
        self._watchdog.begin(view, limit, task.every_record)
        try:
            if isinstance(lf, Matcher):
                return _search(lf, view, self._watchdog)
            return self._caller.call(lf, view, max_faults=task.max_faults)
        finally:
            self._watchdog.end()

    def _limit_of(self, lf: AnyLabelingFunction, rows: int) -> float:
        if isinstance(lf, LabelingFunction) and lf.timeout is not None:
            return lf.timeout + 2 * BEAT_SECONDS  # a call that ends too late says so itself
        return self._limit + rows * BATCH_SECONDS_PER_ROW if takes_batches(lf) else self._limit


def _search(matcher: Matcher, view: BatchView, watch: Watch) -> Called:
    """Search an expression in all rows of a view; 0 where it is found, abstain elsewhere."""
    started = time.perf_counter()
    search = re.compile(matcher.pattern, matcher.flags).search
    found: list[int] = []
    view.progress = found
    watch.ready()
    for row, text in enumerate(view.batch.column(matcher.field).to_pylist()):
        if watch.every_record:
            watch.sees(row)
        found.append(0 if text is not None and search(text) else -1)
    called = Called(np.array(found, dtype=np.int16))
    called.seconds = time.perf_counter() - started
    if found:
        called.times[bucket_of(called.seconds * 1e9 / len(found))] = len(found)
    return called


def main(inward: BinaryIO, outward: BinaryIO) -> None:
    """Serve until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    receive = Connection(os.dup(inward.fileno()), writable=False)
    send = Connection(os.dup(outward.fileno()), readable=False)
    for pipe in (receive, send):
        os.register_at_fork(after_in_child=pipe.close)  # a child that lasts must not hold them open
    pid = os.getpid()
    start: Start = pickle.loads(receive.recv_bytes())
    watchdog = _Watchdog(start)
    FILE_CACHE.folder = str(Path(start.state).parent / "files")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    worker = _Worker(start, watchdog)
    send.send_bytes(pickle.dumps(pid))
    while True:
        try:
            message = receive.recv_bytes()
        except EOFError:
            watchdog.leave()
        if message[:1] == b"B":
            worker.open(message[1:])
            continue
        try:
            answer: Any = worker.run(pickle.loads(message[1:]))
        except BaseException as error:
            said = str(error) if isinstance(error, LabelmillError) else f"{error!r}"
            answer = RuntimeError(said)
        if os.getpid() != pid:  # a function forked, and its child came back out of it
            os._exit(0)
        send.send_bytes(pickle.dumps(answer, protocol=5))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
