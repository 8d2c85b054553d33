"""Enhanced Bayesian classifier combination: subtypes of records on which sources err together."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma

from labelmodel.arrays import FloatArray, row_sum
from labelmodel.em import by_class
from labelmodel.em_state import EMState, EMTerms
from labelmodel.ibcc import IBCC, log_gamma_gain
from labelmodel.patterns import PatternTable
from labelmodel.rowhash import splitmix64
from labelmodel.validation import check_above_zero, check_seed


class EBCC(IBCC):
    """`IBCC` with subtypes of records in each class, on each of which sources err in their own way.

    Sources are independent given class and subtype, so that given the class alone they may err on
    the same records. Use it for crowds with many answers per task whose annotators share their
    mistakes. It has as many times the parameters of `IBCC` as there are subtypes, has many
    optima, and on some crowds is far worse than `DawidSkene`: compare on gold.

    Source: Li, Rubinstein and Cohn, "Exploiting worker correlation for label aggregation in
    crowdsourcing", ICML 2019, section 4 and algorithm 1. The start spreads each vote share over
    the subtypes by a random draw that depends on the votes and `random_state` alone; of several
    fits, the one with the largest last entry of `objective_`, the lower bound, is to be taken.

    Parameters
    ----------
    n_classes : int, optional
    n_subtypes : int
        Most subtypes of a class; those that nothing needs stay empty.
    prior_subtype : float
        Dirichlet parameter of the subtypes of a class, divided among them.
    prior_right, prior_wrong, prior_class, class_balance, max_iter, tol
        As for `IBCC`.
    random_state : int

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    >>> EBCC(n_subtypes=2).fit(votes).predict(votes).tolist()
    [0, 1, 0, 1, 0]
    """

    def __init__(
        self,
        n_classes: int | None = None,
        *,
        n_subtypes: int = 10,
        prior_subtype: float = 0.1,
        prior_right: float = 4.0,
        prior_wrong: float = 1.0,
        prior_class: float = 1.0,
        class_balance: FloatArray | str | None = None,
        max_iter: int = 200,
        tol: float = 1e-6,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            n_classes,
            prior_right=prior_right,
            prior_wrong=prior_wrong,
            prior_class=prior_class,
            class_balance=class_balance,
            max_iter=max_iter,
            tol=tol,
        )
        self.n_subtypes = n_subtypes
        self.prior_subtype = prior_subtype
        self.random_state = random_state

    def initial_state(self, n_lfs: int, n_classes: int) -> EMState:
        """State before any statistics."""
        check_above_zero(n_subtypes=self.n_subtypes, prior_subtype=self.prior_subtype)
        check_seed(self.random_state)
        return super().initial_state(n_lfs, n_classes)

    def _start(self, covered: PatternTable, shares: FloatArray) -> FloatArray:
        n_cells = shares.shape[1] * self.n_subtypes
        seeds = np.arange(n_cells, dtype=np.uint64) + np.uint64(self.random_state * n_cells)
        bits = splitmix64(covered.row_hash()[:, None] ^ splitmix64(seeds))
        uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        # Normalised exponentials are a draw from the uniform Dirichlet distribution.
        drawn = -np.log(uniform)
        totals = by_class(drawn, shares.shape[1])
        cells: FloatArray = drawn * np.repeat(shares / totals, self.n_subtypes, axis=1)
        return cells

    def _maximise(self, vote_mass: FloatArray, cell_mass: FloatArray, state: EMState) -> EMTerms:
        log_votes, bound = self._vote_terms(vote_mass, state)
        subtypes = cell_mass.reshape(state.n_classes, self.n_subtypes)
        class_mass = row_sum(subtypes)
        balance, log_balance, balance_bound = self._balance_terms(class_mass, state)
        prior = self.prior_subtype / self.n_subtypes
        log_subtypes = digamma(subtypes + prior)
        log_subtypes -= digamma(class_mass + self.prior_subtype)[:, None]
        bound += log_gamma_gain(prior, subtypes) - log_gamma_gain(self.prior_subtype, class_mass)
        bound += balance_bound - float((subtypes * log_subtypes).sum())
        log_cells = (log_balance[:, None] + log_subtypes).ravel()
        return EMTerms(balance, log_cells, log_votes, np.zeros((0, len(cell_mass))), bound)
