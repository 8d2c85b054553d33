"""MACE: annotators who sometimes know the answer and otherwise spam."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from scipy.special import digamma

from labelmodel.arrays import FloatArray, IntArray, softmax, softmax_and_log_sum
from labelmodel.blocks import covered_patterns, vote_counts
from labelmodel.class_balance import given_or_uniform
from labelmodel.errors import VotesError
from labelmodel.fixedpoint import check_record_count, exact_sum, quantize, to_float
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel, check_shape, check_stage
from labelmodel.state import Statistics
from labelmodel.validation import check_above_zero, check_seed
from labelmodel.vote_sums import (
    exact_by_vote,
    joined,
    keep_gold,
    pattern_of_votes,
    sum_by_class,
    sum_by_pattern,
)

NOISE = 0.5
SMOOTHING = 0.01
STRATEGY_PRIOR = 10.0


@dataclass(frozen=True)
class MACEState:
    """Parameters of `MACE` over restarts R.

    `knowing` and `guessing` [R, m] weigh the two behaviours, `strategy` [R, m, k] the answers of
    guessing; under variational Bayes they are exponentials of expected logarithms and sum to
    less than one. `votes` [m, k] counts records; `objective` [rounds, R] is the log-likelihood.
    """

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    knowing: FloatArray
    guessing: FloatArray
    strategy: FloatArray
    votes: IntArray
    objective: FloatArray
    converged: bool


class MACE(StagedModel[MACEState]):
    """Multi-annotator competence estimation.

    For each vote annotator j knows the class with probability theta_j and gives it; otherwise
    the vote is drawn from xi_j whatever the class. EM, or variational Bayes with priors
    Beta(alpha, beta) on theta_j and Dirichlet(10) on xi_j, from several random starts, of which
    the one with the best likelihood answers.

    Use it on crowds with spammers, annotators who answer without looking: xi_j takes their
    habit out, so that their votes cost nothing. It assumes that a record on which somebody
    did not vote was not shown to them, that those who know are never wrong, and that errors do
    not depend on the class.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k], optional
        Prior of the classes, uniform by default as in MACE; it is not learned. Records with gold
        for the fit are controls: their class is fixed.
    method : {"vb", "em"}
        "em" adds .01 / k to the counts, as MACE does.
    n_restarts, max_iter : int
    tol : float
        A fit stops early when the objective per record of no restart moves more than this.
    alpha, beta : float
        Prior counts of guessing and of knowing.
    random_state : int

    Attributes
    ----------
    class_balance_ : float64[k]
    competence_ : float64[m]
        theta_j; nan for an annotator who never voted.
    strategy_ : float64[m, k]
        xi_j.
    lf_accuracy_ : float64[m]
        Probability that a vote of j is right on a record of the class balance, nan without votes.
    objective_ : list of float
        Log-likelihood of the votes before each round and at the end, for the chosen restart.
        Under "em" it falls by no more than the smoothing costs; under "vb" it may.
    n_iter_ : int
    converged_ : bool
        Whether every restart settled before `max_iter`; as in MACE, it need not.
    warnings_ : list of str

    Notes
    -----
    Source: Hovy et al., "Learning whom to trust with MACE", 2013; the variational step as in
    Johnson, "Why doesn't EM find good HMM POS-taggers?", 2007; start and constants as in
    MACE 0.3.

    Examples
    --------
    >>> votes = np.array([[0, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]])
    >>> model = MACE().fit(votes)
    >>> bool(model.competence_[0] > model.competence_[2])
    True
    """

    state_type: ClassVar = MACEState
    competence_: FloatArray
    strategy_: FloatArray
    lf_accuracy_: FloatArray
    objective_: list[float]
    n_iter_: int
    converged_: bool

    def __init__(
        self,
        n_classes: int | None = None,
        class_balance: FloatArray | str | None = None,
        *,
        method: Literal["vb", "em"] = "vb",
        n_restarts: int = 10,
        max_iter: int = 50,
        tol: float = 1e-6,
        alpha: float = 0.5,
        beta: float = 0.5,
        random_state: int = 0,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.method = method
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.alpha = alpha
        self.beta = beta
        self.random_state = random_state

    @property
    def max_stages(self) -> int:
        """Rounds, and one to score the last."""
        return self.max_iter + 1

    def initial_state(self, n_lfs: int, n_classes: int) -> MACEState:
        """Random parameters, float64[n_restarts, ...].

        Raises
        ------
        VotesError
            An unknown method, or no restart.
        """
        if self.method not in ("vb", "em"):
            raise VotesError(f"method={self.method!r} is neither 'vb' nor 'em'")
        check_above_zero(n_restarts=self.n_restarts, max_iter=self.max_iter)
        check_above_zero(alpha=self.alpha, beta=self.beta)
        check_seed(self.random_state)
        rng = np.random.default_rng(self.random_state)
        behaviour = 1.0 + NOISE * rng.random((self.n_restarts, n_lfs, 2))
        strategy = 1.0 + NOISE * rng.random((self.n_restarts, n_lfs, n_classes))
        behaviour /= behaviour.sum(axis=2, keepdims=True)
        strategy /= strategy.sum(axis=2, keepdims=True)
        return MACEState(
            stage="em",
            n_lfs=n_lfs,
            n_classes=n_classes,
            class_balance=given_or_uniform(self.class_balance, n_classes),
            knowing=behaviour[:, :, 1],
            guessing=behaviour[:, :, 0],
            strategy=strategy,
            votes=np.zeros((n_lfs, n_classes), dtype=np.int64),
            objective=np.zeros((0, self.n_restarts)),
            converged=False,
        )

    def expected_counts(self, block: PatternTable, state: MACEState) -> Statistics:
        """Mass of right votes of each restart, and the log-likelihood."""
        check_shape(block, state)
        if state.stage != "em":
            return Statistics(state.stage)
        covered = covered_patterns(block)
        right, objective = [], []
        for restart in range(len(state.knowing)):
            scores = keep_gold(covered, _scores(covered, state, restart))
            posterior, log_likelihood = softmax_and_log_sum(scores)
            weighted = quantize(posterior) * covered.counts[:, None]
            right.append(weighted[pattern_of_votes(covered), covered.labels])
            objective.append(exact_sum(log_likelihood, covered.counts))
        return Statistics(
            "em",
            {
                "right": exact_by_vote(covered, np.stack(right, axis=1)),
                "objective": np.stack(objective),
                "votes": vote_counts(covered),
                "records": covered.counts.sum(keepdims=True),
            },
        )

    def m_step(self, statistics: Statistics, state: MACEState) -> MACEState:
        """Parameters of all restarts, or of the best once the fit is over."""
        check_stage(statistics, state)
        if state.stage != "em":
            return state
        sums = statistics.sums
        records = int(sums["records"][0])
        check_record_count(records)
        objective = np.vstack([state.objective, joined(sums["objective"])])
        moved = np.abs(np.diff(objective[-2:], axis=0)).max(initial=0.0)
        converged = not records or (len(objective) > 1 and bool(moved <= self.tol * records))
        scored = replace(state, votes=sums["votes"], objective=objective, converged=converged)
        if len(objective) > self.max_iter or converged:
            return _best(scored)
        right = np.moveaxis(to_float(sums["right"]), 2, 0)
        guessed = state.guessing[:, :, None] * state.strategy
        knew = right * state.knowing[:, :, None] / (guessed + state.knowing[:, :, None])
        spammed = sums["votes"] - knew
        behaviour = np.stack([spammed.sum(axis=2), knew.sum(axis=2)], axis=2)
        if self.method == "vb":
            behaviour = _expected_logs(behaviour + np.array([self.alpha, self.beta]))
            strategy = _expected_logs(spammed + STRATEGY_PRIOR)
        else:
            smoothing = SMOOTHING / state.n_classes
            behaviour, strategy = _shares(behaviour + smoothing), _shares(spammed + smoothing)
        return replace(
            scored, knowing=behaviour[:, :, 1], guessing=behaviour[:, :, 0], strategy=strategy
        )

    def posteriors(self, table: PatternTable, state: MACEState) -> FloatArray:
        """Posterior under the chosen restart, float64[P, k]."""
        check_shape(table, state)
        return softmax(_scores(table, state, 0))

    def set_state(self, state: MACEState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        voted = state.votes.any(axis=1)
        competence = state.knowing[0] / (state.knowing[0] + state.guessing[0])
        self.competence_ = np.where(voted, competence, np.nan)
        self.strategy_ = _shares(state.strategy[0])
        lucky = self.strategy_ @ state.class_balance
        self.lf_accuracy_ = self.competence_ + (1.0 - self.competence_) * lucky
        self.objective_ = state.objective[:, 0].tolist()
        self.n_iter_, self.converged_ = len(state.objective) - 1, state.converged
        nobody = "no source voted: every record gets the class balance"
        self.warnings_ = [] if voted.any() else [nobody]
        return self


def _scores(table: PatternTable, state: MACEState, restart: int) -> FloatArray:
    """Log-probability of each pattern's votes and each class, float64[P, k]."""
    guessed = state.guessing[restart][:, None] * state.strategy[restart]
    missed = np.log(guessed)
    bonus = np.log1p(state.knowing[restart][:, None] / guessed)
    base = sum_by_pattern(table, missed[table.lfs, table.labels])
    right = sum_by_class(table, bonus[table.lfs, table.labels])
    scores: FloatArray = base[:, None] + right + np.log(state.class_balance)
    return scores


def _best(state: MACEState) -> MACEState:
    """Keep the restart of the highest final objective, the first of equals."""
    best = int(np.argmax(state.objective[-1]))
    chosen = slice(best, best + 1)
    return replace(
        state,
        stage="done",
        knowing=state.knowing[chosen],
        guessing=state.guessing[chosen],
        strategy=state.strategy[chosen],
        objective=state.objective[:, chosen],
    )


def _expected_logs(counts: FloatArray) -> FloatArray:
    """Exponential of the expected log of Dirichlet-distributed shares along the last axis."""
    total = counts.sum(axis=-1, keepdims=True)
    result: FloatArray = np.exp(digamma(counts) - digamma(total))
    return result


def _shares(counts: FloatArray) -> FloatArray:
    shares: FloatArray = counts / counts.sum(axis=-1, keepdims=True)
    return shares
