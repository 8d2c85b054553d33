"""Bayesian weighted average: every annotator has one weight, every record an average of votes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from labelmodel.arrays import FloatArray, IntArray, row_sum
from labelmodel.blocks import clamp_gold, covered_patterns, vote_counts, vote_shares
from labelmodel.fixedpoint import (
    check_record_count,
    exact_sum,
    exact_sum_to_float,
    quantize,
    to_float,
)
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel, check_shape, check_stage
from labelmodel.state import Statistics
from labelmodel.validation import check_above_zero, check_at_least_zero, checked_balance
from labelmodel.vote_sums import (
    exact_by_lf,
    joined,
    pattern_of_votes,
    split_fixed,
    sum_by_class,
    sum_by_pattern,
)


@dataclass(frozen=True)
class BWAState:
    """Parameters of `BWA`: weights [m], expected right votes [m], votes [m], the objective."""

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    weights: FloatArray
    right: FloatArray
    votes: IntArray
    objective: FloatArray
    rounds: int
    converged: bool


class BWA(StagedModel[BWAState]):
    """Weighted averages of votes, whose weights fall with the distance from the average.

    A vote is the corner e_v of the simplex. Record i has a point z_i about the class balance mu,
    N(mu, 1/prior_strength), and annotator j a precision w_j, so that votes are N(z_i, 1/w_j) and
    w_j has a Gamma prior. Rounds go to the maximum in turn:

        z_i = (prior_strength mu + sum of w_j e_v) / (prior_strength + sum of w_j)
        w_j = (a + k n_j / 2) / (a (1 - 1/k) / 2 + sum of |e_v - z_i|^2 / 2)

    with a the `prior_votes`, and mu the mean of z. z_i is the posterior.

    Use it on crowds for probabilities that are not overconfident; it has one number for each
    annotator, so it does not learn which classes somebody mixes up. Abstaining says nothing.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k], optional
        Learned by default.
    prior_votes : float
        Strength a of the prior of the weights.
    prior_strength : float
        Weight of the class balance in the average of a record.
    max_iter : int
    tol : float
        A fit stops when a round adds less than this for each vote to the objective.

    Attributes
    ----------
    class_balance_ : float64[k]
    weights_ : float64[m]
        w_j.
    lf_accuracy_ : float64[m]
        Mean of z_i(v) over the votes of j; nan for an annotator who never voted.
    objective_ : list of float
        Log-density of votes, weights and points but for a constant, before each round from the
        second on and at the end. It never falls but by the rounding of points to 2^-24.
    n_iter_ : int
    converged_ : bool
    warnings_ : list of str

    Notes
    -----
    Source: Li, Rubinstein and Cohn, "Truth inference at scale", 2019, the model BWA. Here points
    and weights are at their joint maximum, without the variance of z_i.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 0]])
    >>> model = BWA().fit(votes)
    >>> bool(model.weights_[0] > model.weights_[2])
    True
    """

    state_type: ClassVar = BWAState
    weights_: FloatArray
    lf_accuracy_: FloatArray
    objective_: list[float]
    n_iter_: int
    converged_: bool

    def __init__(
        self,
        n_classes: int | None = None,
        class_balance: FloatArray | None = None,
        *,
        prior_votes: float = 15.0,
        prior_strength: float = 1.0,
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.prior_votes = prior_votes
        self.prior_strength = prior_strength
        self.max_iter = max_iter
        self.tol = tol

    @property
    def max_stages(self) -> int:
        """Rounds, and one to score the last."""
        return self.max_iter + 1

    def initial_state(self, n_lfs: int, n_classes: int) -> BWAState:
        """Equal weights; the first points are vote shares."""
        check_at_least_zero(max_iter=self.max_iter)
        check_above_zero(prior_votes=self.prior_votes, prior_strength=self.prior_strength)
        given = np.ones(n_classes) if self.class_balance is None else self.class_balance
        return BWAState(
            stage="em",
            n_lfs=n_lfs,
            n_classes=n_classes,
            class_balance=checked_balance(given, n_classes),
            weights=np.full(n_lfs, 2.0 / (1.0 - 1.0 / n_classes)),
            right=np.zeros(n_lfs),
            votes=np.zeros(n_lfs, dtype=np.int64),
            objective=np.zeros(0),
            rounds=0,
            converged=False,
        )

    def expected_counts(self, block: PatternTable, state: BWAState) -> Statistics:
        """Squared distances of votes by annotator, and of points from the class balance."""
        check_shape(block, state)
        if state.stage != "em":
            return Statistics(state.stage)
        covered = covered_patterns(block)
        points = self._points(covered, state) if state.rounds else vote_shares(covered)
        mass = quantize(clamp_gold(covered, points))
        points = to_float(mass)
        rows = pattern_of_votes(covered)
        own = points[rows, covered.labels]
        distance = 1.0 - 2.0 * own + row_sum(points**2)[rows]
        per_vote = np.hstack([split_fixed(distance), mass[rows, covered.labels][:, None]])
        by_lf = exact_by_lf(covered, per_vote * covered.counts[rows, None])
        return Statistics(
            "em",
            {
                "distance": by_lf[:, :2],
                "right": by_lf[:, 2],
                "class_mass": (mass * covered.counts[:, None]).sum(axis=0),
                "from_mean": exact_sum(
                    row_sum((points - state.class_balance) ** 2), covered.counts
                ),
                "votes": vote_counts(covered).sum(axis=1),
                "records": covered.counts.sum(keepdims=True),
            },
        )

    def m_step(self, statistics: Statistics, state: BWAState) -> BWAState:
        """Weights and class balance of the next round."""
        check_stage(statistics, state)
        if state.stage != "em":
            return state
        sums, k = statistics.sums, state.n_classes
        records, votes = int(sums["records"][0]), sums["votes"]
        check_record_count(records)
        shape = self.prior_votes + 0.5 * k * votes
        rate = 0.5 * (self.prior_votes * (1.0 - 1.0 / k) + joined(sums["distance"]))
        scored = replace(state, right=to_float(sums["right"]), votes=votes)
        if not records:
            return replace(scored, stage="done", converged=True)
        if state.rounds:
            density = float((shape * np.log(state.weights) - state.weights * rate).sum())
            density -= 0.5 * self.prior_strength * exact_sum_to_float(sums["from_mean"])
            objective = np.append(state.objective, density)
            converged = len(objective) > 1 and bool(
                objective[-1] - objective[-2] <= self.tol * votes.sum()
            )
            scored = replace(scored, objective=objective, converged=converged)
        if scored.converged or state.rounds >= self.max_iter:
            return replace(scored, stage="done")
        balance = state.class_balance
        if self.class_balance is None:
            balance = to_float(sums["class_mass"]) / records
        rounds = state.rounds + 1
        return replace(scored, weights=shape / rate, class_balance=balance, rounds=rounds)

    def posteriors(self, table: PatternTable, state: BWAState) -> FloatArray:
        """Weighted average of the votes of each pattern and the class balance, float64[P, k]."""
        check_shape(table, state)
        result = self._points(table, state)
        result[table.n_votes == 0] = state.class_balance
        return result

    def _points(self, table: PatternTable, state: BWAState) -> FloatArray:
        weights = state.weights[table.lfs]
        total = self.prior_strength + sum_by_pattern(table, weights)
        points = self.prior_strength * state.class_balance + sum_by_class(table, weights)
        result: FloatArray = points / total[:, None]
        return result

    def set_state(self, state: BWAState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        self.weights_ = state.weights
        self.lf_accuracy_ = np.full(state.n_lfs, np.nan)
        voted = state.votes > 0
        self.lf_accuracy_[voted] = state.right[voted] / state.votes[voted]
        self.objective_ = state.objective.tolist()
        self.n_iter_, self.converged_ = state.rounds, state.converged
        self.warnings_ = []
        if not state.votes.any():
            self.warnings_.append("no source voted: every record gets the class balance")
        elif not state.converged:
            self.warnings_.append(f"BWA did not converge within max_iter={self.max_iter} rounds")
        return self
