"""Counting slices: against counting record by record, in parts, and as a manifest says it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from labelmill.slicecounts import CREDIT, SliceCounts
from labelmill.slices import SLICES_SCHEMA, in_slice
from labelmill.votes import LFInfo, LFTable, pack_votes, unpack_votes
from labelmodel.metrics import wilson_interval
from transforms.slicing import count_slices, merged, slice_summaries

CLASSES = ("ham", "spam", "news")
N_SLICES = 4
TABLE = LFTable(tuple(LFInfo(name, "") for name in "abcde"), CLASSES)


def batches(rows: int, seed: int = 0):
    """Return members, labels, votes and gold of random records, the last slice being empty."""
    rng = np.random.default_rng(seed)
    inside = rng.random((rows, N_SLICES)) < (0.5, 0.1, 0.9, 0.0)
    codes = rng.integers(-1, 3, (5, rows)).astype(np.int16)
    codes[rng.random((5, rows)) < 0.5] = -1
    lists = [np.flatnonzero(row).tolist() for row in inside]
    members = pa.RecordBatch.from_arrays(
        [pa.array(lists, pa.list_(pa.int16()))], schema=SLICES_SCHEMA
    )
    labels = pa.RecordBatch.from_pydict(
        {
            "label": [CLASSES[c] for c in rng.integers(0, 3, rows)],
            "covered": (codes >= 0).any(axis=0),
        }
    )
    votes = pack_votes(pa.array([str(n) for n in range(rows)]), codes, TABLE)
    gold = np.where(rng.random(rows) < 0.4, rng.integers(0, 3, rows), -1).astype(np.int16)
    return inside, codes, members, labels, votes, gold


def counted(members, labels, votes, gold) -> list[SliceCounts]:
    arrays = unpack_votes(votes)
    return count_slices(members, labels, arrays, gold, n_slices=N_SLICES, class_names=CLASSES)


def test_counts_are_those_of_counting_record_by_record():
    inside, codes, members, labels, votes, gold = batches(300)
    named, covered = labels.column("label").to_pylist(), labels.column("covered").to_pylist()

    for place, counts in enumerate(counted(members, labels, votes, gold)):
        rows = np.flatnonzero(inside[:, place])
        judged = [n for n in rows if gold[n] >= 0]
        right = [named[n] == CLASSES[gold[n]] for n in judged]
        credit = 0.0
        for n in judged:
            tally = Counter(codes[:, n][codes[:, n] >= 0].tolist()) or Counter(range(3))
            winners = [c for c in tally if tally[c] == max(tally.values())]
            credit += (gold[n] in winners) / len(winners)
        assert counts.records == len(rows)
        assert counts.covered == sum(covered[n] for n in rows)
        by_class = Counter(named[n] for n in rows if covered[n])
        assert counts.class_counts == tuple(by_class[name] for name in CLASSES)
        assert (counts.judged, counts.right) == (len(judged), sum(right))
        assert counts.majority_credit * CREDIT == pytest.approx(credit, abs=1e-5)
        assert in_slice(members, place).tolist() == inside[:, place].tolist()
    assert counts == SliceCounts.zero(3)


@pytest.mark.parametrize("cut", [0, 1, 137, 300])
def test_counts_of_parts_add_up_exactly(cut):
    _, _, members, labels, votes, gold = batches(300)
    parts = [
        counted(*(b.slice(*at) for b in (members, labels, votes)), gold[at[0] : sum(at)])
        for at in ((0, cut), (cut, 300 - cut))
    ]

    assert merged(parts, N_SLICES, 3) == counted(members, labels, votes, gold)
    assert merged([], N_SLICES, 3) == [SliceCounts.zero(3)] * N_SLICES


def test_summary_has_intervals_and_nothing_where_nothing_was_judged():
    some = SliceCounts(50, 40, (10, 30, 0), 2, 20, 15, round(12.5 / CREDIT))
    first, second = slice_summaries(["long", "none"], [some, SliceCounts.zero(3)])

    low, high = wilson_interval(15, 20)
    majority = dict(zip(("low", "high"), wilson_interval(12.5, 20), strict=True))
    assert first == {
        "name": "long",
        "records": 50,
        "covered": 40,
        "class_counts": (10, 30, 0),
        "undecided": 2,
        "gold": {
            "n": 20,
            "right": 15,
            "accuracy": 0.75,
            "low": low,
            "high": high,
            "majority_vote": {"accuracy": 0.625, **majority},
        },
    }
    assert (second["records"], second["gold"]) == (0, None)
