"""Independent Bayesian classifier combination: Dawid and Skene's model with priors, no point."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln

from labelmodel.arrays import FloatArray
from labelmodel.em import EMModel
from labelmodel.em_state import EMState, EMTerms
from labelmodel.validation import check_above_zero


class IBCC(EMModel):
    """Dawid and Skene's model with a posterior over confusion matrices in place of an estimate.

    Use it in place of `DawidSkene` where some annotators answered few tasks: the prior says that
    annotators are more often right than not, and uncertainty about an annotator keeps the
    probabilities from running to 0 and 1.

    Source: Kim and Ghahramani, "Bayesian classifier combination", AISTATS 2012, section 2, fitted
    by mean-field variational Bayes as Simpson et al. 2013 (equations 6 to 14). Assumes that answers
    are independent given the class, and that a source that did not vote was not asked.
    `objective_` is the variational lower bound.

    Parameters
    ----------
    n_classes : int, optional
    prior_right, prior_wrong : float
        Dirichlet parameters of an answer that is right and of each that is wrong.
    prior_class : float
        Dirichlet parameter of each class where the class balance is learned.
    class_balance : float[k] or "gold", optional
    max_iter : int
    tol : float
        As for `EMModel`.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    >>> IBCC().fit(votes).predict(votes).tolist()
    [0, 1, 0, 1, 0]
    """

    def __init__(
        self,
        n_classes: int | None = None,
        *,
        prior_right: float = 4.0,
        prior_wrong: float = 1.0,
        prior_class: float = 1.0,
        class_balance: FloatArray | str | None = None,
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        super().__init__(n_classes, class_balance=class_balance, max_iter=max_iter, tol=tol)
        self.prior_right = prior_right
        self.prior_wrong = prior_wrong
        self.prior_class = prior_class

    def initial_state(self, n_lfs: int, n_classes: int) -> EMState:
        """State before any statistics."""
        check_above_zero(
            prior_right=self.prior_right,
            prior_wrong=self.prior_wrong,
            prior_class=self.prior_class,
        )
        return super().initial_state(n_lfs, n_classes)

    def _maximise(self, vote_mass: FloatArray, cell_mass: FloatArray, state: EMState) -> EMTerms:
        log_votes, bound = self._vote_terms(vote_mass, state)
        balance, log_balance, balance_bound = self._balance_terms(cell_mass, state)
        nothing = np.zeros((0, len(cell_mass)))
        return EMTerms(balance, log_balance, log_votes, nothing, bound + balance_bound)

    def _vote_terms(self, vote_mass: FloatArray, state: EMState) -> tuple[FloatArray, float]:
        """Expected log-probability of each vote, float64[S, c], and its part of the bound."""
        index, k = state.index, state.n_classes
        prior = np.full((len(index), k), self.prior_wrong)
        prior[np.arange(len(index)), index.labels] = self.prior_right
        prior = np.repeat(prior, vote_mass.shape[1] // k, axis=1)
        prior_total = self.prior_right + (k - 1) * self.prior_wrong
        counted = index.by_lf(vote_mass)
        log_votes = digamma(prior + vote_mass) - digamma(prior_total + counted)[index.lfs]
        bound = log_gamma_gain(prior, vote_mass) - log_gamma_gain(prior_total, counted)
        return log_votes, bound - float((vote_mass * log_votes).sum())

    def _balance_terms(
        self, class_mass: FloatArray, state: EMState
    ) -> tuple[FloatArray, FloatArray, float]:
        """Class balance, its expected logarithm, and its part of the bound."""
        if not self._learns_balance:
            return *self._balance(class_mass, state), 0.0
        prior, k, total = self.prior_class, state.n_classes, class_mass.sum()
        balance = (class_mass + prior) / (total + k * prior)
        log_balance = digamma(class_mass + prior) - digamma(total + k * prior)
        bound = log_gamma_gain(prior, class_mass) - log_gamma_gain(k * prior, total)
        return balance, log_balance, bound - float((class_mass * log_balance).sum())


def log_gamma_gain(prior: FloatArray | float, counted: FloatArray) -> float:
    """Sum of what counts add to the log-gamma of Dirichlet parameters."""
    return float((gammaln(prior + counted) - gammaln(prior)).sum())
