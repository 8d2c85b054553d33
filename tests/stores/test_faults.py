"""A store whose connections break: requests are reset, delayed, cut or answered 503."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.storage.blob._shared.policies_async import ExponentialRetry
from faulty_proxy import FAULTS, FaultyProxy, faulty_proxy

from labelmill import store as store_module
from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusError, StoreError
from labelmill.store import Store


@pytest.fixture
def through_proxy(server, monkeypatch):
    """Send the clients of one server after another through a proxy that spoils requests."""
    # It waits 15 s before it asks again, which is right for a cloud.
    monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda self, settings: 0.1)
    with faulty_proxy(FaultyProxy(server.port, rate=0.1)) as proxy:
        for name, value in server.through(proxy.port).items():
            monkeypatch.setenv(name, value)
        yield proxy


def test_every_object_arrives_whole(store, through_proxy):
    names = [f"a/{n:03d}" for n in range(60)]
    contents = {name: name.encode() * 5_000 for name in names}

    def write_and_read(name):
        store.verify(store.put(name, contents[name]))
        store.create(f"created/{name}", contents[name])
        assert store.get_range(name, 10, 20) == contents[name][10:20]
        assert store.size(name) == len(contents[name])
        return store.get(f"created/{name}")

    with ThreadPoolExecutor(8) as threads:
        read = dict(zip(names, threads.map(write_and_read, names), strict=True))

    assert read == contents
    assert store.list() == sorted([*names, *(f"created/{name}" for name in names)])
    for name in names:
        store.delete(name)
    assert len(store.list("a")) == 0
    assert set(through_proxy.seen) == {*FAULTS, "none"}


@pytest.fixture
def refusing(server, monkeypatch):
    """Let each server in turn refuse whatever it is asked."""
    with faulty_proxy(FaultyProxy(server.port, rate=1, faults=("403",))) as proxy:
        for name, value in server.through(proxy.port).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(store_module, "RETRY_DELAYS", (0.0,))
        yield server.uri


def test_corpus_that_may_not_be_read_is_an_error_that_names_it(refusing):
    with pytest.raises(CorpusError, match=f"{refusing}/corpus.* cannot be listed"):
        plan_corpus(f"{refusing}/corpus/*.jsonl", columns=["text"], id_column="id")


@pytest.mark.parametrize("operation", ["get", "list", "size"])
def test_store_that_refuses_is_an_error_that_names_it(refusing, operation):
    with pytest.raises(StoreError, match=f"{refusing}/x"):
        getattr(Store.open(refusing), operation)("x")
