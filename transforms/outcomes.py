"""MergeOutcomes: the exact outcome counts of all shards in one element."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam
from apache_beam.typehints import with_input_types, with_output_types

from labelmill.apply import Outcomes


@with_input_types(Outcomes)
@with_output_types(Outcomes)
class MergeOutcomesFn(beam.CombineFn):
    """Adds up outcome counts.

    Args:
        n_lfs: Number of functions.
    """

    def __init__(self, n_lfs: int) -> None:
        super().__init__()
        self._n_lfs = n_lfs

    def create_accumulator(self) -> Outcomes:
        """Return the counts of nothing."""
        return Outcomes.zero(self._n_lfs)

    def add_input(self, total: Outcomes, one: Outcomes) -> Outcomes:
        """Add one shard's counts."""
        return total.merge(one)

    def merge_accumulators(self, accumulators: Iterable[Outcomes]) -> Outcomes:
        """Add up sums."""
        total = self.create_accumulator()
        for one in accumulators:
            total = total.merge(one)
        return total

    def extract_output(self, total: Outcomes) -> Outcomes:
        """Return the sum."""
        return total

    def get_accumulator_coder(self) -> beam.coders.Coder:
        """Return the registered coder, not pickle."""
        return beam.coders.registry.get_coder(Outcomes)
