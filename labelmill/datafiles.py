"""Data files that labeling functions read, known by their content.

A file is named by the path or URL that the launching machine sees. Workers may not see it: there
it is read from the output store, where the launcher put a copy. What a file means (a word list, a
table, votes) is decided by the functions that read it.
"""

from __future__ import annotations

import atexit
import bz2
import csv
import gzip
import hashlib
import inspect
import json
import lzma
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from fsspec.core import url_to_fs

from labelmill.errors import LabelingFunctionError, StoreError
from labelmill.store import Store

T = TypeVar("T")

RESOURCES = "resources"
"""Folder of a store that holds the copies, each named by its SHA-256."""

_PIECE = 1 << 22
_CHANGED = "is no longer the file that the job was planned with; run again"


@dataclass(frozen=True)
class DataFile:
    """A data file that functions read.

    It pickles as its path alone; content is read where it is needed.

    Attributes:
        path: Absolute path or URL, as the machine that planned the job sees it.
    """

    path: str

    def __str__(self) -> str:
        """Return the path for messages: without a URL's password and query."""
        if "://" not in self.path:
            return self.path
        parts = urlsplit(self.path)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def suffix(self) -> str:
        """The suffix of its name in lower case, such as ``.csv``; of a compressed file too."""
        return PurePosixPath(_plain_name(self)).suffix.lower()

    @property
    def sha256(self) -> str:
        """Digest of its content: the declared one, else that of the file as it is now.

        Raises:
            LabelingFunctionError: It cannot be read.
        """
        declared = _PROCESS.declared.get(self.path)
        return declared.sha256 if declared else _PROCESS.locate(self, "").sha256

    @property
    def size(self) -> int:
        """Its size in bytes.

        Raises:
            LabelingFunctionError: It cannot be read.
        """
        return Path(self.local_path()).stat().st_size

    def read(self, needed_by: str = "") -> bytes:
        """Return its content.

        Args:
            needed_by: The function that needs it, for messages.

        Raises:
            LabelingFunctionError: It cannot be read, or is no longer what the job was planned with.
        """
        content = Path(self.local_path(needed_by)).read_bytes()
        declared = _PROCESS.declared.get(self.path)
        if declared and hashlib.sha256(content).hexdigest() != declared.sha256:
            raise LabelingFunctionError(f"{_prefix(needed_by)}{self} {_CHANGED}")
        return content

    def local_path(self, needed_by: str = "") -> str:
        """Return the path of a local file with its content, fetched once per process if need be.

        Args:
            needed_by: The function that needs it, for messages.

        Raises:
            LabelingFunctionError: It cannot be read, or is no longer what the job was planned with.
        """
        return _PROCESS.locate(self, needed_by).path

    def identity(self) -> Mapping[str, Any]:
        """Return what a fingerprint knows it by: its content, wherever it lies."""
        return {"sha256": self.sha256}


@dataclass(frozen=True)
class Resource:
    """The value that a data file holds, loaded once per process.

    Attributes:
        file: The file.
        load: Makes the value of the file's bytes, or of its path with `from_path`; by suffix when
            None.
        from_path: `load` is given the path of a local file.
    """

    file: DataFile
    load: Callable[[Any], Any] | None = None  # Any: what the author's loader takes and makes
    from_path: bool = False

    def value(self, needed_by: str = "") -> Any:
        """Return the value, the same object to all that ask in a process.

        Args:
            needed_by: The function that needs it, for messages.

        Raises:
            LabelingFunctionError: The file cannot be read or loaded.
        """
        return load_once(self.file, ("value", self.load, self.from_path), self._load, needed_by)

    def _load(self, local_path: str, needed_by: str) -> Any:
        try:
            if self.from_path and self.load:
                return self.load(local_path)
            content = Path(local_path).read_bytes()
            if self.load:
                return self.load(content)
            loader = _LOADERS.get(self.file.suffix)
            return loader(decoded(self.file, content, needed_by)) if loader else content
        except LabelingFunctionError:
            raise
        except Exception as error:
            by = getattr(self.load, "__name__", "a resource")
            raise LabelingFunctionError(
                f"{_prefix(needed_by)}{self.file} cannot be loaded by {by}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def identity(self) -> Mapping[str, Any]:
        """Return what a fingerprint knows it by: the file's content and how it is loaded."""
        how = self.load or self.file.suffix
        return {**self.file.identity(), "load": how, "from_path": self.from_path}


def data_file(path: str | os.PathLike[str]) -> DataFile:
    """Name a file that functions read, without touching it.

    Args:
        path: A path or any fsspec URL. A relative path is relative to the folder of the Python
            file that calls this; without one (a notebook, a shell) to the current folder.

    Example:
        >>> data_file("s3://lists/words.txt").path
        's3://lists/words.txt'
    """
    text = os.fspath(path)
    if not text:
        raise LabelingFunctionError("the path of a data file is empty; name a file or a URL")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text or "::" in text:
        return DataFile(text)
    return DataFile(os.path.abspath(Path(_callers_folder(), Path(text).expanduser())))  # noqa: PTH100  keeps symlinks


def _callers_folder() -> str:
    """Return the folder of the first caller's file outside labelmill."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] != __name__.partition(".")[0]:
            return str(Path(frame.f_globals.get("__file__") or "here").parent)
        frame = frame.f_back
    return ""


def resource(
    path: str | os.PathLike[str] | DataFile,
    load: Callable[[Any], Any] | None = None,
    *,
    from_path: bool = False,
) -> Resource:
    """Give labeling functions what a file holds, loaded once per process.

    Use it as a value of ``resources``: the function is called with what the file was loaded as.

    Args:
        path: As of `data_file`.
        load: Makes the value from the file's bytes. By default `.txt` becomes a list of lines,
            `.json` its value, `.jsonl` a list of values, `.csv` and `.tsv` a list of dicts of
            text, also when compressed (`.gz` `.bz2` `.xz` `.zst`); any other file stays bytes.
        from_path: `load` takes the path of a local file, as loaders of models often do.

    Raises:
        LabelingFunctionError: `from_path` without `load`.

    Example:
        >>> import json
        >>> resource("s3://lists/words.json", load=json.loads).file.path
        's3://lists/words.json'
    """
    if from_path and load is None:
        raise LabelingFunctionError(
            f"resource {path}: from_path=True needs the function that takes the path, load="
        )
    return Resource(path if isinstance(path, DataFile) else data_file(path), load, from_path)


def resolved(resources: Mapping[str, Any], needed_by: str) -> dict[str, Any]:
    """Return a function's resources with every `Resource` replaced by its value."""
    return {
        name: value.value(needed_by) if isinstance(value, Resource) else value
        for name, value in resources.items()
    }


def files_of(lfs: Iterable[Any]) -> tuple[DataFile, ...]:
    """Return the data files that labeling functions declare, each once, in order.

    Args:
        lfs: Functions with `files`, as matchers and batch functions have, or `resources`.
    """
    found: dict[DataFile, None] = {}
    for lf in lfs:
        found.update(dict.fromkeys(getattr(lf, "files", None) or ()))
        for value in (getattr(lf, "resources", None) or {}).values():
            if isinstance(value, Resource | DataFile):
                found[value.file if isinstance(value, Resource) else value] = None
    return tuple(found)


def stage(store: Store, files: Iterable[DataFile]) -> dict[str, str]:
    """Put files where every worker can read them; what is there already is not written again.

    Args:
        store: The job's output store.
        files: The files.

    Returns:
        The digest of each file, by path: what `declare` takes on workers.

    Raises:
        LabelingFunctionError: A file cannot be read, or changed meanwhile.
    """
    digests = {}
    for file in files:
        digest = digests[file.path] = file.sha256
        if store.exists(f"{RESOURCES}/{digest}"):
            continue
        content = file.read()
        if hashlib.sha256(content).hexdigest() != digest:
            raise LabelingFunctionError(f"{file} changed while the job was planned; run again")
        store.put(f"{RESOURCES}/{digest}", content)
    return digests


def declare(
    digests: Mapping[str, str],
    store_uri: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Tell this process what files a job was planned with, before its functions are loaded.

    From now on these files are read as they were then: from their own path where its content still
    has the digest, else from the store, else not at all.

    Args:
        digests: SHA-256 by path, as `stage` returns it.
        store_uri: The store with the copies; None when there are none.
        storage_options: Passed to the store's file system.
    """
    store = None if store_uri is None else Store.open(store_uri, storage_options)
    _PROCESS.declared.update({p: _Declared(digest, store) for p, digest in digests.items()})


def undeclare() -> None:
    """Forget what was declared, so that a new plan sees the files as they are now."""
    _PROCESS.forget()


def load_once(
    file: DataFile, how: Hashable, load: Callable[[str, str], T], needed_by: str = ""
) -> T:
    """Return what `load` makes of a file, once per process, content and way of loading.

    Args:
        file: The file.
        how: Names the way of loading; all that the value depends on besides the content.
        load: Called with the path of a local file and `needed_by`.
        needed_by: The function that needs it, for messages.

    Raises:
        LabelingFunctionError: The file cannot be read.
    """
    return _PROCESS.load_once(file, how, load, needed_by)


_DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()),
}


def decoded(file: DataFile, content: bytes, needed_by: str = "") -> str:
    """Return the content of a text file: decompressed by suffix, UTF-8, without a byte order mark.

    Raises:
        LabelingFunctionError: It is not UTF-8 (the line is named), or does not decompress.
    """
    decompress = _DECOMPRESS.get(PurePosixPath(_name(file)).suffix.lower())
    try:
        data = decompress(content) if decompress else content
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise LabelingFunctionError(
            f"{_prefix(needed_by)}{file} does not decompress as its suffix says: {error}"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LabelingFunctionError(
            f"{_prefix(needed_by)}{file}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from None


def listed(file: DataFile, needed_by: str = "") -> list[str]:
    r"""Return the entries of a text file with one per line.

    White space around an entry does not count; blank lines and lines that begin with ``#`` are
    skipped. ``\#win`` is the entry ``#win``.

    Raises:
        LabelingFunctionError: The file cannot be read, is not UTF-8, or has no entry.
    """
    text = decoded(file, file.read(needed_by), needed_by)
    lines = (line.strip() for line in text.splitlines())
    entries = [line.removeprefix("\\") if line.startswith("\\#") else line
               for line in lines if line and not line.startswith("#")]  # fmt: skip
    if not entries:
        raise LabelingFunctionError(
            f"{_prefix(needed_by)}{file} lists nothing; it takes one entry per line, and lines "
            "that begin with # are comments (write \\#tag for the entry #tag)"
        )
    return entries


_LOADERS: Mapping[str, Callable[[str], Any]] = {
    ".txt": str.splitlines,
    ".json": json.loads,
    ".jsonl": lambda text: [json.loads(line) for line in text.split("\n") if line.strip()],
    ".csv": lambda text: list(csv.DictReader(text.splitlines(keepends=True))),
    ".tsv": lambda text: list(csv.DictReader(text.splitlines(keepends=True), delimiter="\t")),
}


@dataclass(frozen=True)
class _Declared:
    """What a job was planned with."""

    sha256: str
    store: Store | None


@dataclass(frozen=True)
class _Located:
    """A local file and the digest of its content when it had `version`."""

    path: str
    sha256: str
    version: Hashable


@dataclass
class _Files:
    """What a process knows of data files: declared digests, local copies, loaded values."""

    declared: dict[str, _Declared] = field(default_factory=dict)
    _located: dict[str, _Located] = field(default_factory=dict)
    _staged: dict[str, str] = field(default_factory=dict)
    _loaded: dict[tuple[str, Hashable], tuple[str, Any]] = field(default_factory=dict)
    _locks: dict[Hashable, threading.RLock] = field(default_factory=dict)
    _folder: str | None = None

    def load_once(
        self, file: DataFile, how: Hashable, load: Callable[[str, str], T], needed_by: str
    ) -> T:
        with self._lock((file.path, how)):
            known = self._loaded.get((file.path, how))
            located = self.locate(file, needed_by)
            if known is None or known[0] != located.sha256:
                known = (located.sha256, load(located.path, needed_by))
                self._loaded[file.path, how] = known
            value: T = known[1]
            return value

    def locate(self, file: DataFile, needed_by: str) -> _Located:
        """Return a local file with the content of `file`: as declared, else as it is now."""
        with self._lock(file.path):
            declared = self.declared.get(file.path)
            if declared and declared.sha256 in self._staged:
                return _Located(self._staged[declared.sha256], declared.sha256, None)
            problem = ""
            try:
                located = self._at_its_path(file)
                if declared is None or located.sha256 == declared.sha256:
                    return located
            except Exception as error:  # the clients of stores raise errors of their own
                problem = _reason(file, error)
            if declared is None:
                raise LabelingFunctionError(f"{_prefix(needed_by)}{problem}")
            return self._from_store(file, declared, problem, needed_by)

    def forget(self) -> None:
        """Forget what was declared, and what was fetched from URLs."""
        self.declared.clear()
        for path, located in list(self._located.items()):
            if located.path != path:
                self._located.pop(path, None)

    def _at_its_path(self, file: DataFile) -> _Located:
        known = self._located.get(file.path)  # a URL is fetched once per plan
        if "://" not in file.path and "::" not in file.path:
            path = Path(file.path)
            stat = path.stat()
            version: Hashable = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
            if known is None or known.version != version:
                known = _Located(file.path, _digest(path), version)
        else:
            fresh = {"use_listings_cache": False, "skip_instance_cache": True}
            if known is None:
                fs, remote = url_to_fs(file.path, **fresh)
                path = self._copy(file, os.getpid())
                fs.get_file(remote, str(path))
                known = _Located(str(path), _digest(path), None)
        self._located[file.path] = known
        return known

    def _from_store(
        self, file: DataFile, declared: _Declared, problem: str, needed_by: str
    ) -> _Located:
        what = problem or f"{file} {_CHANGED}"
        if declared.store is None:
            raise LabelingFunctionError(f"{_prefix(needed_by)}{what}")
        name = f"{RESOURCES}/{declared.sha256}"
        try:
            content = declared.store.get(name)
        except (FileNotFoundError, StoreError) as error:
            raise LabelingFunctionError(
                f"{_prefix(needed_by)}{what}, and its copy cannot be read either: {error}"
            ) from error
        if hashlib.sha256(content).hexdigest() != declared.sha256:
            raise LabelingFunctionError(
                f"{_prefix(needed_by)}{what}, and its copy {declared.store.uri}/{name} is "
                "damaged; delete that and run again"
            )
        path = self._copy(file, declared.sha256)
        path.write_bytes(content)
        self._staged[declared.sha256] = str(path)
        return _Located(str(path), declared.sha256, None)

    def _copy(self, file: DataFile, version: Hashable) -> Path:
        """Return where to keep a copy: it has the file's name, which loaders may go by."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="labelmill-files-")
            atexit.register(_remove, self._folder, os.getpid())
        key = hashlib.sha256(repr((file.path, version)).encode()).hexdigest()[:32]
        folder = Path(self._folder, key)
        folder.mkdir(exist_ok=True)
        return folder / (_name(file) or "file")

    def _lock(self, key: Hashable) -> threading.RLock:
        with _LOCKS:
            return self._locks.setdefault(key, threading.RLock())

    def after_fork(self) -> None:
        """Forget locks that threads of the parent process may hold."""
        self._locks = {}


_LOCKS = threading.Lock()
_PROCESS = _Files()
"""The state of this process: what is declared and loaded belongs to it, not to one function."""


def _after_fork() -> None:
    global _LOCKS  # noqa: PLW0603  a lock that another thread held at the fork stays locked
    _LOCKS = threading.Lock()
    _PROCESS.after_fork()


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


def _name(file: DataFile) -> str:
    return PurePosixPath(str(file)).name


def _plain_name(file: DataFile) -> str:
    name = PurePosixPath(_name(file))
    return name.stem if name.suffix.lower() in _DECOMPRESS else name.name


def _reason(file: DataFile, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {file}"
    if isinstance(error, IsADirectoryError):
        return f"{file} is a folder; name a file"
    detail = ""
    with suppress(Exception):
        detail = f": {error}".replace(file.path, str(file))
    return f"{file} cannot be read: {type(error).__name__}{detail}"


def _prefix(needed_by: str) -> str:
    return f"{needed_by}: " if needed_by else ""
