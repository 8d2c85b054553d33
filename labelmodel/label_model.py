"""The default label model as an estimator; `default_stages` and the regimes are its mathematics."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.default_stages import MAX_STAGES, expected_counts, m_step, posteriors
from labelmodel.errors import ConvergenceWarning, LabelModelWarning, VotesError
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel
from labelmodel.state import Dependence, Parameters, Regime, Statistics, initial_parameters
from labelmodel.validation import checked_balance, checked_precisions


class LabelModel(StagedModel[Parameters]):
    """Learns from the votes how far each labeling function or annotator can be trusted.

    Tells labeling functions (abstaining is weak evidence) from crowds (a source that did not
    vote was not asked) by the votes, and fits the model for the one it finds; see
    docs/labelmodel.md.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    random_state : int
        Kept for the convention; the fit has no randomness.
    class_balance : float[k], optional
        Learned by default.
    dependence : {"near_duplicates"} or None
        Count sources that copy each other about as one, or take every source as its own.
    prec_init : float or float[m], optional
        Share of each source's votes taken to be right before the votes are seen, between 0 and 1
        exclusive; nan where it is not known. It is a prior: the votes and gold move it.

    Attributes
    ----------
    class_balance_ : float64[k]
    uncovered_balance_ : float64[k]
        Answer for records without votes. Of labeling functions it is even, unless a class balance
        was given or gold tells of such records; of crowds it is the class balance.
    regime_ : {"lf", "crowd"}
    lf_accuracy_ : float64[m]
        Learned precision: posterior-weighted share of the LF's votes that are right; nan for
        an LF that never voted.
    source_weights_ : float64[m]
        What a vote of each source counts: 1, and less in a group of near-duplicates.
    duplicate_groups_ : tuple of tuples of int
        Sources that vote as copies of each other (`dependence.find_near_duplicates`).
    warnings_ : list of str
    fallback_ : str or None
        Why majority vote answers in the model's place.
    parameters_ : Parameters

    Examples
    --------
    >>> votes = np.array([[0, 0, -1], [0, -1, 1], [-1, 1, 1], [0, 0, 1]])
    >>> model = LabelModel(n_classes=2).fit(votes)
    >>> model.predict_proba(votes).shape
    (4, 2)
    """

    regime_: Regime
    lf_accuracy_: FloatArray
    source_weights_: FloatArray
    duplicate_groups_: tuple[tuple[int, ...], ...]
    fallback_: str | None
    parameters_: Parameters

    state_type: ClassVar = Parameters
    max_stages = MAX_STAGES

    def __init__(
        self,
        n_classes: int | None = None,
        random_state: int = 0,
        class_balance: FloatArray | None = None,
        dependence: Dependence | None = "near_duplicates",
        prec_init: float | FloatArray | None = None,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.dependence = dependence
        self.prec_init = prec_init
        self.random_state = random_state

    def initial_state(self, n_lfs: int, n_classes: int) -> Parameters:
        """Parameters before any statistics."""
        if self.dependence not in (None, "near_duplicates"):
            raise VotesError(f"dependence={self.dependence!r} is neither near_duplicates nor None")
        balance = None
        if self.class_balance is not None:
            # A class of no probability at all would have log-probability -inf.
            balance = np.maximum(checked_balance(self.class_balance, n_classes), 1e-12)
            balance = balance / balance.sum()
        precision = None
        if self.prec_init is not None:
            precision = checked_precisions(self.prec_init, n_lfs)
            if ((precision <= 0.0) | (precision >= 1.0)).any():
                raise VotesError(f"prec_init={precision} must be between 0 and 1 exclusive, or nan")
        return initial_parameters(n_lfs, n_classes, balance, self.dependence, precision)

    def expected_counts(self, block: PatternTable, state: Parameters) -> Statistics:
        """Statistics of a block (`default_stages.expected_counts`)."""
        return expected_counts(block, state)

    def m_step(self, statistics: Statistics, state: Parameters) -> Parameters:
        """Parameters of the next stage (`default_stages.m_step`)."""
        return m_step(statistics, state)

    def posteriors(self, table: PatternTable, state: Parameters) -> FloatArray:
        """Posterior of each pattern (`default_stages.posteriors`), float64[P, k]."""
        return posteriors(table, state)

    def set_state(self, state: Parameters) -> Self:
        """Take over the parameters of a fit that is done."""
        super().set_state(state)
        self.uncovered_balance_ = np.array(state.uncovered_balance)
        self.regime_ = state.regime
        weights = state.source_weights
        self.source_weights_ = np.ones(state.n_lfs) if weights is None else weights.copy()
        self.duplicate_groups_ = state.duplicate_groups
        self.lf_accuracy_ = np.full(state.n_lfs, np.nan)
        if state.lf_precision is not None:
            self.lf_accuracy_ = np.array(state.lf_precision)
        self.warnings_ = list(state.warnings)
        self.fallback_ = state.fallback
        self.parameters_ = state
        return self

    def _notices(self) -> list[tuple[str, type[LabelModelWarning]]]:
        if self.fallback_ is not None:
            return [(self.fallback_, ConvergenceWarning)]
        if not self.parameters_.n_covered:
            return [(self.warnings_[0], LabelModelWarning)]
        return []
