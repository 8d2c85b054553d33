"""Dawid and Skene's model: a confusion matrix per source."""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.em import EMModel
from labelmodel.em_state import MIN_PROBABILITY, EMState, EMTerms
from labelmodel.errors import VotesError
from labelmodel.validation import check_at_least_zero


class DawidSkene(EMModel):
    """Every source j answers v to a record of class y with a probability T[j, v, y] of its own.

    Use it for crowds whose annotators answered many tasks each and confuse some classes more
    than others. Labeling functions that vote for one class each need ``abstain="symbol"``:
    without their abstains they look right always, whatever they vote on.

    Source: Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", Applied Statistics 28 (1979), equations 2.3 to 2.5. Assumes that answers are
    independent given the class. EM starts from vote shares. With the default smoothing the
    estimates are those of crowd-kit's ``DawidSkene`` after as many rounds.

    Parameters
    ----------
    n_classes : int, optional
    abstain : {"missing", "symbol"}
        A source that did not vote was not asked, or has given one more answer.
    smoothing : float
        Pseudo-count of every answer for each class: the estimate is that of the largest
        posterior density under a Dirichlet prior of 1 + smoothing.
    class_balance : float[k] or "gold", optional
    max_iter : int
    tol : float
        As for `EMModel`.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    >>> DawidSkene().fit(votes).predict(votes).tolist()
    [0, 1, 0, 1, 0]
    """

    def __init__(
        self,
        n_classes: int | None = None,
        *,
        abstain: str = "missing",
        smoothing: float = 0.0,
        class_balance: FloatArray | str | None = None,
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        super().__init__(n_classes, class_balance=class_balance, max_iter=max_iter, tol=tol)
        self.abstain = abstain
        self.smoothing = smoothing

    def initial_state(self, n_lfs: int, n_classes: int) -> EMState:
        """State before any statistics."""
        if self.abstain not in ("missing", "symbol"):
            raise VotesError(f'abstain={self.abstain!r} is neither "missing" nor "symbol"')
        check_at_least_zero(smoothing=self.smoothing)
        return super().initial_state(n_lfs, n_classes)

    def _maximise(self, vote_mass: FloatArray, cell_mass: FloatArray, state: EMState) -> EMTerms:
        index, smoothing = state.index, self.smoothing
        answered = np.maximum(vote_mass, MIN_PROBABILITY) + smoothing
        # Answers that never occur have their pseudo-count and nothing else.
        unseen = (state.n_classes - index.votes_per_lf())[:, None]
        total = index.by_lf(answered) + smoothing * unseen
        skipped = np.zeros((0, state.n_classes))
        if self.abstain == "symbol":
            skipped = cell_mass - index.by_lf(vote_mass)
            skipped = np.maximum(skipped, MIN_PROBABILITY) + smoothing
            total += skipped
        # A silent source without smoothing has no answer at all to normalise.
        log_total = np.log(np.maximum(total, MIN_PROBABILITY))
        log_votes = np.log(answered) - log_total[index.lfs]
        log_abstain = np.log(skipped) - log_total if len(skipped) else skipped
        log_prior = 0.0
        if smoothing:
            log_unseen = unseen * (np.log(smoothing) - log_total)
            log_prior = smoothing * float(log_votes.sum() + log_abstain.sum() + log_unseen.sum())
        if len(log_abstain):
            log_votes -= log_abstain[index.lfs]
        balance, log_balance = self._balance(cell_mass, state)
        return EMTerms(balance, log_balance, log_votes, log_abstain, log_prior)
