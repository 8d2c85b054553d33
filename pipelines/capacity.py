"""How long a plan takes on an engine with so many workers: a cost model with measured constants.

    seconds = start + max(rounds x mean shard, largest shard) + fit + commit

`work` is the functions' time on the sample, scaled to all records, and what records and shards cost
besides. docs/capacity.md tells where the constants come from and what is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.plan import SECONDS_PER_ROW, Plan

SECONDS_PER_SHARD = 0.014
"""Processor seconds of a shard however small, benchmarks/capacity.py."""

PUTS_PER_SHARD = 5
"""Objects that a shard writes one after the other: votes, patterns, ids, labels, faults."""

SECONDS_PER_PUT = 0.05
"""Of a bucket in the same region, assumed; local disk takes a tenth."""

FIT_SECONDS = 5.0
"""A fit of gathered patterns, at most: 1M records x 20 functions take 1 s, docs/performance.md."""

COMMIT_SECONDS_PER_SHARD = 2e-4
"""Of listing, checking rows and writing the manifest, on one worker."""


@dataclass(frozen=True)
class EngineCost:
    """What an engine adds to the work.

    Attributes:
        start: Seconds until the first shard is worked on.
        is_measured: Whether that was seen here, or is what users of the engine report.
        factor: How much longer the work takes than in the local runner's process.
    """

    start: float
    is_measured: bool
    factor: float


ENGINES: Mapping[str, EngineCost] = {
    "local": EngineCost(3, True, 1.0),
    "prism": EngineCost(5, True, 1.1),
    "flink": EngineCost(20, True, 1.2),
    "spark": EngineCost(25, True, 1.3),
    "dataflow": EngineCost(240, False, 1.2),
}

UNKNOWN = EngineCost(20, False, 1.2)
"""Any other runner, as if it were Flink."""

BUCKETS = ("s3", "gs", "gcs", "az", "abfs", "abfss")
"""Protocols of object stores."""


@dataclass(frozen=True)
class Projection:
    """What a run is thought to take.

    Attributes:
        engine: The engine.
        workers: Processes that work at the same time.
        start: Seconds until work starts.
        functions: Core seconds of the functions, over all workers.
        records: Core seconds of all else that records and shards cost.
        working: Seconds of wall time for both, with so many workers.
        largest_shard: Seconds of the largest shard, which no number of workers shortens.
        ending: Seconds of fit and commit on one worker.
        is_measured: Whether the engine's start was measured, not assumed.
    """

    engine: str
    workers: int
    start: float
    functions: float
    records: float
    working: float
    largest_shard: float
    ending: float
    is_measured: bool

    @property
    def seconds(self) -> float:
        """Wall time of the whole run."""
        return self.start + self.working + self.ending

    @property
    def core_hours(self) -> float:
        """What the workers are paid for, in hours of one core."""
        return self.workers * self.seconds / 3600

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "seconds": self.seconds, "core_hours": self.core_hours}


def project(plan: Plan, engine: str, workers: int) -> Projection:
    """Project how long a plan takes.

    Args:
        plan: The plan, with functions tried on a sample.
        engine: A name in `ENGINES`; another counts as `UNKNOWN`.
        workers: Processes that work at the same time, from 1.
    """
    cost = ENGINES.get(engine, UNKNOWN)
    shards = plan.to_vote
    rows = plan.rows_of(shards)
    is_bucket = plan.job.output.uri.partition("://")[0] in BUCKETS
    puts = len(shards) * PUTS_PER_SHARD * SECONDS_PER_PUT * is_bucket
    functions = plan.projected_seconds * cost.factor
    records = (rows * SECONDS_PER_ROW + len(shards) * SECONDS_PER_SHARD) * cost.factor + puts
    work = functions + records
    largest = max((plan.rows_of([shard]) for shard in shards), default=0)
    longest = work * largest / rows if rows else 0.0
    used = max(min(workers, len(shards)), 1)
    rounds = math.ceil(len(shards) / used)
    working = max(rounds * work / max(len(shards), 1), longest)
    ending = FIT_SECONDS + len(plan.corpus.shards) * COMMIT_SECONDS_PER_SHARD
    return Projection(
        engine, workers, cost.start, functions, records, working, longest, ending, cost.is_measured
    )
