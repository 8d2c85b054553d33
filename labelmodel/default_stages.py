"""The stages of the default model's fit: start, EM rounds, rho (crowds only), report, done.

Here is which function of which regime serves a stage; `label_model` makes an estimator of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel import crowd_regime, lf_regime
from labelmodel.arrays import FloatArray
from labelmodel.blocks import (
    blend_gold,
    clamp_gold,
    covered_patterns,
    majority_winners,
    sum_by_vote,
    vote_shares,
    votes_of,
)
from labelmodel.dependence import find_near_duplicates, pair_counts
from labelmodel.diagnostics import report_on
from labelmodel.fixedpoint import check_record_count, quantize, to_float
from labelmodel.notices import Notice, mixed_sources, silent_sources
from labelmodel.parts import CrowdPart, FunctionPart
from labelmodel.patterns import PatternTable
from labelmodel.regimes import final_posteriors, left_out_sums, round_posteriors
from labelmodel.staged import check_shape, check_stage
from labelmodel.start import choose_regime, restart_counts, start_counts, uncovered_gold
from labelmodel.state import SAMPLED_PATTERNS, Parameters, Statistics
from labelmodel.vote_sums import exact_by_lf, pattern_of_votes

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
    return blend_gold(table, final_posteriors(table, params), params)


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
        statistics = start_counts(covered)
        pairs, sampled = pair_counts(covered)
        sums = {
            **statistics.sums,
            "gold_uncovered": uncovered_gold(pattern_block),
            "pair_records": np.array([sampled]),
        }
        return replace(statistics, sums=sums, pairs=pairs)
    if params.stage == "restart":
        return restart_counts(covered, params.source_weights, params.functions)
    if params.stage == "rho":
        return Statistics("rho", {"left_out": left_out_sums(covered, params)})
    if params.stage == "report":
        return _report_counts(covered, params)
    return _em_counts(covered, params)


def _em_counts(covered: PatternTable, params: Parameters) -> Statistics:
    """Posterior mass by vote and class, for the part of each kind of sources."""
    posterior = round_posteriors(covered, params)
    weighted = quantize(clamp_gold(covered, posterior)) * covered.counts[:, None]
    sums = {}
    for kind, part in (("lf", params.lf), ("crowd", params.crowd)):
        if part is None:
            continue
        votes, mass = covered, weighted
        if params.functions is not None:
            votes = votes_of(covered, params.functions == (kind == "lf"))
            mass = np.where((votes.n_votes > 0)[:, None], weighted, 0)
        numbers = part.index.numbers_of(votes)
        sums[f"{kind}_vote_mass"] = sum_by_vote(votes, numbers, len(part.index), mass)
        sums[f"{kind}_class_mass"] = mass.sum(axis=0)
    return Statistics("em", sums)


def _report_counts(covered: PatternTable, params: Parameters) -> Statistics:
    """What the model's answers look like: precision of each LF, classes that ever win."""
    posterior = posteriors(covered, params)
    bad = ~np.isfinite(posterior).all(axis=1)
    posterior[bad] = vote_shares(covered)[bad]
    weighted = quantize(posterior) * covered.counts[:, None]
    rows = pattern_of_votes(covered)
    of_votes = np.stack([weighted[rows, covered.labels], weighted.sum(axis=1)[rows]], axis=1)
    right, votes = exact_by_lf(covered, of_votes).T
    winners = (posterior >= posterior.max(axis=1, keepdims=True, initial=0.0) - 1e-6) * 1
    majority = quantize(majority_winners(covered)) * covered.counts[:, None]
    counts = covered.counts[:, None]
    return Statistics(
        "report",
        {
            "right": right,
            "votes": votes,
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
    if params.stage == "restart":
        return _first_parts(statistics, params)
    if params.stage == "rho":
        if params.crowd is None:
            raise AssertionError("stage rho follows the last EM round of a crowd")
        crowd = crowd_regime.choose_rho(statistics.sums["left_out"], params.crowd)
        return replace(params, stage="report", crowd=crowd, previous=None)
    if params.stage == "report":
        return report_on(statistics, params)
    return _em_step(statistics, params)


def _em_step(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters after a round, of each kind of sources that has rounds left."""
    sums, lf, crowd = statistics.sums, params.lf, params.crowd
    if lf is not None and lf.rounds_left:
        vote_mass = to_float(sums["lf_vote_mass"])
        lf = lf_regime.m_step(vote_mass, to_float(sums["lf_class_mass"]), lf)
    if crowd is not None and crowd.rounds_left:
        vote_mass = to_float(sums["crowd_vote_mass"])
        crowd = crowd_regime.m_step(vote_mass, sums["crowd_class_mass"], crowd, params)
    following = replace(params, lf=lf, crowd=crowd)
    if not all(np.isfinite(part.emissions).all() for part in _parts(following)):
        return replace(params, stage="report", fallback="the fit did not stay finite")
    if any(part.rounds_left for part in _parts(following)):
        return following
    if crowd is None:
        return replace(following, stage="report")
    return replace(following, stage="rho", previous=params)


def _parts(params: Parameters) -> list[FunctionPart | CrowdPart]:
    return [part for part in (params.lf, params.crowd) if part is not None]


def _last_sampled(statistics: Statistics) -> int | None:
    """Largest of the hashes that make a sample, or None where there are no more than it holds."""
    hashes = statistics.hashes
    few = hashes is None or len(hashes) <= SAMPLED_PATTERNS
    return None if few or hashes is None else int(hashes[SAMPLED_PATTERNS - 1])


def _begin(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters after the first look: copies, and functions told from annotators."""
    sums = statistics.sums
    records = int(sums["records"][0])
    check_record_count(records)
    params = replace(
        params,
        n_covered=records,
        last_sampled=_last_sampled(statistics),
        gold=params.gold if statistics.gold is None else statistics.gold,
        uncovered=lf_regime.uncovered_balance(sums["gold_uncovered"], params),
        notices=_start_notices(statistics, params),
    )
    if records == 0:
        return replace(params, stage="done", lf_precision=np.full(params.n_lfs, np.nan))
    if statistics.pairs is None:
        raise AssertionError("stage start counts pairs of votes")
    found = find_near_duplicates(
        statistics.pairs, params.n_classes, int(sums["pair_records"][0]), params.dependence
    )
    params = replace(params, notices=(*params.notices, *found.notices), functions=found.functions)
    if found.groups:
        params = replace(params, source_weights=found.weights, duplicate_groups=found.groups)
    elif found.functions is None:
        return _first_parts(statistics, params)
    if found.functions is not None:
        voted = sums["votes"].any(axis=1)
        kinds = (int((voted & of).sum()) for of in (found.functions, ~found.functions))
        params = replace(params, notices=(*params.notices, mixed_sources(*kinds)))
    # Majority votes are counted again: of weighted sources, and of functions apart.
    return replace(params, stage="restart")


def _first_parts(statistics: Statistics, params: Parameters) -> Parameters:
    """Parameters of the first EM round, for the kinds of sources that there are."""
    sums, functions = statistics.sums, params.functions
    votes = sums["votes"]
    lf, crowd = None, None
    if functions is not None or choose_regime(votes, params.source_weights) == "lf":
        gold = params.gold if functions is None else votes_of(params.gold, functions)
        lf = lf_regime.begin(
            votes if functions is None else np.where(functions[:, None], votes, 0),
            sums["majority"],
            covered_patterns(gold),
            int(sums["of_functions"][0]),
            params,
            sums.get("gold_classes"),
        )
    if lf is None or functions is not None:
        of_crowd = votes if functions is None else np.where(functions[:, None], 0, votes)
        crowd = crowd_regime.begin(of_crowd, params)
    params = replace(params, stage="em", lf=lf, crowd=crowd)
    return params if any(p.rounds_left for p in _parts(params)) else replace(params, stage="report")


def _start_notices(statistics: Statistics, params: Parameters) -> tuple[Notice, ...]:
    votes = statistics.sums["votes"]
    records = int(statistics.sums["records"][0])
    active = votes.sum(axis=1) > 0
    found = []
    if records == 0:
        text = "no labeling function voted: every record gets the class balance"
        return (Notice("no_votes", text),)
    if active.sum() == 1:
        text = "only one labeling function voted: its precision is assumed, not learned"
        found.append(Notice("one_source", text))
    elif not statistics.sums["conflicts"][0] and (votes[active].sum(axis=1) == records).all():
        text = "all labeling functions vote alike: their precision cannot be learned"
        found.append(Notice("alike", text))
    if np.count_nonzero(votes.sum(axis=0)) == 1:
        text = "every vote is for one class: the others cannot be learned"
        found.append(Notice("one_class", text))
    silent = np.flatnonzero(~active)
    if len(silent):
        found.append(silent_sources(silent.tolist(), params.n_lfs))
    return tuple(found)
