"""Functions of a job that hurt, repeat others, or drifted: what to remove or fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from labelmill.shifts import rate_shift
from labelmill.store import Store
from labelmill.teach.choosing import OPINION_UNIT, PRIOR
from labelmill.versions import list_versions, read_manifest
from labelmodel.patterns import count_patterns
from pipelines.lesson import Lesson
from pipelines.lf_pairs import find_pairs

HURTS_BELOW = 0.5
LEAST_JUDGED = 3
"""Judged votes from which a function may be said to hurt."""

_SURE = 0.9
_DRIFT = 0.3


@dataclass(frozen=True)
class Faulty:
    """A function to look at.

    Attributes:
        name: Its name.
        why: What is wrong.
        said: In one sentence, with the numbers.
    """

    name: str
    why: Literal["hurts", "duplicate", "drifted"]
    said: str


def find_faulty(lesson: Lesson) -> tuple[Faulty, ...]:
    """Return the functions of a job that are worth removing or fixing."""
    return (*_hurting(lesson), *_duplicates(lesson), *_drifted(lesson))


def _hurting(lesson: Lesson) -> list[Faulty]:
    """Return functions that are right on less than half of their votes, as far as one can tell."""
    votes, found = lesson.votes, []
    rows = np.repeat(np.arange(len(lesson.labels)), np.diff(votes.indptr))
    labels = lesson.labels[rows]
    opinion = lesson.read[rows, votes.labels]
    for n, name in enumerate(lesson.prepared.table.names):
        mine = votes.lfs == n
        known = mine & (labels >= 0)
        judged, right = int(known.sum()), int((known & (labels == votes.labels)).sum())
        others = mine & (labels < 0)
        if judged < LEAST_JUDGED or 2 * right >= judged:
            continue  # the classifier's opinion alone speaks against no expert
        mean = float(opinion[others].mean()) if others.any() else 0.5
        mean = min(max(mean, OPINION_UNIT), 1 - OPINION_UNIT)
        upper = special.betaincinv(right + PRIOR * mean, judged - right + PRIOR * (1 - mean), _SURE)
        if upper < HURTS_BELOW:
            said = f"right on {right} of {judged} judged votes; on the others the classifier agrees"
            found.append(Faulty(name, "hurts", f"{said} with {mean:.0%}"))
    return found


def _duplicates(lesson: Lesson) -> list[Faulty]:
    table, votes = lesson.prepared.table, lesson.votes
    patterns = count_patterns(
        votes.indptr,
        votes.lfs,
        votes.labels,
        n_lfs=len(table.lfs),
        n_classes=len(table.class_names),
    )
    pairs = find_pairs(patterns, table.names, [lf.fingerprint for lf in table.lfs])
    return [
        Faulty(
            pair.second,
            "duplicate",
            f"votes as {pair.first} does on {pair.agree:,} of {pair.together:,} shared records",
        )
        for pair in pairs.near_duplicates
    ]


def _drifted(lesson: Lesson) -> list[Faulty]:
    """Return functions whose share of votes moved between the last two versions."""
    store = Store.open(lesson.job.output.uri)
    last = list_versions(store)[-2:]
    if len(last) < 2:
        return []
    before, now = (read_manifest(store, version) for version in last)
    earlier = {lf["name"]: (lf["fingerprint"], n) for n, lf in enumerate(before.lfs)}
    found = []
    for n, lf in enumerate(now.lfs):
        fingerprint, place = earlier.get(lf["name"], (None, 0))
        if fingerprint != lf["fingerprint"]:
            continue  # new or edited
        votes = before.counts["votes"][place], now.counts["votes"][n]
        rows = before.counts["rows"], now.counts["rows"]
        shift = rate_shift(votes[0], rows[0], votes[1], rows[1])
        if shift > _DRIFT:
            shares = f"{votes[0] / rows[0]:.2%} of the records, now {votes[1] / rows[1]:.2%}"
            said = f"voted on {shares} (versions {last[0]} and {last[1]})"
            found.append(Faulty(str(lf["name"]), "drifted", said))
    return found
