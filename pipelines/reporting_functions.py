"""The rows of a report's LF table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labelmill.manifest import Manifest
from labelmill.report.content import Drift, FunctionRow, Interval
from labelmill.shifts import rate_shift
from labelmodel.metrics import wilson_interval

MOST_FUNCTIONS = 300
"""Rows that a report shows: functions that failed, and those that vote most."""

MOST_DRIFTS = 10


@dataclass(frozen=True)
class FunctionRows:
    """All rows, and those that are shown; both in the order of the job."""

    rows: tuple[FunctionRow, ...]
    shown: tuple[FunctionRow, ...]


def function_rows(manifest: Manifest, parent: Manifest | None) -> FunctionRows:
    """Return the LF table of a version, compared with the version before."""
    before: Mapping[str, tuple[str, int]] = {}
    if parent is not None:
        before = {
            lf["name"]: (lf["fingerprint"], votes)
            for lf, votes in zip(parent.lfs, parent.counts["votes"], strict=True)
        }
    found = manifest.summary["lfs"]
    rows = [
        _row(manifest, n, lf, None if parent is None else before.get(lf["name"], ("", None)))
        for n, lf in enumerate(found)
    ]
    order = sorted(range(len(rows)), key=lambda n: _weight(rows[n]), reverse=True)
    return FunctionRows(tuple(rows), tuple(rows[n] for n in sorted(order[:MOST_FUNCTIONS])))


def _weight(row: FunctionRow) -> tuple[bool, int]:
    return row.faults + row.invalid > 0, row.votes


def _row(
    manifest: Manifest,
    n: int,
    lf: Mapping[str, Any],
    before: tuple[str, int | None] | None,
) -> FunctionRow:
    counts, run = manifest.counts, manifest.run
    fingerprint = manifest.lfs[n]["fingerprint"]
    change = ""
    if before is not None and before[0] != fingerprint:
        change = "edited" if before[0] else "new"
    times = run.get("lf_times")
    seconds = run.get("lf_seconds")
    return FunctionRow(
        name=lf["name"],
        kind=lf["kind"],
        classes=tuple(lf["classes"]),
        votes=counts["votes"][n],
        votes_before=None if before is None else before[1],
        change=change,
        coverage=lf["coverage"],
        overlap=lf["overlap"],
        conflict=lf["conflict"],
        learned=learned_interval(lf),
        gold=_on_gold(lf),
        faults=counts["faults"][n],
        invalid=counts["invalid"][n],
        median=times[n][0] if times else None,
        seconds=seconds[n] if seconds and seconds[n] else None,
        used=not lf["quarantined"],
        fingerprint=fingerprint,
    )


def drifts_of(rows: Sequence[FunctionRow], rows_before: int, rows_now: int) -> tuple[Drift, ...]:
    """Return functions that were not edited and vote on another share of the records.

    Args:
        rows: The LF table.
        rows_before: Records of the version before.
        rows_now: Records of this version.
    """
    found = []
    for row in rows:
        if row.votes_before is None or row.change or not row.used:
            continue
        shift = rate_shift(row.votes_before, rows_before, row.votes, rows_now)
        if shift:
            found.append(
                Drift(row.name, row.votes_before / rows_before, row.votes / rows_now, shift)
            )
    return tuple(sorted(found, key=lambda drift: -drift.shift)[:MOST_DRIFTS])


def learned_interval(lf: Mapping[str, Any]) -> Interval | None:
    """Return the accuracy that the model sees in a function, with its interval.

    Of a function that votes for several classes the interval is that of the mean of its precisions
    weighted by votes, from their intervals (Zou & Donner 2008, "Construction of confidence limits
    about effect measures").
    """
    value = lf["learned_accuracy"]
    if value is None:
        return None
    parts: Sequence[Mapping[str, Any]] = lf.get("learned", ())
    votes = sum(part["votes"] for part in parts)
    if not votes or any(part.get("precision_low") is None for part in parts):
        return Interval(value)
    below = above = 0.0
    for part in parts:
        weight = part["votes"] / votes
        below += (weight * (part["precision"] - part["precision_low"])) ** 2
        above += (weight * (part["precision_high"] - part["precision"])) ** 2
    return Interval(value, max(0.0, value - math.sqrt(below)), min(1.0, value + math.sqrt(above)))


def _on_gold(lf: Mapping[str, Any]) -> Interval | None:
    if not lf["gold_votes"]:
        return None
    low, high = wilson_interval(lf["gold_correct"], lf["gold_votes"])
    return Interval(lf["gold_accuracy"], low, high)
