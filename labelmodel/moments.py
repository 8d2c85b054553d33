"""Second moments of votes: in how many records two LFs vote for two classes.

With L the n x mk indicator matrix of votes these counts are L^T L. Models that start from them
(`SnorkelLabelModel`, `Triplets`) read the votes once, whatever they do afterwards.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from labelmodel.arrays import IntArray
from labelmodel.blocks import vote_incidence
from labelmodel.errors import VotesError
from labelmodel.patterns import PatternTable
from labelmodel.state import Statistics
from labelmodel.vote_index import vote_cells

STAGE = "moments"
MAX_SIDE = 10_000


def check_moments_fit(n_lfs: int, n_classes: int) -> None:
    """Raise `VotesError` where the matrix of second moments would not fit in memory."""
    side = n_lfs * n_classes
    if side > MAX_SIDE:
        raise VotesError(
            f"{n_lfs} LFs x {n_classes} classes make a {side} x {side} matrix of second moments, "
            f"more than {MAX_SIDE} a side; use LabelModel, which needs none"
        )


def moment_counts(block: PatternTable) -> Statistics:
    """Count records of a block by pairs of votes, by gold, and in all.

    Returns
    -------
    Statistics
        Of stage "moments": `pairs`, `gold` int64[k] and `records` int64[1].
    """
    gold = np.zeros(block.n_classes, dtype=np.int64)
    known = block.gold >= 0
    np.add.at(gold, block.gold[known], block.counts[known])
    records = block.counts.sum(keepdims=True)
    return Statistics(STAGE, {"gold": gold, "records": records}, pairs=vote_pairs(block))


def dense_pairs(statistics: Statistics, n_classes: int) -> IntArray:
    """The `pairs` of all blocks as one table, int64[m, k, m, k]."""
    if statistics.pairs is None:
        raise AssertionError("statistics of stage moments have pairs")
    m = statistics.pairs.shape[0] // n_classes
    table: IntArray = statistics.pairs.toarray().reshape(m, n_classes, m, n_classes)
    return table


def vote_pairs(block: PatternTable) -> sparse.csr_matrix:
    """Records for each two votes that they have together; sums over blocks are exact.

    Returns
    -------
    scipy.sparse.csr_matrix of int64[m * k, m * k]
        Entry [a * k + v, b * k + w]: records on which source a votes v and source b votes w.
    """
    side = block.n_lfs * block.n_classes
    votes = vote_incidence(block, vote_cells(block), side, np.int64)
    weighted = votes.copy()
    weighted.data = np.repeat(block.counts, block.n_votes)
    pairs: sparse.csr_matrix = (votes.T @ weighted).tocsr()
    return pairs
