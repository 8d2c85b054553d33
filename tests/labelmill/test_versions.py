"""Commits: one at a time, eight at once, repeated, interrupted; and checking what is published."""

import json
import multiprocessing
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import fsspec
import pytest
from committers import COMMITTERS, assert_linear_without_loss, commit_many, next_manifest
from fsspec.implementations.memory import MemoryFileSystem

from labelmill import store as store_module
from labelmill.errors import (
    AlreadyExistsError,
    ConcurrentRefreshError,
    CorruptFileError,
    StoreError,
    VersionNotFoundError,
)
from labelmill.manifest import FileEntry
from labelmill.store import Store
from labelmill.versions import (
    CURRENT_PATH,
    commit,
    latest_version,
    list_versions,
    manifest_path,
    next_version,
    read_manifest,
    run_path,
    verify_version,
)


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "RETRY_DELAYS", (0.0, 0.0, 0.0))
    if request.param == "local":
        return Store.open(tmp_path / "out")
    return Store.open(f"memory://{uuid.uuid4().hex}")


def publish(store, count):
    """Publish some versions after one another and return their manifests."""
    manifests = []
    for _ in range(count):
        manifests.append(commit(store, next_manifest(manifests[-1] if manifests else None)))
    return manifests


def test_the_outcome_of_a_run_is_stored_by_its_id():
    assert run_path("r1") == "_labelmill/runs/r1.json"


# --- one writer ---


def test_a_committed_version_is_the_current_one(store):
    first = commit(store, next_manifest(None))
    second = commit(store, next_manifest(first))
    assert list_versions(store) == [1, 2]
    assert latest_version(store) == 2
    assert read_manifest(store) == second
    assert read_manifest(store, 1) == first


def test_nothing_published_has_no_version(store):
    assert list_versions(store) == []
    assert latest_version(store) is None
    with pytest.raises(VersionNotFoundError, match="no published version"):
        read_manifest(store)


def test_an_unknown_version_is_answered_with_those_there_are(store):
    publish(store, 3)
    with pytest.raises(VersionNotFoundError, match=r"no version 7; there are 3.* 1, 2, 3"):
        read_manifest(store, 7)


def test_files_that_are_no_manifests_are_no_versions(store):
    publish(store, 1)
    for name in ("notes.txt", "0000002.json", "00000002.json.bak", "old/00000009.json"):
        store.put(f"_labelmill/versions/{name}", b"")
    assert list_versions(store) == [1]


def test_versions_are_ordered_as_numbers(store):
    for version in (99_999_999, 100_000_000, 9):
        store.put(manifest_path(version), b"")
    assert list_versions(store) == [9, 99_999_999, 100_000_000]


def test_the_hint_names_the_current_version(store):
    *_, last = publish(store, 2)
    assert json.loads(store.get(CURRENT_PATH)) == {"version": 2, "digest": last.digest}


def test_a_stale_or_broken_hint_misleads_nobody(store):
    publish(store, 2)
    store.put(CURRENT_PATH, b"{")
    assert latest_version(store) == 2
    assert read_manifest(store).version == 2


def test_a_failing_hint_does_not_fail_the_commit(store, monkeypatch):
    def fail(self, path, data):
        raise StoreError("down")

    monkeypatch.setattr(Store, "put", fail)
    assert commit(store, next_manifest(None)).version == 1
    assert latest_version(store) == 1


# --- replays ---


def test_a_repeated_commit_is_the_same_version(store):
    manifest = next_manifest(None)
    assert commit(store, manifest) == commit(store, manifest) == manifest
    assert list_versions(store) == [1]


def test_a_replay_by_another_attempt_returns_what_is_published(store):
    published = commit(store, next_manifest(None, run="attempt 1"))
    replayed = commit(store, next_manifest(None, run="attempt 2"))
    assert replayed == published
    assert replayed.run == {"id": "attempt 1"}


def test_a_replay_after_later_versions_succeeds_and_keeps_the_hint(store):
    first, *_ = publish(store, 3)
    assert commit(store, first) == first
    assert list_versions(store) == [1, 2, 3]
    assert json.loads(store.get(CURRENT_PATH))["version"] == 3


# --- conflicts ---


def test_a_commit_that_comes_second_names_the_version_and_both_runs(store):
    first = commit(store, next_manifest(None))
    winner = commit(store, next_manifest(first, run="fast"))
    with pytest.raises(ConcurrentRefreshError, match=r"'fast' published version 2 .*'slow'"):
        commit(store, next_manifest(first, run="slow", model_digest="other"))
    assert read_manifest(store) == winner


def test_a_commit_overtaken_at_the_last_moment_is_refused(store, monkeypatch):
    first = commit(store, next_manifest(None))
    create = Store.create

    def overtaken(self, path, data):
        monkeypatch.setattr(Store, "create", create)
        commit(store, next_manifest(first, run="fast"))
        return create(self, path, data)

    monkeypatch.setattr(Store, "create", overtaken)
    with pytest.raises(ConcurrentRefreshError, match="'fast' published version 2"):
        commit(store, next_manifest(first, run="slow", model_digest="other"))


def test_a_number_that_clean_up_freed_is_not_used_again(store):
    first, *_ = publish(store, 4)
    store.delete(manifest_path(2))
    with pytest.raises(ConcurrentRefreshError, match=r"version 2 was published .* and deleted"):
        commit(store, next_manifest(first, model_digest="late"))
    assert list_versions(store) == [1, 3, 4]


def test_a_commit_onto_a_replaced_data_set_is_refused(store):
    planned_on = next_manifest(None, name="deleted since")
    commit(store, next_manifest(None, name="new"))
    with pytest.raises(ConcurrentRefreshError, match="the data set was replaced"):
        commit(store, next_manifest(planned_on))
    assert list_versions(store) == [1]


def test_a_commit_without_its_parent_is_refused(store):
    with pytest.raises(VersionNotFoundError, match="no version 1; there are none"):
        commit(store, next_manifest(next_manifest(None)))


def test_a_number_that_is_not_above_the_parents_is_refused(store):
    (first,) = publish(store, 1)
    with pytest.raises(ValueError, match="version 1 does not follow parent 1"):
        commit(store, next_manifest(first, version=1))


def test_the_number_of_a_version_deleted_by_hand_is_not_used_again(store):
    *_, third = publish(store, 3)
    store.delete(manifest_path(3))

    assert next_version(store) == 4
    fourth = commit(store, next_manifest(read_manifest(store, 2), version=4))

    assert list_versions(store) == [1, 2, 4]
    assert fourth.parent_digest == third.parent_digest


@pytest.mark.parametrize("hint", [b"{", b"[]", b'{"version": "7"}', b'{"version": null}', b"{}"])
def test_a_broken_hint_leaves_the_next_number_alone(store, hint):
    publish(store, 1)
    store.put(CURRENT_PATH, hint)
    assert next_version(store) == 2


def test_a_version_put_back_since_the_plan_is_not_passed_over(store):
    _, second, third = publish(store, 3)
    store.delete(manifest_path(3))
    planned = next_manifest(second, version=next_version(store))
    store.create(manifest_path(3), third.to_bytes())

    with pytest.raises(ConcurrentRefreshError, match="version 3 is there, but this run was plan"):
        commit(store, planned)
    assert list_versions(store) == [1, 2, 3]


# --- eight writers ---


def test_eight_committing_threads_make_a_linear_history_without_loss(store):
    with ThreadPoolExecutor(COMMITTERS) as threads:
        committed = list(threads.map(commit_many, [store] * COMMITTERS, range(COMMITTERS)))
    assert_linear_without_loss(store, committed)


def test_eight_committing_processes_make_a_linear_history_without_loss(tmp_path):
    store = Store.open(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(COMMITTERS, mp_context=spawn) as processes:
        committed = list(processes.map(commit_many, [store] * COMMITTERS, range(COMMITTERS)))
    assert_linear_without_loss(store, committed)


class LossyFileSystem(MemoryFileSystem):
    """Memory whose every third write reports a broken connection after it was done."""

    protocol = "lossy"
    writes = 0

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("lossy://"))

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        super().pipe_file(path, value, mode=mode, **kwargs)
        LossyFileSystem.writes += 1
        if LossyFileSystem.writes % 3 == 0:
            raise ConnectionResetError("connection reset by peer")


def test_eight_committers_whose_answers_get_lost_commit_exactly_once(monkeypatch):
    monkeypatch.setattr(store_module, "RETRY_DELAYS", (0.0,) * 8)
    fsspec.register_implementation("lossy", LossyFileSystem, clobber=True)
    store = Store.open(f"lossy://{uuid.uuid4().hex}")
    with ThreadPoolExecutor(COMMITTERS) as threads:
        committed = list(threads.map(commit_many, [store] * COMMITTERS, range(COMMITTERS)))
    assert_linear_without_loss(store, committed)


# --- verification ---


@pytest.fixture
def with_files(store):
    """A store with one version of three files."""
    stored = [store.put(f"labels/{name}.parquet", name.encode() * 100) for name in "abc"]
    files = tuple(FileEntry.of(file, kind="labels", rows=1, shard=None) for file in stored)
    commit(store, next_manifest(None, files=files))
    return store


def test_an_intact_version_has_no_problems(with_files):
    assert verify_version(with_files) == []


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda data: data[:50] + b"\x00" + data[51:], "sha256"),
        (lambda data: data[:-1], "99 bytes"),
        (lambda data: b"", "0 bytes"),
    ],
    ids=["flipped byte", "truncated", "emptied"],
)
def test_verification_names_each_damaged_file(with_files, damage, problem):
    path = "labels/b.parquet"
    with_files.put(path, damage(with_files.get(path)))
    (found,) = verify_version(with_files)
    assert path in found
    assert problem in found


def test_verification_names_every_missing_file(with_files):
    with_files.delete("labels/a.parquet")
    with_files.delete("labels/c.parquet")
    first, second = verify_version(with_files, 1)
    assert "labels/a.parquet is missing" in first
    assert "labels/c.parquet is missing" in second


def test_verification_names_a_damaged_manifest(with_files):
    data = with_files.get(manifest_path(1))
    with_files.put(manifest_path(1), data.replace(b'"rows":1', b'"rows":2', 1))
    (problem,) = verify_version(with_files)
    assert manifest_path(1) in problem


def test_a_manifest_under_another_number_is_corrupt(store):
    publish(store, 1)
    store.create(manifest_path(2), store.get(manifest_path(1)))
    with pytest.raises(CorruptFileError, match="is the manifest of 1"):
        read_manifest(store)


def test_verification_of_no_version_is_an_error(store):
    with pytest.raises(VersionNotFoundError):
        verify_version(store)


def test_a_published_manifest_cannot_be_created_again(store):
    publish(store, 1)
    with pytest.raises(AlreadyExistsError):
        store.create(manifest_path(1), b"other")
