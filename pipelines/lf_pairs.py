"""Pairs of labeling functions worth a look: near-duplicates, one inside another, conflicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from labelmodel.patterns import PatternTable

LEAST_TOGETHER = 5
"""Records that two functions must share before the pair says anything."""

SAME_RECORDS = 0.8
AGREEMENT = 0.95
WIDEST_COVER = 0.5
"""A function that votes on more than this share of the records holds most others by chance."""

MOST_PAIRS = 1000
MOST_PARTNERS = 8
_DENSE_WORK = 2e8
_DENSE_ROWS = 4096

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Two functions that vote on the same records.

    Attributes:
        first: A function's name; of a pair "inside", the narrower.
        second: The other's.
        together: Records on which both vote.
        agree: Of these, records on which they vote for the same class.
        jaccard: Records with both votes, as a share of those with either.
        same: Whether the two are the same function under two names.
    """

    first: str
    second: str
    together: int
    agree: int
    jaccard: float
    same: bool = False

    @property
    def conflicts(self) -> int:
        """Records on which the two vote for unlike classes."""
        return self.together - self.agree


@dataclass(frozen=True)
class Pairs:
    """What `find_pairs` found; the lists are cut, the totals are exact.

    Attributes:
        near_duplicates: Same votes on nearly the same records, most records first.
        inside: Where the first votes, the second nearly always casts the same vote.
        conflicting: Most conflicts first.
        totals: How many pairs there are of each kind.
        partners: Per function, those that share most records with it.
    """

    near_duplicates: tuple[Pair, ...]
    inside: tuple[Pair, ...]
    conflicting: tuple[Pair, ...]
    totals: dict[str, int]
    partners: tuple[tuple[Pair, ...], ...]

    def document(self) -> dict[str, Any]:
        """Return plain data, without the partners."""
        kinds = {
            "near_duplicates": self.near_duplicates,
            "inside": self.inside,
            "conflicting": self.conflicting,
        }
        return {
            name: {"total": self.totals[name], "pairs": [asdict(pair) for pair in pairs]}
            for name, pairs in kinds.items()
        }


def find_pairs(table: PatternTable, names: Sequence[str], fingerprints: Sequence[str]) -> Pairs:
    """Find the pairs of functions that are worth a look.

    The cost is that of one sparse matrix product over the patterns, whatever the number of pairs.

    Args:
        table: Patterns of the votes.
        names: The functions' names.
        fingerprints: Their fingerprints; equal ones are the same function twice.
    """
    together, agree = co_votes(table)
    votes = together.diagonal().astype(np.int64)
    upper = sparse.triu(together, 1).tocoo()
    a, b = upper.row.astype(np.int64), upper.col.astype(np.int64)
    both = upper.data.astype(np.int64)
    alike = _entries(agree, a, b)
    jaccard = both / np.maximum(votes[a] + votes[b] - both, 1)
    digests = np.unique(np.asarray(fingerprints, dtype=object).astype(str), return_inverse=True)[1]
    same = (digests[a] == digests[b]) & (np.asarray(fingerprints)[a] != "")
    enough = both >= LEAST_TOGETHER
    agreeing = alike >= AGREEMENT * both
    twins = same | (enough & agreeing & (jaccard >= SAME_RECORDS))

    def make(rows: Ints, swap: npt.NDArray[np.bool_] | None = None) -> tuple[Pair, ...]:
        made = []
        for row in rows.tolist():
            i, j = int(a[row]), int(b[row])
            if swap is not None and swap[row]:
                i, j = j, i
            made.append(
                Pair(
                    names[i],
                    names[j],
                    int(both[row]),
                    int(alike[row]),
                    float(jaccard[row]),
                    bool(same[row]),
                )
            )
        return tuple(made)

    narrow_is_b = votes[b] < votes[a]
    narrow, wide = np.where(narrow_is_b, b, a), np.where(narrow_is_b, a, b)
    held = ~twins & (alike >= AGREEMENT * votes[narrow]) & (votes[narrow] >= LEAST_TOGETHER)
    held &= votes[wide] <= WIDEST_COVER * max(table.n_records, 1)
    inside = np.flatnonzero(held)
    inside = inside[np.lexsort((votes[wide[inside]], narrow[inside]))]
    inside = inside[np.unique(narrow[inside], return_index=True)[1]]  # the tightest around each
    inside = inside[np.argsort(-votes[narrow[inside]], kind="stable")]
    duplicates = np.flatnonzero(twins)
    duplicates = duplicates[np.argsort(-both[duplicates], kind="stable")]
    conflicts = both - alike
    conflicting = np.flatnonzero(conflicts >= LEAST_TOGETHER)
    conflicting = conflicting[np.argsort(-conflicts[conflicting], kind="stable")]
    return Pairs(
        make(duplicates[:MOST_PAIRS]),
        make(inside[:MOST_PAIRS], narrow_is_b),
        make(conflicting[:MOST_PAIRS]),
        {
            "near_duplicates": len(duplicates),
            "inside": len(inside),
            "conflicting": len(conflicting),
        },
        _partners(together, agree, votes, names),
    )


def _partners(
    together: sparse.csr_array, agree: sparse.csr_array, votes: Ints, names: Sequence[str]
) -> tuple[tuple[Pair, ...], ...]:
    """Return, per function, those that share most records with it."""
    result = []
    for i, name in enumerate(names):
        start, stop = together.indptr[i], together.indptr[i + 1]
        others, both = together.indices[start:stop], together.data[start:stop]
        kept = others != i
        others, both = others[kept], both[kept]
        best = np.argsort(-both, kind="stable")[:MOST_PARTNERS]
        chosen = others[best].astype(np.int64)
        alike = _entries(agree, np.full(len(chosen), i), chosen).tolist()
        result.append(
            tuple(
                Pair(name, names[j], int(n), int(m), float(n / (votes[i] + votes[j] - n)))
                for j, n, m in zip(chosen.tolist(), both[best].tolist(), alike, strict=True)
            )
        )
    return tuple(result)


def _entries(matrix: sparse.csr_array, rows: Ints, columns: Ints) -> Ints:
    """Return ``matrix[rows, columns]`` of a sparse matrix, as int64."""
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    return np.asarray(matrix[rows, columns]).ravel().astype(np.int64)


def co_votes(table: PatternTable) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return, per pair of functions, records with both votes, and with both for one class."""
    rows = np.repeat(np.arange(len(table), dtype=np.int64), table.n_votes)
    per_class = rows * table.n_classes + table.labels
    weights = table.counts.astype(np.float64)
    shape = (len(table), table.n_lfs)
    together = _weighted_product(rows, table.lfs, weights, shape)
    shape = (len(table) * table.n_classes, table.n_lfs)
    agree = _weighted_product(per_class, table.lfs, np.repeat(weights, table.n_classes), shape)
    return together, agree


def _weighted_product(
    rows: Ints, columns: npt.NDArray[np.int32], weights: npt.NDArray[np.float64], shape: Any
) -> sparse.csr_array:
    """Return ``X.T @ diag(weights) @ X`` for the 0/1 matrix X with these entries."""
    x = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    filled = np.flatnonzero(np.diff(x.indptr))
    x, weights = x[filled], weights[filled]
    per_row = np.diff(x.indptr).astype(np.float64)
    if (per_row**2).sum() <= _DENSE_WORK:
        weighted = sparse.csr_array(
            (np.repeat(weights, per_row.astype(np.int64)), x.indices, x.indptr), shape=x.shape
        )
        return sparse.csr_array(weighted.T @ x)
    product = np.zeros((shape[1], shape[1]))  # many votes a record: a dense product is faster
    for start in range(0, x.shape[0], _DENSE_ROWS):
        block = x[start : start + _DENSE_ROWS].toarray()
        product += (block * weights[start : start + _DENSE_ROWS, None]).T @ block
    return sparse.csr_array(product)
