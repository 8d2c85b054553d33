"""Counting slices: labels, votes and membership of a shard in, exact counts per slice out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.slicecounts import CREDIT, SliceAccuracy, SliceCounts, SliceGold, SliceSummary
from labelmill.slices import SLICES
from labelmill.votes import VoteArrays
from labelmodel.blocks import shared_winners
from labelmodel.metrics import wilson_interval

Ints = npt.NDArray[np.int64]


def count_slices(
    members: pa.RecordBatch,
    labels: pa.RecordBatch,
    votes: VoteArrays,
    scoring: npt.NDArray[np.int16],
    *,
    n_slices: int,
    class_names: Sequence[str],
) -> list[SliceCounts]:
    """Count each slice on a batch.

    Args:
        members: Batch of `labelmill.slices.SLICES_SCHEMA`.
        labels: The same records' columns ``label`` and ``covered``.
        votes: Their votes, without those of functions left out.
        scoring: Gold that only scores, int16, shape (rows,), -1 where there is none.
        n_slices: Slices of the job.
        class_names: The classes.
    """
    k = len(class_names)
    lists = members.column(SLICES)
    slices = np.asarray(lists.flatten()).astype(np.int64)
    rows = np.repeat(np.arange(len(lists)), np.diff(np.asarray(lists.offsets)))
    names = pa.array(class_names, pa.string())
    classes = np.asarray(pc.index_in(labels.column("label"), value_set=names)).astype(np.int64)
    covered = np.asarray(labels.column("covered"))[rows]
    judged = scoring[rows] >= 0
    credit = np.zeros(len(lists), dtype=np.int64)
    known = np.flatnonzero(scoring >= 0)
    credit[known] = _majority_credit(votes, scoring, known, k)

    def total(chosen: npt.NDArray[np.bool_], weights: Ints | None = None) -> list[int]:
        which = slices[chosen]
        if weights is None:
            return [int(n) for n in np.bincount(which, minlength=n_slices)]
        sums = np.zeros(n_slices, dtype=np.int64)
        np.add.at(sums, which, weights[rows[chosen]])
        return [int(n) for n in sums]

    by_class = np.bincount(
        slices[covered] * k + classes[rows[covered]], minlength=n_slices * k
    ).reshape(n_slices, k)
    counts = zip(
        total(np.ones(len(slices), dtype=bool)),
        total(covered),
        (tuple(row) for row in by_class.tolist()),
        [0] * n_slices,
        total(judged),
        total(judged & (classes == scoring)[rows]),
        total(judged, credit),
        strict=True,
    )
    return [SliceCounts(*numbers) for numbers in counts]


def _majority_credit(
    votes: VoteArrays, gold: npt.NDArray[np.int16], known: Ints, n_classes: int
) -> Ints:
    """Return what majority vote gets for each of some records, in units of `CREDIT`.

    The winners of a tie share the answer, as do all classes on a record without votes.
    """
    place = np.full(len(gold), -1, dtype=np.int64)
    place[known] = np.arange(len(known))
    voted = place[np.repeat(np.arange(len(gold)), np.diff(votes.indptr))]
    counts = np.zeros((len(known), n_classes))
    np.add.at(counts, (voted[voted >= 0], votes.labels[voted >= 0]), 1.0)
    counts[counts.sum(axis=1) == 0] = 1.0
    right = shared_winners(counts)[np.arange(len(known)), gold[known]]
    return np.rint(right / CREDIT).astype(np.int64)


def merged(parts: Sequence[Sequence[SliceCounts]], n_slices: int, k: int) -> list[SliceCounts]:
    """Return the counts of all parts together, slice by slice."""
    zero = SliceCounts.zero(k)
    return [reduce(SliceCounts.merge, (part[n] for part in parts), zero) for n in range(n_slices)]


def slice_summaries(names: Sequence[str], counts: Sequence[SliceCounts]) -> list[dict[str, Any]]:
    """Return what a manifest says of each slice, as plain data."""
    return [
        asdict(
            SliceSummary(
                name,
                found.records,
                found.covered,
                found.class_counts,
                found.undecided,
                _gold(found),
            )
        )
        for name, found in zip(names, counts, strict=True)
    ]


def _gold(counts: SliceCounts) -> SliceGold | None:
    n, right = counts.judged, counts.right
    if not n:
        return None
    credit = min(counts.majority_credit * CREDIT, n)
    majority = SliceAccuracy(credit / n, *wilson_interval(credit, n))
    low, high = wilson_interval(right, n)
    return SliceGold(right / n, low, high, n=n, right=right, majority_vote=majority)
