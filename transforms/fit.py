"""FitLabelModel: pattern blocks in, one element with the parameters and the analysis out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from labelmill.apply import Outcomes
from labelmill.jobspec import ModelSpec
from labelmill.votes import LFTable
from transforms.elements import FitResult
from transforms.fitting import fit_patterns
from transforms.patterns import gather


class FitLabelModel(beam.PTransform):
    """Fit the label model to pattern blocks.

    The blocks are gathered on one worker: patterns are few whatever the number of records.

    Args:
        table: The functions and classes that the blocks' indices mean.
        model: Which label model.
        outcomes: Optional PCollection of one `labelmill.apply.Outcomes`; functions that failed on
            more than `max_fault_rate` of the records lose their votes.
        max_fault_rate: That share.

    Returns:
        PCollection of one `transforms.elements.FitResult`.

    Example:
        >>> import apache_beam as beam, numpy as np, pyarrow as pa
        >>> from labelmill.votes import LFInfo, LFTable, pack_votes
        >>> from transforms import CountVotePatterns, FitLabelModel
        >>> table = LFTable(tuple(LFInfo(n, "") for n in "abc"), ("ham", "spam"))
        >>> codes = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0]], dtype=np.int16)
        >>> votes = pack_votes(pa.array(["x", "y", "z"]), codes, table)
        >>> with beam.Pipeline(runner="FnApiRunner") as p:
        ...     fitted = (
        ...         p | beam.Create([votes]) | CountVotePatterns() | FitLabelModel(table)
        ...     )
        ...     _ = fitted | beam.Map(lambda f: print(f.analysis["totals"]["rows"]))
        3
    """

    def __init__(
        self,
        table: LFTable,
        model: ModelSpec | None = None,
        *,
        outcomes: beam.PCollection[Outcomes] | None = None,
        max_fault_rate: float = 1.0,
    ) -> None:
        super().__init__()
        self._table = table
        self._model = model or ModelSpec()
        self._outcomes = outcomes
        self._max_fault_rate = max_fault_rate

    def expand(self, blocks: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[FitResult]:
        """Return the fitted parameters."""
        # One fit for all records, however they are windowed.
        everything = blocks | "Unwindow" >> beam.WindowInto(GlobalWindows())
        side: dict[str, Any] = {"blocks": beam.pvalue.AsList(everything)}
        if self._outcomes is not None:
            side["outcomes"] = beam.pvalue.AsSingleton(self._outcomes)
        return (
            blocks.pipeline
            | "Once" >> beam.Create([0])
            | "Fit"
            >> beam.Map(
                _fit,
                table=self._table,
                model=self._model,
                max_fault_rate=self._max_fault_rate,
                **side,
            ).with_output_types(FitResult)
        )


def _fit(
    _once: int,
    *,
    blocks: Sequence[pa.RecordBatch],
    table: LFTable,
    model: ModelSpec,
    max_fault_rate: float,
    outcomes: Outcomes | None = None,
) -> FitResult:
    dropped = () if outcomes is None else quarantined(outcomes, max_fault_rate)
    return fit_patterns(gather(blocks, table), table, model, dropped)


def quarantined(outcomes: Outcomes, max_fault_rate: float) -> tuple[int, ...]:
    """Return the functions that failed (fault or invalid) on more than the allowed share."""
    limit = max_fault_rate * outcomes.rows
    failures = zip(outcomes.faults, outcomes.invalid, strict=True)
    return tuple(n for n, (faults, invalid) in enumerate(failures) if faults + invalid > limit)
