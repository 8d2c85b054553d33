"""What threads of a process are working out at this moment, so that no two do the same."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class InFlight(Generic[T]):
    """Keys that a thread has claimed and not yet released.

    Example:
        >>> work = InFlight[int]()
        >>> mine, others = work.claim([b"a"])
        >>> work.claim([b"a", b"b"])[0]  # what another thread is left with
        [b'b']
        >>> work.release(mine, {b"a": 1})
    """

    def __init__(self) -> None:
        self._futures: dict[bytes, Future[T]] = {}
        self._lock = threading.Lock()

    def claim(self, keys: Iterable[bytes]) -> tuple[list[bytes], dict[bytes, Future[T]]]:
        """Return the keys that are the caller's to work out, and those that others do already."""
        mine, others = [], {}
        with self._lock:
            for key in keys:
                if key in self._futures:
                    others[key] = self._futures[key]
                else:
                    self._futures[key] = Future()
                    mine.append(key)
        return mine, others

    def release(self, keys: Iterable[bytes], results: Mapping[bytes, T]) -> None:
        """Hand results to who waits for them; a key without one is cancelled."""
        with self._lock:
            futures = {key: self._futures.pop(key) for key in keys}
        for key, future in futures.items():
            if key in results:
                future.set_result(results[key])
            else:
                future.cancel()
