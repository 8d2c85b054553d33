"""Objects under one output URI: the only module that writes or reads labelmill's files.

Everything goes through fsspec, except writing to local disk, where fsspec would show half-written
files. What the objects mean (manifests, versions, label files) is decided elsewhere.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime
import errno
import hashlib
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.fs
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from labelmill.errors import AlreadyExistsError, CorruptFileError, StoreError
from labelmill.uris import checked_uri, without_credentials

RETRY_DELAYS = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between the attempts of one operation, each shortened by up to half at random."""

TEMPORARY_PREFIX = ".tmp-"
"""How the names of unfinished local files begin; such files are never listed."""

PROBE_PREFIX = "_labelmill/probe-"
"""How the names of objects begin that `Store.check_create_only` makes and deletes again."""

# Retried is every other error: the clients raise botocore, aiohttp and HTTP errors of their own
# besides OSError, and with few exceptions those mean an unreachable or busy store.
_PERMANENT = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    StoreError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_PERMANENT_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "az": "azure"}

# fsspec's memory:// looks first and writes then, which threads of one process can interleave.
_memory_create = threading.Lock()

T = TypeVar("T")


@dataclass(frozen=True)
class StoredFile:
    """One object as it was written.

    Attributes:
        path: Where it is, relative to the store's root.
        bytes: Its size.
        sha256: Its content's SHA-256 in hexadecimal.
    """

    path: str
    bytes: int
    sha256: str


def stored_as(path: str, data: bytes) -> StoredFile:
    """Describe the object at `path` whose content is `data`."""
    return StoredFile(path, len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class ListedFile:
    """One object as a listing shows it.

    Attributes:
        path: Where it is, relative to the store's root.
        bytes: Its size.
        modified: When it was written last; None where the store does not say.
    """

    path: str
    bytes: int
    modified: datetime.datetime | None

    @property
    def is_temporary(self) -> bool:
        """Whether it is a local file that somebody is writing, or was killed while writing."""
        return PurePosixPath(self.path).name.startswith(TEMPORARY_PREFIX)


@dataclass(frozen=True)
class Store:
    """Objects under one root URI: a local path, `memory://`, `s3://`, `gs://` and so on.

    Made by `open`. It pickles as its URI and options; every process opens its own file system,
    after a fork too, because clients do not survive one. Paths are relative to the root, with
    forward slashes. Operations retry errors that may pass and then raise `StoreError`.
    """

    uri: str
    # Options are fsspec's own, of any type; they may hold credentials and are not shown.
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    _opened: dict[int, tuple[Any, str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def open(
        cls, uri: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
    ) -> Store:
        """Name a store, without touching it.

        Args:
            uri: The root; a relative local path counts from the current folder.
            storage_options: Passed to the fsspec file system, credentials for example.

        Raises:
            StoreError: The URI is empty, chained or holds credentials, or no installed package
                serves it.
        """
        return cls(_normalise(os.fspath(uri)), dict(storage_options or {}))

    def __reduce__(self) -> tuple[type[Store], tuple[str, dict[str, Any]]]:
        return Store, (self.uri, dict(self.storage_options))

    def put(self, path: str, data: bytes) -> StoredFile:
        """Write an object so that readers see all of it or nothing, replacing what was there."""
        fs, key = self._locate(path)
        if isinstance(fs, LocalFileSystem):
            self._retry("write", path, lambda: _put_local(Path(key), data))
        else:
            self._retry("write", path, lambda: fs.pipe_file(key, data))
        return stored_as(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object unless there is one; of several writers exactly one succeeds.

        After any error the object is read back, because its answer may have been lost after the
        store had done the work, and a repeated request is then told that the object exists.

        Returns:
            True when this call wrote the object; False when the store answered with an error but
            the object is there with these very bytes, from this call or from another.

        Raises:
            AlreadyExistsError: The object is there with other content.
        """
        for delay in (*RETRY_DELAYS, None):
            try:
                self._create_once(path, data)
            except Exception as error:
                failure = error
            else:
                return True
            existing = self._read_back(path)
            if existing == data:
                return False
            if existing is not None:
                raise AlreadyExistsError(
                    f"{self._location(path)} already exists with other content"
                ) from failure
            again = isinstance(failure, FileExistsError) or _may_pass(failure)
            if delay is None or not again:
                raise self._failure("create", path, failure) from failure
            _pause(delay)
        raise AssertionError("the last attempt returns or raises")

    def get(self, path: str) -> bytes:
        """Read a whole object.

        Raises:
            FileNotFoundError: There is no such object.
        """
        fs, key = self._locate(path)
        try:
            return bytes(self._retry("read", path, lambda: fs.cat_file(key)))
        except FileNotFoundError as error:
            location = self._location(path)
            raise FileNotFoundError(errno.ENOENT, "no such object", location) from error

    def get_range(self, path: str, start: int, stop: int) -> bytes:
        """Read bytes `start` to `stop` of an object.

        Raises:
            FileNotFoundError: There is no such object.
        """
        fs, key = self._locate(path)
        return bytes(self._retry("read", path, lambda: fs.cat_file(key, start=start, end=stop)))

    def exists(self, path: str) -> bool:
        """Tell whether there is an object, which a folder is not."""
        return self.size(path) is not None

    def size(self, path: str) -> int | None:
        """Return the size of an object in bytes, or None when there is none."""
        fs, key = self._locate(path)
        try:
            info = self._retry("look up", path, lambda: fs.info(key))
        except FileNotFoundError:
            return None
        return int(info["size"]) if info["type"] == "file" else None

    def modified(self, path: str) -> datetime.datetime | None:
        """Return when an object was written last; None when there is none or the store is mute."""
        fs, key = self._locate(path)
        try:
            return _modified(self._retry("look up", path, lambda: fs.info(key)))
        except FileNotFoundError:
            return None

    def list(self, prefix: str = "") -> builtins.list[str]:
        """List the objects in a folder and the folders below it.

        Args:
            prefix: The folder; empty for the whole store.

        Returns:
            Paths relative to the root, sorted, without temporary files; none when the folder does
            not exist.
        """
        paths = self._find(prefix)
        return sorted(p for p in paths if not PurePosixPath(p).name.startswith(TEMPORARY_PREFIX))

    def list_files(self, prefix: str = "") -> builtins.list[ListedFile]:
        """List the objects in a folder and the folders below it with size and age.

        Args:
            prefix: The folder; empty for the whole store.

        Returns:
            Objects sorted by path, unfinished local files among them.
        """
        found = self._find(prefix)
        return [
            ListedFile(path, int(info["size"]), _modified(info))
            for path, info in sorted(found.items())
        ]

    def _find(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        """Return what the file system says of all objects below a folder, by their path."""
        fs, folder = self._locate(prefix) if prefix else self._filesystem()
        # Left alone, fsspec's generic walk drops what it could not list.
        generic = not fs.async_impl and type(fs).find is fsspec.AbstractFileSystem.find
        options = {"on_error": _raise_unless_absent} if generic else {}
        try:
            found = self._retry(
                "list", prefix, lambda: fs.find(folder or "/", detail=True, **options)
            )
        except FileNotFoundError:
            return {}
        root = self._filesystem()[1] + "/"
        inside = folder + "/"
        return {
            name.removeprefix(root): info for name, info in found.items() if name.startswith(inside)
        }

    def delete(self, path: str) -> None:
        """Delete an object; it is no error when there is none."""
        fs, key = self._locate(path)
        with contextlib.suppress(FileNotFoundError):
            self._retry("delete", path, lambda: fs.rm_file(key))

    def verify(self, file: StoredFile) -> None:
        """Read an object and compare it with what was written.

        Raises:
            CorruptFileError: It is missing or holds something else.
        """
        try:
            data = self.get(file.path)
        except FileNotFoundError as error:
            raise CorruptFileError(f"{self._location(file.path)} is missing") from error
        digest = hashlib.sha256(data).hexdigest()
        if (len(data), digest) != (file.bytes, file.sha256):
            raise CorruptFileError(
                f"{self._location(file.path)} has sha256 {digest} ({len(data)} bytes) instead of "
                f"{file.sha256} ({file.bytes} bytes)"
            )

    def check_create_only(self) -> None:
        """Try whether the store keeps the promise that `create` is built on.

        Raises:
            StoreError: It does not, so two runs could publish the same version.
        """
        fs, _ = self._filesystem()
        refusal = (
            f"{self.uri} cannot hold a data set: its file system ({type(fs).__name__}) %s, so two "
            "runs at once could overwrite each other's version. Use local disk, S3, GCS or Azure "
            "Blob through a current s3fs, gcsfs or adlfs."
        )
        two_steps = not fs.async_impl and type(fs).pipe_file is fsspec.AbstractFileSystem.pipe_file
        if two_steps and not isinstance(fs, LocalFileSystem):
            raise StoreError(refusal % "looks for an object and writes it in two steps")
        probe = f"{PROBE_PREFIX}{secrets.token_hex(16)}"
        try:
            self.create(probe, b"first")
            for _ in range(3):  # any other error may be a lost connection, which proves nothing
                try:
                    self._create_once(probe, b"second")
                except FileExistsError:
                    break
                except Exception:
                    continue
            if self.get(probe) != b"first":
                raise StoreError(refusal % "ignores create-only and overwrites the object")
        finally:
            with contextlib.suppress(StoreError):
                self.delete(probe)

    def arrow_filesystem(self) -> pyarrow.fs.FileSystem:
        """Return a pyarrow file system whose paths are relative to the root of the store."""
        fs, root = self._filesystem()
        if isinstance(fs, LocalFileSystem):
            return pyarrow.fs.SubTreeFileSystem(root or "/", pyarrow.fs.LocalFileSystem())
        handler = _MemoryHandler if isinstance(fs, MemoryFileSystem) else pyarrow.fs.FSSpecHandler
        return pyarrow.fs.SubTreeFileSystem(root, pyarrow.fs.PyFileSystem(handler(fs)))

    def _filesystem(self) -> tuple[Any, str]:
        """Return this process's fsspec file system and the root as it writes it."""
        pid = os.getpid()
        if pid not in self._opened:
            fresh = {"use_listings_cache": False, "skip_instance_cache": True}
            try:
                fs, root = url_to_fs(self.uri, **{**self.storage_options, **fresh})
            except Exception as error:
                reason = without_credentials(str(error))
                raise StoreError(f"cannot open {self.uri}: {reason}") from error
            self._opened.setdefault(pid, (fs, fs._strip_protocol(root).rstrip("/")))
        return self._opened[pid]

    def _locate(self, path: str) -> tuple[Any, str]:
        """Return the file system and the full key of a path, which cannot leave the root."""
        if not is_relative_path(path):
            raise ValueError(f"{path!r} is not a path below the root of a store")
        fs, root = self._filesystem()
        return fs, f"{root}/{path}"

    def _create_once(self, path: str, data: bytes) -> None:
        fs, key = self._locate(path)
        if isinstance(fs, LocalFileSystem):
            _create_local(Path(key), data)
        else:
            in_memory = isinstance(fs, MemoryFileSystem)
            with _memory_create if in_memory else contextlib.nullcontext():
                fs.pipe_file(key, data, mode="create")

    def _read_back(self, path: str) -> bytes | None:
        try:
            return self.get(path)
        except FileNotFoundError:
            return None

    def _retry(self, verb: str, path: str, action: Callable[[], T]) -> T:
        for delay in (*RETRY_DELAYS, None):
            try:
                return action()
            except Exception as error:
                if isinstance(error, FileNotFoundError) and verb != "write":
                    raise
                if delay is None or not _may_pass(error):
                    raise self._failure(verb, path, error) from error
            _pause(delay)
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, verb: str, path: str, error: Exception) -> StoreError:
        if isinstance(error, StoreError):
            return error
        if isinstance(error, PermissionError):
            advice = "; check the credentials, or the folder's permissions"
        elif isinstance(error, FileNotFoundError):
            advice = "; create the bucket or container first"
        else:
            advice = f"; gave up after {len(RETRY_DELAYS) + 1} attempts" * _may_pass(error)
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        what = without_credentials(what)
        return StoreError(f"cannot {verb} {self._location(path)}: {what}{advice}")

    def _location(self, path: str) -> str:
        return f"{self.uri.rstrip('/')}/{path}"


def is_relative_path(path: str) -> bool:
    """Tell whether a path names something below the root: no `..`, no empty part, no slash first.

    >>> is_relative_path("labels/a.parquet"), is_relative_path("../a"), is_relative_path("/a")
    (True, False, False)
    """
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


class _MemoryHandler(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]  # pyarrow is untyped
    """Opens each file on its own: memory:// hands every reader one object with one position."""

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.BufferReader(self.fs.cat_file(path))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)


def _normalise(uri: str) -> str:
    if not uri:
        raise StoreError("the URI of the store is empty; name a folder or a bucket")
    try:
        checked_uri(uri)
    except ValueError as error:
        raise StoreError(str(error)) from None
    if "::" in uri:
        raise StoreError(f"{uri!r} chains file systems, which cannot promise create-only writes")
    protocol, rest = split_protocol(uri)
    if protocol in (None, "file", "local"):
        return str(Path(os.path.abspath(Path(rest).expanduser())))  # noqa: PTH100  keeps symlinks
    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        extra = _EXTRAS.get(protocol)
        advice = f"; pip install 'labelmill[{extra}]'" if extra else ""
        raise StoreError(f"no installed package serves {uri!r}: {error}{advice}") from error
    return f"{protocol}://{rest.rstrip('/')}"


def _modified(info: Mapping[str, Any]) -> datetime.datetime | None:
    """Return when an object was written, which every file system calls otherwise."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(key)
        if isinstance(value, datetime.datetime):
            return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        if isinstance(value, (int, float)):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        if isinstance(value, str):
            return datetime.datetime.fromisoformat(value)
    return None


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, _PERMANENT) and (
        getattr(error, "errno", None) not in _PERMANENT_ERRNO
    )


def _pause(delay: float) -> None:
    # SystemRandom leaves the random state of the user's labeling functions alone.
    time.sleep(delay * random.SystemRandom().uniform(0.5, 1.0))


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _put_local(final: Path, data: bytes) -> None:
    with _temporary_file(final.parent, data) as temporary:
        temporary.replace(final)
        _sync_folder(final.parent)


def _create_local(final: Path, data: bytes) -> None:
    with _temporary_file(final.parent, data) as temporary:
        try:
            final.hardlink_to(temporary)
        except OSError as error:
            if error.errno in _NO_HARD_LINKS:
                raise StoreError(
                    f"{final.parent} is on a file system without hard links, which publishing a "
                    "version needs; use another disk"
                ) from error
            raise
        _sync_folder(final.parent)


@contextlib.contextmanager
def _temporary_file(folder: Path, data: bytes) -> Iterator[Path]:
    """Write data to disk under a name in the folder that readers ignore; gone afterwards."""
    _make_folder(folder)
    path = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    # os.open applies the umask, which tempfile does not.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for created in missing:
        _sync_folder(created.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
