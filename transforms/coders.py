"""Coders of what travels between steps: record batches as Arrow IPC, descriptors as JSON.

Beam has no coder for a RecordBatch, and pickle ships a slice's parent buffers. Importing
`transforms` registers these; a test walks the job graph and finds no pickle on batch edges.
"""

from __future__ import annotations

import json
import pickle
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import coders

from labelmill.apply import Outcomes
from labelmill.shard import Shard
from labelmill.teach.choosing import Sums
from labelmodel.state import Statistics
from transforms.elements import (
    AssistModel,
    FitPlan,
    FitResult,
    FitStage,
    ShardLabels,
    ShardVotes,
)
from transforms.looking import Looked


class RecordBatchCoder(coders.Coder):
    """A `pyarrow.RecordBatch` as one Arrow IPC stream: schema, metadata and this slice's rows."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """Return the IPC stream of `value`."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_batch(value)
        return bytes(sink.getvalue())

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Return the batch in an IPC stream."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        """Return False: equal batches may differ in buffers, so they never are keys."""
        return False

    def to_type_hint(self) -> Any:
        """Return the element type."""
        return pa.RecordBatch


class DescriptorCoder(coders.Coder):
    """A value with ``to_dict`` and ``from_dict`` as canonical JSON; no pickle, no code."""

    value_type: Any = None

    def encode(self, value: Any) -> bytes:
        """Return `value` as JSON."""
        return json.dumps(value.to_dict(), sort_keys=True, separators=(",", ":")).encode()

    def decode(self, encoded: bytes) -> Any:
        """Return the value in JSON that `encode` wrote."""
        return self.value_type.from_dict(json.loads(encoded))

    def is_deterministic(self) -> bool:
        """Return True: keys are sorted."""
        return True

    def to_type_hint(self) -> Any:
        """Return the element type."""
        return self.value_type


class ShardCoder(DescriptorCoder):
    """Coder of `Shard`."""

    value_type = Shard


class ShardVotesCoder(DescriptorCoder):
    """Coder of `ShardVotes`."""

    value_type = ShardVotes


class ShardLabelsCoder(DescriptorCoder):
    """Coder of `ShardLabels`."""

    value_type = ShardLabels


class OutcomesCoder(DescriptorCoder):
    """Coder of `Outcomes`."""

    value_type = Outcomes


class FitResultCoder(DescriptorCoder):
    """Coder of `FitResult`."""

    value_type = FitResult


class AssistModelCoder(DescriptorCoder):
    """Coder of `AssistModel`."""

    value_type = AssistModel


class FitPlanCoder(DescriptorCoder):
    """Coder of `FitPlan`."""

    value_type = FitPlan


class StageCoder(coders.Coder):
    """A value of one of a fit's stages: dataclasses of arrays, pickled by and for this version."""

    value_type: Any = None

    def encode(self, value: Any) -> bytes:
        """Return `value` pickled."""
        return pickle.dumps(value, protocol=5)

    def decode(self, encoded: bytes) -> Any:
        """Return the value that `encode` pickled."""
        return pickle.loads(encoded)

    def is_deterministic(self) -> bool:
        """Return False: such values never are keys."""
        return False

    def to_type_hint(self) -> Any:
        """Return the element type."""
        return self.value_type


class StatisticsCoder(StageCoder):
    """Coder of `labelmodel.Statistics`."""

    value_type = Statistics


class FitStageCoder(StageCoder):
    """Coder of `FitStage`."""

    value_type = FitStage


class LookedCoder(StageCoder):
    """Coder of `transforms.looking.Looked`."""

    value_type = Looked


class SumsCoder(StageCoder):
    """Coder of `labelmill.teach.choosing.Sums`."""

    value_type = Sums


def register() -> None:
    """Register the coders with Beam; done once, when `transforms` is imported."""
    registry = beam.coders.registry
    registry.register_coder(pa.RecordBatch, RecordBatchCoder)
    registry.register_coder(Shard, ShardCoder)
    registry.register_coder(ShardVotes, ShardVotesCoder)
    registry.register_coder(ShardLabels, ShardLabelsCoder)
    registry.register_coder(Outcomes, OutcomesCoder)
    registry.register_coder(FitResult, FitResultCoder)
    registry.register_coder(AssistModel, AssistModelCoder)
    registry.register_coder(FitPlan, FitPlanCoder)
    registry.register_coder(FitStage, FitStageCoder)
    registry.register_coder(Statistics, StatisticsCoder)
    registry.register_coder(Looked, LookedCoder)
    registry.register_coder(Sums, SumsCoder)
