"""Example records of labeling functions: what each votes on, where it conflicts, what none covers.

Examples are chosen by a hash of their id, so that the same ones come back while functions are
edited.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.columns import columns_used
from labelmill.labeling import AnyLabelingFunction, Matcher
from labelmill.records import ID
from labelmill.votes import LFTable, VoteArrays

EXCERPT = 400
"""Characters kept of a value."""

MOST_COLUMNS = 3
MOST_AGAINST = 5

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Excerpt:
    """A value of a record, cut around what a function matched in it.

    Attributes:
        column: The column.
        before: Text before the match, with an ellipsis where it is cut.
        match: The text matched; empty where the function is no keyword or regex function.
        after: The text after it, or all of it without a match.
    """

    column: str
    before: str
    match: str
    after: str

    def document(self) -> dict[str, Any]:
        """Return plain data: the text, and where in it the match is."""
        start = len(self.before)
        span = [start, start + len(self.match)] if self.match else None
        return {
            "column": self.column,
            "text": self.before + self.match + self.after,
            "match": span,
        }


@dataclass(frozen=True)
class Example:
    """A record of the sample.

    Attributes:
        id: Its id.
        vote: The class that the function votes for; None for a record that nobody covers.
        gold: The gold class, where gold is known and informs the fit. Gold that scores is not
            shown: a score on records that one has looked at is no score.
        against: Functions that vote otherwise, with the class of each, the first few.
        n_against: How many there are.
        excerpts: The values that the function reads.
    """

    id: str
    vote: str | None
    gold: str | None
    against: tuple[tuple[str, str], ...]
    n_against: int
    excerpts: tuple[Excerpt, ...]

    def document(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "id": self.id,
            "vote": self.vote,
            "gold": self.gold,
            "against": [{"lf": lf, "vote": vote} for lf, vote in self.against],
            "n_against": self.n_against,
            "values": [excerpt.document() for excerpt in self.excerpts],
        }


@dataclass(frozen=True)
class FunctionExamples:
    """Examples of one function.

    Attributes:
        votes: Records it votes on without a conflict.
        conflicts: Records on which another function votes otherwise.
        wrong: Records with gold, informing the fit, of another class than its vote.
        n_conflicts: Records on which another function votes otherwise, in the sample.
        n_wrong: Records that `wrong` are taken from.
    """

    votes: tuple[Example, ...]
    conflicts: tuple[Example, ...]
    wrong: tuple[Example, ...]
    n_conflicts: int
    n_wrong: int

    def document(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "votes": [example.document() for example in self.votes],
            "conflicts": [example.document() for example in self.conflicts],
            "wrong": [example.document() for example in self.wrong],
            "n_conflicts": self.n_conflicts,
            "n_wrong": self.n_wrong,
        }


class SampleVotes:
    """The records of a sample with their votes, to take examples from.

    Args:
        records: The records, with their ids in the column ``__id__``.
        votes: Their votes.
        gold: int16, shape (rows,): gold that informs the fit, -1 where unknown.
        table: The functions and classes.
    """

    def __init__(self, records: pa.Table, votes: VoteArrays, gold: Codes, table: LFTable) -> None:
        self._records = records
        self._votes = votes
        self._gold = gold
        self._names, self._classes = table.names, table.class_names
        self.ids: list[str] = records.column(ID).to_pylist()
        self._rank = _ranks(self.ids)
        lengths = np.diff(votes.indptr)
        self._rows = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
        classes = np.unique(self._rows * len(table.class_names) + votes.labels)
        distinct = np.bincount(classes // len(table.class_names), minlength=len(lengths))
        self._conflicting = (distinct > 1)[self._rows]
        known = gold[self._rows]
        self._wrong = (known >= 0) & (known != votes.labels)

    def examples(
        self, lfs: Sequence[AnyLabelingFunction], n: int, wanted: Sequence[int]
    ) -> dict[int, FunctionExamples]:
        """Return up to `n` examples of each kind for the functions `wanted`.

        Args:
            lfs: The functions, in the order of the LF table.
            n: Examples of each kind.
            wanted: Positions of the functions to take examples of.
        """
        of_wanted = np.isin(self._votes.lfs, np.asarray(wanted, dtype=np.int32))
        votes, conflicts, wrong = (
            self._by_function(self._first(of_wanted & mask, n), lfs)
            for mask in (~self._conflicting, self._conflicting, self._wrong)
        )
        count = len(self._names)
        n_conflicts = np.bincount(self._votes.lfs[self._conflicting], minlength=count)
        n_wrong = np.bincount(self._votes.lfs[self._wrong], minlength=count)
        return {
            position: FunctionExamples(
                tuple(votes.get(position, ())),
                tuple(conflicts.get(position, ())),
                tuple(wrong.get(position, ())),
                int(n_conflicts[position]),
                int(n_wrong[position]),
            )
            for position in wanted
        }

    def uncovered(self, columns: Sequence[str], n: int) -> tuple[Example, ...]:
        """Return up to `n` records without a vote, with the values of `columns`."""
        without = np.flatnonzero(np.diff(self._votes.indptr) == 0)
        rows = without[np.argsort(self._rank[without], kind="stable")][:n]
        records = self._records.take(pa.array(rows)).select(list(columns)).to_pylist()
        return tuple(
            Example(
                self.ids[row],
                None,
                self._gold_of(row),
                (),
                0,
                tuple(_excerpt(column, record[column], None) for column in columns),
            )
            for row, record in zip(rows.tolist(), records, strict=True)
        )

    def _first(self, mask: npt.NDArray[np.bool_], n: int) -> Ints:
        """Return the first `n` votes of every function under `mask`, in the order of the hash."""
        entries = np.flatnonzero(mask)
        lfs = self._votes.lfs[entries]
        order = np.lexsort((self._rank[self._rows[entries]], lfs))
        entries, lfs = entries[order], lfs[order]
        begins = np.searchsorted(lfs, lfs, side="left")
        chosen: Ints = entries[np.arange(len(entries)) - begins < n]
        return chosen

    def _by_function(
        self, entries: Ints, lfs: Sequence[AnyLabelingFunction]
    ) -> dict[int, list[Example]]:
        """Return the examples of these votes by the function that cast them."""
        rows, inverse = np.unique(self._rows[entries], return_inverse=True)
        columns = [name for name in self._records.column_names if name != ID]
        records = self._records.take(pa.array(rows)).select(columns).to_pylist()
        made: dict[int, list[Example]] = {}
        positions = np.unique(self._votes.lfs[entries]).tolist()
        shown = {n: shown_columns([lfs[n]], columns) for n in positions}
        searched = {n: _expression(lfs[n]) for n in positions}
        for entry, place in zip(entries.tolist(), inverse.tolist(), strict=True):
            position, row = int(self._votes.lfs[entry]), int(rows[place])
            against = self._against(row, int(self._votes.labels[entry]))
            example = Example(
                self.ids[row],
                self._classes[self._votes.labels[entry]],
                self._gold_of(row),
                tuple(against[:MOST_AGAINST]),
                len(against),
                tuple(
                    _excerpt(column, records[place][column], searched[position])
                    for column in shown[position]
                ),
            )
            made.setdefault(position, []).append(example)
        return made

    def _against(self, row: int, label: int) -> list[tuple[str, str]]:
        start, stop = self._votes.indptr[row], self._votes.indptr[row + 1]
        votes = zip(
            self._votes.lfs[start:stop].tolist(),
            self._votes.labels[start:stop].tolist(),
            strict=True,
        )
        return [(self._names[lf], self._classes[other]) for lf, other in votes if other != label]

    def _gold_of(self, row: int) -> str | None:
        code = int(self._gold[row])
        return self._classes[code] if code >= 0 else None


def shown_columns(lfs: Sequence[AnyLabelingFunction], columns: Sequence[str]) -> list[str]:
    """Return the few columns that say most about a record: those that most functions name."""
    used = Counter(name for lf in lfs for name in columns_used(lf).columns if name in columns)
    best = [name for name, _ in used.most_common(MOST_COLUMNS)]
    return best or list(columns[:MOST_COLUMNS])


def _expression(lf: AnyLabelingFunction) -> re.Pattern[str] | None:
    return re.compile(lf.pattern, lf.flags) if isinstance(lf, Matcher) else None


def _ranks(ids: Sequence[str]) -> Ints:
    """Return the place of each id in the order of the ids' hashes."""
    digests = [hashlib.blake2b(i.encode(), digest_size=8).digest() for i in ids]
    hashes = np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[order] = np.arange(len(ids))
    return ranks


def _excerpt(column: str, value: object, expression: re.Pattern[str] | None) -> Excerpt:
    text = "null" if value is None else value if isinstance(value, str) else str(value)
    found = expression.search(text) if expression and isinstance(value, str) else None
    if found is None:
        return Excerpt(column, "", "", _head(text, EXCERPT))
    return around(Excerpt(column, text[: found.start()], found.group(), text[found.end() :]))


def around(excerpt: Excerpt, width: int = EXCERPT) -> Excerpt:
    """Return `excerpt` cut to `width` characters, around its match."""
    before, match, after = excerpt.before, excerpt.match, excerpt.after
    if len(before) + len(match) + len(after) <= width:
        return excerpt
    if not match:
        return Excerpt(excerpt.column, "", "", _head(before + after, width))
    match = _head(match, max(width * 2 // 3, 1))
    room = width - len(match)
    left = min(len(before), max(room // 2, room - len(after)))
    return Excerpt(excerpt.column, _tail(before, left), match, _head(after, room - left))


def _head(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    return text[: width - 1] + "…" if width > 0 else ""


def _tail(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    return "…" + text[len(text) - width + 1 :] if width > 0 else ""
