"""All regexes of a text column in one pass: one multi-expression scan, confirmed where it must be.

The texts are laid out in one buffer and Hyperscan, where it is installed, searches it for all
expressions together. What it finds is sure where an expression's translation is exact
(`labelmill.regextranslate`) and is otherwise confirmed with `re`; expressions that it cannot search
for are searched with `re` in every text. Either way the results are those of `re.search`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill import regexengine
from labelmill.regexengine import Automaton
from labelmill.regextranslate import Translation, UntranslatableError, translate
from labelmill.textlayout import lay_out

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Engine = Literal["hyperscan", "re"]
How = Literal["scan", "confirmed", "every row"]

_CHUNK = 1 << 22
_MOST_ROWS = 0.5
_EXPRESSIONS_AT_ONCE = 100


@dataclass(frozen=True)
class Candidates:
    """Where regexes are found, or may be; a pair of function and row that is not here is not found.

    Attributes:
        functions: Positions among the patterns, int64, shape (candidates,).
        rows: int64, shape (candidates,).
        sure: bool, shape (candidates,); False where ``re.search`` has to confirm it.
    """

    functions: Ints
    rows: Ints
    sure: Bools


class RegexScan:
    r"""Regexes over one text column, made ready to run; exactly as `re.search` finds them.

    One object may be used by several threads. It is not pickled: each process makes its own.

    Args:
        patterns: Regular expressions and their `re` flags.
        engine: ``"hyperscan"`` or ``"re"``; by default Hyperscan where a version that is right
            is installed. The attribute tells which it is.

    Raises:
        re.error: A pattern is no regular expression.
        ImportError: Hyperscan is asked for, and not installed or not right.

    Example:
        >>> scan = RegexScan([(r"\bcash\b", re.IGNORECASE), (r"^\d+$", 0)])
        >>> functions, rows = scan.hits(pa.array(["Cash!", None, "cashier", "42"]))
        >>> functions.tolist(), rows.tolist()
        ([0, 1], [0, 3])
    """

    def __init__(
        self, patterns: Sequence[tuple[str, int]], *, engine: Engine | None = None
    ) -> None:
        plain = [(pattern, int(flags) & ~re.DEBUG) for pattern, flags in patterns]
        self._search = [re.compile(pattern, flags).search for pattern, flags in plain]
        found = [search("") is not None for search in self._search]
        self._on_empty = np.flatnonzero(np.array(found, dtype=bool))
        hyperscan = None
        if engine != "re":
            hyperscan = regexengine.load(required=engine == "hyperscan")
        self.engine: Engine = "re" if hyperscan is None else "hyperscan"
        self._of_ascii = _Automata(plain, hyperscan, ascii_only=True)
        self._of_others = _Automata(plain, hyperscan, ascii_only=False)

    @property
    def how(self) -> tuple[How, ...]:
        """How each pattern is searched for in texts of ASCII, or in others where it needs them.

        ``"scan"``: by the scan alone. ``"confirmed"``: by the scan, and `re` on what it finds.
        ``"every row"``: by `re`. Where texts have other characters, most patterns are confirmed.
        """
        first = self._of_ascii.how
        others = self._of_others.how if None in first else first
        return tuple(a or b or "scan" for a, b in zip(first, others, strict=True))

    def candidates(self, column: pa.Array) -> Candidates:
        """Find where the patterns are, without `re`.

        Args:
            column: string array, shape (n,); null texts match nothing.

        Returns:
            Each pair of function and row at most once, in no particular order.
        """
        valid = np.asarray(column.is_valid())
        is_ascii = np.asarray(pc.fill_null(pc.string_is_ascii(column), False))
        empty = np.flatnonzero(valid & (np.asarray(pc.binary_length(column).fill_null(1)) == 0))
        parts = [
            self._of_ascii.find(column, is_ascii),
            self._of_others.find(column, valid & ~is_ascii),
        ]
        functions, rows, sure = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if len(empty):  # there `re` has told already
            kept = ~np.isin(rows, empty)
            known = len(empty) * len(self._on_empty)
            functions = np.append(functions[kept], np.tile(self._on_empty, len(empty)))
            rows = np.append(rows[kept], np.repeat(empty, len(self._on_empty)))
            sure = np.append(sure[kept], np.ones(known, dtype=bool))
        return Candidates(functions, rows, sure)

    def hits(self, column: pa.Array) -> tuple[Ints, Ints]:
        """Find all patterns in a column, candidates confirmed.

        Args:
            column: string array, shape (n,); null texts match nothing.

        Returns:
            Functions and rows, int64, both of shape (hits,); each pair once.
        """
        found = self.candidates(column)
        kept = found.sure.copy()
        unsure = np.flatnonzero(~kept)
        if len(unsure):
            needed, at = np.unique(found.rows[unsure], return_inverse=True)
            texts = column.take(pa.array(needed)).to_pylist()
            search = self._search
            pairs = zip(found.functions[unsure].tolist(), at.tolist(), strict=True)
            kept[unsure] = [search[function](texts[n]) is not None for function, n in pairs]
        return found.functions[kept], found.rows[kept]

    def costly(self, rows: int, unsure: Sequence[int] | Ints) -> tuple[int, ...]:
        """Name the patterns for which `re` looked at most rows.

        Args:
            rows: Rows seen.
            unsure: Candidates that were not sure, per pattern, over those rows.

        Returns:
            Positions among the patterns, ascending.
        """
        return tuple(np.flatnonzero(np.asarray(unsure) > rows * _MOST_ROWS).tolist())


class _Automata:
    """The patterns in the form that one kind of texts needs, built when first used."""

    def __init__(
        self, patterns: Sequence[tuple[str, int]], hyperscan: ModuleType | None, *, ascii_only: bool
    ) -> None:
        self._patterns = patterns
        self._hyperscan = hyperscan
        self._ascii_only = ascii_only
        self._lock = threading.Lock()
        self._automata: list[Automaton] | None = None
        self._how: list[How | None] = [None] * len(patterns)  # None: nowhere
        self._sure = np.zeros(len(patterns), dtype=bool)
        self._everywhere = np.zeros(len(patterns), dtype=bool)

    @property
    def how(self) -> list[How | None]:
        self._ready()
        return self._how

    def find(self, column: pa.Array, wanted: Bools) -> tuple[Ints, Ints, Bools]:
        """Return functions, rows and sureness of the candidates in the rows wanted."""
        rows = np.flatnonzero(wanted)
        automata = self._ready() if len(rows) else []
        keys = [np.empty(0, dtype=np.int64)]
        if automata:
            texts = column if len(rows) == len(column) else column.filter(pa.array(wanted))
            for piece in lay_out(texts, _CHUNK):
                for automaton in automata:
                    functions, ends = automaton.scan(piece.buffer)
                    # The last byte of a match opens the next row, the one before closes its own.
                    keys.append(functions * len(column) + rows[piece.rows(ends - 2)])
        functions, places = np.divmod(np.unique(np.concatenate(keys)), max(len(column), 1))
        if self._everywhere.any():
            kept = ~self._everywhere[functions]  # parts of one may have been compiled
            everywhere = np.flatnonzero(self._everywhere)
            functions = np.append(functions[kept], np.repeat(everywhere, len(rows)))
            places = np.append(places[kept], np.tile(rows, len(everywhere)))
        return functions, places, self._sure[functions]

    def _ready(self) -> list[Automaton]:
        with self._lock:
            if self._automata is None:
                self._automata = self._build()
            return self._automata

    def _build(self) -> list[Automaton]:
        expressions: list[tuple[int, str]] = []
        for n, (pattern, flags) in enumerate(self._patterns):
            made = self._translate(pattern, flags)
            if made is None or made.everywhere:
                self._take_everywhere(n, sure=made is not None and made.exact)
            elif made.expressions:
                self._how[n] = "scan" if made.exact else "confirmed"
                self._sure[n] = made.exact
                expressions += [(n, expression) for expression in made.expressions]
        automata: list[Automaton] = []
        for start in range(0, len(expressions), _EXPRESSIONS_AT_ONCE):
            assert self._hyperscan is not None
            part = expressions[start : start + _EXPRESSIONS_AT_ONCE]
            compiled, refused = regexengine.compile_all(self._hyperscan, part)
            automata += compiled
            for n in refused:
                self._take_everywhere(n, sure=False)
        return automata

    def _translate(self, pattern: str, flags: int) -> Translation | None:
        if self._hyperscan is None:
            return None
        try:
            return translate(pattern, flags, ascii_only=self._ascii_only)
        except UntranslatableError:
            return None

    def _take_everywhere(self, n: int, *, sure: bool) -> None:
        self._how[n] = "scan" if sure else "every row"
        self._sure[n] = sure
        self._everywhere[n] = True
