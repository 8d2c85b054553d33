"""The job file: its schema, validation with line numbers and suggestions, and path resolution."""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
)

from labelmill.errors import JobSpecError


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, got {value!r}")
    return value


def _is_label(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        hint = "; quote it (YAML reads bare yes and no as true and false)"
        raise ValueError(
            f"must be a class name or index, got {value!r}{hint if isinstance(value, bool) else ''}"
        )
    return value


def _are_uris(value: object) -> object:
    uris = value if isinstance(value, list) else [value]
    if not uris or not all(isinstance(uri, str) and uri for uri in uris):
        raise ValueError(f"must be a path or URL, or a list of them, got {value!r:.80}")
    return value


Fraction = Annotated[float, Field(ge=0.0, le=1.0), BeforeValidator(_not_boolean)]
Seed = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(_not_boolean)]
Label = Annotated[str | int, BeforeValidator(_is_label)]
Text = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class InputSpec(_Section):
    """The corpus: which files, in which format, and which column names a record."""

    uri: Annotated[str | list[str], BeforeValidator(_are_uris)] = Field(
        description="File, glob or folder, or a list of them; any fsspec URL. Relative paths "
        "start at the job file's folder. Folders are walked; names in them that begin with `_` or "
        "`.` are skipped."
    )
    id: str | None = Field(
        None,
        description="Id column. Without one, ids are `<file>#<row>`, stable while the file is.",
    )
    format: Literal["parquet", "jsonl", "csv"] | None = Field(
        None,
        description="Format, where the suffix does not tell: `.parquet` `.pq`, `.jsonl` "
        "`.ndjson` `.json`, `.csv` `.tsv` (tabs). A further suffix tells how text is compressed: "
        "`.gz` `.bz2` `.zst` `.xz`.",
    )
    columns: list[str] | None = Field(
        None, description="Columns to read; found from the functions' source when not given."
    )
    types: dict[str, str] = Field(
        default_factory=dict,
        description="Types of columns of CSV and JSONL files, in place of the inferred ones: "
        "`string`, `int32`, `int64`, `float32`, `float64`, `bool`, `timestamp` (ISO 8601, UTC).",
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="CSV delimiter.")
    multiline: bool = Field(
        True, description="CSV values may hold line breaks; false lets large CSV files be cut."
    )
    on_duplicate_id: Literal["ignore", "warn", "error"] = Field(
        "warn", description="What ids that occur twice do: nothing, a warning, or no publication."
    )
    shard_mb: Annotated[float, Field(gt=0, le=4096), BeforeValidator(_not_boolean)] = Field(
        64.0, description="Target size of a shard in MB (2^20 bytes)."
    )


class KeywordsSpec(_Section):
    """A keyword function declared in the job file."""

    name: Text
    label: Label
    words: list[str] = Field(min_length=1, description="Whole words or phrases.")
    field: str = "text"
    ignore_case: bool = True


class RegexSpec(_Section):
    """A regex function declared in the job file."""

    name: Text
    label: Label
    pattern: str = Field(description="Python regular expression, searched as `re.search` does.")
    field: str = "text"
    ignore_case: bool = False


class KeywordsEntry(_Section):
    """`keywords:` entry of `lfs`."""

    keywords: KeywordsSpec


class RegexEntry(_Section):
    """`regex:` entry of `lfs`."""

    regex: RegexSpec


def _entry_kind(entry: object) -> str | None:
    """Tell what an entry of `lfs` is meant to be, so that errors are about that alone."""
    if isinstance(entry, str | KeywordsEntry | RegexEntry):
        entry = {} if isinstance(entry, str) else entry.model_dump()
        return next(iter(entry), "file")
    kinds = [kind for kind in ("keywords", "regex") if isinstance(entry, dict) and kind in entry]
    return kinds[0] if kinds else None


LFEntry = Annotated[
    Annotated[str, Field(min_length=1), Tag("file")]
    | Annotated[KeywordsEntry, Tag("keywords")]
    | Annotated[RegexEntry, Tag("regex")],
    Discriminator(_entry_kind),
]


class GoldSpec(_Section):
    """Hand labels, in two roles that never mix: `fit` informs the model, the rest only scores."""

    column: str = Field(description="Column with class names or indices; null where unknown.")
    uri: str | None = Field(
        None, description="File with gold joined by id; without it, `column` is in the corpus."
    )
    id: str = Field("id", description="Id column of the gold file.")
    fit: Fraction = Field(
        0.0,
        description="Share of gold records given to the fit, chosen by a hash of their id; the "
        "rest scores. 1.0 for some 50 random records that should all inform it, 0.5 to do both.",
    )
    seed: Seed = Field(0, description="Seed of that choice.")


class OutputSpec(_Section):
    """Where versions are published."""

    uri: Text = Field(description="Folder or bucket prefix; any fsspec URL.")


class ModelSpec(_Section):
    """The label model."""

    name: Literal["default", "majority_vote"] = Field(
        "default", description="Label model; `default` is labelmodel.LabelModel."
    )
    random_state: Seed = Field(0, description="Seed, where there is chance.")


class GatesSpec(_Section):
    """Thresholds that stop a bad version before it is published."""

    max_bad_records: Fraction = Field(
        0.001, description="Share of records that may be unreadable; more stops the publication."
    )
    max_fault_rate: Fraction = Field(
        0.1,
        description="Share of records on which a function may fail; above, its votes are not used.",
    )
    min_coverage: Fraction = Field(0.0, description="Least share of records with a vote.")
    max_row_loss: Fraction = Field(
        0.2, description="Largest drop of the number of records against the current version."
    )
    max_label_shift: Fraction = Field(
        0.1,
        description="Largest Jensen-Shannon divergence (bits) of the labels of covered records "
        "against the current version.",
    )


class RunnerSpec(_Section):
    """Where the job runs when the command line does not say."""

    name: str = Field("local", description="`local`, or the name of a Beam runner.")
    options: list[str] = Field(
        default_factory=list, description="Beam flags, as on a command line."
    )


class JobSpec(_Section):
    """A labeling job."""

    name: str = Field(min_length=1, description="Name of the job, kept in every manifest.")
    input: InputSpec
    labels: list[str] = Field(min_length=2, description="Class names; their order is kept.")
    lfs: list[LFEntry] = Field(
        min_length=1, description="Python files with labeling functions, and declared functions."
    )
    gold: GoldSpec | None = None
    output: OutputSpec
    model: ModelSpec = ModelSpec()
    gates: GatesSpec = GatesSpec()
    runner: RunnerSpec = RunnerSpec()

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_text(cls, value: object) -> object:
        wrong = [v for v in value if not isinstance(v, str)] if isinstance(value, list) else []
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is not text; quote it (YAML reads bare yes, no, 1 as other types)"
            )
        return value

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, value: list[str]) -> list[str]:
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} given twice")
        if not all(name.strip() for name in value):
            raise ValueError("a class name is empty")
        return value


def load_job(path: str | Path, overrides: Sequence[str] = ()) -> tuple[JobSpec, Path]:
    """Read and validate a job file.

    Args:
        path: The YAML file.
        overrides: ``key.sub=value`` assignments, the value in YAML, applied before validation.

    Returns:
        The job with relative paths resolved against the job file, and the job file's folder.

    Raises:
        JobSpecError: The file is missing, no YAML, or does not fit the schema; the message has
            one line per problem with its line in the file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise JobSpecError(f"{path}: no such job file; `labelmill init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobSpecError(f"{path}: cannot be read: {error}") from error
    node, value = _parse(text, path)
    given: dict[tuple[str, ...], str] = {}
    for override in overrides:
        given[_override(value, override)] = f"--set {override}"
    try:
        job = JobSpec.model_validate(value)
    except ValidationError as error:
        problems = dict.fromkeys(_problem(item, node, str(path), given) for item in error.errors())
        raise JobSpecError("\n".join(problems)) from None
    folder = path.resolve().parent
    return _resolve(job, folder), folder


def _parse(text: str, path: Path) -> tuple[yaml.Node, dict[str, Any]]:
    """Return a YAML file's nodes, which know their lines, and its value."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        parts = [getattr(error, "context", None), getattr(error, "problem", None)]
        reason = ", ".join(part for part in parts if part) or str(error).partition("\n")[0]
        raise JobSpecError(f"{path}{line}: not YAML: {reason}") from error
    except (ValueError, RecursionError) as error:  # a date such as 2024-13-45
        raise JobSpecError(f"{path}: not YAML: {error}") from error
    if node is None or not isinstance(value, dict):
        raise JobSpecError(f"{path}: a job file is a mapping with name, input, labels, lfs, output")
    repeated = [f"{path}:{line}: key {key!r} is given twice" for key, line in _repeated_keys(node)]
    if repeated:
        raise JobSpecError("\n".join(repeated))
    return node, value


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    """Yield keys that a mapping has twice; YAML would silently take the last."""
    nodes, seen = [node], set()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for n, (key, child) in enumerate(node.value):
                nodes.append(child)
                if isinstance(key, yaml.ScalarNode) and key.value in keys[:n]:
                    yield key.value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _override(value: dict[str, Any], override: str) -> tuple[str, ...]:
    """Apply one ``key=value`` and return where."""
    key, equals, text = override.partition("=")
    location = tuple(key.strip().split("."))
    if not equals or not all(location):
        raise JobSpecError(f"--set {override}: expected key=value, such as output.uri=out/")
    target = value
    for parent in location[:-1]:
        if target.get(parent) is None:
            target[parent] = {}
        target = target[parent]
        if not isinstance(target, dict):
            raise JobSpecError(f"--set {override}: {parent!r} is not a section")
    try:
        target[location[-1]] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise JobSpecError(f"--set {override}: the value is not YAML") from error
    return location


def _resolve(job: JobSpec, folder: Path) -> JobSpec:
    uris = job.input.uri
    inputs = [resolve_uri(u, folder) for u in uris] if isinstance(uris, list) else None
    changes: dict[str, Any] = {
        "input": job.input.model_copy(
            update={"uri": inputs if inputs is not None else resolve_uri(str(uris), folder)}
        ),
        "output": job.output.model_copy(update={"uri": resolve_uri(job.output.uri, folder)}),
    }
    if job.gold and job.gold.uri:
        changes["gold"] = job.gold.model_copy(update={"uri": resolve_uri(job.gold.uri, folder)})
    return job.model_copy(update=changes)


def resolve_uri(uri: str, folder: Path) -> str:
    """Return `uri`, made absolute against `folder` when it is a relative local path."""
    if "://" in uri or "::" in uri or uri.startswith("/"):
        return uri
    try:
        return str(folder / Path(uri).expanduser())
    except RuntimeError as error:  # ~somebody, who has no home here
        raise JobSpecError(f"{uri}: {error}") from error


def _problem(
    item: Any,  # a pydantic ErrorDetails
    node: yaml.Node,
    path: str,
    overrides: Mapping[tuple[str, ...], str],
) -> str:
    """Turn an error of pydantic's into one line: file:line: where: what, with the nearest key."""
    location = _without_kind(item["loc"])
    where = ".".join(str(part) for part in location)
    line = _line_of(node, location)
    at = f"{path}:{line}" if line else path
    for key, override in overrides.items():
        common = min(len(key), len(location))
        if common and key[:common] == tuple(str(part) for part in location[:common]):
            at = override
    if item["type"] in ("extra_forbidden", "invalid_key"):
        parents = location[: -1 if item["type"] == "extra_forbidden" else -2]
        return f"{at}: {_unknown_key(str(location[len(parents)]), parents)}"
    if item["type"] == "union_tag_not_found" and isinstance(item["input"], dict) and item["input"]:
        return f"{at}: {_unknown_key(str(next(iter(item['input']))), location)}"
    if item["type"] == "missing":
        return f"{at}: {where!r} is missing"
    return f"{at}: {where}: {_what_is_wrong(item, location)}"


def _without_kind(location: Sequence[Any]) -> tuple[Any, ...]:
    """Drop the kind of entry that pydantic puts after the position in `lfs`."""
    in_entry = len(location) > 2 and location[0] == "lfs"
    return (*location[:2], *location[3:]) if in_entry else tuple(location)


def _unknown_key(key: str, parents: tuple[Any, ...]) -> str:
    allowed = _allowed_keys(parents)
    if parents[:1] == ("lfs",) and len(parents) == 2 and key in allowed:
        return "one entry of `lfs` declares one function; put keywords and regex in two entries"
    close = difflib.get_close_matches(key, allowed, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"keys here: {', '.join(allowed)}"
    return f"unknown key {key!r}; {hint}"


_WANTED = {
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "must be one character",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "dict_type": "must be a section of keys and values",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}


def _what_is_wrong(item: Any, location: tuple[Any, ...]) -> str:
    value, context = item["input"], item.get("ctx", {})
    shown = "nothing" if value is None else f"{value!r:.80}"
    if item["type"] == "value_error":  # one of this module's own
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "too_short":
        return f"needs at least {context['min_length']}, got {shown}"
    if item["type"] == "model_type":
        return f"must be a section with keys {', '.join(_allowed_keys(location))}, got {shown}"
    if item["type"] == "union_tag_not_found":
        return f"must be a Python file, or a mapping with keywords or regex, got {shown}"
    if item["type"] in _WANTED:
        quote = "; quote it" if item["type"] == "string_type" and _is_bare(value) else ""
        return f"{_WANTED[item['type']].format(**context)}, got {shown}{quote}"
    return f"{item['msg']}, got {shown}"


def _is_bare(value: object) -> bool:
    return isinstance(value, bool | int | float | datetime.date)


def _allowed_keys(location: tuple[Any, ...]) -> list[str]:
    model: Any = JobSpec
    for part in location:
        if isinstance(part, int):
            continue
        if part == "lfs":
            model = KeywordsEntry
            continue
        if part == "keywords":
            model = KeywordsSpec
        elif part == "regex":
            model = RegexSpec
        else:
            annotation = model.model_fields[part].annotation
            candidates = getattr(annotation, "__args__", (annotation,))
            model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    names = list(model.model_fields)
    return ["keywords", "regex"] if model is KeywordsEntry else names


def _line_of(node: yaml.Node | None, location: Sequence[Any]) -> int | None:
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def json_schema() -> str:
    """Return the JSON Schema of the job file, for editors."""
    return json.dumps(JobSpec.model_json_schema(), indent=2)


def spec_content(job: JobSpec) -> Mapping[str, Any]:
    """Return the job as plain data without what does not determine the result (the runner)."""
    return job.model_dump(mode="json", exclude={"runner", "output"})
