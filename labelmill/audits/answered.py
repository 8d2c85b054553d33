"""What auditors answered of a draw, put together: who said what, and what each record is.

An auditor is one more noisy source. Where answers differ, an adjudicated class settles it; until
then the record counts as the classes it may be, by a one-coin model of the auditors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from labelmill.audits.agreement import cohen_kappa, krippendorff_alpha
from labelmill.audits.draws import Draw
from labelmill.errors import JobSpecError
from labelmill.judging.answers import Answers
from labelmodel.one_coin import OneCoin

ADJUDICATOR = "adjudicates"
"""Key of a sheet's `about` that tells that it is for disagreements."""

Votes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answered:
    """All answers to a draw so far.

    Attributes:
        labels: By auditor, class by id.
        unsure: By auditor, ids of which the auditor could not tell.
        adjudicated: Class by id, of records that auditors disagreed on.
        minutes: Minutes by sheet, where somebody told.
        saw: Ids of which somebody looked at the published label first.
    """

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unsure: Mapping[str, Sequence[str]] = field(default_factory=dict)
    adjudicated: Mapping[str, str] = field(default_factory=dict)
    minutes: Mapping[str, float] = field(default_factory=dict)
    saw: Sequence[str] = ()

    @property
    def spent(self) -> int:
        """Judgements that people made: answers of every auditor, and adjudications."""
        told = [*self.labels.values(), *self.unsure.values()]
        return sum(map(len, told)) + len(self.adjudicated)

    @property
    def total_minutes(self) -> float | None:
        """Minutes in all; None where nobody told."""
        return sum(self.minutes.values()) if self.minutes else None


def add_answers(
    before: Answered, answers: Answers, where: str, *, auditor: str = "", replaces: bool = False
) -> Answered:
    """Return answers with those of a file.

    Args:
        before: Answers so far.
        answers: Those of the file.
        where: The file, for messages.
        auditor: Who judged a sheet that names nobody.
        replaces: Whether classes told before are replaced.

    Raises:
        JobSpecError: Somebody else's sheet, or another class than the auditor told before.
    """
    about = answers.sheet.about
    minutes = dict(before.minutes)
    if answers.minutes is not None:
        minutes[answers.sheet.id] = answers.minutes
    saw = sorted({*before.saw, *answers.saw_prediction})
    if about.get(ADJUDICATOR):
        settled = _joined(before.adjudicated, answers.labels, where, "adjudicated", replaces)
        return replace(before, adjudicated=settled, minutes=minutes, saw=saw)
    name = _auditor(answers, where, auditor)
    mine = _joined(before.labels.get(name, {}), answers.labels, where, f"{name}'s", replaces)
    told = {*before.unsure.get(name, ()), *answers.unsure} - set(mine)
    return replace(
        before,
        labels={**before.labels, name: mine},
        unsure={**before.unsure, name: sorted(told)},
        minutes=minutes,
        saw=saw,
    )


def _auditor(answers: Answers, where: str, given: str) -> str:
    meant = str(answers.sheet.about.get("auditor") or "")
    told = answers.judge or given
    if meant and told and meant.casefold() != told.strip().casefold():
        raise JobSpecError(
            f"{where}: sheet {answers.sheet.id} was drawn for {meant!r}, and {told!r} answered it; "
            "each auditor has a sheet of their own. Mend the name in the file if it is wrong."
        )
    return meant or told or "auditor"


def _joined(
    old: Mapping[str, str], new: Mapping[str, str], where: str, whose: str, replaces: bool
) -> dict[str, str]:
    for record_id, label in new.items():
        if not replaces and old.get(record_id, label) != label:
            raise JobSpecError(
                f"{where}: record {record_id!r} is {label!r} here and {old[record_id]!r} in "
                f"{whose} answers before; --replace takes the new class"
            )
    return {**old, **new}


@dataclass(frozen=True)
class Truth:
    """What the records of a draw are, as far as people said.

    Attributes:
        probs: P(class) of each record of the draw, float64, shape (n, k); one where people agree or
            it was settled, rows of zeros where nobody answered.
        settled: Class of each record, int64, shape (n,), -1 where that is not known.
        disputed: Records whose answers differ and were not adjudicated, int64.
        differed: How many had answers that differ, adjudicated or not.
        votes: Answers, int64, shape (n, m), -1 for none.
        auditors: The m auditors.
    """

    probs: Floats
    settled: Votes
    disputed: Votes
    differed: int
    votes: Votes
    auditors: tuple[str, ...]

    @property
    def alpha(self) -> float | None:
        """Krippendorff's alpha of the auditors, before adjudication."""
        return krippendorff_alpha(self.votes) if len(self.auditors) > 1 else None

    def checks(self) -> list[dict[str, Any]]:
        """Return of each auditor how many answers others check, and how many of them are wrong."""
        twice = ((self.votes >= 0).sum(axis=1) >= 2) & (self.settled >= 0)
        found = []
        for column, name in enumerate(self.auditors):
            said = self.votes[:, column]
            checked = twice & (said >= 0)
            wrong = int((said != self.settled)[checked].sum())
            counts = {"answers": int((said >= 0).sum()), "checked": int(checked.sum())}
            found.append({"auditor": name, **counts, "wrong": wrong})
        return found

    def pairs(self) -> list[dict[str, Any]]:
        """Return Cohen's kappa of each pair with a common record."""
        found = []
        for a, b in combinations(range(len(self.auditors)), 2):
            both = int(((self.votes[:, a] >= 0) & (self.votes[:, b] >= 0)).sum())
            if both:
                kappa = cohen_kappa(self.votes[:, a], self.votes[:, b])
                names = [self.auditors[a], self.auditors[b]]
                found.append({"auditors": names, "records": both, "kappa": kappa})
        return found


def truth_of(draw: Draw, answered: Answered) -> Truth:
    """Work out what each record of a draw is."""
    place = {record.id: row for row, record in enumerate(draw.records)}
    number = {name: index for index, name in enumerate(draw.classes)}
    n, k = len(draw.records), len(draw.classes)
    auditors = tuple(sorted(answered.labels))
    votes = np.full((n, len(auditors)), -1, dtype=np.int64)
    for column, name in enumerate(auditors):
        for record_id, label in answered.labels[name].items():
            votes[place[record_id], column] = number[label]
    final = np.full(n, -1, dtype=np.int64)
    for record_id, label in answered.adjudicated.items():
        final[place[record_id]] = number[label]
    said = (votes[:, :, None] == np.arange(k)).sum(axis=1)
    differ = (said > 0).sum(axis=1) > 1
    agreed = (said > 0).sum(axis=1) == 1
    settled = np.where(final >= 0, final, np.where(agreed, said.argmax(axis=1), -1))
    probs = np.zeros((n, k))
    known = settled >= 0
    probs[known, settled[known]] = 1.0
    disputed = np.flatnonzero(differ & (final < 0))
    if len(disputed):
        gold = np.where(final >= 0, final, -1)
        model = OneCoin(k, smoothing=1.0).fit(votes, gold=gold)
        parts = model.predict_proba(votes[disputed]) * (said[disputed] > 0)
        probs[disputed] = parts / parts.sum(axis=1, keepdims=True)
    return Truth(probs, settled, disputed, int(differ.sum()), votes, auditors)
