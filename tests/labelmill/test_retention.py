"""Cleaning up: the age guard, files that only look unused, manifests of an older format."""

import datetime
import os
import time
from pathlib import Path

import pytest

from labelmill.errors import CorruptFileError, StoreError
from labelmill.manifest import FileEntry, Manifest
from labelmill.retention import clean_up, keep_young, plan_cleanup
from labelmill.store import Store
from labelmill.versions import commit, manifest_path

NOW = datetime.timedelta(0)
OLD = time.time() - 10 * 86_400


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "out")


def stored(store, path, kind="votes"):
    return FileEntry.of(store.put(path, path.encode()), kind=kind, rows=1, shard=None)


def publish(store, *files, parent=None, **changes):
    values = {
        "version": parent.version + 1 if parent else 1,
        "parent": parent and parent.version,
        "parent_digest": parent and parent.digest,
        "name": "job",
        "class_names": ("ham", "spam"),
        "lfs": (),
        "inputs_digest": "i",
        "spec": {},
        "shards": (),
        "files": files,
        "model_digest": "m",
        "counts": {},
        "summary": {},
        "gates": (),
        "run": {"id": "20260101T000000-a"},
    }
    return commit(store, Manifest(**{**values, **changes}))


def age(store, *paths):
    for path in paths:
        os.utime(f"{store.uri}/{path}", (OLD, OLD))


def test_files_of_a_run_under_way_are_too_young_to_go(store):
    publish(store, stored(store, "votes/a"))
    store.put("votes/under-way", b"x")
    store.put("votes/orphan", b"orphan")
    age(store, "votes/a", "votes/orphan")

    cleanup = plan_cleanup(store, 1)
    clean_up(store, cleanup)

    assert [file.path for file in cleanup.files] == ["votes/orphan"]
    assert (cleanup.bytes, cleanup.young, cleanup.young_bytes) == (6, 1, 1)
    assert store.list("votes") == ["votes/a", "votes/under-way"]


def test_a_file_written_again_after_the_plan_stays(store):
    publish(store, stored(store, "votes/a"))
    store.put("votes/orphan", b"x")
    age(store, "votes/orphan")
    cleanup = plan_cleanup(store, 1)

    store.put("votes/orphan", b"x")
    clean_up(store, cleanup)

    assert store.exists("votes/orphan")


def test_old_files_that_a_commit_takes_up_again_are_made_young(store):
    parent = publish(store, stored(store, "votes/parents"))
    revived = stored(store, "votes/of-a-run-that-died")
    age(store, "votes/parents", revived.path)

    keep_young(store, [revived, *parent.files], parent)

    assert [file.path for file in plan_cleanup(store, 1).files] == []
    assert store.modified("votes/parents").timestamp() == pytest.approx(OLD, abs=1)


def test_a_commit_whose_file_was_deleted_meanwhile_fails(store):
    gone = stored(store, "votes/gone")
    store.delete("votes/gone")

    with pytest.raises(StoreError, match=r"votes/gone was deleted while this run was under way"):
        keep_young(store, [gone], None)


def test_resources_of_an_older_format_which_did_not_name_them_stay(store):
    parent = publish(store, format_version=1)
    store.put("resources/aa", b"words")
    clean_up(store, plan_cleanup(store, 1, min_age=NOW))
    assert store.exists("resources/aa")

    publish(store, stored(store, "resources/bb", "resource"), parent=parent)
    clean_up(store, plan_cleanup(store, 1, min_age=NOW))

    assert store.list("resources") == ["resources/bb"]


def test_nothing_is_deleted_when_the_files_of_a_kept_version_are_not_known(store):
    first = publish(store, stored(store, "votes/a"))
    publish(store, stored(store, "votes/b"), parent=first)
    store.put(manifest_path(1), b"{}")

    with pytest.raises(CorruptFileError, match="version 1 would be kept"):
        plan_cleanup(store, 2)
    assert plan_cleanup(store, 1, min_age=NOW).versions == (1,)


def test_unfinished_local_files_go_when_they_are_old(store):
    publish(store, stored(store, "votes/a"))
    for name in (".tmp-old", ".tmp-young"):
        Path(store.uri, "votes", name).touch()
    age(store, "votes/.tmp-old")

    clean_up(store, plan_cleanup(store, 1))

    assert sorted(path.name for path in Path(store.uri, "votes").iterdir()) == [".tmp-young", "a"]
