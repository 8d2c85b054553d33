"""FitLabelModel: pattern blocks in, one element with the parameters and the analysis out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import with_input_types, with_output_types

from labelmill.apply import Outcomes
from labelmill.jobspec import ModelSpec
from labelmill.outcomes import quarantined
from labelmill.votes import LFTable
from transforms.elements import FitPlan, FitResult
from transforms.fitting import fit_patterns, model_of, read_fitted, result_of
from transforms.looking import look_at
from transforms.patterns import gather
from transforms.refit import Refit
from transforms.staged import fit_in_stages


class FitLabelModel(beam.PTransform):
    """Fit the label model to pattern blocks.

    Blocks of few patterns are gathered and fitted on one worker. More than `model.gather_patterns`
    stay where they are: each step of the fit is a sum over them, with the state of the fit as a
    side input, and steps after its end do nothing. Both ways give the same bits.

    Args:
        table: The functions and classes that the blocks' indices mean.
        model: Which label model.
        outcomes: Optional PCollection of one `labelmill.apply.Outcomes`; functions that failed on
            more than `max_fault_rate` of the records lose their votes.
        max_fault_rate: That share.
        records: Number of records where it is known, or nearly so. Patterns are no more than that;
            where they are sure to be gathered, the graph has no other steps.
        refit: What decides whether an earlier model is kept instead; needs `outcomes`.

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
        records: int | None = None,
        refit: Refit | None = None,
    ) -> None:
        super().__init__()
        self._table = table
        self._model = model or ModelSpec()
        self._outcomes = outcomes
        self._max_fault_rate = max_fault_rate
        self._refit = refit
        # An estimated number may be half of the true one.
        self._may_stay = records is None or 2 * records > self._model.gather_patterns

    def expand(self, blocks: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[FitResult]:
        """Return the fitted parameters."""
        # One fit for all records, however they are windowed.
        blocks = blocks | "Unwindow" >> beam.WindowInto(GlobalWindows())
        once = blocks.pipeline | "Once" >> beam.Create([0])
        sizes = (
            blocks
            | "Sizes" >> beam.Map(lambda block: block.num_rows).with_output_types(int)
            | "Patterns" >> beam.CombineGlobally(_SumFn()).without_defaults()
        )
        side: dict[str, Any] = {"patterns": beam.pvalue.AsSingleton(sizes, default_value=0)}
        if self._outcomes is not None:
            side["outcomes"] = beam.pvalue.AsSingleton(self._outcomes)
        plan = once | "Plan" >> beam.Map(
            _plan,
            most=self._model.gather_patterns if self._may_stay else None,
            max_fault_rate=self._max_fault_rate,
            refit=self._refit,
            **side,
        ).with_output_types(FitPlan)
        the_plan = beam.pvalue.AsSingleton(plan)
        few = blocks | "Gather" >> beam.FlatMap(_if_gathered, the_plan).with_output_types(
            pa.RecordBatch
        )
        gathered = once | "Fit" >> beam.FlatMap(
            _fit, the_plan, beam.pvalue.AsList(few), self._table, self._model
        ).with_output_types(FitResult)
        if not self._may_stay:
            return gathered
        model = model_of(self._model, self._table)
        staged = fit_in_stages(once, blocks, the_plan, model, self._table, self._model)
        return (gathered, staged) | "OneOfBoth" >> beam.Flatten()


@with_input_types(int)
@with_output_types(int)
class _SumFn(beam.transforms.combiners.CountCombineFn):
    """Adds numbers; Beam's own way does not say their type."""

    def add_input(self, accumulator: int, element: int) -> int:
        return accumulator + element


def _plan(
    _once: int,
    *,
    patterns: int,
    most: int | None,
    max_fault_rate: float,
    refit: Refit | None,
    outcomes: Outcomes | None = None,
) -> FitPlan:
    dropped = () if outcomes is None else quarantined(outcomes, max_fault_rate)
    plan = FitPlan(dropped, in_stages=most is not None and patterns > most)
    if refit is None or outcomes is None:
        return plan
    kept, notes = refit.decide(outcomes, dropped)
    return replace(plan, kept=kept, notes=notes)


def _if_gathered(block: pa.RecordBatch, plan: FitPlan) -> Iterator[pa.RecordBatch]:
    if not plan.in_stages:
        yield block


def _fit(
    _once: int,
    plan: FitPlan,
    blocks: Sequence[pa.RecordBatch],
    table: LFTable,
    model: ModelSpec,
) -> Iterator[FitResult]:
    if plan.in_stages:
        return
    patterns = gather(blocks, table)
    if plan.kept is None:
        result = fit_patterns(patterns, table, model, plan.dropped)
    else:
        kept = read_fitted(plan.kept, table)
        looked = look_at(patterns, plan.dropped, kept)
        result = result_of(kept, looked, table, model, plan.dropped)
    yield result.with_notes(plan.notes)
