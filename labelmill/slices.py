"""Slices of a job: their predicates made ready, and which records of a shard are in which.

Membership is worked out by the machinery of labeling functions, a vote meaning that a record is in.
It is stored apart from votes, in a file per shard named by the records and the predicates, so that
another slice makes no function run and no label change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.apply import FunctionSet, Stops
from labelmill.job import PreparedJob
from labelmill.tablefile import input_digest
from labelmill.votes import unpack_votes

SLICES = "slices"
"""Column of a slices file: places of a record's slices among those of the job, ascending."""

SLICES_SCHEMA = pa.schema([pa.field(SLICES, pa.list_(pa.int16()), nullable=False)])


@dataclass(frozen=True)
class SliceTask:
    """What all shards of a job share for its slices; plain data that travels to workers.

    Attributes:
        prepared: The slices as functions.
        schema: The columns that they read.
    """

    prepared: PreparedJob
    schema: pa.Schema

    @property
    def names(self) -> tuple[str, ...]:
        """The slices, in the order of the job file."""
        return self.prepared.table.names

    @cached_property
    def digest(self) -> str:
        """Digest of all that determines which record is in which slice."""
        columns = [[column.name, str(column.type)] for column in self.schema]
        slices = [[lf.name, lf.fingerprint] for lf in self.prepared.table.lfs]
        return input_digest({"columns": columns, "slices": slices, "limit": self.prepared.limit})


def slice_members(
    functions: FunctionSet, batch: pa.RecordBatch, stops: Stops
) -> tuple[pa.RecordBatch, tuple[int, ...]]:
    """Return the slices of each record of a batch.

    Args:
        functions: The slices as functions.
        batch: Records with their ids.
        stops: What predicates did not return from among the records before.

    Returns:
        Batch of `SLICES_SCHEMA`, and by slice the records that took its predicate too long to
        decide on: they are not in it.
    """
    applied = functions.apply(batch, max_faults=0, stops=stops)
    votes = unpack_votes(applied.votes)
    members = pa.ListArray.from_arrays(
        pa.array(votes.indptr, pa.int32()), pa.array(votes.lfs, pa.int16())
    )
    return pa.RecordBatch.from_arrays([members], schema=SLICES_SCHEMA), applied.outcomes.faults


def in_slice(members: pa.RecordBatch, place: int) -> npt.NDArray[np.bool_]:
    """Return which records are in one slice, shape (rows,).

    Args:
        members: Batch of `SLICES_SCHEMA`.
        place: The slice's place among those of the job.
    """
    lists = members.column(SLICES)
    rows = np.repeat(np.arange(len(lists)), np.diff(np.asarray(lists.offsets)))
    found = np.zeros(len(lists), dtype=np.bool_)
    found[rows[np.asarray(lists.flatten()) == place]] = True
    return found
