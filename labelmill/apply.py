"""Run labeling functions over a record batch: votes, exact outcome counts, dead letters.

A plain function and its values; Beam is in `transforms`. Matchers are scanned together, functions
of a group vote together, the others are called one by one: in this process, or in one of their own
where a job gives a time limit. Combinations follow from the votes of their parts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from labelmill.batchview import BatchView
from labelmill.calling import Called, Caller
from labelmill.combining import Combination, Combiner, with_parts
from labelmill.encoding import ABSTAINED, FAULTED, VoteEncoder, Wrong
from labelmill.errors import LabelingFunctionError, LabelmillError
from labelmill.found import Found, Ints
from labelmill.guard import Guard, Stops
from labelmill.labeling import (
    AnyLabelingFunction,
    BatchFunction,
    FunctionGroup,
    Matcher,
    PaidFunction,
    SparseVotes,
)
from labelmill.matching import MatcherSet
from labelmill.outcomes import Fault, Outcomes
from labelmill.records import ID
from labelmill.steps import Steps, late_functions, with_dependents
from labelmill.suggestion import did_you_mean
from labelmill.votes import LFTable, pack_sparse_votes, votes_schema

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
        self._closed = False
        self._schemas = {g: votes_schema(table, gold=g) for g in (False, True)}
        self._labels = labels_of(self._every, table.class_names)
        self._combiner = Combiner(self._every, self._n_lfs)
        self._late = late_functions(self._every, self._combiner)
        self._steps: dict[frozenset[int], Steps] = {}
        self._all = frozenset(range(len(self._every)))
        self._paid = [n for n, lf in enumerate(self._every) if isinstance(lf, PaidFunction)]
        if self._guard is not None and any(map(self._is_guarded, self._every)):
            self._guard.start()  # it loads while we go on

    def _is_guarded(self, lf: Any) -> bool:
        plain = not isinstance(lf, Matcher | Combination | PaidFunction)
        return self._guard is not None and plain and not _is_trusted(lf)

    def _steps_of(self, running: frozenset[int] | None) -> Steps:
        """Return the steps for some functions of the job, with the parts that only these have."""
        chosen = self._all
        if running is not None:
            needed = [self._combiner.needed_by(n) for n in running]
            parts = {n for part in needed for n in part if n >= self._n_lfs}
            chosen = running | parts
        if chosen not in self._steps:
            self._steps[chosen] = Steps(
                self._every, self._labels, self._combiner, chosen, self._late, self._is_guarded
            )
        return self._steps[chosen]

    def running(self, changed: Collection[int], failed: Collection[int]) -> frozenset[int]:
        """Return the functions that have to run where the votes of some changed.

        Args:
            changed: Functions that have to run anyway.
            failed: Other functions that failed on a record, so that their votes do not tell all.
        """
        positions = with_dependents(self._every, self._combiner, set(changed), set(failed))
        return frozenset(n for n in positions if n < self._n_lfs)

    def read_records(self, running: frozenset[int]) -> bool:
        """Tell whether any of some functions looks at records rather than at others' votes."""
        steps = self._steps_of(running)
        return set(steps.combined_early + steps.combined_late) != running

    def bind(self, store_uri: str) -> None:
        """Keep what functions pay for in a data set; they ask within what `allow` gives."""
        for n in self._paid:
            self._every[n].bind(store_uri)

    def allow(self, share: float) -> None:
        """Let functions that cost money use a further share of their budgets in this process."""
        for n in self._paid:
            self._every[n].allow(share)

    def warm_up(self, running: frozenset[int] | None = None) -> None:
        """Build what is built on first use, so that what follows can be timed."""
        self._steps_of(running).matchers.warm_up()

    def printed(self) -> str:
        """Return what functions printed in their own process since this was last called."""
        return "" if self._guard is None else self._guard.printed()

    @property
    def closed(self) -> bool:
        """Whether the functions can run no more: this was closed, or all processes were."""
        return self._closed or (self._guard is not None and self._guard.closed)

    def close(self) -> None:
        """End the process of the functions, if there is one, whatever it is doing.

        It ends with this object anyway. A batch that another thread is applying is an error there.
        """
        self._closed = True
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
        running: frozenset[int] | None = None,
        kept: SparseVotes | None = None,
    ) -> Applied:
        """Run functions over `batch`.

        Args:
            batch: Records, with their ids in the column `labelmill.records.ID`.
            gold: Optional int16 class indices to carry along, shape (rows,).
            max_faults: Samples of faults and invalid results to keep per function.
            ask: Whether functions that cost money are asked; else it is estimated what they cost.
            stops: What functions did not return from in batches before, such as those of the
                same shard; this batch is added. By default each batch is judged alone.
            running: What `running` gave; by default every function runs.
            kept: Votes of the others, known from before.

        Returns:
            Votes, exact counts and samples; of functions that did not run only their votes.
        """
        stops = Stops() if stops is None else stops
        steps = self._steps_of(running)
        found = Found(batch, len(self._every))
        if kept is not None:
            found.add_sparse(kept.functions, kept.rows, kept.labels)
        pending: Future[list[Called]] | None = None
        if steps.guarded and self._guard is not None and self._pool is not None:
            tasks = [(n, None) for n in steps.guarded]
            pending = self._pool.submit(self._guard.run, batch, tasks, max_faults, stops)
        unsure = steps.matchers.scan(batch, found)
        view = BatchView(batch)
        for n in steps.unguarded:
            found.add(n, None, self._caller.call(self._every[n], view, max_faults=max_faults))
        for group, positions in steps.groups:
            self._ask_group(group, positions, batch, found, max_faults)
        called = [] if pending is None else pending.result()
        for n, result in zip(steps.guarded, called, strict=True):
            found.add(n, None, result)
        self._confirm(steps.matchers, batch, unsure, found, max_faults, stops)
        for n in steps.combined_early:
            self._combine(n, found, max_faults)
        self._ask_paid(steps.paid, batch, found, max_faults, ask)
        for n in steps.combined_late:
            self._combine(n, found, max_faults)
        return self._assemble(batch, found, gold)

    def _ask_group(
        self,
        group: FunctionGroup,
        positions: Sequence[int],
        batch: pa.RecordBatch,
        found: Found,
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
        matchers: MatcherSet,
        batch: pa.RecordBatch,
        unsure: Mapping[int, Ints],
        found: Found,
        max_faults: int,
        stops: Stops,
    ) -> None:
        """Settle with `re` where the scan could not: here where that is sure to end soon."""
        risky = []
        for n, rows in unsure.items():
            found.searched[n] = len(rows)
            if self._guard is not None and matchers.may_hang(n, batch, rows):
                risky.append((n, rows))
            else:
                started = time.perf_counter()
                hits = matchers.search(n, batch, rows)
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

    def _combine(self, n: int, found: Found, max_faults: int) -> None:
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

    def _ask_paid(
        self, paid: Sequence[int], batch: pa.RecordBatch, found: Found, max_faults: int, ask: bool
    ) -> None:
        """Ask functions that cost money, on the records that they are for."""
        if not paid:
            return
        lowest, highest = found.range_of_votes(self._n_lfs, self._late)
        wanted = {
            "all": np.ones(batch.num_rows, dtype=bool),
            "uncovered": lowest > highest,
            "conflicting": lowest < highest,
        }
        for n in paid:
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

    def _assemble(self, batch: pa.RecordBatch, found: Found, gold: pa.Array | None) -> Applied:
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
