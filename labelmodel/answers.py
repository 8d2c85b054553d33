"""How a fitted model answers its votes, as counts that add over blocks of patterns.

Reports on functions (`lf_report`) and checks of the model (`checks`) are made from them, so both
can be had wherever the patterns are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.base import BaseLabelModel, break_ties
from labelmodel.blocks import (
    class_votes,
    covered_patterns,
    shared_winners,
    sum_by_vote,
    vote_counts,
    vote_shares,
)
from labelmodel.fixedpoint import ONE, quantize, to_float
from labelmodel.patterns import PatternTable
from labelmodel.staged import blocks_of
from labelmodel.vote_index import index_votes


@dataclass(frozen=True)
class AnswerCounts:
    """Answers of a model to the covered records of a block; `+` gives those of both blocks.

    Posterior mass is in fixed point (`fixedpoint`).

    Attributes
    ----------
    n_covered : int
        Records with a vote.
    not_finite : int
        Those whose posterior is not finite; vote shares stand for it in what follows.
    tied : int
        Records on which majority vote ties.
    overruled : int
        Records whose label has fewer votes than a class that wins the vote alone.
    class_mass : int64[k]
        Posterior mass of each class.
    agreement : int64[k, k]
        Records by label of the model and winner of the majority vote, ties shared, in fixed
        point.
    fit_gold : int64[k]
        Records with gold for the fit, by class.
    class_votes : int64[m, k]
        Votes of each function for each class.
    right : int64[m, k]
        Posterior mass of the class over the records with each vote for it.
    doubt : int64[m, k]
        Q (1 - Q) of the same, in fixed point.
    answered : int64[m, k]
        Posterior mass of each class over the records that a function votes on.
    """

    n_covered: int
    not_finite: int
    tied: int
    overruled: int
    class_mass: IntArray
    agreement: IntArray
    fit_gold: IntArray
    class_votes: IntArray
    right: IntArray
    doubt: IntArray
    answered: IntArray

    def __add__(self, other: AnswerCounts) -> AnswerCounts:
        """Counts of both together, of the same model."""
        return AnswerCounts(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    @property
    def labeled(self) -> FloatArray:
        """Records that get each label, float64[k]."""
        return to_float(self.agreement.sum(axis=1))

    @property
    def lift(self) -> FloatArray:
        """How many times as often as chance each function is right, float64[m].

        Expected right votes by what they would be if the function voted without looking: the
        sum of its votes for each class times the class's share of the covered records. nan for
        a function without votes.
        """
        by_chance = self.class_votes @ to_float(self.class_mass) / max(self.n_covered, 1)
        lift = np.full(len(by_chance), np.nan)
        np.divide(to_float(self.right.sum(axis=1)), by_chance, out=lift, where=by_chance > 0.0)
        return lift


def answer_counts(model: BaseLabelModel, table: PatternTable) -> AnswerCounts:
    """Count how a fitted model answers a table.

    Raises
    ------
    NotFittedError
        Before `fit`.
    VotesError
        A table of other LFs or classes than the model.
    """
    return reduce(add, (_of_block(model, covered_patterns(block)) for block in blocks_of(table)))


def _of_block(model: BaseLabelModel, covered: PatternTable) -> AnswerCounts:
    posterior = model.predict_proba(covered)
    bad = ~np.isfinite(posterior).all(axis=1)
    posterior[bad] = vote_shares(covered)[bad]
    labels = break_ties(posterior, model.class_balance_)
    votes = class_votes(covered)
    most = votes.max(axis=1, initial=0)
    tied = (votes == most[:, None]).sum(axis=1) > 1
    overruled = ~tied & (votes[np.arange(len(votes)), labels] < most)
    records = covered.counts[:, None]
    certain = quantize(posterior) * records
    agreement = np.zeros((covered.n_classes, covered.n_classes), dtype=np.int64)
    np.add.at(agreement, labels, quantize(shared_winners(votes)) * records)
    doubt = np.rint(posterior * (1.0 - posterior) * ONE).astype(np.int64) * records
    return AnswerCounts(
        covered.n_records,
        int(covered.counts[bad].sum()),
        int(covered.counts[tied].sum()),
        int(covered.counts[overruled].sum()),
        certain.sum(axis=0),
        agreement,
        _gold_classes(covered),
        *_by_vote(covered, certain, doubt),
    )


def _gold_classes(covered: PatternTable) -> IntArray:
    judged = covered.gold >= 0
    counted = np.zeros(covered.n_classes, dtype=np.int64)
    np.add.at(counted, covered.gold[judged], covered.counts[judged])
    return counted


def _by_vote(
    covered: PatternTable, certain: IntArray, doubt: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """`class_votes`, `right`, `doubt` and `answered` of a block."""
    cast = vote_counts(covered)
    index = index_votes(cast)
    numbers = index.numbers_of(covered)
    mass = sum_by_vote(covered, numbers, len(index), certain)
    doubt_mass = sum_by_vote(covered, numbers, len(index), doubt)
    right, right_doubt = np.zeros_like(cast), np.zeros_like(cast)
    right[index.lfs, index.labels] = index.at_own_label(mass)
    right_doubt[index.lfs, index.labels] = index.at_own_label(doubt_mass)
    return cast, right, right_doubt, index.by_lf(mass)
