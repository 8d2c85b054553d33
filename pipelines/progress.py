"""Progress on a terminal: shards done, rows per second, time left; a word on what takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from labelmill.rowprogress import rows_reported
from labelmill.store import Store
from pipelines.plan import Plan

POLL_SECONDS = 0.25
STORE_POLL_SECONDS = 2.0
NOTICE_SECONDS = 0.5


@contextmanager
def notice(console: Console, text: str) -> Iterator[None]:
    """Say on a terminal what is being done, when it takes longer than a moment."""
    timer = threading.Timer(NOTICE_SECONDS, console.print, [text], {"style": "dim"})
    if console.is_terminal:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


class TerminalProgress:
    """Watches a run by the rows that local workers report and the files that appear in the store.

    Args:
        console: Where to draw.
        plan: What runs.
        progress_path: Local file that workers on this machine report rows to.
    """

    def __init__(self, console: Console, plan: Plan, progress_path: str) -> None:
        self._plan = plan
        self._path = progress_path
        self._todo = plan.to_vote
        self._rows = plan.rows_of(self._todo)
        self._store = Store.open(plan.job.output.uri)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[shards]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )

    def __enter__(self) -> TerminalProgress:
        self._progress.start()
        self._task = self._progress.add_task(
            "functions", total=max(self._rows, 1), shards=self._shards(0), speed=""
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._progress.stop()

    def _shards(self, done: int) -> str:
        return f"{done}/{len(self._plan.corpus.shards)} shards"

    def _poll(self) -> None:
        task: TaskID = self._task
        before = self._labels_stored()
        started = last_listing = time.monotonic()
        pending = {self._plan.task.votes_path(s) for s in self._todo}
        reused = len(self._plan.corpus.shards) - len(pending)
        done = labeled = 0
        while not self._stop.wait(POLL_SECONDS):
            now = time.monotonic()
            rows = rows_reported(self._path)
            if now - last_listing >= STORE_POLL_SECONDS or rows >= self._rows:
                last_listing = now
                done = len(pending & set(self._store.list("votes")))
                if done == len(pending):
                    labeled = len(self._labels_stored() - before)
            rate = rows / (now - started)
            fitting = done == len(pending) and not labeled
            phase = "fitting" if fitting else "labels" if done == len(pending) else "functions"
            shown = labeled if phase == "labels" else done + reused
            self._progress.update(
                task,
                description=phase,
                completed=min(rows, self._rows),
                shards=self._shards(shown),
                speed=f"{rate:,.0f} rows/s" if rows else "",
            )

    def _labels_stored(self) -> set[str]:
        return set(self._store.list("labels"))
