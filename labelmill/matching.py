"""All matchers of a job over a batch: keywords of a column in one pass, regexes in another."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.errors import LabelingFunctionError
from labelmill.keywordscan import KeywordScan
from labelmill.labeling import Matcher
from labelmill.regexcost import search_steps
from labelmill.regexscan import RegexScan

Ints = npt.NDArray[np.int64]

QUICK_STEPS = 1e8
"""Steps of a backtracking search that are sure to be over in some seconds."""


class Sink(Protocol):
    """Takes what a scan finds; `labelmill.apply` has one."""

    def add_sparse(self, functions: Ints, rows: Ints, codes: npt.NDArray[np.int16], /) -> None:
        """Take single votes."""

    def spent(self, positions: Sequence[int], seconds: float, /) -> None:
        """Take the time of a pass."""


class MatcherSet:
    """Matchers made ready to run.

    Args:
        matchers: By their position among the job's functions.
        labels: Class index that each votes for, by the same position.
    """

    def __init__(self, matchers: Mapping[int, Matcher], labels: Mapping[int, int]) -> None:
        self._matchers = matchers
        self._labels = np.zeros(max(matchers, default=-1) + 1, dtype=np.int16)
        keywords: dict[str, list[int]] = defaultdict(list)
        regexes: dict[str, list[int]] = defaultdict(list)
        for position, matcher in matchers.items():
            self._labels[position] = labels[position]
            (keywords if matcher.words else regexes)[matcher.field].append(position)
        self._keywords = {
            field: (np.array(positions), KeywordScan([matchers[n] for n in positions]))
            for field, positions in keywords.items()
        }
        self._regexes = {
            field: (
                np.array(positions),
                RegexScan([(matchers[n].pattern, matchers[n].flags) for n in positions]),
            )
            for field, positions in regexes.items()
        }

    def scan(self, batch: pa.RecordBatch, sink: Sink) -> dict[int, Ints]:
        """Find what can be found in one pass over each column.

        Args:
            batch: Records.
            sink: Takes the votes that are certain.

        Returns:
            Rows on which a regex may match and `search` has to tell, by position.

        Raises:
            LabelingFunctionError: A matcher's column is not there or is no text.
        """
        for field, (positions, keywords) in self._keywords.items():
            started = time.perf_counter()
            functions, rows = keywords.hits(self._column(batch, field, positions[0]))
            sink.add_sparse(positions[functions], rows, self._labels[positions[functions]])
            sink.spent(positions.tolist(), time.perf_counter() - started)
        unsure: dict[int, Ints] = {}
        for field, (positions, regexes) in self._regexes.items():
            started = time.perf_counter()
            found = regexes.candidates(self._column(batch, field, positions[0]))
            sure = positions[found.functions[found.sure]]
            sink.add_sparse(sure, found.rows[found.sure], self._labels[sure])
            functions, rows = found.functions[~found.sure], found.rows[~found.sure]
            order = np.argsort(functions, kind="stable")
            functions, rows = functions[order], rows[order]
            edges = np.searchsorted(functions, np.arange(len(positions) + 1))
            for n in np.flatnonzero(np.diff(edges)).tolist():
                unsure[int(positions[n])] = np.sort(rows[edges[n] : edges[n + 1]])
            sink.spent(positions.tolist(), time.perf_counter() - started)
        return unsure

    def warm_up(self) -> None:
        """Build what is built on first use, so that what follows can be timed."""
        texts = pa.array(["", "a", "é"])
        for _, keywords in self._keywords.values():
            keywords.hits(texts)
        for _, regexes in self._regexes.values():
            regexes.candidates(texts)

    def search(self, position: int, batch: pa.RecordBatch, rows: Ints) -> Ints:
        """Return those of `rows` in which `re` finds a matcher's expression."""
        matcher = self._matchers[position]
        search = re.compile(matcher.pattern, matcher.flags).search
        texts = self._column(batch, matcher.field, position).take(pa.array(rows)).to_pylist()
        hits = [n for n, text in enumerate(texts) if text is not None and search(text)]
        return rows[hits]

    def may_hang(self, position: int, batch: pa.RecordBatch, rows: Ints) -> bool:
        """Tell whether `search` might take long on `rows`, all together."""
        matcher = self._matchers[position]
        column = self._column(batch, matcher.field, position).take(pa.array(rows))
        lengths = pc.fill_null(pc.utf8_length(column), 0).to_numpy()
        longest = int(lengths.max(initial=0))
        most = search_steps(matcher.pattern, matcher.flags, longest)
        # The bound grows at least as fast as the text: shorter ones take less than their share.
        return most * float(lengths.sum()) / max(longest, 1) > QUICK_STEPS

    def _column(self, batch: pa.RecordBatch, field: str, position: int) -> pa.Array:
        name = self._matchers[position].name
        if field not in batch.schema.names:
            raise LabelingFunctionError(
                f"labeling function {name!r} matches column {field!r}, which the batch does not "
                f"have (columns: {', '.join(batch.schema.names)})"
            )
        column = batch.column(field)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if (
            pa.types.is_string_view(column.type)
            or pa.types.is_null(column.type)
            or pa.types.is_large_string(column.type)
        ):
            return column.cast(pa.string())
        if not pa.types.is_string(column.type):
            raise LabelingFunctionError(
                f"labeling function {name!r} matches text, but column {field!r} is {column.type}"
            )
        return column
