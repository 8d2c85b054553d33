"""What an audit found, and how that is stored beside the version: each result once."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from labelmill.audits.answered import Answered
from labelmill.audits.draws import FOLDER, Draw
from labelmill.errors import AlreadyExistsError, CorruptFileError, JobSpecError
from labelmill.store import Store

FORMAT = 1
_RESULT = re.compile(rf"{FOLDER}/(\d+)/(\w+)/result-(\d+)\.json")


@dataclass(frozen=True)
class ClassAudit:
    """How right one class is; None where no audited record tells.

    Attributes:
        name: The class.
        precision: Share of records labeled so that are so.
        precision_low: Lower end of its 95 % interval.
        precision_high: Upper end.
        recall: Share of records that are so that are labeled so.
        recall_low: Lower end of its 95 % interval.
        recall_high: Upper end.
        labeled: Audited records labeled so.
        true: Audited records that are so.
    """

    name: str
    precision: float | None
    precision_low: float
    precision_high: float
    recall: float | None
    recall_low: float
    recall_high: float
    labeled: float
    true: float


@dataclass(frozen=True)
class SliceAudit:
    """How right the labels of one value of the slice's column are.

    Attributes:
        name: The value.
        records: Records that have it.
        n: Audited ones.
        accuracy: Estimated share of right labels; None where none was audited.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    name: str
    records: int
    n: float
    accuracy: float | None
    low: float
    high: float


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        version: The version.
        draw: Id of the draw.
        accuracy: Estimated share of right labels among all that could be drawn.
        low: Lower end of the 95 % interval.
        high: Upper end.
        n: Records with an answer.
        n_eff: Records of a simple random sample that would say as much; None if all were judged.
        drawn: Records drawn.
        population: Records that could be drawn.
        auditors: Who judged.
        awaited: Auditors of the draw who did not answer yet.
        alpha: Krippendorff's alpha before adjudication; None where nothing was judged twice.
        pairs: Cohen's kappa of pairs of auditors: `auditors`, `records`, `kappa`.
        checks: Of each auditor: `answers`; `checked`, those to settled records that others judged
            too; and `wrong`, those of these that are not what was settled.
        twice: Records with two answers or more.
        differed: Of these, records whose answers differ.
        disputed: Of these, records that are not adjudicated.
        unsure: Records of which nobody could tell.
        saw: Records of which somebody looked at the published label first.
        per_class: Precision and recall of each class.
        slices: Accuracy by value of the slice's column, where the draw has one.
        spent: Judgements that people made.
        minutes: Minutes that it took; None where nobody told.
        read_at: When the answers were read, ISO 8601 in UTC.
    """

    version: int
    draw: str
    accuracy: float
    low: float
    high: float
    n: int
    n_eff: float | None
    drawn: int
    population: int
    auditors: tuple[str, ...]
    awaited: tuple[str, ...]
    alpha: float | None
    pairs: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]
    twice: int
    differed: int
    disputed: int
    unsure: int
    saw: int
    per_class: tuple[ClassAudit, ...]
    slices: tuple[SliceAudit, ...]
    spent: int
    minutes: float | None
    read_at: str = field(default="", compare=False)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> AuditResult:
        """Read plain data, as `dataclasses.asdict` gives it."""
        return cls(
            **{
                **content,
                "auditors": tuple(content["auditors"]),
                "awaited": tuple(content["awaited"]),
                "pairs": tuple(content["pairs"]),
                "checks": tuple(content["checks"]),
                "per_class": tuple(ClassAudit(**one) for one in content["per_class"]),
                "slices": tuple(SliceAudit(**one) for one in content["slices"]),
            }
        )


def read_answered(store: Store, draw: Draw) -> tuple[Answered, int]:
    """Return the answers to a draw that were read so far, and how many results are stored."""
    paths = [path for path in store.list(draw.folder) if _RESULT.fullmatch(path)]
    if not paths:
        return Answered(), 0
    return Answered(**_read(store, paths[-1])["answered"]), len(paths)


def store_result(
    store: Store, draw: Draw, result: AuditResult, answered: Answered, after: int
) -> None:
    """Store a result after `after` others; what is stored is never changed.

    Raises:
        JobSpecError: Somebody else stored one at the same time.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    content = {
        "format": FORMAT,
        "result": {**asdict(result), "read_at": now},
        "answered": asdict(answered),
    }
    data = json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
    try:
        store.create(f"{draw.folder}/result-{after + 1:04d}.json", data)
    except AlreadyExistsError as error:
        raise JobSpecError(
            f"somebody else read answers to draw {draw.id} at the same time; read these again"
        ) from error


def all_results(store: Store, version: int | None = None) -> list[tuple[AuditResult, Answered]]:
    """Return the last result of each draw of a version, or of all versions, oldest reading first.

    Raises:
        CorruptFileError: One is damaged.
    """
    read = [_read(store, path) for path in _last_results(store, version)]
    found = [(AuditResult.from_dict(c["result"]), Answered(**c["answered"])) for c in read]
    return sorted(found, key=lambda pair: pair[0].read_at)


def _last_results(store: Store, version: int | None) -> list[str]:
    folder = FOLDER if version is None else f"{FOLDER}/{version:08d}"
    last: dict[str, str] = {}
    for path in store.list(folder):
        name = _RESULT.fullmatch(path)
        if name:
            last[name[2]] = path  # listings are sorted
    return list(last.values())


def latest_audit(store: Store, version: int) -> AuditResult | None:
    """Return what the audit of a version found whose answers were read last; None without one.

    Raises:
        CorruptFileError: The stored result is damaged.
    """
    found = all_results(store, version)
    return found[-1][0] if found else None


def audited_versions(store: Store) -> dict[int, AuditResult]:
    """Return `latest_audit` of every version that was audited, without damaged results."""
    found = []
    for path in _last_results(store, None):
        with suppress(CorruptFileError):
            found.append(AuditResult.from_dict(_read(store, path)["result"]))
    return {one.version: one for one in sorted(found, key=lambda one: one.read_at)}


def _read(store: Store, path: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(store.get(path))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        AuditResult.from_dict(content["result"])
        Answered(**content["answered"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(f"{store.uri}/{path} is no result of an audit: {error}") from error
    return content
