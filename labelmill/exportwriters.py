"""Files that training code reads, in several formats; written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from labelmill.errors import JobSpecError, StoreError
from labelmill.uris import checked_uri, without_credentials

Format = Literal["parquet", "jsonl", "csv", "tfrecord"]

FORMATS: tuple[Format, ...] = get_args(Format)

FORMULA = r"^[=+\-@\t\r\n]"
"""How text begins that a spreadsheet would take for a formula."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def inert(text: str) -> str:
    """Return text with an apostrophe before what a spreadsheet would take for a formula."""
    is_formula = re.match(FORMULA, text) and not re.match(NUMBER, text)
    return f"'{text}" if is_formula else text


class Writer(Protocol):
    """Writes batches of one schema to a file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""

    def close(self) -> None:
        """Finish the file."""


class _ParquetWriter:
    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class _JsonLinesWriter:
    def __init__(self, path: str, _schema: pa.Schema) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  closed by close

    def write(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        self._file.close()


class _CsvWriter:
    """Columns of structs are flattened; text that looks like a formula gets an apostrophe."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        flat = pa.Table.from_batches([], schema).flatten().schema
        for field in flat:
            if pa.types.is_nested(field.type):
                raise JobSpecError(
                    f"column {field.name!r} is {field.type}, which CSV cannot hold; export parquet "
                    "or jsonl"
                )
        self._writer = pyarrow.csv.CSVWriter(path, flat)

    def write(self, batch: pa.RecordBatch) -> None:
        table = pa.Table.from_batches([batch]).flatten()
        columns = [
            _without_formulas(column) if column.type == pa.string() else column
            for column in table.columns
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=table.schema))

    def close(self) -> None:
        self._writer.close()


def _without_formulas(column: pa.ChunkedArray) -> pa.ChunkedArray:
    looks = pc.and_(
        pc.match_substring_regex(column, FORMULA),
        pc.invert(pc.match_substring_regex(column, NUMBER)),
    )
    return pc.if_else(looks, pc.binary_join_element_wise("'", column, ""), column)


class _TFRecordWriter:
    """A `tf.train.Example` per record; structs become lists in the order of their fields."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        try:
            from tfrecord.writer import TFRecordWriter  # noqa: PLC0415  an extra
        except ImportError as error:
            raise JobSpecError(
                f"format tfrecord: {error}; pip install 'labelmill[tfrecord]'"
            ) from error
        self._kinds = {field.name: _feature_kind(field) for field in schema}
        self._writer = TFRecordWriter(path)

    def write(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            features = {name: (_values(value), self._kinds[name]) for name, value in row.items()}
            self._writer.write(features)

    def close(self) -> None:
        self._writer.close()


def _feature_kind(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_struct(kind):
        kind = kind.field(0).type
    if kind == pa.string():
        return "byte"
    if pa.types.is_floating(kind):
        return "float"
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "int"
    raise JobSpecError(
        f"column {field.name!r} is {field.type}, which a TFRecord example cannot hold; export "
        "parquet or jsonl"
    )


# Any: a value of whatever column; only those of `_feature_kind` come here.
def _values(value: Any) -> list[Any]:
    """Return a value as the list that a feature is; none for a null."""
    if value is None:
        return []
    if isinstance(value, dict):
        return list(value.values())
    return [value.encode() if isinstance(value, str) else value]


_WRITERS: Mapping[Format, Callable[[str, pa.Schema], Writer]] = {
    "parquet": _ParquetWriter,
    "jsonl": _JsonLinesWriter,
    "csv": _CsvWriter,
    "tfrecord": _TFRecordWriter,
}


@contextmanager
def writing(target: str, kind: Format, schema: pa.Schema) -> Iterator[Writer]:
    """Open a file for writing that is at its target when all went well, and else nowhere.

    Args:
        target: A path, or any fsspec URL.
        kind: Format of the file.
        schema: Of the batches.

    Raises:
        StoreError: The target cannot be written.
    """
    try:
        fs, key = fsspec.core.url_to_fs(checked_uri(target))
    except (ImportError, ValueError) as error:
        shown = without_credentials(target)
        raise StoreError(f"cannot write {shown}: {error}") from error
    folder = None
    if isinstance(fs, LocalFileSystem):  # beside its target, so that moving it there is one step
        folder = Path(key).parent
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-export-", dir=folder) as temporary:
        path = Path(temporary) / "part"
        writer = _WRITERS[kind](str(path), schema)
        try:
            yield writer
        finally:
            writer.close()
        if folder is not None:
            path.replace(key)
        else:
            fs.put_file(str(path), key)


def split_target(target: str, split: str) -> str:
    """Return where a split goes: its name before the suffix.

    Example:
        >>> split_target("out/labels.csv", "test")
        'out/labels-test.csv'
    """
    stem, suffix = os.path.splitext(target)  # noqa: PTH122  a URL is no Path
    return f"{stem}-{split}{suffix}"
