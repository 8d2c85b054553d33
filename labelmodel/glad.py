"""GLAD: annotators of different ability on records of different difficulty."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from labelmodel.arrays import FloatArray, IntArray, softmax, softmax_and_log_sum
from labelmodel.blocks import covered_patterns, vote_counts
from labelmodel.class_balance import given_or_uniform
from labelmodel.easiness import PRIOR_MEAN, best_easiness, score_classes, vote_sigmoids
from labelmodel.fixedpoint import check_record_count, exact_sum, exact_sum_to_float
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel, check_shape, check_stage
from labelmodel.state import Statistics
from labelmodel.validation import check_at_least_zero
from labelmodel.vote_sums import (
    exact_by_lf,
    joined,
    keep_gold,
    pattern_of_votes,
    split_fixed,
)


@dataclass(frozen=True)
class GLADState:
    """Parameters of `GLAD`: abilities `alpha` [m], votes [m], the objective before each round."""

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    alpha: FloatArray
    votes: IntArray
    objective: FloatArray
    converged: bool


class GLAD(StagedModel[GLADState]):
    """Generative model of labels, abilities and difficulties.

    Annotator j is right on record i with probability sigmoid(alpha_j beta_i) and otherwise gives
    any other class, with priors N(1, 1) on alpha_j and on log beta_i. Records with the same votes
    have the same best beta, so it is found for each pattern in the E step, from alpha alone; the
    M step moves alpha by one step of a bound of the logistic function, which cannot lower the
    posterior density.

    Use it on crowds where some records are plainly harder than others. It assumes that a record
    on which somebody did not vote was not shown to them and that all wrong classes are equally
    likely; with few votes a record its difficulty is mostly prior.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k], optional
        Prior of the classes, uniform by default as in the paper; it is not learned. The class of
        records with gold for the fit is fixed.
    max_iter : int
    tol : float
        The fit stops when the objective per record rises by no more than this.

    Attributes
    ----------
    class_balance_ : float64[k]
    alpha_ : float64[m]
        Ability; 0 is guessing, negative is worse. 1, the prior mean, for who never voted.
    lf_accuracy_ : float64[m]
        sigmoid(alpha_j e), the accuracy on a record of the prior's difficulty; nan without votes.
    objective_ : list of float
        Log-density of votes, abilities and difficulties before each round and at the end.
    n_iter_ : int
    converged_ : bool
    warnings_ : list of str

    Notes
    -----
    Source: Whitehill et al., "Whose vote should count more", 2009, equations 1 to 6; several
    classes as in its section 2 and crowd-kit. The bound is that of Jaakkola and Jordan, "A
    variational approach to Bayesian logistic regression models", 1997.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0]])
    >>> model = GLAD().fit(votes)
    >>> bool(model.alpha_[0] > model.alpha_[2])
    True
    """

    state_type: ClassVar = GLADState
    alpha_: FloatArray
    lf_accuracy_: FloatArray
    objective_: list[float]
    n_iter_: int
    converged_: bool

    def __init__(
        self,
        n_classes: int | None = None,
        class_balance: FloatArray | str | None = None,
        *,
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.max_iter = max_iter
        self.tol = tol

    @property
    def max_stages(self) -> int:
        """Rounds, and one to score the last."""
        return self.max_iter + 1

    def initial_state(self, n_lfs: int, n_classes: int) -> GLADState:
        """Abilities at the mean of their prior."""
        check_at_least_zero(max_iter=self.max_iter)
        return GLADState(
            stage="em",
            n_lfs=n_lfs,
            n_classes=n_classes,
            class_balance=given_or_uniform(self.class_balance, n_classes),
            alpha=np.full(n_lfs, PRIOR_MEAN),
            votes=np.zeros(n_lfs, dtype=np.int64),
            objective=np.zeros(0),
            converged=False,
        )

    def expected_counts(self, block: PatternTable, state: GLADState) -> Statistics:
        """Slope and bound of the curvature in each ability, and the log-density."""
        check_shape(block, state)
        if state.stage != "em":
            return Statistics(state.stage)
        covered = covered_patterns(block)
        log_prior = keep_gold(covered, np.tile(np.log(state.class_balance), (len(covered), 1)))
        log_beta = best_easiness(covered, state.alpha, log_prior)
        scores = score_classes(covered, state.alpha, log_prior, log_beta)
        posterior, log_likelihood = softmax_and_log_sum(scores)
        log_density = log_likelihood - 0.5 * (log_beta - PRIOR_MEAN) ** 2
        rows = pattern_of_votes(covered)
        beta = np.exp(log_beta)[rows]
        right, curvature = vote_sigmoids(state.alpha[covered.lfs] * beta)
        slope = (posterior[rows, covered.labels] - right) * beta
        steps = np.hstack([split_fixed(slope), split_fixed(curvature * beta**2)])
        return Statistics(
            "em",
            {
                "steps": exact_by_lf(covered, steps * covered.counts[rows, None]),
                "objective": exact_sum(log_density, covered.counts),
                "votes": vote_counts(covered).sum(axis=1),
                "records": covered.counts.sum(keepdims=True),
            },
        )

    def m_step(self, statistics: Statistics, state: GLADState) -> GLADState:
        """Abilities after one step up."""
        check_stage(statistics, state)
        if state.stage != "em":
            return state
        sums = statistics.sums
        records = int(sums["records"][0])
        check_record_count(records)
        density = exact_sum_to_float(sums["objective"])
        density -= 0.5 * float(((state.alpha - PRIOR_MEAN) ** 2).sum())
        objective = np.append(state.objective, density)
        converged = not records or (
            len(objective) > 1 and bool(objective[-1] - objective[-2] <= self.tol * records)
        )
        scored = replace(state, votes=sums["votes"], objective=objective, converged=converged)
        if len(objective) > self.max_iter or converged:
            return replace(scored, stage="done")
        slope = joined(sums["steps"][:, :2]) - (state.alpha - PRIOR_MEAN)
        curvature = joined(sums["steps"][:, 2:]) + 1.0
        return replace(scored, alpha=state.alpha + slope / curvature)

    def posteriors(self, table: PatternTable, state: GLADState) -> FloatArray:
        """Posterior of each pattern at its best difficulty, float64[P, k]."""
        check_shape(table, state)
        log_prior = np.tile(np.log(state.class_balance), (len(table), 1))
        log_beta = best_easiness(table, state.alpha, log_prior)
        return softmax(score_classes(table, state.alpha, log_prior, log_beta))

    def set_state(self, state: GLADState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        self.alpha_ = state.alpha
        right, _ = vote_sigmoids(state.alpha * np.exp(PRIOR_MEAN))
        self.lf_accuracy_ = np.where(state.votes > 0, right, np.nan)
        self.objective_ = state.objective.tolist()
        self.n_iter_, self.converged_ = len(state.objective) - 1, state.converged
        self.warnings_ = []
        if not state.votes.any():
            self.warnings_.append("no source voted: every record gets the class balance")
        elif not state.converged:
            self.warnings_.append(f"EM did not converge within max_iter={self.max_iter} rounds")
        return self
