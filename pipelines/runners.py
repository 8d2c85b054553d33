"""Runner profiles: the Beam runner and the flags that each engine needs; flags given win.

A profile only returns options. Its defaults are those of the files in deploy/: workers beside each
task manager or executor at port 50000.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
    TestOptions,
)

from labelmill.errors import JobSpecError
from pipelines.beamflags import check_flags, is_given

LOCAL_NAMES = ("local", "direct", "directrunner", "fnapirunner")
"""Names of the local runner. `DirectRunner` in Beam 2.77 tries to fetch Prism first; labelmill
means FnApiRunner by all of them."""

LOCAL_PROCESSES_FROM = 20.0
"""Projected seconds of work from which the local runner uses processes: starting them costs 3 s."""

WORKER_POOL = "localhost:50000"
"""Where an engine's machines find their workers when flags do not say."""

EXTERNAL = ("--environment_type=EXTERNAL", f"--environment_config={WORKER_POOL}")


SPARK_KEEPS_MILLIS = 60_000
"""How long an executor keeps a worker that has nothing to do."""


@dataclass(frozen=True)
class RunnerChoice:
    """A runner with its flags.

    Attributes:
        name: The engine: ``local``, ``flink``, ``spark``, ``prism``, ``dataflow``, or the Beam
            runner itself.
        runner: Name that Beam knows.
        flags: Beam flags.
        is_local: Whether the pipeline runs on this machine, in this process or its children.
        why: One phrase for the screen.
    """

    name: str
    runner: str
    flags: tuple[str, ...]
    is_local: bool
    why: str

    def options(self) -> PipelineOptions:
        """Return the pipeline options."""
        return PipelineOptions([f"--runner={self.runner}", *self.flags])

    @property
    def job_endpoint(self) -> str | None:
        """Address ``host:port`` of the job service; None without one, or when Beam starts it."""
        endpoint: str | None = self.options().view_as(PortableOptions).job_endpoint
        host, _, port = (endpoint or "").rpartition(":")
        return endpoint if host and port.isdigit() else None

    @property
    def flink_address(self) -> str | None:
        """Address of Flink's REST interface, or its URL; None where flags do not name it."""
        if self.name != "flink":
            return None
        master: str = self.options().view_as(FlinkRunnerOptions).flink_master
        return None if master.startswith("[") else master.removeprefix("http://").rstrip("/")

    @property
    def job_name(self) -> str | None:
        """Name of the job at the engine, where flags give one."""
        name: str | None = self.options().view_as(GoogleCloudOptions).job_name
        return name

    @property
    def is_dry_run(self) -> bool:
        """Whether Dataflow's client only builds the job."""
        return self.name == "dataflow" and bool(self.options().view_as(TestOptions).dry_run)

    @property
    def needs_launcher(self) -> str | None:
        """Why the launcher has to stay until the job ends, in a phrase; None when it need not."""
        options = self.options()
        if self.is_local:
            return "the local runner is this process"
        if options.view_as(PortableOptions).environment_type == "LOOPBACK":
            return "--environment_type=LOOPBACK runs the workers in this process"
        uber_jar = options.view_as(FlinkRunnerOptions).flink_submit_uber_jar
        if self.job_endpoint or self.name == "dataflow" or (self.flink_address and uber_jar):
            return None
        return f"{self.runner} has its job service in this process; name a --job_endpoint"


class Profile(Protocol):
    """What an engine needs; see `PROFILES`."""

    def runner(self, given: Sequence[str]) -> str:
        """Return the name of the Beam runner."""

    def flags(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return the flags to add to those given."""

    def missing(self, given: Sequence[str]) -> str | None:
        """Return what only the user knows and did not give, in a phrase; None when all is there."""


class _Complete:
    """A profile that has a default for everything."""

    def missing(self, given: Sequence[str]) -> str | None:
        """Return None."""
        return None


class FlinkProfile(_Complete):
    """Apache Flink, by a job service that runs already or by the one that Beam starts."""

    def runner(self, given: Sequence[str]) -> str:
        """Return Beam's runner."""
        return _portable("FlinkRunner", given)

    def flags(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return where the workers are: in this process for embedded Flink, else beside tasks."""
        options = PipelineOptions(list(given))
        embedded = options.view_as(FlinkRunnerOptions).flink_master.startswith("[")
        is_ours = embedded and not is_given("--job_endpoint", given)
        return _environment(given, is_ours)


class SparkProfile(_Complete):
    """Apache Spark, by a job service that runs already or by the one that Beam starts."""

    def runner(self, given: Sequence[str]) -> str:
        """Return Beam's runner."""
        return _portable("SparkRunner", given)

    def flags(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return where the workers are, and what keeps Spark from doing work more than once.

        Sources are split before Spark sees them, or one task may read them; and workers are kept
        for a while, or each of Spark's stages starts its own.
        """
        options = PipelineOptions(list(given))
        embedded = options.view_as(SparkRunnerOptions).spark_master_url.startswith("local")
        is_ours = embedded and not is_given("--job_endpoint", given)
        added = []
        if not any("pre_optimize" in flag for flag in given):
            added.append("--experiments=pre_optimize=all")
        if not is_given("--environment_cache_millis", given):
            added.append(f"--environment_cache_millis={SPARK_KEEPS_MILLIS}")
        return (*added, *_environment(given, is_ours))


PRISM_SECONDS = 7 * 24 * 3600
"""Limit of Beam's calls to Prism: a job counts as one, and failed after Beam's default of 300 s."""


class PrismProfile(_Complete):
    """Prism, Beam's own portable runner for one machine."""

    def runner(self, given: Sequence[str]) -> str:
        """Return Beam's runner."""
        return _portable("PrismRunner", given)

    def flags(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return where the program is, when it is on PATH, and how loud it is."""
        added = []
        found = shutil.which("prism")
        if found and not is_given("--prism_location", given):
            added.append(f"--prism_location={found}")
        if not is_given("--prism_log_level", given):
            added.append("--prism_log_level=warn")
        if not is_given("--job_server_timeout", given):
            added.append(f"--job_server_timeout={PRISM_SECONDS}")
        return (*added, *_environment(given, is_ours=not is_given("--job_endpoint", given)))


class DataflowProfile:
    """Google Cloud Dataflow."""

    NEEDED = ("--project", "--region", "--temp_location")
    CODE = ("--sdk_container_image", "--setup_file", "--requirements_file", "--extra_package",
            "--extra_packages")  # fmt: skip

    def runner(self, given: Sequence[str]) -> str:
        """Return Beam's runner."""
        return "DataflowRunner"

    def flags(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return none."""
        return ()

    def missing(self, given: Sequence[str]) -> str | None:
        """Return which flags without a default are missing, or what brings labelmill to workers."""
        missing = [name for name in self.NEEDED if not is_given(name, given)]
        if missing:
            return f"needs {' and '.join(missing)}"
        if not any(is_given(name, given) for name in self.CODE):
            return (
                "needs labelmill on its workers; name an image that has it with "
                "--sdk_container_image (deploy/docker builds one)"
            )
        return None


@dataclass(frozen=True)
class BeamProfile(_Complete):
    """Any other runner of Beam, with the flags given and no others."""

    name: str

    def runner(self, given: Sequence[str]) -> str:
        """Return its name."""
        return self.name

    def flags(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return none."""
        return ()


PROFILES: dict[str, Profile] = {
    "flink": FlinkProfile(),
    "spark": SparkProfile(),
    "prism": PrismProfile(),
    "dataflow": DataflowProfile(),
}


def choose_runner(
    name: str,
    flags: Sequence[str],
    *,
    projected_seconds: float,
    n_shards: int,
    must_run: bool = True,
) -> RunnerChoice:
    """Choose runner and flags.

    Args:
        name: ``local``, a name in `PROFILES`, or the name of a Beam runner.
        flags: Beam flags of the job file and command line; they win over what is chosen here.
        projected_seconds: Work to do, on one core.
        n_shards: Shards to work on, the most that processes can share.
        must_run: Whether flags that only the user knows have to be there.

    Raises:
        JobSpecError: A flag or a runner that Beam does not know, or a flag that is missing.
    """
    check_flags(flags)
    if name.lower() in LOCAL_NAMES:
        return _local(flags, projected_seconds, n_shards)
    short = name.lower().removesuffix("runner")
    profile = PROFILES.get(short)
    if profile is None:
        profile = BeamProfile(_beam_runner(name))
        short = profile.name
    missing = profile.missing(flags)
    if must_run and missing:
        raise JobSpecError(f"--runner {name} {missing}")
    chosen = (*profile.flags(flags), *flags)
    return RunnerChoice(short, profile.runner(flags), chosen, False, f"--runner {name}")


def _local(flags: Sequence[str], projected_seconds: float, n_shards: int) -> RunnerChoice:
    if any(is_given(name, flags) for name in ("--direct_running_mode", "--direct_num_workers")):
        return RunnerChoice("local", "FnApiRunner", tuple(flags), True, "as flags say")
    workers = min(os.cpu_count() or 1, n_shards)
    if workers > 1 and projected_seconds >= LOCAL_PROCESSES_FROM:
        chosen = ("--direct_running_mode=multi_processing", f"--direct_num_workers={workers}")
        why = f"{workers} processes: about {projected_seconds:.0f} s of work on one core"
        return RunnerChoice("local", "FnApiRunner", (*chosen, *flags), True, why)
    return RunnerChoice("local", "FnApiRunner", tuple(flags), True, "in memory: a small plan")


def _beam_runner(name: str) -> str:
    """Return the name of a runner of Beam, or of a class with its module.

    Raises:
        JobSpecError: There is none.
    """
    known = [*StandardOptions.KNOWN_RUNNER_NAMES, *LOCAL_NAMES, *PROFILES]
    short = {runner.lower().removesuffix("runner"): runner for runner in known}  # ours win
    wanted = name.lower().removesuffix("runner")
    if "." in name or wanted in short:
        return str(short.get(wanted, name))
    close = difflib.get_close_matches(wanted, short, 1)
    hint = (
        f"did you mean {short[close[0]]}?" if close else f"known: {', '.join(sorted(set(known)))}"
    )
    raise JobSpecError(f"--runner {name}: no such runner; {hint}")


def _portable(runner: str, given: Sequence[str]) -> str:
    """Return the runner for a job service that is there, or the one that starts it."""
    return "PortableRunner" if is_given("--job_endpoint", given) else runner


def _environment(given: Sequence[str], is_ours: bool) -> tuple[str, ...]:
    """Return where workers run: in this process when the engine is its child, else beside it."""
    if is_given("--environment_type", given):
        return ()
    if is_ours:
        return ("--environment_type=LOOPBACK",)
    return EXTERNAL[:1] if is_given("--environment_config", given) else EXTERNAL
