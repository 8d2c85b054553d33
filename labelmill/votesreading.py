"""Reading a vote table: rows in any order become sorted arrays, in little memory."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from labelmill.errors import LabelingFunctionError
from labelmill.hashing import digest_of, pair_lanes, text_hashes
from labelmill.keyindex import KeyIndex
from labelmill.loadedvotes import LoadedVotes
from labelmill.records import ID

if TYPE_CHECKING:
    from labelmill.votetable import VoteTable

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

MAX_VALUES = 10_000
"""Distinct votes that a table may have; more are a sign of the wrong column."""

_PIECE = 1 << 20


class HashCollisionError(Exception):
    """Two items of a file have one hash; reading the file again with ``exact=True`` settles it."""


class VotesReading:
    """Collects the rows of a file, whatever their order, into the arrays of `LoadedVotes`.

    Args:
        table: The file and its columns.
        needed_by: The function that needs it, for messages.
        exact: Tell items apart by their text alone, in more memory.

    Raises:
        HashCollisionError: From `add` and `finish`: items have to be told apart by their text.
    """

    def __init__(self, table: VoteTable, needed_by: str, *, exact: bool = False) -> None:
        self._table = table
        self._needed_by = needed_by
        self._items = _ExactItems() if exact else _Items()
        self._sources, self._values = _Encoding(), _Encoding()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows; those without a vote are left out."""
        votes = batch.column(self._table.vote)
        if pt.is_nested(votes.type):
            raise self._error(
                f"column {self._table.vote!r} is {votes.type}; votes are class names or indices"
            )
        rows = batch.filter(pa.array(~_is_abstain(votes)))
        sources = rows.column(self._table.source)
        if not (pt.is_string(sources.type) or pt.is_integer(sources.type)):
            raise self._error(
                f"column {self._table.source!r} is {sources.type}; sources are text or numbers "
                "without fraction"
            )
        sources = sources.cast(pa.string())
        unnamed = np.flatnonzero(~np.asarray(pc.fill_null(pc.not_equal(sources, ""), False)))
        if len(unnamed):
            raise self._error(
                f"column {self._table.source!r} is empty in a vote on item "
                f"{rows.column(ID)[unnamed[0]].as_py()!r}; name the source, or leave the row out"
            )
        self._items.add(rows.column(ID))
        self._sources.add(sources)
        self._values.add(rows.column(self._table.vote))

    def finish(self) -> LoadedVotes:
        """Sort, check and index what was added."""
        index, item_of = self._items.finish()
        names, source_of = self._sources.finish()
        values, value_of = self._values.finish()
        if not len(item_of):
            raise self._error(f"no vote in column {self._table.vote!r}")
        if len(values) > MAX_VALUES:
            raise self._error(
                f"column {self._table.vote!r} has {len(values):,} distinct values; is it the right "
                f"one? (limit {MAX_VALUES:,})"
            )
        if len(index) * len(names) * len(values) >= 1 << 63:
            raise self._error(
                f"{len(index):,} items, {len(names):,} sources and {len(values):,} distinct votes "
                "are too many for one table; split it"
            )
        order = sorted(range(len(names)), key=lambda n: _natural(names[n].as_py()))
        keys = item_of
        keys *= len(names)
        keys += _ranks(np.array(order, dtype=np.int64))[source_of]
        keys *= len(values)
        keys += value_of
        del source_of, value_of
        keys.sort()
        distinct = [_voted(value) for value in values.to_pylist()]
        return _assembled(keys, index, tuple(names[n].as_py() for n in order), distinct)

    def _error(self, problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"{self._needed_by}: {self._table.file}: {problem}")


class _Items:
    """The items of a file as an index, and a position in it per row.

    Items are told apart by hash, which is checked against their text wherever parts of the file
    have one in common.
    """

    def __init__(self) -> None:
        self._waiting: list[pa.Array] = []
        self._waiting_rows = 0
        self._parts: list[tuple[npt.NDArray[np.int32], Hashes]] = []
        self._hashes: list[Hashes] = [np.empty(0, dtype=np.uint64)]  # the first are the merged
        self._texts: list[pa.Array] = [pa.array([], pa.large_string())]

    def add(self, ids: pa.Array) -> None:
        """Add ids."""
        self._waiting.append(ids)
        self._waiting_rows += len(ids)
        if self._waiting_rows >= _PIECE:
            self._encode()

    def _encode(self) -> None:
        encoded = pa.concat_arrays(self._waiting).dictionary_encode()
        self._waiting, self._waiting_rows = [], 0
        hashes = text_hashes(encoded.dictionary)
        order = np.argsort(hashes)  # searching and merging are several times faster in order
        hashes = hashes[order]
        codes = _ranks(order).astype(np.int32)[np.asarray(encoded.indices)]
        self._parts.append((codes, hashes))
        self._hashes.append(hashes)
        self._texts.append(encoded.dictionary.take(pa.array(order)).cast(pa.large_string()))
        if sum(map(len, self._hashes[1:])) > max(len(self._hashes[0]), _PIECE):
            self._merge()

    def _merge(self) -> None:
        hashes, first, same = np.unique(
            np.concatenate(self._hashes), return_index=True, return_inverse=True
        )
        texts = pa.concat_arrays(self._texts)
        kept = texts.take(pa.array(first))
        if not np.asarray(pc.equal(texts, kept.take(pa.array(same)))).all():
            raise HashCollisionError("two items have the same 64-bit hash")
        self._hashes, self._texts = [hashes], [kept]

    def finish(self) -> tuple[KeyIndex, Ints]:
        """Return the index, and each row's position in it: items are in the order of hashes."""
        if self._waiting:
            self._encode()
        self._merge()
        index = KeyIndex(self._texts.pop())
        rows = sum(len(codes) for codes, _ in self._parts)
        positions = np.empty(rows, dtype=np.int64)
        at = 0
        for codes, hashes in self._parts:
            positions[at : at + len(codes)] = np.searchsorted(index.hashes, hashes)[codes]
            at += len(codes)
        self._parts.clear()
        return index, positions


class _Encoding:
    """One column of a file as distinct values and a code per row."""

    def __init__(self) -> None:
        self._parts: list[pa.DictionaryArray] = []
        self._pending = 0
        self._merged = 0

    def add(self, values: pa.Array) -> None:
        """Add values; now and then distinct ones of several parts are made one."""
        part = values.dictionary_encode()
        self._parts.append(part)
        self._pending += len(part.dictionary)
        if self._pending > max(self._merged, _PIECE):
            self._merge()

    def _merge(self) -> None:
        whole = pa.chunked_array(self._parts).unify_dictionaries().combine_chunks()
        self._parts = [whole]
        self._pending, self._merged = 0, len(whole.dictionary)

    def finish(self) -> tuple[pa.Array, npt.NDArray[np.int32]]:
        """Return the distinct values, and the position of each row's among them."""
        if not self._parts:
            return pa.array([], pa.string()), np.empty(0, dtype=np.int32)
        self._merge()
        whole = self._parts.pop()
        return whole.dictionary, np.asarray(whole.indices)


class _ExactItems:
    """As `_Items`, by text alone."""

    def __init__(self) -> None:
        self._encoding = _Encoding()

    def add(self, ids: pa.Array) -> None:
        """Add ids."""
        self._encoding.add(ids)

    def finish(self) -> tuple[KeyIndex, Ints]:
        """Return the index, and each row's position in it."""
        texts, codes = self._encoding.finish()
        index = KeyIndex(texts)
        return index, _ranks(index.order)[codes]


def _assembled(
    keys: Ints, index: KeyIndex, names: tuple[str, ...], distinct: list[Any]
) -> LoadedVotes:
    """Make the table of sorted (item, source, value) triples, each written as one number."""
    n_values, n_items = len(distinct), len(index)
    keys = keys[_is_first(keys)]
    source_sums = _source_sums(keys, index, len(names), distinct)
    value_of = _split_off(keys, n_values).astype(np.int32)
    first = _is_first(keys)
    values = _merge_contradictions(value_of, first, distinct)
    if not first.all():
        keys, value_of = keys[first], value_of[first]
    source_of = _split_off(keys, len(names))
    counts = np.bincount(keys, minlength=n_items)
    starts = np.concatenate(([0], np.cumsum(counts)))
    votes_by_source = np.bincount(source_of, minlength=len(names))
    index.forget_hashes()
    return LoadedVotes(
        sources=names,
        values=tuple(values),
        index=index,
        starts=_compact(starts, int(starts[-1]) + 1),
        source_of=source_of,
        value_of=_compact(value_of, len(values)),
        digests=tuple(digest_of((a, b), n) for a, b, n in source_sums),
        counts=votes_by_source,
    )


def _is_first(keys: Ints) -> npt.NDArray[np.bool_]:
    """Tell which of sorted numbers differ from the one before."""
    first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return first


def _split_off(keys: Ints, base: int) -> npt.NDArray[np.integer[Any]]:
    """Divide numbers in place, and return the remainders in the smallest type."""
    remainders = np.empty(len(keys), dtype=np.min_scalar_type(base - 1))
    for start in range(0, len(keys), _PIECE):
        piece = keys[start : start + _PIECE]
        remainders[start : start + _PIECE] = piece % base
        piece //= base
    return remainders


def _source_sums(
    keys: Ints, index: KeyIndex, n_sources: int, distinct: list[Any]
) -> list[tuple[int, int, int]]:
    """Return, for each source, the sums over its votes that tell them, and their number."""
    value_hashes = text_hashes(pa.array([f"{type(v).__name__} {v}" for v in distinct]))
    sums = np.zeros((2, n_sources), dtype=np.uint64)
    counts = np.zeros(n_sources, dtype=np.int64)
    for start in range(0, len(keys), _PIECE):
        pairs, values = np.divmod(keys[start : start + _PIECE], len(distinct))
        items, sources = np.divmod(pairs, n_sources)
        lanes = pair_lanes(index.hashes[items], value_hashes[values])
        for n, lane in enumerate(lanes):
            np.add.at(sums[n], sources, lane)
        counts += np.bincount(sources, minlength=n_sources)
    return list(zip(*sums.tolist(), counts.tolist(), strict=True))


def _merge_contradictions(
    value_of: npt.NDArray[np.int32], first: npt.NDArray[np.bool_], distinct: list[Any]
) -> list[Any]:
    """Give pairs with several votes a value of their own; returns all distinct values."""
    values: list[Any] = list(distinct)
    known: dict[tuple[Any, ...], int] = {}
    later = np.flatnonzero(~first)
    for start in (later[first[later - 1]] - 1).tolist():
        stop = start + 2
        while stop < len(first) and not first[stop]:
            stop += 1
        voted = sorted((distinct[n] for n in value_of[start:stop]), key=repr)
        if tuple(voted) not in known:
            known[tuple(voted)] = len(values)
            values.append(tuple(voted))
        value_of[start] = known[tuple(voted)]
    return values


def _is_abstain(votes: pa.Array) -> npt.NDArray[np.bool_]:
    if pt.is_decimal(votes.type):
        votes = votes.cast(pa.float64())
    missing = votes.is_null(nan_is_null=pt.is_floating(votes.type))
    if pt.is_string(votes.type):
        missing = pc.or_(missing, pc.is_in(votes, value_set=pa.array(["", "-1", "-1.0"])))
    elif pt.is_integer(votes.type) or pt.is_floating(votes.type):
        missing = pc.or_(missing, pc.fill_null(pc.equal(votes, -1), False))
    return np.asarray(missing, dtype=np.bool_)


def _voted(value: Any) -> Any:
    """Return a vote in plain form: pandas makes floats of indices with nulls among them.

    Databases make decimals of them.
    """
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return int(value)
    return value


def _ranks(order: Ints) -> Ints:
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _compact(values: npt.NDArray[Any], limit: int) -> npt.NDArray[np.integer[Any]]:
    """Return non-negative integers below `limit` in the smallest type that holds them."""
    return values.astype(np.min_scalar_type(max(limit - 1, 0)))


def _natural(name: str) -> tuple[Any, ...]:
    """Order names as people do: w2 before w10."""
    parts = re.split(r"([0-9]+)", name)
    digits = [part.lstrip("0") if n % 2 else "" for n, part in enumerate(parts)]
    return tuple((len(d), d, part) for d, part in zip(digits, parts, strict=True)), name
