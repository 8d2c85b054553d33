"""Counting how labels and votes of the same records differ, batch by batch, exactly."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.hashing import text_hashes
from labelmill.versionrows import NO_LABEL, CommonNames
from labelmill.votes import unpack_votes

Ints = npt.NDArray[np.int64]

_SEED = 11


@dataclass(frozen=True)
class VoteMoved:
    """A function's vote on a record, before and after; None where it did not vote."""

    function: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class MovedRecord:
    """A record whose label moved.

    Attributes:
        id: Its id.
        before: Its label before; None without a vote.
        after: Its label after; None without a vote.
        confidence_before: Probability of its label before.
        confidence_after: Probability of its label after.
        votes: Votes that differ; none when the label model alone moved it.
    """

    id: str
    before: str | None
    after: str | None
    confidence_before: float
    confidence_after: float
    votes: tuple[VoteMoved, ...]


@dataclass(frozen=True)
class MovedPair:
    """Records whose label moved from one class to another.

    Attributes:
        before: The class before; None for records without a vote.
        after: The class after; None for records without a vote.
        records: How many.
        functions: By function, on how many of them its vote differs, the most first.
        model_alone: On how many of them no vote differs: the label model moved them.
        examples: Some of them, chosen by a hash of their id.
    """

    before: str | None
    after: str | None
    records: int
    functions: Mapping[str, int]
    model_alone: int
    examples: tuple[MovedRecord, ...]


@dataclass(frozen=True)
class VotesChanged:
    """On how many records of both versions a function's vote came, went, or changed its class."""

    gained: int
    lost: int
    moved: int


class MovedLabels:
    """Counts that grow with every batch of matched rows; their order does not matter.

    Args:
        names: What the numbers in the rows mean.
        examples: Records to keep of each pair of classes.
    """

    def __init__(self, names: CommonNames, examples: int) -> None:
        self._names = names
        self._examples = examples
        self._side = len(names.classes) + 1  # numbers of classes, and none
        self._width = max(len(names.functions), 1)
        self._pairs: Counter[int] = Counter()
        self._alone: Counter[int] = Counter()
        self._because: Counter[int] = Counter()  # of pair * width + function
        self._votes = np.zeros((3, self._width), dtype=np.int64)
        self._kept: dict[int, list[tuple[int, MovedRecord]]] = {}

    @property
    def records(self) -> int:
        """Records whose label moved."""
        return self._pairs.total()

    def add(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        """Count rows of the same records, in the same order."""
        labels = [np.asarray(rows.column("label")).astype(np.int64) for rows in (before, after)]
        pairs = (labels[0] - NO_LABEL) * self._side + labels[1] - NO_LABEL
        moved = labels[0] != labels[1]
        changes = _VoteChanges.between(before, after, self._width)
        for kind, cells in enumerate((changes.gained, changes.lost, changes.moved)):
            self._votes[kind] += np.bincount(cells % self._width, minlength=self._width)
        cells = changes.all
        cells = cells[moved[cells // self._width]]
        rows = cells // self._width
        self._because.update(_counts(pairs[rows] * self._width + cells % self._width))
        alone = moved.copy()
        alone[rows] = False
        self._alone.update(_counts(pairs[alone]))
        self._pairs.update(_counts(pairs[moved]))
        if self._examples:
            self._keep(before, after, pairs, np.flatnonzero(moved), changes)

    def _keep(
        self,
        before: pa.RecordBatch,
        after: pa.RecordBatch,
        pairs: Ints,
        moved: Ints,
        changes: _VoteChanges,
    ) -> None:
        """Keep of each pair the records whose ids have the smallest hashes."""
        hashes = text_hashes(before.column("id").take(pa.array(moved)), seed=_SEED)
        order = np.lexsort((hashes, pairs[moved]))
        ordered = pairs[moved][order]
        edges = np.append(np.flatnonzero(np.diff(ordered, prepend=-1)), len(ordered))
        for start, stop in itertools.pairwise(edges):
            kept = self._kept.setdefault(int(ordered[start]), [])
            for place in order[start : min(stop, start + self._examples)]:
                row = int(moved[place])
                record = self._record(before, after, row, changes)
                kept.append((int(hashes[place]), record))
            kept.sort(key=lambda pair: (pair[0], pair[1].id))
            del kept[self._examples :]

    def _record(
        self, before: pa.RecordBatch, after: pa.RecordBatch, row: int, changes: _VoteChanges
    ) -> MovedRecord:
        votes = [
            VoteMoved(self._names.functions[lf], self._class(old), self._class(new))
            for lf, old, new in changes.of_row(row)
        ]
        return MovedRecord(
            id=before.column("id")[row].as_py(),
            before=self._class(before.column("label")[row].as_py()),
            after=self._class(after.column("label")[row].as_py()),
            confidence_before=before.column("confidence")[row].as_py(),
            confidence_after=after.column("confidence")[row].as_py(),
            votes=tuple(votes),
        )

    def _class(self, number: int) -> str | None:
        return None if number == NO_LABEL else self._names.classes[number]

    def pairs(self) -> tuple[MovedPair, ...]:
        """Return what moved, by pair of classes, the largest first."""
        by_pair: dict[int, Counter[str]] = {}
        for cell, count in self._because.items():
            pair, lf = divmod(cell, self._width)
            by_pair.setdefault(pair, Counter())[self._names.functions[lf]] = count
        found = []
        for pair, records in sorted(self._pairs.items(), key=lambda item: (-item[1], item[0])):
            before, after = (self._class(n + NO_LABEL) for n in divmod(pair, self._side))
            functions = sorted(by_pair.get(pair, {}).items(), key=lambda item: (-item[1], item[0]))
            examples = tuple(record for _, record in self._kept.get(pair, ()))
            found.append(
                MovedPair(before, after, records, dict(functions), self._alone[pair], examples)
            )
        return tuple(found)

    def functions(self) -> dict[str, VotesChanged]:
        """Return how the votes of each function changed, of those with any change."""
        return {
            name: VotesChanged(*(int(n) for n in self._votes[:, number]))
            for number, name in enumerate(self._names.functions)
            if self._votes[:, number].any()
        }


@dataclass(frozen=True)
class _VoteChanges:
    """Votes that differ between rows; a cell is row * width + function.

    Attributes:
        gained: Cells with a vote after and none before, ascending.
        lost: Cells with a vote before and none after, ascending.
        moved: Cells with votes for different classes, ascending.
        before: Cells and classes of all votes before.
        after: Cells and classes of all votes after.
        width: Functions in a row.
    """

    gained: Ints
    lost: Ints
    moved: Ints
    before: tuple[Ints, npt.NDArray[np.int16]]
    after: tuple[Ints, npt.NDArray[np.int16]]
    width: int

    @classmethod
    def between(cls, before: pa.RecordBatch, after: pa.RecordBatch, width: int) -> _VoteChanges:
        old, new = _cells(before, width), _cells(after, width)
        common, mine, theirs = np.intersect1d(
            old[0], new[0], assume_unique=True, return_indices=True
        )
        return cls(
            gained=np.setdiff1d(new[0], old[0], assume_unique=True),
            lost=np.setdiff1d(old[0], new[0], assume_unique=True),
            moved=common[old[1][mine] != new[1][theirs]],
            before=old,
            after=new,
            width=width,
        )

    @property
    def all(self) -> Ints:
        return np.concatenate([self.gained, self.lost, self.moved])

    def of_row(self, row: int) -> list[tuple[int, int, int]]:
        """Return function, class before and class after of a row's votes that differ."""
        cells = []
        for some in (self.gained, self.lost, self.moved):
            start, stop = np.searchsorted(some, [row * self.width, (row + 1) * self.width])
            cells += some[start:stop].tolist()
        return [
            (cell % self.width, _vote_at(self.before, cell), _vote_at(self.after, cell))
            for cell in sorted(cells)
        ]


def _cells(rows: pa.RecordBatch, width: int) -> tuple[Ints, npt.NDArray[np.int16]]:
    votes = unpack_votes(rows)
    numbers = np.repeat(np.arange(rows.num_rows, dtype=np.int64), np.diff(votes.indptr))
    return numbers * np.int64(width) + votes.lfs.astype(np.int64), votes.labels


def _vote_at(votes: tuple[Ints, npt.NDArray[np.int16]], cell: int) -> int:
    cells, labels = votes
    place = int(np.searchsorted(cells, cell))
    found = place < len(cells) and int(cells[place]) == cell
    return int(labels[place]) if found else NO_LABEL


def _counts(values: Ints) -> dict[int, int]:
    distinct, counts = np.unique(values, return_counts=True)
    return dict(zip(distinct.tolist(), counts.tolist(), strict=True))
