"""Sums and products over a block of patterns; sparse, so they cost what there are votes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from scipy import sparse

from labelmodel.arrays import (
    AnyArray,
    BoolArray,
    FloatArray,
    IndexArray,
    IntArray,
    ragged_positions,
)
from labelmodel.patterns import PatternTable
from labelmodel.state import Parameters
from labelmodel.vote_index import vote_cells
from labelmodel.vote_sums import sum_by_class, sum_by_pattern

GOLD_STRENGTH = 20.0
WEIGHT_TOLERANCE = 1e-9

UnseenVotes: TypeAlias = Callable[[IntArray, IntArray], FloatArray]
"""From LFs int64[u] and labels int64[u] of votes that a fit never saw to rows float64[u, k]."""


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
    return sum_by_pattern(table, source_weights[table.lfs])


def _weighted_class_votes(table: PatternTable, source_weights: FloatArray | None) -> FloatArray:
    """Votes of each pattern for each class, each counted by its source's weight; [P, k]."""
    if source_weights is None:
        return class_votes(table).astype(np.float64)
    return sum_by_class(table, source_weights[table.lfs])


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
    return shared_winners(_weighted_class_votes(table, source_weights))


def shared_winners(votes: AnyArray) -> FloatArray:
    """Largest entries of each row, a one shared among them; number[P, k] -> float64[P, k]."""
    # Sums of weights that are equal on paper differ in their last bits.
    winners = (votes >= votes.max(axis=1, keepdims=True) - WEIGHT_TOLERANCE) & (votes > 0)
    shared: FloatArray = winners / np.maximum(winners.sum(axis=1), 1)[:, None]
    return shared


def covered_patterns(table: PatternTable) -> PatternTable:
    """Patterns that have a vote; the table itself where all do."""
    voted = table.n_votes > 0
    return table if voted.all() else table.take(voted)


def votes_of(table: PatternTable, sources: BoolArray) -> PatternTable:
    """The same rows with the votes of some sources only, bool[m]; rows may come to be equal."""
    kept = sources[table.lfs]
    before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept, dtype=np.int64)])
    return replace(
        table, indptr=before[table.indptr], lfs=table.lfs[kept], labels=table.labels[kept]
    )


def vote_incidence(
    table: PatternTable, columns: IndexArray, n_columns: int, dtype: type[np.generic]
) -> sparse.csr_matrix:
    """Sparse [P, n_columns] with a one in the column of each vote."""
    return sparse.csr_matrix(
        (np.ones(len(columns), dtype=dtype), columns, table.indptr.astype(np.int32)),
        shape=(len(table), n_columns),
    )


def sum_over_votes(
    table: PatternTable, numbers: IndexArray, per_vote: FloatArray, unseen: UnseenVotes
) -> FloatArray:
    """Sum for each pattern of what its votes have.

    Parameters
    ----------
    table : PatternTable
    numbers : int[nnz]
        Of its votes, from `VoteIndex.numbers_of`.
    per_vote : float64[S, k]
    unseen : callable
        Rows float64[u, k] of votes that the index does not have, from their LFs and labels.

    Returns
    -------
    float64[P, k]
    """
    new = np.flatnonzero(numbers < 0)
    if len(new):
        unseen_cells = vote_cells(table)[new].astype(np.int64)
        cells, group = np.unique(unseen_cells, return_inverse=True)
        numbers = numbers.copy()
        numbers[new] = len(per_vote) + group
        rows = unseen(cells // table.n_classes, cells % table.n_classes)
        per_vote = np.concatenate([per_vote, rows])
    return sum_rows(table, numbers, per_vote)


def sum_rows(table: PatternTable, numbers: IndexArray, per_vote: FloatArray) -> FloatArray:
    """`sum_over_votes` of votes that all have a row; int[nnz], float64[S, k] -> float64[P, k]."""
    incidence = vote_incidence(table, numbers, len(per_vote), np.float64)
    return np.asarray(incidence @ np.ascontiguousarray(per_vote))


def sum_by_vote(
    table: PatternTable, numbers: IndexArray, n_votes: int, per_pattern: IntArray
) -> IntArray:
    """Exact sum for each of S = `n_votes` votes of `per_pattern` [P, k]; int64[S, k].

    `numbers` int[nnz] are those of the table's votes, none of them unseen.
    """
    incidence = vote_incidence(table, numbers, n_votes, np.int64)
    return np.asarray(incidence.T @ np.ascontiguousarray(per_pattern))


def vote_counts(table: PatternTable) -> IntArray:
    """Records in which each LF votes for each class, int64[m, k]."""
    # Float sums are exact: a block of fewer than 2**53 records holds whole numbers.
    counted = np.bincount(
        vote_cells(table),
        weights=np.repeat(table.counts, table.n_votes),
        minlength=table.n_lfs * table.n_classes,
    )
    return counted.astype(np.int64).reshape(table.n_lfs, table.n_classes)


def one_hot(labels: AnyArray, n_classes: int) -> IntArray:
    """Rows with a one at their label, int64[n, k]."""
    result = np.zeros((len(labels), n_classes), dtype=np.int64)
    result[np.arange(len(labels)), labels] = 1
    return result


def clamp_gold(table: PatternTable, posteriors: FloatArray) -> FloatArray:
    """Posteriors with the rows that have gold for the fit set to it; float64[P, k]."""
    known = np.flatnonzero(table.gold >= 0)
    if not len(known):
        return posteriors
    clamped = posteriors.copy()
    clamped[known] = one_hot(table.gold[known], table.n_classes)
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
