"""Parquet: footers at plan time, row groups in batches at read time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt
from fsspec import AbstractFileSystem

from labelmill.corpus_schema import normalise
from labelmill.readers.files import StorageOptions, open_raw, planning, reading, resolve_planned
from labelmill.readers.records import (
    TEXT_CHARS,
    BadRecord,
    ReadBatch,
    check_can_number,
    excerpt,
    read_batches,
    row_ids,
    shown,
    usable_ids,
)
from labelmill.shard import Shard

BATCH_BYTES = 32 << 20
"""A batch of long rows has fewer of them, to stay near this."""


@dataclass(frozen=True)
class Footer:
    """What the footer of a file says: its columns, and rows and uncompressed bytes by row group."""

    schema: pa.Schema
    rows: tuple[int, ...]
    sizes: tuple[int, ...]


def read_footer(fs: AbstractFileSystem, path: str, uri: str) -> Footer:
    """Read the footer of a Parquet file.

    Raises:
        CorpusError: if the file is truncated or no Parquet.
    """
    with planning(uri), open_raw(fs, path) as raw, pq.ParquetFile(raw) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        return Footer(
            schema=file.schema_arrow,
            rows=tuple(group.num_rows for group in groups),
            sizes=tuple(group.total_byte_size for group in groups),
        )


def cut_row_groups(footer: Footer, shard_bytes: int) -> list[tuple[int, int]]:
    """Runs of row groups [start, stop) of at most `shard_bytes` each, at least one group long."""
    cuts: list[tuple[int, int]] = []
    start = size = 0
    for group, group_size in enumerate(footer.sizes):
        if group > start and size + group_size > shard_bytes:
            cuts.append((start, group))
            start, size = group, 0
        size += group_size
    return [*cuts, (start, len(footer.sizes))]


def read_parquet(
    shard: Shard,
    schema: pa.Schema,
    *,
    id_column: str | None,
    batch_rows: int,
    storage_options: StorageOptions,
) -> Iterator[ReadBatch]:
    """Read a shard's row groups; see `labelmill.readers.read_shard`."""
    check_can_number(shard, id_column)
    fs, path = resolve_planned(shard, storage_options)
    names = list(schema.names)
    if id_column is not None and id_column not in names:
        names.append(id_column)
    first_row = shard.first_row
    # One row group at a time, nothing prefetched: that would be memory that nobody bounds.
    with (
        reading(shard.uri),
        open_raw(fs, path) as raw,
        pq.ParquetFile(raw, pre_buffer=False) as file,
    ):
        for group in range(shard.start, shard.stop):
            entry = file.metadata.row_group(group)
            row_bytes = max(1, entry.total_byte_size // max(1, entry.num_rows))
            size = max(1, min(batch_rows, BATCH_BYTES // row_bytes))
            for batch in file.iter_batches(size, row_groups=[group], columns=names):
                yield from _convert_batch(
                    batch,
                    shard,
                    schema,
                    id_column=id_column,
                    first_row=first_row,
                    batch_rows=batch_rows,
                )
                first_row += batch.num_rows


def _convert_batch(
    batch: pa.RecordBatch,
    shard: Shard,
    schema: pa.Schema,
    *,
    id_column: str | None,
    first_row: int,
    batch_rows: int,
) -> Iterator[ReadBatch]:
    """One batch of the file as one of the corpus, unusable rows taken out."""
    faults: dict[int, str] = {}
    columns = []
    for field in schema:
        array, failed = convert(batch.column(field.name), field.type)
        columns.append(array)
        for i in failed:
            faults.setdefault(i, _why(batch, field, i))
    rows = np.arange(first_row, first_row + batch.num_rows)
    if id_column is None:
        ids = row_ids(shard.name, rows)
    else:
        raw_ids = batch.column(id_column)
        raw_ids, failed = convert(raw_ids, normalise(raw_ids.type))
        for i in failed:
            faults.setdefault(i, f"column {id_column!r}: not UTF-8")
        ids, _, without = usable_ids(raw_ids, id_column)
        for i, reason in without:
            faults.setdefault(i, reason)
    if faults:
        keep = pa.array(np.setdiff1d(np.arange(batch.num_rows), list(faults)))
        ids, columns = ids.take(keep), [column.take(keep) for column in columns]
    bad = [
        BadRecord(shard.uri, -1, -1, f"row {rows[i]}: {reason}", _row_text(batch, i))
        for i, reason in sorted(faults.items())
    ]
    yield from read_batches(ids, columns, schema, bad, batch_rows)


def convert(array: pa.Array, data_type: pa.DataType) -> tuple[pa.Array, Sequence[int]]:
    """An array cast to a type, null where that fails, and the places of those.

    Strings that are no UTF-8, as Parquet does not check them, fail too.
    """
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    plain = _try_cast(array, data_type)
    if plain is not None:
        return plain, ()
    failed = list(_failures(array, lambda part: _try_cast(part, data_type) is not None, 0))
    mask = np.zeros(len(array), dtype=np.bool_)
    mask[failed] = True
    # Bytes under a null are still there and would fail again: build from the good rows only.
    keep = pa.array(np.flatnonzero(~mask))
    good = pc.cast(array.take(keep), data_type)
    positions = np.cumsum(~mask) - 1
    return good.take(pa.array(positions, mask=mask)), failed


def _try_cast(array: pa.Array, data_type: pa.DataType) -> pa.Array | None:
    try:
        array.validate(full=True)
        return array if array.type.equals(data_type) else pc.cast(array, data_type)
    except pa.ArrowException:
        return None


def _failures(array: pa.Array, works: Callable[[pa.Array], bool], start: int) -> Iterator[int]:
    """Places of the elements that do not work, found by halving."""
    if works(array):
        return
    if len(array) == 1:
        yield start
        return
    middle = len(array) // 2
    yield from _failures(array.slice(0, middle), works, start)
    yield from _failures(array.slice(middle), works, start + middle)


def _why(batch: pa.RecordBatch, field: pa.Field, i: int) -> str:
    array = batch.column(field.name)
    try:
        return f"column {field.name!r}: {shown(array[i].as_py())} is not {field.type}"
    except UnicodeDecodeError:
        return f"column {field.name!r}: not UTF-8"


def _row_text(batch: pa.RecordBatch, i: int) -> str:
    """The row as text for a bad record, strings with undecodable bytes escaped."""
    parts = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        value = column[i]
        if pt.is_dictionary(value.type):
            value = column.slice(i, 1).dictionary_decode()[0]
        try:
            parts.append(f"{name}={value.as_py()!r}")
        except UnicodeDecodeError:
            raw = value.as_buffer() if hasattr(value, "as_buffer") else None
            parts.append(f"{name}={excerpt(raw.to_pybytes()) if raw is not None else '?'}")
    return ", ".join(parts)[:TEXT_CHARS]
