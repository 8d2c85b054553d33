"""Several elements of a bundle at the same time: some wait for a store, others are worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

AT_ONCE = 3
"""Shards that one worker thread has in hand: one computes, the others read and write."""

T = TypeVar("T")


def in_global_window(value: Any) -> WindowedValue:
    """Return an element as ``finish_bundle`` has to give it, where there is but one window."""
    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), [window])


class Overlap(Generic[T]):
    """Work that is handed to threads, and whose results come in the order of the work.

    Call `start` in ``start_bundle``, and `rest` in ``finish_bundle``: then the bundle is done.

    Args:
        at_once: Pieces of work at the same time; 1 works in the calling thread.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._pending: deque[Future[T]] = deque()
        self._threads = ThreadPoolExecutor(at_once) if at_once > 1 else None

    def hand(self, work: Callable[[], T]) -> Iterator[T]:
        """Hand over a piece of work; yield results that are there, or that have to be waited for.

        Raises:
            Exception: What the work of this or of an earlier piece raised.
        """
        if self._threads is None:
            yield work()
            return
        self._pending.append(self._threads.submit(work))
        while self._pending and (len(self._pending) > self._at_once or self._pending[0].done()):
            yield self._pending.popleft().result()

    def start(self) -> None:
        """Begin a bundle; what a failed one left is forgotten."""
        for future in self._pending:
            future.cancel()
        self._pending.clear()

    def rest(self) -> Iterator[T]:
        """Yield the results that are missing.

        Raises:
            Exception: What a piece of work raised.
        """
        while self._pending:
            yield self._pending.popleft().result()

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self._pending.clear()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
