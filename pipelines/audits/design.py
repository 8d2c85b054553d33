"""The design of an audit: strata of published confidence, and how many records of each.

Strata cut the records where the label model says how sure it is, and most records are drawn where
answers differ most. Nothing here reads records; `pipelines.audits.shares` is the other half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelmill.errors import JobSpecError
from pipelines.audits.shares import Stratum, share_interval

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

STRATA = 10
"""Strata of confidence, of equal size, where no groups are asked for."""

LEAST = 2
"""Records of every stratum, so that each shows how its answers vary."""

_TRUST = 0.75
"""How far a published confidence is trusted when records are allotted; the rest is one half."""

_PER_GROUP_STRATUM = 5
"""Records for which a group is cut into another stratum."""


@dataclass(frozen=True)
class Design:
    """Strata of a population.

    Attributes:
        stratum: int64, shape (n,): stratum of each record.
        groups: Group of each stratum, int64, shape (s,); all 0 without groups.
        sizes: Records of each stratum, int64, shape (s,).
        low: Least confidence in each, float64, shape (s,).
        high: Greatest confidence in each, float64, shape (s,).
        expected: Share of right answers that records are allotted by, float64, shape (s,).
    """

    stratum: Ints
    groups: Ints
    sizes: Ints
    low: Floats
    high: Floats
    expected: Floats


def make_design(
    confidence: Floats, order: npt.NDArray[np.uint64], groups: Ints | None = None, n: int = 0
) -> Design:
    """Cut records into strata of equal size by confidence, within each group if there are any.

    Args:
        confidence: Published probability of the label, float64, shape (n,).
        order: Random numbers, uint64, shape (n,): which of equal confidences come first.
        groups: Group of each record from 0, int64, shape (n,).
        n: Records that will be drawn, which limits the strata of groups.
    """
    group = np.zeros(len(confidence), dtype=np.int64) if groups is None else groups
    names = np.unique(group)
    cuts = STRATA
    if len(names) > 1:
        cuts = int(np.clip(n // (_PER_GROUP_STRATUM * len(names)), 1, STRATA))
    stratum = np.empty(len(confidence), dtype=np.int64)
    found: list[tuple[int, Ints]] = []
    for name in names.tolist():
        rows = np.flatnonzero(group == name)
        rows = rows[np.lexsort((order[rows], confidence[rows]))]
        pieces = max(1, min(cuts, len(rows) // LEAST))
        for part in np.array_split(rows, pieces):
            stratum[part] = len(found)
            found.append((name, part))
    mean = np.array([confidence[part].mean() for _, part in found])
    return Design(
        stratum,
        np.array([name for name, _ in found], dtype=np.int64),
        np.array([len(part) for _, part in found], dtype=np.int64),
        np.array([confidence[part].min() for _, part in found]),
        np.array([confidence[part].max() for _, part in found]),
        _TRUST * mean + (1 - _TRUST) / 2,
    )


def allocate(design: Design, n: int) -> Ints:
    """Return how many records to draw of each stratum; they add up to n.

    Within a group by Neyman's allocation, proportional to size and standard deviation, at least
    two; groups share the records by the square roots of their sizes.

    Source: Neyman, "On the two different aspects of the representative method", JRSS 97 (1934);
    Bankier, "Power allocations: determining sample sizes for subnational areas", The American
    Statistician 42 (1988), with power 1/2.

    Raises:
        JobSpecError: n is too few for the strata, or more than there are records.
    """
    least = int(np.minimum(design.sizes, LEAST).sum())
    total = int(design.sizes.sum())
    if not least <= n <= total:
        raise JobSpecError(
            f"{n} records cannot be drawn: the design has {len(design.sizes)} strata with "
            f"{total:,} records, which take from {least} to {total:,}"
        )
    spread: Floats = np.sqrt(design.expected * (1 - design.expected))
    wanted: Floats = design.sizes.astype(np.float64) * spread
    for group in np.unique(design.groups).tolist():
        own = design.groups == group
        wanted[own] *= np.sqrt(design.sizes[own].sum()) / wanted[own].sum()
    return _whole(wanted, design.sizes, n)


def _whole(wanted: Floats, sizes: Ints, n: int) -> Ints:
    """Return whole numbers that sum to n, in proportion to what is wanted within the limits."""
    least = np.minimum(sizes, LEAST)
    low, high = 0.0, float(n) / wanted.min()
    for _ in range(100):  # the scale at which they add up, clipped
        middle = (low + high) / 2
        low, high = (
            (middle, high) if np.clip(wanted * middle, least, sizes).sum() < n else (low, middle)
        )
    exact = np.clip(wanted * high, least, sizes)
    whole: Ints = np.floor(exact + 1e-9).astype(np.int64)
    for place in np.argsort(-(exact - whole), kind="stable").tolist() * 2:
        if whole.sum() >= n:
            break
        whole[place] += int(whole[place] < sizes[place])
    return whole


def expected_half_width(design: Design, n: int) -> float:
    """Return half of the 95 % interval's width that an audit of n records is expected to have."""
    drawn = allocate(design, n)
    strata = [
        Stratum(int(size), int(number), float(number), float(number * share))
        for size, number, share in zip(design.sizes, drawn, design.expected, strict=True)
    ]
    found = share_interval(strata)
    return (found.high - found.low) / 2


def records_for(design: Design, half_width: float) -> int:
    """Return the least number of records whose interval is expected to be as narrow as wanted.

    Args:
        design: The strata.
        half_width: Half of the 95 % interval's width.

    Raises:
        JobSpecError: The half width is no share between 0 and 0.5.
    """
    if not 0 < half_width < 0.5:
        raise JobSpecError(f"interval {half_width:g} is not between 0 and 0.5")
    low = int(np.minimum(design.sizes, LEAST).sum()) - 1
    high = int(design.sizes.sum())
    while high - low > 1:
        middle = (low + high) // 2
        if expected_half_width(design, middle) <= half_width:
            high = middle
        else:
            low = middle
    return high


def draw_rows(design: Design, drawn: Ints, order: npt.NDArray[np.uint64]) -> Ints:
    """Return a simple random sample of each stratum: its first records by random numbers.

    Args:
        design: The strata.
        drawn: How many of each, int64, shape (s,).
        order: Random numbers, uint64, shape (n,), independent of all that is published.

    Returns:
        Rows, int64, shape (sum of drawn,), ascending.
    """
    by_order = np.lexsort((order, design.stratum))
    starts = np.concatenate([[0], np.cumsum(design.sizes)[:-1]])
    chosen = [
        by_order[start : start + number]
        for start, number in zip(starts.tolist(), drawn.tolist(), strict=True)
    ]
    rows: Ints = np.sort(np.concatenate(chosen)).astype(np.int64)
    return rows
