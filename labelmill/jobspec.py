"""The job file's schema, but for the functions that it declares, which are in `lfspec`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from labelmill.lfspec import LFEntry
from labelmill.section import Section, Text, not_boolean
from labelmill.slicespec import Predicate
from labelmill.uris import checked_uri


def _are_uris(value: object) -> object:
    uris = value if isinstance(value, list) else [value]
    if not uris or not all(isinstance(uri, str) and uri for uri in uris):
        raise ValueError(f"must be a path or URL, or a list of them, got {value!r:.80}")
    for uri in uris:
        checked_uri(str(uri))
    return value


Fraction = Annotated[float, Field(ge=0.0, le=1.0), BeforeValidator(not_boolean)]
Seed = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(not_boolean)]


class InputSpec(Section):
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
    shard_mb: Annotated[float, Field(gt=0, le=4096), BeforeValidator(not_boolean)] = Field(
        64.0, description="Target size of a shard in MB (2^20 bytes)."
    )


class GoldSpec(Section):
    """Hand labels, in two roles that never mix: `fit` informs the model, the rest only scores."""

    column: str = Field(description="Column with class names or indices; null where unknown.")
    uri: Annotated[str, AfterValidator(checked_uri)] | None = Field(
        None, description="File with gold joined by id; without it, `column` is in the corpus."
    )
    id: str = Field("id", description="Id column of the gold file.")
    fit: Fraction = Field(
        0.0,
        description="Share of gold records given to the fit, chosen by a hash of their id; the "
        "rest scores. 1.0 for some 50 random records that should all inform it, 0.5 to do both.",
    )
    seed: Seed = Field(0, description="Seed of that choice.")
    role: Text | None = Field(
        None,
        description="Column of the gold file that says `fit` or `eval` for each record, in place "
        "of `fit`. `labelmill judge read` writes such a file.",
    )

    chosen: Text | None = Field(
        None,
        description="Column of the gold file that says how each record was chosen; the class "
        "balance is learned from those that say `random`. Without it, from all gold for the fit.",
    )

    @model_validator(mode="after")
    def _role_is_in_a_file(self) -> GoldSpec:
        for name in ("role", "chosen"):
            if getattr(self, name) is not None and self.uri is None:
                raise ValueError(f"{name} names a column of a gold file, and needs uri")
        if self.chosen is not None and self.role is None:
            raise ValueError("chosen needs role as well")
        return self


class OutputSpec(Section):
    """Where versions are published."""

    uri: Annotated[Text, AfterValidator(checked_uri)] = Field(
        description="Folder or bucket prefix; any fsspec URL."
    )


ModelName = Literal[
    "default",
    "majority_vote",
    "weighted_vote",
    "dawid_skene",
    "one_coin",
    "class_conditional_one_coin",
    "ibcc",
    "ebcc",
    "bwa",
    "mace",
    "glad",
    "snorkel",
    "triplets",
]


class ModelSpec(Section):
    """The label model."""

    name: ModelName = Field(
        "default",
        description="Label model; docs/labelmodel.md says which to use when.",
    )
    options: dict[str, Any] = Field(  # Any: each model has parameters of its own
        default_factory=dict,
        description="Parameters of the model by name, such as `max_iter`.",
    )
    class_balance: dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None, description="Share of each class, where it is known; learned by default."
    )
    accuracy: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=dict,
        description="Share of a function's votes that is right, by function, where it is known; "
        "what the model begins with. For models with the parameter `prec_init`.",
    )
    random_state: Seed = Field(0, description="Seed, where there is chance.")
    refit: Literal["always", "on_drift", "never"] = Field(
        "always",
        description="When a refresh fits the model again: in every run; when a function was "
        "edited or votes drifted beyond `max_drift` since it was fitted; or never. With other "
        "functions, classes, gold or settings, and with `--full`, it is always fitted.",
    )
    max_drift: Fraction = Field(
        0.1,
        description="Drift up to which `refit: on_drift` keeps the model: the largest change, of "
        "any function, of the share of records that it votes on, beyond chance and as a part of "
        "the larger share.",
    )
    gather_patterns: Annotated[int, Field(ge=0), BeforeValidator(not_boolean)] = Field(
        2_000_000,
        description="Most vote patterns that one worker fits; more stay on all workers, with the "
        "same result.",
    )


class GatesSpec(Section):
    """Thresholds that stop a bad version before it is published."""

    max_bad_records: Fraction = Field(
        0.001, description="Share of records that may be unreadable; more stops the publication."
    )
    max_fault_rate: Fraction = Field(
        0.1,
        description="Share of records on which a function may fail; above, its votes are not used.",
    )
    min_coverage: Fraction = Field(0.0, description="Least share of records with a vote.")
    min_slice_coverage: Fraction = Field(
        0.0, description="Least share of the records of every slice with a vote."
    )
    max_row_loss: Fraction = Field(
        0.2, description="Largest drop of the number of records against the current version."
    )
    max_coverage_loss: Fraction = Field(
        0.5,
        description="Largest drop of the share of records with a vote against the current version, "
        "as a part of it.",
    )
    max_label_shift: Fraction = Field(
        0.1,
        description="Largest Jensen-Shannon divergence (bits) of the labels of covered records "
        "against the current version.",
    )
    max_failing_functions: Fraction = Field(
        1.0,
        description="Share of functions that may lose their votes by `max_fault_rate`; the run "
        "warns of each, and one that did not fail in the current version is a `vote_shift`.",
    )
    max_vote_shift: Fraction = Field(
        0.5,
        description="Largest change of the share of records that a function votes on against the "
        "current version, beyond chance and as a part of the larger share. Edited functions are "
        "left out.",
    )
    min_gold_accuracy: Fraction = Field(
        0.0,
        description="Least accuracy on gold that scores; refused when all of its 95 % interval is "
        "below.",
    )
    min_audit_accuracy: Fraction = Field(
        0.0,
        description="Least lower end of the 95 % interval that the last audit of the current "
        "version found; refused when it is below. A version without an audit passes.",
    )
    max_gold_loss: Fraction = Field(
        0.02,
        description="Largest drop of the accuracy on gold that scores, from that of the current "
        "version to the upper end of the 95 % interval.",
    )
    allow_fallback: bool = Field(
        False,
        description="Whether a version may follow whose label model was found not to be trusted, "
        "where the current one's was. A first version is published with a warning.",
    )


class LimitsSpec(Section):
    """What keeps a function from taking the job with it."""

    timeout: Annotated[float, Field(ge=0), BeforeValidator(not_boolean)] = Field(
        60.0,
        description="Seconds that a function may take on a record (a function on batches: 0.02 "
        "more per record of the batch). Functions run in a process of their own, in which they "
        "can be stopped; 0 runs them in the worker's process, without limit.",
    )


class AssistSpec(Section):
    """A classifier of texts beside the label model; it needs judgements and the extra `teach`."""

    field: Text = Field("text", description="Column of text that it reads.")


class RunnerSpec(Section):
    """Where the job runs when the command line does not say."""

    name: str = Field(
        "local",
        description="`local`, `flink`, `spark`, `prism`, `dataflow`, or the name of a Beam runner.",
    )
    options: list[str] = Field(
        default_factory=list, description="Beam flags, as on a command line."
    )
    wait_hours: float = Field(
        24.0, gt=0, description="How long the launcher waits for an engine before it leaves."
    )


class JobSpec(Section):
    """A labeling job."""

    name: str = Field(min_length=1, description="Name of the job, kept in every manifest.")
    input: InputSpec
    labels: list[str] = Field(min_length=2, description="Class names; their order is kept.")
    lfs: list[LFEntry] = Field(
        min_length=1, description="Python files with labeling functions, and declared functions."
    )
    gold: GoldSpec | None = None
    slices: dict[Text, Predicate] = Field(
        default_factory=dict,
        description="Parts of the corpus to look at by themselves, each a name and what its "
        "records have in common: `keywords`, `regex`, `lookup`, a comparison, or `all`, `any`, "
        "`none`, `at_least`, `not` of these, as in `lfs` but without name and label.",
    )
    output: OutputSpec
    model: ModelSpec = ModelSpec()
    assist: AssistSpec | None = Field(
        None, description="A classifier that assists; without this section there is none."
    )
    gates: GatesSpec = GatesSpec()
    limits: LimitsSpec = LimitsSpec()
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


def json_schema() -> str:
    """Return the JSON Schema of the job file, for editors."""
    return json.dumps(JobSpec.model_json_schema(), indent=2)


def spec_content(job: JobSpec) -> Mapping[str, Any]:
    """Return the job as plain data without what does not determine the result."""
    content = job.model_dump(mode="json", exclude={"runner", "output", "limits"})
    if not job.slices:  # so that a job without slices is what it was before there were any
        del content["slices"]
    return content
