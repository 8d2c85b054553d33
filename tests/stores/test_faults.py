"""A store whose connections break: requests are reset, delayed, cut or answered 503."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.storage.blob._shared.policies_async import ExponentialRetry
from faulty_proxy import FAULTS, FaultyProxy, faulty_proxy


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
