"""Rows done so far, counted by appending to a local file that another process can read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def report_rows(path: str | None, rows: int) -> None:
    """Add `rows` to the count at `path`; nothing without a path.

    One short append per batch: atomic between processes, and lost updates would only be cosmetic.
    """
    if path is None or not rows:
        return
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
    except OSError:  # another machine, or the launcher is gone: nobody looks
        return
    try:
        with contextlib.suppress(OSError):  # a full disk: a count on a screen is no reason to fail
            os.write(file, f"{rows}\n".encode())
    finally:
        os.close(file)


def rows_reported(path: str) -> int:
    """Return the rows counted at `path` so far; none when the run was interrupted."""
    try:
        text = Path(path).read_text(encoding="ascii")
    except FileNotFoundError:
        return 0
    *complete, _half_written = text.split("\n")
    return sum(int(line) for line in complete if line)
