"""Tables as files of a data set: one Parquet object, deterministic bytes, checked when read."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labelmill.errors import CorruptFileError, NewerFormatError

FORMAT_VERSION = 1
"""The format of a table file that this code writes, and the newest that it reads."""

ROW_GROUP_ROWS = 1 << 17

_FORMAT = b"labelmill.format"
_NOTE = b"labelmill.note"
_DIGEST_KEY = b"labelmill.digest"
_DIGEST = b"labelmill.sha256="
_NO_DIGEST = b"0" * 64


def input_digest(content: Any) -> str:
    """Return the digest of what determines a file's content, 32 hex digits.

    Args:
        content: Plain data; a file named by its input digest is written again with the same
            bytes by any replay.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class TableWriter:
    """Collects batches of one schema into the bytes of one Parquet file.

    Args:
        schema: Schema of the batches; its metadata is kept.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = io.BytesIO()
        self.schema = schema
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            use_dictionary=_repeating(schema),
            write_page_checksum=True,
            store_schema=True,
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._pending_rows >= ROW_GROUP_ROWS:
            self._flush(self._pending_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS)

    def _flush(self, rows: int) -> None:
        """Write the first `rows` pending rows; the bytes do not tell how batches were cut."""
        table = pa.Table.from_batches(self._pending, self.schema)
        if rows:
            whole = table.slice(0, rows).combine_chunks()
            self._writer.write_table(whole, row_group_size=ROW_GROUP_ROWS)
        self._pending = table.slice(rows).to_batches()
        self._pending_rows -= rows

    def finish(self, note: Mapping[str, Any] | None = None) -> bytes:
        """Close the file.

        Args:
            note: Plain data to keep in the file's metadata; `TableFile.note` reads it.

        Returns:
            The bytes of the whole file.
        """
        self._flush(self._pending_rows)
        if note is not None:
            text = json.dumps(note, sort_keys=True, separators=(",", ":"))
            self._writer.add_key_value_metadata({_NOTE: text.encode()})
        self._writer.add_key_value_metadata({_FORMAT: str(FORMAT_VERSION).encode()})
        self._writer.add_key_value_metadata({_DIGEST_KEY: _DIGEST + _NO_DIGEST})
        self._writer.close()
        data = bytearray(self._sink.getbuffer())
        place = _digest_place(data)
        data[place] = _digest_of(data, place)
        return bytes(data)


def _repeating(schema: pa.Schema) -> list[str]:
    """Return the columns whose values repeat, as Parquet names them: all but ids."""
    names = []
    for column in schema:
        while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
            column = column.type.value_field.with_name(f"{column.name}.list.element")  # noqa: PLW2901
        names.append(column.name)
    return [name for name in names if name != "id"]


def _digest_place(data: bytes | bytearray) -> slice:
    """Return where in a file its digest is: Parquet's own checksums leave the footer out."""
    found = data.rfind(_DIGEST)
    if found < 0:
        raise ValueError("it carries no digest")
    return slice(found + len(_DIGEST), found + len(_DIGEST) + len(_NO_DIGEST))


def _digest_of(data: bytes | bytearray, place: slice) -> bytes:
    """Return the SHA-256 of a file with zeros for its digest."""
    view = memoryview(data)
    digest = hashlib.sha256(view[: place.start])
    digest.update(_NO_DIGEST)
    digest.update(view[place.stop :])
    return digest.hexdigest().encode()


class TableFile:
    """A Parquet file that `TableWriter` wrote, read from its bytes once their digest is verified.

    Args:
        data: The whole file.
        name: What error messages call it.

    Raises:
        CorruptFileError: The bytes are no such file, not all as they were written, or in a newer
            format.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        try:
            place = _digest_place(data)
            if data[place] != _digest_of(data, place):
                raise ValueError("its bytes do not match its digest")
            self._file = pq.ParquetFile(pa.BufferReader(data))
            metadata = self._file.metadata.metadata or {}
            version = int(metadata.get(_FORMAT, b"1"))
            self.note: Mapping[str, Any] = json.loads(metadata.get(_NOTE, b"{}"))
            self.schema: pa.Schema = self._file.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CorruptFileError(f"{name}: not a table that labelmill wrote: {error}") from error
        if version > FORMAT_VERSION:
            raise NewerFormatError(
                f"{name} has format {version}, written by a newer labelmill; this one reads up to "
                f"format {FORMAT_VERSION}. Upgrade labelmill."
            )

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._file.metadata.num_rows)

    def batches(
        self, batch_rows: int = 1 << 14, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, cut alike in all tables with as many rows.

        Args:
            batch_rows: Rows of a batch.
            columns: The columns to read; all by default.
        """
        yield from self._file.iter_batches(batch_size=batch_rows, columns=columns)

    def whole(self, columns: Sequence[str] = ()) -> pa.RecordBatch:
        """Return all rows as one batch.

        Args:
            columns: The columns to read; all by default.

        Raises:
            CorruptFileError: There is no such column.
        """
        names = list(columns) or self.schema.names
        missing = [name for name in names if name not in self.schema.names]
        if missing:
            raise CorruptFileError(f"{self.name} has no column {missing[0]!r}")
        chosen = [self.schema.field(name) for name in names]
        schema = pa.schema(chosen, metadata=self.schema.metadata)
        table = self._file.read(names).select(names).combine_chunks()
        arrays = [
            column.chunk(0) if column.num_chunks else pa.array([], column.type)
            for column in table.columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
