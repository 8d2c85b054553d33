"""What travels between the steps of `em`: the terms of an M step, and the state of a fit.

There are c cells: the classes, or the subtypes of the first class, of the second and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.vote_index import VoteIndex

MIN_PROBABILITY = 1e-10
"""Floor of probabilities before their logarithm is taken."""


@dataclass(frozen=True)
class EMTerms:
    """What an M step makes of the posterior mass.

    Attributes
    ----------
    class_balance : float64[k]
    log_balance : float64[c]
        What enters the score for the class balance.
    log_votes : float64[S, c]
        What enters for a vote, less what would have entered for abstaining.
    log_abstain : float64[m, c] or float64[0, c]
        What enters for a source that does not vote; no rows where that says nothing.
    log_prior : float
        What the objective adds to the log-likelihood: the log-density of the parameters under
        their prior, or minus the divergence of their posterior from it.
    """

    class_balance: FloatArray
    log_balance: FloatArray
    log_votes: FloatArray
    log_abstain: FloatArray
    log_prior: float


@dataclass(frozen=True)
class EMState:
    """State of an EM fit.

    Attributes
    ----------
    stage : {"start", "em", "done"}
    n_lfs, n_classes : int
    class_balance : float64[k]
    index : VoteIndex
        The S votes that occur.
    n_votes : int
        Votes over all records.
    log_base : float64[c]
        Score of a record before its votes.
    log_votes : float64[S, c]
        What a vote adds to the score.
    log_unseen : float64[k, k]
        Log-probability of a vote by class over all sources, [vote, class].
    log_abstain : float64[m, c] or float64[0, c]
        The part of `log_base` that a vote of the source takes back; no rows for none.
    log_prior : float
        Part of the objective that does not depend on the votes.
    rounds : int
        E steps so far; the first gives vote shares.
    objective : tuple of float
        After each E step but the first.
    converged : bool
    lf_accuracy : float64[m]
        Posterior-weighted share of each source's votes that are right; nan without votes.
    """

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    index: VoteIndex
    n_votes: int
    log_base: FloatArray
    log_votes: FloatArray
    log_unseen: FloatArray
    log_abstain: FloatArray
    log_prior: float
    rounds: int
    objective: tuple[float, ...]
    converged: bool
    lf_accuracy: FloatArray

    def unseen_votes(self, lfs: IntArray, labels: IntArray) -> FloatArray:
        """What votes that the fit never saw add, float64[u, c]: what an average source's would."""
        subtypes = len(self.log_base) // self.n_classes
        rows = np.repeat(self.log_unseen[labels], subtypes, axis=1)
        return rows - self.log_abstain[lfs] if len(self.log_abstain) else rows
