"""FlyingSquid's triplet method: accuracies of binary functions in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from labelmodel.arrays import BoolArray, FloatArray, IntArray, softmax
from labelmodel.blocks import sum_rows
from labelmodel.class_balance import given_or_uniform, shares_of_gold
from labelmodel.errors import LabelModelWarning, VotesError
from labelmodel.fixedpoint import check_record_count
from labelmodel.moments import STAGE, check_moments_fit, dense_pairs, moment_counts
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel, check_shape, check_stage
from labelmodel.state import Statistics
from labelmodel.vote_index import vote_cells

ASSUMED_AGREEMENT = 0.4
"""E[vote x class] of an LF that is in no triplet: an accuracy of .7."""

LEAST_SHARE = 0.01
"""Least probability of a class, and of a vote among an LF's votes given a class."""


@dataclass(frozen=True)
class TripletsState:
    """Parameters of `Triplets`.

    `agreement` [m] is E[vote x class | vote] with classes as -1 and 1; `emissions` [m, 2, 2] is
    P(j votes v | y, j votes), indexed [j, v, y].
    """

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    agreement: FloatArray
    emissions: FloatArray
    warnings: tuple[str, ...] = ()


class Triplets(StagedModel[TripletsState]):
    """Accuracies from triplets of functions; binary classes only.

    With classes as -1 and 1 and LFs independent given the class, E[v_i v_j] = a_i a_j where
    a_i = E[v_i y], so |a_i| = sqrt |E[v_i v_j] E[v_i v_l] / E[v_j v_l]| for any two others j
    and l. a_i is the median over pairs (j, l), taken as positive: an LF is assumed to be better
    than chance. Moments are over the records on which both vote, and abstaining is assumed to
    be independent of the class, so that P(j votes v, y) follows from a_j, the class balance and
    the shares of j's votes.

    Use it where a fit has to take no time, as while functions are being written. It also
    assumes that LFs vote for both classes and are about as accurate on either; functions that
    vote for one class only are beyond it, and `LabelModel` is better at them.

    Parameters
    ----------
    n_classes : int, optional
        2, which is all it takes.
    class_balance : float[2] or "gold" or "learned", optional
        Uniform by default. "gold" takes the class shares of the gold for the fit, which has no
        other part in it. "learned" solves E[v_j] = a_j E[y] for E[y] by least squares over the
        LFs that vote for both classes, weighted by their votes.
    max_lfs : int
        Up to as many functions all pairs (j, l) count, beyond only those among as many others,
        drawn for each function with `random_state`.
    random_state : int

    Attributes
    ----------
    class_balance_ : float64[2]
    emissions_ : float64[m, 2, 2]
        P(j votes v | y, j votes), indexed [j, v, y].
    lf_accuracy_ : float64[m]
        (1 + a_j) / 2, the probability that a vote is right; nan for an LF that never voted.
    warnings_ : list of str

    Notes
    -----
    Source: Fu et al., "Fast and three-rious: speeding up weak supervision with triplet methods",
    2020, algorithm 1 and appendix C.1; the median over triplets as in the authors' FlyingSquid.
    An LF that shares records with fewer than two others is assumed right with .7 and named in a
    warning. Probabilities that leave [.01, .99] are put to the bound.

    Examples
    --------
    >>> votes = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]])
    >>> Triplets().fit(votes).predict(votes).tolist()
    [0, 1, 0, 0]
    """

    state_type: ClassVar = TripletsState
    warning_type: ClassVar = LabelModelWarning
    emissions_: FloatArray
    lf_accuracy_: FloatArray

    def __init__(
        self,
        n_classes: int | None = None,
        class_balance: FloatArray | str | None = None,
        *,
        max_lfs: int = 200,
        random_state: int = 0,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.max_lfs = max_lfs
        self.random_state = random_state

    @property
    def max_stages(self) -> int:
        """One: the moments are all that the fit needs."""
        return 1

    def initial_state(self, n_lfs: int, n_classes: int) -> TripletsState:
        """State before any statistics.

        Raises
        ------
        VotesError
            Other than two classes, or moments that do not fit in memory.
        """
        if n_classes != 2:
            raise VotesError(
                f"triplets need two classes, not {n_classes}; use LabelModel or DawidSkene, or "
                "fit one class against the rest"
            )
        check_moments_fit(n_lfs, n_classes)
        given = None if self._balance_source in ("gold", "learned") else self.class_balance
        return TripletsState(
            stage=STAGE,
            n_lfs=n_lfs,
            n_classes=2,
            class_balance=given_or_uniform(given, 2),
            agreement=np.full(n_lfs, np.nan),
            emissions=np.full((n_lfs, 2, 2), 0.5),
        )

    def expected_counts(self, block: PatternTable, state: TripletsState) -> Statistics:
        """Second moments of a block."""
        check_shape(block, state)
        return moment_counts(block) if state.stage == STAGE else Statistics(state.stage)

    def m_step(self, statistics: Statistics, state: TripletsState) -> TripletsState:
        """Solve for the parameters from the moments of all blocks."""
        check_stage(statistics, state)
        if state.stage != STAGE:
            return state
        check_record_count(int(statistics.sums["records"][0]))
        pairs, gold = dense_pairs(statistics, 2), statistics.sums["gold"]
        votes = np.einsum("jvjv->jv", pairs)
        agreement, alone = self._agreement(pairs)
        balance = state.class_balance
        if self._balance_source == "learned":
            balance = _learned_balance(votes, agreement)
        elif self._balance_source == "gold":
            balance = shares_of_gold(gold)
        voted = votes.sum(axis=1) > 0
        lonely = np.flatnonzero(alone & voted)
        named = ", ".join(str(lf) for lf in lonely)
        return replace(
            state,
            stage="done",
            class_balance=balance,
            agreement=np.where(voted, agreement, np.nan),
            emissions=_emissions(votes, agreement, balance),
            warnings=(f"no triplet, so an accuracy of .7 is assumed, for LFs {named}",)
            if len(lonely)
            else (),
        )

    def posteriors(self, table: PatternTable, state: TripletsState) -> FloatArray:
        """Class balance times the emissions of the votes, normalised; float64[P, 2]."""
        check_shape(table, state)
        scores = np.log(state.class_balance) + sum_rows(
            table, vote_cells(table), np.log(state.emissions).reshape(-1, table.n_classes)
        )
        return softmax(scores)

    def set_state(self, state: TripletsState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        self.emissions_ = state.emissions
        self.lf_accuracy_ = 0.5 + state.agreement / 2.0
        self.warnings_ = list(state.warnings)
        return self

    @property
    def _balance_source(self) -> str | None:
        return self.class_balance if isinstance(self.class_balance, str) else None

    def _agreement(self, pairs: IntArray) -> tuple[FloatArray, BoolArray]:
        """Median |a_j| over triplets, float64[m], and which LFs are in none, bool[m]."""
        m = len(pairs)
        signs = np.array([-1.0, 1.0])
        together = pairs.sum(axis=(1, 3))
        products = np.abs(np.einsum("ivjw,v,w->ij", pairs, signs, signs))
        products = products / np.maximum(together, 1)
        rng = np.random.default_rng(self.random_state)
        found = np.full(m, ASSUMED_AGREEMENT)
        alone = np.ones(m, dtype=np.bool_)
        for lf in range(m):
            others = np.flatnonzero((together[lf] > 0) & (np.arange(m) != lf))
            if len(others) > self.max_lfs:
                others = rng.choice(others, size=self.max_lfs, replace=False)
            first, second = np.triu_indices(len(others), k=1)
            between = products[others[first], others[second]]
            known = between > 0.0
            if known.any():
                mine = products[lf, others]
                squares = mine[first[known]] * mine[second[known]] / between[known]
                found[lf] = min(float(np.sqrt(np.median(squares))), 1.0)
                alone[lf] = False
        return found, alone


def _learned_balance(votes: IntArray, agreement: FloatArray) -> FloatArray:
    """Class balance with E[v_j] = a_j E[y], by weighted least squares."""
    weights = votes.sum(axis=1) * (votes > 0).all(axis=1)
    means = (votes[:, 1] - votes[:, 0]) / np.maximum(weights, 1)
    square = float(weights @ agreement**2)
    mean = float(weights @ (agreement * means)) / square if square > 0.0 else 0.0
    second = np.clip(0.5 + mean / 2.0, LEAST_SHARE, 1.0 - LEAST_SHARE)
    return np.array([1.0 - second, second])


def _emissions(votes: IntArray, agreement: FloatArray, balance: FloatArray) -> FloatArray:
    """P(j votes v | y, j votes) of vote shares, agreements and class balance.

    Of P(j votes 1, y = 1) = u the other three cells follow from the share of votes for 1, the
    class balance, and P(vote = y) = (1 + a_j) / 2.
    """
    total = votes.sum(axis=1)
    share = np.where(total > 0, votes[:, 1] / np.maximum(total, 1), 0.5)
    right = 0.5 + agreement / 2.0
    both = (share + right + balance[1] - 1.0) / 2.0
    joint = np.array([[right - both, balance[1] - both], [share - both, both]])
    given = joint / balance[:, None]
    given = np.clip(np.moveaxis(given, 2, 0), LEAST_SHARE, 1.0 - LEAST_SHARE)
    given[total == 0] = 0.5
    return given
