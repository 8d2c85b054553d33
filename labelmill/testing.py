"""Helpers for unit tests of labeling functions, in pytest or any other framework.

They run functions the way a job does, so that a function is tested with its preprocessors and
resources, and a keyword or regex function of a job file like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from labelmill.apply import Applied, Fault, apply_functions
from labelmill.columns import columns_used
from labelmill.errors import LabelingFunctionError, LabelmillError
from labelmill.job import prepare_job
from labelmill.jobfile import load_job
from labelmill.labeling import AnyLabelingFunction, LabelingFunction
from labelmill.records import ID, iterate_records
from labelmill.suggestion import did_you_mean
from labelmill.votes import LFInfo, LFTable, unpack_votes

Records = Any
"""Texts or mappings in any iterable, a `pyarrow.RecordBatch` or table, or a pandas data frame."""

Vote = str | int | None
"""A class name or index; None or `labelmill.ABSTAIN` for an abstain."""

_SHOWN = 100


class FunctionFailedError(LabelmillError, AssertionError):
    """A labeling function raised on a record of a test, or returned what is no class."""


class JobFunctions(Mapping[str, AnyLabelingFunction]):
    """The labeling functions of a job by name, with the job's classes.

    Args:
        functions: The functions.
        labels: The job's class names.
    """

    def __init__(self, functions: Iterable[AnyLabelingFunction], labels: Sequence[str]) -> None:
        self._functions = {lf.name: lf for lf in functions}
        self.labels = tuple(labels)

    def __getitem__(self, name: str) -> AnyLabelingFunction:
        if name not in self._functions:
            hint = did_you_mean(name, self._functions, f"it has {', '.join(self)}")
            raise KeyError(f"the job has no labeling function {name!r}{hint}")
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def votes(self, name: str, records: Records, *, column: str | None = None) -> list[str | None]:
        """Return the votes of the function `name`; see `votes`."""
        __tracebackhide__ = True
        return votes(self[name], records, self.labels, column=column)

    def check(
        self, name: str, expected: Mapping[Vote, Records], *, column: str | None = None
    ) -> None:
        """Check the votes of the function `name`; see `check`."""
        __tracebackhide__ = True
        check(self[name], expected, self.labels, column=column)


def load_functions(job: str | Path, overrides: Sequence[str] = ()) -> JobFunctions:
    """Load the labeling functions of a job file: those of its Python files and those it declares.

    Args:
        job: The job file; in a test, best ``Path(__file__).with_name("job.yaml")``.
        overrides: ``key.sub=value`` assignments, as `--set` takes them.

    Raises:
        LabelmillError: Whatever is wrong with the job file or its functions.
    """
    spec, folder = load_job(job, overrides)
    return JobFunctions(prepare_job(spec, folder).functions(), spec.labels)


def votes(
    lf: AnyLabelingFunction,
    records: Records,
    labels: Sequence[str],
    *,
    column: str | None = None,
) -> list[str | None]:
    """Return what a labeling function votes on each record: class names, None where it abstains.

    Args:
        lf: The function, of any kind.
        records: Texts, or mappings of column to value (a column that one does not have is null
            there), in any iterable; or a `pyarrow.RecordBatch`, a table or a pandas data frame.
        labels: The job's class names, in their order.
        column: Where texts go: by default the one column that the function reads, else `text`.

    Raises:
        FunctionFailedError: The function raised, or returned what is no class. What it raised is
            the error's cause.

    Example:
        >>> from labelmill import keywords
        >>> money = keywords("money", label="spam", words=["cash"])
        >>> votes(money, ["free CASH", "cashier", None], ["ham", "spam"])
        ['spam', None, None]
    """
    __tracebackhide__ = True  # pytest shows the line of the test instead
    batch = _batch(lf, records, column)
    applied = _applied(lf, batch, labels)
    if applied.faults:
        fault = applied.faults[0]
        row = batch.column(ID).to_pylist().index(fault.id)
        raise FunctionFailedError(
            f"{_failure(lf, fault)} on record {row}: {_shown(batch, row)}"
        ) from _raised(lf, batch, row, fault)
    return _names(applied, labels)


def check(
    lf: AnyLabelingFunction,
    expected: Mapping[Vote, Records],
    labels: Sequence[str],
    *,
    column: str | None = None,
) -> None:
    """Check a labeling function against records by the vote that each should get.

    Args:
        lf: The function, of any kind.
        expected: Records, as `votes` takes them, by class name or index; by None or `ABSTAIN`
            those that the function should abstain on.
        labels: The job's class names, in their order.
        column: Where texts go: by default the one column that the function reads, else `text`.

    Raises:
        AssertionError: Votes differ; every record that got another vote is listed.

    Example:
        >>> from labelmill import keywords
        >>> money = keywords("money", label="spam", words=["cash"])
        >>> check(money, {"spam": ["free CASH", "cash!"], None: ["cashier"]}, ["ham", "spam"])
        >>> check(money, {"spam": ["free CASH", "a prize"]}, ["ham", "spam"])
        Traceback (most recent call last):
        ...
        AssertionError: labeling function 'money': 1 of 2 votes are not as expected
          expected spam, abstained: text='a prize'
    """
    __tracebackhide__ = True
    wrong: list[str] = []
    cause: BaseException | None = None
    total = 0
    for vote, records in expected.items():
        wanted = _class_name(vote, labels)
        batch = _batch(lf, records, column)
        applied = _applied(lf, batch, labels)
        failures = {fault.id: fault for fault in applied.faults}
        total += batch.num_rows
        for row, got in enumerate(_names(applied, labels)):
            fault = failures.get(str(batch.column(ID)[row].as_py()))
            if fault is None and got == wanted:
                continue
            hoped = "an abstain" if wanted is None else wanted
            if fault is not None:
                came = fault.message if fault.outcome == "invalid" else f"raised {_reason(fault)}"
                cause = cause or _raised(lf, batch, row, fault)
            else:
                came = "abstained" if got is None else f"got {got}"
            wrong.append(f"  expected {hoped}, {came}: {_shown(batch, row)}")
    if wrong:
        head = f"labeling function {lf.name!r}: {len(wrong)} of {total} votes are not as expected"
        raise AssertionError("\n".join([head, *wrong])) from cause


def _applied(lf: AnyLabelingFunction, batch: pa.RecordBatch, labels: Sequence[str]) -> Applied:
    if isinstance(labels, str):
        raise LabelingFunctionError(f"labels must be a list of class names, got {labels!r}")
    table = LFTable((LFInfo(lf.name, ""),), tuple(labels))
    return apply_functions(batch, [lf], table, max_faults=batch.num_rows)


def _names(applied: Applied, labels: Sequence[str]) -> list[str | None]:
    """Return the votes of the one function by row."""
    arrays = unpack_votes(applied.votes)
    names: list[str | None] = []
    for start, stop in zip(arrays.indptr[:-1].tolist(), arrays.indptr[1:].tolist(), strict=True):
        names.append(labels[int(arrays.labels[start])] if stop > start else None)
    return names


def _class_name(vote: Vote, labels: Sequence[str]) -> str | None:
    if vote is None or vote == -1:
        return None
    if isinstance(vote, int) and not isinstance(vote, bool) and 0 <= vote < len(labels):
        return labels[vote]
    if isinstance(vote, str) and vote in labels:
        return vote
    raise LabelingFunctionError(
        f"expected vote {vote!r} is no class ({', '.join(labels)}); None stands for an abstain"
    )


def _batch(lf: AnyLabelingFunction, records: Records, column: str | None) -> pa.RecordBatch:
    """Return records of any form as a batch with ids."""
    if isinstance(records, str | bytes | Mapping):
        raise LabelingFunctionError(
            f"records must be a list of texts or mappings, got {records!r:.80}; put it in a list"
        )
    if isinstance(records, pa.RecordBatch):
        batch = records
    elif isinstance(records, pa.Table):
        batch = _one_batch(records)
    elif hasattr(records, "iloc"):  # a pandas data frame
        batch = pa.RecordBatch.from_pandas(records, preserve_index=False)
    else:
        batch = _from_rows(list(records), column or _text_column(lf))
    if ID in batch.schema.names:
        batch = batch.drop_columns([ID])
    ids = pa.array([str(row) for row in range(batch.num_rows)], pa.string())
    return pa.RecordBatch.from_arrays([ids, *batch.columns], names=[ID, *batch.schema.names])


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _text_column(lf: AnyLabelingFunction) -> str:
    """Return the one column that a function reads, if it is known to read one, else `text`."""
    used = columns_used(lf)
    return used.columns[0] if used.complete and len(used.columns) == 1 else "text"


def _from_rows(rows: list[Any], text_column: str) -> pa.RecordBatch:
    """Return texts and mappings as a batch; the columns are those of all mappings together."""
    mappings: list[Mapping[str, Any]] = []
    for row in rows:
        if row is not None and not isinstance(row, str | Mapping):
            raise LabelingFunctionError(
                f"a record must be a text, None or a mapping of column to value, got {row!r:.80}"
            )
        mappings.append(row if isinstance(row, Mapping) else {text_column: row})
    names = dict.fromkeys(name for row in mappings for name in row) or {text_column: None}
    columns = {}
    for name in names:
        values = [row.get(name) for row in mappings]
        try:
            columns[name] = pa.array(values, None if any(v is not None for v in values) else _TEXT)
        except pa.ArrowException as error:
            raise LabelingFunctionError(
                f"column {name!r} of the records holds values of different types: {error}"
            ) from error
    return pa.RecordBatch.from_pydict(columns)


_TEXT = pa.string()


def _failure(lf: AnyLabelingFunction, fault: Fault) -> str:
    what = fault.message if fault.outcome == "invalid" else f"raised {_reason(fault)}"
    return f"labeling function {lf.name!r} {what}"


def _reason(fault: Fault) -> str:
    return f"{fault.type}: {fault.message}" if fault.message else fault.type


def _raised(
    lf: AnyLabelingFunction, batch: pa.RecordBatch, row: int, fault: Fault
) -> BaseException | None:
    """Return what a function raises on a record, caught by calling it again on that alone."""
    __tracebackhide__ = True
    if fault.outcome == "invalid":
        return None
    one = batch.slice(row, 1)
    try:
        if isinstance(lf, LabelingFunction) and lf.batch:
            lf(one)
        else:
            record = next(iterate_records(one))
            lf(copy.copy(record) if getattr(lf, "pre", None) else record)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too
        return error
    return None


def _shown(batch: pa.RecordBatch, row: int) -> str:
    values = {name: batch.column(name)[row].as_py() for name in batch.schema.names if name != ID}
    return ", ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
