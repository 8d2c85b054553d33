"""How the schemas of many files become one: names of types, promotion, projection, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as pt

from labelmill.errors import CorpusError
from labelmill.suggestion import did_you_mean

TYPE_NAMES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}
"""What `input.types` may say. A timestamp is ISO 8601, without a time zone (UTC)."""

_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


@dataclass(frozen=True)
class FileSchema:
    """The columns of one file, as its footer says or its first records show."""

    uri: str
    schema: pa.Schema


def parse_types(types: Mapping[str, str] | None) -> dict[str, pa.DataType]:
    """Arrow types of the names in `input.types`.

    Raises:
        CorpusError: if a name is unknown.
    """
    for column, name in (types or {}).items():
        if name not in TYPE_NAMES:
            raise CorpusError(
                f"unknown type {name!r} of column {column!r}; one of {', '.join(TYPE_NAMES)}"
                f"{did_you_mean(name, list(TYPE_NAMES))}"
            )
    return {column: TYPE_NAMES[name] for column, name in (types or {}).items()}


def normalise(data_type: pa.DataType) -> pa.DataType:
    """The plain type of the same values: no dictionary, large or view layouts, also nested."""
    if pt.is_dictionary(data_type):
        return normalise(data_type.value_type)
    if pt.is_large_string(data_type) or pt.is_string_view(data_type):
        return pa.string()
    if pt.is_large_binary(data_type) or pt.is_binary_view(data_type):
        return pa.binary()
    if pt.is_list(data_type) or pt.is_large_list(data_type):
        return pa.list_(normalise(data_type.value_type))
    if pt.is_struct(data_type):
        return pa.struct([pa.field(f.name, normalise(f.type)) for f in data_type])
    return data_type


def promote(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The smallest type that holds values of both, None if there is none.

    int32 + int64 is int64, int + float is double, null + X is X; lists and structs follow their
    members, a struct has the fields of both.
    """
    if a.equals(b) or pt.is_null(b):
        return a
    if pt.is_null(a):
        return b
    if _is_number(a) and _is_number(b):
        return _promote_numbers(a, b)
    if pt.is_list(a) and pt.is_list(b):
        inner = promote(a.value_type, b.value_type)
        return None if inner is None else pa.list_(inner)
    if pt.is_struct(a) and pt.is_struct(b):
        return _promote_structs(a, b)
    return None


def agree(
    files: Sequence[FileSchema],
    *,
    columns: Sequence[str] | None,
    id_column: str | None,
    types: Mapping[str, pa.DataType],
    mixed_is_string: bool = False,
    sparse: bool = False,
) -> pa.Schema:
    """The schema of the columns to read, over all files.

    Args:
        files: at least one file's columns.
        columns: names to read, in order; None for all.
        id_column: must be there too, as string or integer.
        types: types that win over what the files show.
        mixed_is_string: scalars of different types make a string column (CSV).
        sparse: a column may lack in some files, or be known from `types` alone (JSONL).

    Returns:
        Fields in the order of `columns`, or of the files. A column that is null everywhere is a
        string column.

    Raises:
        CorpusError: if a column is missing, types do not fit, or the id column cannot be one.
    """
    wanted = list(dict.fromkeys(columns)) if columns is not None else _all_columns(files, sparse)
    needed = [*wanted, *([id_column] if id_column and id_column not in wanted else [])]
    for name in needed:
        _check_present(files, name, sparse=sparse, typed=name in types)
    if id_column:
        _check_id(files, id_column)
    for name in types:
        _check_present(files, name, sparse=sparse, typed=True)
    return pa.schema(
        [
            (name, types[name] if name in types else _agree_column(files, name, mixed_is_string))
            for name in wanted
        ]
    )


def _agree_column(files: Sequence[FileSchema], name: str, mixed_is_string: bool) -> pa.DataType:
    agreed = pa.null()
    source = ""
    for file in files:
        index = file.schema.get_field_index(name)
        if index < 0:
            continue
        here = normalise(file.schema.field(index).type)
        both = promote(agreed, here)
        if both is None and mixed_is_string:
            both = pa.string()
        if both is None:
            raise CorpusError(
                f"column {name!r} is {agreed} in {source} but {here} in {file.uri}; "
                "make the files agree, or set input.types"
            )
        if not both.equals(agreed):
            source = file.uri
        agreed = both
    return _null_as_string(agreed)


def _all_columns(files: Sequence[FileSchema], sparse: bool) -> list[str]:
    names = list(dict.fromkeys(name for file in files for name in file.schema.names))
    if not sparse:
        first = files[0]
        for name in names:
            if name not in first.schema.names:
                other = next(file for file in files if name in file.schema.names)
                raise CorpusError(
                    f"column {name!r} of {other.uri} is not in {first.uri}; "
                    "make the files agree, or name the columns to read"
                )
    return names


def _check_present(files: Sequence[FileSchema], name: str, *, sparse: bool, typed: bool) -> None:
    lacking = [file for file in files if name not in file.schema.names]
    if not lacking or (sparse and (typed or len(lacking) < len(files))):
        for file in files:
            if file.schema.names.count(name) > 1:
                raise CorpusError(f"{file.uri} has more than one column {name!r}; rename one")
        return
    file = lacking[0]
    has = file.schema.names
    raise CorpusError(
        f"{file.uri} has no column {name!r}; it has: {', '.join(has)}{did_you_mean(name, has)}"
    )


def _check_id(files: Sequence[FileSchema], name: str) -> None:
    for file in files:
        index = file.schema.get_field_index(name)
        here = normalise(file.schema.field(index).type) if index >= 0 else pa.null()
        if not (pt.is_string(here) or pt.is_integer(here) or pt.is_null(here)):
            raise CorpusError(
                f"id column {name!r} of {file.uri} is {here}; an id is a string or an integer"
            )


def _null_as_string(data_type: pa.DataType) -> pa.DataType:
    """The type with string where no file showed a value, also nested."""
    if pt.is_null(data_type):
        return pa.string()
    if pt.is_list(data_type):
        return pa.list_(_null_as_string(data_type.value_type))
    if pt.is_struct(data_type):
        return pa.struct([pa.field(f.name, _null_as_string(f.type)) for f in data_type])
    return data_type


def _is_number(data_type: pa.DataType) -> bool:
    return bool(pt.is_integer(data_type) or pt.is_floating(data_type))


def _promote_numbers(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if pt.is_floating(a) and pt.is_floating(b):
        return a if a.bit_width >= b.bit_width else b
    if pt.is_floating(a) or pt.is_floating(b):
        return pa.float64()
    if pt.is_signed_integer(a) == pt.is_signed_integer(b):
        return a if a.bit_width >= b.bit_width else b
    signed, unsigned = (a, b) if pt.is_signed_integer(a) else (b, a)
    return _SIGNED.get(max(signed.bit_width, 2 * unsigned.bit_width))


def _promote_structs(a: pa.StructType, b: pa.StructType) -> pa.DataType | None:
    fields = {field.name: field.type for field in a}
    for field in b:
        both = promote(fields.get(field.name, pa.null()), field.type)
        if both is None:
            return None
        fields[field.name] = both
    return pa.struct(list(fields.items()))
