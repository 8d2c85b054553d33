"""How alike two sources vote, and how much of it the truth explains, from pairs of votes.

`dependence` decides by it which sources are copies of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import betainc

from labelmodel.arrays import BoolArray, FloatArray, IntArray, bin_sums

ALIKE = 0.8
ALIKE_TOGETHER = 0.9
IDENTICAL = 0.98
IDENTICAL_UNTOLD = 0.95
MAX_COVERAGE = 0.9
MIN_TOGETHER = 30
FALSE_ALARMS = 0.001
OUTSIDERS_Z = 3.0
MARGIN_Z = 2.0
MIN_UNEXPLAINED = 0.7


@dataclass(frozen=True)
class PairMoments:
    """What the pairs of votes say of each pair of sources that ever votes together.

    Attributes
    ----------
    first, second : int64[q]
        Sources of each pair, first < second.
    together : float64[q]
        Records on which both vote.
    agree, alike : float64[q]
        Records on which they agree; and these as a share of those on which either votes.
    similarity, expected : float64[q]
        Sum over records of the inner product of the votes, and what independence expects.
    weight : float64[q]
        Records that the covariance is a mean over: all, or for a crowd those of both.
    error : float64[q]
        Variance of `similarity` under independence.
    votes : float64[m]
        Votes of each source.
    mean : float64[m, k]
        Share of each vote: of the records, or for a crowd of the source's votes.
    variance : float64[m]
        C_aa.
    records : float
        Covered records counted in the pairs.
    regime : {"lf", "crowd"}
    """

    first: IntArray
    second: IntArray
    together: FloatArray
    agree: FloatArray
    alike: FloatArray
    similarity: FloatArray
    expected: FloatArray
    weight: FloatArray
    error: FloatArray
    votes: FloatArray
    mean: FloatArray
    variance: FloatArray
    records: float
    regime: Literal["lf", "crowd"]

    @property
    def n_sources(self) -> int:
        """Number of sources, m."""
        return len(self.mean)

    @classmethod
    def of(
        cls, pairs: sparse.csr_matrix, n_classes: int, records: int, regime: Literal["lf", "crowd"]
    ) -> PairMoments:
        """Moments of pairs of votes int64[m * k, m * k], counted over some records."""
        k, m = n_classes, pairs.shape[0] // n_classes
        votes = pairs.diagonal().reshape(m, k).astype(np.float64)
        total = votes.sum(axis=1)
        entries = pairs.tocoo()
        above = np.flatnonzero(entries.row // k < entries.col // k)
        row, column = entries.row[above].astype(np.int64), entries.col[above].astype(np.int64)
        keys, position = np.unique(row // k * m + column // k, return_inverse=True)
        counts = entries.data[above]
        together = bin_sums(position, counts, len(keys))
        agreed = np.where(row % k == column % k, counts, 0)
        agree = bin_sums(position, agreed, len(keys))
        first, second = keys // max(m, 1), keys % max(m, 1)
        crowd = regime == "crowd"
        counted = float(max(records, 1))
        mean = votes / (np.maximum(total, 1.0)[:, None] if crowd else counted)
        # Of a source that always votes the same it is 0, but for the last bits.
        variance = np.maximum(mean.sum(axis=1) - _inner(mean, mean), 0.0)
        weight = together if crowd else np.full(len(keys), counted)
        return cls(
            first=first,
            second=second,
            together=together,
            agree=agree,
            alike=agree / (total[first] + total[second] - together),
            similarity=agree - (together - agree) / (k - 1),
            expected=weight * _inner(mean[first], mean[second]),
            weight=weight,
            error=weight * variance[first] * variance[second],
            votes=total,
            mean=mean,
            variance=variance,
            records=counted,
            regime=regime,
        )

    def nearly_alike(self) -> IntArray:
        """Pairs that may be near-duplicates, int64[c]."""
        return np.flatnonzero((self.alike >= ALIKE) & (self.together >= MIN_TOGETHER))

    def weights_as_one(self) -> FloatArray:
        """Weights that let each group of sources that vote nearly alike count as one, float64[m].

        Copies of one function must not look like a crowd.
        """
        alike = self.nearly_alike()
        component = components(self.n_sources, self.first[alike], self.second[alike])
        weights: FloatArray = 1.0 / np.bincount(component, minlength=1)[component]
        return weights

    def alike_where_together(self) -> IntArray:
        """Pairs of annotators that may be copies where both were asked, int64[c]."""
        most = np.sqrt(self.variance[self.first] * self.variance[self.second])
        covariance = self.similarity - self.expected
        return np.flatnonzero(
            (self.together >= MIN_TOGETHER)
            & (self.agree >= ALIKE_TOGETHER * self.together)
            # What the truth explains can only make the share less.
            & (covariance >= MIN_UNEXPLAINED * most * self.weight)
        )

    def pairs_within(self, groups: IntArray, size: IntArray) -> FloatArray:
        """Pairs in each group; of a crowd those with records enough to tell; float64[groups]."""
        if self.regime == "lf":
            pairs: FloatArray = size * (size - 1) / 2
            return pairs
        inside = (groups[self.first] == groups[self.second]) & (self.together >= MIN_TOGETHER)
        return bin_sums(groups[self.first[inside]], np.ones(int(inside.sum())), len(groups))

    def unexplained(self, chosen: IntArray, others: BoolArray) -> FloatArray:
        """Share of the agreement of some pairs of a group that the truth does not explain.

        Parameters
        ----------
        chosen : int64[c]
            Pairs whose sources are in the group.
        others : bool[m]
            Sources that it is held against.

        Returns
        -------
        float64[c]
            0 where the excess is not significant.
        """
        loading = self._loadings(others)
        identical = IDENTICAL if loading is not None else IDENTICAL_UNTOLD
        first, second = self.first[chosen], self.second[chosen]
        coverage = np.maximum(self.mean.sum(axis=1)[first], self.mean.sum(axis=1)[second])
        # In a crowd the coverage here is 1: a source that did not vote was not asked.
        same = (self.alike[chosen] >= identical) & (coverage <= MAX_COVERAGE)
        if loading is None:
            untold: FloatArray = same.astype(np.float64)
            return untold
        explained = loading[first] * loading[second]
        most = np.sqrt(self.variance[first] * self.variance[second])
        covariance = (self.similarity[chosen] - self.expected[chosen]) / self.weight[chosen]
        excess = covariance - explained
        left = most - explained
        level = NormalDist().inv_cdf(1.0 - FALSE_ALARMS / max(len(self.first), 1))
        error = np.sqrt(self._variance_of(chosen, explained) / self.weight[chosen])
        significant = (excess > level * error) & (left > 1e-9)
        if self.regime == "crowd":
            significant &= self._by_chance(chosen, explained) * max(len(self.first), 1) < (
                FALSE_ALARMS
            )
        share = np.where(significant, excess / np.where(left > 1e-9, left, 1.0), 0.0)
        found: FloatArray = np.where(same, 1.0, share)
        return found

    def _variance_of(self, chosen: IntArray, explained: FloatArray) -> FloatArray:
        """Variance of a record's inner product where it has what the truth explains, float64[c].

        The product is 1 where the votes agree and -1 / (k - 1) where they do not, so its mean
        and the share of records with both votes give its variance.
        """
        k, weight = self.mean.shape[1], self.weight[chosen]
        both = self.together[chosen] / weight
        mean = np.minimum(explained + self.expected[chosen] / weight, both)
        agree = np.maximum(((k - 1) * mean + both) / k, 0.0)
        square = agree + (both - agree) / (k - 1) ** 2
        variance: FloatArray = np.maximum(square - mean**2, 0.0)
        return variance

    def _by_chance(self, chosen: IntArray, explained: FloatArray) -> FloatArray:
        """Probability of as much agreement on the records of both, float64[c].

        Few records that are nearly all alike are beyond the normal approximation.
        """
        k, weight = self.mean.shape[1], self.weight[chosen]
        product = explained + self.expected[chosen] / weight
        rate = np.clip(((k - 1) * product + 1.0) / k, 0.0, 1.0)
        agree, together = self.agree[chosen], self.together[chosen]
        tail: FloatArray = np.ones(len(chosen))
        some = agree > 0.0
        tail[some] = betainc(agree[some], together[some] - agree[some] + 1.0, rate[some])
        return tail

    def _loadings(self, others: BoolArray) -> FloatArray | None:
        """Loading s of each source on the truth by the others, float64[m]; None if unknown.

        Two standard errors are added, so that the truth explains rather too much.
        """
        others = others & (self.variance > 0.0)
        mutual, weight, error = self._sums_among(others)
        if weight <= 0.0 or mutual <= OUTSIDERS_Z * np.sqrt(error):
            return None
        common = np.sqrt(mutual / weight)
        covariance, weights, errors = self._sums_with(others)
        upper = (covariance + MARGIN_Z * np.sqrt(errors)) / np.maximum(weights, 1.0) / common
        highest = np.sqrt(self.variance)
        # Of a source that meets no outsider nothing is known: the truth may explain all of it.
        return np.where(weights > 0.0, np.clip(upper, 0.0, highest), highest)

    def _sums_among(self, others: BoolArray) -> tuple[float, float, float]:
        """Sums over the pairs of some sources of covariance, weight and squared error."""
        rows = others[self.first] & others[self.second]
        similarity = float(self.similarity[rows].sum())
        if self.regime == "crowd":
            weight, expected, error = self.weight[rows], self.expected[rows], self.error[rows]
            return similarity - float(expected.sum()), float(weight.sum()), float(error.sum())
        mean, spread, n = self.mean[others], self.variance[others], int(others.sum())
        total = mean.sum(axis=0)
        expected_sum = (_inner(total, total) - _inner(mean, mean).sum()) / 2.0
        return (
            similarity - self.records * float(expected_sum),
            self.records * n * (n - 1) / 2.0,
            self.records * float(spread.sum() ** 2 - (spread**2).sum()) / 2.0,
        )

    def _sums_with(self, others: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sums for each source, float64[m], over the pairs it forms with some others."""
        m = self.n_sources
        ends = [(self.first, self.second), (self.second, self.first)]
        met = [(mine, others[theirs]) for mine, theirs in ends]

        def total(values: FloatArray) -> FloatArray:
            sums = np.zeros(m)
            for mine, rows in met:
                sums += bin_sums(mine[rows], values[rows], m)
            return sums

        if self.regime == "crowd":
            covariance = total(self.similarity - self.expected)
            return covariance, total(self.weight), total(self.error)
        outside = self.mean[others].sum(axis=0)[None, :]
        covariance = total(self.similarity) - self.records * _inner(self.mean, outside)
        weight = np.full(m, self.records * int(others.sum()))
        return covariance, weight, self.records * self.variance * self.variance[others].sum()


def _inner(left: FloatArray, right: FloatArray) -> FloatArray:
    """Inner product of vote shares in simplex code, over the last axis."""
    k = left.shape[-1]
    like = (left * right).sum(axis=-1)
    result: FloatArray = (k * like - left.sum(axis=-1) * right.sum(axis=-1)) / (k - 1)
    return result


def components(n_sources: int, first: IntArray, second: IntArray) -> IntArray:
    """Component of each source in the graph whose edges are pairs (first, second); int64[m]."""
    graph = sparse.coo_matrix(
        (np.ones(len(first), dtype=np.int8), (first, second)), shape=(n_sources, n_sources)
    )
    labels: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels
