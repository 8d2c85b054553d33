"""An index of texts: millions of keys in little more memory than their text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.hashing import lengths_of, text_hashes

Ints = npt.NDArray[np.int64]

_TAG = np.uint64(0xFFFFFFFF)


class KeyIndex:
    """Finds texts among known ones: hashes tell where to look, the text itself decides.

    Args:
        keys: string array, shape (n,), distinct and none null.

    Attributes:
        order: int64, shape (n,): the place in `keys` of each position of the index.
        hashes: uint64, shape (n,), ascending: the keys' hashes by position; a temporary array.
    """

    def __init__(self, keys: pa.Array) -> None:
        fits = keys.nbytes < 1 << 31
        keys = keys.cast(pa.string() if fits else pa.large_string())
        hashes = text_hashes(keys)
        self.order: Ints = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]
        bits = max(len(keys), 2).bit_length()
        self._shift = np.uint64(64 - bits)
        buckets = (self.hashes >> self._shift).astype(np.int64)
        counts = np.bincount(buckets, minlength=1 << bits)
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(np.uint32)
        self._tags = (self.hashes & _TAG).astype(np.uint32)
        self._keys = keys.take(pa.array(self.order))
        self._longest = int(lengths_of(keys).max(initial=0))

    def __len__(self) -> int:
        return len(self._tags)

    def forget_hashes(self) -> None:
        """Free what is needed only while a table is made."""
        self.order = np.empty(0, dtype=np.int64)
        self.hashes = np.empty(0, dtype=np.uint64)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        own = (self.order, self.hashes, self._starts, self._tags)
        return sum(array.nbytes for array in own) + int(self._keys.nbytes)

    def find(self, texts: pa.Array) -> Ints:
        """Return the position of each text, -1 where it is none of the keys.

        Args:
            texts: string array, shape (m,).

        Returns:
            int64, shape (m,).
        """
        found = np.full(len(texts), -1, dtype=np.int64)
        hashes = text_hashes(texts, self._longest)
        buckets = (hashes >> self._shift).astype(np.int64)
        places, ends = self._starts[buckets], self._starts[buckets + 1]
        tags = (hashes & _TAG).astype(np.uint32)
        asked = np.flatnonzero(np.asarray(texts.is_valid()) & (places < ends))
        candidates: list[Ints] = [np.empty(0, dtype=np.int64)]
        positions: list[Ints] = [np.empty(0, dtype=np.int64)]
        places = places[asked].astype(np.int64)
        while len(asked):  # as often as the fullest bucket has keys
            same = self._tags[places] == tags[asked]
            candidates.append(asked[same])
            positions.append(places[same])
            places = places + 1
            more = places < ends[asked]
            asked, places = asked[more], places[more]
        rows, keys = np.concatenate(candidates), np.concatenate(positions)
        known = self._keys.take(pa.array(keys))
        equal = np.asarray(pc.equal(texts.take(pa.array(rows)).cast(known.type), known))
        found[rows[equal]] = keys[equal]
        return found
