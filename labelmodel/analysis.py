"""Labeling functions at a glance: coverage, overlap, conflict and accuracy, from patterns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray
from labelmodel.blocks import class_votes, majority_winners, vote_counts
from labelmodel.fixedpoint import quantize, to_float
from labelmodel.patterns import PatternTable


@dataclass(frozen=True)
class LFAnalysis:
    """What each labeling function does, as Snorkel's LFAnalysis defines it.

    Counts of records; those of blocks of patterns add (`+`) to those of all, in any order.
    Shares are of all records, those without votes included.

    Attributes
    ----------
    n_records, n_covered, n_overlap, n_conflict : int
        Records; those with a vote, with two votes or more, with votes for unlike classes.
    class_votes : int64[m, k]
        Votes of each LF for each class.
    overlaps, conflicts : int64[m]
        Records on which the LF votes and another does too; on which another votes for a
        different class.
    gold_correct, gold_n : int64[m]
        Right votes of each LF, and its votes, on records with `eval_gold`.
    majority : int64[k]
        Records by majority vote, ties shared, in fixed point (`fixedpoint`).
    """

    n_records: int
    n_covered: int
    n_overlap: int
    n_conflict: int
    class_votes: IntArray
    overlaps: IntArray
    conflicts: IntArray
    gold_correct: IntArray
    gold_n: IntArray
    majority: IntArray

    def __add__(self, other: LFAnalysis) -> LFAnalysis:
        """Counts of both together, of the same LFs and classes."""
        return LFAnalysis(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    @property
    def votes(self) -> IntArray:
        """Votes of each LF, int64[m]."""
        result: IntArray = self.class_votes.sum(axis=1)
        return result

    @property
    def coverage(self) -> FloatArray:
        """Share of records on which each LF votes, float64[m]."""
        return self._share(self.votes)

    @property
    def overlap(self) -> FloatArray:
        """Share of records on which each LF and another vote, float64[m]."""
        return self._share(self.overlaps)

    @property
    def conflict(self) -> FloatArray:
        """Share of records on which another LF votes for a different class, float64[m]."""
        return self._share(self.conflicts)

    @property
    def majority_balance(self) -> FloatArray:
        """Share of each class in the majority vote of covered records, ties shared, float64[k].

        Zero without votes.
        """
        return to_float(self.majority) / max(self.n_covered, 1)

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

    def _share(self, records: IntArray) -> FloatArray:
        shares: FloatArray = records / max(self.n_records, 1)
        return shares


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
    conflicting = (class_votes(table) > 0).sum(axis=1) > 1
    overlapping = table.n_votes > 1
    covered = table.n_votes > 0
    rows = np.repeat(np.arange(len(table)), table.n_votes)
    judged = table.eval_gold[rows] >= 0
    right = judged & (table.labels == table.eval_gold[rows])
    shares = majority_winners(table)
    winners = np.zeros_like(shares, dtype=np.int64)
    winners[covered] = quantize(shares[covered])

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
        class_votes=vote_counts(table),
        overlaps=per_lf(overlapping[rows]),
        conflicts=per_lf(conflicting[rows]),
        gold_correct=per_lf(right),
        gold_n=per_lf(judged),
        majority=(winners * table.counts[:, None]).sum(axis=0),
    )
