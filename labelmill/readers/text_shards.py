"""Reading JSONL and CSV shards: records numbered, parsed, given their ids, cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pyarrow as pa

from labelmill.readers import jsonl
from labelmill.readers.csv import CsvParser
from labelmill.readers.csv_records import csv_records
from labelmill.readers.files import StorageOptions, open_stream, reading, resolve_planned
from labelmill.readers.jsonl import JsonlParser
from labelmill.readers.records import (
    ReadBatch,
    check_can_number,
    read_batches,
    row_ids,
    usable_ids,
)
from labelmill.readers.sampling import read_header
from labelmill.readers.text import (
    TO_END,
    Parsed,
    Records,
    line_blocks,
    lines_of,
    without_blank,
)
from labelmill.shard import Shard


def read_jsonl(
    shard: Shard,
    schema: pa.Schema,
    *,
    id_column: str | None,
    batch_rows: int,
    storage_options: StorageOptions,
) -> Iterator[ReadBatch]:
    """Read a shard of JSON lines; see `labelmill.readers.read_shard`."""
    check_can_number(shard, id_column)
    fs, path = resolve_planned(shard, storage_options)
    parser = JsonlParser(schema, id_column)
    maker = _BatchMaker(shard, schema, id_column, batch_rows)
    with ExitStack() as stack:
        stack.enter_context(reading(shard.uri))
        stream = stack.enter_context(open_stream(fs, path, shard.compression))
        for block in line_blocks(stream, *_range(shard), line=shard.first_line):
            records = without_blank(lines_of(block), blank=jsonl.BLANK)
            if len(records):
                yield from maker.batches(records, parser.parse(records))


def read_csv(
    shard: Shard,
    schema: pa.Schema,
    *,
    id_column: str | None,
    batch_rows: int,
    storage_options: StorageOptions,
) -> Iterator[ReadBatch]:
    """Read a shard of CSV; see `labelmill.readers.read_shard`."""
    check_can_number(shard, id_column)
    fs, path = resolve_planned(shard, storage_options)
    maker = _BatchMaker(shard, schema, id_column, batch_rows)
    with ExitStack() as stack:
        stack.enter_context(reading(shard.uri))
        with open_stream(fs, path, shard.compression) as stream:
            header = read_header(stream, shard.uri, shard.delimiter, shard.multiline)
        if header is None:
            return
        parser = CsvParser(header.names, schema, id_column, shard.delimiter)
        stream = stack.enter_context(open_stream(fs, path, shard.compression))
        groups = csv_records(
            stream,
            *_range(shard),
            delimiter=shard.delimiter,
            multiline=shard.multiline,
            line=shard.first_line,
        )
        for group in groups:
            records = group.records
            records = records.where(records.starts + records.offset >= header.stop)
            if len(records):
                parse = parser.parse_slowly if group.broken else parser.parse
                yield from maker.batches(records, parse(records))


class _BatchMaker:
    """Numbers the records of a shard as they come, and makes batches of the parsed ones."""

    def __init__(
        self, shard: Shard, schema: pa.Schema, id_column: str | None, batch_rows: int
    ) -> None:
        self._shard = shard
        self._schema = schema
        self._id_column = id_column
        self._batch_rows = batch_rows
        self._next_row = shard.first_row

    def batches(self, records: Records, parsed: Parsed) -> Iterator[ReadBatch]:
        """Batches of n records, of which `parsed` holds the good ones."""
        batch, kept, bad = parsed.batch, parsed.kept, list(parsed.bad)
        if self._id_column is None:
            ids = row_ids(self._shard.name, kept + self._next_row)
        else:
            ids, usable, without = usable_ids(batch.column(self._id_column), self._id_column)
            if without:
                bad = sorted([*bad, *((int(kept[i]), reason) for i, reason in without)])
                batch, ids = batch.take(pa.array(usable)), ids.take(pa.array(usable))
        self._next_row += len(records)
        columns = [batch.column(field.name).cast(field.type) for field in self._schema]
        yield from read_batches(
            ids,
            columns,
            self._schema,
            [records.bad(i, reason, self._shard.uri) for i, reason in bad],
            self._batch_rows,
        )


def _range(shard: Shard) -> tuple[int, int]:
    """The shard's byte range of the decompressed text."""
    return (0, TO_END) if shard.compression else (shard.start, shard.stop)
