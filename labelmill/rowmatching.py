"""Matching rows of two tables by id, in memory and, for tables that are larger, through disk."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.hashing import text_hashes

Ints = npt.NDArray[np.int64]

_SEED = 7


def match_ids(before: pa.Array, after: pa.Array) -> tuple[Ints, Ints]:
    """Return which rows have the same id.

    An id that occurs several times is matched in order: its first row with the first, and so on.

    Args:
        before: string array, shape (n,).
        after: string array, shape (m,).

    Returns:
        Positions in `before`, ascending, and for each the position in `after`; int64, shape (k,).

    Example:
        >>> [p.tolist() for p in match_ids(pa.array(["a", "b", "a"]), pa.array(["a", "c", "a"]))]
        [[0, 2], [0, 2]]
    """
    if before.equals(after):
        every = np.arange(len(before))
        return every, every
    codes = pa.concat_arrays([before, after]).dictionary_encode().indices
    mine, theirs = np.split(np.asarray(codes).astype(np.int64), [len(before)])
    keys = _with_occurrence(mine, theirs)
    _, positions, others = np.intersect1d(*keys, assume_unique=True, return_indices=True)
    order = np.argsort(positions)
    return positions[order], others[order]


def _with_occurrence(before: Ints, after: Ints) -> tuple[Ints, Ints]:
    """Return codes that are unique: each with how often it occurred before it."""
    occurrences = [_occurrence(codes) for codes in (before, after)]
    most = 1 + max(int(n.max(initial=0)) for n in occurrences)
    return before * most + occurrences[0], after * most + occurrences[1]


def _occurrence(codes: Ints) -> Ints:
    """Return for each entry how many equal ones stand before it."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(np.append(starts, len(codes)))
    result = np.empty(len(codes), dtype=np.int64)
    result[order] = np.arange(len(codes)) - np.repeat(starts, sizes)
    return result


class SpilledRows:
    """Rows on disk, split by a hash of their id, so that parts of two tables can be matched.

    Args:
        folder: An empty or missing folder for the parts.
        schema: Of the rows; it has a column ``id``.
        parts: Number of parts.
    """

    def __init__(self, folder: Path, schema: pa.Schema, parts: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._schema = schema
        self._paths = [folder / f"{part}.arrow" for part in range(parts)]
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}

    def add(self, rows: pa.RecordBatch) -> None:
        """Add rows."""
        self.rows += rows.num_rows
        part_of = text_hashes(rows.column("id"), seed=_SEED) % np.uint64(len(self._paths))
        order = np.argsort(part_of, kind="stable")
        edges = np.searchsorted(part_of[order], np.arange(len(self._paths) + 1, dtype=np.uint64))
        for part, (start, stop) in enumerate(itertools.pairwise(edges)):
            if start < stop:
                if part not in self._writers:
                    sink = str(self._paths[part])
                    self._writers[part] = pa.ipc.new_file(sink, self._schema)
                self._writers[part].write_batch(rows.take(pa.array(order[start:stop])))

    def parts(self) -> Iterator[pa.RecordBatch]:
        """Yield the parts, each whole, always in the same order; nothing can be added any more."""
        for writer in self._writers.values():
            writer.close()
        for part, path in enumerate(self._paths):
            if part in self._writers:
                with pa.OSFile(str(path)) as file:
                    table = pa.ipc.open_file(file).read_all().combine_chunks()
                yield table.to_batches()[0]
            else:
                yield empty(self._schema)


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch without rows."""
    return pa.RecordBatch.from_pylist([], schema=schema)
