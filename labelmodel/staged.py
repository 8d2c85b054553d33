"""Models fitted by sums over patterns: the contract between a model and whoever drives its fit.

A fit is a chain of stages. At each, `expected_counts` turns a block of patterns into `Statistics`,
the statistics of all blocks are added, exactly and in any order, and `m_step` turns the sum into
the state of the next stage, until its stage is "done". `fit_blocks` drives the chain in memory;
a distributed fit drives the same functions, with the state as a side input.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Generic, Protocol, Self, TypeVar

from labelmodel.arrays import FloatArray
from labelmodel.base import BaseLabelModel
from labelmodel.errors import VotesError
from labelmodel.patterns import PatternTable
from labelmodel.state import Statistics

ROWS_PER_BLOCK = 1 << 16


class State(Protocol):
    """What travels to `expected_counts` and back from `m_step`: a frozen dataclass."""

    @property
    def stage(self) -> str:
        """What the next statistics are for; "done" predicts."""

    @property
    def n_lfs(self) -> int:
        """Number of sources."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""


StateT = TypeVar("StateT", bound=State)


class StagedModel(BaseLabelModel, Generic[StateT]):
    """A label model whose every step is a sum over patterns.

    The four functions of a fit depend on the constructor's parameters and their arguments alone,
    so that they can run anywhere; only `set_state` changes the model.
    """

    @property
    @abstractmethod
    def max_stages(self) -> int:
        """Most calls of `m_step` until "done": a distributed fit unrolls as many."""

    @abstractmethod
    def initial_state(self, n_lfs: int, n_classes: int) -> StateT:
        """State before any statistics."""

    @abstractmethod
    def expected_counts(self, block: PatternTable, state: StateT) -> Statistics:
        """Statistics of a block of patterns for the stage of `state`."""

    @abstractmethod
    def m_step(self, statistics: Statistics, state: StateT) -> StateT:
        """State of the next stage, from the statistics of all blocks."""

    @abstractmethod
    def posteriors(self, table: PatternTable, state: StateT) -> FloatArray:
        """Posterior of each pattern under a finished state, float64[P, k].

        A row has the same bits whatever other rows are in the table.
        """

    @abstractmethod
    def set_state(self, state: StateT) -> Self:
        """Take over a finished state: set the fitted attributes."""

    def _fit(self, table: PatternTable) -> None:
        self.set_state(fit_blocks(self, blocks_of(table)))


def fit_blocks(model: StagedModel[StateT], blocks: Sequence[PatternTable]) -> StateT:
    """Fit in memory: all stages over blocks of patterns.

    Parameters
    ----------
    model : StagedModel
        Its constructor's parameters; the model itself is not changed.
    blocks : sequence of PatternTable
        At least one; how records are divided among them does not change a bit of the result.

    Returns
    -------
    state
        Of stage "done".
    """
    if not blocks:
        raise VotesError("a fit needs at least one block of patterns, which may be empty")
    state = model.initial_state(blocks[0].n_lfs, blocks[0].n_classes)
    while state.stage != "done":
        statistics = reduce(add, (model.expected_counts(block, state) for block in blocks))
        state = model.m_step(statistics, state)
    return state


def blocks_of(table: PatternTable, rows: int = ROWS_PER_BLOCK) -> list[PatternTable]:
    """Cut a table into blocks that share its memory; at least one."""
    starts: Iterable[int] = range(0, max(len(table), 1), rows)
    return [table.slice(start, start + rows) for start in starts]


def check_shape(table: PatternTable, state: State) -> None:
    """Raise `VotesError` for votes of other LFs or classes than those of the state."""
    if (table.n_lfs, table.n_classes) != (state.n_lfs, state.n_classes):
        raise VotesError(
            f"votes of {table.n_lfs} LFs x {table.n_classes} classes, but the model has "
            f"{state.n_lfs} x {state.n_classes}"
        )


def check_stage(statistics: Statistics, state: State) -> None:
    """Raise `VotesError` for statistics of another stage than that of the state."""
    if statistics.stage != state.stage:
        raise VotesError(
            f"statistics of stage {statistics.stage!r} for parameters of stage {state.stage!r}"
        )
