"""Candidates as features of a classifier: TF-IDF, and 150 directions of it that texts share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from labelmill.teach.extra import needs_teach, one_thread
from labelmill.teach.index import Index
from labelmill.teach.tokens import Ints

Floats = npt.NDArray[np.float64]

DIRECTIONS = 150
FITTED_ON = 20_000
"""Records that the directions are fitted to at most; more cost time and gain nothing measurable."""

_ITERATIONS = 2
_TINY = 1e-12


@dataclass(frozen=True)
class FeatureSpace:
    """What turns candidates into features.

    Attributes:
        idf: Weight of each candidate, float32, shape (f,).
        directions: Right singular vectors of TF-IDF, float32, shape (f, d).
    """

    idf: npt.NDArray[np.float32]
    directions: npt.NDArray[np.float32]

    def of(self, has: sparse.csr_array) -> Features:
        """Return the features of records that have these candidates.

        A record's features do not depend on the records that it comes with.
        """
        tfidf = tf_idf(has, self.idf)
        shared = np.asarray(tfidf @ self.directions.astype(np.float64))
        length = np.sqrt((shared**2).sum(axis=1, keepdims=True))
        return Features(tfidf, shared / np.maximum(length, _TINY))


@dataclass(frozen=True)
class Features:
    """Features of records.

    Attributes:
        tfidf: TF-IDF of the candidates, rows of length 1, float64, shape (n, f).
        shared: Place along the directions, rows of length 1, float64, shape (n, d).
    """

    tfidf: sparse.csr_array
    shared: Floats

    def take(self, rows: Ints) -> Features:
        """Return the features of some records."""
        return Features(self.tfidf[rows], self.shared[rows])


def tf_idf(has: sparse.csr_array, idf: npt.NDArray[np.float32]) -> sparse.csr_array:
    """Return TF-IDF of 0/1 rows, each row of length 1."""
    values = idf.astype(np.float64)[has.indices]
    row_of = np.repeat(np.arange(has.shape[0]), np.diff(has.indptr))
    length = np.sqrt(np.bincount(row_of, weights=values**2, minlength=has.shape[0]))
    values /= np.maximum(length, _TINY)[row_of]
    return sparse.csr_array((values, has.indices, has.indptr), shape=has.shape)


@one_thread()
def feature_space(index: Index, *, seed: int = 0) -> FeatureSpace:
    """Fit a feature space to a sample of records.

    Raises:
        JobSpecError: The extra `teach` is not installed.
    """
    with needs_teach():
        from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415  an extra
    n, width = index.has.shape
    idf = (np.log((1.0 + n) / (1.0 + index.frequency)) + 1.0).astype(np.float32)
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:FITTED_ON])
    dims = min(DIRECTIONS, len(rows) - 1, width - 1)
    if dims < 1:
        return FeatureSpace(idf, np.zeros((width, 0), dtype=np.float32))
    _, _, vectors = randomized_svd(
        sparse.csr_matrix(tf_idf(index.has[rows], idf)), dims, n_iter=_ITERATIONS, random_state=seed
    )
    return FeatureSpace(idf, np.ascontiguousarray(vectors.T.astype(np.float32)))
