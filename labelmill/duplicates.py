"""Counting ids that occur more than once, exactly, in memory that does not grow with the corpus.

Each shard stores the sorted 128-bit digests of its ids. Counting then goes range by range: the same
range of every shard's file, merged.

A digest is two 64-bit hashes of the text, each with a seed of its own. As far as these behave like
random numbers, some two of 1e10 ids share a digest with a chance of about 1e-19, and count as a
repeat. They are not cryptographic: somebody who sets out to can make ids that collide.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.errors import CorruptFileError
from labelmill.hashing import text_hashes
from labelmill.manifest import FileEntry
from labelmill.store import Store

Digests = npt.NDArray[np.uint64]
"""Shape (n, 2): the two halves of each digest."""

N_RANGES = 1024
"""Ranges that a file of digests can be read by."""

_SIZE = 16
_SEEDS = (1, 2)
_HEADER = 8 * (N_RANGES + 1)
_RANGE_BITS = np.uint64(64 - 10)


def id_digests(ids: pa.Array) -> bytes:
    """Return the digests of ids, 16 bytes each, in order; the same on every machine.

    Args:
        ids: string array, shape (n,), none null.

    Raises:
        ValueError: An id is null; it would pass for an empty one.
    """
    if ids.null_count:
        raise ValueError(f"{ids.null_count} of {len(ids)} ids are null; every record needs an id")
    halves = [text_hashes(ids, seed=seed) for seed in _SEEDS]
    return np.column_stack(halves).astype("<u8").tobytes()


def pack_digests(digests: bytes) -> tuple[bytes, int]:
    """Return a file of digests, and how many of them are repeats.

    The file has N_RANGES + 1 offsets (uint64, little endian, counted in digests), then the
    distinct digests in ascending order.
    """
    pairs = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    distinct = _distinct(pairs)
    counts = np.bincount((distinct[:, 0] >> _RANGE_BITS).astype(np.int64), minlength=N_RANGES)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype("<u8")
    return offsets.tobytes() + distinct.tobytes(), len(pairs) - len(distinct)


def read_range(store: Store, file: FileEntry, first: int, stop: int) -> Digests:
    """Return the digests of ranges `first` to `stop` of one stored file.

    Raises:
        CorruptFileError: The file is shorter than its header says.
    """
    raw = store.get_range(file.path, 8 * first, 8 * (stop + 1))
    if len(raw) != 8 * (stop + 1 - first):
        raise CorruptFileError(f"{file.path}: ends within its header of {_HEADER} bytes")
    header = np.frombuffer(raw, dtype="<u8")
    start, end = (_HEADER + _SIZE * int(header[n]) for n in (0, -1))
    data = store.get_range(file.path, start, end) if end > start else b""
    if len(data) != end - start:
        raise CorruptFileError(f"{file.path}: {len(data)} bytes of digests, expected {end - start}")
    return np.frombuffer(data, dtype="<u8").reshape(-1, 2)


def contains_id(store: Store, file: FileEntry, record_id: str) -> bool:
    """Return whether a stored file has the digest of an id.

    Raises:
        CorruptFileError: The file is shorter than its header says.
    """
    digest = np.frombuffer(id_digests(pa.array([record_id])), dtype="<u8")
    number = int(digest[0] >> _RANGE_BITS)
    return bool((read_range(store, file, number, number + 1) == digest).all(axis=1).any())


def count_repeats(parts: Iterable[Digests]) -> int:
    """Return how many digests of all parts, each distinct within itself, are repeats."""
    pairs = np.concatenate([np.empty((0, 2), dtype=np.uint64), *parts])
    return len(pairs) - len(_distinct(pairs))


def split_ranges(n_ids: int, ids_per_part: int) -> list[tuple[int, int]]:
    """Return (first, stop) ranges that together cover all, with about `ids_per_part` ids each."""
    parts = min(N_RANGES, max(1, -(-n_ids // ids_per_part)))
    edges = [N_RANGES * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(edges))


def _distinct(pairs: Digests) -> Digests:
    if not len(pairs):
        return pairs
    ordered = pairs[np.argsort(pairs[:, 0])]
    same = np.flatnonzero(ordered[1:, 0] == ordered[:-1, 0])
    if len(same):  # few, unless ids repeat: only then do second halves decide
        ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first = np.ones(len(ordered), dtype=bool)
    np.any(ordered[1:] != ordered[:-1], axis=1, out=first[1:])
    return ordered[first]
