"""Hyperscan, where it is installed and right: loading it, compiling, scanning one buffer."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# Vectorscan 5.4.12 loses matches at some places (its issue 358); this is one of them.
_LOST = (rb"\x23[\x09\x20]*(?:if|elif|pragma)\b[^\xfe]*\xfe", b"# if it is")
_PLACES = 64
_UPGRADE = "install hyperscan>=0.7.8,<0.7.22, which does not"


@lru_cache(maxsize=1)
def _installed() -> ModuleType | None:
    try:
        return import_module("hyperscan")
    except ImportError:
        return None


@lru_cache(maxsize=1)
def _loses_matches() -> bool:
    hyperscan = _installed()
    assert hyperscan is not None
    expression, text = _LOST
    engine = Automaton(hyperscan, [(0, expression.decode())])
    buffers = (b" " * n + text + b" " * _PLACES + b"\xfe" for n in range(_PLACES))
    return not all(len(engine.scan(buffer)[0]) for buffer in buffers)


def load(*, required: bool) -> ModuleType | None:
    """Return the module, or None where it is not installed or known to lose matches.

    Raises:
        ImportError: It is `required` and cannot be had.
    """
    hyperscan = _installed()
    if hyperscan is None:
        problem = "hyperscan is not installed"
    elif _loses_matches():
        problem = f"this version of hyperscan loses matches; {_UPGRADE}"
        if not required:
            _warn_once(problem)
    else:
        return hyperscan
    if required:
        raise ImportError(problem)
    return None


@lru_cache(maxsize=1)
def _warn_once(problem: str) -> None:
    warnings.warn(f"{problem}; regexes are searched one by one with re", stacklevel=4)


class Automaton:
    """Expressions compiled together.

    Args:
        hyperscan: The module.
        expressions: Numbers, which may repeat, and expressions in Hyperscan's language.

    Raises:
        hyperscan.error: The compiler refuses one of them, or all of them together.
    """

    def __init__(self, hyperscan: ModuleType, expressions: Sequence[tuple[int, str]]) -> None:
        # Any: the wheel's types and what it takes differ between its versions.
        self._database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[text.encode() for _, text in expressions],
            ids=[n for n, _ in expressions],
            elements=len(expressions),
            flags=[0] * len(expressions),
        )
        self._lock = threading.Lock()
        self._local = threading.local()

    def scan(self, buffer: bytes) -> tuple[Ints, Ints]:
        """Return numbers and ends, int64, shape (matches,), of all matches in a buffer."""
        numbers: list[int] = []
        ends: list[int] = []
        add_number, add_end = numbers.append, ends.append

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            add_number(number)
            add_end(end)

        if not hasattr(self._local, "scratch"):
            with self._lock:
                self._local.scratch = self._database.scratch.clone()
        self._database.scan(buffer, match_event_handler=on_match, scratch=self._local.scratch)
        return np.array(numbers, dtype=np.int64), np.array(ends, dtype=np.int64)


def compile_all(
    hyperscan: ModuleType, expressions: Sequence[tuple[int, str]]
) -> tuple[list[Automaton], set[int]]:
    """Compile expressions, together as far as the compiler takes them.

    Returns:
        The automata, and the numbers with an expression that is in none of them.
    """
    if not expressions:
        return [], set()
    try:
        return [Automaton(hyperscan, expressions)], set()
    except hyperscan.error:
        if len(expressions) == 1:
            return [], {expressions[0][0]}
    half = len(expressions) // 2
    left, refused_left = compile_all(hyperscan, expressions[:half])
    right, refused_right = compile_all(hyperscan, expressions[half:])
    return left + right, refused_left | refused_right
