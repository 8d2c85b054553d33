"""Shard: the piece of a corpus file that is planned, read, stored and reused as one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Shard:
    """A piece of a file: the unit of work, retry and reuse.

    Attributes:
        uri: full fsspec URL, or absolute local path.
        name: path relative to the static (glob-free) folder of the input URI, the base name when
            that is one file; the full uri when the input is a list of several. Ids are made of
            it, so they stay when the corpus moves.
        format: "parquet", "jsonl" or "csv".
        compression: "gzip", "bz2", "zstd", "xz" or None; always None for Parquet.
        start: first row group, or first byte; 0 for a compressed file.
        stop: row group or byte after the last; the file's size for a compressed file.
        first_row: 0-based row number in the file of the first record; -1 when not counted.
        rows: number of rows if known (Parquet, text files without rows).
        size: bytes: uncompressed for Parquet, as stored for text.
        fingerprint: of the file; changes when the file does.
        delimiter: between CSV fields.
        multiline: whether a CSV value may hold line breaks.
        first_line: 1-based physical line at which a text shard begins; -1 when not counted.
    """

    uri: str
    name: str
    format: str
    compression: str | None
    start: int
    stop: int
    first_row: int
    rows: int | None
    size: int
    fingerprint: str
    delimiter: str = ","
    multiline: bool = True
    first_line: int = 1

    @property
    def id(self) -> str:
        """16 hex digits of (name, start, stop), the same in every run, whatever the content."""
        key = f"{self.name}\0{self.start}\0{self.stop}".encode()
        return hashlib.blake2b(key, digest_size=8).hexdigest()

    def to_dict(self) -> dict[str, Any]:  # str, int, bool or None
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Shard:
        """The shard of `to_dict`."""
        return cls(**fields)
