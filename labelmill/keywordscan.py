"""All keyword functions of a column in one pass: tokens are hashed and looked up, not searched.

A keyword of word characters stands in a text as a whole word exactly when it is one of the text's
maximal runs of word characters, case folded; so the cost is that of splitting the texts, whatever
the number of keywords. Texts are split in numpy over their bytes, and what is not ASCII as `re`
splits it. Phrases, and words with other characters, are looked up by one of their runs; what the
look-up alone does not decide is confirmed with `re`, word by word. Votes are exactly those of the
functions' patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.labeling import Matcher, keywords
from labelmill.textlayout import OPEN, lay_out

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Search = Callable[[str], object]

_CHUNK = 1 << 18
_CACHED_TOKENS = 1 << 16
_SPARSE = 32  # cells for one key, where sorting keys beats marking cells
_FILTER_SHIFT = np.uint64(64 - 20)
_WIDE = 8  # bytes compared at once
_PADDING = bytes(_WIDE)
_HEAD_MASKS = np.array([(1 << 8 * n) - 1 for n in range(_WIDE + 1)], dtype=np.uint64)
_TAIL_SHIFTS = np.array([8 * (_WIDE - n) for n in range(_WIDE)] + [0], dtype=np.uint64)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_TAIL_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)

# Word characters in lower case, bytes of other characters as they are, everything else zero.
_SPLIT = bytes(
    byte if byte < OPEN and (byte >= 0x80 or re.match(r"\w", chr(byte))) else 0
    for byte in range(256)
).lower()


class _Word(NamedTuple):
    """A word of a function, with all that decides whether it is found."""

    function: int
    pattern: str
    flags: int
    run: str  # the word characters that it is looked up by, folded; none where it has none
    decided: bool  # a token of ASCII equal to `run` is the word
    part: str  # stands in every text where the word is found


class KeywordScan:
    """Keyword functions over one text column, made ready to run.

    Args:
        matchers: Functions with `words`.
    """

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._words = [word for n, matcher in enumerate(matchers) for word in _words(n, matcher)]
        self._functions = np.array([word.function for word in self._words], dtype=np.int64)
        self._searches: dict[int, Search] = {}
        self._unsplit: list[int] = []
        self._by_run: dict[str, list[int]] = {}
        for n, word in enumerate(self._words):
            if word.run:
                self._by_run.setdefault(word.run, []).append(n)
            else:
                self._unsplit.append(n)
        marks = set(map(fold, _foldable_marks()))
        self._marked = [
            n for n, w in enumerate(self._words) if not marks.isdisjoint(fold(w.pattern))
        ]
        self._cached: dict[bytes, tuple[list[int], list[int]]] = {}
        runs = sorted(run.encode() for run in self._by_run if run.isascii())
        self._table = _TokenTable(runs)
        owners = [self._by_run[run.decode()] for run in self._table.runs]
        self._exact = _Owners([[n for n in o if self._words[n].decided] for o in owners])
        self._unsure = _Owners([[n for n in o if not self._words[n].decided] for o in owners])

    def hits(self, column: pa.Array) -> tuple[Ints, Ints]:
        """Find all votes on a column.

        Args:
            column: string array, shape (n,); null texts match nothing.

        Returns:
            Functions and rows, int64, both of shape (votes,); each pair once.
        """
        width = max(len(column), 1)
        mixed: list[tuple[bytes, int]] = []
        runs, rows = self._table.find(column, np.asarray(column.is_valid()), mixed)
        words, found = self._exact.expand(runs, rows)
        sure = [self._functions[words] * width + found]
        words, found = self._unsure.expand(runs, rows)
        unsure = [words * width + found]
        certain: list[int] = []
        possible: list[int] = []
        for token, row in mixed:
            exact, others = self._look_up(token)
            certain += [n * width + row for n in exact]
            possible += [n * width + row for n in others]
        for n in self._unsplit:
            there = pc.fill_null(pc.match_substring(column, self._words[n].part), False)
            unsure.append(n * width + np.flatnonzero(there))
        unsure.append(np.array(possible, dtype=np.int64))
        sure.append(np.array(certain, dtype=np.int64))
        sure.append(self._confirmed(column, np.unique(np.concatenate(unsure))))
        cells = (int(self._functions.max(initial=-1)) + 1) * width
        return np.divmod(_distinct(np.concatenate(sure), cells), width)

    def _confirmed(self, column: pa.Array, pairs: Ints) -> Ints:
        """Return the (function, row) keys of those ascending (word, row) keys that `re` finds."""
        width = max(len(column), 1)
        words, rows = np.divmod(pairs, width)
        needed, at = np.unique(rows, return_inverse=True)
        texts = column.take(pa.array(needed, pa.int64())).to_pylist()
        kept = np.zeros(len(pairs), dtype=bool)
        edges = np.append(np.flatnonzero(np.diff(words, prepend=-1)), len(words)).tolist()
        for start, stop in pairwise(edges):
            search = self._search(int(words[start]))
            kept[start:stop] = [search(texts[n]) is not None for n in at[start:stop].tolist()]
        return self._functions[words[kept]] * width + rows[kept]

    def _search(self, n: int) -> Search:
        search = self._searches.get(n)
        if search is None:
            search = re.compile(self._words[n].pattern, self._words[n].flags).search
            self._searches[n] = search
        return search

    def _look_up(self, token: bytes) -> tuple[list[int], list[int]]:
        """Return functions found in, and words possible in, a run with bytes beyond ASCII."""
        result = self._cached.get(token)
        if result is None:
            if len(self._cached) >= _CACHED_TOKENS:
                self._cached.clear()
            result = self._cached[token] = self._split(token.decode())
        return result

    def _split(self, text: str) -> tuple[list[int], list[int]]:
        exact: list[int] = []
        possible = [] if _foldable_marks().isdisjoint(text) else list(self._marked)
        for token in set(re.findall(r"\w+", text)):
            for n in self._by_run.get(fold(token), ()):
                if token.isascii() and self._words[n].decided:
                    exact.append(self._words[n].function)
                else:
                    possible.append(n)
        return exact, possible


def _words(n: int, matcher: Matcher) -> Iterable[_Word]:
    """Return the words of a function; it is found where one of them is."""
    flags = matcher.flags | (re.IGNORECASE if matcher.pattern.startswith("(?i)") else 0)
    any_case = bool(flags & re.IGNORECASE)
    for word in matcher.words:
        if matcher.kind == "keywords":
            alone = keywords(matcher.name, label=0, words=[word], ignore_case=any_case).pattern
        else:
            alone = rf"\b{word}\b"
        if any(char > "\uffff" and char.lower() != char.upper() for char in word):
            alone = matcher.pattern  # `re` may ignore such a character's case alone, not in a list
        run = max(re.findall(r"\w+", word), key=len, default="")
        if not _foldable_marks().isdisjoint(word):
            run = ""  # a text may have it with one run where the word has two
        decided = any_case and word == run and word.isascii()
        part = max(word.split(" "), key=len)
        if any_case and part.lower() != part.upper():
            part = ""
        yield _Word(n, alone, flags, fold(run), decided, part)


class _Owners:
    """The words that each token belongs to, as offsets and values."""

    def __init__(self, owners: Sequence[Sequence[int]]) -> None:
        self._lengths = np.array([len(o) for o in owners], dtype=np.int64)
        self._starts = np.concatenate(([0], np.cumsum(self._lengths)[:-1])).astype(np.int64)
        self._values = np.array([n for o in owners for n in o], dtype=np.int64)

    def expand(self, tokens: Ints, rows: Ints) -> tuple[Ints, Ints]:
        """Return (word, row) for every word of every token found."""
        if not len(tokens) or not len(self._values):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        lengths = self._lengths[tokens]
        return self._values[_ragged(self._starts[tokens], lengths)], np.repeat(rows, lengths)


class _Tokens(NamedTuple):
    """Tokens in a buffer: their first and last eight bytes as numbers, and their lengths."""

    heads: Hashes
    tails: Hashes
    lengths: Ints

    def hashes(self) -> Hashes:
        hashes: Hashes = self.heads ^ (self.tails * _TAIL_MIX)
        hashes ^= self.lengths.astype(np.uint64)
        return _mix(hashes)

    def at(self, which: Ints) -> _Tokens:
        return _Tokens(self.heads[which], self.tails[which], self.lengths[which])


class _TokenTable:
    """Looks tokens up among known ones, over the bytes of a column.

    Args:
        runs: Tokens to find, lower case ASCII, distinct.
    """

    def __init__(self, runs: Sequence[bytes]) -> None:
        tokens = _tokens_of(runs)
        hashes = tokens.hashes()
        order = np.argsort(hashes, kind="stable")
        self.runs = [runs[n] for n in order.tolist()]
        self._tokens = tokens.at(order)
        self._unique, self._first = np.unique(hashes[order], return_index=True)
        self._per_hash = int(np.diff(np.append(self._first, len(runs))).max(initial=0))
        self._starts = np.cumsum(self._tokens.lengths) - self._tokens.lengths
        self._bytes = np.frombuffer(b"".join(self.runs), dtype=np.uint8)
        self._heads = np.zeros(1 << 20, dtype=bool)
        self._heads[_mix(tokens.heads) >> _FILTER_SHIFT] = True

    def find(
        self, column: pa.Array, wanted: Bools, mixed: list[tuple[bytes, int]] | None = None
    ) -> tuple[Ints, Ints]:
        """Return (run, row) of every known token in the rows wanted, repeats included.

        Tokens are maximal runs of word characters of ASCII and of any other characters. Those with
        other characters are appended, with their rows, to `mixed`.
        """
        found_runs, found_rows = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for piece in lay_out(column, _CHUNK):
            split = b"".join((_PADDING, piece.buffer.translate(_SPLIT), _PADDING))
            text = np.frombuffer(split, dtype=np.uint8)
            in_token = text != 0
            edges = np.flatnonzero(in_token[1:] != in_token[:-1]) + 1
            starts, stops = edges[0::2], edges[1::2]
            if mixed is not None and not split.isascii():
                which = np.searchsorted(starts, np.flatnonzero(text >= 0x80), side="right") - 1
                which = which[np.diff(which, prepend=-1) > 0]
                rows = piece.rows(starts[which] - _WIDE)
                for start, stop, row in zip(
                    starts[which].tolist(), stops[which].tolist(), rows.tolist(), strict=True
                ):
                    mixed.append((split[start:stop], row))
            if self.runs:
                runs, places = self._find_in(split, text, starts, stops)
                found_runs.append(runs)
                found_rows.append(piece.rows(places - _WIDE))
        runs, rows = np.concatenate(found_runs), np.concatenate(found_rows)
        kept = wanted[rows]
        return (runs, rows) if kept.all() else (runs[kept], rows[kept])

    def _find_in(
        self, split: bytes, text: npt.NDArray[np.uint8], starts: Ints, stops: Ints
    ) -> tuple[Ints, Ints]:
        """Return (run, place) of every known token."""
        # Any eight bytes, as one number.
        wide: Hashes = np.ndarray((len(split) - _WIDE + 1,), "<u8", split, strides=(1,))
        lengths = stops - starts
        short = np.minimum(lengths, _WIDE)
        heads = wide[starts] & _HEAD_MASKS[short]
        likely = np.flatnonzero(self._heads[_mix(heads) >> _FILTER_SHIFT])
        starts, lengths = starts[likely], lengths[likely]
        tails = wide[stops[likely] - _WIDE] >> _TAIL_SHIFTS[short[likely]]
        tokens = _Tokens(heads[likely], tails, lengths)
        hashes = tokens.hashes()
        group = np.searchsorted(self._unique, hashes)
        group[group == len(self._unique)] = 0
        same = np.flatnonzero(self._unique[group] == hashes)
        group, starts, tokens = group[same], starts[same], tokens.at(same)
        runs, places = [], []
        for nth in range(self._per_hash):  # one, unless two known tokens share a hash
            run = np.minimum(self._first[group] + nth, len(self.runs) - 1)
            equal = self._equal(run, tokens, starts, text)
            runs.append(run[equal])
            places.append(starts[equal])
        return np.concatenate(runs), np.concatenate(places)

    def _equal(
        self, run: Ints, tokens: _Tokens, starts: Ints, text: npt.NDArray[np.uint8]
    ) -> Bools:
        """Tell which tokens really are the run whose hash they have."""
        known = self._tokens.at(run)
        equal: Bools = (known.heads == tokens.heads) & (known.tails == tokens.tails)
        equal &= known.lengths == tokens.lengths
        long = np.flatnonzero(equal & (tokens.lengths > 2 * _WIDE))
        if len(long):  # there is a middle to compare, byte by byte
            lengths = tokens.lengths[long]
            ours = self._bytes[_ragged(self._starts[run[long]], lengths)]
            theirs = text[_ragged(starts[long], lengths)]
            edges = np.cumsum(lengths) - lengths
            equal[long] = np.logical_and.reduceat(ours == theirs, edges)
        return equal


def _tokens_of(runs: Sequence[bytes]) -> _Tokens:
    heads = [int.from_bytes(run[:_WIDE], "little") for run in runs]
    tails = [int.from_bytes(run[-_WIDE:], "little") for run in runs]
    return _Tokens(
        np.array(heads, dtype=np.uint64),
        np.array(tails, dtype=np.uint64),
        np.array([len(run) for run in runs], dtype=np.int64),
    )


def _distinct(keys: Ints, stop: int) -> Ints:
    """Return the distinct ones of `keys`, which lie in ``range(stop)``, in ascending order."""
    if stop > _SPARSE * len(keys):
        return np.unique(keys)
    present = np.zeros(stop, dtype=bool)
    present[keys] = True
    return np.flatnonzero(present)


def _ragged(starts: Ints, lengths: Ints) -> Ints:
    """Return ``start, start + 1, ...`` for every start, `length` numbers each, in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    shifts: Ints = np.repeat(starts - (ends - lengths), lengths)
    return np.arange(total, dtype=np.int64) + shifts


def _mix(hashes: Hashes) -> Hashes:
    """Spread a hash over its high bits."""
    return (hashes ^ (hashes >> _HALF)) * _MIX


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
