"""Labeling functions: mostly one class each, abstaining is weak evidence, the prior is strong.

The equations are those of docs/labelmodel.md, "Labeling functions", steps 1 to 6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel.arrays import BoolArray, FloatArray, IntArray, softmax
from labelmodel.blocks import effective_votes, one_hot, sum_by_vote, sum_over_votes
from labelmodel.fixedpoint import to_float
from labelmodel.patterns import PatternTable
from labelmodel.start import multi_class_sources
from labelmodel.state import Parameters, Statistics, unseen_precision
from labelmodel.vote_index import VoteIndex, index_votes

ROUNDS = 3
DEPENDENCE = 0.25
MAX_VOTING = 0.95
SHARE_POWER = 0.35
GOLD_CLASS_STRENGTH = 20.0
GOLD_PRECISION_STRENGTH = 8.0


def class_prior(majority_share: FloatArray, gold_classes: IntArray) -> FloatArray:
    """Class balance from the majority vote and gold (step 1), float64[k]."""
    k = len(majority_share)
    prior = (0.9 * majority_share + 0.1 / k) ** SHARE_POWER
    prior = prior / prior.sum()
    judged = float(gold_classes.sum())
    result: FloatArray = (gold_classes + GOLD_CLASS_STRENGTH * prior) / (
        judged + GOLD_CLASS_STRENGTH
    )
    return result


def prior_precision(
    index: VoteIndex, vote_rates: FloatArray, class_balance: FloatArray, multi_class: BoolArray
) -> FloatArray:
    """Precision R[j, v, y] = P(y | j votes v) to begin with (step 2), float64[S, k].

    Parameters
    ----------
    index : VoteIndex
    vote_rates : float64[S]
        Share of the covered records in which LF j votes v.
    class_balance : float64[k]
    multi_class : bool[m]
    """
    labels = index.labels
    right = np.minimum(0.75, 0.9 * class_balance[labels] / vote_rates)
    rest = class_balance / (1.0 - class_balance)[labels, None]
    single = (1.0 - right)[:, None] * rest
    single[np.arange(len(index)), labels] = right
    multi = unseen_precision(class_balance, True)[labels]
    return np.where(multi_class[index.lfs, None], multi, single)


def prior_emission(
    index: VoteIndex, vote_rates: FloatArray, class_balance: FloatArray, precision: FloatArray
) -> FloatArray:
    """Emission T0[j, v, y] = P(j votes v | y) that the precision implies (step 3)."""
    emissions = vote_rates[:, None] * precision / class_balance
    voting = index.by_lf(emissions)
    if np.count_nonzero(voting.any(axis=1)) == 1:
        # One factor for all classes keeps the precision of a function without others.
        voting = np.broadcast_to(voting.max(axis=1, keepdims=True), voting.shape)
    emissions *= np.minimum(1.0, MAX_VOTING / voting[index.lfs])
    return emissions


def uncovered_balance(statistics: Statistics, params: Parameters) -> FloatArray:
    """Answer for records without votes, float64[k]: even, or what gold on such records says.

    The class balance is learned from records with votes. Those without are another kind, of which
    nothing is assumed (docs/labelmodel.md, "Records without votes").
    """
    if params.balance_given:
        return params.class_balance
    judged = statistics.sums["gold_uncovered"]
    result: FloatArray = (judged + GOLD_CLASS_STRENGTH / params.n_classes) / (
        judged.sum() + GOLD_CLASS_STRENGTH
    )
    return result


def begin(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters of the first round, from statistics of stage "start" (steps 1-3, gold)."""
    sums = statistics.sums
    index = index_votes(sums["votes"])
    gold = params.gold
    judged = one_hot(gold.gold, params.n_classes) * gold.counts[:, None]
    gold_votes = sum_by_vote(gold, index.numbers_of(gold), len(index), judged)
    balance = params.class_balance
    if not params.balance_given:
        balance = class_prior(to_float(sums["majority"]) / params.n_covered, judged.sum(axis=0))
    rates = sums["votes"] / params.n_covered
    multi = multi_class_sources(sums["votes"])
    vote_rates = rates[index.lfs, index.labels]
    precision = prior_precision(index, vote_rates, balance, multi)
    precision = (gold_votes + GOLD_PRECISION_STRENGTH * precision) / (
        gold_votes.sum(axis=1, keepdims=True) + GOLD_PRECISION_STRENGTH
    )
    weights = 2.0 / (1.0 + 5.0 * rates.sum(axis=1))
    weights = weights * (1.0 + index.by_lf(gold_votes.sum(axis=1)) / GOLD_PRECISION_STRENGTH)
    emissions = prior_emission(index, vote_rates, balance, precision)
    alone = np.count_nonzero(rates.any(axis=1)) == 1
    return replace(
        params,
        stage="report" if alone else "em",
        rounds_left=ROUNDS,
        regime="lf",
        class_balance=balance,
        uncovered_balance=uncovered_balance(statistics, params),
        index=index,
        emissions=emissions,
        prior_emissions=emissions,
        prior_weights=weights,
        multi_class=multi,
    )


def m_step(statistics: Statistics, params: Parameters) -> Parameters:
    """Emissions of the next round (step 5)."""
    vote_mass = to_float(statistics.sums["vote_mass"])
    class_mass = to_float(statistics.sums["class_mass"])
    lfs = params.index.lfs
    prior = params.prior_weights[:, None] * (params.n_covered * params.class_balance)
    emissions = (vote_mass + prior[lfs] * params.prior_emissions) / (class_mass + prior)[lfs]
    left = params.rounds_left - 1
    return replace(params, emissions=emissions, rounds_left=left, stage="em" if left else "report")


def tempering(n_votes: FloatArray) -> FloatArray:
    """Factor b on the log-odds of a record with this many votes (step 4), float64[P]."""
    return 1.0 / (1.0 + DEPENDENCE * np.maximum(n_votes - 1.0, 0.0))


def posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Posterior of each pattern (step 4), float64[P, k]; without votes the uncovered balance."""
    base = params.log_class_balance + params.log_abstain.sum(axis=0)
    abstain = params.log_abstain
    scores = sum_over_votes(
        table,
        params.index.numbers_of(table),
        params.log_votes - abstain[params.index.lfs],
        lambda lfs, labels: params.log_unseen(lfs, labels) - abstain[lfs],
    )
    scores += base
    scores *= tempering(effective_votes(table, params.source_weights))[:, None]
    result = softmax(scores)
    result[table.n_votes == 0] = params.uncovered_balance
    return result
