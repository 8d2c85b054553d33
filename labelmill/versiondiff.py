"""The difference of two versions: labels that moved, because of which functions.

Shards that both versions have are compared side by side; unchanged ones are not read. Rows that
find no partner there (the corpus was cut otherwise, files were renamed) are matched by id through
parts on local disk, so that memory stays at a shard or a part, however large the corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from labelmill.errors import JobSpecError
from labelmill.manifest import Manifest
from labelmill.movedlabels import MovedLabels, MovedPair, VotesChanged
from labelmill.rowmatching import Ints, SpilledRows, match_ids
from labelmill.store import Store
from labelmill.suggestion import did_you_mean
from labelmill.versionchanges import VersionChanges, changes_between, quarantined_functions
from labelmill.versionrows import ROWS, CommonNames, VersionRows
from labelmill.versions import read_manifest

ROWS_PER_PART = 1 << 18
"""Rows of a part that is matched in memory, about."""

MOST_PARTS = 256

EXAMPLES = 3
"""Records shown of each pair of classes unless asked otherwise."""


@dataclass(frozen=True)
class VersionDiff:
    """The difference of two versions.

    Attributes:
        before: Number of the earlier version.
        after: Number of the later version.
        rows_before: Records of the earlier version.
        rows_after: Records of the later version.
        rows_common: Records of both, by id.
        moved: Records of both whose label is another; having no vote counts as a label.
        pairs: These by pair of classes, the largest first.
        votes: By function, how its votes on records of both changed; functions without a change
            are left out.
        changes: What changed beside labels.
        renamed: Removed classes of which every record of both now has one and the same added
            class, which had no other records: they look renamed. They count as moved.
    """

    before: int
    after: int
    rows_before: int
    rows_after: int
    rows_common: int
    moved: int
    pairs: tuple[MovedPair, ...]
    votes: Mapping[str, VotesChanged]
    changes: VersionChanges
    renamed: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def diff_versions(
    before: tuple[Store, int | None],
    after: tuple[Store, int | None],
    *,
    examples: int = EXAMPLES,
    renamed: Mapping[str, str] | None = None,
) -> VersionDiff:
    """Compare two versions, of one data set or of two.

    Args:
        before: A data set and a version of it; None for the current one.
        after: The same of the later version.
        examples: Records to show of each pair of classes.
        renamed: Classes of the earlier version that have another name in the later one, by their
            old name; they then count as the same.

    Raises:
        VersionNotFoundError: There is no such version.
        CorruptFileError: A manifest or a file that has to be read is damaged.
        JobSpecError: `renamed` names a class that is not there.
    """
    manifests = read_manifest(*before), read_manifest(*after)
    _check_renamed(renamed or {}, *manifests)
    names = CommonNames.of(*manifests, renamed or {})
    old, new = (
        VersionRows(store, manifest, names)
        for (store, _), manifest in zip((before, after), manifests, strict=True)
    )
    moved = MovedLabels(names, examples)
    with tempfile.TemporaryDirectory(prefix="labelmill-diff-") as folder:
        common = _compare(old, new, moved, Path(folder))
    pairs = moved.pairs()
    changes = changes_between(*manifests)
    return VersionDiff(
        before=manifests[0].version,
        after=manifests[1].version,
        rows_before=sum(file.rows for file in old.labels.values()),
        rows_after=sum(file.rows for file in new.labels.values()),
        rows_common=common,
        moved=moved.records,
        pairs=pairs,
        votes=moved.functions(),
        changes=changes,
        renamed=_look_renamed(pairs, changes),
    )


def _check_renamed(renamed: Mapping[str, str], before: Manifest, after: Manifest) -> None:
    for old, new in renamed.items():
        for name, manifest in ((old, before), (new, after)):
            if name not in manifest.class_names:
                classes = manifest.class_names
                hint = did_you_mean(name, classes, f"classes: {', '.join(classes)}")
                raise JobSpecError(
                    f"renamed {old}={new}: version {manifest.version} has no class {name!r}{hint}"
                )


def _compare(old: VersionRows, new: VersionRows, moved: MovedLabels, folder: Path) -> int:
    """Compare all rows; return how many both versions have."""
    paired = [shard for shard in new.labels if shard in old.labels]
    loose = [
        {s: f for s, f in v.labels.items() if s not in w.labels}
        for v, w in ((old, new), (new, old))
    ]
    changed = [shard for shard in paired if not _is_same(old, new, shard)]
    common = sum(new.labels[shard].rows for shard in paired if shard not in set(changed))
    most = max(sum(f.rows for f in files.values()) for files in loose)
    most += sum(new.labels[shard].rows for shard in changed)
    parts = min(MOST_PARTS, 1 + most // ROWS_PER_PART)
    rest = [SpilledRows(folder / side, ROWS, parts) for side in ("before", "after")]
    for shard in changed:
        with_votes = old.votes[shard].sha256 != new.votes[shard].sha256 or _uses_others(old, new)
        rows = [version.read(shard, with_votes=with_votes) for version in (old, new)]
        common += _match(rows[0], rows[1], moved, rest)
    if all(rest[side].rows or loose[side] for side in (0, 1)):
        for version, files, spilled in zip((old, new), loose, rest, strict=True):
            for shard in files:
                spilled.add(version.read(shard))
        for ours, theirs in zip(rest[0].parts(), rest[1].parts(), strict=True):
            common += _match(ours, theirs, moved, None)
    return common


def _is_same(old: VersionRows, new: VersionRows, shard: str) -> bool:
    """Whether neither labels nor votes of a shard can differ."""
    same_names = not old.names.renamed and old.manifest.class_names == new.manifest.class_names
    return (
        same_names
        and old.labels[shard].sha256 == new.labels[shard].sha256
        and old.votes[shard].sha256 == new.votes[shard].sha256
        and not _uses_others(old, new)
    )


def _uses_others(old: VersionRows, new: VersionRows) -> bool:
    """Whether the versions leave the votes of different functions out."""
    return quarantined_functions(old.manifest) != quarantined_functions(new.manifest)


def _match(
    before: pa.RecordBatch,
    after: pa.RecordBatch,
    moved: MovedLabels,
    rest: list[SpilledRows] | None,
) -> int:
    """Count rows with the same id, and put those without a partner aside; return how many match."""
    matched = match_ids(before.column("id"), after.column("id"))
    moved.add(*(_rows_at(rows, at) for rows, at in zip((before, after), matched, strict=True)))
    if rest is not None:
        for rows, positions, spilled in zip((before, after), matched, rest, strict=True):
            alone = np.setdiff1d(np.arange(rows.num_rows), positions, assume_unique=True)
            if len(alone):
                spilled.add(_rows_at(rows, alone))
    return len(matched[0])


def _rows_at(rows: pa.RecordBatch, positions: Ints) -> pa.RecordBatch:
    return rows.take(pa.array(positions))


def _look_renamed(pairs: tuple[MovedPair, ...], changes: VersionChanges) -> dict[str, str]:
    """Return removed classes whose records are exactly those of an added class."""
    found = {}
    for pair in pairs:
        old, new = pair.before, pair.after
        if old in changes.classes.removed and new in changes.classes.added:
            alone = sum(p.before == old or p.after == new for p in pairs) == 1
            if alone and old is not None and new is not None:
                found[old] = new
    return found
