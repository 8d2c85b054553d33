"""What travels between the two halves of a fit: statistics of blocks, and parameters.

A fit is a chain of stages. At each one `em.expected_counts` turns a block of patterns into
`Statistics`, statistics of all blocks are added, and `em.m_step` turns the sum into the
`Parameters` of the next stage. This file holds the values; `em` holds the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import Literal

import numpy as np
from scipy import sparse

from labelmodel.arrays import (
    BoolArray,
    FloatArray,
    HashArray,
    IntArray,
)
from labelmodel.errors import LabelModelError
from labelmodel.patterns import PatternTable, empty, merge_patterns

Stage = Literal["start", "em", "rho", "report", "done"]
Regime = Literal["lf", "crowd"]
Dependence = Literal["near_duplicates"]

ABSTAIN_WEIGHT = 0.25


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
    """

    stage: str
    sums: Mapping[str, IntArray] = field(default_factory=dict)
    gold: PatternTable | None = None
    pairs: sparse.csr_matrix | None = None

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
        )


@dataclass(frozen=True)
class Parameters:
    """Parameters of the default label model at some stage of its fit.

    Arrays are indexed [LF j, vote v, class y] where they have three axes.

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
    emissions : float64[m, k, k]
        P(j votes v | y). In the LF regime the rest to one is abstaining, and votes never seen
        are 0.
    prior_emissions : float64[m, k, k]
        LF regime: what `emissions` start from and are drawn to.
    prior_weights : float64[m]
        LF regime: weight of `prior_emissions` in covered records.
    multi_class : bool[m]
        Sources that vote for several classes.
    previous : Parameters or None
        Crowd regime at stage "rho": the parameters that the last counts were made with.
    vote_mass : float64[m, k, k]
        Crowd regime at stage "rho": counts of the last round with their prior.
    rho : float
        Crowd regime: dependence between votes on one record.
    n_covered : int
        Records with a vote.
    gold : PatternTable
        Patterns of the records with gold, which the final posteriors take in.
    dependence : {"near_duplicates"} or None
        Whether copied sources are looked for and counted down.
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
    emissions: FloatArray
    prior_emissions: FloatArray
    prior_weights: FloatArray
    multi_class: BoolArray
    gold: PatternTable
    dependence: Dependence | None = "near_duplicates"
    source_weights: FloatArray | None = None
    duplicate_groups: tuple[tuple[int, ...], ...] = ()
    previous: Parameters | None = None
    vote_mass: FloatArray | None = None
    rho: float = 0.0
    n_covered: int = 0
    total_votes: int = 0
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
        logs: FloatArray = ABSTAIN_WEIGHT * np.log1p(-self.emissions.sum(axis=1))
        return logs if self.source_weights is None else self.source_weights[:, None] * logs

    @cached_property
    def log_vote(self) -> FloatArray:
        """What a vote adds to the log-probability of each class, float64[m, k, k].

        A vote that the fit never saw counts by the precision a new function would have; the
        votes of copied sources count by their weight.
        """
        seen = self.emissions.sum(axis=2) > 0.0
        logs = np.log(np.where(seen[:, :, None], self.emissions, 1.0))
        for multi in (False, True):
            unseen = ~seen & (self.multi_class == multi)[:, None]
            prior = unseen_precision(self.class_balance, multi)
            logs[unseen] = np.log(prior / self.class_balance)[np.nonzero(unseen)[1]]
        return logs if self.source_weights is None else self.source_weights[:, None, None] * logs

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
    n_lfs: int, n_classes: int, dependence: Dependence | None = "near_duplicates"
) -> Parameters:
    """Parameters before any statistics; `em.expected_counts` begins with them."""
    shape = (n_lfs, n_classes, n_classes)
    return Parameters(
        n_lfs=n_lfs,
        n_classes=n_classes,
        stage="start",
        rounds_left=0,
        regime="lf",
        class_balance=np.full(n_classes, 1.0 / n_classes),
        emissions=np.zeros(shape),
        prior_emissions=np.zeros(shape),
        prior_weights=np.zeros(n_lfs),
        multi_class=np.zeros(n_lfs, dtype=np.bool_),
        gold=empty(n_lfs, n_classes),
        dependence=dependence,
    )
