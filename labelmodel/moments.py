"""Second moments of votes: in how many records two LFs vote for two classes.

With L the n x mk indicator matrix of votes these counts are L^T L. Models that start from them
(`SnorkelLabelModel`, `Triplets`) read the votes once, whatever they do afterwards.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from labelmodel.arrays import IntArray
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
        Of stage "moments": `pairs` int64[m, k, m, k], `gold` int64[k], `records` int64[1].
    """
    m, k = block.n_lfs, block.n_classes
    gold = np.zeros(k, dtype=np.int64)
    known = block.gold >= 0
    np.add.at(gold, block.gold[known], block.counts[known])
    pairs = _pairs(block).reshape(m, k, m, k)
    records = block.counts.sum(keepdims=True)
    return Statistics(STAGE, {"pairs": pairs, "gold": gold, "records": records})


def _pairs(block: PatternTable) -> IntArray:
    side = block.n_lfs * block.n_classes
    if not len(block.lfs):
        return np.zeros((side, side), dtype=np.int64)
    columns = vote_cells(block).astype(np.int64)
    shape = (len(block), side)
    ones = np.ones(len(columns), dtype=np.int64)
    votes = sparse.csr_matrix((ones, columns, block.indptr), shape=shape)
    weighted = sparse.csr_matrix(
        (np.repeat(block.counts, block.n_votes), columns, block.indptr), shape=shape
    )
    return np.asarray(sparse.csr_matrix(votes.T @ weighted).toarray())
