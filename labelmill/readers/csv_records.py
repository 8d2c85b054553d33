"""Where CSV records begin and end; a quoted value may hold line breaks.

A quote that is never closed would swallow the rest of the file. When the field is still open
`MAX_RECORD_BYTES` later, or at the end of the file, its first line alone is a bad record and
reading goes on with the next line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from labelmill.readers.records import IntArray
from labelmill.readers.text import CHUNK_BYTES, Block, Records, line_blocks, lines_of, without_blank

BLANK = b"\r\n"
MAX_RECORD_BYTES = 32 << 20

_QUOTE, _NEWLINE, _RETURN = b'"\n\r'
_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')


@dataclass(frozen=True)
class RecordGroup:
    """Records without empty lines; `broken` is one whose quoted field never closes."""

    records: Records
    broken: bool


def csv_records(
    stream: BinaryIO,
    start: int,
    stop: int,
    *,
    delimiter: str,
    multiline: bool,
    line: int = -1,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[RecordGroup]:
    """The records that start in [start, stop) of a file.

    Args:
        stream: as for `line_blocks`.
        start: first byte of the range; 0 if multiline.
        stop: end of the range.
        delimiter: one character.
        multiline: whether a quoted value may hold line breaks; a line is a record otherwise.
        line: number of the first line of the range, -1 if unknown.
        chunk_bytes: bytes to read at a time.
    """
    carried, offset, number = b"", start, line
    for block in _with_last(line_blocks(stream, start, stop, line=line, chunk_bytes=chunk_bytes)):
        if not multiline:
            if block is not None:
                yield RecordGroup(without_blank(lines_of(block), blank=BLANK), False)
            continue
        if block is None:
            if not carried:
                return
            current = Block(carried, offset, number)
        else:
            if not carried:
                offset, number = block.offset, block.line
            current = Block(carried + block.data, offset, number)
        final = block is None
        while current.data:
            records, rest = split_records(current, delimiter)
            if len(records):
                yield RecordGroup(without_blank(records, blank=BLANK), False)
            current = _from(current, rest)
            if not current.data or not (final or len(current.data) > MAX_RECORD_BYTES):
                break
            first = lines_of(current).slice(0, 1)
            yield RecordGroup(first, True)
            current = _from(current, int(first.stops[0]))
        carried, offset, number = current.data, current.offset, current.line


def split_records(block: Block, delimiter: str) -> tuple[Records, int]:
    """The complete records of a block, and where the rest begins: a record with an open quote."""
    lines = lines_of(block)
    quotes = _quotes(block.data)
    if not len(quotes):
        return lines, len(block.data)
    if _paired(block.data, quotes, delimiter):
        inside = np.searchsorted(quotes, lines.stops) % 2 == 1
        stops = lines.stops[~inside]
    else:
        stops = _scan(block.data, delimiter)
    starts = np.concatenate([[0], stops[:-1]]).astype(np.int64)[: len(stops)]
    first_lines = lines.lines[np.searchsorted(lines.starts, starts)]
    records = Records(block.data, block.offset, starts, stops, first_lines)
    return records, int(stops[-1]) if len(stops) else 0


def well_quoted(buffer: pa.Buffer, delimiter: str) -> bool:
    """Whether every reader of CSV sees the same records in a buffer.

    So it is when quotes only open and close whole fields, all are closed, and a carriage return
    only stands before a newline.
    """
    array = np.frombuffer(buffer, dtype=np.uint8)
    returns = np.flatnonzero(array == _RETURN)
    if len(returns):
        followers = array[np.minimum(returns + 1, len(array) - 1)]
        if (followers != _NEWLINE).any():
            return False
    quotes = np.flatnonzero(array == _QUOTE)
    return not len(quotes) or (len(quotes) % 2 == 0 and _paired(buffer, quotes, delimiter))


def _quotes(data: bytes) -> IntArray:
    return np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == _QUOTE)


def _paired(data: bytes | pa.Buffer, quotes: IntArray, delimiter: str) -> bool:
    """Whether even quotes open a field and odd ones close it, `""` counting as close and open."""
    array = np.frombuffer(data, dtype=np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    separators = np.frombuffer(delimiter.encode() + b'\n"', dtype=np.uint8)
    before = array[np.maximum(opening - 1, 0)]
    starts_field = np.isin(before, separators) | (opening == 0)
    after = array[np.minimum(closing + 1, len(array) - 1)]
    ends = np.append(separators, np.uint8(_RETURN))
    ends_field = np.isin(after, ends) | (closing == len(array) - 1)
    return bool(starts_field.all() and ends_field.all())


def _scan(data: bytes, delimiter: str) -> IntArray:
    """Ends of the complete records, field by field: for quotes inside unquoted fields."""
    separator = re.compile(b"[" + re.escape(delimiter.encode()) + b"\n]")
    stops: list[int] = []
    position = 0
    while not stops or stops[-1] < len(data):
        if data.startswith(b'"', position):
            closed = _QUOTED.match(data, position)
            if closed is None:
                break
            position = closed.end()
        found = separator.search(data, position)
        if found is None:
            stops.append(len(data))
            break
        position = found.end()
        if found[0] == b"\n":
            stops.append(position)
    return np.asarray(stops, dtype=np.int64)


def _from(block: Block, start: int) -> Block:
    if start == 0:
        return block
    line = block.line + block.data.count(b"\n", 0, start) if block.line >= 0 else -1
    return Block(block.data[start:], block.offset + start, line)


def _with_last(blocks: Iterator[Block]) -> Iterator[Block | None]:
    yield from blocks
    yield None
