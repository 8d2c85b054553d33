"""Objects so large that clients send them in parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest
from faulty_proxy import FaultyProxy, faulty_proxy

from labelmill.errors import AlreadyExistsError
from labelmill.store import Store

LARGE = 101 * 2**20  # s3fs sends up to 100 MiB at once

WRITER = """
import sys
from labelmill.store import Store
getattr(Store.open(sys.argv[1]), sys.argv[2])("a", bytes(int(sys.argv[3])))
"""


def test_large_object_is_created_only_once(store):
    assert store.create("a", b"x" * LARGE)
    with pytest.raises(AlreadyExistsError):
        store.create("a", b"y" * LARGE)
    assert store.get_range("a", LARGE - 1, LARGE) == b"x"


@pytest.mark.parametrize("operation", ["put", "create"])
def test_writer_killed_between_parts_leaves_what_was_there(s3, operation):
    uri = f"{s3.uri}/{uuid.uuid4().hex}"
    store = Store.open(uri)
    if operation == "put":
        store.put("a", b"before")
    with faulty_proxy(FaultyProxy(s3.port, hold_uploads_from=1)) as proxy:
        environment = {**os.environ, **s3.through(proxy.port)}
        arguments = [sys.executable, "-c", WRITER, uri, operation, str(LARGE)]
        writer = subprocess.Popen(arguments, env=environment)
        assert proxy.upload_held.wait(60)
        writer.send_signal(signal.SIGKILL)
        writer.wait()

    assert store.list() == (["a"] if operation == "put" else [])
    if operation == "put":
        assert store.get("a") == b"before"
