"""Planning a run: shards, functions, what is stored already, what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from labelmill.apply import FunctionSet
from labelmill.corpus import Corpus
from labelmill.earlier import by_usual_end, find_earlier
from labelmill.errors import JobSpecError
from labelmill.functionkeys import function_keys
from labelmill.gold import read_gold, with_balance
from labelmill.job import PreparedJob, prepare_job
from labelmill.jobspec import JobSpec, spec_content
from labelmill.manifest import Manifest
from labelmill.modelversion import MODEL_VERSION
from labelmill.outcomes import quarantined
from labelmill.readers.listing import Listing
from labelmill.shard import Shard
from labelmill.shardtask import LAYOUT, ShardTask, limited_votes, may_reuse
from labelmill.slices import SliceTask
from labelmill.store import Store
from labelmill.tablefile import input_digest
from labelmill.versions import read_manifest, versions_among
from labelmill.votes import LFTable
from pipelines.corpus_plan import list_corpus_of, plan_corpus_of
from pipelines.sampling import Sample, take_sample
from pipelines.work import Work, work_of

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

    def rows_of(self, shards: Iterable[Shard]) -> int:
        """Return the records in `shards`: exact where they are known, else from their size."""
        per_row = self.sample.bytes_per_row or 100.0
        known = self._known_rows
        return sum(known.get(shard.id, int(shard.size / per_row)) for shard in shards)

    @cached_property
    def _known_rows(self) -> dict[str, int]:
        """Records by shard: in a Parquet footer, or voted on in the current version."""
        shards = self.corpus.shards
        known = {shard.id: shard.rows for shard in shards if shard.rows is not None}
        voted = self.parent.files_of("votes") if self.parent is not None else ()
        before = {file.shard: file.rows for file in voted}
        same = [work.shard.id for work in self.work.shards if work.file == "unchanged"]
        return {**{shard: before[shard] for shard in same if shard in before}, **known}

    @property
    def rows_exact(self) -> bool:
        """Whether the number of records of every shard is known."""
        return all(shard.id in self._known_rows for shard in self.corpus.shards)

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
    listing = list_corpus_of(job)
    store = Store.open(job.output.uri)
    stored = frozenset(store.list())
    parent = _current(store, stored)
    gold = read_gold(job.gold, job.labels) if job.gold and job.gold.uri else None
    gold_digest = "" if gold is None else gold.digest
    job = with_balance(job, gold)
    digest = _inputs_digest(job, prepared, listing, gold_digest)
    warnings: list[str] = []
    if parent is not None and parent.inputs_digest == digest and not full:
        missing = [file.path for file in parent.files if file.path not in stored]
        votes = parent.files_of("votes")
        if not missing and all(may_reuse(file.path, job.limits) for file in votes):
            return _nothing_to_do(job, prepared, parent, gold_digest, listing)
        if missing:
            warnings.append(
                f"{len(missing)} files of version {parent.version} are gone from "
                f"{job.output.uri}, such as {missing[0]}; they are made again"
            )
    functions = prepared.function_set()  # its process loads while we plan
    corpus = plan_corpus_of(job, prepared, listing, [job.assist.field] if job.assist else [])
    task = _task_of(job, prepared, corpus, gold_digest, reuse=not full)
    if not full:
        task = _with_stored(task, corpus, stored, parent)
    done = frozenset(s.id for s in corpus.shards if task.current_votes_path(s) in stored)
    work = work_of(task, corpus.shards, frozenset() if full else done, parent, functions)
    task = replace(task, budget_share=1 / max(1, sum(not shard.stored for shard in work.shards)))
    sample = Sample()
    if work.running:
        with trying():
            sample = take_sample(task, functions, corpus, work.running)
    warnings = [*corpus.warnings, *warnings, *_sample_warnings(sample, job, prepared.table)]
    return Plan(
        job,
        prepared,
        corpus,
        task,
        parent,
        digest,
        False,
        work,
        sample,
        tuple(warnings),
        functions,
    )


def _current(store: Store, stored: Collection[str]) -> Manifest | None:
    version = max(versions_among(stored), default=None)
    return None if version is None else read_manifest(store, version)


def _nothing_to_do(
    job: JobSpec, prepared: PreparedJob, parent: Manifest, gold_digest: str, listing: Listing
) -> Plan:
    """Return the plan of a run that finds its result published; no record was read for it."""
    shards = tuple(Shard.from_dict(shard) for shard in parent.shards)
    corpus = Corpus(shards, pa.schema([]), job.input.id, tuple(listing.warnings))
    task = _task_of(job, prepared, corpus, gold_digest, reuse=True)
    stored = frozenset(shard.id for shard in shards)
    work = work_of(task, shards, stored, parent, None)
    digest = parent.inputs_digest
    warnings = corpus.warnings
    return Plan(job, prepared, corpus, task, parent, digest, True, work, Sample(), warnings, None)


def _task_of(
    job: JobSpec, prepared: PreparedJob, corpus: Corpus, gold_digest: str, *, reuse: bool
) -> ShardTask:
    gold_column = job.gold.column if job.gold and not job.gold.uri else None
    return ShardTask(
        job=job,
        table=prepared.table,
        schema=corpus.schema,
        output_uri=job.output.uri,
        gold_digest=gold_digest,
        keys=function_keys(prepared.functions(), prepared.table, corpus.schema, gold_column),
        reuse=reuse,
        slices=(
            None if prepared.slices is None else SliceTask(prepared.slices, corpus.slice_schema)
        ),
        check_ids=job.input.id is not None and job.input.on_duplicate_id != "ignore",
    )


def _with_stored(
    task: ShardTask, corpus: Corpus, stored: Collection[str], parent: Manifest | None
) -> ShardTask:
    """Return the task with the votes that are there under other names than the usual ones."""
    current = {f.shard or "": f.path for f in parent.files_of("votes")} if parent else {}
    task = replace(task, renamed=_renamed(task, corpus, stored, current))
    missing = [s for s in corpus.shards if task.current_votes_path(s) not in stored]
    earlier = find_earlier(task, missing, stored, current)
    end, others = by_usual_end(task, missing, earlier)
    return replace(task, earlier_end=end, earlier=others)


def _renamed(
    task: ShardTask, corpus: Corpus, stored: Collection[str], current: Mapping[str, str]
) -> dict[str, str]:
    """Return votes that are there under another name than their usual one.

    Those of the current version come first, then those of a run under the same time limit that
    published nothing.
    """
    limited = limited_votes(stored, task.job.limits)
    renamed = {}
    for shard in corpus.shards:
        usual, path = task.votes_path(shard), current.get(shard.id)
        other = path and path != usual and path.startswith(usual.removesuffix(".parquet") + "-")
        if path and other and may_reuse(path, task.job.limits):
            renamed[usual] = path
        elif usual in limited and usual not in stored:
            renamed[usual] = limited[usual]
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


def _inputs_digest(job: JobSpec, prepared: PreparedJob, listing: Listing, gold_digest: str) -> str:
    """Return the digest of all that determines the result; files are told by their fingerprints."""
    content = dict(spec_content(job))
    content["gates"] = {"max_fault_rate": job.gates.max_fault_rate}
    content["input"] = {k: v for k, v in content["input"].items() if k != "uri"}
    if prepared.slices is not None:
        slices = prepared.slices.table.lfs
        content["slices"] = [[one.name, one.fingerprint] for one in slices]
    return input_digest(
        {
            "layout": [LAYOUT, MODEL_VERSION],
            "spec": content,
            "lfs": [[lf.name, lf.fingerprint] for lf in prepared.table.lfs],
            "files": [[file.name, file.fingerprint] for file in listing.files],
            "gold": gold_digest,
        }
    )
