"""Vote batches: the sparse Arrow form in which votes are stored and travel, and its arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.errors import CorruptFileError

GOLD = "gold"
"""Optional int16 column of a vote batch: the class index of a gold label, null where unknown."""

GOLD_FIT = "gold_fit"
"""Optional bool column beside it: whether the gold informs the fit, where a gold file says so."""

_LF_TABLE = b"labelmill.lfs"


@dataclass(frozen=True)
class LFInfo:
    """One row of the LF table: what an index in a vote batch stands for.

    Attributes:
        name: The function's name.
        fingerprint: Digest of all that determines its votes on a record.
        kind: keywords, regex, python or batch.
    """

    name: str
    fingerprint: str
    kind: str = "python"


@dataclass(frozen=True)
class LFTable:
    """The labeling functions and classes that the indices of a vote batch refer to.

    Attributes:
        lfs: In the order of their indices.
        class_names: In the order of the class indices.
    """

    lfs: tuple[LFInfo, ...]
    class_names: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The functions' names, in index order."""
        return tuple(lf.name for lf in self.lfs)

    def grown(self, n: int) -> LFTable:
        """Return this table with functions without a fingerprint added until it has `n`."""
        more = [LFInfo(f"candidate {k}", "") for k in range(len(self.lfs), n)]
        return LFTable((*self.lfs, *more), self.class_names)

    def to_json(self) -> str:
        """Return the table as canonical JSON."""
        return self._json

    @cached_property
    def _json(self) -> str:
        lfs = [{"name": lf.name, "fingerprint": lf.fingerprint, "kind": lf.kind} for lf in self.lfs]
        value = {"lfs": lfs, "class_names": list(self.class_names)}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> LFTable:
        """Read a table that `to_json` wrote."""
        value: Mapping[str, Any] = json.loads(text)
        return cls(tuple(LFInfo(**lf) for lf in value["lfs"]), tuple(value["class_names"]))


def votes_schema(table: LFTable, *, gold: bool = False) -> pa.Schema:
    """Return the schema of a vote batch: ``id, lfs, labels`` and, if asked, ``gold``.

    Indices never travel without their meaning: the LF table is in the schema metadata.
    """
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("lfs", pa.list_(pa.int32()), nullable=False),
        pa.field("labels", pa.list_(pa.int16()), nullable=False),
    ]
    if gold:
        fields.append(pa.field(GOLD, pa.int16()))
    return pa.schema(fields, metadata={_LF_TABLE: table.to_json().encode()})


def lf_table(schema: pa.Schema) -> LFTable:
    """Return the LF table in the metadata of a vote schema.

    Raises:
        CorruptFileError: The schema carries none.
    """
    metadata = schema.metadata or {}
    if _LF_TABLE not in metadata:
        raise CorruptFileError(
            f"votes without an LF table (schema metadata {_LF_TABLE.decode()!r}): their indices "
            "mean nothing; write them with labelmill.votes.votes_schema"
        )
    return _table_of(metadata[_LF_TABLE])


@lru_cache(maxsize=8)
def _table_of(text: bytes) -> LFTable:
    return LFTable.from_json(text)


@dataclass(frozen=True)
class VoteArrays:
    """The votes of a batch as numpy arrays, row-compressed.

    Attributes:
        indptr: int64, shape (rows + 1,): votes of row i are ``[indptr[i], indptr[i + 1])``.
        lfs: int32, shape (votes,), ascending within a row.
        labels: int16, shape (votes,): class indices.
    """

    indptr: npt.NDArray[np.int64]
    lfs: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int16]

    def without(self, dropped: Sequence[int]) -> VoteArrays:
        """Return the votes with those of the functions `dropped` taken out."""
        if not dropped:
            return self
        keep = ~np.isin(self.lfs, np.asarray(dropped, dtype=np.int32))
        before = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
        return VoteArrays(before[self.indptr], self.lfs[keep], self.labels[keep])


def pack_votes(
    ids: pa.Array, codes: npt.NDArray[np.int16], table: LFTable, gold: pa.Array | None = None
) -> pa.RecordBatch:
    """Make a vote batch from a dense block of votes.

    Args:
        ids: string array, shape (n,).
        codes: int16, shape (m, n): class index, or negative where the function did not vote.
        table: The m functions and the classes.
        gold: Optional int16 array, shape (n,).

    Returns:
        A batch with the schema of `votes_schema`.
    """
    lfs, rows = np.nonzero(codes >= 0)
    return pack_sparse_votes(
        ids, rows, lfs, codes[lfs, rows], votes_schema(table, gold=gold is not None), gold
    )


def pack_sparse_votes(
    ids: pa.Array,
    rows: npt.NDArray[np.int64],
    lfs: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int16],
    schema: pa.Schema,
    gold: pa.Array | None = None,
) -> pa.RecordBatch:
    """Make a vote batch from single votes, in any order, each function and row once.

    Args:
        ids: string array, shape (n,).
        rows: int64, shape (votes,).
        lfs: int64, shape (votes,).
        labels: int16, shape (votes,): class indices.
        schema: What `votes_schema` gave for the table, with gold if there is any.
        gold: Optional int16 array, shape (n,).
    """
    order = _by_row_and_lf(rows, lfs)
    offsets = np.zeros(len(ids) + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=len(ids)), out=offsets[1:])
    columns = [
        ids,
        pa.ListArray.from_arrays(offsets, pa.array(lfs[order].astype(np.int32))),
        pa.ListArray.from_arrays(offsets, pa.array(labels[order].astype(np.int16))),
    ]
    if gold is not None:
        columns.append(gold)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _by_row_and_lf(
    rows: npt.NDArray[np.int64], lfs: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the order of votes by row, then by function; numbers of 16 bits sort fastest."""
    most = max(int(rows.max(initial=0)), int(lfs.max(initial=0)))
    kind = np.uint16 if most < 1 << 16 else np.int64
    order = np.argsort(lfs.astype(kind), kind="stable")
    return order[np.argsort(rows[order].astype(kind), kind="stable")]


def unpack_votes(batch: pa.RecordBatch) -> VoteArrays:
    """Return the votes of a vote batch as arrays; slices of larger batches are handled."""
    lfs, labels = batch.column("lfs"), batch.column("labels")
    offsets = np.asarray(lfs.offsets).astype(np.int64)
    return VoteArrays(
        offsets - offsets[0],
        np.asarray(lfs.flatten()),
        np.asarray(labels.flatten()),
    )


def gold_array(batch: pa.RecordBatch) -> npt.NDArray[np.int16]:
    """Return the gold column of a vote batch as int16, -1 where unknown or absent."""
    if GOLD not in batch.schema.names:
        return np.full(batch.num_rows, -1, dtype=np.int16)
    return np.asarray(batch.column(GOLD).fill_null(-1), dtype=np.int16)
