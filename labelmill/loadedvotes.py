"""A vote table in memory: its votes by item, and their join with the ids of a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.errors import LabelingFunctionError
from labelmill.keyindex import KeyIndex
from labelmill.labeling import SparseVotes

Ints = npt.NDArray[np.int64]

_INVALID = -3
_PIECE = 1 << 20
_NUMBER = re.compile(r"(-?[0-9]{1,18})(?:\.0*)?")  # pandas writes 1.0 for 1 among nulls


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
