"""Asking an endpoint many questions: threads, retries, and what limits them.

A client lives for one batch: it holds sockets and the key, which therefore are never pickled.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from labelmill.errors import EndpointError, EndpointRefusedError
from labelmill.promptlimits import Limits, Question, Spending, estimated_tokens
from labelmill.promptspec import PromptedSpec
from labelmill.prompttext import Answer
from labelmill.promptwire import (
    AttemptError,
    Line,
    Reply,
    read_error,
    read_reply,
    retry_after,
)

_TICK = 0.1
_LONGEST_BACKOFF = 30.0
_SHORTEST_SECRET = 8
_MAY_PASS = {408, 425, 429, 500, 502, 503, 504, 529}
_END_THE_JOB = {401, 402}


Outcome = Answer | EndpointError | None
"""What became of a question; None where the budget had no room for it."""


class Client:
    """Asks one batch of questions.

    Args:
        spec: Whom to ask, and how.
        limits: What this process may still do, and counts.
        keep: Called with each reply in the thread that got it, so that none is lost when the asking
            ends early; returns what the reply means.

    Raises:
        EndpointRefusedError: The environment variable holds no key.
    """

    def __init__(
        self, spec: PromptedSpec, limits: Limits, keep: Callable[[bytes, Reply], Answer]
    ) -> None:
        self._spec = spec
        self._limits = limits
        self._keep = keep
        self._key = _key(spec.api_key_env)
        self._stop = threading.Event()
        self._local = threading.local()
        self._lines: list[Line] = []

    def ask(
        self, questions: Mapping[bytes, Question]
    ) -> Generator[list[tuple[bytes, Outcome]], None, None]:
        """Yield outcomes as they come, at times none, until each question has one.

        It has to be closed (`contextlib.closing`) where it is not read to its end.

        Raises:
            EndpointRefusedError: The endpoint refuses all requests; nothing more is sent.
        """
        done: queue.SimpleQueue[tuple[bytes, Future[Outcome]]] = queue.SimpleQueue()
        pool = ThreadPoolExecutor(min(self._spec.concurrency, len(questions) or 1))
        try:
            for key, question in questions.items():
                future = pool.submit(self._ask, key, question)
                future.add_done_callback(lambda f, key=key: done.put((key, f)))  # type: ignore[misc]
            waiting = len(questions)
            while waiting:
                for line in list(self._lines):
                    line.cut_if_late()
                outcomes = [(key, future.result()) for key, future in self._finished(done)]
                waiting -= len(outcomes)
                yield outcomes
        finally:
            self._stop.set()
            for line in list(self._lines):
                line.cut()
            pool.shutdown(cancel_futures=True)
            for line in self._lines:
                line.close()

    def _finished(
        self, done: queue.SimpleQueue[tuple[bytes, Future[Outcome]]]
    ) -> Iterator[tuple[bytes, Future[Outcome]]]:
        with suppress(queue.Empty):
            yield done.get(timeout=_TICK)
            for _ in range(self._spec.concurrency):
                yield done.get_nowait()

    def _ask(self, key: bytes, question: Question) -> Outcome:
        """Ask until there is a reply, a limit, or a failure that stays."""
        limits, failure = self._limits, AttemptError("stopped", again=False)
        for attempt in range(self._spec.retries + 1):
            if attempt:
                limits.usage.add(retries=1)
                self._sleep(failure.after + self._jitter(attempt))
            self._sleep(limits.rate.take(question.prompt_tokens + question.max_tokens))
            if limits.breaker.reason is not None:
                return EndpointError(limits.breaker.reason)
            most = question.most(limits.price)
            if not limits.budget.reserve(most, self._stop):
                if not attempt:
                    return None
                reason = f"{failure}; the budget has no room to ask again"
                failure = AttemptError(reason, again=False)
                break
            used = most
            try:
                reply = self._attempt(question)
                used = self._used(question, reply, most)
                limits.breaker.record(None)
                return self._keep(key, reply)
            except EndpointRefusedError:
                self._stop.set()  # before this thread or another asks about the next record
                raise
            except AttemptError as error:
                failure, used = error, most if error.charged else Spending(0.0, 0.0)
            finally:
                limits.budget.settle(most, used)
            if not failure.again:
                break
        outcome = EndpointError(str(failure))
        if not self._stop.is_set():
            limits.breaker.record(outcome)
        return outcome

    def _attempt(self, question: Question) -> Reply:
        self._limits.usage.add(requests=1)
        status, headers, content = self._line().post(question.body)
        if len(self._key) >= _SHORTEST_SECRET:  # a gateway may echo what it was sent
            content = content.replace(self._key.encode(), b"[key]")
        if status == 200:
            reply = read_reply(content)
            return replace(reply, text=self._masked(reply.text))
        raise self._failure(status, headers, content)

    def _masked(self, text: str) -> str:
        """Return a decoded text without the key, which JSON may have written in escapes."""
        return text.replace(self._key, "[key]") if len(self._key) >= _SHORTEST_SECRET else text

    def _failure(
        self, status: int, headers: Mapping[str, str], content: bytes
    ) -> AttemptError | EndpointRefusedError:
        code, text = read_error(content)
        text = self._masked(text)
        message = f"{self._spec.endpoint} answered {status}: {text}"
        # Where it has answered before, 403 may be a firewall's opinion of one record's content.
        forbidden = status == 403 and not self._limits.breaker.has_answered
        if status in _END_THE_JOB or forbidden or code == "insufficient_quota":
            variable = self._spec.api_key_env
            is_set = "is set" if self._key else "is not set"
            return EndpointRefusedError(
                f"{message}; check the key and its account (environment variable {variable}, "
                f"which {is_set})"
            )
        after = retry_after(headers.get("Retry-After"))
        if after:
            self._limits.rate.hold(after)
        return AttemptError(message, again=status in _MAY_PASS, after=after)

    def _used(self, question: Question, reply: Reply, most: Spending) -> Spending:
        """Count what a reply used; where the endpoint does not say, the budget loses the most."""
        prompt, completion, price = reply.prompt_tokens, reply.completion_tokens, self._limits.price
        is_known = prompt is not None and completion is not None
        prompt = question.prompt_tokens if prompt is None else prompt
        if completion is None:
            completion = estimated_tokens(len(reply.text))
        cost = price.of(prompt, completion) if price else 0.0
        self._limits.usage.add(prompt_tokens=prompt, completion_tokens=completion, cost=cost)
        return Spending(prompt + completion, cost) if is_known else most

    def _jitter(self, attempt: int) -> float:
        """Return a random part of a pause that doubles with each attempt (full jitter)."""
        most = min(_LONGEST_BACKOFF, self._spec.backoff * 2 ** (attempt - 1))
        # SystemRandom leaves the random state of the user's labeling functions alone.
        return random.SystemRandom().uniform(0.0, most)

    def _sleep(self, seconds: float) -> None:
        """Wait, unless there is nothing to wait for any more."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            limits = self._limits
            if limits.breaker.reason is not None or limits.budget.exhausted:
                return
            if self._stop.wait(min(left, 0.5)):
                return

    def _line(self) -> Line:
        """Return this thread's connection."""
        line: Line | None = getattr(self._local, "line", None)
        if line is None:
            line = Line(self._spec.endpoint, self._key, self._spec.timeout)
            self._local.line = line
            self._lines.append(line)
        return line


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise EndpointRefusedError(
            f"environment variable {variable} holds characters that no API key has"
        )
    return key
