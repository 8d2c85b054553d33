"""What the records of a draw are, by what auditors answered.

An auditor is one more noisy source. Where answers differ, an adjudicated class settles it; until
then the record counts as the classes it may be, by a one-coin model of the auditors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from labelmill.audits.agreement import cohen_kappa, krippendorff_alpha
from labelmill.audits.answered import Answered
from labelmill.audits.draws import Draw
from labelmodel.one_coin import OneCoin

Votes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


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
