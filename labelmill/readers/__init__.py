"""Reading a shard of the corpus: batches of good rows, and bad records with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from labelmill.readers.files import StorageOptions, resolve_planned
from labelmill.readers.parquet import read_parquet
from labelmill.readers.records import BadRecord, ReadBatch, batch_schema
from labelmill.readers.text_shards import read_csv, read_jsonl
from labelmill.shard import Shard

__all__ = ["BadRecord", "ReadBatch", "batch_schema", "read_shard"]

_READERS = {"parquet": read_parquet, "jsonl": read_jsonl, "csv": read_csv}


def read_shard(
    shard: Shard,
    schema: pa.Schema,
    *,
    id_column: str | None,
    batch_rows: int = 8192,
    storage_options: StorageOptions = None,
) -> Iterator[ReadBatch]:
    """Read the records of a shard, in file order.

    Memory stays at a few chunks of the file, however large the shard; a line longer than a chunk
    is held whole.

    Args:
        shard: what `plan_corpus` planned.
        schema: the corpus schema: the columns to read and their types.
        id_column: column of the ids, string or integer; None for `<shard.name>#<row>`. Bad
            records count as rows there, blank lines do not.
        batch_rows: most rows in a batch.
        storage_options: what the fsspec file system takes.

    Yields:
        Batches with `__id__` (string) and the columns of `schema`, each with the bad records met
        on the way. No batch at all for a shard without records.

    Raises:
        CorpusReadError: if the file changed or vanished since it was planned, or breaks.
        ValueError: if `id_column` is None but the shard was planned with one.
    """
    if shard.rows == 0:
        resolve_planned(shard, storage_options)
        return iter(())
    reader = _READERS[shard.format]
    return reader(
        shard,
        schema,
        id_column=id_column,
        batch_rows=batch_rows,
        storage_options=storage_options,
    )
