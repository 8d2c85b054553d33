"""Labeling functions as a job file declares them: one pydantic section per kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)

from labelmill.combining import Combination, all_of, any_of, at_least, none_of, not_
from labelmill.comparing import compare
from labelmill.labeling import AnyLabelingFunction, keywords, regex
from labelmill.lookups import lookup
from labelmill.paths import resolve_uri
from labelmill.prompts import PromptedFunction
from labelmill.promptspec import PromptedSpec
from labelmill.section import Section, Text
from labelmill.votetable import vote_table


def _is_label(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        hint = "; quote it (YAML reads bare yes and no as true and false)"
        raise ValueError(
            f"must be a class name or index, got {value!r}{hint if isinstance(value, bool) else ''}"
        )
    return value


Label = Annotated[str | int, BeforeValidator(_is_label)]


class Declared(Section):
    """What declared functions have in common."""

    name: Text = Field(description="Unique within the job.")
    label: Label = Field(description="Class voted for.")

    def build(self) -> list[Any]:
        """Return the functions."""
        return [self.make(self.name, self.label)]  # type: ignore[attr-defined]  # of its fields


class Fields(Section):
    """What a kind of function has besides name and label; also a part of combinations."""

    paths: ClassVar[tuple[str, ...]] = ()
    """Keys that hold files, relative to the job file's folder."""

    def make(self, name: str, label: str | int) -> AnyLabelingFunction | Combination:
        """Return the function."""
        raise NotImplementedError

    def resolved(self, folder: Path) -> Any:
        """Return the same with absolute paths."""
        changes: dict[str, Any] = {
            key: resolve_uri(getattr(self, key), folder)
            for key in self.paths
            if isinstance(getattr(self, key), str)
        }
        if isinstance(getattr(self, "of", None), list):
            changes["of"] = [resolved_part(part, folder) for part in self.of]  # type: ignore[attr-defined]
        return self.model_copy(update=changes)


class KeywordsFields(Fields):
    """Whole words and phrases."""

    paths = ("words_file",)

    words: list[str] | None = Field(None, min_length=1, description="Whole words or phrases.")
    words_file: Text | None = Field(
        None, description="File of them, one a line; `#` begins a comment."
    )
    field: Text = "text"
    ignore_case: bool = True

    @model_validator(mode="after")
    def _has_words(self) -> KeywordsFields:
        if (self.words is None) == (self.words_file is None):
            raise ValueError("needs words or words_file, one of the two")
        return self

    def make(self, name: str, label: str | int) -> AnyLabelingFunction:
        """Return the function."""
        options = self.model_dump(include=set(KeywordsFields.model_fields))
        return keywords(name, label=label, **options)


class RegexFields(Fields):
    """A regular expression."""

    pattern: str = Field(description="Python regular expression, searched as `re.search` does.")
    field: Text = "text"
    ignore_case: bool = False

    def make(self, name: str, label: str | int) -> AnyLabelingFunction:
        """Return the function."""
        flags = re.IGNORECASE if self.ignore_case else 0
        return regex(name, label=label, pattern=self.pattern, field=self.field, flags=flags)


class CompareFields(Fields):
    """A column compared with a value."""

    field: Text | list[Text] = Field(
        description="Column, or a list of names that lead into a nested one; null is an abstain."
    )
    op: Text = Field(description="`==` `!=` `<` `<=` `>` `>=` `in` `is null` and others.")
    value: Any = Field(None, description="What it is compared with.")

    def make(self, name: str, label: str | int) -> AnyLabelingFunction:
        """Return the function."""
        return compare(name, field=self.field, op=self.op, value=self.value, label=label)


class LookupFields(Fields):
    """A column looked up in a table."""

    paths = ("table",)

    field: Text = Field(description="Column whose whole value is looked up.")
    table: str | list[str] | dict[str, str | int] = Field(
        description="File (CSV, JSONL, Parquet, text), or the keys themselves, or a map to classes."
    )
    key: Text = Field("key", description="Column of the file with the keys.")
    label_column: Text | None = Field(None, description="Column of the file with classes.")
    normalise: bool = Field(False, description="Compare without regard to case and spacing.")

    def make(self, name: str, label: str | int | None) -> AnyLabelingFunction:
        """Return the function."""
        return lookup(
            name,
            field=self.field,
            table=self.table,
            key=self.key,
            label=label,
            label_column=self.label_column,
            normalise=self.normalise,
        )


class CombinationFields(Fields):
    """Functions that have to vote together."""

    combine: ClassVar[Any]

    of: list[PartEntry] = Field(
        min_length=1,
        description="Names of functions of the job, functions without name and label, "
        "`not: ...` of one of these, or combinations. A part holds where it votes.",
    )

    def parts(self, name: str) -> list[Any]:
        """Return the parts of the combination called `name`."""
        return [made_part(part, f"{name}[{n}]") for n, part in enumerate(self.of)]

    def make(self, name: str, label: str | int) -> Combination:
        """Return the function."""
        made: Combination = type(self).combine(name, label=label, of=self.parts(name))
        return made


class AllFields(CombinationFields):
    """All parts have to hold."""

    combine = staticmethod(all_of)


class AnyFields(CombinationFields):
    """One part has to hold."""

    combine = staticmethod(any_of)


class NoneFields(CombinationFields):
    """No part may hold."""

    combine = staticmethod(none_of)


class AtLeastFields(CombinationFields):
    """So many parts have to hold."""

    n: int = Field(ge=1, description="How many.")

    def make(self, name: str, label: str | int) -> Combination:
        """Return the function."""
        return at_least(self.n, name, label=label, of=self.parts(name))


class KeywordsSpec(KeywordsFields, Declared):
    """A keyword function."""


class RegexSpec(RegexFields, Declared):
    """A regex function."""


class LookupSpec(LookupFields, Declared):
    """A look-up in a table (gazetteer)."""

    label: Label | None = Field(None, description="Class voted for, unless the table tells.")  # type: ignore[assignment]


class CompareSpec(CompareFields):
    """A comparison: `{field: price, op: '>', value: 3, label: expensive}`."""

    label: Label = Field(description="Class voted for.")
    name: Text | None = Field(None, description="`<field> <op> <value>` by default.")

    def build(self) -> list[Any]:
        """Return the function."""
        value = "" if self.value is None else f" {self.value}"
        return [self.make(self.name or f"{self.field} {self.op}{value}", self.label)]


class AllSpec(AllFields, Declared):
    """Votes where all parts hold."""


class AnySpec(AnyFields, Declared):
    """Votes where at least one part holds."""


class NoneSpec(NoneFields, Declared):
    """Votes where no part holds."""


class AtLeastSpec(AtLeastFields, Declared):
    """Votes where at least `n` parts hold."""


class PromptedEntrySpec(PromptedSpec):
    """A question to a language model."""

    def build(self) -> list[Any]:
        """Return the function."""
        return [PromptedFunction(self)]

    def resolved(self, folder: Path) -> Any:
        """Return the same: it names no files."""
        return self


class VotesSpec(Section):
    """Votes of others, joined by id; each source is a function."""

    uri: Text = Field(description="Parquet, CSV or JSONL file.")
    item: Text = Field("item", description="Column with the ids of records.")
    source: Text = Field("source", description="Column with the name of who voted.")
    vote: Text = Field("vote", description="Column with a class name or index; null abstains.")
    prefix: str = Field("", description="Put before the sources' names.")
    only: list[str] | None = Field(None, description="Sources to take; all by default.")

    def build(self) -> list[Any]:
        """Return one function per source."""
        return list(vote_table(**self.model_dump()))

    def resolved(self, folder: Path) -> Any:
        """Return the same with an absolute path."""
        return self.model_copy(update={"uri": resolve_uri(self.uri, folder)})


class Entry(Section):
    """An entry of `lfs`, or a part of a combination: a mapping with one key."""

    @property
    def kind(self) -> str:
        """The key."""
        return next(iter(type(self).model_fields))

    @property
    def spec(self) -> Any:
        """What it holds."""
        return getattr(self, self.kind)


FUNCTION_KINDS: Mapping[str, type[BaseModel]] = {
    "keywords": KeywordsSpec,
    "regex": RegexSpec,
    "lookup": LookupSpec,
    "all": AllSpec,
    "any": AnySpec,
    "none": NoneSpec,
    "at_least": AtLeastSpec,
    "votes": VotesSpec,
    "prompted": PromptedEntrySpec,
}
"""Declared functions by the key that an entry of `lfs` has."""

PART_KINDS: Mapping[str, type[BaseModel]] = {
    "keywords": KeywordsFields,
    "regex": RegexFields,
    "lookup": LookupFields,
    "all": AllFields,
    "any": AnyFields,
    "none": NoneFields,
    "at_least": AtLeastFields,
}
"""Functions that a combination may declare as its parts."""


def kind_of_entry(entry: object) -> str | None:
    """Tell what an entry of `lfs` or of `of` is meant to be, so that errors are about that alone.

    Returns:
        ``"file"`` for text, ``"compare"`` for a mapping with `op`, else the key that it has.
    """
    if isinstance(entry, str):
        return "file"
    if isinstance(entry, CompareFields):
        return "compare"
    if isinstance(entry, Entry):
        return entry.kind
    if not isinstance(entry, dict):
        return None
    kinds = [kind for kind in (*FUNCTION_KINDS, "not") if kind in entry]
    return kinds[0] if kinds else "compare" if {"op", "field"} & set(entry) else None


def _entries(kinds: Mapping[str, Any], suffix: str) -> list[Any]:
    models = []
    for kind, spec in kinds.items():
        name = f"{kind.title().replace('_', '')}{suffix}"
        fields: dict[str, Any] = {kind: (spec, ...)}
        model = create_model(name, __base__=Entry, __module__=__name__, **fields)
        model.__doc__ = f"`{kind}:` entry."
        globals()[name] = model
        models.append(Annotated[model, Tag(kind)])
    return models


if TYPE_CHECKING:
    LFEntry = str | Entry | CompareSpec
    PartEntry = str | Entry | CompareFields
else:
    PartEntry = Annotated[
        Union[
            (
                Annotated[Text, Tag("file")],
                Annotated[CompareFields, Tag("compare")],
                *_entries({**PART_KINDS, "not": "PartEntry"}, "Part"),
            )
        ],
        Discriminator(kind_of_entry),
    ]
    for _model in (*PART_KINDS.values(), *FUNCTION_KINDS.values(), globals()["NotPart"]):
        _model.model_rebuild()
    LFEntry = Annotated[
        Union[
            (
                Annotated[Text, Tag("file")],
                Annotated[CompareSpec, Tag("compare")],
                *_entries(FUNCTION_KINDS, "Entry"),
            )
        ],
        Discriminator(kind_of_entry),
    ]


def made_part(part: PartEntry, name: str) -> Any:
    """Return the function called `name` that a part of a combination declares, or what it names."""
    if isinstance(part, str):
        return part
    if isinstance(part, CompareFields):
        return part.make(name, 0)  # a part's class does not matter, only whether it votes
    if part.kind == "not":
        return not_(made_part(part.spec, name))
    return part.spec.make(name, 0)


def resolved_part(part: PartEntry, folder: Path) -> PartEntry:
    """Return a part of a combination with the files that it names made absolute."""
    if isinstance(part, str | CompareFields):
        return part
    inner = part.spec
    resolved = resolved_part(inner, folder) if part.kind == "not" else inner.resolved(folder)
    return part.model_copy(update={part.kind: resolved})


def resolved_entry(entry: LFEntry, folder: Path) -> LFEntry:
    """Return an entry of `lfs` with the files that it names made absolute, but Python files."""
    if isinstance(entry, Entry):
        return entry.model_copy(update={entry.kind: entry.spec.resolved(folder)})
    return entry
