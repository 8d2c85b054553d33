"""Text in data files: decompressed and decoded, as a list of entries or as its suffix says."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from labelmill.errors import LabelingFunctionError
from labelmill.filecache import prefix

if TYPE_CHECKING:
    from labelmill.datafiles import DataFile

DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()),
}
"""How files are decompressed, by suffix."""

LOADERS: Mapping[str, Callable[[str], Any]] = {
    ".txt": str.splitlines,
    ".json": json.loads,
    ".jsonl": lambda text: [json.loads(line) for line in text.split("\n") if line.strip()],
    ".csv": lambda text: list(csv.DictReader(text.splitlines(keepends=True))),
    ".tsv": lambda text: list(csv.DictReader(text.splitlines(keepends=True), delimiter="\t")),
}
"""What becomes of the text of a resource, by suffix."""


def decoded(file: DataFile, content: bytes, needed_by: str = "") -> str:
    """Return the content of a text file: decompressed by suffix, UTF-8, without a byte order mark.

    Raises:
        LabelingFunctionError: It is not UTF-8 (the line is named), or does not decompress.
    """
    decompress = DECOMPRESS.get(PurePosixPath(file.name).suffix.lower())
    try:
        data = decompress(content) if decompress else content
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise LabelingFunctionError(
            f"{prefix(needed_by)}{file} does not decompress as its suffix says: {error}"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LabelingFunctionError(
            f"{prefix(needed_by)}{file}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; "
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
            f"{prefix(needed_by)}{file} lists nothing; it takes one entry per line, and lines "
            "that begin with # are comments (write \\#tag for the entry #tag)"
        )
    return entries
