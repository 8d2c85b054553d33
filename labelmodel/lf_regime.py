"""Labeling functions: mostly one class each, abstaining is weak evidence, the prior is strong.

The equations are those of docs/labelmodel.md, "Labeling functions", steps 1 to 6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel.arrays import BoolArray, FloatArray, IntArray, softmax
from labelmodel.blocks import effective_votes, sum_over_votes
from labelmodel.fixedpoint import to_float
from labelmodel.patterns import PatternTable
from labelmodel.start import multi_class_sources
from labelmodel.state import Parameters, Statistics, unseen_precision

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
    vote_rates: FloatArray, class_balance: FloatArray, multi_class: BoolArray
) -> FloatArray:
    """Precision R[j, v, y] = P(y | j votes v) to begin with (step 2), float64[m, k, k].

    Parameters
    ----------
    vote_rates : float64[m, k]
        Share of the covered records in which LF j votes v.
    class_balance : float64[k]
    multi_class : bool[m]
    """
    k = len(class_balance)
    rates = np.where(vote_rates > 0.0, vote_rates, 1e-300)
    right = np.minimum(0.75, 0.9 * class_balance / np.maximum(rates, 1e-300))
    rest = class_balance / (1.0 - class_balance)[:, None]
    single = (1.0 - right)[:, :, None] * rest
    single[:, np.arange(k), np.arange(k)] = right
    multi = unseen_precision(class_balance, True)
    return np.where(multi_class[:, None, None], multi, single)


def prior_emission(
    vote_rates: FloatArray, class_balance: FloatArray, precision: FloatArray
) -> FloatArray:
    """Emission T0[j, v, y] = P(j votes v | y) that the precision implies (step 3)."""
    emissions = vote_rates[:, :, None] * precision / class_balance
    voting = emissions.sum(axis=1, keepdims=True)
    emissions *= np.minimum(1.0, MAX_VOTING / np.maximum(voting, 1e-300))
    return emissions


def begin(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters of the first round, from statistics of stage "start" (steps 1-3, gold)."""
    sums = statistics.sums
    k = params.n_classes
    votes = sums["votes"]
    covered = max(int(sums["records"][0]), 1)
    no_gold = np.zeros((params.n_lfs, k, k), dtype=np.int64)
    gold_votes = sums.get("gold_votes", no_gold)
    balance = class_prior(
        to_float(sums["majority"]) / covered, sums.get("gold_classes", np.zeros(k, np.int64))
    )
    rates = votes / covered
    multi = multi_class_sources(votes)
    precision = prior_precision(rates, balance, multi)
    judged = gold_votes.sum(axis=2, keepdims=True)
    precision = (gold_votes + GOLD_PRECISION_STRENGTH * precision) / (
        judged + GOLD_PRECISION_STRENGTH
    )
    single = np.count_nonzero(votes.sum(axis=1)) == 1
    weights = 2.0 / (1.0 + 5.0 * rates.sum(axis=1))
    weights = weights * (1.0 + gold_votes.sum(axis=(1, 2)) / GOLD_PRECISION_STRENGTH)
    emissions = prior_emission(rates, balance, precision)
    if single:
        emissions = _unscaled_emission(rates, balance, precision)
    return replace(
        params,
        stage="report" if single else "em",
        rounds_left=ROUNDS,
        regime="lf",
        class_balance=balance,
        emissions=emissions,
        prior_emissions=emissions,
        prior_weights=weights,
        multi_class=multi,
    )


def _unscaled_emission(
    vote_rates: FloatArray, class_balance: FloatArray, precision: FloatArray
) -> FloatArray:
    """Emission of a function without others: one factor for all classes keeps its precision."""
    emissions = vote_rates[:, :, None] * precision / class_balance
    return emissions * min(1.0, MAX_VOTING / float(emissions.sum(axis=1).max()))


def m_step(statistics: Statistics, params: Parameters) -> Parameters:
    """Emissions of the next round (step 5)."""
    vote_mass = to_float(statistics.sums["vote_mass"])
    class_mass = to_float(statistics.sums["class_mass"])
    prior = params.prior_weights[:, None] * (params.n_covered * params.class_balance)
    emissions = (vote_mass + prior[:, None, :] * params.prior_emissions) / (class_mass + prior)[
        :, None, :
    ]
    left = params.rounds_left - 1
    return replace(params, emissions=emissions, rounds_left=left, stage="em" if left else "report")


def tempering(n_votes: FloatArray) -> FloatArray:
    """Factor b on the log-odds of a record with this many votes (step 4), float64[P]."""
    return 1.0 / (1.0 + DEPENDENCE * np.maximum(n_votes - 1.0, 0.0))


def posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Posterior of each pattern (step 4), float64[P, k]; without votes the class balance."""
    base = params.log_class_balance + params.log_abstain.sum(axis=0)
    scores = sum_over_votes(table, params.log_vote - params.log_abstain[:, None, :])
    scores += base
    scores *= tempering(effective_votes(table, params.source_weights))[:, None]
    result = softmax(scores)
    result[table.n_votes == 0] = params.class_balance
    return result
