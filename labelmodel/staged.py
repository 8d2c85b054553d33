"""Models fitted by sums over patterns: the contract between a model and whoever drives its fit.

A fit is a chain of stages. At each, `expected_counts` turns a block of patterns into `Statistics`,
the statistics of all blocks are added, exactly and in any order, and `m_step` turns the sum into
the state of the next stage, until its stage is "done". `fit_blocks` drives the chain in memory;
a distributed fit drives the same functions, with the state as a side input.
"""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from operator import add
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.base import BaseLabelModel
from labelmodel.errors import (
    ConvergenceWarning,
    LabelModelWarning,
    ParametersError,
    VotesError,
)
from labelmodel.patterns import PatternTable
from labelmodel.state import Statistics

MAX_ROWS_PER_BLOCK = 1 << 16
CELLS_PER_BLOCK = 1 << 18
"""Rows times classes of a block; its posteriors then stay in a processor's cache."""


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

    @property
    def class_balance(self) -> FloatArray:
        """Probability of each class for a record without votes, float64[k]."""


StateT = TypeVar("StateT", bound=State)


class StagedModel(BaseLabelModel, Generic[StateT]):
    """A label model whose every step is a sum over patterns.

    The four functions of a fit depend on the constructor's parameters and their arguments alone,
    so that they can run anywhere; only `set_state` changes the model.

    Attributes
    ----------
    state_type : type
        Class of the states.
    warning_type : type
        What a fit gives its warnings as.
    state_ : State
        The finished state of the fit.
    warnings_ : list of str
        What a user should know of the fit.
    """

    state_type: ClassVar[type[Any]]  # Any: a class variable cannot be of type StateT
    warning_type: ClassVar[type[LabelModelWarning]] = ConvergenceWarning
    state_: StateT
    warnings_: list[str]

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

    def set_state(self, state: StateT) -> Self:
        """Take over a finished state: set the fitted attributes.

        A subclass extends it with the attributes of its own.

        Raises
        ------
        ParametersError
            The state of a fit that is not done.
        """
        if state.stage != "done":
            raise ParametersError(
                f"state of stage {state.stage!r} is not fitted; repeat m_step until 'done'"
            )
        self.state_, self.warnings_ = state, []
        self.n_classes_, self.n_lfs_ = state.n_classes, state.n_lfs
        self.class_balance_ = np.array(state.class_balance)
        self.uncovered_balance_ = self.class_balance_
        self.classes_, self.workers_ = np.arange(state.n_classes), np.arange(state.n_lfs)
        return self

    def _fit(self, table: PatternTable) -> None:
        self.set_state(fit_blocks(self, blocks_of(table), os.cpu_count() or 1))
        for text, kind in self._notices():
            warnings.warn(text, kind, stacklevel=3)

    def _notices(self) -> list[tuple[str, type[LabelModelWarning]]]:
        """Warnings of the fit to be given, by default all of `warnings_`."""
        return [(text, self.warning_type) for text in self.warnings_]

    def _posteriors(self, table: PatternTable) -> FloatArray:
        blocks = blocks_of(table)
        return np.concatenate([self.posteriors(block, self.state_) for block in blocks])


def fit_blocks(
    model: StagedModel[StateT], blocks: Sequence[PatternTable], n_threads: int = 1
) -> StateT:
    """Fit in memory: all stages over blocks of patterns.

    Parameters
    ----------
    model : StagedModel
        Its constructor's parameters; the model itself is not changed.
    blocks : sequence of PatternTable
        At least one; how records are divided among them does not change a bit of the result.
    n_threads : int
        Threads that share the blocks; numpy and scipy let them run side by side.

    Returns
    -------
    state
        Of stage "done".
    """
    if not blocks:
        raise VotesError("a fit needs at least one block of patterns, which may be empty")
    shapes = {(block.n_lfs, block.n_classes) for block in blocks}
    if len(shapes) > 1:
        raise VotesError(f"blocks of different (n_lfs, n_classes): {sorted(shapes)}")
    state = model.initial_state(blocks[0].n_lfs, blocks[0].n_classes)
    n_threads = min(n_threads, len(blocks))
    shares = [blocks[first::n_threads] for first in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        while state.stage != "done":
            sums = pool.map(partial(_sum, model, state), shares)
            state = model.m_step(reduce(add, sums), state)
    return state


def _sum(model: StagedModel[StateT], state: StateT, blocks: Sequence[PatternTable]) -> Statistics:
    return reduce(add, (model.expected_counts(block, state) for block in blocks))


def blocks_of(table: PatternTable) -> list[PatternTable]:
    """Cut a table into blocks that share its memory; at least one."""
    rows = min(MAX_ROWS_PER_BLOCK, max(CELLS_PER_BLOCK // table.n_classes, 1))
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
