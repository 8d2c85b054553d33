"""What gates look at, and what they find."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.votes import LFInfo


@dataclass(frozen=True)
class Candidate:
    """A version that is not published yet.

    Attributes:
        lfs: Its functions.
        counts: Exact counts: rows, bad_records, duplicate_ids, covered, class_counts, votes.
        summary: What was found about functions and model.
    """

    lfs: tuple[LFInfo, ...]
    counts: Mapping[str, Any]
    summary: Mapping[str, Any]

    @property
    def coverage(self) -> float:
        """Share of records with a vote."""
        return coverage_of(self.counts)

    @property
    def quarantined(self) -> tuple[str, ...]:
        """Functions whose votes are not used, because they failed too often."""
        return tuple(lf["name"] for lf in self.summary["lfs"] if lf["quarantined"])

    @property
    def gold_score(self) -> Mapping[str, float] | None:
        """Scores of the model on gold that scores; None without any."""
        return gold_score_of(self.summary)


@dataclass(frozen=True)
class GateResult:
    """What one gate found.

    Attributes:
        name: The gate; ``--accept NAME`` overrides it.
        passed: Whether the version may be published as far as this gate goes.
        value: What was measured.
        limit: What is allowed.
        message: What a person should know when it did not pass.
        accepted: Whether the operator overrode it by name.
    """

    name: str
    passed: bool
    value: float
    limit: float
    message: str
    accepted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def at_most(name: str, value: float, limit: float, message: str) -> GateResult:
    """Return the result of a gate that a value passes up to a limit."""
    shown = limit if math.isfinite(limit) else -1.0  # JSON has no infinity; -1 means no limit
    return GateResult(name, value <= limit, float(value), shown, message)


def coverage_of(counts: Mapping[str, Any]) -> float:
    """Return the share of records with a vote."""
    return counts["covered"] / counts["rows"] if counts["rows"] else 0.0


def gold_score_of(summary: Mapping[str, Any]) -> Mapping[str, float] | None:
    """Return the scores of the model over all gold records that score; None without any."""
    gold = summary.get("gold")
    return gold["model"]["all"] if gold and gold["eval_records"] else None
