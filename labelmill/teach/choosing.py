"""Choosing functions among candidates: how right they would be, and what they would add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from labelmill.hashing import mixed
from labelmill.teach.features import Floats
from labelmill.teach.tokens import Bools, Ints

PRIOR = 10.0
"""Judged hits that the classifier's opinion counts for."""
QUANTILE = 0.1
LEAST_PRECISION = 0.55
OVERLAP_PENALTY = 0.1
MOST_FUNCTIONS = 80
LEAST_JUDGED = 100
_WORTH = 0.4
"""Precision at which a function's votes are worth nothing."""


@dataclass(frozen=True)
class Sums:
    """What is counted of candidates; those of shards add up (`+`).

    Attributes:
        frequency: Records that have a candidate, int64, shape (f,).
        judged: Judged records that have it, by class, int64, shape (f, k).
        opinion: Sum of P(class) over the others, in `OPINION_UNIT`s, int64, shape (f, k).
        rows: Records.
    """

    frequency: Ints
    judged: Ints
    opinion: Ints
    rows: int

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over both."""
        return Sums(
            self.frequency + other.frequency,
            self.judged + other.judged,
            self.opinion + other.opinion,
            self.rows + other.rows,
        )

    @classmethod
    def zero(cls, n_candidates: int, n_classes: int) -> Sums:
        """Return the sums over nothing."""
        counts = np.zeros((n_candidates, n_classes), dtype=np.int64)
        return cls(np.zeros(n_candidates, dtype=np.int64), counts, counts, 0)


OPINION_UNIT = 2.0**-24


def sums_of(has: sparse.csr_array, probs: Floats, labels: Ints) -> Sums:
    """Count candidates over records.

    Args:
        has: Which record has which candidate, shape (n, f).
        probs: The classifier's P(class), float64, shape (n, k).
        labels: Judged class of each record, int64, shape (n,), -1 where it was not judged.
    """
    ones = sparse.csr_array((np.ones(has.nnz, np.int64), has.indices, has.indptr), shape=has.shape)
    fixed = np.rint(probs / OPINION_UNIT).astype(np.int64)
    fixed[labels >= 0] = 0
    said = (labels[:, None] == np.arange(probs.shape[1])).astype(np.int64)
    columns = ones.T
    return Sums(
        np.bincount(has.indices, minlength=has.shape[1]).astype(np.int64),
        np.asarray(columns @ said),
        np.asarray(columns @ fixed),
        has.shape[0],
    )


@dataclass(frozen=True)
class Scores:
    """What is thought of candidates.

    Attributes:
        label: Class that each would vote for, int64, shape (f,).
        least: Lower 10 % quantile of its precision, float64, shape (f,).
        a: First parameter of the Beta distribution of the precision, float64, shape (f,).
        b: The second.
    """

    label: Ints
    least: Floats
    a: Floats
    b: Floats

    def interval(self, n: int, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the precision of candidate `n`."""
        tail = (1 - level) / 2
        ends = special.betaincinv(self.a[n], self.b[n], [tail, 1 - tail])
        return float(ends[0]), float(ends[1])


def score_candidates(sums: Sums) -> Scores:
    """Work out each candidate's best class and its precision there.

    The classifier's mean opinion of unjudged hits is the prior, the judged hits are the evidence.
    """
    counted = sums.judged.astype(np.float64)
    n = counted.sum(axis=1, keepdims=True)
    unjudged = np.maximum(sums.frequency[:, None] - n, 1.0)
    mean = np.clip(sums.opinion * OPINION_UNIT / unjudged, 0.0, 1.0)
    a = counted + PRIOR * mean
    b = n - counted + PRIOR * (1 - mean)
    # Only the likeliest class of each can be the one with the largest lower end.
    likeliest = np.argsort(-(a / (a + b)), axis=1, kind="stable")[:, :2]
    rows = np.arange(len(a))[:, None]
    tops = special.betaincinv(
        np.maximum(a[rows, likeliest], 1e-9), np.maximum(b[rows, likeliest], 1e-9), QUANTILE
    )
    best = likeliest[np.arange(len(a)), np.argmax(tops, axis=1)]
    at = np.arange(len(a)), best
    return Scores(best, tops.max(axis=1), np.maximum(a[at], 1e-9), np.maximum(b[at], 1e-9))


def same_records(has: sparse.csr_array) -> Ints:
    """Return a number for each candidate, the same for those that the same records have.

    Args:
        has: Which record has which candidate, shape (n, f).
    """
    marks = mixed(np.arange(1, has.shape[0] + 1, dtype=np.uint64)).view(np.int64)
    ones = sparse.csr_array((np.ones(has.nnz, np.int64), has.indices, has.indptr), shape=has.shape)
    groups: Ints = np.unique(np.asarray(ones.T @ marks), return_inverse=True)[1]
    return groups


@dataclass(frozen=True)
class Choice:
    """A candidate that was chosen.

    Attributes:
        candidate: Its place.
        new: Records that no function covered before it.
        hits: Records that it covers.
    """

    candidate: int
    new: int
    hits: int


def choose(
    has: sparse.csr_array,
    scores: Scores,
    covered: Bools,
    *,
    most: int = MOST_FUNCTIONS,
    least_precision: float = LEAST_PRECISION,
    penalty: float = OVERLAP_PENALTY,
    struck: npt.NDArray[np.bool_] | None = None,
) -> list[Choice]:
    """Choose candidates greedily by what they add, less a penalty for what they repeat.

    Args:
        has: Which record has which candidate, shape (n, f).
        scores: What is thought of the candidates.
        covered: Records that functions of the job cover, bool, shape (n,).
        most: Most candidates to choose.
        least_precision: Least lower end of the precision.
        penalty: Part of a candidate's value lost for each record that is covered already.
        struck: Candidates not to choose, bool, shape (f,).
    """
    able = scores.least >= least_precision
    if struck is not None:
        able &= ~struck
    pool = np.flatnonzero(able)
    columns = sparse.csc_array(has[:, pool])
    by_row = sparse.csr_array(columns)
    hits = np.diff(columns.indptr).astype(np.int64)
    done = covered.copy()
    new = np.asarray(columns.T @ (~done).astype(np.float64)).astype(np.int64)
    worth = scores.least[pool] - _WORTH
    chosen: list[Choice] = []
    while len(chosen) < most and len(pool):
        value = worth * (new - penalty * (hits - new))
        best = int(np.argmax(value))
        if value[best] <= 0:
            break
        chosen.append(Choice(int(pool[best]), int(new[best]), int(hits[best])))
        rows = columns.indices[columns.indptr[best] : columns.indptr[best + 1]]
        rows = rows[~done[rows]]
        done[rows] = True
        touched = by_row[rows].indices
        new -= np.bincount(touched, minlength=len(pool))
        worth[best] = 0.0
    return chosen
