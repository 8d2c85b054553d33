"""First stage of a fit: who votes how often, majority shares, gold; and which regime follows."""

from __future__ import annotations

from typing import Literal

import numpy as np

from labelmodel.arrays import BoolArray, FloatArray, IntArray
from labelmodel.blocks import (
    class_votes,
    covered_patterns,
    majority_winners,
    vote_counts,
    votes_of,
)
from labelmodel.fixedpoint import quantize
from labelmodel.patterns import PatternTable, count_patterns
from labelmodel.state import Statistics, smallest_hashes

MIN_CROWD = 8.0
MULTI_CLASS_SHARE = 0.95


def start_counts(covered: PatternTable) -> Statistics:
    """Statistics of stage "start" over covered patterns, but for pairs of votes.

    Returns
    -------
    Statistics
        `restart_counts`, and `conflicts` [1] as a count; the gold, and hashes.
    """
    conflicting = (class_votes(covered) > 0).sum(axis=1) > 1
    sums = {
        **restart_counts(covered).sums,
        "conflicts": covered.counts[conflicting].sum(keepdims=True),
    }
    hashes = smallest_hashes([covered.row_hash()[covered.n_votes > 1]])
    judged = covered.take(covered.gold >= 0)
    # Gold for scoring must not travel into the model with the gold for fitting.
    gold = count_patterns(
        judged.indptr,
        judged.lfs,
        judged.labels,
        n_lfs=judged.n_lfs,
        n_classes=judged.n_classes,
        gold=judged.gold,
        counts=judged.counts,
    )
    return Statistics("start", sums, gold if len(gold) else None, hashes=hashes)


def restart_counts(
    covered: PatternTable,
    source_weights: FloatArray | None = None,
    functions: BoolArray | None = None,
) -> Statistics:
    """Statistics of stage "restart" over covered patterns.

    Parameters
    ----------
    covered : PatternTable
    source_weights : float64[m], optional
        What a vote of each source counts for `majority`; 1 by default.
    functions : bool[m], optional
        Sources that are functions where there are annotators too.

    Returns
    -------
    Statistics
        `records` [1] and `votes` [m, k] as counts, `majority` [k] in fixed point; `majority`
        and `of_functions` [1] are of the records and the votes of functions, by default of all.
    """
    lf_votes = covered if functions is None else votes_of(covered, functions)
    lf_votes = covered_patterns(lf_votes)
    winners = quantize(majority_winners(lf_votes, source_weights))
    sums: dict[str, IntArray] = {
        "records": covered.counts.sum(keepdims=True),
        "votes": vote_counts(covered),
        "majority": (winners * lf_votes.counts[:, None]).sum(axis=0),
        "of_functions": lf_votes.counts.sum(keepdims=True),
    }
    return Statistics("restart", sums)


def uncovered_gold(table: PatternTable) -> IntArray:
    """Records without votes that have gold for the fit, by its class; int64[k]."""
    chosen = (table.n_votes == 0) & (table.gold >= 0)
    counts = np.zeros(table.n_classes, dtype=np.int64)
    np.add.at(counts, table.gold[chosen], table.counts[chosen])
    return counts


def multi_class_sources(votes: IntArray) -> BoolArray:
    """Sources that cast less than .95 of their votes for one class; int64[m, k] -> bool[m]."""
    result: BoolArray = votes.max(axis=1, initial=0) < MULTI_CLASS_SHARE * votes.sum(axis=1)
    return result


def choose_regime(
    votes: IntArray, source_weights: FloatArray | None = None
) -> Literal["lf", "crowd"]:
    """Tell labeling functions from a crowd by how they vote (docs/labelmodel.md, regime).

    Parameters
    ----------
    votes : int64[m, k]
        Votes of each source for each class.
    source_weights : float64[m], optional
        What a vote of each source counts; 1 by default.
    """
    per_source: FloatArray = votes.sum(axis=1).astype(np.float64)
    weighted = per_source if source_weights is None else source_weights * per_source
    total = float(weighted.sum())
    if total == 0.0:
        return "lf"
    by_multi = float(weighted[multi_class_sources(votes)].sum())
    effective = effective_number(
        np.ones(len(votes)) if source_weights is None else source_weights, votes.sum(axis=1)
    )
    return "crowd" if by_multi >= 0.5 * total and effective >= MIN_CROWD else "lf"


def effective_number(weights: FloatArray, votes: IntArray) -> float:
    """How many sources of equal share there would be, (sum c)^2 / sum c^2; 0 without votes.

    Parameters
    ----------
    weights : float64[m]
        What a vote of each source counts; 0 leaves a source out.
    votes : int64[m]
    """
    weighted = weights * votes
    # A group of copies, each of weight 1 / e, is one source of their votes.
    squares = float((weighted * votes).sum())
    return float(weighted.sum()) ** 2 / squares if squares else 0.0
