"""Publishing and finding versions: the commit protocol over one data set's store.

A version is its numbered manifest. Creating that one object is the commit; nothing else is.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from labelmill.errors import (
    AlreadyExistsError,
    ConcurrentRefreshError,
    CorruptFileError,
    NewerFormatError,
    StoreError,
    VersionNotFoundError,
)
from labelmill.manifest import FileEntry, Manifest
from labelmill.store import Store

OWN_FOLDER = "_labelmill"
VERSIONS_FOLDER = f"{OWN_FOLDER}/versions"
CURRENT_PATH = f"{OWN_FOLDER}/current.json"
RUNS_FOLDER = f"{OWN_FOLDER}/runs"
SUBMISSIONS_FOLDER = f"{OWN_FOLDER}/submissions"

_MANIFEST_NAME = re.compile(rf"{VERSIONS_FOLDER}/(\d{{8,}})\.json")
_VERIFY_THREADS = 4  # each holds one whole file


def manifest_path(version: int) -> str:
    """Return where the manifest of a version is.

    >>> manifest_path(42)
    '_labelmill/versions/00000042.json'
    """
    return f"{VERSIONS_FOLDER}/{version:08d}.json"


def run_path(run_id: str) -> str:
    """Return the name under which a run's outcome is stored."""
    return f"{RUNS_FOLDER}/{run_id}.json"


def submission_path(run_id: str) -> str:
    """Return the name under which a run is stored before it starts."""
    return f"{SUBMISSIONS_FOLDER}/{run_id}.json"


def list_versions(store: Store) -> list[int]:
    """Return the numbers of the published versions, ascending."""
    return versions_among(store.list(VERSIONS_FOLDER))


def versions_among(paths: Iterable[str]) -> list[int]:
    """Return the numbers of the versions whose manifests are among stored objects, ascending."""
    names = map(_MANIFEST_NAME.fullmatch, paths)
    return sorted(int(name[1]) for name in names if name)


def latest_version(store: Store) -> int | None:
    """Return the current version, which is the highest; None when nothing is published."""
    return max(list_versions(store), default=None)


def read_manifest(store: Store, version: int | None = None) -> Manifest:
    """Read the manifest of a version.

    Args:
        store: The data set.
        version: Its number; by default the current one.

    Raises:
        VersionNotFoundError: There is no such version, or none at all.
        CorruptFileError: The manifest is damaged or written by a newer labelmill.
    """
    number = latest_version(store) if version is None else version
    if number is None:
        raise VersionNotFoundError(
            f"{store.uri} has no published version; check the URI, or publish one with a run"
        )
    path = manifest_path(number)
    try:
        data = store.get(path)
    except FileNotFoundError as error:
        raise VersionNotFoundError(
            f"{store.uri} has no version {number}; there {_those_there(store)}"
        ) from error
    try:
        manifest = Manifest.from_bytes(data, source=f"{store.uri}/{path}")
        if manifest.version != number:
            raise CorruptFileError(f"{store.uri}/{path} is the manifest of {manifest.version}")
    except NewerFormatError:
        raise
    except CorruptFileError as error:
        raise CorruptFileError(f"{error}. {_way_on(store, number)}") from error
    return manifest


def next_version(store: Store) -> int:
    """Return the number of the version to be published next.

    It is one that no version ever had: where manifests were deleted by hand, the hint knows.
    """
    try:
        hinted = json.loads(store.get(CURRENT_PATH))["version"]
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        hinted = 0  # nobody relies on it
    latest = latest_version(store) or 0
    return max(latest, hinted if type(hinted) is int else 0) + 1


def commit(store: Store, manifest: Manifest) -> Manifest:
    """Publish a version; whoever reads the data set sees it from this moment on.

    Its files have to be stored already. The commit may be repeated, by a replay of the step or
    after an error: a version with the same content digest counts as this one.

    Args:
        store: The data set.
        manifest: The version; its number is its parent's plus one, or higher where versions after
            the parent were deleted by hand.

    Returns:
        The manifest that is published: the given one, or its earlier replay.

    Raises:
        ValueError: The number is not above the parent's.
        ConcurrentRefreshError: Another run published since this one was planned.
        VersionNotFoundError: The parent is not published.
        StoreError: The store is unreachable. Whether the version is published is then open, and
            repeating the commit settles it.
    """
    if manifest.version <= (manifest.parent or 0):
        raise ValueError(f"version {manifest.version} does not follow parent {manifest.parent}")
    latest = latest_version(store) or 0
    # Looked up first because clean-up deletes old manifests: their numbers are free in the store
    # but used, and a run that slept through several versions must not take one.
    if latest >= manifest.version:
        committed = _own_replay(store, manifest)
    else:
        _check_parent(store, manifest, latest)
        committed = _create(store, manifest)
    if latest <= committed.version:
        _write_hint(store, committed)
    return committed


def verify_version(store: Store, version: int | None = None) -> list[str]:
    """Check a version's manifest and every file that it names, reading all of them.

    Returns:
        One line for each problem: the file, and what is wrong with it.

    Raises:
        VersionNotFoundError: There is no such version.
    """
    try:
        manifest = read_manifest(store, version)
    except CorruptFileError as error:
        return [str(error)]

    def problem_with(file: FileEntry) -> str | None:
        try:
            store.verify(file.stored_file)
        except CorruptFileError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_VERIFY_THREADS) as threads:
        return [problem for problem in threads.map(problem_with, manifest.files) if problem]


def _create(store: Store, manifest: Manifest) -> Manifest:
    try:
        store.create(manifest_path(manifest.version), manifest.to_bytes())
    except AlreadyExistsError:
        return _own_replay(store, manifest)
    return manifest


def _own_replay(store: Store, manifest: Manifest) -> Manifest:
    """Return the published version of this number when it is this one, else say whose it is."""
    try:
        published = read_manifest(store, manifest.version)
    except VersionNotFoundError as error:
        raise ConcurrentRefreshError(
            f"{store.uri}: version {manifest.version} was published by another run and deleted "
            f"since; there {_those_there(store)}. Run again, stored votes are reused."
        ) from error
    if published.digest == manifest.digest:
        return published
    raise ConcurrentRefreshError(
        f"{store.uri}: run {published.run.get('id')!r} published version {manifest.version} "
        f"before this run ({manifest.run.get('id')!r}), which was planned on version "
        f"{manifest.parent}. Run again, stored votes are reused."
    )


def _check_parent(store: Store, manifest: Manifest, latest: int) -> None:
    if latest > (manifest.parent or 0):  # published, or put back, since this run was planned
        raise ConcurrentRefreshError(
            f"{store.uri}: version {latest} is there, but this run was planned on version "
            f"{manifest.parent}. Run again, stored votes are reused."
        )
    if manifest.parent is None:
        return
    parent = read_manifest(store, manifest.parent)
    if parent.digest != manifest.parent_digest:
        raise ConcurrentRefreshError(
            f"{store.uri}: version {manifest.parent} has digest {parent.digest}, but this run was "
            f"planned on {manifest.parent_digest}; the data set was replaced. Run again."
        )


def _write_hint(store: Store, manifest: Manifest) -> None:
    hint = json.dumps({"version": manifest.version, "digest": manifest.digest}, sort_keys=True)
    with contextlib.suppress(StoreError):  # the version is published without it
        store.put(CURRENT_PATH, hint.encode() + b"\n")


def _way_on(store: Store, damaged: int) -> str:
    """Return what to do about a damaged manifest."""
    versions = list_versions(store)
    if damaged != max(versions, default=damaged):
        return (
            "Put that file back from a copy, or delete it to give this version up; no other "
            "version needs it."
        )
    earlier = [version for version in versions if version < damaged]
    pin = f" Until then version {earlier[-1]} can be read by its number." if earlier else ""
    return (
        "Put that file back from a copy, or delete it and run again: what the version held is "
        f"stored, and is published again under the next number.{pin}"
    )


def _those_there(store: Store) -> str:
    versions = list_versions(store)
    if not versions:
        return "are none"
    shown = ", ".join(map(str, versions[-10:]))
    return f"are {len(versions)}, the last of them {shown}"
