"""Expectation maximisation for models whose log-posterior is a sum over votes.

The score of class y for a record is log p_y plus a term for each of its votes (and, where
abstaining is an answer, for each abstaining source). A model is an M step: it turns the posterior
mass of each vote into these terms. Start, E step, objective and stopping are here.

A model may divide each class into g subtypes of records. Everything is then over c = k g cells,
the subtypes of a class side by side; the posterior of a class is the sum over its cells.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from labelmodel.arrays import FloatArray, IndexArray, softmax, softmax_and_log_sum
from labelmodel.blocks import (
    clamp_gold,
    covered_patterns,
    one_hot,
    sum_by_vote,
    sum_over_votes,
    vote_counts,
    vote_shares,
)
from labelmodel.em_state import MIN_PROBABILITY, EMState, EMTerms
from labelmodel.errors import VotesError
from labelmodel.fixedpoint import (
    check_record_count,
    exact_sum,
    exact_sum_to_float,
    quantize,
    to_float,
)
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel
from labelmodel.state import Statistics
from labelmodel.validation import checked_balance
from labelmodel.vote_index import VoteIndex, index_votes, no_votes
from labelmodel.vote_sums import keep_gold


class EMModel(StagedModel[EMState]):
    """Base of the models that EM fits; a subclass adds its parameters and `_maximise`.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k] or "gold", optional
        Given; or the share of each class in the gold records, one added to each count; or, by
        default, learned.
    max_iter : int
        Most EM rounds after the start from vote shares.
    tol : float
        The fit has converged when a round improves the objective by less than this per vote.

    Attributes
    ----------
    class_balance_ : float64[k]
    lf_accuracy_ : float64[m]
        Posterior-weighted share of each source's votes that are right; nan without votes.
    objective_ : list of float
        Log-likelihood of the votes (and gold) plus the log-prior of the parameters, or its
        variational lower bound, after each round.
    n_iter_ : int
    converged_ : bool
    warnings_ : list of str
    """

    state_type: ClassVar = EMState
    lf_accuracy_: FloatArray
    objective_: list[float]
    n_iter_: int
    converged_: bool

    def __init__(
        self,
        n_classes: int | None = None,
        *,
        class_balance: FloatArray | str | None = None,
        max_iter: int = 100,
        tol: float = 1e-5,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.max_iter = max_iter
        self.tol = tol

    @property
    def max_stages(self) -> int:
        """The start, the round from vote shares, and `max_iter` rounds."""
        return self.max_iter + 2

    @abstractmethod
    def _maximise(self, vote_mass: FloatArray, cell_mass: FloatArray, state: EMState) -> EMTerms:
        """M step.

        Parameters
        ----------
        vote_mass : float64[S, c]
            Posterior mass of each cell over the records with the vote.
        cell_mass : float64[c]
            Posterior mass of each cell over all covered records.
        state : EMState
            Its `class_balance` holds where `_learns_balance` does not.
        """

    @property
    def _learns_balance(self) -> bool:
        return self.class_balance is None

    @property
    def _balance_from_gold(self) -> bool:
        return isinstance(self.class_balance, str) and self.class_balance == "gold"

    def initial_state(self, n_lfs: int, n_classes: int) -> EMState:
        """State before any statistics."""
        if self.max_iter < 1:
            raise VotesError(f"max_iter={self.max_iter}: EM needs one round or more")
        balance = np.full(n_classes, 1.0 / n_classes)
        if self.class_balance is not None and not self._balance_from_gold:
            balance = checked_balance(self.class_balance, n_classes)
        nothing = np.zeros((0, n_classes))
        return EMState(
            stage="start",
            n_lfs=n_lfs,
            n_classes=n_classes,
            class_balance=balance,
            index=no_votes(n_lfs, n_classes),
            n_votes=0,
            log_base=np.log(np.maximum(balance, MIN_PROBABILITY)),
            log_votes=nothing,
            log_unseen=np.zeros((n_classes, n_classes)),
            log_abstain=nothing,
            log_prior=0.0,
            rounds=0,
            objective=(),
            converged=False,
            lf_accuracy=np.full(n_lfs, np.nan),
        )

    def expected_counts(self, block: PatternTable, state: EMState) -> Statistics:
        """E step over a block: posterior mass by vote and by cell, and the log-likelihood.

        Gold in the block for the fit is clamped: the record's class is known.
        """
        if state.stage == "done":
            return Statistics("done")
        covered = covered_patterns(block)
        if state.stage == "start":
            known = covered.gold >= 0
            gold = one_hot(covered.gold[known], state.n_classes)
            return Statistics(
                "start",
                {
                    "records": covered.counts.sum(keepdims=True),
                    "votes": vote_counts(covered),
                    "gold": (gold * covered.counts[known, None]).sum(axis=0),
                },
            )
        numbers = state.index.numbers_of(covered)
        if state.rounds == 0:
            posterior = self._start(covered, clamp_gold(covered, vote_shares(covered)))
            evidence = np.zeros(len(covered))
        else:
            scores = _scores(covered, numbers, state)
            posterior, evidence = softmax_and_log_sum(keep_gold(covered, scores))
        quantised = quantize(posterior)
        weighted = quantised * covered.counts[:, None]
        return Statistics(
            "em",
            {
                "vote_mass": sum_by_vote(covered, numbers, len(state.index), weighted),
                "cell_mass": covered.counts @ quantised,
                "log_likelihood": exact_sum(evidence, covered.counts),
            },
        )

    def m_step(self, statistics: Statistics, state: EMState) -> EMState:
        """State of the next round; the last leaves the parameters as the E step had them."""
        if state.stage == "done":
            return state
        if state.stage == "start":
            return self._begin(statistics, state)
        sums = statistics.sums
        vote_mass = to_float(sums["vote_mass"])
        if state.rounds:
            likelihood = exact_sum_to_float(sums["log_likelihood"])
            objective = (*state.objective, likelihood + state.log_prior)
            gain = objective[-1] - objective[-2] if len(objective) > 1 else np.inf
            converged = bool(gain < self.tol * state.n_votes)
            state = replace(state, objective=objective, converged=converged)
            if converged or state.rounds >= self.max_iter:
                return _finish(vote_mass, state)
        terms = self._maximise(vote_mass, to_float(sums["cell_mass"]), state)
        return replace(
            state,
            class_balance=terms.class_balance,
            log_base=terms.log_balance + terms.log_abstain.sum(axis=0),
            log_votes=terms.log_votes,
            log_unseen=_average_source(by_class(vote_mass, state.n_classes), state.index),
            log_abstain=terms.log_abstain,
            log_prior=terms.log_prior,
            rounds=state.rounds + 1,
        )

    def _begin(self, statistics: Statistics, state: EMState) -> EMState:
        sums = statistics.sums
        records = int(sums["records"][0])
        check_record_count(records)
        if self._balance_from_gold:
            if not sums["gold"].any():
                raise VotesError('class_balance="gold" needs covered records with gold')
            counted = sums["gold"] + 1.0
            state = replace(state, class_balance=counted / counted.sum())
        return replace(
            state,
            stage="em" if records else "done",
            converged=not records,
            index=index_votes(sums["votes"]),
            n_votes=int(sums["votes"].sum()),
        )

    def posteriors(self, table: PatternTable, state: EMState) -> FloatArray:
        """Posterior of each pattern, float64[P, k]; without votes the class balance."""
        cells = softmax(_scores(table, state.index.numbers_of(table), state))
        result = by_class(cells, state.n_classes)
        result[table.n_votes == 0] = state.class_balance
        return result

    def set_state(self, state: EMState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        self.lf_accuracy_ = np.array(state.lf_accuracy)
        self.objective_ = list(state.objective)
        self.n_iter_ = len(state.objective)
        self.converged_ = state.converged
        self.warnings_ = []
        if not state.n_votes:
            self.warnings_.append("no source voted: every record gets the class balance")
        elif not state.converged and self.tol > 0.0:
            self.warnings_.append(f"EM did not converge within max_iter={self.max_iter} rounds")
        return self

    def _start(self, covered: PatternTable, shares: FloatArray) -> FloatArray:
        """First posterior of the cells, float64[P, c], from vote shares with gold float64[P, k]."""
        return shares

    def _balance(self, class_mass: FloatArray, state: EMState) -> tuple[FloatArray, FloatArray]:
        """Class balance and its logarithm for an M step."""
        balance = class_mass / class_mass.sum() if self._learns_balance else state.class_balance
        return balance, np.log(np.maximum(balance, MIN_PROBABILITY))


def by_class(cells: FloatArray, n_classes: int) -> FloatArray:
    """Sum over the subtypes of each class; float64[n, c] -> float64[n, k]."""
    subtypes = cells.shape[1] // n_classes
    result = cells[:, ::subtypes].copy()
    for subtype in range(1, subtypes):
        result += cells[:, subtype::subtypes]
    return result


def _scores(table: PatternTable, numbers: IndexArray, state: EMState) -> FloatArray:
    """Log-probability of the votes of each pattern and each cell, float64[P, c]."""
    scores = sum_over_votes(table, numbers, state.log_votes, state.unseen_votes)
    scores += state.log_base
    return scores


def _average_source(vote_mass: FloatArray, index: VoteIndex) -> FloatArray:
    """Log-probability of a vote by class over all sources, one added to each count; [k, k]."""
    pooled = np.ones((index.n_classes, index.n_classes))
    np.add.at(pooled, index.labels, vote_mass)
    logs: FloatArray = np.log(pooled / pooled.sum(axis=0))
    return logs


def _finish(vote_mass: FloatArray, state: EMState) -> EMState:
    index = state.index
    right = index.by_lf(index.at_own_label(by_class(vote_mass, state.n_classes)))
    votes = index.by_lf(vote_mass.sum(axis=1))
    accuracy = np.full(state.n_lfs, np.nan)
    np.divide(right, votes, out=accuracy, where=votes > 0)
    return replace(state, stage="done", lf_accuracy=accuracy)
