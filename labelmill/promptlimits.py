"""What holds a prompted function back: rate, budget, a dead endpoint; and what it has used.

One object each per function and process, shared by the threads that ask.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_CHARS_PER_TOKEN = 4
_OVERHEAD_TOKENS = 64  # more than chat templates add to two messages


@dataclass(frozen=True)
class Price:
    """What a million tokens cost, in any currency.

    Attributes:
        input: Of prompts.
        output: Of answers.
    """

    input: float
    output: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return the cost of a request."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Spending(NamedTuple):
    """Tokens of prompt and answer together, and their cost."""

    tokens: float
    cost: float


def estimated_tokens(chars: int) -> int:
    """Return the tokens of text, by a rule of thumb for English."""
    return -(-chars // _CHARS_PER_TOKEN)


@dataclass(frozen=True)
class Question:
    """One request; its body is made when it is sent.

    Attributes:
        request: Fields besides the messages, shared by all requests of a function.
        system: System message, shared as well.
        prompt: User message.
        max_tokens: Most tokens of the answer.
    """

    request: Mapping[str, Any]
    system: str
    prompt: str
    max_tokens: int

    @property
    def body(self) -> bytes:
        """The request as JSON."""
        said = {"system": self.system, "user": self.prompt}
        messages = [{"role": role, "content": content} for role, content in said.items()]
        return json.dumps({**self.request, "messages": messages}).encode()

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, estimated."""
        return estimated_tokens(len(self.system) + len(self.prompt))

    def most(self, price: Price | None) -> Spending:
        """Return what the request can use at most: no tokenizer makes two tokens of a byte."""
        prompt = len(self.system.encode()) + len(self.prompt.encode()) + _OVERHEAD_TOKENS
        cost = price.of(prompt, self.max_tokens) if price else 0.0
        return Spending(prompt + self.max_tokens, cost)


class Budget:
    """Tokens and money that requests may use; it is reserved before a request is sent.

    Args:
        max_tokens: Tokens of prompts and answers together.
        max_cost: Cost.
    """

    def __init__(self, max_tokens: float | None = None, max_cost: float | None = None) -> None:
        self._whole = Spending(
            math.inf if max_tokens is None else max_tokens,
            math.inf if max_cost is None else max_cost,
        )
        self._limit = self._whole
        self._spent = Spending(0.0, 0.0)
        self._reserved: list[Spending] = []
        self._exhausted = False
        self._changed = threading.Condition()

    def limit_to(self, share: float) -> None:
        """Let this process use `share` of the budget, less what it has spent already."""
        with self._changed:
            self._limit = Spending(
                *(part * share if math.isfinite(part) else part for part in self._whole)
            )
            self._exhausted = False

    @property
    def remaining(self) -> Spending:
        """What neither was spent nor is reserved; infinite where there is no limit."""
        with self._changed:
            return self._remaining()

    @property
    def exhausted(self) -> bool:
        """Whether a request did not fit, after which no more are let through."""
        return self._exhausted

    def _remaining(self) -> Spending:
        held = (self._spent, *self._reserved)
        return Spending(
            self._limit.tokens - sum(part.tokens for part in held),
            self._limit.cost - sum(part.cost for part in held),
        )

    def reserve(self, most: Spending, stop: threading.Event) -> bool:
        """Set aside what a request can use at most; wait where requests under way may free it.

        Returns:
            False when the budget is used up, or `stop` is set.
        """
        with self._changed:
            while not (self._exhausted or stop.is_set()):
                left = self._remaining()
                if most.tokens <= left.tokens and most.cost <= left.cost:
                    self._reserved.append(most)
                    return True
                if not self._reserved:
                    self._exhausted = True
                else:
                    self._changed.wait(0.5)
            self._changed.notify_all()
            return False

    def settle(self, most: Spending, used: Spending) -> None:
        """Replace a reservation by what the request used."""
        with self._changed:
            self._reserved.remove(most)
            self._spent = Spending(self._spent.tokens + used.tokens, self._spent.cost + used.cost)
            self._changed.notify_all()


class RateLimit:
    """Spaces requests evenly, so that no minute has more of them, or of their tokens.

    Args:
        requests_per_minute: Requests; None for any number.
        tokens_per_minute: Their estimated tokens; None for any number.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_request = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._next = -math.inf
        self._lock = threading.Lock()

    def take(self, tokens: float) -> float:
        """Take the next place and return the seconds until it comes."""
        with self._lock:
            now = self._clock()
            start = max(self._next, now)
            self._next = start + max(self._per_request, tokens * self._per_token)
            return start - now

    def hold(self, seconds: float) -> None:
        """Give out no place for some seconds, as an endpoint asked."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


class Breaker:
    """Opens for good when many records in a row got no answer.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._failed = 0
        self._lock = threading.Lock()
        self.has_answered = False
        self.reason: str | None = None
        """Why nothing more is asked; None while the endpoint answers."""

    def record(self, failure: Exception | None) -> None:
        """Note how a request ended."""
        with self._lock:
            self._failed = self._failed + 1 if failure else 0
            self.has_answered = self.has_answered or failure is None
            if self._failed >= self._limit and self.reason is None:
                self.reason = (
                    f"not asked: the endpoint failed on {self._failed} records in a row, "
                    f"the last time with: {failure}"
                )


class Usage:
    """Counters of a function in this process."""

    NAMES = (
        "requests",
        "cached",
        "prompt_tokens",
        "completion_tokens",
        "cost",
        "refused",
        "unparsed",
        "unasked",
        "failed",
        "retries",
        "seconds",
    )

    def __init__(self) -> None:
        self._counts = dict.fromkeys(self.NAMES, 0.0)
        self._lock = threading.Lock()

    def add(self, **counts: float) -> None:
        """Add to counters."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count

    def to_dict(self) -> Mapping[str, float]:
        """Return a copy."""
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True)
class Limits:
    """What the threads and batches of a function share."""

    budget: Budget
    rate: RateLimit
    breaker: Breaker
    usage: Usage
    price: Price | None
