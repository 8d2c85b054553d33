"""Labeling functions that are votes somebody gave before: crowd workers, old labels, another model.

A table has a row per vote: item, source, vote. Every source becomes a function, and all of them
vote together: the ids of a batch are looked up once. The table is held by item, in arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, ClassVar

import pyarrow as pa

from labelmill.datafiles import DataFile, data_file, load_once
from labelmill.errors import LabelingFunctionError
from labelmill.labeling import AnyLabelingFunction, BatchFunction, FunctionGroup, SparseVotes
from labelmill.loadedvotes import LoadedVotes
from labelmill.records import ID
from labelmill.suggestion import did_you_mean
from labelmill.tablereading import read_table
from labelmill.votesreading import HashCollisionError, VotesReading


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
        try:
            return self._read(local_path, VotesReading(self, needed_by), needed_by)
        except HashCollisionError:
            return self._read(local_path, VotesReading(self, needed_by, exact=True), needed_by)

    def _read(self, local_path: str, reading: VotesReading, needed_by: str) -> LoadedVotes:
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
    not have are ignored; a run says how many votes they have. A vote is a class name or index;
    null, empty text and -1 are abstains. Text that is a number is an index, unless class names are
    numbers, when it is a name. A source that voted differently on one item gives an invalid vote
    there.

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
                raise LabelingFunctionError(
                    f"vote table: {group.file}: no source {name!r} in column {source!r}"
                    f"{did_you_mean(name, known)}"
                )
        chosen = tuple(name for name in known if name in set(wanted))
    return [SourceVotes(prefix + name, name, group) for name in chosen]


def unmatched_votes(
    lfs: Sequence[AnyLabelingFunction], joined: Sequence[int]
) -> Iterator[tuple[VoteTable, int, int]]:
    """Yield the tables with votes on items that the corpus does not have.

    Args:
        lfs: Functions of a job; those that are no vote tables are passed over.
        joined: Of each function, the votes that met a record.

    Yields:
        A table, its votes on items that are no record's id, and all its votes.
    """
    numbers: dict[VoteTable, tuple[int, int]] = {}
    for lf, met in zip(lfs, joined, strict=True):
        if isinstance(lf, SourceVotes):
            missed, total = numbers.get(lf.group, (0, 0))
            missed += max(0, lf.n_votes - met)  # a repeated id meets a vote twice
            numbers[lf.group] = missed, total + lf.n_votes
    for table, (missed, total) in numbers.items():
        if missed:
            yield table, missed, total
