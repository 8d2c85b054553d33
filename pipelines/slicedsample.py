"""The slices of a job on a sample of its corpus, as a run counts them on all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from labelmill.apply import Stops
from labelmill.corpus import Corpus
from labelmill.gold import gold_by_role
from labelmill.job import PreparedJob
from labelmill.jobspec import JobSpec
from labelmill.slices import slice_members
from labelmill.votes import unpack_votes
from transforms.elements import FitResult
from transforms.label import Labeler
from transforms.slicing import count_slices, merged, slice_summaries


def with_slice_columns(corpus: Corpus) -> Corpus:
    """Return a corpus whose records have the columns that slices read as well."""
    more = [field for field in corpus.slice_schema if field.name not in corpus.schema.names]
    return replace(corpus, schema=pa.schema([*corpus.schema, *more]))


def slices_of_sample(
    job: JobSpec,
    prepared: PreparedJob,
    records: pa.Table,
    votes: Sequence[pa.RecordBatch],
    fit: FitResult,
) -> dict[str, Any]:
    """Return what a manifest would say of the slices, under the key that it has there.

    Args:
        job: The job.
        prepared: Its functions and slices.
        records: The sample.
        votes: Votes on it, batch by batch, with gold.
        fit: The label model fitted to it.

    Returns:
        Nothing for a job without slices.
    """
    if prepared.slices is None:
        return {}
    functions, stops = prepared.slices.function_set(), Stops()
    labeler, names = Labeler(fit, prepared.table), prepared.slices.table.names
    parts, start = [], 0
    undecided = [0] * len(names)
    for batch in votes:
        # One batch: `records` was combined, and a slice of one chunk is one chunk.
        (part,) = records.slice(start, batch.num_rows).to_batches()
        members, failed = slice_members(functions, part, stops)
        undecided = [a + b for a, b in zip(undecided, failed, strict=True)]
        parts.append(
            count_slices(
                members,
                labeler.label(batch)[0],
                unpack_votes(batch).without(fit.dropped),
                gold_by_role(batch, job.gold)[1],
                n_slices=len(names),
                class_names=prepared.table.class_names,
            )
        )
        start += batch.num_rows
    functions.close()
    counts = merged(parts, len(names), len(prepared.table.class_names))
    counts = [replace(one, undecided=n) for one, n in zip(counts, undecided, strict=True)]
    return {"slices": slice_summaries(names, counts)}
