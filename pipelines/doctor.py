"""Checks of what a run needs, from this process to the workers of an engine, with advice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal, TypeVar

from apache_beam.options.pipeline_options import PortableOptions, PrismRunnerOptions
from packaging.requirements import Requirement

from labelmill.environment import differences, environment
from labelmill.errors import LabelmillError
from labelmill.jobfile import load_job
from labelmill.store import Store
from pipelines.flinkrest import FlinkRest, FlinkUnreachableError
from pipelines.runners import RunnerChoice, choose_runner
from pipelines.waiting import INSTALL_GCP, connection_problem, has_dataflow_client
from pipelines.workerprobe import probe_workers

JAVA_FROM = 11
"""The oldest Java that Beam's job services run on."""

JAVA_SECONDS = 30

T = TypeVar("T")

Result = Literal["ok", "warns", "fails"]


@dataclass(frozen=True)
class Check:
    """One thing that a run needs.

    Attributes:
        name: What was looked at.
        result: Whether it serves.
        found: What was found, in a sentence.
        advice: What to do where it does not serve.
    """

    name: str
    result: Result
    found: str
    advice: str = ""

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data."""
        return asdict(self)


def examine(
    job: Path | None,
    overrides: Sequence[str],
    runner: str | None,
    store: str | None,
    flags: Sequence[str],
) -> Iterator[Check]:
    """Yield checks, each once it is done; workers are left out where the engine is not there.

    Args:
        job: The job file, for its runner, flags and output.
        overrides: Values of the job file that are others, as of a run.
        runner: The engine; by default the job's, else the local one.
        store: Where to write; by default the job's output.
        flags: Beam flags, as of a run.

    Raises:
        JobSpecError: The job file or a flag is wrong.
    """
    name, given = runner, list(flags)
    if job is not None:
        spec, _ = load_job(job, overrides)
        name, store = name or spec.runner.name, store or spec.output.uri
        given = [*spec.runner.options, *given]
    choice = choose_runner(name or "local", given, projected_seconds=0, n_shards=1)
    yield _packages()
    is_there = True
    for check in _engine(choice):
        is_there &= check.result != "fails"
        yield check
    if not is_there or choice.name == "dataflow":
        reason = "they would be paid for" if is_there else "the engine is not ready"
        yield Check("workers", "warns", f"not checked: {reason}")
        if store is not None:
            yield _store(store)
        return
    if store is None:
        if not choice.is_local:
            yield Check(
                "workers", "warns", "not checked", "name the job file, or a --store to write to"
            )
            return
        with tempfile.TemporaryDirectory(prefix="labelmill-") as folder:
            yield from _workers(choice, folder)
        return
    checked = _store(store)
    yield checked
    if checked.result != "fails":
        yield from _workers(choice, store)


def _packages() -> Check:
    found = environment()
    shown = ", ".join(f"{name} {version}" for name, version in found.items())
    wrong = [
        f"{requirement} wanted, {found_version or 'nothing'} installed"
        for requirement, found_version in _requirements()
        if found_version is None or found_version not in requirement.specifier
    ]
    if wrong:
        advice = "pip install -c deploy/constraints.txt labelmill"
        return Check("packages", "fails", "; ".join(wrong), advice)
    return Check("packages", "ok", shown)


def _requirements() -> Iterator[tuple[Requirement, str | None]]:
    """Yield what labelmill needs, with the version that is installed."""
    for text in _of_distribution(requires, "labelmill") or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement, _of_distribution(version, requirement.name)


def _of_distribution(ask: Callable[[str], T], name: str) -> T | None:
    try:
        return ask(name)
    except PackageNotFoundError:
        return None


def _engine(choice: RunnerChoice) -> Iterator[Check]:
    if choice.job_endpoint is not None:
        yield _endpoint(choice.job_endpoint)
    elif choice.name in ("flink", "spark"):
        yield _java(choice.name)
    if choice.flink_address is not None:
        yield _flink(choice.flink_address)
    if choice.name == "prism" and choice.job_endpoint is None:
        yield _prism(choice)
    if choice.name == "dataflow":
        yield from _dataflow()
    options = choice.options().view_as(PortableOptions)
    if options.environment_type == "EXTERNAL" and options.environment_config:
        yield _pool(options.environment_config)
    if options.environment_type == "DOCKER" and shutil.which("docker") is None:
        yield Check("docker", "warns", "not on this machine", "the engine's machines need it")


def _endpoint(address: str) -> Check:
    problem = connection_problem(address)
    if problem is None:
        return Check("job service", "ok", f"answers at {address}")
    advice = "start it, or name another with --job_endpoint"
    return Check("job service", "fails", f"nothing answers at {address}: {problem}", advice)


def _java(engine: str) -> Check:
    advice = (
        f"install Java {JAVA_FROM} or newer, with which Beam starts {engine}'s job service, or "
        "start that yourself and name it with --job_endpoint"
    )
    found = shutil.which("java")
    if found is None:
        return Check("java", "fails", "not on PATH", advice)
    try:
        said = subprocess.run(
            [found, "-version"], capture_output=True, text=True, check=False, timeout=JAVA_SECONDS
        ).stderr
    except subprocess.TimeoutExpired:
        said = "it says nothing"
    number = re.search(r'version "(?:1\.)?(\d+)', said)
    line = next((line for line in said.splitlines() if "version" in line), said.strip())
    old = number is None or int(number[1]) < JAVA_FROM
    return Check("java", "fails" if old else "ok", line, advice if old else "")


def _flink(address: str) -> Check:
    try:
        found = FlinkRest(address).overview()
    except FlinkUnreachableError as error:
        return Check("flink", "fails", f"no answer from {error}", "is --flink_master right?")
    shown = (
        f"Flink {found.version} at {address}: {found.task_managers} TaskManagers, "
        f"{found.slots} slots"
    )
    if not found.slots:
        return Check("flink", "fails", shown, "a job would wait for a TaskManager: start one")
    return Check("flink", "ok", f"{shown} (--parallelism={found.slots} uses them all)")


def _prism(choice: RunnerChoice) -> Check:
    location = choice.options().view_as(PrismRunnerOptions).prism_location
    if location is None:
        return Check(
            "prism", "warns", "not on PATH; Beam fetches it",
            "put it on PATH, or name it with --prism_location, where there is no network",
        )  # fmt: skip
    if "://" in location or os.access(location, os.X_OK):
        return Check("prism", "ok", location)
    return Check("prism", "fails", f"{location} is no program", "see --prism_location")


def _dataflow() -> Iterator[Check]:
    if has_dataflow_client():
        yield Check("dataflow client", "ok", "apache-beam[gcp] is installed")
    else:
        yield Check("dataflow client", "fails", "apache-beam[gcp] is not installed", INSTALL_GCP)
    default = Path.home() / ".config/gcloud/application_default_credentials.json"
    if "GOOGLE_APPLICATION_CREDENTIALS" in os.environ or default.exists():
        yield Check("credentials", "ok", "application default credentials are there")
    else:
        yield Check(
            "credentials", "warns", "no application default credentials in files",
            "on a machine of Google Cloud its service account serves; elsewhere run "
            "gcloud auth application-default login",
        )  # fmt: skip


def _pool(address: str) -> Check:
    problem = connection_problem(address)
    if problem is None:
        return Check("worker pool", "ok", f"answers at {address}")
    return Check(
        "worker pool", "warns", f"nothing answers at {address} seen from here: {problem}",
        "it has to answer on each machine of the engine: python -m "
        "apache_beam.runners.worker.worker_pool_main --service_port=PORT",
    )  # fmt: skip


def _store(uri: str) -> Check:
    try:
        Store.open(uri).check_create_only()
    except LabelmillError as error:
        return Check("store", "fails", str(error), "check the URI and the environment's keys")
    return Check("store", "ok", f"{uri} takes objects, each only once")


def _workers(choice: RunnerChoice, uri: str) -> Iterator[Check]:
    said: list[str] = []
    try:
        reports = probe_workers(choice, uri, said.append)
    except LabelmillError as error:
        yield Check("workers", "fails", " ".join([*said, str(error)]), _WORKERS_ADVICE)
        return
    if not reports:
        advice = "output.uri has to be one place for all machines: a bucket, or a shared folder"
        yield Check("workers", "fails", f"what they wrote to {uri} cannot be read here", advice)
        return
    hosts = sorted({report.host for report in reports})
    shown = f"{len(reports)} worker processes on {', '.join(hosts)} wrote to {uri}"
    wrong = {
        f"{difference} ({report.host})"
        for report in reports
        for difference in differences(environment(), report.environment)
    }
    if wrong:
        advice = "install the same on both: pip install -c deploy/constraints.txt labelmill"
        yield Check("workers", "fails", "; ".join(sorted(wrong)), advice)
        return
    yield Check("workers", "ok", f"{shown}, with the versions of this process")


_WORKERS_ADVICE = (
    "workers need labelmill installed, and the environment's keys for the store; their own log "
    "tells more"
)
