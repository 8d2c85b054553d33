"""Run labeling functions over a record batch: votes, exact outcome counts, dead letters.

A plain function and its values; Beam is in `transforms`. Each function and record has one of four
outcomes: vote, abstain, fault (it raised) or invalid (what it returned is no class).
"""

from __future__ import annotations

import copy
import difflib
import math
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.errors import LabelingFunctionError
from labelmill.labeling import AnyLabelingFunction, LabelingFunction, Matcher
from labelmill.matching import MatcherSet
from labelmill.records import ID, EditableRecord, Record, iterate_records
from labelmill.votes import LFTable, pack_votes

_ABSTAIN, _FAULT, _INVALID = -1, -2, -3
_TEXT_LIMIT = 500

Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Fault:
    """One record on which one function failed.

    Attributes:
        lf: The function's name.
        id: The record's id.
        outcome: ``"fault"`` or ``"invalid"``.
        type: The exception's class, or the class of the value returned.
        message: The exception's text, or what is wrong with the value.
        traceback: The frames inside the function; empty for an invalid result.
    """

    lf: str
    id: str
    outcome: str
    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Outcomes:
    """Exact counts of one batch or of many; they add up with `merge`.

    Attributes:
        rows: Records that the functions saw.
        votes: Per function, records on which it voted.
        faults: Per function, records on which it raised.
        invalid: Per function, records on which it returned something that is no class.
        seconds: Per function, time spent; a measurement, never part of stored data.
    """

    rows: int
    votes: tuple[int, ...]
    faults: tuple[int, ...]
    invalid: tuple[int, ...]
    seconds: tuple[float, ...]

    @classmethod
    def zero(cls, n_lfs: int) -> Outcomes:
        """Return the counts of no records."""
        none = (0,) * n_lfs
        return cls(0, none, none, none, (0.0,) * n_lfs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Outcomes:
        """Read what `to_dict` wrote."""
        return cls(
            value["rows"],
            tuple(value["votes"]),
            tuple(value["faults"]),
            tuple(value["invalid"]),
            tuple(value["seconds"]),
        )

    def without_seconds(self) -> Outcomes:
        """Return the counts alone, as they are stored."""
        return replace(self, seconds=(0.0,) * len(self.votes))

    def merge(self, other: Outcomes) -> Outcomes:
        """Return the counts of both."""
        return Outcomes(
            self.rows + other.rows,
            _add(self.votes, other.votes),
            _add(self.faults, other.faults),
            _add(self.invalid, other.invalid),
            tuple(a + b for a, b in zip(self.seconds, other.seconds, strict=True)),
        )


def _add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


@dataclass(frozen=True)
class Applied:
    """What `apply_functions` returns.

    Attributes:
        votes: Vote batch, one row per record, in order.
        outcomes: Exact counts.
        faults: At most `max_faults` samples per function, the first ones.
    """

    votes: pa.RecordBatch
    outcomes: Outcomes
    faults: tuple[Fault, ...]


class FunctionSet:
    """Labeling functions made ready to run: matchers compiled, class names resolved.

    Args:
        lfs: The functions, in the order of `table`.
        table: Their LF table with the class names.

    Raises:
        LabelingFunctionError: A matcher votes for a class that the job does not have.
    """

    def __init__(self, lfs: Sequence[AnyLabelingFunction], table: LFTable) -> None:
        self.table = table
        self._lfs = tuple(lfs)
        self._vote_codes = _vote_codes(table.class_names)
        matchers = {n: lf for n, lf in enumerate(self._lfs) if isinstance(lf, Matcher)}
        labels = {n: self._label_of(lf) for n, lf in matchers.items()}
        self._matchers = MatcherSet(matchers, labels)

    def _label_of(self, matcher: Matcher) -> int:
        code = self._code(matcher.label)
        if code < 0:
            names = self.table.class_names
            close = difflib.get_close_matches(str(matcher.label), names, 1)
            hint = f"did you mean {close[0]!r}?" if close else "add it to `labels`"
            raise LabelingFunctionError(
                f"labeling function {matcher.name!r} votes for {matcher.label!r}, which is not a "
                f"class of this job ({', '.join(names)}); {hint}"
            )
        return code

    def apply(
        self, batch: pa.RecordBatch, *, gold: pa.Array | None = None, max_faults: int = 100
    ) -> Applied:
        """Run every function over `batch`.

        Args:
            batch: Records, with their ids in the column `labelmill.records.ID`.
            gold: Optional int16 class indices to carry along, shape (rows,).
            max_faults: Samples of faults and invalid results to keep per function.

        Returns:
            Votes, exact counts and samples.
        """
        n_rows, n_lfs = batch.num_rows, len(self._lfs)
        codes = np.full((n_lfs, n_rows), _ABSTAIN, dtype=np.int16)
        view = _BatchView(batch)
        faults: list[Fault] = []
        seconds = [0.0] * n_lfs
        self._matchers.run(batch, codes, seconds)
        for position, lf in enumerate(self._lfs):
            if isinstance(lf, Matcher):
                continue
            started = time.perf_counter()
            problems: _Problems = {}
            if isinstance(lf, LabelingFunction) and lf.batch:
                self._run_batch(lf, batch, 0, codes[position], problems)
            else:
                self._run_rows(lf, view, codes[position], problems)
            seconds[position] = time.perf_counter() - started
            kept = sorted(problems)[:max_faults]
            faults += (self._fault(position, view.ids[row], problems[row]) for row in kept)
        outcomes = Outcomes(
            n_rows,
            tuple(np.count_nonzero(codes >= 0, axis=1).tolist()),
            tuple(np.count_nonzero(codes == _FAULT, axis=1).tolist()),
            tuple(np.count_nonzero(codes == _INVALID, axis=1).tolist()),
            tuple(seconds),
        )
        votes = pack_votes(batch.column(ID), codes, self.table, gold)
        return Applied(votes, outcomes, tuple(faults))

    def _run_rows(
        self, lf: AnyLabelingFunction, view: _BatchView, codes: Codes, problems: _Problems
    ) -> None:
        call: Callable[[Any], Any] = lf
        if isinstance(lf, LabelingFunction):
            fn, resources = lf.fn, lf.resources
            call = fn if not resources else lambda x: fn(x, **resources)
            records: Iterable[Any] = view.preprocessed(lf.pre)
        else:
            records = view.records
        results: list[Any] = []
        append, remaining = results.append, iter(records)
        while True:
            try:
                for record in remaining:
                    if type(record) is _Failed:
                        raise record.error
                    append(call(record))
                break
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit too: one function does not end the job
                problems[len(results)] = error
                append(_FAILED)
        self._encode(results, codes, problems)

    def _run_batch(
        self,
        lf: LabelingFunction,
        batch: pa.RecordBatch,
        start: int,
        codes: Codes,
        problems: _Problems,
    ) -> None:
        """Run a batch function, halving the batch on error down to the faulty records."""
        try:
            results = _as_list(lf.fn(batch, **lf.resources))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if batch.num_rows <= 1:
                codes[:] = _FAULT
                problems.update(dict.fromkeys(range(start, start + batch.num_rows), error))
                return
            half = batch.num_rows // 2
            self._run_batch(lf, batch.slice(0, half), start, codes[:half], problems)
            self._run_batch(lf, batch.slice(half), start + half, codes[half:], problems)
            return
        if len(results) != batch.num_rows:  # nobody knows which record each is for
            wrong = ValueError(
                f"returned {len(results)} results for a batch of {batch.num_rows} records"
            )
            codes[:] = _FAULT
            problems.update(dict.fromkeys(range(start, start + batch.num_rows), wrong))
            return
        local: _Problems = {}
        self._encode(results, codes, local)
        problems.update((start + row, problem) for row, problem in local.items())

    def _encode(self, results: list[Any], codes: Codes, problems: _Problems) -> None:
        """Turn what functions returned into codes; the fast path has only known ints and names."""
        table = self._vote_codes
        if not {type(value) for value in results} & _SUSPECT:
            try:
                codes[:] = [table.get(value, _INVALID) for value in results]
            except Exception:  # an unhashable value among them
                codes[:] = [self._code(value) for value in results]
        else:
            codes[:] = [self._code(value) for value in results]
        for row in np.flatnonzero(codes == _INVALID).tolist():
            if results[row] is _FAILED:
                codes[row] = _FAULT
                continue
            codes[row] = self._code(results[row])  # the fast path knows no pandas.NA
            if codes[row] == _INVALID:
                problems[row] = _Invalid(results[row])

    def _code(self, value: Any) -> int:
        if isinstance(value, bool | np.bool_):
            return _INVALID
        if isinstance(value, float | np.floating):
            if not math.isfinite(value):
                return _ABSTAIN if math.isnan(value) else _INVALID
            return self._vote_codes.get(int(value), _INVALID) if value == int(value) else _INVALID
        if type(value).__name__ == "NAType":  # what pandas has for null
            return _ABSTAIN
        try:
            return self._vote_codes.get(value, _INVALID)
        except Exception:  # unhashable, or its own __hash__ or __eq__ raises
            return _INVALID

    def _fault(self, position: int, record_id: str, problem: BaseException | _Invalid) -> Fault:
        lf = self.table.lfs[position].name
        if isinstance(problem, _Invalid):
            return Fault(
                lf,
                record_id,
                "invalid",
                type(problem.value).__name__,
                f"returned {_shown(repr, problem.value)}, which is no class; classes: "
                f"{', '.join(self.table.class_names)}, or an index below "
                f"{len(self.table.class_names)}",
            )
        frames = traceback.extract_tb(problem.__traceback__)[1:]
        shown = "".join(traceback.format_list([f for f in frames if f.filename != __file__]))
        return Fault(
            lf,
            record_id,
            "fault",
            type(problem).__name__,
            _shown(str, problem),
            _storable(shown[-2000:]),
        )


def apply_functions(
    batch: pa.RecordBatch,
    lfs: Sequence[AnyLabelingFunction],
    table: LFTable,
    *,
    max_faults: int = 100,
) -> Applied:
    """Run `lfs` over one batch; `FunctionSet` does the same for many batches.

    Args:
        batch: Records with their ids in the column ``__id__``.
        lfs: Functions in the order of `table`.
        table: Names, fingerprints and classes.
        max_faults: Samples to keep per function.

    Returns:
        Vote batch, exact outcome counts, samples of faults.

    Example:
        >>> from labelmill import keywords
        >>> from labelmill.votes import LFInfo, LFTable
        >>> batch = pa.RecordBatch.from_pydict({"__id__": ["a", "b"], "text": ["cash!", "hi"]})
        >>> table = LFTable((LFInfo("money", ""),), ("ham", "spam"))
        >>> money = keywords("money", label="spam", words=["cash"])
        >>> applied = apply_functions(batch, [money], table)
        >>> applied.votes.column("labels").to_pylist(), applied.outcomes.votes
        ([[1], []], (1,))
    """
    return FunctionSet(lfs, table).apply(batch, max_faults=max_faults)


class _BatchView:
    """What several functions share of one batch, each built when first asked for."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._records: list[Record] | None = None
        self._chains: dict[tuple[int, ...], list[Any]] = {}

    @property
    def ids(self) -> pa.Array:
        return _Strings(self._batch.column(ID))

    @property
    def records(self) -> list[Record]:
        if self._records is None:
            self._records = list(iterate_records(self._batch))
        return self._records

    def preprocessed(self, pre: tuple[Callable[[Any], Any], ...]) -> list[Any]:
        """Return the records after the preprocessors `pre`, each run once per record."""
        if not pre:
            return self.records
        key = tuple(id(step) for step in pre)
        if key not in self._chains:
            self._chains[key] = [_try(pre[-1], x) for x in self.preprocessed(pre[:-1])]
        return self._chains[key]


class _Strings:
    """Random access to an Arrow string array as Python strings."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __getitem__(self, row: int) -> str:
        return str(self._array[row].as_py())


@dataclass(frozen=True)
class _Failed:
    """A record whose preprocessor raised."""

    error: BaseException


@dataclass(frozen=True)
class _Invalid:
    value: Any


_Problems = dict[int, "BaseException | _Invalid"]
_FAILED = object()
_SUSPECT = {bool, float, np.bool_, np.float16, np.float32, np.float64, np.longdouble}


def _try(step: Callable[[Any], Any], x: Any) -> Any:
    if type(x) is _Failed:
        return x
    try:
        # A step may add fields, which functions that share only the steps before it do not see.
        return step(copy.copy(x) if isinstance(x, Record | EditableRecord) else x)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _Failed(error)


def _vote_codes(class_names: Sequence[str]) -> dict[Any, int]:
    codes: dict[Any, int] = {None: _ABSTAIN, -1: _ABSTAIN}
    codes.update((index, index) for index in range(len(class_names)))
    codes.update((name, index) for index, name in enumerate(class_names))
    return codes


def _as_list(result: Any) -> list[Any]:
    """Return a batch function's result as a list, whatever sequence or array it is."""
    is_text_or_unordered = isinstance(result, str | bytes | Mapping | Set)
    if not is_text_or_unordered and getattr(result, "ndim", 1) == 1:
        for method in ("to_pylist", "tolist", "to_list"):
            if hasattr(result, method):
                return list(getattr(result, method)())
        if isinstance(result, Iterable):
            return list(result)
    raise TypeError(
        f"a batch function must return one vote per record, got {_shown(repr, result):.200}"
    )


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
