"""Published labels, as their readers see them."""

import pickle
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelmill.dataset import labels_schema, open_labels
from labelmill.errors import CorruptFileError, VersionNotFoundError
from labelmill.manifest import FileEntry, Manifest
from labelmill.store import Store
from labelmill.versions import commit, latest_version, read_manifest

CLASS_NAMES = ("ham", "spam")


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    if request.param == "local":
        return Store.open(tmp_path / "out")
    return Store.open(f"memory://{uuid.uuid4().hex}")


def labels(confidences, *, prefix="r", label="spam", gold=None):
    """Make a table of labels; a record of confidence 0.5 has no votes."""
    confidence = np.array(confidences, np.float32)
    probs = np.stack([1 - confidence, confidence], axis=1).ravel()
    columns = {
        "id": [f"{prefix}{i}" for i in range(len(confidences))],
        "label": [label] * len(confidences),
        "confidence": confidence,
        "probs": pa.FixedSizeListArray.from_arrays(pa.array(probs), 2),
        "n_votes": np.array(confidence != 0.5, np.int16),
        "covered": confidence != 0.5,
    }
    if gold is not None:
        columns["gold"] = gold
    return pa.table(columns, schema=labels_schema(2, with_gold=gold is not None))


def publish(store, *tables):
    """Publish the next version with one label file for each table."""
    latest = latest_version(store)
    parent = read_manifest(store, latest) if latest else None
    version = (latest or 0) + 1
    files = []
    for number, table in enumerate(tables):
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        stored = store.put(f"labels/s{number}-{version}.parquet", buffer.getvalue().to_pybytes())
        files.append(
            FileEntry.of(stored, kind="labels", rows=table.num_rows, shard=f"s{number:03}")
        )
    # Files of other kinds are in every real version and no labels.
    votes = store.put(f"votes/s0-{version}.parquet", b"not read")
    files.append(FileEntry.of(votes, kind="votes", rows=1, shard="s0"))
    return commit(
        store,
        Manifest(
            version=version,
            parent=latest,
            parent_digest=parent.digest if parent else None,
            name="job",
            class_names=CLASS_NAMES,
            lfs=(),
            inputs_digest=f"i{version}",
            spec={},
            shards=(),
            files=tuple(files),
            model_digest="m",
            counts={},
            summary={},
            gates=(),
        ),
    )


def test_labels_are_the_rows_of_all_label_files_by_shard(store):
    publish(store, labels([0.9, 0.5]), labels([0.7], prefix="q"))
    dataset = open_labels(store.uri)
    assert dataset.schema == labels_schema(2)
    assert dataset.count_rows() == 3
    expected = pa.concat_tables([labels([0.9, 0.5]), labels([0.7], prefix="q")])
    assert dataset.to_table() == expected


def test_files_that_no_manifest_names_are_not_read(store):
    publish(store, labels([0.9]))
    store.put("labels/stray.parquet", b"from a run that never committed")
    assert open_labels(store.uri).count_rows() == 1


def test_a_version_can_be_pinned(store):
    publish(store, labels([0.9], label="ham"))
    publish(store, labels([0.9, 0.8], label="spam"))
    assert open_labels(store.uri, 1).to_table()["label"].to_pylist() == ["ham"]
    assert open_labels(store.uri, version=2).count_rows() == 2
    assert open_labels(store.uri).count_rows() == 2


def test_an_open_dataset_stays_at_its_version(store):
    publish(store, labels([0.9], label="ham"))
    opened = open_labels(store.uri)
    publish(store, labels([0.9, 0.8], label="spam"))
    assert opened.to_table()["label"].to_pylist() == ["ham"]


def test_min_confidence_compares_in_the_precision_of_the_column(store):
    publish(store, labels([0.9, 0.89, 0.95, 0.5]))
    table = open_labels(store.uri, min_confidence=0.9).to_table()
    assert table["id"].to_pylist() == ["r0", "r2"]


def test_covered_selects_the_records_with_and_without_votes(store):
    publish(store, labels([0.9, 0.5, 0.7]))
    assert open_labels(store.uri, covered=True).to_table()["id"].to_pylist() == ["r0", "r2"]
    assert open_labels(store.uri, covered=False).to_table()["id"].to_pylist() == ["r1"]


def test_filters_combine_with_each_other_and_with_the_callers(store):
    publish(store, labels([0.9, 0.5, 0.7]), labels([0.9], prefix="q"))
    dataset = open_labels(store.uri, covered=True, min_confidence=0.8)
    assert dataset.count_rows() == 2
    only = dataset.to_table(filter=pa.dataset.field("id") == "q0", columns=["id"])
    assert only.to_pydict() == {"id": ["q0"]}


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_confidence_that_is_no_probability_is_refused(store, value):
    with pytest.raises(ValueError, match=f"min_confidence={value}"):
        open_labels(store.uri, min_confidence=value)


def test_gold_is_a_column_when_the_job_has_it(store):
    publish(store, labels([0.9, 0.8], gold=["spam", None]))
    dataset = open_labels(store.uri)
    assert dataset.schema == labels_schema(2, with_gold=True)
    assert dataset.to_table()["gold"].to_pylist() == ["spam", None]


@pytest.mark.parametrize("filters", [{}, {"covered": True}])
def test_a_version_without_label_files_is_an_empty_dataset(store, filters):
    publish(store)
    dataset = open_labels(store.uri, **filters)
    assert dataset.schema == labels_schema(2)
    assert dataset.to_table().num_rows == 0


def test_a_label_file_without_rows_is_read_as_none(store):
    publish(store, labels([])[:0], labels([0.9]))
    assert open_labels(store.uri).count_rows() == 1


def test_a_dataset_can_be_sent_to_another_process(store):
    publish(store, labels([0.9, 0.8]))
    assert pickle.loads(pickle.dumps(open_labels(store.uri))).count_rows() == 2


def test_a_data_set_without_versions_says_so(store):
    with pytest.raises(VersionNotFoundError, match="no published version"):
        open_labels(store.uri)


def test_a_missing_label_file_is_named(store):
    publish(store, labels([0.9]))
    store.delete("labels/s0-1.parquet")
    with pytest.raises(CorruptFileError, match=r"labels/s0-1\.parquet is missing"):
        open_labels(store.uri)


def test_a_label_file_that_is_no_parquet_is_named(store):
    publish(store, labels([0.9]))
    store.put("labels/s0-1.parquet", b"x" * store.size("labels/s0-1.parquet"))
    with pytest.raises(CorruptFileError, match=r"labels/s0-1\.parquet is not a Parquet file"):
        open_labels(store.uri)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (labels([0.9]).drop_columns(["n_votes"]), "no column 'n_votes'"),
        (labels([0.9]).set_column(2, "confidence", pa.array([0.9])), "'confidence' is double"),
    ],
)
def test_a_label_file_with_other_columns_is_named(store, table, problem):
    publish(store, table)
    with pytest.raises(CorruptFileError, match=rf"labels/s0-1.parquet.*{problem}"):
        open_labels(store.uri)


def test_readers_during_commits_see_whole_versions_in_order(store):
    def table_of(version, shard):
        return labels([0.9] * 50, prefix=f"{shard}-", label=f"version {version}")

    publish(store, *(table_of(1, shard) for shard in range(3)))
    done = threading.Event()

    def read():
        seen = []
        while not done.is_set():
            table = open_labels(store.uri).to_table()
            assert table.num_rows == 150
            (label,) = set(table["label"].to_pylist())
            seen.append(int(label.removeprefix("version ")))
        return seen

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        try:
            for version in range(2, 22):
                publish(store, *(table_of(version, shard) for shard in range(3)))
        finally:
            done.set()
        for reader in readers:
            seen = reader.result()
            assert seen
            assert seen == sorted(seen)
