"""Mining: a sample and sums that do not depend on how the corpus is cut."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelmill.corpus import plan_corpus
from labelmill.records import ID
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.teach.classifier import TextClassifier
from labelmill.teach.features import feature_space
from labelmill.teach.index import index_texts
from labelmill.teach.storing import to_bytes
from labelmill.teach.training import train_classifier
from transforms.mining import MergeSamplesFn, SampleRecords, SumCandidates, smallest

N = 200
TEXTS = [f"{'red apple' if n % 2 else 'blue sky'} number {n % 9} of nine" for n in range(N)]


def batch_of(rows) -> pa.RecordBatch:
    ids = pa.array([f"r{n}" for n in rows], pa.string())
    return pa.RecordBatch.from_arrays([ids, pa.array([TEXTS[n] for n in rows])], [ID, "text"])


@pytest.mark.parametrize("size", [1, 30, 500])
@pytest.mark.parametrize("cuts", [[], [1], [50, 51, 190]])
def test_sample_is_the_same_whatever_the_cuts_and_the_order(size, cuts):
    always = frozenset(["r3", "r100"])
    whole = smallest([batch_of(range(N))], size, always)
    merge = MergeSamplesFn(size, always)
    parts = [batch_of(range(a, b)) for a, b in itertools.pairwise([0, *cuts, N])]
    accumulators = [merge.add_input(merge.create_accumulator(), part) for part in reversed(parts)]
    assert merge.extract_output(merge.merge_accumulators(accumulators)).equals(whole)
    ids = whole.column(ID).to_pylist()
    assert always <= set(ids)
    assert size <= len(ids) <= size + 2 or len(ids) == N


def test_sample_is_uniform():
    first = set(smallest([batch_of(range(N))], 100, frozenset()).column(ID).to_pylist())
    assert 30 <= sum(f"r{n}" in first for n in range(100)) <= 70


@pytest.fixture
def corpora(tmp_path):
    """The same records in one file and in three."""
    found = []
    for name, edges in (("one", [0, N]), ("three", [0, 20, 21, N])):
        folder = tmp_path / name
        folder.mkdir()
        for n, (start, stop) in enumerate(itertools.pairwise(edges)):
            batch = batch_of(range(start, stop)).rename_columns(["id", "text"])
            pq.write_table(pa.Table.from_batches([batch]), folder / f"{n}.parquet")
        found.append(plan_corpus(str(folder), columns=["text"], id_column="id"))
    return found


def keep(value, path: str) -> None:
    Path(path).write_bytes(pickle.dumps(value))


def test_sums_over_shards_are_those_of_all_records(corpora, tmp_path):
    index = index_texts(pa.array(TEXTS))
    space = feature_space(index)
    features = space.of(index.has)
    gold = np.arange(N) % 2
    heads = train_classifier(features.take(np.arange(40)), gold[:40], 2).heads
    store = Store.open(str(tmp_path / "out"))
    store.put("teach/c.npz", to_bytes(TextClassifier(index.keys, space, heads)))
    pool = np.arange(0, len(index.keys), 2)
    results = []
    for corpus in corpora:
        mined = SumCandidates(
            corpus.schema,
            "id",
            "text",
            store_uri=store.uri,
            classifier="teach/c.npz",
            pool=pool,
            n_classes=2,
            labels={f"r{n}": int(gold[n]) for n in range(40)},
        )
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            shards = pipeline | beam.Create(list(corpus.shards)).with_output_types(Shard)
            _ = shards | mined | beam.Map(keep, str(tmp_path / "kept"))
        results.append(pickle.loads((tmp_path / "kept").read_bytes()))
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            shards = pipeline | beam.Create(list(corpus.shards)).with_output_types(Shard)
            drawn = shards | SampleRecords(corpus.schema, "id", 10, frozenset(["r7"]))
            _ = drawn | beam.Map(keep, str(tmp_path / "kept"))
        results.append(pickle.loads((tmp_path / "kept").read_bytes()))
    first, sample, second, other_sample = results
    assert sample.equals(other_sample)
    assert first.rows == second.rows == N
    assert np.array_equal(first.frequency, index.frequency[pool])
    assert first.judged.sum() == index.has[:40][:, pool].nnz
    for name in ("frequency", "judged", "opinion"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
