"""Flink, Spark and worker pools as the pages in docs/ start them, on free ports."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from processes import Process, free_ports, installed

ROOT = Path(__file__).parents[2]
BOOT = ROOT / "deploy" / "engines" / "boot"
_SLOTS_SECONDS = 60

FLINK_OPENS = [
    *(f"--add-exports=java.base/{name}=ALL-UNNAMED" for name in ("sun.net.util",)),
    *(f"--add-exports=java.rmi/{name}=ALL-UNNAMED" for name in ("sun.rmi.registry",)),
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    *(
        f"--add-opens=java.base/{name}=ALL-UNNAMED"
        for name in (
            "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect",
            "java.text", "java.time", "java.util", "java.util.concurrent",
            "java.util.concurrent.atomic", "java.util.concurrent.locks",
        )
    ),
]  # fmt: skip
"""What Flink's own scripts pass on Java 17."""

SPARK_OPENS = [
    f"--add-opens=java.base/{name}=ALL-UNNAMED"
    for name in (
        "java.lang", "java.lang.invoke", "java.net", "java.nio", "java.util",
        "java.util.concurrent", "sun.nio.ch",
    )
]  # fmt: skip

QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


@dataclass
class Engine:
    """An engine that runs.

    Attributes:
        flags: Flags of a run on it.
        processes: What it consists of, by name.
        rest: Address of the interface that tells what it does.
        starters: Start what may be killed, by name.
    """

    flags: list[str]
    processes: dict[str, Process] = field(default_factory=dict)
    rest: str = ""
    starters: dict[str, Callable[[], Process]] = field(default_factory=dict)

    def restart(self, name: str) -> None:
        """Start a process again that was killed."""
        self.processes[name] = self.starters[name]()

    def jobs(self) -> list[dict]:
        """Return Flink's jobs, with their tasks."""
        overview = requests.get(f"http://{self.rest}/jobs/overview", timeout=10).json()["jobs"]
        return [
            requests.get(f"http://{self.rest}/jobs/{job['jid']}", timeout=10).json()
            for job in overview
        ]


def _python_environment() -> dict[str, str]:
    """Return an environment whose `python` and `python3` are this one, with the checkout."""
    folder = Path(sys.executable).parent
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT)}


@contextmanager
def worker_pool(folder: Path, name: str = "pool") -> Iterator[tuple[str, Process]]:
    """Start a pool of SDK workers in a folder that knows nothing of the job; give its address."""
    (port,) = free_ports(1)
    pool = Process(
        name,
        [
            sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main",
            f"--service_port={port}",
        ],
        folder,
        _python_environment(),
    )  # fmt: skip
    try:
        pool.wait_for_port(port)
        yield f"localhost:{port}", pool
    finally:
        pool.end()


def process_environment() -> list[str]:
    """Return the flags by which an engine starts each worker as a process of its own."""
    config = {"command": str(BOOT), "env": _python_environment()}
    return ["--environment_type=PROCESS", f"--environment_config={json.dumps(config)}"]


@contextmanager
def _job_server(
    main: str, jars: Path, arguments: list[str], folder: Path, java: list[str], **environment: str
) -> Iterator[tuple[str, Process]]:
    job, artifact, expansion = free_ports(3)
    server = Process(
        "job-server",
        [
            "java", "-Xmx512m", QUIET, *java, "-cp", f"{jars}/*", main, "--job-host=localhost",
            f"--job-port={job}", f"--artifact-port={artifact}", f"--expansion-port={expansion}",
            f"--artifacts-dir={folder / 'artifacts'}", *arguments,
        ],
        folder,
        environment,
    )  # fmt: skip
    try:
        server.wait_for_port(job)
        yield f"localhost:{job}", server
    finally:
        server.end()


FLINK_MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"
SPARK_MAIN = "org.apache.beam.runners.spark.SparkJobServerDriver"


@contextmanager
def flink_embedded(folder: Path) -> Iterator[Engine]:
    jars = installed("flink")
    with _job_server(FLINK_MAIN, jars, ["--flink-master=[local]"], folder, []) as (address, server):
        yield Engine(
            ["--runner=flink", f"--job_endpoint={address}", "--environment_type=LOOPBACK",
             "--parallelism=2"],
            {"job-server": server},
        )  # fmt: skip


FLINK_CONFIG = """
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
rest.address: localhost
rest.port: {rest}
rest.bind-port: "{rest}"
jobmanager.memory.process.size: 800m
taskmanager.host: localhost
taskmanager.numberOfTaskSlots: 2
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.heap.size: 384m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.network.min: 128m
taskmanager.memory.network.max: 128m
taskmanager.memory.managed.size: 256m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
taskmanager.network.sort-shuffle.min-buffers: 64
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 5
restart-strategy.fixed-delay.delay: 2 s
heartbeat.interval: 2000
heartbeat.timeout: 10000
cluster.evenly-spread-out-slots: true
execution.batch-shuffle-mode: ALL_EXCHANGES_BLOCKING
jobmanager.execution.failover-strategy: region
"""
"""All that Flink's launch scripts would work out, as they are not among the jars."""


@contextmanager
def flink_cluster(folder: Path, managers: int = 2) -> Iterator[Engine]:
    """A JobManager, TaskManagers with two slots each, and a job server beside them."""
    jars = installed("flink")
    rpc, rest = free_ports(2)
    conf = folder / "conf"
    conf.mkdir(parents=True)
    (conf / "config.yaml").write_text(FLINK_CONFIG.format(rpc=rpc, rest=rest))
    java = ["java", "-Xmx512m", QUIET, *FLINK_OPENS, "-cp", f"{jars}/*"]
    entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    runner = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    with ExitStack() as stack:
        engine = Engine([], rest=f"localhost:{rest}")

        def starter(name: str, port: int, *arguments: object) -> None:
            def start() -> Process:
                process = Process(name, [*java, *arguments, "--configDir", conf, *more], folder)
                stack.callback(process.end)
                if port:
                    process.wait_for_port(port)
                return process

            more = ["-D", f"taskmanager.resource-id=tm{name[-1]}"] if not port else []
            engine.starters[name] = start
            engine.restart(name)

        starter("jobmanager", rest, entry)
        for number in range(1, managers + 1):
            starter(f"taskmanager-{number}", 0, runner)
        wait_for_slots(engine, 2 * managers)

        def job_server() -> Process:
            arguments = [f"--flink-master={engine.rest}"]
            server = _job_server(FLINK_MAIN, jars, arguments, folder, [], FLINK_CONF_DIR=str(conf))
            address, process = stack.enter_context(server)
            engine.flags = [
                "--runner=flink", f"--job_endpoint={address}", f"--flink_master={engine.rest}",
                f"--parallelism={2 * managers}", *process_environment(),
            ]  # fmt: skip
            return process

        engine.starters["job-server"] = job_server
        engine.restart("job-server")
        yield engine


def wait_for_slots(engine: Engine, slots: int) -> None:
    """Wait until Flink has so many."""
    url = f"http://{engine.rest}/overview"
    _wait_until(
        lambda: requests.get(url, timeout=10).json().get("slots-total") == slots,
        f"Flink has no {slots} slots",
    )


@contextmanager
def spark_embedded(folder: Path) -> Iterator[Engine]:
    jars = installed("spark")
    arguments = ["--spark-master-url=local[2]"]
    with _job_server(SPARK_MAIN, jars, arguments, folder, SPARK_OPENS) as (address, server):
        yield Engine(
            ["--runner=spark", f"--job_endpoint={address}", "--environment_type=LOOPBACK"],
            {"job-server": server},
        )


@contextmanager
def spark_cluster(folder: Path) -> Iterator[Engine]:
    """A master, a worker, a pool of SDK workers, and a job server beside them."""
    jars = installed("spark")
    master_port, master_ui, worker_port, worker_ui = free_ports(4)
    home = folder / "spark"
    home.mkdir(parents=True)
    (home / "jars").symlink_to(jars)
    environment = {
        "SPARK_HOME": str(home), "SPARK_SCALA_VERSION": "2.12", "SPARK_LOCAL_IP": "127.0.0.1",
    }  # fmt: skip
    java = ["java", "-Xmx512m", *SPARK_OPENS, "-cp", f"{jars}/*"]
    with ExitStack() as stack:
        master = Process(
            "master",
            [*java, "org.apache.spark.deploy.master.Master", "--host", "localhost",
             "--port", master_port, "--webui-port", master_ui],
            folder, environment,
        )  # fmt: skip
        stack.callback(master.end)
        master.wait_for_port(master_port)
        url = f"spark://localhost:{master_port}"
        worker = Process(
            "worker",
            [*java, "org.apache.spark.deploy.worker.Worker", "--host", "localhost",
             "--port", worker_port, "--webui-port", worker_ui, "--cores", "2", "--memory", "2g",
             url],
            folder, environment,
        )  # fmt: skip
        stack.callback(worker.end)
        _wait_until(
            lambda: (
                requests.get(f"http://localhost:{master_ui}/json/", timeout=10)
                .json()
                .get("aliveworkers")
            ),
            "Spark has no worker",
        )
        address, pool = stack.enter_context(worker_pool(folder))
        options = [
            "-Dspark.driver.host=localhost", "-Dspark.driver.bindAddress=localhost",
            "-Dspark.executor.memory=1g",
        ]  # fmt: skip
        server = _job_server(
            SPARK_MAIN, jars, [f"--spark-master-url={url}"], folder, [*SPARK_OPENS, *options],
            **environment,
        )  # fmt: skip
        endpoint, job_server = stack.enter_context(server)
        yield Engine(
            ["--runner=spark", f"--job_endpoint={endpoint}", "--environment_type=EXTERNAL",
             f"--environment_config={address}"],
            {"master": master, "worker": worker, "pool": pool, "job-server": job_server},
            f"localhost:{master_ui}",
        )  # fmt: skip


@contextmanager
def prism(folder: Path) -> Iterator[Engine]:
    yield Engine(["--runner=prism", f"--prism_location={installed('prism')}"])


@contextmanager
def portable_pool(folder: Path) -> Iterator[Engine]:
    """Beam's own portable job service with a pool of workers: a cluster's contract."""
    with worker_pool(folder) as (address, pool):
        yield Engine(
            ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL",
             f"--environment_config={address}"],
            {"pool": pool},
        )  # fmt: skip


def _wait_until(condition: Callable[[], object], message: str) -> None:
    deadline = time.monotonic() + _SLOTS_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    pytest.fail(message)
