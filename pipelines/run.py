"""Running a plan: build the graph, watch it, and learn from the store how it ended."""

from __future__ import annotations

import datetime
import os
import re
import signal
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

import apache_beam as beam
from apache_beam.options.pipeline_options import PortableOptions

from labelmill import errors
from labelmill.datafiles import stage
from labelmill.errors import JobSpecError, LabelmillError
from labelmill.filecache import RESOURCES
from labelmill.gates import GATES
from labelmill.guard import close_all
from labelmill.manifest import FileEntry
from labelmill.publication import RunInfo, RunOutcome
from labelmill.sources import store_sources
from labelmill.store import Store, StoredFile
from labelmill.versions import run_path
from pipelines.assisting import store_assist_sample
from pipelines.graph import GraphInputs, build_graph
from pipelines.plan import Plan
from pipelines.quiet import diverted_output, quiet_beam
from pipelines.runners import RunnerChoice
from transforms.refit import refit_of

CONNECT_SECONDS = 10

Watch = Callable[[Plan, str], AbstractContextManager[object]]
"""Given a plan and the file that rows done are reported to, shows progress while it is open."""


@dataclass(frozen=True)
class Finished:
    """A run that ended.

    Attributes:
        outcome: How it ended.
        runner: What it ran on.
        seconds: Wall time of the pipeline.
    """

    outcome: RunOutcome
    runner: RunnerChoice
    seconds: float


def run_plan(
    plan: Plan,
    choice: RunnerChoice,
    *,
    accept: Sequence[str] = (),
    watch: Watch | None = None,
    verbose: bool = False,
) -> Finished:
    """Run a plan to its end.

    Args:
        plan: The plan.
        choice: Runner and flags.
        accept: Gates that the operator overrides.
        watch: Shows progress.
        verbose: Let Beam log.

    Raises:
        JobSpecError: An unknown gate.
        LabelmillError: The pipeline failed; nothing was published.
    """
    unknown = [name for name in accept if name not in GATES]
    if unknown:
        raise JobSpecError(f"--accept {unknown[0]}: no such gate; gates: {', '.join(GATES)}")
    if plan.job.output.uri.startswith("memory:"):
        raise JobSpecError("output.uri memory:// is gone when this process ends; name a folder")
    _check_endpoint(choice)
    store = Store.open(plan.job.output.uri)
    store.check_create_only()
    started = datetime.datetime.now(datetime.UTC)
    run = RunInfo(
        id=f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        started=started.isoformat(timespec="seconds"),
        runner=choice.runner,
        labelmill=labelmill_version(),
        parent=None if plan.parent is None else plan.parent.version,
        parent_digest=None if plan.parent is None else plan.parent.digest,
        inputs_digest=plan.inputs_digest,
        accept=tuple(accept),
    )
    with (
        tempfile.TemporaryDirectory(prefix="labelmill-") as folder,
        quiet_beam(verbose),
        nullcontext() if verbose else diverted_output(Path(folder) / "worker.log"),
    ):
        progress = Path(folder) / "rows"
        progress.touch()
        task = plan.task
        if plan.job.assist is not None:
            task = replace(task, assist=store_assist_sample(plan))
        run = replace(run, files=_store_inputs(store, plan))
        if choice.is_local:
            task = replace(task, progress_path=str(progress), launcher=os.getpid())
        shards = plan.corpus.shards
        refit = refit_of(plan.task, plan.parent)
        inputs = GraphInputs(shards, task, plan.prepared, run, plan.rows_of(shards), refit)
        pipeline = beam.Pipeline(options=choice.options())
        build_graph(pipeline, inputs)
        with watch(plan, str(progress)) if watch else nullcontext(), _ends_workers(progress):
            _run_pipeline(pipeline)
    try:
        outcome = RunOutcome.from_json(store.get(run_path(run.id)))
    except FileNotFoundError:
        raise LabelmillError(
            f"the pipeline ended, but run {run.id} left no outcome in {plan.job.output.uri}; "
            "run again, stored work is reused"
        ) from None
    ended = datetime.datetime.now(datetime.UTC)
    return Finished(outcome, choice, (ended - started).total_seconds())


def _store_inputs(store: Store, plan: Plan) -> tuple[FileEntry, ...]:
    """Store what workers read and later readers ask for: data files, and the functions' code."""
    files = plan.prepared.data_files()
    resources = {}
    digests = stage(store, files)
    for file in files:
        stored = StoredFile(f"{RESOURCES}/{digests[file.path]}", file.size, digests[file.path])
        resources[stored.path] = FileEntry.of(stored, kind="resource", rows=0, shard=None)
    return (*resources.values(), store_sources(store, plan.prepared))


@contextmanager
def _ends_workers(progress: Path) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end worker processes and functions, for which Beam would wait."""

    def end(number: int, frame: FrameType | None) -> None:
        progress.unlink(missing_ok=True)
        close_all()
        signal.default_int_handler(number, frame)

    before = {}
    with suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # such as a shell's background job
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_endpoint(choice: RunnerChoice) -> None:
    """Check that a job service answers where the flags say; Beam would wait for it in silence.

    Raises:
        LabelmillError: Nothing answers.
    """
    endpoint = choice.options().view_as(PortableOptions).job_endpoint
    host, colon, port = (endpoint or "").rpartition(":")
    if not colon or not port.isdigit():  # none, or `embed`
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise LabelmillError(
            f"no job service answers at {endpoint} (--job_endpoint): {error}; start it, or name "
            "another"
        ) from error


def _run_pipeline(pipeline: beam.Pipeline) -> None:
    try:
        result = pipeline.run()
        state = result.wait_until_finish()
    except LabelmillError as error:
        raise type(error)(_without_beam(str(error))) from error
    except Exception as error:
        raise _own_error(error) from error
    if state not in (None, "DONE"):
        raise LabelmillError(f"the pipeline ended in state {state}; nothing was published")


_OWN = re.compile(r"labelmill\.errors\.(\w+): (.*)")


def _without_beam(message: str) -> str:
    """Return a message without the step that Beam appends to it."""
    return re.sub(r" \[while running '[^']*'\]?.*$", "", message, flags=re.DOTALL)


def _own_error(error: Exception) -> LabelmillError:
    """Return the error of ours that a runner wrapped in text, or one that quotes the last line.

    Beam hands worker exceptions over as text; the last one of ours in it is the cause.
    """
    text = str(error)
    if "KeyboardInterrupt" in text:  # Ctrl-C reached a worker thread first
        raise KeyboardInterrupt
    found = _OWN.findall(text)
    if found:
        name, message = found[-1]
        message = _without_beam(message)
        cls = getattr(errors, name, LabelmillError)
        if isinstance(cls, type) and issubclass(cls, LabelmillError):
            return cls(message)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return LabelmillError(
        f"the pipeline failed: {lines[-1] if lines else type(error).__name__}; nothing was "
        "published, and a rerun reuses what was stored (--debug shows the whole trace)"
    )


def labelmill_version() -> str:
    """Return the installed version, or ``checkout`` when run from a bare one."""
    try:
        return version("labelmill")
    except PackageNotFoundError:
        return "checkout"
