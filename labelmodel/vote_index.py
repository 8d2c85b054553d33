"""Numbers for the votes that occur, so that tables over (LF, vote) hold nothing that never did.

With 5,000 functions and 200 classes there are a million possible votes but, where each function
votes for one class, 5,000 that occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from labelmodel.arrays import IndexArray, IntArray, LabelArray, LFArray, NumberT
from labelmodel.patterns import PatternTable


@dataclass(frozen=True, eq=False)
class VoteIndex:
    """The S pairs (LF, vote) that occur in a fit, ordered by LF, then by vote.

    Tables over votes are indexed by position in this order.

    Attributes
    ----------
    lfs : int32[S]
    labels : int16[S]
    n_lfs, n_classes : int
    """

    lfs: LFArray
    labels: LabelArray
    n_lfs: int
    n_classes: int

    def __len__(self) -> int:
        """Return the number of votes that occur, S."""
        return len(self.lfs)

    @cached_property
    def numbers(self) -> LFArray:
        """Position of each vote, -1 where it does not occur; int32[m, k]."""
        numbers = np.full((self.n_lfs, self.n_classes), -1, dtype=np.int32)
        numbers[self.lfs, self.labels] = np.arange(len(self), dtype=np.int32)
        return numbers

    def numbers_of(self, table: PatternTable) -> IndexArray:
        """Position of each vote of a table, -1 for votes that do not occur; int[nnz]."""
        if len(self) == self.numbers.size:
            return vote_cells(table)
        return self.numbers.reshape(-1).take(vote_cells(table))

    def by_lf(self, per_vote: npt.NDArray[NumberT]) -> npt.NDArray[NumberT]:
        """Sum over the votes of each LF, added in their order; [S, ...] -> [m, ...]."""
        indptr = np.searchsorted(self.lfs, np.arange(self.n_lfs + 1))
        ones = np.ones(len(self), dtype=per_vote.dtype)
        votes_of = sparse.csr_matrix(
            (ones, np.arange(len(self)), indptr), shape=(self.n_lfs, len(self))
        )
        return np.asarray(votes_of @ per_vote)

    def votes_per_lf(self) -> IntArray:
        """Number of votes that occur of each LF, int64[m]."""
        return np.bincount(self.lfs, minlength=self.n_lfs)

    def at_own_label(self, per_vote: npt.NDArray[NumberT]) -> npt.NDArray[NumberT]:
        """Entry of each row at the class voted for; [S, k] -> [S]."""
        return per_vote[np.arange(len(self)), self.labels]


def vote_cells(table: PatternTable) -> IndexArray:
    """Each vote of a table as LF * k + label, int[nnz]; of 32 bits where they suffice."""
    fits = table.n_lfs * table.n_classes < 2**31
    cells: IndexArray = table.lfs * (np.int32 if fits else np.int64)(table.n_classes)
    cells += table.labels
    return cells


def index_votes(votes: IntArray) -> VoteIndex:
    """Index of the votes that have a count; int64[m, k]."""
    lfs, labels = np.nonzero(votes)
    return VoteIndex(lfs.astype(np.int32), labels.astype(np.int16), *votes.shape)


def no_votes(n_lfs: int, n_classes: int) -> VoteIndex:
    """Index of no vote at all: before any statistics."""
    return index_votes(np.zeros((n_lfs, n_classes), dtype=np.int64))
