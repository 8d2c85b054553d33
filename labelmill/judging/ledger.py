"""The ledger: a file of judgements, one JSON object a line, that a job's gold reads.

Each line says what a record is, for what the judgement may be used (``fit`` or ``eval``, never
both), how the record was chosen, who judged and how long it took.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from labelmill.errors import JobSpecError
from labelmill.judging.answers import Answers

FILE = "judgements.jsonl"


@dataclass(frozen=True)
class Judgement:
    """A judged record.

    Attributes:
        id: Its id.
        label: Its class.
        role: ``fit`` or ``eval``.
        chosen: How the record was chosen.
        judge: Who judged; empty where nobody said.
        minutes: Part of the sheet's time; None where nobody said.
        sheet: Id of the sheet.
    """

    id: str
    label: str
    role: str
    chosen: str
    judge: str = ""
    minutes: float | None = None
    sheet: str = ""


def judgements_of(answers: Answers, role: str) -> list[Judgement]:
    """Return the judgements in answers, in the order of the sheet."""
    told = len(answers.labels) + len(answers.unsure)
    each = None if answers.minutes is None or not told else round(answers.minutes / told, 4)
    return [
        Judgement(
            record.id,
            answers.labels[record.id],
            role,
            record.chosen,
            answers.judge,
            each,
            answers.sheet.id,
        )
        for record in answers.sheet.records
        if record.id in answers.labels
    ]


def read_ledger(path: Path) -> list[Judgement]:
    """Return all judgements of a ledger; none where there is no file yet.

    Raises:
        JobSpecError: A line is no judgement.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found.append(Judgement(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise JobSpecError(f"{path}:{number}: no judgement: {error}") from error
    return found


@dataclass(frozen=True)
class Added:
    """What came of adding judgements.

    Attributes:
        new: Judgements that were added.
        known: Judgements that the ledger had.
        replaced: Judgements of other classes that they replaced.
    """

    new: int
    known: int
    replaced: int


def add_judgements(path: Path, judgements: Sequence[Judgement], *, replace: bool = False) -> Added:
    """Add judgements to a ledger; the file is replaced as a whole, or stays as it is.

    Args:
        path: The ledger.
        judgements: What to add.
        replace: Whether other classes in the ledger are replaced.

    Raises:
        JobSpecError: The ledger has another class, or another role, for one of the records.
    """
    before = read_ledger(path)
    known = {judgement.id: judgement for judgement in before}
    new, changed = [], {}
    for judgement in judgements:
        old = known.get(judgement.id)
        if old is None:
            new.append(judgement)
        elif old.role != judgement.role:
            raise JobSpecError(
                f"{path}: record {old.id!r} was judged with role {old.role}; a judgement informs "
                "the fit or scores, never both"
            )
        elif old.label != judgement.label:
            if not replace:
                raise JobSpecError(
                    f"{path}: record {old.id!r} was judged {old.label!r}"
                    f"{f' by {old.judge}' if old.judge else ''} before, now {judgement.label!r}; "
                    "--replace takes the new class"
                )
            changed[old.id] = judgement
    if new or changed:
        _write(path, [*(changed.get(old.id, old) for old in before), *new])
    return Added(len(new), len(judgements) - len(new) - len(changed), len(changed))


def _write(path: Path, judgements: Iterable[Judgement]) -> None:
    lines = [json.dumps(asdict(judgement), ensure_ascii=False) + "\n" for judgement in judgements]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)
