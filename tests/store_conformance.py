"""What labelmill needs of any store, as one suite that each kind of store passes.

A store joins by a subclass with a `store` fixture: of `SharedStoreConformance`, or of
`StoreConformance` where no other process can reach it.
"""

import hashlib
import multiprocessing
import os
import pickle
import sys
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from labelmill import store as store_module
from labelmill.errors import AlreadyExistsError, CorruptFileError
from labelmill.store import StoredFile

RACERS = 8


def outcome_of_create(store, path, data):
    """Name what one racer saw: created, same bytes already there, or other content there."""
    try:
        return "created" if store.create(path, data) else "same"
    except AlreadyExistsError:
        return "lost"


def _create_many(store, racer, keys, barrier_folder):
    """Race for many keys from a process of its own, once all the others are ready."""
    store.put(f"{barrier_folder}/{racer}", b"")
    while len(store.list(barrier_folder)) < RACERS:
        pass
    return [outcome_of_create(store, f"v/{key}", b"racer %d" % racer) for key in range(keys)]


class StoreConformance:
    """What labelmill needs of any store."""

    @pytest.fixture(autouse=True)
    def _retry_at_once(self, monkeypatch):
        monkeypatch.setattr(store_module, "RETRY_DELAYS", (0.0, 0.0, 0.0))

    @pytest.fixture
    def _eager_threads(self):
        """Let threads interrupt each other as often as Python can, so that races do happen."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(interval)

    def test_put_then_get_returns_the_bytes(self, store):
        stored = store.put("labels/a.parquet", b"abc")
        assert stored == StoredFile("labels/a.parquet", 3, hashlib.sha256(b"abc").hexdigest())
        assert store.get("labels/a.parquet") == b"abc"

    def test_get_range_returns_a_part(self, store):
        store.put("a", b"0123456789")
        assert store.get_range("a", 2, 5) == b"234"
        with pytest.raises(FileNotFoundError):
            store.get_range("none", 2, 5)

    def test_put_replaces_the_whole_object(self, store):
        store.put("a", b"long content")
        store.put("a", b"short")
        assert store.get("a") == b"short"
        assert store.list("") == ["a"]

    def test_an_empty_object_exists_with_size_zero(self, store):
        store.put("empty", b"")
        assert store.get("empty") == b""
        assert store.exists("empty")
        assert store.size("empty") == 0

    def test_create_writes_once(self, store):
        assert store.create("v/1", b"mine")
        assert store.get("v/1") == b"mine"

    def test_create_with_the_same_bytes_again_is_success(self, store):
        store.create("v/1", b"mine")
        assert store.create("v/1", b"mine") is False

    def test_create_over_other_content_raises_and_keeps_it(self, store):
        store.create("v/1", b"theirs")
        with pytest.raises(AlreadyExistsError, match="v/1 already exists with other content"):
            store.create("v/1", b"mine")
        assert store.get("v/1") == b"theirs"

    def test_create_of_nothing_over_content_keeps_it(self, store):
        store.create("v/1", b"theirs")
        with pytest.raises(AlreadyExistsError):
            store.create("v/1", b"")
        assert store.get("v/1") == b"theirs"

    def test_get_of_nothing_names_the_object(self, store):
        with pytest.raises(FileNotFoundError, match="labels/none"):
            store.get("labels/none")

    def test_nothing_neither_exists_nor_has_a_size(self, store):
        assert not store.exists("labels/none")
        assert store.size("labels/none") is None

    def test_a_folder_is_not_an_object(self, store):
        store.put("labels/a", b"1")
        assert not store.exists("labels")
        assert store.size("labels") is None

    def test_list_is_sorted_relative_and_recursive(self, store):
        for path in ("votes/b", "votes/a", "votes/deep/c", "other/d"):
            store.put(path, b"1")
        assert store.list("votes") == ["votes/a", "votes/b", "votes/deep/c"]
        assert store.list("") == ["other/d", "votes/a", "votes/b", "votes/deep/c"]

    def test_list_takes_the_prefix_as_a_folder(self, store):
        store.put("votes/a", b"1")
        store.put("votes-old/a", b"1")
        assert store.list("votes") == ["votes/a"]

    def test_list_of_an_absent_folder_is_empty(self, store):
        assert store.list("nowhere") == []
        assert store.list("") == []

    def test_list_sees_what_another_writer_just_wrote(self, store):
        other = pickle.loads(pickle.dumps(store))
        assert store.list("votes") == []
        other.put("votes/a", b"1")
        assert store.list("votes") == ["votes/a"]
        other.delete("votes/a")
        assert store.list("votes") == []

    def test_delete_may_be_repeated(self, store):
        store.put("a/b", b"1")
        store.delete("a/b")
        store.delete("a/b")
        assert not store.exists("a/b")

    @pytest.mark.parametrize("path", ["", "/abs", "../up", "a/../../b", "a//b", "./a", "a/", "a\0"])
    def test_a_path_cannot_leave_the_root(self, store, path):
        with pytest.raises(ValueError, match="not a path below the root"):
            store.put(path, b"1")

    def test_verify_accepts_what_was_written(self, store):
        store.verify(store.put("a", b"content"))

    @pytest.mark.parametrize("damaged", [b"contenT", b"conten", b"content ", b""])
    def test_verify_names_a_damaged_file_and_both_digests(self, store, damaged):
        stored = store.put("labels/a", b"content")
        store.put("labels/a", damaged)
        with pytest.raises(CorruptFileError) as caught:
            store.verify(stored)
        for part in ("labels/a", stored.sha256, hashlib.sha256(damaged).hexdigest()):
            assert part in str(caught.value)

    def test_verify_names_a_missing_file(self, store):
        stored = store.put("labels/a", b"content")
        store.delete("labels/a")
        with pytest.raises(CorruptFileError, match="labels/a is missing"):
            store.verify(stored)

    def test_the_store_is_create_only_and_the_probe_leaves_nothing(self, store):
        store.check_create_only()
        assert store.list("") == []

    def test_a_pickled_store_reaches_the_same_objects(self, store):
        store.put("a", b"1")
        copy = pickle.loads(pickle.dumps(store))
        assert copy == store
        assert copy.get("a") == b"1"

    def test_arrow_reads_the_same_objects(self, store):
        store.put("labels/a", b"content")
        with store.arrow_filesystem().open_input_file("labels/a") as file:
            assert file.read() == b"content"

    def test_arrow_readers_of_one_object_do_not_disturb_each_other(self, store):
        store.put("labels/a", b"content")
        arrow = store.arrow_filesystem()
        with arrow.open_input_file("labels/a") as one, arrow.open_input_file("labels/a") as other:
            assert (one.read(3), other.read(4)) == (b"con", b"cont")
            assert (one.read(), other.read()) == (b"tent", b"ent")

    @pytest.mark.usefixtures("_eager_threads")
    def test_one_of_many_racing_threads_creates_the_object(self, store):
        for round_ in range(20):
            barrier = threading.Barrier(RACERS)

            def race(racer, path=f"v/{round_}", barrier=barrier):
                barrier.wait()
                return outcome_of_create(store, path, b"racer %d" % racer)

            with ThreadPoolExecutor(RACERS) as threads:
                outcomes = list(threads.map(race, range(RACERS)))
            assert Counter(outcomes) == {"created": 1, "lost": RACERS - 1}
            assert store.get(f"v/{round_}") == b"racer %d" % outcomes.index("created")

    def test_racing_threads_with_the_same_bytes_all_succeed(self, store):
        with ThreadPoolExecutor(RACERS) as threads:
            outcomes = list(
                threads.map(lambda _: outcome_of_create(store, "v/1", b"same"), range(RACERS))
            )
        assert Counter(outcomes) == {"created": 1, "same": RACERS - 1}


class SharedStoreConformance(StoreConformance):
    """What labelmill needs of a store that several processes share."""

    def test_a_forked_process_opens_its_own_file_system(self, store):
        store.put("a", b"1")
        inherited = store._filesystem()[0]
        child = os.fork()
        if child == 0:
            own = store._filesystem()[0] is not inherited and store.get("a") == b"1"
            os._exit(0 if own else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_one_of_many_racing_processes_creates_each_object(self, store):
        keys = 20
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(RACERS, mp_context=spawn) as processes:
            futures = [
                processes.submit(_create_many, store, racer, keys, "ready")
                for racer in range(RACERS)
            ]
            outcomes = [future.result() for future in futures]
        for key, of_key in enumerate(zip(*outcomes, strict=True)):
            assert Counter(of_key) == {"created": 1, "lost": RACERS - 1}
            assert store.get(f"v/{key}") == b"racer %d" % of_key.index("created")

    def test_a_reader_during_puts_sees_whole_objects_only(self, store):
        done = threading.Event()
        contents = [bytes([65 + i]) * (100_000 + 50_000 * i) for i in range(4)]
        store.put("a", contents[0])
        seen = set()

        def read():
            while not done.is_set():
                seen.add(store.get("a"))

        with ThreadPoolExecutor(2) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            for i in range(40):
                store.put("a", contents[i % 4])
            done.set()
            for reader in readers:
                reader.result()
        assert seen <= set(contents)
