"""Labeling functions at a glance: coverage, overlap, conflict and accuracy, from patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray
from labelmodel.blocks import class_votes, majority_winners, vote_counts
from labelmodel.patterns import PatternTable


@dataclass(frozen=True)
class LFAnalysis:
    """What each labeling function does, as Snorkel's LFAnalysis defines it.

    Shares are of all records, those without votes included.

    Attributes
    ----------
    n_records, n_covered, n_overlap, n_conflict : int
        Records; those with a vote, with two votes or more, with votes for unlike classes.
    votes : int64[m]
        Votes of each LF.
    class_votes : int64[m, k]
        Votes of each LF for each class.
    coverage, overlap, conflict : float64[m]
        Share of records on which the LF votes; on which another votes too; on which another
        votes for a different class.
    gold_correct, gold_n : int64[m]
        Right votes of each LF, and its votes, on records with `eval_gold`.
    majority_balance : float64[k]
        Share of each class in the majority vote of covered records, ties shared; zero
        without votes.
    """

    n_records: int
    n_covered: int
    n_overlap: int
    n_conflict: int
    votes: IntArray
    class_votes: IntArray
    coverage: FloatArray
    overlap: FloatArray
    conflict: FloatArray
    gold_correct: IntArray
    gold_n: IntArray
    majority_balance: FloatArray

    @property
    def gold_accuracy(self) -> FloatArray:
        """Share of right votes on records with `eval_gold`, float64[m]; nan without any."""
        result = np.full(len(self.gold_n), np.nan)
        known = self.gold_n > 0
        result[known] = self.gold_correct[known] / self.gold_n[known]
        return result

    @property
    def polarity(self) -> list[list[int]]:
        """Classes that each LF votes for, ascending."""
        return [np.flatnonzero(row).tolist() for row in self.class_votes]


def analyse(table: PatternTable) -> LFAnalysis:
    """Analyse the labeling functions of a table of patterns.

    Parameters
    ----------
    table : PatternTable
        Patterns without votes count as records.

    Returns
    -------
    LFAnalysis
    """
    per_class = class_votes(table)
    conflicting = (per_class > 0).sum(axis=1) > 1
    overlapping = table.n_votes > 1
    covered = table.n_votes > 0
    rows = np.repeat(np.arange(len(table)), table.n_votes)
    judged = table.eval_gold[rows] >= 0
    right = judged & (table.labels == table.eval_gold[rows])
    counted = vote_counts(table)
    votes = counted.sum(axis=1)
    records = max(table.n_records, 1)
    winners = (majority_winners(table) * table.counts[:, None]).sum(axis=0)

    def per_lf(entries: AnyArray) -> IntArray:
        chosen = np.flatnonzero(entries)
        sums = np.zeros(table.n_lfs, dtype=np.int64)
        np.add.at(sums, table.lfs[chosen], table.counts[rows[chosen]])
        return sums

    return LFAnalysis(
        n_records=table.n_records,
        n_covered=int(table.counts[covered].sum()),
        n_overlap=int(table.counts[overlapping].sum()),
        n_conflict=int(table.counts[conflicting].sum()),
        votes=votes,
        class_votes=counted,
        coverage=votes / records,
        overlap=per_lf(overlapping[rows]) / records,
        conflict=per_lf(conflicting[rows]) / records,
        gold_correct=per_lf(right),
        gold_n=per_lf(judged),
        majority_balance=winners / max(int(table.counts[covered].sum()), 1),
    )
