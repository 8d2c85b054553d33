"""CSV: whole blocks through Arrow, and record by record where Arrow stops.

Fields are quoted as in RFC 4180. An empty field is null, also in a string column; a quoted empty
field is an empty string there. Empty lines are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.types as pt

from labelmill.readers.csv_records import well_quoted
from labelmill.readers.records import shown
from labelmill.readers.text import Parsed, Records, invalid_utf8, is_utf8, parse_records


@dataclass(frozen=True)
class Field:
    """One field of a record: its text, and whether it was quoted."""

    text: str
    quoted: bool


class CsvParser:
    """Parses CSV records into the columns of a schema, and the id column when it is not there.

    The id column is read as text, so that `007` stays an id of three characters; when the schema
    has it as a number too, that is converted from the text.

    Args:
        header: names of the file's columns.
        schema: the columns to read.
        id_column: read as well.
        delimiter: one character.
    """

    def __init__(
        self, header: Sequence[str], schema: pa.Schema, id_column: str | None, delimiter: str
    ) -> None:
        self._header = list(header)
        self._delimiter = delimiter
        self._schema = pa.schema(
            [pa.field(f.name, pa.string() if f.name == id_column else f.type) for f in schema]
        )
        if id_column is not None and id_column not in schema.names:
            self._schema = self._schema.append(pa.field(id_column, pa.string()))
        self._wanted = [self._header.index(name) for name in self._schema.names]
        # Names of our own: a header may repeat or lack some, and Arrow looks columns up by name.
        self._names = [str(i) for i in range(len(self._header))]
        self._by_cast = False  # becomes True at the first block that only casting can read

    def parse(self, records: Records) -> Parsed:
        """Parse at least one record, none of them an empty line."""
        return parse_records(records, self._fast, self.parse_slowly)

    def _fast(self, records: Records) -> pa.RecordBatch | None:
        buffer = records.buffer()
        if not self._wanted or not well_quoted(buffer, self._delimiter) or not is_utf8(buffer):
            return None
        batch = None if self._by_cast else self._read(buffer, self._schema)
        if batch is None:
            batch = self._read_and_cast(buffer)
            self._by_cast = self._by_cast or batch is not None
        return batch if batch is not None and batch.num_rows == len(records) else None

    def _read_and_cast(self, buffer: pa.Buffer) -> pa.RecordBatch | None:
        """Read texts and cast them: for files that quote all fields, empty numbers too."""
        texts = self._read(buffer, pa.schema([(name, pa.string()) for name in self._schema.names]))
        if texts is None:
            return None
        arrays = []
        for array, data_type in zip(texts.columns, self._schema.types, strict=True):
            cast = array if pt.is_string(data_type) else _cast(_without_empty(array), data_type)
            if cast is None:
                return None
            arrays.append(cast)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _read(self, buffer: pa.Buffer, schema: pa.Schema) -> pa.RecordBatch | None:
        include = [self._names[i] for i in self._wanted]
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(buffer),
                read_options=pa_csv.ReadOptions(
                    use_threads=False, block_size=buffer.size + 1, column_names=self._names
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict(zip(include, schema.types, strict=True)),
                    include_columns=include,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowException:
            return None
        arrays = [column.combine_chunks() for column in table.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def parse_slowly(self, records: Records) -> Parsed:
        """Parse records one by one."""
        kept: list[int] = []
        rows: list[list[Field]] = []
        faults: dict[int, str] = {}
        for i in range(len(records)):
            fields, reason = split_fields(records.raw(i), self._delimiter)
            if fields is not None and len(fields) != len(self._header):
                reason = f"{len(fields)} fields, the header has {len(self._header)}"
                fields = None
            if fields is None:
                faults[i] = reason
                continue
            kept.append(i)
            rows.append(fields)
        arrays = []
        for field, place in zip(self._schema, self._wanted, strict=True):
            array, failed = convert([row[place] for row in rows], field.type)
            arrays.append(array)
            for row in failed:
                value = shown(rows[row][place].text)
                faults.setdefault(kept[row], f"column {field.name!r}: {value} is not {field.type}")
        good = [row for row, i in enumerate(kept) if i not in faults]
        return Parsed(
            _batch(arrays, self._schema, len(rows)).take(pa.array(good, pa.int64())),
            np.asarray([kept[row] for row in good], dtype=np.int64),
            sorted(faults.items()),
        )


def split_fields(raw: bytes, delimiter: str) -> tuple[list[Field] | None, str]:
    """The fields of a record, or None and what is wrong with it."""
    if wrong := invalid_utf8(raw):
        return None, wrong
    text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    fields: list[Field] = []
    position = 0
    while True:
        quoted = text.startswith('"', position)
        value = ""
        if quoted:
            closed = _QUOTED.match(text, position)
            if closed is None:
                return None, f"quoted field {len(fields) + 1} is not closed"
            value = closed[1].replace('""', '"')
            position = closed.end()
        end = text.find(delimiter, position)
        value += text[position : end if end >= 0 else None]
        fields.append(Field(value, quoted))
        if end < 0:
            return fields, ""
        position = end + len(delimiter)


def convert(fields: Sequence[Field], data_type: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Fields as an array of a type, null where they do not convert, and the places of those."""
    if pt.is_string(data_type):
        texts = [field.text if field.text or field.quoted else None for field in fields]
        return pa.array(texts, pa.string()), []
    texts = _without_empty(pa.array([field.text for field in fields], pa.string()))
    whole = _cast(texts, data_type)
    if whole is not None:
        return whole, []
    singles = [_cast(texts.slice(i, 1), data_type) for i in range(len(texts))]
    failed = [i for i, single in enumerate(singles) if single is None]
    filled = [pa.nulls(1, data_type) if single is None else single for single in singles]
    return pa.concat_arrays(filled), failed


_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')


def _without_empty(texts: pa.Array) -> pa.Array:
    """Texts of numbers: without spaces around, null where there is nothing else."""
    trimmed = pc.utf8_trim(texts, " \t")
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _cast(texts: pa.Array, data_type: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(texts, data_type)
    except pa.ArrowException:
        return None


def _batch(arrays: Sequence[pa.Array], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    if arrays:
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
