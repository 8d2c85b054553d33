"""The default label model as an estimator; its mathematics is in the regime files and `em`."""

from __future__ import annotations

import warnings

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.base import BaseLabelModel
from labelmodel.em import posteriors, run
from labelmodel.errors import ConvergenceWarning, LabelModelWarning, ParametersError, VotesError
from labelmodel.patterns import PatternTable
from labelmodel.state import Dependence, Parameters, Regime


class LabelModel(BaseLabelModel):
    """Learns from the votes how far each labeling function or annotator can be trusted.

    Tells labeling functions (abstaining is weak evidence) from crowds (a source that did not
    vote was not asked) by the votes, and fits the model for the one it finds; see
    docs/labelmodel.md.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    dependence : {"near_duplicates"} or None
        Count sources that copy each other about as one, or take every source as its own.
    random_state : int
        Kept for the convention; the fit has no randomness.

    Attributes
    ----------
    class_balance_ : float64[k]
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
    warnings_: list[str]
    fallback_: str | None
    parameters_: Parameters

    def __init__(
        self,
        n_classes: int | None = None,
        random_state: int = 0,
        dependence: Dependence | None = "near_duplicates",
    ) -> None:
        super().__init__(n_classes)
        self.dependence = dependence
        self.random_state = random_state

    @classmethod
    def from_parameters(cls, params: Parameters) -> LabelModel:
        """Fitted model of the parameters that a distributed fit arrived at.

        Raises
        ------
        ParametersError
            Parameters of a fit that is not done.
        """
        model = cls(n_classes=params.n_classes)
        model._set(params)
        return model

    def _fit(self, table: PatternTable) -> None:
        if self.dependence not in (None, "near_duplicates"):
            raise VotesError(f"dependence={self.dependence!r} is neither near_duplicates nor None")
        self._set(run([table], self.dependence))
        if self.fallback_ is not None:
            warnings.warn(self.fallback_, ConvergenceWarning, stacklevel=3)
        elif not self.parameters_.n_covered:
            warnings.warn(self.warnings_[0], LabelModelWarning, stacklevel=3)

    def _set(self, params: Parameters) -> None:
        if params.stage != "done" or params.lf_precision is None:
            raise ParametersError(
                f"parameters of stage {params.stage!r} are not fitted; repeat m_step until 'done'"
            )
        self.n_classes_, self.n_lfs_ = params.n_classes, params.n_lfs
        self.class_balance_ = np.array(params.class_balance)
        self.regime_ = params.regime
        weights = params.source_weights
        self.source_weights_ = np.ones(params.n_lfs) if weights is None else weights.copy()
        self.duplicate_groups_ = params.duplicate_groups
        self.lf_accuracy_ = np.array(params.lf_precision)
        self.warnings_ = list(params.warnings)
        self.fallback_ = params.fallback
        self.parameters_ = params

    def _posteriors(self, table: PatternTable) -> FloatArray:
        return posteriors(table, self.parameters_)
