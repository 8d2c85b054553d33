"""Rows done so far, counted by appending to a local file that another process can read."""

from __future__ import annotations

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
        os.write(file, f"{rows}\n".encode())
    finally:
        os.close(file)


def rows_reported(path: str) -> int:
    """Return the rows counted at `path` so far."""
    return sum(int(line) for line in Path(path).read_text(encoding="ascii").splitlines() if line)
