"""Running a plan: build the graph, watch it, and learn from the store how it ended."""

from __future__ import annotations

import datetime
import os
import re
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from labelmill.audits.results import latest_audit
from labelmill.datafiles import stage
from labelmill.environment import labelmill_version
from labelmill.errors import (
    EngineLostError,
    JobSpecError,
    LabelmillError,
    StillRunningError,
    StoreError,
)
from labelmill.filecache import RESOURCES
from labelmill.gates import GATES
from labelmill.manifest import FileEntry
from labelmill.publication import RunInfo, RunOutcome
from labelmill.sources import store_sources
from labelmill.store import Store, StoredFile
from labelmill.submission import Submission, count_stored, read_outcome, store_submission
from labelmill.versions import next_version, run_path
from pipelines.beamerrors import run_here
from pipelines.beamoutput import diverted_output, quiet_beam
from pipelines.graph import GraphInputs, build_graph
from pipelines.plan import Plan
from pipelines.runners import RunnerChoice
from pipelines.waiting import Wait, check_endpoint, run_at_engine
from pipelines.workers import minded_workers
from transforms.refit import refit_of

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
    say: Callable[[str], None] = print,
) -> Finished:
    """Run a plan to its end.

    Args:
        plan: The plan.
        choice: Runner and flags.
        accept: Gates that the operator overrides.
        watch: Shows progress.
        verbose: Let Beam log.
        say: Takes what there is to say of an engine while it is waited for.

    Raises:
        JobSpecError: An unknown gate.
        StillRunningError: The job goes on after `runner.wait_hours` of the job file.
        LabelmillError: The pipeline failed; nothing was published.
    """
    run, submission = _prepare(plan, choice, accept)
    store = Store.open(plan.job.output.uri)
    seconds = plan.job.runner.wait_hours * 3600
    with _failure_recorded(store, run.id):
        _execute(plan, choice, run, submission, seconds, watch, verbose, say)
    outcome = read_outcome(store, run.id)
    if outcome is None:
        raise LabelmillError(
            f"the pipeline ended, but run {run.id} left no outcome in {plan.job.output.uri}; "
            "run again, stored work is reused"
        )
    ended = datetime.datetime.now(datetime.UTC)
    took = ended - datetime.datetime.fromisoformat(submission.started)
    return Finished(outcome, choice, took.total_seconds())


def submit_plan(
    plan: Plan,
    choice: RunnerChoice,
    *,
    accept: Sequence[str] = (),
    verbose: bool = False,
    say: Callable[[str], None] = print,
) -> Submission:
    """Hand a plan to an engine and leave it to that.

    Args:
        plan: The plan.
        choice: Runner and flags.
        accept: Gates that the operator overrides.
        verbose: Let Beam log.
        say: Takes what there is to say of the engine.

    Returns:
        The record of the run.

    Raises:
        JobSpecError: An unknown gate, or a runner that needs its launcher.
        LabelmillError: The engine does not take the job.
    """
    if choice.needs_launcher:
        raise JobSpecError(f"--no-wait: {choice.needs_launcher}")
    run, submission = _prepare(plan, choice, accept)
    with _failure_recorded(Store.open(plan.job.output.uri), run.id):
        _execute(plan, choice, run, submission, None, None, verbose, say)
    return submission


@contextmanager
def _failure_recorded(store: Store, run_id: str) -> Iterator[None]:
    """Store that a run failed where it could not say so itself; one that had ended did not."""
    try:
        yield
    except (StillRunningError, EngineLostError):
        raise
    except (LabelmillError, KeyboardInterrupt) as error:
        with suppress(StoreError):
            if read_outcome(store, run_id) is not None:
                if isinstance(error, KeyboardInterrupt):
                    raise
                return
            message = str(error) or "stopped by a signal"
            outcome = RunOutcome(run_id, "failed", None, message)
            store.put(run_path(run_id), outcome.to_json().encode())
        raise


def _audited(plan: Plan, store: Store) -> float | None:
    """Return the least that an audit says of the current version, if a gate asks for it."""
    if plan.parent is None or not plan.job.gates.min_audit_accuracy:
        return None
    found = latest_audit(store, plan.parent.version)
    return None if found is None else found.low


def _prepare(plan: Plan, choice: RunnerChoice, accept: Sequence[str]) -> tuple[RunInfo, Submission]:
    """Check what a run needs, and describe it."""
    unknown = [name for name in accept if name not in GATES]
    if unknown:
        raise JobSpecError(f"--accept {unknown[0]}: no such gate; gates: {', '.join(GATES)}")
    if plan.job.output.uri.startswith("memory:"):
        raise JobSpecError("output.uri memory:// is gone when this process ends; name a folder")
    check_endpoint(choice)
    store = Store.open(plan.job.output.uri)
    store.check_create_only()
    started = datetime.datetime.now(datetime.UTC)
    run_id = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    run = RunInfo(
        id=run_id,
        started=started.isoformat(timespec="seconds"),
        runner=choice.runner,
        labelmill=labelmill_version(),
        version=next_version(store),
        parent=None if plan.parent is None else plan.parent.version,
        parent_digest=None if plan.parent is None else plan.parent.digest,
        inputs_digest=plan.inputs_digest,
        accept=tuple(accept),
        audited=_audited(plan, store),
    )
    mark = plan.task.votes_mark if plan.task.reuse else ""
    votes, labels = count_stored(store, mark)
    submission = Submission(
        run_id=run_id,
        started=started.isoformat(),
        job=plan.job.name,
        runner=choice.name,
        engine_job=choice.job_name or _job_name(plan.job.name, run_id),
        engine=choice.flink_address or "",
        host=socket.gethostname(),
        pid=os.getpid(),
        needs_launcher=choice.needs_launcher is not None,
        shards=len(plan.corpus.shards),
        to_vote=len(plan.to_vote),
        votes_mark=mark,
        votes_before=votes,
        labels_before=labels,
    )
    if not choice.is_dry_run:
        store_submission(store, submission)
    return run, submission


def _job_name(job: str, run_id: str) -> str:
    """Return a name that every engine takes: letters, digits and hyphens, at most 63."""
    words = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-")[:30].strip("-")
    return "-".join(part for part in ("labelmill", words, run_id.lower()) if part)


def _execute(
    plan: Plan,
    choice: RunnerChoice,
    run: RunInfo,
    submission: Submission,
    seconds: float | None,
    watch: Watch | None,
    verbose: bool,
    say: Callable[[str], None],
) -> None:
    """Build the graph and run it, here or at an engine."""
    store = Store.open(plan.job.output.uri)
    with (
        tempfile.TemporaryDirectory(prefix="labelmill-") as folder,
        quiet_beam(verbose),
        nullcontext() if verbose else diverted_output(Path(folder) / "worker.log"),
    ):
        progress = Path(folder) / "rows"
        progress.touch()
        task = plan.task
        if plan.job.assist is not None:
            from pipelines.assisting import store_assist_sample  # noqa: PLC0415  most need it not

            task = replace(task, assist=store_assist_sample(plan))
        run = replace(run, files=_store_inputs(store, plan))
        if choice.is_local:
            task = replace(task, progress_path=str(progress), launcher=os.getpid())
        shards = plan.corpus.shards
        refit = refit_of(plan.task, plan.parent)
        inputs = GraphInputs(shards, task, plan.prepared, run, plan.rows_of(shards), refit)
        options = choice.options()
        options.view_as(GoogleCloudOptions).job_name = submission.engine_job
        pipeline = beam.Pipeline(options=options)
        build_graph(pipeline, inputs)
        with watch(plan, str(progress)) if watch else nullcontext(), minded_workers(progress):
            if choice.is_local:
                run_here(pipeline)
            else:
                has_outcome = partial(store.exists, run_path(run.id))
                started = datetime.datetime.fromisoformat(submission.started)
                wait = Wait(submission.engine_job, started, has_outcome, seconds, say)
                run_at_engine(pipeline, choice, wait)


def _store_inputs(store: Store, plan: Plan) -> tuple[FileEntry, ...]:
    """Store what workers read and later readers ask for: data files, and the functions' code."""
    files = plan.prepared.data_files()
    resources = {}
    digests = stage(store, files)
    for file in files:
        stored = StoredFile(f"{RESOURCES}/{digests[file.path]}", file.size, digests[file.path])
        resources[stored.path] = FileEntry.of(stored, kind="resource", rows=0, shard=None)
    return (*resources.values(), store_sources(store, plan.prepared))
