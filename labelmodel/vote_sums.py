"""Sums over the votes of a block that need no [m, k, k] table.

Sums within a pattern are floats, added vote by vote, so that a row has the same bits in any
block. Sums over patterns are integers, so that they have no order.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from labelmodel.arrays import FloatArray, IndexArray, IntArray
from labelmodel.fixedpoint import FRACTION_BITS, ONE
from labelmodel.patterns import PatternTable
from labelmodel.vote_index import vote_cells


def pattern_of_votes(table: PatternTable) -> IntArray:
    """Pattern that each vote belongs to, int64[nnz]."""
    return np.repeat(np.arange(len(table), dtype=np.int64), table.n_votes)


def sum_by_pattern(table: PatternTable, per_vote: FloatArray) -> FloatArray:
    """Sum over the votes of each pattern; float64[nnz] -> float64[P]."""
    rows = pattern_of_votes(table)
    return np.asarray(np.bincount(rows, per_vote, minlength=len(table)), dtype=np.float64)


def sum_by_class(table: PatternTable, per_vote: FloatArray) -> FloatArray:
    """Sum over the votes of each pattern for each class; float64[nnz] -> float64[P, k]."""
    cells = pattern_of_votes(table) * table.n_classes + table.labels
    size = len(table) * table.n_classes
    summed = np.asarray(np.bincount(cells, per_vote, minlength=size), dtype=np.float64)
    return summed.reshape(len(table), table.n_classes)


def exact_by_vote(table: PatternTable, per_vote: IntArray) -> IntArray:
    """Exact sum over patterns for each LF and class voted; int64[nnz, c] -> int64[m, k, c]."""
    summed = _exact_by(vote_cells(table), per_vote, table.n_lfs * table.n_classes)
    return summed.reshape(table.n_lfs, table.n_classes, per_vote.shape[1])


def exact_by_lf(table: PatternTable, per_vote: IntArray) -> IntArray:
    """Exact sum over patterns for each LF; int64[nnz, c] -> int64[m, c]."""
    return _exact_by(table.lfs, per_vote, table.n_lfs)


def _exact_by(group: IndexArray, values: IntArray, n_groups: int) -> IntArray:
    if not n_groups:
        return np.zeros((0, values.shape[1]), dtype=np.int64)
    ones, ends = np.ones(len(group), dtype=np.int64), np.arange(len(group) + 1)
    members = sparse.csc_matrix((ones, group, ends), shape=(n_groups, len(group)))
    return np.asarray(members @ np.ascontiguousarray(values))


def split_fixed(values: FloatArray) -> IntArray:
    """Whole and fractional part in multiples of 2**-24, int64[..., 2].

    Products of both parts with counts stay exact where those of one 64-bit number would not:
    values may reach 2**24 in up to 5e11 records.
    """
    scaled = np.rint(values * ONE).astype(np.int64)
    return np.stack([scaled >> FRACTION_BITS, scaled & (ONE - 1)], axis=-1)


def joined(sums: IntArray) -> FloatArray:
    """Floats of sums of `split_fixed`; int64[..., 2] -> float64[...]."""
    values: FloatArray = sums[..., 0] + sums[..., 1] / ONE
    return values


def keep_gold(table: PatternTable, scores: FloatArray) -> FloatArray:
    """Scores with -inf for the cells of classes that gold for the fit rules out; in place.

    `scores` are float64[P, k g], the g subtypes of a class side by side.
    """
    known = np.flatnonzero(table.gold >= 0)
    classes = np.arange(scores.shape[1]) // max(scores.shape[1] // table.n_classes, 1)
    others = table.gold[known, None] != classes
    scores[known] = np.where(others, -np.inf, scores[known])
    return scores
