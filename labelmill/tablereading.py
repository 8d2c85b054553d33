"""Reading data files that are tables with a column of keys, for look-ups and vote tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from labelmill.corpus import plan_corpus
from labelmill.datafiles import DataFile
from labelmill.errors import CorpusError, CorpusReadError, LabelingFunctionError
from labelmill.readers import read_shard

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")
"""Suffixes of tables that can be read."""

_READ_ROWS = 1 << 16


def read_table(
    file: DataFile, local_path: str, key: str, columns: Sequence[str], needed_by: str
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a CSV, JSONL or Parquet file; of text files, all as text.

    Args:
        file: The file.
        local_path: Where it is.
        key: Column of text or whole numbers, none of them missing; read as text.
        columns: Other columns.
        needed_by: The function that needs it, for messages.

    Yields:
        Batches with the key as `labelmill.records.ID`, and `columns`.

    Raises:
        LabelingFunctionError: It cannot be read, lacks a column, or has a record that is broken
            or without key.
    """
    if file.suffix not in FORMATS:
        raise LabelingFunctionError(
            f"{needed_by}: {file} is no table that it can read; one of {', '.join(FORMATS)}"
        )
    types = dict.fromkeys(columns, "string") if file.suffix in (".csv", ".tsv") else None
    try:
        corpus = plan_corpus(local_path, columns=list(columns), id_column=key, types=types)
        for shard in corpus.shards:
            for read in read_shard(shard, corpus.schema, id_column=key, batch_rows=_READ_ROWS):
                if read.bad:
                    bad = read.bad[0]
                    line = f":{bad.line}" if bad.line >= 0 else ""
                    reason = bad.reason.replace("no id: ", "no key: ")
                    raise LabelingFunctionError(f"{needed_by}: {file}{line}: {reason}")
                yield read.batch
    except (CorpusError, CorpusReadError) as error:
        message = str(error).replace(local_path, str(file))
        raise LabelingFunctionError(f"{needed_by}: {message}") from error
