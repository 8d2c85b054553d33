"""How far probabilities mean what they say: reliability curves, and scores with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray, bin_sums
from labelmodel.errors import VotesError
from labelmodel.metrics import (
    credit,
    ece,
    judged_rows,
    record_losses,
    squared_errors,
    wilson_interval,
)


@dataclass(frozen=True)
class ReliabilityCurve:
    """Confidence against accuracy, one entry for each bin that holds a record.

    Attributes
    ----------
    records : float64[b]
        Judged records in the bin.
    confidence : float64[b]
        Their mean largest probability.
    accuracy : float64[b]
        Share of them that is right, with ties shared.
    low, high : float64[b]
        95 % Wilson interval of `accuracy`.
    """

    records: FloatArray
    confidence: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray


def reliability_curve(
    probabilities: FloatArray,
    gold: AnyArray,
    counts: AnyArray | None = None,
    *,
    n_bins: int = 10,
    binning: Literal["width", "mass"] = "width",
) -> ReliabilityCurve:
    """Bin judged records by their largest probability.

    Parameters
    ----------
    probabilities : float64[n, k]
    gold : int[n]
        True class, -1 for unknown; unknown rows are left out.
    counts : int[n], optional
        Records that each row stands for.
    n_bins : int
    binning : {"width", "mass"}
        Bins of equal width over 0..1, or with about equally many records each; rows of the same
        confidence are never parted.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    VotesError
        Shapes that do not fit, gold out of range, no known gold, or no bins.

    Notes
    -----
    Source: Guo et al., "On calibration of modern neural networks", 2017, section 2; equal mass:
    Nguyen and O'Connor, "Posterior calibration and exploratory analysis", 2015.
    """
    if n_bins < 1:
        raise VotesError(f"{n_bins=} must be at least 1")
    probs, truth, records = judged_rows(probabilities, gold, counts)
    confidence = probs.max(axis=1)
    position = confidence if binning == "width" else _mass_below(confidence, records)
    bins = np.clip((position * n_bins).astype(np.int64), 0, n_bins - 1)
    total = bin_sums(bins, records, n_bins)
    filled = np.flatnonzero(total > 0.0)
    total = total[filled]
    right = bin_sums(bins, records * credit(probs, truth), n_bins)[filled]
    intervals = [wilson_interval(min(hits, n), n) for hits, n in zip(right, total, strict=True)]
    low, high = np.array(intervals).T
    return ReliabilityCurve(
        records=total,
        confidence=bin_sums(bins, records * confidence, n_bins)[filled] / total,
        accuracy=right / total,
        low=low,
        high=high,
    )


def _mass_below(confidence: FloatArray, records: FloatArray) -> FloatArray:
    """Share of the records of less confidence, half of those of the same; float64[n]."""
    distinct, position = np.unique(confidence, return_inverse=True)
    mass = bin_sums(position.astype(np.int64), records, len(distinct))
    below: FloatArray = ((np.cumsum(mass) - mass / 2.0) / mass.sum())[position]
    return below


@dataclass(frozen=True)
class Interval:
    """A score and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


MEANS = {"accuracy": credit, "log_loss": record_losses, "brier": squared_errors}
"""Scores that are means over records of what a row has."""


def score_intervals(
    probabilities: FloatArray,
    gold: AnyArray,
    counts: AnyArray | None = None,
    *,
    n_samples: int = 200,
    random_state: int = 0,
) -> dict[str, Interval]:
    """Scores with percentile bootstrap intervals over records.

    Parameters
    ----------
    probabilities : float64[n, k]
    gold : int[n]
        True class, -1 for unknown; unknown rows are left out.
    counts : int[n], optional
        Records that each row stands for; they are drawn as records, not as rows.
    n_samples : int
        Bootstrap samples.
    random_state : int
        Seed of the draws.

    Returns
    -------
    dict of str to Interval
        `accuracy`, `log_loss` (nats), `brier`, `ece`. The interval of `ece` lies too high where
        it is small: a sample's bins are always off a little.

    Raises
    ------
    VotesError
        As for `reliability_curve`.

    Notes
    -----
    Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, section 13.3. Rows
    are drawn from one multinomial distribution of the counts, which is the same as drawing
    records with replacement.
    """
    probs, truth, records = judged_rows(probabilities, gold, counts)
    n = int(records.sum())
    rows = np.stack([of_row(probs, truth) for of_row in MEANS.values()])

    def scores(drawn: FloatArray | IntArray) -> list[float]:
        return [*(rows @ drawn / n).tolist(), ece(probs, truth, drawn)]

    rng = np.random.default_rng(random_state)
    samples = [scores(rng.multinomial(n, records / n)) for _ in range(n_samples)]
    lows, highs = np.quantile(samples, [0.025, 0.975], axis=0).tolist()
    return {
        name: Interval(*ends)
        for name, *ends in zip((*MEANS, "ece"), scores(records), lows, highs, strict=True)
    }
