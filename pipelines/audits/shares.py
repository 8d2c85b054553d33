"""Shares of a whole version from a stratified sample of it, with 95 % intervals.

Accuracy is the share of right labels among all records; precision and recall of a class are shares
within a domain: records labeled so, and records that are so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelmodel.metrics import wilson_interval

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_EXACT = 1e-12


@dataclass(frozen=True)
class Stratum:
    """What was drawn of a stratum.

    Attributes:
        size: Records of the stratum, N.
        drawn: Of these, records that were judged, n.
        domain: Judged records that the share is of, d; shares of a record count as such. All of
            them for the accuracy.
        right: Of these, records that count for the share, x.
    """

    size: int
    drawn: int
    domain: float
    right: float


@dataclass(frozen=True)
class Share:
    """An estimated share.

    Attributes:
        value: The estimate; None where no judged record is of the domain.
        low: Lower end of the 95 % interval.
        high: Upper end.
        n: Judged records of the domain.
        n_eff: Records of a simple random sample that would say as much.
    """

    value: float | None
    low: float
    high: float
    n: float
    n_eff: float


UNKNOWN = Share(None, 0.0, 1.0, 0.0, 0.0)


def share_interval(strata: Sequence[Stratum], *, domain_found: bool = False) -> Share:
    """Estimate a share from all strata.

    The share is the ratio of two weighted totals. Its variance is that of a stratified sample
    with shares drawn towards the estimate by one record, so that a stratum in which all answers
    are the same does not count as certain; the interval is Wilson's for the simple random sample
    with that variance.

    Source: Cochran, "Sampling techniques", 3rd edition (1977), equations 5.7 and 6.13 (the ratio,
    linearised within strata); Korn and Graubard, "Confidence intervals for proportions with small
    expected number of positive counts", Survey Methodology 24 (1998), for the effective size.

    Args:
        strata: Those with a judged record; `merge_thin` makes it so.
        domain_found: Whether judging finds out what is of the domain, as for recall. A stratum
            without such a record may then have some: its part of the domain is drawn towards that
            of all by one record, too.
    """
    total = sum(s.size / s.drawn * s.domain for s in strata)
    n = sum(s.domain for s in strata)
    if total <= 0:
        return UNKNOWN
    share = sum(s.size / s.drawn * s.right for s in strata) / total
    share = min(max(share, 0.0), 1.0)
    if all(s.size == s.drawn for s in strata):
        return Share(share, share, share, n, float("inf"))
    if min(share, 1 - share) < _EXACT:
        # All the same, where the variance below vanishes: its limit for equal shares.
        n_eff = 1.0 / sum(_spread(s, s.domain / s.drawn) / total**2 for s in strata)
    else:
        usual = total / sum(s.size for s in strata) if domain_found else None
        variance = sum(_variance(s, share, usual) for s in strata) / total**2
        n_eff = share * (1 - share) / variance
    low, high = wilson_interval(share * n_eff, n_eff)
    return Share(share, min(low, share), max(high, share), n, n_eff)  # but for rounding


def _spread(stratum: Stratum, factor: float) -> float:
    """Variance of a stratum's total, of a variable with variance `factor` in it."""
    return stratum.size**2 * factor * (1 - stratum.drawn / stratum.size) / stratum.drawn


def _variance(stratum: Stratum, share: float, usual: float | None) -> float:
    in_domain = stratum.domain / stratum.drawn
    if usual is not None:
        in_domain = (stratum.domain + usual) / (stratum.drawn + 1)
    drawn_in = (stratum.right + share) / (stratum.domain + 1)
    apart = drawn_in - share
    within = drawn_in * (1 - drawn_in)
    return _spread(stratum, in_domain * (within + apart**2) - (in_domain * apart) ** 2)


def count_strata(sizes: Ints, stratum: Ints, domain: Floats, right: Floats) -> list[Stratum]:
    """Count what was judged, by stratum.

    Args:
        sizes: Records of each stratum, int64, shape (s,).
        stratum: Stratum of each judged record, int64, shape (m,).
        domain: How far each counts for the domain, float64, shape (m,), 0 to 1.
        right: How far each is right, float64, shape (m,), 0 to its part of the domain.
    """
    drawn, inside, found = (
        np.bincount(stratum, weights=part, minlength=len(sizes))
        for part in (np.ones(len(stratum)), domain, right)
    )
    columns = (sizes.tolist(), drawn.astype(int).tolist(), inside.tolist(), found.tolist())
    return [Stratum(*row) for row in zip(*columns, strict=True)]


def merge_thin(strata: Sequence[Stratum], groups: Sequence[int]) -> list[Stratum]:
    """Merge strata without a judged record into a neighbour, of the same group if possible.

    Args:
        strata: In the order of groups and confidence.
        groups: Group of each.

    Returns:
        Strata with a judged record each; none where nothing was judged.
    """
    kept, names = list(strata), list(groups)
    while len(kept) > 1 and not all(stratum.drawn for stratum in kept):
        thin = next(place for place, stratum in enumerate(kept) if not stratum.drawn)
        beside = [place for place in (thin - 1, thin + 1) if 0 <= place < len(kept)]
        other = next((place for place in beside if names[place] == names[thin]), beside[0])
        kept[other] = _merged(kept[other], kept[thin])
        del kept[thin], names[thin]
    return [stratum for stratum in kept if stratum.drawn]


def _merged(a: Stratum, b: Stratum) -> Stratum:
    return Stratum(a.size + b.size, a.drawn + b.drawn, a.domain + b.domain, a.right + b.right)
