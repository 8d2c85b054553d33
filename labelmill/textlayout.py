r"""A text column as one buffer to scan: every text between two bytes that no UTF-8 contains.

What stands in the buffer is ``\xfe text \xff`` for each row, so that a scan knows where texts begin
and end, and no token or match leaves its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

OPEN, CLOSE = 0xFE, 0xFF
_BETWEEN = bytes((CLOSE, OPEN))
_EDGES = len(_BETWEEN)


class Piece(NamedTuple):
    """Some rows of a column, laid out.

    Attributes:
        first: The first of the rows.
        buffer: The texts, and one more `OPEN` after the last.
        ends: Where the `OPEN` of the next row is, int64, shape (rows,); ascending.
    """

    first: int
    buffer: bytes
    ends: npt.NDArray[np.int64]

    def rows(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows that places in the buffer belong to, its last byte to no row."""
        rows: npt.NDArray[np.int64] = np.searchsorted(self.ends, places, side="right") + self.first
        return rows


def lay_out(column: pa.Array, size: int) -> Iterator[Piece]:
    r"""Lay out a column, in pieces.

    Args:
        column: string array, shape (n,); a null is as an empty text.
        size: Bytes of a piece; a longer text makes a piece of its own.

    Example:
        >>> [piece.buffer for piece in lay_out(pa.array(["a", None, "bc"]), 100)]
        [b'\xfea\xff\xfe\xff\xfebc\xff\xfe']
    """
    texts = column.fill_null("") if column.null_count else column
    lengths = np.asarray(pc.binary_length(texts)).astype(np.int64) + _EDGES
    ends = np.cumsum(lengths)
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + size, side="right")), start + 1)
        rows = texts.slice(start, stop - start).cast(pa.binary())
        as_list = pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)
        joined = pc.binary_join(as_list, _BETWEEN)[0].as_buffer()
        buffer = b"".join((_BETWEEN[1:], joined, _BETWEEN))
        yield Piece(start, buffer, ends[start:stop] - before)
        start = stop
