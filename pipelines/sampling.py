"""Trying the functions on a few records before a run: do they work, and how long do they take?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from labelmill.apply import FunctionSet, Stops
from labelmill.corpus import Corpus
from labelmill.gold import take_gold
from labelmill.outcomes import Fault, Outcomes, add_usage
from labelmill.readers import read_shard
from labelmill.shardtask import ShardTask

SAMPLE_ROWS = 1000
"""Records that the functions are tried on at most,"""

SAMPLE_SECONDS = 4.0
"""and about the time that it may take."""

FIRST_ROWS = 4
"""Records of the first slice; each of the others has up to four times as many as the one before."""


@dataclass(frozen=True)
class Sample:
    """Functions run on a few records of the corpus.

    Attributes:
        outcomes: Counts and times; None when there is nothing to vote on.
        faults: Samples of them.
        estimates: What functions that cost money would use, had they been asked.
        bytes_per_row: Mean size of a record in memory.
        seconds: Per function, the time that a record takes. The first slice, in which functions
            load what they need, counts only where there is no other.
    """

    outcomes: Outcomes | None = None
    faults: tuple[Fault, ...] = ()
    estimates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bytes_per_row: float = 0.0
    seconds: tuple[float, ...] = ()

    @property
    def rows(self) -> int:
        """Records of the sample."""
        return 0 if self.outcomes is None else self.outcomes.rows


def take_sample(
    task: ShardTask,
    functions: FunctionSet,
    corpus: Corpus,
    running: frozenset[int] | None = None,
) -> Sample:
    """Run functions, by default all, on records from the start of the first shard with any."""
    id_column = task.job.input.id
    for shard in corpus.shards:
        for read in read_shard(shard, corpus.schema, id_column=id_column, batch_rows=SAMPLE_ROWS):
            if read.batch.num_rows:
                batch, gold = take_gold(read.batch, task.gold_column, task.job.labels, shard.uri)
                return try_functions(functions, batch, gold, running)
    return Sample()


def try_functions(
    functions: FunctionSet,
    batch: pa.RecordBatch,
    gold: pa.Array | None,
    running: frozenset[int] | None = None,
) -> Sample:
    """Run functions, by default all, on growing slices of a batch, until the time is up."""
    started = time.perf_counter()
    functions.warm_up(running)
    total = timed = Outcomes.zero(len(functions.table.lfs))
    faults: list[Fault] = []
    estimates: Mapping[str, Mapping[str, float]] = {}
    stops = Stops(most=1)  # a function that hangs is to take no minutes here
    size = FIRST_ROWS
    while size and total.rows < batch.num_rows:
        begun = time.perf_counter()
        applied = functions.apply(
            batch.slice(total.rows, size),
            gold=None if gold is None else gold.slice(total.rows, size),
            ask=False,
            stops=stops,
            running=running,
        )
        is_second = 0 < total.rows == FIRST_ROWS
        timed = applied.outcomes if is_second else timed.merge(applied.outcomes)
        total = total.merge(applied.outcomes)
        faults += applied.faults
        estimates = add_usage(estimates, applied.estimates)
        now = time.perf_counter()
        fitting = int((started + SAMPLE_SECONDS - now) / (now - begun) * size)
        is_first = total.rows == FIRST_ROWS
        size = min(4 * size, max(fitting, FIRST_ROWS if is_first else 0))
    seconds = tuple(spent / timed.rows for spent in timed.seconds)
    return Sample(total, tuple(faults), estimates, batch.nbytes / batch.num_rows, seconds)
