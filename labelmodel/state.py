"""What travels between the two halves of a fit: statistics of blocks, and parameters.

`Statistics` are those of every model that `staged` describes; `Parameters` are the state of the
default model, whose chain of stages is in `default_stages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import Literal

import numpy as np
from scipy import sparse

from labelmodel.arrays import (
    AnyArray,
    BoolArray,
    FloatArray,
    HashArray,
    IntArray,
)
from labelmodel.errors import LabelModelError
from labelmodel.patterns import PatternTable, empty, merge_patterns
from labelmodel.vote_index import VoteIndex, no_votes

Stage = Literal["start", "em", "rho", "report", "done"]
Regime = Literal["lf", "crowd"]
Dependence = Literal["near_duplicates"]

ABSTAIN_WEIGHT = 0.25
SAMPLED_PATTERNS = 50_000
"""Patterns of several votes on which rho is chosen at most."""


@dataclass(frozen=True)
class Statistics:
    """Sums over a block of patterns at one stage; addition is exact, so it has no order.

    Attributes
    ----------
    stage : str
        Stage whose sums these are.
    sums : mapping of str to int64 arrays
        Counts, or counts times probabilities in fixed point (`fixedpoint`). An absent name
        is zero.
    gold : PatternTable or None
        Patterns of the records with gold for the fit, gathered at stage "start".
    pairs : scipy.sparse.csr_matrix of int64[m * k, m * k] or None
        `dependence.pair_counts` at stage "start", where near-duplicates are looked for.
    hashes : uint64[h] or None
        `smallest_hashes` of the patterns with several votes, at stage "start".
    """

    stage: str
    sums: Mapping[str, IntArray] = field(default_factory=dict)
    gold: PatternTable | None = None
    pairs: sparse.csr_matrix | None = None
    hashes: HashArray | None = None

    def __add__(self, other: Statistics) -> Statistics:
        """Statistics of both blocks together.

        Raises
        ------
        LabelModelError
            Statistics of different stages.
        """
        if self.stage != other.stage:
            raise LabelModelError(
                f"statistics of stages {self.stage!r} and {other.stage!r} do not add; "
                "run both blocks with the same parameters"
            )
        sums = dict(self.sums)
        for name, array in other.sums.items():
            sums[name] = sums[name] + array if name in sums else array
        tables = [table for table in (self.gold, other.gold) if table is not None]
        pairs = [counts for counts in (self.pairs, other.pairs) if counts is not None]
        return Statistics(
            self.stage,
            sums,
            merge_patterns(tables) if tables else None,
            reduce(add, pairs) if pairs else None,
            smallest_hashes([h for h in (self.hashes, other.hashes) if h is not None]),
        )


def smallest_hashes(found: Sequence[HashArray]) -> HashArray | None:
    """The smallest distinct hashes of all, one more than `SAMPLED_PATTERNS`; None of nothing."""
    return np.unique(np.concatenate(found))[: SAMPLED_PATTERNS + 1] if found else None


@dataclass(frozen=True)
class Parameters:
    """Parameters of the default label model at some stage of its fit.

    Arrays over votes are indexed [number of a vote in `index`, class y].

    Attributes
    ----------
    n_lfs, n_classes : int
    stage : {"start", "em", "rho", "report", "done"}
        What the next statistics are for; "done" predicts.
    rounds_left : int
        EM rounds still to run at stage "em".
    regime : {"lf", "crowd"}
        Meaningless before stage "start" is over.
    class_balance : float64[k]
    balance_given : bool
        The class balance stays as it is.
    uncovered_balance : float64[k]
        Answer for records without votes.
    index : VoteIndex
        The votes that occur.
    emissions : float64[S, k]
        P(j votes v | y). In the LF regime the rest to one is abstaining.
    prior_emissions : float64[S, k]
        LF regime: what `emissions` start from and are drawn to.
    prior_weights : float64[m]
        LF regime: weight of `prior_emissions` in covered records.
    multi_class : bool[m]
        Sources that vote for several classes.
    pooled_confusion : float64[k, k]
        Crowd regime: P(v | y) of the average annotator, [vote v, class y].
    previous : Parameters or None
        Crowd regime at stage "rho": the parameters that the last counts were made with.
    vote_mass : float64[S, k]
        Crowd regime at stage "rho": counts of the last round with their prior.
    source_mass : float64[m, k]
        The same, summed over the votes of each source.
    rho : float
        Crowd regime: dependence between votes on one record.
    n_covered : int
        Records with a vote.
    last_sampled : int or None
        Crowd regime: largest row hash of the patterns that rho is chosen on; None for all.
    gold : PatternTable
        Patterns of the records with gold, which the final posteriors take in.
    dependence : {"near_duplicates"} or None
        Whether copied sources are looked for and counted down.
    given_precision : float64[m] or None
        Precision of each LF's votes where it is known, nan elsewhere.
    source_weights : float64[m] or None
        What a vote of each source counts; None where no source is a near-duplicate of another.
    duplicate_groups : tuple of tuples of int
        Sources that vote as copies of each other.
    lf_precision : float64[m]
        Posterior-weighted share of each LF's votes that are right; nan without votes.
    warnings : tuple of str
    fallback : str or None
        Why majority vote predicts in this model's place.
    """

    n_lfs: int
    n_classes: int
    stage: Stage
    rounds_left: int
    regime: Regime
    class_balance: FloatArray
    balance_given: bool
    uncovered_balance: FloatArray
    index: VoteIndex
    emissions: FloatArray
    prior_emissions: FloatArray
    prior_weights: FloatArray
    multi_class: BoolArray
    gold: PatternTable
    pooled_confusion: FloatArray | None = None
    dependence: Dependence | None = "near_duplicates"
    given_precision: FloatArray | None = None
    source_weights: FloatArray | None = None
    duplicate_groups: tuple[tuple[int, ...], ...] = ()
    previous: Parameters | None = None
    vote_mass: FloatArray | None = None
    source_mass: FloatArray | None = None
    rho: float = 0.0
    n_covered: int = 0
    last_sampled: int | None = None
    lf_precision: FloatArray | None = None
    warnings: tuple[str, ...] = ()
    fallback: str | None = None

    @cached_property
    def log_class_balance(self) -> FloatArray:
        """Logarithm of the class balance, float64[k]."""
        return np.log(self.class_balance)

    @cached_property
    def log_abstain(self) -> FloatArray:
        """LF regime: what abstaining adds to the log-probability of a class, float64[m, k]."""
        logs: FloatArray = ABSTAIN_WEIGHT * np.log1p(-self.index.by_lf(self.emissions))
        return self._weighted(logs, np.arange(self.n_lfs))

    @cached_property
    def log_votes(self) -> FloatArray:
        """What each vote adds to the log-probability of each class, float64[S, k]."""
        return self._weighted(np.log(self.emissions), self.index.lfs)

    def log_unseen(self, lfs: IntArray, labels: IntArray) -> FloatArray:
        """What votes that the fit never saw add, float64[u, k].

        In a crowd they count as an average annotator's. Otherwise they have the precision that
        a new function would have.
        """
        if self.pooled_confusion is not None:
            return self._weighted(np.log(self.pooled_confusion[labels]), lfs)
        single, multi = (
            np.log(unseen_precision(self.class_balance, several) / self.class_balance)
            for several in (False, True)
        )
        logs = np.where(self.multi_class[lfs][:, None], multi[labels], single[labels])
        return self._weighted(logs, lfs)

    def log_votes_of(self, lfs: AnyArray, labels: AnyArray) -> FloatArray:
        """What these votes add, whether the fit saw them or not; int[v] twice -> float64[v, k]."""
        numbers = self.index.numbers[lfs, labels]
        rows = self.log_unseen(lfs, labels)
        rows[numbers >= 0] = self.log_votes[numbers[numbers >= 0]]
        return rows

    def _weighted(self, logs: FloatArray, lfs: AnyArray) -> FloatArray:
        """Rows of logarithms times the weight of their sources; float64[n, k], int[n]."""
        return logs if self.source_weights is None else self.source_weights[lfs, None] * logs

    @cached_property
    def gold_index(self) -> tuple[PatternTable, HashArray, IntArray]:
        """Gold by votes: first pattern of each, its hash ascending, and gold counts [G, k]."""
        hashes = self.gold.row_hash()
        distinct, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        counts = np.zeros((len(distinct), self.n_classes), dtype=np.int64)
        np.add.at(counts, (group, self.gold.gold), self.gold.counts)
        return self.gold.take(first), distinct, counts


def unseen_precision(class_balance: FloatArray, multi_class: bool) -> FloatArray:
    """Precision P(y | vote v) of a function that the fit has no vote v of, float64[k, k]."""
    k = len(class_balance)
    if multi_class:
        share = np.full((k, k), 0.3 / (k - 1))
        np.fill_diagonal(share, 0.7)
        share *= class_balance
        share /= share.sum(axis=1, keepdims=True)
        return share
    share = 0.25 * class_balance / (1.0 - class_balance)[:, None]
    np.fill_diagonal(share, 0.75)
    return share


def initial_parameters(
    n_lfs: int,
    n_classes: int,
    class_balance: FloatArray | None = None,
    dependence: Dependence | None = "near_duplicates",
    given_precision: FloatArray | None = None,
) -> Parameters:
    """Parameters before any statistics; the class balance is learned where it is not given."""
    nothing = np.zeros((0, n_classes))
    balance = np.full(n_classes, 1.0 / n_classes) if class_balance is None else class_balance
    return Parameters(
        n_lfs=n_lfs,
        n_classes=n_classes,
        stage="start",
        rounds_left=0,
        regime="lf",
        class_balance=balance,
        balance_given=class_balance is not None,
        uncovered_balance=balance,
        index=no_votes(n_lfs, n_classes),
        emissions=nothing,
        prior_emissions=nothing,
        prior_weights=np.zeros(n_lfs),
        multi_class=np.zeros(n_lfs, dtype=np.bool_),
        gold=empty(n_lfs, n_classes),
        dependence=dependence,
        given_precision=given_precision,
    )
