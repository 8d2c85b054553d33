"""A uniform sample of the corpus with the votes of the job's functions and its gold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from labelmill.apply import FunctionSet, Outcomes, Stops
from labelmill.corpus import Corpus
from labelmill.gold import GoldTable, gold_by_role, take_gold
from labelmill.jobspec import JobSpec
from labelmill.shardwork import with_gold
from labelmill.teach.tokens import Ints
from pipelines.mine import SAMPLE, sample_records

BATCH_ROWS = 8192


@dataclass(frozen=True)
class VotedSample:
    """A sample with votes.

    Attributes:
        records: The records.
        votes: Vote batches of them, with gold in both roles.
        outcomes: Exact counts.
        fit: Class of each record that informs the fit, int64, shape (n,), -1 for none.
        scoring: Class of each record that only scores, int64, shape (n,), -1 for none.
        whole: Whether the sample is the whole corpus.
    """

    records: pa.Table
    votes: list[pa.RecordBatch]
    outcomes: Outcomes
    fit: Ints
    scoring: Ints
    whole: bool


def vote_on_sample(
    job: JobSpec,
    corpus: Corpus,
    functions: FunctionSet,
    gold: GoldTable | None,
    *,
    size: int = SAMPLE,
) -> VotedSample:
    """Draw the sample, all records judged for the fit in it, and run the functions on it.

    Functions that cost money are not asked.

    Raises:
        CorpusError: No record can be read, or gold holds what is no class.
    """
    batch = sample_records(job, corpus, _ids_for_fit(gold, job), size)
    column = job.gold.column if job.gold is not None and job.gold.uri is None else None
    records, in_corpus = take_gold(batch, column, job.labels, str(job.input.uri))
    stops, votes, start = Stops(), [], 0
    outcomes = Outcomes.zero(len(functions.table.lfs))
    table = pa.Table.from_batches([records])
    for piece in table.to_batches(BATCH_ROWS):
        known = None if in_corpus is None else in_corpus.slice(start, piece.num_rows)
        applied = functions.apply(piece, gold=known, ask=False, stops=stops)
        outcomes = outcomes.merge(applied.outcomes)
        votes.append(with_gold(applied.votes, gold))
        start += piece.num_rows
    sides = [gold_by_role(part, job.gold) for part in votes]
    fit, scoring = (np.concatenate(side).astype(np.int64) for side in zip(*sides, strict=True))
    return VotedSample(table, votes, outcomes, fit, scoring, table.num_rows < size)


def _ids_for_fit(gold: GoldTable | None, job: JobSpec) -> frozenset[str]:
    """Return ids of a gold file's records for the fit, where they are no more than a sample."""
    if gold is None or job.gold is None:
        return frozenset()
    ids = pa.array(gold.ids, pa.string())
    fit, _ = gold_by_role(gold.add_to(pa.RecordBatch.from_arrays([ids], names=["id"])), job.gold)
    chosen = ids.filter(pa.array(fit >= 0)).to_pylist()
    return frozenset(chosen) if len(chosen) <= SAMPLE else frozenset()
