"""What auditors answered of a draw, put together: who said what, and who took how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from labelmill.errors import JobSpecError
from labelmill.judging.answers import Answers

ADJUDICATOR = "adjudicates"
"""Key of a sheet's `about` that tells that it is for disagreements."""


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
