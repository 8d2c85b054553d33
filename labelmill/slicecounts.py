"""What is counted of a slice: exact numbers that add up over shards, and what a manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CREDIT = 2.0**-24
"""Unit of the credit of majority vote, of which a tie gives each winner its part."""


@dataclass(frozen=True)
class SliceCounts:
    """Counts of one slice on some records.

    Attributes:
        records: Records in it.
        covered: Those with a vote.
        class_counts: Per class, covered records with that label.
        undecided: Records that its predicate took too long on; they are not in it.
        judged: Its records with gold that only scores.
        right: Those of them whose label is right.
        majority_credit: What majority vote gets for them, in units of `CREDIT`.
    """

    records: int
    covered: int
    class_counts: tuple[int, ...]
    undecided: int = 0
    judged: int = 0
    right: int = 0
    majority_credit: int = 0

    def merge(self, other: SliceCounts) -> SliceCounts:
        """Return the counts of both together."""
        mine, theirs = asdict(self), asdict(other)
        del mine["class_counts"], theirs["class_counts"]
        pairs = zip(self.class_counts, other.class_counts, strict=True)
        return SliceCounts(
            **{name: mine[name] + theirs[name] for name in mine},
            class_counts=tuple(a + b for a, b in pairs),
        )

    @classmethod
    def zero(cls, n_classes: int) -> SliceCounts:
        """Return the counts of no records."""
        return cls(0, 0, (0,) * n_classes)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SliceCounts:
        """Read what `dataclasses.asdict` gave."""
        return cls(**{**value, "class_counts": tuple(value["class_counts"])})


@dataclass(frozen=True)
class SliceAccuracy:
    """A share of right labels with Wilson's 95 % interval.

    Attributes:
        accuracy: The share.
        low: Lower end.
        high: Upper end.
    """

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class SliceGold(SliceAccuracy):
    """How right a version's labels are on the records of a slice with gold that only scores.

    Attributes:
        n: Those records, with votes or without.
        right: Those whose label is right.
        majority_vote: The same of majority vote, a tie counting in part.
    """

    n: int
    right: int
    majority_vote: SliceAccuracy


@dataclass(frozen=True)
class SliceSummary:
    """What a manifest says of a slice, in `summary.slices`.

    Attributes:
        name: Its name.
        records: Records in it.
        covered: Those with a vote.
        class_counts: Per class, covered records with that label.
        undecided: Records that its predicate took too long on; they are not in it.
        gold: Scores on gold; None without any in the slice.
    """

    name: str
    records: int
    covered: int
    class_counts: tuple[int, ...]
    undecided: int
    gold: SliceGold | None


def coverage_of_slice(summary: Mapping[str, Any]) -> float:
    """Return the share of the records of a slice with a vote, given its `SliceSummary` as data."""
    return summary["covered"] / summary["records"] if summary["records"] else 0.0
