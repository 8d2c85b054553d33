"""The stages of the default model's fit: start, EM rounds, rho (crowds only), report, done.

Here is which function of which regime serves a stage; `label_model` makes an estimator of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel import crowd_regime, lf_regime
from labelmodel.arrays import FloatArray, IntArray
from labelmodel.blocks import (
    blend_gold,
    clamp_gold,
    covered_patterns,
    majority_winners,
    sum_by_vote,
    vote_shares,
)
from labelmodel.dependence import find_near_duplicates, pair_counts
from labelmodel.diagnostics import NEVER_VOTED, report_on
from labelmodel.fixedpoint import check_record_count, quantize
from labelmodel.patterns import PatternTable
from labelmodel.staged import check_shape, check_stage
from labelmodel.start import choose_regime, start_counts, uncovered_gold
from labelmodel.state import SAMPLED_PATTERNS, Parameters, Statistics

MAX_STAGES = 2 + max(lf_regime.ROUNDS, crowd_regime.ROUNDS + 1) + 1


def posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Posterior of each pattern under fitted parameters.

    Parameters
    ----------
    table : PatternTable
        Its gold is not looked at.
    params : Parameters
        Of stage "report" or "done".

    Returns
    -------
    float64[P, k]
        A row has the same bits whatever other rows are in the table.

    Raises
    ------
    VotesError
        A table of other LFs or classes than the parameters.
    """
    check_shape(table, params)
    if params.fallback is not None:
        shares = vote_shares(table)
        shares[table.n_votes == 0] = params.uncovered_balance
        return shares
    predict = crowd_regime.posteriors if params.regime == "crowd" else lf_regime.posteriors
    return blend_gold(table, predict(table, params), params)


def expected_counts(pattern_block: PatternTable, params: Parameters) -> Statistics:
    """Statistics of a block of patterns for the stage that `params` is at.

    Parameters
    ----------
    pattern_block : PatternTable
        Any part of the patterns; patterns without votes add nothing but their gold.
    params : Parameters
        From `state.initial_parameters` or the last `m_step`.

    Returns
    -------
    Statistics
        Statistics of blocks add (`+`) to those of all records bit for bit in any order.

    Raises
    ------
    VotesError
        A block of other LFs or classes than the parameters.
    """
    check_shape(pattern_block, params)
    if params.stage == "done":
        return Statistics("done")
    covered = covered_patterns(pattern_block)
    if params.stage == "start":
        gold_uncovered = uncovered_gold(pattern_block)
        statistics = start_counts(covered, gold_uncovered, params.source_weights)
        if params.dependence is None or params.source_weights is not None:
            return statistics
        pairs, sampled = pair_counts(covered)
        sums = {**statistics.sums, "pair_records": np.array([sampled])}
        return replace(statistics, sums=sums, pairs=pairs)
    if params.stage == "rho":
        return crowd_regime.left_out_counts(covered, params)
    if params.stage == "report":
        return _report_counts(covered, params)
    if params.regime == "crowd":
        posterior = crowd_regime.round_posteriors(covered, params)
    else:
        posterior = lf_regime.posteriors(covered, params)
    weighted = quantize(clamp_gold(covered, posterior)) * covered.counts[:, None]
    return Statistics(
        "em",
        {
            "vote_mass": _sum_by_vote(covered, params, weighted),
            "class_mass": weighted.sum(axis=0),
        },
    )


def _sum_by_vote(covered: PatternTable, params: Parameters, weighted: IntArray) -> IntArray:
    numbers = params.index.numbers_of(covered)
    return sum_by_vote(covered, numbers, len(params.index), weighted)


def _report_counts(covered: PatternTable, params: Parameters) -> Statistics:
    """What the model's answers look like: precision of each LF, classes that ever win."""
    posterior = posteriors(covered, params)
    bad = ~np.isfinite(posterior).all(axis=1)
    posterior[bad] = vote_shares(covered)[bad]
    weighted = quantize(posterior) * covered.counts[:, None]
    vote_mass = _sum_by_vote(covered, params, weighted)
    winners = (posterior >= posterior.max(axis=1, keepdims=True, initial=0.0) - 1e-6) * 1
    majority = quantize(majority_winners(covered)) * covered.counts[:, None]
    counts = covered.counts[:, None]
    return Statistics(
        "report",
        {
            "right": params.index.by_lf(params.index.at_own_label(vote_mass)),
            "votes": params.index.by_lf(vote_mass.sum(axis=1)),
            "predicted": (winners * counts).sum(axis=0),
            "class_mass": weighted.sum(axis=0),
            "majority_mass": majority.sum(axis=0),
            "not_finite": covered.counts[bad].sum(keepdims=True),
        },
    )


def m_step(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters of the next stage.

    Parameters
    ----------
    statistics : Statistics
        Sum of `expected_counts` over all blocks under `params`.
    params : Parameters
        The same that the statistics were made with; some of it (priors) is carried on.

    Raises
    ------
    VotesError
        Statistics of another stage, or more records than fixed-point sums allow.
    """
    check_stage(statistics, params)
    if params.stage == "done":
        return params
    if params.stage == "start":
        return _begin(statistics, params)
    if params.stage == "rho":
        return crowd_regime.choose_rho(statistics, params)
    if params.stage == "report":
        return report_on(statistics, params)
    step = crowd_regime.m_step if params.regime == "crowd" else lf_regime.m_step
    following = step(statistics, params)
    if not np.isfinite(following.emissions).all():
        return replace(params, stage="report", fallback="the fit did not stay finite")
    return following


def _last_sampled(statistics: Statistics) -> int | None:
    """Largest of the hashes that make a sample, or None where there are no more than it holds."""
    hashes = statistics.hashes
    few = hashes is None or len(hashes) <= SAMPLED_PATTERNS
    return None if few or hashes is None else int(hashes[SAMPLED_PATTERNS - 1])


def _begin(statistics: Statistics, params: Parameters) -> Parameters:
    sums = statistics.sums
    records = int(sums["records"][0])
    check_record_count(records)
    if params.source_weights is None:
        params = replace(
            params,
            n_covered=records,
            last_sampled=_last_sampled(statistics),
            gold=params.gold if statistics.gold is None else statistics.gold,
            warnings=_start_warnings(statistics, params),
        )
    if records == 0:
        return replace(
            params,
            stage="done",
            uncovered_balance=lf_regime.uncovered_balance(statistics, params),
            lf_precision=np.full(params.n_lfs, np.nan),
        )
    if statistics.pairs is not None:
        found = find_near_duplicates(
            statistics.pairs, params.n_classes, int(sums["pair_records"][0])
        )
        params = replace(params, warnings=(*params.warnings, *found.warnings))
        if found.groups:  # the stage runs again, with majority votes of weighted sources
            return replace(params, source_weights=found.weights, duplicate_groups=found.groups)
    if choose_regime(sums["votes"], params.source_weights) == "crowd":
        return crowd_regime.begin(statistics, params)
    return lf_regime.begin(statistics, params)


def _start_warnings(statistics: Statistics, params: Parameters) -> tuple[str, ...]:
    votes = statistics.sums["votes"]
    records = int(statistics.sums["records"][0])
    active = votes.sum(axis=1) > 0
    found = []
    if records == 0:
        return ("no labeling function voted: every record gets the class balance",)
    if active.sum() == 1:
        found.append("only one labeling function voted: its precision is assumed, not learned")
    elif not statistics.sums["conflicts"][0] and (votes[active].sum(axis=1) == records).all():
        found.append("all labeling functions vote alike: their precision cannot be learned")
    if np.count_nonzero(votes.sum(axis=0)) == 1:
        found.append("every vote is for one class: the others cannot be learned")
    silent = int(np.count_nonzero(~active))
    if silent:
        found.append(f"{silent} of {params.n_lfs} {NEVER_VOTED}")
    return tuple(found)
