"""Answers to a sheet, from a form's JSON file or from the filled-in CSV file, checked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmill.errors import JobSpecError
from labelmill.exportwriters import inert
from labelmill.judging.sheet import Sheet
from labelmill.suggestion import did_you_mean

SCHEMA = "labelmill-answers"
VERSION = 1
UNSURE = "?"
"""In the CSV file: the judge cannot tell."""


@dataclass(frozen=True)
class Answers:
    """What one judge said of one sheet.

    Attributes:
        sheet: The sheet.
        judge: Who judged; empty where nobody said.
        minutes: How long it took; None where nobody said.
        labels: Class by id of the record.
        unsure: Records that the judge could not tell, by id.
        saw_prediction: Records of which the judge saw the predicted label first, by id.
    """

    sheet: Sheet
    judge: str
    minutes: float | None
    labels: dict[str, str]
    unsure: frozenset[str]
    saw_prediction: frozenset[str]

    @property
    def missing(self) -> int:
        """Records of the sheet without an answer."""
        return len(self.sheet.records) - len(self.labels) - len(self.unsure)


def read_answers(path: Path, find: Callable[[str], Sheet], *, judge: str = "") -> Answers:
    """Read a file of answers.

    Args:
        path: The file, `.json` from the form or `.csv`.
        find: Finds the sheet with an id, such as `sheet.find_sheet` in a folder.
        judge: Who judged, where the file does not say.

    Raises:
        JobSpecError: There is no such file or sheet, or the answers do not fit the sheet.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise JobSpecError(f"{path}: no such file of answers") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobSpecError(f"{path}: cannot be read: {error}") from error
    read = _from_csv if path.suffix.lower() == ".csv" else _from_json
    return read(text, str(path), find, judge)


def _from_json(text: str, where: str, find: Callable[[str], Sheet], judge: str) -> Answers:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise JobSpecError(f"{where}: not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise JobSpecError(f"{where}: no answers; the form's download has schema {SCHEMA!r}")
    if content.get("version") != VERSION:
        raise JobSpecError(
            f"{where}: answers of version {content.get('version')!r}; labelmill reads {VERSION}"
        )
    answers = content.get("answers")
    if not isinstance(answers, list) or not all(isinstance(a, dict) for a in answers):
        raise JobSpecError(f"{where}: 'answers' is not a list of objects")
    sheet = find(str(content.get("sheet")))
    given = [(f"answer {n}", a.get("id"), a.get("label")) for n, a in enumerate(answers, 1)]
    labels, unsure = _checked(given, sheet, where)
    seen = frozenset(str(a.get("id")) for a in answers if a.get("saw_prediction") is True)
    who = content.get("judge")
    return Answers(
        sheet,
        who if isinstance(who, str) and who else judge,
        _minutes(content.get("minutes"), where),
        labels,
        unsure,
        seen,
    )


def _from_csv(text: str, where: str, find: Callable[[str], Sheet], judge: str) -> Answers:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    columns = rows[0].keys() if rows else ()
    missing = [name for name in ("sheet", "id", "label") if name not in columns]
    if missing:
        raise JobSpecError(f"{where}: no column {missing[0]!r}; fill in the CSV file of the sheet")
    sheets = sorted({row["sheet"] for row in rows})
    if len(sheets) != 1:
        raise JobSpecError(f"{where}: rows of {len(sheets)} sheets; a file holds one")
    sheet = find(sheets[0])
    names = {inert(record.id): record.id for record in sheet.records}
    given = []
    for line, row in enumerate(rows, 2):
        label: Any = (row["label"] or "").strip()
        if label:
            said = None if label == UNSURE else label
            given.append((f"row {line}", names.get(row["id"], row["id"]), said))
    labels, unsure = _checked(given, sheet, where)
    return Answers(sheet, judge, None, labels, unsure, frozenset())


def _checked(
    given: Iterable[tuple[str, Any, Any]], sheet: Sheet, where: str
) -> tuple[dict[str, str], frozenset[str]]:
    known = {record.id for record in sheet.records}
    labels: dict[str, str] = {}
    unsure: set[str] = set()
    for at, record_id, label in given:
        if not isinstance(record_id, str) or record_id not in known:
            raise JobSpecError(f"{where}: {at}: record {record_id!r} is not on sheet {sheet.id}")
        if label is None:
            unsure.add(record_id)
            continue
        if label not in sheet.classes:
            raise JobSpecError(f"{where}: {at}: {_no_class(label, sheet.classes)}")
        if labels.setdefault(record_id, label) != label:
            raise JobSpecError(
                f"{where}: {at}: record {record_id!r} is {label!r} here and "
                f"{labels[record_id]!r} before"
            )
    both = unsure & set(labels)
    if both:
        raise JobSpecError(f"{where}: record {min(both)!r} has a class and is not sure as well")
    return labels, frozenset(unsure)


def _no_class(label: object, classes: Sequence[str]) -> str:
    hint = did_you_mean(str(label), classes, f"classes: {', '.join(classes)}")
    return f"{label!r} is no class{hint}"


def _minutes(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e5:
        raise JobSpecError(f"{where}: minutes is {value!r}; it must be a number of minutes")
    return float(value)
