"""What a fitted model has learned of each function and class, with credible intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.base import BaseLabelModel
from labelmodel.blocks import sum_by_vote
from labelmodel.fixedpoint import ONE, quantize, to_float
from labelmodel.patterns import PatternTable

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
    covered = table.take(table.n_votes > 0)
    posterior = model.predict_proba(covered)
    records = covered.counts[:, None]
    certain = quantize(posterior) * records
    doubt = np.rint(posterior * (1.0 - posterior) * ONE).astype(np.int64) * records
    mass = sum_by_vote(covered, certain)
    right = to_float(np.einsum("jvv->jv", mass))
    right_doubt = to_float(np.einsum("jvv->jv", sum_by_vote(covered, doubt)))
    votes = np.rint(to_float(mass.sum(axis=2))).astype(np.int64)
    if getattr(model, "regime_", "lf") == "crowd":
        of_class = to_float(mass.sum(axis=1))
    else:
        of_class = np.broadcast_to(to_float(certain.sum(axis=0)), right.shape)
    return LFReport(
        votes=votes,
        precision=_share(right, votes.astype(np.float64), right_doubt, confidence),
        recall=_share(right, of_class, right_doubt, confidence),
    )


def learned_lift(model: BaseLabelModel, table: PatternTable) -> FloatArray:
    """How many times as often as chance each function is right, by the model's own account.

    Parameters
    ----------
    model : BaseLabelModel
        Fitted.
    table : PatternTable

    Returns
    -------
    float64[m]
        Expected right votes by what they would be if the function voted without looking: the
        sum of its votes for each class times the class's share of the covered records. nan for
        a function without votes.
    """
    covered = table.take(table.n_votes > 0)
    weighted = quantize(model.predict_proba(covered)) * covered.counts[:, None]
    mass = to_float(sum_by_vote(covered, weighted))
    share = to_float(weighted.sum(axis=0)) / max(covered.n_records, 1)
    by_chance = mass.sum(axis=2) @ share
    lift = np.full(table.n_lfs, np.nan)
    voted = by_chance > 0.0
    lift[voted] = np.einsum("jvv->j", mass)[voted] / by_chance[voted]
    return lift


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
