"""A draw: which records an audit asks about, and with what probability, stored with the data set.

Stored under ``_labelmill/audits/<version>/<draw>/``, each file created once: ``draw.json``, a sheet
of ids for each auditor, and what was found. No text of the corpus is in them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.errors import CorruptFileError, JobSpecError
from labelmill.judging.sheet import Sheet
from labelmill.store import Store

FOLDER = "_labelmill/audits"
FORMAT = 1
BY_CLASS = "class"

_SHEET = re.compile(rf"{FOLDER}/(\d+)/(\w+)/sheet-(\w+)\.json")


@dataclass(frozen=True)
class DrawStratum:
    """A stratum.

    Attributes:
        group: Its group, a class or a value of the slice's column; empty without groups.
        size: Its records.
        drawn: Records drawn of it.
        low: Least published confidence in it.
        high: Greatest.
    """

    group: str
    size: int
    drawn: int
    low: float
    high: float

    @property
    def probability(self) -> float:
        """Probability with which each of its records was drawn."""
        return self.drawn / self.size


@dataclass(frozen=True)
class DrawnRecord:
    """A record that was drawn.

    Attributes:
        id: Its id.
        stratum: Its stratum.
        predicted: The published label.
        confidence: The label's published probability.
    """

    id: str
    stratum: int
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Draw:
    """A stratified sample of a version.

    Attributes:
        version: The version.
        version_digest: Its content digest.
        model_digest: Digest of its label model.
        job: Name of the job.
        classes: Its classes.
        seed: Seed of the random numbers.
        by: Column or ``class`` that the groups are of; empty without groups.
        strata: The strata.
        records: The records.
        auditors: Who judges; one with an empty name where nobody was named.
        overlap: Share of the records that all auditors judge.
        columns: Columns of the corpus that they see.
        shown: Whether they may look at the published label.
        left_out: Labeled records that could not be drawn, by reason.
        drawn_at: When, ISO 8601 in UTC.
    """

    version: int
    version_digest: str
    model_digest: str
    job: str
    classes: tuple[str, ...]
    seed: int
    by: str
    strata: tuple[DrawStratum, ...]
    records: tuple[DrawnRecord, ...]
    auditors: tuple[str, ...]
    overlap: float
    columns: tuple[str, ...]
    shown: bool
    left_out: Mapping[str, int]
    drawn_at: str

    @property
    def id(self) -> str:
        """Digest of the draw, ten hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:10]

    @property
    def folder(self) -> str:
        """Where it is stored, relative to the root of the data set."""
        return f"{FOLDER}/{self.version:08d}/{self.id}"

    @property
    def population(self) -> int:
        """Records that could be drawn."""
        return sum(stratum.size for stratum in self.strata)

    def to_json(self) -> str:
        """Return canonical JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Draw:
        """Read what `to_json` wrote.

        Raises:
            CorruptFileError: It is no draw, or one of a newer labelmill.
        """
        try:
            content: dict[str, Any] = json.loads(data)
            if content.pop("format") != FORMAT:
                raise ValueError
            for name in ("classes", "auditors", "columns"):
                content[name] = tuple(content[name])
            content["strata"] = tuple(DrawStratum(**one) for one in content["strata"])
            content["records"] = tuple(DrawnRecord(**one) for one in content["records"])
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(f"{where} is no draw of an audit of this version") from error


def store_draw(store: Store, draw: Draw, sheets: Mapping[str, Sheet]) -> None:
    """Store a draw and the sheets of its auditors; neither ever changes."""
    for sheet in sheets.values():
        store_sheet(store, draw, sheet)
    store.create(f"{draw.folder}/draw.json", draw.to_json().encode())


def store_sheet(store: Store, draw: Draw, sheet: Sheet) -> None:
    """Store a sheet of a draw, ids alone."""
    bare = sheet.without_values().to_json().encode()
    store.create(f"{draw.folder}/sheet-{sheet.id}.json", bare)


def find_stored_sheet(store: Store, sheet_id: str) -> Sheet:
    """Return the sheet with this id.

    Raises:
        JobSpecError: The data set has none.
    """
    for path in store.list(FOLDER):
        name = _SHEET.fullmatch(path)
        if name and name[3] == sheet_id:
            return Sheet.from_json(store.get(path).decode(), f"{store.uri}/{path}")
    raise JobSpecError(
        f"{store.uri} has no audit with a sheet {sheet_id!r}; answers belong to the data set that "
        "`labelmill audit draw` drew from"
    )


def read_draw(store: Store, draw_id: str) -> Draw:
    """Return the draw with this id.

    Raises:
        JobSpecError: The data set has none.
        CorruptFileError: It is damaged.
    """
    for path in store.list(FOLDER):
        if path.endswith(f"/{draw_id}/draw.json"):
            draw = Draw.from_json(store.get(path), f"{store.uri}/{path}")
            if draw.id != draw_id:
                raise CorruptFileError(f"{store.uri}/{path} was changed after it was drawn")
            return draw
    raise JobSpecError(f"{store.uri} has no audit {draw_id!r}")


def list_draws(store: Store, version: int | None = None) -> list[str]:
    """Return the ids of the draws of a version, or of all, in the order of their names."""
    folder = FOLDER if version is None else f"{FOLDER}/{version:08d}"
    return [path.split("/")[-2] for path in store.list(folder) if path.endswith("/draw.json")]
