"""Majority vote: the baseline, and what a model that cannot be trusted falls back to."""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.base import BaseLabelModel
from labelmodel.blocks import majority_winners, vote_shares
from labelmodel.errors import VotesError
from labelmodel.patterns import PatternTable


class MajorityVote(BaseLabelModel):
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

    def __init__(
        self, n_classes: int | None = None, class_balance: FloatArray | None = None
    ) -> None:
        super().__init__(n_classes)
        self.class_balance = class_balance

    @classmethod
    def from_balance(cls, class_balance: FloatArray, n_lfs: int) -> MajorityVote:
        """Fitted model with this class balance, for votes of `n_lfs` LFs."""
        model = cls(len(class_balance), class_balance)
        model.n_classes_, model.n_lfs_ = len(class_balance), n_lfs
        model.class_balance_ = np.array(class_balance)
        return model

    def winners(self, table: PatternTable) -> FloatArray:
        """Winner of each pattern with ties shared evenly, float64[P, k].

        Patterns without votes get the class balance.
        """
        self._check_fitted()
        result = majority_winners(self._checked(table))
        result[table.n_votes == 0] = self.class_balance_
        return result

    def _fit(self, table: PatternTable) -> None:
        k = table.n_classes
        if self.class_balance is None:
            self.class_balance_ = np.full(k, 1.0 / k)
            return
        balance = np.asarray(self.class_balance, dtype=np.float64)
        if balance.shape != (k,) or not (balance >= 0.0).all() or not balance.sum() > 0.0:
            raise VotesError(f"class_balance must be {k} non-negative numbers, got {balance}")
        self.class_balance_ = balance / balance.sum()

    def _posteriors(self, table: PatternTable) -> FloatArray:
        result = vote_shares(table)
        result[table.n_votes == 0] = self.class_balance_
        return result
