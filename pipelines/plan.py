"""Planning a run: shards, functions, what is stored already, what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from labelmill.apply import FunctionSet
from labelmill.columns import columns_used, needed_columns
from labelmill.combining import with_parts
from labelmill.corpus import Corpus, plan_corpus
from labelmill.earlier import find_earlier
from labelmill.errors import (
    CorpusError,
    JobSpecError,
    LabelingFunctionError,
    VersionNotFoundError,
)
from labelmill.functionkeys import function_keys
from labelmill.gold import read_gold
from labelmill.job import PreparedJob, prepare_job
from labelmill.jobspec import JobSpec, spec_content
from labelmill.labeling import BatchFunction, Matcher
from labelmill.manifest import Manifest
from labelmill.shard import Shard
from labelmill.shardtask import LAYOUT, ShardTask
from labelmill.store import Store
from labelmill.tablefile import input_digest
from labelmill.versions import read_manifest
from labelmill.votes import LFTable
from pipelines.sampling import Sample, take_sample
from pipelines.work import Work, work_of
from transforms.fit import quarantined
from transforms.fitting import MODEL_VERSION

SECONDS_PER_ROW = 3e-6
"""What a record costs besides its functions."""


@dataclass(frozen=True)
class Plan:
    """Everything decided before a run.

    Attributes:
        job: The job.
        prepared: Its functions.
        corpus: Its shards and schema.
        task: What all shards share.
        parent: Manifest of the current version, if there is one.
        inputs_digest: Digest of all that determines the result.
        unchanged: Whether the current version is the result of these inputs, and all there.
        work: What has to run, and why.
        sample: Functions run on a few records.
        warnings: What a person should know before running.
        functions: The functions ready to run; None when nothing changed. Held here, so that a run
            in this process finds them ready.
    """

    job: JobSpec
    prepared: PreparedJob
    corpus: Corpus
    task: ShardTask
    parent: Manifest | None
    inputs_digest: str
    unchanged: bool
    work: Work
    sample: Sample
    warnings: tuple[str, ...]
    functions: FunctionSet | None

    @property
    def to_vote(self) -> tuple[Shard, ...]:
        """Shards whose votes have to be made, if only from those of an earlier run."""
        return tuple(work.shard for work in self.work.shards if not work.stored)

    def rows_of(self, shards: Sequence[Shard]) -> int:
        """Return the records in `shards`: exact for Parquet, else estimated from the sample."""
        if all(shard.rows is not None for shard in shards):
            return sum(shard.rows or 0 for shard in shards)
        per_row = self.sample.bytes_per_row or 100.0
        return sum(
            shard.rows if shard.rows is not None else int(shard.size / per_row) for shard in shards
        )

    @property
    def projected_usage(self) -> Mapping[str, Mapping[str, float]]:
        """What functions that cost money will use at most, projected from the sample."""
        if not self.sample.rows:
            return {}
        scale = self.rows_of(self.to_vote) / self.sample.rows
        return {
            lf: {name: amount * scale for name, amount in used.items()}
            for lf, used in self.sample.estimates.items()
        }

    @property
    def projected_work(self) -> float:
        """Seconds of one core for all of it: functions, reading, packing, labeling, writing."""
        return self.projected_seconds + self.rows_of(self.to_vote) * SECONDS_PER_ROW

    @property
    def projected_seconds(self) -> float:
        """Time that the functions will need on one core, projected from the sample."""
        seconds = self.sample.seconds
        return sum(
            self.rows_of([work.shard]) * sum(seconds[n] for n in work.running)
            for work in self.work.shards
            if seconds
        )


def make_plan(
    job: JobSpec,
    folder: Path,
    *,
    full: bool = False,
    trying: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Plan:
    """Plan a run of `job`; reads the corpus' listing, footers and first records, writes nothing.

    Args:
        job: The validated job.
        folder: The job file's folder.
        full: Compute everything again, whatever is stored.
        trying: Opened while the functions are tried on a sample, to tell a person so.

    Raises:
        LabelmillError: Whatever is wrong with the job, its functions or its corpus.
    """
    _check_output_apart(job)
    prepared = prepare_job(job, folder)
    functions: FunctionSet | None = prepared.function_set()  # its process loads while we plan
    corpus = plan_corpus_of(job, prepared)
    gold_digest = read_gold(job.gold, job.labels).digest if job.gold and job.gold.uri else ""
    task = ShardTask(
        job=job,
        table=prepared.table,
        schema=corpus.schema,
        output_uri=job.output.uri,
        gold_digest=gold_digest,
        keys=(),
        reuse=not full,
        check_ids=job.input.id is not None and job.input.on_duplicate_id != "ignore",
    )
    keys = function_keys(prepared.functions(), prepared.table, corpus.schema, task.gold_column)
    task = replace(task, keys=keys)
    store = Store.open(job.output.uri)
    try:
        parent = read_manifest(store)
    except VersionNotFoundError:
        parent = None
    task = replace(task, renamed=_renamed(task, corpus, parent))
    digest = _inputs_digest(task, corpus)
    same = not full and parent is not None and parent.inputs_digest == digest
    if parent is not None and not all(task.may_reuse(f.path) for f in parent.files_of("votes")):
        same = False
    stored = set() if full else set(store.list() if same else store.list("votes"))
    missing = [f.path for f in parent.files if f.path not in stored] if parent and same else []
    unchanged = same and not missing
    warnings = list(corpus.warnings)
    if missing and parent:
        warnings.append(
            f"{len(missing)} files of version {parent.version} are gone from {job.output.uri}, "
            f"such as {missing[0]}; they are made again"
        )
    # When nothing changed, no record is read at all.
    reused = frozenset(s.id for s in corpus.shards if task.current_votes_path(s) in stored)
    missing_votes = [s for s in corpus.shards if s.id not in reused]
    current = {f.shard or "": f.path for f in parent.files_of("votes")} if parent else {}
    task = replace(
        task,
        budget_share=1 / max(1, len(missing_votes)),
        earlier=find_earlier(task, missing_votes, stored, current),
    )
    if unchanged:
        functions = None
    work = work_of(task, corpus.shards, reused, parent, functions)
    sample = Sample()
    if functions is not None and work.running:
        with trying():
            sample = take_sample(task, functions, corpus, work.running)
    return Plan(
        job,
        prepared,
        corpus,
        task,
        parent,
        digest,
        unchanged,
        work,
        sample,
        (*warnings, *_sample_warnings(sample, job, prepared.table)),
        functions,
    )


def plan_corpus_of(job: JobSpec, prepared: PreparedJob) -> Corpus:
    """Plan the corpus with the columns that the job reads, and check their types."""
    gold_column = job.gold.column if job.gold and not job.gold.uri else None
    extra = [gold_column] if gold_column else []
    columns = job.input.columns
    if columns is None:
        columns = needed_columns(prepared.functions(), extra)
    elif gold_column and gold_column not in columns:
        columns = [*columns, gold_column]
    try:
        corpus = plan_corpus(
            job.input.uri,
            columns=columns,
            id_column=job.input.id,
            format=job.input.format,
            types=job.input.types,
            shard_bytes=int(job.input.shard_mb * 2**20),
            multiline_csv=job.input.multiline,
            delimiter=job.input.delimiter,
        )
    except CorpusError as error:
        raise CorpusError(f"{error}{_who_reads(str(error), prepared)}") from error
    _check_columns(prepared, corpus.schema)
    _check_gold_column(job, corpus)
    return corpus


def _renamed(task: ShardTask, corpus: Corpus, parent: Manifest | None) -> dict[str, str]:
    """Return the votes that the current version has under another name than their usual one."""
    if parent is None:
        return {}
    current = {file.shard: file.path for file in parent.files_of("votes")}
    renamed = {}
    for shard in corpus.shards:
        usual, path = task.votes_path(shard), current.get(shard.id)
        other = path and path != usual and path.startswith(usual.removesuffix(".parquet") + "-")
        if path and other and task.may_reuse(path):
            renamed[usual] = path
    return renamed


def _check_output_apart(job: JobSpec) -> None:
    """Check that the next run would not read this one's output as its input."""
    uris = [job.input.uri] if isinstance(job.input.uri, str) else job.input.uri
    output = job.output.uri.rstrip("/")
    for uri in uris:
        folder = uri.rstrip("/")
        walks = "**" in folder or not set("*?[") & set(folder)
        if walks and f"{output}/".startswith(folder.partition("*")[0].rstrip("/") + "/"):
            raise JobSpecError(
                f"output.uri {job.output.uri} lies inside input.uri {uri}, so the next run would "
                "read its own labels; choose a folder beside it"
            )


def _sample_warnings(sample: Sample, job: JobSpec, table: LFTable) -> list[str]:
    """Name the functions that fail on more of the sample than gates.max_fault_rate allows."""
    outcomes = sample.outcomes
    if outcomes is None:
        return []
    first = {fault.lf: fault for fault in reversed(sample.faults)}
    warnings = []
    for n in quarantined(outcomes, job.gates.max_fault_rate):
        fault = first[table.names[n]]
        warnings.append(
            f"labeling function {fault.lf!r} failed on {outcomes.faults[n] + outcomes.invalid[n]} "
            f"of {sample.rows} sampled records ({fault.type}: {fault.message}); above "
            "gates.max_fault_rate its votes are not used"
        )
    return warnings


def _inputs_digest(task: ShardTask, corpus: Corpus) -> str:
    content = dict(spec_content(task.job))
    content["gates"] = {"max_fault_rate": task.job.gates.max_fault_rate}
    content["input"] = {k: v for k, v in content["input"].items() if k != "uri"}
    return input_digest(
        {
            "layout": [LAYOUT, MODEL_VERSION],
            "spec": content,
            "shards": [task.votes_digest(shard) for shard in corpus.shards],
            "gold": task.gold_content(),
        }
    )


def _check_columns(prepared: PreparedJob, schema: pa.Schema) -> None:
    """Check that functions can read the types of the columns that they read."""
    for lf in with_parts(prepared.functions()):
        if isinstance(lf, BatchFunction):
            lf.check(schema)
        if isinstance(lf, Matcher):
            kind = schema.field(lf.field).type
            if kind not in (pa.string(), pa.null()):
                raise LabelingFunctionError(
                    f"labeling function {lf.name!r} matches text, but column {lf.field!r} is "
                    f"{kind}; set input.types: {{{lf.field}: string}} for CSV and JSONL, or use a "
                    "Python function"
                )


def _check_gold_column(job: JobSpec, corpus: Corpus) -> None:
    if job.gold is None or job.gold.uri is not None:
        return
    kind = corpus.schema.field(job.gold.column).type
    if not (pa.types.is_integer(kind) or kind in (pa.string(), pa.null())):
        raise CorpusError(
            f"gold column {job.gold.column!r} is {kind}; it must hold class names or indices"
        )


def _who_reads(message: str, prepared: PreparedJob) -> str:
    """Return which functions read the column that a message is about, as a suffix."""
    if "has no column" not in message:
        return ""
    missing = message.split("has no column", 1)[1].split("'")
    if len(missing) < 2:
        return ""
    readers = [lf.name for lf in prepared.functions() if missing[1] in columns_used(lf).columns]
    return f" (read by {', '.join(readers[:3])})" if readers else ""
