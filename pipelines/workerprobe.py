"""A small pipeline whose workers report what they are and whether they reach the store."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from labelmill.environment import environment
from labelmill.store import Store
from pipelines.beamerrors import run_here
from pipelines.beamoutput import quiet_beam
from pipelines.runners import RunnerChoice
from pipelines.waiting import Wait, run_at_engine

REPORTS = 16
"""Elements of the pipeline: enough for every slot of a small cluster to get one."""

PROBE_SECONDS = 300
"""How long the pipeline may take: an engine that starts workers needs minutes."""

_ELEMENT_SECONDS = 0.2  # so that one worker does not take all


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself.

    Attributes:
        host: Its machine.
        pid: Its process.
        environment: See `labelmill.environment.environment`.
    """

    host: str
    pid: int
    environment: Mapping[str, str]


class ReportFn(beam.DoFn):
    """Writes a report of the worker into the store; reaching it is a part of the check.

    Args:
        uri: The data set.
        prefix: How the names of the reports begin.
    """

    def __init__(self, uri: str, prefix: str) -> None:
        self._uri = uri
        self._prefix = prefix

    def process(self, number: int) -> None:
        """Report; may run more than once for a number."""
        time.sleep(_ELEMENT_SECONDS)
        store = Store.open(self._uri)
        report = WorkerReport(socket.gethostname(), os.getpid(), environment())
        text = json.dumps(asdict(report), sort_keys=True)
        store.put(f"{self._prefix}-{number:02d}.json", text.encode())


def probe_workers(choice: RunnerChoice, uri: str, say: Callable[[str], None]) -> list[WorkerReport]:
    """Return what the workers of an engine report, each process once.

    Args:
        choice: The engine.
        uri: Data set that they write to; the reports are deleted again.
        say: Takes what there is to say while the engine is waited for.

    Raises:
        LabelmillError: The pipeline failed or took too long.
    """
    store = Store.open(uri)
    prefix = f"_labelmill/probe-{secrets.token_hex(16)}"
    with quiet_beam(verbose=False):
        name = f"labelmill-doctor-{secrets.token_hex(4)}"
        options = choice.options()
        options.view_as(GoogleCloudOptions).job_name = name
        pipeline = beam.Pipeline(options=options)
        _ = (
            pipeline
            | "Numbers" >> beam.Create(list(range(REPORTS)))
            | "Spread" >> beam.Reshuffle()
            | "Report" >> beam.ParDo(ReportFn(uri, prefix))
        )
        try:
            if choice.is_local:
                run_here(pipeline)
            else:
                now = datetime.datetime.now(datetime.UTC)
                wait = Wait(name, now, lambda: False, PROBE_SECONDS, say, cancels=True)
                run_at_engine(pipeline, choice, wait)
            paths = _reports(store, prefix)
            reports = [WorkerReport(**json.loads(store.get(path))) for path in paths]
        finally:
            for path in _reports(store, prefix):
                store.delete(path)
    return list({(report.host, report.pid): report for report in reports}.values())


def _reports(store: Store, prefix: str) -> list[str]:
    return [path for path in store.list("_labelmill") if path.startswith(prefix)]
