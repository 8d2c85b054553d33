"""Whether a fitted model can be trusted: checks that need no gold, and two that use it.

Each check says what it measured, against which bound, and the verdict in a sentence; a model that
fails one that makes its labels worthless has `Diagnosis.fallback` set, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.base import BaseLabelModel, break_ties, fitted_copy
from labelmodel.blocks import class_votes, majority_winners
from labelmodel.errors import VotesError
from labelmodel.lf_report import learned_counts
from labelmodel.majority import MajorityVote
from labelmodel.metrics import credit
from labelmodel.patterns import PatternTable

Verdict = Literal["pass", "warn", "fail", "unknown"]

MIN_MINORITY_MASS = 0.1
MAX_SWITCHING_GAIN = 0.05
MAX_MOVED = 0.05
MIN_LIFT = 1.05
MAX_DECIDED_ALONE = 0.25


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        "finite", "collapse", "label_switching", "instability", "vote_on_gold",
        "uninformative" or "ties".
    value : float
        What was measured; nan where it could not be.
    threshold : float
        Where the verdict turns.
    verdict : {"pass", "warn", "fail", "unknown"}
        "fail" speaks against using the model at all.
    sentence : str
        The finding in words, with the numbers.
    """

    name: str
    value: float
    threshold: float
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one model on one table.

    Attributes
    ----------
    checks : tuple of Check
    """

    checks: tuple[Check, ...]

    def __getitem__(self, name: str) -> Check:
        """Check of this name.

        Raises
        ------
        KeyError
            No such check.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    @property
    def fallback(self) -> str | None:
        """Why majority vote should answer in the model's place; None where it need not."""
        return next((check.sentence for check in self.checks if check.verdict == "fail"), None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences of the checks that did not pass."""
        return tuple(check.sentence for check in self.checks if check.verdict in ("warn", "fail"))


@dataclass(frozen=True)
class _Answers:
    """A model's answers to the covered patterns of a table.

    Attributes
    ----------
    table : PatternTable
        Covered patterns.
    probabilities : float64[P, k]
    labels : int64[P]
    winners : float64[P, k]
        Majority vote, ties shared.
    share : float64[P]
        Each pattern's share of the covered records.
    """

    table: PatternTable
    probabilities: FloatArray
    labels: IntArray
    winners: FloatArray
    share: FloatArray


def diagnose(model: BaseLabelModel, table: PatternTable, random_state: int = 0) -> Diagnosis:
    """Check a fitted model on the records it was fitted to.

    Parameters
    ----------
    model : BaseLabelModel
        Fitted. It is fitted anew, as a copy, on two random halves of the records.
    table : PatternTable
        What it was fitted to. `eval_gold` is used to compare with majority vote.
    random_state : int
        Seed of the halves.

    Returns
    -------
    Diagnosis

    Raises
    ------
    NotFittedError
        Before `fit`.
    VotesError
        A table of other LFs or classes than the model, or without any vote.
    """
    covered = table.take(table.n_votes > 0)
    if not len(covered):
        raise VotesError("no record has a vote, so there is nothing to check")
    probabilities = model.predict_proba(covered)
    answers = _Answers(
        table=covered,
        probabilities=probabilities,
        labels=break_ties(probabilities, model.class_balance_),
        winners=majority_winners(covered),
        share=covered.counts / covered.n_records,
    )
    if not np.isfinite(probabilities).all():
        return Diagnosis((_finite(answers),))
    return Diagnosis(
        (
            _finite(answers),
            _collapse(answers),
            _label_switching(answers),
            _vote_on_gold(answers),
            _instability(model, answers, random_state),
            _uninformative(model, answers),
            _ties(answers),
        )
    )


def trusted_model(
    model: BaseLabelModel, table: PatternTable, diagnosis: Diagnosis
) -> BaseLabelModel:
    """Return the model, or majority vote fitted to the table where the diagnosis falls back."""
    if diagnosis.fallback is None:
        return model
    return MajorityVote(table.n_classes).fit(table)


def _finite(answers: _Answers) -> Check:
    bad = ~np.isfinite(answers.probabilities).all(axis=1)
    share = float(answers.share[bad].sum())
    verdict: Verdict = "fail" if share else "pass"
    return Check(
        "finite", share, 0.0, verdict, f"{share:.1%} of the records have no finite probability"
    )


def _collapse(answers: _Answers) -> Check:
    """One label for all, and far less probability for the rest than majority vote gives."""
    predicted = np.unique(answers.labels)
    others = np.setdiff1d(np.arange(answers.table.n_classes), predicted)
    majority = float((answers.share @ answers.winners)[others].sum())
    kept = float((answers.share @ answers.probabilities)[others].sum())
    ratio = kept / majority if majority > 0.0 else 1.0
    collapsed = len(predicted) == 1 and ratio < MIN_MINORITY_MASS
    verdict: Verdict = "pass" if not majority else "warn"
    return Check(
        "collapse",
        ratio,
        MIN_MINORITY_MASS,
        "fail" if collapsed else verdict,
        f"the model answers {len(predicted)} of the classes; to those it never answers majority "
        f"vote gives {majority:.1%} of the records, the model {kept:.1%} of the probability",
    )


def _label_switching(answers: _Answers) -> Check:
    """Another order of the classes would agree better with majority vote."""
    agreement = (answers.probabilities * answers.share[:, None]).T @ answers.winners
    rows, columns = linear_sum_assignment(agreement, maximize=True)
    gain = float(agreement[rows, columns].sum() - np.trace(agreement))
    swapped = [f"{a} as {b}" for a, b in zip(rows, columns, strict=True) if a != b]
    named = f" ({', '.join(swapped)})" if gain > MAX_SWITCHING_GAIN else ""
    return Check(
        "label_switching",
        gain,
        MAX_SWITCHING_GAIN,
        "fail" if gain > MAX_SWITCHING_GAIN else "pass",
        f"other names for the classes would agree with majority vote on {gain:.1%} more of the "
        f"records{named}",
    )


def _vote_on_gold(answers: _Answers) -> Check:
    """Paired difference of accuracy on gold for scoring (McNemar, with ties shared)."""
    judged = np.flatnonzero(answers.table.eval_gold >= 0)
    records = answers.table.counts[judged]
    n = int(records.sum())
    if n < 2:
        return Check(
            "vote_on_gold",
            np.nan,
            0.0,
            "unknown",
            "no gold for scoring, so model and majority vote cannot be compared",
        )
    gold = answers.table.eval_gold[judged].astype(np.int64)
    ours = credit(answers.probabilities[judged], gold)
    votes = credit(answers.winners[judged], gold)
    lead = float(records @ (ours - votes)) / n
    error = float(np.sqrt(records @ (ours - votes - lead) ** 2 / (n - 1) / n))
    low, high = lead - 1.96 * error, lead + 1.96 * error
    verdict: Verdict = "fail" if high < 0.0 else "warn" if lead < 0.0 else "pass"
    return Check(
        "vote_on_gold",
        lead,
        0.0,
        verdict,
        f"on {n} gold records the model is right on {records @ ours / n:.1%}, majority vote on "
        f"{records @ votes / n:.1%} (difference {lead:+.1%}, 95 % interval {low:+.1%} to "
        f"{high:+.1%})",
    )


def _instability(model: BaseLabelModel, answers: _Answers, random_state: int) -> Check:
    """Share of the labels that differ between fits to two halves of the records."""
    table = answers.table
    first = np.random.default_rng(random_state).binomial(table.counts, 0.5)
    labels = []
    for counts in (first, table.counts - first):
        kept = np.flatnonzero(counts > 0)
        half = replace(table.take(kept), counts=counts[kept])
        labels.append(fitted_copy(model, half).predict(table))
    moved = float(answers.share @ (labels[0] != labels[1]))
    return Check(
        "instability",
        moved,
        MAX_MOVED,
        "warn" if moved > MAX_MOVED else "pass",
        f"fits to two halves of the records give unlike labels to {moved:.1%} of them",
    )


def _uninformative(model: BaseLabelModel, answers: _Answers) -> Check:
    """Functions that are right hardly more often than their classes occur."""
    lift = learned_counts(model, answers.table).lift
    poor = np.flatnonzero(lift < MIN_LIFT)
    lowest = float(np.nanmin(lift))
    named = f": {', '.join(str(lf) for lf in poor)}" if len(poor) else ""
    return Check(
        "uninformative",
        lowest,
        MIN_LIFT,
        "warn" if len(poor) else "pass",
        f"{len(poor)} functions are right less than {MIN_LIFT} times as often as chance{named}",
    )


def _ties(answers: _Answers) -> Check:
    """Share of the labels that no strict majority stands behind."""
    votes = class_votes(answers.table)
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    rows = np.arange(len(votes))
    overruled = ~tied & (votes[rows, answers.labels] < votes.max(axis=1))
    tied_share = float(answers.share[tied].sum())
    overruled_share = float(answers.share[overruled].sum())
    alone = tied_share + overruled_share
    return Check(
        "ties",
        alone,
        MAX_DECIDED_ALONE,
        "warn" if alone > MAX_DECIDED_ALONE else "pass",
        f"the model decides {alone:.1%} of the labels against or without a majority: it breaks "
        f"ties on {tied_share:.1%} of the records and overrules a strict majority on "
        f"{overruled_share:.1%}",
    )
