"""The options of a prompted function, as the job file and `labelmill.prompted` take them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from labelmill.errors import LabelingFunctionError
from labelmill.promptlimits import Price
from labelmill.prompttext import AnswerReader, Template
from labelmill.section import Section, Text, not_boolean

OnlyWhere = Literal["all", "uncovered", "conflicting"]
TokenField = Literal["max_tokens", "max_completion_tokens"]

SECRET = ("endpoint", "api_key_env")
"""Options in which people put keys by mistake; what they gave is not shown."""

_OWN_FIELDS = {"model", "messages", "stream", "n", "temperature", "seed", "tools", "functions"}


def _as_classes(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: "" if text is None else text for name, text in value.items()}
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        names = list(value)
        if len(set(map(str, names))) < len(names):
            raise ValueError("a class is given twice")
        return dict.fromkeys(names, "")
    raise ValueError(f"must be a list of classes, or classes with descriptions, got {value!r:.80}")


def _variable_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(
            "must be the name of an environment variable that holds the key, not a key"
        )
    return value


_NUMBER = BeforeValidator(not_boolean)
Count = Annotated[int, Field(ge=1), _NUMBER]
Natural = Annotated[int, Field(ge=0), _NUMBER]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), _NUMBER]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), _NUMBER]


class PriceSpec(Section):
    """What a million tokens cost."""

    input: Amount = Field(description="Cost of a million tokens of prompts.")
    output: Amount = Field(description="Cost of a million tokens of answers.")


class PromptedSpec(Section):
    """A prompted function: a language model is asked about each record."""

    name: Text
    model: Text = Field(description="Model, as the endpoint calls it.")
    endpoint: Text = Field(
        description="Base URL of an OpenAI-compatible endpoint, such as "
        "`http://localhost:8000/v1`; requests go to `<endpoint>/chat/completions`."
    )
    template: Text = Field(
        description="Question about a record, with `{column}` where a value stands; braces that "
        "are meant literally are written twice."
    )
    classes: Annotated[dict[Text, str], Field(min_length=1), BeforeValidator(_as_classes)] = Field(
        description="Classes to choose from: a list, or a mapping of each to its description."
    )
    refusal: Text = Field("unsure", description="What the model answers when no class fits.")
    max_chars: Count = Field(4000, description="Longer values are cut to so many characters.")
    temperature: Amount | None = Field(
        0.0, description="Sampling temperature; null to leave it to the endpoint."
    )
    seed: Natural | None = Field(None, description="Sampling seed, for endpoints that take one.")
    max_tokens: Count = Field(
        32, description="Most tokens of an answer, thoughts of a reasoning model included."
    )
    token_field: TokenField = Field(
        "max_tokens", description="What the endpoint calls that limit in a request."
    )
    extra: dict[str, Any] = Field(
        default_factory=dict,
        description="Further fields of each request, as the endpoint has them.",
    )
    api_key_env: Annotated[str, AfterValidator(_variable_name)] = Field(
        "OPENAI_API_KEY",
        description="Environment variable with the API key, on every worker; may be unset.",
    )
    concurrency: Annotated[int, Field(ge=1, le=256), _NUMBER] = Field(
        8, description="Requests at the same time, per process."
    )
    requests_per_minute: Positive | None = Field(
        None, description="Most requests a minute, per process."
    )
    tokens_per_minute: Positive | None = Field(
        None, description="Most tokens a minute (estimated), per process."
    )
    timeout: Annotated[float, Field(gt=0, le=3600), _NUMBER] = Field(
        60.0, description="Seconds that a request may take as a whole."
    )
    retries: Annotated[int, Field(ge=0, le=20), _NUMBER] = Field(
        4, description="Further attempts when a request fails in a way that may pass."
    )
    backoff: Annotated[float, Field(ge=0, le=600), _NUMBER] = Field(
        0.5, description="Most seconds before the first of them; doubles up to 30."
    )
    stop_after: Count = Field(
        20, description="Records in a row without a reply after which no more are asked."
    )
    max_tokens_total: Natural | None = Field(
        None, description="Most tokens that a run may use, prompts and answers together."
    )
    max_cost: Amount | None = Field(None, description="Most that a run may cost; needs `price`.")
    price: PriceSpec | None = Field(
        None, description="Cost of a million tokens, in the currency of `max_cost`."
    )
    only_where: OnlyWhere = Field(
        "all",
        description="Records to ask about: all, those that no other function voted on, or those "
        "on which other functions disagree.",
    )
    version: str = Field("", description="Any text; with another one, everything is asked again.")

    @field_validator("template")
    @classmethod
    def _template_parses(cls, value: str) -> str:
        Template.parse(value)
        return value

    @field_validator("endpoint")
    @classmethod
    def _endpoint_is_a_url(cls, value: str) -> str:
        url = urlsplit(value)
        if any(c.isspace() or not c.isprintable() for c in value):
            raise ValueError("must be a URL without white space")
        if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
            raise ValueError("must be a URL that begins with http:// or https://")
        if url.username or url.password or url.query or url.fragment:
            raise ValueError(
                "must be a bare URL, for it is shown in messages; the key belongs into the "
                "environment variable that `api_key_env` names"
            )
        return value.rstrip("/").removesuffix("/chat/completions")

    @field_validator("extra")
    @classmethod
    def _extra_is_free(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(value.keys() & {*_OWN_FIELDS, *get_args(TokenField)})
        if taken:
            raise ValueError(f"{taken[0]!r} is not free: it has an option, or is labelmill's own")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"must be plain data: {error}") from None
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> PromptedSpec:
        AnswerReader(tuple(self.classes), self.refusal)
        if self.max_cost is not None and self.price is None:
            raise ValueError("max_cost needs a price, such as price: {input: 0.15, output: 0.6}")
        return self

    @property
    def unit_price(self) -> Price | None:
        """The price as a value that computes."""
        return None if self.price is None else Price(self.price.input, self.price.output)

    @property
    def request(self) -> dict[str, Any]:
        """Fields of every request besides the messages."""
        optional = {"temperature": self.temperature, "seed": self.seed}
        given = {name: value for name, value in optional.items() if value is not None}
        return {"model": self.model, self.token_field: self.max_tokens, **given, **self.extra}

    @classmethod
    def checked(cls, options: Mapping[str, Any]) -> PromptedSpec:
        """Return options given in Python.

        Raises:
            LabelingFunctionError: Some are wrong; the message has a line for each.
        """
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            lines = []
            for item in error.errors():
                where = ".".join(str(part) for part in item["loc"])
                what = str(item["msg"]).removeprefix("Value error, ")
                shown = where and item["loc"][0] not in SECRET and "got" not in what
                got = f", got {item['input']!r:.80}" if shown else ""
                lines.append(f"prompted {options.get('name')!r}: {where}: {what}{got}")
            raise LabelingFunctionError("\n".join(lines)) from None
