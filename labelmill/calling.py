"""Calling what people wrote: one function over the records of a batch, whatever it does.

What it returns becomes codes: a class index, or one of `ABSTAINED`, `FAULTED` and `INVALID`. What
it raises costs the record it was raised on. Used in the process that applies the functions, and by
`labelmill.guarded` in one of their own.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from labelmill.batchview import BatchView, FailedRecord, Phase, Watch, is_ctrl_c
from labelmill.encoding import (
    ABSTAINED,
    FAILED,
    FAULTED,
    Codes,
    Problems,
    VoteEncoder,
    Wrong,
)
from labelmill.errors import LabelingFunctionError, LabelmillError
from labelmill.labeling import (
    AnyLabelingFunction,
    BatchFunction,
    LabelingFunction,
    LoadsFirst,
    takes_batches,
)
from labelmill.outcomes import Fault, bucket_of
from labelmill.suggestion import did_you_mean

_TEXT_LIMIT = 500
_SEGMENT = 256
"""A Python function is timed on the first record of so many."""


class TimeLimitExceeded(Exception):  # noqa: N818 - its name is what people read in a dead letter
    """A function took longer on a record than it may."""


@dataclass
class Called:
    """What one function did on the rows of a batch.

    Attributes:
        codes: int16, shape (rows,).
        faults: Samples of what went wrong, by row, in order.
        seconds: Time spent.
        times: Sketch of the time per record, see `labelmill.outcomes`.
    """

    codes: Codes
    faults: dict[int, Fault] = field(default_factory=dict)
    seconds: float = 0.0
    times: dict[int, int] = field(default_factory=dict)


class Caller:
    """Calls functions and encodes what they return.

    Args:
        class_names: The classes, in index order.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = tuple(class_names)
        names = ", ".join(class_names)
        self._classes = f"classes: {names}, or an index below {len(self._class_names)}"
        self._encoder = VoteEncoder(class_names)

    def call(self, lf: AnyLabelingFunction, view: BatchView, *, max_faults: int) -> Called:
        """Call `lf` on the records of `view`.

        Args:
            lf: A function that is no matcher.
            view: The batch.
            max_faults: Samples of faults and invalid results to keep.
        """
        started = time.perf_counter()
        called = Called(np.full(view.batch.num_rows, ABSTAINED, dtype=np.int16))
        problems: Problems = {}
        if takes_batches(lf):
            _load(lf)
            view.enter(Phase.BATCH)
            most = lf.batch_rows if isinstance(lf, BatchFunction) else 0
            for start in range(0, len(called.codes), most or max(len(called.codes), 1)):
                codes = called.codes[start : start + most] if most else called.codes
                self._call_batch(lf, view, start, codes, problems)
            called.seconds = time.perf_counter() - started
            if view.batch.num_rows:
                mean = called.seconds * 1e9 / view.batch.num_rows
                called.times[bucket_of(mean)] = view.batch.num_rows
        else:
            self._call_rows(lf, view, called, problems)
            called.seconds = time.perf_counter() - started
        for row in sorted(problems)[:max_faults]:
            called.faults[row] = self.fault(lf.name, view.id_of(row), problems[row])
        return called

    def fault(self, lf: str, record_id: str, problem: BaseException | Wrong) -> Fault:
        """Describe what went wrong on one record."""
        if isinstance(problem, Wrong):
            return Fault(
                lf,
                record_id,
                "invalid",
                type(problem.value).__name__,
                f"returned {_shown(repr, problem.value)}, which is no class"
                f"{self._hint(problem.value)}",
            )
        return Fault(
            lf,
            record_id,
            "fault",
            type(problem).__name__,
            _shown(str, problem),
            _frames_of(problem),
        )

    def _hint(self, value: Any) -> str:
        if not isinstance(value, str):
            return f"; {self._classes}"
        return did_you_mean(value, self._class_names, self._classes)

    def _call_rows(
        self,
        lf: AnyLabelingFunction,
        view: BatchView,
        called: Called,
        problems: Problems,
    ) -> None:
        call, records, limit = _bound(lf, view)
        watch = view.watch if view.watch is not None and view.watch.every_record else None
        results: list[Any] = []
        view.progress = results
        view.enter(Phase.CALLING)
        while len(results) < len(records):
            try:
                if watch is not None:
                    _fill_watched(call, records, results, watch)
                elif limit is not None:
                    _fill_timed(call, records, results, called.times, limit)
                else:
                    _fill(call, records, results, called.times)
            except BaseException as error:  # SystemExit too: one function does not end the job
                if is_ctrl_c(error):
                    raise
                problems[len(results)] = error
                results.append(FAILED)
        view.enter(Phase.ENDED)
        self._encoder.encode(results, called.codes, problems)

    def _call_batch(
        self,
        lf: LabelingFunction | BatchFunction,
        view: BatchView,
        start: int,
        codes: Codes,
        problems: Problems,
    ) -> None:
        """Call a batch function, halving the batch on error down to the faulty records."""
        batch = view.batch.slice(start, len(codes))
        view.progress = range(len(view.progress) + 1)  # one more call begins
        try:
            results = _votes_of(lf, batch)
        except BaseException as error:
            if is_ctrl_c(error) or (
                isinstance(error, LabelmillError) and isinstance(lf, BatchFunction)
            ):
                raise  # a model that cannot be loaded, or refuses us, is no fault of a record
            if batch.num_rows <= 1:
                codes[:] = FAULTED
                problems.update(dict.fromkeys(range(start, start + batch.num_rows), error))
                return
            half = batch.num_rows // 2
            self._call_batch(lf, view, start, codes[:half], problems)
            self._call_batch(lf, view, start + half, codes[half:], problems)
            return
        if len(results) != batch.num_rows:  # nobody knows which record each is for
            wrong = ValueError(
                f"returned {len(results)} results for a batch of {batch.num_rows} records"
            )
            codes[:] = FAULTED
            problems.update(dict.fromkeys(range(start, start + batch.num_rows), wrong))
            return
        local: Problems = {}
        self._encoder.encode_batch(results, codes, local)
        problems.update((start + row, problem) for row, problem in local.items())


def _bound(
    lf: AnyLabelingFunction, view: BatchView
) -> tuple[Callable[[Any], Any], list[Any], float | None]:
    """Return what to call, on what, and the nanoseconds that a record may take."""
    records = view.records
    if not isinstance(lf, LabelingFunction):
        return lf, records, None
    fn, resources = lf.fn, lf.loaded_resources()
    call = fn if not resources else lambda x: fn(x, **resources)
    for step in lf.pre:
        _load(step)
    view.enter(Phase.PREPROCESSING)
    prepared = view.preprocessed(records, lf.pre)
    if lf.pre and any(type(record) is FailedRecord for record in prepared):
        call = _raising(call)
    return call, prepared, None if lf.timeout is None else lf.timeout * 1e9


def _load(lf: Any) -> None:
    """Load what a function or preprocessor would load with its first record, which is not slow."""
    try:
        if isinstance(lf, LoadsFirst):
            lf.load_first()
        elif isinstance(lf, LabelingFunction):
            lf.loaded_resources()
    except LabelmillError:
        raise
    except Exception as error:
        raise LabelingFunctionError(
            f"what {lf!r:.200} needs cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _raising(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `call` for records of which some have failed in a preprocessor."""

    def checked(record: Any) -> Any:
        if type(record) is FailedRecord:
            raise record.error
        return call(record)

    return checked


def _fill(
    call: Callable[[Any], Any], records: list[Any], results: list[Any], times: dict[int, int]
) -> None:
    clock, append = time.perf_counter_ns, results.append
    for start in range(len(results), len(records), _SEGMENT):
        began = clock()
        append(call(records[start]))
        bucket = bucket_of(clock() - began)
        times[bucket] = times.get(bucket, 0) + 1
        for record in records[start + 1 : start + _SEGMENT]:
            append(call(record))


def _fill_timed(
    call: Callable[[Any], Any],
    records: list[Any],
    results: list[Any],
    times: dict[int, int],
    limit: float,
) -> None:
    clock = time.perf_counter_ns
    for position in range(len(results), len(records)):
        began = clock()
        value = call(records[position])
        spent = clock() - began
        bucket = bucket_of(spent)
        times[bucket] = times.get(bucket, 0) + 1
        if spent > limit:
            raise TimeLimitExceeded(
                f"took {spent / 1e9:.3g} s on this record; its timeout is {limit / 1e9:g} s"
            )
        results.append(value)


def _fill_watched(
    call: Callable[[Any], Any],
    records: list[Any],
    results: list[Any],
    watch: Watch,
) -> None:
    for position in range(len(results), len(records)):
        watch.sees(position)
        results.append(call(records[position]))


def _votes_of(lf: LabelingFunction | BatchFunction, batch: pa.RecordBatch) -> Any:
    """Return a batch function's result as an Arrow array, a numpy array of integers or a list."""
    if isinstance(lf, BatchFunction):
        return _as_sequence(lf.votes(batch))
    began = time.perf_counter()
    result = lf.fn(batch, **lf.loaded_resources())
    spent = time.perf_counter() - began
    if lf.timeout is not None and spent > lf.timeout:
        raise TimeLimitExceeded(
            f"took {spent:.3g} s on {batch.num_rows} records; its timeout is {lf.timeout:g} s"
        )
    return _as_sequence(result)


def _as_sequence(result: Any) -> Any:
    is_text_or_unordered = isinstance(result, str | bytes | Mapping | Set)
    if not is_text_or_unordered and getattr(result, "ndim", 1) == 1:
        if isinstance(result, pa.ChunkedArray):
            return result.combine_chunks()
        if isinstance(result, pa.Array):
            return result
        if type(result) is np.ndarray and np.issubdtype(result.dtype, np.integer):
            return result
        if hasattr(result, "to_arrow"):  # polars
            return _as_sequence(result.to_arrow())
        for method in ("tolist", "to_list"):
            if hasattr(result, method):
                return list(getattr(result, method)())
        if isinstance(result, Iterable):
            return list(result)
    raise TypeError(
        f"a batch function must return one vote per record, got {_shown(repr, result):.200}"
    )


OWN_FILES = {
    str(Path(__file__).with_name(f"{name}.py"))
    for name in ("batchview", "calling", "guarded", "labeling")
}
"""Files whose frames stand between a function and whoever calls it; left out of tracebacks."""


def _frames_of(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    own = [frame for frame in frames if frame.filename not in OWN_FILES]
    return _storable("".join(traceback.StackSummary.from_list(own).format())[-2000:])


def _shown(render: Callable[[Any], str], value: Any) -> str:
    """Return `value` as text that can be stored; code of its author's may run, and fail."""
    try:
        text = render(value)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        text = f"<{type(value).__name__} whose {render.__name__}() raised {type(error).__name__}>"
    return _storable(text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…")


def _storable(text: str) -> str:
    """Escape lone surrogates, which UTF-8 and so Arrow cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()
