"""Running the transforms that mine the corpus, with their results kept in the store.

What is mined depends on the corpus and the judgements alone, so it is stored under a digest of
both: the next command finds it there.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import apache_beam as beam
import numpy as np
import pyarrow as pa

from labelmill.corpus import Corpus
from labelmill.errors import CorpusError
from labelmill.jobspec import JobSpec
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.tablefile import input_digest
from labelmill.teach.choosing import Sums
from labelmill.teach.classifier import TextClassifier
from labelmill.teach.storing import to_bytes
from labelmill.teach.tokens import Ints
from pipelines.beamoutput import diverted_output, quiet_beam
from pipelines.runners import choose_runner
from transforms.coders import RecordBatchCoder
from transforms.mining import SampleRecords, SumCandidates

SAMPLE = 50_000
"""Records that a classifier and a choice of functions look at."""

FOLDER = "teach"
_SECONDS_PER_MB = 0.1
"""Projected work of reading and indexing, on one core."""


def sample_records(
    job: JobSpec, corpus: Corpus, always: frozenset[str], size: int = SAMPLE
) -> pa.RecordBatch:
    """Return a uniform sample of the corpus, and the records that are always in it.

    Raises:
        CorpusError: No record can be read.
    """
    columns = [[column.name, str(column.type)] for column in corpus.schema]
    content = ["sample", 1, _shards(corpus.shards), columns, size, sorted(always)]
    path = f"{FOLDER}/sample-{input_digest(content)}.arrow"
    store = Store.open(job.output.uri)
    if not store.exists(path):
        transform = SampleRecords(corpus.schema, job.input.id, size, always)
        _run(job, corpus, "SampleRecords", transform, path, _encoded_batch)
    if not store.exists(path):
        raise CorpusError(f"no record of {job.input.uri} can be read")
    return RecordBatchCoder().decode(store.get(path))


def sum_candidates(
    job: JobSpec,
    corpus: Corpus,
    field: str,
    classifier: TextClassifier,
    pool: Ints,
    labels: Mapping[str, int],
) -> Sums:
    """Return sums of candidates over the whole corpus.

    Args:
        job: The job.
        corpus: Its corpus.
        field: Column with the texts.
        classifier: What has an opinion of each record.
        pool: Places of the candidates to count, among the classifier's.
        labels: Judged class index by id.
    """
    store = Store.open(job.output.uri)
    model = store_classifier(store, classifier)
    schema = pa.schema([corpus.schema.field(field)])
    content = [
        "sums",
        1,
        _shards(corpus.shards),
        field,
        model,
        pool.tolist(),
        sorted(labels.items()),
    ]
    path = f"{FOLDER}/sums-{input_digest(content)}.npz"
    if not store.exists(path):
        transform = SumCandidates(
            schema,
            job.input.id,
            field,
            store_uri=job.output.uri,
            classifier=model,
            pool=pool,
            n_classes=len(job.labels),
            labels=labels,
        )
        _run(job, corpus, "SumCandidates", transform, path, _encoded_sums)
    with np.load(io.BytesIO(store.get(path)), allow_pickle=False) as file:
        return Sums(file["frequency"], file["judged"], file["opinion"], int(file["rows"]))


def store_classifier(store: Store, classifier: TextClassifier) -> str:
    """Put a classifier in the store under a digest of its bytes; return its name."""
    data = to_bytes(classifier)
    path = f"{FOLDER}/classifier-{hashlib.sha256(data).hexdigest()[:32]}.npz"
    if not store.exists(path):
        store.put(path, data)
    return path


def _shards(shards: Sequence[Shard]) -> list[list[object]]:
    return [[shard.id, shard.fingerprint, shard.start, shard.stop] for shard in shards]


def _encoded_batch(batch: pa.RecordBatch) -> bytes:
    return RecordBatchCoder().encode(batch)


def _encoded_sums(sums: Sums) -> bytes:
    out = io.BytesIO()
    np.savez(
        out,
        frequency=sums.frequency,
        judged=sums.judged,
        opinion=sums.opinion,
        rows=np.int64(sums.rows),
    )
    return out.getvalue()


def _run(
    job: JobSpec,
    corpus: Corpus,
    name: str,
    transform: beam.PTransform,
    path: str,
    encode: object,
) -> None:
    shards = list(corpus.shards)
    megabytes = sum(shard.size for shard in shards) / 2**20
    choice = choose_runner(
        job.runner.name,
        job.runner.options,
        projected_seconds=megabytes * _SECONDS_PER_MB,
        n_shards=len(shards),
    )
    with (
        TemporaryDirectory(prefix="labelmill-") as folder,
        quiet_beam(verbose=False),
        diverted_output(Path(folder) / "worker.log"),
        beam.Pipeline(options=choice.options()) as pipeline,
    ):
        _ = (
            pipeline
            | "Shards" >> beam.Create(shards).with_output_types(Shard)
            | "Spread" >> beam.Reshuffle()
            | name >> transform
            | "Store" >> beam.Map(_put, job.output.uri, path, encode)
        )


def _put(value: object, uri: str, path: str, encode: object) -> None:
    Store.open(uri).put(path, encode(value))  # type: ignore[operator]  # one of the two above
