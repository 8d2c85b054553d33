"""Copies of records that share nothing that can be edited, as Snorkel makes them with pickle."""

from __future__ import annotations

import copy
import pickle
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any

from labelmill.records import EditableRecord, Record

_IMMUTABLE = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, Decimal, date, datetime, time, timedelta}
)


def copied(x: Any) -> Any:
    """Return a copy of a record, editable and with values of its own, or of any other object."""
    if not isinstance(x, Record | EditableRecord):
        return _deep_copy(x)
    record = copy.copy(x)
    fields = vars(record)
    shared = {name: value for name, value in fields.items() if type(value) not in _IMMUTABLE}
    if shared:
        docs = {name: value.copy() for name, value in shared.items() if _is_doc(value)}
        rest = {name: value for name, value in shared.items() if name not in docs}
        fields.update(_deep_copy(rest), **docs)
    return record


def _is_doc(value: Any) -> bool:
    """Whether `value` is a parsed document of spaCy, whose pickle holds the whole vocabulary."""
    return type(value).__module__ == "spacy.tokens.doc"


def _deep_copy(value: Any) -> Any:
    try:
        return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
    except Exception:  # something that pickle cannot do
        return copy.deepcopy(value)
