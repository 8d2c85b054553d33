"""Run labeling functions over a record batch: votes, exact outcome counts, dead letters.

A plain function and its values; Beam is in `transforms`. Matchers are scanned together, functions
of a group vote together, the others are called one by one: in this process, or in one of their own
where a job gives a time limit. Combinations follow from the votes of their parts.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.batchview import BatchView
from labelmill.calling import Called, Caller
from labelmill.combining import Combination, Combiner, with_parts
from labelmill.encoding import ABSTAINED, FAULTED, INVALID, Codes, VoteEncoder, Wrong
from labelmill.errors import LabelingFunctionError, LabelmillError
from labelmill.guard import Guard, Stops
from labelmill.labeling import (
    AnyLabelingFunction,
    BatchFunction,
    FunctionGroup,
    Matcher,
    PaidFunction,
)
from labelmill.matching import MatcherSet
from labelmill.outcomes import Fault, Outcomes, Times, bucket_of
from labelmill.records import ID
from labelmill.suggestion import did_you_mean
from labelmill.votes import LFTable, pack_sparse_votes, votes_schema

Ints = npt.NDArray[np.int64]

__all__ = ["Applied", "Fault", "FunctionSet", "Outcomes", "Stops", "apply_functions"]


@dataclass(frozen=True)
class Applied:
    """What `apply_functions` returns.

    Attributes:
        votes: Vote batch, one row per record, in order.
        outcomes: Exact counts.
        faults: At most `max_faults` samples per function, the first ones.
        estimates: What functions that cost money would use, when they were not to be asked.
    """

    votes: pa.RecordBatch
    outcomes: Outcomes
    faults: tuple[Fault, ...]
    estimates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class FunctionSet:
    """Labeling functions made ready to run: matchers compiled, class names resolved.

    Args:
        lfs: The functions, in the order of `table`.
        table: Their LF table with the class names.
        guarded_by: The `labelmill.job.PreparedJob` that a process of its own can load the
            functions from; without it they run in this process, and nothing stops them.
        limit: Seconds that a function may take on a record in that process.

    Raises:
        LabelingFunctionError: A function votes for a class that the job does not have, or a
            combination names a function that is not there.
    """

    def __init__(
        self,
        lfs: Sequence[AnyLabelingFunction],
        table: LFTable,
        *,
        guarded_by: Any = None,
        limit: float = 60.0,
    ) -> None:
        self.table = table
        self._every: list[Any] = with_parts(lfs)
        self._n_lfs = len(lfs)
        self._caller = Caller(table.class_names)
        self._guard = None if guarded_by is None else Guard(guarded_by, self._every, limit)
        self._pool = ThreadPoolExecutor(1, "labelmill-guard") if self._guard else None
        self._asking = threading.Lock()
        self.closed = False
        self._schemas = {g: votes_schema(table, gold=g) for g in (False, True)}
        labels = labels_of(self._every, table.class_names)
        matchers = {n: lf for n, lf in enumerate(self._every) if isinstance(lf, Matcher)}
        self._matchers = MatcherSet(matchers, labels)
        self._combiner = Combiner(self._every, self._n_lfs)
        self._labels = labels
        self._groups = _groups(self._every)
        grouped = {n for _, positions in self._groups for n in positions}
        single = [
            n
            for n, lf in enumerate(self._every)
            if not isinstance(lf, Matcher | Combination) and n not in grouped
        ]
        self._paid = [n for n in single if isinstance(self._every[n], PaidFunction)]
        needs_paid = {
            n: not self._combiner.needed_by(n).isdisjoint(self._paid) for n in self._combiner.order
        }
        self._combined_early = [n for n, late in needs_paid.items() if not late]
        self._combined_late = [n for n, late in needs_paid.items() if late]
        early = [n for n in single if n not in self._paid]
        is_guarded = {n: self._guard is not None and not _is_trusted(self._every[n]) for n in early}
        self._guarded = [n for n in early if is_guarded[n]]
        self._unguarded = [n for n in early if not is_guarded[n]]
        if self._guarded and self._guard is not None:
            self._guard.start()  # it loads while we go on

    def bind(self, store_uri: str) -> None:
        """Keep what functions pay for in a data set; they ask within what `allow` gives."""
        for n in self._paid:
            self._every[n].bind(store_uri)

    def allow(self, share: float) -> None:
        """Let functions that cost money use a further share of their budgets in this process."""
        for n in self._paid:
            self._every[n].allow(share)

    def warm_up(self) -> None:
        """Build what is built on first use, so that what follows can be timed."""
        self._matchers.warm_up()

    def printed(self) -> str:
        """Return what functions printed in their own process since this was last called."""
        return "" if self._guard is None else self._guard.printed()

    def close(self) -> None:
        """End the process of the functions, if there is one, whatever it is doing.

        It ends with this object anyway. A batch that another thread is applying is an error there.
        """
        self.closed = True
        if self._guard is not None:
            self._guard.close()

    def apply(
        self,
        batch: pa.RecordBatch,
        *,
        gold: pa.Array | None = None,
        max_faults: int = 100,
        ask: bool = True,
        stops: Stops | None = None,
    ) -> Applied:
        """Run every function over `batch`.

        Args:
            batch: Records, with their ids in the column `labelmill.records.ID`.
            gold: Optional int16 class indices to carry along, shape (rows,).
            max_faults: Samples of faults and invalid results to keep per function.
            ask: Whether functions that cost money are asked; else it is estimated what they cost.
            stops: What functions did not return from in batches before, such as those of the
                same shard; this batch is added. By default each batch is judged alone.

        Returns:
            Votes, exact counts and samples.
        """
        stops = Stops() if stops is None else stops
        found = _Found(batch, len(self._every))
        pending: Future[list[Called]] | None = None
        if self._guarded and self._guard is not None and self._pool is not None:
            tasks = [(n, None) for n in self._guarded]
            pending = self._pool.submit(self._guard.run, batch, tasks, max_faults, stops)
        unsure = self._matchers.scan(batch, found)
        view = BatchView(batch)
        for n in self._unguarded:
            found.add(n, None, self._caller.call(self._every[n], view, max_faults=max_faults))
        for group, positions in self._groups:
            self._ask_group(group, positions, batch, found, max_faults)
        called = [] if pending is None else pending.result()
        for n, result in zip(self._guarded, called, strict=True):
            found.add(n, None, result)
        self._confirm(batch, unsure, found, max_faults, stops)
        for n in self._combined_early:
            self._combine(n, found, max_faults)
        self._ask_paid(batch, found, max_faults, ask)
        for n in self._combined_late:
            self._combine(n, found, max_faults)
        return self._assemble(batch, found, gold)

    def _ask_group(
        self,
        group: FunctionGroup,
        positions: Sequence[int],
        batch: pa.RecordBatch,
        found: _Found,
        max_faults: int,
    ) -> None:
        started = time.perf_counter()
        members = [self._every[n] for n in positions]
        votes = group.votes(members, batch, self.table.class_names)
        places = np.asarray(positions, dtype=np.int64)
        found.add_sparse(places[votes.functions], votes.rows, votes.labels)
        for place, value in sorted(votes.invalid.items()):
            n, row = positions[int(votes.functions[place])], int(votes.rows[place])
            if len(found.faults[n]) < max_faults:
                record_id = str(batch.column(ID)[row].as_py())
                fault = self._caller.fault(self._every[n].name, record_id, Wrong(value))
                hint = did_you_mean(value, self.table.class_names)
                said = f"the table has {value!r:.200} for this item, which is no class{hint}"
                if isinstance(value, tuple):
                    said = f"the table has different votes for this item: {value!r:.200}"
                found.faults[n][row] = replace(fault, message=said)
        found.spent(positions, time.perf_counter() - started)

    def _confirm(
        self,
        batch: pa.RecordBatch,
        unsure: Mapping[int, Ints],
        found: _Found,
        max_faults: int,
        stops: Stops,
    ) -> None:
        """Settle with `re` where the scan could not: here where that is sure to end soon."""
        risky = []
        for n, rows in unsure.items():
            found.searched[n] = len(rows)
            if self._guard is not None and self._matchers.may_hang(n, batch, rows):
                risky.append((n, rows))
            else:
                started = time.perf_counter()
                hits = self._matchers.search(n, batch, rows)
                found.add_sparse(
                    np.full(len(hits), n), hits, np.full(len(hits), self._labels[n], np.int16)
                )
                found.spent([n], time.perf_counter() - started)
        if risky and self._guard is not None:
            for (n, rows), called in zip(
                risky, self._guard.run(batch, risky, max_faults, stops), strict=True
            ):
                called.codes[called.codes >= 0] = self._labels[n]
                found.add(n, rows, called)

    def _combine(self, n: int, found: _Found, max_faults: int) -> None:
        """Work out combination `n` from the votes of its parts."""
        started = time.perf_counter()
        where, failed = self._combiner.holds(n, found.codes_of)
        called = Called(np.where(where, self._labels[n], ABSTAINED).astype(np.int16))
        called.codes[failed >= 0] = FAULTED
        for row in np.flatnonzero(failed >= 0)[:max_faults].tolist():
            part = self._every[int(failed[row])].name
            error = LabelingFunctionError(f"its part {part!r} failed on this record")
            called.faults[row] = self._caller.fault(
                self._every[n].name, str(found.batch.column(ID)[row].as_py()), error
            )
        called.seconds = time.perf_counter() - started
        found.add(n, None, called)

    def _ask_paid(self, batch: pa.RecordBatch, found: _Found, max_faults: int, ask: bool) -> None:
        """Ask the functions that cost money, on the records that they are for."""
        if not self._paid:
            return
        lowest, highest = found.range_of_votes(self._n_lfs)
        wanted = {
            "all": np.ones(batch.num_rows, dtype=bool),
            "uncovered": lowest > highest,
            "conflicting": lowest < highest,
        }
        for n in self._paid:
            lf: PaidFunction = self._every[n]
            rows = np.flatnonzero(wanted[lf.only_where])
            if not len(rows):
                continue
            part = batch.take(pa.array(rows))
            if not ask:
                found.estimates[lf.name] = lf.estimate(part)
                continue
            with self._asking:  # what one batch used would count for another as well
                before = lf.usage()
                try:
                    called = self._caller.call(lf, BatchView(part), max_faults=max_faults)
                except LabelmillError as error:
                    raise type(error)(f"labeling function {lf.name!r}: {error}") from error
                after = lf.usage()
            found.add(n, rows, called)
            found.usage[lf.name] = {name: after[name] - before[name] for name in after}

    def _assemble(self, batch: pa.RecordBatch, found: _Found, gold: pa.Array | None) -> Applied:
        n_lfs = self._n_lfs
        votes, faults, invalid = (tuple(row[:n_lfs].tolist()) for row in found.counts)
        outcomes = Outcomes(
            batch.num_rows,
            votes,
            faults,
            invalid,
            seconds=tuple(found.seconds[:n_lfs]),
            times=tuple(found.times[:n_lfs]),
            usage=found.usage,
            searched=tuple(found.searched[:n_lfs]) if any(found.searched) else (),
        )
        lfs, rows, labels = found.votes(n_lfs)
        packed = pack_sparse_votes(
            batch.column(ID), rows, lfs, labels, self._schemas[gold is not None], gold
        )
        samples = [
            fault
            for n, faults in sorted(found.faults.items())
            for _, fault in sorted(faults.items())
            if n < n_lfs
        ]
        return Applied(packed, outcomes, tuple(samples), found.estimates)


def labels_of(every: Sequence[Any], class_names: Sequence[str]) -> dict[int, int]:
    """Return the class that each function votes for, -1 where it is not always the same.

    Args:
        every: Functions and parts.
        class_names: The classes.

    Raises:
        LabelingFunctionError: One votes for what is no class of the job.
    """
    encoder = VoteEncoder(class_names)
    labels = {}
    for n, lf in enumerate(every):
        given: tuple[str | int, ...] = ()
        if isinstance(lf, BatchFunction):
            given = lf.labels
        elif isinstance(lf, Matcher | Combination):
            given = (lf.label,)
        codes = [_code_of(lf.name, label, encoder, class_names) for label in given]
        labels[n] = codes[0] if len(codes) == 1 else ABSTAINED
    return labels


def _code_of(name: str, label: str | int, encoder: VoteEncoder, class_names: Sequence[str]) -> int:
    code = encoder.code(label)
    if code < 0:
        raise LabelingFunctionError(
            f"labeling function {name!r} votes for {label!r}, which is not a class of this job "
            f"({', '.join(class_names)}){did_you_mean(label, class_names, 'add it to `labels`')}"
        )
    return code


class _Found:
    """What is known so far of a batch: votes and failures one by one, times, samples of faults."""

    def __init__(self, batch: pa.RecordBatch, n_functions: int) -> None:
        self.batch = batch
        self.counts = np.zeros((3, n_functions), dtype=np.int64)
        """Votes, faults and invalid results of each function."""
        self.seconds = [0.0] * n_functions
        self.times: list[Times] = [{} for _ in range(n_functions)]
        self.faults: dict[int, dict[int, Fault]] = defaultdict(dict)
        self.usage: dict[str, Mapping[str, float]] = {}
        self.searched = [0] * n_functions
        self.estimates: dict[str, Mapping[str, float]] = {}
        self._votes: list[_Piece] = []
        self._failures: list[_Piece] = []

    def add(self, n: int, rows: Ints | None, called: Called) -> None:
        """Take what calling function `n` on `rows` gave; None stands for all rows."""
        for chosen, pieces in (
            (called.codes >= 0, self._votes),
            (called.codes < ABSTAINED, self._failures),
        ):
            places = np.flatnonzero(chosen)
            if len(places):
                pieces.append((n, places if rows is None else rows[places], called.codes[places]))
        self.counts[:, n] += [np.count_nonzero(chosen) for chosen in _by_kind(called.codes)]
        for row, fault in called.faults.items():
            self.faults[n][row if rows is None else int(rows[row])] = fault
        self.seconds[n] += called.seconds
        self.times[n] = called.times

    def add_sparse(self, functions: Ints, rows: Ints, codes: Codes) -> None:
        """Take single votes of many functions, and failures among them."""
        if not len(functions):
            return
        self._count(functions, codes)
        voted = codes >= 0
        if voted.all():
            self._votes.append((functions, rows, codes))
        else:
            self._votes.append((functions[voted], rows[voted], codes[voted]))
            self._failures.append((functions[~voted], rows[~voted], codes[~voted]))

    def _count(self, functions: Ints, codes: Codes) -> None:
        size = self.counts.shape[1]
        for kind, chosen in enumerate(_by_kind(codes)):
            if chosen.any():
                self.counts[kind] += np.bincount(functions[chosen], minlength=size)

    def spent(self, positions: Sequence[int], seconds: float) -> None:
        """Share the time of one pass among its functions."""
        if not positions:
            return
        rows = self.batch.num_rows
        for n in positions:
            self.seconds[n] += seconds / len(positions)
            self.times[n] = {bucket_of(self.seconds[n] * 1e9 / rows): rows} if rows else {}

    def codes_of(self, n: int) -> Codes:
        """Return the codes of one function, int16, shape (rows,)."""
        codes = np.full(self.batch.num_rows, ABSTAINED, dtype=np.int16)
        for functions, rows, values in (*self._votes, *self._failures):
            if isinstance(functions, int):
                if functions == n:
                    codes[rows] = values
            else:
                mine = functions == n
                codes[rows[mine]] = values[mine]
        return codes

    def range_of_votes(self, n_lfs: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the lowest and highest class voted for on each record; crossed where none is."""
        lowest = np.full(self.batch.num_rows, 1 << 30, dtype=np.int32)
        highest = np.full(self.batch.num_rows, -1, dtype=np.int32)
        _, rows, labels = self.votes(n_lfs)
        np.minimum.at(lowest, rows, labels)
        np.maximum.at(highest, rows, labels)
        return lowest, highest

    def votes(self, n_lfs: int) -> tuple[Ints, Ints, Codes]:
        """Return functions, rows and classes of the votes of the first `n_lfs` functions."""
        nothing = np.empty(0, dtype=np.int64)
        functions, rows, codes = [nothing], [nothing], [nothing.astype(np.int16)]
        for piece, places, labels in self._votes:
            if isinstance(piece, int):
                if piece >= n_lfs:
                    continue
                functions.append(np.full(len(places), piece))
            elif n_lfs < self.counts.shape[1]:
                own = piece < n_lfs
                functions.append(piece[own])
                places, labels = places[own], labels[own]  # noqa: PLW2901
            else:
                functions.append(piece)
            rows.append(places)
            codes.append(labels)
        return np.concatenate(functions), np.concatenate(rows), np.concatenate(codes)


def _by_kind(codes: Codes) -> tuple[npt.NDArray[np.bool_], ...]:
    """Return where there are votes, faults and invalid results."""
    return codes >= 0, codes == FAULTED, codes == INVALID


_Piece = tuple["int | Ints", Ints, Codes]
"""Functions (one, or one for each vote), rows and codes."""


def _groups(every: Sequence[Any]) -> list[tuple[FunctionGroup, list[int]]]:
    """Return the groups of functions that vote together, with their members' positions."""
    found: dict[int, tuple[FunctionGroup, list[int]]] = {}
    for n, lf in enumerate(every):
        if isinstance(lf, BatchFunction) and lf.group is not None:
            found.setdefault(id(lf.group), (lf.group, []))[1].append(n)
    return list(found.values())


def _is_trusted(lf: Any) -> bool:
    return isinstance(lf, BatchFunction) and lf.trusted


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
