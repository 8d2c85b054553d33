"""Opening corpus files through fsspec, and telling whether one is still what was planned."""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFile

from labelmill.errors import CorpusError, CorpusReadError
from labelmill.shard import Shard
from labelmill.uris import checked_uri, without_credentials

StorageOptions = Mapping[str, Any] | None  # values are whatever the fsspec backend takes

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}

_STRONG_KEYS = ("generation", "etag", "ETag", "md5Hash", "content_md5", "crc32c")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "modified")


# Not all that the clients of stores raise is an OSError.
_CLIENTS = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google"}
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, pa.ArrowException)


def resolve(uri: str, storage_options: StorageOptions = None) -> tuple[AbstractFileSystem, str]:
    """The file system of a URI, with its listing cache off, and the path on it.

    Raises:
        CorpusError: if the protocol is unknown, its package is not installed, URLs are chained, or
            it holds credentials.
    """
    if "::" in uri:
        raise CorpusError(
            f"input uri {uri} chains URLs with '::'; give the URL of the store itself"
        )
    try:
        checked_uri(uri)
    except ValueError as error:
        raise CorpusError(f"input uri {error}") from None
    try:
        fs, path = url_to_fs(uri, use_listings_cache=False, **(storage_options or {}))
    except Exception as error:  # clients that ask for a token raise whatever their library does
        reason = without_credentials(str(error))
        raise CorpusError(f"input uri {uri} cannot be opened: {reason}") from error
    fs.invalidate_cache()
    return fs, path


def full_uri(fs: AbstractFileSystem, path: str) -> str:
    """The full URL of a path, or the absolute path itself on the local file system."""
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def fingerprint(fs: AbstractFileSystem, path: str, info: Mapping[str, Any] | None = None) -> str:
    """What changes when a file changes: generation, etag or checksum, else size and time.

    Args:
        fs: file system of the file.
        path: path on it.
        info: the file's entry of a listing, to save a request when it says enough.
    """
    if isinstance(fs, LocalFileSystem):
        stat = Path(path).stat()
        # ctime too: archives and rsync give another content the time of the first
        return f"size-mtime-ctime:{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"
    for known in (info, None):
        entry = fs.info(path) if known is None else known
        for key in _STRONG_KEYS:
            if entry.get(key):
                return f"{key.lower()}:{str(entry[key]).strip(chr(34))}"
    times = [entry[key] for key in _TIME_KEYS if entry.get(key)]
    if not times:
        try:
            times = [fs.modified(path)]
        except NotImplementedError:
            times = [""]
    return f"size-mtime:{entry['size']}-{times[0]}"


def open_raw(fs: AbstractFileSystem, path: str) -> BinaryIO:
    """Open a file for reading bytes, with a position of its own."""
    handle = fs.open(path, "rb")
    if isinstance(handle, MemoryFile):  # one object for all readers: threads would share its seek
        return BytesIO(handle.getvalue())
    return cast(BinaryIO, handle)


@contextmanager
def open_stream(fs: AbstractFileSystem, path: str, compression: str | None) -> Iterator[BinaryIO]:
    """Open a file for reading its decompressed bytes, in order."""
    with open_raw(fs, path) as raw:
        if compression is None:
            yield raw
        elif compression == "xz":
            with lzma.open(raw) as stream:
                yield cast(BinaryIO, stream)
        else:  # Arrow's are faster than the standard library's, and know zstd
            with pa.CompressedInputStream(pa.PythonFile(raw, "r"), compression) as stream:
                yield stream


def resolve_planned(
    shard: Shard, storage_options: StorageOptions
) -> tuple[AbstractFileSystem, str]:
    """The file system and path of a shard whose file is still the one that was planned.

    Raises:
        CorpusReadError: if the file changed or vanished since.
    """
    fs, path = resolve(shard.uri, storage_options)
    with reading(shard.uri):
        now = fingerprint(fs, path)
    if now != shard.fingerprint:
        raise CorpusReadError(
            f"{shard.uri} changed since it was planned; run again "
            f"(planned {shard.fingerprint}, now {now})"
        )
    return fs, path


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turn errors of storage, decompression and Parquet into `CorpusReadError` naming the file."""
    try:
        yield
    except CorpusReadError:
        raise
    except FileNotFoundError as error:
        raise CorpusReadError(f"{uri} vanished since it was planned; run again") from error
    except Exception as error:
        if not _is_unreadable(error):
            raise
        raise CorpusReadError(f"{uri} cannot be read: {without_credentials(str(error))}") from error


@contextmanager
def planning(uri: str, verb: str = "read") -> Iterator[None]:
    """Turn errors of storage, decompression and Parquet into `CorpusError` naming the file."""
    try:
        yield
    except Exception as error:
        if not _is_unreadable(error):
            raise
        reason = without_credentials(str(error))
        raise CorpusError(f"{uri} cannot be {verb}: {reason}") from error


def _is_unreadable(error: Exception) -> bool:
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, _UNREADABLE) or package in _CLIENTS
