"""The default label model as an estimator; `default_stages` and the regimes are its mathematics."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from labelmodel.answers import answer_counts
from labelmodel.arrays import AnyArray, FloatArray, IntArray
from labelmodel.checks import Diagnosis, checks_of, vote_on_gold
from labelmodel.default_stages import MAX_STAGES, expected_counts, m_step, posteriors
from labelmodel.errors import ConvergenceWarning, LabelModelWarning, VotesError
from labelmodel.notices import Notice
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel
from labelmodel.state import Dependence, Parameters, Regime, Statistics, initial_parameters
from labelmodel.validation import checked_balance, checked_precisions


class LabelModel(StagedModel[Parameters]):
    """Learns from the votes how far each labeling function or annotator can be trusted.

    Tells labeling functions (abstaining is weak evidence) from annotators (a source that did not
    vote was not asked) by the votes, and fits the model for what it finds; where a job has both,
    each kind has its own, and they share the posterior. See docs/labelmodel.md.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k] or "gold", optional
        Given; or the share of each class in the gold records with votes, one added to each count.
        By default annotators' answers are learned from, and of labeling functions a flattened
        share of the majority vote is taken, which gold moves.
    dependence : {"near_duplicates"} or None
        Count sources that copy each other about as one, or take every source as its own.
    prec_init : float or float[m], optional
        Share of each source's votes taken to be right before the votes are seen, between 0 and 1
        exclusive; nan where it is not known. It is a prior: the votes and gold move it.
    gold_balance : int[k], optional
        Gold records of each class from which the class balance of labeling functions is learned;
        those of the gold for the fit by default. For gold that was not drawn at random.

    Attributes
    ----------
    class_balance_ : float64[k]
    uncovered_balance_ : float64[k]
        Answer for records without votes. Of labeling functions it is even, unless a class balance
        was given or gold tells of such records; of crowds it is the class balance.
    regime_ : {"lf", "crowd", "mixed"}
        Whether the sources were taken for labeling functions, annotators, or some for each.
    source_kinds_ : array[m] of {"function", "annotator"}
        What each source was taken for.
    lf_accuracy_ : float64[m]
        Learned precision: posterior-weighted share of the LF's votes that are right; nan for
        an LF that never voted.
    source_weights_ : float64[m]
        What a vote of each source counts: 1, and less in a group of near-duplicates.
    duplicate_groups_ : tuple of tuples of int
        Sources that vote as copies of each other (`dependence.find_near_duplicates`).
    notices_ : tuple of Notice
        What the fit found worth saying; `warnings_` has it in words.
    warnings_ : list of str
    diagnosis_ : Diagnosis or None
        Checks of the fit (`checks.checks_of`), with model and majority vote side by side on the
        gold for scoring where a `PatternTable` brings such; None for parameters that were read,
        or where nothing voted. A fit warns where the model is below majority vote on that gold,
        and where it decides many labels against or without a majority.
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
    source_kinds_: AnyArray
    notices_: tuple[Notice, ...]
    diagnosis_: Diagnosis | None
    fallback_: str | None
    parameters_: Parameters

    state_type: ClassVar = Parameters
    max_stages = MAX_STAGES

    def __init__(
        self,
        n_classes: int | None = None,
        class_balance: FloatArray | str | None = None,
        dependence: Dependence | None = "near_duplicates",
        prec_init: float | FloatArray | None = None,
        gold_balance: IntArray | None = None,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.dependence = dependence
        self.gold_balance = gold_balance
        self.prec_init = prec_init

    def initial_state(self, n_lfs: int, n_classes: int) -> Parameters:
        """Parameters before any statistics."""
        if self.dependence not in (None, "near_duplicates"):
            raise VotesError(f"dependence={self.dependence!r} is neither near_duplicates nor None")
        balance = None
        if self.class_balance is not None and not self._balance_from_gold:
            # A class of no probability at all would have log-probability -inf.
            balance = np.maximum(checked_balance(self.class_balance, n_classes), 1e-12)
            balance = balance / balance.sum()
        precision = None
        if self.prec_init is not None:
            precision = checked_precisions(self.prec_init, n_lfs)
            if ((precision <= 0.0) | (precision >= 1.0)).any():
                raise VotesError(f"prec_init={precision} must be between 0 and 1 exclusive, or nan")
        if self.gold_balance is not None:
            self._gold_classes(n_classes)
        return initial_parameters(n_lfs, n_classes, balance, self.dependence, precision)

    def _gold_classes(self, n_classes: int) -> IntArray:
        counts = np.asarray(self.gold_balance)
        whole = np.issubdtype(counts.dtype, np.integer)
        if counts.shape != (n_classes,) or not whole or (counts < 0).any():
            raise VotesError(
                f"gold_balance={self.gold_balance!r} must be {n_classes} numbers of records"
            )
        return counts.astype(np.int64)

    def expected_counts(self, block: PatternTable, state: Parameters) -> Statistics:
        """Statistics of a block (`default_stages.expected_counts`)."""
        return expected_counts(block, state)

    def m_step(self, statistics: Statistics, state: Parameters) -> Parameters:
        """Parameters of the next stage (`default_stages.m_step`)."""
        if state.stage == "start" and self._balance_from_gold:
            state = replace(state, given_balance=_balance_of(statistics.gold))
        if self.gold_balance is not None and statistics.stage in ("start", "restart"):
            told = {"gold_classes": self._gold_classes(state.n_classes)}
            statistics = replace(statistics, sums={**statistics.sums, **told})
        return m_step(statistics, state)

    @property
    def _balance_from_gold(self) -> bool:
        return isinstance(self.class_balance, str) and self.class_balance == "gold"

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
        self.source_kinds_ = np.where(state.are_functions, "function", "annotator")
        self.notices_ = state.notices
        self.warnings_ = [str(notice) for notice in state.notices]
        self.diagnosis_ = None
        self.fallback_ = state.fallback
        self.parameters_ = state
        return self

    def _fit(self, table: PatternTable) -> None:
        super()._fit(table)
        if self.parameters_.n_covered:
            self.diagnosis_ = checks_of(answer_counts(self, table), vote_on_gold(self, table))
            for check in self.diagnosis_.against_vote:
                warnings.warn(check.sentence, LabelModelWarning, stacklevel=3)

    def _notices(self) -> list[tuple[str, type[LabelModelWarning]]]:
        if self.fallback_ is not None:
            return [(self.fallback_, ConvergenceWarning)]
        if not self.parameters_.n_covered:
            return [(self.warnings_[0], LabelModelWarning)]
        return []


def _balance_of(gold: PatternTable | None) -> FloatArray:
    """Class shares of the gold for the fit on records with votes, float64[k]."""
    if gold is None:
        raise VotesError('class_balance="gold" needs covered records with gold')
    counted = np.bincount(gold.gold, gold.counts, minlength=gold.n_classes) + 1.0
    shares: FloatArray = counted / counted.sum()
    return shares
