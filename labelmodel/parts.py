"""What a fit of the default model learns of labeling functions, and what of annotators.

A job's sources are one kind or the other, or both kinds side by side; `state.Parameters` has the
part of each kind that there is. Arrays over votes are indexed [number of a vote in `index`,
class y].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from labelmodel.arrays import AnyArray, BoolArray, FloatArray, IntArray
from labelmodel.vote_index import VoteIndex

ABSTAIN_WEIGHT = 0.25


@dataclass(frozen=True)
class Part:
    """What both kinds have.

    Attributes
    ----------
    index : VoteIndex
        The votes of these sources that occur.
    class_balance : float64[k]
    emissions : float64[S, k]
        P(j votes v | y). Of functions the rest to one is abstaining.
    rounds_left : int
        EM rounds still to run.
    source_weights : float64[m] or None
        What a vote of each source counts; None where no source is a near-duplicate of another.
    """

    index: VoteIndex
    class_balance: FloatArray
    emissions: FloatArray
    rounds_left: int
    source_weights: FloatArray | None

    @cached_property
    def log_class_balance(self) -> FloatArray:
        """Logarithm of the class balance, float64[k]."""
        return np.log(self.class_balance)

    @cached_property
    def log_votes(self) -> FloatArray:
        """What each vote adds to the log-probability of each class, float64[S, k]."""
        return self._weighted(np.log(self.emissions), self.index.lfs)

    def log_unseen(self, lfs: IntArray, labels: IntArray) -> FloatArray:
        """What votes that the fit never saw add, float64[u, k]."""
        raise NotImplementedError

    def log_votes_of(self, lfs: AnyArray, labels: AnyArray) -> FloatArray:
        """What these votes add, whether the fit saw them or not; int[v] twice -> float64[v, k]."""
        numbers = self.index.numbers[lfs, labels]
        rows = self.log_unseen(lfs, labels)
        rows[numbers >= 0] = self.log_votes[numbers[numbers >= 0]]
        return rows

    def _weighted(self, logs: FloatArray, lfs: AnyArray) -> FloatArray:
        """Rows of logarithms times the weight of their sources; float64[n, k], int[n]."""
        return logs if self.source_weights is None else self.source_weights[lfs, None] * logs


@dataclass(frozen=True)
class FunctionPart(Part):
    """Labeling functions.

    Attributes
    ----------
    prior_emissions : float64[S, k]
        What `emissions` start from and are drawn to.
    prior_weights : float64[m]
        Weight of `prior_emissions` in covered records.
    multi_class : bool[m]
        Functions that vote for several classes.
    n_covered : int
        Records on which a function votes.
    """

    prior_emissions: FloatArray
    prior_weights: FloatArray
    multi_class: BoolArray
    n_covered: int

    @cached_property
    def log_abstain(self) -> FloatArray:
        """What abstaining adds to the log-probability of a class, float64[m, k]."""
        logs: FloatArray = ABSTAIN_WEIGHT * np.log1p(-self.index.by_lf(self.emissions))
        return self._weighted(logs, np.arange(self.index.n_lfs))

    def log_unseen(self, lfs: IntArray, labels: IntArray) -> FloatArray:
        """What votes that the fit never saw add: they are as right as a new function's."""
        single, multi = (
            np.log(unseen_precision(self.class_balance, several) / self.class_balance)
            for several in (False, True)
        )
        logs = np.where(self.multi_class[lfs][:, None], multi[labels], single[labels])
        return self._weighted(logs, lfs)


@dataclass(frozen=True)
class CrowdPart(Part):
    """Annotators.

    Attributes
    ----------
    pooled_confusion : float64[k, k] or None
        P(v | y) of the average annotator, [vote v, class y]; None before the first round is over.
    vote_mass : float64[S, k] or None
        At stage "rho": counts of the last round with their prior.
    source_mass : float64[m, k] or None
        The same, summed over the votes of each source.
    rho : float
        Dependence between votes on one record.
    """

    pooled_confusion: FloatArray | None = None
    vote_mass: FloatArray | None = None
    source_mass: FloatArray | None = None
    rho: float = 0.0

    def log_unseen(self, lfs: IntArray, labels: IntArray) -> FloatArray:
        """What votes that the fit never saw add: they are as right as the average annotator's."""
        if self.pooled_confusion is None:
            raise AssertionError("the first round answers with vote shares")
        return self._weighted(np.log(self.pooled_confusion[labels]), lfs)


def unseen_precision(class_balance: FloatArray, multi_class: bool) -> FloatArray:
    """Precision P(y | vote v) of a function that the fit has no vote v of, float64[k, k]."""
    k = len(class_balance)
    if multi_class:
        share = np.full((k, k), 0.3 / (k - 1))
        np.fill_diagonal(share, 0.7)
        share *= class_balance
        share /= share.sum(axis=1, keepdims=True)
        return share
    share = 0.25 * class_balance / (1.0 - class_balance)[:, None]
    np.fill_diagonal(share, 0.75)
    return share
