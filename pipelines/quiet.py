"""Keeping Beam, its workers and functions from talking over our own screen."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quiet_beam(verbose: bool) -> Iterator[None]:
    """Silence the log of Beam, whose news is on our own screen, unless asked for."""
    names = ("apache_beam", "root")
    loggers = [logging.getLogger(None if name == "root" else name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO if verbose else logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def diverted_output(path: Path) -> Iterator[None]:
    """Send what this process and its children write to stdout and stderr to a file.

    Beam's local worker processes log to stderr and take no option that says otherwise, and
    functions may print. Progress is drawn on a duplicate of the terminal that was made before.
    """
    streams = ((sys.stdout, 1), (sys.stderr, 2))
    for stream, _ in streams:
        stream.flush()
    saved = [(os.dup(number), number) for _, number in streams]
    try:
        with path.open("ab") as file:
            for _, number in streams:
                os.dup2(file.fileno(), number)
            yield
    finally:
        for stream, _ in streams:
            stream.flush()
        for copy, number in saved:
            os.dup2(copy, number)
            os.close(copy)
