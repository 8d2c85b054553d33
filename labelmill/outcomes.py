"""What functions did on records: exact counts of four outcomes, samples of faults, time taken.

The outcomes are vote, abstain, fault (the function raised) and invalid (what it returned is no
class).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Times = Mapping[int, int]
"""How many measurements fell in which bucket: bucket b holds times from 2^(b/4) ns on, so that a
quantile is known to a tenth of its value, and sketches of many batches add up."""


@dataclass(frozen=True)
class Fault:
    """One record on which one function failed.

    Attributes:
        lf: The function's name.
        id: The record's id.
        outcome: ``"fault"`` or ``"invalid"``.
        type: The exception's class, or the class of the value returned.
        message: The exception's text, or what is wrong with the value.
        traceback: The frames inside the function; empty for an invalid result.
    """

    lf: str
    id: str
    outcome: str
    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Outcomes:
    """Exact counts of one batch or of many; they add up with `merge`.

    Attributes:
        rows: Records that the functions saw.
        votes: Per function, records on which it voted.
        faults: Per function, records on which it raised.
        invalid: Per function, records on which it returned something that is no class.
        seconds: Per function, time spent; a measurement, never part of stored data.
        times: Per function, a sketch of the time that a record took; a measurement as well. A
            Python function is measured on every 256th record; functions that work on batches have
            each batch's mean.
        usage: What functions that cost money used, by function and by name; a measurement.
        searched: Per function, records on which the scan left it to `re` to decide; depends on
            what is installed, as a measurement does.
    """

    rows: int
    votes: tuple[int, ...]
    faults: tuple[int, ...]
    invalid: tuple[int, ...]
    seconds: tuple[float, ...]
    times: tuple[Times, ...]
    usage: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    searched: tuple[int, ...] = ()

    @classmethod
    def zero(cls, n_lfs: int) -> Outcomes:
        """Return the counts of no records."""
        none = (0,) * n_lfs
        return cls(0, none, none, none, (0.0,) * n_lfs, ({},) * n_lfs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "rows": self.rows,
            "votes": list(self.votes),
            "faults": list(self.faults),
            "invalid": list(self.invalid),
            "seconds": list(self.seconds),
            "times": [dict(times) for times in self.times],
            "usage": {lf: dict(used) for lf, used in self.usage.items()},
            "searched": list(self.searched),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Outcomes:
        """Read what `to_dict` wrote, also when it went through JSON."""
        return cls(
            value["rows"],
            tuple(value["votes"]),
            tuple(value["faults"]),
            tuple(value["invalid"]),
            tuple(value["seconds"]),
            tuple({int(b): n for b, n in times.items()} for times in value["times"]),
            value["usage"],
            tuple(value["searched"]),
        )

    def without_measurements(self) -> Outcomes:
        """Return the counts alone, as they are stored."""
        n_lfs = len(self.votes)
        return replace(self, seconds=(0.0,) * n_lfs, times=({},) * n_lfs, usage={}, searched=())

    def merge(self, other: Outcomes) -> Outcomes:
        """Return the counts of both."""
        return Outcomes(
            self.rows + other.rows,
            _add(self.votes, other.votes),
            _add(self.faults, other.faults),
            _add(self.invalid, other.invalid),
            tuple(a + b for a, b in zip(self.seconds, other.seconds, strict=True)),
            tuple(add_times(a, b) for a, b in zip(self.times, other.times, strict=True)),
            add_usage(self.usage, other.usage),
            _add(self.searched, other.searched)
            if self.searched and other.searched
            else self.searched or other.searched,
        )

    def seconds_at(self, lf: int, quantile: float) -> float | None:
        """Return a quantile of the time that function number `lf` takes on a record.

        Args:
            lf: The function's index.
            quantile: Between 0 and 1.

        Returns:
            Seconds, to about a tenth; None where nothing was measured.
        """
        return quantile_of(self.times[lf], quantile)


def quarantined(outcomes: Outcomes, max_fault_rate: float) -> tuple[int, ...]:
    """Return the functions that failed (fault or invalid) on more than the allowed share."""
    limit = max_fault_rate * outcomes.rows
    failures = map(sum, zip(outcomes.faults, outcomes.invalid, strict=True))
    return tuple(n for n, failed in enumerate(failures) if failed > limit)


def quantile_of(times: Times, quantile: float) -> float | None:
    """Return a quantile, in seconds, of a sketch; None of an empty one."""
    if not times:
        return None
    wanted = quantile * sum(times.values())
    seen = 0
    for bucket in sorted(times):
        seen += times[bucket]
        if seen >= wanted:
            break
    return float(2.0 ** ((bucket + 0.5) / 4) * 1e-9)


def bucket_of(nanoseconds: float) -> int:
    """Return the bucket of a measured time."""
    return int(4 * math.log2(nanoseconds)) if nanoseconds > 1 else 0


def add_times(a: Times, b: Times) -> Times:
    """Return the sketch of both."""
    if not (a and b):
        return a or b
    total = dict(a)
    for bucket, count in b.items():
        total[bucket] = total.get(bucket, 0) + count
    return total


def add_usage(
    a: Mapping[str, Mapping[str, float]], b: Mapping[str, Mapping[str, float]]
) -> Mapping[str, Mapping[str, float]]:
    """Return the usage of both."""
    if not (a and b):
        return a or b
    total = {lf: dict(used) for lf, used in a.items()}
    for lf, used in b.items():
        own = total.setdefault(lf, {})
        for name, amount in used.items():
            own[name] = own.get(name, 0.0) + amount
    return total


def _add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))
