"""Labeling functions that look a column's values up in a table.

A whole value is looked up, or each element of a list; words within a text are what
`labelmill.labeling.keywords` finds.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from labelmill.comparing import ballot, elements_of
from labelmill.datafiles import DataFile, data_file, load_once
from labelmill.errors import LabelingFunctionError
from labelmill.hashing import digest_of, lane_sums, text_hashes
from labelmill.keyindex import KeyIndex
from labelmill.labeling import BatchFunction
from labelmill.records import ID
from labelmill.suggestion import did_you_mean
from labelmill.tablereading import FORMATS, read_table
from labelmill.textfiles import listed

Ints = npt.NDArray[np.int64]


def normalised(text: str) -> str:
    """Return the form in which look-ups with `normalise` compare.

    Compatibility forms of characters (Unicode NFKC) and case do not count, nor does white space at
    the ends or how much of it there is between words. Punctuation and accents do.

    >>> normalised("  STRASSE\u00a0 of\uff21 "), normalised("stra\u00dfe ofa")
    ('strasse ofa', 'strasse ofa')
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        text = unicodedata.normalize("NFKC", text)  # case folding may take characters apart
    return " ".join(text.lower().split())


@dataclass(frozen=True)
class Lookup(BatchFunction):
    """Votes for the label that a table gives a value; see `lookup`.

    Attributes:
        name: Unique within a job.
        field: The column looked up.
        table: The file, or keys with their labels.
        key: The file's key column.
        label: Class of every key; None when `label_column` says.
        label_column: The file's column of classes.
        normalise: Compare as `normalised` does.
    """

    kind: ClassVar[str] = "lookup"
    trusted: ClassVar[bool] = True

    name: str
    field: str
    table: DataFile | tuple[tuple[str, str | int], ...]
    key: str
    label: str | int | None
    label_column: str | None
    normalise: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The column looked up."""
        return (self.field,)

    @property
    def labels(self) -> tuple[str | int, ...]:
        """The classes of the table, which is read for them."""
        return self._loaded.labels

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The table, when it is a file."""
        return (self.table,) if isinstance(self.table, DataFile) else ()

    def identity(self) -> Mapping[str, Any]:
        """Return the column and the content of the table; order and other columns do not count."""
        return {
            "field": self.field,
            "normalise": self.normalise,
            "label": self.label,
            "table": self._loaded.digest,
        }

    def check(self, schema: pa.Schema) -> None:
        """Try whether columns of these types can be looked up.

        Args:
            schema: The corpus schema, or that of a batch.

        Raises:
            LabelingFunctionError: The column is not there, or holds no text or whole numbers.
        """
        if self.field not in schema.names:
            hint = did_you_mean(self.field, schema.names)
            raise self._error(f"there is no column {self.field!r}{hint}")
        self._texts(pa.nulls(0, schema.field(self.field).type))

    def votes(self, batch: pa.RecordBatch) -> pa.DictionaryArray:
        """Return the label of each row's value, null where the table has none."""
        if self.field not in batch.schema.names:
            self.check(batch.schema)
        column = batch.column(self.field)
        table = self._loaded
        if not _is_list(column.type):
            return ballot(self._find(column, table), table.labels)
        elements, parents = elements_of(column)
        found = self._find(elements, table)
        rows = parents[found >= 0]
        codes = np.full(len(column), -1, dtype=np.int64)
        codes[rows] = found[found >= 0]
        least = codes.copy()
        np.minimum.at(least, rows, found[found >= 0])
        np.maximum.at(codes, rows, found[found >= 0])
        return ballot(np.where(least == codes, codes, -1), table.labels)  # else they disagree

    def _find(self, column: pa.Array, table: _Table) -> Ints:
        """Return the position of each value's label, -1 where the table has none."""
        encoded = self._texts(column).dictionary_encode()
        distinct = encoded.dictionary
        if self.normalise:
            distinct = pa.array(map(normalised, distinct.to_pylist()), pa.string())
        codes: Ints = np.append(table.find(distinct), -1)
        of_row: Ints = np.asarray(pc.fill_null(encoded.indices, len(distinct)))
        return codes[of_row]

    def _texts(self, column: pa.Array) -> pa.Array:
        kind = column.type.value_type if _is_list(column.type) else column.type
        if pt.is_dictionary(kind):
            kind = kind.value_type
        texts = pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
        if not (texts or pt.is_integer(kind) or pt.is_null(kind)):
            raise self._error(
                f"column {self.field!r} is {column.type}; what is looked up is text, whole numbers "
                "or lists of them"
            )
        return column if _is_list(column.type) else column.cast(pa.string())

    @cached_property
    def _loaded(self) -> _Table:
        if isinstance(self.table, tuple):
            keys = pa.array([key for key, _ in self.table], pa.string())
            return _make_table(keys, [v for _, v in self.table], self.normalise, self._error)
        how = ("lookup", self.key, self.label, self.label_column, self.normalise)
        return load_once(self.table, how, self._load, f"lookup {self.name!r}")

    def _load(self, local_path: str, needed_by: str) -> _Table:
        assert isinstance(self.table, DataFile)
        if self.table.suffix == ".txt":
            keys = pa.array(listed(self.table, needed_by), pa.string())
            labels: list[Any] = [self.label] * len(keys)
        else:
            extra = [] if self.label_column is None else [self.label_column]
            parts, labels = [], []
            for part in read_table(self.table, local_path, self.key, extra, needed_by):
                parts.append(part.column(ID))
                rows = part.num_rows
                labels += _classes_of(part.column(extra[0])) if extra else [self.label] * rows
            keys = pa.chunked_array(parts, pa.string()).combine_chunks()
        return _make_table(keys, labels, self.normalise, self._error)

    def _error(self, problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"lookup {self.name!r}: {problem}")

    def __reduce__(self) -> tuple[Any, ...]:  # without the table that it has loaded
        given = (self.table, self.key, self.label, self.label_column, self.normalise)
        return Lookup, (self.name, self.field, *given)


def lookup(
    name: str,
    *,
    field: str,
    table: str | PathLike[str] | DataFile | Mapping[Any, str | int] | Iterable[Any],
    key: str = "key",
    label: str | int | None = None,
    label_column: str | None = None,
    normalise: bool = False,
) -> Lookup:
    """Vote for the class that a table gives the value of a column.

    The whole value is looked up; `keywords` finds words within a text. Of a list, every element is
    looked up: they vote together when those found agree, else the record is abstained on.

    Args:
        name: Unique within a job.
        field: The column: text, whole numbers (by their digits), or lists of them.
        table: A file: `.csv`, `.tsv`, `.jsonl` or `.parquet`, or `.txt` with one key per line,
            also compressed; a path relative to the Python file that calls this, or any fsspec URL.
            Or keys: a mapping to their classes, or a list.
        key: The file's column of keys.
        label: The class of every key.
        label_column: Instead, the file's column of classes; null gives a key no class. In text
            files these are class names, else names or indices.
        normalise: Compare as `normalised` does: case, compatibility forms and the amount of
            white space do not count.

    Raises:
        LabelingFunctionError: Not one of `label`, `label_column` and a mapping; a file that is
            no table. When the table is read: a key with two classes, and what cannot be read.

    Example:
        >>> from types import SimpleNamespace
        >>> place = lookup("place", field="city", table=["Rome", "Oslo"], label="geo",
        ...                normalise=True)
        >>> [place(SimpleNamespace(city=c)) for c in ("ROME", "rome ", "Romeo", None)]
        ['geo', 'geo', None, None]
    """

    def error(problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"lookup {name!r}: {problem}")

    if isinstance(table, Mapping):
        if label is not None or label_column is not None:
            raise error("a mapping names the class of each key; leave out label and label_column")
        pairs = [(_key_text(k, error), v) for k, v in table.items()]
        return Lookup(name, field, tuple(pairs), key, None, None, normalise)
    is_file = isinstance(table, str | PathLike | DataFile)
    if (label is None) == (label_column is None) or not (is_file or label_column is None):
        raise error(
            "the class of the keys is given by label= (one for all), or by label_column= (of a "
            f"file) or a mapping; got label={label!r}, label_column={label_column!r}"
        )
    if not is_file:
        assert isinstance(table, Iterable)
        assert label is not None
        keys = tuple((_key_text(k, error), label) for k in table)
        return Lookup(name, field, keys, key, label, None, normalise)
    file = table if isinstance(table, DataFile) else data_file(fspath(table))  # type: ignore[arg-type]
    if file.suffix not in (*FORMATS, ".txt"):
        raise error(f"{file} is no table that it can read; one of {', '.join(FORMATS)}, .txt")
    if file.suffix == ".txt" and label is None:
        raise error(f"{file} lists keys alone; give their class as label=")
    return Lookup(name, field, file, key, label, label_column, normalise)


def _key_text(key: object, error: Callable[[str], Exception]) -> str:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise error(f"key {key!r} is neither text nor a whole number")
    return str(key)


def _classes_of(column: pa.Array) -> list[Any]:
    """Return classes as Python values; pandas makes floats of indices with nulls among them."""
    values: list[Any] = column.to_pylist()
    if pt.is_floating(column.type):
        known = [None if v is None or math.isnan(v) else float(v) for v in values]
        return [int(v) if v is not None and v.is_integer() else v for v in known]
    return values


def _is_list(kind: pa.DataType) -> bool:
    return bool(pt.is_list(kind) or pt.is_large_list(kind))


@dataclass(frozen=True)
class _Table:
    """A look-up table in memory.

    Attributes:
        index: The keys.
        codes: Position in `labels` by position in the index; None when there is one label.
        labels: The distinct classes.
        digest: Digest of keys and classes, whatever their order.
    """

    index: KeyIndex
    codes: npt.NDArray[np.int16] | None
    labels: tuple[str | int, ...]
    digest: str

    def find(self, keys: pa.Array) -> Ints:
        """Return the position of each key's label, -1 where there is none."""
        places = self.index.find(keys)
        if self.codes is None:
            return np.where(places >= 0, 0, -1)
        return np.where(places >= 0, self.codes[places], -1)


def _make_table(
    keys: pa.Array, values: Sequence[Any], normalise: bool, error: Callable[[str], Exception]
) -> _Table:
    """Check and index keys, shape (n,), with their classes, null where a key has none."""
    records = np.flatnonzero([value is not None for value in values])
    if len(records) < len(values):
        keys = keys.take(pa.array(records))
        values = [value for value in values if value is not None]
    if not len(keys):
        raise error("the table has no key with a class")
    labels = tuple(dict.fromkeys(values))
    if {type(v) for v in values} not in ({str}, {int}):
        shown = ", ".join(map(repr, labels[:5]))
        raise error(f"its classes must be all names or all indices, got {shown}")
    positions = {value: n for n, value in enumerate(labels)}
    codes = np.fromiter((positions[value] for value in values), np.int64, len(values))
    if len(labels) > np.iinfo(np.int16).max:
        raise error(f"{len(labels)} distinct classes; is label_column the right column?")
    if normalise:
        keys = pa.array(map(normalised, keys.to_pylist()), pa.string())
    encoded = keys.dictionary_encode()
    of_row = np.asarray(encoded.indices)
    first = np.full(len(encoded.dictionary), len(of_row), dtype=np.int64)
    np.minimum.at(first, of_row, np.arange(len(of_row)))
    if len(wrong := np.flatnonzero(codes != codes[first[of_row]])):
        b, a = wrong[0], first[of_row[wrong[0]]]
        raise error(
            f"key {keys[int(b)].as_py()!r} is {values[a]!r} in record {records[a] + 1} of the "
            f"table and {values[b]!r} in record {records[b] + 1}; keep one"
        )
    index = KeyIndex(encoded.dictionary)
    of_key = codes[first][index.order].astype(np.int16)
    label_hashes = text_hashes(pa.array([f"{type(v).__name__} {v}" for v in labels]))
    digest = digest_of(lane_sums(index.hashes, label_hashes[of_key]), len(of_key))
    index.forget_hashes()
    return _Table(index, of_key if len(labels) > 1 else None, labels, digest)
