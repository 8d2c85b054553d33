"""Near-duplicate sources: found from pairs of votes, and how little each of them then counts.

Two sources that are right often agree often. What makes them copies is agreement beyond that, so
each pair that votes nearly alike is held against the sources outside its group: how each of the
two agrees with those says how much of their own agreement the truth explains (the method of
triplets). Only near-duplicates are acted on; weaker dependence is left to the model's constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import betainc

from labelmodel.arrays import BoolArray, FloatArray, IntArray, bin_sums
from labelmodel.moments import vote_pairs
from labelmodel.notices import Notice
from labelmodel.patterns import PatternTable
from labelmodel.source_kinds import functions_among
from labelmodel.start import choose_regime
from labelmodel.state import Dependence, Regime

ALIKE = 0.8
ALIKE_TOGETHER = 0.9
IDENTICAL = 0.98
IDENTICAL_UNTOLD = 0.95
MAX_COVERAGE = 0.9
MIN_TOGETHER = 30
MIN_UNEXPLAINED = 0.7
OWN_EVIDENCE = 0.35
FALSE_ALARMS = 0.001
OUTSIDERS_Z = 3.0
MARGIN_Z = 2.0
ALL_PAIRS_SOURCES = 5_000


@dataclass(frozen=True)
class NearDuplicates:
    """Sources that vote as copies of each other do.

    Attributes
    ----------
    groups : tuple of tuples of int
        Sources of each group, ascending; groups by their first source.
    weights : float64[m]
        1 outside groups. In a group of e of the m sources that vote 1 / (1 + (e - 1) r), r the
        mean share of the pairs' agreement that the truth leaves unexplained, so that e exact
        copies count as one; but (1 + .35 (1 - e/m)^2) / e at least.
    alike : int64[q, 2]
        Pairs that vote nearly alike and are not copies for all that can be told.
    functions : bool[m] or None
        Sources that are labeling functions where there are annotators too
        (`source_kinds.functions_among`).
    """

    groups: tuple[tuple[int, ...], ...]
    weights: FloatArray
    alike: IntArray
    functions: BoolArray | None = None

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a report should say of it."""
        text = "labeling functions that vote as copies of each other count about as one: {names}"
        found = [Notice("copies", text, sources=group) for group in self.groups]
        if len(self.alike):
            text = (
                f"{len(self.alike)} pairs of sources vote nearly alike, which their accuracy may "
                "explain: they count in full"
            )
            found.append(Notice("alike_pairs", text))
        return tuple(found)


def pair_counts(table: PatternTable) -> tuple[sparse.csr_matrix, int]:
    """`vote_pairs` of a block for `find_near_duplicates`, and the records that they count.

    Above 5,000 sources the patterns of the smallest row hashes stand for all, a share of
    (5,000 / m)**2 of them: the pairs grow with the square of the sources. Patterns differ in
    their records, so that share of the patterns need not be that share of the records.

    Returns
    -------
    scipy.sparse.csr_matrix of int64[m * k, m * k], int
    """
    if table.n_lfs > ALL_PAIRS_SOURCES:
        share = (ALL_PAIRS_SOURCES / table.n_lfs) ** 2
        table = table.take(table.row_hash() < np.uint64(int(share * 2.0**64)))
    return vote_pairs(table), table.n_records


def find_near_duplicates(
    pairs: sparse.csr_matrix,
    n_classes: int,
    records: int,
    dependence: Dependence | None = "near_duplicates",
) -> NearDuplicates:
    """Find the sources that agree as copies do, beyond what their accuracy explains.

    Parameters
    ----------
    pairs : scipy.sparse.csr_matrix of int64[m * k, m * k]
        `pair_counts` of all covered records.
    n_classes : int
        k.
    records : int
        Those that the pairs count, from all blocks of `pair_counts`.
    dependence : {"near_duplicates"} or None
        None takes every source as its own; functions are told from annotators all the same.

    Returns
    -------
    NearDuplicates

    Notes
    -----
    Votes are coded as corners of a simplex (inner product 1 for like, -1 / (k - 1) for unlike
    votes, 0 with an abstain). Given the class, covariances of independent sources factor,
    C_ab = s_a s_b, and s_a = C_aO / sqrt(C_OO) by the sources O outside the group (Parisi et
    al., "Ranking and combining multiple predictors without labeled data", 2014, equation 5;
    Fu et al., "Fast and three-rious", 2020, section 3). A pair is a near-duplicate when it
    agrees on .8 of the records that either votes on, at least 30; when at least .7 of the
    agreement left to explain, (C_ab - s_a s_b) / (sqrt(C_aa C_bb) - s_a s_b), is unexplained,
    with two standard errors of s to the pair's benefit; and when the excess is significant at
    .001 over all pairs (Bonferroni). Labeling functions that abstain on a tenth of the records are
    copies in any case when they are the same on .98 of the others: what a function abstains on
    is too much its own to be hit upon twice. Where the sources outside do not agree among
    themselves, the truth cannot be told from a copied error: then .95 does for such functions,
    and annotators, or functions that always vote, never are copies. Not voting is a vote of its
    own for labeling functions and not for a crowd; which of the two it is, is decided with each
    group of candidates as one source. In a crowd a pair also is a candidate when it agrees on .9
    of the records that both vote on, at least 30, and correlates by .7; such pairs are held
    against one source of each other group of candidates. There the agreement must besides be
    as unlikely by the binomial distribution.
    """
    moments = _Moments.of(pairs, n_classes, records, "lf")
    functions = functions_among(pairs, n_classes, records, moments.weights_as_one())
    if dependence is None:
        m = moments.n_sources
        return NearDuplicates((), np.ones(m), np.zeros((0, 2), np.int64), functions)
    if functions is None:
        return _copies(pairs, n_classes, moments)
    weights = np.ones(len(functions))
    groups: list[tuple[int, ...]] = []
    alike = []
    for members in (np.flatnonzero(functions), np.flatnonzero(~functions)):
        cells = (members[:, None] * n_classes + np.arange(n_classes)).ravel()
        part = pairs[cells][:, cells]
        found = _copies(part, n_classes, _Moments.of(part, n_classes, records, "lf"))
        weights[members] = found.weights
        groups += [tuple(members[list(group)].tolist()) for group in found.groups]
        alike.append(members[found.alike])
    return NearDuplicates(tuple(sorted(groups)), weights, np.concatenate(alike), functions)


def _copies(pairs: sparse.csr_matrix, n_classes: int, moments: _Moments) -> NearDuplicates:
    """Near-duplicates among sources of one kind; the moments are those of functions."""
    alike = moments.nearly_alike()
    m = moments.n_sources
    votes = pairs.diagonal().reshape(m, n_classes)
    crowd = choose_regime(votes, moments.weights_as_one()) == "crowd"
    if crowd:
        moments = _Moments.of(pairs, n_classes, int(moments.records), "crowd")
    found = _unexplained(moments, alike, alike)
    tested = alike
    if crowd:
        apart = np.setdiff1d(moments.alike_where_together(), alike)
        # What ten copies agree on among themselves is not the truth: one of them is heard.
        others = _unexplained(moments, apart, np.concatenate([alike, apart]), once=True)
        tested, found = np.concatenate([alike, apart]), np.concatenate([found, others])
    copies = tested[found >= MIN_UNEXPLAINED]
    groups = _components(m, moments.first[copies], moments.second[copies])
    unexplained = np.minimum(found[found >= MIN_UNEXPLAINED], 1.0)
    share = bin_sums(groups[moments.first[copies]], unexplained, m)
    size = np.bincount(groups, minlength=m)
    mean_share = share / np.maximum(moments.pairs_within(groups, size), 1)
    first, second = moments.first[alike], moments.second[alike]
    left = groups[first] != groups[second]
    return NearDuplicates(
        groups=_listed(groups, size),
        weights=_weights(size, mean_share, int(np.count_nonzero(votes.any(axis=1))))[groups],
        alike=np.column_stack([first[left], second[left]]),
    )


def _unexplained(
    moments: _Moments, candidates: IntArray, connected: IntArray, once: bool = False
) -> FloatArray:
    """`_Moments.unexplained` of candidates by what is outside their component, float64[c].

    `connected` are the pairs int64[d] that components are made of; `once` hears of each other
    component only the source that votes most.
    """
    first, second = moments.first, moments.second
    component = _components(moments.n_sources, first[connected], second[connected])
    heard = np.ones(moments.n_sources, dtype=np.bool_)
    if once:
        order = np.argsort(-moments.votes, kind="stable")
        heard[:] = False
        heard[order[np.unique(component[order], return_index=True)[1]]] = True
    found = np.zeros(len(candidates))
    for label in np.unique(component[first[candidates]]):
        members = component == label
        inside = np.flatnonzero(members[first[candidates]])
        found[inside] = moments.unexplained(candidates[inside], heard & ~members)
    return found


def _weights(size: IntArray, mean_share: FloatArray, n_voting: int) -> FloatArray:
    """Weight of each source in groups of these sizes, float64[groups].

    A group that is a small part of all sources cannot outvote the others, so there the copies
    keep a little evidence of their own.
    """
    as_one = 1.0 / (1.0 + (size - 1) * mean_share)
    of_all = np.minimum(size / max(n_voting, 1), 1.0)
    least = (1.0 + OWN_EVIDENCE * (1.0 - of_all) ** 2) / np.maximum(size, 1)
    weights: FloatArray = np.where(size > 1, np.maximum(as_one, least), 1.0)
    return weights


@dataclass(frozen=True)
class _Moments:
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
    regime: Regime

    @property
    def n_sources(self) -> int:
        return len(self.mean)

    @classmethod
    def of(cls, pairs: sparse.csr_matrix, n_classes: int, records: int, regime: Regime) -> _Moments:
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
        component = _components(self.n_sources, self.first[alike], self.second[alike])
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


def _components(n_sources: int, first: IntArray, second: IntArray) -> IntArray:
    graph = sparse.coo_matrix(
        (np.ones(len(first), dtype=np.int8), (first, second)), shape=(n_sources, n_sources)
    )
    labels: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _listed(groups: IntArray, size: IntArray) -> tuple[tuple[int, ...], ...]:
    found = [tuple(np.flatnonzero(groups == label).tolist()) for label in np.flatnonzero(size > 1)]
    return tuple(sorted(found))
