"""The steps of the job graph that work on whole shards through the store.

`VoteShards` puts each shard's votes and pattern table in the store, `LabelShards` its labels. The
work itself is in `labelmill.shardwork`, `transforms.patterns` and `transforms.label`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from labelmill.apply import FunctionSet
from labelmill.corpuscolumns import CorpusColumns
from labelmill.dataset import labels_schema
from labelmill.errors import CorpusReadError
from labelmill.gold import GoldTable, gold_by_role, read_gold
from labelmill.job import PreparedJob
from labelmill.launcher import end_with
from labelmill.modelversion import MODEL_VERSION
from labelmill.prompts import PromptedFunction
from labelmill.retention import deleted_meanwhile
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from labelmill.shardwork import stored_table, votes_of_shard, with_gold
from labelmill.slicecounts import SliceCounts
from labelmill.slicefiles import slices_of_shard
from labelmill.store import Store
from labelmill.tablefile import TableFile, input_digest
from labelmill.teach.classifier import TextClassifier
from labelmill.votes import unpack_votes
from transforms.apply import NAMESPACE
from transforms.assist import ASSIST_VERSION, Assistant, score_sources
from transforms.elements import AssistModel, FitResult, ShardLabels, ShardVotes
from transforms.label import SharedLabeler
from transforms.mining import SharedClassifier
from transforms.overlap import AT_ONCE, Overlap, in_global_window
from transforms.patterns import block_schema, count_votes, merge_blocks, to_block
from transforms.slicing import count_slices, merged

_ROWS = 1 << 16


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
        assist: PCollection of one `AssistModel`, where a classifier assists.
    """

    def __init__(
        self,
        task: ShardTask,
        fit: beam.PCollection[FitResult],
        assist: beam.PCollection[AssistModel] | None = None,
    ) -> None:
        super().__init__()
        self._task = task
        self._fit = fit
        self._assist = assist

    def expand(self, shards: beam.PCollection[ShardVotes]) -> beam.PCollection[ShardLabels]:
        """Return descriptors of the labels."""
        side = {} if self._assist is None else {"assist": beam.pvalue.AsSingleton(self._assist)}
        return shards | "LabelShard" >> beam.ParDo(
            _LabelShardFn(self._task), beam.pvalue.AsSingleton(self._fit), **side
        ).with_output_types(ShardLabels)


class _ShardFn(beam.DoFn):
    """Opens the store and the gold file once per process, and has several shards in hand."""

    def __init__(self, task: ShardTask, at_once: int) -> None:
        self._task = task
        self._at_once = at_once
        self._overlap: Overlap[Any] | None = None
        self._shared_gold = Shared()
        self._store: Store | None = None
        self._gold: GoldTable | None = None

    def setup(self) -> None:
        if self._task.progress_path is not None:
            end_with(self._task.launcher, self._task.progress_path)
        self._store = Store.open(self._task.output_uri)
        self._overlap = Overlap(self._at_once)

    def start_bundle(self) -> None:
        self.overlap().start()

    def teardown(self) -> None:
        if self._overlap is not None:
            self._overlap.close()

    def overlap(self) -> Overlap[Any]:
        assert self._overlap is not None  # Beam calls setup first
        return self._overlap

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


def _may_overlap(task: ShardTask) -> bool:
    """Whether several shards may be voted on at the same time in one process.

    Not where people's functions run in threads of this process, which they need not be made for,
    nor where functions are paid for, which would spend a budget in the order of chance.
    """
    is_paid = any(lf.kind == PromptedFunction.kind for lf in task.table.lfs)
    return task.job.limits.timeout > 0 and not is_paid


class _VoteShardFn(_ShardFn):
    def __init__(self, task: ShardTask, prepared: PreparedJob) -> None:
        super().__init__(task, AT_ONCE if _may_overlap(task) else 1)
        self._prepared = prepared
        self._shared_functions = Shared()
        self._ready: FunctionSet | None = None
        self._shared_slices = Shared()
        self._slices: FunctionSet | None = None
        self._records = Metrics.counter(NAMESPACE, "records")
        self._reused = Metrics.counter(NAMESPACE, "shards_reused")

    def _functions(self) -> FunctionSet:
        if self._ready is None:
            self._ready = self._shared_functions.acquire(self._prepared.function_set)
        return self._ready

    def _slice_functions(self) -> FunctionSet:
        if self._slices is None:
            assert self._task.slices is not None
            self._slices = self._shared_slices.acquire(self._task.slices.prepared.function_set)
        return self._slices

    def process(self, shard: Shard) -> Iterator[Any]:
        for voted in self.overlap().hand(partial(self._vote, shard)):
            yield from self._outputs(*voted)

    def finish_bundle(self) -> Iterator[Any]:
        for voted in self.overlap().rest():
            for output in self._outputs(*voted):
                if isinstance(output, beam.pvalue.TaggedOutput):
                    yield beam.pvalue.TaggedOutput(output.tag, in_global_window(output.value))
                else:
                    yield in_global_window(output)

    def _vote(self, shard: Shard) -> tuple[ShardVotes, list[pa.RecordBatch]]:
        """Return what is stored of a shard's votes, and its pattern blocks."""
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
        slices = None
        if task.slices is not None:
            ids = votes.file.whole(["id"]).column("id")
            slices = slices_of_shard(shard, ids, task, self.store(), self._slice_functions)
        stored = ShardVotes(
            shard,
            votes.entry,
            entry,
            votes.faults,
            votes.ids,
            votes.outcomes,
            votes.bad_records,
            votes.duplicate_ids,
            votes.reused,
            slices,
        )
        return stored, list(file.batches(batch_rows=1 << 20))

    def _outputs(self, stored: ShardVotes, blocks: Sequence[pa.RecordBatch]) -> Iterator[Any]:
        self._records.inc(stored.votes.rows)
        self._reused.inc(int(stored.reused))
        yield stored
        for block in blocks:
            yield beam.pvalue.TaggedOutput("patterns", block)

    def _count(self, votes: TableFile) -> Iterator[pa.RecordBatch]:
        gold = self.gold_table()
        blocks = [
            to_block(count_votes(with_gold(batch, gold), self._task.job.gold), self._task.table)
            for batch in votes.batches(_ROWS)
        ]
        if blocks:
            yield merge_blocks(blocks)


class _ShardAssistant:
    """Assists with the labels of one shard, whose texts it reads beside its votes."""

    def __init__(self, classifier: TextClassifier, task: ShardTask, shard: Shard) -> None:
        assert task.job.assist is not None
        self._assistant = Assistant(classifier, task.table.class_names)
        self._gold = task.job.gold
        field = task.job.assist.field
        columns = CorpusColumns(task.job.input, pa.schema([task.schema.field(field)]))
        self._read = partial(columns.read, shard)
        self._field = field

    def label(
        self, labels: pa.RecordBatch, votes: pa.RecordBatch, scores: dict[str, list[int]]
    ) -> tuple[pa.RecordBatch, Any]:
        """Return assisted labels and their classes; add to the scores by source."""
        texts = self._read(labels.column("id")).column(self._field).combine_chunks()
        assisted, classes = self._assistant.assisted(labels, texts)
        for name, numbers in score_sources(assisted, gold_by_role(votes, self._gold)[1]).items():
            before = scores.get(name, [0] * len(numbers))
            scores[name] = [a + b for a, b in zip(before, numbers, strict=True)]
        return assisted, classes


class _LabelShardFn(_ShardFn):
    def __init__(self, task: ShardTask) -> None:
        super().__init__(task, AT_ONCE if task.job.assist is None else 1)
        self._labeler = SharedLabeler()
        self._classifier: SharedClassifier | None = None

    def process(
        self, votes: ShardVotes, fit: FitResult, assist: AssistModel | None = None
    ) -> Iterator[ShardLabels]:
        yield from self.overlap().hand(partial(self._labels, votes, fit, assist))

    def finish_bundle(self) -> Iterator[Any]:
        yield from map(in_global_window, self.overlap().rest())

    def _labels(self, votes: ShardVotes, fit: FitResult, assist: AssistModel | None) -> ShardLabels:
        task, shard = self._task, votes.shard
        inputs = [
            votes.votes.sha256,
            task.gold_content(),
            fit.parameters,
            list(fit.dropped),
            MODEL_VERSION,
        ]
        if assist is not None:
            inputs += [assist.file.sha256, ASSIST_VERSION, shard.fingerprint]
        digest = input_digest(inputs)
        note = {"covered": 0, "class_counts": [0] * len(task.table.class_names), "assist": {}}
        schema = labels_schema(
            len(task.table.class_names),
            with_gold=task.job.gold is not None,
            assisted=assist is not None,
        )
        entry, file = stored_table(
            f"labels/{shard.id}-{digest}.parquet",
            "labels",
            shard,
            self.store(),
            reuse=task.reuse,
            make=lambda: (schema, self._label(votes, fit, assist, note), note),
        )
        said = file.note
        return ShardLabels(
            entry,
            entry.rows,
            said["covered"],
            tuple(said["class_counts"]),
            said.get("assist", {}),
            () if votes.slices is None else tuple(self._count_slices(votes, file, fit)),
        )

    def _count_slices(
        self, votes: ShardVotes, labels: TableFile, fit: FitResult
    ) -> list[SliceCounts]:
        """Count the slices of a shard; labels, votes and slices have the same rows."""
        task, entries = self._task, (votes.slices, votes.votes)
        assert task.slices is not None
        members, voted = (self._stored(entry.path) for entry in entries if entry)
        gold, names = self.gold_table(), task.table.class_names
        parts = []
        for member, label, vote in zip(
            members.batches(_ROWS),
            labels.batches(_ROWS, ["label", "covered"]),
            voted.batches(_ROWS),
            strict=True,
        ):
            parts.append(
                count_slices(
                    member,
                    label,
                    unpack_votes(vote).without(fit.dropped),
                    gold_by_role(with_gold(vote, gold), task.job.gold)[1],
                    n_slices=len(task.slices.names),
                    class_names=names,
                )
            )
        counts = merged(parts, len(task.slices.names), len(names))
        undecided = members.note["undecided"]
        return [replace(c, undecided=n) for c, n in zip(counts, undecided, strict=True)]

    def _stored(self, path: str) -> TableFile:
        """Return a table that an earlier step stored."""
        try:
            return TableFile(self.store().get(path), path)
        except FileNotFoundError as error:
            raise deleted_meanwhile(self.store(), path) from error

    def _assistant(self, assist: AssistModel, shard: Shard) -> _ShardAssistant:
        if self._classifier is None or self._classifier.path != assist.file.path:
            self._classifier = SharedClassifier(self._task.output_uri, assist.file.path)
        return _ShardAssistant(self._classifier.get(), self._task, shard)

    def _label(
        self,
        votes: ShardVotes,
        fit: FitResult,
        assist: AssistModel | None,
        note: dict[str, Any],
    ) -> Iterator[pa.RecordBatch]:
        table = self._task.table
        assistant = None if assist is None else self._assistant(assist, votes.shard)
        labeler = self._labeler.get(fit, table)
        gold = self.gold_table()
        for batch in self._stored(votes.votes.path).batches(_ROWS):
            voted = with_gold(batch, gold)
            labels, classes = labeler.label(voted)
            if assistant is not None:
                labels, classes = assistant.label(labels, voted, note["assist"])
            covered = np.asarray(labels.column("covered"))
            note["covered"] += int(covered.sum())
            counts = np.bincount(classes[covered], minlength=len(table.class_names))
            note["class_counts"] = [
                a + b for a, b in zip(note["class_counts"], counts.tolist(), strict=True)
            ]
            yield labels
