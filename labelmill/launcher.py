"""Worker processes of a local run end with the run, however it ends."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from labelmill.guard import close_all
from labelmill.watchdog import is_running

_POLL_SECONDS = 0.25
_watched: set[tuple[int, str]] = set()


def end_with(launcher: int, sign: str) -> None:
    """End this process soon after a run has ended, or was interrupted.

    Args:
        launcher: Number of the process that launched it, on this machine; nothing is done in that
            process itself.
        sign: A file that is there as long as the run goes on.
    """
    if launcher == os.getpid() or (launcher, sign) in _watched:
        return
    _watched.add((launcher, sign))
    threading.Thread(target=_wait_for, args=(launcher, Path(sign)), daemon=True).start()


def _wait_for(launcher: int, sign: Path) -> None:
    while sign.exists() and is_running(launcher):
        time.sleep(_POLL_SECONDS)
    close_all()
    os._exit(1)
