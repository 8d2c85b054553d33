"""Votes of an earlier run that a shard keeps: those of functions that are what they were.

Votes are stored in one file per shard, with the key of each function (`labelmill.functionkeys`) in
its note. What is kept is copied from there; the rest runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from labelmill.deadletters import DEAD_LETTERS
from labelmill.errors import CorruptFileError
from labelmill.labeling import SparseVotes
from labelmill.manifest import FileEntry
from labelmill.outcomes import Outcomes
from labelmill.shardtask import LIMIT, RETRY, ShardTask
from labelmill.store import Store
from labelmill.tablefile import TableFile
from labelmill.votes import lf_table, unpack_votes


@dataclass(frozen=True)
class KeptVotes:
    """The votes of an earlier run over the same records.

    Attributes:
        file: The votes file.
        old: By index of a function of the job, its index in the file; -1 where its votes are not
            there.
        outcomes: Exact counts, by index in the file.
        letters: Dead letters.
        bad_records: Records that could not be read.
        ids: Digests of the ids, and how many of them are repeats; None when not looked for.
        same_columns: Whether the same columns were read, so that it is sure to be the same records.
        may_pass: Whether its failures may be gone in another run: they are those of a service, or
            of a time limit.
    """

    file: TableFile
    old: tuple[int, ...]
    outcomes: Outcomes
    letters: pa.Table
    bad_records: int
    ids: tuple[FileEntry, int] | None
    same_columns: bool
    may_pass: bool

    @property
    def failed(self) -> frozenset[int]:
        """Functions of the job that failed on a record."""
        failures = np.add(self.outcomes.faults, self.outcomes.invalid)
        return frozenset(n for n, old in enumerate(self.old) if old >= 0 and failures[old])

    @property
    def changed(self) -> frozenset[int]:
        """Functions of the job that have to run."""
        missing = frozenset(n for n, old in enumerate(self.old) if old < 0)
        return missing | self.failed if self.may_pass else missing

    def votes(self, batch: pa.RecordBatch, running: Collection[int]) -> SparseVotes:
        """Return the votes of one stored batch, but for those of functions that run."""
        new = np.full(len(self.outcomes.votes), -1, dtype=np.int64)
        for n, old in enumerate(self.old):
            if old >= 0 and n not in running:
                new[old] = n
        stored = unpack_votes(batch)
        functions = new[stored.lfs]
        kept = functions >= 0
        rows = np.repeat(np.arange(batch.num_rows), np.diff(stored.indptr))
        return SparseVotes(functions[kept], rows[kept], stored.labels[kept])

    def counted(self, outcomes: Outcomes, running: Collection[int]) -> Outcomes:
        """Return the counts of functions that ran, with those of the others as they were."""
        chosen = [-1 if n in running else old for n, old in enumerate(self.old)]

        def merged(now: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
            pairs = zip(now, chosen, strict=True)
            return tuple(count if old < 0 else before[old] for count, old in pairs)

        return replace(
            outcomes,
            votes=merged(outcomes.votes, self.outcomes.votes),
            faults=merged(outcomes.faults, self.outcomes.faults),
            invalid=merged(outcomes.invalid, self.outcomes.invalid),
        )


def read_kept(path: str, task: ShardTask, store: Store) -> KeptVotes | None:
    """Read the votes of an earlier run over the records of a shard.

    Args:
        path: Their name.
        task: The job, whose functions are compared with those of that run.
        store: The data set's store.

    Returns:
        What is there; None where no function of the job is as it was, or the files are broken.
    """
    try:
        file = TableFile(store.get(path), path)
        note = file.note
        old = same_functions(task, lf_table(file.schema).names, note["keys"])
        if max(old, default=-1) < 0:
            return None
        letters = _letters(note["faults"], store)
        ids = FileEntry(**note["ids"]) if task.check_ids and note["ids"] else None
        if ids is not None:
            store.verify(ids.stored_file)
    except (FileNotFoundError, CorruptFileError):
        return None
    return KeptVotes(
        file,
        old,
        Outcomes.from_dict(note["outcomes"]),
        letters,
        note["bad_records"],
        None if ids is None else (ids, note["duplicate_ids"]),
        note["columns"] == task.columns_digest,
        RETRY in path or LIMIT in path,
    )


def same_functions(task: ShardTask, names: Sequence[str], keys: Sequence[str]) -> tuple[int, ...]:
    """Return, for each function of a job, its index among others; -1 where it is none of them.

    Args:
        task: The job.
        names: The other functions.
        keys: Their keys.
    """
    places = {pair: n for n, pair in enumerate(zip(names, keys, strict=True))}
    return tuple(places.get(pair, -1) for pair in zip(task.table.names, task.keys, strict=True))


def _letters(entry: Mapping[str, Any] | None, store: Store) -> pa.Table:
    if entry is None:
        return pa.Table.from_batches([], DEAD_LETTERS)  # empty_table() imports pandas
    stored = FileEntry(**entry)
    store.verify(stored.stored_file)
    batches = TableFile(store.get(stored.path), stored.path).batches()
    return pa.Table.from_batches(batches, DEAD_LETTERS)


class StoredRows:
    """Stored votes read in step with the records that they are of."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def take(self, rows: int) -> pa.RecordBatch | None:
        """Return the next rows, fewer when there are no more, None when there are none."""
        parts: list[pa.RecordBatch] = []
        while rows:
            if self._rest is None or not self._rest.num_rows:
                self._rest = next(self._batches, None)
            if self._rest is None:
                break
            parts.append(self._rest.slice(0, rows))
            self._rest = self._rest.slice(rows)
            rows -= parts[-1].num_rows
        return pa.concat_batches(parts) if parts else None
