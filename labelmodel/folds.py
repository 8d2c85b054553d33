"""Gold records dealt into folds: what cross-validation on gold fits on and scores.

A fold takes the gold of its records out of the fit, not the records: their votes stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from labelmodel.arrays import IntArray
from labelmodel.errors import VotesError
from labelmodel.patterns import PatternTable, merge_patterns

MIN_GOLD = 2


def gold_folds(
    table: PatternTable, n_folds: int = 5, random_state: int = 0
) -> Iterator[tuple[PatternTable, PatternTable]]:
    """Deal the records with gold into folds, each class evenly.

    Parameters
    ----------
    table : PatternTable
        With gold for the fit.
    n_folds : int
        At least 2; no more folds are made than there are gold records.
    random_state : int
        Seed of the deal; the same table and seed give the same folds.

    Yields
    ------
    train : PatternTable
        All records, those of the fold without their gold.
    held_out : PatternTable
        The records of the fold, with their gold.

    Raises
    ------
    VotesError
        Fewer than two folds or two gold records.

    Notes
    -----
    Source: Kohavi, "A study of cross-validation and bootstrap", 1995 (stratified folds).
    """
    judged = table.take(table.gold >= 0)
    if n_folds < 2 or judged.n_records < MIN_GOLD:
        raise VotesError(
            f"cross-validation needs two folds and two gold records, got {n_folds=} and "
            f"{judged.n_records} gold records"
        )
    for held in _deal(judged, n_folds, random_state):
        held_out = _with_counts(judged, held)
        rest = _with_counts(judged, judged.counts - held)
        blind = replace(held_out, gold=np.full(len(held_out), -1, dtype=np.int16))
        train = merge_patterns([table.take(table.gold < 0), rest, blind])
        yield train, held_out


def _deal(judged: PatternTable, n_folds: int, random_state: int) -> Iterator[IntArray]:
    """Records of each pattern that each fold holds out, int64[P]."""
    rows = np.repeat(np.arange(len(judged)), judged.counts)
    shuffled = np.random.default_rng(random_state).permutation(rows)
    dealt = shuffled[np.argsort(judged.gold[shuffled], kind="stable")]
    for fold in range(min(n_folds, len(dealt))):
        yield np.bincount(dealt[fold::n_folds], minlength=len(judged)).astype(np.int64)


def _with_counts(table: PatternTable, counts: IntArray) -> PatternTable:
    kept = np.flatnonzero(counts > 0)
    return replace(table.take(kept), counts=counts[kept])
