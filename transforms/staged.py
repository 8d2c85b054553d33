"""A fit whose patterns stay where they are: its stages unrolled into steps of the graph.

Each stage is `expected_counts` over the blocks, a sum, and `m_step` (`labelmodel.staged`). The
graph has as many as the model can need; those after its end pass the state on and look at nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any

import apache_beam as beam
import pyarrow as pa

from labelmill.errors import JobSpecError
from labelmill.jobspec import ModelSpec
from labelmill.votes import LFTable
from labelmodel.staged import StagedModel, blocks_of
from labelmodel.state import Statistics
from transforms.elements import FitPlan, FitResult, FitStage
from transforms.fitting import read_fitted, result_of
from transforms.looking import Looked, look_at
from transforms.patterns import from_block

MAX_STAGES = 250
"""Stages of a fit that a job graph may hold: each adds some 15 kB to it."""

Sum = Any  # Statistics or Looked: whatever has an exact `+`


def fit_in_stages(
    once: beam.PCollection[int],
    blocks: beam.PCollection[pa.RecordBatch],
    plan: beam.pvalue.AsSingleton,
    model: StagedModel[Any],
    table: LFTable,
    spec: ModelSpec,
) -> beam.PCollection[FitResult]:
    """Add the steps of a fit to the graph.

    Args:
        once: One element.
        blocks: All patterns.
        plan: Side input of one `FitPlan`; without `in_stages` nothing is done.
        model: The model, not fitted.
        table: The functions and classes.
        spec: The model's part of the job file.

    Returns:
        PCollection of one `FitResult`, or of none without `in_stages`.

    Raises:
        JobSpecError: The model may need more stages than a graph holds.
    """
    if model.max_stages > MAX_STAGES:
        raise JobSpecError(
            f"model: {spec.name} may need {model.max_stages} steps, and a fit whose patterns stay "
            f"on all workers has at most {MAX_STAGES}; lower model.options.max_iter, or raise "
            "model.gather_patterns"
        )
    stage = once | "Begin" >> beam.Map(_begin, plan, model, table).with_output_types(FitStage)
    for number in range(model.max_stages):
        state = beam.pvalue.AsSingleton(stage)
        sums = (
            blocks
            | f"ExpectedCounts{number}"
            >> beam.FlatMap(_expected_counts, state).with_output_types(Statistics)
            | f"Add{number}" >> beam.CombineGlobally(AddFn()).without_defaults()
        )
        stage = once | f"MStep{number}" >> beam.Map(
            _m_step, state, beam.pvalue.AsList(sums)
        ).with_output_types(FitStage)
    looked = (
        blocks
        | "Look" >> beam.FlatMap(_look, beam.pvalue.AsSingleton(stage)).with_output_types(Looked)
        | "AddLooks" >> beam.CombineGlobally(AddFn()).without_defaults()
    )
    return once | "Finish" >> beam.FlatMap(
        _finish, plan, beam.pvalue.AsSingleton(stage), beam.pvalue.AsList(looked), table, spec
    ).with_output_types(FitResult)


class AddFn(beam.CombineFn):
    """Adds values that have `+`; their sums are exact, so the order does not matter."""

    def create_accumulator(self) -> list[Any]:
        """Return nothing."""
        return []

    def add_input(self, accumulator: list[Sum], value: Sum) -> list[Sum]:
        """Add a value."""
        return [reduce(add, [*accumulator, value])]

    def merge_accumulators(self, accumulators: Iterable[list[Sum]]) -> list[Sum]:
        """Add accumulators."""
        values = [value for accumulator in accumulators for value in accumulator]
        return [reduce(add, values)] if values else []

    def extract_output(self, accumulator: list[Sum]) -> Sum:
        """Return the sum."""
        return accumulator[0]


def _begin(_once: int, plan: FitPlan, model: StagedModel[Any], table: LFTable) -> FitStage:
    if not plan.in_stages:
        return FitStage(model, None, plan.dropped)
    if plan.kept is not None:
        kept = read_fitted(plan.kept, table)
        return FitStage(kept, kept.state_, plan.dropped)
    state = model.initial_state(len(table.lfs), len(table.class_names))
    return FitStage(model, state, plan.dropped)


def _expected_counts(block: pa.RecordBatch, stage: FitStage) -> Iterator[Statistics]:
    if stage.is_active:
        patterns = from_block(block)
        if stage.dropped:
            patterns = patterns.drop_lfs(stage.dropped)
        for cut in blocks_of(patterns):
            yield stage.model.expected_counts(cut, stage.state)


def _m_step(_once: int, stage: FitStage, sums: Sequence[Statistics]) -> FitStage:
    return stage.after(sums[0]) if sums else stage


def _look(block: pa.RecordBatch, stage: FitStage) -> Iterator[Looked]:
    if stage.state is not None:
        yield look_at(from_block(block), stage.dropped, stage.fitted())


def _finish(
    _once: int,
    plan: FitPlan,
    stage: FitStage,
    looked: Sequence[Looked],
    table: LFTable,
    spec: ModelSpec,
) -> Iterator[FitResult]:
    if plan.in_stages:
        result = result_of(stage.fitted(), looked[0], table, spec, plan.dropped)
        yield result.with_notes(plan.notes)
