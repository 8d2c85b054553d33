"""Prompted functions: labeling functions that ask a language model about each record.

Their options are in `labelmill.promptspec`, prompts and answers as text in `labelmill.prompttext`,
requests in `labelmill.promptclient`, stored answers in `labelmill.promptcache`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from labelmill.errors import LabelingFunctionError
from labelmill.inflight import InFlight
from labelmill.labeling import PaidFunction
from labelmill.promptcache import AnswerCache, AnsweredPrompt, prompt_key
from labelmill.promptlimits import Breaker, Budget, Limits, Question, RateLimit, Spending, Usage
from labelmill.promptspec import OnlyWhere, PromptedSpec, TokenField
from labelmill.prompttext import (
    PROMPT_VERSION,
    REFUSED,
    Answer,
    AnswerReader,
    Template,
    system_message,
)
from labelmill.store import Store

if TYPE_CHECKING:
    from labelmill.promptwire import Reply


Result = Answer | Exception | None
"""What a prompt got; None where the budget had no room for it."""


class PromptedFunction(PaidFunction):
    """A labeling function that asks a language model; `prompted` makes one.

    Several threads may use it at once. Only its options are pickled; counters, budget and answers
    in memory start anew.

    Args:
        spec: Its options.
    """

    kind = "prompted"

    def __init__(self, spec: PromptedSpec) -> None:
        self.name = spec.name
        self.spec = spec
        self._template = Template.parse(spec.template)
        self._system = system_message(spec.classes, spec.refusal)
        self._request = spec.request
        self._reader = AnswerReader(tuple(spec.classes), spec.refusal)
        self._limits = Limits(
            Budget(spec.max_tokens_total, spec.max_cost),
            RateLimit(spec.requests_per_minute, spec.tokens_per_minute),
            Breaker(spec.stop_after),
            Usage(),
            spec.unit_price,
        )
        self._cache = AnswerCache(None, self.folder, spec.classes)
        self._asking = InFlight[Result]()
        self._allowed = 0.0

    def __reduce__(self) -> tuple[type[PromptedFunction], tuple[PromptedSpec]]:
        return type(self), (self.spec,)

    def __repr__(self) -> str:
        return f"PromptedFunction(name={self.name!r}, model={self.spec.model!r})"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the template names."""
        return self._template.columns

    @property
    def labels(self) -> tuple[str | int, ...]:
        """The classes, by name."""
        return tuple(self.spec.classes)

    @property
    def only_where(self) -> OnlyWhere:
        """Records to ask about; who calls `votes` passes only those."""
        return self.spec.only_where

    @property
    def folder(self) -> str:
        """Folder of the answers in the data set; another one for every other question."""
        content = json.dumps(self._question(), sort_keys=True)
        return f"prompts/{hashlib.sha256(content.encode()).hexdigest()[:32]}"

    def _question(self) -> dict[str, Any]:
        """Return what determines an answer, besides the record."""
        return {
            "prompt_version": PROMPT_VERSION,
            "request": self._request,
            "system": self._system,
            "template": self.spec.template,
            "max_chars": self.spec.max_chars,
            "version": self.spec.version,
        }

    def identity(self) -> Mapping[str, Any]:
        """Return what determines the votes: the question, and which records get an answer.

        Endpoint, key, rates and retries are no part of it; the budget is.
        """
        spec = self.spec
        return {
            **self._question(),
            "classes": list(spec.classes.items()),
            "refusal": spec.refusal,
            "only_where": spec.only_where,
            "max_tokens_total": spec.max_tokens_total,
            "max_cost": spec.max_cost,
            "price": None if spec.max_cost is None or not spec.price else dict(spec.price),
        }

    def bind(self, store_uri: str | Store) -> None:
        """Keep answers in a data set; from now on the budget is what `allow` gives.

        Args:
            store_uri: The data set's URI, or its store.

        Raises:
            StoreError: The URI names no store.
        """
        opened = store_uri if isinstance(store_uri, Store) else Store.open(store_uri)
        self._limits.budget.limit_to(self._allowed)
        self._cache = AnswerCache(opened, self.folder, self.spec.classes)

    def allow(self, share: float) -> None:
        """Let this object use a further share of the budget.

        The shares of all processes of a job add up to one, whoever does which part of the work.

        Raises:
            LabelingFunctionError: The share is no fraction.
        """
        if not 0.0 <= share <= 1.0:
            raise LabelingFunctionError(f"prompted {self.name!r}: share {share!r} is not in [0, 1]")
        self._allowed = min(1.0, self._allowed + share)
        self._limits.budget.limit_to(self._allowed)

    @property
    def remaining(self) -> Spending:
        """What is left of this object's share of the budget; infinite without a limit."""
        return self._limits.budget.remaining

    def usage(self) -> Mapping[str, float]:
        """Return what this object has used since it was made or unpickled.

        Returns:
            ``requests`` (repeated ones too), ``retries``, ``cached`` (prompts that had a stored
            answer), ``prompt_tokens`` and ``completion_tokens`` (estimated where the endpoint does
            not count), ``cost``, ``seconds`` in `votes`, and records by outcome: ``refused``,
            ``unparsed``, ``unasked`` (the budget was used up), ``failed``.
        """
        return self._limits.usage.to_dict()

    def estimate(self, batch: pa.RecordBatch) -> Mapping[str, float]:
        """Return what the votes on a batch would take, without asking.

        Args:
            batch: Records, a sample for instance.

        Returns:
            ``requests`` and ``cached``: different prompts without and with a stored answer;
            ``prompt_tokens``, ``completion_tokens`` and ``cost``: the most that they can use, as
            the budget reserves it; the cost is 0 without a price.

        Raises:
            LabelingFunctionError: The batch lacks a column.
            StoreError: Stored answers cannot be read.
        """
        prompts = {prompt_key(p): p for p in self._render(batch) if p is not None}
        known = self._cache.find(prompts)
        asked = [self._ask_about(p) for key, p in prompts.items() if key not in known]
        most = [question.most(self.spec.unit_price) for question in asked]
        completion_tokens = sum(question.max_tokens for question in asked)
        return {
            "requests": len(asked),
            "cached": len(known),
            "prompt_tokens": sum(part.tokens for part in most) - completion_tokens,
            "completion_tokens": completion_tokens,
            "cost": sum(part.cost for part in most),
        }

    def votes(self, batch: pa.RecordBatch) -> list[str | Exception | None]:
        """Return one vote per row; records with the same prompt share one request.

        Args:
            batch: Records.

        Returns:
            A class name; None where the model declines, its answer is not exactly one class, the
            budget is used up, or all columns are null; an `EndpointError` where the endpoint
            failed, which is a fault of that record alone.

        Raises:
            EndpointRefusedError: The endpoint accepts no request with this key.
            LabelingFunctionError: The batch lacks a column.
            StoreError: Stored answers cannot be read.
        """
        started = time.monotonic()
        prompts = self._render(batch)
        keys = [None if prompt is None else prompt_key(prompt) for prompt in prompts]
        try:
            results = self._results({prompt_key(p): p for p in prompts if p is not None})
        finally:
            self._limits.usage.add(seconds=time.monotonic() - started)
        outcomes = Counter(_outcome(results[key]) for key in keys if key is not None)
        del outcomes["vote"]
        self._limits.usage.add(**outcomes)
        return [None if key is None else _vote(results[key]) for key in keys]

    def _render(self, batch: pa.RecordBatch) -> list[str | None]:
        try:
            return self._template.render(batch, self.spec.max_chars)
        except LabelingFunctionError as error:
            raise LabelingFunctionError(f"prompted {self.name!r}: {error}") from None

    def _results(self, prompts: Mapping[bytes, str]) -> dict[bytes, Result]:
        """Return what each prompt got; one that another thread is asking about is waited for."""
        results: dict[bytes, Result] = dict(self._cache.find(prompts))
        self._limits.usage.add(cached=len(results))
        while len(results) < len(prompts):  # again where a thread that was asking gave up
            mine, others = self._asking.claim(key for key in prompts if key not in results)
            try:
                results.update(self._cache.in_memory(mine))  # answered since we looked
                results.update(self._ask({k: prompts[k] for k in mine if k not in results}))
            finally:
                self._asking.release(mine, results)
            for key, future in others.items():
                with suppress(CancelledError):
                    results[key] = future.result()
        return results

    def _ask(self, prompts: Mapping[bytes, str]) -> dict[bytes, Result]:
        """Ask, and return what each prompt got."""
        results: dict[bytes, Result] = {}
        questions = {key: self._ask_about(prompt) for key, prompt in prompts.items()}
        if not questions:
            return results
        # requests takes a tenth of a second to import, for which other jobs need not wait.
        from labelmill.promptclient import Client  # noqa: PLC0415

        client = Client(self.spec, self._limits, self._keep)
        try:
            with closing(client.ask(questions)) as asking:
                for outcomes in asking:
                    results.update(outcomes)
                    self._cache.flush(only_if_due=True)
        finally:
            self._cache.flush()
        return results

    def _keep(self, key: bytes, reply: Reply) -> Answer:
        answer = REFUSED if reply.refused else self._reader.read(reply.text, cut=reply.cut)
        self._cache.add(
            key, AnsweredPrompt(answer, reply.text, reply.prompt_tokens, reply.completion_tokens)
        )
        return answer

    def _ask_about(self, prompt: str) -> Question:
        return Question(self._request, self._system, prompt, self.spec.max_tokens)


def prompted(
    name: str,
    *,
    model: str,
    endpoint: str,
    template: str,
    classes: Mapping[str, str] | Collection[str],
    refusal: str = "unsure",
    max_chars: int = 4000,
    temperature: float | None = 0.0,
    seed: int | None = None,
    max_tokens: int = 32,
    token_field: TokenField = "max_tokens",
    extra: Mapping[str, Any] | None = None,
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 8,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    timeout: float = 60.0,
    retries: int = 4,
    backoff: float = 0.5,
    stop_after: int = 20,
    max_tokens_total: int | None = None,
    max_cost: float | None = None,
    price: Mapping[str, float] | None = None,
    only_where: OnlyWhere = "all",
    version: str = "",
) -> PromptedFunction:
    """Ask a language model about each record, and vote for the class that it names.

    Args:
        name: Unique within a job.
        model: Model, as the endpoint calls it.
        endpoint: Base URL of an OpenAI-compatible endpoint; requests go to its
            ``/chat/completions``.
        template: Question about a record with ``{column}`` where a value stands; ``{{`` and ``}}``
            are literal braces.
        classes: Classes to choose from, or a mapping of each to its description.
        refusal: What the model answers when no class fits.
        max_chars: Longer values are cut.
        temperature: Sampling temperature; None to leave it to the endpoint.
        seed: Sampling seed, for endpoints that take one.
        max_tokens: Most tokens of an answer, thoughts of a reasoning model included.
        token_field: What the endpoint calls that limit.
        extra: Further fields of each request.
        api_key_env: Environment variable with the API key; may be unset.
        concurrency: Requests at the same time, per process.
        requests_per_minute: Most requests a minute, per process.
        tokens_per_minute: Most tokens a minute (estimated), per process.
        timeout: Seconds that a request may take as a whole.
        retries: Further attempts when one fails in a way that may pass.
        backoff: Most seconds before the first of them; doubles up to 30.
        stop_after: Records in a row without a reply after which no more are asked.
        max_tokens_total: Most tokens that a run may use.
        max_cost: Most that a run may cost; needs `price`.
        price: Cost of a million tokens, ``{"input": x, "output": y}``.
        only_where: Records to ask about: all, those that no other function voted on
            (``"uncovered"``), those on which others disagree (``"conflicting"``).
        version: Any text; with another one, everything is asked again.

    Raises:
        LabelingFunctionError: An option is wrong.

    Example:
        >>> tone = prompted(
        ...     "tone",
        ...     model="small-model",
        ...     endpoint="http://localhost:8000/v1",
        ...     template="Is this comment spam? {text}",
        ...     classes={"spam": "unwanted advertising", "ham": "anything else"},
        ... )
        >>> tone.columns, tone.labels
        (('text',), ('spam', 'ham'))
    """
    options = {**locals(), "extra": extra or {}}
    return PromptedFunction(PromptedSpec.checked(options))


def _outcome(result: Result) -> str:
    if isinstance(result, Answer):
        return result.kind
    return "unasked" if result is None else "failed"


def _vote(result: Result) -> str | Exception | None:
    return result.label if isinstance(result, Answer) else result
