"""What a fitted model has learned of each function and class, with credible intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv  # scipy.stats takes a second to import

from labelmodel.answers import AnswerCounts, answer_counts
from labelmodel.arrays import FloatArray, IndexArray, IntArray
from labelmodel.base import BaseLabelModel
from labelmodel.fixedpoint import to_float
from labelmodel.patterns import PatternTable

PRIOR_RECORDS = 0.5


@dataclass(frozen=True)
class Share:
    """A share of records with its interval, one entry for each function and class.

    Attributes
    ----------
    value, low, high : float64[m, k]
        nan where a function has no vote for the class.
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
    return report_of(model, answer_counts(model, table), confidence)


def report_of(model: BaseLabelModel, answers: AnswerCounts, confidence: float = 0.95) -> LFReport:
    """`lf_report` from the counts of all blocks."""
    votes = answers.class_votes.astype(np.float64)
    right, doubt = to_float(answers.right), to_float(answers.doubt)
    functions = getattr(model, "source_kinds_", np.full(len(votes), "function")) == "function"
    asked = np.where(functions[:, None], answers.class_mass, answers.answered)
    voted = np.nonzero(votes)
    of_class = to_float(asked)
    return LFReport(
        votes=answers.class_votes,
        precision=_share(voted, right, votes, doubt, confidence),
        recall=_share(voted, right, of_class, doubt, confidence),
    )


def _share(
    voted: tuple[IndexArray, ...],
    right: FloatArray,
    of: FloatArray,
    doubt: FloatArray,
    confidence: float,
) -> Share:
    """Share of expected counts with its Beta interval where there are votes, float64[m, k]."""
    n = np.maximum(of[voted], 1e-300)
    value = np.clip(right[voted] / n, 0.0, 1.0)
    spread = n * value * (1.0 - value)
    counted = n * spread / np.maximum(spread + doubt[voted], 1e-300)
    # Without spread the doubt is nil as well, and all records count.
    counted = np.where(spread > 0.0, counted, n)
    hits, misses = value * counted + PRIOR_RECORDS, (1.0 - value) * counted + PRIOR_RECORDS
    tail = (1.0 - confidence) / 2.0

    placed = [np.full(of.shape, np.nan) for _ in range(3)]
    ends = betaincinv(hits, misses, tail), betaincinv(hits, misses, 1.0 - tail)
    for array, values in zip(placed, (value, *ends), strict=True):
        array[voted] = values
    return Share(*placed)
