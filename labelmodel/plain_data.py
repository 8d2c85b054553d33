"""States of models as plain data and back, bit for bit.

A state is a frozen dataclass whose fields are ints, floats, strings, None, tuples, numpy arrays
or other such dataclasses. What stands for what follows from the types that the class declares.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from labelmodel.arrays import AnyArray
from labelmodel.errors import ParametersError

DataclassT = TypeVar("DataclassT")

# Any: what JSON holds.
Plain = Any


def to_plain(value: Any) -> Plain:
    """Value as lists, dicts with text keys, numbers, strings and None.

    An array becomes its dtype, shape and entries, with None for NaN; so do a list of numbers and
    NaN itself.
    """
    if isinstance(value, list) or (isinstance(value, float) and np.isnan(value)):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        entries = value.ravel()
        if value.dtype.kind == "f" and np.isnan(entries).any():
            entries = np.where(np.isnan(entries), None, entries)  # type: ignore[call-overload]
        return {"dtype": value.dtype.name, "shape": list(value.shape), "values": entries.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def value_from_plain(plain: Plain) -> Any:
    """Value that `to_plain` wrote, other than a dataclass."""
    return _value(None, plain)


def _array(plain: Plain) -> AnyArray:
    values = plain["values"]
    if plain["dtype"].startswith("float"):
        values = [np.nan if value is None else value for value in values]
    array: AnyArray = np.array(values, dtype=plain["dtype"]).reshape(plain["shape"])
    return array


def from_plain(kind: type[DataclassT], plain: Plain) -> DataclassT:
    """State of a class that `to_plain` wrote.

    Raises
    ------
    ParametersError
        Fields that the class does not have, or lack of one.
    """
    hints = get_type_hints(kind)
    if set(plain) != set(hints):
        raise ParametersError(
            f"a {kind.__name__} has the fields {sorted(hints)}, but found {sorted(plain)}"
        )
    return kind(**{name: _value(hints[name], plain[name]) for name in hints})


def _value(hint: Any, plain: Plain) -> Any:
    if isinstance(plain, list):
        items = get_args(hint)
        return tuple(_value(items[0] if items else None, item) for item in plain)
    if not isinstance(plain, dict):
        return plain
    for kind in (hint, *get_args(hint)):
        if is_dataclass(kind) and isinstance(kind, type):
            return from_plain(kind, plain)
    return _array(plain)
