"""Sums and products over a block of patterns; sparse, so they cost what there are votes."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from labelmodel.arrays import FloatArray, IntArray, bin_sums, ragged_positions
from labelmodel.patterns import PatternTable
from labelmodel.state import Parameters

GOLD_STRENGTH = 20.0
WEIGHT_TOLERANCE = 1e-9


def class_votes(table: PatternTable) -> IntArray:
    """Votes of each pattern for each class, int64[P, k]."""
    rows = np.repeat(np.arange(len(table), dtype=np.int64), table.n_votes)
    cells = rows * table.n_classes + table.labels
    counted = np.bincount(cells, minlength=len(table) * table.n_classes)
    return counted.reshape(len(table), table.n_classes).astype(np.int64, copy=False)


def effective_votes(table: PatternTable, source_weights: FloatArray | None) -> FloatArray:
    """Votes of each pattern, each counted by its source's weight (None: 1); float64[P]."""
    if source_weights is None:
        return table.n_votes.astype(np.float64)
    rows = np.repeat(np.arange(len(table), dtype=np.int64), table.n_votes)
    return bin_sums(rows, source_weights[table.lfs], len(table))


def _weighted_class_votes(table: PatternTable, source_weights: FloatArray | None) -> FloatArray:
    """Votes of each pattern for each class, each counted by its source's weight; [P, k]."""
    if source_weights is None:
        return class_votes(table).astype(np.float64)
    rows = np.repeat(np.arange(len(table), dtype=np.int64), table.n_votes)
    cells = rows * table.n_classes + table.labels
    counted = bin_sums(cells, source_weights[table.lfs], len(table) * table.n_classes)
    return counted.reshape(len(table), table.n_classes)


def vote_shares(table: PatternTable, source_weights: FloatArray | None = None) -> FloatArray:
    """Share of the votes for each class, float64[P, k]; zero rows where nothing voted.

    Parameters
    ----------
    table : PatternTable
    source_weights : float64[m], optional
        What a vote of each source counts; 1 by default.
    """
    votes = _weighted_class_votes(table, source_weights)
    total = effective_votes(table, source_weights)
    return votes / np.where(total > 0.0, total, 1.0)[:, None]


def majority_winners(table: PatternTable, source_weights: FloatArray | None = None) -> FloatArray:
    """Winner of each majority vote with ties shared, float64[P, k]; zero where nothing voted.

    Parameters
    ----------
    table : PatternTable
    source_weights : float64[m], optional
        What a vote of each source counts; 1 by default.
    """
    votes = _weighted_class_votes(table, source_weights)
    # Sums of weights that are equal on paper differ in their last bits.
    winners = (votes >= votes.max(axis=1, keepdims=True) - WEIGHT_TOLERANCE) & (votes > 0)
    shared: FloatArray = winners / np.maximum(winners.sum(axis=1), 1)[:, None]
    return shared


def vote_incidence(table: PatternTable, dtype: type[np.generic]) -> sparse.csr_matrix:
    """Sparse [P, m * k] with a one where an LF voted for a class, in column j * k + v."""
    columns = table.lfs.astype(np.int64) * table.n_classes + table.labels
    return sparse.csr_matrix(
        (np.ones(len(columns), dtype=dtype), columns, table.indptr),
        shape=(len(table), table.n_lfs * table.n_classes),
    )


def sum_over_votes(table: PatternTable, per_vote: FloatArray) -> FloatArray:
    """Sum for each pattern of its votes' rows of `per_vote` [m, k, k]; float64[P, k]."""
    k = table.n_classes
    if table.n_lfs == 0:
        return np.zeros((len(table), k))
    weights = np.ascontiguousarray(per_vote.reshape(table.n_lfs * k, k))
    return np.asarray(vote_incidence(table, np.float64) @ weights)


def sum_by_vote(table: PatternTable, per_pattern: IntArray) -> IntArray:
    """Exact sum for each LF and vote of `per_pattern` [P, k]; int64[m, k, k]."""
    k = table.n_classes
    if table.n_lfs == 0:
        return np.zeros((0, k, k), dtype=np.int64)
    summed = vote_incidence(table, np.int64).T @ np.ascontiguousarray(per_pattern)
    return np.asarray(summed).reshape(table.n_lfs, k, k)


def vote_counts(table: PatternTable) -> IntArray:
    """Records in which each LF votes for each class, int64[m, k]."""
    weights = table.counts[:, None]
    if table.n_lfs == 0:
        return np.zeros((0, table.n_classes), dtype=np.int64)
    summed = vote_incidence(table, np.int64).T @ np.ascontiguousarray(weights)
    return np.asarray(summed).reshape(table.n_lfs, table.n_classes)


def one_hot(labels: IntArray, n_classes: int) -> FloatArray:
    """Rows with a one at their label, float64[n, k]."""
    result = np.zeros((len(labels), n_classes))
    result[np.arange(len(labels)), labels] = 1.0
    return result


def clamp_gold(table: PatternTable, posteriors: FloatArray) -> FloatArray:
    """Posteriors with the rows that have gold for the fit set to it; float64[P, k]."""
    known = np.flatnonzero(table.gold >= 0)
    if not len(known):
        return posteriors
    clamped = posteriors.copy()
    clamped[known] = one_hot(table.gold[known].astype(np.int64), table.n_classes)
    return clamped


def blend_gold(table: PatternTable, posteriors: FloatArray, params: Parameters) -> FloatArray:
    """Posteriors with the gold of records of the same votes taken in (docs, gold, last step).

    The gold that counts is that of the fit; gold in `table` is not looked at, so a posterior
    depends on the votes alone.
    """
    if not len(params.gold) or not len(table):
        return posteriors
    gold, hashes, counts = params.gold_index
    mine = table.row_hash()
    candidate = np.minimum(np.searchsorted(hashes, mine), len(hashes) - 1)
    rows = np.flatnonzero((hashes[candidate] == mine) & (table.n_votes > 0))
    rows = rows[_same_votes(table, rows, gold, candidate[rows])]
    observed = counts[candidate[rows]]
    blended = posteriors.copy()
    blended[rows] = (GOLD_STRENGTH * posteriors[rows] + observed) / (
        GOLD_STRENGTH + observed.sum(axis=1, keepdims=True)
    )
    return blended


def _same_votes(
    table: PatternTable, rows: IntArray, other: PatternTable, other_rows: IntArray
) -> IntArray:
    """Positions in `rows` of the patterns that equal their partner; guards against collisions."""
    lengths = table.n_votes[rows]
    kept = np.flatnonzero(lengths == other.n_votes[other_rows])
    lengths = lengths[kept]
    mine = ragged_positions(table.indptr[:-1][rows[kept]], lengths)
    theirs = ragged_positions(other.indptr[:-1][other_rows[kept]], lengths)
    unequal = (table.lfs[mine] != other.lfs[theirs]) | (table.labels[mine] != other.labels[theirs])
    bad = np.unique(np.repeat(np.arange(len(kept)), lengths)[unequal])
    return np.delete(kept, bad)
