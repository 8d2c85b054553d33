"""Tables as files of a data set: one Parquet object, deterministic bytes, checked when read."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labelmill.errors import CorruptFileError

ROW_GROUP_ROWS = 1 << 17

_NOTE = b"labelmill.note"


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
        self._schema = schema
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
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
            self._flush()

    def _flush(self) -> None:
        if self._pending_rows:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._pending, self._pending_rows = [], 0

    def finish(self, note: Mapping[str, Any] | None = None) -> bytes:
        """Close the file.

        Args:
            note: Plain data to keep in the file's metadata; `TableFile.note` reads it.

        Returns:
            The bytes of the whole file.
        """
        self._flush()
        if note is not None:
            text = json.dumps(note, sort_keys=True, separators=(",", ":"))
            self._writer.add_key_value_metadata({_NOTE: text.encode()})
        self._writer.close()
        return self._sink.getvalue()


class TableFile:
    """A Parquet file that `TableWriter` wrote, read from its bytes with checksums verified.

    Args:
        data: The whole file.
        name: What error messages call it.

    Raises:
        CorruptFileError: The bytes are no such file.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        try:
            self._file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
            metadata = self._file.metadata.metadata or {}
            self.note: Mapping[str, Any] = json.loads(metadata.get(_NOTE, b"{}"))
            self.schema: pa.Schema = self._file.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CorruptFileError(f"{name}: not a readable Parquet file: {error}") from error

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._file.metadata.num_rows)

    def batches(self, batch_rows: int = 1 << 14) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order.

        Raises:
            CorruptFileError: A page does not match its checksum.
        """
        try:
            yield from self._file.iter_batches(batch_size=batch_rows)
        except (pa.ArrowException, OSError) as error:
            raise CorruptFileError(f"{self._name}: {error}") from error
