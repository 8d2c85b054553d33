"""Votes as other libraries hold them in memory, turned into a `VoteSet`: Snorkel and crowd-kit.

`convert_files` reads and writes the files of WRENCH and MACE.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from labelmodel.arrays import AnyArray, IntArray
from labelmodel.errors import VotesError
from labelmodel.frames import is_missing
from labelmodel.validation import checked_gold
from labelmodel.votes import ABSTAIN, from_long
from labelmodel.voteset import VoteSet, numbered, positions


class LongFrame(Protocol):
    """A table with columns by name: a pandas DataFrame, or a dict of lists."""

    def __getitem__(self, name: str, /) -> Any:  # any sequence of hashable values
        """Column of this name."""


def from_snorkel(
    label_matrix: AnyArray,
    *,
    gold: AnyArray | None = None,
    lf_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    record_ids: Sequence[Hashable] | None = None,
) -> VoteSet:
    """Take Snorkel's L and Y.

    Parameters
    ----------
    label_matrix : int[n, m]
        What `PandasLFApplier.apply` returns: -1 for abstain.
    gold : int[n], optional
        Snorkel's Y, -1 for unknown.
    lf_names, class_names : sequence of str, optional
        `lf0`, `lf1`, ... and `0`, `1`, ... by default.
    record_ids : sequence, optional
        Row numbers by default.

    Returns
    -------
    VoteSet

    Raises
    ------
    VotesError
        Not a matrix of integers of at least -1, names that do not fit, or gold out of range.

    Examples
    --------
    >>> votes = from_snorkel(np.array([[0, -1], [1, 1]]), gold=np.array([0, 1]))
    >>> votes.source_names, votes.class_names
    (('lf0', 'lf1'), ('0', '1'))
    """
    matrix = np.asarray(label_matrix)
    if matrix.ndim != 2 or matrix.dtype.kind not in "iu":
        raise VotesError(f"L must be a matrix of integers, not {matrix.dtype} of {matrix.shape}")
    if matrix.size and matrix.min() < ABSTAIN:
        raise VotesError(f"vote {matrix.min()} is neither a class nor -1 (abstain)")
    n, m = matrix.shape
    highest = max(int(np.max(part, initial=-1)) for part in (matrix, gold) if part is not None)
    names = numbered("", highest + 1) if class_names is None else tuple(class_names)
    return VoteSet(
        votes=sparse.csr_matrix(matrix.astype(np.int32) + 1),
        record_ids=tuple(range(n)) if record_ids is None else tuple(record_ids),
        source_names=numbered("lf", m) if lf_names is None else tuple(lf_names),
        class_names=names,
        gold=checked_gold("gold", gold, n, max(len(names), 1)),
    )


def from_crowdkit(frame: LongFrame, gold: Mapping[Any, Any] | None = None) -> VoteSet:
    """Take a crowd-kit frame.

    Parameters
    ----------
    frame : DataFrame or mapping of columns
        Columns `task`, `worker` and `label` of any hashable values, one row for each answer.
        Where a worker answered a task several times, the last answer counts.
    gold : mapping, optional
        True label of some tasks: a pandas Series by task, or a dict. Tasks that nobody answered
        are left out.

    Returns
    -------
    VoteSet
        Records and sources in the order of their first answer; classes sorted.

    Raises
    ------
    VotesError
        A column is missing or has empty values, or labels do not sort.

    Examples
    --------
    >>> frame = {"task": ["t1", "t1", "t2"], "worker": ["w1", "w2", "w1"], "label": ["b", "a", "b"]}
    >>> from_crowdkit(frame, gold={"t2": "b"}).class_names
    ('a', 'b')
    """
    tasks, workers, labels = (_column(frame, name) for name in ("task", "worker", "label"))
    known = dict(gold.items()) if gold is not None else {}
    record_ids, source_names = tuple(dict.fromkeys(tasks)), tuple(dict.fromkeys(workers))
    asked = [known.get(task) for task in record_ids]
    try:
        class_names = tuple(sorted({*labels, *(label for label in asked if label is not None)}))
    except TypeError as error:
        raise VotesError(f"labels of unlike types do not sort: {error}") from error
    of_class = positions(class_names)
    return VoteSet(
        votes=from_long(
            _codes(tasks, positions(record_ids)),
            _codes(workers, positions(source_names)),
            _codes(labels, of_class),
            n_tasks=len(record_ids),
            n_workers=len(source_names),
        ),
        record_ids=record_ids,
        source_names=source_names,
        class_names=class_names,
        gold=np.array([of_class.get(label, ABSTAIN) for label in asked], dtype=np.int16),
    )


def _column(frame: LongFrame, name: str) -> list[Any]:
    try:
        column = frame[name]
    except KeyError:
        raise VotesError(
            f"the frame has no column {name!r}; it needs task, worker and label"
        ) from None
    values: list[Any] = column.tolist() if hasattr(column, "tolist") else list(column)
    for row, value in enumerate(values):
        if is_missing(value):
            raise VotesError(f"row {row} of column {name!r} is empty; drop rows without an answer")
    return values


def _codes(values: list[Any], of: dict[Hashable, int]) -> IntArray:
    return np.array([of[value] for value in values], dtype=np.int64)
