"""A sheet: records drawn for people to judge, as a file beside the job, a form and a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from labelmill.errors import JobSpecError
from labelmill.exportwriters import inert

SCHEMA = "labelmill-sheet"
VERSION = 1

Values = Mapping[str, str | None]


@dataclass(frozen=True)
class SheetRecord:
    """A record to judge.

    Attributes:
        id: Its id.
        chosen: How it was chosen, such as ``random`` or ``uncertain``.
        values: What a judge sees of it, by column.
        predicted: The class that it has so far, hidden unless asked for; None without one.
        confidence: Probability of that class.
        weight: What the record counts for in an estimate; 1 where records are not weighted.
    """

    id: str
    chosen: str
    values: Values
    predicted: str | None = None
    confidence: float | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Sheet:
    """Records drawn together.

    Attributes:
        purpose: ``judge`` for judgements that inform the fit, ``audit`` for those that score.
        job: Name of the job.
        classes: Its classes.
        records: The records.
        about: What else later readers need, as plain data, such as the version that was audited.
    """

    purpose: str
    job: str
    classes: tuple[str, ...]
    records: tuple[SheetRecord, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Digest of what was drawn and for whom, ten hex digits; its answers carry it.

        What a judge sees of the records is no part of it, so that a sheet can be kept without.
        """
        drawn = [[record.id, record.chosen, record.weight] for record in self.records]
        content = [self.purpose, self.job, list(self.classes), drawn, dict(self.about)]
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def without_values(self) -> Sheet:
        """Return the sheet with the ids of its records alone, and the same id."""
        bare = (SheetRecord(r.id, r.chosen, {}, weight=r.weight) for r in self.records)
        return replace(self, records=tuple(bare))

    def to_json(self) -> str:
        """Return the sheet as one JSON document."""
        content = {"schema": SCHEMA, "version": VERSION, **asdict(self)}
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> Sheet:
        """Read what `to_json` wrote.

        Raises:
            JobSpecError: It is no sheet, or one of another version.
        """
        try:
            content = json.loads(text)
            if content.pop("schema") != SCHEMA or content.pop("version") != VERSION:
                raise ValueError
            records = tuple(SheetRecord(**record) for record in content.pop("records"))
            return cls(**{**content, "classes": tuple(content["classes"]), "records": records})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise JobSpecError(f"{where}: not a sheet of records of this version") from None

    def to_csv(self) -> str:
        """Return the sheet as CSV with an empty column ``label`` to fill in.

        Text that a spreadsheet would take for a formula gets an apostrophe.
        """
        columns = list(dict.fromkeys(name for record in self.records for name in record.values))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["sheet", "id", "label", *columns])
        for record in self.records:
            texts = [inert(record.values.get(name) or "") for name in columns]
            writer.writerow([self.id, inert(record.id), "", *texts])
        return out.getvalue()


@dataclass(frozen=True)
class SheetFiles:
    """The files of a sheet."""

    sheet: Path
    form: Path
    csv: Path


def sheet_folder(job_folder: Path, job: str) -> Path:
    """Return the folder beside a job file of what people judge and said of that job."""
    return job_folder / "judging" / ("-".join(re.findall(r"\w+", job)).lower() or "job")


def write_sheet(sheet: Sheet, form: str, folder: Path) -> SheetFiles:
    """Write a sheet, its form and its CSV file into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    base = f"{sheet.purpose}-{sheet.id}"
    files = SheetFiles(*(folder / f"{base}.{end}" for end in ("json", "html", "csv")))
    files.sheet.write_text(sheet.to_json(), encoding="utf-8")
    files.form.write_text(form, encoding="utf-8")
    files.csv.write_text(sheet.to_csv(), encoding="utf-8", newline="")
    return files


def find_sheet(sheet_id: str, folder: Path, purposes: Sequence[str] = ("judge", "audit")) -> Sheet:
    """Return the sheet with this id.

    Raises:
        JobSpecError: There is none.
    """
    for purpose in purposes:
        path = folder / f"{purpose}-{sheet_id}.json"
        if sheet_id.isalnum() and path.is_file():
            return Sheet.from_json(path.read_text(encoding="utf-8"), str(path))
    raise JobSpecError(
        f"no sheet {sheet_id!r} in {folder}; answers are read beside the job that drew them"
    )
