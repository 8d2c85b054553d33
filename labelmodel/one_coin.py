"""Models with one probability per source, or per source and class, of being right."""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.em import EMModel
from labelmodel.em_state import MIN_PROBABILITY, EMState, EMTerms
from labelmodel.validation import check_at_least_zero


class OneCoin(EMModel):
    """Every source j is right with probability a[j], whatever the class; errors spread evenly.

    Use it for crowds whose annotators answered few tasks each, where confusion matrices have
    more parameters than there are answers. It cannot learn that a source leans to one class.

    Source: Zhang, Chen, Zhou and Jordan, "Spectral methods meet EM: a provably optimal algorithm
    for crowdsourcing", JMLR 17 (2016), section 5 (one-coin model); for two classes the model of
    Ghosh, Kale and McAfee (2011). Assumes that answers are independent given the class, and that
    a source that did not vote was not asked.

    Parameters
    ----------
    n_classes : int, optional
    smoothing : float
        Pseudo-count of every answer: one right and k - 1 wrong ones.
    class_balance : float[k] or "gold", optional
    max_iter : int
    tol : float
        As for `EMModel`.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    >>> OneCoin().fit(votes).predict(votes).tolist()
    [0, 1, 0, 1, 0]
    """

    def __init__(
        self,
        n_classes: int | None = None,
        *,
        smoothing: float = 0.1,
        class_balance: FloatArray | str | None = None,
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        super().__init__(n_classes, class_balance=class_balance, max_iter=max_iter, tol=tol)
        self.smoothing = smoothing

    def initial_state(self, n_lfs: int, n_classes: int) -> EMState:
        """State before any statistics."""
        check_at_least_zero(smoothing=self.smoothing)
        return super().initial_state(n_lfs, n_classes)

    def _right_and_total(
        self, vote_mass: FloatArray, state: EMState
    ) -> tuple[FloatArray, FloatArray]:
        """Mass of right answers and of all, float64[m, 1]."""
        index = state.index
        right = index.by_lf(index.at_own_label(vote_mass))
        return right[:, None], index.by_lf(vote_mass.sum(axis=1))[:, None]

    def _maximise(self, vote_mass: FloatArray, cell_mass: FloatArray, state: EMState) -> EMTerms:
        index, k, smoothing = state.index, state.n_classes, self.smoothing
        right, total = self._right_and_total(vote_mass, state)
        # The bound is what a source without answers has where there is no smoothing.
        accuracy = (right + smoothing) / np.maximum(total + k * smoothing, MIN_PROBABILITY)
        accuracy = np.clip(accuracy, MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)
        log_right, log_wrong = np.log(accuracy), np.log((1.0 - accuracy) / (k - 1))
        log_votes = np.broadcast_to(log_wrong, (state.n_lfs, k))[index.lfs]
        own = np.broadcast_to(log_right, (state.n_lfs, k))[index.lfs, index.labels]
        log_votes[np.arange(len(index)), index.labels] = own
        log_prior = smoothing * float(log_right.sum() + (k - 1) * log_wrong.sum())
        balance, log_balance = self._balance(cell_mass, state)
        return EMTerms(balance, log_balance, log_votes, np.zeros((0, k)), log_prior)


class ClassConditionalOneCoin(OneCoin):
    """Every source j is right on class y with probability a[j, y]; its errors spread evenly.

    Use it where annotators differ in how well they know each class (sensitivity and specificity)
    but there are too few answers per annotator for what each class is taken for. For two
    classes it is Dawid and Skene's model.

    Source: the "homogeneous Dawid-Skene" of Li and Yu, "Error rate bounds and iterative weighted
    majority voting for crowdsourcing" (2014), with an accuracy per class. Assumptions and
    parameters as for `OneCoin`; the pseudo-counts are per class.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    >>> ClassConditionalOneCoin().fit(votes).predict(votes).tolist()
    [0, 1, 0, 1, 0]
    """

    def _right_and_total(
        self, vote_mass: FloatArray, state: EMState
    ) -> tuple[FloatArray, FloatArray]:
        """Mass of right answers and of all for each class, float64[m, k]."""
        index = state.index
        right = np.zeros((state.n_lfs, state.n_classes))
        right[index.lfs, index.labels] = index.at_own_label(vote_mass)
        return right, index.by_lf(vote_mass)
