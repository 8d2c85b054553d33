"""One server of each kind for the whole run, its credentials in the environment only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import adlfs
import gcsfs
import pytest
import s3fs
from servers import Server, azure_server, gcs_server, s3_server

from labelmill.store import Store

KINDS = {"s3": s3_server, "gcs": gcs_server, "azure": azure_server}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "stores":
            item.add_marker("stores")


def _serving(kind: str, factory: pytest.TempPathFactory) -> Iterator[Server]:
    with KINDS[kind](factory.mktemp(kind)) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serving("s3", tmp_path_factory)


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serving("gcs", tmp_path_factory)


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serving("azure", tmp_path_factory)


@pytest.fixture(autouse=True)
def no_client_of_another_test() -> Iterator[None]:
    """Forget clients that fsspec keeps: one may talk to a proxy that is gone."""
    yield
    for client in (s3fs.S3FileSystem, gcsfs.GCSFileSystem, adlfs.AzureBlobFileSystem):
        client.clear_instance_cache()


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(server: Server) -> Store:
    """An empty store on each of the servers in turn."""
    return Store.open(f"{server.uri}/{uuid.uuid4().hex}")
