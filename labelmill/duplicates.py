"""Counting ids that occur more than once, exactly, within a shard and across shards.

Ids are compared by a 128-bit digest: two of 1e10 ids collide with a chance below 1e-18.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Digests = npt.NDArray[np.uint64]

_SIZE = 16


def id_digests(ids: pa.Array) -> bytes:
    """Return the digests of the ids of a string array, 16 bytes each, in order."""
    blake2b = hashlib.blake2b
    return b"".join(blake2b(text.encode(), digest_size=_SIZE).digest() for text in ids.to_pylist())


def count_repeats(digests: bytes) -> int:
    """Return how many of the digests stand earlier in the sequence."""
    pairs = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    return len(pairs) - len(_distinct(pairs))


def split_digests(digests: bytes, n_buckets: int) -> Iterator[tuple[int, bytes]]:
    """Yield the distinct digests by bucket; equal digests always fall in the same one."""
    pairs = _distinct(np.frombuffer(digests, dtype="<u8").reshape(-1, 2))
    buckets = pairs[:, 0] % np.uint64(n_buckets)
    for bucket in np.unique(buckets).tolist():
        yield int(bucket), pairs[buckets == bucket].tobytes()


def count_repeats_across(parts: Iterable[bytes]) -> int:
    """Return how many digests of all `parts` together are repeats."""
    return count_repeats(b"".join(parts))


def _distinct(pairs: Digests) -> Digests:
    if not len(pairs):
        return pairs
    ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first = np.ones(len(ordered), dtype=bool)
    np.any(ordered[1:] != ordered[:-1], axis=1, out=first[1:])
    return ordered[first]
