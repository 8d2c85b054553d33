"""Long tables `task, worker, label` of any data frame library, as crowd-kit has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from labelmodel.arrays import AnyArray, IntArray
from labelmodel.errors import VotesError
from labelmodel.votes import from_long

COLUMNS = ("task", "worker", "label")

# Any: a pandas or polars data frame, a pyarrow table, or a mapping of columns.
Frame = Any


@dataclass(frozen=True)
class LongVotes:
    """A long table in codes.

    Attributes
    ----------
    matrix : scipy.sparse.csr_matrix of int32[n, m]
        Stores class + 1.
    tasks : array[n]
        Task of each row, ascending.
    workers : array[m]
        Worker of each column, ascending.
    classes : array[k]
        Label that each class stands for, ascending.
    """

    matrix: sparse.csr_matrix
    tasks: AnyArray
    workers: AnyArray
    classes: AnyArray


def is_frame(votes: object) -> bool:
    """Whether votes are a table with the columns `task`, `worker` and `label`."""
    if isinstance(votes, Mapping):
        names = list(votes)
    else:
        names = list(getattr(votes, "column_names", getattr(votes, "columns", ())))
    return set(COLUMNS) <= set(names)


def from_frame(
    frame: Frame,
    *,
    workers: AnyArray | None = None,
    classes: AnyArray | None = None,
) -> LongVotes:
    """Turn a long table into a vote matrix.

    Parameters
    ----------
    frame : pandas or polars data frame, pyarrow table, or mapping of columns
        With columns `task`, `worker` and `label` of any values that can be ordered. Where a
        worker answered a task several times, the last answer in the table counts.
    workers, classes : array, optional
        Those of a fit, ascending; by default what the table has.

    Raises
    ------
    VotesError
        Missing values, or workers or labels that the fit did not have.

    Examples
    --------
    >>> votes = from_frame({"task": ["b", "a"], "worker": [7, 9], "label": ["no", "yes"]})
    >>> votes.matrix.toarray().tolist(), votes.tasks.tolist(), votes.classes.tolist()
    ([[0, 2], [1, 0]], ['a', 'b'], ['no', 'yes'])
    """
    columns = {name: _checked(name, np.asarray(frame[name])) for name in COLUMNS}
    tasks, task_codes = np.unique(columns["task"], return_inverse=True)
    workers, worker_codes = _codes("worker", columns["worker"], workers)
    classes, label_codes = _codes("label", columns["label"], classes)
    matrix = from_long(
        task_codes, worker_codes, label_codes, n_tasks=len(tasks), n_workers=len(workers)
    )
    return LongVotes(matrix, tasks, workers, classes)


def gold_of(tasks: AnyArray, classes: AnyArray, gold: object) -> IntArray | None:
    """Class of each task by a mapping of tasks to labels, -1 for the others; int64[n]."""
    if gold is None:
        return None
    if not isinstance(gold, Mapping) and not hasattr(gold, "items"):
        raise VotesError("gold beside a long table must be a mapping of tasks to labels")
    codes = {label: code for code, label in enumerate(classes.tolist())}
    named = {task: row for row, task in enumerate(tasks.tolist())}
    result = np.full(len(tasks), -1, dtype=np.int64)
    for task, label in gold.items():
        if label not in codes:
            raise VotesError(f"gold label {label!r} of task {task!r} is none of {list(codes)}")
        if task in named:
            result[named[task]] = codes[label]
    return result


def _checked(name: str, values: AnyArray) -> AnyArray:
    """A column of the table, after a check that no value is missing."""
    if values.dtype.kind in "iub":
        return values
    # NaN is the value that differs from itself.
    if any(value is None or value != value for value in values.tolist()):  # noqa: PLR0124
        raise VotesError(f"column {name!r} has missing values; leave those rows out")
    return values


def _codes(name: str, values: AnyArray, known: AnyArray | None) -> tuple[AnyArray, IntArray]:
    distinct, codes = np.unique(values, return_inverse=True)
    if known is None:
        return distinct, codes
    unknown = np.setdiff1d(distinct, known)
    if len(unknown):
        raise VotesError(f"{name} {unknown.tolist()[0]!r} does not occur in the votes of the fit")
    return known, np.searchsorted(known, distinct)[codes]
