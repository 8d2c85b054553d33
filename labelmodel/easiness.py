"""The easiness beta of each pattern under GLAD, given the abilities: a search in one dimension."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from labelmodel.arrays import FloatArray, row_sum, softmax, softmax_and_log_sum
from labelmodel.patterns import PatternTable
from labelmodel.vote_sums import pattern_of_votes, sum_by_class, sum_by_pattern

PRIOR_MEAN = 1.0
GRID = np.arange(-2.0, 4.5, 0.5)
NEWTON_STEPS = 8


def score_classes(
    table: PatternTable, alpha: FloatArray, log_prior: FloatArray, log_beta: FloatArray
) -> FloatArray:
    """Log-probability of each pattern's votes and each class, float64[P, k].

    Parameters
    ----------
    table : PatternTable
    alpha : float64[m]
    log_prior : float64[P, k]
    log_beta : float64[P]
    """
    at_votes: FloatArray = alpha[table.lfs] * np.exp(log_beta)[pattern_of_votes(table)]
    wrong = -np.logaddexp(0.0, at_votes) - np.log(table.n_classes - 1)
    right = at_votes + np.log(table.n_classes - 1)
    scores: FloatArray = (
        log_prior + sum_by_pattern(table, wrong)[:, None] + sum_by_class(table, right)
    )
    return scores


def vote_sigmoids(at_votes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """sigmoid(x), and the curvature tanh(x / 2) / 2x of the quadratic that bounds its log."""
    right: FloatArray = expit(at_votes)
    size = np.maximum(np.abs(at_votes), 1e-6)
    return right, np.tanh(size / 2.0) / (2.0 * size)


def best_easiness(table: PatternTable, alpha: FloatArray, log_prior: FloatArray) -> FloatArray:
    """Log beta of the highest log-density of votes and log beta, float64[P].

    The density may have several peaks. A grid finds the highest, and Newton's method, kept
    between the grid's neighbours of it, its top.
    """
    best = np.full(len(table), GRID[0])
    height = np.full(len(table), -np.inf)
    for point in GRID:
        candidate = np.full(len(table), point)
        scores = score_classes(table, alpha, log_prior, candidate)
        reached = softmax_and_log_sum(scores)[1] - 0.5 * (point - PRIOR_MEAN) ** 2
        better = reached > height
        best[better], height[better] = point, reached[better]
    low, high = best - 0.5, best + 0.5
    for _ in range(NEWTON_STEPS):
        slope, curvature = _derivatives(table, alpha, log_prior, best)
        low, high = np.where(slope > 0.0, best, low), np.where(slope > 0.0, high, best)
        step = best - slope / np.minimum(curvature, -1e-3)
        inside = (curvature < -1e-3) & (step >= low) & (step <= high)
        best = np.where(inside, step, 0.5 * (low + high))
    return best


def _derivatives(
    table: PatternTable, alpha: FloatArray, log_prior: FloatArray, log_beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """First and second derivative of the log-density in log beta, each float64[P].

    With x_j = alpha_j beta, the log-likelihood of a class y has the derivative
    X_y - sum_j s_j x_j, where X_y sums x over the votes for y and s = sigmoid(x). The posterior
    q of the classes moves too, which adds the variance of X under it.
    """
    at_votes: FloatArray = alpha[table.lfs] * np.exp(log_beta)[pattern_of_votes(table)]
    right = expit(at_votes)
    posterior = softmax(score_classes(table, alpha, log_prior, log_beta))
    for_class = sum_by_class(table, at_votes)
    mean = row_sum(posterior * for_class)
    variance = row_sum(posterior * (for_class - mean[:, None]) ** 2)
    first = mean - sum_by_pattern(table, right * at_votes)
    bend = sum_by_pattern(table, right * (1.0 - right) * at_votes**2)
    return first - (log_beta - PRIOR_MEAN), variance + first - bend - 1.0
