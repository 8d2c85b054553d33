"""A 64-bit hash of a row of votes that is the same on every machine and in every process."""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import AnyArray, HashArray, IntArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def splitmix64(values: HashArray) -> HashArray:
    """Finaliser of the SplitMix64 generator, a bijection of the 64-bit integers.

    Parameters
    ----------
    values : uint64[n]
        Arithmetic is modulo 2**64.

    Returns
    -------
    uint64[n]

    Notes
    -----
    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    mixed = values + _GAMMA
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed


def vote_codes(lfs: AnyArray, labels: AnyArray) -> IntArray:
    """One integer per vote, `lf * 2**16 + label`; distinct for distinct votes, int64[nnz]."""
    codes = lfs.astype(np.int64)
    codes <<= 16
    codes |= labels.astype(np.int64)
    return codes


def hash_rows(indptr: IntArray, codes: IntArray) -> HashArray:
    """Hash of each row: the mixed codes of its votes, added modulo 2**64 and mixed again.

    Parameters
    ----------
    indptr : int64[n + 1]
    codes : int64[nnz]
        From `vote_codes`.

    Returns
    -------
    uint64[n]
        Equal for equal rows. Unequal rows may collide; whoever groups by it must compare them.
    """
    sums = np.zeros(len(indptr) - 1, dtype=np.uint64)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        mixed = splitmix64(codes.view(np.uint64))
        sums[filled] = np.add.reduceat(mixed, indptr[:-1][filled])
    return splitmix64(sums)
