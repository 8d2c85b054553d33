"""`labelmill lfs`: the functions on a sample of the corpus, without Beam and without a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labelmill.apply import Fault, Outcomes
from labelmill.gold import read_gold, take_gold
from labelmill.jobspec import JobSpec
from labelmill.readers import read_shard
from labelmill.shardwork import with_gold
from labelmodel.patterns import merge_patterns
from pipelines.plan import make_plan
from transforms.fit import quarantined
from transforms.fitting import fit_patterns
from transforms.patterns import count_votes


@dataclass(frozen=True)
class SampleAnalysis:
    """Functions on a sample.

    Attributes:
        rows: Records looked at.
        outcomes: Exact counts.
        faults: Samples of what failed.
        summary: As in a manifest, from a model fitted to the sample.
    """

    rows: int
    outcomes: Outcomes
    faults: tuple[Fault, ...]
    summary: Mapping[str, Any]

    @property
    def counts(self) -> Mapping[str, Any]:
        """Faults and invalid results per function."""
        return {"faults": self.outcomes.faults, "invalid": self.outcomes.invalid}

    def document(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {
            "rows": self.rows,
            "outcomes": self.outcomes.to_dict(),
            "faults": [asdict(fault) for fault in self.faults],
            **self.summary,
        }


def analyse_sample(job: JobSpec, folder: Path, rows: int) -> SampleAnalysis:
    """Run a job's functions on about `rows` records, taken from the start of every shard.

    Raises:
        LabelmillError: Whatever is wrong with the job, its functions or its corpus.
    """
    plan = make_plan(job, folder)
    table, task = plan.prepared.table, plan.task
    functions = plan.prepared.function_set()
    gold_file = read_gold(job.gold, job.labels) if job.gold and job.gold.uri else None
    outcomes = Outcomes.zero(len(table.lfs))
    faults: list[Fault] = []
    tables = []
    shards = [shard for shard in plan.corpus.shards if shard.rows != 0]
    per_shard = max(1, -(-rows // max(1, len(shards))))
    for shard in shards:
        if outcomes.rows >= rows:
            break
        reads = read_shard(shard, plan.corpus.schema, id_column=job.input.id, batch_rows=per_shard)
        read = next((r for r in reads if r.batch.num_rows), None)
        if read is None:
            continue
        batch, gold = take_gold(read.batch, task.gold_column, job.labels, shard.uri)
        applied = functions.apply(batch, gold=gold)
        outcomes = outcomes.merge(applied.outcomes)
        faults += applied.faults
        tables.append(count_votes(with_gold(applied.votes, gold_file), job.gold))
    dropped = quarantined(outcomes, job.gates.max_fault_rate)
    fit = fit_patterns(merge_patterns(tables), table, job.model, dropped)
    return SampleAnalysis(outcomes.rows, outcomes, tuple(faults), fit.analysis)
