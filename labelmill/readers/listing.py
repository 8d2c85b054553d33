"""From input URIs to files: listing, names, and format and compression by suffix."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from labelmill.errors import CorpusError
from labelmill.readers.files import (
    COMPRESSIONS,
    StorageOptions,
    fingerprint,
    full_uri,
    planning,
    resolve,
)

FORMATS = ("parquet", "jsonl", "csv")

_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
_MAGIC = frozenset("*?[")
_THREADS = 16


@dataclass(frozen=True)
class SourceFile:
    """One file of the corpus: where it is, what it holds, and how to notice that it changed."""

    fs: AbstractFileSystem
    path: str
    uri: str
    name: str
    size: int
    fingerprint: str
    format: str
    compression: str | None
    tabs: bool  # a .tsv file

    @property
    def cuttable(self) -> bool:
        """Whether the file can be read from the middle."""
        return self.compression is None


class Listing(NamedTuple):
    """The files of a corpus.

    Attributes:
        files: sorted by name.
        warnings: about files that were skipped.
    """

    files: list[SourceFile]
    warnings: list[str]


def list_files(
    uris: str | Sequence[str], *, file_format: str | None, storage_options: StorageOptions
) -> Listing:
    """Every file that the input URIs name, sorted by name, and warnings about skipped ones.

    Raises:
        CorpusError: if a URI matches nothing, a file's format is unknown, or formats are mixed.
    """
    if file_format is not None and file_format not in FORMATS:
        raise CorpusError(f"unknown input format {file_format!r}; one of {', '.join(FORMATS)}")
    several = [uris] if isinstance(uris, str) else list(uris)
    if not several:
        raise CorpusError("input uri is empty; name at least one file, folder or glob")
    found: dict[str, SourceFile] = {}
    warnings: list[str] = []
    for uri in several:
        fs, path = resolve(uri, storage_options)
        with planning(f"input uri {uri}", "listed"):
            entries, base, recursive = _list(fs, path)
        if recursive and file_format is None:
            known = {p: info for p, info in entries.items() if _format_of(p)[0]}
            if skipped := sorted(set(entries) - set(known)):
                warnings.append(
                    f"skipped {len(skipped)} files of {uri} whose suffix names no format, "
                    f"e.g. {full_uri(fs, skipped[0])}"
                )
            entries = known
        if not entries:
            raise CorpusError(f"input uri {uri} matches no files")

        def describe(
            entry: tuple[str, Mapping[str, Any]],
            fs: AbstractFileSystem = fs,
            base: str = base,
        ) -> SourceFile:
            name = full_uri(fs, entry[0]) if len(several) > 1 else _relative(entry[0], base)
            return _source_file(fs, entry[0], entry[1], name, file_format)

        with ThreadPoolExecutor(_THREADS) as pool:
            for file in pool.map(describe, entries.items()):
                found.setdefault(_identity(file), file)
    files = sorted(found.values(), key=lambda file: file.name)
    _check_one_format(files)
    return Listing(files, warnings)


def _identity(file: SourceFile) -> str:
    """What two spellings of one file have in common."""
    local = isinstance(file.fs, LocalFileSystem)
    return os.path.realpath(file.path) if local else file.uri


def _list(fs: AbstractFileSystem, path: str) -> tuple[dict[str, Mapping[str, Any]], str, bool]:
    """Entries by path, the base folder of their names, and whether a folder was walked."""
    if fs.isfile(path):  # first, so that a name may hold [ or *
        return {path: fs.info(path)}, path.rpartition("/")[0], False
    if not _MAGIC.isdisjoint(path) and not fs.isdir(path):
        parts = path.split("/")
        static = next(i for i, part in enumerate(parts) if not _MAGIC.isdisjoint(part))
        base = "/".join(parts[:static])
        entries = fs.glob(path, detail=True)
        if any(part.startswith((".", "_")) for part in parts[static:]):
            base_of_hidden = None  # asked for by name
        else:
            base_of_hidden = base
        files = _only_files(entries, base_of_hidden)
        if files:
            return files, base, False
        walked: dict[str, Mapping[str, Any]] = {}
        for folder in entries:  # a glob of folders, data/day=*
            walked |= _only_files(fs.find(folder, detail=True), base_of_hidden or folder)
        return walked, base, True
    if fs.isdir(path):
        base = path.rstrip("/")
        return _only_files(fs.find(path, detail=True), base), base, True
    return {}, path, False


def _only_files(
    entries: Mapping[str, Mapping[str, Any]], base: str | None
) -> dict[str, Mapping[str, Any]]:
    """Entries that are files; with a base also not hidden (`_x`, `.x`) anywhere below it."""
    return {
        path: info
        for path, info in entries.items()
        if info["type"] != "directory"
        and not path.endswith("/")
        and (base is None or not _hidden(_relative(path, base)))
    }


def _hidden(relative: str) -> bool:
    return any(part.startswith(("_", ".")) for part in relative.split("/"))


def _relative(path: str, base: str) -> str:
    return path[len(base) :].lstrip("/")


def _format_of(path: str) -> tuple[str | None, str | None, bool]:
    """Format by suffix (None if it names none), compression by suffix, and whether it is .tsv."""
    plain = PurePosixPath(path.lower())
    compression = COMPRESSIONS.get(plain.suffix)
    if compression:
        plain = plain.with_suffix("")
    return _SUFFIXES.get(plain.suffix), compression, plain.suffix == ".tsv"


def _source_file(
    fs: AbstractFileSystem, path: str, info: Mapping[str, Any], name: str, file_format: str | None
) -> SourceFile:
    uri = full_uri(fs, path)
    by_suffix, compression, tabs = _format_of(path)
    chosen = file_format or by_suffix
    if chosen is None:
        raise CorpusError(
            f"the suffix of {uri} names no format; set input.format to one of {', '.join(FORMATS)}"
        )
    if chosen == "parquet" and compression:
        raise CorpusError(
            f"{uri} is a compressed Parquet file; decompress it, Parquet does its own"
        )
    return SourceFile(
        fs=fs,
        path=path,
        uri=uri,
        name=name,
        size=int(info["size"]),
        fingerprint=fingerprint(fs, path, info),
        format=chosen,
        compression=compression,
        tabs=tabs,
    )


def _check_one_format(files: Sequence[SourceFile]) -> None:
    first = files[0]
    for file in files:
        if file.format != first.format:
            raise CorpusError(
                f"the input mixes formats: {first.uri} is {first.format}, {file.uri} is "
                f"{file.format}; narrow input.uri to one of them, or set input.format"
            )
