"""Weighted majority vote, with weights given or learned from agreement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray
from labelmodel.blocks import clamp_gold, covered_patterns, shared_winners
from labelmodel.errors import VotesError
from labelmodel.fixedpoint import check_record_count, quantize, to_float
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel
from labelmodel.state import Statistics
from labelmodel.validation import check_at_least_zero, checked_balance


@dataclass(frozen=True)
class WeightedVoteState:
    """State of a weighted vote.

    Attributes
    ----------
    stage : {"agreement", "done"}
    n_lfs, n_classes : int
    class_balance : float64[k]
    weights : float64[m]
    rounds_left : int
    """

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    weights: FloatArray
    rounds_left: int


class WeightedVote(StagedModel[WeightedVoteState]):
    """Posterior of a class is its share of the votes, each with the weight of its source.

    Use it as a baseline that is harder to beat than `MajorityVote` and cannot collapse, or
    where the weights are known. Learned weights are the share of a source's votes that agree
    with the winner of the vote under the last weights (ties shared; gold in the winner's place
    where it is known). One round is crowd-kit's ``Wawa`` (worker agreement with aggregate),
    several are the simple form of Li and Yu, "Error rate bounds and iterative weighted majority
    voting for crowdsourcing" (2014). Nothing is assumed about how sources err.

    Parameters
    ----------
    n_classes : int, optional
    weights : float[m], optional
        Non-negative; learned by default.
    n_rounds : int
        Rounds of learning, where the weights are not given.
    class_balance : float[k], optional
        Answer for records without votes; uniform by default.

    Attributes
    ----------
    weights_ : float64[m]
        A source that never voted has 1.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 1], [-1, 0, 1]])
    >>> WeightedVote().fit(votes).weights_.round(3).tolist()
    [1.0, 0.875, 0.375]
    """

    state_type: ClassVar = WeightedVoteState
    weights_: FloatArray

    def __init__(
        self,
        n_classes: int | None = None,
        *,
        weights: AnyArray | None = None,
        n_rounds: int = 1,
        class_balance: FloatArray | None = None,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.weights = weights
        self.n_rounds = n_rounds

    @property
    def max_stages(self) -> int:
        """One for each round of learning."""
        return self.n_rounds if self.weights is None else 0

    def initial_state(self, n_lfs: int, n_classes: int) -> WeightedVoteState:
        """Equal or given weights."""
        check_at_least_zero(n_rounds=self.n_rounds)
        weights = np.ones(n_lfs) if self.weights is None else np.array(self.weights, np.float64)
        if weights.shape != (n_lfs,) or not (np.isfinite(weights) & (weights >= 0.0)).all():
            raise VotesError(f"weights must be {n_lfs} finite non-negative numbers, got {weights}")
        given = np.ones(n_classes) if self.class_balance is None else self.class_balance
        return WeightedVoteState(
            stage="agreement" if self.max_stages else "done",
            n_lfs=n_lfs,
            n_classes=n_classes,
            class_balance=checked_balance(given, n_classes),
            weights=weights,
            rounds_left=self.max_stages,
        )

    def expected_counts(self, block: PatternTable, state: WeightedVoteState) -> Statistics:
        """Votes of each source, and those that agree with the winner."""
        if state.stage == "done":
            return Statistics("done")
        covered = covered_patterns(block)
        winners = shared_winners(_shares(covered, state))
        agreed = quantize(clamp_gold(covered, winners))
        rows = np.repeat(np.arange(len(covered)), covered.n_votes)
        counts = covered.counts[rows]
        agreement, votes = np.zeros((2, state.n_lfs), dtype=np.int64)
        np.add.at(agreement, covered.lfs, agreed[rows, covered.labels] * counts)
        np.add.at(votes, covered.lfs, counts)
        return Statistics(
            "agreement",
            {
                "agreement": agreement,
                "votes": votes,
                "records": covered.counts.sum(keepdims=True),
            },
        )

    def m_step(self, statistics: Statistics, state: WeightedVoteState) -> WeightedVoteState:
        """Weights of the next round."""
        if state.stage == "done":
            return state
        check_record_count(int(statistics.sums["records"][0]))
        votes = statistics.sums["votes"]
        weights = np.ones(state.n_lfs)
        np.divide(to_float(statistics.sums["agreement"]), votes, out=weights, where=votes > 0)
        left = state.rounds_left - 1
        return replace(
            state, weights=weights, rounds_left=left, stage="agreement" if left else "done"
        )

    def posteriors(self, table: PatternTable, state: WeightedVoteState) -> FloatArray:
        """Weighted vote shares, float64[P, k]; the class balance where no weight voted."""
        shares = _shares(table, state)
        shares[~shares.any(axis=1)] = state.class_balance
        return shares

    def set_state(self, state: WeightedVoteState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        self.weights_ = np.array(state.weights)
        return self


def _shares(table: PatternTable, state: WeightedVoteState) -> FloatArray:
    """Weighted share of the votes for each class, float64[P, k]; zero rows without weight."""
    k = table.n_classes
    rows = np.repeat(np.arange(len(table), dtype=np.int64), table.n_votes)
    sums = np.bincount(
        rows * k + table.labels, weights=state.weights[table.lfs], minlength=len(table) * k
    ).reshape(-1, k)
    total = sums.sum(axis=1, keepdims=True)
    shares: FloatArray = sums / np.where(total > 0.0, total, 1.0)
    return shares
