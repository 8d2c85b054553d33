"""The process in which a job's functions run; `labelmill.guard` starts it and talks to it.

Whatever a function does there (hang, crash, exit, use up memory) ends this process and not the
one that runs the job.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.batchview import BatchView
from labelmill.calling import Called, Caller
from labelmill.combining import with_parts
from labelmill.errors import LabelmillError
from labelmill.filecache import FILE_CACHE
from labelmill.labeling import AnyLabelingFunction, LabelingFunction, Matcher, takes_batches
from labelmill.watchdog import BEAT_SECONDS, Watchdog, end_with

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
        state: File that tells the parent what is going on.
        dump: File that says where it hung.
        log: File for what functions print.
        parent: Process id of the one that started it.
        alive: End of a pipe that it holds open.
    """

    job: Any
    limit: float
    state: str
    dump: str
    log: str
    parent: int
    alive: int


class _Worker:
    def __init__(self, start: Start, watchdog: Watchdog) -> None:
        functions = with_parts(start.job.functions())
        self._functions = [_searching(f) if isinstance(f, Matcher) else f for f in functions]
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
            return self._caller.call(lf, view, max_faults=task.max_faults)
        finally:
            self._watchdog.end()

    def _limit_of(self, lf: AnyLabelingFunction, rows: int) -> float:
        if isinstance(lf, LabelingFunction) and lf.timeout is not None:
            return lf.timeout + 2 * BEAT_SECONDS  # a call that ends too late says so itself
        return self._limit + rows * BATCH_SECONDS_PER_ROW if takes_batches(lf) else self._limit


def _searching(matcher: Matcher) -> LabelingFunction:
    """Return a function that searches an expression: 0 where it is found."""
    search, field = re.compile(matcher.pattern, matcher.flags).search, matcher.field

    def found(x: Any) -> int | None:
        text = getattr(x, field)
        return 0 if text is not None and search(text) else None

    return LabelingFunction(matcher.name, found)


def main(inward: BinaryIO, outward: BinaryIO) -> None:
    """Serve until the parent closes the pipe, and end at once then, threads or not."""
    try:
        _serve(inward, outward)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _serve(inward: BinaryIO, outward: BinaryIO) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    receive = Connection(os.dup(inward.fileno()), writable=False)
    send = Connection(os.dup(outward.fileno()), readable=False)
    for pipe in (receive, send):
        os.register_at_fork(after_in_child=pipe.close)  # a child that lasts must not hold them open
    pid = os.getpid()
    start: Start = pickle.loads(receive.recv_bytes())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    folder = Path(start.state).parent
    end_with(start.parent, start.alive, str(folder))
    watchdog = Watchdog(start.limit, start.state, start.dump, start.log)
    FILE_CACHE.folder = str(folder / "files")
    worker = _Worker(start, watchdog)
    send.send_bytes(pickle.dumps(pid))
    while True:
        try:
            message = receive.recv_bytes()
        except EOFError:
            return
        if message[:1] == b"B":
            worker.open(message[1:])
            continue
        try:
            answer: Any = worker.run(pickle.loads(message[1:]))
        except BaseException as error:
            answer = RuntimeError(str(error) if isinstance(error, LabelmillError) else repr(error))
        if os.getpid() != pid:  # a function forked, and its child came back out of it
            os._exit(0)
        send.send_bytes(pickle.dumps(answer, protocol=5))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
