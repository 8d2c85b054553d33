"""Mining the corpus for teaching: a uniform sample of records, and sums over all of it.

Both merge over shards in any order to the same bits: a sample is the records with the smallest
hashes of their ids, sums are of whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.typehints import with_input_types, with_output_types
from apache_beam.utils.shared import Shared

from labelmill.hashing import text_hashes
from labelmill.readers import read_shard
from labelmill.records import ID
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.teach.choosing import Sums, sums_of
from labelmill.teach.classifier import TextClassifier
from labelmill.teach.index import index_with
from labelmill.teach.storing import from_bytes
from labelmill.teach.tokens import Ints

_SEED = 23
_MERGE_EVERY = 8
BATCH_ROWS = 4096


class SampleRecords(beam.PTransform):
    """Draw a uniform sample of the records of shards.

    Args:
        schema: Columns to read.
        id_column: Column of the ids, see `read_shard`.
        size: Records to draw; all where there are no more.
        always: Ids of records that are in the sample whatever their hash.

    Returns:
        PCollection of at most one `pyarrow.RecordBatch`, in the order of the hashes.
    """

    def __init__(
        self, schema: pa.Schema, id_column: str | None, size: int, always: frozenset[str]
    ) -> None:
        super().__init__()
        self._read = _SampleShardFn(schema, id_column, size, always)
        self._merge = MergeSamplesFn(size, always)

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[pa.RecordBatch]:
        """Return the sample."""
        return (
            shards
            | "SampleShard" >> beam.ParDo(self._read).with_output_types(pa.RecordBatch)
            | "MergeSamples" >> beam.CombineGlobally(self._merge).without_defaults()
        )


class _SampleShardFn(beam.DoFn):
    def __init__(
        self, schema: pa.Schema, id_column: str | None, size: int, always: frozenset[str]
    ) -> None:
        self._schema = schema
        self._id_column = id_column
        self._size = size
        self._always = always

    def process(self, shard: Shard) -> Iterator[pa.RecordBatch]:
        kept: list[pa.RecordBatch] = []
        rows = 0
        for read in read_shard(shard, self._schema, id_column=self._id_column):
            kept.append(read.batch)
            rows += read.batch.num_rows
            if rows > 2 * self._size:
                kept = [smallest(kept, self._size, self._always)]
                rows = kept[0].num_rows
        if rows:
            yield smallest(kept, self._size, self._always)


def smallest(
    batches: Iterable[pa.RecordBatch], size: int, always: frozenset[str]
) -> pa.RecordBatch:
    """Return the records with the smallest hashes of their ids, and those that are always kept."""
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    ids = table.column(ID).combine_chunks()
    hashes = text_hashes(ids, seed=_SEED)
    texts = np.asarray(ids.to_pylist(), dtype=object).astype(str)
    order = np.lexsort((texts, hashes))
    wanted = np.zeros(len(texts), dtype=bool)
    if always:
        wanted = np.array([text in always for text in texts.tolist()], dtype=bool)
    kept = order[wanted[order] | (np.arange(len(order)) < size)]
    return table.take(pa.array(kept)).combine_chunks().to_batches()[0]


@with_input_types(pa.RecordBatch)
@with_output_types(pa.RecordBatch)
class MergeSamplesFn(beam.CombineFn):
    """Merges samples; the accumulator is a short list of them, compacted as it grows."""

    def __init__(self, size: int, always: frozenset[str]) -> None:
        super().__init__()
        self._size = size
        self._always = always

    def create_accumulator(self) -> list[pa.RecordBatch]:
        """Return no records."""
        return []

    def add_input(
        self, accumulator: list[pa.RecordBatch], batch: pa.RecordBatch
    ) -> list[pa.RecordBatch]:
        """Add a sample."""
        accumulator.append(batch)
        return self.compact(accumulator) if len(accumulator) >= _MERGE_EVERY else accumulator

    def merge_accumulators(
        self, accumulators: Iterable[list[pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        """Merge samples."""
        return self.compact([batch for batches in accumulators for batch in batches])

    def compact(self, accumulator: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
        """Return the accumulator as at most one sample."""
        return [smallest(accumulator, self._size, self._always)] if accumulator else accumulator

    def extract_output(self, accumulator: list[pa.RecordBatch]) -> pa.RecordBatch:
        """Return the sample."""
        return self.compact(accumulator)[0]

    def get_accumulator_coder(self) -> beam.coders.Coder:
        """Return a list of the registered coder, not pickle."""
        return beam.coders.ListCoder(beam.coders.registry.get_coder(pa.RecordBatch))


class SumCandidates(beam.PTransform):
    """Add up what is counted of candidates over all records of shards.

    Args:
        schema: Schema of the column to read.
        id_column: Column of the ids, see `read_shard`.
        field: The column with the texts.
        store_uri: Data set with the classifier.
        classifier: Its name there.
        pool: Candidates to count, places among the classifier's keys, int64, ascending.
        labels: Judged class index by id.

    Returns:
        PCollection of one `Sums`, over the pool.
    """

    def __init__(
        self,
        schema: pa.Schema,
        id_column: str | None,
        field: str,
        *,
        store_uri: str,
        classifier: str,
        pool: Ints,
        n_classes: int,
        labels: Mapping[str, int],
    ) -> None:
        super().__init__()
        self._sum = _SumShardFn(schema, id_column, field, store_uri, classifier, pool, dict(labels))
        self._zero = Sums.zero(len(pool), n_classes)

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Sums]:
        """Return the sums."""
        return (
            shards
            | "SumShard" >> beam.ParDo(self._sum).with_output_types(Sums)
            | "AddSums" >> beam.CombineGlobally(AddSumsFn(self._zero)).without_defaults()
        )


class SharedClassifier:
    """A stored classifier, read once a process and held as long as a DoFn is."""

    def __init__(self, store_uri: str, path: str) -> None:
        self.path = path
        self._store_uri = store_uri
        self._shared = Shared()
        self._held: TextClassifier | None = None

    def get(self) -> TextClassifier:
        """Return the classifier."""
        if self._held is None:
            self._held = self._shared.acquire(self._read, tag=(self._store_uri, self.path))
        return self._held

    def _read(self) -> TextClassifier:
        return from_bytes(Store.open(self._store_uri).get(self.path), self.path)


class _SumShardFn(beam.DoFn):
    def __init__(
        self,
        schema: pa.Schema,
        id_column: str | None,
        field: str,
        store_uri: str,
        classifier: str,
        pool: Ints,
        labels: dict[str, int],
    ) -> None:
        self._schema = schema
        self._id_column = id_column
        self._field = field
        self._classifier = SharedClassifier(store_uri, classifier)
        self._pool = pool
        self._labels = labels

    def process(self, shard: Shard) -> Iterator[Sums]:
        total: Sums | None = None
        reads = read_shard(shard, self._schema, id_column=self._id_column, batch_rows=BATCH_ROWS)
        for read in reads:
            if read.batch.num_rows:
                sums = self._sums(read.batch)
                total = sums if total is None else total + sums
        if total is not None:
            yield total

    def _sums(self, batch: pa.RecordBatch) -> Sums:
        classifier = self._classifier.get()
        has = index_with(batch.column(self._field), classifier.keys)
        ids = batch.column(ID).to_pylist()
        labels = np.array([self._labels.get(name, -1) for name in ids], dtype=np.int64)
        return sums_of(has[:, self._pool], classifier.probabilities(has), labels)


@with_input_types(Sums)
@with_output_types(Sums)
class AddSumsFn(beam.CombineFn):
    """Adds up sums."""

    def __init__(self, zero: Sums) -> None:
        super().__init__()
        self._zero = zero

    def create_accumulator(self) -> Sums:
        """Return the sums over nothing."""
        return self._zero

    def add_input(self, total: Sums, one: Sums) -> Sums:
        """Add one shard's sums."""
        return total + one

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        """Add up sums."""
        total = self._zero
        for one in accumulators:
            total = total + one
        return total

    def extract_output(self, total: Sums) -> Sums:
        """Return the sums."""
        return total

    def get_accumulator_coder(self) -> beam.coders.Coder:
        """Return the registered coder."""
        return beam.coders.registry.get_coder(Sums)
