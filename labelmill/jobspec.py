"""The job file: its schema, validation with line numbers and suggestions, and path resolution."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from labelmill.errors import JobSpecError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class InputSpec(_Section):
    """The corpus: which files, in which format, and which column names a record."""

    uri: str | list[str] = Field(
        description="File, glob or folder, or a list of them; any fsspec URL. Relative paths "
        "start at the job file's folder."
    )
    id: str | None = Field(
        None,
        description="Id column. Without one, ids are `<file>#<row>`, stable while the file is.",
    )
    format: Literal["parquet", "jsonl", "csv"] | None = Field(
        None, description="Format; from the suffix when not given. Compression is by suffix."
    )
    columns: list[str] | None = Field(
        None, description="Columns to read; found from the functions' source when not given."
    )
    types: dict[str, str] = Field(
        default_factory=dict, description="Column types of CSV and JSONL files, where not inferred."
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="CSV delimiter.")
    multiline: bool = Field(
        True, description="CSV values may hold line breaks; false lets large CSV files be cut."
    )
    on_duplicate_id: Literal["ignore", "warn", "error"] = Field(
        "warn", description="What ids that occur twice do: nothing, a warning, or no publication."
    )
    shard_mb: Annotated[float, Field(gt=0, le=4096)] = Field(
        64.0, description="Target size of a shard in MB (2^20 bytes)."
    )


class KeywordsSpec(_Section):
    """A keyword function declared in the job file."""

    name: str
    label: str | int
    words: list[str] = Field(min_length=1, description="Whole words or phrases.")
    field: str = "text"
    ignore_case: bool = True


class RegexSpec(_Section):
    """A regex function declared in the job file."""

    name: str
    label: str | int
    pattern: str = Field(description="Python regular expression, searched as `re.search` does.")
    field: str = "text"
    ignore_case: bool = False


class KeywordsEntry(_Section):
    """`keywords:` entry of `lfs`."""

    keywords: KeywordsSpec


class RegexEntry(_Section):
    """`regex:` entry of `lfs`."""

    regex: RegexSpec


class GoldSpec(_Section):
    """Hand labels, in two roles that never mix: `fit` informs the model, the rest only scores."""

    column: str = Field(description="Column with class names or indices; null where unknown.")
    uri: str | None = Field(
        None, description="File with gold joined by id; without it, `column` is in the corpus."
    )
    id: str = Field("id", description="Id column of the gold file.")
    fit: Fraction = Field(
        0.0, description="Share of gold records given to the fit, chosen by a hash of their id."
    )
    seed: int = Field(0, description="Seed of that choice.")


class OutputSpec(_Section):
    """Where versions are published."""

    uri: str = Field(description="Folder or bucket prefix; any fsspec URL.")


class ModelSpec(_Section):
    """The label model."""

    name: Literal["default", "majority_vote"] = Field(
        "default", description="Label model; `default` is labelmodel.LabelModel."
    )
    random_state: int = Field(0, description="Seed, where there is chance.")


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
    lfs: list[str | KeywordsEntry | RegexEntry] = Field(
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

    @model_validator(mode="after")
    def _check_labels(self) -> JobSpec:
        repeated = sorted({name for name in self.labels if self.labels.count(name) > 1})
        if repeated:
            raise ValueError(f"labels: {', '.join(repeated)} given twice")
        if "" in self.labels:
            raise ValueError("labels: a class name is empty")
        return self


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
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise JobSpecError(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(value, dict):
        raise JobSpecError(f"{path}: a job file is a mapping with name, input, labels, lfs, output")
    for override in overrides:
        _override(value, override)
    try:
        job = JobSpec.model_validate(value)
    except ValidationError as error:
        problems = _problems(error, value, node, str(path))
        raise JobSpecError("\n".join(problems)) from None
    folder = path.resolve().parent
    return _resolve(job, folder), folder


def _override(value: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise JobSpecError(f"--set {override}: expected key=value, such as output.uri=out/")
    *parents, last = key.split(".")
    target = value
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise JobSpecError(f"--set {override}: {parent!r} is not a section")
    try:
        target[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise JobSpecError(f"--set {override}: the value is not YAML") from error


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
    return str(folder / Path(uri).expanduser())


def _problems(
    error: ValidationError, value: dict[str, Any], node: yaml.Node | None, path: str
) -> list[str]:
    """Turn pydantic's errors into one line each: file:line: where: what, with the nearest key."""
    lines: dict[str, str] = {}
    for item in error.errors():
        location = tuple(part for part in item["loc"] if not _is_union_tag(part))
        where = ".".join(str(part) for part in location)
        line = _line_of(node, location)
        at = f"{path}:{line}" if line else path
        if item["type"] == "extra_forbidden":
            key = str(location[-1])
            allowed = _allowed_keys(location[:-1])
            close = difflib.get_close_matches(key, allowed, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"keys here: {', '.join(allowed)}"
            message = f"unknown key {key!r}; {hint}"
        elif item["type"] == "missing":
            message = f"{where!r} is missing"
        else:
            given = "" if isinstance(item["input"], dict) else f" (got {item['input']!r:.80})"
            text = item["msg"].removeprefix("Value error, ")
            message = f"{where + ': ' if where else ''}{text}{given}"
        lines.setdefault(f"{at}: {message}", where)
    return _without_other_branches(list(lines), value)


def _is_union_tag(part: object) -> bool:
    return part in ("KeywordsEntry", "RegexEntry", "str", "list[str]", "int")


def _without_other_branches(messages: list[str], value: dict[str, Any]) -> list[str]:
    """Drop what pydantic says of union branches that the author did not mean."""
    entries = value.get("lfs")
    if not isinstance(entries, list):
        return messages
    kept = []
    for message in messages:
        skip = any(
            isinstance(entry, dict)
            and (
                f"lfs.{n}: Input should be a valid string" in message
                or (f"'lfs.{n}.regex' is missing" in message and "regex" not in entry)
                or (f"'lfs.{n}.keywords' is missing" in message and "keywords" not in entry)
                or any(f"unknown key {key!r}" in message for key in ("keywords", "regex"))
            )
            for n, entry in enumerate(entries)
        )
        if not skip:
            kept.append(message)
    return kept or messages


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
