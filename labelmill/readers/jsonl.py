"""JSON lines: whole blocks through Arrow, and line by line where Arrow stops.

Both ways give the same value for the same line, so a record does not depend on its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.types as pt

from labelmill.readers.records import shown
from labelmill.readers.text import (
    Parsed,
    Records,
    invalid_utf8,
    is_utf8,
    parse_records,
)

BLANK = b" \t\r\n"

_OPEN, _CLOSE, _RETURN = b"{}\r"

Json = Any  # what json.loads returns


class JsonlParser:
    """Parses JSON lines into the columns of a schema, and the id column when it is not there.

    Args:
        schema: the columns to read; keys that are not in it are ignored.
        id_column: read as well when not in the schema; string or integer, as the lines have it.
    """

    def __init__(self, schema: pa.Schema, id_column: str | None) -> None:
        self._schemas = [schema]
        if id_column is not None and id_column not in schema.names:
            self._schemas = [
                schema.append(pa.field(id_column, id_type)) for id_type in (pa.string(), pa.int64())
            ]

    def parse(self, records: Records) -> Parsed:
        """Parse at least one record, none of them blank."""
        return parse_records(records, self._fast, self._slow)

    def _fast(self, records: Records) -> pa.RecordBatch | None:
        buffer = records.buffer()
        if not self._schemas[0].names or not _all_braced(records) or not is_utf8(buffer):
            return None
        for schema in self._schemas:
            try:
                table = pj.read_json(
                    pa.BufferReader(buffer),
                    read_options=pj.ReadOptions(use_threads=False, block_size=buffer.size + 1),
                    parse_options=pj.ParseOptions(
                        explicit_schema=schema, unexpected_field_behavior="ignore"
                    ),
                )
            except (pa.ArrowException, UnicodeError):
                continue
            if table.num_rows == len(records):
                if schema is not self._schemas[0]:  # the next block is likely the same
                    self._schemas.reverse()
                batch = table.select(schema.names).combine_chunks().to_batches()[0]
                return _as_strings(batch, self._schemas, schema)
        return None

    def _slow(self, records: Records) -> Parsed:
        schema = next(s for s in self._schemas if len(self._schemas) == 1 or _last_is_string(s))
        rows: list[list[Json]] = []
        kept: list[int] = []
        bad: list[tuple[int, str]] = []
        for i in range(len(records)):
            value, reason = load_object(records.raw(i))
            if value is None:
                bad.append((i, reason))
                continue
            try:
                rows.append([_field(value, field) for field in schema])
            except ValueError as error:
                bad.append((i, str(error)))
                continue
            kept.append(i)
        arrays = [pa.array([row[c] for row in rows], field.type) for c, field in enumerate(schema)]
        batch = (
            pa.RecordBatch.from_arrays(arrays, schema=schema)
            if arrays
            else pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
        )
        return Parsed(batch, np.asarray(kept, dtype=np.int64), bad)


def load_object(raw: bytes) -> tuple[dict[str, Json] | None, str]:
    """The JSON object of a line, or None and what is wrong with the line."""
    if wrong := invalid_utf8(raw):
        return None, wrong
    try:
        value = json.loads(raw)
    except RecursionError:
        return None, "not JSON that can be read: nested too deeply"
    except ValueError as error:  # also a number of thousands of digits
        return None, f"not JSON: {error}"
    if not isinstance(value, dict):
        return None, f"not a JSON object: {shown(value)}"
    return value, ""


def infer_type(value: Json) -> pa.DataType:
    """The Arrow type of one JSON value; strings stay strings, whatever they look like.

    Raises:
        pa.ArrowException: if the members of a nested value have no common type.
    """
    if value is None:
        return pa.null()
    scalar: Mapping[type, pa.DataType] = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
    }
    return scalar.get(type(value)) or pa.infer_type([value])


def coerce(value: Json, data_type: pa.DataType) -> Json:
    """A JSON value as what `pa.array` takes for the type.

    Accepts what Arrow's JSON reader accepts, and for string columns also numbers and booleans, as
    their JSON text.

    Raises:
        ValueError: if the value is not of the type.
    """
    if value is None:
        return None
    if pt.is_string(data_type):
        return _coerce_string(value)
    if pt.is_list(data_type):
        _expect(value, isinstance(value, list), data_type)
        return [coerce(item, data_type.value_type) for item in value]
    if pt.is_struct(data_type):
        _expect(value, isinstance(value, dict), data_type)
        return {field.name: coerce(value.get(field.name), field.type) for field in data_type}
    return _coerce_scalar(value, data_type)


def _field(value: Mapping[str, Json], field: pa.Field) -> Json:
    try:
        return coerce(value.get(field.name), field.type)
    except ValueError as error:
        raise ValueError(f"column {field.name!r}: {error}") from None


def _expect(value: Json, fits: bool, data_type: pa.DataType) -> Json:
    if not fits:
        raise _mismatch(value, data_type)
    return value


def _mismatch(value: Json, data_type: pa.DataType) -> ValueError:
    return ValueError(f"{shown(value)} is not {data_type}")


def _coerce_scalar(value: Json, data_type: pa.DataType) -> Json:
    if pt.is_boolean(data_type):
        return _expect(value, type(value) is bool, data_type)
    if pt.is_integer(data_type):
        low, high = _integer_range(data_type)
        return _expect(value, type(value) is int and low <= value <= high, data_type)
    if pt.is_floating(data_type):
        return _coerce_float(_expect(value, type(value) in (int, float), data_type), data_type)
    if pt.is_timestamp(data_type):
        return _coerce_timestamp(_expect(value, isinstance(value, str), data_type), data_type)
    raise _mismatch(value, data_type)


def _coerce_string(value: Json) -> str:
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    _expect(value, isinstance(value, str), pa.string())
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{shown(value)} holds half a surrogate pair") from None
    return str(value)


def _coerce_float(value: float, data_type: pa.DataType) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _mismatch(value, data_type) from None


def _coerce_timestamp(value: str, data_type: pa.DataType) -> Json:
    schema = pa.schema([("v", data_type)])
    try:  # the same parser as the fast way, which for one is lenient about a final Z
        table = pj.read_json(
            pa.BufferReader(json.dumps({"v": value}).encode()),
            parse_options=pj.ParseOptions(explicit_schema=schema),
        )
    except pa.ArrowException:
        raise _mismatch(value, data_type) from None
    return table["v"][0].as_py()


def _integer_range(data_type: pa.DataType) -> tuple[int, int]:
    bits = data_type.bit_width
    if pt.is_signed_integer(data_type):
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def _all_braced(records: Records) -> bool:
    """Whether every line starts with { and ends with }.

    Then a value of Arrow's, which knows no lines, cannot begin inside one line and end in
    another, and as many values as lines means one in each.
    """
    data = np.frombuffer(records.data, dtype=np.uint8)
    last = records.stops - 1
    last = last - (data[last] == 10)
    last = last - (data[np.maximum(last, 0)] == _RETURN)
    return bool(
        (last > records.starts).all()
        and (data[records.starts] == _OPEN).all()
        and (data[last] == _CLOSE).all()
    )


def _last_is_string(schema: pa.Schema) -> bool:
    return bool(pt.is_string(schema.field(len(schema) - 1).type))


def _as_strings(
    batch: pa.RecordBatch, schemas: Sequence[pa.Schema], schema: pa.Schema
) -> pa.RecordBatch:
    """The batch with its trailing id column as string, so that all batches have one schema."""
    if len(schemas) == 1 or _last_is_string(schema):
        return batch
    target = next(s for s in schemas if _last_is_string(s))
    return batch.cast(target)
