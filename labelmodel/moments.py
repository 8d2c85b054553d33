"""Second moments of votes: in how many records two LFs vote for two classes.

With L the n x mk indicator matrix of votes these counts are L^T L. Models that start from them
(`SnorkelLabelModel`, `Triplets`) read the votes once, whatever they do afterwards.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

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
        Of stage "moments": `pairs` int64[m, k, m, k], `gold` int64[k], `records` int64[1].
    """
    m, k = block.n_lfs, block.n_classes
    gold = np.zeros(k, dtype=np.int64)
    known = block.gold >= 0
    np.add.at(gold, block.gold[known], block.counts[known])
    pairs = vote_pairs(block).toarray().reshape(m, k, m, k)
    records = block.counts.sum(keepdims=True)
    return Statistics(STAGE, {"pairs": pairs, "gold": gold, "records": records})


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
