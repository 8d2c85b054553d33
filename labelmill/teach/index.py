"""An index of texts: which have which of the candidates that are neither rare nor common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import sparse

from labelmill.hashing import Hashes
from labelmill.teach.candidates import candidate_keys, unpack
from labelmill.teach.tokens import Ints

LEAST_RECORDS = 4
RAREST = 0.0003
MOST_COMMON = 0.5
"""Candidates are kept that at least max(4, .0003 n) and at most half of n records have."""


@dataclass(frozen=True)
class Index:
    """Candidates and the records that have them.

    Attributes:
        keys: Candidates by key, uint64, shape (f,); ascending.
        has: Which record has which candidate, 0 or 1, float32, shape (n, f).
    """

    keys: Hashes
    has: sparse.csr_array

    @property
    def frequency(self) -> Ints:
        """Records that have each candidate, int64, shape (f,)."""
        return np.bincount(self.has.indices, minlength=len(self.keys)).astype(np.int64)


def index_texts(column: pa.Array) -> Index:
    """Index texts with the candidates that they have between them.

    Args:
        column: string array, shape (n,).
    """
    rows, keys = _unpacked(column)
    n = len(column)
    distinct, frequency = np.unique(keys, return_counts=True)
    least = max(LEAST_RECORDS, RAREST * n)
    vocabulary = distinct[(frequency >= least) & (frequency <= MOST_COMMON * n)]
    return Index(vocabulary, _matrix(rows, keys, vocabulary, n))


def index_with(column: pa.Array, vocabulary: Hashes) -> sparse.csr_array:
    """Return which text has which of known candidates, as `Index.has`."""
    return _matrix(*_unpacked(column), vocabulary, len(column))


def _unpacked(column: pa.Array) -> tuple[Ints, Hashes]:
    rows: list[Ints] = [np.empty(0, dtype=np.int64)]
    keys: list[Hashes] = [np.empty(0, dtype=np.uint64)]
    for first, packed in candidate_keys(column):
        piece_rows, piece_keys = unpack(packed)
        rows.append(piece_rows + first)
        keys.append(piece_keys)
    return np.concatenate(rows), np.concatenate(keys)


def _matrix(rows: Ints, keys: Hashes, vocabulary: Hashes, n: int) -> sparse.csr_array:
    place = np.searchsorted(vocabulary, keys)
    place[place == len(vocabulary)] = 0
    known = vocabulary[place] == keys if len(vocabulary) else np.zeros(len(keys), dtype=bool)
    indices = place[known].astype(np.int32)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[known], minlength=n))))
    ones = np.ones(len(indices), dtype=np.float32)
    return sparse.csr_array((ones, indices, indptr.astype(np.int64)), shape=(n, len(vocabulary)))
