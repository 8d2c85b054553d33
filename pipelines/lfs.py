"""`labelmill lfs`: the functions on a sample of the corpus, without Beam and without a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from labelmill.apply import Fault, Outcomes, Stops
from labelmill.corpus import Corpus
from labelmill.errors import CorpusError, LabelingFunctionError
from labelmill.gold import gold_by_role, read_gold, take_gold, with_balance
from labelmill.job import prepare_job
from labelmill.jobspec import GoldSpec, JobSpec
from labelmill.labeling import AnyLabelingFunction
from labelmill.outcomes import add_usage, quarantined
from labelmill.readers import read_shard
from labelmill.records import ID
from labelmill.shard import Shard
from labelmill.shardwork import with_gold
from labelmill.suggestion import did_you_mean
from labelmill.votes import LFTable, VoteArrays, unpack_votes
from labelmodel.patterns import merge_patterns
from pipelines.corpus_plan import list_corpus_of, plan_corpus_of
from pipelines.lf_examples import Codes, Example, FunctionExamples, SampleVotes, shown_columns
from pipelines.lf_pairs import Pairs, find_pairs
from pipelines.slicedsample import slices_of_sample, with_slice_columns
from transforms.fitting import fit_patterns
from transforms.patterns import count_votes

MOST_SHARDS = 64
"""Shards that a sample is taken from, evenly spread, so that a large corpus does not take long."""

BATCH_ROWS = 8192


@dataclass(frozen=True)
class SampleAnalysis:
    """Functions on a sample.

    Attributes:
        rows: Records looked at.
        shards: Shards that they are from.
        n_shards: Shards of the corpus.
        table: The functions and classes.
        outcomes: Exact counts.
        faults: Samples of what failed.
        summary: As in a manifest, from a model fitted to the sample; with slices of the sample.
        ids: The records' ids.
        votes: Their votes.
        pairs: Functions to compare.
        examples: By function, for those that were asked for.
        uncovered: Records on which no function votes.
        sources: The job's Python files.
        data_files: Data files that the functions read.
        estimates: What functions that cost money would use on the sample; they were not asked.
    """

    rows: int
    shards: int
    n_shards: int
    table: LFTable
    outcomes: Outcomes
    faults: tuple[Fault, ...]
    summary: Mapping[str, Any]
    ids: tuple[str, ...]
    votes: VoteArrays
    pairs: Pairs
    examples: Mapping[str, FunctionExamples]
    uncovered: tuple[Example, ...]
    sources: tuple[str, ...]
    data_files: tuple[str, ...]
    estimates: Mapping[str, Mapping[str, float]]

    @property
    def counts(self) -> Mapping[str, Any]:
        """Faults, invalid results and times per function, as a run has them."""
        quantiles = [
            [self.outcomes.seconds_at(n, q) for q in (0.5, 0.99)]
            for n in range(len(self.table.lfs))
        ]
        return {
            "faults": self.outcomes.faults,
            "invalid": self.outcomes.invalid,
            "seconds": self.outcomes.seconds,
            "times": quantiles,
            "searched": [
                n / max(self.rows, 1) for n in self.outcomes.searched or (0,) * len(self.table.lfs)
            ],
        }

    def document(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        partners = zip(self.table.names, self.pairs.partners, strict=True)
        return {
            "rows": self.rows,
            "shards": self.shards,
            "shards_of_corpus": self.n_shards,
            "outcomes": self.outcomes.to_dict(),
            "faults": [asdict(fault) for fault in self.faults],
            **self.summary,
            "pairs": self.pairs.document(),
            "partners": {name: [asdict(p) for p in found] for name, found in partners},
            "examples": {name: found.document() for name, found in self.examples.items()},
            "estimates": self.estimates,
            "uncovered": [example.document() for example in self.uncovered],
        }


def analyse_sample(
    job: JobSpec,
    folder: Path,
    rows: int,
    *,
    examples: int = 0,
    named: Sequence[str] = (),
    ask: bool = False,
) -> SampleAnalysis:
    """Run a job's functions on about `rows` records, taken from the start of the shards.

    Args:
        job: The validated job.
        folder: The job file's folder.
        rows: Records to look at.
        examples: Examples of each kind for every function.
        named: Functions to take examples of; all of them when empty.
        ask: Whether functions that cost money are asked; their answers are stored.

    Raises:
        LabelmillError: Whatever is wrong with the job, its functions or its corpus.
    """
    prepared = prepare_job(job, folder)
    table, functions = prepared.table, prepared.functions()
    _check_names(named, table.names)
    function_set = prepared.function_set()  # its process loads while we read
    corpus = plan_corpus_of(job, prepared, list_corpus_of(job))
    gold_file = read_gold(job.gold, job.labels) if job.gold and job.gold.uri else None
    job = with_balance(job, gold_file)
    shards = _spread([shard for shard in corpus.shards if shard.rows != 0])
    records, gold = _read_sample(job, with_slice_columns(corpus), shards, rows)
    outcomes = Outcomes.zero(len(table.lfs))
    faults: list[Fault] = []
    votes: list[pa.RecordBatch] = []
    estimates: Mapping[str, Mapping[str, float]] = {}
    if ask:
        function_set.allow(1.0)
    stops = Stops()
    start = 0
    for batch in records.to_batches(BATCH_ROWS):
        part = None if gold is None else gold.slice(start, batch.num_rows)
        applied = function_set.apply(batch, gold=part, ask=ask, stops=stops)
        estimates = add_usage(estimates, applied.estimates)
        outcomes = outcomes.merge(applied.outcomes)
        faults += applied.faults
        votes.append(with_gold(applied.votes, gold_file))
        start += batch.num_rows
    print(function_set.printed(), end="")  # what functions say is for their author
    function_set.close()
    patterns = merge_patterns([count_votes(batch, job.gold) for batch in votes])
    dropped = quarantined(outcomes, job.gates.max_fault_rate)
    fit = fit_patterns(patterns, table, job.model, dropped)
    arrays = concatenated(votes)
    sample = SampleVotes(records, arrays, _gold_of_the_fit(votes, job.gold), table)
    wanted = [n for n, name in enumerate(table.names) if examples and name in (named or [name])]
    found = sample.examples(functions, examples, wanted)
    return SampleAnalysis(
        rows=outcomes.rows,
        shards=len(shards),
        n_shards=len(corpus.shards),
        table=table,
        outcomes=outcomes,
        faults=tuple(faults),
        summary={**fit.analysis, **slices_of_sample(job, prepared, records, votes, fit)},
        ids=tuple(sample.ids),
        votes=arrays,
        pairs=find_pairs(patterns, table.names, [lf.fingerprint for lf in table.lfs]),
        examples={table.names[n]: found[n] for n in wanted},
        uncovered=sample.uncovered(_columns_to_show(functions, records), examples or 3),
        sources=tuple(file.path for file in prepared.code.files),
        data_files=tuple(prepared.files),
        estimates=estimates,
    )


def _check_names(named: Sequence[str], names: Sequence[str]) -> None:
    for name in named:
        if name not in names:
            hint = did_you_mean(name, names, "`labelmill lfs` lists them")
            raise LabelingFunctionError(f"the job has no labeling function {name!r}{hint}")


def _spread(shards: Sequence[Shard]) -> list[Shard]:
    """Return at most `MOST_SHARDS` of `shards`, evenly spread."""
    if len(shards) <= MOST_SHARDS:
        return list(shards)
    places = np.linspace(0, len(shards) - 1, MOST_SHARDS).round().astype(int)
    return [shards[place] for place in places.tolist()]


def _read_sample(
    job: JobSpec, corpus: Corpus, shards: Sequence[Shard], rows: int
) -> tuple[pa.Table, pa.Array | None]:
    """Return about `rows` records of `shards`, without gold, and the gold of the corpus."""
    column = job.gold.column if job.gold is not None and job.gold.uri is None else None
    each = max(1, -(-rows // max(1, len(shards))))
    batches, gold = [], []
    missing = rows
    for shard in shards:
        for batch in _first_records(shard, corpus, job.input.id, min(each, missing)):
            records, classes = take_gold(batch, column, job.labels, shard.uri)
            batches.append(records)
            gold.append(classes)
            missing -= batch.num_rows
        if missing <= 0:
            break
    if not batches:
        raise CorpusError(f"no record of {job.input.uri} can be read")
    together = pa.Table.from_batches(batches).combine_chunks()
    if column is None:
        return together, None
    return together, pa.chunked_array(gold, pa.int16()).combine_chunks()


def _first_records(
    shard: Shard, corpus: Corpus, id_column: str | None, rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the first `rows` records of a shard, copied out of the larger buffers they came in."""
    for read in read_shard(shard, corpus.schema, id_column=id_column, batch_rows=rows):
        batch = read.batch.slice(0, rows)
        rows -= batch.num_rows
        if batch.num_rows:
            yield batch.take(pa.array(range(batch.num_rows), pa.int64()))
        if rows <= 0:
            return


def concatenated(batches: Sequence[pa.RecordBatch]) -> VoteArrays:
    """Return the votes of all batches, one after the other."""
    parts = [unpack_votes(batch) for batch in batches]
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    return VoteArrays(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.concatenate([part.lfs for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def _gold_of_the_fit(votes: Sequence[pa.RecordBatch], spec: GoldSpec | None) -> Codes:
    """Return the gold that informs the fit, int16 of shape (rows,), -1 where there is none."""
    return np.concatenate([gold_by_role(batch, spec)[0] for batch in votes])


def _columns_to_show(functions: Sequence[AnyLabelingFunction], records: pa.Table) -> list[str]:
    return shown_columns(functions, [name for name in records.column_names if name != ID])
