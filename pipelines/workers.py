"""Worker processes of a local run: ended with it, and missed when one of them is gone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from labelmill.errors import LabelmillError
from labelmill.guard import close_all
from pipelines.beamerrors import WORKER_LOST

BEAMS_THREAD = "run_worker"
"""Name of the threads in which Beam waits for worker processes; one that fails raises there."""

GRACE_SECONDS = 2.0
"""How long Beam has to end the run in order, as it does unless the worker was in its last step."""

_POLL_SECONDS = 0.05


@contextmanager
def minded_workers(sign: Path) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end worker processes and functions, for which Beam would wait.

    The run ends too when a worker process was killed: Beam waits for some of them for ever.

    Args:
        sign: The file that is there as long as the run goes on.

    Raises:
        LabelmillError: A worker process is gone.
    """

    def end(number: int, frame: FrameType | None) -> None:
        sign.unlink(missing_ok=True)
        close_all()
        signal.default_int_handler(number, frame)

    before = {}
    with suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # such as a shell's background job
                before[number] = signal.signal(number, end)
    watch = _Watch(sign)
    if signal.SIGINT in before:  # else nothing can interrupt the run
        watch.start()
    try:
        try:
            yield
        finally:
            watch.stop()
    except KeyboardInterrupt:
        if watch.has_interrupted:
            raise LabelmillError(WORKER_LOST) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Watch(threading.Thread):
    """Interrupts the main thread when a worker process is gone and the run goes on all the same."""

    def __init__(self, sign: Path) -> None:
        super().__init__(daemon=True)
        self._sign, self._moved = sign, threading.Event()
        self._has_lost = self._has_ended = False
        self._hook_before = threading.excepthook
        self.has_interrupted = False

    def start(self) -> None:
        """Listen to the threads in which Beam waits for its worker processes."""
        threading.excepthook = self._notice
        super().start()

    def _notice(self, failure: threading.ExceptHookArgs) -> None:
        if failure.thread is not None and failure.thread.name == BEAMS_THREAD:
            self._has_lost = True
            self._moved.set()
        self._hook_before(failure)

    def run(self) -> None:
        self._moved.wait()
        deadline = time.monotonic() + GRACE_SECONDS
        while self._is_stuck() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if self._is_stuck():
            self.has_interrupted = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _is_stuck(self) -> bool:
        """Whether a worker is missed; when the sign is gone, workers end because they should."""
        return self._has_lost and not self._has_ended and self._sign.exists()

    def stop(self) -> None:
        """End the thread, unless it never started."""
        if self.ident is not None:
            self._has_ended = True
            self._moved.set()
            self.join()
            threading.excepthook = self._hook_before
