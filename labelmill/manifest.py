"""The manifest of one version: what it is, what it was made from, and each of its files.

Plain values and their canonical JSON. Where manifests are stored is decided in `versions`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, get_args

from labelmill.errors import CorruptFileError, NewerFormatError
from labelmill.store import StoredFile, is_relative_path

FORMAT_VERSION = 2
"""The manifest format that this code writes, and the newest that it reads.

Format 1 has no files of the kinds ``code`` and ``resource``; it is read as it is.
"""

FileKind = Literal[
    "votes",
    "patterns",
    "faults",
    "ids",
    "labels",
    "model",
    "report",
    "code",
    "resource",
    "assist",
    "slices",
]

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """One file of a version.

    Attributes:
        kind: What the file holds.
        shard: The shard it was made from; None for a file of the whole version.
        path: Where it is, relative to the root of the data set.
        rows: Its rows; 0 for a file that is no table.
        bytes: Its size.
        sha256: Its content's SHA-256 in hexadecimal.
    """

    kind: FileKind
    shard: str | None
    path: str
    rows: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if self.kind not in get_args(FileKind):
            raise ValueError(f"file kind {self.kind!r} is none of {get_args(FileKind)}")
        if self.shard is not None:
            _check_type("shard", self.shard, str)
        _check_type("path", self.path, str)
        if not is_relative_path(self.path):
            raise ValueError(f"{self.path!r} is not a path below the root of the data set")
        _check_count("rows", self.rows)
        _check_count("bytes", self.bytes)
        _check_type("sha256", self.sha256, str)
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.path}: {self.sha256!r} is not a SHA-256 digest")

    @classmethod
    def of(cls, file: StoredFile, *, kind: FileKind, rows: int, shard: str | None) -> FileEntry:
        """Describe a file that was just stored."""
        return cls(kind, shard, file.path, rows, file.bytes, file.sha256)

    @property
    def stored_file(self) -> StoredFile:
        """The file as the store knows it."""
        return StoredFile(self.path, self.bytes, self.sha256)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One published version of a data set.

    Mappings hold JSON values only and are copied. The order of `files` carries no meaning: they
    are sorted, so that the digest does not depend on the order in which workers finished.

    Attributes:
        format_version: Format of the manifest itself.
        version: Number of the version, from 1.
        parent: Number of the version that this one was planned on; None for the first.
        parent_digest: Content digest of the parent.
        name: Name of the job.
        class_names: The classes, in the order of the columns of `probs`.
        lfs: The labeling functions: name, fingerprint, kind and so on.
        inputs_digest: Digest of all that determines the result. When it equals that of the
            current version there is nothing to do.
        spec: The job as it ran.
        shards: The shards, in the order of the plan.
        files: Every file of the version.
        model_digest: Digest of the label model's parameters.
        counts: Exact totals over all shards.
        summary: What the report says about the label model.
        gates: The gates and their results.
        run: Who made the version: run id, time, runner, labelmill version. It is no part of the
            content digest, so that a replay of the same work is the same version.
    """

    format_version: int = FORMAT_VERSION
    version: int
    parent: int | None
    parent_digest: str | None
    name: str
    class_names: tuple[str, ...]
    # The mappings hold JSON, whose values are Any to the type checker.
    lfs: tuple[Mapping[str, Any], ...]
    inputs_digest: str
    spec: Mapping[str, Any]
    shards: tuple[Mapping[str, Any], ...]
    files: tuple[FileEntry, ...]
    model_digest: str
    counts: Mapping[str, Any]
    summary: Mapping[str, Any]
    gates: tuple[Mapping[str, Any], ...]
    run: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("format_version", "version"):
            _check_count(name, getattr(self, name), least=1)
        if self.parent is not None:
            _check_count("parent", self.parent, least=1)
            _check_type("parent_digest", self.parent_digest, str)
        elif self.parent_digest is not None:
            raise ValueError(f"parent_digest {self.parent_digest!r} without a parent")
        for name in ("name", "inputs_digest", "model_digest"):
            _check_type(name, getattr(self, name), str)
        for class_name in self.class_names:
            _check_type("class_names", class_name, str)
        object.__setattr__(self, "class_names", tuple(self.class_names))
        for name in ("spec", "counts", "summary", "run"):
            _check_type(name, getattr(self, name), Mapping)
            object.__setattr__(self, name, _plain(getattr(self, name), name))
        for name in ("lfs", "shards", "gates"):
            for item in getattr(self, name):
                _check_type(name, item, Mapping)
            object.__setattr__(self, name, tuple(_plain(getattr(self, name), name)))
        for path, count in Counter(file.path for file in self.files).items():
            if count > 1:
                raise ValueError(f"{path} is listed {count} times")
        object.__setattr__(self, "files", tuple(sorted(self.files, key=_file_order)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of everything but `run`: the identity of the version."""
        return hashlib.sha256(_canonical_json(self._document(without=("run",)))).hexdigest()

    def files_of(self, kind: FileKind) -> tuple[FileEntry, ...]:
        """The files of one kind, ordered by shard."""
        return tuple(file for file in self.files if file.kind == kind)

    def to_bytes(self) -> bytes:
        """Write canonical JSON: sorted keys, ASCII, the content digest included."""
        return _canonical_json({**self._document(), "digest": self.digest})

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "manifest") -> Manifest:
        """Read what `to_bytes` wrote.

        Args:
            data: The JSON.
            source: What errors call it.

        Raises:
            CorruptFileError: It is no manifest, does not match its own digest, or has a format
                newer than this code.
        """
        try:
            document = json.loads(data)
            newer = document["format_version"] > FORMAT_VERSION
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise CorruptFileError(f"{source} is not a manifest: {_reason(error)}") from error
        if newer:
            raise NewerFormatError(
                f"{source} has format {document['format_version']}, written by a newer labelmill; "
                f"this one reads up to format {FORMAT_VERSION}. Upgrade labelmill."
            )
        try:
            digest = document.pop("digest")
            files = tuple(FileEntry(**entry) for entry in document.pop("files"))
            manifest = cls(files=files, **document)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise CorruptFileError(f"{source} is malformed: {_reason(error)}") from error
        if manifest.digest != digest:
            raise CorruptFileError(
                f"{source} has content digest {manifest.digest} instead of {digest}, which it names"
            )
        return manifest

    def _document(self, without: tuple[str, ...] = ()) -> dict[str, Any]:
        document = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in without}
        return {**document, "files": [asdict(file) for file in self.files]}


def _file_order(file: FileEntry) -> tuple[str, str, str]:
    return file.kind, file.shard or "", file.path


def _canonical_json(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def _plain(value: Any, where: str) -> Any:
    """Copy a value into what JSON gives back for it, or say where it is no JSON."""
    if value is None or isinstance(value, bool):
        return value
    for scalar in (str, int):
        if isinstance(value, scalar):
            return scalar(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON cannot hold")
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            _check_type(f"a key of {where}", key, str)
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def _check_type(name: str, value: object, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{name} is {value!r}, expected {expected.__name__}")


def _check_count(name: str, value: object, least: int = 0) -> None:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}, expected an integer from {least}")


def _reason(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
