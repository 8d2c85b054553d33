"""What the classifier that assists is trained on: a sample of the corpus with votes and gold."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from labelmill.errors import JobSpecError
from labelmill.gold import read_gold
from labelmill.store import Store
from labelmill.votes import GOLD
from pipelines.mine import FOLDER
from pipelines.plan import Plan
from pipelines.votedsample import VotedSample, vote_on_sample
from transforms.assist import TEXT
from transforms.coders import RecordBatchCoder

LEAST_JUDGED = 20
"""Judged records, of two classes or more, from which a classifier is trained."""


def store_assist_sample(plan: Plan) -> str:
    """Put the sample in the store under a digest of its bytes; return its name.

    Raises:
        JobSpecError: Too few records are judged, or the column is no text.
    """
    job = plan.job
    assert job.assist is not None
    field = job.assist.field
    kind = plan.corpus.schema.field(field).type
    if kind != pa.string():
        raise JobSpecError(f"assist.field: column {field!r} is {kind}; name a column of text")
    gold = read_gold(job.gold, job.labels) if job.gold and job.gold.uri else None
    functions = plan.functions or plan.prepared.function_set()
    sample = vote_on_sample(job, plan.corpus, functions, gold)
    judged = sample.fit[sample.fit >= 0]
    if len(judged) < LEAST_JUDGED or len(np.unique(judged)) < 2:
        raise JobSpecError(
            f"assist: {len(judged)} records with gold for the fit, of at least {LEAST_JUDGED} of "
            "two classes; `labelmill judge draw` draws some, or take the section out"
        )
    data = RecordBatchCoder().encode(_batch(sample, field))
    path = f"{FOLDER}/assist-{hashlib.sha256(data).hexdigest()[:32]}.arrow"
    store = Store.open(job.output.uri)
    if not store.exists(path):
        store.put(path, data)
    return path


def _batch(sample: VotedSample, field: str) -> pa.RecordBatch:
    """Return votes, judged classes and texts as one batch."""
    parts = [part.select(["id", "lfs", "labels"]) for part in sample.votes]
    votes = pa.Table.from_batches(parts).combine_chunks()
    gold = pa.array(sample.fit.astype(np.int16), mask=sample.fit < 0)
    texts = sample.records.column(field).combine_chunks()
    schema = votes.schema.append(pa.field(GOLD, pa.int16())).append(pa.field(TEXT, pa.string()))
    columns = [*(column.combine_chunks() for column in votes.columns), gold, texts]
    return pa.RecordBatch.from_arrays(columns, schema=schema.with_metadata(votes.schema.metadata))
