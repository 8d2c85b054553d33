"""How far numbers of one version are from those of another."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOISE = 4.0
"""Standard errors of a difference of shares that chance explains."""


def jensen_shannon(a: Sequence[int], b: Sequence[int]) -> float:
    """Return the Jensen-Shannon divergence of two histograms, in bits, between 0 and 1.

    Source: Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 1991.
    An empty histogram diverges from nothing: 0.

    Example:
        >>> jensen_shannon([1, 0], [0, 1]), jensen_shannon([3, 3], [1, 1])
        (1.0, 0.0)
    """
    total_a, total_b = sum(a), sum(b)
    if not total_a or not total_b:
        return 0.0
    divergence = 0.0
    for x, y in zip(a, b, strict=True):
        p, q = x / total_a, y / total_b
        mean = (p + q) / 2
        for share in (p, q):
            if share:
                divergence += share * math.log2(share / mean) / 2
    return min(1.0, max(0.0, divergence))  # rounding may leave the range


def rate_shift(before: int, rows_before: int, now: int, rows: int) -> float:
    """Return how far the share of records that a function votes on moved, between 0 and 1.

    It is the total variation between voting and abstaining, less what chance explains, as a part
    of the larger share: a function that votes on few records is judged like one that votes on many.

    Args:
        before: Records that it voted on.
        rows_before: Records there were.
        now: Records that it votes on.
        rows: Records there are.

    Example:
        >>> round(rate_shift(5_000, 1_000_000, 10_000, 1_000_000), 2)
        0.45
        >>> rate_shift(5, 1_000, 10, 1_000)
        0.0
    """
    if not rows_before or not rows:
        return 0.0
    p, q = before / rows_before, now / rows
    noise = NOISE * math.sqrt(p * (1 - p) / rows_before + q * (1 - q) / rows)
    return max(0.0, abs(p - q) - noise) / max(p, q, 1e-300)
