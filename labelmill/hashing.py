"""Hashes of texts, the same on every machine, worked out in numpy over a column's bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_HASHED_AT_ONCE = 1 << 15
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def text_hashes(texts: pa.Array, longest: int | None = None, *, seed: int = 0) -> Hashes:
    """Return 64-bit hashes of texts, the same on every machine.

    Args:
        texts: string array, shape (n,); a null has the hash of an empty text.
        longest: Bytes that count; texts that are longer differ from all that are not.
        seed: Another one gives an independent hash.

    Returns:
        uint64, shape (n,).
    """
    hashes = np.empty(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), _HASHED_AT_ONCE):
        piece = texts.slice(start, _HASHED_AT_ONCE)
        hashes[start : start + len(piece)] = _hash_piece(piece, longest, seed)
    return hashes


def mixed(values: Hashes) -> Hashes:
    """Return each value spread over all 64 bits (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def lane_sums(keys: Hashes, values: Hashes) -> tuple[int, int]:
    """Return two sums over pairs of hashes that tell a set of pairs, whatever their order."""
    first, second = pair_lanes(keys, values)
    return int(first.sum(dtype=np.uint64)), int(second.sum(dtype=np.uint64))


def pair_lanes(keys: Hashes, values: Hashes) -> tuple[Hashes, Hashes]:
    """Return two independent hashes of each pair."""
    first = mixed(keys + mixed(values ^ _GOLDEN))
    return first, mixed(first + keys)


def digest_of(sums: tuple[int, int], count: int) -> str:
    """Return the digest of a set of pairs, 32 hex digits."""
    return hashlib.blake2b(repr((*sums, count)).encode(), digest_size=16).hexdigest()


def _offsets(texts: pa.Array) -> Ints:
    width = np.int64 if pt.is_large_string(texts.type) else np.int32
    buffer = texts.buffers()[1]
    if buffer is None or not len(texts):
        return np.zeros(len(texts) + 1, dtype=np.int64)
    offsets = np.frombuffer(buffer, dtype=width)
    return offsets[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)


def lengths_of(texts: pa.Array) -> Ints:
    """Return the bytes of each text, int64."""
    return np.diff(_offsets(texts))


def _hash_piece(texts: pa.Array, longest: int | None, seed: int) -> Hashes:
    offsets = _offsets(texts)
    size = int(offsets[-1] - offsets[0])
    padded = np.zeros(size + 8, dtype=np.uint8)
    if size:
        data = np.frombuffer(texts.buffers()[2], dtype=np.uint8)
        padded[:size] = data[offsets[0] : offsets[-1]]
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    if longest is not None:
        lengths = np.minimum(lengths, longest + 1)
    return slice_hashes(padded, starts, lengths, seed=seed)


def slice_hashes(
    padded: npt.NDArray[np.uint8], starts: Ints, lengths: Ints, *, seed: int = 0
) -> Hashes:
    """Return 64-bit hashes of slices of a buffer, worked out eight bytes at a time.

    Args:
        padded: The buffer, with eight bytes more than the slices reach.
        starts: First byte of each slice, int64, shape (n,).
        lengths: Bytes of each slice, int64, shape (n,).
        seed: Another one gives an independent hash.

    Returns:
        uint64, shape (n,).
    """
    words: Hashes = np.ndarray(len(padded) - 7, dtype="<u8", buffer=padded.data, strides=(1,))
    start = np.uint64(seed * int(_GOLDEN) % (1 << 64))
    hashes = mixed(lengths.astype(np.uint64) + start)
    left = np.flatnonzero(lengths)
    at = 0
    while len(left):
        unread = np.minimum(lengths[left] - at, 8)
        word = words[starts[left] + at] & _KEEP[unread]
        hashes[left] = mixed(hashes[left] ^ word)
        at += 8
        left = left[lengths[left] > at]
    return hashes


_KEEP = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
"""Masks that keep the first n bytes of a word."""
