"""Voting on the records of a shard: functions run, or their votes are kept from an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa

from labelmill.apply import Applied, FunctionSet, Outcomes, Stops
from labelmill.deadletters import MAX_FAULTS, DeadLetters
from labelmill.duplicates import id_digests
from labelmill.errors import RecordsDifferError
from labelmill.gold import take_gold
from labelmill.keptvotes import KeptVotes, StoredRows
from labelmill.labeling import SparseVotes
from labelmill.manifest import FileEntry
from labelmill.readers import read_shard
from labelmill.records import ID
from labelmill.rowprogress import report_rows
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from labelmill.tablefile import TableWriter
from labelmill.votes import GOLD, pack_sparse_votes, votes_schema


@dataclass
class Tally:
    """What voting on a shard gave.

    Attributes:
        writer: The votes.
        letters: Dead letters.
        outcomes: Exact counts.
        bad_records: Records that could not be read.
        digests: Digests of the ids, see `labelmill.duplicates`; empty when not looked for.
        ids: Their file and the number of repeats, where these are kept.
        stops: What functions did not return from.
    """

    writer: TableWriter
    letters: DeadLetters
    outcomes: Outcomes
    bad_records: int = 0
    digests: bytearray = field(default_factory=bytearray)
    ids: tuple[FileEntry, int] | None = None
    stops: Stops = field(default_factory=Stops)


def vote(
    shard: Shard,
    task: ShardTask,
    functions: Callable[[], FunctionSet],
    kept: KeptVotes | None,
) -> Tally:
    """Vote on every record of a shard.

    Args:
        shard: The shard.
        task: What all shards share.
        functions: Gives the functions; not called when none has to run.
        kept: Votes that need not be computed again.

    Raises:
        CorpusReadError: The corpus file changed or cannot be read.
        RecordsDifferError: The records are not those of the votes to keep.
    """
    tally = Tally(
        TableWriter(votes_schema(task.table, gold=task.gold_column is not None)),
        DeadLetters(task.table.names, shard.uri),
        Outcomes.zero(len(task.table.lfs)),
    )
    ready = None
    if kept is None or kept.changed:
        ready = functions()
        ready.allow(task.budget_share)
    if kept is not None:
        _vote_with(kept, ready, shard, task, tally)
    elif ready is not None:
        for batch, gold in _records(shard, task, tally):
            applied = ready.apply(batch, gold=gold, max_faults=MAX_FAULTS, stops=tally.stops)
            _add(tally, task, applied)
    return tally


def _vote_with(
    kept: KeptVotes, ready: FunctionSet | None, shard: Shard, task: ShardTask, tally: Tally
) -> None:
    """Vote on a shard whose votes are kept as far as they can be."""
    running: frozenset[int] = frozenset()
    if ready is not None:
        running = ready.running(kept.changed, kept.failed)
    if kept.same_columns and (ready is None or not ready.read_records(running)):
        source = _stored_records(kept, tally)
    else:
        source = _records(shard, task, tally)
    stored = StoredRows(kept.file.batches())
    tally.ids = kept.ids
    for batch, gold in source:
        rows = stored.take(batch.num_rows)
        if rows is None or not rows.column("id").equals(batch.column(ID)):
            raise RecordsDifferError(f"shard {shard.name}: other records than were voted on")
        votes = kept.votes(rows, running)
        if ready is None:
            applied = _applied(batch, votes, gold, tally)
        else:
            applied = ready.apply(
                batch,
                gold=gold,
                max_faults=MAX_FAULTS,
                stops=tally.stops,
                running=running,
                kept=votes,
            )
        _add(tally, task, applied)
    if stored.take(1) is not None:
        raise RecordsDifferError(f"shard {shard.name}: fewer records than were voted on")
    tally.outcomes = kept.counted(tally.outcomes, running)
    others = {name for n, name in enumerate(task.table.names) if n not in running}
    tally.letters.keep(kept.letters, others)


def _applied(
    batch: pa.RecordBatch, votes: SparseVotes, gold: pa.Array | None, tally: Tally
) -> Applied:
    """Return what running no function on a batch gives."""
    packed = pack_sparse_votes(
        batch.column(ID), votes.rows, votes.functions, votes.labels, tally.writer.schema, gold
    )
    outcomes = Outcomes.zero(len(tally.outcomes.votes))
    return Applied(packed, replace(outcomes, rows=batch.num_rows), ())


def _records(
    shard: Shard, task: ShardTask, tally: Tally
) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
    """Yield the records of a shard with their gold; unreadable ones go to the tally."""
    for read in read_shard(shard, task.schema, id_column=task.job.input.id):
        tally.bad_records += len(read.bad)
        tally.letters.add_bad(read.bad)
        if read.batch.num_rows:
            yield take_gold(read.batch, task.gold_column, task.table.class_names, shard.uri)


def _stored_records(
    kept: KeptVotes, tally: Tally
) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
    """Yield the ids of stored votes with their gold, where nobody looks at other columns."""
    tally.bad_records = kept.bad_records
    tally.letters.keep_bad(kept.letters)
    for rows in kept.file.batches():
        gold = rows.column(GOLD) if GOLD in rows.schema.names else None
        yield pa.RecordBatch.from_arrays([rows.column("id")], names=[ID]), gold


def _add(tally: Tally, task: ShardTask, applied: Applied) -> None:
    tally.outcomes = tally.outcomes.merge(applied.outcomes)
    tally.writer.write(applied.votes)
    report_rows(task.progress_path, applied.votes.num_rows)
    tally.letters.add_faults(applied.faults)
    if task.check_ids and tally.ids is None:
        tally.digests += id_digests(applied.votes.column("id"))
