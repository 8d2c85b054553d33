"""What a fitted model has learned of each function and class, with credible intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np
from scipy.stats import beta

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.base import BaseLabelModel
from labelmodel.blocks import covered_patterns, sum_by_vote, vote_counts
from labelmodel.fixedpoint import ONE, quantize, to_float
from labelmodel.patterns import PatternTable
from labelmodel.staged import blocks_of
from labelmodel.vote_index import index_votes

PRIOR_RECORDS = 0.5


@dataclass(frozen=True)
class Share:
    """A share of records with its interval, one entry for each function and class.

    Attributes
    ----------
    value, low, high : float64[m, k]
        nan where there is no record to judge by.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class LFReport:
    """Learned precision and recall of each function for each class.

    Attributes
    ----------
    votes : int64[m, k]
        Votes of each function for each class.
    precision : Share
        Entry [j, v]: share of j's votes for v that are right.
    recall : Share
        Entry [j, y]: share of the records of class y on which j votes y; in a crowd, of those
        that j answered.
    """

    votes: IntArray
    precision: Share
    recall: Share

    def rows(
        self, lf_names: Sequence[str], class_names: Sequence[str]
    ) -> list[dict[str, str | float]]:
        """One row for each function and class it votes for, as plain data.

        Parameters
        ----------
        lf_names : sequence of str
            Name of each function in the order of their numbers.
        class_names : sequence of str

        Returns
        -------
        list of dict
            `function, class, votes, precision, precision_low, precision_high, recall,
            recall_low, recall_high`.
        """
        found: list[dict[str, str | float]] = []
        for lf, label in np.argwhere(self.votes > 0):
            row: dict[str, str | float] = {
                "function": lf_names[lf],
                "class": class_names[label],
                "votes": int(self.votes[lf, label]),
            }
            for name, share in (("precision", self.precision), ("recall", self.recall)):
                row[name] = float(share.value[lf, label])
                row[f"{name}_low"] = float(share.low[lf, label])
                row[f"{name}_high"] = float(share.high[lf, label])
            found.append(row)
        return found


@dataclass(frozen=True)
class LearnedCounts:
    """What a fitted model makes of the votes; counts of blocks add (`+`) to those of all.

    Attributes
    ----------
    n_covered : int
        Records with a vote.
    class_votes : int64[m, k]
        Votes of each function for each class.
    right : int64[m, k]
        Posterior mass, in fixed point (`fixedpoint`), of the class that each vote is for.
    doubt : int64[m, k]
        Q (1 - Q) of the same, in fixed point.
    asked : int64[m, k]
        Posterior mass of each class over the records that a function could have voted on: all,
        or in a crowd those it answered.
    class_mass : int64[k]
        Posterior mass of each class over all covered records.
    """

    n_covered: int
    class_votes: IntArray
    right: IntArray
    doubt: IntArray
    asked: IntArray
    class_mass: IntArray

    def __add__(self, other: LearnedCounts) -> LearnedCounts:
        """Counts of both together, of the same model."""
        return LearnedCounts(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    @property
    def lift(self) -> FloatArray:
        """How many times as often as chance each function is right, float64[m].

        Expected right votes by what they would be if the function voted without looking: the
        sum of its votes for each class times the class's share of the covered records. nan for
        a function without votes.
        """
        by_chance = self.class_votes @ to_float(self.class_mass) / max(self.n_covered, 1)
        lift = np.full(len(by_chance), np.nan)
        np.divide(to_float(self.right.sum(axis=1)), by_chance, out=lift, where=by_chance > 0.0)
        return lift

    def report(self, confidence: float = 0.95) -> LFReport:
        """Precision and recall with intervals, see `lf_report`."""
        right, doubt = to_float(self.right), to_float(self.doubt)
        votes = self.class_votes.astype(np.float64)
        return LFReport(
            votes=self.class_votes,
            precision=_share(right, votes, doubt, confidence),
            recall=_share(right, to_float(self.asked), doubt, confidence),
        )


def learned_counts(model: BaseLabelModel, block: PatternTable) -> LearnedCounts:
    """Count what a fitted model makes of a block of patterns.

    Raises
    ------
    NotFittedError
        Before `fit`.
    VotesError
        A table of other LFs or classes than the model.
    """
    covered = covered_patterns(block)
    posterior = model.predict_proba(covered)
    records = covered.counts[:, None]
    certain = quantize(posterior) * records
    doubt = np.rint(posterior * (1.0 - posterior) * ONE).astype(np.int64) * records
    class_votes = vote_counts(covered)
    index = index_votes(class_votes)
    numbers = index.numbers_of(covered)
    mass = sum_by_vote(covered, numbers, len(index), certain)
    doubt_mass = sum_by_vote(covered, numbers, len(index), doubt)
    right, right_doubt = np.zeros_like(class_votes), np.zeros_like(class_votes)
    right[index.lfs, index.labels] = index.at_own_label(mass)
    right_doubt[index.lfs, index.labels] = index.at_own_label(doubt_mass)
    class_mass = certain.sum(axis=0)
    if getattr(model, "regime_", "lf") == "crowd":
        asked = index.by_lf(mass)
    else:
        asked = np.broadcast_to(class_mass, right.shape)
    return LearnedCounts(covered.n_records, class_votes, right, right_doubt, asked, class_mass)


def lf_report(model: BaseLabelModel, table: PatternTable, confidence: float = 0.95) -> LFReport:
    """Report what a fitted model holds of each function.

    Parameters
    ----------
    model : BaseLabelModel
        Fitted.
    table : PatternTable
        Votes to report on, usually those of the fit.
    confidence : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    LFReport

    Raises
    ------
    NotFittedError
        Before `fit`.
    VotesError
        A table of other LFs or classes than the model.

    Notes
    -----
    Expected right votes S of n have a Beta posterior under Jeffreys' prior (Gelman et al.,
    "Bayesian data analysis", 2013, section 2.4). The model's doubt of each label, the sum of
    Q (1 - Q), is added to its variance by counting fewer records at the same share. The
    intervals take the model's probabilities at their word; where they are wrong for all records
    of a function alike, only gold shows it (`analyse`).
    """
    parts = (learned_counts(model, block) for block in blocks_of(table))
    return reduce(add, parts).report(confidence)


def _share(right: FloatArray, of: FloatArray, doubt: FloatArray, confidence: float) -> Share:
    """Share of expected counts with its Beta interval, float64[m, k] each."""
    known = of > 0.0
    n = np.where(known, of, 1.0)
    value = np.clip(right / n, 0.0, 1.0)
    spread = n * value * (1.0 - value)
    counted = n * spread / np.maximum(spread + doubt, 1e-300)
    # Without spread the doubt is nil as well, and all records count.
    counted = np.where(spread > 0.0, counted, n)
    hits, misses = value * counted + PRIOR_RECORDS, (1.0 - value) * counted + PRIOR_RECORDS
    tail = (1.0 - confidence) / 2.0
    low, high = beta.ppf(tail, hits, misses), beta.ppf(1.0 - tail, hits, misses)
    unknown = np.where(known, 0.0, np.nan)
    return Share(value + unknown, low + unknown, high + unknown)
