"""A job as one jar, by Spark's own spark-submit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from deploy_files import DEPLOY, ROOT
from deploy_processes import LIMIT, free_port, serving

from labelmill.store import Store
from labelmill.versions import read_manifest

OPENS = ("java.lang", "java.nio", "sun.nio.ch", "java.util", "java.lang.invoke",
         "java.util.concurrent", "java.net")  # fmt: skip


@pytest.mark.slow
def test_job_is_made_a_jar_and_submitted(make_job, tmp_path, system):
    """The jars of the lock are on the class path: the fat job server is not to be had here."""
    java = system("java")
    jars, pool = tmp_path / "jars", free_port()
    subprocess.run(
        [str(DEPLOY / "docker" / "install_jars.sh"), "spark", "locked", str(jars)],
        check=True, capture_output=True, timeout=LIMIT,
    )  # fmt: skip
    job = make_job()
    tools = tmp_path / "bin"
    tools.mkdir()
    opens = " ".join(f"--add-opens java.base/{package}=ALL-UNNAMED" for package in OPENS)
    written = {
        # Its last argument, the jar, comes first: the fat one would hold all that follows.
        "spark-submit": f"for jar; do :; done; exec {java} {opens} -Xmx700m "
        f'-cp "$jar:{jars}/*" org.apache.spark.deploy.SparkSubmit "$@"',
        "labelmill": f"exec {sys.executable} -m pipelines "
        f'$(printf "%s\\n" "$@" | sed s/localhost:50000/localhost:{pool}/)',
    }
    for name, line in written.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "JOB_SERVER_JARS": str(jars),
        "JOB_PORT": str(free_port()),
        "JAVA_OPTIONS": "-Xmx512m",
    }

    command = [str(DEPLOY / "docker" / "worker.sh"), "pool", str(pool)]
    with serving(command, pool, tmp_path / "pool.log", PATH=path, PYTHONPATH=str(ROOT)):
        done = subprocess.run(
            [str(DEPLOY / "spark" / "submit.sh"), str(job), "--master", "local[2]"],
            env=environment, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert read_manifest(Store.open(str(job.parent / "out"))).version == 1


def test_no_job_is_told():
    done = subprocess.run(
        [str(DEPLOY / "spark" / "submit.sh"), "--master", "yarn"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("usage: submit.sh JOB")
