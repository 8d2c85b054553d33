"""Labeling functions: mostly one class each, abstaining is weak evidence, the prior is strong.

The equations are those of docs/labelmodel.md, "Labeling functions", steps 1 to 6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel.arrays import BoolArray, FloatArray, IntArray, softmax
from labelmodel.blocks import effective_votes, one_hot, sum_by_vote, sum_over_votes
from labelmodel.fixedpoint import to_float
from labelmodel.parts import FunctionPart, unseen_precision
from labelmodel.patterns import PatternTable
from labelmodel.start import multi_class_sources
from labelmodel.state import Parameters
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
    index: VoteIndex,
    vote_rates: FloatArray,
    class_balance: FloatArray,
    multi_class: BoolArray,
    given: FloatArray | None = None,
) -> FloatArray:
    """Precision R[j, v, y] = P(y | j votes v) to begin with (step 2), float64[S, k].

    Parameters
    ----------
    index : VoteIndex
    vote_rates : float64[S]
        Share of the covered records in which LF j votes v.
    class_balance : float64[k]
    multi_class : bool[m]
    given : float64[m], optional
        Precision of each LF's votes where it is known, nan elsewhere.
    """
    labels = index.labels
    known = np.full(len(index), np.nan) if given is None else given[index.lfs]
    assumed = np.isnan(known)
    right = np.where(assumed, np.minimum(0.75, 0.9 * class_balance[labels] / vote_rates), known)
    rest = class_balance / (1.0 - class_balance)[labels, None]
    single = (1.0 - right)[:, None] * rest
    single[np.arange(len(index)), labels] = right
    multi = unseen_precision(class_balance, True)[labels]
    return np.where((multi_class[index.lfs] & assumed)[:, None], multi, single)


def prior_emission(
    index: VoteIndex,
    vote_rates: FloatArray,
    class_balance: FloatArray,
    precision: FloatArray,
    alone: bool = False,
) -> FloatArray:
    """Emission T0[j, v, y] = P(j votes v | y) that the precision implies (step 3).

    `alone` is said of the only source that votes.
    """
    emissions = vote_rates[:, None] * precision / class_balance
    voting = index.by_lf(emissions)
    if alone:
        # One factor for all classes keeps the precision of a function without others.
        voting = np.broadcast_to(voting.max(axis=1, keepdims=True), voting.shape)
    emissions *= np.minimum(1.0, MAX_VOTING / voting[index.lfs])
    return emissions


def uncovered_balance(gold: IntArray, params: Parameters) -> FloatArray:
    """Answer for records without votes, float64[k]: even, or what gold on such records says.

    The class balance is learned from records with votes. Those without are another kind, of which
    nothing is assumed (docs/labelmodel.md, "Records without votes").

    Parameters
    ----------
    gold : int64[k]
        Records without votes that have gold for the fit, by its class.
    params : Parameters
    """
    if params.given_balance is not None:
        return params.given_balance
    result: FloatArray = (gold + GOLD_CLASS_STRENGTH / params.n_classes) / (
        gold.sum() + GOLD_CLASS_STRENGTH
    )
    return result


def begin(
    votes: IntArray,
    majority: IntArray,
    gold: PatternTable,
    n_covered: int,
    params: Parameters,
    gold_classes: IntArray | None = None,
) -> FunctionPart:
    """Parameters of the first round (steps 1-3, gold).

    Parameters
    ----------
    votes : int64[m, k]
        Votes of each function for each class.
    majority : int64[k]
        Winners of the majority vote of functions, in fixed point.
    gold : PatternTable
        Gold on the records that a function votes on.
    n_covered : int
        Records that a function votes on.
    params : Parameters
    gold_classes : int64[k], optional
        Gold of each class that tells the class balance; `gold` by default.
    """
    index = index_votes(votes)
    judged = one_hot(gold.gold, params.n_classes) * gold.counts[:, None]
    gold_votes = sum_by_vote(gold, index.numbers_of(gold), len(index), judged)
    balance = params.given_balance
    if balance is None:
        told = judged.sum(axis=0) if gold_classes is None else gold_classes
        balance = class_prior(to_float(majority) / n_covered, told)
    rates = votes / n_covered
    multi = multi_class_sources(votes)
    vote_rates = rates[index.lfs, index.labels]
    precision = prior_precision(index, vote_rates, balance, multi, params.given_precision)
    precision = (gold_votes + GOLD_PRECISION_STRENGTH * precision) / (
        gold_votes.sum(axis=1, keepdims=True) + GOLD_PRECISION_STRENGTH
    )
    weights = 2.0 / (1.0 + 5.0 * rates.sum(axis=1))
    weights = weights * (1.0 + index.by_lf(gold_votes.sum(axis=1)) / GOLD_PRECISION_STRENGTH)
    alone = params.functions is None and np.count_nonzero(rates.any(axis=1)) == 1
    emissions = prior_emission(index, vote_rates, balance, precision, alone)
    return FunctionPart(
        index=index,
        class_balance=balance,
        emissions=emissions,
        # From one source alone there is nothing to learn.
        rounds_left=0 if alone else ROUNDS,
        source_weights=params.source_weights,
        prior_emissions=emissions,
        prior_weights=weights,
        multi_class=multi,
        n_covered=n_covered,
    )


def m_step(vote_mass: FloatArray, class_mass: FloatArray, part: FunctionPart) -> FunctionPart:
    """Emissions of the next round (step 5).

    Parameters
    ----------
    vote_mass : float64[S, k]
        Posterior mass of each class over the records with each vote.
    class_mass : float64[k]
        The same over the records that a function votes on.
    part : FunctionPart
    """
    lfs = part.index.lfs
    prior = part.prior_weights[:, None] * (part.n_covered * part.class_balance)
    emissions = (vote_mass + prior[lfs] * part.prior_emissions) / (class_mass + prior)[lfs]
    return replace(part, emissions=emissions, rounds_left=part.rounds_left - 1)


def tempering(n_votes: FloatArray) -> FloatArray:
    """Factor b on the log-odds of a record with this many votes (step 4), float64[P]."""
    return 1.0 / (1.0 + DEPENDENCE * np.maximum(n_votes - 1.0, 0.0))


def scores(table: PatternTable, part: FunctionPart) -> FloatArray:
    """Log-probability of each pattern and class, up to a constant (step 4), float64[P, k]."""
    abstain = part.log_abstain
    result = sum_over_votes(
        table,
        part.index.numbers_of(table),
        part.log_votes - abstain[part.index.lfs],
        lambda lfs, labels: part.log_unseen(lfs, labels) - abstain[lfs],
    )
    result += part.log_class_balance + abstain.sum(axis=0)
    result *= tempering(effective_votes(table, part.source_weights))[:, None]
    return result


def evidence(table: PatternTable, part: FunctionPart) -> FloatArray:
    """What votes and abstains add to the log-probability, without the class balance; [P, k]."""
    factor = tempering(effective_votes(table, part.source_weights))
    return scores(table, part) - factor[:, None] * part.log_class_balance


def posteriors(table: PatternTable, part: FunctionPart) -> FloatArray:
    """Posterior of each pattern that has a vote (step 4), float64[P, k]."""
    return softmax(scores(table, part))
