"""Votes as people have them (dense matrix, sparse matrix, long table) turned into patterns."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from labelmodel.arrays import AnyArray, IntArray
from labelmodel.errors import VotesError
from labelmodel.patterns import PatternTable, count_patterns_with_inverse
from labelmodel.validation import whole_numbers

ABSTAIN = -1

# Dense int[n, m] with -1 for abstain, or scipy sparse [n, m] that stores class + 1.
# Any: scipy's sparse types are generic in the dtype, which callers choose.
VoteMatrix: TypeAlias = AnyArray | Any
Votes: TypeAlias = PatternTable | VoteMatrix


def from_dense(
    votes: VoteMatrix,
    *,
    n_classes: int | None = None,
    gold: AnyArray | None = None,
    eval_gold: AnyArray | None = None,
) -> PatternTable:
    """Count the patterns of a vote matrix as Snorkel has it, or of a scipy sparse one.

    Parameters
    ----------
    votes : int[n, m] or scipy sparse [n, m]
        Class of each vote with -1 for abstain; a sparse matrix stores class + 1.
    n_classes : int, optional
        One more than the largest class in `votes` and `gold` by default.
    gold, eval_gold : int[n], optional
        Hand labels for the fit and for scoring, -1 for unknown.

    Returns
    -------
    PatternTable

    Raises
    ------
    VotesError
        Not a matrix of integers, or classes out of range.

    Examples
    --------
    >>> table = from_dense(np.array([[0, -1], [1, 1], [0, -1]]))
    >>> sorted(table.counts.tolist())
    [1, 2]
    """
    return from_dense_with_inverse(votes, n_classes=n_classes, gold=gold, eval_gold=eval_gold)[0]


def from_dense_with_inverse(
    votes: VoteMatrix,
    *,
    n_classes: int | None = None,
    gold: AnyArray | None = None,
    eval_gold: AnyArray | None = None,
) -> tuple[PatternTable, IntArray]:
    """Count as `from_dense` does, and give the pattern of each row, int64[n]."""
    indptr, lfs, labels, n_lfs = _sparse_votes(votes)
    if n_classes is None:
        judged = [whole_numbers("gold", g, unknown=-1) for g in (gold, eval_gold) if g is not None]
        seen = [labels, *judged]
        n_classes = max((int(values.max()) for values in seen if len(values)), default=-1) + 1
        n_classes = max(n_classes, 1)
    return count_patterns_with_inverse(
        indptr,
        lfs,
        labels,
        n_lfs=n_lfs,
        n_classes=n_classes,
        gold=gold,
        eval_gold=eval_gold,
    )


def from_long(
    tasks: AnyArray,
    workers: AnyArray,
    labels: AnyArray,
    *,
    n_tasks: int | None = None,
    n_workers: int | None = None,
) -> sparse.csr_matrix:
    """Sparse vote matrix of a long table `task, worker, label`, of integer codes.

    Parameters
    ----------
    tasks, workers, labels : int[r]
        Where a worker answered a task several times, the last answer in the table counts.
    n_tasks, n_workers : int, optional
        One more than the largest code by default.

    Returns
    -------
    scipy.sparse.csr_matrix of int32[n_tasks, n_workers]
        Stores label + 1, as `fit` and `from_dense` take it.

    Raises
    ------
    VotesError
        Columns of different lengths or negative codes.
    """
    if not tasks.shape == workers.shape == labels.shape or tasks.ndim != 1:
        raise VotesError(f"columns of shapes {tasks.shape}, {workers.shape}, {labels.shape}")
    if len(tasks) and min(tasks.min(), workers.min(), labels.min()) < 0:
        raise VotesError("codes of tasks, workers and labels must not be negative")
    rows = n_tasks if n_tasks is not None else int(tasks.max(initial=-1)) + 1
    columns = n_workers if n_workers is not None else int(workers.max(initial=-1)) + 1
    cell = tasks.astype(np.int64) * max(columns, 1) + workers
    _, from_end = np.unique(cell[::-1], return_index=True)
    last = len(cell) - 1 - from_end
    return sparse.csr_matrix(
        (labels[last].astype(np.int32) + 1, (tasks[last], workers[last])), shape=(rows, columns)
    )


def _sparse_votes(votes: VoteMatrix) -> tuple[IntArray, AnyArray, AnyArray, int]:
    """Return the votes as indptr, LFs and labels, and the number of LFs."""
    if sparse.issparse(votes):
        generic: Any = votes  # scipy's abstract sparse type lacks tocsr
        matrix = generic.tocsr(copy=True)
        matrix.data = whole_numbers("sparse votes (class + 1)", matrix.data)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return (
            matrix.indptr.astype(np.int64),
            matrix.indices,
            matrix.data.astype(np.int64) - 1,
            matrix.shape[1],
        )
    dense = np.asarray(votes)
    if dense.ndim != 2:
        raise VotesError(f"votes must be a matrix of records x LFs, not of shape {dense.shape}")
    if dense.dtype.kind not in "iu":
        dense = whole_numbers("votes (-1 for abstain)", dense)
    if dense.size and dense.min() < ABSTAIN:
        raise VotesError(f"vote {dense.min()} is neither a class nor -1 (abstain)")
    rows, lfs = np.nonzero(dense != ABSTAIN)
    indptr = np.zeros(len(dense) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(dense)), out=indptr[1:])
    return indptr, lfs, dense[rows, lfs].astype(np.int64), dense.shape[1]
