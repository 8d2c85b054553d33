"""The bytes that one character of a regular expression may be, and how Hyperscan writes them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from labelmill import regextree
from labelmill.regextree import Node

CONTINUATION = frozenset(range(0x80, 0xC0))
LEADS = frozenset(range(0xC2, 0xF5))
LONGEST = 4  # bytes of a character

_ASCII = "".join(map(chr, range(128)))
_FEW = 16  # characters that are listed rather than loosened


class CharBytes(NamedTuple):
    """What one character may be.

    Attributes:
        alone: Characters of ASCII.
        listed: Other characters, encoded.
        leads: First bytes of still others; not every character that begins so is meant.
    """

    alone: frozenset[int]
    listed: tuple[bytes, ...] = ()
    leads: frozenset[int] = frozenset()


@lru_cache(maxsize=4096)
def _matching(source: str, flags: int, among: str) -> tuple[str, ...]:
    return tuple(re.findall(source, among, flags))


@lru_cache(maxsize=1)
def _cased() -> str:
    """Return every character that another one may match under `re.IGNORECASE`."""
    return "".join(
        char
        for char in map(chr, range(0x80, 0x20000))  # none above has a case
        if char.lower() != char or char.upper() != char
    )


def char_bytes(node: Node, ascii_only: bool) -> CharBytes:
    """Return what one of the `CHARS` nodes matches, as `re` itself tells."""
    name, (what, flags) = node
    source = regextree.char_source(node)
    alone = frozenset(map(ord, _matching(source, flags, _ASCII)))
    if ascii_only:
        return CharBytes(alone)
    ranges = [(what, what)] if name == "LITERAL" else []
    if name == "IN":
        parts = dict.fromkeys(part for part, _ in what)
        if "NEGATE" in parts or "CATEGORY" in parts:
            return CharBytes(alone, leads=LEADS)
        ranges = [v if part == "RANGE" else (v, v) for part, v in what]
    elif name != "LITERAL":
        return CharBytes(alone, leads=LEADS)
    ranges = [(max(low, 0x80), high) for low, high in ranges if high >= 0x80]
    other = set(_matching(source, flags, _cased())) if flags & re.IGNORECASE else set()
    if sum(high - low + 1 for low, high in ranges) + len(other) <= _FEW:
        other |= {chr(code) for low, high in ranges for code in range(low, high + 1)}
        found = _matching(source, flags, "".join(sorted(other)))  # not all, of some cased ones
        return CharBytes(alone, tuple(map(_encoded, found)))
    leads = {_encoded(char)[0] for char in other}
    for low, high in ranges:
        leads |= set(range(_encoded(chr(low))[0], _encoded(chr(high))[0] + 1))
    return CharBytes(alone, leads=frozenset(leads))


def _encoded(char: str) -> bytes:
    return char.encode("utf-8", "surrogatepass")


def byte_class(values: frozenset[int]) -> str:
    """Return a set of bytes as a class."""
    ranges: list[list[int]] = []
    for value in sorted(values):
        if ranges and ranges[-1][1] == value - 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    if len(values) == 1:
        return _byte(ranges[0][0])
    parts = (_byte(a) if a == b else f"{_byte(a)}-{_byte(b)}" for a, b in ranges)
    return f"[{''.join(parts)}]"


def byte_string(values: bytes) -> str:
    """Return bytes as an expression."""
    return "".join(map(_byte, values))


def _byte(value: int) -> str:
    char = chr(value)
    return char if char.isascii() and char.isalnum() else f"\\x{value:02x}"
