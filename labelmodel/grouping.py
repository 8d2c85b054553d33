"""Puts equal rows of votes side by side: by hash, then by exact comparison of what shares one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from labelmodel.arrays import BoolArray, IntArray, LabelArray, ragged_positions
from labelmodel.rowhash import hash_rows


def group_rows(
    indptr: IntArray, codes: IntArray, gold: LabelArray, eval_gold: LabelArray
) -> tuple[IntArray, BoolArray]:
    """Order that puts equal rows side by side, and where in it a new pattern begins."""
    hashes = hash_rows(indptr, codes)
    order: IntArray = np.lexsort((eval_gold, gold, hashes)).astype(np.int64)
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (
        (np.diff(hashes[order]) != 0)
        | (np.diff(gold[order]) != 0)
        | (np.diff(eval_gold[order]) != 0)
    )
    differs = _differs_from_previous(indptr, codes, order)
    if np.any(differs & ~is_new):
        _split_collisions(indptr, codes, order, is_new, differs)
    return order, is_new


def _differs_from_previous(indptr: IntArray, codes: IntArray, order: IntArray) -> BoolArray:
    """Where the votes of a row are not those of the row before it in `order`, bool[n]."""
    lengths = np.diff(indptr)[order]
    ordered = codes[ragged_positions(indptr[:-1][order], lengths)]
    differs = np.ones(len(order), dtype=np.bool_)
    differs[1:] = lengths[1:] != lengths[:-1]
    comparable = np.repeat(~differs, lengths)
    positions = np.flatnonzero(comparable)
    unequal = ordered[positions] != ordered[positions - np.repeat(lengths, lengths)[comparable]]
    rows = np.repeat(np.arange(len(order)), lengths)
    differs[rows[positions[unequal]]] = True
    return differs


def _split_collisions(
    indptr: IntArray, codes: IntArray, order: IntArray, is_new: BoolArray, differs: BoolArray
) -> None:
    """Sort by their votes the groups in which unlike rows share a hash; changes in place."""
    starts = np.append(np.flatnonzero(is_new), len(order))
    groups = np.unique(np.searchsorted(starts, np.flatnonzero(differs & ~is_new), side="right"))
    for group in groups:
        begin, end = int(starts[group - 1]), int(starts[group])
        keyed = sorted(
            (tuple(codes[indptr[row] : indptr[row + 1]].tolist()), int(row))
            for row in order[begin:end]
        )
        order[begin:end] = [row for _, row in keyed]
        is_new[begin + 1 : end] = [this[0] != last[0] for last, this in pairwise(keyed)]
