"""The manifest as a value, as JSON and as an identity."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import CorruptFileError
from labelmill.manifest import FORMAT_VERSION, FileEntry, Manifest
from labelmill.store import StoredFile


def file_entry(path, kind="labels", shard="s0"):
    return FileEntry(kind, shard, path, rows=1, bytes=2, sha256="ab" * 32)


def manifest(**changes):
    values = {
        "version": 1,
        "parent": None,
        "parent_digest": None,
        "name": "job",
        "class_names": ("ham", "spam"),
        "lfs": ({"name": "has_link", "fingerprint": "f1", "kind": "python"},),
        "inputs_digest": "i1",
        "spec": {"labels": ["ham", "spam"]},
        "shards": ({"id": "s0"},),
        "files": (file_entry("labels/a.parquet"),),
        "model_digest": "m1",
        "counts": {"rows": 1},
        "summary": {"coverage": 0.5},
        "gates": ({"name": "coverage", "passed": True},),
        "run": {"id": "r1"},
    }
    return Manifest(**{**values, **changes})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3)
file_entries = st.builds(
    FileEntry,
    kind=st.sampled_from(["votes", "patterns", "faults", "labels", "model", "report"]),
    shard=st.none() | st.text(),
    path=st.text("abc", min_size=1),
    rows=st.integers(0),
    bytes=st.integers(0),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
)
manifests = st.builds(
    manifest,
    name=st.text(),
    class_names=st.lists(st.text()).map(tuple),
    lfs=st.lists(json_objects, max_size=2).map(tuple),
    spec=json_objects,
    counts=json_objects,
    summary=json_objects,
    gates=st.lists(json_objects, max_size=2).map(tuple),
    files=st.lists(file_entries, max_size=4, unique_by=lambda file: file.path).map(tuple),
    run=json_objects,
)


@given(manifests)
def test_a_manifest_survives_its_json(original):
    read = Manifest.from_bytes(original.to_bytes())
    assert read == original
    assert read.digest == original.digest
    assert read.to_bytes() == original.to_bytes()


@given(st.permutations([file_entry(f"labels/{i}", shard=f"s{i}") for i in range(5)]))
def test_the_order_in_which_files_finished_does_not_matter(files):
    in_order = manifest(files=tuple(sorted(files, key=lambda file: file.path)))
    assert manifest(files=tuple(files)).to_bytes() == in_order.to_bytes()


def test_json_is_canonical():
    data = manifest().to_bytes()
    document = json.loads(data)
    assert data.endswith(b"\n")
    assert list(document) == sorted(document)
    assert document["digest"] == manifest().digest


def test_the_run_is_no_part_of_the_identity():
    assert manifest(run={"id": "r2"}).digest == manifest().digest
    assert manifest(run={"id": "r2"}).to_bytes() != manifest().to_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2, "parent": 1, "parent_digest": "d"},
        {"name": "other"},
        {"class_names": ("spam", "ham")},
        {"lfs": ()},
        {"inputs_digest": "i2"},
        {"spec": {}},
        {"shards": ()},
        {"files": ()},
        {"model_digest": "m2"},
        {"counts": {"rows": 2}},
        {"summary": {}},
        {"gates": ()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_else_is(changes):
    assert manifest(**changes).digest != manifest().digest


def test_a_manifest_does_not_change_with_the_dict_it_was_made_from():
    counts = {"rows": 1, "by_class": {"ham": 1}}
    made = manifest(counts=counts)
    counts["by_class"]["ham"] = 2
    assert made.counts == {"rows": 1, "by_class": {"ham": 1}}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1: "int key"}, object()])
def test_what_json_cannot_hold_is_named(value):
    with pytest.raises((ValueError, TypeError), match=r"summary\.models\[0\]"):
        manifest(summary={"models": [value]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 0}, "version is 0"),
        ({"version": True}, "version is True"),
        ({"parent": 1}, "parent_digest is None"),
        ({"parent_digest": "d"}, "without a parent"),
        ({"class_names": ("ham", 1)}, "class_names is 1"),
        ({"files": (file_entry("a"), file_entry("a"))}, "a is listed 2 times"),
    ],
)
def test_a_manifest_that_makes_no_sense_cannot_be_made(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        manifest(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "other"},
        {"shard": 1},
        {"path": "../outside"},
        {"path": "/absolute"},
        {"rows": -1},
        {"bytes": 1.5},
        {"sha256": "AB" * 32},
        {"sha256": "ab"},
    ],
)
def test_a_file_entry_that_makes_no_sense_cannot_be_made(changes):
    with pytest.raises((ValueError, TypeError)):
        replace(file_entry("a"), **changes)


def test_a_file_entry_is_made_from_a_stored_file_and_gives_it_back():
    stored = StoredFile("votes/a", 2, "cd" * 32)
    entry = FileEntry.of(stored, kind="votes", rows=3, shard="s1")
    assert entry == FileEntry("votes", "s1", "votes/a", 3, 2, "cd" * 32)
    assert entry.stored_file == stored


def test_files_of_one_kind_come_ordered_by_shard():
    files = (
        file_entry("labels/x", shard="s1"),
        file_entry("labels/y", shard="s0"),
        file_entry("votes/z", kind="votes"),
    )
    paths = [file.path for file in manifest(files=files).files_of("labels")]
    assert paths == ["labels/y", "labels/x"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"format_version": 1}',
        b'{"format_version": "1"}',
        b'{"format_version": 1, "digest": "", "files": [1]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_corrupt(data):
    with pytest.raises(CorruptFileError, match="versions/1"):
        Manifest.from_bytes(data, source="versions/1")


def damaged(**changes):
    document = json.loads(manifest().to_bytes())
    document.update(changes)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, "content digest"),
        ({"counts": {"rows": 2}}, "content digest"),
        ({"unknown": 1}, "unknown"),
        ({"version": "1"}, "version is '1'"),
        ({"files": [{"kind": "labels"}]}, "missing"),
        ({"summary": {"coverage": float("inf")}}, "summary.coverage is inf"),
    ],
)
def test_a_changed_manifest_is_corrupt(changes, message):
    with pytest.raises(CorruptFileError, match=message):
        Manifest.from_bytes(damaged(**changes))


def test_a_truncated_manifest_is_corrupt():
    data = manifest().to_bytes()
    for length in range(len(data) - 1):
        with pytest.raises(CorruptFileError):
            Manifest.from_bytes(data[:length])


def test_a_newer_format_is_said_to_be_newer():
    with pytest.raises(CorruptFileError, match="written by a newer labelmill"):
        Manifest.from_bytes(damaged(format_version=FORMAT_VERSION + 1, new_field=1))
