"""Crowds: a source that did not vote was not asked, and votes on one record depend.

The equations are those of docs/labelmodel.md, "Crowds", steps 1 to 9.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from labelmodel.arrays import FloatArray, IntArray, softmax
from labelmodel.blocks import clamp_gold, effective_votes, sum_over_votes, vote_shares
from labelmodel.fixedpoint import exact_sum, exact_sum_to_float, quantize, to_float
from labelmodel.patterns import PatternTable
from labelmodel.start import multi_class_sources
from labelmodel.state import Parameters, Statistics
from labelmodel.vote_index import VoteIndex, index_votes

ROUNDS = 5
RHO_GRID = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2)
MODEL_SHARE = 0.75
PSEUDO_VOTES = 20.0
PSEUDO_RIGHT = 12.0
OWN_PRIOR_VOTES = 2.0
LEFT_OUT_BLOCK = 1 << 16
MIN_LOG_LIKELIHOOD = -50.0


def begin(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters of the first round, whose posteriors are vote shares (step 1)."""
    return replace(
        params,
        stage="em",
        rounds_left=ROUNDS,
        regime="crowd",
        index=index_votes(statistics.sums["votes"]),
        multi_class=multi_class_sources(statistics.sums["votes"]),
    )


def pooled_confusion(
    index: VoteIndex, vote_mass: FloatArray, source_weights: FloatArray | None = None
) -> FloatArray:
    """Confusion P(v | y) of the average annotator (steps 2-4), float64[k, k].

    Parameters
    ----------
    index : VoteIndex
    vote_mass : float64[S, k]
        C[j, v, y], posterior mass of class y over the votes v of source j.
    source_weights : float64[m], optional
        What each source counts in the average; 1 by default.
    """
    k = index.n_classes
    if source_weights is not None:
        vote_mass = source_weights[index.lfs, None] * vote_mass
    pooled = np.zeros((k, k))
    np.add.at(pooled, index.labels, vote_mass)
    prior = PSEUDO_VOTES * k
    accuracy = (np.trace(pooled) + PSEUDO_RIGHT * k) / (pooled.sum() + prior)
    one_coin = np.full((k, k), (1.0 - accuracy) / (k - 1))
    np.fill_diagonal(one_coin, accuracy)
    confusion: FloatArray = (pooled + prior * one_coin) / (pooled.sum(axis=0) + prior)
    return confusion


def confusion_mass(
    index: VoteIndex,
    vote_mass: FloatArray,
    confusion: FloatArray,
    given: FloatArray | None = None,
) -> FloatArray:
    """Counts D[j, v, y] of each source with their prior (steps 5 and 6).

    Parameters
    ----------
    index : VoteIndex
    vote_mass : float64[S, k]
        C[j, v, y], posterior mass of class y over the votes v of source j.
    confusion : float64[k, k]
        That of the average annotator.
    given : float64[m], optional
        Accuracy of each source where it is known, nan elsewhere.

    Returns
    -------
    float64[S, k]
    """
    right = np.diag(confusion)
    mean_right = right.sum() / index.n_classes
    assumed = np.full(index.n_lfs, mean_right)
    if given is not None:
        assumed = np.where(np.isnan(given), mean_right, given)
    own = (index.by_lf(index.at_own_label(vote_mass)) + PSEUDO_VOTES * assumed) / (
        index.by_lf(vote_mass).sum(axis=1) + PSEUDO_VOTES
    )
    shifted = logit(right) + (logit(own) - logit(mean_right))[index.lfs, None]
    prior_confusion = confusion[index.labels] * (expit(-shifted) / (1.0 - right))
    votes = np.arange(len(index)), index.labels
    prior_confusion[votes] = expit(shifted[votes])
    result: FloatArray = vote_mass + OWN_PRIOR_VOTES * prior_confusion
    return result


def m_step(statistics: Statistics, params: Parameters) -> Parameters:
    """Class balance and confusion of the next round (steps 2-6)."""
    index = params.index
    balance = _balance(statistics, params)
    counted = to_float(statistics.sums["vote_mass"])
    confusion = pooled_confusion(index, counted, params.source_weights)
    mass = confusion_mass(index, counted, confusion, params.given_precision)
    # Over all votes the prior confusion sums to one, so those that do not occur need no row.
    source_mass = index.by_lf(counted) + OWN_PRIOR_VOTES
    left = params.rounds_left - 1
    following = replace(
        params,
        class_balance=balance,
        uncovered_balance=balance,
        emissions=mass / source_mass[index.lfs],
        pooled_confusion=confusion,
        rounds_left=left,
    )
    if left:
        return following
    return replace(following, stage="rho", previous=params, vote_mass=mass, source_mass=source_mass)


def _balance(statistics: Statistics, params: Parameters) -> FloatArray:
    if params.balance_given:
        return params.class_balance
    class_mass = statistics.sums["class_mass"].astype(np.float64)
    # A class of no mass at all would have log-probability -inf.
    balance = np.maximum(class_mass / class_mass.sum(), 1e-12)
    normalised: FloatArray = balance / balance.sum()
    return normalised


def scores(table: PatternTable, params: Parameters) -> FloatArray:
    """Log-probability Z of each pattern and class, up to a constant (step 7), float64[P, k]."""
    result = sum_over_votes(
        table, params.index.numbers_of(table), params.log_votes, params.log_unseen
    )
    result += params.log_class_balance
    return result


def round_posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Posterior of each pattern within EM, float64[P, k]: vote shares in the first round."""
    if params.rounds_left == ROUNDS:
        return vote_shares(table, params.source_weights)
    return softmax(scores(table, params))


def posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Final posterior of each pattern (step 9), float64[P, k]."""
    weights = params.source_weights
    divisor = 1.0 + params.rho * np.maximum(effective_votes(table, weights) - 1.0, 0.0)
    result = MODEL_SHARE * softmax(scores(table, params) / divisor[:, None])
    result += (1.0 - MODEL_SHARE) * vote_shares(table, weights)
    result[table.n_votes == 0] = params.uncovered_balance
    return result


def left_out_counts(covered: PatternTable, params: Parameters) -> Statistics:
    """Log-likelihood of each vote given the others on its record, for each rho (step 8).

    Above `SAMPLED_PATTERNS` patterns, the records of those of the smallest row hashes stand for
    all.

    Returns
    -------
    Statistics
        `left_out` int64[10, 2], an `exact_sum` for each rho.
    """
    total = np.zeros((len(RHO_GRID), 2), dtype=np.int64)
    sampled = covered.n_votes > 1
    if params.last_sampled is not None:
        sampled &= covered.row_hash() <= np.uint64(params.last_sampled)
    chosen = covered.take(sampled)
    step = max(LEFT_OUT_BLOCK // params.n_classes, 1)
    for begin_row in range(0, len(chosen), step):
        block = chosen.take(np.arange(begin_row, min(begin_row + step, len(chosen))))
        total += _left_out_block(block, params)
    return Statistics("rho", {"left_out": total})


def _left_out_block(block: PatternTable, params: Parameters) -> IntArray:
    if params.previous is None or params.vote_mass is None or params.source_mass is None:
        raise AssertionError("stage rho follows the last EM round, which sets these")
    posterior = to_float(quantize(clamp_gold(block, round_posteriors(block, params.previous))))
    rows = np.repeat(np.arange(len(block), dtype=np.int64), block.n_votes)
    own = posterior[rows]
    votes = params.index.numbers_of(block)
    vote_given_class = (params.vote_mass[votes] - own) / (params.source_mass[block.lfs] - own)
    others = scores(block, params)[rows] - params.log_votes[votes]
    counts, dependent = block.counts[rows], block.n_votes[rows] - 2.0
    if params.source_weights is not None:
        # What its copy said predicts a copied vote whatever the class: such votes do not count.
        weight = params.source_weights[block.lfs]
        counts = np.where(weight == 1.0, counts, 0)
        left = effective_votes(block, params.source_weights)[rows] - weight
        dependent = np.maximum(left - 1.0, 0.0)
    total = np.zeros((len(RHO_GRID), 2), dtype=np.int64)
    for position, rho in enumerate(RHO_GRID):
        expected = softmax(others / (1.0 + rho * dependent[:, None])) * vote_given_class
        # One vote can be all but impossible; the bound keeps the sum within 64 bits.
        logs = np.log(np.maximum(expected.sum(axis=1), np.exp(MIN_LOG_LIKELIHOOD)))
        total[position] = exact_sum(logs, counts)
    return total


def choose_rho(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters with the rho of the largest left-out likelihood, the smallest of equals."""
    best = int(np.argmax([exact_sum_to_float(total) for total in statistics.sums["left_out"]]))
    return replace(
        params, rho=RHO_GRID[best], stage="report", previous=None, vote_mass=None, source_mass=None
    )
