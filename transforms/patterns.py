"""CountVotePatterns: vote batches in, blocks of distinct vote patterns with their counts out.

A pattern block is a record batch (`BLOCK_SCHEMA` with the LF table in its metadata); the counting
itself is `labelmodel.patterns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.typehints import with_input_types, with_output_types

from labelmill.gold import gold_by_role
from labelmill.jobspec import GoldSpec
from labelmill.votes import GOLD, LFTable, lf_table, unpack_votes, votes_schema
from labelmodel.patterns import PatternTable, count_patterns, empty, merge_patterns

N_BUCKETS = 16
"""Blocks that patterns are spread over by their hash; a pattern always has the same block."""

_MERGE_EVERY = 64


def block_schema(table: LFTable) -> pa.Schema:
    """Return the schema of pattern blocks: votes, both roles of gold, the count."""
    return pa.schema(
        [
            pa.field("lfs", pa.list_(pa.int32()), nullable=False),
            pa.field("labels", pa.list_(pa.int16()), nullable=False),
            pa.field("gold", pa.int16(), nullable=False),
            pa.field("eval_gold", pa.int16(), nullable=False),
            pa.field("count", pa.int64(), nullable=False),
        ],
        metadata=votes_schema(table).metadata,
    )


def to_block(patterns: PatternTable, table: LFTable) -> pa.RecordBatch:
    """Return a pattern table as a pattern block."""
    offsets = patterns.indptr.astype(np.int32)
    return pa.RecordBatch.from_arrays(
        [
            pa.ListArray.from_arrays(offsets, pa.array(patterns.lfs)),
            pa.ListArray.from_arrays(offsets, pa.array(patterns.labels)),
            pa.array(patterns.gold),
            pa.array(patterns.eval_gold),
            pa.array(patterns.counts),
        ],
        schema=block_schema(table),
    )


def from_block(block: pa.RecordBatch) -> PatternTable:
    """Return the pattern table in a pattern block."""
    table = lf_table(block.schema)
    votes = unpack_votes(block)
    return PatternTable(
        indptr=votes.indptr,
        lfs=votes.lfs,
        labels=votes.labels,
        counts=np.asarray(block.column("count")),
        gold=np.asarray(block.column("gold")),
        eval_gold=np.asarray(block.column("eval_gold")),
        n_lfs=len(table.lfs),
        n_classes=len(table.class_names),
    )


def count_votes(batch: pa.RecordBatch, gold: GoldSpec | None = None) -> PatternTable:
    """Count the patterns of one vote batch.

    Args:
        batch: Votes, with gold in the column ``gold`` where there is any.
        gold: How gold is divided between fit and scoring; all of it scores when not given.
    """
    table = lf_table(batch.schema)
    votes = unpack_votes(batch)
    fit_gold = eval_gold = None
    if GOLD in batch.schema.names:
        fit_gold, eval_gold = gold_by_role(batch, gold)
    return count_patterns(
        votes.indptr,
        votes.lfs,
        votes.labels,
        n_lfs=len(table.lfs),
        n_classes=len(table.class_names),
        gold=fit_gold,
        eval_gold=eval_gold,
    )


class CountVotePatterns(beam.PTransform):
    """Count the distinct vote patterns of vote batches.

    Args:
        gold: How gold in the batches is divided between fit and scoring.

    Returns:
        PCollection of pattern blocks (`pyarrow.RecordBatch`), at most `N_BUCKETS` of them, no
        pattern in two.

    Example:
        >>> import apache_beam as beam, numpy as np, pyarrow as pa
        >>> from labelmill.votes import LFInfo, LFTable, pack_votes
        >>> from transforms import CountVotePatterns
        >>> table = LFTable((LFInfo("a", ""), LFInfo("b", "")), ("ham", "spam"))
        >>> codes = np.array([[1, 1, -1], [0, 0, -1]], dtype=np.int16)
        >>> votes = pack_votes(pa.array(["x", "y", "z"]), codes, table)
        >>> with beam.Pipeline(runner="FnApiRunner") as p:
        ...     blocks = p | beam.Create([votes]) | CountVotePatterns()
        ...     counts = blocks | beam.FlatMap(lambda b: b.column("count").to_pylist())
        ...     _ = counts | beam.combiners.ToList() | beam.Map(lambda c: print(sorted(c)))
        [1, 2]
    """

    def __init__(self, gold: GoldSpec | None = None) -> None:
        super().__init__()
        self._gold = gold

    def expand(self, votes: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        """Return the blocks."""
        gold = self._gold
        return (
            votes
            | "CountBatch"
            >> beam.Map(lambda batch: _block_of(batch, gold)).with_output_types(pa.RecordBatch)
            | "MergePatterns" >> MergePatterns()
        )


class MergePatterns(beam.PTransform):
    """Merge pattern blocks of anywhere into blocks that share no pattern."""

    def expand(self, blocks: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        """Return the merged blocks."""
        return (
            blocks
            | "SplitByHash"
            >> beam.FlatMap(split_block).with_output_types(tuple[int, pa.RecordBatch])
            | "MergeBucket" >> beam.CombinePerKey(MergeBlocksFn())
            | "DropBucket" >> beam.Values().with_output_types(pa.RecordBatch)
        )


def _block_of(batch: pa.RecordBatch, gold: GoldSpec | None) -> pa.RecordBatch:
    return to_block(count_votes(batch, gold), lf_table(batch.schema))


def split_block(block: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the patterns of a block by hash bucket."""
    buckets = from_block(block).row_hash() % np.uint64(N_BUCKETS)
    for bucket in np.unique(buckets).tolist():
        yield int(bucket), block.take(pa.array(np.flatnonzero(buckets == bucket)))


def merge_blocks(blocks: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return one block with the patterns of all `blocks`, counts added, in canonical order."""
    blocks = list(blocks)
    if len(blocks) == 1:
        return blocks[0]
    return to_block(merge_patterns(map(from_block, blocks)), lf_table(blocks[0].schema))


@with_input_types(pa.RecordBatch)
@with_output_types(pa.RecordBatch)
class MergeBlocksFn(beam.CombineFn):
    """Merges pattern blocks; the accumulator is a short list of them, compacted as it grows."""

    def create_accumulator(self) -> list[pa.RecordBatch]:
        """Return no blocks."""
        return []

    def add_input(
        self, accumulator: list[pa.RecordBatch], block: pa.RecordBatch
    ) -> list[pa.RecordBatch]:
        """Add a block."""
        accumulator.append(block)
        return self.compact(accumulator) if len(accumulator) >= _MERGE_EVERY else accumulator

    def merge_accumulators(
        self, accumulators: Iterable[list[pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        """Merge into the first accumulator; the others are not changed."""
        merged: list[pa.RecordBatch] | None = None
        for accumulator in accumulators:
            if merged is None:
                merged = accumulator
            else:
                merged.extend(accumulator)
                if len(merged) >= _MERGE_EVERY:
                    merged = self.compact(merged)
        return merged or []

    def compact(self, accumulator: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
        """Return the accumulator as at most one block."""
        return [merge_blocks(accumulator)] if accumulator else accumulator

    def get_accumulator_coder(self) -> beam.coders.Coder:
        """Return a list of the registered coder, not pickle."""
        return beam.coders.ListCoder(beam.coders.registry.get_coder(pa.RecordBatch))

    def extract_output(self, accumulator: list[pa.RecordBatch]) -> pa.RecordBatch:
        """Return the one block."""
        return merge_blocks(accumulator)


def gather(blocks: Iterable[pa.RecordBatch], table: LFTable) -> PatternTable:
    """Return the pattern table of all blocks; an empty one when there are none."""
    tables = [from_block(block) for block in blocks]
    if not tables:
        return empty(len(table.lfs), len(table.class_names))
    return merge_patterns(tables)
