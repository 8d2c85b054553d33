"""Long tables `task, worker, label` of any data frame library, as crowd-kit has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    gold: object = None,
) -> LongVotes:
    """Turn a long table into a vote matrix.

    Parameters
    ----------
    frame : pandas or polars data frame, pyarrow table, or mapping of columns
        With columns `task`, `worker` and `label` of any values that can be ordered. Where a
        worker answered a task several times, the last answer in the table counts.
    workers, classes : array, optional
        Those of a fit; by default what the table has. Where they are text, as in a model that
        was stored so, values of the table are read as text.
    gold : mapping, optional
        Labels of tasks (`gold_of`): those of the table's tasks are classes too, voted or not.

    Raises
    ------
    VotesError
        Missing values, values of a column that have no order, workers or labels that the fit did
        not have, or gold that is no mapping.

    Examples
    --------
    >>> votes = from_frame({"task": ["b", "a"], "worker": [7, 9], "label": ["no", "yes"]})
    >>> votes.matrix.toarray().tolist(), votes.tasks.tolist(), votes.classes.tolist()
    ([[0, 2], [1, 0]], ['a', 'b'], ['no', 'yes'])
    """
    columns = {name: _checked(name, frame[name]) for name in COLUMNS}
    tasks, task_codes = _codes("task", columns["task"], None)
    workers, worker_codes = _codes("worker", columns["worker"], workers)
    if classes is None and gold is not None:
        of_gold = [label for _, label in _known_gold(tasks, gold)]
        together = np.concatenate([np.asarray(columns["label"], object), _objects(of_gold)])
        classes = _codes("label", _checked("label", together.tolist()), None)[0]
    classes, label_codes = _codes("label", columns["label"], classes)
    matrix = from_long(
        task_codes, worker_codes, label_codes, n_tasks=len(tasks), n_workers=len(workers)
    )
    return LongVotes(matrix, tasks, workers, classes)


def gold_of(tasks: AnyArray, classes: AnyArray, gold: object) -> IntArray | None:
    """Class of each task by a mapping of tasks to labels, -1 for the others; int64[n].

    Missing labels, and labels of tasks that are none of `tasks`, are left out.
    """
    if gold is None:
        return None
    codes = {label: code for code, label in enumerate(classes.tolist())}
    named = {task: row for row, task in enumerate(tasks.tolist())}
    result = np.full(len(tasks), -1, dtype=np.int64)
    for task, label in _known_gold(tasks, gold):
        result[named[task]] = codes[label]
    return result


def is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, NaT, or pandas' NA."""
    # pandas' are told by the names of their types: pandas itself is not needed here.
    return (
        value is None
        or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
        or type(value).__name__ in ("NAType", "NaTType")
    )


def _known_gold(tasks: AnyArray, gold: object) -> list[tuple[Any, Any]]:
    """Tasks of the table with the labels that gold has for them."""
    if not isinstance(gold, Mapping) and not hasattr(gold, "items"):
        raise VotesError("gold beside a long table must be a mapping of tasks to labels")
    known = set(tasks.tolist())
    return [
        (task, label) for task, label in gold.items() if task in known and not is_missing(label)
    ]


def _checked(name: str, column: Any) -> AnyArray:
    """A column of the table as an array, after a check that no value is missing."""
    values = np.asarray(column)
    if values.dtype.kind in "iub":
        return values
    # An array of a list would make text of the numbers and the NaN in it.
    entries = column if isinstance(column, list | tuple) else values.tolist()
    if any(is_missing(value) for value in entries):
        raise VotesError(f"column {name!r} has missing values; leave those rows out")
    return _objects(entries) if _mixes_text(entries) else values


def _objects(entries: Sequence[Any]) -> AnyArray:
    values: AnyArray = np.empty(len(entries), dtype=object)
    values[:] = entries
    return values


def _mixes_text(entries: Sequence[Any]) -> bool:
    return len({isinstance(entry, str) for entry in entries}) > 1


def _codes(name: str, values: AnyArray, known: AnyArray | None) -> tuple[AnyArray, IntArray]:
    try:
        distinct, codes = np.unique(values, return_inverse=True)
    except TypeError as error:
        raise VotesError(
            f"column {name!r} has values of unlike types, which have no order ({error}); "
            "make them all text or all numbers"
        ) from None
    if known is None:
        return distinct, codes
    position = {value: place for place, value in enumerate(known.tolist())}
    wanted = distinct.tolist()
    if all(isinstance(value, str) for value in position):
        wanted = [str(value) for value in wanted]
    for value, text in zip(distinct.tolist(), wanted, strict=True):
        if text not in position:
            raise VotesError(f"{name} {value!r} does not occur in the votes of the fit")
    return known, np.array([position[value] for value in wanted], dtype=np.int64)[codes]
