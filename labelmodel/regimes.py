"""Posteriors of the default model by the kinds of its sources: functions, a crowd, or both.

Where both are there, they are taken to be independent given the class: the log-probability of a
class is that of the annotators plus what the votes and abstains of the functions add to it. A
record on which only one kind votes gets what that kind says (docs/labelmodel.md, "Both").
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labelmodel import crowd_regime, lf_regime
from labelmodel.arrays import FloatArray, IntArray, softmax
from labelmodel.blocks import clamp_gold, votes_of
from labelmodel.fixedpoint import quantize, to_float
from labelmodel.parts import CrowdPart
from labelmodel.patterns import PatternTable
from labelmodel.state import Parameters

LEFT_OUT_BLOCK = 1 << 16
LEAST_SHARE = 1e-12
"""In place of a share of no vote, which has no logarithm."""


def round_posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Posterior of each pattern that has a vote within EM, float64[P, k]."""
    return _posteriors(table, params, crowd_regime.round_posteriors)


def final_posteriors(table: PatternTable, params: Parameters) -> FloatArray:
    """Answer to each pattern, float64[P, k]; without votes the uncovered balance."""
    result = _posteriors(table, params, crowd_regime.posteriors)
    result[table.n_votes == 0] = params.uncovered_balance
    return result


def _posteriors(
    table: PatternTable,
    params: Parameters,
    of_crowd: Callable[[PatternTable, CrowdPart], FloatArray],
) -> FloatArray:
    if params.crowd is None:
        if params.lf is None:
            return np.tile(params.uncovered_balance, (len(table), 1))
        return lf_regime.posteriors(table, params.lf)
    if params.lf is None or params.functions is None:
        return of_crowd(table, params.crowd)
    functions = votes_of(table, params.functions)
    annotators = votes_of(table, ~params.functions)
    by_crowd = of_crowd(annotators, params.crowd)
    added = lf_regime.evidence(functions, params.lf)
    both = softmax(added + np.log(np.maximum(by_crowd, LEAST_SHARE)))
    voted, answered = functions.n_votes > 0, annotators.n_votes > 0
    by_functions = lf_regime.posteriors(functions, params.lf)
    only = np.where(answered[:, None], by_crowd, by_functions)
    return np.where((voted & answered)[:, None], both, only)


def left_out_sums(covered: PatternTable, params: Parameters) -> IntArray:
    """`crowd_regime.left_out_sums` over the answers of annotators, int64[10, 2].

    Above `SAMPLED_PATTERNS` patterns, the records of those of the smallest row hashes stand for
    all.
    """
    crowd, previous = params.crowd, params.previous
    if crowd is None or previous is None:
        raise AssertionError("stage rho follows the last EM round of a crowd")
    answers = covered if params.functions is None else votes_of(covered, ~params.functions)
    sampled = answers.n_votes > 1
    if params.last_sampled is not None:
        sampled &= covered.row_hash() <= np.uint64(params.last_sampled)
    chosen = np.flatnonzero(sampled)
    total = np.zeros((len(crowd_regime.RHO_GRID), 2), dtype=np.int64)
    step = max(LEFT_OUT_BLOCK // params.n_classes, 1)
    for first in range(0, len(chosen), step):
        rows = chosen[first : first + step]
        block = covered.take(rows)
        posterior = to_float(quantize(clamp_gold(block, round_posteriors(block, previous))))
        total += crowd_regime.left_out_sums(answers.take(rows), posterior, crowd)
    return total
