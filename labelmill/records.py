"""Rows of a batch as read-only records with attribute access, built once for all functions."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NoReturn

import pyarrow as pa

from labelmill.suggestion import did_you_mean

ID = "__id__"
"""The id column of every batch that labelmill reads, whatever the corpus calls it."""


class Record(tuple[Any, ...]):
    """One row: ``x.text``, ``x["text"]``, ``x.get("text")``. Read-only, cheap to build.

    A copy of it (`copy.copy`, or through pickle, as Snorkel's preprocessors do) is an
    `EditableRecord`.
    """

    __slots__ = ()
    _columns: dict[str, int] = {}  # noqa: RUF012 - set once, by record_type

    def __getattr__(self, name: str) -> Any:
        if name in self._columns:
            return tuple.__getitem__(self, self._columns[name])
        raise AttributeError(_no_column(name, self._columns))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"cannot set {name!r}: records are read-only; add fields in a preprocessor (pre=) or "
            "to a copy (copy.copy(x))"
        )

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        if key not in self._columns:
            raise KeyError(_no_column(key, self._columns))
        return tuple.__getitem__(self, self._columns[key])

    def __contains__(self, key: object) -> bool:
        return key in self._columns

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of column `key`, or `default` when there is no such column."""
        return tuple.__getitem__(self, self._columns[key]) if key in self._columns else default

    def keys(self) -> Sequence[str]:
        """Return the column names."""
        return tuple(self._columns)

    def __copy__(self) -> EditableRecord:
        return _editable(tuple(self._columns), tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _editable, (tuple(self._columns), tuple(self))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={self[name]!r}" for name in self._columns)
        return f"Record({values})"


class EditableRecord(SimpleNamespace):
    """A record's copy, to which a preprocessor may add fields."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(_no_column(name, vars(self)))

    def __getitem__(self, key: str) -> Any:
        if key not in vars(self):
            raise KeyError(_no_column(key, vars(self)))
        return vars(self)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        vars(self)[key] = value

    def __contains__(self, key: object) -> bool:
        return key in vars(self)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of field `key`, or `default` when there is no such field."""
        return vars(self).get(key, default)

    def keys(self) -> Sequence[str]:
        """Return the field names."""
        return tuple(vars(self))


def _editable(columns: Sequence[str], values: Iterable[Any]) -> EditableRecord:
    record = EditableRecord()
    vars(record).update(zip(columns, values, strict=True))
    return record


def _no_column(name: str, columns: Iterable[str]) -> str:
    columns = tuple(columns)
    hint = did_you_mean(name, columns)
    return f"the record has no column {name!r}{hint} (columns: {', '.join(columns) or 'none'})"


@lru_cache(maxsize=64)
def record_type(columns: tuple[str, ...]) -> type[Record]:
    """Return the record class for rows with these columns.

    The attributes come from `namedtuple`, the fastest attribute access that Python has; columns
    whose names are no identifiers stay reachable with ``x["my column"]``.
    """
    fast = namedtuple("fast", columns, rename=True)  # type: ignore[misc]
    fields: tuple[str, ...] = fast._fields
    attributes: dict[str, Any] = {
        name: fast.__dict__[name]
        for name, field in zip(columns, fields, strict=True)
        if name == field and not name.startswith("_")  # renamed fields begin with _
    }
    attributes |= {
        "__slots__": (),
        "_columns": {name: position for position, name in enumerate(columns)},
    }
    return type("Record", (Record,), attributes)


def iterate_records(batch: pa.RecordBatch) -> Iterator[Record]:
    """Yield the rows of `batch` as records; the id column of labelmill is left out."""
    names = tuple(name for name in batch.schema.names if name != ID)
    make = record_type(names)
    if not names:
        yield from (make() for _ in range(batch.num_rows))
        return
    columns = [batch.column(name).to_pylist() for name in names]
    yield from map(make, zip(*columns, strict=True))
