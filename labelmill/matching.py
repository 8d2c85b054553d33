"""All matchers of a job over a batch: keywords in one pass a column, regexes one by one."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.errors import LabelingFunctionError
from labelmill.keywordscan import KeywordScan
from labelmill.labeling import Matcher


class MatcherSet:
    """Matchers made ready to run.

    Args:
        matchers: By their position among the job's functions.
        labels: Class index that each votes for, by the same position.
    """

    def __init__(self, matchers: Mapping[int, Matcher], labels: Mapping[int, int]) -> None:
        self._matchers = matchers
        self._labels = np.zeros(max(matchers, default=-1) + 1, dtype=np.int16)
        for position, label in labels.items():
            self._labels[position] = label
        keywords: dict[str, list[int]] = defaultdict(list)
        self._regexes: dict[str, list[int]] = defaultdict(list)
        for position, matcher in matchers.items():
            (keywords if matcher.words else self._regexes)[matcher.field].append(position)
        self._scans = {
            field: (np.array(positions), KeywordScan([matchers[n] for n in positions]))
            for field, positions in keywords.items()
        }
        self._search = {
            position: re.compile(matchers[position].pattern, matchers[position].flags).search
            for positions in self._regexes.values()
            for position in positions
        }

    def run(
        self, batch: pa.RecordBatch, codes: npt.NDArray[np.int16], seconds: list[float]
    ) -> None:
        """Vote on a batch.

        Args:
            batch: Records.
            codes: int16, shape (functions, rows); votes are written, abstains left alone.
            seconds: Per function; time spent is written. Functions of one pass share its time.

        Raises:
            LabelingFunctionError: A matcher's column is not there or is no text.
        """
        for field, (positions, scan) in self._scans.items():
            started = time.perf_counter()
            functions, rows = scan.hits(self._column(batch, field, positions[0]))
            codes[positions[functions], rows] = self._labels[positions[functions]]
            each = (time.perf_counter() - started) / len(positions)
            for position in positions.tolist():
                seconds[position] = each
        for field, regexes in self._regexes.items():
            texts = self._column(batch, field, regexes[0]).to_pylist()
            for position in regexes:
                started = time.perf_counter()
                search = self._search[position]
                hits = [row for row, text in enumerate(texts) if text is not None and search(text)]
                codes[position, hits] = self._labels[position]
                seconds[position] = time.perf_counter() - started

    def _column(self, batch: pa.RecordBatch, field: str, position: int) -> pa.Array:
        name = self._matchers[position].name
        if field not in batch.schema.names:
            raise LabelingFunctionError(
                f"labeling function {name!r} matches column {field!r}, which the batch does not "
                f"have (columns: {', '.join(batch.schema.names)})"
            )
        column = batch.column(field)
        if pa.types.is_null(column.type) or pa.types.is_large_string(column.type):
            return column.cast(pa.string())
        if not pa.types.is_string(column.type):
            raise LabelingFunctionError(
                f"labeling function {name!r} matches text, but column {field!r} is {column.type}"
            )
        return column
