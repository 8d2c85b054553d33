"""The demo through Beam's portable job service with workers of their own: a cluster's contract."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelmill.store import Store
from labelmill.versions import read_manifest

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "unicode_names"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def worker_pool(tmp_path: Path) -> Iterator[str]:
    """Start a pool of SDK workers in a folder that knows nothing of the job; give its address."""
    port = free_port()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (tmp_path / "pool.log").open("wb") as log:
        pool = subprocess.Popen(
            [
                sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main",
                f"--service_port={port}",
            ],
            cwd="/", env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert pool.poll() is None, (tmp_path / "pool.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"localhost:{port}"
    finally:
        pool.terminate()
        pool.wait(timeout=30)


def run(job: Path, out: Path, *flags: str) -> str:
    command = [sys.executable, "-m", "pipelines", "run", str(job), "--set", f"output.uri={out}"]
    done = subprocess.run(
        [*command, *flags], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(out: Path) -> dict[str, str]:
    store = Store.open(str(out))
    paths = [p for p in store.list() if not p.startswith("_labelmill")]
    return {path: hashlib.sha256(store.get(path)).hexdigest() for path in paths}


def test_external_workers_publish_the_same_bytes_as_one_process(tmp_path, worker_pool):
    subprocess.run(
        [sys.executable, str(DEMO / "make_corpus.py"), "--out", str(tmp_path / "data")], check=True
    )
    job = tmp_path / "job.yaml"
    job.write_text((DEMO / "job.yaml").read_text())
    (tmp_path / "lfs.py").write_text((DEMO / "lfs.py").read_text())
    run(job, tmp_path / "local")

    run(
        job, tmp_path / "portable", "--runner=PortableRunner", "--job_endpoint=embed",
        "--environment_type=EXTERNAL", f"--environment_config={worker_pool}",
    )  # fmt: skip

    assert digests(tmp_path / "portable") == digests(tmp_path / "local")
    manifests = [read_manifest(Store.open(str(tmp_path / name))) for name in ("portable", "local")]
    assert manifests[0].digest == manifests[1].digest
    assert manifests[0].run["runner"] == "PortableRunner"
