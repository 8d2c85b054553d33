"""How a run stands: what the store tells, and what the engine says while it has no outcome."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labelmill.errors import GateRefusedError, LabelmillError, StillRunningError
from labelmill.store import Store
from labelmill.submission import RunStatus, Submission, read_status
from labelmill.watchdog import is_running
from pipelines.flinkrest import RUNNING, FlinkRest, FlinkUnreachableError

Standing = Literal["published", "refused", "conflict", "failed", "running", "ended", "unknown"]
"""``ended``: it stopped without an outcome; ``unknown``: nobody who knows could be asked."""


HANDING_OVER = datetime.timedelta(minutes=10)
"""How long a job service may take until the engine has a job that was submitted."""


@dataclass(frozen=True)
class Found:
    """How a run stands.

    Attributes:
        uri: The data set.
        status: What the store tells.
        standing: One word for it.
        engine: What the engine, or the launcher's machine, says, in a sentence.
    """

    uri: str
    status: RunStatus
    standing: Standing
    engine: str

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data."""
        return {
            "uri": self.uri,
            "standing": self.standing,
            "engine": self.engine,
            **self.status.to_dict(),
        }


def look_up(uri: str, run_id: str | None = None) -> Found:
    """Return how a run into a data set stands.

    Args:
        uri: The data set.
        run_id: The run; by default the one that was submitted last.

    Raises:
        VersionNotFoundError: There is no such run, or none at all.
        CorruptFileError: Its record is damaged.
    """
    store = Store.open(uri)
    status = read_status(store, run_id)
    if status.outcome is not None:
        return Found(uri, status, _standing(status.outcome.status), "")
    standing, sentence = _ask(status.submission)
    if standing == "ended":  # it may have ended since the store was read
        status = read_status(store, status.submission.run_id)
        if status.outcome is not None:
            return Found(uri, status, _standing(status.outcome.status), "")
    return Found(uri, status, standing, sentence)


def exit_code(found: Found) -> int:
    """Return the exit code of the command: as the run's own, 4 while it may go on."""
    if found.standing == "published":
        return 0
    if found.standing == "refused":
        return GateRefusedError.exit_code
    if found.standing in ("running", "unknown"):
        return StillRunningError.exit_code
    return LabelmillError.exit_code


def _standing(status: str) -> Standing:
    known: dict[str, Standing] = {
        "published": "published", "refused": "refused", "conflict": "conflict",
    }  # fmt: skip
    return known.get(status, "failed")


def _ask(submission: Submission) -> tuple[Standing, str]:
    """Ask who may know of a run without an outcome."""
    if submission.needs_launcher:
        return _ask_launcher(submission)
    if not submission.engine:
        return "unknown", f"ask {submission.runner} itself for job {submission.engine_job}"
    if _is_here(submission.engine) and submission.host != socket.gethostname():
        return "unknown", f"ask on {submission.host}, for which Flink is at {submission.engine}"
    flink = FlinkRest(submission.engine)
    try:
        job = flink.find(submission.engine_job, datetime.datetime.fromisoformat(submission.started))
        if job is None:
            sentence = f"Flink at {flink.address} has no job {submission.engine_job}"
            if _age(submission) < HANDING_OVER:
                return "unknown", f"{sentence} yet; the job service may still be handing it over"
            return "ended", sentence
        if job.state in RUNNING:
            return "running", f"Flink's job {job.id} is {job.state.lower()}"
        reason = flink.failure(job)
        return "ended", f"Flink's job {job.id} is {job.state.lower()}. {reason}".rstrip()
    except FlinkUnreachableError as error:
        return "unknown", f"Flink does not answer at {error}"


def _is_here(address: str) -> bool:
    """Return whether an address means another machine on every machine."""
    host = address.rpartition("://")[2].rpartition(":")[0]
    return host in ("localhost", "127.0.0.1", "[::1]")


def _age(submission: Submission) -> datetime.timedelta:
    started = datetime.datetime.fromisoformat(submission.started)
    return datetime.datetime.now(datetime.UTC) - started


def _ask_launcher(submission: Submission) -> tuple[Standing, str]:
    where = f"process {submission.pid} on {submission.host}"
    if submission.host != socket.gethostname():
        return "unknown", f"it runs in {where}, if that is alive"
    if is_running(submission.pid):
        return "running", f"it runs in {where}"
    return "ended", f"{where} is gone"
