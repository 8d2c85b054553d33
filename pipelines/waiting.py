"""Submitting a pipeline to an engine and waiting for it, with a limit to every wait.

A job service is only a messenger: the job may go on when it is gone. What became of a run is in
the store, and the engine knows what it does; both are asked before a run is called failed.
"""

from __future__ import annotations

import datetime
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import apache_beam as beam
import grpc  # type: ignore[import-untyped]

from labelmill.errors import EngineLostError, LabelmillError, StillRunningError, StoreError
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
        started: When it was submitted, in UTC; older jobs of that name are others.
        has_outcome: Tells whether the store has the outcome of the run.
        seconds: The limit; None to leave once the job is submitted.
        say: Takes a sentence for the person who waits.
        cancels: Whether a job that is not done in time is cancelled instead of left alone.
    """

    job_name: str
    started: datetime.datetime
    has_outcome: Callable[[], bool]
    seconds: float | None
    say: Callable[[str], None]
    cancels: bool = False


def run_at_engine(pipeline: beam.Pipeline, choice: RunnerChoice, wait: Wait) -> None:
    """Submit a pipeline to a runner that is not in this process, and wait for its end.

    When this process is told to stop meanwhile, the job is cancelled.

    Raises:
        StillRunningError: The limit is over and the job goes on.
        EngineLostError: Nobody can tell whether it goes on.
        LabelmillError: The job failed, or was not accepted.
    """
    check_endpoint(choice)
    session = _Session(choice, wait)
    try:
        session.run(pipeline)
    except KeyboardInterrupt:
        session.cancel()
        raise
    except StillRunningError:
        raise
    except LabelmillError as error:
        if not session.has_outcome():
            raise
        wait.say(f"the run had ended before this: {error}")


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


def connection_problem(address: str | None) -> str | None:
    """Return what hinders a connection to ``host:port``, None when nothing does."""
    if address is None:
        return None
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


class _Session:
    """A job at an engine, from its submission to its end, or to where it is left."""

    def __init__(self, choice: RunnerChoice, wait: Wait) -> None:
        self._choice = choice
        self._wait = wait
        self._endpoint = choice.job_endpoint
        self._result: Any = None
        self._endpoint_seen = self._endpoint_asked = self._store_asked = time.monotonic()
        self._ended_at: float | None = None
        address = choice.flink_address
        self._flink = None if address is None else FlinkRest(address)

    def run(self, pipeline: beam.Pipeline) -> None:
        """Submit the pipeline and wait as long as there is to wait."""
        began = time.monotonic()
        try:
            self._result = self._submit(pipeline)
            if self._wait.seconds is None:
                return
            call = _Background(self._result.wait_until_finish)
            state = self._until_done(call, began + self._wait.seconds)
        except LabelmillError:
            raise
        except Exception as error:
            if not self._is_lost(error):
                raise own_error(error) from error
            self._after_loss(began, error)
            return
        if state not in (None, "DONE"):
            raise LabelmillError(f"the pipeline ended in state {state}; nothing was published")

    def has_outcome(self) -> bool:
        """Return whether the store has the outcome; a store that fails for now has not."""
        try:
            return self._wait.has_outcome()
        except StoreError:
            return False

    def cancel(self) -> None:
        """Cancel the job, by Flink itself where that is known: a job service may be gone."""
        call = _Background(self._cancel)
        call.join(_CANCEL_SECONDS)
        try:
            if call.is_alive():
                raise TimeoutError(f"no answer in {_CANCEL_SECONDS} s")
            call.result()
        except Exception as error:
            name = self._wait.job_name
            self._wait.say(f"job {name} could not be cancelled and may go on: {error}")

    def _cancel(self) -> None:
        if self._flink is not None:
            job = self._flink.find(self._wait.job_name, self._wait.started)
            if job is not None:
                self._flink.cancel(job)
        if self._result is not None and not connection_problem(self._endpoint):
            self._result.cancel()

    def _submit(self, pipeline: beam.Pipeline) -> Any:
        """Return the result of the pipeline, as Beam gives it once the engine has the job.

        A job service that Beam starts itself has to be started in the main thread, and has a limit
        of its own.
        """
        if self._endpoint is None:
            return pipeline.run()
        call = _Background(pipeline.run)
        try:
            return self._until_done(call, time.monotonic() + SUBMIT_SECONDS)
        except StillRunningError:
            raise LabelmillError(
                f"the job service at {self._endpoint} has not accepted the job in "
                f"{SUBMIT_SECONDS:,} s; look at its log, and run again"
            ) from None

    def _until_done(self, call: _Background, deadline: float) -> Any:
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
            if now >= deadline:
                self._stop_waiting()

    def _is_lost(self, error: Exception) -> bool:
        """Return whether an error may mean no more than that the job service is gone."""
        if self._endpoint is None:
            return False
        return isinstance(error, _LostError | grpc.RpcError) or bool(
            connection_problem(self._endpoint)
        )

    def _check_endpoint(self, now: float) -> None:
        if self._endpoint is None or now - self._endpoint_asked < _ENDPOINT_SECONDS:
            return
        problem = connection_problem(self._endpoint)
        self._endpoint_asked = time.monotonic()
        if problem is None:
            self._endpoint_seen = self._endpoint_asked
        elif self._endpoint_asked - self._endpoint_seen > LOST_SECONDS:
            raise _LostError(problem)

    def _has_ended(self, now: float) -> bool:
        if self._ended_at is None and now - self._store_asked >= _STORE_SECONDS:
            self._store_asked = now
            self._ended_at = now if self.has_outcome() else None
        return self._ended_at is not None and now - self._ended_at > GRACE_SECONDS

    def _stop_waiting(self) -> None:
        """Leave a job that takes longer than there is to wait, or cancel it.

        Raises:
            StillRunningError: It goes on.
            LabelmillError: It does not.
        """
        name, seconds = self._wait.job_name, self._wait.seconds or 0
        late = f"job {name} has not ended after {seconds:,.0f} s at {self._choice.name}"
        if self._wait.cancels or self._choice.needs_launcher:
            self.cancel()
            raise LabelmillError(f"{late}, and was cancelled")
        raise StillRunningError(
            f"{late}, and is left alone; labelmill status shows how it goes on, and submitting "
            "again beside it is harmless"
        )

    def _after_loss(self, began: float, error: Exception) -> None:
        """Find out from store and engine what became of a job whose job service is gone.

        Raises:
            EngineLostError: Nobody knows.
            LabelmillError: It failed, or did not get to the engine.
            StillRunningError: The limit is over and it goes on.
        """
        gone = f"the job service at {self._endpoint} is gone"
        again = "run again: what was stored is reused, and a job that goes on does no harm"
        name = self._wait.job_name
        if self._choice.name == "spark":
            raise LabelmillError(f"{gone}, and with it the job, whose driver it was; {again}")
        if self._flink is None:
            raise EngineLostError(
                f"{gone}, and flags name no engine to ask (--flink_master); job {name} may go on "
                f"without it, which labelmill status shows. To start anew, {again}"
            ) from error
        where = f"Flink at {self._flink.address}"
        try:
            job = self._handed_over(self._flink)
            if job is None:
                if self.has_outcome():
                    return
                raise LabelmillError(
                    f"{gone}, and {where} has no job {name}: it did not get there. Start the job "
                    f"service and {again}"
                ) from error
            if job.state in RUNNING and self._wait.seconds is not None:
                self._wait.say(f"{gone}; {where} goes on with the job: waiting for that")
                job = self._until_ended(self._flink, job, began + self._wait.seconds)
            if job.state not in ("FINISHED", *RUNNING):
                reason = self._flink.failure(job)
                raise LabelmillError(
                    f"{gone}, and Flink's job {job.id} ended as {job.state}. {reason}"
                )
        except FlinkUnreachableError as unreachable:
            raise EngineLostError(
                f"{gone}, and Flink does not answer at {unreachable}; labelmill status shows "
                f"whether job {name} went on. To start anew, {again}"
            ) from error

    def _handed_over(self, flink: FlinkRest) -> FlinkJob | None:
        """Return the job once Flink has it; it may get there a little later than accepted."""
        deadline = time.monotonic() + LOST_SECONDS
        while True:
            job = flink.find(self._wait.job_name, self._wait.started)
            if job is not None or time.monotonic() >= deadline or self.has_outcome():
                return job
            time.sleep(_ENGINE_SECONDS)

    def _until_ended(self, flink: FlinkRest, job: FlinkJob, deadline: float) -> FlinkJob:
        answered = time.monotonic()
        while job.state in RUNNING:
            if time.monotonic() >= deadline:
                self._stop_waiting()
            time.sleep(_ENGINE_SECONDS)
            try:
                found = flink.find(self._wait.job_name, self._wait.started)
                answered = time.monotonic()
            except FlinkUnreachableError:
                if time.monotonic() - answered > LOST_SECONDS:
                    raise
                continue
            if found is None:
                raise LabelmillError(
                    f"Flink at {flink.address} no longer has job {self._wait.job_name}, as after a "
                    "restart of its JobManager; run again: what was stored is reused"
                )
            job = found
        return job
