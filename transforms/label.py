"""PredictLabels: vote batches and fitted parameters in, label batches out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.utils.shared import Shared

from labelmill.dataset import labels_schema
from labelmill.votes import GOLD, LFTable, lf_table, unpack_votes
from labelmodel.patterns import count_patterns_with_inverse
from transforms.elements import FitResult
from transforms.fitting import read_fitted


class Labeler:
    """Labels vote batches with one fitted model.

    Args:
        fit: The fitted parameters.
        table: The functions and classes of the votes.
    """

    def __init__(self, fit: FitResult, table: LFTable) -> None:
        self.fit = fit
        self.table = table
        self._model = read_fitted(fit.parameters, table)
        self._names = pa.array(table.class_names, pa.string())

    def label(self, votes: pa.RecordBatch) -> tuple[pa.RecordBatch, np.ndarray[Any, Any]]:
        """Label one batch.

        Args:
            votes: Vote batch with the LF table that the model was fitted to.

        Returns:
            Label batch with the schema of `labelmill.dataset.labels_schema`, and the class index
            of each record, int64, shape (rows,).
        """
        n_classes = len(self.table.class_names)
        arrays = unpack_votes(votes).without(self.fit.dropped)
        patterns, inverse = count_patterns_with_inverse(
            arrays.indptr,
            arrays.lfs,
            arrays.labels,
            n_lfs=len(self.table.lfs),
            n_classes=n_classes,
        )
        probs = self._model.predict_proba(patterns)
        winners = np.asarray(self._model.predict(patterns), dtype=np.int64)
        published = probs.astype(np.float32)
        classes = winners[inverse]
        n_votes = np.diff(arrays.indptr).astype(np.int16)
        columns = [
            votes.column("id"),
            self._names.take(pa.array(classes)),
            pa.array(published[np.arange(len(winners)), winners][inverse]),
            pa.FixedSizeListArray.from_arrays(pa.array(published[inverse].ravel()), n_classes),
            pa.array(n_votes),
            pa.array(n_votes > 0),
        ]
        with_gold = GOLD in votes.schema.names
        if with_gold:
            columns.append(self._names.take(votes.column(GOLD)))
        schema = labels_schema(n_classes, with_gold=with_gold)
        return pa.RecordBatch.from_arrays(columns, schema=schema), classes


class PredictLabels(beam.PTransform):
    """Label vote batches.

    Args:
        fit: PCollection of one `transforms.elements.FitResult`, as `FitLabelModel` returns it.

    Returns:
        PCollection of label batches (`pyarrow.RecordBatch`): id, label, confidence, probs,
        n_votes, covered.

    Example:
        >>> import apache_beam as beam, numpy as np, pyarrow as pa
        >>> from labelmill.votes import LFInfo, LFTable, pack_votes
        >>> from transforms import CountVotePatterns, FitLabelModel, PredictLabels
        >>> table = LFTable(tuple(LFInfo(n, "") for n in "abc"), ("ham", "spam"))
        >>> codes = np.array([[1, 0], [1, 0], [1, -1]], dtype=np.int16)
        >>> batch = pack_votes(pa.array(["x", "y"]), codes, table)
        >>> with beam.Pipeline(runner="FnApiRunner") as p:
        ...     votes = p | beam.Create([batch])
        ...     fit = votes | CountVotePatterns() | FitLabelModel(table)
        ...     labels = votes | PredictLabels(fit)
        ...     _ = labels | beam.Map(lambda b: print(b.column("label").to_pylist()))
        ['spam', 'ham']
    """

    def __init__(self, fit: beam.PCollection[FitResult]) -> None:
        super().__init__()
        self._fit = fit

    def expand(self, votes: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        """Return the labels."""
        return votes | "Predict" >> beam.ParDo(
            _PredictFn(), beam.pvalue.AsSingleton(self._fit)
        ).with_output_types(pa.RecordBatch)


class SharedLabeler:
    """The labeler of a process, made when it is first asked for and held as long as a DoFn is.

    `Shared` alone keeps one object a process alive, whoever asked for it last.
    """

    def __init__(self) -> None:
        self._shared = Shared()
        self._labeler: Labeler | None = None

    def get(self, fit: FitResult, table: LFTable) -> Labeler:
        """Return the labeler for this fit and these votes."""
        held = self._labeler
        if held is None or held.fit != fit or held.table != table:
            held = self._labeler = self._shared.acquire(
                lambda: Labeler(fit, table), tag=(fit.parameters, fit.dropped, table.to_json())
            )
        return held


class _PredictFn(beam.DoFn):
    def __init__(self) -> None:
        self._labeler = SharedLabeler()

    def process(self, votes: pa.RecordBatch, fit: FitResult) -> Iterator[pa.RecordBatch]:
        yield self._labeler.get(fit, lf_table(votes.schema)).label(votes)[0]
