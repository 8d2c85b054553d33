"""What several functions share of one batch: its records, and what preprocessors make of them."""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import pyarrow as pa

from labelmill.records import ID, EditableRecord, Record, iterate_records


class Phase(IntEnum):
    """What is being done with a batch."""

    LOADING = 0
    """Modules, resources, models, the records themselves."""
    PREPROCESSING = 1
    """A preprocessor, one record after the other."""
    MAPPING = 2
    """A preprocessor has several records at once."""
    CALLING = 3
    """The function, one record after the other."""
    BATCH = 4
    """The function has several records at once."""
    ENDED = 5
    """The results are there, and are made codes and an answer."""


class Watch(Protocol):
    """Watches a call from the process in which it runs, so that it can be stopped."""

    @property
    def every_record(self) -> bool:
        """Whether it wants to be told of each record, one by one, before it is seen."""

    def enters(self, phase: Phase) -> None:
        """What follows is of another kind, with a time of its own."""

    def sees(self, row: int) -> None:
        """A record is about to be seen."""


class BatchView:
    """What several functions share of one batch, each built when first asked for.

    Args:
        batch: Records with their ids.
        watch: Who watches the calls on this batch.
    """

    def __init__(self, batch: pa.RecordBatch, watch: Watch | None = None) -> None:
        self.batch = batch
        self.watch = watch
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

    def preprocessed(
        self, records: list[Record], pre: tuple[Callable[[Any], Any], ...]
    ) -> list[Any]:
        """Return the records after the preprocessors `pre`, each run once per record.

        Args:
            records: What `records` gave.
            pre: Preprocessors, in order.
        """
        if not pre:
            return records
        key = tuple(id(step) for step in pre)
        if key not in self._chains:
            before = self.preprocessed(records, pre[:-1])
            done: list[Any] = []
            self.progress = done
            self._fill(done, before, pre[-1])
            self._chains[key] = done
        return self._chains[key]

    def enter(self, phase: Phase) -> None:
        """Tell who watches what follows."""
        if self.watch is not None:
            self.watch.enters(phase)

    def _fill(self, done: list[Any], before: list[Any], step: Callable[[Any], Any]) -> None:
        watch, size = self.watch, _FIRST_TOGETHER
        if watch is not None and watch.every_record:
            self.enter(Phase.PREPROCESSING)
            for row, x in enumerate(before):
                watch.sees(row)
                done.append(_try(step, x))
            return
        maps = hasattr(step, "map_batch")
        while len(done) < len(before):
            part = before[len(done) : len(done) + size] if maps else before
            began = time.perf_counter()
            if maps:
                self.enter(Phase.MAPPING)
            mapped = _map_batch(step, part) if maps else None
            if mapped is None:
                self.enter(Phase.PREPROCESSING)
                mapped = (_try(step, x) for x in part)
            done.extend(mapped)
            spent = time.perf_counter() - began
            fitting = int(_TOGETHER_SECONDS * len(part) / max(spent, 1e-9))
            size = min(max(fitting, _FIRST_TOGETHER), _MOST_TOGETHER)


def is_ctrl_c(error: BaseException) -> bool:
    """Whether somebody pressed Ctrl-C; where that is ignored, a function raised it of its own."""
    return (
        isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    )


@dataclass(frozen=True)
class FailedRecord:
    """A record whose preprocessor raised."""

    error: BaseException


_FIRST_TOGETHER, _MOST_TOGETHER, _TOGETHER_SECONDS = 16, 256, 1.0
"""Records that `map_batch` gets at once: as many as take about a second, since the time limit of
a record is that of such a call."""


def _copied(x: Any) -> Any:
    """Return what a step may add fields to, unseen by functions that share only those before."""
    return copy.copy(x) if isinstance(x, Record | EditableRecord) else x


def _try(step: Callable[[Any], Any], x: Any) -> Any:
    if type(x) is FailedRecord:
        return x
    try:
        return _checked(step, step(_copied(x)))
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        return FailedRecord(error)


def _checked(step: Callable[[Any], Any], mapped: Any) -> Any:
    """Return what a step made of a record; `map_batch` gives an exception for one it failed on."""
    if mapped is None:
        return FailedRecord(ValueError(f"preprocessor {step!r} returned None, not a record"))
    return FailedRecord(mapped) if isinstance(mapped, BaseException) else mapped


def _map_batch(step: Any, records: list[Any]) -> Iterator[Any] | None:
    """Return what a step that takes many records at once makes of them; None to go one by one."""
    good = [n for n, x in enumerate(records) if type(x) is not FailedRecord]
    try:
        mapped = list(step.map_batch([_copied(records[n]) for n in good]))
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        return None
    if len(mapped) != len(good):
        return None
    done = {n: _checked(step, x) for n, x in zip(good, mapped, strict=True)}
    return (done.get(n, x) for n, x in enumerate(records))
