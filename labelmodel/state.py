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

from labelmodel.arrays import BoolArray, FloatArray, HashArray, IntArray
from labelmodel.errors import LabelModelError
from labelmodel.notices import Notice
from labelmodel.parts import CrowdPart, FunctionPart
from labelmodel.patterns import PatternTable, empty, merge_patterns

Stage = Literal["start", "restart", "em", "rho", "report", "done"]
Regime = Literal["lf", "crowd", "mixed"]
Dependence = Literal["near_duplicates"]

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
        Counts of pairs of votes (`moments.vote_pairs`), where a model starts from them.
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

    Attributes
    ----------
    n_lfs, n_classes : int
    stage : {"start", "restart", "em", "rho", "report", "done"}
        What the next statistics are for; "done" predicts. "restart" counts again what "start"
        did, with the weights of copied sources and functions apart from annotators.
    given_balance : float64[k] or None
        Class balance that is not learned.
    given_precision : float64[m] or None
        Precision of each LF's votes where it is known, nan elsewhere.
    dependence : {"near_duplicates"} or None
        Whether copied sources are looked for and counted down.
    uncovered : float64[k]
        Answer for records without votes where there are functions.
    gold : PatternTable
        Patterns of the records with gold, which the final posteriors take in.
    lf : FunctionPart or None
        What is learned of labeling functions, where there are any.
    crowd : CrowdPart or None
        What is learned of annotators, where there are any.
    functions : bool[m] or None
        Which sources are functions where there are annotators too.
    previous : Parameters or None
        At stage "rho": the parameters that the last counts were made with.
    source_weights : float64[m] or None
        What a vote of each source counts; None where no source is a near-duplicate of another.
    duplicate_groups : tuple of tuples of int
        Sources that vote as copies of each other.
    n_covered : int
        Records with a vote.
    last_sampled : int or None
        Largest row hash of the patterns that rho is chosen on; None for all.
    lf_precision : float64[m] or None
        Posterior-weighted share of each LF's votes that are right; nan without votes.
    notices : tuple of Notice
    fallback : str or None
        Why majority vote predicts in this model's place.
    """

    n_lfs: int
    n_classes: int
    stage: Stage
    given_balance: FloatArray | None
    given_precision: FloatArray | None
    dependence: Dependence | None
    uncovered: FloatArray
    gold: PatternTable
    lf: FunctionPart | None = None
    crowd: CrowdPart | None = None
    functions: BoolArray | None = None
    previous: Parameters | None = None
    source_weights: FloatArray | None = None
    duplicate_groups: tuple[tuple[int, ...], ...] = ()
    n_covered: int = 0
    last_sampled: int | None = None
    lf_precision: FloatArray | None = None
    notices: tuple[Notice, ...] = ()
    fallback: str | None = None

    @property
    def regime(self) -> Regime:
        """What the sources are taken for; meaningless before stage "start" is over."""
        if self.crowd is None:
            return "lf"
        return "crowd" if self.lf is None else "mixed"

    @property
    def are_functions(self) -> BoolArray:
        """Which sources are taken for labeling functions, bool[m]; the others are annotators."""
        if self.functions is not None:
            return self.functions
        return np.full(self.n_lfs, self.crowd is None)

    @property
    def class_balance(self) -> FloatArray:
        """Probability of each class, float64[k]: of a mixture the one that annotators show."""
        part = self.crowd or self.lf
        if part is not None:
            return part.class_balance
        if self.given_balance is not None:
            return self.given_balance
        return np.full(self.n_classes, 1.0 / self.n_classes)

    @property
    def uncovered_balance(self) -> FloatArray:
        """Answer for records without votes, float64[k]."""
        return self.class_balance if self.regime == "crowd" else self.uncovered

    @cached_property
    def gold_index(self) -> tuple[PatternTable, HashArray, IntArray]:
        """Gold by votes: first pattern of each, its hash ascending, and gold counts [G, k]."""
        hashes = self.gold.row_hash()
        distinct, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        counts = np.zeros((len(distinct), self.n_classes), dtype=np.int64)
        np.add.at(counts, (group, self.gold.gold), self.gold.counts)
        return self.gold.take(first), distinct, counts


def initial_parameters(
    n_lfs: int,
    n_classes: int,
    class_balance: FloatArray | None = None,
    dependence: Dependence | None = "near_duplicates",
    given_precision: FloatArray | None = None,
) -> Parameters:
    """Parameters before any statistics; the class balance is learned where it is not given."""
    even = np.full(n_classes, 1.0 / n_classes)
    return Parameters(
        n_lfs=n_lfs,
        n_classes=n_classes,
        stage="start",
        given_balance=class_balance,
        given_precision=given_precision,
        dependence=dependence,
        uncovered=even if class_balance is None else class_balance,
        gold=empty(n_lfs, n_classes),
    )
