"""Real servers of object storage on free ports, each with a data folder of its own."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from google_account import TOKEN, service_account

from scripts.store_servers import program

BUCKET = "labels"
S3_SECRET = "s3-secret-of-the-tests"
AZURE_SECRET = base64.b64encode(b"azure-secret-of-the-tests").decode()
SECRETS = (S3_SECRET, TOKEN, AZURE_SECRET, "PRIVATE KEY")
_START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        uri: An fsspec URL of its bucket.
        environment: What a client needs to reach it.
    """

    port: int
    uri: str
    environment: Mapping[str, str]

    def through(self, port: int) -> dict[str, str]:
        """Return the environment of clients that reach the server through another port."""
        old = str(self.port)
        return {name: value.replace(old, str(port)) for name, value in self.environment.items()}


@contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    (folder / BUCKET).mkdir(parents=True)
    port = free_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    keys = {"ROOT_ACCESS_KEY": "tests", "ROOT_SECRET_KEY": S3_SECRET}
    with _running("versitygw", ["--port", f"127.0.0.1:{port}", "posix", folder], port, keys):
        yield Server(port, f"s3://{BUCKET}", environment)


@contextmanager
def gcs_server(folder: Path) -> Iterator[Server]:
    (folder / BUCKET).mkdir(parents=True)
    account = folder / "account.json"
    port = free_port()
    address = f"127.0.0.1:{port}"
    arguments = [
        "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-public-host", address,
        "-external-url", f"http://{address}", "-backend", "filesystem", "-filesystem-root", folder,
    ]  # fmt: skip
    environment = {
        "STORAGE_EMULATOR_HOST": f"http://{address}",
        "FSSPEC_GS_TOKEN": str(account),  # the server takes any token, but the client asks for one
        "NO_GCE_CHECK": "true",  # there is no metadata server to ask
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # waits a minute for an https endpoint
    }
    with service_account(account), _running("fake-gcs-server", arguments, port):
        yield Server(port, f"gs://{BUCKET}", environment)


@contextmanager
def azure_server(folder: Path) -> Iterator[Server]:
    port = free_port()
    arguments = [
        "--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder, "--silent",
        "--skipApiVersionCheck", "--disableTelemetry",
    ]  # fmt: skip
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=tests;AccountKey={AZURE_SECRET};"
        f"BlobEndpoint=http://127.0.0.1:{port}/tests;"
    )
    environment = {
        "AZURE_STORAGE_ACCOUNT_NAME": "tests",
        "AZURE_STORAGE_CONNECTION_STRING": connection,
    }
    accounts = {"AZURITE_ACCOUNTS": f"tests:{AZURE_SECRET}"}
    with _running("azurite-blob", arguments, port, accounts):
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient.from_connection_string(connection) as client:
            client.create_container(BUCKET)
        yield Server(port, f"az://{BUCKET}", environment)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(
    name: str, arguments: list[object], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the end of the block; skips the test where it is not installed."""
    path = program(name)
    if not path.exists():
        missing = f"{name} is not installed; run scripts/store_servers.py"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    server = subprocess.Popen(
        [str(path), *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(server, name, port)
        yield
    finally:
        server.kill()  # its data folder is thrown away
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], name: str, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"{name} ended with {server.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{name} does not listen on port {port} after {_START_SECONDS} s")
