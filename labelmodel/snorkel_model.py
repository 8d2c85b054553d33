"""Snorkel's label model, from second moments of the votes instead of the votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np

from labelmodel.arrays import FloatArray, softmax
from labelmodel.blocks import sum_rows
from labelmodel.class_balance import given_or_uniform, shares_of_gold
from labelmodel.descent import OPTIMIZERS, SCHEDULES, descend
from labelmodel.errors import VotesError
from labelmodel.fixedpoint import check_record_count
from labelmodel.moments import STAGE, check_moments_fit, dense_pairs, moment_counts
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel, check_shape, check_stage
from labelmodel.state import Statistics
from labelmodel.validation import check_at_least_zero, checked_precisions
from labelmodel.vote_index import vote_cells

DIVERGED = "the gradient descent diverged, so prec_init alone answers; give a smaller lr"


@dataclass(frozen=True)
class SnorkelState:
    """Parameters of `SnorkelLabelModel`; `mu` [m, k, k] is P(j votes v | y)."""

    stage: str
    n_lfs: int
    n_classes: int
    class_balance: FloatArray
    mu: FloatArray
    lf_accuracy: FloatArray
    warnings: tuple[str, ...] = ()


class SnorkelLabelModel(StagedModel[SnorkelState]):
    """Matrix completion of second moments, parameter for parameter as Snorkel 0.10 has it.

    Finds mu = P(j votes v | y) by gradient descent on |O - mu P mu^T|^2 over pairs of different
    LFs plus |mu p - diag O|^2 plus |l2 (mu - mu_init)|^2, where O = L^T L / n and P = diag(p) is
    the class balance. A posterior multiplies the class balance by the mu of each vote; abstains
    do not count.

    Use it to reproduce a result of Snorkel, or to compare with one. It assumes that LFs are
    independent given the class and that the class balance is right; where they are not, or
    where LFs vote rarely, `LabelModel` answers better and with usable probabilities.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k] or "gold", optional
        Uniform by default. "gold" takes the class shares of the gold for the fit (one record
        more of each class where it lacks one), as Snorkel does of `Y_dev`; gold has no other
        part in the fit.
    n_epochs, lr, l2 : int, float, float
        Steps, learning rate, and weight of the pull to the start.
    optimizer : {"sgd", "adam", "adamax"}
    lr_scheduler : {"constant", "linear", "exponential", "step"}
    prec_init : float or float[m]
        Precision that LFs are assumed to have at the start.
    mu_eps : float, optional
        mu ends in [mu_eps, 1 - mu_eps]; min(.01, 10^-ceil(log10 n)) by default.
    random_state : int
        Snorkel's `seed`; scales the start as Snorkel does.

    Attributes
    ----------
    class_balance_ : float64[k]
    mu_ : float64[m, k, k]
        P(j votes v | y), indexed [j, v, y].
    lf_accuracy_ : float64[m]
        P(vote right | j votes), Snorkel's `get_weights`; nan for an LF that never voted.
    warnings_ : list of str

    Notes
    -----
    Source: Ratner et al., "Training complex models with multi-task weak supervision", 2019,
    algorithm 1 and appendix B; snorkel 0.10.0 for the start, the descent and its constants.
    Snorkel computes in 32 bits and this in 64. Snorkel refuses fewer than three LFs; here they
    give an answer near the start. Where the descent diverges, which Snorkel reports as an error,
    a `ConvergenceWarning` says so and mu stays at the start.

    Examples
    --------
    >>> votes = np.array([[0, 0, -1], [0, -1, 1], [-1, 1, 1], [0, 0, 1]])
    >>> SnorkelLabelModel(n_classes=2).fit(votes).mu_.shape
    (3, 2, 2)
    """

    state_type: ClassVar = SnorkelState
    mu_: FloatArray
    lf_accuracy_: FloatArray

    def __init__(
        self,
        n_classes: int | None = None,
        class_balance: FloatArray | str | None = None,
        *,
        n_epochs: int = 100,
        lr: float = 0.01,
        l2: float = 0.0,
        optimizer: Literal["sgd", "adam", "adamax"] = "sgd",
        lr_scheduler: Literal["constant", "linear", "exponential", "step"] = "constant",
        prec_init: float | Sequence[float] | FloatArray = 0.7,
        mu_eps: float | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(n_classes, class_balance)
        self.n_epochs = n_epochs
        self.lr = lr
        self.l2 = l2
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.prec_init = prec_init
        self.mu_eps = mu_eps
        self.random_state = random_state

    @property
    def max_stages(self) -> int:
        """One: the moments are all that the fit needs."""
        return 1

    def initial_state(self, n_lfs: int, n_classes: int) -> SnorkelState:
        """State before any statistics.

        Raises
        ------
        VotesError
            Parameters that do not fit the votes, or moments that do not fit in memory.
        """
        check_moments_fit(n_lfs, n_classes)
        if np.isnan(checked_precisions(self.prec_init, n_lfs)).any():
            raise VotesError("prec_init must be known of every LF")
        check_at_least_zero(n_epochs=self.n_epochs, lr=self.lr, l2=self.l2)
        if self.mu_eps is not None and not 0.0 < self.mu_eps < 0.5:
            raise VotesError(f"mu_eps={self.mu_eps} must be between 0 and .5")
        for name, known in (("optimizer", OPTIMIZERS), ("lr_scheduler", SCHEDULES)):
            if getattr(self, name) not in known:
                raise VotesError(f"{name}={getattr(self, name)!r} is none of {', '.join(known)}")
        return SnorkelState(
            stage=STAGE,
            n_lfs=n_lfs,
            n_classes=n_classes,
            class_balance=given_or_uniform(
                None if self._balance_from_gold else self.class_balance, n_classes
            ),
            mu=np.zeros((n_lfs, n_classes, n_classes)),
            lf_accuracy=np.full(n_lfs, np.nan),
        )

    def expected_counts(self, block: PatternTable, state: SnorkelState) -> Statistics:
        """Second moments of a block."""
        check_shape(block, state)
        return moment_counts(block) if state.stage == STAGE else Statistics(state.stage)

    def m_step(self, statistics: Statistics, state: SnorkelState) -> SnorkelState:
        """Fit the parameters to the moments of all blocks."""
        check_stage(statistics, state)
        if state.stage != STAGE:
            return state
        records, gold = int(statistics.sums["records"][0]), statistics.sums["gold"]
        check_record_count(records)
        side = state.n_lfs * state.n_classes
        moments = dense_pairs(statistics, state.n_classes).reshape(side, side) / max(records, 1)
        balance = state.class_balance
        if self._balance_from_gold:
            balance = shares_of_gold(gold)
        mu, found = self._complete(moments, balance, records)
        coverage = np.diag(moments).reshape(state.n_lfs, state.n_classes).sum(axis=1)
        right = np.einsum("jyy,y->j", mu, balance)
        accuracy = np.full(state.n_lfs, np.nan)
        np.divide(right, coverage, out=accuracy, where=coverage > 0.0)
        return replace(
            state,
            stage="done",
            class_balance=balance,
            mu=mu,
            lf_accuracy=np.clip(accuracy, 1e-6, 1.0),
            warnings=found,
        )

    def posteriors(self, table: PatternTable, state: SnorkelState) -> FloatArray:
        """Class balance times the mu of each vote, normalised; float64[P, k]."""
        check_shape(table, state)
        scores = np.log(state.class_balance) + sum_rows(
            table, vote_cells(table), np.log(state.mu).reshape(-1, table.n_classes)
        )
        return softmax(scores)

    def set_state(self, state: SnorkelState) -> Self:
        """Take over a finished state."""
        super().set_state(state)
        self.mu_, self.lf_accuracy_ = state.mu, state.lf_accuracy
        self.warnings_ = list(state.warnings)
        return self

    @property
    def _balance_from_gold(self) -> bool:
        return isinstance(self.class_balance, str) and self.class_balance == "gold"

    def _complete(
        self, moments: FloatArray, balance: FloatArray, records: int
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Return mu [m, k, k] of moments [mk, mk], and warnings."""
        k = len(balance)
        m = len(moments) // k
        shares = np.diag(moments)
        precision = np.repeat(checked_precisions(self.prec_init, m), k)
        start = np.zeros((m * k, k))
        rows = np.arange(m * k)
        start[rows, rows % k] = np.clip(shares * precision / balance[rows % k], 0.0, 1.0)
        other_lf = rows[:, None] // k != rows // k

        def gradient(mu: FloatArray) -> FloatArray:
            weighted = mu * balance
            residual = (moments - weighted @ mu.T) * other_lf
            marginal = mu @ balance - shares
            result: FloatArray = -4.0 * residual @ weighted + 2.0 * np.outer(marginal, balance)
            return result + 2.0 * self.l2**2 * (mu - start) + self.l2 * mu

        # The generator that Snorkel seeds; a newer one would start elsewhere.
        scale = np.random.RandomState(self.random_state).random_sample()
        mu = descend(
            gradient,
            start * scale,
            n_epochs=self.n_epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            lr_scheduler=self.lr_scheduler,
        )
        found = () if np.isfinite(mu).all() else (DIVERGED,)
        mu = np.clip(start if found else mu, *self._bounds(records))
        return _align_classes(mu.reshape(m, k, k), balance), found

    def _bounds(self, records: int) -> tuple[float, float]:
        low = self.mu_eps
        if low is None:
            low = min(0.01, 10.0 ** -np.ceil(np.log10(max(records, 1))))
        return low, 1.0 - low


def _align_classes(mu: FloatArray, balance: FloatArray) -> FloatArray:
    """Permute classes of equal balance so that LFs are right most often.

    The moments do not tell such classes apart: any permutation of the columns of mu among them
    explains the votes as well.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  takes half a second

    right = mu.sum(axis=0) * balance
    aligned = mu.copy()
    rounded = np.round(balance, 3)
    for value in np.unique(rounded):
        group = np.flatnonzero(rounded == value)
        classes, columns = linear_sum_assignment(right[np.ix_(group, group)], maximize=True)
        aligned[:, :, group[classes]] = mu[:, :, group[columns]]
    return aligned
