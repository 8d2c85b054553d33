"""Labeling functions and annotators of one job told apart, source by source.

An annotator answers what is asked; a function chooses the records it votes on. So the other
answers on the records of a function lean to its class, and those on the records of an annotator
who always says the same do not.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from labelmodel.arrays import BoolArray, FloatArray, IntArray
from labelmodel.start import MIN_CROWD, effective_number, multi_class_sources

HALF = 0.5
FEW = 0.1
BEYOND_CHANCE = 10.0
MIN_ODDS = 1.3
MIN_Z = 3.0


def functions_among(
    pairs: sparse.csr_matrix, n_classes: int, records: int, weights: FloatArray
) -> BoolArray | None:
    """Find the labeling functions where there are annotators besides.

    Parameters
    ----------
    pairs : scipy.sparse.csr_matrix of int64[m * k, m * k]
        `dependence.pair_counts` of all covered records.
    n_classes : int
        k.
    records : int
        Those that the pairs count.
    weights : float64[m]
        What a vote of each source counts.

    Returns
    -------
    bool[m] or None
        None where one regime serves all sources: no crowd, or no functions beside it.

    Notes
    -----
    Annotators are the multi-class sources, without those that vote on half of the records where
    these are a tenth of the multi-class sources at most; their effective number must be that of
    a crowd. The evidence for functions comes from single-class sources whose votes would not all
    be for one class by chance, n log(1 / s_v) >= 10 for n votes for v, the share of class v among
    annotators' answers being s_v. On their records the answers for v must have 1.3 times the odds
    that they have elsewhere (pooled over sources as by Mantel and Haenszel, 1959) and exceed
    the expected number by three standard errors, an error being that of as many records as the
    sources vote on. Then all that are not annotators are functions.
    """
    m, k = pairs.shape[0] // n_classes, n_classes
    votes: IntArray = pairs.diagonal().reshape(m, k).astype(np.int64)
    total = votes.sum(axis=1)
    annotators = _annotators(votes, records)
    if effective_number(np.where(annotators, weights, 0.0), total) < MIN_CROWD:
        return None
    share = votes[annotators].sum(axis=0) / votes[annotators].sum()
    own = votes.argmax(axis=1)
    single = (total > 0) & ~multi_class_sources(votes)
    surprise = -np.log(np.maximum(share, 1e-300))[own] * total
    telling = np.flatnonzero(single & (surprise >= BEYOND_CHANCE))
    if not len(telling):
        return None
    answers = _answers_beside(pairs, telling * k + own[telling], annotators, k)
    return ~annotators if _choose_records(answers, own[telling], total[telling], share) else None


def _annotators(votes: IntArray, records: int) -> BoolArray:
    """Multi-class sources, without the few that vote on half of the records; bool[m]."""
    multi = multi_class_sources(votes)
    busy = multi & (votes.sum(axis=1) >= HALF * records)
    few = np.count_nonzero(busy) <= FEW * np.count_nonzero(multi)
    return multi & ~busy if few else multi


def _answers_beside(
    pairs: sparse.csr_matrix, rows: IntArray, annotators: BoolArray, n_classes: int
) -> IntArray:
    """Annotators' answers for each class on the records with each of some votes, int64[r, k]."""
    columns = np.repeat(np.flatnonzero(annotators), n_classes) * n_classes
    classes = np.tile(np.arange(n_classes), len(columns) // n_classes)
    to_class = sparse.csr_matrix(
        (np.ones(len(columns), dtype=np.int64), (columns + classes, classes)),
        shape=(pairs.shape[1], n_classes),
    )
    return np.asarray((pairs[rows] @ to_class).todense())


def _choose_records(answers: IntArray, own: IntArray, votes: IntArray, share: FloatArray) -> bool:
    """Whether answers lean to the class of the source on whose records they are."""
    n = answers.sum(axis=1)
    like = answers[np.arange(len(own)), own]
    expected = share[own]
    by_odds = float(((n - like) * expected).sum())
    odds = float((like * (1.0 - expected)).sum()) / max(by_odds, 1e-300)
    # Several answers on a record are no more independent evidence than one.
    each = np.maximum(n / votes, 1.0)
    variance = float((n * expected * (1.0 - expected) * each).sum())
    excess = float((like - n * expected).sum())
    return odds >= MIN_ODDS and excess >= MIN_Z * float(np.sqrt(variance)) and excess > 0.0
