"""First stage of a fit: who votes how often, majority shares, gold; and which regime follows."""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import BoolArray, FloatArray, IntArray
from labelmodel.blocks import class_votes, majority_winners, vote_counts
from labelmodel.fixedpoint import quantize
from labelmodel.patterns import PatternTable, count_patterns
from labelmodel.state import Regime, Statistics, smallest_hashes

MIN_CROWD = 8.0
MULTI_CLASS_SHARE = 0.95


def start_counts(
    covered: PatternTable,
    gold_uncovered: IntArray,
    source_weights: FloatArray | None = None,
) -> Statistics:
    """Statistics of stage "start" over covered patterns.

    Parameters
    ----------
    covered : PatternTable
    source_weights : float64[m], optional
        What a vote of each source counts for `majority`; 1 by default.

    Returns
    -------
    Statistics
        `records` [1], `conflicts` [1], `votes` [m, k] and `gold_uncovered` [k] as counts;
        `majority` [k] in fixed point.
    """
    k = covered.n_classes
    winners = majority_winners(covered, source_weights)
    weighted = quantize(winners) if len(covered) else np.zeros((0, k), np.int64)
    conflicting = (class_votes(covered) > 0).sum(axis=1) > 1
    sums: dict[str, IntArray] = {
        "records": covered.counts.sum(keepdims=True),
        "conflicts": covered.counts[conflicting].sum(keepdims=True),
        "votes": vote_counts(covered),
        "majority": (weighted * covered.counts[:, None]).sum(axis=0),
        "gold_uncovered": gold_uncovered,
    }
    hashes = smallest_hashes([covered.row_hash()[covered.n_votes > 1]])
    judged = covered.take(covered.gold >= 0)
    if not len(judged):
        return Statistics("start", sums, hashes=hashes)
    # Gold for scoring must not travel into the model with the gold for fitting.
    gold = count_patterns(
        judged.indptr,
        judged.lfs,
        judged.labels,
        n_lfs=judged.n_lfs,
        n_classes=k,
        gold=judged.gold,
        counts=judged.counts,
    )
    return Statistics("start", sums, gold, hashes=hashes)


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


def choose_regime(votes: IntArray, source_weights: FloatArray | None = None) -> Regime:
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
    # A group of copies, each of weight 1 / e, is one source of their votes.
    effective = total**2 / float((weighted * per_source).sum())
    return "crowd" if by_multi >= 0.5 * total and effective >= MIN_CROWD else "lf"
