"""Vote patterns: the distinct rows of votes with their counts, and how to count and merge them.

Pattern counts are exact sufficient statistics for every label model whose posterior depends on
the votes alone. Here is the table itself; `votes` turns matrices into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from labelmodel.arrays import (
    AnyArray,
    HashArray,
    IntArray,
    LabelArray,
    LFArray,
    ragged_positions,
)
from labelmodel.errors import VotesError
from labelmodel.grouping import group_rows
from labelmodel.rowhash import hash_rows, vote_codes
from labelmodel.validation import (
    check_votes,
    checked_counts,
    checked_gold,
    checked_indptr,
    whole_numbers,
)


@dataclass(frozen=True, eq=False)
class PatternTable:
    """Distinct (votes, gold, eval_gold) rows in canonical order, with the records that have them.

    The order follows from the content alone (row hash, gold, eval_gold, votes), so two tables of
    the same records are equal array for array however they were counted. Build tables with
    `count_patterns`, `merge_patterns` or `votes.from_dense`; the constructor checks nothing.

    Attributes
    ----------
    indptr : int64[P + 1]
        Votes of pattern i are the entries `indptr[i]:indptr[i + 1]` of `lfs` and `labels`.
    lfs : int32[nnz]
        Labeling functions that voted, ascending within a pattern.
    labels : int16[nnz]
        Class that each of them voted for; abstains are absent.
    counts : int64[P]
        Records with this pattern, at least 1.
    gold : int16[P]
        Hand label that a fit may use, -1 for none.
    eval_gold : int16[P]
        Hand label for scoring only, -1 for none.
    n_lfs, n_classes : int
    """

    indptr: IntArray
    lfs: LFArray
    labels: LabelArray
    counts: IntArray
    gold: LabelArray
    eval_gold: LabelArray
    n_lfs: int
    n_classes: int

    def __len__(self) -> int:
        """Return the number of patterns."""
        return len(self.counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PatternTable):
            return NotImplemented
        return (self.n_lfs, self.n_classes) == (other.n_lfs, other.n_classes) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable

    def _arrays(self) -> tuple[AnyArray, ...]:
        return self.indptr, self.lfs, self.labels, self.counts, self.gold, self.eval_gold

    @property
    def n_votes(self) -> IntArray:
        """Votes of each pattern, int64[P]."""
        return np.diff(self.indptr)

    @property
    def n_records(self) -> int:
        """Records over all patterns."""
        return int(self.counts.sum())

    def row_hash(self) -> HashArray:
        """Hash of the votes of each pattern, uint64[P]; gold does not enter.

        The same votes hash alike on any machine, so records and tables can be bucketed by it.
        """
        return hash_rows(self.indptr, vote_codes(self.lfs, self.labels))

    def take(self, rows: AnyArray) -> PatternTable:
        """Patterns at these positions, in canonical order.

        Parameters
        ----------
        rows : bool[P] or int[r]
            A mask, or positions in any order; a position given twice counts once.
        """
        chosen = np.asarray(rows)
        if chosen.dtype == np.bool_:
            if chosen.shape != self.counts.shape:
                raise VotesError(f"mask of shape {chosen.shape} for {len(self)} patterns")
            chosen = np.flatnonzero(chosen)
        chosen = np.unique(chosen.astype(np.int64))
        if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < len(self):
            raise VotesError(f"rows {chosen[0]}..{chosen[-1]} of a table of {len(self)} patterns")
        lengths = self.n_votes[chosen]
        entries = ragged_positions(self.indptr[:-1][chosen], lengths)
        return PatternTable(
            indptr=_indptr(lengths),
            lfs=self.lfs[entries],
            labels=self.labels[entries],
            counts=self.counts[chosen],
            gold=self.gold[chosen],
            eval_gold=self.eval_gold[chosen],
            n_lfs=self.n_lfs,
            n_classes=self.n_classes,
        )

    def slice(self, start: int, stop: int) -> PatternTable:
        """Patterns `start:stop`; votes and counts share this table's memory."""
        start, stop, _ = slice(start, stop).indices(len(self))
        indptr = self.indptr[start : max(start, stop) + 1]
        first, last = int(indptr[0]), int(indptr[-1])
        return PatternTable(
            indptr=indptr - first,
            lfs=self.lfs[first:last],
            labels=self.labels[first:last],
            counts=self.counts[start:stop],
            gold=self.gold[start:stop],
            eval_gold=self.eval_gold[start:stop],
            n_lfs=self.n_lfs,
            n_classes=self.n_classes,
        )

    def drop_lfs(self, lfs: AnyArray | Iterable[int]) -> PatternTable:
        """Table without the votes of some labeling functions; LF numbers stay as they are.

        Parameters
        ----------
        lfs : bool[n_lfs] or int[d]
            A mask of the functions to drop, or their numbers.

        Raises
        ------
        VotesError
            A mask of the wrong length, or a number out of range.
        """
        dropped = lfs if isinstance(lfs, np.ndarray) else np.array(list(lfs))
        mask = np.zeros(self.n_lfs, dtype=np.bool_)
        if dropped.dtype == np.bool_:
            if len(dropped) != self.n_lfs:
                raise VotesError(f"mask of length {len(dropped)} for {self.n_lfs} LFs")
            mask |= dropped
        elif len(dropped):
            if dropped.min() < 0 or dropped.max() >= self.n_lfs:
                raise VotesError(f"LFs {dropped.tolist()} to drop, but n_lfs={self.n_lfs}")
            mask[dropped.astype(np.int64)] = True
        kept = ~mask[self.lfs]
        before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept, dtype=np.int64)])
        return count_patterns(
            before[self.indptr],
            self.lfs[kept],
            self.labels[kept],
            n_lfs=self.n_lfs,
            n_classes=self.n_classes,
            gold=self.gold,
            eval_gold=self.eval_gold,
            counts=self.counts,
        )


def empty(n_lfs: int, n_classes: int) -> PatternTable:
    """Table of no records."""
    none = np.zeros(0, dtype=np.int64)
    return count_patterns(np.zeros(1, dtype=np.int64), none, none, n_lfs=n_lfs, n_classes=n_classes)


def count_patterns(
    indptr: AnyArray,
    lfs: AnyArray,
    labels: AnyArray,
    *,
    n_lfs: int,
    n_classes: int,
    gold: AnyArray | None = None,
    eval_gold: AnyArray | None = None,
    counts: AnyArray | None = None,
) -> PatternTable:
    """Count the distinct rows of sparse votes.

    Parameters
    ----------
    indptr : int[n + 1]
        Votes of record i are the entries `indptr[i]:indptr[i + 1]`; starts at 0.
    lfs, labels : int[nnz]
        LF and class of each vote; LFs strictly ascending within a record.
    n_lfs, n_classes : int
    gold, eval_gold : int[n], optional
        Hand labels for the fit and for scoring, -1 for none.
    counts : int[n], optional
        Records that each row stands for, at least 1; 1 by default.

    Returns
    -------
    PatternTable

    Raises
    ------
    VotesError
        Shapes that do not fit, LFs or classes out of range, LFs not ascending.
    """
    table, _ = count_patterns_with_inverse(
        indptr,
        lfs,
        labels,
        n_lfs=n_lfs,
        n_classes=n_classes,
        gold=gold,
        eval_gold=eval_gold,
        counts=counts,
    )
    return table


def count_patterns_with_inverse(
    indptr: AnyArray,
    lfs: AnyArray,
    labels: AnyArray,
    *,
    n_lfs: int,
    n_classes: int,
    gold: AnyArray | None = None,
    eval_gold: AnyArray | None = None,
    counts: AnyArray | None = None,
) -> tuple[PatternTable, IntArray]:
    """Count as `count_patterns` does, and say which pattern each row has.

    Returns
    -------
    table : PatternTable
    inverse : int64[n]
        Position in `table` of the pattern of each row.
    """
    lfs, labels = whole_numbers("LFs", lfs), whole_numbers("classes", labels)
    pointers = checked_indptr(indptr, lfs, labels)
    n = len(pointers) - 1
    check_votes(pointers, lfs, labels, n_lfs=n_lfs, n_classes=n_classes)
    fit_gold = checked_gold("gold", gold, n, n_classes)
    score_gold = checked_gold("eval_gold", eval_gold, n, n_classes)
    weights = checked_counts(counts, n)
    order, is_new = group_rows(pointers, vote_codes(lfs, labels), fit_gold, score_gold)
    group = np.cumsum(is_new) - 1
    inverse = np.empty(n, dtype=np.int64)
    inverse[order] = group
    firsts = np.flatnonzero(is_new)
    first_rows = order[firsts]
    lengths = np.diff(pointers)[first_rows]
    entries = ragged_positions(pointers[:-1][first_rows], lengths)
    summed = np.add.reduceat(weights[order], firsts) if n else weights
    table = PatternTable(
        indptr=_indptr(lengths),
        lfs=lfs[entries].astype(np.int32),
        labels=labels[entries].astype(np.int16),
        counts=summed,
        gold=fit_gold[first_rows],
        eval_gold=score_gold[first_rows],
        n_lfs=n_lfs,
        n_classes=n_classes,
    )
    return table, inverse


def merge_patterns(tables: Iterable[PatternTable]) -> PatternTable:
    """Table of all records of some tables; associative and commutative bit for bit.

    Raises
    ------
    VotesError
        No table at all, or tables of different LFs or classes.
    """
    parts = list(tables)
    if not parts:
        raise VotesError("merge_patterns needs at least one table; start from empty(...)")
    first = parts[0]
    for part in parts[1:]:
        if (part.n_lfs, part.n_classes) != (first.n_lfs, first.n_classes):
            raise VotesError(
                f"tables of {part.n_lfs} LFs x {part.n_classes} classes and of {first.n_lfs} x "
                f"{first.n_classes} do not merge; count both against one LF table"
            )
    if len(parts) == 1:
        return first
    return count_patterns(
        _indptr(np.concatenate([part.n_votes for part in parts])),
        np.concatenate([part.lfs for part in parts]),
        np.concatenate([part.labels for part in parts]),
        n_lfs=first.n_lfs,
        n_classes=first.n_classes,
        gold=np.concatenate([part.gold for part in parts]),
        eval_gold=np.concatenate([part.eval_gold for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
    )


def _indptr(lengths: IntArray) -> IntArray:
    pointers = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=pointers[1:])
    return pointers
