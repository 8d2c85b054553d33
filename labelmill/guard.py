"""Runs functions in a process of their own, so that none can take the job with it.

A function that does not return within the time limit, or that ends its process (a crash in an
extension, ``os._exit``), costs the record that it was seeing: the process is started again and goes
on with the records around. After some such records the function is stopped: the others are faults
without being tried.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.batchview import Phase
from labelmill.calling import Called
from labelmill.encoding import ABSTAINED, FAULTED
from labelmill.errors import LabelingFunctionError
from labelmill.guarded import Task
from labelmill.guardprocess import TIME_LIMIT_EXCEEDED, Death, GuardProcess
from labelmill.labeling import AnyLabelingFunction, LabelingFunction, takes_batches
from labelmill.outcomes import Fault, add_times
from labelmill.records import ID
from labelmill.watchdog import LOAD_SECONDS

MAX_STOPS = 3
"""Records of a shard on which a function hangs or crashes, with which it is stopped,"""

ROWS_PER_STOP = 10_000
"""and one more for so many records that it returned from."""

MAX_TIMEOUTS = 20
"""Calls that exceed the time limit, those that look for the record included, until then."""

Rows = npt.NDArray[np.int64]


class Stops:
    """What functions did not return from, among records that are judged together: a shard's.

    Counted where the records are, not where they run, so that votes do not depend on which
    process saw which shard.

    Args:
        most: Records on which a function may hang or crash until it is stopped.
    """

    def __init__(self, most: int = MAX_STOPS) -> None:
        self._most = most
        self.faults: dict[int, list[Fault]] = defaultdict(list)
        """By position of the function: what ended the process, or would not end."""
        self.depend_on_limit = False
        """Whether a job with a longer time limit could give other votes."""
        self._returned: dict[int, int] = defaultdict(int)
        self._timeouts: dict[int, int] = defaultdict(int)

    def returned(self, position: int, records: int) -> None:
        """Count records that a function returned from."""
        self._returned[position] += records

    def timed_out(self, position: int, *, limited_by_job: bool) -> None:
        """Count a call that exceeded its time limit."""
        self._timeouts[position] += 1
        self.depend_on_limit |= limited_by_job

    def is_stopped(self, position: int) -> bool:
        """Whether a function is not to be tried any more."""
        allowed = self._most + self._returned[position] // ROWS_PER_STOP
        many = self._timeouts[position] >= MAX_TIMEOUTS
        return len(self.faults[position]) >= allowed or (many and bool(self.faults[position]))


@dataclass(frozen=True)
class _Piece:
    """Rows of a task, [start, stop), that are still to be done.

    Attributes:
        every_record: Whether to note each record, since one of them ends the process.
        has_returned: Whether the function is known to return from all of them.
    """

    start: int
    stop: int
    every_record: bool = False
    has_returned: bool = False

    def halves(self) -> list[_Piece]:
        """Return both halves, the first one last: it is next."""
        half = (self.start + self.stop) // 2
        return [replace(self, start=half), replace(self, stop=half)]


@dataclass
class _Work:
    """A batch, and what is found out while functions run on it.

    Attributes:
        batch: Records with their ids.
        max_faults: Samples of faults to keep per function.
        stops: What functions did not return from so far.
        broken: By chain of preprocessors, the records that end the process in it.
    """

    batch: pa.RecordBatch
    max_faults: int
    stops: Stops
    broken: dict[tuple[int, ...], dict[int, Fault]] = field(default_factory=dict)

    def id_of(self, rows: Rows | None, row: int) -> str:
        """Return the id of a row of a task."""
        place = row if rows is None else int(rows[row])
        return str(self.batch.column(ID)[place].as_py())


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
        self._process: GuardProcess | None = None
        self.closed = False
        self._printed = ""
        _GUARDS.add(self)

    def start(self) -> None:
        """Start the process without waiting for it, where work is sure to come."""
        with self._lock:
            if self._process is None and not self.closed:
                self._process = GuardProcess(self._job, self._limit)

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
            work = _Work(batch, max_faults, stops)
            if self._process is not None:
                self._process.batch = None
            return [self._run(work, position, rows) for position, rows in tasks]

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

    def _run(self, work: _Work, position: int, rows: Rows | None) -> Called:
        """Call one function, cutting its rows around those that it does not return from."""
        n_rows = work.batch.num_rows if rows is None else len(rows)
        total = Called(np.full(n_rows, ABSTAINED, dtype=np.int16))
        pieces = self._pieces(work, position, rows, total)
        while pieces:
            piece = pieces.pop()
            if piece.start >= piece.stop:
                continue
            was_stopped = work.stops.is_stopped(position)
            if was_stopped and not piece.has_returned:
                self._refuse(work, position, rows, piece, total)
                continue
            answer = self._ask(work, _task(work, position, rows, piece, len(total.codes)))
            if isinstance(answer, Called):
                _merge(total, answer, piece.start, work.max_faults)
                work.stops.returned(position, piece.stop - piece.start)
                continue
            if answer.fault.type == TIME_LIMIT_EXCEEDED:
                total.seconds += self._limit_of(position)
                by_job = self._own_limit(position) is None
                work.stops.timed_out(position, limited_by_job=by_job)
            row = _culprit(piece, answer)
            if row is None and (piece.every_record or takes_batches(self._lfs[position])):
                pieces += piece.halves()
            elif row is None:
                pieces.append(replace(piece, every_record=True))
            else:
                self._blame(work, position, rows, row, answer, total)
                before = _Piece(piece.start, row, has_returned=not was_stopped)
                pieces += [_Piece(row + 1, piece.stop), before]
        total.faults = dict(sorted(total.faults.items())[: work.max_faults])
        return total

    def _pieces(self, work: _Work, position: int, rows: Rows | None, total: Called) -> list[_Piece]:
        """Return the rows between those on which a preprocessor has ended the process before."""
        broken = work.broken.get(self._chain(position), {})
        if rows is not None:
            broken = {n: broken[row] for n, row in enumerate(rows.tolist()) if row in broken}
        for row, fault in broken.items():
            total.codes[row] = FAULTED
            total.faults[row] = replace(fault, lf=self._lfs[position].name)
        edges = [-1, *sorted(broken), len(total.codes)]
        return [_Piece(a + 1, b) for a, b in itertools.pairwise(edges)][::-1]

    def _blame(
        self, work: _Work, position: int, rows: Rows | None, row: int, death: Death, total: Called
    ) -> None:
        message = death.fault.message
        preprocessing = death.phase is Phase.PREPROCESSING
        if not message:
            limit = self._limit if preprocessing else self._limit_of(position)
            message = f"{'a preprocessor ' * preprocessing}did not return within {limit:g} s"
        name, record = self._lfs[position].name, work.id_of(rows, row)
        named = replace(death.fault, lf=name, id=record, message=message)
        if preprocessing:
            place = row if rows is None else int(rows[row])
            work.broken.setdefault(self._chain(position), {})[place] = named
        work.stops.faults[position].append(named)
        total.codes[row] = FAULTED
        if len(total.faults) < work.max_faults:
            total.faults[row] = named

    def _chain(self, position: int) -> tuple[int, ...]:
        lf = self._lfs[position]
        return tuple(map(id, lf.pre)) if isinstance(lf, LabelingFunction) else ()

    def _own_limit(self, position: int) -> float | None:
        lf = self._lfs[position]
        return lf.timeout if isinstance(lf, LabelingFunction) else None

    def _limit_of(self, position: int) -> float:
        own = self._own_limit(position)
        return self._limit if own is None else own

    def _refuse(
        self, work: _Work, position: int, rows: Rows | None, piece: _Piece, total: Called
    ) -> None:
        """Make faults of records that a stopped function does not see."""
        stops = work.stops.faults[position]
        first = stops[0]
        total.codes[piece.start : piece.stop] = FAULTED
        room = max(0, work.max_faults - len(total.faults))
        for row in itertools.islice(range(piece.start, piece.stop), room):
            total.faults[row] = Fault(
                self._lfs[position].name,
                work.id_of(rows, row),
                "fault",
                "FunctionStopped",
                f"not tried: the function was stopped after {len(stops)} records such as "
                f"{first.id} ({first.type}: {first.message})",
            )

    def _ask(self, work: _Work, task: Task) -> Called | Death:
        """Return what a function did, or how it ended the process."""
        self.start()
        process = self._process
        name = self._lfs[task.position].name
        try:
            if process is None:
                raise EOFError
            if process.batch is not work.batch:
                process.send_batch(work.batch)
            answer = process.ask(task)
        except (EOFError, OSError):
            self._process = None
            if process is None or self.closed:
                raise LabelingFunctionError(
                    "the process that runs the labeling functions was ended"
                ) from None
            death = process.post_mortem()
            self._printed += process.left
            if death.phase is Phase.LOADING:
                why = death.fault.message or f"it took more than {LOAD_SECONDS:g} s"
                raise LabelingFunctionError(
                    f"labeling function {name!r}: what it needs could not be loaded: {why}"
                ) from None
            return death
        except LabelingFunctionError:  # it did not start
            self._process = None
            raise
        if isinstance(answer, BaseException):
            raise LabelingFunctionError(f"labeling function {name!r}: {answer}")
        assert isinstance(answer, Called)
        return answer


_GUARDS: weakref.WeakSet[Guard] = weakref.WeakSet()


def close_all() -> None:
    """End the processes of all functions that this process started, whatever they are doing."""
    for guard in list(_GUARDS):
        guard.close()


def _task(work: _Work, position: int, rows: Rows | None, piece: _Piece, n_rows: int) -> Task:
    chosen = rows
    if (piece.start, piece.stop) != (0, n_rows):
        places = np.arange(piece.start, piece.stop)
        chosen = places if rows is None else rows[places]
    return Task(position, chosen, work.max_faults, piece.every_record)


def _culprit(piece: _Piece, death: Death) -> int | None:
    """Return the row that ended the process, or None where it is not sure."""
    if piece.stop - piece.start == 1:
        return piece.start
    one_by_one = death.phase in (Phase.PREPROCESSING, Phase.CALLING)
    row = piece.start + death.row
    is_sure = one_by_one and (piece.every_record or death.is_fresh)
    return row if is_sure and row < piece.stop else None


def _merge(total: Called, part: Called, start: int, max_faults: int) -> None:
    total.codes[start : start + len(part.codes)] = part.codes
    for row, fault in part.faults.items():
        if len(total.faults) < max_faults:
            total.faults[start + row] = fault
    total.seconds += part.seconds
    total.times = dict(add_times(total.times, part.times))
