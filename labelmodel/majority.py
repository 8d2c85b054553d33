"""Majority vote: the baseline, and what a model that cannot be trusted falls back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.blocks import majority_winners, vote_shares
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel
from labelmodel.state import Statistics
from labelmodel.validation import checked_balance


@dataclass(frozen=True)
class MajorityState:
    """All that majority vote knows: nothing is learned from votes."""

    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    stage: str = "done"


class MajorityVote(StagedModel[MajorityState]):
    """Posterior of a class is its share of the votes on the record.

    Parameters
    ----------
    n_classes : int, optional
    class_balance : float[k], optional
        Answer for records without votes, normalised to sum to one; uniform by default.

    Examples
    --------
    >>> model = MajorityVote(n_classes=2).fit(np.array([[0, 0, 1], [-1, 1, 1]]))
    >>> model.predict(np.array([[1, 0, 1], [0, -1, -1]])).tolist()
    [1, 0]
    """

    state_type: ClassVar = MajorityState
    max_stages = 0

    def winners(self, table: PatternTable) -> FloatArray:
        """Winner of each pattern with ties shared evenly, float64[P, k].

        Patterns without votes get the class balance.
        """
        self._check_fitted()
        result = majority_winners(self._checked(table))
        result[table.n_votes == 0] = self.class_balance_
        return result

    def initial_state(self, n_lfs: int, n_classes: int) -> MajorityState:
        """State that is done."""
        given = np.ones(n_classes) if self.class_balance is None else self.class_balance
        return MajorityState(n_lfs, n_classes, checked_balance(given, n_classes))

    def expected_counts(self, block: PatternTable, state: MajorityState) -> Statistics:
        """No statistics: nothing is learned."""
        return Statistics(state.stage)

    def m_step(self, statistics: Statistics, state: MajorityState) -> MajorityState:
        """Return the state as it is."""
        return state

    def posteriors(self, table: PatternTable, state: MajorityState) -> FloatArray:
        """Vote shares of each pattern, float64[P, k]."""
        result = vote_shares(table)
        result[table.n_votes == 0] = state.class_balance
        return result
