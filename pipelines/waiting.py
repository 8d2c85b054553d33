"""Submitting a pipeline to an engine and waiting for it, with a limit to every wait.

A job service is only a messenger: the job may go on when it is gone. What became of a run is in
the store, and the engine knows what it does; both are asked before a run is called failed.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import apache_beam as beam

from labelmill.errors import LabelmillError, StillRunningError
from pipelines.beamerrors import own_error
from pipelines.flinkrest import RUNNING, FlinkJob, FlinkRest, FlinkUnreachableError
from pipelines.runners import RunnerChoice

CONNECT_SECONDS = 10
"""How long a job service may take to accept a connection."""

LOST_SECONDS = 30
"""How long a job service may be unreachable before it counts as gone."""

SUBMIT_SECONDS = 1800
"""How long an engine may take to accept a job."""

GRACE_SECONDS = 120
"""How long an engine may take to end a job whose outcome is stored."""

INSTALL_GCP = "pip install 'labelmill[gcp]'"

_TICK_SECONDS = 0.2
_ENDPOINT_SECONDS = 5
_STORE_SECONDS = 15
_ENGINE_SECONDS = 2
_CANCEL_SECONDS = 15


@dataclass(frozen=True)
class Wait:
    """What waiting for an engine needs.

    Attributes:
        job_name: Name of the job at the engine.
        has_outcome: Tells whether the store has the outcome of the run.
        seconds: The limit; 0 to leave once the job is submitted.
        say: Takes a sentence for the person who waits.
    """

    job_name: str
    has_outcome: Callable[[], bool]
    seconds: float
    say: Callable[[str], None]


def run_at_engine(pipeline: beam.Pipeline, choice: RunnerChoice, wait: Wait) -> bool:
    """Submit a pipeline to a runner that is not in this process, and wait for its end.

    Returns:
        Whether the job has ended; False when there was nothing to wait for.

    Raises:
        StillRunningError: The limit is over and the job goes on.
        LabelmillError: The job failed, or nothing is known of it any more.
    """
    check_endpoint(choice)
    waiting = _Waiting(choice, wait)
    try:
        result = waiting.submit(pipeline)
        if wait.seconds == 0:
            return False
        if result is not None:
            try:
                state = waiting.until_done(_Background(result.wait_until_finish), submitting=False)
            except KeyboardInterrupt:
                _cancel(result, wait)
                raise
            if state not in (None, "DONE"):
                raise LabelmillError(f"the pipeline ended in state {state}; nothing was published")
    except LabelmillError:
        raise
    except Exception as error:
        if not waiting.is_lost(error):
            raise own_error(error) from error
        _after_loss(choice, wait, waiting.deadline, error)
    return True


def check_endpoint(choice: RunnerChoice) -> None:
    """Check that a job service answers where the flags say; Beam would wait for it in silence.

    Raises:
        LabelmillError: Nothing answers, or Dataflow's client is not installed.
    """
    if choice.name == "dataflow" and not has_dataflow_client():
        raise LabelmillError(f"--runner dataflow needs a client: {INSTALL_GCP}")
    endpoint = choice.job_endpoint
    if endpoint is None:
        return
    problem = connection_problem(endpoint)
    if problem:
        raise LabelmillError(
            f"no job service answers at {endpoint} (--job_endpoint): {problem}; start it, or name "
            f"another (labelmill doctor --runner {choice.name} checks more)"
        )


def has_dataflow_client() -> bool:
    """Return whether the packages are there that talk to Dataflow."""
    try:
        return (
            find_spec("google.auth") is not None and find_spec("google.cloud.dataflow") is not None
        )
    except ModuleNotFoundError:  # google.cloud itself is missing
        return False


def connection_problem(address: str) -> str | None:
    """Return what hinders a connection to ``host:port``, None when nothing does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


class _LostError(Exception):
    """The job service is gone."""


class _Background(threading.Thread):
    """Beam's blocking calls, none of which has a limit of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class _Waiting:
    """Waits for calls in the background, and looks at the job service and the store meanwhile."""

    def __init__(self, choice: RunnerChoice, wait: Wait) -> None:
        self._endpoint = choice.job_endpoint
        self._choice = choice
        self._wait = wait
        self.deadline = time.monotonic() + (wait.seconds or SUBMIT_SECONDS)
        self._endpoint_seen = self._endpoint_asked = self._store_asked = time.monotonic()
        self._ended_at: float | None = None

    def submit(self, pipeline: beam.Pipeline) -> Any:
        """Return the result of the pipeline, as Beam gives it once the engine has the job.

        A job service that Beam starts itself has to be started in the main thread, and has a limit
        of its own.
        """
        if self._endpoint is None:
            return pipeline.run()
        return self.until_done(_Background(pipeline.run), submitting=True)

    def until_done(self, call: _Background, submitting: bool) -> Any:
        """Return what the call returns; None when the run ended and the engine does not say so."""
        while True:
            call.join(_TICK_SECONDS)
            if not call.is_alive():
                return call.result()
            now = time.monotonic()
            self._check_endpoint(now)
            if self._has_ended(now):
                self._wait.say("the run has ended; the engine still says nothing, so leaving it")
                return None
            if now >= self.deadline:
                raise StillRunningError(_still_running(self._choice, self._wait, submitting))

    def is_lost(self, error: Exception) -> bool:
        """Return whether an error may mean no more than that the job service is gone."""
        if self._endpoint is None:
            return False
        if isinstance(error, _LostError) or "StatusCode.UNAVAILABLE" in str(error):
            return True
        return connection_problem(self._endpoint) is not None

    def _check_endpoint(self, now: float) -> None:
        if self._endpoint is None or now - self._endpoint_asked < _ENDPOINT_SECONDS:
            return
        problem = connection_problem(self._endpoint)
        self._endpoint_asked = time.monotonic()
        if problem is None:
            self._endpoint_seen = self._endpoint_asked
        elif self._endpoint_asked - self._endpoint_seen > LOST_SECONDS:
            raise _LostError(f"the job service at {self._endpoint} is gone: {problem}")

    def _has_ended(self, now: float) -> bool:
        if self._ended_at is None and now - self._store_asked >= _STORE_SECONDS:
            self._store_asked = now
            self._ended_at = now if self._wait.has_outcome() else None
        return self._ended_at is not None and now - self._ended_at > GRACE_SECONDS


def _still_running(choice: RunnerChoice, wait: Wait, submitting: bool) -> str:
    doing = "has not been submitted" if submitting else "has not ended"
    limit = wait.seconds or SUBMIT_SECONDS
    return (
        f"job {wait.job_name} {doing} after {limit:.0f} s at {choice.name}, and is left alone; "
        "labelmill status shows how it goes on, and submitting again beside it is harmless"
    )


def _after_loss(choice: RunnerChoice, wait: Wait, deadline: float, error: Exception) -> None:
    """Find out from store and engine what became of a job whose job service is gone.

    Raises:
        LabelmillError: It failed, or nobody knows.
        StillRunningError: The limit is over and it goes on.
    """
    if wait.has_outcome():
        wait.say("the job service is gone; the run had ended before")
        return
    gone = f"the job service at {choice.job_endpoint} is gone"
    again = "run again: what was stored is reused, and a job that goes on does no harm"
    if choice.flink_address is None:
        raise LabelmillError(
            f"{gone}, and flags name no engine to ask (--flink_master); job {wait.job_name} may "
            f"go on without it, which labelmill status shows. To start anew, {again}"
        ) from error
    flink = FlinkRest(choice.flink_address)
    try:
        job = flink.find(wait.job_name)
        if job is None:
            raise LabelmillError(
                f"{gone}, and Flink at {flink.address} has no job {wait.job_name}: it was not "
                f"submitted. Start the job service and {again}"
            ) from error
        if job.state in RUNNING:
            wait.say(f"{gone}; Flink at {flink.address} goes on with the job: waiting for that")
        job = _until_ended(flink, job, choice, wait, deadline)
        if job.state != "FINISHED":
            raise LabelmillError(
                f"{gone}, and Flink's job {job.id} ended as {job.state}; nothing was published. "
                f"{_first_line(flink.failure(job))}"
            ) from error
    except FlinkUnreachableError as unreachable:
        if wait.has_outcome():
            return
        raise LabelmillError(
            f"{gone}, and Flink does not answer at {unreachable}; labelmill status shows whether "
            f"job {wait.job_name} went on. To start anew, {again}"
        ) from error


def _until_ended(
    flink: FlinkRest, job: FlinkJob, choice: RunnerChoice, wait: Wait, deadline: float
) -> FlinkJob:
    answered = time.monotonic()
    while job.state in RUNNING:
        if time.monotonic() >= deadline:
            raise StillRunningError(_still_running(choice, wait, submitting=False))
        time.sleep(_ENGINE_SECONDS)
        try:
            job = flink.find(wait.job_name) or job
            answered = time.monotonic()
        except FlinkUnreachableError:
            if time.monotonic() - answered > LOST_SECONDS:
                raise
    return job


def _cancel(result: Any, wait: Wait) -> None:
    """Cancel a job whose launcher was told to stop."""
    call = _Background(result.cancel)
    call.join(_CANCEL_SECONDS)
    try:
        if call.is_alive():
            raise TimeoutError(f"no answer in {_CANCEL_SECONDS} s")
        call.result()
    except Exception as error:
        wait.say(f"job {wait.job_name} could not be cancelled and may go on: {error}")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
