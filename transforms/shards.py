"""The steps of the job graph that work on whole shards through the store.

`VoteShards` puts each shard's votes and pattern table in the store, `LabelShards` its labels. The
work itself is in `labelmill.shardwork`, `transforms.patterns` and `transforms.label`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from labelmill.apply import FunctionSet
from labelmill.dataset import labels_schema
from labelmill.errors import CorpusReadError
from labelmill.gold import GoldTable, read_gold
from labelmill.job import PreparedJob
from labelmill.launcher import end_with
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from labelmill.shardwork import stored_table, votes_of_shard, with_gold
from labelmill.store import Store
from labelmill.tablefile import TableFile, input_digest
from transforms.apply import NAMESPACE
from transforms.elements import FitResult, ShardLabels, ShardVotes
from transforms.label import SharedLabeler
from transforms.modelversion import MODEL_VERSION
from transforms.patterns import block_schema, count_votes, merge_blocks, to_block


@dataclass(frozen=True)
class ShardVotesOutputs:
    """What `VoteShards` returns.

    Attributes:
        shards: PCollection of `ShardVotes`.
        patterns: PCollection of pattern blocks, one per shard.
    """

    shards: beam.PCollection[ShardVotes]
    patterns: beam.PCollection[pa.RecordBatch]


class VoteShards(beam.PTransform):
    """Vote on each shard and count its patterns, unless both are stored already.

    Args:
        task: What all shards share.
        prepared: The job's functions, as sources.
    """

    def __init__(self, task: ShardTask, prepared: PreparedJob) -> None:
        super().__init__()
        self._fn = _VoteShardFn(task, prepared)

    def expand(self, shards: beam.PCollection[Shard]) -> ShardVotesOutputs:
        """Return descriptors and pattern blocks."""
        vote = beam.ParDo(self._fn).with_output_types(ShardVotes, patterns=pa.RecordBatch)
        outputs = shards | "VoteShard" >> vote.with_outputs("patterns", main="shards")
        return ShardVotesOutputs(outputs.shards, outputs.patterns)


class LabelShards(beam.PTransform):
    """Label each shard with the fitted parameters, unless its labels are stored already.

    Args:
        task: What all shards share.
        fit: PCollection of one `FitResult`.
    """

    def __init__(self, task: ShardTask, fit: beam.PCollection[FitResult]) -> None:
        super().__init__()
        self._task = task
        self._fit = fit

    def expand(self, shards: beam.PCollection[ShardVotes]) -> beam.PCollection[ShardLabels]:
        """Return descriptors of the labels."""
        return shards | "LabelShard" >> beam.ParDo(
            _LabelShardFn(self._task), beam.pvalue.AsSingleton(self._fit)
        ).with_output_types(ShardLabels)


class _ShardFn(beam.DoFn):
    """Opens the store and the gold file once per process."""

    def __init__(self, task: ShardTask) -> None:
        self._task = task
        self._shared_gold = Shared()
        self._store: Store | None = None
        self._gold: GoldTable | None = None

    def setup(self) -> None:
        if self._task.progress_path is not None:
            end_with(self._task.launcher, self._task.progress_path)
        self._store = Store.open(self._task.output_uri)

    def store(self) -> Store:
        assert self._store is not None  # Beam calls setup first
        return self._store

    def gold_table(self) -> GoldTable | None:
        gold = self._task.job.gold
        if gold is None or gold.uri is None:
            return None
        if self._gold is None:  # Shared alone keeps one object a process alive: hold it here
            self._gold = self._shared_gold.acquire(
                lambda: read_gold(gold, self._task.table.class_names), tag=self._task.gold_digest
            )
            if self._gold.digest != self._task.gold_digest:
                raise CorpusReadError(f"{gold.uri} changed since it was planned; run again")
        return self._gold


class _VoteShardFn(_ShardFn):
    def __init__(self, task: ShardTask, prepared: PreparedJob) -> None:
        super().__init__(task)
        self._prepared = prepared
        self._shared_functions = Shared()
        self._ready: FunctionSet | None = None
        self._records = Metrics.counter(NAMESPACE, "records")
        self._reused = Metrics.counter(NAMESPACE, "shards_reused")

    def _functions(self) -> FunctionSet:
        if self._ready is None:
            self._ready = self._shared_functions.acquire(self._prepared.function_set)
        return self._ready

    def process(self, shard: Shard) -> Iterator[Any]:
        task = self._task
        votes = votes_of_shard(shard, task, self.store(), self._functions)
        digest = input_digest([votes.entry.sha256, task.gold_content()])
        entry, file = stored_table(
            f"patterns/{shard.id}-{digest}.parquet",
            "patterns",
            shard,
            self.store(),
            reuse=task.reuse and votes.reused,
            make=lambda: (block_schema(task.table), self._count(votes.file), {}),
        )
        self._records.inc(votes.entry.rows)
        self._reused.inc(int(votes.reused))
        yield ShardVotes(
            shard,
            votes.entry,
            entry,
            votes.faults,
            votes.ids,
            votes.outcomes,
            votes.bad_records,
            votes.duplicate_ids,
            votes.reused,
        )
        for block in file.batches(batch_rows=1 << 20):
            yield beam.pvalue.TaggedOutput("patterns", block)

    def _count(self, votes: TableFile) -> Iterator[pa.RecordBatch]:
        gold = self.gold_table()
        blocks = [
            to_block(count_votes(with_gold(batch, gold), self._task.job.gold), self._task.table)
            for batch in votes.batches(1 << 16)
        ]
        if blocks:
            yield merge_blocks(blocks)


class _LabelShardFn(_ShardFn):
    def __init__(self, task: ShardTask) -> None:
        super().__init__(task)
        self._labeler = SharedLabeler()

    def process(self, votes: ShardVotes, fit: FitResult) -> Iterator[ShardLabels]:
        task, shard = self._task, votes.shard
        digest = input_digest(
            [
                votes.votes.sha256,
                task.gold_content(),
                fit.parameters,
                list(fit.dropped),
                MODEL_VERSION,
            ]
        )
        note = {"covered": 0, "class_counts": [0] * len(task.table.class_names)}
        schema = labels_schema(len(task.table.class_names), with_gold=task.job.gold is not None)
        entry, file = stored_table(
            f"labels/{shard.id}-{digest}.parquet",
            "labels",
            shard,
            self.store(),
            reuse=task.reuse,
            make=lambda: (schema, self._label(votes, fit, note), note),
        )
        yield ShardLabels(entry, entry.rows, file.note["covered"], tuple(file.note["class_counts"]))

    def _label(
        self, votes: ShardVotes, fit: FitResult, note: dict[str, Any]
    ) -> Iterator[pa.RecordBatch]:
        table = self._task.table
        labeler = self._labeler.get(fit, table)
        data = self.store().get(votes.votes.path)
        gold = self.gold_table()
        for batch in TableFile(data, votes.votes.path).batches(1 << 16):
            labels, classes = labeler.label(with_gold(batch, gold))
            covered = np.asarray(labels.column("covered"))
            note["covered"] += int(covered.sum())
            counts = np.bincount(classes[covered], minlength=len(table.class_names))
            note["class_counts"] = [
                a + b for a, b in zip(note["class_counts"], counts.tolist(), strict=True)
            ]
            yield labels
