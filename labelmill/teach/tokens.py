r"""Texts as word tokens, in numpy over the bytes of a column.

A token is a maximal run of word characters in lower case, as `\w+` finds it. The title of a text is
its first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.hashing import Hashes, slice_hashes
from labelmill.textlayout import OPEN, lay_out

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PIECE_BYTES = 1 << 22
_PADDING = bytes(8)
_NOT_WORD = r"[^\x00-\x7f\pL\pN]"
_NEWLINE = 1

# Word characters as they are, line breaks as ones, everything else as zeros.
_SPLIT = bytes(
    byte
    if byte < OPEN and (byte >= 0x80 or re.match(r"\w", chr(byte)))
    else _NEWLINE
    if byte == ord("\n")
    else 0
    for byte in range(256)
)


@dataclass(frozen=True)
class Tokens:
    """The tokens of some texts, in order.

    Attributes:
        n_rows: Texts.
        text: The texts' bytes, word characters and zeros, with padding at both ends.
        starts: First byte of each token, int64, shape (t,).
        stops: Byte after the last of each token, int64, shape (t,).
        rows: Text of each token, int64, shape (t,); ascending.
        hashes: Hash of each token, uint64, shape (t,).
        in_title: Whether a token stands in the title of its text, bool, shape (t,).
    """

    n_rows: int
    text: npt.NDArray[np.uint8]
    starts: Ints
    stops: Ints
    rows: Ints
    hashes: Hashes
    in_title: Bools

    def word(self, n: int) -> str:
        """Return token `n`."""
        return bytes(self.text[self.starts[n] : self.stops[n]]).decode()


def tokens_of(column: pa.Array) -> Iterator[tuple[int, Tokens]]:
    """Split a column of texts, a piece at a time.

    Args:
        column: string array, shape (n,); a null is as an empty text.

    Yields:
        The first row of a piece, and its tokens, whose rows count from there.
    """
    texts = pc.utf8_lower(column.cast(pa.string()).fill_null(""))
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = pc.replace_substring_regex(texts, pattern=_NOT_WORD, replacement=" ")
    for piece in lay_out(texts, PIECE_BYTES):
        yield piece.first, _split(piece.buffer, piece.ends)


def _split(buffer: bytes, ends: Ints) -> Tokens:
    text = np.frombuffer(b"".join((_PADDING, buffer.translate(_SPLIT), _PADDING)), dtype=np.uint8)
    in_token = text > _NEWLINE
    edges = np.flatnonzero(in_token[1:] != in_token[:-1]) + 1
    starts, stops = edges[0::2], edges[1::2]
    ends = ends + len(_PADDING)
    rows: Ints = np.searchsorted(ends, starts, side="right")
    title_ends = ends.copy()
    breaks = np.flatnonzero(text == _NEWLINE)
    broken, first = np.unique(np.searchsorted(ends, breaks, side="right"), return_index=True)
    title_ends[broken] = breaks[first]
    hashes = slice_hashes(text, starts, stops - starts)
    return Tokens(len(ends), text, starts, stops, rows, hashes, starts < title_ends[rows])
