"""What a mapper remembers of its results, and by what it knows a record again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any

import numpy as np

from labelmill.records import Record

MISSING = object()
"""What `Memo.get` returns for a key that it does not know; a result may be None."""


def get_hashable(obj: Any) -> Hashable:
    """Return a key that is equal for data points with the same fields and values.

    Numbers that are equal but of different types differ, unlike in Snorkel.

    Raises:
        ValueError: A value has no key: it is mutable and no list, dict, set or array.
    """
    if isinstance(obj, Record):
        return get_hashable(dict(zip(obj.keys(), tuple(obj), strict=True)))
    if isinstance(obj, SimpleNamespace):
        return get_hashable(vars(obj))
    if isinstance(obj, np.ndarray):
        return ("array", str(obj.dtype), obj.shape, obj.tobytes())
    if isinstance(obj, list | tuple):
        return (type(obj), *(get_hashable(value) for value in obj))
    if isinstance(obj, set):
        return frozenset(get_hashable(value) for value in obj)
    if isinstance(obj, dict) or _is_series(obj):
        return frozenset((key, get_hashable(value)) for key, value in obj.items())
    try:
        hash(obj)
    except TypeError as error:
        raise ValueError(f"{obj!r:.200} has no hashable form; give a memoize_key") from error
    return (type(obj), obj)


def _is_series(obj: Any) -> bool:
    return type(obj).__module__.startswith("pandas.") and type(obj).__name__ == "Series"


class Memo:
    """The most recently used results, at most `size` of them; safe to share between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Memo, (self._size,)  # results are no part of what is pickled or fingerprinted

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: Hashable) -> Any:
        """Return the result kept under `key`, or `MISSING`."""
        with self._lock:
            if key not in self._results:
                return MISSING
            self._results.move_to_end(key)
            return self._results[key]

    def put(self, key: Hashable, result: Any) -> None:
        """Keep `result`, in place of the one used longest ago where there are too many."""
        with self._lock:
            self._results[key] = result
            self._results.move_to_end(key)
            if len(self._results) > self._size:
                self._results.popitem(last=False)
