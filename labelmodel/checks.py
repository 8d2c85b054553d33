"""Checks of a fitted model, made from counts of its answers and from gold that scores.

Each says what it measured, against which bound, and the verdict in a sentence; a model that fails
one that makes its labels worthless has `Diagnosis.fallback` set, with the reason. `trust` adds
what needs further fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labelmodel.answers import AnswerCounts
from labelmodel.arrays import AnyArray, FloatArray, IntArray
from labelmodel.base import BaseLabelModel
from labelmodel.blocks import covered_patterns, majority_winners
from labelmodel.collapse import MIN_MINORITY_MASS, collapse_of
from labelmodel.errors import VotesError
from labelmodel.fixedpoint import to_float
from labelmodel.metrics import credit
from labelmodel.patterns import PatternTable

Verdict = Literal["pass", "warn", "fail", "unknown"]

MAX_SWITCHING_GAIN = 0.05
MIN_LIFT = 1.05
MAX_NAMED = 5
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

    @property
    def against_vote(self) -> tuple[Check, ...]:
        """Checks that say to look at majority vote too: below it on gold, or on its own often.

        Where the model is often on its own, "vote_on_gold" is among them whatever it found, as
        long as there is gold: it has the accuracy of both.
        """
        poor = {check.name for check in self.checks if check.verdict in ("warn", "fail")}
        if "ties" in poor and any(
            check.name == "vote_on_gold" and check.verdict == "pass" for check in self.checks
        ):
            poor.add("vote_on_gold")
        said = ("vote_on_gold", "ties")
        return tuple(check for check in self.checks if check.name in said and check.name in poor)


def checks_of(
    answers: AnswerCounts,
    vote_on_gold: Check,
    lf_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> Diagnosis:
    """Checks that need no more than counts of a model's answers.

    Parameters
    ----------
    answers : AnswerCounts
        Of all blocks.
    vote_on_gold : Check
        From `compare_with_vote`.
    lf_names, class_names : sequence of str, optional
        What sentences call functions and classes; numbers by default.

    Raises
    ------
    VotesError
        No record has a vote.
    """
    if not answers.n_covered:
        raise VotesError("no record has a vote, so there is nothing to check")
    finite = _finite(answers)
    if finite.verdict == "fail":
        return Diagnosis((finite,))
    n_lfs, n_classes = answers.class_votes.shape
    return Diagnosis(
        (
            finite,
            _collapse(answers),
            _label_switching(answers, class_names or [str(y) for y in range(n_classes)]),
            vote_on_gold,
            _uninformative(answers, lf_names or [str(lf) for lf in range(n_lfs)]),
            _ties(answers),
        )
    )


def _finite(answers: AnswerCounts) -> Check:
    share = answers.not_finite / answers.n_covered
    verdict: Verdict = "fail" if share else "pass"
    return Check(
        "finite", share, 0.0, verdict, f"{share:.1%} of the records have no finite probability"
    )


def _collapse(answers: AnswerCounts) -> Check:
    """One label for all, and far less probability for the rest than majority vote gives."""
    found = collapse_of(
        answers.labeled,
        to_float(answers.class_mass),
        to_float(answers.agreement.sum(axis=0)),
        answers.fit_gold,
    )
    verdict: Verdict = "warn" if found.majority else "pass"
    return Check(
        "collapse",
        found.ratio,
        MIN_MINORITY_MASS,
        "fail" if found.collapsed else verdict,
        f"the model answers {found.answered} of the classes; to those it never answers majority "
        f"vote gives {found.majority:.1%} of the records, the model {found.kept:.1%} of the "
        "probability",
    )


def _label_switching(answers: AnswerCounts, class_names: Sequence[str]) -> Check:
    """Another order of the classes would agree better with majority vote."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  takes half a second

    agreement = to_float(answers.agreement) / answers.n_covered
    rows, columns = linear_sum_assignment(agreement, maximize=True)
    gain = float(agreement[rows, columns].sum() - np.trace(agreement))
    swapped = [
        f"{class_names[int(a)]} as {class_names[int(b)]}"
        for a, b in zip(rows, columns, strict=True)
        if a != b
    ]
    named = f" ({', '.join(swapped)})" if gain > MAX_SWITCHING_GAIN else ""
    return Check(
        "label_switching",
        gain,
        MAX_SWITCHING_GAIN,
        "fail" if gain > MAX_SWITCHING_GAIN else "pass",
        f"other names for the classes would agree with majority vote on {gain:.1%} more of the "
        f"records{named}",
    )


def vote_on_gold(model: BaseLabelModel, table: PatternTable) -> Check:
    """Check "vote_on_gold" of a fitted model by the `eval_gold` of a table's covered records."""
    covered = covered_patterns(table)
    judged = covered.take(covered.eval_gold >= 0)
    return compare_with_vote(
        model.predict_proba(judged), majority_winners(judged), judged.eval_gold, judged.counts
    )


def compare_with_vote(
    probabilities: FloatArray, winners: FloatArray, gold: AnyArray, counts: IntArray
) -> Check:
    """Check "vote_on_gold": paired difference of accuracy (McNemar, with ties shared).

    Parameters
    ----------
    probabilities, winners : float64[n, k]
        Answers of the model and of majority vote to covered records with gold.
    gold : int[n]
        True class of each.
    counts : int64[n]
        Records that each row stands for.
    """
    n = int(counts.sum())
    if n < 2:
        return Check(
            "vote_on_gold",
            np.nan,
            0.0,
            "unknown",
            "no gold for scoring, so model and majority vote cannot be compared",
        )
    truth = gold.astype(np.int64)
    ours, votes = credit(probabilities, truth), credit(winners, truth)
    lead = float(counts @ (ours - votes)) / n
    error = float(np.sqrt(counts @ (ours - votes - lead) ** 2 / (n - 1) / n))
    low, high = lead - 1.96 * error, lead + 1.96 * error
    verdict: Verdict = "fail" if high < 0.0 else "warn" if lead < 0.0 else "pass"
    return Check(
        "vote_on_gold",
        lead,
        0.0,
        verdict,
        f"on {n} gold records the model is right on {counts @ ours / n:.1%}, majority vote on "
        f"{counts @ votes / n:.1%} (difference {lead:+.1%}, 95 % interval {low:+.1%} to "
        f"{high:+.1%})",
    )


def _uninformative(answers: AnswerCounts, lf_names: Sequence[str]) -> Check:
    """Functions that are right hardly more often than their classes occur, the worst first."""
    lift = answers.lift
    poor = np.argsort(lift, kind="stable")[: np.count_nonzero(lift < MIN_LIFT)]
    lowest = float(np.nanmin(lift))
    named = ", ".join(lf_names[int(lf)] for lf in poor[:MAX_NAMED])
    more = f" and {len(poor) - MAX_NAMED} more" if len(poor) > MAX_NAMED else ""
    return Check(
        "uninformative",
        lowest,
        MIN_LIFT,
        "warn" if len(poor) else "pass",
        f"right less than {MIN_LIFT} times as often as chance, as the model sees it: "
        f"{named or 'none'}{more}",
    )


def _ties(answers: AnswerCounts) -> Check:
    """Share of the labels that no strict majority stands behind."""
    tied_share = answers.tied / answers.n_covered
    overruled_share = answers.overruled / answers.n_covered
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
