"""Text files as blocks of whole lines and located records; not what the records mean.

A line belongs to the byte range in which it starts, so ranges that touch share every line out
once, wherever they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.readers.records import BadRecord, IntArray, excerpt

CHUNK_BYTES = 4 << 20
TO_END = 1 << 62
SLOW_ROWS = 512

_NEWLINE = 10
_BOM = b"\xef\xbb\xbf"
_SPACES = np.frombuffer(b" \t\r\n", dtype=np.uint8)


@dataclass(frozen=True)
class Block:
    """Whole lines of a file: their bytes, offset, and the 1-based number of the first (or -1)."""

    data: bytes
    offset: int
    line: int


@dataclass(frozen=True)
class Records:
    """Records of a block: n byte ranges of `data` with their places in the file.

    Attributes:
        data: the bytes of the block.
        offset: byte offset of `data` in the file.
        starts: int64 (n), where each record starts in `data`.
        stops: int64 (n), where it ends, its line end included.
        lines: int64 (n), the 1-based physical line on which it starts; -1 when unknown.
    """

    data: bytes
    offset: int
    starts: IntArray
    stops: IntArray
    lines: IntArray

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, i: int) -> bytes:
        """The bytes of record i, its line end included."""
        return self.data[self.starts[i] : self.stops[i]]

    def buffer(self) -> pa.Buffer:
        """All records in one buffer, without a copy; blank lines between them are in it too."""
        start, stop = int(self.starts[0]), int(self.stops[-1])
        return pa.py_buffer(self.data).slice(start, stop - start)

    def slice(self, start: int, stop: int) -> Records:
        """Records start to stop."""
        part = slice(start, stop)
        return Records(
            self.data, self.offset, self.starts[part], self.stops[part], self.lines[part]
        )

    def where(self, keep: npt.NDArray[np.bool_]) -> Records:
        """The records that a mask keeps."""
        return Records(
            self.data, self.offset, self.starts[keep], self.stops[keep], self.lines[keep]
        )

    def bad(self, i: int, reason: str, uri: str) -> BadRecord:
        """Record i as a bad one."""
        offset = self.offset + int(self.starts[i])
        return BadRecord(uri, int(self.lines[i]), offset, reason, excerpt(self.raw(i)))


@dataclass(frozen=True)
class Parsed:
    """What parsing n records gave.

    Attributes:
        batch: the good records, m rows.
        kept: int64 (m), the position of each good record among the n.
        bad: position and reason of the others.
    """

    batch: pa.RecordBatch
    kept: IntArray
    bad: Sequence[tuple[int, str]]


def line_blocks(
    stream: BinaryIO, start: int, stop: int, *, line: int = -1, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Block]:
    """The lines that start in [start, stop), in blocks of about `chunk_bytes`.

    A byte order mark at the start of the file is left out.

    Args:
        stream: seekable unless start is 0; read from its beginning then.
        start: first byte of the range.
        stop: end of the range; the last line is read past it to its end.
        line: number of the first line that starts in the range, -1 if unknown.
        chunk_bytes: bytes to read at a time; longer lines are read whole.
    """
    begin = start
    if start:
        stream.seek(start - 1)
        begin = _after_newline(stream, start - 1)
        if begin >= stop:
            return
        stream.seek(begin)
    position = begin
    held: list[bytes] = []
    while piece := stream.read(chunk_bytes):
        end = position + len(piece)
        if end >= stop:
            cut = piece.find(b"\n", max(stop - 1 - position, 0)) + 1
        else:
            cut = piece.rfind(b"\n") + 1
        if cut:
            block = _block(b"".join([*held, piece[:cut]]), begin, line)
            yield block
            if end >= stop:
                return
            if line >= 0:
                line += block.data.count(b"\n")
            begin = position + cut
            held = [piece[cut:]]
        else:
            held.append(piece)
        position = end
    if rest := b"".join(held):
        yield _block(rest, begin, line)


def lines_of(block: Block) -> Records:
    """Every line of a block, blank ones included, as a record."""
    stops = np.flatnonzero(np.frombuffer(block.data, dtype=np.uint8) == _NEWLINE) + 1
    if not len(stops) or stops[-1] != len(block.data):
        stops = np.append(stops, len(block.data))
    starts = np.concatenate([[0], stops[:-1]]).astype(np.int64)
    if block.line < 0:
        numbers = np.full(len(starts), -1, dtype=np.int64)
    else:
        numbers = np.arange(block.line, block.line + len(starts), dtype=np.int64)
    keep = slice(0, len(starts) if block.data else 0)
    return Records(block.data, block.offset, starts[keep], stops[keep], numbers[keep])


def without_blank(records: Records, *, blank: bytes) -> Records:
    """The records that hold more than the bytes in `blank`."""
    if not len(records):
        return records
    first = np.frombuffer(records.data, dtype=np.uint8)[records.starts]
    suspects = np.flatnonzero(np.isin(first, _SPACES))
    drop = [i for i in suspects if not records.raw(int(i)).strip(blank)]
    if not drop:
        return records
    keep = np.ones(len(records), dtype=np.bool_)
    keep[drop] = False
    return records.where(keep)


def parse_records(
    records: Records,
    fast: Callable[[Records], pa.RecordBatch | None],
    slow: Callable[[Records], Parsed],
) -> Parsed:
    """Parse records fast; where that fails, halve them until few are left to parse slowly.

    Args:
        records: n records, at least one.
        fast: parses all or returns None; must give for a record what `slow` gives.
        slow: parses one by one and says what is wrong with a record.
    """
    batch = fast(records)
    if batch is not None:
        return Parsed(batch, np.arange(len(records)), ())
    if len(records) <= SLOW_ROWS:
        return slow(records)
    middle = len(records) // 2
    left = parse_records(records.slice(0, middle), fast, slow)
    right = parse_records(records.slice(middle, len(records)), fast, slow)
    return Parsed(
        pa.concat_batches([left.batch, right.batch]),
        np.concatenate([left.kept, right.kept + middle]),
        [*left.bad, *((i + middle, reason) for i, reason in right.bad)],
    )


def count_rows(
    stream: BinaryIO, cuts: Sequence[int], *, data_start: int, blank: bytes
) -> tuple[IntArray, IntArray]:
    """Rows and physical lines that start in each of the ranges between cuts.

    Args:
        stream: the file, at its beginning.
        cuts: k + 1 offsets, from 0 to the file's size.
        data_start: lines before this offset (a CSV header) are no rows.
        blank: lines of nothing but these bytes are no rows.

    Returns:
        Two int64 arrays (k).
    """
    edges = np.asarray(cuts, dtype=np.int64)
    rows = np.zeros(len(edges) - 1, dtype=np.int64)
    lines = np.zeros_like(rows)
    for number, block in enumerate(line_blocks(stream, 0, TO_END)):
        every = lines_of(block)
        first_is_marked = number == 0 and block.offset > 0

        def places(records: Records, marked: bool = first_is_marked) -> IntArray:
            starts = records.starts + records.offset
            if marked and len(starts) and starts[0] == len(_BOM):
                starts[0] = 0  # the mark belongs to the first line
            return starts

        lines += np.histogram(places(every), edges)[0]
        data = without_blank(every, blank=blank)
        data = data.where(data.starts + data.offset >= data_start)
        rows += np.histogram(places(data), edges)[0]
    return rows, lines


def invalid_utf8(raw: bytes) -> str | None:
    """What is wrong with bytes that are not UTF-8, None if they are."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start} of the record"
    return None


def is_utf8(buffer: pa.Buffer) -> bool:
    """Whether a buffer is UTF-8 all over, without a copy."""
    bounds = pa.array([0, buffer.size], pa.int64()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, bounds, buffer]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _block(data: bytes, offset: int, line: int) -> Block:
    if offset == 0 and data.startswith(_BOM):
        return Block(data[len(_BOM) :], len(_BOM), line)
    return Block(data, offset, line)


def _after_newline(stream: BinaryIO, position: int) -> int:
    """The offset after the next newline from a position on; `TO_END` if there is none."""
    while piece := stream.read(1 << 16):
        found = piece.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(piece)
    return TO_END
