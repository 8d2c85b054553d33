"""Scores of probabilities against gold; every one takes counts, so patterns score as records."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray
from labelmodel.base import TIE_TOLERANCE
from labelmodel.errors import VotesError

LOG_CLIP = 1e-12
ECE_BINS = 10


def judged_rows(
    probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Rows with known gold, their gold and the records each stands for.

    Parameters, errors: as for `accuracy`.

    Returns
    -------
    float64[g, k], int64[g], float64[g]
    """
    probs, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(gold)
    if probs.ndim != 2 or truth.shape != (len(probs),):
        raise VotesError(f"probabilities of shape {probs.shape}, gold of shape {truth.shape}")
    if len(truth) and (truth.min() < -1 or truth.max() >= probs.shape[1]):
        raise VotesError(f"gold in {truth.min()}..{truth.max()} for {probs.shape[1]} classes")
    records = np.ones(len(probs)) if counts is None else np.asarray(counts, dtype=np.float64)
    if records.shape != truth.shape:
        raise VotesError(f"counts of shape {records.shape} for gold of shape {truth.shape}")
    known = truth >= 0
    if not records[known].sum() > 0.0:
        raise VotesError("no record has gold, so there is nothing to score")
    return probs[known], truth[known].astype(np.int64), records[known]


def credit(probabilities: FloatArray, gold: IntArray) -> FloatArray:
    """Share of a right answer that each row earns; classes tied within 1e-6 share it.

    Parameters
    ----------
    probabilities : float64[n, k]
    gold : int64[n]
        True class of every row.

    Returns
    -------
    float64[n]
    """
    tied = probabilities >= probabilities.max(axis=1, keepdims=True) - TIE_TOLERANCE
    result: FloatArray = tied[np.arange(len(gold)), gold] / tied.sum(axis=1)
    return result


def record_losses(probabilities: FloatArray, gold: IntArray) -> FloatArray:
    """Negative log-probability of the true class of each row in nats, clipped at 1e-12.

    Parameters, returns: as for `credit`.
    """
    right = probabilities[np.arange(len(gold)), gold]
    losses: FloatArray = -np.log(np.clip(right, LOG_CLIP, 1.0))
    return losses


def squared_errors(probabilities: FloatArray, gold: IntArray) -> FloatArray:
    """Squared distance between probabilities and truth of each row, summed over classes.

    Parameters, returns: as for `credit`.
    """
    distance = probabilities.copy()
    distance[np.arange(len(gold)), gold] -= 1.0
    errors: FloatArray = (distance**2).sum(axis=1)
    return errors


def accuracy(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Share of records whose most probable class is right, with ties shared.

    Parameters
    ----------
    probabilities : float64[n, k]
    gold : int[n]
        True class, -1 for unknown; unknown rows are left out.
    counts : int[n], optional
        Records that each row stands for.

    Returns
    -------
    float
        A record whose t most probable classes are within 1e-6 earns 1/t if one is right.

    Raises
    ------
    VotesError
        Shapes that do not fit, gold out of range, or no known gold.
    """
    return _mean_of(credit, probabilities, gold, counts)


def log_loss(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Mean negative log-probability of the true class in nats, probabilities clipped at 1e-12.

    Parameters, errors: as for `accuracy`.
    """
    return _mean_of(record_losses, probabilities, gold, counts)


def brier(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Mean squared distance between probabilities and truth, summed over classes (0 to 2).

    Parameters, errors: as for `accuracy`.

    Notes
    -----
    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    return _mean_of(squared_errors, probabilities, gold, counts)


def _mean_of(
    per_row: Callable[[FloatArray, IntArray], FloatArray],
    probabilities: FloatArray,
    gold: AnyArray,
    counts: AnyArray | None,
) -> float:
    probs, truth, records = judged_rows(probabilities, gold, counts)
    return float((records / records.sum()) @ per_row(probs, truth))


def ece(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Expected calibration error over ten bins of equal width of the largest probability.

    Parameters, errors: as for `accuracy`.

    Notes
    -----
    Source: Guo et al., "On calibration of modern neural networks", 2017, equation 3.
    """
    probs, truth, records = judged_rows(probabilities, gold, counts)
    confidence = probs.max(axis=1)
    bins = np.clip((confidence * ECE_BINS).astype(np.int64), 0, ECE_BINS - 1)
    gap = records / records.sum() * (credit(probs, truth) - confidence)
    return float(np.abs(np.bincount(bins, weights=gap, minlength=ECE_BINS)).sum())


def wilson_interval(correct: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share.

    Parameters
    ----------
    correct, n : float
        Right answers (shared ties make fractions) and answers; n = 0 gives (0, 1).
    confidence : float
        Between 0 and 1.

    Raises
    ------
    VotesError
        `correct` outside 0..n, or `confidence` outside (0, 1).

    Notes
    -----
    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not 0.0 <= correct <= n:
        raise VotesError(f"{correct=} must lie in 0..{n=}")
    if not 0.0 < confidence < 1.0:
        raise VotesError(f"{confidence=} must lie between 0 and 1")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = correct / n
    centre = share + z**2 / (2.0 * n)
    radius = z * sqrt(share * (1.0 - share) / n + z**2 / (4.0 * n**2))
    scale = 1.0 + z**2 / n
    return max(0.0, (centre - radius) / scale), min(1.0, (centre + radius) / scale)


def score(
    probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None
) -> dict[str, float]:
    """All scores at once, with the records they rest on and the interval of the accuracy.

    Parameters, errors: as for `accuracy`.

    Returns
    -------
    dict
        `n, accuracy, accuracy_low, accuracy_high` (95 % Wilson), `log_loss, brier, ece`.
    """
    known = np.asarray(gold) >= 0
    n = float(np.count_nonzero(known) if counts is None else np.asarray(counts)[known].sum())
    share = accuracy(probabilities, gold, counts)
    low, high = wilson_interval(min(share * n, n), n)
    return {
        "n": n,
        "accuracy": share,
        "accuracy_low": low,
        "accuracy_high": high,
        "log_loss": log_loss(probabilities, gold, counts),
        "brier": brier(probabilities, gold, counts),
        "ece": ece(probabilities, gold, counts),
    }
