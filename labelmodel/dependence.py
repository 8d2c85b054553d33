"""Near-duplicate sources: found from pairs of votes, and how little each of them then counts.

Two sources that are right often agree often. What makes them copies is agreement beyond that, so
each pair that votes nearly alike is held against the sources outside its group: how each of the
two agrees with those says how much of their own agreement the truth explains (the method of
triplets). Only near-duplicates are acted on; weaker dependence is left to the model's constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from labelmodel.agreement import MIN_UNEXPLAINED, PairMoments, components
from labelmodel.arrays import BoolArray, FloatArray, IntArray, bin_sums
from labelmodel.moments import vote_pairs
from labelmodel.notices import Notice
from labelmodel.patterns import PatternTable
from labelmodel.source_kinds import functions_among
from labelmodel.start import choose_regime
from labelmodel.state import Dependence

OWN_EVIDENCE = 0.35
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
    moments = PairMoments.of(pairs, n_classes, records, "lf")
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
        found = _copies(part, n_classes, PairMoments.of(part, n_classes, records, "lf"))
        weights[members] = found.weights
        groups += [tuple(members[list(group)].tolist()) for group in found.groups]
        alike.append(members[found.alike])
    return NearDuplicates(tuple(sorted(groups)), weights, np.concatenate(alike), functions)


def _copies(pairs: sparse.csr_matrix, n_classes: int, moments: PairMoments) -> NearDuplicates:
    """Near-duplicates among sources of one kind; the moments are those of functions."""
    alike = moments.nearly_alike()
    m = moments.n_sources
    votes = pairs.diagonal().reshape(m, n_classes)
    crowd = choose_regime(votes, moments.weights_as_one()) == "crowd"
    if crowd:
        moments = PairMoments.of(pairs, n_classes, int(moments.records), "crowd")
    found = _unexplained(moments, alike, alike)
    tested = alike
    if crowd:
        apart = np.setdiff1d(moments.alike_where_together(), alike)
        # What ten copies agree on among themselves is not the truth: one of them is heard.
        others = _unexplained(moments, apart, np.concatenate([alike, apart]), once=True)
        tested, found = np.concatenate([alike, apart]), np.concatenate([found, others])
    copies = tested[found >= MIN_UNEXPLAINED]
    groups = components(m, moments.first[copies], moments.second[copies])
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
    moments: PairMoments, candidates: IntArray, connected: IntArray, once: bool = False
) -> FloatArray:
    """`PairMoments.unexplained` of candidates by what is outside their component, float64[c].

    `connected` are the pairs int64[d] that components are made of; `once` hears of each other
    component only the source that votes most.
    """
    first, second = moments.first, moments.second
    component = components(moments.n_sources, first[connected], second[connected])
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


def _listed(groups: IntArray, size: IntArray) -> tuple[tuple[int, ...], ...]:
    found = [tuple(np.flatnonzero(groups == label).tolist()) for label in np.flatnonzero(size > 1)]
    return tuple(sorted(found))
