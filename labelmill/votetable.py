"""Labeling functions that are votes somebody gave before: crowd workers, old labels, another model.

A table has a row per vote: item, source, vote. Every source becomes a function, and all of them
vote together: the ids of a batch are looked up once. The table is held by item, in arrays.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from labelmill.datafiles import DataFile, data_file, load_once
from labelmill.errors import LabelingFunctionError
from labelmill.labeling import BatchFunction, FunctionGroup, SparseVotes
from labelmill.lookups import KeyIndex, digest_of, pair_lanes, read_table, text_hashes
from labelmill.records import ID

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

MAX_VALUES = 10_000
"""Distinct votes that a table may have; more are a sign of the wrong column."""

_INVALID = -3
_PIECE = 1 << 20
_NUMBER = re.compile(r"(-?[0-9]{1,18})(?:\.0*)?")  # pandas writes 1.0 for 1 among nulls


@dataclass(frozen=True)
class SourceVotes(BatchFunction):
    """Votes as one source of a table did; see `vote_table`.

    Attributes:
        name: Unique within a job.
        source: Its name in the table.
        group: The table.
    """

    kind: ClassVar[str] = "votes"
    trusted: ClassVar[bool] = True

    name: str
    source: str
    group: VoteTable

    @property
    def columns(self) -> tuple[str, ...]:
        """No columns but the id, which every batch has."""
        return ()

    @property
    def labels(self) -> tuple[str | int, ...]:
        """Unknown before a run: a value that is no class costs its record only."""
        return ()

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The table."""
        return (self.group.file,)

    @property
    def n_votes(self) -> int:
        """Items that the source voted on, whether or not they are in the corpus."""
        return self.group.loaded.n_votes(self.source)

    def identity(self) -> Mapping[str, Any]:
        """Return the digest of the source's own votes, whatever else the table holds."""
        return {"votes": self.group.loaded.digest(self.source)}

    def votes(self, batch: pa.RecordBatch) -> list[Any]:
        """Return the votes as the table has them; a job asks the group, which knows the classes."""
        return self.group.loaded.values_of(self.source, batch.column(ID))

    def __call__(self, x: Any, /) -> Any:
        """Vote on one record, which has its id as ``x.id``."""
        return self.votes(pa.RecordBatch.from_pydict({ID: [str(x.id)]}))[0]


@dataclass(frozen=True)
class VoteTable(FunctionGroup):
    """A file of votes, loaded once per process; its sources vote together.

    Attributes:
        file: The file.
        item: Column of the records' ids.
        source: Column of who voted.
        vote: Column of class names or indices.
    """

    file: DataFile
    item: str = "item"
    source: str = "source"
    vote: str = "vote"

    @cached_property
    def loaded(self) -> LoadedVotes:
        """The votes.

        Raises:
            LabelingFunctionError: The file cannot be read.
        """
        how = ("votes", self.item, self.source, self.vote)
        return load_once(self.file, how, self._load, "vote table")

    def votes(
        self, functions: Sequence[BatchFunction], batch: pa.RecordBatch, class_names: Sequence[str]
    ) -> SparseVotes:
        """Return the votes of sources on the records of a batch, joined by id."""
        sources = [f.source for f in functions if isinstance(f, SourceVotes)]
        return self.loaded.join(sources, batch.column(ID), class_names)

    def check_classes(self, class_names: Sequence[str]) -> None:
        """Try whether it is clear what the votes mean.

        Raises:
            LabelingFunctionError: Whole-number votes may be meant as names or as indices.
        """
        try:
            self.loaded.codes(tuple(class_names))
        except LabelingFunctionError as error:
            raise LabelingFunctionError(f"vote table: {self.file}: {error}") from None

    def _load(self, local_path: str, needed_by: str) -> LoadedVotes:
        reading = _Reading(self, needed_by)
        columns = list(dict.fromkeys((self.source, self.vote)))
        for batch in read_table(self.file, local_path, self.item, columns, needed_by):
            reading.add(batch)
        return reading.finish()

    def __reduce__(self) -> tuple[Any, ...]:  # without the votes that it has loaded
        return VoteTable, (self.file, self.item, self.source, self.vote)


def vote_table(
    uri: str | PathLike[str] | DataFile,
    *,
    item: str = "item",
    source: str = "source",
    vote: str = "vote",
    prefix: str = "",
    only: Iterable[str] | None = None,
) -> list[SourceVotes]:
    """Make a labeling function of every source of a table of votes.

    Votes are joined to records by id; integers match by their digits. Items that the corpus does
    not have are ignored. A vote is a class name or index; null, empty text and -1 are abstains.
    Text that is a number is an index, unless class names are numbers, when it is a name. A source
    that voted differently on one item gives an invalid vote there.

    Args:
        uri: A `.parquet`, `.csv`, `.tsv` or `.jsonl` file: a path relative to the Python file that
            calls this, or any fsspec URL.
        item: Column of the records' ids.
        source: Column of who voted: text or whole numbers.
        vote: Column of class names or indices.
        prefix: Put before a source's name to make the function's.
        only: The sources to take; all by default.

    Returns:
        One function per source, ordered by name; numbers in names count as numbers.

    Raises:
        LabelingFunctionError: The file cannot be read, or `only` names a source that it lacks.
    """
    group = VoteTable(uri if isinstance(uri, DataFile) else data_file(uri), item, source, vote)
    known = group.loaded.sources
    chosen = known
    if only is not None:
        wanted = [only] if isinstance(only, str) else [str(name) for name in only]
        for name in wanted:
            if name not in group.loaded.positions:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise LabelingFunctionError(
                    f"vote table: {group.file}: no source {name!r} in column {source!r}{hint}"
                )
        chosen = tuple(name for name in known if name in set(wanted))
    return [SourceVotes(prefix + name, name, group) for name in chosen]


@dataclass(frozen=True)
class LoadedVotes:
    """Votes in memory, by item.

    Attributes:
        sources: Their names, in order.
        values: Distinct votes, as they are in the table; a tuple holds those of a source that
            voted differently on one item.
        index: Items.
        starts: Shape (items + 1,): the votes of the item at position i of the index are
            ``[starts[i], starts[i + 1])``.
        source_of: Position in `sources`, shape (votes,), ascending within an item.
        value_of: Position in `values`, shape (votes,).
        digests: By source.
        counts: Votes by source.
    """

    sources: tuple[str, ...]
    values: tuple[Any, ...]
    index: KeyIndex
    starts: npt.NDArray[np.integer[Any]]
    source_of: npt.NDArray[np.integer[Any]]
    value_of: npt.NDArray[np.integer[Any]]
    digests: tuple[str, ...]
    counts: Ints

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Position of each source."""
        return {name: n for n, name in enumerate(self.sources)}

    @property
    def n_contradictions(self) -> int:
        """Pairs of item and source with different votes."""
        of_value = np.array([isinstance(value, tuple) for value in self.values])
        pieces = range(0, len(self.value_of), _PIECE)
        return sum(int(of_value[self.value_of[at : at + _PIECE]].sum()) for at in pieces)

    @property
    def nbytes(self) -> int:
        """Bytes that the votes take."""
        arrays = (self.starts, self.source_of, self.value_of)
        return self.index.nbytes + sum(array.nbytes for array in arrays)

    def digest(self, source: str) -> str:
        """Return the digest of a source's votes."""
        return self.digests[self.positions[source]]

    def n_votes(self, source: str) -> int:
        """Return how many items a source voted on."""
        return int(self.counts[self.positions[source]])

    def join(
        self, sources: Sequence[str], ids: pa.Array, class_names: Sequence[str]
    ) -> SparseVotes:
        """Return the votes of `sources` on records.

        Args:
            sources: Names, each once.
            ids: string array, shape (rows,).
            class_names: The classes.

        Raises:
            LabelingFunctionError: Whole-number votes may be meant as names or as indices.
        """
        code_of = self.codes(tuple(class_names))
        asked: Ints = np.full(len(self.sources), -1, dtype=np.int64)
        positions = self.positions
        asked[[positions[name] for name in sources]] = np.arange(len(sources))
        rows, places = self._votes_on(ids)
        every = asked[self.source_of[places]]
        labels = code_of[self.value_of[places]]
        kept = np.flatnonzero(every >= 0)
        labels = labels[kept]
        values = self.value_of[places[kept]]
        invalid = {int(n): self.values[values[n]] for n in np.flatnonzero(labels == _INVALID)}
        return SparseVotes(every[kept], rows[kept], labels, invalid)

    def values_of(self, source: str, ids: pa.Array) -> list[Any]:
        """Return the votes of one source on records as the table has them, None elsewhere."""
        found: list[Any] = [None] * len(ids)
        rows, places = self._votes_on(ids)
        own = self.source_of[places] == self.positions[source]
        for row, place in zip(rows[own].tolist(), places[own].tolist(), strict=True):
            found[row] = self.values[self.value_of[place]]
        return found

    def _votes_on(self, ids: pa.Array) -> tuple[Ints, Ints]:
        """Return row and place of every vote on records."""
        items = self.index.find(ids)
        known = np.flatnonzero(items >= 0)
        starts = self.starts[items[known]].astype(np.int64)
        lengths = self.starts[items[known] + 1].astype(np.int64) - starts
        ends = np.cumsum(lengths)
        places = np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths)
        return np.repeat(known, lengths), places

    def codes(self, class_names: tuple[str, ...]) -> npt.NDArray[np.int16]:
        """Return the class index of each distinct vote."""
        if class_names not in self._known_codes:
            codes = [value_code(value, class_names) for value in self.values]
            self._known_codes[class_names] = np.array(codes, dtype=np.int16)
        return self._known_codes[class_names]

    @cached_property
    def _known_codes(self) -> dict[tuple[str, ...], npt.NDArray[np.int16]]:
        return {}


def value_code(value: Any, class_names: Sequence[str]) -> int:
    """Return the class index that a vote means, -3 for what is no class.

    Args:
        value: Text or a whole number; a tuple of them means the class that they have in common.
        class_names: The classes.

    Raises:
        LabelingFunctionError: A whole number that is the name of one class and the index of
            another.
    """
    if isinstance(value, tuple):
        codes = {value_code(v, class_names) for v in value}
        return codes.pop() if len(codes) == 1 else _INVALID
    names = tuple(class_names)
    if isinstance(value, str):
        if value in names:
            return names.index(value)
        number = _NUMBER.fullmatch(value)
        if number is None or any(_NUMBER.fullmatch(name) for name in names):
            return _INVALID
        value = int(number[1])
    elif isinstance(value, bool) or not isinstance(value, int):
        return _INVALID
    elif str(value) in names and names.index(str(value)) != value:
        raise LabelingFunctionError(
            f"vote {value} could be the class named {str(value)!r} or the class of index {value}; "
            "store the votes as text to mean names"
        )
    return value if 0 <= value < len(names) else _INVALID


class _Reading:
    """Collects the rows of a file, whatever their order, into the arrays of `LoadedVotes`."""

    def __init__(self, table: VoteTable, needed_by: str) -> None:
        self._table = table
        self._needed_by = needed_by
        self._items = _Items(f"{needed_by}: {table.file}")
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

    def __init__(self, where: str) -> None:
        self._where = where
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
            raise LabelingFunctionError(
                f"{self._where}: two items have the same 64-bit hash; change one of their ids"
            )
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
    missing = votes.is_null(nan_is_null=pt.is_floating(votes.type))
    if pt.is_string(votes.type):
        missing = pc.or_(missing, pc.is_in(votes, value_set=pa.array(["", "-1", "-1.0"])))
    elif pt.is_integer(votes.type) or pt.is_floating(votes.type):
        missing = pc.or_(missing, pc.fill_null(pc.equal(votes, -1), False))
    return np.asarray(missing, dtype=np.bool_)


def _voted(value: Any) -> Any:
    """Return a vote in plain form: pandas makes floats of indices with nulls among them."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
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
