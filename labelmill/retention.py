"""Deleting old versions, and files that no version names any more.

Safe beside a running refresh: what is younger than a guard time stays, so that files of a run that
has not committed yet do, and `keep_young` makes a run's old files young before it commits.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from labelmill.errors import CorruptFileError, JobSpecError, StoreError, VersionNotFoundError
from labelmill.manifest import FileEntry, Manifest
from labelmill.store import PROBE_PREFIX, ListedFile, Store
from labelmill.versions import (
    OWN_FOLDER,
    RUNS_FOLDER,
    SUBMISSIONS_FOLDER,
    list_versions,
    manifest_path,
    read_manifest,
    run_path,
    submission_path,
)

FOLDERS = (
    "votes", "patterns", "faults", "ids", "labels", "models", "reports", "code", "resources",
    "teach", "slices",
)  # fmt: skip
"""Folders whose files are deleted when no version names them.

What was paid for is never touched: answers of models in ``prompts``, and of people in
``_labelmill/audits``.
"""

MIN_AGE = datetime.timedelta(days=1)
"""Guard time unless told otherwise: longer than any run."""

DELETED = "was deleted while this run was under way, by a clean-up perhaps; run again"

_THREADS = 8


@dataclass(frozen=True)
class Cleanup:
    """What a clean-up deletes.

    Attributes:
        kept: Versions that stay.
        versions: Versions that go.
        files: Other objects that go.
        young: Objects that no kept version names and that are too young to go.
        young_bytes: Their bytes.
    """

    kept: tuple[int, ...]
    versions: tuple[int, ...]
    files: tuple[ListedFile, ...] = field(repr=False)
    young: int
    young_bytes: int

    @property
    def bytes(self) -> int:
        """Bytes of the files that go."""
        return sum(file.bytes for file in self.files)

    def by_folder(self) -> dict[str, tuple[int, int]]:
        """Return number and bytes of the files that go, by folder."""
        number: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for file in self.files:
            folder = file.path.rpartition("/")[0]
            number[folder] += 1
            size[folder] += file.bytes
        return {folder: (number[folder], size[folder]) for folder in sorted(number)}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        folders = self.by_folder()
        return {
            "kept": list(self.kept),
            "versions": list(self.versions),
            "files": sum(number for number, _ in folders.values()),
            "bytes": self.bytes,
            "folders": {f: {"files": n, "bytes": size} for f, (n, size) in folders.items()},
            "young_files": self.young,
            "young_bytes": self.young_bytes,
        }


def plan_cleanup(store: Store, keep: int, *, min_age: datetime.timedelta = MIN_AGE) -> Cleanup:
    """Decide what to delete so that the latest versions stay, whole.

    Args:
        store: The data set.
        keep: How many versions stay, from 1.
        min_age: Files that are younger stay, whether or not a version names them.

    Raises:
        JobSpecError: `keep` is less than 1.
        VersionNotFoundError: Nothing is published.
        CorruptFileError: The manifest of a version that stays is damaged, so that its files are not
            known.
    """
    if keep < 1:
        raise JobSpecError(f"keep is {keep}; the current version is never deleted, keep at least 1")
    numbers = list_versions(store)
    if not numbers:
        raise VersionNotFoundError(f"{store.uri} has no published version; nothing to clean up")
    kept, old = numbers[-keep:], numbers[:-keep]
    manifests = [_kept_manifest(store, number) for number in kept]
    named = {file.path for manifest in manifests for file in manifest.files}
    named |= {run_path(str(manifest.run.get("id"))) for manifest in manifests}
    limit = datetime.datetime.now(datetime.UTC) - min_age
    files: list[ListedFile] = []
    young: list[ListedFile] = []
    for file in _unnamed(store, named, manifests):
        is_old = file.modified is not None and file.modified < limit
        (files if is_old else young).append(file)
    return Cleanup(
        kept=tuple(kept),
        versions=tuple(old),
        files=tuple(files),
        young=len(young),
        young_bytes=sum(file.bytes for file in young),
    )


def clean_up(store: Store, cleanup: Cleanup) -> None:
    """Delete what `plan_cleanup` decided: manifests first, so that no version is left half.

    A file that was written again in the meantime stays.
    """
    for version in cleanup.versions:
        store.delete(manifest_path(version))
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(lambda file: _delete_unless_written(store, file), cleanup.files))


def _delete_unless_written(store: Store, file: ListedFile) -> None:
    if store.modified(file.path) == file.modified:
        store.delete(file.path)


def keep_young(store: Store, files: Iterable[FileEntry], parent: Manifest | None) -> None:
    """Make sure, just before a commit, that a clean-up will leave the files of a version alone.

    Files of the parent are safe, because the parent is kept. Others may have been stored long ago,
    by a run that never committed or for a version that is gone: they are written again.

    Raises:
        StoreError: A clean-up was faster and has deleted one of them.
        FileNotFoundError: It did so just now.
    """
    safe = set() if parent is None else {file.path for file in parent.files}
    others = [file for file in files if file.path not in safe]
    limit = datetime.datetime.now(datetime.UTC) - MIN_AGE / 2
    folders = {file.path.partition("/")[0] for file in others}
    there = {file.path: file for folder in folders for file in store.list_files(folder)}
    for entry in others:
        listed = there.get(entry.path)
        if listed is None:
            raise deleted_meanwhile(store, entry.path)
        if listed.modified is None or listed.modified < limit:
            store.put(entry.path, store.get(entry.path))


def deleted_meanwhile(store: Store, path: str) -> StoreError:
    """Return the error of a run that misses a file which it had stored, or found stored."""
    return StoreError(f"{store.uri}/{path} {DELETED}")


def _kept_manifest(store: Store, number: int) -> Manifest:
    try:
        return read_manifest(store, number)
    except CorruptFileError as error:
        raise CorruptFileError(
            f"{error} Nothing is deleted: version {number} would be kept, and its files are not "
            "known."
        ) from error


def _unnamed(store: Store, named: set[str], manifests: list[Manifest]) -> Iterator[ListedFile]:
    """Yield objects that no kept version names."""
    for folder in FOLDERS:
        if folder == "resources" and any(m.format_version == 1 for m in manifests):
            continue  # that format does not name them
        yield from (file for file in store.list_files(folder) if file.path not in named)
    oldest = str(manifests[0].run.get("id"))
    of_runs = {RUNS_FOLDER: run_path(oldest), SUBMISSIONS_FOLDER: submission_path(oldest)}
    for file in store.list_files(OWN_FOLDER):
        first = of_runs.get(file.path.rpartition("/")[0], "")
        is_left = file.is_temporary or file.path.startswith(PROBE_PREFIX)
        if file.path not in named and (file.path < first or is_left):  # ids start with the time
            yield file
