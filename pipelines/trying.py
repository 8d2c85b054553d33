"""`labelmill try`: what one function does on a sample, of the job or not in it yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from labelmill import lfspec
from labelmill.errors import JobSpecError, LabelingFunctionError
from labelmill.jobspec import JobSpec
from labelmill.lfspec import FUNCTION_KINDS, LFEntry
from labelmill.suggestion import did_you_mean
from labelmill.teach.tokens import Ints
from labelmodel.metrics import wilson_interval
from pipelines.lesson import Lesson, check_class, open_lesson
from pipelines.lf_examples import Example, SampleVotes

ROWS = 10_000
"""Records of the sample; all judged records are looked at as well."""

EXAMPLES = 5
MOST_MOVES = 8
MOST_PARTNERS = 5
NAME = "tried"


@dataclass(frozen=True)
class Move:
    """Labels that move.

    Attributes:
        before: The class before; None for records that nothing covered.
        after: The class after; None for records that nothing covers.
        records: How many.
    """

    before: str | None
    after: str | None
    records: int


@dataclass(frozen=True)
class Partner:
    """A function that votes on the same records.

    Attributes:
        name: Its name.
        together: Records on which both vote.
        agree: Of these, records on which they vote for the same class.
    """

    name: str
    together: int
    agree: int


@dataclass(frozen=True)
class Tried:
    """What a function does on a sample.

    Attributes:
        name: Its name.
        entry: The entry of `lfs` that declares it; None for a function of the job.
        rows: Records of the sample.
        hits: Records that it votes on.
        new: Of these, records that no other function votes on.
        overlap: Records on which others vote as well.
        conflict: Records on which one of them votes for another class.
        judged: Judged records that it votes on.
        right: Of these, those that it is right on.
        low: Lower end of the 95 % interval of its precision.
        high: Upper end.
        moves: Labels that move because of it, most first.
        moved: How many do.
        partners: Functions that vote on most of its records.
        examples: Some of its records without a conflict, chosen by a hash of their id.
        conflicts: Some of its records with one.
        wrong: Judged records that it is wrong on.
    """

    name: str
    entry: dict[str, Any] | None
    rows: int
    hits: int
    new: int
    overlap: int
    conflict: int
    judged: int
    right: int
    low: float
    high: float
    moves: tuple[Move, ...]
    moved: int
    partners: tuple[Partner, ...]
    examples: tuple[Example, ...]
    conflicts: tuple[Example, ...]
    wrong: tuple[Example, ...]

    def document(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        kinds = ("examples", "conflicts", "wrong")
        shown = {kind: [one.document() for one in getattr(self, kind)] for kind in kinds}
        return {**asdict(self), **shown}


def entry_given(
    job: JobSpec,
    *,
    label: str | None,
    words: Sequence[str],
    pattern: str | None,
    field: str | None,
    ignore_case: bool,
    name: str = NAME,
) -> dict[str, Any]:
    """Return the entry of `lfs` that the command line describes.

    Raises:
        JobSpecError: There is no label, or no such class.
    """
    if label is None:
        raise JobSpecError("--label is missing: the class that the function would vote for")
    check_class(label, job.labels)
    where = {} if field in (None, "text") else {"field": field}
    if pattern is not None:
        case = {"ignore_case": True} if ignore_case else {}
        return {"regex": {"name": name, "label": label, "pattern": pattern, **case, **where}}
    return {"keywords": {"name": name, "label": label, "words": list(words), **where}}


def try_function(
    job: JobSpec, folder: Path, *, entry: dict[str, Any] | None = None, named: str | None = None
) -> Tried:
    """Run the job's functions on a sample and describe one of them.

    Args:
        job: The validated job.
        folder: The job file's folder.
        entry: A function to try beside those of the job.
        named: Else the name of one of these.

    Raises:
        LabelmillError: Whatever is wrong with the job, its functions, gold or corpus.
    """
    if entry is not None:
        job = job.model_copy(update={"lfs": [*job.lfs, _parsed(entry)]})
    lesson = open_lesson(job, folder, field=_field_of(entry), size=ROWS)
    names = lesson.prepared.table.names
    if entry is not None:
        place = len(names) - 1
    else:
        if named not in names:
            hint = did_you_mean(str(named), names, "`labelmill lfs` lists them")
            raise LabelingFunctionError(f"the job has no labeling function {named!r}{hint}")
        place = names.index(str(named))
    return _described(lesson, place, entry)


def _field_of(entry: dict[str, Any] | None) -> str | None:
    if entry is None:
        return None
    ((_, fields),) = entry.items()
    return str(fields.get("field", "text"))


def _parsed(entry: dict[str, Any]) -> LFEntry:
    ((kind, fields),) = entry.items()
    try:
        model = getattr(lfspec, f"{kind.title()}Entry")
        parsed: LFEntry = model(**{kind: FUNCTION_KINDS[kind](**fields)})
    except ValidationError as error:
        raise JobSpecError(f"the function to try: {error.errors()[0]['msg']}") from None
    return parsed


def _described(lesson: Lesson, place: int, entry: dict[str, Any] | None) -> Tried:
    votes, table = lesson.votes, lesson.prepared.table
    rows = np.repeat(np.arange(len(lesson.labels)), np.diff(votes.indptr))
    mine = votes.lfs == place
    hit, said = rows[mine], votes.labels[mine].astype(np.int64)
    others = votes.without([place])
    covered = np.diff(others.indptr) > 0
    own = np.full(len(lesson.labels), -1, dtype=np.int64)
    own[hit] = said
    against = (own[rows] >= 0) & (votes.labels != own[rows])
    known = lesson.labels[hit] >= 0
    right = int((lesson.labels[hit] == said)[known].sum())
    low, high = wilson_interval(right, int(known.sum())) if known.any() else (0.0, 1.0)
    sample = SampleVotes(lesson.records, votes, lesson.labels.astype(np.int16), table)
    shown = sample.examples(lesson.prepared.functions(), EXAMPLES, [place])[place]
    moves = _moves(lesson, place)
    return Tried(
        name=table.names[place],
        entry=entry,
        rows=len(lesson.labels),
        hits=len(hit),
        new=int((~covered[hit]).sum()),
        overlap=int(covered[hit].sum()),
        conflict=len(np.unique(rows[against])),
        judged=int(known.sum()),
        right=right,
        low=low,
        high=high,
        moves=moves[:MOST_MOVES],
        moved=sum(move.records for move in moves),
        partners=_partners(lesson, place, own, rows),
        examples=shown.votes,
        conflicts=shown.conflicts,
        wrong=shown.wrong,
    )


def _partners(lesson: Lesson, place: int, own: Ints, rows: Ints) -> tuple[Partner, ...]:
    votes, names = lesson.votes, lesson.prepared.table.names
    shared = (own[rows] >= 0) & (votes.lfs != place)
    together = np.bincount(votes.lfs[shared], minlength=len(names))
    alike = shared & (votes.labels == own[rows])
    agree = np.bincount(votes.lfs[alike], minlength=len(names))
    best = np.argsort(-together, kind="stable")[:MOST_PARTNERS]
    return tuple(
        Partner(names[n], int(together[n]), int(agree[n])) for n in best.tolist() if together[n]
    )


def _moves(lesson: Lesson, place: int) -> tuple[Move, ...]:
    """Return the labels that the function moves, by a label model without and with it."""
    without = lesson.votes.without([place])
    sides = []
    for votes in (without, lesson.votes):
        labels = lesson.voted(votes).argmax(axis=1)
        sides.append(np.where(np.diff(votes.indptr) > 0, labels, -1))
    moved = np.flatnonzero(sides[0] != sides[1])
    names = [*lesson.classes, None]  # the last is -1
    pairs = Counter(zip(sides[0][moved].tolist(), sides[1][moved].tolist(), strict=True))
    return tuple(Move(names[a], names[b], n) for (a, b), n in pairs.most_common())
