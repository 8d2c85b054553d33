"""What the containers of a pod run, run together: job server, pool of workers, launcher."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from deploy_files import DEPLOY, ROOT
from deploy_processes import LIMIT, free_port, serving

from labelmill.store import Store
from labelmill.versions import read_manifest

DOCKER = DEPLOY / "docker"


@pytest.mark.parametrize("engine", ["flink", pytest.param("spark", marks=pytest.mark.slow)])
def test_containers_of_a_refresh_publish_a_version(engine, make_job, tmp_path, system):
    """The arguments are the CronJob's, with other ports and the engine inside the job server."""
    system("mvn")
    system("java")
    jars = tmp_path / "jars"
    subprocess.run(
        [str(DOCKER / "install_jars.sh"), engine, "locked", str(jars)],
        check=True, capture_output=True, timeout=LIMIT,
    )  # fmt: skip
    manifest = yaml.safe_load((DEPLOY / engine / "base" / "refresh.yaml").read_text())
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (server,), (launcher,) = pod["initContainers"], pod["containers"]
    job, pool, expansion, artifacts = (free_port() for _ in range(4))
    inside = {
        "labelmill-flink-rest:8081": "[local]", "spark://labelmill-spark:7077": "local[2]",
        "8099": str(job), "8098": str(artifacts), "8097": str(expansion),
        "50000": str(pool), "/tmp/artifacts": str(tmp_path / "artifacts"),
        "$(PARALLELISM)": "2", "/etc/labelmill/job/job.yaml": str(make_job()),
    }  # fmt: skip

    def local(arguments: list[str]) -> list[str]:
        for far, near in inside.items():
            arguments = [argument.replace(far, near) for argument in arguments]
        return arguments

    with ExitStack() as stack:
        stack.enter_context(serving(
            [str(DOCKER / "job_server.sh"), *local(server["args"])], job, tmp_path / "server.log",
            JOB_SERVER_JARS=str(jars), JAVA_OPTIONS="-Xmx512m",
        ))  # fmt: skip
        stack.enter_context(serving(
            [str(DOCKER / "worker.sh"), "pool", str(pool)], pool, tmp_path / "pool.log",
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", PYTHONPATH=str(ROOT),
        ))  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(DOCKER / "run_job.py"), *local(launcher["args"])],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip

    logs = (tmp_path / "server.log").read_text()[-2000:]
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert "published version 1" in done.stdout
    published = read_manifest(Store.open(str(tmp_path / "job" / "out")))
    assert published.run["runner"] != "FnApiRunner"
