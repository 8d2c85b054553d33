"""The versions of a data set, one after another: when, how much, and what changed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

from labelmill.audits.results import AuditResult, audited_versions
from labelmill.errors import CorruptFileError, VersionNotFoundError
from labelmill.manifest import Manifest
from labelmill.store import Store
from labelmill.versionchanges import VersionChanges, changes_between
from labelmill.versions import list_versions, read_manifest

_THREADS = 8


@dataclass(frozen=True)
class VersionSummary:
    """What a list of versions says of one.

    Attributes:
        version: Its number.
        started: When its run started, ISO 8601 in UTC; None where the manifest does not say.
        run_id: The run.
        rows: Records labeled.
        covered: Those with a vote.
        class_counts: By class, covered records with that label.
        accepted: Gates that refused it and were overridden by name.
        changes: What changed since the version before in the list; None for the first.
        audited: What its last audit found of the accuracy: `accuracy`, `low`, `high` and `n`, the
            records; None without an audit.
        damaged: What is wrong with its manifest; all else is then zero or empty.
    """

    version: int
    started: str | None = None
    run_id: str | None = None
    rows: int = 0
    covered: int = 0
    class_counts: Mapping[str, int] | None = None
    accepted: tuple[str, ...] = ()
    changes: VersionChanges | None = None
    audited: Mapping[str, float] | None = None
    damaged: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def history(store: Store, last: int | None = None) -> list[VersionSummary]:
    """Return the versions of a data set, the oldest first.

    Args:
        store: The data set.
        last: Only so many, the latest, from 1; all by default.

    Returns:
        A summary of each. One whose manifest is damaged says so, and the next one has no changes.
    """
    numbers = list_versions(store)
    first = 0 if last is None else max(len(numbers) - last, 0)
    numbers = numbers[max(first - 1, 0) :]  # with the one that the first is compared with
    with ThreadPoolExecutor(_THREADS) as threads:
        manifests = threads.map(lambda number: _read(store, number), numbers)
        read = [(n, m) for n, m in zip(numbers, manifests, strict=True) if m is not None]
    summaries = [_summary(None, *read[0])] if read else []
    for (_, before), after in itertools.pairwise(read):
        summaries.append(_summary(before, *after))
    audits = audited_versions(store)
    summaries = [replace(s, audited=_audited(audits.get(s.version))) for s in summaries]
    return summaries if last is None else summaries[-last:]


def _audited(found: AuditResult | None) -> Mapping[str, float] | None:
    if found is None:
        return None
    return {"accuracy": found.accuracy, "low": found.low, "high": found.high, "n": found.n}


def _read(store: Store, number: int) -> Manifest | CorruptFileError | None:
    try:
        return read_manifest(store, number)
    except CorruptFileError as error:
        return error
    except VersionNotFoundError:
        return None  # a clean-up deleted it since it was listed


def _summary(
    before: Manifest | CorruptFileError | None, number: int, after: Manifest | CorruptFileError
) -> VersionSummary:
    if isinstance(after, CorruptFileError):
        return VersionSummary(number, damaged=str(after))
    counts = after.counts
    return VersionSummary(
        version=number,
        started=after.run.get("started"),
        run_id=after.run.get("id"),
        rows=counts["rows"],
        covered=counts["covered"],
        class_counts=dict(zip(after.class_names, counts["class_counts"], strict=True)),
        accepted=tuple(gate["name"] for gate in after.gates if gate["accepted"]),
        changes=changes_between(before, after) if isinstance(before, Manifest) else None,
    )
