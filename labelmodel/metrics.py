"""Scores of probabilities against gold; every one takes counts, so patterns score as records."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray
from labelmodel.base import TIE_TOLERANCE
from labelmodel.errors import VotesError

LOG_CLIP = 1e-12
ECE_BINS = 10


def _checked(
    probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None
) -> tuple[FloatArray, AnyArray, FloatArray]:
    """Rows with known gold, their gold and their weights summing to one."""
    probs, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(gold)
    if probs.ndim != 2 or truth.shape != (len(probs),):
        raise VotesError(f"probabilities of shape {probs.shape}, gold of shape {truth.shape}")
    if len(truth) and (truth.min() < -1 or truth.max() >= probs.shape[1]):
        raise VotesError(f"gold in {truth.min()}..{truth.max()} for {probs.shape[1]} classes")
    weights = np.ones(len(probs)) if counts is None else np.asarray(counts, dtype=np.float64)
    if weights.shape != truth.shape:
        raise VotesError(f"counts of shape {weights.shape} for gold of shape {truth.shape}")
    known = truth >= 0
    total = weights[known].sum()
    if not total > 0.0:
        raise VotesError("no record has gold, so there is nothing to score")
    return probs[known], truth[known].astype(np.int64), weights[known] / total


def _credit(probs: FloatArray, truth: AnyArray) -> FloatArray:
    """Share of a right answer that each row earns; classes tied within 1e-6 share it."""
    tied = probs >= probs.max(axis=1, keepdims=True) - TIE_TOLERANCE
    result: FloatArray = tied[np.arange(len(truth)), truth] / tied.sum(axis=1)
    return result


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
    probs, truth, weights = _checked(probabilities, gold, counts)
    return float(weights @ _credit(probs, truth))


def log_loss(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Mean negative log-probability of the true class in nats, probabilities clipped at 1e-12.

    Parameters, errors: as for `accuracy`.
    """
    probs, truth, weights = _checked(probabilities, gold, counts)
    right = probs[np.arange(len(truth)), truth]
    return float(weights @ -np.log(np.clip(right, LOG_CLIP, 1.0)))


def brier(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Mean squared distance between probabilities and truth, summed over classes (0 to 2).

    Parameters, errors: as for `accuracy`.

    Notes
    -----
    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    probs, truth, weights = _checked(probabilities, gold, counts)
    distance = probs.copy()
    distance[np.arange(len(truth)), truth] -= 1.0
    return float(weights @ (distance**2).sum(axis=1))


def ece(probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None) -> float:
    """Expected calibration error over ten bins of equal width of the largest probability.

    Parameters, errors: as for `accuracy`.

    Notes
    -----
    Source: Guo et al., "On calibration of modern neural networks", 2017, equation 3.
    """
    probs, truth, weights = _checked(probabilities, gold, counts)
    confidence = probs.max(axis=1)
    bins = np.clip((confidence * ECE_BINS).astype(np.int64), 0, ECE_BINS - 1)
    gap = weights * (_credit(probs, truth) - confidence)
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
