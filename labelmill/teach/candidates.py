"""Candidates for functions: what a text has that a keyword or an expression could look for.

A candidate is known by a 50-bit key, a hash of its kind and words, so that texts are indexed in
numpy and counts of shards add up. Its words are found again from a text that has it
(`find_candidates`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.hashing import Hashes, mixed
from labelmill.teach.tokens import Ints, Tokens, tokens_of

KEY_BITS = 50
ROW_BITS = 64 - KEY_BITS
MOST_ROWS = 1 << ROW_BITS

LONG_WORD = 6
"""Letters of a word from which its beginning and its end are candidates."""

_LETTERS = (3, 4)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TOP = np.uint64(64 - KEY_BITS)
_WIDE = 8


class Kind(IntEnum):
    """What a candidate looks for."""

    WORD = 1
    BIGRAM = 2
    TRIGRAM = 3
    GAP = 4
    """Two words with one between."""
    TITLE_WORD = 5
    TITLE_BIGRAM = 6
    FIRST = 7
    FIRST_TWO = 8
    TITLE_LAST = 9
    TITLE_LAST_TWO = 10
    LAST = 11
    LAST_TWO = 12
    TITLE_PREFIX = 13
    TITLE_SUFFIX = 14


@dataclass(frozen=True)
class Candidate:
    """A candidate with its words.

    Attributes:
        kind: What it looks for.
        words: One to three words in lower case, of affixes the letters.
    """

    kind: Kind
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """Occurrences of one kind: text, key, first token, and number of tokens or of letters."""

    kind: Kind
    rows: Ints
    keys: Hashes
    tokens: Ints
    length: int


def candidate_keys(column: pa.Array) -> Iterator[tuple[int, Hashes]]:
    """Index texts.

    Args:
        column: string array, shape (n,).

    Yields:
        The first row of a piece of at most `MOST_ROWS` rows, and ascending distinct uint64s whose
        first `ROW_BITS` bits are a row, counted from there, and whose others a candidate of it.
    """
    for start in range(0, len(column), MOST_ROWS):
        for first, tokens in tokens_of(column.slice(start, MOST_ROWS)):
            packed = [
                (found.rows.astype(np.uint64) << np.uint64(KEY_BITS)) | found.keys
                for found in _occurrences(tokens)
            ]
            yield start + first, _distinct(np.concatenate(packed))


def _distinct(values: Hashes) -> Hashes:
    """Return ascending distinct values; numpy's own way is by a hash table, five times slower."""
    values.sort()
    kept: Hashes = values[np.append(True, values[1:] != values[:-1])[: len(values)]]
    return kept


def unpack(packed: Hashes) -> tuple[Ints, Hashes]:
    """Return rows (int64) and keys (uint64) of what `candidate_keys` yields."""
    rows = (packed >> np.uint64(KEY_BITS)).astype(np.int64)
    return rows, packed & np.uint64((1 << KEY_BITS) - 1)


def find_candidates(texts: Iterable[pa.Array], keys: Hashes) -> dict[int, Candidate]:
    """Return candidates by key, as the first text that has them shows.

    Args:
        texts: string arrays, read until all are found.
        keys: uint64, ascending and distinct.
    """
    missing = keys
    result: dict[int, Candidate] = {}
    for column in texts:
        for _, tokens in tokens_of(column):
            if not len(missing):
                return result
            for found in _occurrences(tokens):
                hits = np.flatnonzero(np.isin(found.keys, missing))
                seen, first = np.unique(found.keys[hits], return_index=True)
                for key, n in zip(seen.tolist(), hits[first].tolist(), strict=True):
                    result.setdefault(key, _candidate(tokens, found, n))
            missing = np.setdiff1d(missing, np.array(sorted(result), dtype=np.uint64))
    return result


def _candidate(tokens: Tokens, found: _Found, n: int) -> Candidate:
    at = int(found.tokens[n])
    if found.kind is Kind.TITLE_PREFIX:
        return Candidate(found.kind, (tokens.word(at)[: found.length],))
    if found.kind is Kind.TITLE_SUFFIX:
        return Candidate(found.kind, (tokens.word(at)[-found.length :],))
    if found.kind is Kind.GAP:
        return Candidate(found.kind, (tokens.word(at), tokens.word(at + 2)))
    return Candidate(found.kind, tuple(tokens.word(at + k) for k in range(found.length)))


def _occurrences(tokens: Tokens) -> Iterator[_Found]:
    """Yield the candidates of texts, kind by kind; a text may have one several times."""
    rows, hashes, title = tokens.rows, tokens.hashes, tokens.in_title
    everywhere = np.arange(len(rows), dtype=np.int64)
    two = np.flatnonzero(rows[1:] == rows[:-1])
    three = np.flatnonzero(rows[2:] == rows[:-2])
    pairs = _joined(hashes[:-1], hashes[1:])
    opens = np.diff(rows, prepend=-1) != 0
    closes = np.append(opens[1:], True)[: len(rows)]
    first, last = np.flatnonzero(opens), np.flatnonzero(closes)
    title_closes = np.flatnonzero(title & (closes | ~np.append(title[1:], False)[: len(title)]))

    def found(kind: Kind, at: Ints, values: Hashes, length: int) -> _Found:
        seed = mixed(np.array([int(kind) << 8 | length], dtype=np.uint64))
        return _Found(kind, rows[at], mixed(values[at] + seed) >> _TOP, at, length)

    def ending(at: Ints) -> Ints:
        """Return where the two tokens begin that end at tokens."""
        before: Ints = at[~opens[at]] - 1
        return before

    yield found(Kind.WORD, everywhere, hashes, 1)
    yield found(Kind.BIGRAM, two, pairs, 2)
    yield found(Kind.TRIGRAM, three, _joined(pairs[:-1], hashes[2:]), 3)
    yield found(Kind.GAP, three, _joined(hashes[:-2], hashes[2:]), 2)
    yield found(Kind.TITLE_WORD, np.flatnonzero(title), hashes, 1)
    yield found(Kind.TITLE_BIGRAM, two[title[two + 1]], pairs, 2)
    yield found(Kind.FIRST, first, hashes, 1)
    yield found(Kind.FIRST_TWO, first[~closes[first]], pairs, 2)
    yield found(Kind.TITLE_LAST, title_closes, hashes, 1)
    yield found(Kind.TITLE_LAST_TWO, ending(title_closes), pairs, 2)
    yield found(Kind.LAST, last, hashes, 1)
    yield found(Kind.LAST_TWO, ending(last), pairs, 2)
    long = np.flatnonzero(title & (tokens.stops - tokens.starts >= LONG_WORD))
    long = long[_ascii(tokens, long)]
    wide: Hashes = np.ndarray(
        len(tokens.text) - _WIDE + 1, dtype="<u8", buffer=tokens.text.data, strides=(1,)
    )
    for letters in _LETTERS:
        heads, tails = np.zeros_like(hashes), np.zeros_like(hashes)
        mask = np.uint64((1 << 8 * letters) - 1)
        heads[long] = wide[tokens.starts[long]] & mask
        tails[long] = wide[tokens.stops[long] - letters] & mask
        yield found(Kind.TITLE_PREFIX, long, heads, letters)
        yield found(Kind.TITLE_SUFFIX, long, tails, letters)


def _joined(first: Hashes, second: Hashes) -> Hashes:
    return mixed(first * _GOLDEN + second)


def _ascii(tokens: Tokens, which: Ints) -> npt.NDArray[np.bool_]:
    """Tell which tokens have only ASCII letters."""
    beyond = np.cumsum(tokens.text >= 0x80)
    return np.asarray(beyond[tokens.stops[which] - 1] == beyond[tokens.starts[which] - 1])
