"""Local disk, memory and stores that misbehave; `tests/stores` has the real object stores."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from store_conformance import SharedStoreConformance, StoreConformance, outcome_of_create

from labelmill import store as store_module
from labelmill.errors import AlreadyExistsError, StoreError
from labelmill.store import Store, is_relative_path


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch):
    monkeypatch.setattr(store_module, "RETRY_DELAYS", (0.0, 0.0, 0.0))


class TestLocalDisk(SharedStoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        return Store.open(tmp_path / "out")


class TestMemory(StoreConformance):
    @pytest.fixture
    def store(self):
        return Store.open(f"memory://{uuid.uuid4().hex}")

    def test_two_creators_cannot_both_look_before_either_writes(self, store, monkeypatch):
        exists, both_looked = MemoryFileSystem.exists, threading.Barrier(2)

        def look_and_meet(self, path, **kwargs):
            found = exists(self, path, **kwargs)
            with contextlib.suppress(threading.BrokenBarrierError):
                both_looked.wait(timeout=0.1)  # as it should be, the other one never comes
            return found

        monkeypatch.setattr(MemoryFileSystem, "exists", look_and_meet)
        with ThreadPoolExecutor(2) as threads:
            outcomes = threads.map(outcome_of_create, [store] * 2, ["v/1"] * 2, [b"1", b"2"])
        assert Counter(outcomes) == {"created": 1, "lost": 1}


# --- opening ---


def test_opening_touches_nothing(tmp_path):
    Store.open(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_relative_path_counts_from_where_the_store_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store.open("out/")
    monkeypatch.chdir("/")
    store.put("a", b"1")
    assert (tmp_path / "out" / "a").read_bytes() == b"1"
    assert store.uri == str(tmp_path / "out")


def test_a_file_uri_and_its_path_are_the_same_store(tmp_path):
    assert Store.open(f"file://{tmp_path}/out/") == Store.open(tmp_path / "out")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "empty"),
        ("simplecache::memory://x", "chains file systems"),
        ("nosuchprotocol://x", "no installed package serves"),
    ],
)
def test_a_uri_that_cannot_work_is_refused(uri, reason):
    with pytest.raises(StoreError, match=reason):
        Store.open(uri)


def test_storage_options_are_not_shown():
    assert "hunter2" not in repr(Store.open("memory://x", {"secret": "hunter2"}))


@given(st.text(alphabet="a./\0", max_size=8))
def test_a_relative_path_stays_below_its_root(path):
    if is_relative_path(path):
        assert os.path.normpath(f"/base/{path}") == f"/base/{path}"


# --- local disk ---


def test_local_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        Store.open(tmp_path).put("put", b"1")
        Store.open(tmp_path).create("created", b"1")
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("put", "created")} == {0o640}


def test_local_writes_leave_no_temporary_file(tmp_path):
    store = Store.open(tmp_path)
    store.put("a/b", b"1")
    store.create("a/c", b"1")
    with pytest.raises(AlreadyExistsError):
        store.create("a/c", b"2")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b", "c"]


def test_a_folder_in_place_of_a_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"cannot write .*a/b"):
        Store.open(tmp_path).put("a/b", b"1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_an_error_that_says_so(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="permission"):
        Store.open(tmp_path).put("a", b"1")


def test_a_folder_that_cannot_be_listed_is_no_empty_folder(tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    store.put("votes/a", b"1")

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreError, match="cannot list"):
        store.list("votes")


def test_a_disk_without_hard_links_is_refused_with_the_reason(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(StoreError, match="without hard links"):
        Store.open(tmp_path).check_create_only()
    assert list(tmp_path.rglob("*probe*")) == []


KILLED_WRITER = """
import os, signal, sys
from labelmill.store import Store

def stop(*args):
    print("stopped", flush=True)
    signal.pause()

class HalfWriter:  # writes the first half and stops there
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *args): self.file.close()
    def write(self, data):
        self.file.write(data[: len(data) // 2]); self.file.flush(); stop()

uri, operation, moment = sys.argv[1:]
if moment == "half written":
    fdopen = os.fdopen
    os.fdopen = lambda *args: HalfWriter(fdopen(*args))
elif moment == "written":
    os.fsync = stop
else:
    os.replace = os.link = stop
getattr(Store.open(uri), operation)("labels/a", b"new " * 100_000)
"""


@pytest.mark.parametrize("moment", ["half written", "written", "named"])
@pytest.mark.parametrize(
    ("operation", "before"), [("put", None), ("put", b"old"), ("create", None)]
)
def test_a_writer_killed_at_any_moment_leaves_what_was_there(tmp_path, operation, before, moment):
    store = Store.open(tmp_path)
    (tmp_path / "labels").mkdir()
    if before is not None:
        store.put("labels/a", before)
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(tmp_path), operation, moment],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(store_module.__file__).parents[1])},
    )
    assert writer.stdout.readline() == "stopped\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()

    assert store.list("") == ([] if before is None else ["labels/a"])
    assert store._read_back("labels/a") == before
    assert getattr(store, operation)("labels/a", b"next")
    assert store.get("labels/a") == b"next"


# --- stores that misbehave ---


class MisbehavingFileSystem(MemoryFileSystem):
    """Memory under another protocol, where a test can plan what happens to each write."""

    protocol = "misbehaving"
    plan: list = []  # noqa: RUF012  fsspec makes the instances; the fixture resets it

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("misbehaving://"))

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        step = self.plan.pop(0) if self.plan else "work"
        if isinstance(step, Exception):
            raise step
        if step == "ignore the condition":
            mode = "overwrite"
        super().pipe_file(path, value, mode=mode, **kwargs)
        if step == "lose the answer":
            raise ConnectionResetError("connection reset by peer")


@pytest.fixture
def misbehaving(monkeypatch):
    fsspec.register_implementation("misbehaving", MisbehavingFileSystem, clobber=True)
    plan = []
    monkeypatch.setattr(MisbehavingFileSystem, "plan", plan)
    return Store.open(f"misbehaving://{uuid.uuid4().hex}"), plan


def test_create_succeeds_when_its_answer_is_lost(misbehaving):
    store, plan = misbehaving
    plan[:] = ["lose the answer"]
    assert store.create("v/1", b"mine") is False
    assert store.get("v/1") == b"mine"


def test_create_told_that_its_own_object_exists_succeeds(misbehaving):
    store, plan = misbehaving
    store.create("v/1", b"mine")
    plan[:] = [OSError(22, "precondition")]  # as MinIO answers a failed condition
    assert store.create("v/1", b"mine") is False


def test_create_told_with_an_odd_error_that_another_won_says_so(misbehaving):
    store, plan = misbehaving
    store.create("v/1", b"theirs")
    plan[:] = [OSError(22, "precondition")]
    with pytest.raises(AlreadyExistsError):
        store.create("v/1", b"mine")


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(), TimeoutError(), OSError(5, "503 Slow Down"), FileExistsError("409")],
)
def test_create_that_did_not_arrive_is_tried_again(misbehaving, error):
    store, plan = misbehaving
    plan[:] = [error, error]
    assert store.create("v/1", b"mine") is True


@pytest.mark.parametrize("operation", ["put", "create"])
def test_a_store_that_stays_down_is_given_up_with_its_uri(misbehaving, operation):
    store, plan = misbehaving
    plan[:] = [TimeoutError("read timed out")] * 100
    with pytest.raises(StoreError, match=r"misbehaving://.*/v/1.*read timed out.*4 attempts"):
        getattr(store, operation)("v/1", b"mine")
    assert len(plan) == 96


@pytest.mark.parametrize("operation", ["put", "create"])
@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (PermissionError("access denied"), "check the credentials"),
        (FileNotFoundError("bucket"), "create the bucket"),
    ],
)
def test_an_error_that_stays_is_not_retried_and_names_the_fix(
    misbehaving, operation, error, advice
):
    store, plan = misbehaving
    plan[:] = [error] * 2
    with pytest.raises(StoreError, match=advice):
        getattr(store, operation)("v/1", b"mine")
    assert len(plan) == 1


def test_put_is_repeated_when_its_answer_is_lost(misbehaving):
    store, plan = misbehaving
    plan[:] = ["lose the answer", OSError(5, "503")]
    store.verify(store.put("a", b"content"))


def test_a_store_that_ignores_create_only_is_refused(misbehaving):
    store, plan = misbehaving
    plan[:] = ["ignore the condition"] * 10
    with pytest.raises(StoreError, match="ignores create-only"):
        store.check_create_only()
    assert store.list("") == []


def test_the_probe_is_not_fooled_by_a_lost_connection(misbehaving):
    store, plan = misbehaving
    plan[:] = ["work", ConnectionResetError(), "ignore the condition"]
    with pytest.raises(StoreError, match="ignores create-only"):
        store.check_create_only()


def test_a_file_system_that_looks_first_and_writes_then_is_refused(monkeypatch):
    class TwoSteps(MisbehavingFileSystem):
        protocol = "twosteps"
        pipe_file = fsspec.AbstractFileSystem.pipe_file

    fsspec.register_implementation("twosteps", TwoSteps, clobber=True)
    with pytest.raises(StoreError, match="in two steps"):
        Store.open("twosteps://x").check_create_only()
