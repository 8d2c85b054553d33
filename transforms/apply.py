"""ApplyLabelingFunctions: record batches in, vote batches out, for any pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared

from labelmill.apply import Fault, FunctionSet, Outcomes
from labelmill.errors import CorpusError
from labelmill.fingerprint import fingerprint
from labelmill.kinds import kind_of
from labelmill.labeling import AnyLabelingFunction
from labelmill.records import ID
from labelmill.votes import LFInfo, LFTable
from transforms.outcomes import MergeOutcomesFn

FAULTS_SCHEMA = pa.schema(
    [pa.field(name, pa.string()) for name in ("lf", "id", "outcome", "type", "message")]
    + [pa.field("traceback", pa.string())]
)

NAMESPACE = "labelmill"
"""Namespace of all Beam metrics."""


def table_of(lfs: Sequence[AnyLabelingFunction], class_names: Sequence[str]) -> LFTable:
    """Return the LF table of functions given as objects rather than as a job."""
    infos = tuple(
        LFInfo(lf.name, fingerprint(lf, class_names=class_names), kind_of(lf)) for lf in lfs
    )
    return LFTable(infos, tuple(class_names))


class ApplyLabelingFunctions(beam.PTransform):
    """Run labeling functions over record batches.

    Args:
        lfs: The functions; they are pickled with the pipeline as any `DoFn` is.
        class_names: The classes, in index order.
        id_column: Column that holds the records' ids, cast to text.
        max_faults: Fault samples kept per function and batch.

    Returns:
        A dict of PCollections: ``votes``, record batches with the schema of
        `labelmill.votes.votes_schema`; ``faults``, record batches of samples; ``outcomes``, one
        `labelmill.apply.Outcomes` with the exact counts of all batches, for `FitLabelModel`.

    Example:
        >>> import apache_beam as beam, pyarrow as pa
        >>> from labelmill import keywords
        >>> from transforms import ApplyLabelingFunctions
        >>> batch = pa.RecordBatch.from_pydict({"id": ["a", "b"], "text": ["cash!", "hi"]})
        >>> money = keywords("money", label="spam", words=["cash"])
        >>> with beam.Pipeline(runner="FnApiRunner") as p:
        ...     applied = (
        ...         p
        ...         | beam.Create([batch])
        ...         | ApplyLabelingFunctions([money], ["ham", "spam"], id_column="id")
        ...     )
        ...     _ = applied["votes"] | beam.Map(lambda b: print(b.column("labels").to_pylist()))
        [[1], []]
    """

    def __init__(
        self,
        lfs: Sequence[AnyLabelingFunction],
        class_names: Sequence[str],
        *,
        id_column: str,
        max_faults: int = 100,
    ) -> None:
        super().__init__()
        self._lfs = tuple(lfs)
        self.table = table_of(lfs, class_names)
        self._id_column = id_column
        self._max_faults = max_faults

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> dict[str, Any]:
        """Return votes, faults and outcomes."""
        apply = beam.ParDo(
            _ApplyFn(self._lfs, self.table, self._id_column, self._max_faults)
        ).with_output_types(pa.RecordBatch, faults=pa.RecordBatch, outcomes=Outcomes)
        outputs = batches | "ApplyFunctions" >> apply.with_outputs(
            "faults", "outcomes", main="votes"
        )
        outcomes = (
            outputs.outcomes
            | "Unwindow" >> beam.WindowInto(GlobalWindows())
            | "MergeOutcomes" >> beam.CombineGlobally(MergeOutcomesFn(len(self._lfs)))
        )
        return {"votes": outputs.votes, "faults": outputs.faults, "outcomes": outcomes}


class _ApplyFn(beam.DoFn):
    def __init__(
        self,
        lfs: tuple[AnyLabelingFunction, ...],
        table: LFTable,
        id_column: str,
        max_faults: int,
    ) -> None:
        self._lfs = lfs
        self._table = table
        self._id_column = id_column
        self._max_faults = max_faults
        self._shared = Shared()
        self._functions: FunctionSet | None = None

    def setup(self) -> None:
        self._functions = self._shared.acquire(lambda: FunctionSet(self._lfs, self._table))

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        assert self._functions is not None
        applied = self._functions.apply(
            with_id(batch, self._id_column), max_faults=self._max_faults
        )
        yield applied.votes
        yield beam.pvalue.TaggedOutput("outcomes", applied.outcomes)
        if applied.faults:
            yield beam.pvalue.TaggedOutput("faults", faults_batch(applied.faults))


def with_id(batch: pa.RecordBatch, id_column: str) -> pa.RecordBatch:
    """Return `batch` with the column `id_column` as text under the name that labelmill uses.

    Raises:
        CorpusError: There is no such column, or it holds nulls.
    """
    if id_column not in batch.schema.names:
        raise CorpusError(
            f"a batch has no id column {id_column!r} (columns: {', '.join(batch.schema.names)})"
        )
    ids = batch.column(id_column).cast(pa.string())
    if ids.null_count:
        raise CorpusError(f"{ids.null_count} of {len(ids)} ids in column {id_column!r} are null")
    return pa.RecordBatch.from_arrays([ids, *batch.columns], names=[ID, *batch.schema.names])


def faults_batch(faults: Sequence[Fault]) -> pa.RecordBatch:
    """Return fault samples as a record batch."""
    return pa.RecordBatch.from_pylist([asdict(fault) for fault in faults], schema=FAULTS_SCHEMA)
