"""Calling what people wrote: one function over the records of a batch, whatever it does.

What it returns becomes codes: a class index, or one of `ABSTAINED`, `FAULTED` and `INVALID`. What
it raises costs the record it was raised on. Used in the process that applies the functions, and by
`labelmill.guarded` in one of their own.
"""

from __future__ import annotations

import copy
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.errors import LabelmillError
from labelmill.labeling import (
    AnyLabelingFunction,
    BatchFunction,
    LabelingFunction,
    takes_batches,
)
from labelmill.outcomes import Fault, bucket_of
from labelmill.records import ID, EditableRecord, Record, iterate_records

ABSTAINED, FAULTED, INVALID = -1, -2, -3
Codes = npt.NDArray[np.int16]

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


class BatchView:
    """What several functions share of one batch, each built when first asked for."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._shared: list[Record] | None = None
        self._nested = any(pa.types.is_nested(column.type) for column in batch.schema)
        self._chains: dict[tuple[int, ...], list[Any]] = {}
        self.progress: Sequence[Any] = ()
        """What is being filled, one value per record: how far the work is."""

    def id_of(self, row: int) -> str:
        """Return a record's id."""
        return str(self.batch.column(ID)[row].as_py())

    @property
    def records(self) -> list[Record]:
        """The records; where they hold lists, new ones, so that nobody edits another's."""
        if self._nested:
            return list(iterate_records(self.batch))
        if self._shared is None:
            self._shared = list(iterate_records(self.batch))
        return self._shared

    def preprocessed(self, pre: tuple[Callable[[Any], Any], ...]) -> list[Any]:
        """Return the records after the preprocessors `pre`, each run once per record."""
        if not pre:
            return self.records
        key = tuple(id(step) for step in pre)
        if key not in self._chains:
            before = self.preprocessed(pre[:-1])
            done: list[Any] = []
            self.progress = done
            step = pre[-1]
            for start in range(0, len(before), _MAPPED_TOGETHER):
                part = before[start : start + _MAPPED_TOGETHER]
                mapped = _map_batch(step, part)
                done.extend(mapped if mapped is not None else (_try(step, x) for x in part))
            self._chains[key] = done
        return self._chains[key]


class Caller:
    """Calls functions and encodes what they return.

    Args:
        class_names: The classes, in index order.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = tuple(class_names)
        self._encoder = VoteEncoder(class_names)

    def call(
        self,
        lf: AnyLabelingFunction,
        view: BatchView,
        *,
        max_faults: int,
        watch: Callable[[int], None] | None = None,
    ) -> Called:
        """Call `lf` on the records of `view`.

        Args:
            lf: A function that is no matcher.
            view: The batch.
            max_faults: Samples of faults and invalid results to keep.
            watch: Told the number of each record before it is seen, when a crash is looked for.
        """
        started = time.perf_counter()
        called = Called(np.full(view.batch.num_rows, ABSTAINED, dtype=np.int16))
        problems: _Problems = {}
        if takes_batches(lf):
            most = lf.batch_rows if isinstance(lf, BatchFunction) else 0
            for start in range(0, len(called.codes), most or max(len(called.codes), 1)):
                codes = called.codes[start : start + most] if most else called.codes
                self._call_batch(lf, view, start, codes, problems)
            called.seconds = time.perf_counter() - started
            if view.batch.num_rows:
                mean = called.seconds * 1e9 / view.batch.num_rows
                called.times[bucket_of(mean)] = view.batch.num_rows
        else:
            self._call_rows(lf, view, called, problems, watch)
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
                f"returned {_shown(repr, problem.value)}, which is no class; classes: "
                f"{', '.join(self._class_names)}, or an index below {len(self._class_names)}",
            )
        return Fault(
            lf,
            record_id,
            "fault",
            type(problem).__name__,
            _shown(str, problem),
            _frames_of(problem),
        )

    def _call_rows(
        self,
        lf: AnyLabelingFunction,
        view: BatchView,
        called: Called,
        problems: _Problems,
        watch: Callable[[int], None] | None,
    ) -> None:
        call, records, limit = _bound(lf, view)
        results: list[Any] = []
        view.progress = results
        while len(results) < len(records):
            try:
                if watch is not None:
                    _fill_watched(call, records, results, watch)
                elif limit is not None:
                    _fill_timed(call, records, results, called.times, limit)
                else:
                    _fill(call, records, results, called.times)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit too: one function does not end the job
                problems[len(results)] = error
                results.append(_FAILED)
        self._encoder.encode(results, called.codes, problems)

    def _call_batch(
        self,
        lf: LabelingFunction | BatchFunction,
        view: BatchView,
        start: int,
        codes: Codes,
        problems: _Problems,
    ) -> None:
        """Call a batch function, halving the batch on error down to the faulty records."""
        batch = view.batch.slice(start, len(codes))
        view.progress = range(len(view.progress) + 1)  # one more call begins
        try:
            results = _votes_of(lf, batch)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if isinstance(error, LabelmillError) and isinstance(lf, BatchFunction):
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
        local: _Problems = {}
        self._encoder.encode_batch(results, codes, local)
        problems.update((start + row, problem) for row, problem in local.items())


def _bound(
    lf: AnyLabelingFunction, view: BatchView
) -> tuple[Callable[[Any], Any], list[Any], float | None]:
    """Return what to call, on what, and the nanoseconds that a record may take."""
    if not isinstance(lf, LabelingFunction):
        return lf, view.records, None
    fn, resources = lf.fn, lf.loaded_resources()
    call = fn if not resources else lambda x: fn(x, **resources)
    records = view.preprocessed(lf.pre)
    if lf.pre and any(type(record) is _Failed for record in records):
        call = _raising(call)
    return call, records, None if lf.timeout is None else lf.timeout * 1e9


def _raising(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `call` for records of which some have failed in a preprocessor."""

    def checked(record: Any) -> Any:
        if type(record) is _Failed:
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
    watch: Callable[[int], None],
) -> None:
    for position in range(len(results), len(records)):
        watch(position)
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


class VoteEncoder:
    """Turns what functions return into codes.

    Args:
        class_names: The classes, in index order.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        codes: dict[Any, int] = {None: ABSTAINED, -1: ABSTAINED}
        codes.update((index, index) for index in range(len(class_names)))
        codes.update((name, index) for index, name in enumerate(class_names))
        self._codes = codes
        self._n_classes = len(class_names)

    def encode(self, results: list[Any], codes: Codes, problems: _Problems) -> None:
        """Write the codes of `results`; the fast path has only known ints and names."""
        types = set(map(type, results))
        if types == {int}:
            try:
                numbers = np.fromiter(results, dtype=np.int64, count=len(results))
                self._encode_numbers(numbers, codes, problems)
                return
            except OverflowError:  # larger than any index
                pass
        table = self._codes
        if types <= _PLAIN:
            codes[:] = [table.get(value, INVALID) for value in results]
        else:
            codes[:] = [self.code(value) for value in results]
        for row in np.flatnonzero(codes == INVALID).tolist():
            value = results[row]
            if value is _FAILED:
                codes[row] = FAULTED
                continue
            problems[row] = Wrong(value)

    def encode_batch(self, results: Any, codes: Codes, problems: _Problems) -> None:
        """Write the codes of a batch function's results: a list or an array.

        An exception in a list stands for a record that could not be voted on.
        """
        if isinstance(results, pa.Array):
            distinct = _distinct(results)
            if distinct is None:
                results = results.to_pylist()
            else:
                values, indices = distinct
                table = np.array([self.code(v) for v in values] + [ABSTAINED], dtype=np.int16)
                codes[:] = table[indices]
                for row in np.flatnonzero(codes == INVALID).tolist():
                    problems[row] = Wrong(values[indices[row]])
                return
        if isinstance(results, np.ndarray):
            self._encode_numbers(results, codes, problems)
            return
        errors = {row: v for row, v in enumerate(results) if isinstance(v, BaseException)}
        self.encode([_FAILED if row in errors else v for row, v in enumerate(results)]
                    if errors else results, codes, problems)  # fmt: skip
        problems.update(errors)

    def _encode_numbers(
        self, numbers: npt.NDArray[np.integer[Any]], codes: Codes, problems: _Problems
    ) -> None:
        known = (numbers >= 0) & (numbers < self._n_classes)
        codes[:] = np.where(known, numbers, np.where(numbers == -1, ABSTAINED, INVALID))
        for row in np.flatnonzero(codes == INVALID).tolist():
            problems[row] = Wrong(numbers[row].item())

    def code(self, value: Any) -> int:
        """Return the code of one value."""
        if isinstance(value, bool | np.bool_):
            return INVALID
        if isinstance(value, float | np.floating):
            if not math.isfinite(value):
                return ABSTAINED if math.isnan(value) else INVALID
            return self._codes.get(int(value), INVALID) if value == int(value) else INVALID
        if type(value).__name__ == "NAType":  # what pandas has for null
            return ABSTAINED
        try:
            return self._codes.get(value, INVALID)
        except Exception:  # unhashable, or its own __hash__ or __eq__ raises
            return INVALID


def _distinct(array: pa.Array) -> tuple[list[Any], npt.NDArray[np.int64]] | None:
    """Return an array's distinct values, and the index of each element among them, -1 for null."""
    kind = array.type
    if not (pa.types.is_dictionary(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind)
            or pa.types.is_large_string(kind) or pa.types.is_null(kind)):  # fmt: skip
        return None
    if pa.types.is_null(kind):
        return [], np.full(len(array), -1, dtype=np.int64)
    encoded = array if pa.types.is_dictionary(kind) else pc.dictionary_encode(array)
    indices = np.asarray(encoded.indices.cast(pa.int64()).fill_null(-1))
    return encoded.dictionary.to_pylist(), indices


@dataclass(frozen=True)
class Wrong:
    """A result that is no class."""

    value: Any


@dataclass(frozen=True)
class _Failed:
    """A record whose preprocessor raised."""

    error: BaseException


_MAPPED_TOGETHER = 256
"""Records that `map_batch` gets at once: the time limit counts from one such call to the next."""

_Problems = dict[int, "BaseException | Wrong"]
_FAILED = object()
_PLAIN = {int, str, type(None)}
"""Types of results of which equal ones mean the same; True would be 1."""


def _copied(x: Any) -> Any:
    """Return what a step may add fields to, unseen by functions that share only those before."""
    return copy.copy(x) if isinstance(x, Record | EditableRecord) else x


def _try(step: Callable[[Any], Any], x: Any) -> Any:
    if type(x) is _Failed:
        return x
    try:
        return _checked(step, step(_copied(x)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _Failed(error)


def _checked(step: Callable[[Any], Any], mapped: Any) -> Any:
    """Return what a step made of a record; `map_batch` gives an exception for one it failed on."""
    if mapped is None:
        return _Failed(ValueError(f"preprocessor {step!r} returned None, not a record"))
    return _Failed(mapped) if isinstance(mapped, BaseException) else mapped


def _map_batch(step: Callable[[Any], Any], records: list[Any]) -> Iterator[Any] | None:
    """Return what a step that takes many records at once makes of them; None to go one by one."""
    mapper = getattr(step, "map_batch", None)
    if mapper is None:
        return None
    good = [n for n, x in enumerate(records) if type(x) is not _Failed]
    try:
        mapped = list(mapper([_copied(records[n]) for n in good]))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None
    if len(mapped) != len(good):
        return None
    done = {n: _checked(step, x) for n, x in zip(good, mapped, strict=True)}
    return (done.get(n, x) for n, x in enumerate(records))


OWN_FILES = {
    str(Path(__file__).with_name(f"{name}.py")) for name in ("calling", "guarded", "labeling")
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
    except Exception as error:
        text = f"<{type(value).__name__} whose {render.__name__}() raised {type(error).__name__}>"
    return _storable(text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…")


def _storable(text: str) -> str:
    """Escape lone surrogates, which UTF-8 and so Arrow cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()
