"""All keyword functions of a column in one pass: tokens are hashed and looked up, not searched.

A keyword of word characters stands in a text as a whole word exactly when it is one of the text's
maximal runs of word characters, case folded; so the cost is that of splitting the texts, whatever
the number of keywords. Rows of ASCII are split in numpy over the column's bytes, other rows as
`re` splits them. Phrases, and words with other characters, are looked up by one of their runs;
what the look-up alone does not decide is confirmed with `re`. Votes are exactly those of the
functions' patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.labeling import Matcher

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

_CHUNK = 1 << 18
_FILTER_BITS = 20
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2^64
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_MASK = (1 << 64) - 1

_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[ord("A") : ord("Z") + 1] += 32
_WORD = np.array([byte < 128 and bool(re.match(r"\w", chr(byte))) for byte in range(256)])


class KeywordScan:
    """Keyword functions over one text column, made ready to run.

    Args:
        matchers: Functions with `words`.
    """

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        compiled = [re.compile(m.pattern, m.flags) for m in matchers]
        self._search = [expression.search for expression in compiled]
        self._unsplit: set[int] = set()  # functions with a word that has no word character
        self._by_token: dict[str, set[int]] = {}
        exact: dict[bytes, set[int]] = {}
        unsure: dict[bytes, set[int]] = {}
        for n, matcher in enumerate(matchers):
            for word in matcher.words:
                run = max(re.findall(r"\w+", word), key=len, default="")
                if not run:
                    self._unsplit.add(n)
                    continue
                token = fold(run)
                self._by_token.setdefault(token, set()).add(n)
                if token.isascii():
                    any_case = compiled[n].flags & re.IGNORECASE
                    decided = any_case and word == run and word.isascii()
                    owners = exact if decided else unsure
                    owners.setdefault(token.encode(), set()).add(n)
        self._table = _TokenTable(sorted({*exact, *unsure}))
        self._exact = _Owners([exact.get(run, set()) for run in self._table.runs])
        self._unsure = _Owners([unsure.get(run, set()) for run in self._table.runs])

    def hits(self, column: pa.Array) -> tuple[Ints, Ints]:
        """Find all votes on a column.

        Args:
            column: string array, shape (n,); null texts match nothing.

        Returns:
            Functions and rows, int64, both of shape (votes,); each pair once.
        """
        valid = np.asarray(column.is_valid())
        is_ascii = np.asarray(pc.fill_null(pc.string_is_ascii(column), False))
        runs, rows = self._table.find(column, is_ascii)
        confirm: set[tuple[int, int]] = set()
        confirm.update(zip(*(a.tolist() for a in self._unsure.expand(runs, rows)), strict=True))
        for row in np.flatnonzero(valid & ~is_ascii).tolist():
            text = column[row].as_py()
            confirm.update((n, row) for n in self._candidates(text))
        for n in self._unsplit:
            confirm.update((n, row) for row in np.flatnonzero(valid).tolist())
        kept = [(n, row) for n, row in confirm if self._search[n](column[row].as_py())]
        functions, found = self._exact.expand(runs, rows)
        confirmed = np.array(kept, dtype=np.int64).reshape(-1, 2)
        pairs = np.column_stack(
            (np.append(functions, confirmed[:, 0]), np.append(found, confirmed[:, 1]))
        )
        keys = np.unique(pairs[:, 0] * max(len(column), 1) + pairs[:, 1])
        return keys // max(len(column), 1), keys % max(len(column), 1)

    def _candidates(self, text: str) -> Iterable[int]:
        """Return the functions that may match a text that is not ASCII."""
        if not _foldable_marks().isdisjoint(text):
            return range(len(self._search))
        by_token = self._by_token
        found: set[int] = set()
        for token in set(re.findall(r"\w+", fold(text))):
            found |= by_token.get(token, _NOBODY)
        return found


_NOBODY: frozenset[int] = frozenset()


class _Owners:
    """The functions that each token belongs to, as offsets and values."""

    def __init__(self, owners: Sequence[set[int]]) -> None:
        self._lengths = np.array([len(o) for o in owners], dtype=np.int64)
        self._starts = np.concatenate(([0], np.cumsum(self._lengths)[:-1])).astype(np.int64)
        self._values = np.array([n for o in owners for n in sorted(o)], dtype=np.int64)

    def expand(self, tokens: Ints, rows: Ints) -> tuple[Ints, Ints]:
        """Return (function, row) for every function of every token found."""
        if not len(tokens):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        lengths = self._lengths[tokens]
        return self._values[_ragged(self._starts[tokens], lengths)], np.repeat(rows, lengths)


class _TokenTable:
    """Looks the tokens of ASCII rows up among known ones, over the bytes of a column.

    Args:
        runs: Tokens to find, lower case ASCII, distinct.
    """

    def __init__(self, runs: Sequence[bytes]) -> None:
        hashes = np.array([_hash(run) for run in runs], dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        self.runs = [runs[n] for n in order.tolist()]
        self._hashes = hashes[order]
        self._unique = np.unique(self._hashes)
        self._first = np.searchsorted(self._hashes, self._unique)
        self._per_hash = int(np.diff(np.append(self._first, len(runs))).max(initial=0))
        self._lengths = np.array([len(run) for run in self.runs], dtype=np.int64)
        self._starts = np.concatenate(([0], np.cumsum(self._lengths))).astype(np.int64)[:-1]
        self._bytes = np.frombuffer(b"".join(self.runs), dtype=np.uint8)
        self._filter = np.zeros(1 << _FILTER_BITS, dtype=bool)
        self._filter[(self._hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)] = True

    def find(self, column: pa.Array, rows_wanted: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Return (run, row) of every known token in the rows wanted, repeats included."""
        nothing = np.empty(0, dtype=np.int64)
        if not self.runs or not len(column):
            return nothing, nothing
        _, offset_buffer, data_buffer = column.buffers()
        offsets = np.frombuffer(offset_buffer, dtype=np.int32)
        offsets = offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
        if data_buffer is None or offsets[0] == offsets[-1]:
            return nothing, nothing
        data = np.frombuffer(data_buffer, dtype=np.uint8)
        found_runs, found_rows = [nothing], [nothing]
        first = 0
        while first < len(column):
            stop = int(np.searchsorted(offsets, offsets[first] + _CHUNK, side="right")) - 1
            stop = min(max(stop, first + 1), len(column))
            edges = offsets[first : stop + 1]
            runs, places = self._find_in(data[edges[0] : edges[-1]], edges[:-1] - edges[0])
            rows = np.searchsorted(edges, places + edges[0], side="right") - 1 + first
            kept = rows_wanted[rows]
            found_runs.append(runs[kept])
            found_rows.append(rows[kept])
            first = stop
        return np.concatenate(found_runs), np.concatenate(found_rows)

    def _find_in(self, data: Bytes, row_starts: Ints) -> tuple[Ints, Ints]:
        """Return (run, place) of every known token in a piece of the column's bytes."""
        size = len(data)
        lower, word = _LOWER[data], _WORD[data]
        begins = word.copy()
        begins[1:] &= ~word[:-1]
        at_row = row_starts[row_starts < size]
        begins[at_row] = word[at_row]
        ends = word.copy()
        ends[:-1] &= begins[1:] | ~word[1:]
        starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
        powers, inverses = _powers(1 << max(size - 1, 1).bit_length())
        prefix = np.zeros(size + 1, dtype=np.uint64)
        np.cumsum(lower * powers[:size], out=prefix[1:])
        hashes = _mix((prefix[stops] - prefix[starts]) * inverses[starts])
        likely = np.flatnonzero(
            self._filter[(hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)]
        )
        hashes, starts, stops = hashes[likely], starts[likely], stops[likely]
        group = np.searchsorted(self._unique, hashes)
        group[group == len(self._unique)] = 0
        same = self._unique[group] == hashes
        group, starts, lengths = group[same], starts[same], (stops - starts)[same]
        runs, places = [], []
        for nth in range(self._per_hash):  # one, unless two known tokens share a hash
            run = np.minimum(self._first[group] + nth, len(self.runs) - 1)
            equal = self._equal(run, starts, lengths, lower)
            runs.append(run[equal])
            places.append(starts[equal])
        return np.concatenate(runs), np.concatenate(places)

    def _equal(self, run: Ints, starts: Ints, lengths: Ints, lower: Bytes) -> npt.NDArray[np.bool_]:
        """Tell which tokens really are the run whose hash they have, byte by byte."""
        equal: npt.NDArray[np.bool_] = self._lengths[run] == lengths
        which = np.flatnonzero(equal)
        if not len(which):
            return equal
        text = lower[_ragged(starts[which], lengths[which])]
        known = self._bytes[_ragged(self._starts[run[which]], lengths[which])]
        edges = np.concatenate(([0], np.cumsum(lengths[which])))[:-1]
        equal[which] = np.logical_and.reduceat(text == known, edges)
        return equal


def _ragged(starts: Ints, lengths: Ints) -> Ints:
    """Return ``start, start + 1, ...`` for every start, `length` numbers each, in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    shifts: Ints = np.repeat(starts - (ends - lengths), lengths)
    return np.arange(total, dtype=np.int64) + shifts


@lru_cache(maxsize=2)
def _powers(size: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the hash's base and of its inverse, modulo 2^64."""
    result = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        factors = np.full(size, base, dtype=np.uint64)
        factors[0] = 1
        result.append(np.multiply.accumulate(factors))
    return result[0], result[1]


def _mix(hashes: Hashes) -> Hashes:
    """Spread a polynomial hash over its high bits."""
    return (hashes ^ (hashes >> np.uint64(32))) * _MIX


def _hash(run: bytes) -> int:
    value = sum(byte * pow(_BASE, n, 1 << 64) for n, byte in enumerate(run)) & _MASK
    return int(_mix(np.array([value], dtype=np.uint64))[0])


def fold(text: str) -> str:
    """Return `text` with all characters that `re.IGNORECASE` may take for each other made one.

    Character by character, so lengths and places stay; it may make more of them one than `re`
    does, which is why what it finds is confirmed.
    """
    return text.translate(_fold_table()[0])


def _foldable_marks() -> frozenset[str]:
    """Return the characters outside words that `re.IGNORECASE` may take for one in a word."""
    return _fold_table()[1]


@lru_cache(maxsize=1)
def _fold_table() -> tuple[dict[int, str], frozenset[str]]:
    parent: dict[str, str] = {}

    def root(char: str) -> str:
        while parent.setdefault(char, char) != char:
            char = parent[char]
        return char

    def join(a: str, b: str) -> None:
        # The one that stands for all is in a word, if any of them is: folding splits no token.
        kept, other = sorted((root(a), root(b)), key=lambda c: (not re.match(r"\w", c), c))
        parent[other] = kept

    same_folding: dict[str, str] = {}
    for char in map(chr, range(0x20000)):  # no character above has a case
        for other in (char.lower()[0], char.upper(), char.casefold()):
            if len(other) == 1 and other != char:
                join(char, other)
        if char.casefold() != char:
            join(char, same_folding.setdefault(char.casefold(), char))
    table = {ord(char): root(char) for char in parent}
    # Upper case sorts first, so ASCII letters have to be brought down.
    table = {code: (char.lower() if char.isascii() else char) for code, char in table.items()}
    in_words = {char for code, char in table.items() if re.match(r"\w", chr(code))}
    marks = frozenset(
        chr(code)
        for code, char in table.items()
        if char in in_words and not re.match(r"\w", chr(code))
    )
    return table, marks
