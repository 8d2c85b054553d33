"""What a reader hands out: batches of good rows, and the records it could not use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.records import ID
from labelmill.shard import Shard

TEXT_CHARS = 500

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BadRecord:
    """A record that could not be used, and why.

    Attributes:
        file: URI of the file.
        line: 1-based physical line on which the record starts; -1 when unknown (Parquet, or a
            later byte range of a file whose lines were not counted).
        offset: byte offset of the record in the file, of its decompressed text when it is
            compressed; -1 when unknown (Parquet).
        reason: what is wrong, with the column and the value where there is one.
        text: the first 500 characters of the record, undecodable bytes backslash-escaped.
    """

    file: str
    line: int
    offset: int
    reason: str
    text: str


@dataclass(frozen=True)
class ReadBatch:
    """A batch of good rows and the bad records met since the batch before.

    Attributes:
        batch: `__id__` (string, never null) followed by the columns of the schema.
        bad: bad records, in file order.
    """

    batch: pa.RecordBatch
    bad: tuple[BadRecord, ...]


def batch_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a `ReadBatch.batch` for a corpus schema."""
    return pa.schema([pa.field(ID, pa.string(), nullable=False), *schema])


def excerpt(raw: bytes) -> str:
    """The first 500 characters of a record without its line end, whatever bytes it holds."""
    text = raw[: 4 * TEXT_CHARS + 4].decode("utf-8", "backslashreplace")
    return text.rstrip("\r\n")[:TEXT_CHARS]


def shown(value: object) -> str:
    """A value for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def row_ids(name: str, rows: IntArray) -> pa.Array:
    """Ids `<name>#<row>` of rows by their number in the file."""
    numbers = pc.cast(pa.array(rows), pa.string())
    return pc.binary_join_element_wise(pa.scalar(f"{name}#"), numbers, "")


def usable_ids(ids: pa.Array, column: str) -> tuple[pa.Array, IntArray, list[tuple[int, str]]]:
    """Cast an id column to strings and find the rows that have none.

    Args:
        ids: string or integer array of n ids.
        column: name of the column, for the reasons.

    Returns:
        The ids as strings (n), the positions of the usable ones, and (position, reason) of the
        others.
    """
    ids = pc.cast(ids, pa.string())
    good = pc.fill_null(pc.not_equal(ids, ""), False).to_numpy(zero_copy_only=False)
    if good.all():
        return ids, np.arange(len(ids)), []
    faults = [
        (int(i), f"no id: column {column!r} is {'empty' if ids[i].is_valid else 'null'}")
        for i in np.flatnonzero(~good)
    ]
    return ids, np.flatnonzero(good), faults


def read_batches(
    ids: pa.Array,
    columns: Sequence[pa.Array],
    schema: pa.Schema,
    bad: Sequence[BadRecord],
    batch_rows: int,
) -> Iterator[ReadBatch]:
    """Cut columns of n rows into batches; the bad records go with the first.

    Args:
        ids: string array (n).
        columns: arrays (n), one for each field of `schema`.
        schema: the corpus schema, without `__id__`.
        bad: bad records met among these rows.
        batch_rows: most rows in a batch.

    Yields:
        Batches; one without rows when there are only bad records, none when there is neither.
    """
    whole = pa.RecordBatch.from_arrays([ids, *columns], schema=batch_schema(schema))
    if not whole.num_rows and bad:
        yield ReadBatch(whole, tuple(bad))
    for start in range(0, whole.num_rows, batch_rows):
        yield ReadBatch(whole.slice(start, batch_rows), tuple(bad) if start == 0 else ())


def check_can_number(shard: Shard, id_column: str | None) -> None:
    """Refuse to read without an id column a shard that was planned with one.

    Raises:
        ValueError: if the ids need row numbers that the plan did not count.
    """
    if id_column is None and shard.first_row < 0:
        raise ValueError(
            f"shard {shard.name}[{shard.start}:{shard.stop}] was planned with an id column, "
            "its rows are not numbered; pass id_column"
        )
