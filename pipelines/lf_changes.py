"""What an edit did to the votes: two runs of the functions on one sample, compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.lf_examples import Codes, Ints
from pipelines.lfs import SampleAnalysis


@dataclass(frozen=True)
class VoteChange:
    """How the votes of a function changed.

    Attributes:
        gained: Records on which it votes and did not.
        lost: Records on which it voted and no longer does.
        moved: Records on which it votes for another class.
        new: There was no such function.
        gone: There is no such function any more.
    """

    gained: int = 0
    lost: int = 0
    moved: int = 0
    new: bool = False
    gone: bool = False

    @property
    def any(self) -> bool:
        """Whether anything changed."""
        return self != VoteChange()


def compare(before: SampleAnalysis, after: SampleAnalysis) -> Mapping[str, VoteChange] | None:
    """Return each function's change, by name; None when the two are of unlike samples.

    Args:
        before: The run before.
        after: This run.
    """
    if before.ids != after.ids or before.table.class_names != after.table.class_names:
        return None
    old, new = _by_function(before), _by_function(after)
    changes = {name: VoteChange(gone=True) for name in before.table.names if name not in new}
    for name, (rows, labels) in new.items():
        if name not in old:
            changes[name] = VoteChange(new=True)
            continue
        old_rows, old_labels = old[name]
        _, mine, theirs = np.intersect1d(rows, old_rows, assume_unique=True, return_indices=True)
        changes[name] = VoteChange(
            gained=len(rows) - len(mine),
            lost=len(old_rows) - len(mine),
            moved=int(np.count_nonzero(labels[mine] != old_labels[theirs])),
        )
    return changes


def _by_function(found: SampleAnalysis) -> dict[str, tuple[Ints, Codes]]:
    """Return the rows and classes of each function's votes."""
    votes = found.votes
    rows = np.repeat(np.arange(found.rows, dtype=np.int64), np.diff(votes.indptr))
    order = np.argsort(votes.lfs, kind="stable")
    edges = np.searchsorted(votes.lfs[order], np.arange(len(found.table.lfs) + 1))
    return {
        name: (rows[order[start:stop]], votes.labels[order[start:stop]])
        for name, start, stop in zip(found.table.names, edges[:-1], edges[1:], strict=True)
    }


def changes_document(changes: Mapping[str, VoteChange] | None) -> dict[str, Any] | None:
    """Return the changes as plain data, those of functions with any."""
    if changes is None:
        return None
    return {name: asdict(change) for name, change in changes.items() if change.any}
