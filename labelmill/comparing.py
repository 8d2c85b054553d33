"""Labeling functions that compare a column with a value, on whole batches.

Values that order exactly (integers, dates and times) are compared as exact numbers, whatever the
units and types; the others as Arrow compares them. What is missing, null or NaN, is never voted on,
except by ``is null``.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from labelmill.errors import LabelingFunctionError
from labelmill.labeling import BatchFunction
from labelmill.suggestion import did_you_mean

Operand = str | int | float | bool | Decimal | dt.date | dt.datetime
"""What a column is compared with; a time may also be given as ISO 8601 text."""

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_SEVERAL = ("in", "not in", "between")
_NULLS = ("is null", "not null")
_TEXT: Mapping[str, Callable[..., Any]] = {
    "contains": pc.match_substring,
    "starts with": pc.starts_with,
    "ends with": pc.ends_with,
}
_LENGTH = "length "
OPERATORS = (
    *_ORDER,
    *_SEVERAL,
    *_NULLS,
    *_TEXT,
    *(_LENGTH + op for op in (*_ORDER, *_SEVERAL)),
)
"""All values of `op`."""

_OTHER_SPELLINGS = {"=": "==", "<>": "!=", "is not null": "not null", "startswith": "starts with"}
_EQUALITY = ("==", "!=", "in", "not in")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Comparison(BatchFunction):
    """Votes `label` where a column compares with a value as asked; see `compare`.

    Attributes:
        name: Unique within a job.
        field: The column, then the names of nested fields.
        op: One of `OPERATORS`.
        operands: The values compared with: none for nulls, two for ``between``.
        label: Class name or index.
    """

    kind: ClassVar[str] = "compare"
    trusted: ClassVar[bool] = True

    name: str
    field: tuple[str, ...]
    op: str
    operands: tuple[Operand, ...]
    label: str | int

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that it compares."""
        return self.field[:1]

    @property
    def labels(self) -> tuple[str | int, ...]:
        """The class that it votes for."""
        return (self.label,)

    def identity(self) -> Mapping[str, Any]:
        """Return column, operator, values and class."""
        operands = [_plain(operand) for operand in self.operands]
        if self.op.endswith("in"):
            operands.sort(key=repr)
        parts = {"field": self.field, "op": self.op, "operands": operands, "label": self.label}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in parts.items()}

    def check(self, schema: pa.Schema) -> None:
        """Try whether columns of these types can be compared as asked.

        Args:
            schema: The corpus schema, or that of a batch.

        Raises:
            LabelingFunctionError: The column is not there, or its type does not fit the operator
                or the value.
        """
        nothing = [pa.nulls(0, field.type) for field in schema]
        self.votes(pa.RecordBatch.from_arrays(nothing, names=schema.names))

    def votes(self, batch: pa.RecordBatch) -> pa.DictionaryArray:
        """Return `label` where the comparison holds, null elsewhere."""
        column = self._column(batch)
        if self.op in _NULLS:
            holds = column.is_null(nan_is_null=True)
            holds = holds if self.op == "is null" else pc.invert(holds)
        elif pt.is_null(column.type):
            holds = pa.nulls(len(column), pa.bool_())
        elif self.op.startswith(_LENGTH):
            holds = self._holds(self._lengths(column), self.op.removeprefix(_LENGTH))
        else:
            holds = self._holds(column, self.op)
        return ballot(np.where(pc.fill_null(holds, False), 0, -1), [self.label])

    def _column(self, batch: pa.RecordBatch) -> pa.Array:
        top, *nested = self.field
        if top not in batch.schema.names:
            raise self._error(f"there is no column {top!r}{did_you_mean(top, batch.schema.names)}")
        column = batch.column(top)
        for depth, name in enumerate(nested, 1):
            names = [f.name for f in column.type] if pt.is_struct(column.type) else []
            if name not in names:
                has = f"has the fields {', '.join(names)}" if names else f"is {column.type}"
                raise self._error(
                    f"{_shown(self.field[:depth])} {has}, so there is no field {name!r} in it"
                )
            column = pc.struct_field(column, name)
        return _plain_layout(column)

    def _lengths(self, column: pa.Array) -> pa.Array:
        if pt.is_string(column.type):
            return pc.utf8_length(column)
        if pt.is_list(column.type) or pt.is_large_list(column.type):
            return pc.list_value_length(column)
        raise self._error(f"{self._is(column)}, which has no length")

    def _holds(self, column: pa.Array, op: str) -> pa.Array:
        """Return where the comparison holds, as booleans with null where the value is missing."""
        kind = column.type
        if (pt.is_list(kind) or pt.is_large_list(kind)) and op == "contains":
            return self._any_element(column)
        if pt.is_string(kind):
            self._require(column, str, "text")
            return _compared(column, op, list(self.operands))
        if pt.is_boolean(kind):
            self._require(column, bool, "true or false")
            if op not in _EQUALITY:
                raise self._error(f"{self._is(column)}, for which {op!r} means nothing")
            return _compared(column, op, list(self.operands))
        if op in _TEXT:
            raise self._error(f"{self._is(column)}; {op!r} is for text and lists")
        if pt.is_timestamp(kind) or pt.is_date(kind):
            return _exactly(_as_integers(column), op, [self._time(v, kind) for v in self.operands])
        if pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind):
            self._require(column, (int, float, Decimal), "a number")
            if pt.is_integer(kind):
                return _exactly(column, op, [Fraction(v) for v in self.operands])  # type: ignore[arg-type]
            if pt.is_decimal(kind):
                return _decimally(column, op, [_as_written(v) for v in self.operands])
            return _approximately(column, op, [float(v) for v in self.operands])  # type: ignore[arg-type]
        raise self._error(f"{self._is(column)}, which cannot be compared")

    def _any_element(self, column: pa.Array) -> pa.Array:
        elements, rows = elements_of(column)
        found = self._holds(_plain_layout(elements), "==")
        holds = np.zeros(len(column), dtype=np.bool_)
        holds[rows[np.asarray(pc.fill_null(found, False))]] = True
        return pa.array(holds, mask=np.asarray(column.is_null()))

    def _require(self, column: pa.Array, kinds: type | tuple[type, ...], what: str) -> None:
        for operand in self.operands:
            is_wrong_boolean = isinstance(operand, bool) and kinds is not bool
            if not isinstance(operand, kinds) or is_wrong_boolean:
                raise self._error(
                    f"{self._is(column)}, so it compares with {what}, got {operand!r}; change the "
                    "value, or set the column's type in input.types"
                )

    def _time(self, operand: Operand, kind: pa.DataType) -> Fraction:
        """Return a time in the column's own unit since 1970."""
        unit = Fraction(1, 86400)
        if pt.is_date64(kind):
            unit = Fraction(1000)
        elif pt.is_timestamp(kind):
            unit = Fraction(_PER_SECOND[kind.unit])
        moment = _moment(operand)
        if moment is None:
            raise self._error(
                f"column {_shown(self.field)} is {kind}, so it compares with a date or time such "
                f"as '2024-05-01' or '2024-05-01T12:00:00Z', got {operand!r}"
            )
        return Fraction((moment - _EPOCH) // dt.timedelta(microseconds=1), 10**6) * unit

    def _is(self, column: pa.Array) -> str:
        return f"column {_shown(self.field)} is {column.type}"

    def _error(self, problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"compare {self.name!r}: {problem}")


def compare(
    name: str,
    *,
    field: str | Sequence[str],
    op: str,
    value: Operand | Sequence[Operand] | None = None,
    label: str | int,
) -> Comparison:
    """Vote `label` where a column compares with `value` as asked.

    Numbers are compared with numbers, text with text, booleans with booleans, dates and timestamps
    with dates or ISO 8601 text (UTC unless it says otherwise; a date is its first moment). Null and
    NaN are missing values: they are voted on by ``is null`` alone, so not by ``!=`` or ``not in``.

    Args:
        name: Unique within a job.
        field: The column; a list of names for a field of a struct column: ``["user", "city"]``.
        op: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``not in``, ``between`` (both
            ends included); ``is null``, ``not null``; ``contains``, ``starts with``, ``ends with``
            for text, where case counts; ``contains`` also for an element of a list. The first nine
            also after ``length``: ``length <`` compares the characters of a text or the elements
            of a list.
        value: What to compare with: a list for ``in`` and ``not in``, two values for ``between``,
            nothing for nulls.
        label: Class name or index.

    Raises:
        LabelingFunctionError: An unknown operator, or a value that does not fit it.

    Example:
        >>> from types import SimpleNamespace
        >>> cheap = compare("cheap", field="price", op="<", value=5, label="spam")
        >>> [cheap(SimpleNamespace(price=p)) for p in (3, 7.5, None)]
        ['spam', None, None]
    """

    def error(problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"compare {name!r}: {problem}")

    if op not in OPERATORS:
        known = ", ".join(OPERATORS)
        meant = _OTHER_SPELLINGS.get(str(op), str(op))
        raise error(f"unknown op {op!r}{did_you_mean(meant, OPERATORS)} (one of: {known})")
    path = (field,) if isinstance(field, str) else tuple(field)
    if not path or not all(isinstance(part, str) and part for part in path):
        raise error(f"field must be a column name or a list of names, got {field!r}")
    base = op.removeprefix(_LENGTH)
    if base in _NULLS:
        if value is not None:
            raise error(f"op {op!r} takes no value, got {value!r}")
        return Comparison(name, path, op, (), label)
    several = isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes)
    if several != (base in _SEVERAL):
        wants = "a list of values" if base in _SEVERAL else "one value"
        advice = "; use 'is null' for missing values" if value is None else ""
        raise error(f"op {op!r} takes {wants}, got {value!r}{advice}")
    operands: tuple[Any, ...] = tuple(value) if several else (value,)  # type: ignore[arg-type]
    for operand in operands:
        if problem := _unusable(operand):
            raise error(f"{operand!r} is {problem}")
        if op != base and (isinstance(operand, bool) or not isinstance(operand, int)):
            raise error(f"op {op!r} compares a length, so with whole numbers, got {operand!r}")
    if not operands:
        raise error(f"op {op!r} takes at least one value, got none")
    if base in _TEXT and operands == ("",):
        raise error(f"every text {base} the empty text; use 'not null' or 'length >='")
    if base == "between":
        if len(operands) != 2:
            raise error(f"op {op!r} takes two values, got {len(operands)}")
        _check_order(*operands, error)
    return Comparison(name, path, op, operands, label)


def ballot(codes: np.ndarray[Any, Any], labels: Sequence[str | int]) -> pa.DictionaryArray:
    """Return votes as an array with few distinct values.

    Args:
        codes: Integers, shape (rows,): positions in `labels`, negative for an abstain.
        labels: All names or all indices.
    """
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(labels)))


def elements_of(column: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the elements of a column of lists, and the row of each.

    A list that is null has none, whatever the column holds in its place.
    """
    rows = np.flatnonzero(np.asarray(column.is_valid()))
    lists = column.take(pa.array(rows))
    return lists.flatten(), rows[np.asarray(pc.list_parent_indices(lists))]


def _compared(column: pa.Array, op: str, operands: list[Any]) -> pa.Array:
    """Compare values that Arrow orders as we do."""
    if op in _TEXT:
        return _TEXT[op](column, operands[0])
    if op in _ORDER:
        return _ORDER[op](column, pa.scalar(operands[0], column.type))
    if op == "between":
        low, high = (pa.scalar(operand, column.type) for operand in operands)
        return pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
    found = pc.is_in(column, value_set=pa.array(operands, column.type))
    found = found if op == "in" else pc.invert(found)
    return pc.if_else(column.is_null(), None, found)  # is_in calls a null not found


def _exactly(column: pa.Array, op: str, operands: list[Fraction]) -> pa.Array:
    """Compare integers with any rational numbers: as an interval or a set of integers."""
    bits = column.type.bit_width
    signed = pt.is_signed_integer(column.type)
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if op in _EQUALITY:
        whole = [int(v) for v in operands if v.denominator == 1 and least <= v <= most]
        return _compared(column, "in" if op in ("==", "in") else "not in", whole)
    first, last = operands[0], operands[-1]
    low = {">": math.floor(first) + 1, ">=": math.ceil(first), "between": math.ceil(first)}
    high = {"<": math.ceil(last) - 1, "<=": math.floor(last), "between": math.floor(last)}
    bounds = [max(low.get(op, least), least), min(high.get(op, most), most)]
    if bounds[0] > bounds[1]:
        return pc.if_else(column.is_null(), None, False)
    return _compared(column, "between", bounds)


def _decimally(column: pa.Array, op: str, operands: list[Fraction]) -> pa.Array:
    """Compare decimals with any rational numbers, exactly: in whole units of their last place."""
    kind = column.type
    most = 10**kind.precision - 1
    units = [v * Fraction(10) ** kind.scale for v in operands]

    def scalar(number: int) -> pa.Scalar:
        with decimal.localcontext(prec=100):
            return pa.scalar(Decimal(number).scaleb(-kind.scale), kind)

    if op in _EQUALITY:
        found = pc.if_else(column.is_null(), None, False)
        for unit in units:
            if unit.denominator == 1 and abs(unit) <= most:
                found = pc.or_(found, pc.equal(column, scalar(int(unit))))
        return found if op in ("==", "in") else pc.invert(found)
    first, last = units[0], units[-1]
    low = {">": math.floor(first) + 1, ">=": math.ceil(first), "between": math.ceil(first)}
    high = {"<": math.ceil(last) - 1, "<=": math.floor(last), "between": math.floor(last)}
    bounds = [max(low.get(op, -most), -most), min(high.get(op, most), most)]
    if bounds[0] > bounds[1]:
        return pc.if_else(column.is_null(), None, False)
    least, greatest = map(scalar, bounds)
    return pc.and_(pc.greater_equal(column, least), pc.less_equal(column, greatest))


def _as_written(number: Any) -> Fraction:
    """Return a number as people write it: 0.57 is 57 hundredths, whatever a float holds."""
    return Fraction(Decimal(repr(number))) if isinstance(number, float) else Fraction(number)


def _approximately(column: pa.Array, op: str, operands: list[float]) -> pa.Array:
    """Compare floating-point numbers, in the column's own precision."""
    if not pt.is_float32(column.type) and not pt.is_float64(column.type):
        column = column.cast(pa.float32() if pt.is_float16(column.type) else pa.float64())
    missing = column.is_null(nan_is_null=True)
    return pc.if_else(missing, None, _compared(column, op, operands))


def _as_integers(column: pa.Array) -> pa.Array:
    return column.cast(pa.int32() if pt.is_date32(column.type) else pa.int64())


def _plain_layout(column: pa.Array) -> pa.Array:
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pt.is_large_string(column.type) or pt.is_string_view(column.type):
        column = column.cast(pa.string())
    return column


def _moment(operand: Operand) -> dt.datetime | None:
    """Return a time as UTC; None when it is no time."""
    if isinstance(operand, str):
        try:
            operand = dt.datetime.fromisoformat(operand.strip())
        except ValueError:
            return None
    elif isinstance(operand, dt.date) and not isinstance(operand, dt.datetime):
        operand = dt.datetime(operand.year, operand.month, operand.day)
    if not isinstance(operand, dt.datetime):
        return None
    return operand.replace(tzinfo=dt.UTC) if operand.tzinfo is None else operand.astimezone(dt.UTC)


def _unusable(operand: object) -> str | None:
    """Say why a value can be compared with nothing."""
    if operand is None:
        return "no value to compare with; use 'is null' or 'not null' in a function of its own"
    if isinstance(operand, float | Decimal) and not math.isfinite(operand):
        return "no finite number; missing numbers are found by op 'is null'"
    if isinstance(operand, int) and abs(operand) >= 1 << 1000:
        return "too large a number"
    if not isinstance(operand, str | int | float | Decimal | dt.date):
        return "no text, number, boolean, date or time"
    return None


def _check_order(low: Any, high: Any, error: Callable[[str], LabelingFunctionError]) -> None:
    moments: tuple[Any, Any] = _moment(low), _moment(high)  # also of text: its column may be times
    first, last = (low, high) if None in moments else moments
    try:
        is_empty = first > last
    except TypeError:
        raise error(f"op 'between' takes two values of a kind, got {low!r} and {high!r}") from None
    if is_empty:
        raise error(f"nothing is between {low!r} and {high!r}; give the smaller value first")


def _plain(operand: Operand) -> Any:
    if isinstance(operand, dt.date):
        moment = _moment(operand)
        return moment and moment.isoformat()
    return str(operand) if isinstance(operand, Decimal) else operand


def _shown(path: Sequence[str]) -> str:
    return repr(path[0]) if len(path) == 1 else repr(list(path))
