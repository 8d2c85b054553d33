"""What a launcher does while an engine works, and when nobody answers any more."""

from __future__ import annotations

import _thread
import datetime
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest

from labelmill.errors import LabelmillError, StillRunningError
from pipelines import waiting
from pipelines.flinkrest import FlinkRest
from pipelines.runners import choose_runner
from pipelines.waiting import Wait, run_at_engine

JOB = "labelmill-job-1"


class Result:
    """A job as Beam's portable client gives it."""

    def __init__(self, wait: Callable[[], str]) -> None:
        self._wait = wait
        self.is_cancelled = False

    def wait_until_finish(self) -> str:
        return self._wait()

    def cancel(self) -> None:
        self.is_cancelled = True


class Pipeline:
    def __init__(self, wait: Callable[[], str]) -> None:
        self.result = Result(wait)

    def run(self) -> Result:
        return self.result


@contextmanager
def job_service() -> Iterator[str]:
    """A port that accepts connections; what is behind it does not matter here."""
    with socket.create_server(("localhost", 0)) as server:
        yield f"localhost:{server.getsockname()[1]}"


@contextmanager
def flink(states: list[str], asked: list[str] | None = None) -> Iterator[str]:
    """A REST interface that gives the job's states one after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document: dict[str, Any] = {"root-exception": "java.lang.Error: broken\n  at x"}
            if self.path == "/jobs/overview":
                state = states.pop(0) if len(states) > 1 else states[0]
                job = {"jid": "1f", "name": JOB, "state": state, "start-time": time.time() * 1000}
                document = {"jobs": [job] if state else []}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def do_PATCH(self) -> None:
            if asked is not None:
                asked.append(self.path)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_SECONDS", "_ENDPOINT_SECONDS", "_STORE_SECONDS", "_ENGINE_SECONDS"):
        monkeypatch.setattr(waiting, name, 0.01)
    monkeypatch.setattr(waiting, "LOST_SECONDS", 0.1)
    monkeypatch.setattr(waiting, "GRACE_SECONDS", 0.1)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal, also where who started the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def forever() -> str:
    time.sleep(60)
    return "DONE"


def broken() -> str:
    raise grpc.RpcError("UNAVAILABLE")


def choose(endpoint: str, *flags: str):
    flags = (f"--job_endpoint={endpoint}", *flags)
    return choose_runner("flink", flags, projected_seconds=0, n_shards=1)


def wait(said: list[str], *, ended: bool = False, seconds: float | None = 30) -> Wait:
    return Wait(JOB, datetime.datetime.now(datetime.UTC), lambda: ended, seconds, said.append)


def test_a_job_that_ends_is_waited_for():
    with job_service() as endpoint:
        run_at_engine(Pipeline(lambda: "DONE"), choose(endpoint), wait([]))


def test_a_launcher_that_does_not_wait_leaves():
    with job_service() as endpoint:
        run_at_engine(Pipeline(forever), choose(endpoint), wait([], seconds=None))


def test_a_limit_ends_the_wait_and_says_that_the_job_goes_on():
    with job_service() as endpoint, pytest.raises(StillRunningError, match="is left alone"):
        run_at_engine(Pipeline(forever), choose(endpoint), wait([], seconds=0.1))


def test_a_failed_job_is_an_error():
    with job_service() as endpoint, pytest.raises(LabelmillError, match="state FAILED"):
        run_at_engine(Pipeline(lambda: "FAILED"), choose(endpoint), wait([]))


def test_our_own_error_comes_through_the_engine():
    def wrapped() -> str:
        raise RuntimeError("Job failed: labelmill.errors.CorpusReadError: file x is gone [while..")

    with job_service() as endpoint, pytest.raises(LabelmillError, match=r"file x is gone"):
        run_at_engine(Pipeline(wrapped), choose(endpoint), wait([]))


def test_nothing_answers_at_the_address():
    with job_service() as endpoint:
        pass
    with pytest.raises(LabelmillError, match="no job service answers"):
        run_at_engine(Pipeline(forever), choose(endpoint), wait([]))


def test_an_engine_that_stays_silent_after_the_end_is_left():
    said: list[str] = []
    with job_service() as endpoint:
        run_at_engine(Pipeline(forever), choose(endpoint), wait(said, ended=True))
    assert "the run has ended" in said[0]


def test_a_lost_job_service_is_no_failure_where_the_run_has_ended():
    said: list[str] = []
    with job_service() as endpoint:
        run_at_engine(Pipeline(broken), choose(endpoint), wait(said, ended=True))
    assert "had ended before" in said[0]


def test_a_lost_job_service_without_an_engine_to_ask():
    with job_service() as endpoint, pytest.raises(LabelmillError, match="--flink_master"):
        run_at_engine(Pipeline(broken), choose(endpoint), wait([]))


def test_a_lost_job_service_that_says_nothing_is_noticed():
    pipeline = Pipeline(forever)
    with ThreadPoolExecutor() as pool, job_service() as endpoint:
        submitted = threading.Event()
        pipeline.run = lambda: (submitted.set(), pipeline.result)[1]
        launcher = pool.submit(run_at_engine, pipeline, choose(endpoint), wait([]))
        submitted.wait(10)
    error = launcher.exception(30)

    assert isinstance(error, LabelmillError)
    assert "is gone, and flags name no engine to ask" in str(error)


def test_flink_goes_on_without_the_job_service():
    said: list[str] = []
    with job_service() as endpoint, flink(["RUNNING", "RESTARTING", "FINISHED"]) as address:
        choice = choose(endpoint, f"--flink_master={address}")
        run_at_engine(Pipeline(broken), choice, wait(said))
    assert "goes on with the job" in said[0]


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (["RUNNING", "FAILED"], r"ended as FAILED.*java.lang.Error: broken"),
        ([""], "it did not get there"),
        (["RUNNING", ""], "no longer has job"),
    ],
)
def test_what_flink_says_instead_of_the_job_service(states, message):
    with job_service() as endpoint, flink(states) as address:
        choice = choose(endpoint, f"--flink_master={address}")
        with pytest.raises(LabelmillError, match=message):
            run_at_engine(Pipeline(broken), choice, wait([]))


def test_the_limit_holds_while_flink_is_asked():
    with job_service() as endpoint, flink(["RUNNING"]) as address:
        choice = choose(endpoint, f"--flink_master={address}")
        with pytest.raises(StillRunningError):
            run_at_engine(Pipeline(broken), choice, wait([], seconds=0.2))


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_launcher_cancels_the_job():
    pipeline = Pipeline(forever)
    threading.Timer(0.3, _thread.interrupt_main).start()
    with job_service() as endpoint, pytest.raises(KeyboardInterrupt):
        run_at_engine(pipeline, choose(endpoint), wait([]))
    assert pipeline.result.is_cancelled


@pytest.mark.usefixtures("interruptible")
def test_a_cancelled_job_is_cancelled_at_flink_where_that_is_known():
    asked: list[str] = []
    threading.Timer(0.3, _thread.interrupt_main).start()
    with job_service() as endpoint, flink(["RUNNING"], asked) as address:
        choice = choose(endpoint, f"--flink_master={address}")
        with pytest.raises(KeyboardInterrupt):
            run_at_engine(Pipeline(forever), choice, wait([]))
    assert asked == ["/jobs/1f?mode=cancel"]


def test_a_job_that_ends_with_its_launcher_is_not_left_alone():
    pipeline = Pipeline(forever)
    with job_service() as endpoint:
        choice = choose(endpoint, "--environment_type=LOOPBACK")
        with pytest.raises(LabelmillError, match="and was cancelled") as error:
            run_at_engine(pipeline, choice, wait([], seconds=0.1))
    assert pipeline.result.is_cancelled
    assert not isinstance(error.value, StillRunningError)


def test_a_job_that_is_not_accepted_fails(monkeypatch):
    monkeypatch.setattr(waiting, "SUBMIT_SECONDS", 0.1)
    pipeline = Pipeline(forever)
    pipeline.run = forever
    with job_service() as endpoint, pytest.raises(LabelmillError, match="has not accepted"):
        run_at_engine(pipeline, choose(endpoint), wait([]))


def test_a_run_that_published_is_no_failure_whatever_the_engine_says():
    said: list[str] = []
    with job_service() as endpoint:
        run_at_engine(Pipeline(lambda: "FAILED"), choose(endpoint), wait(said, ended=True))
    assert "the run had ended before this" in said[0]


def test_a_launcher_that_does_not_wait_leaves_what_flink_has():
    pipeline = Pipeline(forever)
    pipeline.run = broken
    with job_service() as endpoint, flink(["RUNNING"]) as address:
        choice = choose(endpoint, f"--flink_master={address}")
        run_at_engine(pipeline, choice, wait([], seconds=None))


def test_jobs_of_the_same_name_from_other_nights_are_others():
    with flink(["FINISHED"]) as address:
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        assert FlinkRest(address).find(JOB, later) is None
        assert FlinkRest(address).find(JOB, later - datetime.timedelta(hours=2)) is not None
