"""What a process holds of data files: declared digests, local copies, loaded values.

`labelmill.datafiles` is how functions and jobs use it.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fsspec.core import url_to_fs

from labelmill.errors import LabelingFunctionError, StoreError
from labelmill.store import Store
from labelmill.uris import without_credentials

if TYPE_CHECKING:
    from labelmill.datafiles import DataFile

T = TypeVar("T")

RESOURCES = "resources"
"""Folder of a store that holds the copies, each named by its SHA-256."""

CHANGED = "is no longer the file that the job was planned with; run again"

_PIECE = 1 << 22


@dataclass(frozen=True)
class Declared:
    """What a job was planned with."""

    sha256: str
    store: Store | None


@dataclass(frozen=True)
class LocalFile:
    """A local file and the digest of its content when it had `version`."""

    path: str
    sha256: str
    version: Hashable


@dataclass
class FileCache:
    """What a process knows of data files: declared digests, local copies, loaded values."""

    declared: dict[str, Declared] = field(default_factory=dict)
    _located: dict[str, LocalFile] = field(default_factory=dict)
    _staged: dict[str, str] = field(default_factory=dict)
    _loaded: dict[tuple[str, Hashable], tuple[str, Any]] = field(default_factory=dict)
    _locks: dict[Hashable, threading.RLock] = field(default_factory=dict)
    folder: str | None = None
    """Where copies are kept; a temporary folder of this process when it is not given."""

    def load_once(
        self, file: DataFile, how: Hashable, load: Callable[[str, str], T], needed_by: str
    ) -> T:
        """Return what `load` makes of a file, once per content and way of loading."""
        with self._lock((file.path, how)):
            known = self._loaded.get((file.path, how))
            located = self.locate(file, needed_by)
            if known is None or known[0] != located.sha256:
                known = (located.sha256, load(located.path, needed_by))
                self._loaded[file.path, how] = known
            value: T = known[1]
            return value

    def locate(self, file: DataFile, needed_by: str) -> LocalFile:
        """Return a local file with the content of `file`: as declared, else as it is now."""
        with self._lock(file.path):
            declared = self.declared.get(file.path)
            if declared and declared.sha256 in self._staged:
                return LocalFile(self._staged[declared.sha256], declared.sha256, None)
            problem = ""
            try:
                located = self._at_its_path(file)
                if declared is None or located.sha256 == declared.sha256:
                    return located
            except Exception as error:  # the clients of stores raise errors of their own
                problem = _reason(file, error)
            if declared is None:
                raise LabelingFunctionError(f"{prefix(needed_by)}{problem}")
            return self._from_store(file, declared, problem, needed_by)

    def forget(self) -> None:
        """Forget what was declared, and what was fetched from URLs."""
        self.declared.clear()
        for path, located in list(self._located.items()):
            if located.path != path:
                self._located.pop(path, None)

    def _at_its_path(self, file: DataFile) -> LocalFile:
        known = self._located.get(file.path)  # a URL is fetched once per plan
        if "://" not in file.path and "::" not in file.path:
            path = Path(file.path)
            stat = path.stat()
            version: Hashable = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
            if known is None or known.version != version:
                known = LocalFile(file.path, _digest(path), version)
        else:
            fresh = {"use_listings_cache": False, "skip_instance_cache": True}
            if known is None:
                fs, remote = url_to_fs(file.path, **fresh)
                path = self._copy(file, os.getpid())
                fs.get_file(remote, str(path))
                known = LocalFile(str(path), _digest(path), None)
        self._located[file.path] = known
        return known

    def _from_store(
        self, file: DataFile, declared: Declared, problem: str, needed_by: str
    ) -> LocalFile:
        what = problem or f"{file} {CHANGED}"
        if declared.store is None:
            raise LabelingFunctionError(f"{prefix(needed_by)}{what}")
        name = f"{RESOURCES}/{declared.sha256}"
        try:
            content = declared.store.get(name)
        except (FileNotFoundError, StoreError) as error:
            raise LabelingFunctionError(
                f"{prefix(needed_by)}{what}, and its copy cannot be read either: {error}"
            ) from error
        if hashlib.sha256(content).hexdigest() != declared.sha256:
            raise LabelingFunctionError(
                f"{prefix(needed_by)}{what}, and its copy {declared.store.uri}/{name} is "
                "damaged; delete that and run again"
            )
        path = self._copy(file, declared.sha256)
        path.write_bytes(content)
        self._staged[declared.sha256] = str(path)
        return LocalFile(str(path), declared.sha256, None)

    def _copy(self, file: DataFile, version: Hashable) -> Path:
        """Return where to keep a copy: it has the file's name, which loaders may go by."""
        if self.folder is None:
            self.folder = tempfile.mkdtemp(prefix="labelmill-files-")
            atexit.register(_remove, self.folder, os.getpid())
        key = hashlib.sha256(repr((file.path, version)).encode()).hexdigest()[:32]
        folder = Path(self.folder, key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (file.name or "file")

    def _lock(self, key: Hashable) -> threading.RLock:
        with _LOCKS:
            return self._locks.setdefault(key, threading.RLock())

    def after_fork(self) -> None:
        """Forget locks that threads of the parent process may hold."""
        self._locks = {}


_LOCKS = threading.Lock()
FILE_CACHE = FileCache()
"""The state of this process: what is declared and loaded belongs to it, not to one function."""


def _after_fork() -> None:
    global _LOCKS  # noqa: PLW0603  a lock that another thread held at the fork stays locked
    _LOCKS = threading.Lock()
    FILE_CACHE.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:  # a fork runs its parent's exit functions too
        shutil.rmtree(folder, ignore_errors=True)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _reason(file: DataFile, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {file}"
    if isinstance(error, IsADirectoryError):
        return f"{file} is a folder; name a file"
    detail = ""
    with suppress(Exception):
        detail = without_credentials(f": {error}".replace(file.path, str(file)))
    return f"{file} cannot be read: {type(error).__name__}{detail}"


def prefix(needed_by: str) -> str:
    """Return how a message begins that is about a file which `needed_by` reads."""
    return f"{needed_by}: " if needed_by else ""
