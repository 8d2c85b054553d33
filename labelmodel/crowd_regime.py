"""Crowds: a source that did not vote was not asked, and votes on one record depend.

The equations are those of docs/labelmodel.md, "Crowds", steps 1 to 9.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from labelmodel.arrays import FloatArray, IntArray, softmax
from labelmodel.blocks import effective_votes, sum_over_votes, vote_shares
from labelmodel.fixedpoint import exact_sum, exact_sum_to_float
from labelmodel.parts import CrowdPart
from labelmodel.patterns import PatternTable
from labelmodel.state import Parameters
from labelmodel.vote_index import VoteIndex, index_votes

ROUNDS = 5
RHO_GRID = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2)
MODEL_SHARE = 0.75
PSEUDO_VOTES = 20.0
PSEUDO_RIGHT = 12.0
OWN_PRIOR_VOTES = 2.0
MIN_LOG_LIKELIHOOD = -50.0


def begin(votes: IntArray, params: Parameters) -> CrowdPart:
    """Parameters of the first round, whose posteriors are vote shares (step 1).

    Parameters
    ----------
    votes : int64[m, k]
        Votes of each annotator for each class.
    params : Parameters
    """
    return CrowdPart(
        index=index_votes(votes),
        class_balance=params.class_balance,
        emissions=np.zeros((0, params.n_classes)),
        rounds_left=ROUNDS,
        source_weights=params.source_weights,
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


def m_step(
    vote_mass: FloatArray, class_mass: IntArray, part: CrowdPart, params: Parameters
) -> CrowdPart:
    """Class balance and confusion of the next round (steps 2-6).

    Parameters
    ----------
    vote_mass : float64[S, k]
        Posterior mass of each class over the records with each vote.
    class_mass : int64[k]
        The same over the records that an annotator answered, in fixed point.
    part : CrowdPart
    params : Parameters
        What was given.
    """
    index = part.index
    balance = params.given_balance
    if balance is None:
        balance = _balance(class_mass.astype(np.float64))
    confusion = pooled_confusion(index, vote_mass, part.source_weights)
    mass = confusion_mass(index, vote_mass, confusion, params.given_precision)
    # Over all votes the prior confusion sums to one, so those that do not occur need no row.
    source_mass = index.by_lf(vote_mass) + OWN_PRIOR_VOTES
    left = part.rounds_left - 1
    following = replace(
        part,
        class_balance=balance,
        emissions=mass / source_mass[index.lfs],
        pooled_confusion=confusion,
        rounds_left=left,
    )
    return following if left else replace(following, vote_mass=mass, source_mass=source_mass)


def _balance(class_mass: FloatArray) -> FloatArray:
    # A class of no mass at all would have log-probability -inf.
    balance = np.maximum(class_mass / class_mass.sum(), 1e-12)
    normalised: FloatArray = balance / balance.sum()
    return normalised


def scores(table: PatternTable, part: CrowdPart) -> FloatArray:
    """Log-probability Z of each pattern and class, up to a constant (step 7), float64[P, k]."""
    result = sum_over_votes(table, part.index.numbers_of(table), part.log_votes, part.log_unseen)
    result += part.log_class_balance
    return result


def round_posteriors(table: PatternTable, part: CrowdPart) -> FloatArray:
    """Posterior of each pattern within EM, float64[P, k]: vote shares in the first round."""
    if part.pooled_confusion is None:
        return vote_shares(table, part.source_weights)
    return softmax(scores(table, part))


def dependence_divisor(n_votes: FloatArray, part: CrowdPart) -> FloatArray:
    """Divisor of the log-odds of a record with this many votes (step 9), float64[P]."""
    return 1.0 + part.rho * np.maximum(n_votes - 1.0, 0.0)


def posteriors(table: PatternTable, part: CrowdPart) -> FloatArray:
    """Final posterior of each pattern that has a vote (step 9), float64[P, k]."""
    weights = part.source_weights
    divisor = dependence_divisor(effective_votes(table, weights), part)
    result = MODEL_SHARE * softmax(scores(table, part) / divisor[:, None])
    result += (1.0 - MODEL_SHARE) * vote_shares(table, weights)
    return result


def left_out_sums(block: PatternTable, posterior: FloatArray, part: CrowdPart) -> IntArray:
    """Log-likelihood of each vote given the others on its record, for each rho (step 8).

    Parameters
    ----------
    block : PatternTable
        Votes of annotators, several on each pattern.
    posterior : float64[P, k]
        What the last counts were made with.
    part : CrowdPart

    Returns
    -------
    int64[10, 2]
        An `exact_sum` for each rho.
    """
    if part.vote_mass is None or part.source_mass is None:
        raise AssertionError("stage rho follows the last EM round, which sets these")
    rows = np.repeat(np.arange(len(block), dtype=np.int64), block.n_votes)
    own = posterior[rows]
    votes = part.index.numbers_of(block)
    vote_given_class = (part.vote_mass[votes] - own) / (part.source_mass[block.lfs] - own)
    others = scores(block, part)[rows] - part.log_votes[votes]
    counts, dependent = block.counts[rows], block.n_votes[rows] - 2.0
    if part.source_weights is not None:
        # What its copy said predicts a copied vote whatever the class: such votes do not count.
        weight = part.source_weights[block.lfs]
        counts = np.where(weight == 1.0, counts, 0)
        left = effective_votes(block, part.source_weights)[rows] - weight
        dependent = np.maximum(left - 1.0, 0.0)
    total = np.zeros((len(RHO_GRID), 2), dtype=np.int64)
    for position, rho in enumerate(RHO_GRID):
        expected = softmax(others / (1.0 + rho * dependent[:, None])) * vote_given_class
        # One vote can be all but impossible; the bound keeps the sum within 64 bits.
        logs = np.log(np.maximum(expected.sum(axis=1), np.exp(MIN_LOG_LIKELIHOOD)))
        total[position] = exact_sum(logs, counts)
    return total


def choose_rho(left_out: IntArray, part: CrowdPart) -> CrowdPart:
    """Part with the rho of the largest left-out likelihood, the smallest of equals."""
    best = int(np.argmax([exact_sum_to_float(total) for total in left_out]))
    return replace(part, rho=RHO_GRID[best], vote_mass=None, source_mass=None)
